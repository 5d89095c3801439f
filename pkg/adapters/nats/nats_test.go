// SPDX-License-Identifier: LGPL-2.1-or-later

package nats

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	client "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
)

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, subject string
		want             bool
	}{
		{"a.b", "a.b", true}, {"a.*", "a.b", true}, {"a.*", "a", false}, {"a.*", "a.b.c", false}, {"a.>", "a.b.c", true},
		{"a.>", "a", false}, {">", "a", true}, {"*.b", "a.b", true}, {"a.b", "a.c", false},
	} {
		if got := (adapter{}).Match(c.pattern, c.subject); got != c.want {
			t.Errorf("%s matches %s: %v", c.pattern, c.subject, got)
		}
	}
	for subject, wild := range map[string]int{"a.b": 2, "a": 2, "ä.b": 2, "a.*": 1, "a.>": 1, ">": 1, "": 0, "a b": 0, "a..b": 0, ".a": 0, "a.": 0,
		"a.*x": 0, ">.a": 0, "a\tb": 0, "a\x00": 0, strings.Repeat("x", 2000): 0} {
		if (checkSubject(subject, false) == nil) != (wild == 2) || (checkSubject(subject, true) == nil) != (wild > 0) {
			t.Errorf("%q: %v, %v", subject, checkSubject(subject, false), checkSubject(subject, true))
		}
	}
}

// TestRefused: what cannot be sent is refused alone, and says why.
func TestRefused(t *testing.T) {
	s := server(t).withStream(t, "tests", "ok.>", "small.>")
	k, js := s.dial(t)
	defer k.Close()
	_, err := js.UpdateStream(t.Context(), jetstream.StreamConfig{Name: "tests", Subjects: []string{"ok.>"}})
	must(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "small", Subjects: []string{"small.>"}, MaxMsgSize: 1000})
	must(t, err)
	c, r := open(t, s.ConnStr(), "")
	var b adapters.Batch
	want := map[uint64]string{}
	add := func(m adapters.Message, topic, text string) {
		m.Seq = uint64(b.Len() + 1)
		want[m.Seq] = text
		b.AddText(topic, m)
	}
	add(adapters.Message{Payload: []byte("1")}, "ok.1", "")
	add(adapters.Message{Payload: []byte("1")}, "a b", "blank")
	add(adapters.Message{Payload: []byte("1")}, "ok.*", "wildcard")
	add(adapters.Message{Payload: []byte("1")}, "nowhere", "no stream has this subject")
	add(adapters.Message{Payload: make([]byte, 2000)}, "small.1", "larger than")
	add(adapters.Message{Headers: adapters.Headers{}.AppendString("a:b", "c")}, "ok.1", "has a name that NATS cannot carry")
	add(adapters.Message{Headers: adapters.Headers{}.AppendString("a", "b\r\nc: d")}, "ok.1", "line break")
	add(adapters.Message{Payload: make([]byte, maxPayload)}, "ok.1", "max_payload")
	add(adapters.Message{Payload: []byte("\x00\xff"), Key: []byte("\n")}, "ok.2", "")
	adaptertest.Send(t, c, &b)
	r.WaitResults(t, b.Len())
	for seq, text := range want {
		err, _ := r.Result(seq)
		if text == "larger than" && err != nil { // the server words it
			if !errors.Is(err, adapters.ErrTooLarge) {
				t.Error(err)
			}
			continue
		}
		if (err != nil) != (text != "") || err != nil && (!strings.Contains(err.Error(), text) || !strings.Contains(err.Error(), "; ")) {
			t.Errorf("message %d: %v, want %q", seq, err, text)
		}
	}
	if got := s.Consume(t, "ok.2", 1); len(got) != 1 || string(got[0].Key) != "\n" || string(got[0].Payload) != "\x00\xff" {
		t.Errorf("%+v", got)
	}
}

// TestNoDuplicates: whatever is cut, the stream has each message once.
func TestNoDuplicates(t *testing.T) {
	s := server(t).withStream(t, "tests", "once.>")
	c, r := open(t, s.ConnStr(), "")
	seq := uint64(1)
	for range 4 {
		adaptertest.Send(t, c, adaptertest.BatchOf(seq, "once.x", 2000))
		seq += 2000
		adaptertest.Wait(t, "some results", func() bool { n, _ := r.Results(); return n > int(seq)-1500 })
		s.Kill(t)
		s.Process.Start(t)
	}
	r.WaitResults(t, int(seq-1))
	if _, failed := r.Results(); failed != 0 || r.Twice() != 0 {
		t.Errorf("%d failed, %d twice", failed, r.Twice())
	}
	got := s.Consume(t, "once.x", int(seq-1))
	for i, m := range got {
		if string(m.Payload) != fmt.Sprintf("%06d", i+1) {
			t.Fatalf("message %d is %s", i, m.Payload)
		}
	}
	if len(got) != int(seq-1) {
		t.Errorf("%d arrived, want %d", len(got), seq-1)
	}
}

func TestStreamIsMade(t *testing.T) {
	s := server(t)
	c, r := open(t, s.ConnStr(), "stream=made\ntopic=made.here\n")
	r.WaitReason(t, "the stream made does not exist; create it, or set stream-create=true")
	must(t, c.Close())
	c, r = open(t, s.ConnStr(), "stream=made\nstream-create=true\nstream-subjects=made.>;also\nstream-storage=memory\nstream-max-bytes=1000000\nstream-max-age=3600\nstream-replicas=1\nduplicate-window=30\n")
	var b adapters.Batch
	for i, topic := range []string{"made.x", "also", "other"} {
		b.Append(uint64(i+1), 0, topic, nil, []byte("x"))
	}
	adaptertest.Send(t, c, &b)
	r.WaitResults(t, 3)
	if err, _ := r.Result(3); !errors.Is(err, adapters.ErrUnknownTopic) {
		t.Error(err)
	}
	k, js := s.dial(t)
	defer k.Close()
	st, err := js.Stream(t.Context(), "made")
	must(t, err)
	if i := st.CachedInfo().Config; i.Storage != jetstream.MemoryStorage || i.MaxBytes != 1000000 || i.MaxAge != time.Hour || i.Replicas != 1 || i.Duplicates != 30*time.Second || len(i.Subjects) != 2 {
		t.Errorf("%+v", i)
	}
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "elsewhere", Subjects: []string{"elsewhere"}})
	must(t, err)
	adaptertest.Send(t, c, adaptertest.BatchOf(4, "elsewhere", 1))
	r.WaitResults(t, 4)
	if err, _ := r.Result(4); err == nil || !strings.Contains(err.Error(), "add the subject to the stream made") {
		t.Error(err)
	}
}

// TestInbox: a user who may receive answers under a subject of its own alone, as where users must not see each other's.
func TestInbox(t *testing.T) {
	s := server(t, "--config-line", "authorization: { users: [ { user: cam7, password: pw, permissions: { publish: [ \"events\", \"$JS.>\" ], "+
		"subscribe: [ \"_CAM7.>\", \"events\" ] } }, { user: other, password: pw, permissions: { publish: [ \"events\" ] } }, { user: admin, password: pw } ] }")
	k, err := client.Connect("nats://admin:pw@" + s.Addr)
	must(t, err)
	defer k.Close()
	js, err := jetstream.New(k)
	must(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "events", Subjects: []string{"events"}})
	must(t, err)
	c, r := open(t, s.ConnStr(), "username=cam7\npassword=pw\ninbox-prefix=_CAM7\n")
	adaptertest.Send(t, c, adaptertest.BatchOf(1, "events", 100))
	r.WaitResults(t, 100)
	if _, failed := r.Results(); failed != 0 {
		t.Errorf("%d failures", failed)
	}
	must(t, c.Close())
	c, r = open(t, s.ConnStr(), "username=cam7\npassword=pw\n")
	adaptertest.Send(t, c, adaptertest.BatchOf(1, "events", 1))
	r.WaitReason(t, "the server does not let us receive answers at _INBOX")
	if n, _ := r.Results(); n != 0 {
		t.Errorf("%d results", n)
	}
	must(t, c.Close())
	c, r = open(t, s.ConnStr(), "username=other\npassword=pw\n")
	adaptertest.Send(t, c, adaptertest.BatchOf(1, "events", 1))
	r.WaitReason(t, "the server does not let us ask $JS.API.INFO, which JetStream needs; grant")
}

// TestFullStream: a stream that takes no more is back-pressure, not a failure.
func TestFullStream(t *testing.T) {
	s := server(t)
	k, js := s.dial(t)
	defer k.Close()
	st, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "full", Subjects: []string{"full"}, MaxMsgs: 50, Discard: jetstream.DiscardNew})
	must(t, err)
	c, r := open(t, s.ConnStr(), "")
	adaptertest.Send(t, c, adaptertest.BatchOf(1, "full", 80))
	r.WaitReason(t, "takes no messages for now: maximum messages exceeded; make room")
	r.WaitResults(t, 50) // the word on the state may overtake them
	if _, failed := r.Results(); failed != 0 {
		t.Errorf("%d failed", failed)
	}
	must(t, st.Purge(t.Context()))
	r.WaitResults(t, 80)
	r.WaitState(t, adapters.Connected)
	if _, failed := r.Results(); failed != 0 {
		t.Errorf("%d failed", failed)
	}
}

// TestCore: without JetStream messages reach whoever listens.
func TestCore(t *testing.T) {
	s := server(t, "--core")
	c, r := open(t, s.ConnStr(), "")
	r.WaitReason(t, "JetStream is not enabled")
	must(t, c.Close())
	k, err := client.Connect("nats://" + s.Addr)
	must(t, err)
	defer k.Close()
	sub, err := k.SubscribeSync("core.>")
	must(t, err)
	must(t, k.Flush())
	c, r = open(t, s.ConnStr(), "jetstream=false\n")
	adaptertest.Send(t, c, adaptertest.BatchOf(1, "core.x", 1000))
	r.WaitResults(t, 1000)
	for i := range 1000 {
		m, err := sub.NextMsg(10 * time.Second)
		must(t, err)
		if string(m.Data) != fmt.Sprintf("%06d", i+1) || m.Header.Get(keyHeader) != "k" {
			t.Fatalf("%s %v", m.Data, m.Header)
		}
	}
	if err := c.Subscribe(adapters.SubscribeConfig{Topics: []string{"x"}}, nil); !errors.Is(err, adapters.ErrNotSupported) {
		t.Error(err)
	}
}

var pki = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "edgewire-nats-")
	if err == nil {
		if out, e := exec.Command("../../../scripts/test-pki", dir).CombinedOutput(); e != nil {
			err = fmt.Errorf("test-pki: %w: %s", e, out)
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

// works publishes, and fails the test if that does not.
func works(t *testing.T, connStr, config string) {
	t.Helper()
	c, r := open(t, connStr, config+"stream=secured\nstream-create=true\ntopic=secured\n")
	adaptertest.Send(t, c, adaptertest.BatchOf(1, "secured", 100))
	r.WaitResults(t, 100)
	if _, failed := r.Results(); failed != 0 {
		t.Errorf("%d failures", failed)
	}
	must(t, c.Close())
}

func fails(t *testing.T, connStr, config, want string) {
	t.Helper()
	c, r := open(t, connStr, config)
	adaptertest.Send(t, c, adaptertest.BatchOf(1, "secured", 1))
	r.WaitReason(t, want)
	for _, e := range r.States() {
		if strings.Contains(e.Reason, "hunter2") {
			t.Error(e.Reason)
		}
	}
	if n, _ := r.Results(); n != 0 {
		t.Errorf("%d results", n)
	}
	must(t, c.Close())
}

func TestTLS(t *testing.T) {
	dir, err := pki()
	must(t, err)
	s := server(t, "--tls", dir)
	port := strings.Split(s.Addr, ":")[1]
	ca := "tls-ca-file=" + dir + "/ca.pem\n"
	works(t, "localhost;"+port, ca)
	works(t, "tls://127.0.0.1:"+port, ca)
	fails(t, s.ConnStr(), "", "authority that is not trusted") // the server asks for TLS, and gets it
	fails(t, s.ConnStr(), "tls-ca-file="+dir+"/other-ca.pem\n", "authority that is not trusted")
	fails(t, s.ConnStr(), ca+"tls-server-name=other.example\n", "for another name")
	verify := server(t, "--config-line", fmt.Sprintf("tls: { cert_file: %q, key_file: %q, ca_file: %q, verify: true }", dir+"/server.pem", dir+"/server-key.pem", dir+"/ca.pem"))
	client := func(name string) string {
		return fmt.Sprintf("%stls-cert-file=%s/%s.pem\ntls-key-file=%s/%s-key.pem\n", ca, dir, name, dir, name)
	}
	works(t, verify.ConnStr(), client("client"))
	fails(t, verify.ConnStr(), ca, "the server refuses our TLS")
	fails(t, verify.ConnStr(), client("client-other-ca"), "the server refuses our TLS")
	fails(t, verify.ConnStr(), client("client-expired"), "the server refuses our TLS")
	plain := server(t)
	fails(t, plain.ConnStr(), ca, "the server has no TLS")
}

func TestAuth(t *testing.T) {
	user := server(t, "--config-line", "authorization: { user: u, password: hunter22 }")
	works(t, user.ConnStr(), "username=u\npassword=hunter22\n")
	fails(t, user.ConnStr(), "username=u\npassword=hunter2x\n", "check username, password")
	fails(t, user.ConnStr(), "", "authorisation violation")
	token := server(t, "--config-line", "authorization: { token: hunter22 }")
	works(t, token.ConnStr(), "token=hunter22\n")
	fails(t, token.ConnStr(), "token=hunter2x\n", "check username, password, token")
	pair, err := nkeys.CreateUser()
	must(t, err)
	public, err := pair.PublicKey()
	must(t, err)
	seed, err := pair.Seed()
	must(t, err)
	nkey := server(t, "--config-line", "authorization: { users: [ { nkey: "+public+" } ] }")
	file := filepath.Join(t.TempDir(), "seed")
	must(t, os.WriteFile(file, append(seed, '\n'), 0o600))
	works(t, nkey.ConnStr(), "nkey-file="+file+"\n")
	other, err := nkeys.CreateUser()
	must(t, err)
	wrong, err := other.Seed()
	must(t, err)
	fails(t, nkey.ConnStr(), "nkey="+string(wrong)+"\n", "check username, password, token, nkey")
	for text, want := range map[string]string{"nkey=hunter2\n": "is no seed of an NKey", "credentials-file=/none\n": "cannot read the file /none",
		"stream-create=1\n": "needs a name", "topic=a b\n": "holds a blank", "strea=x\n": "did you mean stream?"} {
		_, err := adapter{}.Open(adapters.Config{ConnStr: "h;1", ConfigPath: config(t, text), Strict: true}, adaptertest.NewRecorder())
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", text, err)
		}
	}
	// A subject that is not allowed.
	limited := server(t, "--config-line", "authorization: { users: [ { user: u, password: pw, permissions: { publish: [ \"ok\", \"$JS.>\" ], subscribe: [ \"_INBOX.>\" ] } }, { user: admin, password: pw } ] }")
	k, err := client.Connect("nats://admin:pw@" + limited.Addr)
	must(t, err)
	defer k.Close()
	js, err := jetstream.New(k)
	must(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "limited", Subjects: []string{"ok", "denied"}})
	must(t, err)
	c, r := open(t, limited.ConnStr(), "username=u\npassword=pw\n")
	var b adapters.Batch
	for i := range uint64(20) {
		b.Append(i+1, 0, []string{"ok", "denied"}[i%2], nil, []byte("x"))
	}
	adaptertest.Send(t, c, &b)
	r.WaitResults(t, 20)
	for i := range uint64(20) {
		if err, _ := r.Result(i + 1); (err != nil) != (i%2 == 1) || err != nil && !errors.Is(err, adapters.ErrUnauthorized) {
			t.Errorf("message %d: %v", i, err)
		}
	}
}

// TestReasons: where there is no server.
func TestReasons(t *testing.T) {
	fails(t, "127.0.0.1;1", "", "connection refused")
	fails(t, "no-such-host.invalid;4222", "", "check the host name")
}

// TestStopped: a server that hangs holds neither Publish nor Close up, and goes on where it was.
func TestStopped(t *testing.T) {
	s := server(t).withStream(t, "tests", "*")
	c, r := open(t, s.ConnStr(), "")
	other, _ := open(t, s.ConnStr(), "")
	r.WaitState(t, adapters.Connected)
	text, err := os.ReadFile(filepath.Join(s.Dir, "pid"))
	must(t, err)
	pid := 0
	_, err = fmt.Sscan(string(text), &pid)
	must(t, err)
	must(t, syscall.Kill(pid, syscall.SIGSTOP))
	defer func() { _ = syscall.Kill(pid, syscall.SIGCONT) }()
	var b adapters.Batch
	for i := range uint64(3000) {
		b.Append(i+1, 0, "stopped", nil, make([]byte, 10_000))
	}
	adaptertest.Within(t, "Publish", time.Second, func() {
		if n, err := c.Publish(&b, 0); n != 3000 || err != nil {
			t.Error(n, err)
		}
		_, err = other.Publish(&b, 0)
		must(t, err)
	})
	never, _ := open(t, s.ConnStr(), "")
	time.Sleep(50 * time.Millisecond) // both hang in the network now
	for _, x := range []*conn{other, never} {
		adaptertest.Within(t, "Close", 800*time.Millisecond, func() { must(t, x.Close()) })
	}
	must(t, syscall.Kill(pid, syscall.SIGCONT))
	r.WaitResults(t, 3000)
	if _, failed := r.Results(); failed != 0 {
		t.Errorf("%d failures", failed)
	}
}

func TestPage(t *testing.T) { adaptertest.CheckPage(t, "sample.cfg", adapter{}.Keys()) }

// TestCloseBeforeTheGreeting: a server that takes the connection and says nothing holds Close up for no moment.
func TestCloseBeforeTheGreeting(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	c, _ := open(t, strings.Replace(l.Addr().String(), ":", ";", 1), "")
	raw, err := l.Accept()
	must(t, err)
	defer raw.Close()
	time.Sleep(100 * time.Millisecond) // nothing shows that it waits for the greeting now
	began := time.Now()
	must(t, c.Close())
	if took := time.Since(began); took >= closePatience/2 {
		t.Errorf("Close took %v", took)
	}
}
