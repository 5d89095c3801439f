// SPDX-License-Identifier: LGPL-2.1-or-later

package mqtt

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/paho"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
)

// A testServer is a Mosquitto with an observer: a client of another make, Eclipse's, that notes all that the
// server takes. Its session outlives restarts of the server.
type testServer struct {
	*adaptertest.Process
	conf string // lines of the configuration file

	mu  sync.Mutex
	got map[string][]adaptertest.Received
	qos map[string]byte // of the newest of a topic, as the server delivers it to one who takes any
}

func newServer(t testing.TB, conf string, args ...string) *testServer {
	t.Helper()
	s := &testServer{Process: adaptertest.StartServer(t, "mosquitto", args...), conf: conf, got: map[string][]adaptertest.Received{}, qos: map[string]byte{}}
	return s
}

// observe starts the observer, on the port that is always plain.
func (s *testServer) observe(t testing.TB, user, password string) *testServer {
	t.Helper()
	u, _ := url.Parse("mqtt://127.0.0.1:" + s.Fields["port2"])
	agreed := make(chan struct{}, 100)
	cm, err := autopaho.NewConnection(context.Background(), autopaho.ClientConfig{ServerUrls: []*url.URL{u}, KeepAlive: 20,
		SessionExpiryInterval: 600, ConnectUsername: user, ConnectPassword: []byte(password),
		ReconnectBackoff: func(int) time.Duration { return 50 * time.Millisecond },
		OnConnectionUp: func(cm *autopaho.ConnectionManager, _ *paho.Connack) {
			_, err := cm.Subscribe(context.Background(), &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: "#", QoS: 2, RetainHandling: 2}}})
			if err == nil {
				agreed <- struct{}{}
			}
		},
		ClientConfig: paho.ClientConfig{ClientID: "observer", OnPublishReceived: []func(paho.PublishReceived) (bool, error){
			func(p paho.PublishReceived) (bool, error) { s.note(p.Packet); return true, nil }}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		_ = cm.Disconnect(ctx)
	})
	select {
	case <-agreed:
	case <-time.After(20 * time.Second):
		t.Fatal("the observer could not subscribe")
	}
	return s
}

func (s *testServer) note(p *paho.Publish) {
	m := adaptertest.Received{Topic: p.Topic, Payload: p.Payload}
	for _, u := range p.Properties.User {
		switch u.Key {
		case adapters.SessionHeader:
			m.Session, _ = strconv.ParseUint(u.Value, 16, 64)
		case adapters.NumberHeader:
			m.Number, _ = strconv.ParseUint(u.Value, 10, 64)
		default:
			m.Headers = m.Headers.AppendString(u.Key, u.Value)
		}
	}
	s.mu.Lock()
	s.got[p.Topic] = append(s.got[p.Topic], m)
	s.qos[p.Topic] = p.QoS
	s.mu.Unlock()
}

func (s *testServer) Malformed() []string {
	return []string{"host", ";1234", "host;", "a;b;c;d;e", "host:1883", "http://host", "mqtt://user:pw@host", "mqtt://host/topic", "host;1883;a/#"}
}
func (s *testServer) Start(t *testing.T)   { s.Process.Start(t) }
func (s *testServer) Stop(t *testing.T)    { s.Process.Stop(t) }
func (s *testServer) UnknownTopic() string { return "" }
func (s *testServer) TooLarge() int        { return 0 }
func (s *testServer) Forgetful() bool      { return true } // the suite's clients have no name that a server could know
func (s *testServer) ConfigPath(t *testing.T) string {
	return adaptertest.WriteFile(t, "mqtt.cfg", "[message-broker]\n"+s.conf)
}
func (s *testServer) KeptPath(t *testing.T, name string) string {
	return adaptertest.WriteFile(t, "mqtt.cfg", "[message-broker]\n"+s.conf+"client-id="+name+"\nclean-start=0\n")
}

// saved waits until the server has written down what it knows now: it does so after something has changed.
func (s *testServer) saved(t *testing.T) {
	t.Helper()
	now, r := time.Now(), adaptertest.NewRecorder()
	c := openConn(t, s.ConnStr(), "retain=1\n", r)
	adaptertest.Send(t, c, batchOf(1, "a/change", 1, 6))
	r.WaitResults(t, 1)
	_ = c.Close()
	adaptertest.Wait(t, "the server's file", func() bool {
		info, err := os.Stat(filepath.Join(s.Dir, "mosquitto.db"))
		return err == nil && info.ModTime().After(now)
	})
}

// Consume waits for n messages, and a moment longer for what is too many.
func (s *testServer) Consume(t *testing.T, topic string, n int) []adaptertest.Received {
	t.Helper()
	have := func() int {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.got[topic])
	}
	for end := time.Now().Add(20 * time.Second); have() < n && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
	time.Sleep(100 * time.Millisecond)
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]adaptertest.Received(nil), s.got[topic]...)
}

// openConn opens a Conn with lines of a configuration file.
func openConn(t testing.TB, connStr, conf string, r *adaptertest.Recorder) adapters.Consumer {
	t.Helper()
	c, err := adapter{}.Open(adapters.Config{ConnStr: connStr, ConfigPath: adaptertest.WriteFile(t, "mqtt.cfg", "[message-broker]\n"+conf), Strict: true,
		RetryInterval: 50 * time.Millisecond}, r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c.(adapters.Consumer)
}

func batchOf(first uint64, topic string, n, size int) *adapters.Batch {
	b := &adapters.Batch{}
	for i := range uint64(n) {
		payload := fmt.Appendf(nil, "%06d", first+i)
		b.Append(first+i, 0, topic, nil, append(payload, make([]byte, max(size-len(payload), 0))...))
	}
	return b
}

// lastReason is the newest reason of a connection that is away.
func lastReason(r *adaptertest.Recorder) string {
	states := r.States()
	for i := len(states) - 1; i >= 0; i-- {
		if states[i].State == adapters.Disconnected {
			return states[i].Reason
		}
	}
	return ""
}

func wantReason(t *testing.T, r *adaptertest.Recorder, part string) {
	t.Helper()
	adaptertest.Wait(t, "a reason with "+strconv.Quote(part), func() bool { return strings.Contains(lastReason(r), part) || dump(t, r) })
}

// dump shows the reasons that came instead, once there are many.
func dump(t *testing.T, r *adaptertest.Recorder) bool {
	if states := r.States(); len(states) > 12 {
		t.Fatalf("other reasons came: %q", lastReason(r))
	}
	return false
}

// old is the adapter where only MQTT 3.1.1 is spoken: there are no headers and no groups.
type old struct{ adapter }

type oldConn struct{ adapters.Consumer }

func (c oldConn) Subscribe(cfg adapters.SubscribeConfig, r adapters.Receiver) error {
	cfg.Group = ""
	return c.Consumer.Subscribe(cfg, r)
}

func (o old) Open(cfg adapters.Config, sink adapters.Sink) (adapters.Conn, error) {
	c, err := o.adapter.Open(cfg, sink)
	if err != nil {
		return nil, err
	}
	return oldConn{c.(adapters.Consumer)}, nil
}

func (old) Capabilities() adapters.Capabilities {
	c := adapter{}.Capabilities()
	c.Headers = false
	return c
}

func TestConformance(t *testing.T) {
	for _, c := range []struct {
		name, conf string
		a          adapters.Adapter
	}{{"qos1", "", adapter{}}, {"qos2", "qos=2\nsubscribe-qos=2\n", adapter{}}, {"old", "protocol-version=3.1.1\n", old{}}} {
		t.Run(c.name, func(t *testing.T) {
			// In 3.1.1 the server alone bounds what it sends without an acknowledgement, by default to 20.
			adaptertest.Run(t, c.a, newServer(t, c.conf, "--config-line", "max_inflight_messages 1000").observe(t, "", ""))
		})
	}
}
