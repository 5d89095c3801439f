// SPDX-License-Identifier: LGPL-2.1-or-later

package kafka

import (
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/gst-edgewire/gst-edgewire/pkg/broker"
)

// TestMessagesShowTheConnection: a message that came proves the connection, also where the statistics, which
// show it otherwise, come too late; and the server that is away then was there before.
func TestMessagesShowTheConnection(t *testing.T) {
	s := newServer(t, kfake.AllowAutoTopicCreation())
	topic := unique(t)
	fill(t, s.ConnStr(), topic, 0, 1, 1)
	s.Stop(t) // so that the first attempt does not show the connection either
	config := writeFile(t, "x.cfg", "[message-broker]\nproto-cfg = \"statistics.interval.ms=3600000;reconnect.backoff.max.ms=300\"\n")
	var mu sync.Mutex
	var changes []broker.StateChange
	changed := make(chan struct{}, 1000)
	c := connect(t, s, broker.Options{ConfigPath: config, ReceiveOnly: true, OnState: func(change broker.StateChange) {
		mu.Lock()
		defer mu.Unlock()
		changes = append(changes, change)
		changed <- struct{}{}
	}})
	wait := func(state broker.State) {
		t.Helper()
		for c.Stats().State != state {
			select {
			case <-changed:
			case <-time.After(30 * time.Second):
				mu.Lock()
				defer mu.Unlock()
				t.Fatalf("never %v: %+v", state, changes)
			}
		}
	}
	sub, err := c.Subscribe(broker.SubscribeOptions{Topics: []string{topic}, Group: topic, FromStart: true})
	if err != nil {
		t.Fatal(err)
	}
	for c.Stats().LastError == "" { // a refused attempt, at once
		<-changed
	}
	s.Start(t)
	m := nextOf(t, sub)
	sub.Ack(&m)
	s.Stop(t)
	wait(broker.StateReconnecting)
	mu.Lock()
	defer mu.Unlock()
	var was bool
	for _, change := range changes {
		was = was || change.New == broker.StateConnected
		if was && change.New == broker.StateConnecting {
			t.Errorf("%+v", changes)
		}
	}
	if !was {
		t.Errorf("never connected: %+v", changes)
	}
}
