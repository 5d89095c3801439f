// SPDX-License-Identifier: LGPL-2.1-or-later

package amqp

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	rabbit "github.com/rabbitmq/amqp091-go"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
)

const (
	testExchange = "edgewire-tests"
	maxMessage   = 1_000_000
)

// A testServer is a RabbitMQ whose queue "all" takes every topic of one word.
type testServer struct {
	*adaptertest.Process
	pki string

	mu  sync.Mutex
	got map[string][]adaptertest.Received
}

// shared is the one server of all tests; it is started when first needed.
var shared struct {
	once sync.Once
	dir  string
	s    *testServer
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.s != nil {
		if err := shared.s.Remove(); err != nil {
			fmt.Println(err)
			code = 1
		}
	}
	if shared.dir != "" {
		_ = os.RemoveAll(shared.dir)
	}
	os.Exit(code)
}

func server(t testing.TB) *testServer {
	t.Helper()
	shared.once.Do(func() {
		shared.dir, shared.err = os.MkdirTemp("", "edgewire-amqp-")
		if shared.err != nil {
			return
		}
		pki := filepath.Join(shared.dir, "pki")
		if out, err := exec.Command("../../../scripts/test-pki", pki).CombinedOutput(); err != nil {
			shared.err = fmt.Errorf("test-pki: %w: %s", err, out)
			return
		}
		p, err := adaptertest.LaunchServer(filepath.Join(shared.dir, "server"), "rabbitmq", "--tls", pki, "--max-message-bytes", strconv.Itoa(maxMessage))
		if shared.err = err; err != nil {
			return
		}
		shared.s = &testServer{Process: p, pki: pki, got: map[string][]adaptertest.Received{}}
		shared.err = shared.s.declare()
	})
	if shared.err != nil && strings.Contains(shared.err.Error(), "not installed") {
		t.Skipf("%v: NOTHING of RabbitMQ is tested here", shared.err)
	}
	must(t, shared.err)
	return shared.s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s *testServer) dial() (*rabbit.Connection, *rabbit.Channel, error) {
	var err error
	for range 100 {
		var c *rabbit.Connection
		if c, err = rabbit.Dial("amqp://guest:guest@" + s.Addr + "/"); err == nil {
			ch, err := c.Channel()
			return c, ch, err
		}
		time.Sleep(50 * time.Millisecond)
	}
	return nil, nil, err
}

func (s *testServer) declare() error {
	c, ch, err := s.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = ch.QueueDeclare("all", true, false, false, false, nil)
	return errors.Join(err, ch.ExchangeDeclare(testExchange, "topic", true, false, false, false, nil), ch.QueueBind("all", "*", testExchange, false, nil))
}

func (s *testServer) ctl(t testing.TB, args ...string) string {
	t.Helper()
	out, err := exec.Command("../../../scripts/rabbitmq", append([]string{"ctl", s.Dir}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("rabbitmqctl %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (s *testServer) ConnStr() string { return "127.0.0.1;" + s.port() }
func (s *testServer) port() string {
	_, port, _ := strings.Cut(s.Addr, ":")
	return port
}
func (s *testServer) ConfigPath(t *testing.T) string {
	return config(t, "exchange="+testExchange+"\n")
}

// Start and Stop leave Erlang running, which is quicker; TestKill does not.
func (s *testServer) Start(t *testing.T) { s.ctl(t, "start_app") }
func (s *testServer) Stop(t *testing.T)  { s.ctl(t, "stop_app") }

func (s *testServer) UnknownTopic() string { return "no.where" }
func (s *testServer) TooLarge() int        { return maxMessage + 1 }
func (s *testServer) Malformed() []string {
	return []string{"host", ";1234", "host;", "a;b;c;d;e", "a;1;b;c;d", "a;70000", "localhost:5672", "http://localhost", "amqp://a:b c@x:1:2", "a b;1"}
}

func config(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "amqp.cfg")
	must(t, os.WriteFile(path, []byte("[message-broker]\n"+text), 0o600))
	return path
}

// Consume takes what is in the queue and gives what is of the topic.
func (s *testServer) Consume(t *testing.T, topic string, n int) []adaptertest.Received {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ch, err := s.dial()
	must(t, err)
	defer c.Close()
	in, err := ch.Consume("all", "", true, false, false, false, nil)
	must(t, err)
	deadline := time.After(20 * time.Second)
	for {
		wait := time.Hour
		if len(s.got[topic]) >= n {
			wait = 300 * time.Millisecond
		}
		select {
		case d := <-in:
			s.got[d.RoutingKey] = append(s.got[d.RoutingKey], received(d))
		case <-time.After(wait):
			return s.got[topic]
		case <-deadline:
			return s.got[topic]
		}
	}
}

func received(d rabbit.Delivery) adaptertest.Received {
	text := func(name string) string { v, _ := d.Headers[name].(string); return v }
	m := adaptertest.Received{Topic: d.RoutingKey, Payload: d.Body, Key: []byte(text(keyHeader))}
	m.TimestampMS, _ = d.Headers[millisHeader].(int64)
	m.Session, _ = strconv.ParseUint(text(adapters.SessionHeader), 16, 64)
	m.Number, _ = strconv.ParseUint(text(adapters.NumberHeader), 10, 64)
	for name := range d.Headers {
		if name != keyHeader && name != millisHeader && name != adapters.SessionHeader && name != adapters.NumberHeader {
			m.Headers = m.Headers.AppendString(name, text(name))
		}
	}
	return m
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

func TestConformance(t *testing.T) { adaptertest.Run(t, adapter{}, server(t)) }
