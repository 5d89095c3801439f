// SPDX-License-Identifier: LGPL-2.1-or-later

package broker

import (
	"sync"
	"testing"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
)

// TestResults: each message published with PublishSeq has exactly one result, under its number.
func TestResults(t *testing.T) {
	f := &adaptertest.Fake{RejectTopic: "nowhere", Capacity: 20}
	var mu sync.Mutex
	results := map[uint64][]error{}
	c := dial(t, f, Options{OnResults: func(r []adapters.Result) {
		mu.Lock()
		defer mu.Unlock()
		for _, x := range r {
			results[x.Seq] = append(results[x.Seq], x.Err)
		}
	}})
	bad := map[uint64]bool{}
	for i := range 1000 {
		m := Message{Payload: []byte("x")}
		if i%10 == 0 {
			m.Topic = "nowhere"
		}
		seq, err := c.PublishSeq(m)
		if err != nil {
			t.Fatal(err)
		}
		bad[seq] = i%10 == 0
		if i == 500 {
			f.Break() // a new session sends again what has no answer
		}
	}
	if r := c.Drain(soon(t)); r.Remaining != 0 {
		t.Fatalf("%+v", r)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(bad) != 1000 || len(results) != 1000 {
		t.Fatalf("%d numbers, %d results", len(bad), len(results))
	}
	for seq, want := range bad {
		if r := results[seq]; len(r) != 1 || (r[0] != nil) != want {
			t.Errorf("message %d: %v", seq, r)
		}
	}
}
