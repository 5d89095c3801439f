// SPDX-License-Identifier: LGPL-2.1-or-later

package kafka

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
)

// A testServer is a broker in this process, on a fixed port, that can go away and come back.
type testServer struct {
	port    int
	dir     string
	opts    []kfake.Opt
	cluster *kfake.Cluster
	conf    string // content of the configuration file
}

func newServer(t testing.TB, opts ...kfake.Opt) *testServer {
	t.Helper()
	s := &testServer{port: freePort(t), dir: t.TempDir(), opts: opts,
		conf: "[message-broker]\nproto-cfg = \"topic.metadata.propagation.max.ms=1000;reconnect.backoff.max.ms=300\"\n"}
	s.start(t)
	t.Cleanup(s.stop)
	return s
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func (s *testServer) start(t testing.TB) {
	t.Helper()
	opts := append([]kfake.Opt{kfake.NumBrokers(1), kfake.Ports(s.port), kfake.DataDir(s.dir), kfake.DefaultNumPartitions(3)}, s.opts...)
	var err error
	for range 50 {
		if s.cluster, err = kfake.NewCluster(opts...); err == nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal(err)
}

func (s *testServer) stop() {
	if s.cluster != nil {
		s.cluster.Close()
		s.cluster = nil
	}
}

func (s *testServer) addr() string         { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }
func (s *testServer) ConnStr() string      { return fmt.Sprintf("127.0.0.1;%d", s.port) }
func (s *testServer) Start(t *testing.T)   { s.start(t) }
func (s *testServer) Stop(*testing.T)      { s.stop() }
func (s *testServer) UnknownTopic() string { return "" }
func (s *testServer) TooLarge() int        { return 2_000_000 }
func (s *testServer) Malformed() []string  { return []string{"host", ";1234", "host;", "a;b;c;d;e"} }
func (s *testServer) ConfigPath(t *testing.T) string {
	return writeFile(t, "kafka.cfg", s.conf)
}

func writeFile(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (s *testServer) Consume(t *testing.T, topic string, n int) []adaptertest.Received {
	return consume(t, s.addr(), topic, n)
}

// consume reads at least n messages, and whatever else comes within a moment.
func consume(t *testing.T, addr, topic string, n int) []adaptertest.Received {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	var got []adaptertest.Received
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		wait := time.Until(deadline)
		if len(got) >= n {
			wait = 300 * time.Millisecond
		}
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		f := cl.PollFetches(ctx)
		cancel()
		if len(got) >= n && f.NumRecords() == 0 {
			return got
		}
		f.EachRecord(func(r *kgo.Record) {
			m := adaptertest.Received{Topic: r.Topic, Key: r.Key, Payload: r.Value, TimestampMS: r.Timestamp.UnixMilli()}
			for _, h := range r.Headers {
				switch h.Key {
				case adapters.SessionHeader:
					m.Session, _ = strconv.ParseUint(string(h.Value), 16, 64)
				case adapters.NumberHeader:
					m.Number, _ = strconv.ParseUint(string(h.Value), 10, 64)
				default:
					m.Headers = m.Headers.Append(h.Key, h.Value)
				}
			}
			got = append(got, m)
		})
	}
	return got
}

func TestConformance(t *testing.T) {
	t.Run("auto-create", func(t *testing.T) {
		adaptertest.Run(t, adapter{}, newServer(t, kfake.AllowAutoTopicCreation()))
	})
}

// seeded is a server without automatic topics, so that each test's topic must be made by hand.
type seeded struct{ *testServer }

func (seeded) UnknownTopic() string { return "nowhere" }

// TestRefused runs against a server that creates no topics.
func TestRefused(t *testing.T) {
	s := seeded{newServer(t, kfake.SeedTopics(1, "here"))}
	r := adaptertest.NewRecorder()
	c := openConn(t, s.ConnStr(), s.ConfigPath(t), r)
	b := batchOf(1, "here", 3, 10)
	b.Append(4, 0, "nowhere", nil, []byte("lost"))
	b.Append(5, 0, "here", nil, make([]byte, 1_500_000)) // over message.max.bytes
	b.Append(6, 0, "bad name!", nil, []byte("lost"))
	b.Append(7, 0, "here", nil, []byte("last"))
	adaptertest.Send(t, c, b)
	adaptertest.Wait(t, "seven results", func() bool { n, _ := r.Results(); return n == 7 })
	for seq, want := range map[uint64]string{
		1: "", 7: "",
		4: "topic nowhere on " + s.addr() + ": the topic does not exist and the broker did not create it; create the topic",
		5: "topic here on " + s.addr() + ": the message of 1500000 bytes is larger than message.max.bytes=1000000; raise message.max.bytes",
		6: "topic bad name! on " + s.addr() + ": the topic name is not valid; use letters",
	} {
		err, _ := r.Result(seq)
		if (want == "") != (err == nil) || (err != nil && !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("message %d: %v, want %s", seq, err, want)
		}
	}
	if got := consume(t, s.addr(), "here", 4); len(got) != 4 {
		t.Errorf("%d messages arrived, want 4", len(got))
	}
}

// TestUnknownTopicIsTold: long before the messages are given up, the log says what is wrong.
func TestUnknownTopicIsTold(t *testing.T) {
	s := newServer(t)
	r := adaptertest.NewRecorder()
	c := openConn(t, s.ConnStr(), "", r)
	began := time.Now()
	adaptertest.Send(t, c, batchOf(1, "nowhere", 1, 10))
	adaptertest.Wait(t, "a word about the topic", func() bool { return logged(r, "topic nowhere on "+s.addr()+": the topic does not exist") })
	if d := time.Since(began); d > 4*time.Second {
		t.Errorf("it took %v", d)
	}
	if n, _ := r.Results(); n != 0 {
		t.Error("the message was given up already")
	}
}

// TestBrokerLimit: a message that only the broker finds too large takes no other one with it.
func TestBrokerLimit(t *testing.T) {
	s := newServer(t, kfake.AllowAutoTopicCreation(), kfake.DefaultNumPartitions(1), kfake.BrokerConfigs(map[string]string{"message.max.bytes": "500000"}))
	r := adaptertest.NewRecorder()
	c := openConn(t, s.ConnStr(), "", r)
	b := batchOf(1, "limit", 50, 100)
	b.Append(51, 0, "limit", nil, make([]byte, 600_000))
	for i := range uint64(49) {
		b.Append(52+i, 0, "limit", nil, []byte("after"))
	}
	adaptertest.Send(t, c, b)
	adaptertest.Wait(t, "100 results", func() bool { n, _ := r.Results(); return n == 100 })
	if _, failed := r.Results(); failed != 1 {
		t.Errorf("%d messages failed, want 1", failed)
	}
	err, _ := r.Result(51)
	if err == nil || !strings.Contains(err.Error(), "600000 bytes, key included, is larger than the broker or the topic accepts; raise message.max.bytes on the broker") {
		t.Errorf("message 51: %v", err)
	}
}
