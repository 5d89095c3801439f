// SPDX-License-Identifier: LGPL-2.1-or-later

package broker

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
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

// TestQueueWithSpooler is the same with what the spooler does as well: it appends whole batches, and reads chunks while
// everything else goes on. Nothing that is not handed over may be left behind, and no answer may find nothing.
func TestQueueWithSpooler(t *testing.T) {
	for seed := range uint64(24) {
		r := rand.New(rand.NewPCG(seed, 2))
		var q queue
		open := map[uint64]int{}    // unanswered messages and their size
		handed := map[uint64]bool{} // handed to the adapter in this session
		var seq, next uint64
		message := func() (m adapters.Message, size int) {
			seq++
			m = adapters.Message{Seq: seq, TimestampMS: 1, Key: fmt.Append(nil, seq), Payload: make([]byte, r.IntN(20_000))}
			open[seq] = len(m.Key) + len(m.Payload)
			return m, open[seq]
		}
		intact := func(b *adapters.Batch, from, to int) {
			t.Helper()
			for i := from; i < to; i++ {
				if m := b.At(i); string(m.Key) != fmt.Sprint(m.Seq) {
					t.Fatalf("seed %d: message %d has the key %s", seed, m.Seq, m.Key)
				}
			}
		}
		takeSome := func(all bool) bool {
			c, b := q.take()
			if c == nil {
				return false
			}
			n := b.Len() - c.sent
			if !all {
				n = r.IntN(n + 1)
			}
			intact(&b, c.sent, c.sent+n)
			for _, rec := range b.Records[c.sent : c.sent+n] {
				if rec.Seq <= next || handed[rec.Seq] || open[rec.Seq] == 0 {
					t.Fatalf("seed %d: message %d was handed over after %d", seed, rec.Seq, next)
				}
				next, handed[rec.Seq] = rec.Seq, true
			}
			q.giveBack(c, n)
			return true
		}
		answerOne := func(s uint64) {
			if _, ok := q.answer(s); !ok || q.holds(s) {
				t.Fatalf("seed %d: the answer of %d was not taken", seed, s)
			}
			delete(open, s)
			delete(handed, s)
		}
		var pinned *chunk
		var reading adapters.Batch
		var upTo uint64
		release := func() {
			if pinned != nil {
				intact(&reading, 0, reading.Len())
				q.unpin(pinned)
				pinned = nil
			}
		}
		adopted := seed%2 == 0 // both ways in, or only that of a connection without a spool
		for range 1000 {
			switch op := r.IntN(100); {
			case op < 20:
				m, size := message()
				q.add("", &m, size)
			case op < 30 && adopted:
				var b adapters.Batch
				for range r.IntN(20) + 1 {
					m, _ := message()
					b.Add(m)
				}
				q.adopt(b)
			case op < 50:
				takeSome(r.IntN(2) == 0)
			case op < 80: // answers: of the oldest, the newest, or any
				list := slices.Sorted(maps.Keys(handed))
				switch r.IntN(3) {
				case 0:
					slices.Reverse(list)
				case 1:
					r.Shuffle(len(list), func(i, k int) { list[i], list[k] = list[k], list[i] })
				}
				for _, s := range list[:r.IntN(len(list)+1)] {
					answerOne(s)
				}
			case op < 85:
				oldest := uint64(0)
				for s := range open {
					if !handed[s] && (oldest == 0 || s < oldest) {
						oldest = s
					}
				}
				if q.dropOldest() != (oldest != 0) {
					t.Fatalf("seed %d: of %d messages not handed over none is the oldest", seed, q.unsent)
				}
				delete(open, oldest)
			case op < 92:
				release()
				if pinned = q.pin(upTo); pinned != nil {
					reading = pinned.batch
					upTo = reading.Records[reading.Len()-1].Seq
				} else {
					upTo = 0
				}
			case op < 96:
				release()
			default:
				q.rewind()
				clear(handed)
				next = 0
			}
			bytes := 0
			for s, size := range open {
				bytes += size
				if !q.holds(s) {
					t.Fatalf("seed %d: message %d is lost", seed, s)
				}
			}
			if q.messages != len(open) || q.unsent != len(open)-len(handed) || q.bytes != int64(bytes) {
				t.Fatalf("seed %d: %d messages, %d not handed over, %d bytes; want %d, %d, %d",
					seed, q.messages, q.unsent, q.bytes, len(open), len(open)-len(handed), bytes)
			}
			if r.IntN(50) == 0 { // all is found, and the queue is empty again
				for takeSome(true) {
				}
				if len(handed) != len(open) || q.unsent != 0 {
					t.Fatalf("seed %d: %d of %d messages were handed over, %d should not have been", seed, len(handed), len(open), q.unsent)
				}
				if r.IntN(2) == 0 {
					for s := range open {
						answerOne(s)
					}
				}
			}
		}
	}
}
