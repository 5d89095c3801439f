// SPDX-License-Identifier: LGPL-2.1-or-later

package dtls

import (
	"slices"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/safe"
	"github.com/gst-edgewire/gst-edgewire/pkg/dtls/wire"
)

// run is one life of the connection between Start and Stop.
type run struct {
	c      *Connection
	config EncoderConfig
	enc    *Encoder
	dec    *Decoder

	// Guarded by the connection's lock.
	front    *wire.Front
	fronts   uint64 // how many there were
	attempts []*attempt
	session  *session
	closed   bool // by close_notify or by failure: only Start begins again, or a ClientHello
	final    bool // not even a ClientHello
	closing  bool // CloseNotify was called
	answered bool // a server's HelloVerifyRequest went out
	timers   []*time.Timer
	deadline *time.Timer // of the handshake
	retry    *time.Timer // of a client's next attempt
	trouble  error       // why the last attempt failed, if it was begun again
	order    uint64

	accepted string // the certificate that Accept has accepted, for attempts that begin again

	silent int // quarters of PeerTimeout without an authenticated packet
}

// begin starts a run if both sides are there and the encoder is started.
// c.mu is held.
func (c *Connection) begin() {
	if c.run != nil || c.enc == nil || c.dec == nil || !c.enc.started {
		return
	}
	c.enc.joined()
	r := &run{c: c, config: c.enc.config, enc: c.enc, dec: c.dec}
	c.run = r
	c.keys, c.version, c.profile = nil, 0, ""
	r.expectHandshake()
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

// end ends the run, if there is one. c.mu is held.
func (c *Connection) end() {
	r := c.run
	if r == nil {
		return
	}
	c.run = nil
	if s := r.session; s != nil {
		s.sendCloseNotify()
	}
	r.stopAll()
	if c.state != StateFailed {
		c.setState(StateClosed)
	}
}

// stopAll cancels everything of the run. c.mu is held.
func (r *run) stopAll() {
	r.session = nil
	r.stopAttempts()
	for _, t := range r.timers {
		t.Stop()
	}
	r.timers = nil
}

// after calls fn with the connection's lock held, unless the run has ended. c.mu
// is held. A timer that has fired is forgotten, with what fn holds, unless fn
// rearms it.
func (r *run) after(d time.Duration, fn func()) *time.Timer {
	var t *time.Timer
	t = time.AfterFunc(d, func() {
		defer safe.Recover("a DTLS timer", r.c.panicked)
		r.c.mu.Lock()
		defer r.c.mu.Unlock()
		if r.c.run == r {
			i := slices.Index(r.timers, t)
			if i < 0 {
				return // it fired just before it was called off
			}
			r.timers = slices.Delete(r.timers, i, i+1)
			fn()
		}
	})
	r.timers = append(r.timers, t)
	return t
}

// rearm lets a timer of after fire again. c.mu is held.
func (r *run) rearm(t *time.Timer, d time.Duration) {
	if !slices.Contains(r.timers, t) {
		r.timers = append(r.timers, t)
	}
	t.Reset(d)
}

// fail ends the connection with an error until the encoder is started again.
// c.mu is held.
func (r *run) fail(err error) {
	c := r.c
	r.closed, r.final = true, true
	r.stopAttempts()
	r.session = nil
	r.enc.dropPending()
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
	if t := r.retry; t != nil {
		t.Stop()
		r.timers = slices.DeleteFunc(r.timers, func(x *time.Timer) bool { return x == t })
		r.retry = nil
	}
	for _, a := range r.attempts {
		a.abort()
	}
	r.attempts = nil
}

// expectHandshake begins the time that a handshake may take. c.mu is held.
func (r *run) expectHandshake() {
	switch {
	case r.config.HandshakeTimeout == 0:
	case r.deadline == nil:
		r.deadline = r.after(r.config.HandshakeTimeout, r.handshakeTimeout)
	default:
		r.rearm(r.deadline, r.config.HandshakeTimeout)
	}
}

// handshakeTimeout fails a run that has not connected. c.mu is held.
func (r *run) handshakeTimeout() {
	if r.session != nil || r.closed {
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
	if r.trouble != nil {
		if hint != "" {
			hint += "; "
		}
		hint += "the last attempt failed: " + r.trouble.Error()
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

// send queues a datagram for the network.
func (r *run) send(p []byte) {
	c := r.c
	if !r.enc.calls.postPacket(p, 2) {
		return // like a full socket: the peer or the timer asks again
	}
	c.counters.packetsSent.Add(1)
	c.counters.bytesSent.Add(uint64(len(p)))
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
		r.rearm(t, quarter)
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
		return
	}
	if r.config.IsClient && r.config.PeerTimeout > 0 && len(r.attempts) == 0 {
		// A server that restarts in good order says goodbye, too, and waits for a
		// ClientHello then.
		r.after(r.config.PeerTimeout, func() {
			if r.session == nil && r.closed && !r.final && len(r.attempts) == 0 {
				r.startClient()
			}
		})
	}
}

// finishClosing ends what CloseNotify began. c.mu is held.
func (r *run) finishClosing() {
	r.closing = false
	r.closed, r.final = true, true
	r.stopAttempts()
	r.session = nil
	r.enc.dropPending()
	if r.c.state != StateFailed {
		r.c.setState(StateClosed)
	}
	r.c.tell(func(h *EncoderHandler) {
		if h.Closed != nil {
			h.Closed()
		}
	}, nil)
}
