// SPDX-License-Identifier: LGPL-2.1-or-later

package spool

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

// A small spool of one segment: where its records begin, and the file.
func small(t *testing.T, sealed bool) (name string, content []byte, starts []int) {
	t.Helper()
	dir := t.TempDir()
	s := open(t, dir, Options{})
	const count = 4
	at := len(magic)
	for id := uint64(1); id <= count; id++ {
		m := message(id)
		m.Payload = m.Payload[:min(len(m.Payload), 12)]
		var b adapters.Batch
		b.Add(m)
		if _, err := s.Append(&b, 0); err != nil {
			t.Fatal(err)
		}
		starts = append(starts, at)
		at += recordSize(&m)
	}
	if sealed {
		_ = s.Close()
	} else {
		defer func() { _ = s.Close() }()
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*"+suffix))
	if len(files) != 1 {
		t.Fatal(files)
	}
	content, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Base(files[0]), content, append(starts, at)
}

// recover opens a folder that holds content alone and returns the ids that are read, and how often damage
// was told.
func recovered(t *testing.T, name string, content []byte) (ids map[uint64]bool, told int) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir, Options{Sync: SyncNone, OnDamage: func(d Damage) {
		told++
		if d.String() == "" || d.File == "" {
			t.Error("damage without a word")
		}
	}})
	ids = map[uint64]bool{}
	for {
		var b adapters.Batch
		n, err := s.Read(&b, 1<<30, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
		for i := range b.Len() {
			got, want := b.At(i), message(b.Records[i].Seq)
			want.Payload = want.Payload[:min(len(want.Payload), 12)]
			if !same(got, want) {
				t.Fatalf("read %v, want %v", got, want)
			}
			ids[got.Seq] = true
		}
	}
	if left := s.Stats(); left.Unread != 0 || left.Messages != len(ids) {
		t.Fatalf("%+v with %d messages read", left, len(ids))
	}
	// It goes on: what is written now is read after the next start.
	next := s.Next()
	add(t, s, next)
	_ = s.Close()
	s = open(t, dir, Options{Sync: SyncNone})
	var b adapters.Batch
	if n, err := s.Read(&b, 1<<30, 1<<20); err != nil || n != len(ids)+1 {
		t.Fatalf("%d messages after the second start, want %d: %v", n, len(ids)+1, err)
	}
	_ = s.Close()
	return ids, told
}

// TestEveryTruncation: whatever is cut off, the messages before it are there.
func TestEveryTruncation(t *testing.T) {
	for _, sealed := range []bool{false, true} {
		name, content, starts := small(t, sealed)
		for n := range content {
			ids, told := recovered(t, name, content[:n])
			whole := 0
			boundary := n <= len(magic)
			for i := 1; i < len(starts); i++ {
				if starts[i] <= n {
					whole = i
				}
				boundary = boundary || starts[i] == n
			}
			if len(ids) != whole {
				t.Fatalf("cut to %d bytes: %v, want the first %d", n, ids, whole)
			}
			if want := !boundary && n < starts[len(starts)-1]; (told > 0) != want {
				t.Fatalf("cut to %d bytes: damage was told %d times", n, told)
			}
		}
	}
}

// TestEveryFlip: a bit that changes costs the message that it belongs to and no other.
func TestEveryFlip(t *testing.T) {
	for _, sealed := range []bool{false, true} {
		name, content, starts := small(t, sealed)
		for n := range content {
			broken := bytes.Clone(content)
			broken[n] ^= 1 << (n % 8)
			ids, told := recovered(t, name, broken)
			for i := range len(starts) - 1 {
				if hit := n >= starts[i] && n < starts[i+1]; ids[uint64(i+1)] == hit {
					t.Fatalf("bit in byte %d: %v", n, ids)
				}
			}
			if n >= len(magic) && told == 0 {
				t.Fatalf("bit in byte %d: nothing was told", n)
			}
		}
	}
}

// TestCursorDamage: a cursor of no use costs no message.
func TestCursorDamage(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{Sync: SyncNone})
	add(t, s, span(1, 9)...)
	s.Ack(3)
	s.Ack(5)
	_ = s.Close()
	path := filepath.Join(dir, cursorFile)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range content {
		for _, c := range [][]byte{content[:n], append(bytes.Clone(content[:n]), content[n]^4)} {
			if err := os.WriteFile(path, c, 0o600); err != nil {
				t.Fatal(err)
			}
			s := open(t, dir, Options{Sync: SyncNone})
			if m := s.Stats().Messages; m != 9 {
				t.Fatalf("%d messages", m)
			}
			s.release()
		}
	}
}

const (
	childEnv = "EDGEWIRE_SPOOL_CHILD"
	modeEnv  = "EDGEWIRE_SPOOL_MODE"
)

// TestMain also is the process that is killed.
func TestMain(m *testing.M) {
	dir := os.Getenv(childEnv)
	switch os.Getenv(modeEnv) {
	case "append":
		childAppend(dir)
	case "limit":
		childLimit(dir)
	default:
		os.Exit(m.Run())
	}
}

// childAppend writes, acknowledges and tells both, until it is killed.
func childAppend(dir string) {
	s, err := Open(dir, Options{Sync: SyncNone})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	id := s.Next()
	for {
		ids := span(id, id+4)
		if _, err := s.Append(batch(ids...), 0); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		id += 5
		_, _ = fmt.Printf("wrote %d\n", id-1)
		if id%3 == 0 {
			s.Ack(id - 2)
		}
		_ = s.Maintain()
	}
}

// TestKilledAtAnyInstant: what was written when the process died is there, whole, with the right content.
func TestKilledAtAnyInstant(t *testing.T) {
	dir := t.TempDir()
	wrote := uint64(0)
	for round := range 12 {
		c := exec.Command(os.Args[0])
		c.Env = append(os.Environ(), childEnv+"="+dir, modeEnv+"=append")
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; n < 40+round*13 && lines.Scan(); n++ {
			if _, err := fmt.Sscanf(lines.Text(), "wrote %d", &wrote); err != nil {
				t.Fatal(lines.Text())
			}
		}
		_ = c.Process.Kill()
		for lines.Scan() { // what it had told before it died
			_, _ = fmt.Sscanf(lines.Text(), "wrote %d", &wrote)
		}
		_ = c.Wait()
		s := open(t, dir, Options{Sync: SyncNone})
		got := map[uint64]bool{}
		for _, id := range readAll(t, s) {
			got[id] = true
		}
		for id := uint64(1); id <= wrote; id++ {
			// The child acknowledges the fourth of five, at most.
			if !got[id] && id%5 != 4 {
				t.Fatalf("round %d: %d of %d is lost", round, id, wrote)
			}
		}
		_ = s.Close()
	}
}

// childLimit fills a disk that is full at some byte.
func childLimit(dir string) {
	signal.Ignore(syscall.SIGXFSZ)
	s, err := Open(dir, Options{Sync: SyncNone})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	limit := syscall.Rlimit{Cur: 30_000, Max: 1 << 40}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	id := uint64(1)
	var n int
	for err == nil {
		n, err = s.Append(batch(span(id, id+6)...), 0)
		id += uint64(n)
	}
	if !errors.Is(err, syscall.EFBIG) || !strings.Contains(err.Error(), dir) {
		fmt.Println("error", err)
		os.Exit(1)
	}
	fmt.Println("full", id)
	limit.Cur = limit.Max
	_ = syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit)
	if n, err := s.Append(batch(span(id, id+6)...), 0); n != 7 || err != nil { // there is room again
		fmt.Println("error", n, err)
		os.Exit(1)
	}
	os.Exit(0) // without Close
}

// TestDiskFull: what did not fit can be written again later, and nothing is there twice.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), childEnv+"="+dir, modeEnv+"=limit")
	out, err := c.Output()
	id := uint64(0)
	if _, err2 := fmt.Sscanf(string(out), "full %d", &id); err != nil || err2 != nil || id < 10 {
		t.Fatalf("%s %v %v", out, err, err2)
	}
	s := open(t, dir, Options{OnDamage: func(d Damage) { t.Error(d) }})
	expect(t, s, span(1, id+6))
	_ = s.Close()
}

// FuzzSegment: no content of a file does harm, and what is read from it is what was written.
func FuzzSegment(f *testing.F) {
	var content []byte
	const marker = 0x12345678
	content = append(content, magic...)
	for id := uint64(1); id < 5; id++ {
		m := message(id)
		content = encode(content, marker, &m, 5)
	}
	f.Add(content)
	f.Add(content[:len(content)-3])
	f.Add([]byte(magic))
	f.Add([]byte{})
	f.Add(append([]byte(magic[:len(magic)-1]), magic[len(magic)-1]+5)) // of a later version
	f.Fuzz(func(t *testing.T, content []byte) {
		dir := t.TempDir()
		path := filepath.Join(dir, segmentName(1, marker))
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(dir, Options{Sync: SyncNone})
		if later := len(content) >= len(magic) && content[len(magic)-1] > magic[len(magic)-1] &&
			string(content[:len(magic)-1]) == magic[:len(magic)-1]; err != nil && later && strings.Contains(err.Error(), "later version") {
			if kept, err := os.ReadFile(path); err != nil || !bytes.Equal(kept, content) {
				t.Fatalf("a file that was refused was changed (%v)", err)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		last := uint64(0)
		for {
			var b adapters.Batch
			n, err := s.Read(&b, 1<<30, 1<<16)
			if err != nil {
				t.Fatal(err)
			}
			if n == 0 {
				break
			}
			for i := range b.Len() {
				m := b.At(i)
				if m.Seq <= last {
					t.Fatalf("%d after %d", m.Seq, last)
				}
				last = m.Seq
				front := encode(nil, marker, &m, 0)
				if !bytes.Contains(content, front[frontSize:frontSize+32]) {
					t.Fatalf("read %v, which nobody wrote", m)
				}
			}
		}
		if st := s.Stats(); st.Unread != 0 {
			t.Fatalf("%+v", st)
		}
		_ = s.Close()
	})
}

// FuzzCursor: no content of the cursor file does harm.
func FuzzCursor(f *testing.F) {
	g := &segment{marker: 7, first: 10, last: 9}
	for id := uint64(10); id < 30; id++ {
		g.note(id, 1)
	}
	g.answerRange(12, 14)
	g.answerRange(20, 20)
	f.Add(encodeCursor(99, []*segment{g}, 100))
	f.Add([]byte(cursorMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, ok := decodeCursor(b)
		for _, s := range c.segments {
			for _, r := range s.ranges {
				if ok && r[1] < r[0] {
					t.Fatal(r)
				}
			}
		}
	})
}
