// SPDX-License-Identifier: LGPL-2.1-or-later

package nats

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	client "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
)

func subscribe(t *testing.T, c *conn, cfg adapters.SubscribeConfig) *adaptertest.Collector {
	t.Helper()
	col := adaptertest.NewCollector()
	must(t, c.Subscribe(cfg, col))
	for _, topic := range cfg.Topics {
		adaptertest.Wait(t, "the word on "+topic, func() bool { return col.Agreed(topic) > 0 || col.Refused(topic) != nil })
	}
	return col
}

func put(t *testing.T, js jetstream.JetStream, subject string, from, to int) {
	t.Helper()
	for i := from; i <= to; i++ {
		_, err := js.Publish(t.Context(), subject, fmt.Append(nil, i))
		must(t, err)
	}
}

func payloads(m []adapters.Incoming) string {
	var list []string
	for i := range m {
		list = append(list, string(m[i].Payload))
	}
	return strings.Join(list, " ")
}

// acknowledged waits until the server knows that nothing is under way.
func acknowledged(t *testing.T, js jetstream.JetStream, stream, consumer string) {
	t.Helper()
	adaptertest.Wait(t, "the acknowledgements", func() bool {
		c, err := js.Consumer(t.Context(), stream, consumer)
		return err == nil && c.CachedInfo().NumAckPending == 0
	})
}

// forget takes a consumer away. The server may be writing its state down in the moment that it deletes its folder,
// and says so; the consumer is gone all the same.
func forget(t *testing.T, js jetstream.JetStream, name string) {
	t.Helper()
	if err := js.DeleteConsumer(t.Context(), "tests", name); err != nil && !strings.Contains(err.Error(), "directory not empty") {
		t.Fatal(err)
	}
}

// TestConsumerIsGone: one that is deleted is made anew where it was, and one whose stream is made anew has all of it.
func TestConsumerIsGone(t *testing.T) {
	s := server(t).withStream(t, "tests", "gone.>")
	k, js := s.dial(t)
	defer k.Close()
	for _, group := range []string{"g", ""} {
		topic := "gone.x" + group
		c, _ := open(t, s.ConnStr(), "")
		col := subscribe(t, c, adapters.SubscribeConfig{Topics: []string{topic}, Group: group})
		put(t, js, topic, 1, 6)
		c.Ack(col.Wait(t, 6)[:5])
		stream, err := js.Stream(t.Context(), "tests")
		must(t, err)
		var name string
		for info := range stream.ListConsumers(t.Context()).Info() {
			if info.Config.FilterSubject == topic {
				name = info.Name
			}
		}
		adaptertest.Wait(t, "the acknowledgements", func() bool {
			info, err := stream.Consumer(t.Context(), name)
			return err == nil && info.CachedInfo().NumAckPending == 1
		})
		forget(t, js, name)
		put(t, js, topic, 7, 11)
		if got := payloads(col.Wait(t, 12)); got != "1 2 3 4 5 6 6 7 8 9 10 11" {
			t.Errorf("group %q: %s", group, got)
		}
		must(t, c.Close())
	}
	// A place is kept over several losses, and over one before the first message.
	c, _ := open(t, s.ConnStr(), "")
	col := subscribe(t, c, adapters.SubscribeConfig{Topics: []string{"gone.y"}, Group: "h"})
	name := consumerName("h", "gone.y")
	for i := range 3 {
		forget(t, js, name)
		put(t, js, "gone.y", i, i)
		c.Ack(col.Wait(t, i+1)[i:])
		acknowledged(t, js, "tests", name)
	}
	if got := payloads(col.Messages()); got != "0 1 2" {
		t.Error(got)
	}
	must(t, js.DeleteStream(t.Context(), "tests"))
	s.withStream(t, "tests", "gone.>")
	put(t, js, "gone.y", 3, 20) // before we are there again
	if got := payloads(col.Wait(t, 21)); got != "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20" {
		t.Error(got)
	}
}

// TestWorkQueue: a stream that drops what is acknowledged takes no consumer that begins in its middle.
func TestWorkQueue(t *testing.T) {
	s := server(t)
	k, js := s.dial(t)
	defer k.Close()
	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "work", Subjects: []string{"work"}, Retention: jetstream.WorkQueuePolicy})
	must(t, err)
	c, _ := open(t, s.ConnStr(), "")
	col := subscribe(t, c, adapters.SubscribeConfig{Topics: []string{"work"}, Group: "g", FromStart: true})
	put(t, js, "work", 1, 3)
	c.Ack(col.Wait(t, 3))
	name := consumerName("g", "work")
	acknowledged(t, js, "work", name)
	must(t, js.DeleteConsumer(t.Context(), "work", name))
	put(t, js, "work", 4, 6)
	if got := payloads(col.Wait(t, 6)); got != "1 2 3 4 5 6" {
		t.Error(got)
	}
}

// TestLimitedUser: the rights that the page names are enough.
func TestLimitedUser(t *testing.T) {
	s := server(t, "--config-line", "authorization: { users: [ { user: u, password: pw, permissions: { publish: [ \"$JS.API.STREAM.NAMES\", \"$JS.API.STREAM.INFO.*\", "+
		"\"$JS.API.CONSUMER.>\", \"$JS.ACK.>\" ], subscribe: [ \"_INBOX.>\" ] } }, { user: admin, password: pw } ] }")
	k, js := s.dial(t, client.UserInfo("admin", "pw"))
	defer k.Close()
	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "tests", Subjects: []string{"limited"}})
	must(t, err)
	c, _ := open(t, s.ConnStr(), "username=u\npassword=pw\n")
	for _, group := range []string{"g", ""} {
		col := subscribe(t, c, adapters.SubscribeConfig{Topics: []string{"limited"}, Group: group})
		if err := col.Refused("limited"); err != nil {
			t.Fatal(err)
		}
		put(t, js, "limited", 1, 3)
		c.Ack(col.Wait(t, 3))
	}
	acknowledged(t, js, "tests", consumerName("g", "limited"))
}

// TestEarlierOpen: what an earlier process has not acknowledged comes after a loss of the consumer, too.
func TestEarlierOpen(t *testing.T) {
	s := server(t).withStream(t, "tests", "open")
	k, js := s.dial(t)
	defer k.Close()
	name := consumerName("g", "open")
	_, err := js.CreateConsumer(t.Context(), "tests", jetstream.ConsumerConfig{Durable: name, FilterSubject: "open", AckPolicy: jetstream.AckExplicitPolicy, AckWait: time.Hour})
	must(t, err)
	other, err := js.Consumer(t.Context(), "tests", name)
	must(t, err)
	put(t, js, "open", 1, 3)
	batch, err := other.Fetch(2)
	must(t, err)
	for m := range batch.Messages() {
		if string(m.Data()) == "1" {
			must(t, m.DoubleAck(t.Context()))
		}
	}
	c, _ := open(t, s.ConnStr(), "ack-wait=1\n")
	col := subscribe(t, c, adapters.SubscribeConfig{Topics: []string{"open"}, Group: "g"})
	c.Ack(col.Wait(t, 1))
	must(t, js.DeleteConsumer(t.Context(), "tests", name))
	if got := payloads(col.Wait(t, 3)); got != "3 2 3" {
		t.Error(got)
	}
}

// TestSlowReceiver: what waits is not sent again, however many topics share a window.
func TestSlowReceiver(t *testing.T) {
	for _, window := range []int{2, 7} {
		s := server(t).withStream(t, "tests", "slow.>")
		k, js := s.dial(t)
		defer k.Close()
		topics := []string{"slow.1", "slow.2", "slow.3"}
		c, _ := open(t, s.ConnStr(), "ack-wait=2\n") // 0.7 s between two words that they are in progress
		col := subscribe(t, c, adapters.SubscribeConfig{Topics: topics, Group: "g", Window: window})
		for _, topic := range topics {
			put(t, js, topic, 1, 10)
		}
		for i := range 30 {
			m := col.Wait(t, i+1)
			if open := len(m) - i; open > window {
				t.Fatalf("%d messages are open, with a window of %d", open, window)
			}
			time.Sleep(100 * time.Millisecond)
			c.Ack(m[i : i+1])
		}
		for _, topic := range topics {
			acknowledged(t, js, "tests", consumerName("g", topic))
		}
		all := col.Messages()
		for _, m := range all {
			if m.Redelivered {
				t.Errorf("window %d: %s %s was sent again", window, m.Topic, m.Payload)
			}
		}
		if len(all) != 30 {
			t.Errorf("window %d: %d messages came", window, len(all))
		}
		must(t, c.Close())
	}
}

// TestSharedConsumer: the bounds of a consumer that several share are not lowered, and those of an admin's are kept.
func TestSharedConsumer(t *testing.T) {
	s := server(t).withStream(t, "tests", "shared")
	k, js := s.dial(t)
	defer k.Close()
	pending := func() int {
		c, err := js.Consumer(t.Context(), "tests", consumerName("g", "shared"))
		must(t, err)
		return c.CachedInfo().Config.MaxAckPending
	}
	for _, step := range []struct{ window, want int }{{10, 1000}, {3000, 3000}, {1, 3000}} {
		c, _ := open(t, s.ConnStr(), "")
		subscribe(t, c, adapters.SubscribeConfig{Topics: []string{"shared"}, Group: "g", Window: step.window})
		if got := pending(); got != step.want {
			t.Errorf("window %d: max_ack_pending is %d, want %d", step.window, got, step.want)
		}
	}
}

// TestOtherConsumer: one that is not as ours are is refused by name.
func TestOtherConsumer(t *testing.T) {
	s := server(t).withStream(t, "tests", "other.>")
	k, js := s.dial(t)
	defer k.Close()
	c, _ := open(t, s.ConnStr(), "")
	for text, config := range map[string]jetstream.ConsumerConfig{
		"is not for the subject other.1":                {FilterSubject: "other.2", AckPolicy: jetstream.AckExplicitPolicy},
		"its ack policy is AckNone":                     {FilterSubject: "other.1", AckPolicy: jetstream.AckNonePolicy},
		"its ack policy is AckAll":                      {FilterSubject: "other.1", AckPolicy: jetstream.AckAllPolicy},
		"does not have messages acknowledged one by on": {FilterSubject: "other.1", AckPolicy: jetstream.AckNonePolicy},
	} {
		config.Durable = consumerName("g", "other.1")
		_, err := js.CreateConsumer(t.Context(), "tests", config)
		must(t, err)
		col := subscribe(t, c, adapters.SubscribeConfig{Topics: []string{"other.1", "other.3"}, Group: "g"})
		if err := col.Refused("other.1"); !errors.Is(err, adapters.ErrRejected) || !strings.Contains(err.Error(), text) || !strings.Contains(err.Error(), config.Durable) {
			t.Errorf("%v, want %s", err, text)
		}
		if err := col.Refused("other.3"); err != nil {
			t.Error(err)
		}
		must(t, js.DeleteConsumer(t.Context(), "tests", config.Durable))
	}
	legacy, err := k.JetStream()
	must(t, err)
	_, err = legacy.AddConsumer("tests", &client.ConsumerConfig{Durable: consumerName("g", "other.1"), FilterSubject: "other.1", AckPolicy: client.AckExplicitPolicy, DeliverSubject: "pushed"})
	must(t, err)
	col := subscribe(t, c, adapters.SubscribeConfig{Topics: []string{"other.1"}, Group: "g"})
	if err := col.Refused("other.1"); err == nil || !strings.Contains(err.Error(), "pushes messages") {
		t.Error(err)
	}
}

// TestSeveralStreams: a wildcard brings what all of them have.
func TestSeveralStreams(t *testing.T) {
	s := server(t).withStream(t, "one", "many.one.*").withStream(t, "two", "many.two.*", "many.three").withStream(t, "not", "few")
	k, js := s.dial(t)
	defer k.Close()
	c, _ := open(t, s.ConnStr(), "")
	for _, group := range []string{"g", ""} {
		col := subscribe(t, c, adapters.SubscribeConfig{Topics: []string{"many.>"}, Group: group})
		if err := col.Refused("many.>"); err != nil {
			t.Fatal(err)
		}
		for _, subject := range []string{"many.one.x", "many.two.x", "many.three", "few"} {
			put(t, js, subject, 1, 10)
		}
		c.Ack(col.Wait(t, 30))
		seen := map[string]int{}
		for _, m := range col.Messages() {
			seen[m.Topic]++
		}
		if seen["many.one.x"] != 10 || seen["many.two.x"] != 10 || seen["many.three"] != 10 || len(seen) != 3 {
			t.Errorf("%v", seen)
		}
	}
}

// TestHeldBytes: large messages that nobody acknowledges are not piled up here.
func TestHeldBytes(t *testing.T) {
	s := server(t).withStream(t, "tests", "large")
	k, js := s.dial(t)
	defer k.Close()
	c, _ := open(t, s.ConnStr(), "ack-wait=1\n")
	col := subscribe(t, c, adapters.SubscribeConfig{Topics: []string{"large"}, Group: "g"})
	body := make([]byte, maxPayload-1000)
	n := maxHeldBytes/len(body) + 40
	for range n {
		_, err := js.Publish(t.Context(), "large", body)
		must(t, err)
	}
	col.Wait(t, maxHeldBytes/len(body)-1)
	time.Sleep(200 * time.Millisecond)
	first := col.Messages()
	if len(first) > maxHeldBytes/len(body)+1 {
		t.Errorf("%d messages of %d bytes are held", len(first), len(body))
	}
	c.Ack(first)
	for _, m := range col.Wait(t, n) {
		if m.Redelivered {
			t.Errorf("%s was sent again", m.Position)
		}
	}
}

// TestGivenBack: what is given back at the end comes again, soon and in order, when the server finds nobody there to
// send it to; and nothing else does.
func TestGivenBack(t *testing.T) {
	s := server(t).withStream(t, "tests", "back")
	k, js := s.dial(t)
	defer k.Close()
	cfg := adapters.SubscribeConfig{Topics: []string{"back"}, Group: "g", FromStart: true}
	put(t, js, "back", 1, 20)
	for _, done := range []int{12, 16, 20} {
		c, _ := open(t, s.ConnStr(), "ack-wait=3600\n")
		col := subscribe(t, c, cfg)
		var first int
		_, err := fmt.Sscan(string(col.Wait(t, 1)[0].Payload), &first)
		must(t, err)
		got := col.Wait(t, 21-first)
		c.Ack(got[:done-first+1])
		must(t, c.Close())
		time.Sleep(3 * giveBackAfter) // with nobody there
		for i, m := range got {
			if string(m.Payload) != fmt.Sprint(first+i) || m.Redelivered != (first > 1) {
				t.Errorf("from %d: %s, redelivered %v", first, payloads(got), m.Redelivered)
				break
			}
		}
	}
	c, _ := open(t, s.ConnStr(), "ack-wait=3600\n")
	col := subscribe(t, c, cfg)
	put(t, js, "back", 21, 21)
	if got := payloads(col.Wait(t, 1)); got != "21" {
		t.Errorf("%s came again", got)
	}
}
