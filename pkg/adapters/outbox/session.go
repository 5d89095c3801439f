// SPDX-License-Identifier: LGPL-2.1-or-later

package outbox

import (
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

const flushInterval = 3 * time.Millisecond

// ErrFailed: the Conn is beyond repair.
var ErrFailed = errors.New("the connection has failed; open a new one")

// A Reporter tells the Sink the state of a connection: each state, reason and attempt once.
type Reporter struct {
	sink adapters.Sink
	host string

	mu     sync.Mutex
	told   bool
	state  adapters.State
	reason string
	tries  int // the attempt that was told
	failed chan struct{}
}

// NewReporter makes a Reporter and tells that the connection is being made.
func NewReporter(sink adapters.Sink, host string) *Reporter {
	r := &Reporter{sink: sink, host: host, failed: make(chan struct{})}
	r.Tell(adapters.Connecting, "", 0, 0)
	return r
}

// Tell passes the state on if it, its reason or the attempt is new. After Failed nothing is told any more.
func (r *Reporter) Tell(s adapters.State, reason string, attempt int, next time.Duration) {
	r.mu.Lock()
	if r.told && (r.state == adapters.Failed || (r.state == s && r.reason == reason && r.tries == attempt)) {
		r.mu.Unlock()
		return
	}
	r.told, r.state, r.reason, r.tries = true, s, reason, attempt
	if s == adapters.Failed {
		close(r.failed)
	}
	r.mu.Unlock()
	r.sink.State(adapters.StateEvent{State: s, Host: r.host, Reason: reason, Time: time.Now(), Attempt: attempt, Next: next})
}

// State is the one that was told last.
func (r *Reporter) State() adapters.State {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state
}

// Failed is closed when the state is Failed.
func (r *Reporter) Failed() <-chan struct{} { return r.failed }

// Err is why the connection has failed; nil when it has not.
func (r *Reporter) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state != adapters.Failed {
		return nil
	}
	return errors.New(r.reason)
}

// A Backoff makes the pauses between attempts: the first one, then each double the one before, up to the
// longest, with up to a quarter less of each by chance.
type Backoff struct {
	First, Longest time.Duration
	attempts       int
}

// Defaults of a Backoff.
const (
	FirstPause   = 200 * time.Millisecond
	LongestPause = 5 * time.Second
)

// NewBackoff takes the intervals from cfg, or the defaults.
func NewBackoff(cfg adapters.Config) *Backoff {
	b := &Backoff{First: cfg.RetryInterval, Longest: cfg.MaxRetryInterval}
	if b.First <= 0 {
		b.First = FirstPause
	}
	if b.Longest <= 0 {
		b.Longest = LongestPause
	}
	b.Longest = max(b.Longest, b.First)
	return b
}

// Next counts a failed attempt and gives the pause after it.
func (b *Backoff) Next() (attempt int, pause time.Duration) {
	d := b.Longest
	if b.attempts < 30 && b.First<<b.attempts > 0 {
		d = min(d, b.First<<b.attempts)
	}
	b.attempts++
	return b.attempts, d - rand.N(d/4+1)
}

// Reset begins again with the first pause.
func (b *Backoff) Reset() { b.attempts = 0 }

// A Gate is a Sink that can be shut: so an adapter keeps its word that nothing is told after Close, whatever
// one of its goroutines hangs in.
type Gate struct {
	sink adapters.Sink
	mu   sync.RWMutex
	shut bool
}

// NewGate makes an open Gate before sink.
func NewGate(sink adapters.Sink) *Gate { return &Gate{sink: sink} }

// Shut waits for the calls that are under way and lets no other one through.
func (g *Gate) Shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = true
}

// Done passes results on.
func (g *Gate) Done(results []adapters.Result) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if !g.shut {
		g.sink.Done(results)
	}
}

// State passes e on.
func (g *Gate) State(e adapters.StateEvent) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if !g.shut {
		g.sink.State(e)
	}
}

// Log passes e on.
func (g *Gate) Log(e adapters.LogEntry) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if !g.shut {
		g.sink.Log(e)
	}
}
