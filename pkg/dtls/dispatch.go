// SPDX-License-Identifier: LGPL-2.1-or-later

package dtls

import (
	"sync"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/safe"
)

// soonLimit bounds the callbacks that wait for another one.
const soonLimit = 8

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
// or by flush. Only a few wait so.
func (d *dispatcher) postSoon(fn func()) {
	d.mu.Lock()
	if !d.closed {
		d.queue = append(d.queue, task{fn: fn})
		if len(d.queue)-d.head >= soonLimit {
			d.wakeUp()
		}
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
