// SPDX-License-Identifier: LGPL-2.1-or-later

package broker

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
	"github.com/gst-edgewire/gst-edgewire/pkg/spool"
)

func connected(t testing.TB, c *Connection) {
	t.Helper()
	adaptertest.Wait(t, "connected", func() bool { return c.Stats().State == StateConnected })
}

// balance checks that nothing that was accepted is unaccounted for.
func balance(t testing.TB, s Stats) {
	t.Helper()
	later := s.Dropped - s.DroppedBy[dropFull] - s.DroppedBy[dropRefused]
	if s.Accepted+s.Recovered != s.Acknowledged+s.Failed+s.Queued+s.InFlight+later {
		t.Errorf("the counts do not add up: %+v", s)
	}
}

// TestOverflow: what memory cannot hold waits on disk and arrives in order, once.
func TestOverflow(t *testing.T) {
	for _, mode := range []SpoolMode{SpoolOverflow, SpoolAlways} {
		t.Run(fmt.Sprint(mode), func(t *testing.T) {
			f := &adaptertest.Fake{Capacity: 20}
			c := dial(t, f, Options{MaxMessages: 200, Spool: Spool{Dir: t.TempDir(), Mode: mode, Sync: spool.SyncNone}})
			connected(t, c)
			f.Stall(true)
			for i := range 1200 {
				if err := c.PublishWait(Message{Payload: fmt.Appendf(nil, "%06d", i)}, 10*time.Second, nil); err != nil {
					t.Fatal(i, err)
				}
			}
			adaptertest.Wait(t, "the disk", func() bool { return c.Stats().Spooled >= 1000 })
			balance(t, c.Stats())
			f.Stall(false)
			for i := 1200; i < 1600; i++ {
				if err := c.PublishWait(Message{Payload: fmt.Appendf(nil, "%06d", i)}, 10*time.Second, nil); err != nil {
					t.Fatal(i, err)
				}
			}
			if r := c.Drain(soon(t)); r.Remaining != 0 || r.Spooled != 0 || payloads(f) != sequence(1600) {
				t.Errorf("%+v, %d received", r, len(f.Received()))
			}
			s := c.Stats()
			balance(t, s)
			if s.Accepted != 1600 || s.Acknowledged != 1600 || s.Dropped != 0 || s.Spooled != 0 || s.RoundTrip99 <= 0 || s.RoundTrip50 > s.RoundTrip99 {
				t.Errorf("%+v", s)
			}
			for i, m := range f.Received() {
				if m.Session != s.Session || m.Session == 0 || m.Number != uint64(i+1) {
					t.Fatalf("message %d has session %x and number %d", i, m.Session, m.Number)
				}
			}
		})
	}
}

// TestDisconnected: when the server goes away, what is under way goes to disk, and stays in order.
func TestDisconnected(t *testing.T) {
	f := &adaptertest.Fake{}
	dir := t.TempDir()
	c := dial(t, f, Options{Spool: Spool{Dir: dir}})
	connected(t, c)
	f.Stall(true)
	publish(t, c, 50)
	adaptertest.Wait(t, "messages under way", func() bool { return c.Stats().InFlight == 50 })
	if s := c.Stats(); s.Spooled != 0 {
		t.Errorf("%+v", s)
	}
	f.Stall(false)
	f.Down(true)
	adaptertest.Wait(t, "the disk", func() bool { return c.Stats().Spooled >= 50-c.Stats().Acknowledged })
	for i := 50; i < 80; i++ {
		_ = c.Publish(Message{Payload: fmt.Appendf(nil, "%06d", i)})
	}
	adaptertest.Wait(t, "the rest on disk", func() bool { s := c.Stats(); return s.Spooled+s.Acknowledged == 80 })
	balance(t, c.Stats())
	f.Down(false)
	if r := c.Drain(soon(t)); r.Remaining+r.Spooled != 0 || payloads(f) != sequence(80) {
		t.Errorf("%+v %s", r, payloads(f))
	}
	adaptertest.Wait(t, "an empty spool", func() bool { s := c.Stats(); return s.Spooled == 0 && s.SpooledBytes == 0 })
	publish(t, c, 1) // memory alone, again
	if r := c.Drain(soon(t)); r.Remaining != 0 {
		t.Errorf("%+v", r)
	}
}

// TestStopWhileAway: what is left at the end is spooled, quickly, and sent by the next run.
func TestStopWhileAway(t *testing.T) {
	for _, mode := range []SpoolMode{SpoolOverflow, SpoolAlways} {
		f := &adaptertest.Fake{}
		o := Options{Spool: Spool{Dir: filepath.Join(t.TempDir(), "a", "b"), Mode: mode}}
		c := dial(t, f, o)
		connected(t, c)
		session := c.Stats().Session
		f.Stall(true)
		publish(t, c, 30)
		adaptertest.Wait(t, "messages under way", func() bool { return c.Stats().InFlight == 30 })
		f.Stall(false)
		f.Down(true)
		adaptertest.Wait(t, "reconnecting", func() bool { return c.Stats().State == StateReconnecting })
		received := len(f.Received())
		for i := 30; i < 42; i++ {
			_ = c.Publish(Message{Payload: fmt.Appendf(nil, "%06d", i)})
		}
		began := time.Now()
		r := c.Close(soon(t))
		if r.Remaining != 0 || r.Spooled != uint64(42-received) || time.Since(began) > 500*time.Millisecond {
			t.Errorf("%+v after %v with %d received", r, time.Since(began), received)
		}
		s := c.Stats()
		balance(t, func() Stats { s.Queued += s.Spooled; return s }())
		if s.Spooled != r.Spooled || s.Dropped != 0 || s.State != StateClosed {
			t.Errorf("%+v", s)
		}
		d := dial(t, f, o)
		if err := d.Publish(Message{Payload: []byte("000042")}); err != nil {
			t.Fatal(err)
		}
		f.Down(false)
		if r := d.Drain(soon(t)); r.Remaining+r.Spooled != 0 || payloads(f) != sequence(43) {
			t.Errorf("mode %v: %+v %s", mode, r, payloads(f))
		}
		s = d.Stats()
		balance(t, s)
		if s.Recovered != r.Spooled {
			t.Errorf("%+v", s)
		}
		for i, m := range f.Received() {
			if want := uint64(i + 1); i < 42 && (m.Session != session || m.Number != want) {
				t.Fatalf("message %d has session %x and number %d", i, m.Session, m.Number)
			}
		}
		if last := f.Received()[42]; last.Session != s.Session || last.Number != 1 {
			t.Errorf("%+v", last)
		}
	}
}

// TestAcceptedIsOnDisk: with SpoolAlways a copy of the folder at any instant holds what was accepted until
// then and not acknowledged.
func TestAcceptedIsOnDisk(t *testing.T) {
	f := &adaptertest.Fake{Capacity: 50}
	f.Stall(true)
	dir := t.TempDir()
	c := dial(t, f, Options{Spool: Spool{Dir: dir, Mode: SpoolAlways, Sync: spool.SyncBatch}})
	for round := range 5 {
		publish(t, c, 500)
		adaptertest.Wait(t, "acceptance", func() bool { return c.Stats().Accepted > uint64(round*500) })
		accepted := c.Stats().Accepted
		copied := t.TempDir()
		if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		s, err := spool.Open(copied, spool.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if n := s.Stats().Messages; n < int(accepted) {
			t.Errorf("%d messages on disk, %d accepted", n, accepted)
		}
		_ = s.Close()
	}
}

// TestDiskRefuses: without a disk messages go on from memory, and it is told.
func TestDiskRefuses(t *testing.T) {
	f := &adaptertest.Fake{}
	dir := filepath.Join(t.TempDir(), "spool")
	var mu sync.Mutex
	var logs []string
	c := dial(t, f, Options{Spool: Spool{Dir: dir, Mode: SpoolAlways}, Log: func(e adapters.LogEntry) {
		mu.Lock()
		logs = append(logs, e.Level.String()+" "+e.Text)
		mu.Unlock()
	}})
	connected(t, c)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	publish(t, c, 100)
	c.Drain(soon(t))
	adaptertest.Wait(t, "delivery", func() bool { return payloads(f) == sequence(100) })
	s := c.Stats()
	if s.Accepted != 100 || s.Unspooled != 100 || s.SpoolErrors == 0 || !strings.Contains(s.LastError, dir) {
		t.Errorf("%+v", s)
	}
	adaptertest.Wait(t, "a word about the disk", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return strings.Contains(strings.Join(logs, "\n"), "error spool: "+dir)
	})
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	f.Stall(true)
	time.Sleep(spoolPatience)
	for i := 100; i < 110; i++ {
		_ = c.Publish(Message{Payload: fmt.Appendf(nil, "%06d", i)})
	}
	adaptertest.Wait(t, "the disk is back", func() bool { return c.Stats().Spooled == 10 })
	f.Stall(false)
	if c.Drain(soon(t)); payloads(f) != sequence(110) {
		t.Errorf("%d received", len(f.Received()))
	}
}

func TestSpoolOfNoUse(t *testing.T) {
	f := &adaptertest.Fake{}
	dir := t.TempDir()
	dial(t, f, Options{Spool: Spool{Dir: dir}})
	_, err := connect(Options{ConnStr: "fake;1", Spool: Spool{Dir: dir}}, f, false)
	if !errors.Is(err, spool.ErrInUse) || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Error(err)
	}
	if f.Opened() != 2 {
		t.Errorf("%d", f.Opened())
	}
}

// fill publishes messages of 1 kB until n were offered and returns how many were refused.
func fill(t testing.TB, c *Connection, n int) (refused int) {
	t.Helper()
	for i := range n {
		payload := make([]byte, 1000)
		copy(payload, fmt.Sprintf("%06d", i))
		switch err := c.Publish(Message{Payload: payload}); {
		case errors.Is(err, ErrFull):
			refused++
		case err != nil:
			t.Fatal(err)
		}
		if i%50 == 0 {
			time.Sleep(time.Millisecond) // the disk keeps up
		}
	}
	return refused
}

// TestFullSpool: when memory and disk are full the counts add up, and the policy decides who stays.
func TestFullSpool(t *testing.T) {
	for _, policy := range []FullPolicy{DropNewest, DropOldest} {
		f := &adaptertest.Fake{}
		f.Down(true)
		c := dial(t, f, Options{MaxMessages: 400, FullPolicy: policy, Spool: Spool{Dir: t.TempDir(), MaxBytes: 1 << 20, Sync: spool.SyncNone}})
		adaptertest.Wait(t, "the server is away", func() bool { return c.Stats().LastError != "" })
		count := 3000
		refused := fill(t, c, count)
		if policy == DropOldest { // a message is refused all the same while the disk does not keep up; the last one waits for it
			last := make([]byte, 1000)
			copy(last, fmt.Sprintf("%06d", count))
			adaptertest.Wait(t, "the disk", func() bool {
				err := c.Publish(Message{Payload: last})
				count++
				if err != nil {
					refused++
				}
				return err == nil
			})
		}
		adaptertest.Wait(t, "rest", func() bool { s := c.Stats(); return s.Spooled > 500 })
		s := c.Stats()
		balance(t, s)
		if s.Accepted+uint64(refused) != uint64(count) || s.SpooledBytes > 1<<20 {
			t.Errorf("%+v with %d refused", s, refused)
		}
		f.Down(false)
		c.Drain(soon(t))
		s = c.Stats()
		balance(t, s)
		got := f.Received()
		newest := 2999
		if policy == DropOldest {
			newest = 3000
		}
		last := string(got[len(got)-1].Payload[:6])
		if uint64(len(got)) != s.Acknowledged || s.Dropped == 0 || (policy == DropOldest) != (last == fmt.Sprintf("%06d", newest)) {
			t.Errorf("policy %v: %d received, the last is %s: %+v", policy, len(got), last, s)
		}
		if (s.DroppedBy[dropOldest] > 0) != (policy == DropOldest) {
			t.Errorf("policy %v: %v", policy, s.DroppedBy)
		}
		for i := 1; i < len(got); i++ {
			if string(got[i-1].Payload[:6]) >= string(got[i].Payload[:6]) {
				t.Fatalf("policy %v: %s before %s", policy, got[i-1].Payload[:6], got[i].Payload[:6])
			}
		}
	}
}

// TestDropOldestInMemory: without a spool the newest stay.
func TestDropOldestInMemory(t *testing.T) {
	f := &adaptertest.Fake{}
	f.Down(true)
	c := dial(t, f, Options{MaxMessages: 10, FullPolicy: DropOldest})
	adaptertest.Wait(t, "the server is away", func() bool { return c.Stats().LastError != "" })
	publish(t, c, 1000)
	s := c.Stats()
	balance(t, s)
	if s.DroppedBy[dropOldest] != 990 || s.Queued+s.InFlight != 10 {
		t.Errorf("%+v", s)
	}
	f.Down(false)
	c.Drain(soon(t))
	if got := payloads(f); !strings.HasSuffix(got, "000998 000999 ") || len(f.Received()) != 10 {
		t.Error(got)
	}
}

func TestSpoolAge(t *testing.T) {
	f := &adaptertest.Fake{}
	f.Down(true)
	c := dial(t, f, Options{MaxMessages: 10, Spool: Spool{Dir: t.TempDir(), MaxAge: 200 * time.Millisecond}})
	adaptertest.Wait(t, "the server is away", func() bool { return c.Stats().LastError != "" })
	for i := range 100 {
		adaptertest.Wait(t, "room", func() bool { // ten fit in memory, and a busy machine takes its time with the disk
			err := c.PublishWait(Message{Payload: fmt.Appendf(nil, "%06d", i)}, 0, nil)
			if err != nil && !errors.Is(err, ErrFull) {
				t.Fatal(err)
			}
			return err == nil
		})
		time.Sleep(time.Millisecond)
	}
	adaptertest.Wait(t, "expiry", func() bool { return c.Stats().DroppedBy[dropExpired] > 50 })
	balance(t, c.Stats())
}

// TestMisfortunes: whatever happens, what was accepted arrives, in order; twice only when a session or a run
// was lost in between.
func TestMisfortunes(t *testing.T) {
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 4))
		f := &adaptertest.Fake{Capacity: 1 + r.IntN(100)}
		o := Options{MaxMessages: 50 + r.IntN(500), Spool: Spool{Dir: t.TempDir(), Mode: SpoolMode(seed % 2), Sync: spool.SyncNone},
			Reconnect: Reconnect{Interval: 5 * time.Millisecond, MaxInterval: 20 * time.Millisecond}}
		c := dial(t, f, o)
		n := 0
		for range 70 {
			switch op := r.IntN(20); {
			case op < 10:
				for range r.IntN(200) {
					err := c.Publish(Message{Payload: fmt.Appendf(nil, "%06d", n)})
					if err == nil {
						n++
					} else if !errors.Is(err, ErrFull) {
						t.Fatal(err)
					}
				}
			case op < 13:
				f.Down(r.IntN(2) == 0)
			case op < 15:
				f.Stall(r.IntN(2) == 0)
			case op < 16:
				f.Break()
			case op < 17:
				if rep := c.Close(canceled()); rep.Remaining != 0 {
					t.Fatalf("seed %d: %+v", seed, rep)
				}
				c = dial(t, f, o)
			default:
				time.Sleep(time.Duration(r.IntN(20)) * time.Millisecond)
			}
		}
		f.Stall(false)
		f.Down(false)
		if rep := c.Drain(soon(t)); rep.Remaining+rep.Spooled != 0 {
			t.Fatalf("seed %d: %+v %+v", seed, rep, c.Stats())
		}
		next, seen := 0, map[string]bool{}
		for _, m := range f.Received() {
			if seen[string(m.Payload)] {
				continue
			}
			seen[string(m.Payload)] = true
			if string(m.Payload) != fmt.Sprintf("%06d", next) {
				t.Fatalf("seed %d: %s came, and %06d was expected", seed, m.Payload, next)
			}
			next++
		}
		if next != n {
			t.Fatalf("seed %d: %d of %d arrived", seed, next, n)
		}
		c.Close(soon(t))
	}
}
