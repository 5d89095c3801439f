// SPDX-License-Identifier: LGPL-2.1-or-later

package kafka

import (
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
	"github.com/gst-edgewire/gst-edgewire/pkg/broker"
)

// TestNeverAcknowledged: behind a message that is never acknowledged others come and go, and what is remembered
// of them is no more than the window.
func TestNeverAcknowledged(t *testing.T) {
	const count, window = 3000, 50
	connStr := newServer(t, kfake.AllowAutoTopicCreation(), kfake.DefaultNumPartitions(1)).ConnStr()
	topic := unique(t)
	fill(t, connStr, topic, 0, count, 1)
	c := openConn(t, connStr, "", adaptertest.NewRecorder())
	r := adaptertest.NewCollector()
	if err := c.Subscribe(adapters.SubscribeConfig{Topics: []string{topic}, Group: topic, Window: window, FromStart: true}, r); err != nil {
		t.Fatal(err)
	}
	done := 1
	for done < count {
		got := r.Wait(t, done+1)
		for i := len(got) - 1; i >= done; i-- { // backwards, to be unkind
			c.Ack(got[i : i+1])
		}
		done = len(got)
	}
	k := c.consumer
	k.mu.Lock()
	p := k.partitions[partitionKey{topic, 0}]
	if n := cap(p.open); len(p.open) != 1 || n > 8*window || k.outstanding != 1 {
		t.Errorf("%d of %d messages are remembered (room for %d), %d count as not acknowledged", len(p.open), count, n, k.outstanding)
	}
	k.mu.Unlock()
	_ = c.Close()
	_, s := receiveFrom(t, connStr, "", broker.SubscribeOptions{Topics: []string{topic}, Group: topic})
	if m := nextOf(t, s); string(m.Payload) != "0000000" {
		t.Errorf("%s comes first", m.Payload)
	}
}

// TestLargeBacklog: messages that are large wait with the server, not in memory, and none is lost for it.
func TestLargeBacklog(t *testing.T) {
	defer func(n int) { maxOutBytes = n }(maxOutBytes)
	maxOutBytes = 1 << 20
	const count, size = 120, 100_000
	s := newServer(t, kfake.AllowAutoTopicCreation(), kfake.DefaultNumPartitions(1))
	topic := unique(t)
	r := adaptertest.NewRecorder()
	sender := openConn(t, s.ConnStr(), "", r)
	adaptertest.Send(t, sender, batchOf(1, topic, count, size))
	if err := sender.Flush(deadline(t, 20*time.Second)); err != nil {
		t.Fatal(err)
	}
	c := openConn(t, s.ConnStr(), "", adaptertest.NewRecorder())
	got := adaptertest.NewCollector()
	if err := c.Subscribe(adapters.SubscribeConfig{Topics: []string{topic}, Group: topic, FromStart: true}, got); err != nil {
		t.Fatal(err)
	}
	for done := 0; done < count; {
		all := got.Wait(t, done+1)
		if n := (len(all) - done) * size; n > 2*maxOutBytes+size { // one crossing brings 1 MiB
			t.Fatalf("%d bytes are without an acknowledgement", n)
		}
		c.Ack(all[done:])
		done = len(all)
	}
	k := c.consumer
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.bytes != 0 || k.outstanding != 0 {
		t.Errorf("%d bytes, %d messages count as not acknowledged", k.bytes, k.outstanding)
	}
}

// TestFirstUnacknowledged: the first message that a new group has comes again when it was not acknowledged, also
// to a group that begins with the next one.
func TestFirstUnacknowledged(t *testing.T) {
	s := newServer(t, kfake.AllowAutoTopicCreation(), kfake.DefaultNumPartitions(1))
	topic := unique(t)
	fill(t, s.ConnStr(), topic, 0, 3, 1)
	asked, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	s.cluster.ControlKey(1, func(kmsg.Request) (kmsg.Response, error, bool) {
		s.cluster.KeepControl()
		once.Do(func() { close(asked) })
		s.cluster.SleepControl(func() { <-goOn }) // so that the place where it began is not told
		return nil, nil, false
	})
	o := broker.SubscribeOptions{Topics: []string{topic}, Group: topic}
	for round := range 2 {
		c := connect(t, nil, broker.Options{ConnStr: s.ConnStr(), ReceiveOnly: true})
		sub, err := c.Subscribe(o)
		if err != nil {
			t.Fatal(err)
		}
		if round == 0 {
			<-asked
			fill(t, s.ConnStr(), topic, 3, 5, 1)
			close(goOn)
		}
		if m, err := sub.Next(deadline(t, 10*time.Second)); err != nil || string(m.Payload) != "0000003" {
			t.Fatalf("round %d: %s, %v", round, m.Payload, err)
		}
		c.Close(deadline(t, time.Second))
	}
}
