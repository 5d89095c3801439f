// SPDX-License-Identifier: LGPL-2.1-or-later

package broker

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
	"github.com/gst-edgewire/gst-edgewire/pkg/spool"
)

// dial connects to a fake server.
func dial(t testing.TB, f adapters.Adapter, opts Options) *Connection {
	t.Helper()
	if opts.ConnStr == "" {
		opts.ConnStr = "fake;1;events"
	}
	c, err := connect(opts, f, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(canceled()) })
	return c
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func publish(t testing.TB, c *Connection, n int) {
	t.Helper()
	for i := range n {
		if err := c.Publish(Message{Payload: fmt.Appendf(nil, "%06d", i)}); err != nil {
			t.Fatal(err)
		}
	}
}

// payloads are what the fake server has received, as one string.
func payloads(f *adaptertest.Fake) string {
	var b strings.Builder
	for _, m := range f.Received() {
		b.Write(m.Payload)
		b.WriteByte(' ')
	}
	return b.String()
}

func sequence(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%06d ", i)
	}
	return b.String()
}

func TestPublishAndDrain(t *testing.T) {
	f := &adaptertest.Fake{Capacity: 7} // far less than is published: the queue must wait for room
	c := dial(t, f, Options{})
	publish(t, c, 5000)
	r := c.Drain(soon(t))
	if r.Remaining != 0 || payloads(f) != sequence(5000) {
		t.Fatalf("%+v, %d received", r, len(f.Received()))
	}
	s := c.Stats()
	if s.Accepted != 5000 || s.Sent != 5000 || s.Acknowledged != 5000 || s.Failed != 0 || s.Dropped != 0 ||
		s.Queued != 0 || s.InFlight != 0 || s.Bytes != 30000 || s.QueuedBytes != 0 || s.State != StateConnected || s.Adapter != "fake" {
		t.Errorf("%+v", s)
	}
	m := f.Received()[0]
	if m.Topic != "events" || time.Since(time.UnixMilli(m.TimestampMS)).Abs() > time.Minute {
		t.Errorf("%+v", m)
	}
}

// TestPublishKeepsOffTheHeap: a message is copied into memory that is used again.
func TestPublishKeepsOffTheHeap(t *testing.T) {
	f := &adaptertest.Fake{}
	f.Down(true) // nothing is handed on, which would count as well
	c := dial(t, f, Options{MaxMessages: 1 << 20})
	adaptertest.Wait(t, "the state", func() bool { return c.Stats().LastError != "" })
	m := Message{Topic: "t", Key: []byte("k"), Payload: []byte("payload"), Headers: adapters.Headers(nil).AppendString("a", "b")}
	if n := testing.AllocsPerRun(2000, func() { _ = c.Publish(m) }); n > 0.1 {
		t.Errorf("%v allocations a message", n)
	}
}

// TestHeaders: they travel with their message, over disk as well, and damaged ones are refused.
func TestHeaders(t *testing.T) {
	f := &adaptertest.Fake{}
	f.Down(true)
	opts := Options{Spool: Spool{Dir: t.TempDir(), Mode: SpoolAlways}}
	c := dial(t, f, opts)
	headers := func(i int) adapters.Headers {
		if i%2 == 0 {
			return nil
		}
		return adapters.Headers(nil).AppendString("i", fmt.Sprint(i))
	}
	for i := range 10 {
		if err := c.Publish(Message{Payload: []byte{byte(i)}, Headers: headers(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Publish(Message{Payload: []byte("x"), Headers: adapters.Headers{1, 0, 'x'}}); !errors.Is(err, ErrHeaders) {
		t.Errorf("damaged headers: %v", err)
	}
	if r := c.Close(soon(t)); r.Spooled != 10 {
		t.Fatalf("%+v", r)
	}
	f.Down(false)
	dial(t, f, opts)
	adaptertest.Wait(t, "delivery", func() bool { return len(f.Received()) == 10 })
	for i, m := range f.Received() {
		if string(m.Headers) != string(headers(i)) || m.Payload[0] != byte(i) {
			t.Errorf("message %d is %+v", i, m)
		}
	}
}

func TestTopics(t *testing.T) {
	f := &adaptertest.Fake{}
	c := dial(t, f, Options{ConnStr: "fake;1"})
	if err := c.Publish(Message{Payload: []byte("x")}); !errors.Is(err, ErrNoTopic) {
		t.Errorf("no topic: %v", err)
	}
	d := dial(t, f, Options{ConnStr: "fake;1;a", Topic: "b"})
	if d.DefaultTopic() != "b" {
		t.Error("the option wins over the connection string")
	}
	for _, topic := range []string{"", "c", "c", "d"} {
		if err := d.Publish(Message{Topic: topic, Key: []byte("k")}); err != nil {
			t.Fatal(err)
		}
	}
	d.Drain(soon(t))
	got := ""
	for _, m := range f.Received() {
		got += m.Topic + string(m.Key)
	}
	if got != "bkckckdk" {
		t.Errorf("topics and keys %s", got)
	}
}

func TestBounds(t *testing.T) {
	f := &adaptertest.Fake{}
	f.Down(true)
	var mu sync.Mutex
	var reports []DropReport
	c := dial(t, f, Options{MaxMessages: 10, MaxBytes: 1000, OnDropped: func(r DropReport) {
		mu.Lock()
		reports = append(reports, r)
		mu.Unlock()
	}})
	publish(t, c, 10)
	for range 500 {
		if err := c.Publish(Message{Payload: []byte("x")}); !errors.Is(err, ErrFull) {
			t.Fatal(err)
		}
	}
	if err := c.Publish(Message{Payload: make([]byte, 2000)}); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
	adaptertest.Within(t, "PublishWait with the server away", time.Second, func() {
		if err := c.PublishWait(Message{Payload: []byte("x")}, time.Minute, nil); !errors.Is(err, ErrFull) {
			t.Errorf("PublishWait with the server away: %v", err)
		}
	})
	if s := c.Stats(); s.Dropped != 502 || s.Queued+s.InFlight != 10 {
		t.Errorf("%+v", s)
	}
	f.Down(false)
	// The answers may come before Drain begins to count: the connection's own count decides.
	if r, s := c.Drain(soon(t)), c.Stats(); s.Acknowledged != 10 || r.Remaining != 0 {
		t.Errorf("%+v %+v", r, s)
	}
	if err := c.Publish(Message{Payload: make([]byte, 900)}); err != nil {
		t.Errorf("there is room again: %v", err)
	}
	if r := c.Close(soon(t)); r.Remaining != 0 {
		t.Errorf("%+v", r)
	}
	sum := uint64(0)
	adaptertest.Wait(t, "the reports", func() bool { // Close waits a moment for callbacks, no longer
		mu.Lock()
		defer mu.Unlock()
		sum = 0
		for _, r := range reports {
			sum += r.Dropped
		}
		return sum >= 502
	})
	mu.Lock()
	defer mu.Unlock()
	if sum != 502 || len(reports) == 0 || len(reports) > 3 {
		t.Errorf("%d drops in %d reports: %+v", sum, len(reports), reports)
	}
}

func TestPublishWait(t *testing.T) {
	f := &adaptertest.Fake{}
	c := dial(t, f, Options{MaxMessages: 4})
	adaptertest.Wait(t, "connected", func() bool { return c.Stats().State == StateConnected })
	f.Stall(true)
	publish(t, c, 4)
	began := time.Now()
	if err := c.PublishWait(Message{}, 50*time.Millisecond, nil); !errors.Is(err, ErrFull) || time.Since(began) < 40*time.Millisecond {
		t.Errorf("%v after %v", err, time.Since(began))
	}
	cancel := make(chan struct{})
	time.AfterFunc(30*time.Millisecond, func() { close(cancel) })
	if err := c.PublishWait(Message{}, 0, cancel); !errors.Is(err, ErrCanceled) {
		t.Error(err)
	}
	time.AfterFunc(30*time.Millisecond, func() { f.Stall(false) })
	if err := c.PublishWait(Message{Payload: []byte("late")}, 10*time.Second, nil); err != nil {
		t.Error(err)
	}
	c.Drain(soon(t))
	if !strings.HasSuffix(payloads(f), "late ") {
		t.Error("the message that waited did not arrive")
	}
	f.Stall(true)
	publish(t, c, 4)
	time.AfterFunc(30*time.Millisecond, func() { f.Down(true) })
	if err := c.PublishWait(Message{}, 0, nil); !errors.Is(err, ErrFull) {
		t.Errorf("the server went away: %v", err)
	}
	time.AfterFunc(30*time.Millisecond, func() { c.Close(canceled()) })
	f.Down(false)
	if err := c.PublishWait(Message{}, 10*time.Second, nil); err == nil {
		t.Error("published into a closed connection")
	}
}

func TestStatesAndOutage(t *testing.T) {
	f := &adaptertest.Fake{}
	f.Down(true)
	var mu sync.Mutex
	var states []string
	c := dial(t, f, Options{OnState: func(s StateChange) {
		mu.Lock()
		defer mu.Unlock()
		states = append(states, s.New.String()+":"+s.Reason)
		if s.Host != "fake" {
			t.Errorf("host %q", s.Host)
		}
	}})
	saw := func(want string) func() bool {
		return func() bool {
			mu.Lock()
			defer mu.Unlock()
			return strings.Join(states, ", ") == want
		}
	}
	publish(t, c, 10)
	want := "connecting:, connecting:the fake server is down; bring it up"
	adaptertest.Wait(t, want, saw(want))
	if s := c.Stats(); s.LastError != "fake: the fake server is down; bring it up" || s.LastErrorTime.IsZero() {
		t.Errorf("%+v", s)
	}
	f.Down(false)
	want += ", connected:"
	adaptertest.Wait(t, want, saw(want))
	f.Down(true)
	want += ", reconnecting:the fake server is down; bring it up"
	adaptertest.Wait(t, want, saw(want))
	f.Down(false)
	want += ", connected:"
	adaptertest.Wait(t, want, saw(want))
	c.Close(soon(t))
	want += ", closed:"
	adaptertest.Wait(t, want, saw(want))
	if s := c.Stats(); s.Reconnects != 1 || s.Acknowledged != 10 || s.State != StateClosed {
		t.Errorf("%+v", s)
	}
	if err := c.Publish(Message{}); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

func TestRefusedMessages(t *testing.T) {
	f := &adaptertest.Fake{RejectTopic: "nowhere"}
	var mu sync.Mutex
	failed := uint64(0)
	c := dial(t, f, Options{OnDropped: func(r DropReport) {
		mu.Lock()
		failed += r.Failed
		mu.Unlock()
		if !strings.Contains(r.Reason, "topic nowhere on fake: the topic does not exist; create it") {
			t.Error(r.Reason)
		}
	}})
	for i := range 100 {
		topic := "somewhere"
		if i%2 == 0 {
			topic = "nowhere"
		}
		if err := c.Publish(Message{Topic: topic}); err != nil {
			t.Fatal(err)
		}
	}
	if r := c.Close(soon(t)); r.Failed+r.Acknowledged > 100 || r.Remaining != 0 {
		t.Errorf("%+v", r)
	}
	s := c.Stats()
	if s.Failed != 50 || s.Acknowledged != 50 || !strings.Contains(s.LastError, "create it") {
		t.Errorf("%+v", s)
	}
	adaptertest.Wait(t, "the reports", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return failed >= 50
	})
	mu.Lock()
	defer mu.Unlock()
	if failed != 50 {
		t.Errorf("%d failures reported", failed)
	}
}

// TestNewSession: an adapter that fails for good is replaced, and what it held is sent again in order.
func TestNewSession(t *testing.T) {
	f := &adaptertest.Fake{Capacity: 100}
	c := dial(t, f, Options{})
	publish(t, c, 50)
	c.Drain(soon(t))
	f.Stall(true)
	for i := 50; i < 1000; i++ {
		if err := c.Publish(Message{Payload: fmt.Appendf(nil, "%06d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	adaptertest.Wait(t, "messages under way", func() bool { return c.Stats().InFlight == 100 })
	f.Break()
	adaptertest.Wait(t, "a new session", func() bool { return f.Opened() == 2 })
	f.Stall(false)
	if r := c.Drain(soon(t)); r.Remaining != 0 || payloads(f) != sequence(1000) {
		t.Errorf("%+v, %d received", r, len(f.Received()))
	}
	if s := c.Stats(); s.Sessions != 1 || s.Acknowledged != 1000 {
		t.Errorf("%+v", s)
	}
}

func TestCloseWhileAway(t *testing.T) {
	f := &adaptertest.Fake{}
	f.Down(true)
	c := dial(t, f, Options{})
	publish(t, c, 42)
	adaptertest.Within(t, "Close", 500*time.Millisecond, func() {
		if r := c.Close(soon(t)); r.Remaining != 42 {
			t.Errorf("%+v", r)
		}
	})
	if s := c.Stats(); s.Dropped != 42 || s.State != StateClosed {
		t.Errorf("%+v", s)
	}
	if r := c.Drain(soon(t)); r.Remaining > 42 {
		t.Errorf("%+v", r)
	}
}

func TestConcurrentUse(t *testing.T) {
	f := &adaptertest.Fake{Capacity: 64}
	c := dial(t, f, Options{MaxMessages: 500, Log: func(adapters.LogEntry) {}, OnState: func(StateChange) {}, OnDropped: func(DropReport) {}})
	adaptertest.Wait(t, "connected", func() bool { return c.Stats().State == StateConnected })
	var wg sync.WaitGroup
	const publishers, each = 4, 2000
	for p := range publishers {
		wg.Go(func() {
			for i := range each {
				m := Message{Topic: fmt.Sprint("t", p), Payload: fmt.Appendf(nil, "%06d", i)}
				if err := c.PublishWait(m, 20*time.Second, nil); err != nil {
					t.Error(err)
					return
				}
				if i%100 == 0 {
					_ = c.Stats()
				}
			}
		})
	}
	wg.Wait()
	c.Drain(soon(t))
	per := map[string]*strings.Builder{}
	for _, m := range f.Received() {
		if per[m.Topic] == nil {
			per[m.Topic] = &strings.Builder{}
		}
		per[m.Topic].Write(append(m.Payload, ' '))
	}
	for p := range publishers {
		if per[fmt.Sprint("t", p)].String() != sequence(each) {
			t.Errorf("publisher %d: lost or out of order", p)
		}
	}
}

func TestBadOptions(t *testing.T) {
	for want, opts := range map[string]Options{
		"proto-lib is empty":                {},
		"is not a known protocol":           {ProtoLib: "nonsense"},
		"cannot load protocol libraries":    {ProtoLib: "file:/lib/x.so"},
		"the protocol mqtt is not built in": {ProtoLib: "/opt/nvidia/libnvds_mqtt_proto.so"},
	} {
		if _, err := Connect(opts); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", opts, err, want)
		}
	}
	if _, err := connect(Options{ConnStr: "x"}, &adaptertest.Fake{}, false); err == nil {
		t.Error("a malformed connection string was accepted")
	}
	if _, err := connect(Options{ConnStr: "a;1", MaxMessages: -1}, &adaptertest.Fake{}, false); err == nil {
		t.Error("a negative bound was accepted")
	}
}

// A hole acknowledges whatever it is given, at once.
type hole struct{ sink adapters.Sink }

func (h *hole) Name() string                        { return "hole" }
func (h *hole) Capabilities() adapters.Capabilities { return adapters.Capabilities{} }
func (h *hole) Info() adapters.Info                 { return adapters.Info{Host: "hole", Topic: "events"} }
func (h *hole) Flush(context.Context) error         { return nil }
func (h *hole) Close() error                        { return nil }

func (h *hole) Open(_ adapters.Config, sink adapters.Sink) (adapters.Conn, error) {
	h.sink = sink
	sink.State(adapters.StateEvent{State: adapters.Connected, Host: "hole"})
	return h, nil
}

func (h *hole) Publish(b *adapters.Batch, from int) (int, error) {
	results := make([]adapters.Result, 0, b.Len())
	for i := from; i < b.Len(); i++ {
		results = append(results, adapters.Result{Seq: b.Records[i].Seq})
	}
	h.sink.Done(results)
	return len(results), nil
}

// BenchmarkPublish is what a streaming thread pays for a message of 1 kB while the queue keeps up.
func BenchmarkPublish(b *testing.B) {
	c, err := connect(Options{MaxMessages: 1 << 20, MaxBytes: 1 << 30}, &hole{}, false)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close(canceled())
	m := Message{Payload: make([]byte, 1000)}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%1000 == 999 {
			b.StopTimer()
			c.Drain(soon(b))
			b.StartTimer()
		}
		if err := c.Publish(m); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	if r := c.Drain(soon(b)); r.Remaining != 0 {
		b.Fatalf("%+v", r)
	}
}

func TestOnClosedIsTheLastCall(t *testing.T) {
	var mu sync.Mutex
	var calls []string
	note := func(s string) { mu.Lock(); calls = append(calls, s); mu.Unlock() }
	release := make(chan struct{})
	f := &adaptertest.Fake{}
	c, err := connect(Options{ConnStr: "host;1", Topic: "t", OnState: func(s StateChange) {
		if s.New == StateConnected {
			<-release // a callback that hangs: Close must not wait for it
		}
		note(s.New.String())
	}, OnClosed: func() { note("OnClosed") }}, f, false)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond)
	c.Close(context.Background())
	close(release)
	deadline := time.Now().Add(5 * time.Second)
	for {
		mu.Lock()
		n := len(calls)
		last := ""
		if n > 0 {
			last = calls[n-1]
		}
		mu.Unlock()
		if last == "OnClosed" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("calls: %v", calls)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// A mute adapter never hears from its server.
type mute struct{ hole }

func (m *mute) Open(adapters.Config, adapters.Sink) (adapters.Conn, error) { return m, nil }

func (m *mute) Publish(*adapters.Batch, int) (int, error) { return 0, nil }

// TestCloseBeforeTheFirstAnswer: Close gives a first attempt to connect a moment, which begins with the attempt,
// and a short one where a spool takes what is left.
func TestCloseBeforeTheFirstAnswer(t *testing.T) {
	for name, opts := range map[string]Options{"old": {}, "spool": {Spool: Spool{Sync: spool.SyncNone}}, "young": {}} {
		t.Run(name, func(t *testing.T) {
			quickest := time.Hour // a machine may stand still, but not every time
			for range 4 {
				if name == "spool" {
					opts.Spool.Dir = t.TempDir()
				}
				c := dial(t, &mute{}, opts)
				publish(t, c, 7)
				c.l.began = time.Now() // nobody else looks at it
				if name == "old" {
					c.l.began = c.l.began.Add(-firstPatience)
				}
				began := time.Now()
				r := c.Close(soon(t))
				quickest = min(quickest, time.Since(began))
				if r.Spooled+r.Remaining != 7 || (r.Spooled == 7) != (name == "spool") {
					t.Errorf("%+v", r)
				}
			}
			if name == "young" && quickest < firstPatience*3/4 || name != "young" && quickest >= firstPatience {
				t.Errorf("Close took %v at least", quickest)
			}
		})
	}
}

// TestNoGoroutineIsLeft: of connections that were shared, spooled, stalled, lost, broken, subscribed and closed.
func TestNoGoroutineIsLeft(t *testing.T) {
	cycle := func() {
		f := &adaptertest.Fake{Capacity: 10}
		shared := config(t, "[message-broker]", "share-connection=1")
		open := func(opts Options) *Connection {
			opts.ConnStr = "fake;1;events"
			opts.Log, opts.OnState, opts.OnDropped = func(adapters.LogEntry) {}, func(StateChange) {}, func(DropReport) {}
			c, err := connect(opts, f, false)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		list := []*Connection{open(Options{}), open(Options{ConfigPath: shared}), open(Options{ConfigPath: shared}),
			open(Options{MaxMessages: 30, Spool: Spool{Dir: t.TempDir(), Sync: spool.SyncNone}}),
			open(Options{Reconnect: Reconnect{Limit: time.Minute}}), open(Options{Reconnect: Reconnect{Off: true}})}
		for _, c := range list {
			connected(t, c)
			s, err := c.Subscribe(SubscribeOptions{Topics: []string{"in"}})
			if err != nil {
				t.Fatal(err)
			}
			if c == list[0] {
				s.Close()
			}
		}
		f.Stall(true)
		for _, c := range list {
			for range 50 {
				_ = c.Publish(Message{Payload: []byte("x")}) // some are too many
			}
		}
		opened := f.Opened()
		f.Break()
		adaptertest.Wait(t, "new sessions", func() bool { return f.Opened() > opened })
		f.Down(true)
		for i, c := range list {
			if i%2 == 0 { // the others end without a word
				_ = c.Drain(canceled())
			}
			c.Close(canceled())
		}
	}
	adaptertest.LeavesNothing(t, cycle, func() {
		for range 5 {
			cycle()
		}
	})
}

// TestClosedTogether: who closes second waits for the first, whose callbacks all come before the last one.
func TestClosedTogether(t *testing.T) {
	f := &adaptertest.Fake{}
	var mu sync.Mutex
	var events []string
	note := func(text string) {
		mu.Lock()
		defer mu.Unlock()
		events = append(events, text)
	}
	c := dial(t, f, Options{OnState: func(s StateChange) { note(s.New.String()) }, OnClosed: func() { note("over") }})
	publish(t, c, 1)
	c.Drain(soon(t))
	f.Stall(true)
	publish(t, c, 1)
	first := make(chan DrainReport)
	go func() { first <- c.Close(soon(t)) }()
	adaptertest.Wait(t, "the first Close", c.isClosed)
	second := make(chan DrainReport)
	go func() { second <- c.Close(soon(t)) }()
	if r := c.Close(canceled()); r.Remaining != 1 {
		t.Errorf("one that does not wait: %+v", r)
	}
	mu.Lock()
	if n := len(events); n > 0 && events[n-1] == "over" {
		t.Errorf("while one message is under way: %q", events)
	}
	mu.Unlock()
	f.Stall(false)
	if r := <-first; r.Acknowledged != 1 || r.Remaining != 0 {
		t.Errorf("the first: %+v", r)
	}
	if r := <-second; r.Remaining != 0 {
		t.Errorf("the second: %+v", r)
	}
	adaptertest.Wait(t, "the callbacks", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return events[len(events)-1] == "over"
	})
	mu.Lock()
	defer mu.Unlock()
	if got := strings.Join(events, " "); !strings.HasSuffix(got, "connected closed over") {
		t.Error(got)
	}
}

// TestStopEndsAPause: the pause before a new session ends at once when the connection is closed.
func TestStopEndsAPause(t *testing.T) {
	f := &adaptertest.Fake{}
	c := dial(t, f, Options{Reconnect: Reconnect{Interval: time.Hour, MaxInterval: time.Hour}})
	connected(t, c)
	f.Break()
	adaptertest.Wait(t, "the pause", func() bool { return c.Stats().State == StateReconnecting })
	publish(t, c, 3)
	adaptertest.Within(t, "Close", 500*time.Millisecond, func() {
		if r := c.Close(soon(t)); r.Remaining != 3 {
			t.Errorf("%+v", r)
		}
	})
	if f.Opened() != 1 {
		t.Error("there was another session")
	}
}
