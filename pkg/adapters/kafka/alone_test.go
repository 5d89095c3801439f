// SPDX-License-Identifier: LGPL-2.1-or-later

package kafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
	"github.com/gst-edgewire/gst-edgewire/pkg/broker"
)

// Error codes of Kafka's protocol.
const (
	messageTooLarge   = 10
	notEnoughReplicas = 19
	invalidTimestamp  = 32
)

// refuseProduce makes the server answer each produce request with the code that choose returns; 0 leaves
// it to the server.
func refuseProduce(s *testServer, choose func(request int) int16) {
	var requests atomic.Int64
	s.cluster.ControlKey(0, func(r kmsg.Request) (kmsg.Response, error, bool) {
		s.cluster.KeepControl()
		code := choose(int(requests.Add(1)))
		if code == 0 {
			return nil, nil, false
		}
		req := r.(*kmsg.ProduceRequest)
		resp := req.ResponseKind().(*kmsg.ProduceResponse)
		for _, t := range req.Topics {
			rt := kmsg.NewProduceResponseTopic()
			rt.Topic, rt.TopicID = t.Topic, t.TopicID
			for _, p := range t.Partitions {
				rp := kmsg.NewProduceResponseTopicPartition()
				rp.Partition, rp.ErrorCode, rp.BaseOffset = p.Partition, code, -1
				rt.Partitions = append(rt.Partitions, rp)
			}
			resp.Topics = append(resp.Topics, rt)
		}
		return resp, nil, true
	})
}

// TestSmallBroker: a broker that takes small batches only gets the messages one by one.
func TestSmallBroker(t *testing.T) {
	s := newServer(t, kfake.AllowAutoTopicCreation(), kfake.DefaultNumPartitions(1), kfake.BrokerConfigs(map[string]string{"message.max.bytes": "20000"}))
	testSmallBatches(t, s.ConnStr(), s.addr(), "small")
}

func testSmallBatches(t *testing.T, connStr, addr, topic string) {
	t.Helper()
	r := adaptertest.NewRecorder()
	c := openConn(t, connStr, "", r)
	b := batchOf(1, topic, 500, 1000)
	b.Append(501, 0, topic, []byte("12345"), make([]byte, 30_000))
	adaptertest.Send(t, c, b)
	if err := c.Flush(deadline(t, 30*time.Second)); err != nil {
		t.Fatal(err)
	}
	if n, failed := r.Results(); n != 501 || failed != 1 {
		t.Errorf("%d results, %d failures, want 501 and 1", n, failed)
	}
	if err, _ := r.Result(501); err == nil || !strings.Contains(err.Error(), "the message of 30005 bytes, key included, is larger than the broker or the topic accepts") {
		t.Errorf("the large message: %v", err)
	}
	if !logged(r, "topic "+topic+" on "+addr+": the broker refused a batch as too large and took its messages one by one, which is slow and may change their order; set batch.size=262144 ") {
		t.Errorf("no word about the batches: %v", r.Logs())
	}
	if got := consume(t, addr, topic, 500); len(got) != 500 {
		t.Errorf("%d arrived, want 500", len(got))
	}
	// Afterwards the first producer works on.
	adaptertest.Send(t, c, batchOf(502, topic, 3, 10))
	adaptertest.Wait(t, "504 results", func() bool { n, _ := r.Results(); return n == 504 })
	if _, failed := r.Results(); failed != 1 {
		t.Errorf("%d failures", failed)
	}
}

// headersOf are what Kafka can carry: any bytes, names twice, and empty ones.
func headersOf(i uint64) adapters.Headers {
	if i%3 == 0 {
		return nil
	}
	return adapters.Headers(nil).Append("number", []byte{byte(i), 0, 0xff}).AppendString("number", "again").AppendString("", "nameless").
		AppendString("empty", "")
}

// TestSecondTry: what is sent again keeps its key, timestamp and headers, and is in flight until it is answered.
func TestSecondTry(t *testing.T) {
	s := newServer(t, kfake.SeedTopics(1, "again"))
	var first, later atomic.Int32
	first.Store(invalidTimestamp)
	later.Store(notEnoughReplicas)
	refuseProduce(s, func(request int) int16 {
		if request == 1 {
			return int16(first.Load())
		}
		return int16(later.Load())
	})
	r := adaptertest.NewRecorder()
	c := openConn(t, s.ConnStr(), "", r)
	var b adapters.Batch
	for i := range uint64(50) {
		b.AddText("again", adapters.Message{Seq: i + 1, TimestampMS: 1_600_000_000_000 + int64(i), Session: 5 + i%2, Number: i,
			Key: fmt.Appendf(nil, "key%d", i), Payload: fmt.Appendf(nil, "%d", i), Headers: headersOf(i)})
	}
	adaptertest.Send(t, c, &b)
	if err := c.Flush(deadline(t, time.Second)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Flush with messages under way: %v", err)
	}
	if n, _ := r.Results(); n != 0 {
		t.Errorf("%d results while the broker takes nothing", n)
	}
	later.Store(0)
	if err := c.Flush(deadline(t, 20*time.Second)); err != nil {
		t.Error(err)
	}
	if n, failed := r.Results(); n != 50 || failed != 0 {
		t.Errorf("%d results, %d failures", n, failed)
	}
	got := consume(t, s.addr(), "again", 50)
	for i, m := range got {
		if string(m.Key) != fmt.Sprintf("key%d", i) || string(m.Payload) != fmt.Sprint(i) || m.TimestampMS != 1_600_000_000_000+int64(i) ||
			m.Session != uint64(5+i%2) || m.Number != uint64(i) || !bytes.Equal(m.Headers, headersOf(uint64(i))) {
			t.Fatalf("message %d is %+v", i, m)
		}
	}
	if len(got) != 50 {
		t.Errorf("%d arrived", len(got))
	}
}

// TestSecondProducerLost: a fatal error of the second producer is one of the connection, and closing is quick.
func TestSecondProducerLost(t *testing.T) {
	for _, fatal := range []bool{true, false} {
		s := newServer(t, kfake.SeedTopics(1, "again"))
		var requests atomic.Int64
		refuseProduce(s, func(request int) int16 {
			requests.Store(int64(request))
			if request == 1 {
				return messageTooLarge
			}
			return notEnoughReplicas
		})
		r := adaptertest.NewRecorder()
		c := openConn(t, s.ConnStr(), "", r)
		adaptertest.Send(t, c, batchOf(1, "again", 50, 10))
		adaptertest.Wait(t, "a second try", func() bool { return requests.Load() > 1 })
		if fatal {
			c.testFatal(true, "for the test")
			adaptertest.Wait(t, "the failed state", func() bool {
				states := r.States()
				return states[len(states)-1].State == adapters.Failed
			})
			if _, err := c.Publish(batchOf(51, "again", 1, 1), 0); err == nil || !strings.Contains(err.Error(), "for the test") {
				t.Errorf("publish after a fatal error: %v", err)
			}
		}
		adaptertest.Within(t, fmt.Sprintf("Close (fatal error: %v)", fatal), 500*time.Millisecond, func() { _ = c.Close() })
		if n, _ := r.Results(); n != 0 {
			t.Errorf("%d results (fatal error: %v); the messages must stay unanswered", n, fatal)
		}
	}
}

// TestStuck: a producer that gets no answer for too long is replaced, and what had no answer is sent again.
func TestStuck(t *testing.T) {
	before := stuckAfter
	stuckAfter = 500 * time.Millisecond
	t.Cleanup(func() { stuckAfter = before })
	s := newServer(t, kfake.SeedTopics(1, "stuck"))
	var code atomic.Int32
	code.Store(notEnoughReplicas)
	refuseProduce(s, func(int) int16 { return int16(code.Load()) })
	var reason atomic.Value
	c := connect(t, s, broker.Options{Topic: "stuck", ConfigPath: s.ConfigPath(t), OnState: func(change broker.StateChange) {
		if strings.Contains(change.Reason, "under way was answered") {
			reason.CompareAndSwap(nil, change.Reason)
			code.Store(0)
		}
	}})
	for i := range 20 {
		if err := c.Publish(broker.Message{Payload: fmt.Append(nil, i)}); err != nil {
			t.Fatal(err)
		}
	}
	adaptertest.Wait(t, "a word about it", func() bool { return reason.Load() != nil })
	if text := reason.Load().(string); !strings.Contains(text, "connected, but none of 20 messages under way was answered for 2s; the broker may have lost its data") {
		t.Error(text)
	}
	if d := c.Drain(deadline(t, 20*time.Second)); d.Remaining != 0 || d.Acknowledged != 20 {
		t.Errorf("%+v", d)
	}
	for i, m := range consume(t, s.addr(), "stuck", 20) {
		if string(m.Payload) != fmt.Sprint(i) {
			t.Fatalf("message %d is %s", i, m.Payload)
		}
	}
}

// TestNotStuck: neither an outage, nor idleness, nor a flow of answers counts.
func TestNotStuck(t *testing.T) {
	before := stuckAfter
	stuckAfter = 500 * time.Millisecond // and 1 s of the configuration: shorter than each of what follows
	t.Cleanup(func() { stuckAfter = before })
	s := newServer(t, kfake.AllowAutoTopicCreation())
	r := adaptertest.NewRecorder()
	c := openConn(t, s.ConnStr(), s.ConfigPath(t), r)
	const flow = 25
	for i := range uint64(flow) {
		adaptertest.Send(t, c, batchOf(i+1, "flow", 1, 10))
		time.Sleep(100 * time.Millisecond)
	}
	r.WaitResults(t, flow)
	time.Sleep(2500 * time.Millisecond)
	s.stop()
	adaptertest.Wait(t, "the state of an outage", func() bool {
		states := r.States()
		return states[len(states)-1].State == adapters.Disconnected
	})
	adaptertest.Send(t, c, batchOf(flow+1, "flow", 1, 10))
	time.Sleep(2500 * time.Millisecond)
	s.start(t)
	r.WaitResults(t, flow+1)
	for _, e := range r.States() {
		if e.State == adapters.Failed {
			t.Errorf("%+v", e)
		}
	}
}

// TestLargerThanQueue: a message that can never fit is refused, and the next one goes through.
func TestLargerThanQueue(t *testing.T) {
	s := newServer(t, kfake.SeedTopics(1, "large"))
	r := adaptertest.NewRecorder()
	c := openConn(t, s.ConnStr(), writeFile(t, "queue.cfg", "[message-broker]\nproto-cfg = \"queue.buffering.max.kbytes=100\"\n"), r)
	var b adapters.Batch
	b.Append(1, 0, "large", []byte("k"), make([]byte, 102_401))
	b.Append(2, 0, "large", make([]byte, 5000), make([]byte, 102_400)) // the key is not counted
	b.Append(3, 0, "large", nil, make([]byte, 102_400))
	b.Append(4, 0, "large", nil, []byte("last"))
	adaptertest.Send(t, c, &b)
	adaptertest.Wait(t, "four results", func() bool { n, _ := r.Results(); return n == 4 })
	err, _ := r.Result(1)
	if _, failed := r.Results(); failed != 1 || !errors.Is(err, adapters.ErrTooLarge) ||
		!strings.Contains(err.Error(), "the message of 102402 bytes is larger than the whole queue, queue.buffering.max.kbytes=100; raise queue.buffering.max.kbytes") {
		t.Errorf("%d failures, message 1: %v", failed, err)
	}
}

// realTopic makes a topic with one partition on the Kafka that EDGEWIRE_KAFKA names.
func realTopic(t *testing.T, name string, configs map[string]string) (addr, connStr, topic string) {
	t.Helper()
	addr = external()
	if addr == "" {
		t.Skip("EDGEWIRE_KAFKA=host:port is not set: what a real Kafka does with such a batch is NOT tested")
	}
	topic = fmt.Sprintf("%s-%d", name, time.Now().UnixNano())
	client, err := kgo.NewClient(kgo.SeedBrokers(addr))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	rt := kmsg.NewCreateTopicsRequestTopic()
	rt.Topic, rt.NumPartitions, rt.ReplicationFactor = topic, 1, 1
	for k, v := range configs {
		rc := kmsg.NewCreateTopicsRequestTopicConfig()
		rc.Name, rc.Value = k, kmsg.StringPtr(v)
		rt.Configs = append(rt.Configs, rc)
	}
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Topics = append(req.Topics, rt)
	resp, err := req.RequestWith(t.Context(), client)
	if err != nil || len(resp.Topics) != 1 || resp.Topics[0].ErrorCode != 0 {
		t.Fatalf("creating %s: %v, %+v", topic, err, resp)
	}
	return addr, strings.Replace(addr, ":", ";", 1), topic
}

// TestRealSmallBatches: see testSmallBatches.
func TestRealSmallBatches(t *testing.T) {
	addr, connStr, topic := realTopic(t, "small", map[string]string{"max.message.bytes": "20000"})
	testSmallBatches(t, connStr, addr, topic)
}

// TestRealBadRecord: one bad record fails alone.
func TestRealBadRecord(t *testing.T) {
	for name, c := range map[string]struct {
		configs map[string]string
		ts      int64
		key     []byte
		want    string
	}{
		"timestamp": {nil, 99_999_999_999_999, []byte("k"), "the timestamp of the message"},
		"compacted": {map[string]string{"cleanup.policy": "compact"}, 1_700_000_000_000, nil, "a compacted topic wants a key"},
	} {
		t.Run(name, func(t *testing.T) {
			addr, connStr, topic := realTopic(t, name, c.configs)
			r := adaptertest.NewRecorder()
			conn := openConn(t, connStr, "", r)
			var b adapters.Batch
			for i := range uint64(50) {
				key, ts := []byte("k"), 1_700_000_000_000+int64(i)
				if i == 20 {
					key, ts = c.key, c.ts
				}
				b.Append(i+1, ts, topic, key, fmt.Append(nil, i))
			}
			adaptertest.Send(t, conn, &b)
			if err := conn.Flush(deadline(t, 20*time.Second)); err != nil {
				t.Error(err)
			}
			n, failed := r.Results()
			err, _ := r.Result(21)
			if n != 50 || failed != 1 || err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%d results, %d failures, message 21: %v", n, failed, err)
			}
			t.Log(err)
			got := consume(t, addr, topic, 49)
			for i, m := range got {
				if i >= 20 {
					i++
				}
				if string(m.Payload) != fmt.Sprint(i) || m.TimestampMS != 1_700_000_000_000+int64(i) {
					t.Fatalf("message %d is %+v", i, m)
				}
			}
			if len(got) != 49 {
				t.Errorf("%d arrived, want 49", len(got))
			}
		})
	}
}
