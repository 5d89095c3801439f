// SPDX-License-Identifier: LGPL-2.1-or-later

package adaptertest

import (
	"bytes"
	"runtime"
	"runtime/pprof"
	"testing"
	"time"
)

// LeavesNothing runs f and checks that no goroutine is left of it: what was started is joined, or has an end in
// sight. Once before it runs warm, for what a library starts once in a process.
func LeavesNothing(t *testing.T, warm, f func()) {
	t.Helper()
	warm()
	before := settled()
	f()
	for end := time.Now().Add(patience); runtime.NumGoroutine() > before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			var stacks bytes.Buffer
			_ = pprof.Lookup("goroutine").WriteTo(&stacks, 1)
			t.Errorf("%d goroutines before, %d after:\n%s", before, runtime.NumGoroutine(), stacks.String())
			return
		}
	}
}

// settled is the number of goroutines once those that are ending have ended.
func settled() int {
	n := runtime.NumGoroutine()
	for same := 0; same < 20; same++ {
		time.Sleep(10 * time.Millisecond)
		if now := runtime.NumGoroutine(); now != n {
			n, same = now, 0
		}
	}
	return n
}
