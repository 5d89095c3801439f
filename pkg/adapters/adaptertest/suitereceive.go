// SPDX-License-Identifier: LGPL-2.1-or-later

package adaptertest

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/safe"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

// A Forgetful Server sends a message once: what was not acknowledged does not come again. The methods of
// Server are enough for all others.
type Forgetful interface{ Forgetful() bool }

// A Settling Server is told of acknowledgements from time to time. Settled waits until it knows of those of the first n
// messages.
type Settling interface {
	Settled(t *testing.T, topic, group string, n int)
}

// quiet is how long nothing must come where nothing is to come.
const quiet = 400 * time.Millisecond

// receiving is one run of the tests of the receiving half.
type receiving struct {
	a         adapters.Adapter
	s         Server
	forgetful bool
}

// runReceive tests what adapters.Consumer says. Messages are published through the adapter itself.
func runReceive(t *testing.T, a adapters.Adapter, s Server) {
	if !a.Capabilities().Subscribe {
		t.Skip("the protocol brings no messages")
	}
	x := &receiving{a: a, s: s}
	if f, ok := s.(Forgetful); ok {
		x.forgetful = f.Forgetful()
	}
	t.Run("deliver", x.testDeliver)
	t.Run("acknowledged", x.testAcknowledged)
	t.Run("window", x.testWindow)
	t.Run("topics", x.testTopics)
	t.Run("replaced", x.testReplaced)
	t.Run("renewed", x.testRenewed)
	t.Run("absent", x.testAbsent)
	t.Run("restart", x.testRestart)
	t.Run("close", x.testClose)
	t.Run("together", x.testTogether)
	t.Run("goodbye", x.testGoodbye)
}

// open makes a Conn that receives.
func (x *receiving) open(t *testing.T, receiveOnly bool) adapters.Consumer {
	t.Helper()
	c, err := x.a.Open(adapters.Config{ConnStr: x.s.ConnStr(), ConfigPath: x.s.ConfigPath(t), Strict: true, ReceiveOnly: receiveOnly}, NewRecorder())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	consumer, ok := c.(adapters.Consumer)
	if !ok {
		t.Fatalf("Capabilities say Subscribe, but %T is no adapters.Consumer", c)
	}
	return consumer
}

// subscribe also waits until the server has agreed, where messages from before that would not come.
func (x *receiving) subscribe(t *testing.T, c adapters.Consumer, cfg adapters.SubscribeConfig) *Collector {
	t.Helper()
	r := NewCollector()
	cfg.FromStart = true
	Within(t, "Subscribe, which must not wait for the network,", time.Second, func() {
		if err := c.Subscribe(cfg, r); err != nil {
			t.Error(err)
		}
	})
	if !x.a.Capabilities().Retained {
		x.agreed(t, r, cfg.Topics...)
	}
	return r
}

func (x *receiving) agreed(t *testing.T, r *Collector, topics ...string) {
	t.Helper()
	for _, topic := range topics {
		Wait(t, "the server's word on "+topic, func() bool {
			if err := r.Refused(topic); err != nil {
				t.Fatal(err)
			}
			return r.Agreed(topic) > 0
		})
	}
}

// publish sends the numbers from from to to-1, with one key, so that their order is kept.
func (x *receiving) publish(t *testing.T, topic string, from, to int) {
	t.Helper()
	c, err := x.a.Open(adapters.Config{ConnStr: x.s.ConnStr(), ConfigPath: x.s.ConfigPath(t), Strict: true}, NewRecorder())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	x.publishOn(t, c, topic, from, to)
}

func (x *receiving) publishOn(t *testing.T, c adapters.Conn, topic string, from, to int) {
	t.Helper()
	var b adapters.Batch
	for i := from; i < to; i++ {
		b.AddText(topic, adapters.Message{Seq: uint64(i + 1), Key: []byte("key"), Payload: []byte(number(i)),
			TimestampMS: 1_600_000_000_000 + int64(i), Headers: testHeaders(uint64(i))})
	}
	Send(t, c, &b)
	flush(t, c)
}

func number(i int) string { return fmt.Sprintf("%06d", i) }

// testHeaders are what every protocol with headers can carry: text, no name twice.
func testHeaders(n uint64) adapters.Headers {
	if n%2 == 0 {
		return nil
	}
	return adapters.Headers(nil).AppendString("first", "of "+fmt.Sprint(n)).AppendString("second", "größer")
}

// checkHeaders compares with testHeaders; their order is left to the protocol.
func checkHeaders(t *testing.T, got adapters.Headers, n uint64) {
	t.Helper()
	list := func(h adapters.Headers) (all []string) {
		h.Each(func(name, value []byte) bool {
			if s := string(name); s != adapters.SessionHeader && s != adapters.NumberHeader {
				all = append(all, s+"="+string(value))
			}
			return true
		})
		slices.Sort(all)
		return all
	}
	if g, w := list(got), list(testHeaders(n)); !slices.Equal(g, w) {
		t.Fatalf("message %d: headers %q, want %q", n, g, w)
	}
}

// inOrder fails unless the payloads, each counted where it came first, are exactly the numbers from from on.
func inOrder(t *testing.T, got []adapters.Incoming, from, to int) {
	t.Helper()
	seen := map[string]bool{}
	next := from
	for i := range got {
		p := string(got[i].Payload)
		if seen[p] {
			continue
		}
		seen[p] = true
		if p != number(next) {
			t.Fatalf("message %d of %d is %q, want %s", i, len(got), p, number(next))
		}
		next++
	}
	if next != to {
		t.Fatalf("messages up to %d, want %d", next, to)
	}
}

// testDeliver: every message comes once, whole, in order.
func (x *receiving) testDeliver(t *testing.T) {
	c := x.open(t, true)
	topic := topicOf(t)
	const count = 500
	r := x.subscribe(t, c, adapters.SubscribeConfig{Topics: []string{topic}, Group: topic, Window: count + 1})
	x.publish(t, topic, 0, count)
	x.agreed(t, r, topic)
	got := r.Wait(t, count)
	inOrder(t, got, 0, count)
	caps := x.a.Capabilities()
	for i := range got {
		m := &got[i]
		if m.Topic != topic {
			t.Fatalf("topic %q", m.Topic)
		}
		if caps.Keys && string(m.Key) != "key" {
			t.Fatalf("key %q", m.Key)
		}
		if caps.Timestamps && m.TimestampMS != 1_600_000_000_000+int64(i) {
			t.Fatalf("timestamp %d", m.TimestampMS)
		}
		if caps.Headers {
			checkHeaders(t, m.Headers, uint64(i))
		}
	}
	c.Ack(got)
	time.Sleep(quiet)
	if n := r.Count(); n != count {
		t.Errorf("%d messages came, want %d", n, count)
	}
	if r.overlaps > 0 {
		t.Error("the receiver was called by two goroutines at once")
	}
	if caps.Binary {
		payload := bytes.Repeat([]byte{0, 1, 0xfe, '\n'}, 50_000)
		var b adapters.Batch
		b.Append(1, 0, topic, []byte("key"), payload)
		p := x.open(t, false)
		Send(t, p, &b)
		flush(t, p)
		if got := r.Wait(t, count+1); !bytes.Equal(got[count].Payload, payload) {
			t.Errorf("%d bytes came, want %d, or they are others", len(got[count].Payload), len(payload))
		}
	}
}

// testAcknowledged: what was acknowledged does not come again to its group, what was not does.
func (x *receiving) testAcknowledged(t *testing.T) {
	topic := topicOf(t)
	cfg := adapters.SubscribeConfig{Topics: []string{topic}, Group: topic}
	c := x.open(t, true)
	r := x.subscribe(t, c, cfg)
	x.publish(t, topic, 0, 20)
	got := r.Wait(t, 20)
	c.Ack(got[:5])
	c.Ack(got[5:12])
	c.Ack(got[3:6]) // a second time: no harm
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	c.Ack(got[12:]) // too late
	if x.forgetful {
		return
	}
	c = x.open(t, true)
	c.Ack(got[12:]) // of an earlier session
	r = x.subscribe(t, c, cfg)
	got = r.Wait(t, 8)
	inOrder(t, got, 12, 20)
	c.Ack(got)
	x.publish(t, topic, 20, 25)
	inOrder(t, r.Wait(t, 13), 12, 25)
	_ = c.Close()
	c = x.open(t, true) // the last five have no acknowledgement
	inOrder(t, x.subscribe(t, c, cfg).Wait(t, 5), 20, 25)
}

// testWindow: no more come than may be without an acknowledgement, and none is lost for it.
func (x *receiving) testWindow(t *testing.T) {
	topic := topicOf(t)
	const window, count = 10, 100
	c := x.open(t, true)
	r := x.subscribe(t, c, adapters.SubscribeConfig{Topics: []string{topic}, Group: topic, Window: window})
	x.publish(t, topic, 0, count)
	r.Wait(t, window)
	time.Sleep(quiet)
	acked := 0
	for step := 1; acked < count; step = step%4 + 1 {
		got := r.Messages()
		if len(got) > acked+window {
			t.Fatalf("%d messages came with %d acknowledged and a window of %d", len(got), acked, window)
		}
		n := min(step, len(got)-acked)
		if n == 0 {
			r.Wait(t, acked+1)
			continue
		}
		acked += n
		c.Ack(got[acked-n : acked])
	}
	inOrder(t, r.Messages(), 0, count)
}

// testTopics: one subscription to several topics, on a Conn that publishes too.
func (x *receiving) testTopics(t *testing.T) {
	c := x.open(t, false)
	base := topicOf(t)
	topics := []string{base + "-a", base + "-b", base + "-c"}
	r := x.subscribe(t, c, adapters.SubscribeConfig{Topics: topics, Group: base})
	for i, topic := range topics {
		x.publishOn(t, c, topic, i*10, i*10+10)
	}
	x.agreed(t, r, topics...)
	Wait(t, "all messages", func() bool { return r.Different() == 30 }) // without an Ack they may come again
	got := r.Messages()
	for i, topic := range topics {
		inOrder(t, slices.DeleteFunc(slices.Clone(got), func(m adapters.Incoming) bool { return m.Topic != topic }), i*10, i*10+10)
	}
	c.Ack(got)
}

// testReplaced: a second Subscribe ends the first.
func (x *receiving) testReplaced(t *testing.T) {
	c := x.open(t, true)
	base := topicOf(t)
	first := x.subscribe(t, c, adapters.SubscribeConfig{Topics: []string{base + "-a"}, Group: base})
	x.publish(t, base+"-a", 0, 5)
	c.Ack(first.Wait(t, 5))
	second := x.subscribe(t, c, adapters.SubscribeConfig{Topics: []string{base + "-b"}, Group: base})
	x.publish(t, base+"-a", 5, 10)
	x.publish(t, base+"-b", 0, 5)
	inOrder(t, second.Wait(t, 5), 0, 5)
	time.Sleep(quiet)
	if n := first.Count(); n != 5 {
		t.Errorf("%d messages came to the first receiver, want 5", n)
	}
	if n := second.Count(); n != 5 {
		t.Errorf("%d messages came to the second receiver, want 5", n)
	}
	if err := c.Subscribe(adapters.SubscribeConfig{}, nil); err != nil {
		t.Error(err)
	}
	x.publish(t, base+"-b", 5, 10)
	time.Sleep(quiet)
	if n := second.Count(); n != 5 {
		t.Errorf("%d messages after the end of the subscription", n-5)
	}
}

// testRenewed: what the first receiver has not acknowledged comes to the second, and nothing stands in its way.
func (x *receiving) testRenewed(t *testing.T) {
	c := x.open(t, true)
	topic := topicOf(t)
	cfg := adapters.SubscribeConfig{Topics: []string{topic}, Group: topic, Window: 8}
	first := x.subscribe(t, c, cfg)
	x.publish(t, topic, 0, 8)
	got := first.Wait(t, 8)
	c.Ack(got[:2])
	second := NewCollector()
	if err := c.Subscribe(cfg, second); err != nil {
		t.Fatal(err)
	}
	Wait(t, "what was not acknowledged", func() bool { return second.Different() == 6 })
	again := second.Messages()
	inOrder(t, again, 2, 8)
	c.Ack(got[2:]) // of the first subscription: means nothing
	c.Ack(again)
	x.publish(t, topic, 8, 24)
	done := len(again)
	Wait(t, "what came later", func() bool {
		all := second.Messages()
		c.Ack(all[done:])
		done = len(all)
		return second.Different() == 22
	})
}

// testAbsent: a subscription can be made while the server is away.
func (x *receiving) testAbsent(t *testing.T) {
	x.s.Stop(t)
	up := false
	defer func() {
		if !up {
			x.s.Start(t)
		}
	}()
	c := x.open(t, true)
	topic := topicOf(t)
	r := NewCollector()
	if err := c.Subscribe(adapters.SubscribeConfig{Topics: []string{topic}, Group: topic, FromStart: true}, r); err != nil {
		t.Fatal(err)
	}
	time.Sleep(quiet)
	if r.Agreed(topic) > 0 {
		t.Error("a server that is away has agreed")
	}
	x.s.Start(t)
	up = true
	if !x.a.Capabilities().Retained {
		x.agreed(t, r, topic)
	}
	x.publish(t, topic, 0, 10)
	inOrder(t, r.Wait(t, 10), 0, 10)
}

// testRestart: an outage of the server interrupts a subscription and does not end it.
func (x *receiving) testRestart(t *testing.T) {
	c := x.open(t, true)
	topic := topicOf(t)
	r := x.subscribe(t, c, adapters.SubscribeConfig{Topics: []string{topic}, Group: topic})
	x.publish(t, topic, 0, 30)
	got := r.Wait(t, 30)
	c.Ack(got[:20])
	if s, ok := x.s.(Settling); ok {
		s.Settled(t, topic, topic, 20)
	}
	before := r.Agreed(topic)
	time.Sleep(quiet) // well before the outage, as is asked below
	x.s.Stop(t)
	time.Sleep(quiet)
	c.Ack(got[20:25]) // to nobody, or kept for later
	x.s.Start(t)
	if !x.a.Capabilities().Retained {
		Wait(t, "the subscription after the restart", func() bool { return r.Agreed(topic) > before })
	}
	x.publish(t, topic, 30, 60)
	Wait(t, "all messages", func() bool { return r.Different() == 60 })
	got = r.Messages()
	c.Ack(got)
	if x.forgetful {
		return
	}
	inOrder(t, got, 0, 60)
	for _, m := range got[min(30, len(got)):] {
		if p := string(m.Payload); p < number(20) {
			t.Errorf("message %s came again, though it was acknowledged well before the outage", p)
		}
	}
}

// testClose: Close while messages come in is quick, ends all calls and leaves no goroutine behind.
func (x *receiving) testClose(t *testing.T) {
	topic := topicOf(t)
	before := runtime.NumGoroutine()
	for _, away := range []bool{false, true} {
		c := x.open(t, true)
		r := x.subscribe(t, c, adapters.SubscribeConfig{Topics: []string{topic}, Group: fmt.Sprint(topic, away), Window: 1 << 20})
		x.publish(t, topic, 0, 500)
		r.Wait(t, 1)
		if away {
			x.s.Stop(t)
			defer x.s.Start(t)
		}
		c.Ack(r.Messages())
		Within(t, fmt.Sprintf("Close (server away: %v)", away), time.Second, func() {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
		_ = c.Close()
		r.mu.Lock()
		calls := r.calls
		r.mu.Unlock()
		c.Ack(r.Messages())
		if err := c.Subscribe(adapters.SubscribeConfig{Topics: []string{topic}}, r); err == nil {
			t.Error("Subscribe after Close was accepted")
		} else if !strings.Contains(err.Error(), "closed") {
			t.Errorf("Subscribe after Close: %v", err)
		}
		time.Sleep(50 * time.Millisecond)
		r.mu.Lock()
		if r.calls != calls {
			t.Error("the receiver was called after Close")
		}
		r.mu.Unlock()
	}
	Wait(t, "goroutines to end", func() bool { return runtime.NumGoroutine() <= before+4 })
}

// testTogether: Subscribe and Close at once: when both are back nothing runs and nobody is called any more.
func (x *receiving) testTogether(t *testing.T) {
	topic := topicOf(t)
	before := runtime.NumGoroutine()
	for round := range 12 {
		rec := NewRecorder()
		conn, err := x.a.Open(adapters.Config{ConnStr: x.s.ConnStr(), ConfigPath: x.s.ConfigPath(t), Strict: true, ReceiveOnly: true}, rec)
		if err != nil {
			t.Fatal(err)
		}
		c := conn.(adapters.Consumer)
		r := NewCollector()
		var wg sync.WaitGroup
		for range 2 {
			safe.Go(&wg, "subscribing", func(cause *safe.PanicError) { t.Error(cause) }, func() {
				for range 1 + round%3 {
					_ = c.Subscribe(adapters.SubscribeConfig{Topics: []string{topic}, Group: topic, FromStart: true}, r)
				}
			})
		}
		time.Sleep(time.Duration(round%4) * time.Millisecond)
		_ = c.Close()
		wg.Wait()
		calls, told := func() (int, int) {
			r.mu.Lock()
			defer r.mu.Unlock()
			return r.calls, len(rec.States())
		}()
		time.Sleep(5 * time.Millisecond)
		r.mu.Lock()
		if r.calls != calls || len(rec.States()) != told {
			t.Errorf("round %d: calls after the end", round)
		}
		r.mu.Unlock()
	}
	Wait(t, "goroutines to end", func() bool { return runtime.NumGoroutine() <= before+4 })
}
