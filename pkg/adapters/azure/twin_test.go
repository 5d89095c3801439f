// SPDX-License-Identifier: LGPL-2.1-or-later

package azure

import (
	"fmt"
	"testing"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
)

// TestTwinAlone: changes that went by while the connection was down come after it, once.
func TestTwinAlone(t *testing.T) {
	h := newHub(t, "tcp")
	c, col := h.open(t, "azure", connStr("cam7", ""), "", adaptertest.NewRecorder()), adaptertest.NewCollector()
	if err := c.Subscribe(adapters.SubscribeConfig{Topics: []string{"twin"}}, col); err != nil {
		t.Fatal(err)
	}
	asked := func(n int) {
		t.Helper()
		adaptertest.Wait(t, fmt.Sprint(n, " questions"), func() bool { return h.count(func() int { return h.asked }) >= n && col.Agreed("twin") >= n })
	}
	change := func(version int) {
		t.Helper()
		if err := h.server.Publish(fmt.Sprintf("$iothub/twin/PATCH/properties/desired/?$version=%d", version), fmt.Appendf(nil, `{"a":%d,"$version":%[1]d}`, version), false, 1); err != nil {
			t.Fatal(err)
		}
	}
	away := func(desired string) {
		t.Helper()
		h.stop()
		h.mu.Lock()
		h.desired = desired
		h.mu.Unlock()
		h.start()
	}
	asked(1)
	change(4)
	c.Ack(col.Wait(t, 1))
	away(`{"a":6,"$version":6}`) // 5 and 6 went by
	asked(2)
	c.Ack(col.Wait(t, 2))
	away(`{"a":6,"$version":6}`) // nothing went by
	asked(3)
	change(7)
	c.Ack(col.Wait(t, 3))
	away(`oops`)
	asked(4)
	away(`{"a":9,"$version":9}`)
	asked(5)
	want := []string{`4 {"a":4,"$version":4}`, `6true {"a":6,"$version":6}`, `7 {"a":7,"$version":7}`, `9true {"a":9,"$version":9}`}
	for i, m := range col.Wait(t, 4) {
		version, _ := m.Headers.Get("version")
		whole, _ := m.Headers.Get("whole")
		if got := string(version) + string(whole) + " " + string(m.Payload); m.Topic != "twin" || i >= len(want) || got != want[i] {
			t.Errorf("message %d of %s: %s", i, m.Topic, got)
		}
	}
	if col.Agreed("twin/full") != 0 {
		t.Error("told of a topic that nobody has asked for")
	}
}
