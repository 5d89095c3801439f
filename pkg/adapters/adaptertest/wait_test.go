// SPDX-License-Identifier: LGPL-2.1-or-later

package adaptertest

import (
	"testing"
	"time"
)

// A probe is a test that may fail.
type probe struct {
	testing.TB
	failed bool
}

func (p *probe) Helper()               {}
func (p *probe) Errorf(string, ...any) { p.failed = true }

// TestWithin: what takes too long is told, whatever the machine does.
func TestWithin(t *testing.T) {
	p := &probe{TB: t}
	Within(p, "nothing", time.Second, func() {})
	if p.failed {
		t.Error("nothing took a second")
	}
	Within(p, "a nap", 50*time.Millisecond, func() { time.Sleep(300 * time.Millisecond) })
	if !p.failed {
		t.Error("a nap of 300 ms is within 50 ms")
	}
}
