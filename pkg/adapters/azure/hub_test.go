// SPDX-License-Identifier: LGPL-2.1-or-later

package azure

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
)

var pki = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "ew-pki")
	if err == nil {
		if out, e := exec.Command("../../../scripts/test-pki", dir).CombinedOutput(); e != nil {
			err = errors.New(string(out))
		}
	}
	return dir, err
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := pki(); err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

func certificates(t testing.TB) string {
	t.Helper()
	dir, err := pki()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

const (
	hubName = "hub.example"
	testKey = "c2VjcmV0IGtleSBvZiB0aGUgZGV2aWNl" // base64
)

// A hub is an MQTT server that behaves as IoT Hub does: MQTT 3.1.1 over TLS, tokens whose signature and end
// are checked when one connects, connections that end with their token, and its topics alone.
type hub struct {
	mochi.HookBase
	t         testing.TB
	kind      string // tcp or ws
	port      int
	key       []byte
	server    *mochi.Server
	threshold int // messages after which every connection is closed, as a hub over its quota does; 0: never

	mu       sync.Mutex
	got      map[string][]adaptertest.Received // by output; "" for a device
	topics   []string
	replies  map[string]string // topic on the wire → payload
	tokens   map[string]bool
	connects int
	expired  int
	refused  int
	early    time.Duration // the hub's clock is ahead by this
	desired  string        // properties
	asked    int           // questions for the twin
}

func newHub(t testing.TB, kind string) *hub {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	key, _ := base64.StdEncoding.DecodeString(testKey)
	h := &hub{t: t, kind: kind, port: l.Addr().(*net.TCPAddr).Port, key: key, got: map[string][]adaptertest.Received{}, replies: map[string]string{}, tokens: map[string]bool{}}
	_ = l.Close()
	h.start()
	t.Cleanup(func() { h.stop() })
	return h
}

func (h *hub) start() {
	h.t.Helper()
	dir := certificates(h.t)
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "server.pem"), filepath.Join(dir, "server-key.pem"))
	if err != nil {
		h.t.Fatal(err)
	}
	ca, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		h.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	c := listeners.Config{Type: h.kind, ID: "hub", Address: net.JoinHostPort("127.0.0.1", strconv.Itoa(h.port)),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}, ClientCAs: pool, ClientAuth: tls.VerifyClientCertIfGiven}}
	var listener listeners.Listener = listeners.NewTCP(c)
	if h.kind == "ws" {
		listener = listeners.NewWebsocket(c)
	}
	for range 100 {
		h.server = mochi.New(&mochi.Options{InlineClient: true, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
		if err = h.server.AddHook(h, nil); err != nil {
			h.t.Fatal(err)
		}
		if err = h.server.AddListener(listener); err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	if err := h.server.Serve(); err != nil {
		h.t.Fatal(err)
	}
}

func (h *hub) stop() {
	if h.server != nil {
		_ = h.server.Close()
		h.server = nil
	}
}

// ID and Provides make a hook.
func (h *hub) ID() string { return "hub" }

func (h *hub) Provides(b byte) bool {
	return bytes.Contains([]byte{mochi.OnConnectAuthenticate, mochi.OnACLCheck, mochi.OnPublish}, []byte{b})
}

func (h *hub) OnConnectAuthenticate(cl *mochi.Client, pk packets.Packet) bool {
	end, ok := h.authenticate(cl, string(cl.Properties.Username), string(pk.Connect.Password))
	h.mu.Lock()
	defer h.mu.Unlock()
	if !ok || pk.ProtocolVersion != 4 {
		h.refused++
		return false
	}
	h.connects++
	h.tokens[string(pk.Connect.Password)] = true
	if !end.IsZero() {
		time.AfterFunc(time.Until(end)-h.early, func() {
			if !cl.Closed() {
				h.mu.Lock()
				h.expired++
				h.mu.Unlock()
				cl.Stop(errors.New("the token has ended"))
			}
		})
	}
	return true
}

// authenticate checks a user name and a token, or a certificate.
func (h *hub) authenticate(cl *mochi.Client, user, password string) (end time.Time, ok bool) {
	want := hubName + "/" + cl.ID + "/?api-version=" + apiVersion
	if user != want {
		return end, false
	}
	if password == "" {
		tc, isTLS := cl.Net.Conn.(*tls.Conn)
		if !isTLS || len(tc.ConnectionState().PeerCertificates) == 0 {
			return end, false
		}
		return end, tc.ConnectionState().PeerCertificates[0].Subject.CommonName == cl.ID
	}
	text, found := strings.CutPrefix(password, "SharedAccessSignature ")
	fields, err := url.ParseQuery(text)
	if !found || err != nil {
		return end, false
	}
	device, module, isModule := strings.Cut(cl.ID, "/")
	resource := hubName + "/devices/" + device
	if isModule {
		resource += "/modules/" + module
	}
	seconds, err := strconv.ParseInt(fields.Get("se"), 10, 64)
	if err != nil || fields.Get("sr") != resource {
		return end, false
	}
	mac := hmac.New(sha256.New, h.key)
	_, _ = io.WriteString(mac, url.QueryEscape(resource)+"\n"+fields.Get("se"))
	sig, err := base64.StdEncoding.DecodeString(fields.Get("sig"))
	end = time.Unix(seconds, 0)
	return end, err == nil && hmac.Equal(sig, mac.Sum(nil)) && time.Now().Before(end)
}

func (h *hub) OnACLCheck(cl *mochi.Client, topic string, write bool) bool {
	device, module, isModule := strings.Cut(cl.ID, "/")
	base := "devices/" + device
	if isModule {
		base += "/modules/" + module
	}
	if write {
		return strings.HasPrefix(topic, base+"/messages/events/") || strings.HasPrefix(topic, "$iothub/methods/res/") || strings.HasPrefix(topic, "$iothub/twin/GET/?$rid=")
	}
	// Asked about filters and about each message.
	for _, root := range []string{base + "/messages/devicebound/", base + "/inputs/", "$iothub/methods/POST/", "$iothub/twin/PATCH/properties/desired/", "$iothub/twin/res/"} {
		if strings.HasPrefix(topic, root) {
			return true
		}
	}
	return false
}

func (h *hub) OnPublish(cl *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	if cl.Net.Inline {
		return pk, nil
	}
	if len(pk.Payload) > maxMessage || pk.FixedHeader.Qos > 1 || pk.FixedHeader.Retain {
		cl.Stop(errors.New("IoT Hub hangs up on what it does not take"))
		return pk, packets.ErrPacketTooLarge
	}
	_, rest, event := strings.Cut(pk.TopicName, "/messages/events/")
	if query, ok := strings.CutPrefix(pk.TopicName, "$iothub/twin/GET/?$rid="); ok {
		h.mu.Lock()
		h.asked++
		desired := h.desired
		h.mu.Unlock()
		if desired == "" {
			desired = `{"$version":3}`
		}
		go func() {
			_ = h.server.Publish("$iothub/twin/res/200/?$rid="+query, []byte(`{"desired":`+desired+`}`), false, 0)
		}()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !event {
		h.replies[pk.TopicName] = string(pk.Payload)
		return pk, nil
	}
	m := adaptertest.Received{Payload: bytes.Clone(pk.Payload)}
	values, err := url.ParseQuery(rest)
	if err != nil {
		h.t.Errorf("properties %q: %v", rest, err)
	}
	for name, v := range values {
		switch name {
		case "$.on":
			m.Topic = v[0]
		case adapters.SessionHeader:
			m.Session, _ = strconv.ParseUint(v[0], 16, 64)
		case adapters.NumberHeader:
			m.Number, _ = strconv.ParseUint(v[0], 10, 64)
		default:
			m.Headers = m.Headers.AppendString(name, v[0])
		}
	}
	h.topics = append(h.topics, pk.TopicName)
	h.got[m.Topic] = append(h.got[m.Topic], m)
	if h.threshold > 0 && len(h.topics) > h.threshold {
		cl.Stop(errors.New("over quota"))
	}
	return pk, nil
}

func (h *hub) count(f func() int) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return f()
}

// connStr is that of a device, or of a module when one is named; the gateway is the way to this hub.
func connStr(device, module string) string {
	s := "HostName=" + hubName + ";GatewayHostName=localhost;DeviceId=" + device
	if module != "" {
		s += ";ModuleId=" + module
	}
	return s + ";SharedAccessKey=" + testKey
}

func (h *hub) conf() string {
	return "port=" + strconv.Itoa(h.port) + "\ntls-ca-file=" + filepath.Join(certificates(h.t), "ca.pem") + "\n"
}

func (h *hub) open(t testing.TB, name, connStr, conf string, r *adaptertest.Recorder) adapters.Consumer {
	t.Helper()
	c, err := adapter{name}.Open(adapters.Config{ConnStr: connStr, ConfigPath: adaptertest.WriteFile(t, "azure.cfg", "[message-broker]\n"+h.conf()+conf), Strict: true,
		RetryInterval: 50 * time.Millisecond}, r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c.(adapters.Consumer)
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
