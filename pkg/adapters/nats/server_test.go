// SPDX-License-Identifier: LGPL-2.1-or-later

package nats

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	client "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
)

const maxPayload = 500_000

// A testServer has a stream that takes every subject of one word.
type testServer struct{ *adaptertest.Process }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func server(t testing.TB, args ...string) *testServer {
	t.Helper()
	s := &testServer{adaptertest.StartServer(t, "nats", append([]string{"--max-payload", strconv.Itoa(maxPayload)}, args...)...)}
	return s
}

// withStream makes a stream.
func (s *testServer) withStream(t testing.TB, name string, subjects ...string) *testServer {
	t.Helper()
	k, js := s.dial(t)
	defer k.Close()
	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: name, Subjects: subjects})
	must(t, err)
	return s
}

func (s *testServer) dial(t testing.TB, opts ...client.Option) (*client.Conn, jetstream.JetStream) {
	t.Helper()
	k, err := client.Connect("nats://"+s.Addr, opts...)
	must(t, err)
	js, err := jetstream.New(k)
	must(t, err)
	return k, js
}

func (s *testServer) ConfigPath(t *testing.T) string { return "" }
func (s *testServer) KeptPath(t *testing.T, name string) string {
	return config(t, "ack-wait=2\n") // what the library drops on the way comes again only then
}
func (s *testServer) Start(t *testing.T)   { s.Process.Start(t) }
func (s *testServer) Stop(t *testing.T)    { s.Process.Stop(t) }
func (s *testServer) UnknownTopic() string { return "no.where" }
func (s *testServer) TooLarge() int        { return maxPayload }
func (s *testServer) Malformed() []string {
	return []string{"host", ";1234", "host;", "a;b;c", "a;70000", "http://localhost", "nats://user:secret@host", "a b;1", "nats://"}
}

// Replayed: nats-server 2.9 can go back by a message when one is to be sent again and the receiver that had asked has
// just gone (see subscriber.goodbye). It has forgotten then that it was sent, which a missing acknowledgement does not do.
func (s *testServer) Replayed(m *adapters.Incoming) bool { return !m.Redelivered }

func (s *testServer) Consume(t *testing.T, topic string, n int) (got []adaptertest.Received) {
	t.Helper()
	k, js := s.dial(t)
	defer k.Close()
	stream, err := js.StreamNameBySubject(t.Context(), topic)
	must(t, err)
	c, err := js.CreateConsumer(t.Context(), stream, jetstream.ConsumerConfig{FilterSubject: topic})
	must(t, err)
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		batch, err := c.Fetch(n+100, jetstream.FetchMaxWait(300*time.Millisecond))
		must(t, err)
		came := 0
		for m := range batch.Messages() {
			came++
			in, _ := incoming(m)
			r := adaptertest.Received{Topic: in.Topic, Key: in.Key, Payload: in.Payload, TimestampMS: in.TimestampMS}
			in.Headers.Each(func(name, value []byte) bool {
				switch string(name) {
				case adapters.SessionHeader:
					r.Session, _ = strconv.ParseUint(string(value), 16, 64)
				case adapters.NumberHeader:
					r.Number, _ = strconv.ParseUint(string(value), 10, 64)
				default:
					r.Headers = r.Headers.Append(string(name), value)
				}
				return true
			})
			got = append(got, r)
			_ = m.Ack()
		}
		if came == 0 && len(got) >= n {
			break
		}
	}
	return got
}

func config(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "nats.cfg")
	must(t, os.WriteFile(path, []byte("[message-broker]\n"+text), 0o600))
	return path
}

func open(t testing.TB, connStr, text string) (*conn, *adaptertest.Recorder) {
	t.Helper()
	r := adaptertest.NewRecorder()
	c, err := adapter{}.Open(adapters.Config{ConnStr: connStr, ConfigPath: config(t, text), Strict: true,
		RetryInterval: 50 * time.Millisecond, MaxRetryInterval: 200 * time.Millisecond}, r)
	must(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c.(*conn), r
}

func TestConformance(t *testing.T) {
	adaptertest.Run(t, adapter{}, server(t).withStream(t, "tests", "*"))
}
