// SPDX-License-Identifier: LGPL-2.1-or-later

package dtls

import (
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/safe"
	"github.com/gst-edgewire/gst-edgewire/pkg/dtls/identity"
	"github.com/gst-edgewire/gst-edgewire/pkg/dtls/wire"
)

// startClient begins a handshake. c.mu is held.
func (r *run) startClient() {
	safe.Go(&r.wg, "a DTLS handshake", r.c.panicked, r.client)
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
		if r.closed {
			r.closed = false
			r.expectHandshake()
		}
		r.c.setState(StateConnecting)
	}
	a := newAttempt(r, h, helloRandom{})
	// RFC 6347 section 4.2.1: the server goes on from the number of the
	// ClientHello, since its HelloVerifyRequest had that of the first one.
	a.sequence = seq
	r.attempts = append(r.attempts, a)
	safe.Go(&r.wg, "a DTLS handshake", r.c.panicked, func() { r.server(a) })
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
		r.trouble = err
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
	r.trouble = nil
	r.showPeer(a.pem, a.fingerprint) // that of these keys, whoever else has shaken hands beside
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
	return nil
}

// setPeer notes the peer's certificate and tells the decoder if it is new. Beside
// a session it waits for promote: until then the peer is that of the session.
func (r *run) setPeer(a *attempt, der []byte) {
	pem := identity.CertificatePEM(der)
	fingerprint, _ := identity.Fingerprint("sha-256", der)
	c := r.c
	c.mu.Lock()
	defer c.mu.Unlock()
	a.pem, a.fingerprint = pem, fingerprint
	if c.run == r && r.session == nil {
		r.showPeer(pem, fingerprint)
	}
}

// showPeer makes a certificate the connection's peer's. c.mu is held.
func (r *run) showPeer(pem, fingerprint string) {
	c := r.c
	c.peerPrint = fingerprint
	if c.peerPEM == pem {
		return
	}
	c.peerPEM = pem
	c.tell(nil, func(h *DecoderHandler) {
		if h.PeerCertificate != nil {
			h.PeerCertificate(pem)
		}
	})
}

func (r *run) wasAccepted(pem string) bool {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	return r.accepted == pem && pem != ""
}

func (r *run) setAccepted(pem string) {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	r.accepted = pem
}
