// SPDX-License-Identifier: LGPL-2.1-or-later

package kafka

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gst-edgewire/gst-edgewire/pkg/broker"
)

// TestTopicAfterALongAbsence: a server that comes later than topic.metadata.propagation.max.ms has that time
// to make the topic, like one that was there.
func TestTopicAfterALongAbsence(t *testing.T) {
	s := newServer(t)
	s.Stop(t)
	config := writeFile(t, "x.cfg", "[message-broker]\nproto-cfg = \"topic.metadata.propagation.max.ms=4000;reconnect.backoff.max.ms=300\"\n")
	c := connect(t, s, broker.Options{ConfigPath: config, Topic: "late"})
	for range 50 {
		if err := c.Publish(broker.Message{Payload: []byte("x")}); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(5 * time.Second)
	s.Start(t)
	for c.Stats().State != broker.StateConnected {
		time.Sleep(10 * time.Millisecond)
	}
	time.Sleep(500 * time.Millisecond)
	client, err := kgo.NewClient(kgo.SeedBrokers(s.addr()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = "late", 1, 1
	request := kmsg.NewPtrCreateTopicsRequest()
	request.Topics = append(request.Topics, topic)
	if _, err := request.RequestWith(context.Background(), client); err != nil {
		t.Fatal(err)
	}
	if r := c.Drain(deadline(t, 30*time.Second)); r.Remaining != 0 || r.Failed != 0 {
		t.Errorf("%+v", r)
	}
	if st := c.Stats(); st.Acknowledged != 50 || st.Failed != 0 {
		t.Errorf("%+v", st)
	}
}
