// SPDX-License-Identifier: LGPL-2.1-or-later

package dtls

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/safe"
	"github.com/gst-edgewire/gst-edgewire/pkg/dtls/identity"
	"github.com/gst-edgewire/gst-edgewire/pkg/dtls/wire"
)

const (
	heldDatagrams = 32
	heldBytes     = 64 << 10

	closeWait = time.Second
)

// Connection is what the two sides of a connection-id share.
//
// Locks are taken in the order registry, Connection, attempt, session,
// dispatcher. No callback is called with any of them held.
type Connection struct {
	id string

	mu    sync.Mutex
	enc   *Encoder
	dec   *Decoder
	state State

	// run is the time in which both sides are there and the encoder is
	// started; nil outside of it.
	run *run

	held      [][]byte // datagrams that came before the run
	heldBytes int

	keys       *Keys
	generation uint64
	peerPEM    string
	peerPrint  string
	version    uint16
	profile    string
	warned     bool // that nothing verifies the peer
	duration   time.Duration

	counters counters
	alive    atomic.Bool // an authenticated packet came since the last look
}

// counters are what Stats counts; they are touched without the lock.
type counters struct {
	handshakes, retransmissions                            atomic.Uint64
	packetsSent, bytesSent, packetsReceived, bytesReceived atomic.Uint64
	dropped                                                [8]atomic.Uint64
}

func (n *counters) drop(r wire.Reason) {
	if int(r) < len(n.dropped) {
		n.dropped[r].Add(1)
	}
}

// run is one life of the connection between Start and Stop.
type run struct {
	c      *Connection
	config EncoderConfig
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup // the attempts' goroutines
	enc    *Encoder
	dec    *Decoder

	// Guarded by the connection's lock.
	front    *wire.Front
	attempts []*attempt
	session  *session
	closed   bool // by close_notify or by failure: only Start begins again, or a ClientHello
	final    bool // not even a ClientHello
	closing  bool // CloseNotify was called
	answered bool // a server's HelloVerifyRequest went out
	since    time.Time
	timers   []*time.Timer
	order    uint64

	accepted string // the certificate that Accept has accepted, for attempts that begin again

	silent int // quarters of PeerTimeout without an authenticated packet
}

func newConnection(id string) *Connection { return &Connection{id: id} }

// begin starts a run if both sides are there and the encoder is started.
// c.mu is held.
func (c *Connection) begin() {
	if c.run != nil || c.enc == nil || c.dec == nil || !c.enc.started {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &run{c: c, config: c.enc.config, ctx: ctx, cancel: cancel, enc: c.enc, dec: c.dec, since: time.Now()}
	c.run = r
	c.keys, c.version, c.profile = nil, 0, ""
	if r.config.HandshakeTimeout > 0 {
		r.after(r.config.HandshakeTimeout, r.handshakeTimeout)
	}
	if r.config.IsClient {
		c.setState(StateConnecting)
		r.startClient()
	} else if c.state != StateNew {
		c.setState(StateNew)
	}
	held := c.held
	c.held, c.heldBytes = nil, 0
	for _, p := range held {
		r.receive(p)
	}
}

// end ends the run, if there is one, and returns it for join. c.mu is held.
func (c *Connection) end() *run {
	r := c.run
	if r == nil {
		return nil
	}
	c.run = nil
	if s := r.session; s != nil {
		s.sendCloseNotify()
	}
	r.stopAll()
	if c.state != StateFailed {
		c.setState(StateClosed)
	}
	return r
}

// stopAll cancels everything of the run. c.mu is held.
func (r *run) stopAll() {
	r.cancel()
	r.session = nil
	for _, a := range r.attempts {
		a.abort()
	}
	r.attempts = nil
	for _, t := range r.timers {
		t.Stop()
	}
	r.timers = nil
}

// join waits for the goroutines of a run that has ended.
func (r *run) join() {
	if r != nil {
		r.wg.Wait()
	}
}

// after calls fn with the connection's lock held, unless the run has ended.
func (r *run) after(d time.Duration, fn func()) *time.Timer {
	t := time.AfterFunc(d, func() {
		defer safe.Recover("a DTLS timer", r.c.panicked)
		r.c.mu.Lock()
		defer r.c.mu.Unlock()
		if r.c.run == r && r.ctx.Err() == nil {
			fn()
		}
	})
	r.timers = append(r.timers, t)
	return t
}

// setState tells both sides of a new state. c.mu is held.
func (c *Connection) setState(s State) {
	if c.state == s {
		return
	}
	c.state = s
	c.tell(func(h *EncoderHandler) {
		if h.State != nil {
			h.State(s)
		}
	}, func(h *DecoderHandler) {
		if h.State != nil {
			h.State(s)
		}
	})
}

// tell queues a callback on each side. c.mu is held.
func (c *Connection) tell(enc func(*EncoderHandler), dec func(*DecoderHandler)) {
	if e := c.enc; e != nil && enc != nil {
		e.calls.post(func() { enc(&e.handler) })
	}
	if d := c.dec; d != nil && dec != nil {
		d.calls.post(func() { dec(&d.handler) })
	}
}

// fail ends the connection with an error until the encoder is started again.
// c.mu is held.
func (r *run) fail(err error) {
	c := r.c
	r.closed, r.final = true, true
	r.stopAttempts()
	r.session = nil
	c.setState(StateFailed)
	c.tell(func(h *EncoderHandler) {
		if h.Error != nil {
			h.Error(err)
		}
	}, func(h *DecoderHandler) {
		if h.Error != nil {
			h.Error(err)
		}
	})
	if r.closing {
		r.finishClosing()
	}
}

func (r *run) stopAttempts() {
	for _, a := range r.attempts {
		a.abort()
	}
	r.attempts = nil
}

// panicked fails the connection after a panic of ours or of a callback.
func (c *Connection) panicked(p *safe.PanicError) {
	logf(LogError, "connection-id %q: %v\n%s", c.id, p, p.Stack)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.run != nil && !c.run.final {
		c.run.fail(p)
	}
}

// warn queues a warning on the decoder (true) or the encoder. c.mu is held.
func (c *Connection) warn(onDecoder bool, err error) {
	if onDecoder {
		c.tell(nil, func(h *DecoderHandler) {
			if h.Warning != nil {
				h.Warning(err)
			}
		})
		return
	}
	c.tell(func(h *EncoderHandler) {
		if h.Warning != nil {
			h.Warning(err)
		}
	}, nil)
}

// handshakeTimeout fails a run that has not connected. c.mu is held.
func (r *run) handshakeTimeout() {
	if r.session != nil || r.closed || r.c.state == StateConnected {
		return
	}
	r.fail(r.timeoutError("the DTLS handshake did not complete within " + r.config.HandshakeTimeout.String()))
}

// timeoutError says what was waited for. c.mu is held.
func (r *run) timeoutError(what string) *TimeoutError {
	hint := ""
	if len(r.attempts) > 0 {
		a := r.attempts[len(r.attempts)-1]
		hint = a.hint()
	}
	if r.config.IsClient {
		return &TimeoutError{What: what + ": waiting as the client for the server's answer", Hint: hint}
	}
	switch {
	case hint != "":
		what += ": waiting as the server for the client's next message"
	case r.answered:
		what += ": waiting as the server for the client to return its cookie"
		hint = "ClientHellos come: do our answers reach the peer?"
	default:
		what += ": waiting as the server for a ClientHello"
		hint = "nothing of a handshake came: are both ends servers, or is the address wrong?"
	}
	return &TimeoutError{What: what, Hint: hint}
}

// startClient begins a handshake. c.mu is held.
func (r *run) startClient() {
	safe.Go(&r.wg, "a DTLS handshake", r.c.panicked, r.client)
}

// hold keeps a datagram that came before the run, dropping the oldest. c.mu is held.
func (c *Connection) hold(p []byte) {
	if len(p) > heldBytes {
		c.counters.drop(wire.DropQueueFull)
		return
	}
	for len(c.held) >= heldDatagrams || c.heldBytes+len(p) > heldBytes {
		c.heldBytes -= len(c.held[0])
		c.held[0] = nil
		c.held = c.held[1:]
		c.counters.drop(wire.DropQueueFull)
	}
	c.held = append(c.held, append([]byte(nil), p...))
	c.heldBytes += len(p)
}

// receive takes one datagram of the network. c.mu is held; nothing blocks and
// no signature is checked here.
func (r *run) receive(p []byte) {
	c := r.c
	if r.final {
		c.counters.drop(wire.DropSpoofed)
		return
	}
	if first, _, ok := nextRecord(p); !ok {
		c.counters.drop(wire.DropMalformed)
		return
	} else if !r.config.IsClient && recordEpoch(first) == 0 {
		if msg, _ := messageOf(first); msg == msgClientHello {
			r.clientHello(p)
			return
		}
	}
	if r.session != nil {
		var whole bool
		if p, whole = r.session.receive(p); whole {
			return
		}
	}
	if len(r.attempts) == 0 {
		for len(p) > 0 {
			record, rest, ok := nextRecord(p)
			switch {
			case !ok:
				c.counters.drop(wire.DropMalformed)
				return
			case recordEpoch(record) == 0:
				c.counters.drop(wire.DropSpoofed)
			default:
				c.counters.drop(wire.DropAuth)
			}
			p = rest
		}
		return
	}
	p = append([]byte(nil), p...)
	for _, a := range r.attempts {
		a.push(p)
	}
}

// clientHello answers a ClientHello as a server. c.mu is held.
func (r *run) clientHello(p []byte) {
	c := r.c
	if r.front == nil {
		r.front = wire.NewFront()
	}
	reply, hello, drop, dropped := r.front.In(p)
	switch {
	case dropped:
		c.counters.drop(drop)
	case reply != nil:
		r.answered = true
		r.send(reply)
	case hello != nil:
		first, _, _ := nextRecord(p)
		r.hello(hello, recordSequence(first))
	}
}

// hello begins a handshake for a client that has proved its address, in a
// record with the number seq. c.mu is held.
func (r *run) hello(h *wire.Hello, seq uint64) {
	if s := r.session; s != nil && s.clientRandom == h.Random {
		return // a late copy of what the session began with
	}
	for _, a := range r.attempts {
		if a.clientRandom == h.Random {
			a.kick()
			return
		}
	}
	for len(r.attempts) >= 2 {
		old := r.attempts[0]
		old.abort()
		r.remove(old)
	}
	if r.session == nil {
		r.closed = false
		r.c.setState(StateConnecting)
	}
	a := newAttempt(r, h, helloRandom{})
	// RFC 6347 section 4.2.1: the server goes on from the number of the
	// ClientHello, since its HelloVerifyRequest had that of the first one.
	a.sequence = seq
	r.attempts = append(r.attempts, a)
	safe.Go(&r.wg, "a DTLS handshake", r.c.panicked, func() { r.server(a) })
}

// send queues a datagram for the network.
func (r *run) send(p []byte) {
	c := r.c
	if !r.enc.calls.postPacket(p, 2) {
		return // like a full socket: the peer or the timer asks again
	}
	c.counters.packetsSent.Add(1)
	c.counters.bytesSent.Add(uint64(len(p)))
}

// remove takes an attempt off the list. c.mu is held.
func (r *run) remove(a *attempt) bool {
	i := slices.Index(r.attempts, a)
	if i < 0 {
		return false
	}
	if len(r.attempts) == 1 {
		r.attempts = nil // even an empty slice would keep the attempt and its stack
	} else {
		r.attempts = slices.Delete(r.attempts, i, i+1)
	}
	return true
}

// client shakes hands as a client, again and again until it succeeds, is
// refused or stopped. A poisoned attempt goes on with the same random, since a
// server that has begun takes another for junk.
func (r *run) client() {
	random := newRandom()
	wait := r.config.RetransmitInitial
	// Numbers that cannot be guessed make forging a HelloVerifyRequest hard,
	// which has to repeat that of the ClientHello.
	seq := uint64(binary.BigEndian.Uint32(random.bytes[:]))
	for began := time.Now(); ; {
		r.c.mu.Lock()
		if r.c.run != r || r.ctx.Err() != nil || r.final {
			r.c.mu.Unlock()
			return
		}
		a := newAttempt(r, nil, random)
		a.sequence, a.began = seq, began
		r.attempts = append(r.attempts, a)
		r.c.mu.Unlock()

		err := a.shake()
		if r.settle(a, err) {
			return
		}
		seq = a.sequence
		if errors.Is(err, errRequest) {
			continue
		}
		select {
		case <-r.ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = min(2*wait, r.config.RetransmitMax)
	}
}

// server shakes hands as a server.
func (r *run) server(a *attempt) { r.settle(a, a.shake()) }

// settle takes over what an attempt has achieved. It returns false when the
// attempt failed and a client should try again.
func (r *run) settle(a *attempt, err error) bool {
	defer a.close()
	c := r.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.run != r || r.ctx.Err() != nil || !r.remove(a) {
		return true
	}
	if err == nil {
		if err = r.promote(a); err == nil {
			return true
		}
	}
	var refused *RefusedError
	var alert *AlertError
	var local *localError
	switch {
	case errors.As(err, &refused), errors.As(err, &alert), errors.As(err, &local):
	default:
		logf(LogDebug, "connection-id %q: a handshake failed and is begun again: %v", c.id, err)
		return false
	}
	if r.session != nil {
		c.warn(true, err)
		return true
	}
	r.fail(err)
	return true
}

// localError is a fault of this end that another attempt does not cure.
type localError struct{ err error }

func (e *localError) Error() string { return e.err.Error() }
func (e *localError) Unwrap() error { return e.err }

// promote makes the connection of a completed handshake the current one.
// c.mu is held.
func (r *run) promote(a *attempt) error {
	c := r.c
	s, rest, err := a.detach()
	if err != nil {
		return err
	}
	c.generation++
	var keys *Keys
	if a.profile != 0 {
		keys, err = exportKeys(a.secrets, a.profile, r.config.IsClient)
		if err != nil {
			return err
		}
		keys.Generation = c.generation
	}
	for i := 0; i < len(r.attempts); {
		if old := r.attempts[i]; old.order < a.order {
			old.abort()
			r.remove(old)
		} else {
			i++
		}
	}
	r.session = s
	r.closed = false
	r.silent = 0
	c.keys = keys
	c.version = 0xfefd
	c.profile = ""
	c.duration = time.Since(a.began)
	c.counters.handshakes.Add(1)
	if !c.warned && !r.dec.verifies() {
		c.warned = true
		c.warn(true, errors.New("nothing verifies the DTLS peer, whose certificate is "+a.fingerprint+": set a fingerprint (peer-fingerprint), a CA (ca-file, verify) or accept-peer-certificate, or compare peer-pem with what signalling said"))
	}
	if keys != nil {
		c.profile = keys.Profile.String()
		k := *keys
		c.tell(func(h *EncoderHandler) {
			if h.Keys != nil {
				h.Keys(k)
			}
		}, func(h *DecoderHandler) {
			if h.Keys != nil {
				h.Keys(k)
			}
		})
	} else if len(r.config.Profiles) > 0 {
		c.warn(false, errors.New("the DTLS peer and this end have no SRTP profile in common: data flows, media cannot; set srtp-profiles to what the peer has"))
	}
	c.setState(StateConnected)
	if r.config.PeerTimeout > 0 && r.config.IsClient && c.generation > 0 {
		r.watchPeer(s)
	}
	pending := r.enc.takePending()
	for _, p := range pending {
		s.write(p)
	}
	if r.closing {
		s.sendCloseNotify()
	}
	for _, p := range rest {
		r.receive(p)
	}
	return nil
}

// watchPeer begins another handshake when nothing authenticated came from the
// peer of this session for PeerTimeout. c.mu is held.
func (r *run) watchPeer(s *session) {
	r.c.alive.Store(false)
	var look func()
	var t *time.Timer
	look = func() {
		if r.session != s {
			return
		}
		quarter := r.config.PeerTimeout / 4
		if r.c.alive.Swap(false) {
			r.silent = 0
			r.stopAttempts()
		} else if r.silent++; r.silent == 4 {
			logf(LogInfo, "connection-id %q: nothing authenticated came for %v: another handshake begins", r.c.id, r.config.PeerTimeout)
			r.startClient()
			if r.config.HandshakeTimeout > 0 {
				r.after(r.config.HandshakeTimeout, func() {
					if r.session == s && r.silent >= 4 {
						r.fail(r.timeoutError("the peer has been silent for " + r.config.PeerTimeout.String() + " and another DTLS handshake did not complete within " + r.config.HandshakeTimeout.String()))
					}
				})
			}
		}
		t.Reset(quarter)
	}
	t = r.after(max(r.config.PeerTimeout/4, time.Millisecond), look)
}

// peerClosed takes note of the peer's close_notify. c.mu is held.
func (r *run) peerClosed() {
	r.session.sendCloseNotify()
	r.session = nil
	r.closed = true
	r.c.setState(StateClosed)
	r.c.tell(nil, func(h *DecoderHandler) {
		if h.Closed != nil {
			h.Closed()
		}
	})
	if r.closing {
		r.finishClosing()
	}
}

// finishClosing ends what CloseNotify began. c.mu is held.
func (r *run) finishClosing() {
	r.closing = false
	r.closed, r.final = true, true
	r.stopAttempts()
	r.session = nil
	if r.c.state != StateFailed {
		r.c.setState(StateClosed)
	}
	r.c.tell(func(h *EncoderHandler) {
		if h.Closed != nil {
			h.Closed()
		}
	}, nil)
}

// State is the connection's state.
func (c *Connection) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// Keys are those of the last completed handshake of this run.
func (c *Connection) Keys() (Keys, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.keys == nil {
		return Keys{}, false
	}
	return *c.keys, true
}

// PeerPEM is the peer's certificate, "" before it came.
func (c *Connection) PeerPEM() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.peerPEM
}

// Version is 0xFEFD (DTLS 1.2) once connected, else 0.
func (c *Connection) Version() uint16 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.version
}

// Stats are the connection's counters.
func (c *Connection) Stats() Stats {
	c.mu.Lock()
	s := Stats{
		State: c.state, Version: c.version, Profile: c.profile, PeerFingerprint: c.peerPrint,
		HandshakeDuration: c.duration,
	}
	c.mu.Unlock()
	n := &c.counters
	s.Handshakes, s.Retransmissions = n.handshakes.Load(), n.retransmissions.Load()
	s.PacketsSent, s.BytesSent = n.packetsSent.Load(), n.bytesSent.Load()
	s.PacketsReceived, s.BytesReceived = n.packetsReceived.Load(), n.bytesReceived.Load()
	s.Dropped = map[Reason]uint64{}
	for i := range n.dropped {
		if v := n.dropped[i].Load(); v != 0 {
			s.Dropped[Reason(i)] = v
		}
	}
	return s
}

// setPeer notes the peer's certificate and tells the decoder if it is new.
func (r *run) setPeer(der []byte) (pem, fingerprint string) {
	pem = identity.CertificatePEM(der)
	fingerprint, _ = identity.Fingerprint("sha-256", der)
	c := r.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.run != r {
		return pem, fingerprint
	}
	c.peerPrint = fingerprint
	if c.peerPEM != pem {
		c.peerPEM = pem
		c.tell(nil, func(h *DecoderHandler) {
			if h.PeerCertificate != nil {
				h.PeerCertificate(pem)
			}
		})
	}
	return pem, fingerprint
}
