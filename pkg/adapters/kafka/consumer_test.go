// SPDX-License-Identifier: LGPL-2.1-or-later

package kafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
	"github.com/gst-edgewire/gst-edgewire/pkg/broker"
)

// everywhere runs a test on the server in this process, and on a real one if there is one.
func everywhere(t *testing.T, test func(t *testing.T, connStr string)) {
	t.Run("fake", func(t *testing.T) {
		test(t, newServer(t, kfake.AllowAutoTopicCreation()).ConnStr())
	})
	t.Run("real", func(t *testing.T) {
		if external() == "" {
			t.Skip("EDGEWIRE_KAFKA is not set: NOT tested with a real server")
		}
		test(t, strings.Replace(external(), ":", ";", 1))
	})
}

func unique(t *testing.T) string {
	return fmt.Sprintf("%s-%d", strings.NewReplacer("/", "-").Replace(t.Name()), time.Now().UnixNano())
}

// fill publishes the numbers from from to to-1; the key is the number modulo keys.
func fill(t *testing.T, connStr, topic string, from, to, keys int) {
	t.Helper()
	c := connect(t, nil, broker.Options{ConnStr: connStr, Topic: topic})
	for i := from; i < to; i++ {
		m := broker.Message{Key: fmt.Append(nil, i%keys), Payload: fmt.Appendf(nil, "%07d", i)}
		if err := c.PublishWait(m, 0, nil); err != nil {
			t.Fatal(err)
		}
	}
	if r := c.Drain(deadline(t, 60*time.Second)); r.Remaining != 0 || r.Failed != 0 {
		t.Fatalf("%+v", r)
	}
}

func receiveFrom(t *testing.T, connStr, config string, o broker.SubscribeOptions) (*broker.Connection, *broker.Subscription) {
	t.Helper()
	c := connect(t, nil, broker.Options{ConnStr: connStr, ConfigPath: config, ReceiveOnly: true})
	o.FromStart = true
	s, err := c.Subscribe(o)
	if err != nil {
		t.Fatal(err)
	}
	return c, s
}

func nextOf(t *testing.T, s *broker.Subscription) adapters.Incoming {
	t.Helper()
	m, err := s.Next(deadline(t, 40*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// committed waits until that is the place of a group in the partition of a topic that has one.
func committed(t *testing.T, connStr, group, topic string, offset int64) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(strings.Replace(connStr, ";", ":", 1)))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	adaptertest.Wait(t, fmt.Sprint("the place ", offset), func() bool {
		req := kmsg.NewPtrOffsetFetchRequest()
		req.Group = group
		g := kmsg.NewOffsetFetchRequestGroup()
		g.Group = group
		req.Groups = append(req.Groups, g)
		resp, err := req.RequestWith(t.Context(), cl)
		if err != nil {
			return false
		}
		for _, g := range resp.Groups {
			for _, x := range g.Topics {
				for _, p := range x.Partitions {
					if x.Topic == topic && p.Offset == offset {
						return true
					}
				}
			}
		}
		for _, x := range resp.Topics {
			for _, p := range x.Partitions {
				if x.Topic == topic && p.Offset == offset {
					return true
				}
			}
		}
		return false
	})
}

// TestGap: what lies behind a message without an acknowledgement is not committed.
func TestGap(t *testing.T) {
	everywhere(t, func(t *testing.T, connStr string) {
		topic := unique(t)
		fill(t, connStr, topic, 0, 20, 1)
		o := broker.SubscribeOptions{Topics: []string{topic}, Group: topic}
		c, s := receiveFrom(t, connStr, "", o)
		for i := range 20 {
			m := nextOf(t, s)
			if i != 7 {
				s.Ack(&m)
			}
		}
		committed(t, connStr, topic, topic, 7) // Close has 0.3 s for it, which is another test's matter
		c.Close(deadline(t, time.Second))
		c, s = receiveFrom(t, connStr, "", o)
		for i := 7; i < 20; i++ {
			m := nextOf(t, s)
			if string(m.Payload) != fmt.Sprintf("%07d", i) || !strings.HasSuffix(m.Position, fmt.Sprintf("@%d", i)) {
				t.Fatalf("%s at %s, want %d", m.Payload, m.Position, i)
			}
			s.Ack(&m)
		}
		committed(t, connStr, topic, topic, 20)
		c.Close(deadline(t, time.Second))
		_, s = receiveFrom(t, connStr, "", o)
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		if m, err := s.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%+v, %v", m, err)
		}
	})
}

// TestTwoInAGroup: consumers that come and go share the partitions; nothing is missing, and each key keeps
// its order.
func TestTwoInAGroup(t *testing.T) {
	for _, strategy := range []string{"range,roundrobin"} {
		t.Run(strategy, func(t *testing.T) {
			everywhere(t, func(t *testing.T, connStr string) {
				topic := unique(t)
				topic = strings.ReplaceAll(topic, ",", "-")
				config := writeFile(t, "group.cfg", "[message-broker]\nconsumer-proto-cfg = \"partition.assignment.strategy="+strategy+"\"\n")
				const count = 3000
				var mu sync.Mutex
				seen := map[string]int{}
				var wg sync.WaitGroup
				defer wg.Wait()
				var share [2]int // of each consumer
				take := func(which int, stop chan struct{}) {
					c, s := receiveFrom(t, connStr, config, broker.SubscribeOptions{Topics: []string{topic}, Group: topic, Window: 50})
					wg.Go(func() {
						<-stop
						c.Close(deadline(t, time.Second))
					})
					wg.Go(func() {
						for {
							m, err := s.Next(context.Background())
							if err != nil {
								return
							}
							mu.Lock()
							seen[string(m.Payload)]++
							share[which]++
							mu.Unlock()
							s.Ack(&m)
						}
					})
				}
				different := func() int { mu.Lock(); defer mu.Unlock(); return len(seen) }
				fill(t, connStr, topic, 0, count/3, 7)
				one, two := make(chan struct{}), make(chan struct{})
				stopOne, stopTwo := sync.OnceFunc(func() { close(one) }), sync.OnceFunc(func() { close(two) })
				defer stopOne()
				defer stopTwo()
				take(0, one)
				adaptertest.Wait(t, "the first messages", func() bool { return different() >= count/6 })
				take(1, two)
				sent := count / 3
				for second := 0; second == 0 && sent < 20*count; { // until the second has its share
					fill(t, connStr, topic, sent, sent+300, 7)
					sent += 300
					mu.Lock()
					second = share[1]
					mu.Unlock()
				}
				adaptertest.Wait(t, "what was sent so far", func() bool { return different() == sent })
				stopOne()
				fill(t, connStr, topic, sent, sent+count/3, 7)
				sent += count / 3
				adaptertest.Wait(t, "everything", func() bool { return different() == sent })
				stopTwo()
				again := 0
				for _, n := range seen {
					again += n - 1
				}
				t.Logf("%d of %d came more than once; shares %v", again, sent, share)
				if again > 4*100 { // what was without acknowledgement when partitions moved
					t.Errorf("%d messages came again", again)
				}
			})
		})
	}
}

// TestLargeInAMovingGroup: messages so large that they cross in parts, in a group whose members come and go and
// acknowledge late: what one of them had not acknowledged comes again, and nothing is committed over it.
func TestLargeInAMovingGroup(t *testing.T) {
	s := newServer(t, kfake.AllowAutoTopicCreation())
	p := connect(t, s, broker.Options{Topic: "moving"})
	const count = 60
	for i := range count {
		m := broker.Message{Key: fmt.Append(nil, i%5), Payload: append(fmt.Appendf(nil, "%03d", i), make([]byte, 400_000)...)}
		if err := p.PublishWait(m, 0, nil); err != nil {
			t.Fatal(err)
		}
	}
	if r := p.Drain(deadline(t, 30*time.Second)); r.Remaining != 0 {
		t.Fatalf("%+v", r)
	}
	o := broker.SubscribeOptions{Topics: []string{"moving"}, Group: "g", Window: 40}
	acked := map[string]bool{}
	for round := 0; len(acked) < count && round < 5; round++ {
		c, sub := receiveFrom(t, s.ConnStr(), "", o)
		other, otherSub := receiveFrom(t, s.ConnStr(), "", o)
		var held []adapters.Incoming
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		for len(held) < 8 {
			m, err := sub.Next(ctx)
			if err != nil {
				break
			}
			held = append(held, m)
		}
		cancel()
		other.Close(deadline(t, time.Second)) // partitions move under the messages that are held
		_ = otherSub
		for i := range held[:len(held)/2] {
			sub.Ack(&held[i])
		}
		c.Close(deadline(t, time.Second))
		// What the group's place says is taken must have had an acknowledgement.
		for i := range held[:len(held)/2] {
			acked[string(held[i].Payload[:3])] = true
		}
	}
	_, sub := receiveFrom(t, s.ConnStr(), "", o)
	for len(acked) < count {
		m := nextOf(t, sub)
		acked[string(m.Payload[:3])] = true
		sub.Ack(&m)
	}
}

// TestReceiveMany: 100 000 messages, all, once, in order.
func TestReceiveMany(t *testing.T) {
	everywhere(t, func(t *testing.T, connStr string) {
		topic := unique(t)
		count := 100_000
		if strings.HasPrefix(topic, "TestReceiveMany-fake") {
			count = 10_000
		}
		fill(t, connStr, topic, 0, count, 5)
		began := time.Now()
		c, s := receiveFrom(t, connStr, "", broker.SubscribeOptions{Topics: []string{topic}, Group: topic})
		last := map[string]string{}
		first := time.Time{}
		for i := range count {
			m := nextOf(t, s)
			if i == 0 {
				first = time.Now()
			}
			if p := string(m.Payload); p <= last[string(m.Key)] {
				t.Fatalf("%s came after %s", p, last[string(m.Key)])
			}
			last[string(m.Key)] = string(m.Payload)
			s.Ack(&m)
		}
		st := c.Stats()
		if st.Received != uint64(count) || st.Unacknowledged != 0 {
			t.Errorf("%+v", st)
		}
		d := time.Since(first)
		t.Logf("%d messages in %v, %.0f/s; the first after %v", count, d, float64(count)/d.Seconds(), first.Sub(began))
	})
}

// TestPatternAndLateTopics: topics by pattern, and topics that are made later.
func TestPatternAndLateTopics(t *testing.T) {
	s := newServer(t, kfake.AllowAutoTopicCreation())
	fill(t, s.ConnStr(), "here-1", 0, 5, 1)
	r := adaptertest.NewRecorder()
	c := openConn(t, s.ConnStr(), "", r)
	got := adaptertest.NewCollector()
	if err := c.Subscribe(adapters.SubscribeConfig{Topics: []string{"^here-[0-9]", "late"}, Group: "g", FromStart: true}, got); err != nil {
		t.Fatal(err)
	}
	got.Wait(t, 5)
	adaptertest.Wait(t, "a word about the missing topic", func() bool { return logged(r, "topic late on "+s.addr()+": the topic does not exist yet") })
	if got.Agreed("late") > 0 {
		t.Error("a topic that does not exist was agreed to")
	}
	fill(t, s.ConnStr(), "late", 5, 10, 1)
	fill(t, s.ConnStr(), "here-2", 10, 15, 1)
	fill(t, s.ConnStr(), "there-2", 15, 20, 1)
	adaptertest.Wait(t, "all", func() bool { return got.Different() == 15 })
	adaptertest.Wait(t, "the word on the late topic", func() bool { return got.Agreed("late") > 0 && got.Agreed("^here-[0-9]") > 0 })
	topics := map[string]bool{}
	for _, m := range got.Messages() {
		topics[m.Topic] = true
	}
	if len(topics) != 3 || topics["there-2"] {
		t.Errorf("%v", topics)
	}
	for _, bad := range []string{"^here-[", "bad name", ""} {
		if err := c.Subscribe(adapters.SubscribeConfig{Topics: []string{bad}}, got); err == nil {
			t.Errorf("topic %q was accepted", bad)
		}
	}
	a := adapter{}
	if !a.Match("^here-[0-9]", "here-1") || a.Match("^here-[0-9]", "there-1") || !a.Match("x", "x") || a.Match("^[", "x") {
		t.Error("Match")
	}
}

// TestConsumerConfig: who names the group, and what the user may not turn off.
func TestConsumerConfig(t *testing.T) {
	// librdkafka answers with the older name of latest, largest.
	lines := []string{"consumer-group-id = \"of-the-file\"", "proto-cfg = \"client.id=mine\"",
		"consumer-proto-cfg = \"auto.offset.reset=latest;enable.auto.commit=false\""}
	for _, test := range []struct{ extra, group, want string }{
		{"", "", "of-the-file"},
		{"", "asked", "asked"},
		{";group.id=of-librdkafka", "", "of-librdkafka"},
		{";group.id=of-librdkafka", "asked", "asked"},
	} {
		text := "[message-broker]\n" + strings.Join(lines, "\n")
		text = strings.Replace(text, "false\"", "false"+test.extra+"\"", 1)
		r := adaptertest.NewRecorder()
		c := openConn(t, "127.0.0.1;1", writeFile(t, "x.cfg", text+"\n"), r)
		conf, err := buildConsumer(&c.receiving, adapters.SubscribeConfig{Group: test.group, FromStart: true}, r.Log)
		if err != nil {
			t.Fatal(err)
		}
		if g := conf.get("group.id"); g != test.want {
			t.Errorf("group %q, want %q", g, test.want)
		}
		for name, want := range map[string]string{"client.id": "mine", "auto.offset.reset": "largest", "enable.auto.commit": "true",
			"enable.auto.offset.store": "false"} {
			if got := conf.get(name); got != want {
				t.Errorf("%s is %s, want %s", name, got, want)
			}
		}
		if !logged(r, `option "enable.auto.commit" is ignored; it is always true here`) {
			t.Errorf("no word about enable.auto.commit: %v", r.Logs())
		}
		conf.free()
	}
	c := openConn(t, "127.0.0.1;1", "", adaptertest.NewRecorder())
	conf, err := buildConsumer(&c.receiving, adapters.SubscribeConfig{}, c.sink.Log)
	if err != nil {
		t.Fatal(err)
	}
	defer conf.free()
	if conf.get("group.id") != defaultGroup || conf.get("auto.offset.reset") != "largest" {
		t.Errorf("%s, %s", conf.get("group.id"), conf.get("auto.offset.reset"))
	}
}

// TestReceiveLarge: 10 MB messages, empty ones, and ones without a key.
func TestReceiveLarge(t *testing.T) {
	s := newServer(t, kfake.AllowAutoTopicCreation(), kfake.BrokerConfigs(map[string]string{"message.max.bytes": "20000000"}))
	config := writeFile(t, "large.cfg", "[message-broker]\nproducer-proto-cfg = \"message.max.bytes=20000000\"\n")
	p := connect(t, s, broker.Options{ConfigPath: config, Topic: "large"})
	payload := bytes.Repeat([]byte("0123456789"), 1_000_000)
	for i := range 6 {
		m := broker.Message{Key: []byte("k"), Payload: payload}
		if i%2 == 1 {
			m.Payload = nil
		}
		if err := p.PublishWait(m, 0, nil); err != nil {
			t.Fatal(err)
		}
	}
	c, sub := receiveFrom(t, s.ConnStr(), "", broker.SubscribeOptions{Topics: []string{"large"}, Group: "g", Window: 2})
	for i := range 6 {
		m := nextOf(t, sub)
		if (i%2 == 0) != bytes.Equal(m.Payload, payload) || (i%2 == 1) != (len(m.Payload) == 0) || string(m.Key) != "k" {
			t.Fatalf("message %d: %d bytes, key %q", i, len(m.Payload), m.Key)
		}
		sub.Ack(&m)
	}
	if st := c.Stats(); st.ReceivedBytes != 30_000_000 {
		t.Errorf("%+v", st)
	}
}

// TestRealReceiveKilled: a server that is killed and comes back, with its data and then without, under a
// consumer.
func TestRealReceiveKilled(t *testing.T) {
	if external() == "" {
		t.Skip("EDGEWIRE_KAFKA is not set: a server that is killed is NOT tested")
	}
	dir := filepath.Join(t.TempDir(), "kafka")
	script := func(args ...string) string {
		ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
		defer cancel()
		out, err := exec.CommandContext(ctx, "../../../scripts/kafka", args...).Output()
		if err != nil {
			t.Fatalf("scripts/kafka %v: %v", args, err)
		}
		return strings.TrimSpace(string(out))
	}
	t.Cleanup(func() { script("stop", dir) })
	addr := strings.TrimPrefix(script("start", dir), "bootstrap=")
	connStr := strings.Replace(addr, ":", ";", 1)
	c, s := receiveFrom(t, connStr, "", broker.SubscribeOptions{Topics: []string{"killed"}, Group: "g", Window: 20})
	seen := map[string]bool{}
	collect := func(count int) {
		for len(seen) < count {
			m := nextOf(t, s)
			seen[string(m.Payload)] = true
			s.Ack(&m)
		}
	}
	fill(t, connStr, "killed", 0, 50, 1)
	collect(50)
	fill(t, connStr, "killed", 50, 100, 1)
	held := nextOf(t, s) // over the outage
	seen[string(held.Payload)] = true
	script("stop", dir, "--kill")
	adaptertest.Wait(t, "the outage is told", func() bool { return c.Stats().State == broker.StateReconnecting })
	script("start", dir)
	s.Ack(&held)
	collect(100)
	fill(t, connStr, "killed", 100, 150, 1)
	collect(150)
	script("stop", dir) // and everything in it
	_, port, _ := strings.Cut(addr, ":")
	script("start", dir, "--port", port)
	fill(t, connStr, "killed", 1000, 1030, 1)
	adaptertest.Wait(t, "the messages of a server that began anew", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for m, err := s.Next(ctx); err == nil; m, err = s.Next(ctx) {
			seen[string(m.Payload)] = true
			s.Ack(&m)
		}
		return len(seen) == 180
	})
}

// TestGoodbyeWhileAway: the producer may be the last to find a server back. What was acknowledged by then is committed.
func TestGoodbyeWhileAway(t *testing.T) {
	s := newServer(t, kfake.AllowAutoTopicCreation())
	topic := unique(t)
	fill(t, s.ConnStr(), topic, 0, 10, 1)
	listen := func() (*conn, *adaptertest.Collector) {
		c, r := openConn(t, s.ConnStr(), "", adaptertest.NewRecorder()), adaptertest.NewCollector()
		if err := c.Subscribe(adapters.SubscribeConfig{Topics: []string{topic}, Group: topic, FromStart: true}, r); err != nil {
			t.Fatal(err)
		}
		return c, r
	}
	c, r := listen()
	c.Ack(r.Wait(t, 10)[:9])
	c.away.Store(true)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	_, r = listen()
	if got := r.Wait(t, 1); string(got[0].Payload) != "0000009" {
		t.Errorf("%s came again", got[0].Payload)
	}
}
