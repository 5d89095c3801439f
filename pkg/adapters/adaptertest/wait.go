// SPDX-License-Identifier: LGPL-2.1-or-later

package adaptertest

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/safe"
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

// Within fails unless f takes at most limit, less the time in which this process did not run: on a busy machine that
// may be long, and nobody's fault. A second goroutine that just sleeps shows it.
func Within(t testing.TB, what string, limit time.Duration, f func()) {
	t.Helper()
	const tick = time.Millisecond
	var lost time.Duration
	over := make(chan struct{})
	var wg sync.WaitGroup
	safe.Go(&wg, "witness", nil, func() {
		for last := time.Now(); ; {
			select {
			case <-over:
			case <-time.After(tick):
			}
			now := time.Now()
			if late := now.Sub(last) - tick; late > 10*tick {
				lost += late
			}
			last = now
			select {
			case <-over:
				return
			default:
			}
		}
	})
	began := time.Now()
	f()
	took := time.Since(began)
	close(over)
	wg.Wait()
	if took-lost > limit {
		t.Errorf("%s took %v, and for %v of that this process did not run; at most %v is allowed", what, took, lost, limit)
	}
}

// ConsumeDifferent is Consume for n different payloads: where messages may come twice, their mere number says nothing.
func ConsumeDifferent(t *testing.T, s interface {
	Consume(t *testing.T, topic string, n int) []Received
}, topic string, n int) []Received {
	t.Helper()
	for want := n; ; {
		got := s.Consume(t, topic, want)
		different := map[string]bool{}
		for i := range got {
			different[string(got[i].Payload)] = true
		}
		if len(different) >= n || len(got) < want { // in the second case it has waited in vain
			return got
		}
		want = len(got) + 1
	}
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
