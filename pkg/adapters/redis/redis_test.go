// SPDX-License-Identifier: LGPL-2.1-or-later

package redis

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
)

// A server is a Redis with what the suite wants of it.
type server struct {
	*adaptertest.Process
	config string // lines below [message-broker]
	c      *goredis.Client
}

func newServer(t testing.TB, args ...string) *server {
	t.Helper()
	s := &server{Process: adaptertest.StartServer(t, "redis", args...)}
	s.c = client(t, &goredis.Options{Addr: s.Addr})
	return s
}

func client(t testing.TB, o *goredis.Options) *goredis.Client {
	o.Protocol = 2
	c := goredis.NewClient(o)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func (s *server) UnknownTopic() string { return "" }
func (s *server) TooLarge() int        { return 0 }
func (s *server) Malformed() []string {
	return []string{"host", ";1234", "host;", "a;b;c;d;e", "host;0", "host;65536", "host:6379", "a,;1", "ho st;1", "[::1;1"}
}
func (s *server) Start(t *testing.T)             { s.Process.Start(t) }
func (s *server) Stop(t *testing.T)              { s.Process.Stop(t) }
func (s *server) ConfigPath(t *testing.T) string { return configFile(t, s.config) }

// configFile writes lines below [message-broker]; "" gives no file.
func configFile(t testing.TB, lines string) string {
	t.Helper()
	if lines == "" {
		return ""
	}
	path := filepath.Join(t.TempDir(), "redis.cfg")
	if err := os.WriteFile(path, []byte("[message-broker]\n"+lines+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// do runs commands, or fails.
func do(t testing.TB, c *goredis.Client, words ...any) any {
	t.Helper()
	v, err := c.Do(t.Context(), words...).Result()
	if err != nil {
		t.Fatalf("%v: %v", words, err)
	}
	return v
}

func (s *server) Consume(t *testing.T, topic string, n int) []adaptertest.Received {
	return consume(t, s.c, topic, n)
}

// consume gives what the stream holds, when that is at least n messages.
func consume(t testing.TB, c goredis.UniversalClient, topic string, n int) (got []adaptertest.Received) {
	t.Helper()
	adaptertest.Wait(t, fmt.Sprintf("%d messages in %s", n, topic), func() bool {
		k, err := c.XLen(context.Background(), topic).Result()
		return err == nil && int(k) >= n
	})
	o, err := loadOptions(adapters.Config{}, connString{servers: []string{"x:1"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	list, err := c.Do(t.Context(), "XRANGE", topic, "-", "+").Slice()
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range list {
		m, ok := o.decode(topic, item)
		if !ok {
			t.Fatalf("an entry like %v", item)
		}
		r := adaptertest.Received{Topic: topic, Key: m.Key, Payload: m.Payload, TimestampMS: m.TimestampMS}
		if v, ok := m.Headers.Get(adapters.SessionHeader); ok {
			r.Session, _ = strconv.ParseUint(string(v), 16, 64)
		}
		if v, ok := m.Headers.Get(adapters.NumberHeader); ok {
			r.Number, _ = strconv.ParseUint(string(v), 10, 64)
		}
		r.Headers = m.Headers
		got = append(got, r)
	}
	return got
}

func openConn(t testing.TB, connStr, config string, r *adaptertest.Recorder) *conn {
	t.Helper()
	c, err := adapter{}.Open(adapters.Config{ConnStr: connStr, ConfigPath: configFile(t, config), Strict: true,
		RetryInterval: 50 * time.Millisecond, MaxRetryInterval: 300 * time.Millisecond}, r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c.(*conn)
}

// batchOf makes count messages with numbers for payloads and one key.
func batchOf(first uint64, topic string, count int) *adapters.Batch {
	var b adapters.Batch
	for i := range uint64(count) {
		b.Append(first+i, 0, topic, []byte("k"), fmt.Appendf(nil, "%06d", first+i))
	}
	return &b
}

func results(t testing.TB, r *adaptertest.Recorder, n, failures int) {
	t.Helper()
	adaptertest.Wait(t, fmt.Sprintf("%d results", n), func() bool { all, _ := r.Results(); return all >= n })
	if all, failed := r.Results(); all != n || failed != failures || r.Twice() != 0 {
		t.Errorf("%d results, %d failures, %d twice, want %d, %d, 0", all, failed, r.Twice(), n, failures)
	}
}

// down waits for a state Disconnected whose reason holds text.
func down(t testing.TB, r *adaptertest.Recorder, text string) {
	t.Helper()
	adaptertest.Wait(t, "a reason with "+text, func() bool {
		for _, e := range r.States() {
			if e.State == adapters.Disconnected && strings.Contains(e.Reason, text) && e.Host != "" && e.Next > 0 {
				return true
			}
		}
		return false
	})
}

// inOrder fails unless the messages, each counted where it came first, are 1 to n.
func inOrder(t testing.TB, got []adaptertest.Received, n int) (duplicates int) {
	t.Helper()
	next := 1
	for _, m := range got {
		k, _ := strconv.Atoi(string(m.Payload))
		switch {
		case k == next:
			next++
		case k > next || k < 1:
			t.Fatalf("%s came where %06d was expected", m.Payload, next)
		default:
			duplicates++
		}
	}
	if next != n+1 {
		t.Fatalf("messages up to %d, want %d", next-1, n)
	}
	return duplicates
}

func TestConformance(t *testing.T) {
	adaptertest.Run(t, adapter{}, newServer(t, "--durable"))
}
