// SPDX-License-Identifier: LGPL-2.1-or-later

package nvds_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
	_ "github.com/gst-edgewire/gst-edgewire/pkg/adapters/nvds"
	"github.com/gst-edgewire/gst-edgewire/pkg/broker"
)

// compile makes a library of testdata/adaptor.c.
func compile(t *testing.T, name string, flags ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), name)
	args := append([]string{"-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function", "-shared", "-fPIC", "-o", out, "testdata/adaptor.c", "-lpthread"}, flags...)
	if text, err := exec.Command("gcc", args...).CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, text)
	}
	return out
}

// A server is what the library of testdata talks to.
type server struct {
	t       *testing.T
	address string
	mu      sync.Mutex
	l       net.Listener
	conns   map[net.Conn]bool
	got     []string
	tokens  []string // messages for subscribers
	once    bool     // … for the first of them
	topics  []string
	mute    bool // takes messages and does not answer
}

func newServer(t *testing.T) *server {
	s := &server{t: t, address: "127.0.0.1:0", conns: map[net.Conn]bool{}}
	s.start()
	t.Cleanup(s.stop)
	return s
}

func (s *server) connStr(fault string) string {
	return strings.Replace(s.address, ":", ";", 1) + ";" + fault
}

func (s *server) start() {
	l, err := net.Listen("tcp", s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	s.l, s.address = l, l.Addr().String()
	s.mu.Unlock()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns[c] = true
			s.mu.Unlock()
			go s.serve(c)
		}
	}()
}

func (s *server) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.l.Close()
	for c := range s.conns {
		_ = c.Close()
	}
	clear(s.conns)
}

func (s *server) serve(c net.Conn) {
	r := bufio.NewReader(c)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		var number, size int
		var topic string
		if n, _ := fmt.Sscanf(line, "P %d %s %d", &number, &topic, &size); n == 3 {
			payload := make([]byte, size)
			if _, err := io.ReadFull(r, payload); err != nil {
				return
			}
			code := 0
			s.mu.Lock()
			mute := s.mute
			switch {
			case mute:
			case string(payload) == "bad":
				code = 1
			case topic == "nowhere":
				code = 2
			default:
				s.got = append(s.got, topic+" "+string(payload))
			}
			s.mu.Unlock()
			if !mute {
				fmt.Fprintf(c, "A %d %d\n", number, code)
			}
		} else if n, _ := fmt.Sscanf(line, "S %s", &topic); n == 1 {
			s.mu.Lock()
			s.topics = append(s.topics, topic)
			tokens := s.tokens
			if s.once {
				s.tokens = nil
			}
			s.mu.Unlock()
			for _, m := range tokens {
				fmt.Fprintf(c, "M %s %d\n%s", topic, len(m), m)
			}
		}
	}
}

func (s *server) muted(on bool) {
	s.mu.Lock()
	s.mute = on
	s.mu.Unlock()
}

func (s *server) received() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.got...)
}

func TestErrors(t *testing.T) {
	text := filepath.Join(t.TempDir(), "libtext.so")
	if err := os.WriteFile(text, []byte("no library"), 0o755); err != nil {
		t.Fatal(err)
	}
	for value, want := range map[string]string{
		"/nowhere/libmine.so":               "there is no library",
		"file:/nowhere/libmine.so":          "there is no library",
		"file:" + t.TempDir():               "is not a file",
		text:                                "cannot use the library " + text,
		"/nowhere/libnvds_carrier_proto.so": "the protocol carrier is not built in",
		compile(t, "libhalf.so", "-DNO_SEND_ASYNC", "-DNO_DO_WORK"): "it does not export nvds_msgapi_send_async, nvds_msgapi_do_work; a protocol adaptor exports",
	} {
		_, _, err := adapters.ResolveProtoLib(value)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %s", value, err, want)
		}
		if strings.Contains(want, "there is no") && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v is not fs.ErrNotExist", err)
		}
	}
	lib := compile(t, "libnvds_kafka_proto.so")
	for _, value := range []string{"file:" + lib, "file://" + lib} {
		if name, substituted, err := adapters.ResolveProtoLib(value); name != "file:"+lib || substituted || err != nil {
			t.Errorf("%s: %s, %v, %v", value, name, substituted, err)
		}
	}
}

type watcher struct {
	mu     sync.Mutex
	states []broker.StateChange
	drops  []broker.DropReport
}

func (w *watcher) count(s broker.State) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.states {
		if c.New == s {
			n++
		}
	}
	return n
}

func connect(t *testing.T, lib, connStr string) (*broker.Connection, *watcher) {
	t.Helper()
	w := &watcher{}
	c, err := broker.Connect(broker.Options{ProtoLib: lib, ConnStr: connStr, Topic: "events",
		Reconnect: broker.Reconnect{Interval: 20 * time.Millisecond, MaxInterval: 100 * time.Millisecond},
		OnState:   func(s broker.StateChange) { w.mu.Lock(); w.states = append(w.states, s); w.mu.Unlock() },
		OnDropped: func(d broker.DropReport) { w.mu.Lock(); w.drops = append(w.drops, d); w.mu.Unlock() }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(t.Context()) })
	return c, w
}

func publish(t *testing.T, c *broker.Connection, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		if err := c.Publish(broker.Message{Payload: fmt.Appendf(nil, "%06d\x00\n", i)}); err != nil {
			t.Fatal(err)
		}
	}
}

func drain(t *testing.T, c *broker.Connection) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if r := c.Drain(ctx); r.Remaining != 0 {
		t.Fatalf("%+v, %+v", r, c.Stats())
	}
}

// TestDeliver: everything arrives once and in order, whatever the library's habits are.
func TestDeliver(t *testing.T) {
	lib := compile(t, "libmine.so")
	for _, fault := range []string{"", "inside", "twice", "late", "full"} {
		t.Run("fault-"+fault, func(t *testing.T) {
			s := newServer(t)
			c, _ := connect(t, lib, s.connStr(fault))
			const n = 500
			publish(t, c, 0, n)
			drain(t, c)
			adaptertest.Wait(t, "all messages", func() bool { return len(s.received()) >= n }) // "inside" answers before it sends
			got := s.received()
			if len(got) != n {
				t.Fatalf("%d messages", len(got))
			}
			for i, m := range got {
				if m != fmt.Sprintf("events %06d\x00\n", i) {
					t.Fatalf("message %d is %q", i, m)
				}
			}
			if st := c.Stats(); st.Acknowledged != n || st.Failed != 0 {
				t.Errorf("%+v", st)
			}
		})
	}
}

// TestRefused: a failed answer on a connection that stands is final, and told.
func TestRefused(t *testing.T) {
	lib := compile(t, "libmine.so", "-DNO_NAMES", "-DNO_SUBSCRIBE")
	s := newServer(t)
	c, w := connect(t, "file:"+lib, s.connStr(""))
	for _, m := range []broker.Message{{Payload: []byte("good")}, {Payload: []byte("bad")}, {Topic: "nowhere", Payload: []byte("x")},
		{Topic: "unknown", Payload: []byte("x")}, {Payload: []byte("good")}} {
		if err := c.Publish(m); err != nil {
			t.Fatal(err)
		}
	}
	drain(t, c)
	if st := c.Stats(); st.Acknowledged != 2 || st.Failed != 3 {
		t.Errorf("%+v", st)
	}
	if _, err := c.Subscribe(broker.SubscribeOptions{Topics: []string{"x"}}); !errors.Is(err, adapters.ErrNotSupported) {
		t.Errorf("a library without nvds_msgapi_subscribe: %v", err)
	}
	adaptertest.Wait(t, "the reports", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		text := fmt.Sprint(w.drops)
		return strings.Contains(text, "libmine.so")
	})
}

// TestRestart: what the library had not got an answer for is sent again after its server came back.
func TestRestart(t *testing.T) {
	lib := compile(t, "libmine.so")
	s := newServer(t)
	c, w := connect(t, lib, s.connStr(""))
	publish(t, c, 0, 200)
	drain(t, c)
	s.muted(true)
	publish(t, c, 200, 400)
	adaptertest.Wait(t, "messages under way", func() bool { return c.Stats().InFlight > 0 })
	s.stop()
	adaptertest.Wait(t, "the outage", func() bool { return w.count(broker.StateReconnecting) > 0 })
	publish(t, c, 400, 600)
	s.muted(false)
	s.start()
	drain(t, c)
	got := s.received()
	if len(got) != 600 {
		t.Fatalf("%d messages", len(got))
	}
	for i, m := range got {
		if m != fmt.Sprintf("events %06d\x00\n", i) {
			t.Fatalf("message %d is %q", i, m)
		}
	}
	if st := c.Stats(); st.Failed != 0 || st.Acknowledged != 600 {
		t.Errorf("%+v", st)
	}
}

// TestAbsent: a library that cannot connect is tried again, and Close does not wait for it.
func TestAbsent(t *testing.T) {
	c, w := connect(t, compile(t, "libmine.so"), "127.0.0.1;1;null")
	publish(t, c, 0, 10)
	adaptertest.Wait(t, "attempts", func() bool { return c.Stats().Sessions >= 3 })
	if w.count(broker.StateConnected) != 0 {
		t.Error("connected to nothing")
	}
	began := time.Now()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r := c.Close(ctx); r.Remaining != 10 {
		t.Errorf("%+v", r)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("Close took %v", took)
	}
}

// TestSubscribe: messages come in order, and no more than the window of them before they are acknowledged.
func TestSubscribe(t *testing.T) {
	s := newServer(t)
	s.mu.Lock()
	for i := range 50 {
		s.tokens = append(s.tokens, fmt.Sprintf("token %d\n\x00", i))
	}
	s.mu.Unlock()
	c, _ := connect(t, compile(t, "libmine.so"), s.connStr(""))
	var mu sync.Mutex
	agreed := map[string]error{}
	sub, err := c.Subscribe(broker.SubscribeOptions{Topics: []string{"commands"}, Window: 8, OnSubscribed: func(topic string, err error) {
		mu.Lock()
		agreed[topic] = err
		mu.Unlock()
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for i := range 50 {
		m, err := sub.Next(ctx)
		if err != nil {
			t.Fatal(i, err)
		}
		if m.Topic != "commands" || string(m.Payload) != fmt.Sprintf("token %d\n\x00", i) {
			t.Fatalf("message %d: %+v", i, m)
		}
		sub.Ack(&m)
	}
	adaptertest.Wait(t, "the word on the topic", func() bool { // messages may overtake it
		mu.Lock()
		defer mu.Unlock()
		_, ok := agreed["commands"]
		return ok
	})
	mu.Lock()
	defer mu.Unlock()
	if err := agreed["commands"]; err != nil {
		t.Error(err)
	}
}

// TestSubscribeMore: when more topics join, what was handed over and not acknowledged comes again, and does
// not count against the window for ever.
func TestSubscribeMore(t *testing.T) {
	s := newServer(t)
	s.mu.Lock()
	s.once = true
	for i := range 50 {
		s.tokens = append(s.tokens, fmt.Sprintf("token %d", i))
	}
	s.mu.Unlock()
	c, _ := connect(t, compile(t, "libmine.so"), s.connStr(""))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	sub, err := c.Subscribe(broker.SubscribeOptions{Topics: []string{"commands"}, Window: 8})
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	seen := map[string]bool{}
	take := func() {
		m, err := sub.Next(ctx)
		if err != nil {
			t.Fatalf("%d of 50 came: %v", len(seen), err)
		}
		sub.Ack(&m)
		seen[string(m.Payload)] = true
	}
	for range 3 {
		take()
		if _, err := sub.Next(ctx); err != nil { // in hand while the others join
			t.Fatal(err)
		}
		other, err := c.Subscribe(broker.SubscribeOptions{Topics: []string{"forbidden"}, Window: 8})
		if err != nil {
			t.Fatal(err)
		}
		take()
		other.Close()
	}
	for len(seen) < 50 {
		take()
	}
	if st := c.Stats(); st.Redelivered == 0 {
		t.Errorf("%+v", st)
	}
}
