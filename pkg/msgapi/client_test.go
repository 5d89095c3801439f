// SPDX-License-Identifier: LGPL-2.1-or-later

package msgapi_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
	"github.com/gst-edgewire/gst-edgewire/pkg/broker"
	"github.com/gst-edgewire/gst-edgewire/pkg/msgapi"
)

// A named Fake is registered under a name of its own.
type named struct {
	*adaptertest.Fake
	name string
}

func (n named) Name() string { return n.name }

var count int

// protocol registers a fake of one test.
func protocol(f *adaptertest.Fake) string {
	count++
	n := named{f, fmt.Sprint("fake", count)}
	adapters.Register(n)
	return n.name
}

func connect(t *testing.T, o msgapi.Options) *msgapi.Client {
	t.Helper()
	if o.ConnStr == "" {
		o.ConnStr = "h;1"
	}
	c, err := msgapi.Connect(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// answers collects until there are n.
func answers(t *testing.T, c *msgapi.Client, n int) (all []msgapi.Done) {
	t.Helper()
	adaptertest.Wait(t, fmt.Sprint(n, " answers"), func() bool { all = append(all, c.Collect(7)...); return len(all) >= n })
	return all
}

// TestSend: the synchronous send tells what the server has said.
func TestSend(t *testing.T) {
	f := &adaptertest.Fake{RejectTopic: "nowhere", MaxPayload: 100}
	c := connect(t, msgapi.Options{ProtoLib: protocol(f), ConnStr: "h;1;of-the-connection"})
	for _, m := range []struct {
		topic string
		size  int
		want  error
	}{{"here", 10, nil}, {"nowhere", 10, adapters.ErrUnknownTopic}, {"here", 101, adapters.ErrTooLarge}, {"here", 0, msgapi.ErrEmpty}, {"", 1, nil}} {
		if err := c.Send(m.topic, make([]byte, m.size)); !errors.Is(err, m.want) {
			t.Errorf("%d bytes to %q: %v, want %v", m.size, m.topic, err, m.want)
		}
	}
	got := f.Received()
	if len(got) != 2 || got[0].Topic != "here" || got[1].Topic != "of-the-connection" {
		t.Errorf("%+v", got)
	}
	if len(c.Collect(10)) != 0 {
		t.Error("a synchronous send has left an answer")
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := c.Send("here", []byte("x")); !errors.Is(err, msgapi.ErrClosed) {
		t.Error(err)
	}
	if err := c.SendAsync("here", []byte("x"), 1, 1); !errors.Is(err, msgapi.ErrClosed) {
		t.Error(err)
	}
	if err := c.Subscribe([]string{"x"}, nil, nil); !errors.Is(err, msgapi.ErrClosed) {
		t.Error(err)
	}
	if err := c.Close(); !errors.Is(err, msgapi.ErrClosed) {
		t.Error(err)
	}
	c = connect(t, msgapi.Options{ProtoLib: protocol(f)})
	if err := c.Send("", []byte("x")); err == nil || !strings.Contains(err.Error(), "topic") {
		t.Errorf("no topic: %v", err)
	}
}

// TestAsync: many goroutines send and collect; each message has one answer, its own, and Ready is called for all.
func TestAsync(t *testing.T) {
	f := &adaptertest.Fake{RejectTopic: "nowhere", Capacity: 50}
	ready := make(chan struct{}, 1)
	c := connect(t, msgapi.Options{ProtoLib: protocol(f), Ready: func() {
		select {
		case ready <- struct{}{}:
		default:
		}
	}})
	const threads, each = 8, 200
	var wg sync.WaitGroup
	for i := range threads {
		wg.Go(func() {
			for n := range each {
				topic := "here"
				if n%10 == 0 {
					topic = "nowhere"
				}
				if err := c.SendAsync(topic, fmt.Appendf(nil, "%d-%d", i, n), 1, uintptr(i*each+n+1)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	if err := c.SendAsync("here", []byte("nobody waits"), 0, 0); err != nil {
		t.Error(err)
	}
	seen := make([]int, threads*each+1)
	for left := threads * each; left > 0; {
		select {
		case <-ready:
		case <-time.After(30 * time.Second):
			t.Fatalf("%d answers are missing", left)
		}
		for _, d := range c.Collect(1 << 30) {
			left--
			seen[d.User]++
			if d.Unknown() != ((d.User-1)%10 == 0) || d.Unknown() == (d.Err == nil) || d.Callback != 1 {
				t.Errorf("message %d: %+v", d.User, d)
			}
		}
	}
	wg.Wait()
	for user, n := range seen[1:] {
		if n != 1 {
			t.Errorf("message %d: %d answers", user+1, n)
		}
	}
}

// TestClose: what has no answer is told, a synchronous send included, and nothing comes after it.
func TestClose(t *testing.T) {
	f := &adaptertest.Fake{}
	c := connect(t, msgapi.Options{ProtoLib: protocol(f)})
	f.Down(true)
	for i := range uintptr(20) {
		if err := c.SendAsync("here", []byte("x"), 1, i+1); err != nil {
			t.Fatal(err)
		}
	}
	waiting := make(chan error)
	go func() { waiting <- c.Send("here", []byte("x")) }()
	time.Sleep(20 * time.Millisecond)
	if got := c.Collect(100); len(got) != 0 {
		t.Errorf("%d answers without a server", len(got))
	}
	if err := c.Close(); err == nil || !strings.Contains(err.Error(), "given up") {
		t.Errorf("Close: %v", err)
	}
	if err := <-waiting; err == nil {
		t.Error("a message that nobody has taken was acknowledged")
	}
	got := answers(t, c, 20)
	for _, d := range got {
		if d.Err == nil {
			t.Errorf("%+v", d)
		}
	}
	if len(got) != 20 || len(c.Collect(100)) != 0 {
		t.Errorf("%d answers", len(got))
	}
}

// TestConnect: it waits for the server, and says why it is in vain.
func TestConnect(t *testing.T) {
	f := &adaptertest.Fake{}
	name := protocol(f)
	f.Down(true)
	_, err := msgapi.Connect(msgapi.Options{ProtoLib: name, ConnStr: "h;1", Timeout: 50 * time.Millisecond})
	if err == nil || !strings.Contains(err.Error(), "no connection within 50ms: the fake server is down") {
		t.Errorf("%v", err)
	}
	f.Down(false)
	var mu sync.Mutex
	var states []broker.State
	c := connect(t, msgapi.Options{ProtoLib: name, OnState: func(s broker.State, _ string) { mu.Lock(); states = append(states, s); mu.Unlock() }})
	saw := func(n int) func() bool {
		return func() bool { mu.Lock(); defer mu.Unlock(); return len(states) >= n }
	}
	f.Down(true)
	adaptertest.Wait(t, "the outage", saw(1))
	f.Down(false)
	adaptertest.Wait(t, "its end", saw(2))
	_ = c.Close()
	mu.Lock()
	defer mu.Unlock()
	if len(states) != 2 || states[0] != broker.StateReconnecting || states[1] != broker.StateConnected {
		t.Errorf("%v: neither the first connection nor the end is to be told", states)
	}
	for what, o := range map[string]msgapi.Options{"malformed": {ProtoLib: name, ConnStr: "h"}, "protocol": {ProtoLib: "carrier pigeons", ConnStr: "h;1"}, "": {}} {
		if _, err := msgapi.Connect(o); err == nil {
			t.Errorf("%s: connected", what)
		}
	}
}

// TestSubscribe: several subscriptions add up, and begin with what the server has.
func TestSubscribe(t *testing.T) {
	f := &adaptertest.Fake{}
	c := connect(t, msgapi.Options{ProtoLib: protocol(f)})
	f.Put(adaptertest.Received{Topic: "a", Payload: []byte("before")})
	var mu sync.Mutex
	var got []string
	take := func(who string) func(string, []byte) {
		return func(topic string, payload []byte) {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, who+" "+topic+" "+string(payload))
		}
	}
	refused := func(topic string, err error) { t.Error(topic, err) }
	has := func(want string) {
		t.Helper()
		adaptertest.Wait(t, want, func() bool {
			mu.Lock()
			defer mu.Unlock()
			return strings.Contains(strings.Join(got, "|"), want)
		})
	}
	if err := c.Subscribe([]string{"a"}, take("1"), refused); err != nil {
		t.Fatal(err)
	}
	has("1 a before")
	if err := c.Subscribe([]string{"a", "b"}, take("2"), refused); err != nil {
		t.Fatal(err)
	}
	for _, bad := range [][]string{nil, {""}, {"a", ""}} {
		if err := c.Subscribe(bad, take("bad"), refused); err == nil {
			t.Errorf("%q was subscribed to", bad)
		}
	}
	f.Put(adaptertest.Received{Topic: "a", Payload: []byte("to both")})
	f.Put(adaptertest.Received{Topic: "b", Payload: []byte("to one")})
	for _, want := range []string{"1 a to both", "2 a to both", "2 b to one"} {
		has(want)
	}
	_ = c.Close()
	f.Put(adaptertest.Received{Topic: "a", Payload: []byte("late")})
	time.Sleep(20 * time.Millisecond)
	mu.Lock()
	defer mu.Unlock()
	for _, g := range got {
		if strings.Contains(g, "late") || strings.Contains(g, "1 b") || strings.Contains(g, "bad") {
			t.Error(g)
		}
	}
}

// TestSlowHandler: Close waits for a handler that is at work.
func TestSlowHandler(t *testing.T) {
	f := &adaptertest.Fake{}
	c := connect(t, msgapi.Options{ProtoLib: protocol(f)})
	began, free := make(chan struct{}), make(chan struct{})
	ended := false
	if err := c.Subscribe([]string{"a"}, func(string, []byte) { close(began); <-free; ended = true }, func(string, error) {}); err != nil {
		t.Fatal(err)
	}
	f.Put(adaptertest.Received{Topic: "a", Payload: []byte("x")})
	<-began
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	go func() { <-ctx.Done(); close(free) }()
	_ = c.Close()
	if !ended {
		t.Error("Close did not wait for the handler")
	}
}
