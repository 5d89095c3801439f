// SPDX-License-Identifier: LGPL-2.1-or-later

package dtls

import (
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/safe"
)

// A handshake leaves about ten times as much garbage as a session needs memory. A
// process that makes many connections and then only sends media would keep it:
// nothing allocates any more, so nothing is collected. After a burst of handshakes
// the memory is therefore given back, once.

const (
	trimBurst = 64                     // handshakes since the last time
	trimQuiet = 100 * time.Millisecond // without one
	trimEvery = time.Second

	// trimHeap is the heap above which a collection is left to its owner: the
	// garbage of the handshakes matters little beside it, the collection much.
	trimHeap = 128 << 20
)

// trimmer knows the handshakes of the process.
var trimmer struct {
	mu       sync.Mutex
	underWay int
	ended    int // since the last time
	active   time.Time
	last     time.Time
	timer    *time.Timer
	armed    bool
}

// handshakeBegins counts a handshake that is under way until handshakeEnds.
func handshakeBegins() {
	t := &trimmer
	t.mu.Lock()
	t.underWay++
	t.mu.Unlock()
}

func handshakeEnds() {
	t := &trimmer
	t.mu.Lock()
	defer t.mu.Unlock()
	t.underWay--
	t.ended++
	t.active = time.Now()
	if t.ended < trimBurst || t.armed {
		return
	}
	t.armed = true
	if t.timer == nil {
		t.timer = time.AfterFunc(trimQuiet, trimLater)
	} else {
		t.timer.Reset(trimQuiet)
	}
}

// trimDue says whether the burst is over; else how long to wait. trimmer.mu is held.
func trimDue(now time.Time) (wait time.Duration, due bool) {
	t := &trimmer
	if t.underWay > 0 {
		return trimQuiet, false
	}
	wait = max(trimQuiet-now.Sub(t.active), trimEvery-now.Sub(t.last))
	return wait, wait <= 0
}

// trimLater runs on the timer's goroutine.
func trimLater() {
	defer safe.Recover("the trimming of memory after DTLS handshakes", nil)
	t := &trimmer
	t.mu.Lock()
	now := time.Now()
	wait, due := trimDue(now)
	if !due {
		t.timer.Reset(wait)
		t.mu.Unlock()
		return
	}
	t.armed = false
	t.ended = 0
	t.last = now
	t.mu.Unlock()
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	if metrics.Read(live); live[0].Value.Kind() == metrics.KindUint64 && live[0].Value.Uint64() > trimHeap {
		return
	}
	debug.FreeOSMemory()
	if OnTrim != nil {
		OnTrim()
	}
}

// OnTrim is called after the memory was given back, by a goroutine. It is set before the first connection.
var OnTrim func()
