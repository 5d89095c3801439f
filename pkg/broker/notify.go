// SPDX-License-Identifier: LGPL-2.1-or-later

package broker

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/safe"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

const (
	maxLogLines        = 1000 // waiting for the callback; more are counted and left out
	dropInterval       = time.Second
	callbackPatience   = 200 * time.Millisecond // how long Close waits for a callback that hangs
	firstPatience      = 400 * time.Millisecond // of a first attempt to connect, for which Close waits
	firstPatienceSpool = 100 * time.Millisecond // the same where a spool keeps what is left
	silence            = 3 * time.Second        // after which a first attempt without an answer is told
)

// A DropReport tells of messages that will not be delivered: refused by Publish, or by the server.
type DropReport struct {
	Dropped uint64 // refused by Publish since the last report
	Failed  uint64 // refused for good by the adapter or the server since the last report
	Reason  string // of the last of them
	Time    time.Time
}

// A notifier calls the user's functions from a goroutine of its own, so that a slow one delays neither a
// publisher nor the adapter.
type notifier struct {
	c    *Connection
	wg   sync.WaitGroup
	wake chan struct{}
	now  chan chan struct{} // FlushReports: report what is pending, then close the channel given
	stop chan struct{}
	once sync.Once

	mu      sync.Mutex // after link.mu, never the other way round
	events  []any      // StateChange, adapters.LogEntry and func() in order
	logs    int        // log lines among them
	left    int        // log lines left out
	drops   DropReport
	dropErr error
}

// prepare makes a notifier that remembers until start.
func (n *notifier) prepare(c *Connection) {
	n.c = c
	n.wake = make(chan struct{}, 1)
	n.now = make(chan chan struct{})
	n.stop = make(chan struct{})
}

// start starts the goroutine that calls the user's functions.
func (n *notifier) start() {
	safe.Go(&n.wg, "callbacks of the broker connection", nil, n.run)
}

func (n *notifier) state(s StateChange) {
	if n.c.opts.OnState == nil {
		return
	}
	n.mu.Lock()
	n.events = append(n.events, s)
	n.mu.Unlock()
	token(n.wake)
}

// later calls f among the other events.
func (n *notifier) later(f func()) {
	n.mu.Lock()
	n.events = append(n.events, f)
	n.mu.Unlock()
	token(n.wake)
}

func (n *notifier) log(e adapters.LogEntry) {
	if n.c.opts.Log == nil {
		return
	}
	n.mu.Lock()
	if n.logs < maxLogLines {
		n.events = append(n.events, e)
		n.logs++
	} else {
		n.left++
	}
	n.mu.Unlock()
	token(n.wake)
}

func (n *notifier) dropped(reason error, messages uint64) { n.count(reason, messages, 0) }
func (n *notifier) failed(reason error)                   { n.count(reason, 0, 1) }

func (n *notifier) count(reason error, dropped, failed uint64) {
	if n.c.opts.OnDropped == nil {
		return
	}
	n.mu.Lock()
	first := n.dropErr == nil
	n.drops.Dropped += dropped
	n.drops.Failed += failed
	n.dropErr = reason
	n.mu.Unlock()
	if first {
		token(n.wake)
	}
}

func (n *notifier) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	first := time.NewTimer(silence)
	defer first.Stop()
	var reported time.Time
	for {
		last := false
		var flushed chan struct{}
		select {
		case <-first.C:
			n.c.l.tellSilence()
			continue
		case flushed = <-n.now:
		case <-n.wake:
		case <-timer.C:
		case <-n.stop:
			last = true
		}
		n.mu.Lock()
		events, left := n.events, n.left
		n.events, n.logs, n.left = nil, 0, 0
		var drops DropReport
		due := n.dropErr != nil
		if wait := dropInterval - time.Since(reported); due && wait > 0 && !last && flushed == nil {
			timer.Reset(wait)
			due = false
		}
		if due {
			drops = n.drops
			drops.Reason = n.dropErr.Error()
			n.drops, n.dropErr = DropReport{}, nil
		}
		n.mu.Unlock()
		for _, e := range events {
			n.call(e)
		}
		if left > 0 {
			n.call(adapters.LogEntry{Level: adapters.LogWarning, Facility: "broker",
				Text: fmt.Sprintf("%d log lines were left out because they came faster than they were taken", left)})
		}
		if due {
			reported = time.Now()
			drops.Time = reported
			n.call(drops)
		}
		if flushed != nil {
			close(flushed)
		}
		if last {
			if n.c.opts.OnClosed != nil {
				n.call(closed{})
			}
			return
		}
	}
}

// call survives a panic of the user's function.
func (n *notifier) call(event any) {
	defer safe.Recover("callback of the broker connection", nil)
	switch e := event.(type) {
	case StateChange:
		n.c.opts.OnState(e)
	case adapters.LogEntry:
		n.c.opts.Log(e)
	case DropReport:
		n.c.opts.OnDropped(e)
	case func():
		e()
	case closed:
		n.c.opts.OnClosed()
	}
}

// closed is the last event of a connection.
type closed struct{}

// FlushReports makes the callbacks that are due, the report of lost messages included, happen now instead
// of within a second. It waits for them a fifth of a second at most.
func (c *Connection) FlushReports() {
	timer := time.NewTimer(callbackPatience)
	defer timer.Stop()
	done := make(chan struct{})
	select {
	case c.notify.now <- done:
	case <-c.notify.stop:
		return
	case <-timer.C:
		return
	}
	select {
	case <-done:
	case <-timer.C:
	}
}

// tellSilence gives a reason to a first attempt that gets no answer at all.
func (l *link) tellSilence() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state == StateConnecting && l.reason == "" {
		l.setStateLocked(StateConnecting, "no answer yet; check host, port and firewall")
	}
}

// finish lets the callbacks that are due happen and ends the goroutine; it leaves a callback that hangs
// alone when ctx ends.
func (n *notifier) finish(ctx context.Context) {
	n.once.Do(func() { close(n.stop) })
	done := make(chan struct{})
	safe.Go(nil, "end of the callbacks", nil, func() {
		n.wg.Wait()
		close(done)
	})
	select {
	case <-done:
	case <-ctx.Done():
	}
}
