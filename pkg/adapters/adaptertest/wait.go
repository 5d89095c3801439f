// SPDX-License-Identifier: LGPL-2.1-or-later

package adaptertest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

// BatchOf makes count messages with a key, numbered from seq on; their payloads are their numbers.
func BatchOf(seq uint64, topic string, count int) *adapters.Batch {
	var b adapters.Batch
	for i := range count {
		b.Append(seq+uint64(i), 0, topic, []byte("k"), fmt.Appendf(nil, "%06d", seq+uint64(i)))
	}
	return &b
}

// WaitResults waits for n results altogether.
func (r *Recorder) WaitResults(t testing.TB, n int) {
	t.Helper()
	Wait(t, fmt.Sprint(n, " results"), func() bool { all, _ := r.Results(); return all == n })
}

// WaitReason waits until a disconnection was told whose reason has text.
func (r *Recorder) WaitReason(t testing.TB, text string) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("states: %+v", r.States())
		}
	}()
	Wait(t, "a reason with "+text, func() bool {
		for _, e := range r.States() {
			if e.State == adapters.Disconnected && strings.Contains(e.Reason, text) {
				return true
			}
		}
		return false
	})
}

// WaitState waits until s is the state told last.
func (r *Recorder) WaitState(t testing.TB, s adapters.State) {
	t.Helper()
	Wait(t, "the state "+s.String(), func() bool {
		states := r.States()
		return states[len(states)-1].State == s
	})
}
