// SPDX-License-Identifier: LGPL-2.1-or-later

package dtls

import (
	"testing"
	"time"
)

// A burst is over when no handshake is under way and none was for a while.
func TestTrimDue(t *testing.T) {
	trimmer.mu.Lock()
	defer trimmer.mu.Unlock()
	underWay, active, last := trimmer.underWay, trimmer.active, trimmer.last
	defer func() { trimmer.underWay, trimmer.active, trimmer.last = underWay, active, last }()
	now := time.Now()
	for _, c := range []struct {
		underWay     int
		active, last time.Duration // ago
		wait         time.Duration
		due          bool
	}{
		{0, trimQuiet, trimEvery, 0, true},
		{0, time.Hour, time.Hour, 0, true},
		{1, time.Hour, time.Hour, trimQuiet, false},
		{0, trimQuiet - time.Millisecond, time.Hour, time.Millisecond, false},
		{0, time.Hour, trimEvery - 3*time.Millisecond, 3 * time.Millisecond, false},
	} {
		trimmer.underWay, trimmer.active, trimmer.last = c.underWay, now.Add(-c.active), now.Add(-c.last)
		wait, due := trimDue(now)
		if due != c.due || !due && wait != c.wait {
			t.Errorf("%+v: %v, %v", c, wait, due)
		}
	}
}

// After a burst of handshakes the memory is given back, once.
func TestTrimAfterABurst(t *testing.T) {
	trimmed := func() time.Time {
		trimmer.mu.Lock()
		defer trimmer.mu.Unlock()
		return trimmer.last
	}
	before := trimmed()
	for range trimBurst {
		handshakeBegins()
		handshakeEnds()
	}
	poll(t, "the end of the burst", func() bool { return trimmed().After(before) })
	trimmer.mu.Lock()
	defer trimmer.mu.Unlock()
	if trimmer.armed || trimmer.ended >= trimBurst {
		t.Errorf("armed %v, %d handshakes ended", trimmer.armed, trimmer.ended)
	}
}
