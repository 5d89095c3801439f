// SPDX-License-Identifier: LGPL-2.1-or-later

package azure

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
)

// publishing is the adapter without its receiving half, whose topics are the hub's and not the suite's.
type publishing struct{ adapter }

func (p publishing) Capabilities() adapters.Capabilities {
	c := p.adapter.Capabilities()
	c.Subscribe = false
	return c
}

// A suiteServer is a hub for the suite, whose topics are the outputs of a module.
type suiteServer struct{ *hub }

func (s suiteServer) ConnStr() string      { return connStr("cam7", "detector") }
func (s suiteServer) Start(*testing.T)     { s.start() }
func (s suiteServer) Stop(*testing.T)      { s.stop() }
func (s suiteServer) UnknownTopic() string { return "" }
func (s suiteServer) TooLarge() int        { return maxMessage + 1 }
func (s suiteServer) Largest() int         { return maxMessage - 1000 }
func (s suiteServer) Malformed() []string {
	return []string{"host;1883", "HostName=h", "HostName=h;DeviceId=d", "HostName=h;DeviceId=d;SharedAccessKey=!",
		"HostName=h;DeviceId=d;SharedAccessKey=" + testKey + ";Colour=red", "HostName=h;DeviceId=d;x509=true;SharedAccessKey=" + testKey,
		"DeviceId=d;SharedAccessKey=" + testKey, "HostName=h;DeviceId=a/b;SharedAccessKey=" + testKey, "HostName=h;HostName=h;DeviceId=d;SharedAccessKey=" + testKey}
}
func (s suiteServer) ConfigPath(t *testing.T) string {
	return adaptertest.WriteFile(t, "azure.cfg", "[message-broker]\n"+s.conf())
}
func (s suiteServer) Consume(t *testing.T, topic string, n int) []adaptertest.Received {
	have := func() []adaptertest.Received {
		s.mu.Lock()
		defer s.mu.Unlock()
		return append([]adaptertest.Received(nil), s.got[topic]...)
	}
	for end := time.Now().Add(20 * time.Second); len(have()) < n && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
	return have()
}

func TestConformance(t *testing.T) {
	adaptertest.Run(t, publishing{adapter{"azure_edge"}}, suiteServer{newHub(t, "tcp")})
}

// TestMalformedKeepsTheKey: whatever is wrong with a connection string, its key is not shown.
func TestMalformedKeepsTheKey(t *testing.T) {
	for _, cs := range append(suiteServer{}.Malformed(), testKey, "SharedAccessKey"+testKey+";HostName=h", "HostName=h;DeviceId=d;SharedAccessKey="+testKey+"!") {
		for _, name := range []string{"azure", "azure_edge"} {
			_, err := adapter{name}.Open(adapters.Config{ConnStr: cs}, adaptertest.NewRecorder())
			if err == nil || strings.Contains(err.Error(), testKey) {
				t.Errorf("%q: %v", cs, err)
			}
		}
	}
}

func batchOf(first uint64, n, size int) *adapters.Batch {
	b := &adapters.Batch{}
	for i := range uint64(n) {
		b.Append(first+i, 0, "ignored", nil, append(fmt.Appendf(nil, "%06d", first+i), make([]byte, size)...))
	}
	return b
}

// checkStream wants the numbers from 1 to n, each counted where it came first, in order.
func checkStream(t *testing.T, h *hub, n int) (doubled int) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	next, seen := 1, map[string]bool{}
	for _, m := range h.got[""] {
		p := string(m.Payload[:6])
		if seen[p] {
			doubled++
			continue
		}
		seen[p] = true
		if p != fmt.Sprintf("%06d", next) {
			t.Fatalf("%s came where %06d was due", p, next)
		}
		next++
	}
	if next != n+1 {
		t.Fatalf("%d of %d messages arrived", next-1, n)
	}
	return doubled
}

// TestRenewal: tokens end in the middle of a stream. Renewed in time, nothing is lost or doubled, and nobody
// is told of an outage; when the hub ends them early, nothing is lost.
func TestRenewal(t *testing.T) {
	for name, early := range map[string]time.Duration{"in time": 0, "too late": 2 * time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHub(t, "tcp")
			h.early = early
			r := adaptertest.NewRecorder()
			ttl := "8" // what is left of it at the renewal is a second at least
			if early > 0 {
				ttl = "5"
			}
			c := h.open(t, "azure", connStr("cam7", ""), "sas-ttl="+ttl+"\n", r)
			col := adaptertest.NewCollector()
			if err := c.Subscribe(adapters.SubscribeConfig{Topics: []string{"devicebound"}}, col); err != nil {
				t.Fatal(err)
			}
			n := 0
			for h.count(func() int { return h.connects }) < 3 {
				adaptertest.Send(t, c, batchOf(uint64(n+1), 20, 500))
				n += 20
				time.Sleep(5 * time.Millisecond)
			}
			adaptertest.Send(t, c, batchOf(uint64(n+1), 20, 500))
			n += 20
			adaptertest.Wait(t, "all acknowledgements", func() bool { all, _ := r.Results(); return all == n })
			if _, failed := r.Results(); failed > 0 {
				t.Errorf("%d failed", failed)
			}
			doubled := checkStream(t, h, n)
			h.mu.Lock()
			expired, tokens, refused := h.expired, len(h.tokens), h.refused
			h.mu.Unlock()
			if tokens < 3 || refused != 0 {
				t.Errorf("%d different tokens, %d refused", tokens, refused)
			}
			if early == 0 && (expired != 0 || doubled != 0 || lastReason(r) != "") {
				t.Errorf("%d connections ended with their token, %d messages came twice, the state said %q", expired, doubled, lastReason(r))
			}
			if early > 0 && expired == 0 {
				t.Error("no connection ended with its token")
			}
			adaptertest.Wait(t, "the subscription", func() bool { return col.Agreed("devicebound") >= 3 })
		})
	}
}

// TestRefusedToken: a wrong key is told, and not shown.
func TestRefusedToken(t *testing.T) {
	h := newHub(t, "tcp")
	h.key = []byte("another key")
	r := adaptertest.NewRecorder()
	c := h.open(t, "azure", connStr("cam7", ""), "", r)
	adaptertest.Send(t, c, batchOf(1, 1, 10))
	adaptertest.Wait(t, "the refusal", func() bool { return strings.Contains(lastReason(r), "does not accept the token of the device cam7") })
	for _, e := range r.States() {
		if strings.Contains(e.Reason, testKey) || strings.Contains(e.Reason, "SharedAccessSignature") {
			t.Error(e.Reason)
		}
	}
	for _, e := range r.Logs() {
		if strings.Contains(e.Text, testKey) || strings.Contains(e.Text, "SharedAccessSignature") {
			t.Error(e.Text)
		}
	}
	if n, _ := r.Results(); n != 0 {
		t.Error("a result without a connection")
	}
}

// TestSize: what IoT Hub does not take is refused here, and holds nothing up.
func TestSize(t *testing.T) {
	h := newHub(t, "tcp")
	r := adaptertest.NewRecorder()
	c := h.open(t, "azure", connStr("cam7", ""), "", r)
	var b adapters.Batch
	b.Append(1, 0, "", nil, []byte("000001"))
	b.Append(2, 0, "", nil, make([]byte, maxMessage+1))
	b.Append(3, 0, "", nil, append([]byte("000002"), make([]byte, maxMessage-6)...))
	b.AddText("", adapters.Message{Seq: 4, Payload: make([]byte, maxMessage), Headers: adapters.Headers(nil).AppendString("a", "b")})
	adaptertest.Send(t, c, &b)
	adaptertest.Wait(t, "four results", func() bool { n, _ := r.Results(); return n == 4 })
	for seq, want := range map[uint64]error{1: nil, 2: adapters.ErrTooLarge, 3: nil, 4: adapters.ErrTooLarge} {
		if err, _ := r.Result(seq); !errors.Is(err, want) {
			t.Errorf("message %d: %v, want %v", seq, err, want)
		}
	}
	checkStream(t, h, 2)
}

// TestQuota: a hub that hangs up again and again gets longer and longer pauses, and loses nothing.
func TestQuota(t *testing.T) {
	h := newHub(t, "tcp")
	h.threshold = 50
	r := adaptertest.NewRecorder()
	c := h.open(t, "azure", connStr("cam7", ""), "max-inflight=20\n", r)
	adaptertest.Send(t, c, batchOf(1, 100, 10))
	adaptertest.Wait(t, "five attempts", func() bool { return len(r.States()) > 10 })
	if !strings.Contains(lastReason(r), "quota") {
		t.Errorf("%q", lastReason(r))
	}
	h.mu.Lock()
	h.threshold = 0
	h.mu.Unlock()
	adaptertest.Wait(t, "all acknowledgements", func() bool { n, failed := r.Results(); return n == 100 && failed == 0 })
	checkStream(t, h, 100)
}

// TestProperties: what the user configures and sends arrives as properties, whatever is in it.
func TestProperties(t *testing.T) {
	h := newHub(t, "ws")
	conf := "websocket=1\ncontent-type=application/json\ncontent-encoding=utf-8\ncustom_msg_properties=site=east;line = a&b\n"
	for name, module := range map[string]string{"azure": "", "azure_edge": "detector"} {
		r := adaptertest.NewRecorder()
		c := h.open(t, name, connStr("cam7", module), conf, r)
		var b adapters.Batch
		b.AddText("out/1", adapters.Message{Seq: 1, Payload: []byte("{}"), Headers: adapters.Headers(nil).AppendString("na me", "größer+#/&=%"), Session: 255, Number: 9})
		adaptertest.Send(t, c, &b)
		adaptertest.Wait(t, "the acknowledgement", func() bool { n, failed := r.Results(); return n == 1 && failed == 0 })
		topic := ""
		if module != "" {
			topic = "out/1"
		}
		h.mu.Lock()
		m := h.got[topic][0]
		h.mu.Unlock()
		for k, want := range map[string]string{"site": "east", "line": "a&b", "$.ct": "application/json", "$.ce": "utf-8", "na me": "größer+#/&=%"} {
			if v, _ := m.Headers.Get(k); string(v) != want {
				t.Errorf("%s: %s is %q, want %q", name, k, v, want)
			}
		}
		if m.Session != 255 || m.Number != 9 {
			t.Errorf("session %d, number %d", m.Session, m.Number)
		}
	}
}

// TestReceive: messages, methods and twin of a device.
func TestReceive(t *testing.T) {
	h := newHub(t, "tcp")
	c, col := h.open(t, "azure", connStr("cam7", ""), "", adaptertest.NewRecorder()), adaptertest.NewCollector()
	topics := []string{"devicebound", "methods", "twin", "twin/full"}
	for _, bad := range []string{"inputs", "anything", ""} {
		if err := c.Subscribe(adapters.SubscribeConfig{Topics: []string{bad}}, col); err == nil || !strings.Contains(err.Error(), "known are devicebound") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if err := c.Subscribe(adapters.SubscribeConfig{Topics: topics, Group: "no such thing here"}, col); err != nil {
		t.Fatal(err)
	}
	for _, topic := range topics {
		adaptertest.Wait(t, topic, func() bool { return col.Agreed(topic) > 0 })
	}
	full := col.Wait(t, 1)[0] // asked for by itself
	if status, _ := full.Headers.Get("status"); full.Topic != "twin/full" || string(status) != "200" || string(full.Payload) != `{"desired":{"$version":3}}` {
		t.Errorf("%+v", full)
	}
	publish := func(topic, payload string) {
		t.Helper()
		if err := h.server.Publish(topic, []byte(payload), false, 1); err != nil {
			t.Fatal(err)
		}
	}
	publish("devices/cam7/messages/devicebound/%24.mid=m1&%24.to=%2Fdevices%2Fcam7%2Fmessages%2Fdevicebound&colour=gr%C3%B6n", "start")
	publish("$iothub/methods/POST/restart/?$rid=1a", `{"in":5}`)
	publish("$iothub/twin/PATCH/properties/desired/?$version=4", `{"interval":10,"$version":4}`)
	for _, junk := range []string{"$iothub/methods/POST//?$rid=1", "$iothub/methods/POST/x", "$iothub/methods/POST/%zz/?$rid=2", "devices/cam7/messages/devicebound/&&=%"} {
		publish(junk, "junk")
	}
	publish("devices/cam7/messages/devicebound/", "last")
	got := col.Wait(t, 6)
	c.Ack(got)
	var text []string
	for _, m := range got[1:] {
		text = append(text, m.Topic+" "+string(m.Payload))
	}
	if s := strings.Join(text, "|"); s != `devicebound start|methods/restart {"in":5}|twin {"interval":10,"$version":4}|devicebound junk|devicebound last` {
		t.Errorf("%s", s)
	}
	for k, want := range map[string]string{"$.mid": "m1", "colour": "grön"} {
		if v, _ := got[1].Headers.Get(k); string(v) != want {
			t.Errorf("%s is %q, want %q", k, v, want)
		}
	}
	if v, _ := got[3].Headers.Get("version"); string(v) != "4" {
		t.Errorf("version %q", v)
	}
	m := got[2]
	if err := m.Reply(200, []byte("no JSON")); err == nil {
		t.Error("an answer that is no JSON was accepted")
	}
	if err := m.Reply(-1, nil); err == nil {
		t.Error("the status -1 was accepted")
	}
	if err := m.Reply(0, []byte(`{"ok":true}`)); err != nil {
		t.Error(err)
	}
	if err := m.Reply(500, nil); err == nil {
		t.Error("a second answer was accepted")
	}
	adaptertest.Wait(t, "the answer", func() bool {
		return h.count(func() int { return len(h.replies["$iothub/methods/res/200/?$rid=1a"]) }) > 0
	})
	a := adapter{"azure"}
	if !a.Match("methods", "methods/restart") || !a.Match("methods/restart", "methods/restart") || a.Match("methods/stop", "methods/restart") || a.Match("twin", "twin/full") {
		t.Error("Match")
	}
}

// TestX509: a device that proves itself by its certificate; another device's is refused.
func TestX509(t *testing.T) {
	h := newHub(t, "tcp")
	dir := certificates(t)
	conf := "tls-cert-file=" + dir + "/client.pem\ntls-key-file=" + dir + "/client-key.pem\n"
	id := "HostName=" + hubName + ";GatewayHostName=localhost;DeviceId="
	r := adaptertest.NewRecorder()
	c := h.open(t, "azure", id+"client;x509=true", conf, r)
	adaptertest.Send(t, c, batchOf(1, 10, 10))
	adaptertest.Wait(t, "all acknowledgements", func() bool { n, failed := r.Results(); return n == 10 && failed == 0 })
	r = adaptertest.NewRecorder()
	h.open(t, "azure", id+"cam8;x509=true", conf, r)
	adaptertest.Wait(t, "the refusal", func() bool {
		return strings.Contains(lastReason(r), "does not accept the certificate of the device cam8")
	})
	if _, err := (adapter{"azure"}).Open(adapters.Config{ConnStr: id + "client;x509=true"}, r); err == nil || !strings.Contains(err.Error(), "tls-cert-file") {
		t.Error(err)
	}
}

// TestEdgeModule: a module finds everything in its environment, and the Edge daemon signs for it.
func TestEdgeModule(t *testing.T) {
	h := newHub(t, "tcp")
	socket := filepath.Join(t.TempDir(), "workload.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(filepath.Join(certificates(t), "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	broken := make(chan bool, 1)
	broken <- true
	mux := http.NewServeMux()
	mux.HandleFunc("POST /modules/detector/genid/g1/sign", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-broken: // the daemon is not ready at first
			http.Error(w, "not yet", http.StatusInternalServerError)
			return
		default:
		}
		var q struct{ KeyID, Algo, Data string }
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil || q.KeyID != "primary" || q.Algo != "HMACSHA256" || r.URL.Query().Get("api-version") == "" {
			http.Error(w, "bad", http.StatusBadRequest)
			return
		}
		text, _ := base64.StdEncoding.DecodeString(q.Data)
		sig, _ := keySigner(h.key)(r.Context(), string(text))
		_ = json.NewEncoder(w).Encode(map[string]string{"digest": base64.StdEncoding.EncodeToString(sig)})
	})
	mux.HandleFunc("GET /trust-bundle", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{"certificate": string(ca)})
	})
	server := &http.Server{Handler: mux}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	open := func(r *adaptertest.Recorder) (adapters.Conn, error) {
		return adapter{"azure_edge"}.Open(adapters.Config{ConfigPath: adaptertest.WriteFile(t, "azure.cfg", fmt.Sprintf("[message-broker]\nport=%d\n", h.port)), Strict: true, RetryInterval: 50 * time.Millisecond}, r)
	}
	if _, err := open(adaptertest.NewRecorder()); err == nil || !strings.Contains(err.Error(), "IOTEDGE_") {
		t.Errorf("outside of a module: %v", err)
	}
	for k, v := range map[string]string{"IOTEDGE_IOTHUBHOSTNAME": hubName, "IOTEDGE_GATEWAYHOSTNAME": "localhost", "IOTEDGE_DEVICEID": "cam7", "IOTEDGE_MODULEID": "detector",
		"IOTEDGE_MODULEGENERATIONID": "g1", "IOTEDGE_WORKLOADURI": "unix://" + socket} {
		t.Setenv(k, v)
	}
	r := adaptertest.NewRecorder()
	c, err := open(r)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var b adapters.Batch
	b.Append(1, 0, "output1", nil, []byte("x"))
	adaptertest.Send(t, c, &b)
	adaptertest.Wait(t, "the acknowledgement", func() bool { n, failed := r.Results(); return n == 1 && failed == 0 })
	if !strings.Contains(lastReason(r), "Edge daemon") {
		t.Errorf("the daemon that was not ready was not told: %q", lastReason(r))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.got["output1"]) != 1 {
		t.Errorf("topics %q", h.topics)
	}
}

// TestRegistered: the names that DeepStream's libraries have lead here.
func TestRegistered(t *testing.T) {
	for lib, want := range map[string]string{"/opt/nvidia/deepstream/deepstream/lib/libnvds_azure_proto.so": "azure", "libnvds_azure_edge_proto.so": "azure_edge"} {
		if name, substituted, err := adapters.ResolveProtoLib(lib); name != want || !substituted || err != nil {
			t.Errorf("%s: %q, %v, %v", lib, name, substituted, err)
		}
	}
}
