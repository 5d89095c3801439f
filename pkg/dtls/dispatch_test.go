// SPDX-License-Identifier: LGPL-2.1-or-later

package dtls

import (
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
