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
)

func put(f *adaptertest.Fake, topic string, from, to int) {
	for i := from; i < to; i++ {
		f.Put(adaptertest.Received{Topic: topic, Payload: fmt.Appendf(nil, "%06d", i)})
	}
}

func subscribe(t testing.TB, c *Connection, o SubscribeOptions) *Subscription {
	t.Helper()
	o.FromStart = true
	s, err := c.Subscribe(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func next(t testing.TB, s *Subscription) adapters.Incoming {
	t.Helper()
	m, err := s.Next(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// expect takes the messages from to to-1.
func expect(t testing.TB, s *Subscription, from, to int, ack bool) {
	t.Helper()
	for i := from; i < to; i++ {
		m := next(t, s)
		if string(m.Payload) != fmt.Sprintf("%06d", i) {
			t.Fatalf("message %s, want %06d", m.Payload, i)
		}
		if ack {
			s.Ack(&m)
		}
	}
}

// nothing checks that nothing waits.
func nothing(t testing.TB, s *Subscription) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if m, err := s.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("%+v, %v", m, err)
	}
}

// TestSubscribe: messages come in order, never more than the window without an Ack.
func TestSubscribe(t *testing.T) {
	f := &adaptertest.Fake{}
	put(f, "a", 0, 100)
	c := dial(t, f, Options{ReceiveOnly: true})
	s := subscribe(t, c, SubscribeOptions{Topics: []string{"a"}, Group: "g", Window: 7})
	var held []adapters.Incoming
	for range 7 {
		held = append(held, next(t, s))
	}
	nothing(t, s)
	if st := c.Stats(); st.Unacknowledged != 7 || st.Received != 7 {
		t.Errorf("%+v", st)
	}
	for i := range held {
		s.Ack(&held[i])
		s.Ack(&held[i]) // again: no harm
	}
	expect(t, s, 7, 100, true)
	if n := f.Acknowledged("g", "a"); n != 100 {
		t.Errorf("%d acknowledged", n)
	}
	if st := c.Stats(); st.Unacknowledged != 0 || st.Received != 100 || st.ReceivedBytes != 600 || st.Redelivered != 0 {
		t.Errorf("%+v", st)
	}
	if err := c.Publish(Message{Payload: []byte("x")}); !errors.Is(err, ErrReceiveOnly) {
		t.Errorf("Publish: %v", err)
	}
	// The rest of a subscription that is closed is for the next.
	put(f, "a", 100, 110)
	expect(t, s, 100, 103, true)
	m := next(t, s)
	s.Close()
	s.Ack(&m)
	if _, err := s.Next(soon(t)); !errors.Is(err, ErrClosed) {
		t.Errorf("Next after Close: %v", err)
	}
	s = subscribe(t, c, SubscribeOptions{Topics: []string{"a"}, Group: "g"})
	expect(t, s, 103, 110, true)
	if st := c.Stats(); st.Redelivered == 0 {
		t.Errorf("%+v", st)
	}
}

// TestSubscribeAgain: outages and lost sessions interrupt a subscription and do not end it. What had no
// Ack comes again, and old Acks mean nothing.
func TestSubscribeAgain(t *testing.T) {
	f := &adaptertest.Fake{}
	c := dial(t, f, Options{Reconnect: Reconnect{Interval: time.Millisecond, MaxInterval: 2 * time.Millisecond}})
	words := make(chan string, 100)
	s := subscribe(t, c, SubscribeOptions{Topics: []string{"a"}, Group: "g", OnSubscribed: func(topic string, err error) {
		words <- fmt.Sprint(topic, err)
	}})
	if w := <-words; w != "a<nil>" {
		t.Error(w)
	}
	at := 0
	for round := range 5 {
		put(f, "a", at, at+10)
		expect(t, s, at, at+6, true)
		at += 6
		old := next(t, s) // one in hand, three waiting
		if round%2 == 0 {
			f.Break()
			adaptertest.Wait(t, "a new session", func() bool { return f.Opened() == 2+round/2 })
			<-words // the new session's
			s.Ack(&old)
			expect(t, s, at, at+4, true)
		} else {
			f.Down(true)
			f.Down(false)
			// The same session of the adapter: what is queued may come twice, and nothing is missing.
			seen := map[string]bool{string(old.Payload): true}
			for len(seen) < 4 {
				m := next(t, s)
				seen[string(m.Payload)] = true
				s.Ack(&m)
			}
			adaptertest.Wait(t, "the acknowledgements", func() bool {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
				defer cancel()
				if m, err := s.Next(ctx); err == nil {
					s.Ack(&m)
				}
				return f.Acknowledged("g", "a") == at+4
			})
		}
		at += 4
	}
	if n := f.Acknowledged("g", "a"); n != 50 {
		t.Errorf("%d acknowledged, want 50", n)
	}
}

// TestSubscribeShared: two users of a link share one subscription; what both take is acknowledged when both
// have.
func TestSubscribeShared(t *testing.T) {
	f := &adaptertest.Fake{}
	cfg := config(t, "[message-broker]", "share-connection = 1")
	a := dial(t, f, Options{ConfigPath: cfg, ReceiveOnly: true})
	b := dial(t, f, Options{ConfigPath: cfg})
	if a.l != b.l {
		t.Fatal("not shared")
	}
	one := subscribe(t, a, SubscribeOptions{Topics: []string{"both", "one*"}, Group: "g", Window: 50})
	if _, err := b.Subscribe(SubscribeOptions{Topics: []string{"both"}, Group: "other"}); err == nil || !strings.Contains(err.Error(), `group "g"`) {
		t.Errorf("another group: %v", err)
	}
	put(f, "both", 0, 5) // comes again when the second joins
	two := subscribe(t, b, SubscribeOptions{Topics: []string{"both", "two"}, Group: "g", Window: 50})
	if got := strings.Join(f.Subscribed(), " "); got != "both one* two" {
		adaptertest.Wait(t, "the union of topics", func() bool { return strings.Join(f.Subscribed(), " ") == "both one* two" })
	}
	expect(t, one, 0, 5, true)
	if n := f.Acknowledged("g", "both"); n != 0 {
		t.Errorf("%d acknowledged by one of two", n)
	}
	expect(t, two, 0, 5, true)
	if n := f.Acknowledged("g", "both"); n != 5 {
		t.Errorf("%d acknowledged, want 5", n)
	}
	put(f, "one-x", 0, 3)
	put(f, "two", 0, 3)
	expect(t, one, 0, 3, true)
	expect(t, two, 0, 3, false)
	nothing(t, one)
	nothing(t, two)
	// When one leaves, the other need not wait for it, and what was its own is not acknowledged.
	put(f, "both", 5, 8)
	expect(t, one, 5, 8, true)
	two.Close()
	two.Close()
	adaptertest.Wait(t, "what the first has taken counts", func() bool { return f.Acknowledged("g", "both") == 8 })
	if n := f.Acknowledged("g", "two"); n != 0 {
		t.Errorf("%d of the one that left acknowledged", n)
	}
	a.Close(soon(t))
	if got := f.Subscribed(); len(got) != 0 {
		t.Errorf("still subscribed to %v", got)
	}
	if _, err := a.Subscribe(SubscribeOptions{Topics: []string{"x"}}); !errors.Is(err, ErrClosed) {
		t.Errorf("Subscribe after Close: %v", err)
	}
}

// TestSubscribeSlowTaker: one that takes nothing holds the other up and loses nothing.
func TestSubscribeSlowTaker(t *testing.T) {
	f := &adaptertest.Fake{}
	put(f, "a", 0, 30)
	c := dial(t, f, Options{})
	quick := subscribe(t, c, SubscribeOptions{Topics: []string{"a"}, Window: 10})
	slow := subscribe(t, c, SubscribeOptions{Topics: []string{"a"}, Window: 10})
	expect(t, quick, 0, 10, true)
	nothing(t, quick)
	expect(t, slow, 0, 10, true)
	expect(t, quick, 10, 20, true)
	slow.Close()
	expect(t, quick, 20, 30, true)
}

func TestSubscribeRefused(t *testing.T) {
	f := &adaptertest.Fake{RejectTopic: "nowhere"}
	c := dial(t, f, Options{})
	for _, topics := range [][]string{nil, {""}, {"a", ""}} {
		if _, err := c.Subscribe(SubscribeOptions{Topics: topics}); err == nil {
			t.Errorf("%q was accepted", topics)
		}
	}
	if _, err := c.Subscribe(SubscribeOptions{Topics: []string{"a"}, Window: -1}); err == nil {
		t.Error("a negative window was accepted")
	}
	word := make(chan error, 1)
	s := subscribe(t, c, SubscribeOptions{Topics: []string{"nowhere"}, OnSubscribed: func(_ string, err error) { word <- err }})
	if err := <-word; !errors.Is(err, adapters.ErrUnknownTopic) {
		t.Error(err)
	}
	if st := c.Stats(); !strings.Contains(st.LastError, "nowhere") {
		t.Errorf("last error %q", st.LastError)
	}
	s.Close()
	deaf, err := connect(Options{ConnStr: "fake;1"}, noConsumer{f}, false)
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close(canceled())
	if _, err := deaf.Subscribe(SubscribeOptions{Topics: []string{"a"}}); !errors.Is(err, adapters.ErrNotSupported) {
		t.Errorf("a protocol that cannot: %v", err)
	}
}

type noConsumer struct{ adapters.Adapter }

func (noConsumer) Name() string { return "deaf" }
func (noConsumer) Capabilities() adapters.Capabilities {
	return adapters.Capabilities{}
}

// TestSubscribeFailed: when the connection gives up, so does Next.
func TestSubscribeFailed(t *testing.T) {
	f := &adaptertest.Fake{}
	put(f, "a", 0, 2)
	c := dial(t, f, Options{Reconnect: Reconnect{Off: true}})
	s := subscribe(t, c, SubscribeOptions{Topics: []string{"a"}})
	expect(t, s, 0, 2, true)
	f.Down(true)
	if _, err := s.Next(soon(t)); !errors.Is(err, ErrFailed) {
		t.Errorf("Next: %v", err)
	}
}

// TestSubscribeStorm: joining, taking and leaving from many goroutines while sessions break.
func TestSubscribeStorm(t *testing.T) {
	f := &adaptertest.Fake{}
	c := dial(t, f, Options{Reconnect: Reconnect{Interval: time.Millisecond, MaxInterval: time.Millisecond}})
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			put(f, "storm", i, i+1)
			switch i % 40 {
			case 10:
				f.Break()
			case 20:
				f.Down(true)
			case 21:
				f.Down(false)
			}
			time.Sleep(100 * time.Microsecond)
		}
	})
	var takers sync.WaitGroup
	for i := range 4 {
		takers.Go(func() {
			for round := range 20 {
				s, err := c.Subscribe(SubscribeOptions{Topics: []string{"storm", fmt.Sprint(i, round%3)}, Group: "g", Window: 5 + i, FromStart: true})
				if err != nil {
					t.Error(err)
					return
				}
				takers.Go(func() { time.Sleep(3 * time.Millisecond); s.Close() })
				for {
					m, err := s.Next(context.Background())
					if err != nil {
						break
					}
					s.Ack(&m)
				}
			}
		})
	}
	takers.Wait()
	close(stop)
	wg.Wait()
	f.Down(false)
	if st := c.Stats(); st.Unacknowledged != 0 {
		t.Errorf("%+v", st)
	}
	s := subscribe(t, c, SubscribeOptions{Topics: []string{"storm"}, Group: "g"})
	want := 0
	for _, m := range f.Received() {
		if m.Topic == "storm" {
			want++
		}
	}
	adaptertest.Wait(t, "the rest", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		for m, err := s.Next(ctx); err == nil; m, err = s.Next(ctx) {
			s.Ack(&m)
		}
		return f.Acknowledged("g", "storm") == want
	})
}

// TestStrays: what the protocol brings and nobody has asked for is acknowledged, and told once for each topic, up to a bound.
func TestStrays(t *testing.T) {
	f := &adaptertest.Fake{}
	var mu sync.Mutex
	var logs []string
	c := dial(t, f, Options{Log: func(e adapters.LogEntry) { mu.Lock(); logs = append(logs, e.Text); mu.Unlock() }})
	first, second := subscribe(t, c, SubscribeOptions{Topics: []string{"a"}}), subscribe(t, c, SubscribeOptions{Topics: []string{"b"}})
	rx := &c.l.rx
	bring := func(topics ...string) {
		rx.mu.Lock()
		r := &lifeReceiver{rx, rx.life}
		rx.mu.Unlock()
		var in []adapters.Incoming
		for _, topic := range topics {
			in = append(in, adapters.Incoming{Topic: topic, Payload: []byte("x")})
		}
		r.Receive(in)
	}
	told := func(n int) []string {
		t.Helper()
		adaptertest.Wait(t, fmt.Sprint(n, " words"), func() bool { mu.Lock(); defer mu.Unlock(); return len(logs) >= n })
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), logs...)
	}
	bring("a", "stray", "b", "stray")
	bring("stray")
	if m := next(t, first); m.Topic != "a" {
		t.Error(m.Topic)
	}
	if m := next(t, second); m.Topic != "b" {
		t.Error(m.Topic)
	}
	if got := told(1); !strings.Contains(got[0], `topic "stray" are acknowledged and dropped`) || strings.Contains(got[0], "further") {
		t.Error(got)
	}
	long := strings.Repeat("long", 1000)
	for i := range 2 * maxStrays {
		bring(fmt.Sprint(i, long))
	}
	got := told(maxStrays)
	bring("one more")
	time.Sleep(20 * time.Millisecond)
	if n := len(told(maxStrays)); n != maxStrays || !strings.Contains(got[n-1], "Of further topics nothing is said") || len(got[n-1]) > 500 {
		t.Errorf("%d words, the last is %s", n, got[n-1])
	}
}
