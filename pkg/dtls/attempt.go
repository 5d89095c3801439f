// SPDX-License-Identifier: LGPL-2.1-or-later

package dtls

import (
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
	case cfg.IsClient && a.waitsForAnswer() && now.Sub(a.flightSince) > 4*cfg.RetransmitMax,
		!cfg.IsClient && now.Sub(a.began) > serverLife(cfg.HandshakeTimeout):
		return fmt.Errorf("%w (%s)", errStalled, a.hint())
	case cfg.IsClient && a.guard.Stale():
		return errRequest // no more often than this
	}
	a.interval = min(2*a.interval, cfg.RetransmitMax)
	a.due = now.Add(a.interval)
	return a.repeat()
}

// waitsForAnswer says of a client whether the server has begun, as far as can be
// seen, and owes an answer. A ClientHello with a cookie waits for one, too: the
// cookie may be forged, or that of a server which is there no more.
func (a *attempt) waitsForAnswer() bool {
	return !a.helloFlight() || handshake.Seq(a.flight[0].body) > 0 && a.client.Chain() == nil
}

// again sends the flight again for a peer that repeats its own.
func (a *attempt) again() {
	if !a.due.IsZero() && time.Since(a.sentAt) >= kickAfter {
		a.due = time.Now()
	}
}
