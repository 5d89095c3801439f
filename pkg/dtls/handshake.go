// SPDX-License-Identifier: LGPL-2.1-or-later

package dtls

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/dtls/identity"
	"github.com/gst-edgewire/gst-edgewire/pkg/dtls/wire"
)

// client is a client's way to a session: attempts, again and again until one
// succeeds, is refused or stopped. A poisoned attempt goes on with the same
// random, since a server that has begun takes another for junk.
type client struct {
	random   [32]byte
	sequence uint64 // of the next record of epoch 0
	began    time.Time
	wait     time.Duration // before the next attempt
}

// startClient begins a handshake. c.mu is held.
func (r *run) startClient() {
	c := &client{began: time.Now(), wait: r.config.RetransmitInitial}
	// All of the random is random, the time in it too: RFC 5246 does not ask for
	// the right one, and it would say which clock this is.
	_, _ = rand.Read(c.random[:]) // never fails
	// Numbers that cannot be guessed make forging a HelloVerifyRequest hard,
	// which has to repeat that of the ClientHello. They are not those of the
	// random, which everybody sees.
	var number [4]byte
	_, _ = rand.Read(number[:])
	c.sequence = uint64(binary.BigEndian.Uint32(number[:]))
	r.attempt(c)
}

// attempt begins an attempt of a client. c.mu is held.
func (r *run) attempt(c *client) {
	if r.final {
		return
	}
	a := newAttempt(r, nil, c.random)
	a.from, a.sequence, a.began = c, c.sequence, c.began
	r.attempts = append(r.attempts, a)
	a.start()
}

// again begins the next attempt of a client after one that has failed. c.mu is held.
func (r *run) again(a *attempt, err error) {
	c := a.from
	c.sequence = a.sequence
	if errors.Is(err, errRequest) {
		r.attempt(c)
		return
	}
	r.retry = r.after(c.wait, func() { r.attempt(c) })
	c.wait = min(2*c.wait, r.config.RetransmitMax)
}

// clientHello answers a ClientHello as a server. c.mu is held.
func (r *run) clientHello(p []byte) {
	c := r.c
	if r.front == nil {
		r.front = wire.NewFront()
		r.fronts++
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
	if s := r.session; s != nil && s.clientRandom == h.Random && s.front == r.fronts {
		// A late copy of what the session began with. With the cookie of a later
		// front it is none: the client has never got the server's Finished, and
		// begins again with the same random.
		return
	}
	for _, a := range r.attempts {
		if a.random == h.Random {
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
		if r.closed {
			r.closed = false
			r.expectHandshake()
		}
		r.c.setState(StateConnecting)
	}
	a := newAttempt(r, h, h.Random)
	// RFC 6347 section 4.2.1: the server goes on from the number of the
	// ClientHello, since its HelloVerifyRequest had that of the first one.
	a.sequence = seq
	r.attempts = append(r.attempts, a)
	a.start()
}

// remove takes an attempt off the list. c.mu is held.
func (r *run) remove(a *attempt) bool {
	i := slices.Index(r.attempts, a)
	if i < 0 {
		return false
	}
	if len(r.attempts) == 1 {
		r.attempts = nil // even an empty slice would keep the attempt
		if r.session != nil {
			r.front = nil // as in promote
		}
	} else {
		r.attempts = slices.Delete(r.attempts, i, i+1)
	}
	return true
}

// settle takes over what an attempt has achieved, and what came behind it.
func (r *run) settle(a *attempt, rest [][]byte, err error) {
	c := r.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.run != r || !r.remove(a) {
		a.end()
		return
	}
	if err == nil {
		r.promote(a, rest)
		return
	}
	a.end()
	r.dec.calls.flush()
	var refused *RefusedError
	var alert *AlertError
	var local *localError
	switch {
	case errors.As(err, &refused), errors.As(err, &alert), errors.As(err, &local):
	default:
		r.trouble = err
		logf(LogDebug, "connection-id %q: a handshake failed and is begun again: %v", c.id, err)
		if a.from != nil {
			r.again(a, err)
		}
		return
	}
	if r.session != nil {
		c.warn(true, err)
		return
	}
	r.fail(err)
}

// localError is a fault of this end that another attempt does not cure.
type localError struct{ err error }

func (e *localError) Error() string { return e.err.Error() }
func (e *localError) Unwrap() error { return e.err }

// promote makes the connection of a completed handshake the current one.
// c.mu is held.
func (r *run) promote(a *attempt, after [][]byte) {
	c := r.c
	s, rest := a.session(after)
	s.front = r.fronts
	c.generation++
	var keys *Keys
	if a.profile != 0 {
		keys = exportKeys(a.secrets, a.profile, r.config.IsClient)
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
	r.trouble = nil
	r.showPeer(a.pem, a.fingerprint, true) // that of these keys, whoever else has shaken hands beside
	if len(r.attempts) == 0 {
		r.front = nil // recorded ClientHellos and late copies have no valid cookie any more
	}
	if r.deadline != nil {
		r.deadline.Stop()
	}
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
	if r.config.PeerTimeout > 0 && r.config.IsClient {
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
}

// setPeer notes the peer's certificate and tells the decoder if it is new. Beside
// a session it waits for promote: until then the peer is that of the session. It
// returns whether the application is to be asked for it.
func (r *run) setPeer(a *attempt, der []byte, cfg *DecoderConfig) (asks bool) {
	pem := identity.CertificatePEM(der)
	fingerprint, _ := identity.Fingerprint("sha-256", der)
	c := r.c
	c.mu.Lock()
	defer c.mu.Unlock()
	a.pem, a.fingerprint = pem, fingerprint
	if c.run != r {
		return false // nothing becomes of the attempt
	}
	known := r.accepted == pem
	asks = cfg.Accept != nil && !known && (cfg.Asks == nil || cfg.Asks())
	if r.session == nil {
		r.showPeer(pem, fingerprint, !asks)
	}
	if cfg.Accept != nil && !asks && !known {
		r.accepted = pem
		c.tellSoon(func(h *DecoderHandler) {
			if h.Unasked != nil {
				h.Unasked()
			}
		})
	}
	return asks
}

// showPeer makes a certificate the connection's peer's; soon: the decoder may be
// told with what comes next. c.mu is held.
func (r *run) showPeer(pem, fingerprint string, soon bool) {
	c := r.c
	c.peerPrint = fingerprint
	if c.peerPEM == pem {
		return
	}
	c.peerPEM = pem
	tell := c.tellSoon
	if !soon {
		tell = func(dec func(*DecoderHandler)) { c.tell(nil, dec) }
	}
	tell(func(h *DecoderHandler) {
		if h.PeerCertificate != nil {
			h.PeerCertificate(pem)
		}
	})
}

func (r *run) setAccepted(pem string) {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	r.accepted = pem
}

func (r *run) hasAccepted(pem string) bool {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	return r.accepted == pem
}
