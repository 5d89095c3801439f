// SPDX-License-Identifier: LGPL-2.1-or-later

package broker

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
)

func config(t testing.TB, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cfg.txt")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestShared: connections of equal signature are one, whatever their topics, until the last is closed.
func TestShared(t *testing.T) {
	f := &adaptertest.Fake{}
	cfg := config(t, "[message-broker]", "share-connection = 1")
	same := config(t, "[message-broker]", "share-connection=1")
	var mu sync.Mutex
	states := map[string]string{}
	open := func(name, connStr, path string) *Connection {
		return dial(t, f, Options{ConnStr: connStr, ConfigPath: path, OnState: func(s StateChange) {
			mu.Lock()
			states[name] += s.New.String() + " "
			mu.Unlock()
		}})
	}
	a := open("a", "fake;1;first", cfg)
	connected(t, a)
	b := open("b", "fake;1;second", same)
	other := open("other", "fake;2;third", cfg)
	alone := open("alone", "fake;1;fourth", "")
	if f.Opened() != 3 || !a.Shared() || !b.Shared() || alone.Shared() || a.l != b.l || a.l == other.l {
		t.Fatalf("%d opened", f.Opened())
	}
	var wg sync.WaitGroup
	for _, c := range []*Connection{a, b} {
		wg.Go(func() { publish(t, c, 100) })
	}
	wg.Wait()
	a.Close(soon(t))
	if err := a.Publish(Message{}); err == nil {
		t.Error("published on a closed connection")
	}
	publish(t, b, 50)
	f.Down(true)
	adaptertest.Wait(t, "the outage is told", func() bool { mu.Lock(); defer mu.Unlock(); return strings.HasSuffix(states["b"], "reconnecting ") })
	f.Down(false)
	if r := b.Drain(soon(t)); r.Remaining != 0 {
		t.Errorf("%+v", r)
	}
	count := map[string]int{}
	for _, m := range f.Received() {
		count[m.Topic]++
	}
	if count["first"] != 100 || count["second"] != 150 {
		t.Errorf("%v", count)
	}
	b.Close(soon(t))
	mu.Lock()
	defer mu.Unlock()
	if strings.Contains(states["a"], "reconnecting") || !strings.HasPrefix(states["b"], "connected ") || !strings.HasSuffix(states["b"], "closed ") {
		t.Errorf("%v", states)
	}
	c := open("c", "fake;1;first", cfg)
	if c.l == a.l || f.Opened() != 4 {
		t.Error("the closed one was used again")
	}
	if _, err := connect(Options{ConnStr: "fake;1", ConfigPath: cfg, Spool: Spool{Dir: t.TempDir()}}, f, false); err == nil || !strings.Contains(err.Error(), "share-connection") {
		t.Errorf("another spool folder: %v", err)
	}
	connected(t, c) // and is none the worse
}

// TestOneDelaysNoOther: a connection whose first user takes its time delays those alone that share it.
func TestOneDelaysNoOther(t *testing.T) {
	release := make(chan struct{})
	entered := make(chan struct{})
	done := make(chan error)
	go func() {
		done <- registry.join("slow", nil, func() (*link, error) {
			close(entered)
			<-release
			return nil, os.ErrInvalid
		})
	}()
	<-entered
	f := &adaptertest.Fake{}
	connected(t, dial(t, f, Options{ConfigPath: config(t, "[message-broker]", "share-connection=1")}))
	close(release)
	if err := <-done; err == nil {
		t.Error("no error")
	}
}

func TestReconnectFile(t *testing.T) {
	r, err := LoadReconnect(config(t, "[nvmsgbroker]", "auto-reconnect=1", "retry-interval=2", "max-retry-limit=3600", "work-interval=10000"))
	if err != nil || r.Off || r.Interval != 2*time.Second || r.Limit != time.Hour || r.MaxInterval != 0 {
		t.Errorf("%+v %v", r, err)
	}
	if r, err = LoadReconnect(config(t, "[nvmsgbroker]", "auto-reconnect=0", "max-retry-interval=9")); err != nil || !r.Off || r.MaxInterval != 9*time.Second {
		t.Errorf("%+v %v", r, err)
	}
	for want, lines := range map[string][]string{
		"did you mean retry-interval?": {"[nvmsgbroker]", "retry-intervall=1"},
		"[nvmsgbroker]":                {"[message-broker]", "retry-interval=1"},
		"retry-interval":               {"[nvmsgbroker]", "retry-interval=soon"},
		"shorter than the first":       {"[nvmsgbroker]", "retry-interval=9", "max-retry-interval=3"},
	} {
		if _, err := LoadReconnect(config(t, lines...)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", lines, err)
		}
	}
	if _, err := LoadReconnect("/nowhere/cfg_nvmsgbroker.txt"); err == nil || !strings.Contains(err.Error(), "/nowhere/cfg_nvmsgbroker.txt") {
		t.Error(err)
	}
}

func TestPause(t *testing.T) {
	r := Reconnect{Interval: time.Second, MaxInterval: 10 * time.Second}
	for attempts, want := range map[int]time.Duration{0: 1, 1: 1, 2: 2, 3: 4, 4: 8, 5: 10, 1000: 10} {
		want *= time.Second
		different := map[time.Duration]bool{}
		for range 50 {
			p := r.pause(attempts)
			if p < want/2 || p >= want*3/2 {
				t.Errorf("after %d attempts: %v", attempts, p)
			}
			different[p] = true
		}
		if len(different) < 40 {
			t.Errorf("after %d attempts: %d different pauses of 50", attempts, len(different))
		}
	}
}

// TestGivenUp: with a limit, or without reconnecting, an absent server ends in the state failed; the spool
// keeps what there is and takes more.
func TestGivenUp(t *testing.T) {
	for name, rec := range map[string]Reconnect{"max-retry-limit": {Limit: 150 * time.Millisecond}, "auto-reconnect=0": {Off: true}} {
		t.Run(name, func(t *testing.T) {
			f := &adaptertest.Fake{}
			dir := t.TempDir()
			c := dial(t, f, Options{Reconnect: rec, Spool: Spool{Dir: dir}})
			connected(t, c)
			f.Down(true)
			adaptertest.Wait(t, "failed", func() bool { return c.Stats().State == StateFailed })
			if s := c.Stats(); !strings.Contains(s.LastError, "the fake server is down") || !strings.Contains(s.LastError, name) {
				t.Error(s.LastError)
			}
			publish(t, c, 20)
			f.Down(false)
			time.Sleep(20 * time.Millisecond)
			if r := c.Close(soon(t)); r.Spooled != 20 || r.Remaining != 0 || len(f.Received()) != 0 {
				t.Errorf("%+v", r)
			}
			d := dial(t, f, Options{Spool: Spool{Dir: dir}})
			if d.Drain(soon(t)); payloads(f) != sequence(20) {
				t.Errorf("%s", payloads(f))
			}
		})
	}
}

// TestAttempts: each change of state says how often it was tried and until when the next try is made.
func TestAttempts(t *testing.T) {
	f := &adaptertest.Fake{}
	var mu sync.Mutex
	var last StateChange
	c := dial(t, f, Options{Reconnect: Reconnect{Interval: 50 * time.Millisecond}, OnState: func(s StateChange) {
		mu.Lock()
		if s.New == StateReconnecting {
			last = s
		}
		mu.Unlock()
	}})
	connected(t, c)
	f.Break()
	adaptertest.Wait(t, "a second session", func() bool { return f.Opened() == 2 })
	adaptertest.Wait(t, "the attempt", func() bool { mu.Lock(); defer mu.Unlock(); return last.Attempt == 1 })
	mu.Lock()
	if d := last.Next.Sub(last.Time); d < 20*time.Millisecond || d > 80*time.Millisecond {
		t.Errorf("%+v", last)
	}
	mu.Unlock()
	connected(t, c)
}
