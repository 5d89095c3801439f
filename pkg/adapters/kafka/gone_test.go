// SPDX-License-Identifier: LGPL-2.1-or-later

package kafka

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
)

// TestPartitionGoes: a partition that vanishes while a request is under way takes no message with it.
// librdkafka gives such messages up with an error of its own, which is no verdict of the broker.
func TestPartitionGoes(t *testing.T) {
	// librdkafka asks for topics at a broker of its choice, and at the one that holds the request back it
	// learns nothing.
	for range 12 {
		if partitionGoes(t) {
			return
		}
	}
	t.Skip("librdkafka always asked the broker that did not answer: NOT tested")
}

// tenAcknowledged is a connection to a cluster, ten of whose messages the topic "goes" has.
func tenAcknowledged(t *testing.T, brokers int, options string) (cluster *kfake.Cluster, c *conn, r *adaptertest.Recorder, end func()) {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(brokers), kfake.SeedTopics(1, "goes"))
	if err != nil {
		t.Fatal(err)
	}
	host, port, err := net.SplitHostPort(cluster.ListenAddrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	config := writeFile(t, "goes.cfg", "[message-broker]\nproto-cfg = \"debug=topic;"+options+"topic.metadata.refresh.interval.ms=50;"+
		"topic.metadata.propagation.max.ms=1000\"\n")
	r = adaptertest.NewRecorder()
	c = openConn(t, fmt.Sprintf("%s;%s", host, port), config, r)
	adaptertest.Send(t, c, batchOf(1, "goes", 10, 10))
	adaptertest.Wait(t, "ten results", func() bool { n, _ := r.Results(); return n == 10 })
	return cluster, c, r, func() {
		_ = c.Close()
		cluster.Close()
	}
}

// partitionGoes reports whether the partition went while the request was under way.
func partitionGoes(t *testing.T) bool {
	cluster, c, r, end := tenAcknowledged(t, 6, "enable.sparse.connections=false;")
	defer end()

	held, told := make(chan struct{}), make(chan struct{})
	cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		close(held)
		cluster.SleepControl(func() { <-told })
		return nil, nil, false
	})
	adaptertest.Send(t, c, batchOf(11, "goes", 10, 10))
	<-held
	deleteTopic(t, cluster, "goes")
	seen := func() bool { return logged(r, "no longer reported in metadata") }
	for end := time.Now().Add(time.Second); !seen() && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
	went := seen()
	close(told)
	if !went {
		return false
	}
	r.WaitState(t, adapters.Failed)
	if n, failed := r.Results(); n != 10 || failed != 0 {
		t.Errorf("%d results, %d failures: messages whose partition went must stay unanswered", n, failed)
	}
	states := r.States()
	if last := states[len(states)-1]; last.State != adapters.Failed || !strings.Contains(last.Reason, "topic goes is gone") {
		t.Errorf("%+v", last)
	}
	return true
}

func deleteTopic(t *testing.T, cluster *kfake.Cluster, name string) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	req := kmsg.NewPtrDeleteTopicsRequest()
	topic := kmsg.NewDeleteTopicsRequestTopic()
	topic.Topic = kmsg.StringPtr(name)
	req.TopicNames, req.Topics = []string{name}, append(req.Topics, topic)
	if _, err := req.RequestWith(t.Context(), cl); err != nil {
		t.Fatal(err)
	}
}

// TestGoneBetween: a topic that goes while nothing is under way costs no message either, though librdkafka does not
// even take the next ones.
func TestGoneBetween(t *testing.T) {
	cluster, c, r, end := tenAcknowledged(t, 1, "")
	defer end()
	deleteTopic(t, cluster, "goes")
	adaptertest.Wait(t, "librdkafka sees it", func() bool { return logged(r, "no longer reported in metadata") })
	adaptertest.Send(t, c, batchOf(11, "goes", 10, 10))
	r.WaitState(t, adapters.Failed)
	if n, failed := r.Results(); n != 10 || failed != 0 {
		t.Errorf("%d results, %d failures: messages for a topic that is gone must stay unanswered", n, failed)
	}
}
