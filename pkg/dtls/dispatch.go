// SPDX-License-Identifier: LGPL-2.1-or-later

package dtls

import (
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/safe"
)

// task is one callback: fn, or the delivery of a packet.
type task struct {
	fn     func()
	packet []byte
}

// dispatcher calls the callbacks of one side, one at a time and in order. It has
// a goroutine only while there is something to call, so that an idle
// connection costs none.
type dispatcher struct {
	where   string
	deliver func(p []byte) // for packets: Send of an encoder, Data of a decoder
	onPanic func(*safe.PanicError)

	maxPackets, maxBytes int

	mu             sync.Mutex
	cond           sync.Cond
	queue          []task
	head           int
	packets, bytes int    // queued packets
	goid           uint64 // of the running goroutine, else 0
	running        bool
	delivering     bool // inside deliver
	closed         bool
	interrupted    bool

	waitsFor *dispatcher // guarded by waits.mu
}

// waits knows the running dispatchers, so that a callback that stops a side
// neither waits for itself nor, in a ring, for one that waits for it.
var waits = struct {
	mu     sync.Mutex
	byGoid map[uint64]*dispatcher
}{byGoid: map[uint64]*dispatcher{}}

func (d *dispatcher) init() {
	d.cond.L = &d.mu
	d.closed = true
}

// open lets callbacks through (again).
func (d *dispatcher) open() {
	d.mu.Lock()
	d.closed = false
	d.mu.Unlock()
}

// post queues a callback. A closed dispatcher drops it.
func (d *dispatcher) post(fn func()) {
	d.mu.Lock()
	if !d.closed {
		d.push(task{fn: fn})
	}
	d.mu.Unlock()
}

// postSoon queues a callback that is called before the next one that is posted,
// or by flush.
func (d *dispatcher) postSoon(fn func()) {
	d.mu.Lock()
	if !d.closed {
		d.queue = append(d.queue, task{fn: fn})
	}
	d.mu.Unlock()
}

// flush calls what waits for another callback.
func (d *dispatcher) flush() {
	d.mu.Lock()
	if len(d.queue) > d.head && !d.closed {
		d.wakeUp()
	}
	d.mu.Unlock()
}

// postPacket queues a packet, which must not change any more. It returns
// false when the queue holds over times its bounds.
func (d *dispatcher) postPacket(p []byte, over int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return true
	}
	if d.full(over) {
		return false
	}
	d.packets++
	d.bytes += len(p)
	d.push(task{packet: p})
	return true
}

func (d *dispatcher) full(over int) bool {
	return d.packets >= over*d.maxPackets || d.bytes >= over*d.maxBytes
}

func (d *dispatcher) push(t task) {
	d.queue = append(d.queue, t)
	d.wakeUp()
}

// wakeUp lets a worker call what is queued. d.mu is held.
func (d *dispatcher) wakeUp() {
	if !d.running {
		d.running = true
		work(d)
	}
}

// run calls what is queued, on the goroutine id.
func (d *dispatcher) run(id uint64) {
	waits.mu.Lock()
	waits.byGoid[id] = d
	waits.mu.Unlock()
	defer func() {
		waits.mu.Lock()
		delete(waits.byGoid, id)
		waits.mu.Unlock()
	}()
	d.mu.Lock()
	d.goid = id
	for d.head < len(d.queue) {
		t := d.queue[d.head]
		d.queue[d.head] = task{}
		d.head++
		if d.head == len(d.queue) {
			d.queue, d.head = d.queue[:0], 0
			if cap(d.queue) > 64 {
				d.queue = nil
			}
		}
		if t.fn == nil {
			d.packets--
			d.bytes -= len(t.packet)
			d.delivering = true
			d.cond.Broadcast()
		}
		d.mu.Unlock()
		d.call(t)
		d.mu.Lock()
		d.delivering = false
	}
	d.queue, d.head = nil, 0
	d.goid = 0
	d.running = false
	d.cond.Broadcast()
	d.mu.Unlock()
}

// call is one callback; its panic is reported and does not end the dispatcher.
func (d *dispatcher) call(t task) {
	defer safe.Recover(d.where, d.onPanic)
	if t.fn != nil {
		t.fn()
		return
	}
	d.deliver(t.packet)
}

// dropPackets empties the queue of packets and keeps the other callbacks.
func (d *dispatcher) dropPackets() {
	d.mu.Lock()
	defer d.mu.Unlock()
	kept := d.queue[:0]
	for _, t := range d.queue[d.head:] {
		if t.fn != nil {
			kept = append(kept, t)
		}
	}
	clear(d.queue[len(kept):])
	d.queue, d.head = kept, 0
	d.packets, d.bytes = 0, 0
	d.cond.Broadcast()
}

// waitRoom waits until a packet fits.
func (d *dispatcher) waitRoom() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.full(1) && d.running && d.goid == goid() {
		return ErrQueueFull
	}
	for {
		switch {
		case d.closed, d.interrupted:
			return ErrInterrupted
		case !d.full(1):
			return nil
		}
		d.cond.Wait()
	}
}

func (d *dispatcher) interrupt(on bool) {
	d.mu.Lock()
	d.interrupted = on
	d.cond.Broadcast()
	d.mu.Unlock()
}

// mine says whether the caller is inside one of the dispatcher's callbacks. If
// the dispatcher runs at all, id is the caller's goroutine, else 0.
func (d *dispatcher) mine() (id uint64, mine bool) {
	d.mu.Lock()
	running := d.running
	d.mu.Unlock()
	if !running {
		return 0, false
	}
	id = goid()
	d.mu.Lock()
	defer d.mu.Unlock()
	return id, d.running && d.goid == id
}

// drain waits until everything queued has been called, at most limit. From
// inside a callback it calls what is queued itself, unless a delivery is
// what it is inside of: that one cannot be entered again.
func (d *dispatcher) drain(limit time.Duration) bool {
	d.flush()
	id, mine := d.mine()
	if mine {
		d.drainInline()
		return true
	}
	return d.wait(id, limit, func() bool { return !d.running })
}

// drainUnlessMine is drain, but from inside a callback it does nothing.
func (d *dispatcher) drainUnlessMine(limit time.Duration) bool {
	d.flush()
	id, mine := d.mine()
	return mine || d.wait(id, limit, func() bool { return !d.running })
}

func (d *dispatcher) drainInline() {
	for {
		d.mu.Lock()
		if d.delivering || d.closed || d.head >= len(d.queue) {
			d.mu.Unlock()
			return
		}
		t := d.queue[d.head]
		d.queue[d.head] = task{}
		d.head++
		if t.fn == nil {
			d.packets--
			d.bytes -= len(t.packet)
		}
		d.mu.Unlock()
		d.call(t)
	}
}

// shut drops what is queued and waits for the callback that runs, at most
// limit (0: as long as it takes). It does not wait for its own caller.
func (d *dispatcher) shut(limit time.Duration) bool {
	d.mu.Lock()
	d.closed = true
	clear(d.queue)
	d.queue, d.head = nil, 0
	d.packets, d.bytes = 0, 0
	d.cond.Broadcast()
	d.mu.Unlock()
	id, mine := d.mine()
	if mine {
		return true
	}
	return d.wait(id, limit, func() bool { return !d.running })
}

// wait waits for a condition under d.mu, at most limit (0: no limit), and not
// at all if the one who runs d waits for the caller, whose goroutine is id.
func (d *dispatcher) wait(id uint64, limit time.Duration, done func() bool) bool {
	d.mu.Lock()
	already := done()
	d.mu.Unlock()
	if already {
		return true
	}
	if id == 0 {
		id = goid()
	}
	waits.mu.Lock()
	me := waits.byGoid[id]
	if me != nil {
		for x := d; x != nil; x = x.waitsFor {
			if x == me {
				waits.mu.Unlock()
				return true
			}
		}
		me.waitsFor = d
	}
	waits.mu.Unlock()
	if me != nil {
		defer func() {
			waits.mu.Lock()
			me.waitsFor = nil
			waits.mu.Unlock()
		}()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if done() {
		return true
	}
	var late bool
	if limit > 0 {
		t := time.AfterFunc(limit, func() {
			d.mu.Lock()
			late = true
			d.cond.Broadcast()
			d.mu.Unlock()
		})
		defer t.Stop()
	}
	for !done() {
		if late {
			return false
		}
		d.cond.Wait()
	}
	return true
}

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
