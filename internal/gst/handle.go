// SPDX-License-Identifier: LGPL-2.1-or-later

package gst

import (
	"sync"
	"sync/atomic"
)

// Handles name Go values to C. C keeps one in each instance and in each pad's
// chaindata; a callback turns it back by two array look-ups, without a lock, a
// map or an allocation. A handle carries its slot's generation: a stale one
// (a callback after finalize) finds nothing instead of a stranger.
const (
	pageBits = 10
	pageSize = 1 << pageBits
	slotBits = 32 - 12*(1-wordIs64) // 20 bits of slot where a pointer has 32
	wordIs64 = int(^uintptr(0) >> 63)
)

type slot struct {
	value atomic.Pointer[any]
	gen   atomic.Uint32
}

type page [pageSize]slot

type handleTable struct {
	pages atomic.Pointer[[]*page] // grows by copy; readers never wait
	mu    sync.Mutex              // guards free, next and growth
	free  []uint32
	next  uint32
}

var handles handleTable

func (t *handleTable) slot(i uint32) *slot {
	p := t.pages.Load()
	if p == nil || int(i>>pageBits) >= len(*p) {
		return nil
	}
	return &(*p)[i>>pageBits][i&(pageSize-1)]
}

// put stores v and gives its handle, which is never 0.
func (t *handleTable) put(v any) uintptr {
	t.mu.Lock()
	defer t.mu.Unlock()
	var i uint32
	if n := len(t.free); n > 0 {
		i = t.free[n-1]
		t.free = t.free[:n-1]
	} else {
		i = t.next
		t.next++
		if i&(pageSize-1) == 0 {
			var grown []*page
			if old := t.pages.Load(); old != nil {
				grown = append(grown, *old...)
			}
			grown = append(grown, new(page))
			t.pages.Store(&grown)
		}
	}
	s := t.slot(i)
	if i+1 >= 1<<slotBits-1 {
		panic("too many elements and pads")
	}
	gen := s.gen.Add(1) // before the value: see get
	s.value.Store(&v)
	return uintptr(gen)<<slotBits | (uintptr(i) + 1)
}

// get returns what put stored, or nil for a handle that is not (or no longer) in use.
func (t *handleTable) get(h uintptr) any {
	s := t.slot(slotOf(h))
	if s == nil {
		return nil
	}
	// The value first: whoever stores a new one has changed the generation before.
	if v := s.value.Load(); v != nil && s.is(h) {
		return *v
	}
	return nil
}

// slotOf is the slot of a handle; that of 0 does not exist.
func slotOf(h uintptr) uint32 { return uint32(h&(1<<slotBits-1)) - 1 }

// is reports whether h is of the slot's present generation.
func (s *slot) is(h uintptr) bool { return uintptr(s.gen.Load())<<slotBits>>slotBits == h>>slotBits }

// drop frees the handle; a second drop does nothing.
func (t *handleTable) drop(h uintptr) {
	i := slotOf(h)
	s := t.slot(i)
	if s == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if s.is(h) && s.value.Swap(nil) != nil {
		t.free = append(t.free, i)
	}
}

// live counts the handles in use, for the tests.
func (t *handleTable) live() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return int(t.next) - len(t.free)
}
