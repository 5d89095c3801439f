// SPDX-License-Identifier: LGPL-2.1-or-later

package dtls

import (
	"crypto"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/dtls/handshake"
	"github.com/gst-edgewire/gst-edgewire/pkg/dtls/wire"
	"github.com/gst-edgewire/gst-edgewire/pkg/srtp"
)

const (
	attemptDatagrams = 64
	attemptBytes     = 128 << 10

	// serverAttempt bounds a server's attempt when there is no handshake-timeout.
	serverAttempt = time.Minute
	// kickAfter: a peer that asks again sooner has only crossed our answer.
	kickAfter = 20 * time.Millisecond
)

var (
	errStalled = errors.New("the peer has not answered the handshake's last flight")
	errRequest = errors.New("the attempt followed a HelloVerifyRequest that the server contradicts")
)

// attempt is one handshake. It has no goroutine: what comes from the network, a
// timer or the application's verdict is queued, and the encoder's dispatcher
// calls work, which computes and sends. So no streaming thread computes, and
// the datagrams that work queues follow on the same goroutine.
type attempt struct {
	r            *run
	hello        *wire.Hello // of a server
	from         *client     // of a client
	random       [32]byte    // of the client
	order        uint64
	began        time.Time
	guard        *wire.Guard
	workLater    func() // work, made once
	timerExpires func()

	// mu guards what comes from outside. It is never held while something is computed.
	mu        sync.Mutex
	in        [][]byte
	inBytes   int
	kicked    bool
	answer    verdict // of the application
	scheduled bool    // work is queued
	ended     bool
	timer     *time.Timer
	alarm     time.Time // when the timer fires; zero: it does not

	// What follows is work's.
	begun      bool
	complete   bool
	client     *handshake.Client
	server     *handshake.Server
	finishing  collector // the peer's Finished
	held       [][]byte  // records of epoch 1 that nobody can open yet
	heldBytes  int
	ready      [][]byte // records that have authenticated, for the session
	readyBytes int
	secrets    *handshake.Secrets
	protection *protection
	finished   []byte // a server's Finished

	sequence    uint64 // of the next record of epoch 0
	flight      []outRecord
	flightSince time.Time
	sentAt      time.Time
	due         time.Time // of the next retransmission; zero: none
	interval    time.Duration

	// Results.
	profile          srtp.Profile
	pem, fingerprint string // of the peer; written with the connection's lock held
}

// verdict is what the application says about the peer's certificate.
type verdict int

const (
	unasked verdict = iota
	accepted
	refused
)

// newAttempt makes an attempt: a server's has a hello, a client's a random. c.mu is held.
func newAttempt(r *run, hello *wire.Hello, random [32]byte) *attempt {
	r.order++
	a := &attempt{
		r: r, hello: hello, random: random, order: r.order, began: time.Now(),
		guard: wire.NewGuard(r.config.IsClient), interval: r.config.RetransmitInitial,
	}
	a.workLater = a.work
	a.timerExpires = a.ring
	if hello != nil {
		a.random = hello.Random
	}
	handshakeBegins()
	return a
}

// schedule lets work run. a.mu is held.
func (a *attempt) schedule() {
	if !a.scheduled && !a.ended {
		a.scheduled = true
		a.r.enc.calls.post(a.workLater)
	}
}

// start lets an attempt begin. c.mu is held.
func (a *attempt) start() {
	a.mu.Lock()
	a.schedule()
	a.mu.Unlock()
}

// push takes a datagram of the network. c.mu is held.
func (a *attempt) push(p []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.in) >= attemptDatagrams || a.inBytes+len(p) > attemptBytes {
		a.r.c.counters.drop(wire.DropQueueFull)
		return
	}
	a.in = append(a.in, p)
	a.inBytes += len(p)
	a.schedule()
}

// kick sends the last flight again, because the peer asks for it.
func (a *attempt) kick() {
	a.mu.Lock()
	a.kicked = true
	a.schedule()
	a.mu.Unlock()
}

// end stops the timer; work does nothing any more. It returns what has come
// since work looked last.
func (a *attempt) end() [][]byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended {
		return nil
	}
	a.ended = true
	if a.timer != nil {
		a.timer.Stop()
	}
	in := a.in
	a.in = nil
	handshakeEnds()
	return in
}

// abort ends the attempt from outside.
func (a *attempt) abort() { a.end() }

// hint says what was seen instead of what was waited for.
func (a *attempt) hint() string { return a.guard.Hint() }

// setAlarm lets work run when something is due. A timer that fires too early is
// cheaper than one that is set anew for every flight.
func (a *attempt) setAlarm() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended || a.due.IsZero() || !a.alarm.IsZero() && !a.alarm.After(a.due) {
		return
	}
	a.alarm = a.due
	wait := max(time.Until(a.due), 0)
	if a.timer == nil {
		a.timer = time.AfterFunc(wait, a.timerExpires)
	} else {
		a.timer.Reset(wait)
	}
}

func (a *attempt) ring() {
	a.mu.Lock()
	a.alarm = time.Time{}
	a.schedule()
	a.mu.Unlock()
}

// work goes on with the handshake as far as it can.
func (a *attempt) work() {
	a.mu.Lock()
	a.scheduled = false
	if a.ended {
		a.mu.Unlock()
		return
	}
	in, kicked, answer := a.in, a.kicked, a.answer
	a.in, a.inBytes, a.kicked, a.answer = nil, 0, false, unasked
	a.mu.Unlock()

	rest, err := a.step(in, kicked, answer)
	if err != nil || a.complete {
		a.r.settle(a, rest, err)
		return
	}
	a.setAlarm()
}

// step works on what came. rest is what came after the end of the handshake.
func (a *attempt) step(in [][]byte, kicked bool, answer verdict) (rest [][]byte, err error) {
	if !a.begun {
		a.begun = true
		if err := a.begin(); err != nil {
			return nil, err
		}
	}
	if answer != unasked {
		if err := a.judged(answer == accepted); err != nil {
			return nil, err
		}
	}
	for i, p := range in {
		if err := a.take(a.guard.In(p)); err != nil {
			return nil, err
		}
		if a.complete {
			return in[i+1:], nil
		}
	}
	if a.complete {
		return in, nil
	}
	return nil, a.retransmit(kicked)
}

// begin makes what the handshake starts with.
func (a *attempt) begin() error {
	r := a.r
	id, err := r.dec.Identity()
	if err != nil {
		return &localError{fmt.Errorf("no certificate could be made: %w", err)}
	}
	cert := id.TLS()
	config := handshake.Config{Chain: cert.Certificate}
	var ok bool
	if config.Key, ok = cert.PrivateKey.(crypto.Signer); !ok {
		return &localError{errors.New("the private key of the certificate cannot sign")}
	}
	for _, p := range r.config.Profiles {
		config.Profiles = append(config.Profiles, uint16(p))
	}
	if !r.config.IsClient {
		a.server = handshake.NewServer(config)
		return a.take(a.guard.In(a.hello.Datagram))
	}
	config.ServerName = r.dec.configuration().ServerName
	a.client = handshake.NewClient(config, a.random)
	return a.sendHello(nil)
}

func (a *attempt) sendHello(cookie []byte) error {
	hello, err := a.client.Hello(cookie)
	if err != nil {
		return &localError{err}
	}
	return a.sendFlight([][]byte{hello}, nil)
}

// take acts on what the guard passed.
func (a *attempt) take(in wire.Input) error {
	for _, d := range in.Drops {
		a.r.c.counters.drop(d)
	}
	if in.Hello != nil {
		flight, err := a.server.Hello(in.Hello)
		if err != nil {
			a.refuse(err)
			return local(err)
		}
		if err := a.sendFlight(flight, nil); err != nil {
			return err
		}
	}
	if in.Cookie != nil {
		if err := a.sendHello(in.Cookie); err != nil {
			return err
		}
	}
	if in.Flight != nil {
		if err := a.peerFlight(in.Flight); err != nil {
			return err
		}
	}
	if in.Repeated != nil && a.client != nil && !a.helloFlight() {
		a.again() // the server has not got our answer
	}
	for _, record := range in.Records {
		a.hold(record)
	}
	return a.openHeld()
}

// local marks an error that is not one of the peer.
func local(err error) error {
	var fault *handshake.Error
	if errors.As(err, &fault) {
		return err
	}
	return &localError{err}
}

// peerFlight takes the peer's flight, whose signature the guard has verified.
func (a *attempt) peerFlight(f *wire.Flight) (err error) {
	var chain [][]byte
	if a.client != nil {
		err = a.client.Flight(f.Messages, f.Leaf, f.Scheme)
		chain = a.client.Chain()
	} else {
		err = a.server.Flight(f.Messages, f.Leaf, f.Scheme)
		chain = a.server.Chain()
	}
	if err != nil {
		return err
	}
	cfg := a.r.dec.configuration()
	asks := a.r.setPeer(a, chain[0], &cfg)
	if err := judge(cfg, chain, a.fingerprint, a.client == nil); err != nil {
		return a.refused(err)
	}
	if !asks {
		return a.trusted()
	}
	pem := a.pem
	a.r.dec.calls.post(func() {
		answer := refused
		defer func() { // also after a panic
			a.mu.Lock()
			a.answer = answer
			a.schedule()
			a.mu.Unlock()
		}()
		if cfg.Accept(pem) {
			answer = accepted
		}
	})
	return nil
}

// judged acts on the application's verdict.
func (a *attempt) judged(ok bool) error {
	if !ok {
		return a.refused(&RefusedError{Fingerprint: a.fingerprint, Reason: "the application did not accept it"})
	}
	a.r.setAccepted(a.pem)
	if err := a.trusted(); err != nil {
		return err
	}
	return a.openHeld()
}

// refused tells the peer that its certificate is refused.
func (a *attempt) refused(err error) error {
	a.alert(42) // bad_certificate
	return err
}

// refuse tells a client why its ClientHello cannot be answered. Alerts of a
// handshake under way are unprotected and some peers die of forged ones: later
// than this they go out only with refused.
func (a *attempt) refuse(err error) {
	var fault *handshake.Error
	if errors.As(err, &fault) {
		a.alert(fault.Alert)
	}
}

func (a *attempt) alert(description byte) {
	a.send(a.number(nil, outRecord{typ: typeAlert, body: []byte{2, description}}))
}

// trusted goes on with a peer whose certificate is good.
func (a *attempt) trusted() error {
	if a.client == nil {
		return a.setSecrets(a.server.Secrets())
	}
	flight, finished, err := a.client.Reply()
	if err != nil {
		return local(err)
	}
	if err := a.setSecrets(a.client.Secrets()); err != nil {
		return err
	}
	return a.sendFlight(flight, finished)
}

func (a *attempt) setSecrets(s *handshake.Secrets) (err error) {
	a.secrets = s
	if a.protection, err = newProtection(s, a.client != nil); err != nil {
		return &localError{err}
	}
	return nil
}

// takeFinished takes the peer's Finished, the last message.
func (a *attempt) takeFinished(raw []byte) error {
	if a.client != nil {
		if err := a.client.Finished(raw); err != nil {
			return err
		}
		a.profile = srtp.Profile(a.client.Profile())
	} else {
		finished, err := a.server.Finished(raw)
		if err != nil {
			return local(err)
		}
		a.profile = srtp.Profile(a.server.Profile())
		a.finished = finished
		if err := a.sendFlight(nil, finished); err != nil {
			return err
		}
	}
	a.complete = true
	return nil
}

// session is the established session, which takes over from the attempt. rest
// is what came for it already. c.mu is held, so that nothing comes between.
func (a *attempt) session(after [][]byte) (s *session, rest [][]byte) {
	a.guard.Established()
	s = &session{
		r: a.r, clientRandom: a.random, p: a.protection, guard: a.guard, sequence: a.sequence, finished: a.finished,
	}
	rest = append(append(append(a.ready, a.held...), after...), a.end()...)
	return s, rest
}

// serverLife bounds a server's attempt.
func serverLife(timeout time.Duration) time.Duration {
	if timeout > 0 {
		return timeout
	}
	return serverAttempt
}

// retransmit sends the flight again when it is due, or when the peer asks for it.
func (a *attempt) retransmit(kicked bool) error {
	if a.due.IsZero() {
		return nil
	}
	now := time.Now()
	if kicked && now.Sub(a.sentAt) >= kickAfter {
		a.due = now
	}
	if now.Before(a.due) {
		return nil
	}
	cfg := &a.r.config
	switch {
	case cfg.IsClient && !a.helloFlight() && now.Sub(a.flightSince) > 4*cfg.RetransmitMax,
		!cfg.IsClient && now.Sub(a.began) > serverLife(cfg.HandshakeTimeout):
		return errStalled
	case cfg.IsClient && a.guard.Stale():
		return errRequest // no more often than this
	}
	a.interval = min(2*a.interval, cfg.RetransmitMax)
	a.due = now.Add(a.interval)
	return a.repeat()
}

// again sends the flight again for a peer that repeats its own.
func (a *attempt) again() {
	if !a.due.IsZero() && time.Since(a.sentAt) >= kickAfter {
		a.due = time.Now()
	}
}
