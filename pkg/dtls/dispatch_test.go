// SPDX-License-Identifier: LGPL-2.1-or-later

package dtls

import (
	"sync/atomic"
	"testing"
	"time"
)

// Idle workers end.
func TestWorkersEnd(t *testing.T) {
	d := &dispatcher{}
	d.init()
	d.open()
	called := false
	d.post(func() { called = true })
	if !d.drain(10*time.Second) || !called {
		t.Fatal("not called")
	}
	poll(t, "the end of the idle workers", func() bool {
		workers.mu.Lock()
		defer workers.mu.Unlock()
		return len(workers.idle) == 0 && !workers.reaping
	})
}

// What a callback brings about runs also while the callback blocks.
func TestRescue(t *testing.T) {
	var a, b dispatcher
	for _, d := range []*dispatcher{&a, &b} {
		d.init()
		d.open()
	}
	for range 20 {
		block, called := make(chan struct{}), make(chan struct{})
		a.post(func() {
			b.post(func() { close(called) })
			<-block
		})
		select {
		case <-called:
		case <-time.After(10 * time.Second):
			t.Fatal("it was not called")
		}
		close(block)
		if !a.drain(10*time.Second) || !b.drain(10*time.Second) {
			t.Fatal("they have not ended")
		}
	}
}

// Every callback is called, whoever runs it, and no worker is counted twice.
func TestManyDispatchers(t *testing.T) {
	var all [100]dispatcher
	var called atomic.Int32
	for i := range all {
		all[i].init()
		all[i].open()
	}
	var hop func(from, left int)
	hop = func(from, left int) {
		called.Add(1)
		if left > 0 {
			next := (from + 37) % len(all)
			all[next].post(func() { hop(next, left-1) })
		}
	}
	for i := range all {
		all[i].post(func() { hop(i, 50) })
	}
	poll(t, "the callbacks", func() bool { return called.Load() == int32(len(all)*51) })
	for i := range all {
		all[i].drain(10 * time.Second)
	}
	poll(t, "the end of the workers", func() bool {
		workers.mu.Lock()
		defer workers.mu.Unlock()
		return workers.helpers == 0 && len(workers.pending) == 0
	})
}
