// SPDX-License-Identifier: LGPL-2.1-or-later

package broker

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

// TestQueueAgainstModel drives the queue with random operations beside a plain map.
func TestQueueAgainstModel(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		var q queue
		sizes := map[uint64]int{}   // unanswered messages and their size
		handed := map[uint64]bool{} // handed to the adapter in this session
		seq, answered := uint64(0), uint64(0)
		check := func() {
			t.Helper()
			sum, unsent, oldest := 0, 0, uint64(0)
			for s, n := range sizes {
				sum += n
				if !handed[s] {
					unsent++
				}
				if oldest == 0 || s < oldest {
					oldest = s
				}
			}
			got, some := q.oldest()
			if q.messages != len(sizes) || q.bytes != int64(sum) || q.unsent != unsent || some != (len(sizes) > 0) || got != oldest {
				t.Fatalf("seed %d: %d messages, %d bytes, %d unsent, oldest %d; want %d, %d, %d, %d",
					seed, q.messages, q.bytes, q.unsent, got, len(sizes), sum, unsent, oldest)
			}
		}
		var next uint64 // what the adapter must see next
		for range 3000 {
			switch op := r.IntN(100); {
			case op < 45:
				payload := make([]byte, r.IntN(30_000))
				if r.IntN(50) == 0 {
					payload = make([]byte, 300_000)
				}
				seq++
				key := []byte(fmt.Sprint(seq))
				q.add("topic", &adapters.Message{Seq: seq, TimestampMS: 1, Key: key, Payload: payload}, 5+len(key)+len(payload))
				sizes[seq] = 5 + len(key) + len(payload)
			case op < 70:
				c, b := q.take()
				if c == nil {
					break
				}
				n := r.IntN(b.Len()-c.sent) + 1
				for i := c.sent; i < c.sent+n; i++ {
					m := b.At(i)
					if m.Seq <= next || string(m.Key) != fmt.Sprint(m.Seq) || handed[m.Seq] {
						t.Fatalf("seed %d: message %d with key %s after %d", seed, m.Seq, m.Key, next)
					}
					next = m.Seq
					handed[m.Seq] = true
				}
				q.giveBack(c, n)
			case op < 99:
				for s := range handed { // answers in any order, but some messages wait for long
					if s%97 == 0 && r.IntN(100) > 0 {
						continue
					}
					if _, ok := q.answer(s); ok != (sizes[s] > 0) {
						t.Fatalf("seed %d: answer of %d: %v", seed, s, ok)
					}
					delete(sizes, s)
					delete(handed, s)
					answered++
					if r.IntN(20) == 0 {
						break
					}
				}
			default:
				q.rewind()
				clear(handed)
				next = 0
			}
			check()
		}
		// A message that waits must not hold the memory of its neighbours.
		memory := 0
		for _, c := range q.chunks {
			if c.sealed && c.sent == c.len() {
				memory += cap(c.batch.Data)
			}
		}
		if limit := 4*int(q.bytes) + 4*chunkSize; memory > limit {
			t.Errorf("seed %d: %d bytes are held for %d", seed, memory, q.bytes)
		}
		if answered == 0 {
			t.Fatal("nothing was answered")
		}
	}
}
