// SPDX-License-Identifier: LGPL-2.1-or-later

package dtls

import (
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/safe"
)

// workers are the goroutines of all dispatchers. One that has nothing to do
// waits a moment for the next: starting anew for every callback costs more.
// One timer ends those that waited long enough: a timer for each wait would
// wake a thread of Go's poller each time.
//
// Waking another worker wakes another thread, which costs more than most
// callbacks. So what one worker brings about, as an answer of the other end in
// this process or a callback of the decoder, is left to a worker that has just
// begun and will be done soon: pending is what they find when they are. If they
// are not done within patience, it is woken for after all, and they are not
// waited for again (round).
var workers struct {
	mu      sync.Mutex
	idle    []*worker // the one that has waited longest first
	round   uint64    // of the reaper
	reaper  *time.Timer
	reaping bool

	pending []*dispatcher
	helpers int    // workers that run and are waited for
	turn    uint64 // one more each time that they are not waited for again
	rescue  *time.Timer
	armed   bool
}

const (
	linger   = 20 * time.Millisecond
	patience = time.Millisecond

	// pendingLimit bounds what waits for one worker that runs.
	pendingLimit = 8
)

type worker struct {
	goid  uint64
	next  chan *dispatcher // nil: end
	since uint64           // the round in which it began to wait
	turn  uint64           // in which it began to run
}

// work runs a dispatcher on a worker.
func work(d *dispatcher) {
	workers.mu.Lock()
	if workers.helpers > 0 && len(workers.pending) < pendingLimit*workers.helpers {
		workers.pending = append(workers.pending, d)
		if !workers.armed {
			workers.armed = true
			if workers.rescue == nil {
				workers.rescue = time.AfterFunc(patience, rescue)
			} else {
				workers.rescue.Reset(patience)
			}
		}
		workers.mu.Unlock()
		return
	}
	w, turn := takeWorker(), workers.turn
	workers.mu.Unlock()
	wake(w, d, turn)
}

// takeWorker finds an idle worker, nil if there is none. workers.mu is held.
func takeWorker() *worker {
	workers.helpers++
	n := len(workers.idle)
	if n == 0 {
		return nil
	}
	w := workers.idle[n-1]
	workers.idle[n-1] = nil
	workers.idle = workers.idle[:n-1]
	w.turn = workers.turn
	return w
}

// wake gives a worker a dispatcher to run; nil: a new one, of this turn.
func wake(w *worker, d *dispatcher, turn uint64) {
	if w != nil {
		w.next <- d
		return
	}
	safe.Go(nil, "the callbacks of DTLS connections", nil, func() {
		w := &worker{goid: goid(), next: make(chan *dispatcher, 1), turn: turn}
		for d := d; d != nil; d = w.wait() {
			d.run(w.goid)
		}
	})
}

// rescue wakes workers for what still waits for those that run.
func rescue() {
	workers.mu.Lock()
	defer workers.mu.Unlock()
	workers.armed = false
	workers.turn++
	workers.helpers = 0
	for _, d := range workers.pending {
		wake(takeWorker(), d, workers.turn)
	}
	clear(workers.pending)
	workers.pending = workers.pending[:0]
}

// wait waits for the next dispatcher; nil: there was none.
func (w *worker) wait() *dispatcher {
	workers.mu.Lock()
	if n := len(workers.pending); n > 0 {
		d := workers.pending[0]
		copy(workers.pending, workers.pending[1:])
		workers.pending[n-1] = nil
		workers.pending = workers.pending[:n-1]
		if w.turn != workers.turn {
			w.turn = workers.turn
			workers.helpers++
		}
		workers.mu.Unlock()
		return d
	}
	if w.turn == workers.turn {
		workers.helpers--
	}
	w.since = workers.round
	workers.idle = append(workers.idle, w)
	if !workers.reaping {
		workers.reaping = true
		if workers.reaper == nil {
			workers.reaper = time.AfterFunc(linger, reap)
		} else {
			workers.reaper.Reset(linger)
		}
	}
	workers.mu.Unlock()
	return <-w.next
}

// reap ends the workers that have waited for a whole round.
func reap() {
	workers.mu.Lock()
	defer workers.mu.Unlock()
	n := 0
	for n < len(workers.idle) && workers.idle[n].since < workers.round {
		workers.idle[n].next <- nil // has room: nobody else knows the worker
		n++
	}
	workers.idle = slices.Delete(workers.idle, 0, n)
	workers.round++
	if workers.reaping = len(workers.idle) > 0; workers.reaping {
		workers.reaper.Reset(linger)
	}
}

// goid is the number of the calling goroutine. Go gives it nowhere but in a
// stack trace; it is asked for when a worker starts and when a dispatcher is
// waited for, never per packet.
func goid() uint64 {
	var buf [40]byte
	n := runtime.Stack(buf[:], false)
	var id uint64
	for _, c := range buf[len("goroutine "):n] {
		if c < '0' || c > '9' {
			break
		}
		id = id*10 + uint64(c-'0')
	}
	return id
}
