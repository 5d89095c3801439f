// SPDX-License-Identifier: LGPL-2.1-or-later

package outbox

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/safe"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
)

func fill(b *Box, seq *uint64, n, size int) int {
	var batch adapters.Batch
	for i := range n {
		batch.Append(*seq+uint64(i)+1, 0, "t", nil, append(make([]byte, size), fmt.Sprint(*seq+uint64(i)+1)...))
	}
	taken := b.Put(&batch, 0, batch.Len())
	for i := range batch.Data {
		batch.Data[i] = 'x'
	}
	*seq += uint64(taken)
	return taken
}

// TestOrder: whatever is answered and lost in between, every message gets one Result, and is sent in order.
func TestOrder(t *testing.T) {
	r := adaptertest.NewRecorder()
	b := New(r, 300)
	var a Answers
	var seq uint64
	first := uint64(1)
	session := b.Rewind(first)
	next := first
	rng := rand.New(rand.NewPCG(1, 2))
	last := uint64(0)
	for range 20_000 {
		switch rng.IntN(6) {
		case 0, 1:
			fill(b, &seq, rng.IntN(40), rng.IntN(3))
		case 2, 3:
			for _, m := range b.Take(session, rng.IntN(50), nil) {
				if m.Tag != next {
					t.Fatalf("number %d, want %d", m.Tag, next)
				}
				if m.Seq <= last || string(m.Payload[len(m.Payload)-len(fmt.Sprint(m.Seq)):]) != fmt.Sprint(m.Seq) {
					t.Fatalf("message %d after %d: %q", m.Seq, last, m.Payload)
				}
				last = m.Seq
				next++
			}
		case 4:
			n := next - uint64(rng.IntN(60)) // may be answered already, or never sent
			if rng.IntN(2) == 0 {
				b.Answer(session, &a, n, nil)
				b.Answer(session-1, &a, n, errors.New("of a session that is over"))
				b.Answer(session, &a, next+7, errors.New("not sent"))
			} else {
				b.AnswerTo(session, &a, n)
			}
			b.Tell(&a)
		case 5:
			if rng.IntN(20) == 0 {
				first = uint64(rng.IntN(1000))
				session, next, last = b.Rewind(first), first, 0
			}
		}
	}
	session = b.Rewind(5)
	for _, m := range b.Take(session, 1<<20, nil) {
		b.Answer(session, &a, m.Tag, nil)
	}
	b.Tell(&a)
	all, failed := r.Results()
	if uint64(all) != seq || failed != 0 || r.Twice() != 0 || b.Waiting() != 0 || b.bytes != 0 {
		t.Errorf("%d results of %d, %d failed, %d twice, %d waiting, %d bytes", all, seq, failed, r.Twice(), b.Waiting(), b.bytes)
	}
}

// TestBounds: a full Box takes no more, an empty one takes what is larger than the bound.
func TestBounds(t *testing.T) {
	b := New(adaptertest.NewRecorder(), 10)
	b.maxBytes = 1000
	session := b.Rewind(1)
	var seq uint64
	var a Answers
	if n := fill(b, &seq, 20, 0); n != 10 {
		t.Errorf("took %d, want 10", n)
	}
	if n := fill(b, &seq, 1, 0); n != 0 {
		t.Error("took one more")
	}
	sent := b.Take(session, 100, nil)
	b.AnswerTo(session, &a, sent[9].Tag)
	b.Tell(&a)
	if n := fill(b, &seq, 3, 5000); n != 1 {
		t.Errorf("took %d large ones, want 1", n)
	}
	if n := fill(b, &seq, 1, 1); n != 0 {
		t.Error("took one beside the large one")
	}
}

// TestChecked: what is refused has its Result at once and takes no room; nothing is looked at without room.
func TestChecked(t *testing.T) {
	r := adaptertest.NewRecorder()
	b := New(r, 10)
	session := b.Rewind(1)
	bad, looked := errors.New("bad"), 0
	check := func(m *adapters.Message) error {
		looked++
		if m.Seq%3 == 0 {
			return bad
		}
		return nil
	}
	var batch adapters.Batch
	for i := range uint64(30) {
		batch.Append(i+1, 0, "t", nil, []byte("x"))
	}
	n := b.PutChecked(&batch, 0, check)
	if all, failed := r.Results(); n != 14 || all != failed || failed != 4 || looked > 16 {
		t.Errorf("took %d, %d refused, %d looked at", n, failed, looked)
	}
	looked = 0
	if n := b.PutChecked(&batch, n, check); n != 0 || looked != 0 {
		t.Errorf("took %d, %d looked at", n, looked)
	}
	for _, m := range b.Take(session, 100, nil) {
		if m.Seq%3 == 0 {
			t.Errorf("message %d was refused", m.Seq)
		}
	}
}

// TestFind looks among what was sent only.
func TestFind(t *testing.T) {
	b := New(adaptertest.NewRecorder(), 0)
	session := b.Rewind(100)
	var seq uint64
	fill(b, &seq, 10, 0)
	b.Take(session, 5, nil)
	var a Answers
	b.Answer(session, &a, 102, nil)
	for _, c := range []struct {
		from, want uint64
		seq        uint64
	}{{0, 101, 2}, {101, 101, 2}, {0, 0, 3}, {0, 0, 9}, {103, 0, 2}, {104, 104, 5}} {
		got, ok := b.Find(session, c.from, func(m *Message) bool { return m.Seq == c.seq })
		if got != c.want || ok != (c.want != 0) {
			t.Errorf("message %d from %d: %d", c.seq, c.from, got)
		}
	}
}

// TestAlone: a large message is sent when there is no other under way.
func TestAlone(t *testing.T) {
	b := New(adaptertest.NewRecorder(), 0)
	session := b.Rewind(1)
	var seq uint64
	var a Answers
	fill(b, &seq, 3, 0)
	fill(b, &seq, 1, 1000)
	fill(b, &seq, 3, 0)
	take := func(want int, waits bool) (last uint64) {
		t.Helper()
		m, w := b.TakeAlone(session, 10, 500, nil)
		if len(m) != want || w != waits {
			t.Fatalf("%d messages, waits %v; want %d, %v", len(m), w, want, waits)
		}
		if len(m) > 0 {
			last = m[len(m)-1].Tag
		}
		return last
	}
	last := take(3, true)
	take(0, true)
	b.AnswerTo(session, &a, last-1)
	take(0, true)
	b.AnswerTo(session, &a, last)
	last = take(1, false)
	b.Hold(session, last)
	take(3, false)
	b.AnswerTo(session, &a, last+3)
	if n := b.Sent(); n != 4 {
		t.Errorf("%d under way, want the one that is held and those behind it", n)
	}
	b.Tell(&a)
	if n := b.Waiting(); n != 1 {
		t.Errorf("%d wait, want 1", n)
	}
	session = b.Rewind(1)
	b.AnswerTo(session, &a, take(1, false))
	if b.Sent() != 0 {
		t.Error("still held")
	}
}

func TestFlush(t *testing.T) {
	b := New(adaptertest.NewRecorder(), 0)
	session := b.Rewind(1)
	var seq uint64
	if err := b.Flush(t.Context(), nil); err != nil {
		t.Error(err)
	}
	fill(b, &seq, 1, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := b.Flush(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	failed := make(chan struct{})
	close(failed)
	if err := b.Flush(t.Context(), failed); !errors.Is(err, ErrFailed) {
		t.Error(err)
	}
	var wg sync.WaitGroup
	safe.Go(&wg, "answer", nil, func() {
		var a Answers
		m := b.Take(session, 1, nil)
		b.Answer(session, &a, m[0].Tag, nil)
		b.Tell(&a)
	})
	if err := b.Flush(t.Context(), nil); err != nil {
		t.Error(err)
	}
	wg.Wait()
}

func TestBackoff(t *testing.T) {
	b := NewBackoff(adapters.Config{RetryInterval: 100 * time.Millisecond, MaxRetryInterval: time.Second})
	for i, want := range []time.Duration{100, 200, 400, 800, 1000, 1000} {
		attempt, d := b.Next()
		if want *= time.Millisecond; attempt != i+1 || d > want || d < want*3/4 {
			t.Errorf("attempt %d: %v, want about %v", attempt, d, want)
		}
	}
	for range 100 {
		if _, d := b.Next(); d > time.Second || d < 750*time.Millisecond {
			t.Error(d)
		}
	}
	b.Reset()
	if n, _ := b.Next(); n != 1 {
		t.Errorf("attempt %d after a reset", n)
	}
	if b := NewBackoff(adapters.Config{RetryInterval: time.Minute}); b.Longest != time.Minute {
		t.Errorf("longest %v", b.Longest)
	}
}

func TestReporter(t *testing.T) {
	r := adaptertest.NewRecorder()
	rep := NewReporter(r, "h:1")
	for range 2 {
		rep.Tell(adapters.Disconnected, "a", 1, time.Second)
		rep.Tell(adapters.Disconnected, "b", 2, time.Second)
	}
	for range 2 { // another attempt that fails for the same reason is news
		rep.Tell(adapters.Disconnected, "b", 3, time.Second)
	}
	rep.Tell(adapters.Connected, "", 0, 0)
	rep.Tell(adapters.Connected, "", 0, 0)
	if rep.Err() != nil {
		t.Error(rep.Err())
	}
	rep.Tell(adapters.Failed, "broken", 0, 0)
	rep.Tell(adapters.Connected, "", 0, 0)
	if n := len(r.States()); n != 8 {
		t.Errorf("%d states: %v", n, r.States())
	}
	if err := rep.Err(); err == nil || err.Error() != "broken" {
		t.Error(err)
	}
	<-rep.Failed()
}
