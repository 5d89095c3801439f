// SPDX-License-Identifier: LGPL-2.1-or-later

package amqp

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	rabbit "github.com/rabbitmq/amqp091-go"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
)

// A taker is a Receiver that remembers.
type taker struct {
	mu     sync.Mutex
	got    []adapters.Incoming
	agreed map[string]error
}

func (r *taker) Receive(m []adapters.Incoming) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, m...)
}

func (r *taker) Subscribed(topic string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.agreed == nil {
		r.agreed = map[string]error{}
	}
	r.agreed[topic] = err
}

func (r *taker) all() []adapters.Incoming {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]adapters.Incoming(nil), r.got...)
}

func (r *taker) word(topic string) (error, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	err, ok := r.agreed[topic]
	return err, ok
}

func (r *taker) wait(t *testing.T, n int) []adapters.Incoming {
	t.Helper()
	adaptertest.Wait(t, fmt.Sprint(n, " messages"), func() bool { return len(r.all()) >= n })
	return r.all()
}

func subscribe(t *testing.T, c *conn, cfg adapters.SubscribeConfig) *taker {
	t.Helper()
	r := &taker{}
	must(t, c.Subscribe(cfg, r))
	adaptertest.Wait(t, "the word of the server", func() bool {
		for _, topic := range cfg.Topics {
			if _, ok := r.word(topic); !ok {
				return false
			}
		}
		return true
	})
	return r
}

func receiver(t *testing.T, s *testServer) *conn {
	t.Helper()
	r := adaptertest.NewRecorder()
	c, err := adapter{}.Open(adapters.Config{ConnStr: s.ConnStr(), ConfigPath: s.ConfigPath(t), Strict: true, ReceiveOnly: true,
		RetryInterval: 50 * time.Millisecond, MaxRetryInterval: 200 * time.Millisecond}, r)
	must(t, err)
	t.Cleanup(func() { _ = c.Close() })
	r.WaitState(t, adapters.Connected)
	return c.(*conn)
}

func numbers(m []adapters.Incoming) string {
	var b strings.Builder
	for i := range m {
		fmt.Fprintf(&b, "%s ", m[i].Payload)
	}
	return b.String()
}

// TestGroup: order, window, acknowledgement over sessions, what else belongs to a message.
func TestGroup(t *testing.T) {
	s := server(t)
	t.Cleanup(func() { s.ctl(t, "delete_queue", "group-1") })
	cfg := adapters.SubscribeConfig{Topics: []string{"sub.*.x", "other"}, Group: "group-1", Window: 10}
	c := receiver(t, s)
	got := subscribe(t, c, cfg)
	p, r := open(t, s.ConnStr(), "exchange="+testExchange+"\n")
	var b adapters.Batch
	for i := range uint64(30) {
		b.AddText([]string{"sub.a.x", "sub.b.x", "other"}[i%3], adapters.Message{Seq: i + 1, TimestampMS: 1_600_000_000_001, Session: 1, Number: i,
			Key: []byte("key"), Payload: fmt.Appendf(nil, "%d\x00", i), Headers: adapters.Headers{}.AppendString("n", "v")})
	}
	adaptertest.Send(t, p, &b)
	r.WaitResults(t, 30)
	got.wait(t, 10)
	time.Sleep(100 * time.Millisecond)
	first := got.all()
	if len(first) != 10 {
		t.Fatalf("%d messages with a window of 10", len(first))
	}
	if m := first[4]; m.Topic != "sub.b.x" || string(m.Payload) != "4\x00" || string(m.Key) != "key" || m.TimestampMS != 1_600_000_000_001 || m.Redelivered {
		t.Errorf("%+v", m)
	}
	for name, want := range map[string]string{"n": "v", adapters.SessionHeader: "0000000000000001", adapters.NumberHeader: "4"} {
		if v, ok := first[4].Headers.Get(name); !ok || string(v) != want {
			t.Errorf("header %s: %q", name, v)
		}
	}
	c.Ack(first[3:7]) // not the first ones
	got.wait(t, 14)
	c.Ack(first[:3])
	c.Ack(first[:3]) // twice does no harm
	got.wait(t, 17)
	c.Ack(got.all()[7:12])
	got.wait(t, 22)
	must(t, c.Close())
	c.Ack(got.all()) // too late, and no harm
	n := len(got.all())
	if want := "0\x00 1\x00 2\x00 3\x00 4\x00 5\x00 6\x00 7\x00 8\x00 9\x00 10\x00 11\x00"; !strings.HasPrefix(numbers(got.all()), want) {
		t.Error(numbers(got.all()))
	}

	// What was not acknowledged comes again, and is said to.
	c = receiver(t, s)
	cfg.Window = 0
	got = subscribe(t, c, cfg)
	second := got.wait(t, 18)
	for i, m := range second {
		if want := fmt.Sprintf("%d\x00", i+12); string(m.Payload) != want || m.Redelivered != (i+12 < n) {
			t.Errorf("message %q, redelivered %v; want %q", m.Payload, m.Redelivered, want)
		}
	}
	c.Ack(second)
	must(t, c.Close())
	c = receiver(t, s)
	got = subscribe(t, c, cfg)
	time.Sleep(200 * time.Millisecond)
	if again := got.all(); len(again) != 0 {
		t.Errorf("acknowledged, and sent again: %s", numbers(again))
	}
}

// TestOutage: a subscription comes back after one, and what came meanwhile, too.
func TestOutage(t *testing.T) {
	s := server(t)
	t.Cleanup(func() { s.ctl(t, "delete_queue", "group-2") })
	c := receiver(t, s)
	got := subscribe(t, c, adapters.SubscribeConfig{Topics: []string{"outage.#"}, Group: "group-2"})
	p, r := open(t, s.ConnStr(), "exchange="+testExchange+"\n")
	adaptertest.Send(t, p, adaptertest.BatchOf(1, "outage.1", 100))
	c.Ack(got.wait(t, 100)[:50])
	r.WaitResults(t, 100)
	adaptertest.Wait(t, "the acknowledgements", func() bool {
		return strings.Contains(s.ctl(t, "list_queues", "name", "messages_unacknowledged"), "group-2\t50\n")
	})
	s.ctl(t, "close_all_connections", "for the test")
	adaptertest.Send(t, p, adaptertest.BatchOf(101, "outage.2", 100))
	c.Ack(got.wait(t, 100)[50:100]) // of a session that is over: ignored
	all := got.wait(t, 250)
	seen := map[string]int{}
	for i, m := range all {
		seen[string(m.Payload)]++
		if i >= 100 && m.Redelivered != (string(m.Payload) <= "000100") {
			t.Errorf("%s redelivered: %v", m.Payload, m.Redelivered)
		}
	}
	for i := range 200 {
		want := 1
		if i >= 50 && i < 100 {
			want = 2
		}
		if n := seen[fmt.Sprintf("%06d", i+1)]; n != want {
			t.Errorf("message %d came %d times, want %d", i+1, n, want)
		}
	}
}

// TestReplaced: the former receiver is silent when Subscribe returns, and the group's queue forgets its topics.
func TestReplaced(t *testing.T) {
	s := server(t)
	t.Cleanup(func() { s.ctl(t, "delete_queue", "group-3") })
	c := receiver(t, s)
	first := subscribe(t, c, adapters.SubscribeConfig{Topics: []string{"replaced.a", "replaced.b"}, Group: "group-3"})
	second := subscribe(t, c, adapters.SubscribeConfig{Topics: []string{"replaced.b", "replaced.c"}, Group: "group-3"})
	p, r := open(t, s.ConnStr(), "exchange="+testExchange+"\n")
	var b adapters.Batch
	for i, topic := range []string{"replaced.a", "replaced.b", "replaced.c"} {
		b.Append(uint64(i+1), 0, topic, nil, []byte(topic))
	}
	adaptertest.Send(t, p, &b)
	r.WaitResults(t, 3)
	if err, _ := r.Result(1); !errors.Is(err, adapters.ErrUnknownTopic) {
		t.Errorf("the former topic is still bound: %v", err)
	}
	if m := second.wait(t, 2); numbers(m) != "replaced.b replaced.c " || len(first.all()) != 0 {
		t.Errorf("%s; the former one: %s", numbers(m), numbers(first.all()))
	}
	must(t, c.Subscribe(adapters.SubscribeConfig{}, nil))
	adaptertest.Send(t, p, adaptertest.BatchOf(4, "replaced.b", 1))
	r.WaitResults(t, 4)
	time.Sleep(100 * time.Millisecond)
	if n := len(second.all()); n != 2 {
		t.Errorf("%d messages after the end", n)
	}
	c.Ack(second.all())
}

// TestNoGroup: a queue of one's own, that ends with the connection; publishing and receiving over one Conn.
func TestNoGroup(t *testing.T) {
	s := server(t)
	c, r := open(t, s.ConnStr(), "exchange="+testExchange+"\n")
	a := subscribe(t, c, adapters.SubscribeConfig{Topics: []string{"own.*"}})
	other := receiver(t, s)
	b := subscribe(t, other, adapters.SubscribeConfig{Topics: []string{"own.#"}})
	adaptertest.Send(t, c, adaptertest.BatchOf(1, "own.x", 500))
	r.WaitResults(t, 500)
	for _, got := range []*taker{a, b} {
		for i, m := range got.wait(t, 500) {
			if string(m.Payload) != fmt.Sprintf("%06d", i+1) {
				t.Fatalf("message %d is %s", i, m.Payload)
			}
		}
	}
	r.WaitState(t, adapters.Connected)
	must(t, c.Close())
	must(t, other.Close())
	adaptertest.Wait(t, "the queues to end", func() bool { return !strings.Contains(s.ctl(t, "list_queues", "name"), "amq.gen") })
}

// TestSubscribeRefused: what the server refuses for good is told for each topic; the others go on.
func TestSubscribeRefused(t *testing.T) {
	s := server(t)
	conn, ch, err := s.dial()
	must(t, err)
	defer conn.Close()
	_, err = ch.QueueDeclare("group-4", false, false, true, false, nil) // exclusive to this test
	must(t, err)
	c := receiver(t, s)
	got := subscribe(t, c, adapters.SubscribeConfig{Topics: []string{"refused"}, Group: "group-4"})
	if err, _ := got.word("refused"); !errors.Is(err, adapters.ErrUnauthorized) && !errors.Is(err, adapters.ErrRejected) {
		t.Error(err)
	}
	s.ctl(t, "add_user", "reader", "reader-password")
	defer s.ctl(t, "delete_user", "reader")
	s.ctl(t, "set_permissions", "reader", ".*", ".*", ".*")
	s.ctl(t, "set_topic_permissions", "reader", testExchange, ".*", "^mine")
	c, _ = open(t, s.ConnStr()+";reader;reader-password", "exchange="+testExchange+"\n")
	got = subscribe(t, c, adapters.SubscribeConfig{Topics: []string{"mine.1", "theirs.1", "mine.2"}})
	for topic, refused := range map[string]bool{"mine.1": false, "theirs.1": true, "mine.2": false} {
		if err, _ := got.word(topic); (err != nil) != refused || refused && !errors.Is(err, adapters.ErrUnauthorized) {
			t.Errorf("%s: %v", topic, err)
		}
	}
	p, r := open(t, s.ConnStr(), "exchange="+testExchange+"\n")
	adaptertest.Send(t, p, adaptertest.BatchOf(1, "mine.2", 1))
	r.WaitResults(t, 1)
	got.wait(t, 1)
	for _, cfg := range []adapters.SubscribeConfig{{Topics: []string{strings.Repeat("x", 300)}}, {Topics: []string{"x"}, Group: "amq.x"}} {
		if err := c.Subscribe(cfg, got); err == nil {
			t.Errorf("%+v was accepted", cfg)
		}
	}
	must(t, c.Close())
	if err := c.Subscribe(adapters.SubscribeConfig{Topics: []string{"x"}}, got); err == nil {
		t.Error("subscribed to a closed connection")
	}
}

// TestReply answers the sender of a request.
func TestReply(t *testing.T) {
	s := server(t)
	c := receiver(t, s)
	got := subscribe(t, c, adapters.SubscribeConfig{Topics: []string{"command"}})
	conn, ch, err := s.dial()
	must(t, err)
	defer conn.Close()
	q, err := ch.QueueDeclare("", false, true, true, false, nil)
	must(t, err)
	answers, err := ch.Consume(q.Name, "", true, false, false, false, nil)
	must(t, err)
	must(t, ch.Publish(testExchange, "command", true, false, rabbit.Publishing{ReplyTo: q.Name, CorrelationId: "c-1", Body: []byte("ask"), Headers: rabbit.Table{"x": int32(3)}}))
	must(t, ch.Publish(testExchange, "command", true, false, rabbit.Publishing{Body: []byte("tell")}))
	m := got.wait(t, 2)
	if v, _ := m[0].Headers.Get("x"); string(v) != "3" || m[0].TimestampMS != 0 || m[1].Reply != nil {
		t.Errorf("%+v", m)
	}
	must(t, m[0].Reply(404, []byte(`{"no":1}`)))
	d := <-answers
	if d.CorrelationId != "c-1" || string(d.Body) != `{"no":1}` || d.Headers["status"] != int32(404) || d.ContentType != contentJSON {
		t.Errorf("%+v", d)
	}
	must(t, c.Close())
	if err := m[0].Reply(0, nil); err == nil {
		t.Error("an answer after the end")
	}
}
