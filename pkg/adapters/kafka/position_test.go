// SPDX-License-Identifier: LGPL-2.1-or-later

package kafka

import (
	"fmt"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/broker"
)

// TestSubscribedAtTheEnd: when a subscription of a new group that begins with what comes next is told to be
// there, everything that is sent from then on comes.
func TestSubscribedAtTheEnd(t *testing.T) {
	everywhere(t, func(t *testing.T, connStr string) {
		for round := range 5 {
			topic := fmt.Sprint(unique(t), round)
			fill(t, connStr, topic, 0, 10, 10) // the topic exists, and what is in it is not for us
			sender := connect(t, nil, broker.Options{ConnStr: connStr, Topic: topic})
			c := connect(t, nil, broker.Options{ConnStr: connStr, ReceiveOnly: true})
			subscribed := make(chan error, 10)
			s, err := c.Subscribe(broker.SubscribeOptions{Topics: []string{topic}, Group: topic,
				OnSubscribed: func(_ string, err error) { subscribed <- err }})
			if err != nil {
				t.Fatal(err)
			}
			select {
			case err := <-subscribed:
				if err != nil {
					t.Fatal(err)
				}
			case <-time.After(30 * time.Second):
				t.Fatal("the subscription is not told of")
			}
			const count = 30
			for i := range count {
				if err := sender.Publish(broker.Message{Key: fmt.Append(nil, i), Payload: fmt.Appendf(nil, "new %d", i)}); err != nil {
					t.Fatal(err)
				}
			}
			if r := sender.Drain(deadline(t, 10*time.Second)); r.Remaining != 0 || r.Failed != 0 {
				t.Fatalf("%+v", r)
			}
			seen := map[string]bool{}
			for len(seen) < count {
				m, err := s.Next(deadline(t, 5*time.Second))
				if err != nil {
					t.Fatalf("round %d: %d of %d came: %v", round, len(seen), count, err)
				}
				seen[string(m.Payload)] = true
				s.Ack(&m)
			}
			if len(subscribed) != 0 {
				t.Errorf("told %d times more", len(subscribed))
			}
			if m, err := s.Next(deadline(t, time.Millisecond)); err == nil {
				t.Errorf("%s is too much", m.Payload)
			}
			c.Close(deadline(t, time.Second))
			sender.Close(deadline(t, time.Second))
		}
	})
}

// TestSubscribedAndAway: a group that was subscribed once, and has had no message, misses none that is sent
// while it is away.
func TestSubscribedAndAway(t *testing.T) {
	everywhere(t, func(t *testing.T, connStr string) {
		topic := unique(t)
		fill(t, connStr, topic, 0, 10, 10)
		subscribed := make(chan error, 10)
		o := broker.SubscribeOptions{Topics: []string{topic}, Group: topic, OnSubscribed: func(_ string, err error) { subscribed <- err }}
		c := connect(t, nil, broker.Options{ConnStr: connStr, ReceiveOnly: true})
		if _, err := c.Subscribe(o); err != nil {
			t.Fatal(err)
		}
		if err := <-subscribed; err != nil {
			t.Fatal(err)
		}
		c.Close(deadline(t, time.Second))
		fill(t, connStr, topic, 10, 40, 10)
		c = connect(t, nil, broker.Options{ConnStr: connStr, ReceiveOnly: true})
		s, err := c.Subscribe(o)
		if err != nil {
			t.Fatal(err)
		}
		for n := range 30 {
			m, err := s.Next(deadline(t, 10*time.Second))
			if err != nil {
				t.Fatalf("%d of 30 came: %v", n, err)
			}
			if string(m.Payload) < "0000010" {
				t.Errorf("%s was there before", m.Payload)
			}
			s.Ack(&m)
		}
	})
}
