// SPDX-License-Identifier: LGPL-2.1-or-later

package outbox

import (
	"sync"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/safe"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

// Part is one of the two halves of a Conn, each with a connection of its own.
type Part int

// The halves.
const (
	Publishing Part = iota
	Receiving
)

// Parts makes one state of those of the halves: the worse.
type Parts struct {
	*Reporter
	mu   sync.Mutex
	part [2]*partState
}

type partState struct {
	state   adapters.State
	reason  string
	attempt int
	next    time.Duration
}

// Set sets the state of one half, and tells that of the whole.
func (p *Parts) Set(which Part, s adapters.State, reason string, attempt int, next time.Duration) {
	p.set(which, &partState{s, reason, attempt, next})
}

// Forget takes a half out that has no connection and wants none.
func (p *Parts) Forget(which Part) { p.set(which, nil) }

func (p *Parts) set(which Part, s *partState) {
	p.mu.Lock()
	defer p.mu.Unlock() // also while telling, so that the order is right; the Sink does not call us
	p.part[which] = s
	worst := &partState{state: adapters.Connected}
	for _, q := range p.part {
		if q != nil && (q.state == adapters.Disconnected && worst.state != adapters.Disconnected ||
			q.state == adapters.Connecting && worst.state == adapters.Connected) {
			worst = q
		}
	}
	p.Tell(worst.state, worst.reason, worst.attempt, worst.next)
}

// Join waits for wg, but not longer than patience.
func Join(wg *sync.WaitGroup, what string, patience time.Duration) {
	done := make(chan struct{})
	safe.Go(nil, "end of "+what, nil, func() {
		wg.Wait()
		close(done)
	})
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
}

// Sleep waits, and reports whether that was not cut short by stop.
func Sleep(d time.Duration, stop <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-stop:
		return false
	case <-timer.C:
		return true
	}
}

// Token puts the one token into c.
func Token(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
