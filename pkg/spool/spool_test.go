// SPDX-License-Identifier: LGPL-2.1-or-later

package spool

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

func open(t testing.TB, dir string, o Options) *Spool {
	t.Helper()
	if o.Sync == SyncInterval && o.SyncEvery == 0 {
		o.Sync = SyncNone // the disk's time is none of these tests' business
	}
	s, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// message is what the id stands for in these tests.
func message(id uint64) adapters.Message {
	m := adapters.Message{Seq: id, TimestampMS: int64(1000 + id), Session: 77, Number: id * 2,
		Topic: fmt.Appendf(nil, "topic%d", id%3), Payload: bytes.Repeat([]byte{byte(id)}, int(id*37%1500))}
	if id%2 == 0 {
		m.Key = fmt.Appendf(nil, "key%d", id)
	}
	if id%4 > 1 {
		m.Headers = m.Headers.AppendString("id", fmt.Sprint(id)).Append("", nil)
	}
	return m
}

func same(a, b adapters.Message) bool {
	return a.Seq == b.Seq && a.TimestampMS == b.TimestampMS && a.Session == b.Session && a.Number == b.Number &&
		bytes.Equal(a.Topic, b.Topic) && bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Payload, b.Payload) && bytes.Equal(a.Headers, b.Headers)
}

func batch(ids ...uint64) *adapters.Batch {
	var b adapters.Batch
	for _, id := range ids {
		b.Add(message(id))
	}
	return &b
}

func span(from, to uint64) []uint64 {
	var ids []uint64
	for id := from; id <= to; id++ {
		ids = append(ids, id)
	}
	return ids
}

func add(t testing.TB, s *Spool, ids ...uint64) {
	t.Helper()
	if n, err := s.Append(batch(ids...), 0); err != nil || n != len(ids) {
		t.Fatalf("Append wrote %d of %d: %v", n, len(ids), err)
	}
}

// readAll reads everything that is unread, checks it and returns the ids.
func readAll(t testing.TB, s *Spool) []uint64 {
	t.Helper()
	var ids []uint64
	for {
		var b adapters.Batch
		n, err := s.Read(&b, 1<<30, 2000)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			return ids
		}
		for i := range b.Len() {
			got := b.At(i)
			if want := message(got.Seq); !same(got, want) {
				t.Fatalf("read %v, want %v", got, want)
			}
			ids = append(ids, got.Seq)
		}
	}
}

func expect(t testing.TB, s *Spool, want []uint64) {
	t.Helper()
	if got := readAll(t, s); !slices.Equal(got, want) {
		t.Fatalf("read %v, want %v", got, want)
	}
}

func TestAcknowledgedInAnyOrderOverARestart(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{SyncEvery: time.Millisecond})
	add(t, s, span(1, 100)...)
	expect(t, s, span(1, 100))
	var want []uint64
	for id := uint64(1); id <= 100; id++ {
		if id%7 == 0 {
			want = append(want, id)
		} else if !s.Ack(id) {
			t.Errorf("%d is not known", id)
		}
	}
	if s.Ack(1) || s.Ack(101) || s.Ack(0) {
		t.Error("acknowledged what is not there")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, Options{})
	if st := s.Stats(); st.Messages != len(want) || st.Unread != len(want) || st.Oldest.IsZero() || s.Next() != 101 {
		t.Errorf("%+v, next %d", st, s.Next())
	}
	expect(t, s, want)
	s.Rewind()
	expect(t, s, want)
	for _, id := range want {
		s.Ack(id)
	}
	add(t, s, 101)
	s.Ack(101)
	if err := s.Maintain(); err != nil {
		t.Fatal(err)
	}
	if st := s.Stats(); st != (Stats{}) {
		t.Errorf("%+v", st)
	}
	_ = s.Close()
	if left, _ := filepath.Glob(filepath.Join(dir, "*"+suffix)); len(left) > 0 {
		t.Errorf("files are left: %v", left)
	}
	s = open(t, dir, Options{})
	if s.Next() != 102 {
		t.Errorf("next is %d", s.Next())
	}
	_ = s.Close()
}

// TestInsert: messages that were only in memory come to disk between others, and are read in their place.
func TestInsert(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	add(t, s, span(101, 200)...)
	add(t, s, span(301, 400)...)
	skip := func(i int) bool { return i%3 == 1 }
	if n, err := s.Insert(batch(append(span(1, 100), span(201, 300)...)...), 0, skip); n != 200 || err != nil {
		t.Fatal(n, err)
	}
	add(t, s, span(401, 410)...)
	var want []uint64
	for id := uint64(1); id <= 410; id++ {
		i := int(id - 1)
		if id > 200 {
			i -= 100
		}
		if (id > 100 && id <= 200) || id > 300 || !skip(i) {
			want = append(want, id)
		}
	}
	expect(t, s, want)
	_ = s.Close()
	s = open(t, dir, Options{})
	expect(t, s, want)
	_ = s.Close()
}

func TestSkip(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	add(t, s, span(1, 10)...)
	s.Skip(10)
	if s.Unread() != 0 {
		t.Error(s.Unread())
	}
	add(t, s, span(11, 12)...)
	expect(t, s, span(11, 12))
	s.Rewind()
	expect(t, s, span(1, 12))
	_ = s.Close()
}

// TestAgainstModel drives a small spool with random operations beside plain maps, over restarts.
func TestAgainstModel(t *testing.T) {
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(seed, 2))
		dir := t.TempDir()
		o := Options{MaxBytes: minSegment * segmentsAtLeast, Sync: SyncNone}
		s := open(t, dir, o)
		held := map[uint64]bool{}   // written, without an answer
		unread := map[uint64]bool{} // of these, not read
		memory := []uint64{}        // used ids that were not written
		next := uint64(1)
		for range 600 {
			switch op := r.IntN(100); {
			case op < 40:
				ids := span(next, next+uint64(r.IntN(40)))
				n, err := s.Append(batch(ids...), 0)
				if err != nil && !errors.Is(err, ErrFull) {
					t.Fatal(err)
				}
				for _, id := range ids[:n] {
					held[id], unread[id] = true, true
				}
				if n > 0 {
					next = ids[n-1] + 1
				}
			case op < 50: // used, and kept in memory
				memory = append(memory, span(next, next+5)...)
				next += 6
			case op < 60 && len(memory) > 0:
				n, err := s.Insert(batch(memory...), 0, func(i int) bool { return memory[i]%5 == 0 })
				if err != nil && !errors.Is(err, ErrFull) {
					t.Fatal(err)
				}
				for _, id := range memory[:n] {
					if id%5 != 0 {
						held[id], unread[id] = true, true
					}
				}
				memory = nil // the rest is given up
			case op < 75:
				var b adapters.Batch
				if _, err := s.Read(&b, 1<<30, r.IntN(20000)); err != nil {
					t.Fatal(err)
				}
				for i := range b.Len() {
					id := b.Records[i].Seq
					if !unread[id] {
						t.Fatalf("seed %d: read %d, which is not unread", seed, id)
					}
					for other := range unread {
						if other < id {
							t.Fatalf("seed %d: read %d before %d", seed, id, other)
						}
					}
					delete(unread, id)
				}
			case op < 92:
				for id := range held {
					if r.IntN(3) > 0 {
						if !s.Ack(id) {
							t.Fatalf("seed %d: %d is not held", seed, id)
						}
						delete(held, id)
						delete(unread, id)
					}
				}
			case op < 95:
				s.Rewind()
				clear(unread)
				for id := range held {
					unread[id] = true
				}
			case op < 97:
				if err := s.Maintain(); err != nil {
					t.Fatal(err)
				}
			default:
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				s = open(t, dir, o)
				clear(unread)
				for id := range held {
					unread[id] = true
				}
				memory = nil
				if s.Next() > next {
					t.Fatalf("seed %d: next %d, want at most %d", seed, s.Next(), next)
				}
			}
			if st := s.Stats(); st.Messages != len(held) || st.Unread != len(unread) || st.Bytes > o.MaxBytes || st.Lost != 0 {
				t.Fatalf("seed %d: %+v, want %d and %d", seed, st, len(held), len(unread))
			}
		}
		s.Rewind()
		if got := readAll(t, s); len(got) != len(held) {
			t.Fatalf("seed %d: %d messages at the end, want %d", seed, len(got), len(held))
		}
		_ = s.Close()
	}
}

func TestFullAndDropOldest(t *testing.T) {
	s := open(t, t.TempDir(), Options{MaxBytes: minSegment * segmentsAtLeast, Sync: SyncNone})
	id := uint64(1)
	for {
		n, err := s.Append(batch(span(id, id+99)...), 0)
		id += uint64(n)
		if errors.Is(err, ErrFull) {
			break
		}
		if err != nil || n == 0 {
			t.Fatal(n, err)
		}
	}
	st := s.Stats()
	if st.Bytes > s.o.MaxBytes || st.Bytes < s.o.MaxBytes*9/10 {
		t.Errorf("%+v", st)
	}
	dropped := uint64(s.DropOldest())
	if dropped == 0 || dropped > id/10 {
		t.Errorf("%d of %d dropped", dropped, id)
	}
	if err := s.Maintain(); err != nil {
		t.Fatal(err)
	}
	add(t, s, id)
	expect(t, s, span(dropped+1, id))
	_ = s.Close()
}

func TestExpiry(t *testing.T) {
	dir := t.TempDir()
	const age = time.Second // what follows is quicker
	s := open(t, dir, Options{MaxAge: age})
	add(t, s, span(1, 10)...)
	add(t, s, span(11, 20)...)
	if n, err := s.Read(&adapters.Batch{}, 1<<30, 1); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	time.Sleep(age + 50*time.Millisecond)
	add(t, s, span(21, 25)...) // a segment of its own, since the first one has grown old
	var b adapters.Batch
	if n, err := s.Read(&b, 1<<30, 1<<20); n != 5 || err != nil || b.Records[0].Seq != 21 {
		t.Fatal(n, err)
	}
	if st := s.Stats(); st.Expired != 19 || st.Messages != 6 {
		t.Errorf("%+v", st)
	}
	s.Rewind()
	time.Sleep(age + 50*time.Millisecond)
	if err := s.Maintain(); err != nil {
		t.Fatal(err)
	}
	if st := s.Stats(); st.Expired != 25 || st.Messages != 0 || st.Bytes != 0 {
		t.Errorf("%+v", st)
	}
	_ = s.Close()
}

// TestClock: what is done to the machine's clock, while the spool is open or between two runs, makes no message
// old, and none immortal.
func TestClock(t *testing.T) {
	defer func() { wallClock = time.Now }()
	at := func(text string) {
		t.Helper()
		now, err := time.Parse(time.DateTime, text)
		if err != nil {
			t.Fatal(err)
		}
		wallClock = func() time.Time { return now }
	}
	for _, c := range []struct {
		name, stored, read string
		age                time.Duration
		kept               bool
	}{
		{"no battery", "1970-01-01 00:03:00", "2026-11-21 12:00:00", time.Hour, true},
		{"no battery, twice", "1970-01-01 00:03:00", "1970-01-01 00:01:00", time.Hour, true},
		{"back to now", "2036-01-01 00:00:00", "2026-11-21 12:00:00", time.Hour, true},
		{"back, and time passes", "2036-01-01 00:00:00", "2026-11-21 12:00:00", 50 * time.Millisecond, false},
		{"young", "2026-11-21 11:30:00", "2026-11-21 12:00:00", time.Hour, true},
		{"old", "2026-11-21 10:30:00", "2026-11-21 12:00:00", time.Hour, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			at(c.stored)
			s := open(t, dir, Options{MaxAge: c.age})
			add(t, s, span(1, 10)...)
			_ = s.Close()
			at(c.read)
			s = open(t, dir, Options{MaxAge: c.age})
			add(t, s, span(11, 20)...)
			at("2046-01-01 00:00:00") // set while it is open
			if age := time.Since(s.Stats().Oldest); c.kept && (age < 0 || age > c.age) {
				t.Errorf("the oldest is %v old", age)
			}
			want := uint64(0)
			if !c.kept {
				want = 10
			}
			if c.age < time.Second {
				want = 20
				time.Sleep(2 * c.age)
			}
			if err := s.Maintain(); err != nil {
				t.Fatal(err)
			}
			var b adapters.Batch
			if n, err := s.Read(&b, 1<<30, 1<<20); n != 20-int(want) || err != nil || s.Stats().Expired != want {
				t.Errorf("%d were read, %v; %d have expired, want %d", n, err, s.Stats().Expired, want)
			}
			_ = s.Close()
		})
	}
}

// TestSyncFails: that a segment could not be synced when it was full is told as that of any other is.
func TestSyncFails(t *testing.T) {
	s := open(t, t.TempDir(), Options{SyncEvery: time.Nanosecond})
	add(t, s, span(1, 3)...)
	_ = s.active.f.Close() // as a medium that is gone
	add(t, s, span(10, 12)...)
	if err := s.Maintain(); err == nil || !strings.Contains(err.Error(), "cannot be synced") {
		t.Errorf("%v", err)
	}
	if err := s.Maintain(); err != nil {
		t.Errorf("again: %v", err)
	}
	_ = s.Close()
}

func TestTwoUsers(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	_, err := Open(dir, Options{})
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) || !strings.Contains(err.Error(), dir) {
		t.Fatal(err)
	}
	_ = s.Close()
	s = open(t, dir, Options{})
	_ = s.Close()
}

func TestFoldersOfNoUse(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "below"), "/proc/spool"} {
		if _, err := Open(dir, Options{}); err == nil || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), ";") {
			t.Errorf("%s: %v", dir, err)
		}
	}
	if _, err := Open(t.TempDir(), Options{MaxBytes: 1000}); err == nil {
		t.Error("a spool of 1000 bytes was accepted")
	}
}

// TestDeletedFile: a segment that somebody deletes costs its messages and holds no other up.
func TestDeletedFile(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	add(t, s, 1, 2, 3)
	_ = s.Close()
	told := 0
	s = open(t, dir, Options{OnDamage: func(Damage) { told++ }})
	add(t, s, 4, 5)
	files, _ := filepath.Glob(filepath.Join(dir, "*"+suffix))
	if err := os.Remove(files[0]); err != nil {
		t.Fatal(err)
	}
	expect(t, s, []uint64{4, 5})
	if st := s.Stats(); st.Lost != 3 || told != 1 || st.Unread != 0 || st.Messages != 2 {
		t.Errorf("%+v, told %d times", st, told)
	}
	_ = s.Close()
}

// TestInsertWithHoles: messages of which some have their answer share a file.
func TestInsertWithHoles(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	ids := span(1, 400)
	if n, err := s.Insert(batch(ids...), 0, func(i int) bool { return i%2 == 0 }); n != 400 || err != nil {
		t.Fatal(n, err)
	}
	add(t, s, 401)
	if files, _ := filepath.Glob(filepath.Join(dir, "*"+suffix)); len(files) != 2 || s.Next() != 402 || s.Stats().Messages != 201 {
		t.Errorf("%d files, next %d, %+v", len(files), s.Next(), s.Stats())
	}
	_ = s.Close()
	s = open(t, dir, Options{})
	if got := readAll(t, s); len(got) != 201 || got[0] != 2 || got[200] != 401 {
		t.Error(got)
	}
	_ = s.Close()
}

func TestOrder(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	add(t, s, 5, 6)
	if n, err := s.Append(batch(4), 0); !errors.Is(err, ErrOrder) || n != 0 {
		t.Error(n, err)
	}
	_ = s.Close()
}

// BenchmarkAppend: messages of 600 bytes in batches of 64.
func BenchmarkAppend(b *testing.B) {
	for name, sync := range map[string]Sync{"none": SyncNone, "batch": SyncBatch} {
		b.Run(name, func(b *testing.B) {
			s := open(b, b.TempDir(), Options{Sync: sync})
			payload := make([]byte, 600)
			id := uint64(0)
			for b.Loop() {
				var m adapters.Batch
				for range 64 {
					id++
					m.Append(id, 0, "topic", nil, payload)
				}
				if _, err := s.Append(&m, 0); err != nil {
					b.Fatal(err)
				}
				for i := id - 63; i <= id; i++ {
					s.Ack(i)
				}
				if err := s.Maintain(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(id), "ns/message")
			_ = s.Close()
		})
	}
}

// TestVersions: folders of the version before headers are read, those of a later one are left alone.
func TestVersions(t *testing.T) {
	write := func(version string) (dir, path string) {
		dir = t.TempDir()
		path = filepath.Join(dir, segmentName(1, 77))
		content := []byte(magic[:len(magic)-1] + version)
		for id := uint64(4); id <= 13; id++ {
			m := message(id)
			m.Seq, m.Headers = id-3, nil
			content = encode(content, 77, &m, time.Now().UnixMilli())
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return dir, path
	}
	dir, _ := write("1")
	s := open(t, dir, Options{})
	var b adapters.Batch
	if n, err := s.Read(&b, 100, 1<<20); n != 10 || err != nil {
		t.Fatalf("%d messages, %v", n, err)
	}
	for i := range 10 {
		want := message(uint64(i + 4))
		want.Seq, want.Headers = uint64(i+1), nil
		if !same(b.At(i), want) {
			t.Errorf("message %d is %+v", i, b.At(i))
		}
	}
	_ = s.Close()

	dir, path := write("3")
	before, _ := os.ReadFile(path)
	if s, err := Open(dir, Options{}); err == nil {
		_ = s.Close()
		t.Error("a later format was opened")
	} else if text := err.Error(); !strings.Contains(text, path) || !strings.Contains(text, "later version") {
		t.Error(text)
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Error("the file of a later version was changed")
	}
}
