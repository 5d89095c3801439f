// SPDX-License-Identifier: LGPL-2.1-or-later

package amqp

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	rabbit "github.com/rabbitmq/amqp091-go"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
)

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, topic string
		want           bool
	}{
		{"a.b", "a.b", true}, {"a.b", "a.c", false}, {"a.*", "a.b", true}, {"a.*", "a", false}, {"a.*", "a.b.c", false},
		{"#", "", true}, {"#", "a.b", true}, {"a.#", "a", true}, {"a.#", "a.b.c", true}, {"a.#.z", "a.z", true},
		{"a.#.z", "a.b.c.z", true}, {"a.#.z", "a.b.c", false}, {"*.#", "", true}, {"*", "", true}, {"#.#", "a", true}, {"a.b.#", "a", false},
	} {
		if got := (adapter{}).Match(c.pattern, c.topic); got != c.want {
			t.Errorf("%s matches %s: %v", c.pattern, c.topic, got)
		}
	}
}

func TestConnStr(t *testing.T) {
	t.Setenv("USER_AMQP", "")
	for _, c := range []struct {
		connStr, config             string
		where, user, password, host string
		external                    bool
	}{
		{"h;1", "", "h:1", "guest", "guest", "/", false},
		{"h1,h2;1;u;p", "", "h1:1,h2:1", "u", "p", "/", false},
		{"[::1];5672;u", "password=fromfile\nvhost=v\n", "[::1]:5672", "u", "fromfile", "v", false},
		{"", "hostname=h\nusername=u\npassword=p\n", "h:5672", "u", "p", "/", false},
		{"", "hostname=h\ntls=1\n", "h:5671", "guest", "guest", "/", false},
		{"amqp://u:p%40@h/v%2F1", "", "h:5672", "u", "p@", "v/1", false},
		{"amqps://h", "vhost=x\n", "h:5671", "guest", "guest", "x", false},
	} {
		s, err := load(adapters.Config{ConnStr: c.connStr, ConfigPath: config(t, c.config), Strict: true}, nil)
		if err != nil {
			t.Errorf("%q: %v", c.connStr, err)
			continue
		}
		if s.where() != c.where || s.user != c.user || s.password != c.password || s.vhost != c.host {
			t.Errorf("%q: %s, user %s, password %s, vhost %s", c.connStr, s.where(), s.user, s.password, s.vhost)
		}
		if config, err := s.tls("h"); err != nil || (config != nil) != strings.Contains(c.connStr+c.config, "amqps") && !strings.Contains(c.config, "tls=1") {
			t.Errorf("%q: TLS %v, %v", c.connStr, config != nil, err)
		}
	}
	for connStr, text := range map[string]string{
		"h;1;user;hunter2;x": "", "h;x;user;hunter2": "", "amqp://user:hunter2@h:x": "", "amqp://user:hun%ter2@h": "", "ftp://user:hunter2@h": "",
		"h;1":                            "auth-mechanism=EXTERNAL\n",
		"h;2":                            "exchange-type=topik\n",
		"h;3":                            "amqp-framesize=1\n",
		"h;4":                            "tls-ca-file=/none\n",
		"amqps://h":                      "tls=false\n",
		"h;5":                            "exchang=x\n",
		"":                               "",
		"h;6":                            "vhost=" + strings.Repeat("x", 300) + "\n",
		"h;1;user;hunter2;way;too;many;": "",
	} {
		_, err := adapter{}.Open(adapters.Config{ConnStr: connStr, ConfigPath: config(t, text), Strict: true}, adaptertest.NewRecorder())
		if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "; ") {
			t.Errorf("%q, %q: %v", connStr, text, err)
		}
	}
	t.Setenv("USER_AMQP", "envuser")
	t.Setenv("PASSWORD_AMQP", "envpass")
	s, err := load(adapters.Config{ConnStr: "h;1", ConfigPath: config(t, "username=u\npassword=p\n")}, nil)
	if err != nil || s.user != "envuser" || s.password != "envpass" {
		t.Errorf("%+v, %v", s, err)
	}
}

// TestProperties: what a consumer of another make sees.
func TestProperties(t *testing.T) {
	s := server(t)
	c, r := open(t, s.ConnStr(), "exchange="+testExchange+"\nexchange-type=topic\n")
	conn, ch, err := s.dial()
	must(t, err)
	defer conn.Close()
	q, err := ch.QueueDeclare("", false, true, true, false, nil)
	must(t, err)
	must(t, ch.QueueBind(q.Name, "properties.#", testExchange, false, nil))
	in, err := ch.Consume(q.Name, "", true, false, false, false, nil)
	must(t, err)
	var b adapters.Batch
	b.AddText("properties.1", adapters.Message{Seq: 1, TimestampMS: 1_600_000_000_123, Session: 0xab, Number: 7, Key: []byte("key\x00"),
		Payload: []byte(" {\x00}"), Headers: adapters.Headers{}.AppendString("n", "v").Append("bin", []byte{0, 0xff})})
	b.AddText("properties.2", adapters.Message{Seq: 2, Payload: []byte("\x00\xff")})
	b.AddText("properties.3", adapters.Message{Seq: 3}) // empty
	b.AddText("properties.4", adapters.Message{Seq: 4, Payload: make([]byte, 3*defaultFrame)})
	adaptertest.Send(t, c, &b)
	r.WaitResults(t, 4)
	if _, failed := r.Results(); failed != 0 {
		t.Fatal("failures")
	}
	d := <-in
	if d.ContentType != contentJSON || d.DeliveryMode != 2 || d.MessageId != "00000000000000ab-7" || d.AppId != appID ||
		d.Timestamp.Unix() != 1_600_000_000 || d.Headers[millisHeader] != int64(1_600_000_000_123) || d.Headers[keyHeader] != "key\x00" ||
		d.Headers["n"] != "v" || d.Headers["bin"] != "\x00\xff" || d.Headers[adapters.SessionHeader] != "00000000000000ab" ||
		d.Headers[adapters.NumberHeader] != "7" || string(d.Body) != " {\x00}" || d.Exchange != testExchange {
		t.Errorf("%+v", d)
	}
	if d = <-in; d.ContentType != contentBytes || string(d.Body) != "\x00\xff" || time.Since(d.Timestamp) > time.Minute {
		t.Errorf("%+v", d)
	}
	if d = <-in; len(d.Body) != 0 || d.RoutingKey != "properties.3" {
		t.Errorf("%+v", d)
	}
	if d = <-in; len(d.Body) != 3*defaultFrame {
		t.Errorf("%d bytes", len(d.Body))
	}
}

// TestUnroutable: each returned message fails by itself, others do not.
func TestUnroutable(t *testing.T) {
	s := server(t)
	c, r := open(t, s.ConnStr(), "exchange="+testExchange+"\n")
	var b adapters.Batch
	for i := range uint64(1000) {
		topic := "routable"
		if i%3 == 1 {
			topic = "not.routable"
		}
		m := adapters.Message{Seq: i + 1, Payload: []byte("same")}
		if i%2 == 0 {
			m.Session, m.Number = 5, i
		}
		b.AddText(topic, m)
	}
	adaptertest.Send(t, c, &b)
	r.WaitResults(t, 1000)
	for i := range uint64(1000) {
		err, _ := r.Result(i + 1)
		if (err != nil) != (i%3 == 1) {
			t.Fatalf("message %d: %v", i, err)
		}
		if err != nil && (!errors.Is(err, adapters.ErrUnknownTopic) || !strings.Contains(err.Error(), "topic not.routable on 127.0.0.1:"+s.port()+
			": no queue is bound to the exchange \""+testExchange+"\"")) {
			t.Fatal(err)
		}
	}
	// Where the user does not want to know, they vanish.
	c, r = open(t, s.ConnStr(), "exchange="+testExchange+"\nmandatory=0\n")
	adaptertest.Send(t, c, adaptertest.BatchOf(1, "not.routable", 10))
	r.WaitResults(t, 10)
	if _, failed := r.Results(); failed != 0 {
		t.Errorf("%d failures", failed)
	}
}

func TestRefusedByHand(t *testing.T) {
	c, r := open(t, server(t).ConnStr(), "exchange="+testExchange+"\n")
	var b adapters.Batch
	b.Append(1, 0, strings.Repeat("x", 300), nil, []byte("1"))
	b.Append(2, 0, "fine", nil, []byte("2"))
	b.AddText("fine", adapters.Message{Seq: 3, Headers: adapters.Headers{}.AppendString(strings.Repeat("h", 300), "v")})
	b.AddText("fine", adapters.Message{Seq: 4, Headers: adapters.Headers{}.AppendString("h", strings.Repeat("v", defaultFrame))})
	b.Append(5, 0, "fine", nil, []byte("5"))
	adaptertest.Send(t, c, &b)
	r.WaitResults(t, 5)
	for seq, want := range map[uint64]string{1: "routing key has 300 bytes", 2: "", 3: "name has 300 bytes", 4: "must fit one frame", 5: ""} {
		err, _ := r.Result(seq)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("message %d: %v", seq, err)
		}
	}
}

func TestReasons(t *testing.T) {
	s := server(t)
	s.ctl(t, "add_vhost", "closed")
	tlsPort := s.Fields["port2"]
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer silent.Close()
	go func() { // something that is no server of AMQP
		for {
			c, err := silent.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
			_ = c.Close()
		}
	}()
	pki := s.pki
	for name, c := range map[string]struct{ connStr, config, want string }{
		"wrong password":         {s.ConnStr() + ";guest;hunter2", "", "refuses the user guest; check username and password"},
		"no such vhost":          {s.ConnStr(), "vhost=none", "vhost none not found; check vhost"},
		"vhost denied":           {s.ConnStr() + ";guest;guest", "vhost=closed", "access to vhost 'closed' refused for user 'guest'; check vhost"},
		"no such exchange":       {s.ConnStr(), "exchange=none", "no exchange 'none' in vhost '/'; create it"},
		"exchange is different":  {s.ConnStr(), "exchange=amq.topic\nexchange-type=fanout", "; what is declared exists with other settings"},
		"refused":                {"127.0.0.1;1", "", "connection refused; check that the server runs"},
		"no such host":           {"no-such-host.invalid;5672", "", "check the host name"},
		"TLS to a plain port":    {s.ConnStr(), "tls=1", "does not speak TLS on this port"},
		"plain to the TLS port":  {"127.0.0.1;" + tlsPort, "", "that this port does not want TLS"},
		"no AMQP":                {"127.0.0.1;" + strconv.Itoa(silent.Addr().(*net.TCPAddr).Port), "", "; "},
		"unknown authority":      {"127.0.0.1;" + tlsPort, "tls-ca-file=" + pki + "/other-ca.pem", "authority that is not trusted; set tls-ca-file"},
		"wrong name":             {"127.0.0.1;" + tlsPort, "tls-ca-file=" + pki + "/ca.pem\ntls-server-name=other.example", "for another name"},
		"client of other CA":     {"127.0.0.1;" + tlsPort, clientTLS(pki, "client-other-ca"), "the server refuses our TLS"},
		"expired client":         {"127.0.0.1;" + tlsPort, clientTLS(pki, "client-expired"), "the server refuses our TLS"},
		"EXTERNAL without TLS":   {s.ConnStr(), clientTLS(pki, "client") + "tls=0\nauth-mechanism=EXTERNAL", "auth-mechanism"},
		"EXTERNAL, no such user": {"127.0.0.1;" + tlsPort, clientTLS(pki, "client") + "auth-mechanism=EXTERNAL", "make a user of the certificate's name"},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(c.config, "exchange=") {
				c.config += "\nexchange=" + testExchange
			}
			k, r := open(t, c.connStr, c.config+"\n")
			adaptertest.Send(t, k, adaptertest.BatchOf(1, "x", 3))
			r.WaitReason(t, c.want)
			if n, _ := r.Results(); n != 0 {
				t.Errorf("%d results", n)
			}
			for _, e := range r.States() {
				if strings.Contains(e.Reason, "hunter2") {
					t.Error(e.Reason)
				}
				if e.State == adapters.Disconnected && (e.Attempt < 1 || e.Next <= 0 || e.Next > time.Second) {
					t.Errorf("%+v", e)
				}
			}
		})
	}
}

func clientTLS(pki, name string) string {
	return fmt.Sprintf("tls-ca-file=%s/ca.pem\ntls-cert-file=%s/%s.pem\ntls-key-file=%s/%s-key.pem\n", pki, pki, name, pki, name)
}

// TestTLS: with a password, with an encrypted key, and with the certificate in place of a password.
func TestTLS(t *testing.T) {
	s := server(t)
	s.ctl(t, "add_user", "client", "unused-password")
	s.ctl(t, "set_permissions", "client", ".*", ".*", ".*")
	defer s.ctl(t, "delete_user", "client")
	password, err := os.ReadFile(filepath.Join(s.pki, "client-enc.password"))
	must(t, err)
	ca := "tls-ca-file=" + s.pki + "/ca.pem\n"
	for name, c := range map[string]struct{ connStr, config string }{
		"TLS":           {"localhost;" + s.Fields["port2"], ca},
		"amqps":         {"amqps://guest:guest@localhost:" + s.Fields["port2"] + "/", ca},
		"1.3":           {"127.0.0.1;" + s.Fields["port2"], ca + "tls-min-version=1.3\n"},
		"mutual":        {"127.0.0.1;" + s.Fields["port2"], clientTLS(s.pki, "client")},
		"EXTERNAL":      {"127.0.0.1;" + s.Fields["port2"], clientTLS(s.pki, "client") + "auth-mechanism=external\n"},
		"encrypted key": {"127.0.0.1;" + s.Fields["port2"], fmt.Sprintf("%stls-cert-file=%s/client.pem\ntls-key-file=%s/client-enc-key.pem\ntls-key-password=%s\nauth-mechanism=EXTERNAL\n", ca, s.pki, s.pki, strings.TrimSpace(string(password)))},
	} {
		t.Run(name, func(t *testing.T) {
			k, r := open(t, c.connStr, c.config+"exchange="+testExchange+"\n")
			adaptertest.Send(t, k, adaptertest.BatchOf(1, "secured", 2000))
			r.WaitResults(t, 2000)
			if _, failed := r.Results(); failed != 0 {
				t.Errorf("%d failures", failed)
			}
			must(t, k.Close())
		})
	}
}

// TestAlarm: while the server has no memory left nothing is lost, and the reason is told.
func TestAlarm(t *testing.T) {
	s := server(t)
	c, r := open(t, s.ConnStr(), "exchange="+testExchange+"\n")
	r.WaitState(t, adapters.Connected)
	s.ctl(t, "set_vm_memory_high_watermark", "0.0001")
	defer s.ctl(t, "set_vm_memory_high_watermark", "0.4")
	adaptertest.Send(t, c, adaptertest.BatchOf(1, "alarm", 5000))
	r.WaitReason(t, "takes no messages for now: low on memory; free its memory")
	other, _ := open(t, s.ConnStr(), "exchange="+testExchange+"\n")
	adaptertest.Send(t, other, adaptertest.BatchOf(1, "alarm-other", 10))
	time.Sleep(50 * time.Millisecond)
	adaptertest.Within(t, "Close while blocked", time.Second, func() { must(t, other.Close()) })
	s.ctl(t, "set_vm_memory_high_watermark", "0.4")
	r.WaitResults(t, 5000)
	r.WaitState(t, adapters.Connected)
	if got := s.Consume(t, "alarm", 5000); len(got) != 5000 || r.Twice() != 0 {
		t.Errorf("%d arrived, %d twice", len(got), r.Twice())
	}
}

// TestForced: a connection that the server closes, and one that is cut in the middle, come back.
func TestForced(t *testing.T) {
	s := server(t)
	c, r := open(t, s.ConnStr(), "exchange="+testExchange+"\n")
	seq := uint64(1)
	for range 3 {
		adaptertest.Send(t, c, adaptertest.BatchOf(seq, "forced", 1000))
		seq += 1000
		s.ctl(t, "close_all_connections", "for the test")
		adaptertest.Send(t, c, adaptertest.BatchOf(seq, "forced", 1000))
		seq += 1000
	}
	r.WaitResults(t, int(seq-1))
	r.WaitReason(t, "the server closes the connection: ")
	seen, last := map[string]bool{}, ""
	for _, m := range adaptertest.ConsumeDifferent(t, s, "forced", int(seq-1)) {
		p := string(m.Payload)
		if !seen[p] && p < last {
			t.Errorf("%s after %s", p, last)
		}
		seen[p], last = true, max(last, p)
	}
	if _, failed := r.Results(); failed != 0 || len(seen) != int(seq-1) || r.Twice() != 0 {
		t.Errorf("%d failed, %d arrived, %d twice", failed, len(seen), r.Twice())
	}
}

// TestKill -9 of the server: what was acknowledged is there.
func TestKill(t *testing.T) {
	s := server(t)
	c, r := open(t, s.ConnStr(), "exchange="+testExchange+"\n")
	adaptertest.Send(t, c, adaptertest.BatchOf(1, "killed", 3000))
	adaptertest.Wait(t, "some results", func() bool { n, _ := r.Results(); return n > 100 })
	s.Kill(t)
	adaptertest.Send(t, c, adaptertest.BatchOf(3001, "killed", 1000))
	s.Process.Start(t)
	r.WaitResults(t, 4000)
	seen := map[string]bool{}
	for _, m := range adaptertest.ConsumeDifferent(t, s, "killed", 4000) {
		seen[string(m.Payload)] = true
	}
	if len(seen) != 4000 {
		t.Errorf("%d arrived", len(seen))
	}
}

// TestFullQueue: basic.nack of a queue that is full is back-pressure, not a failure.
func TestFullQueue(t *testing.T) {
	s := server(t)
	conn, ch, err := s.dial()
	must(t, err)
	defer conn.Close()
	_, err = ch.QueueDeclare("full", false, false, true, false, rabbit.Table{"x-max-length": int32(50), "x-overflow": "reject-publish"})
	must(t, err)
	must(t, ch.QueueBind("full", "full.#", testExchange, false, nil))
	c, r := open(t, s.ConnStr(), "exchange="+testExchange+"\n")
	adaptertest.Send(t, c, adaptertest.BatchOf(1, "full.queue", 300))
	r.WaitReason(t, "refuses messages for now")
	if n, failed := r.Results(); n >= 300 || failed != 0 {
		t.Errorf("%d results, %d failed", n, failed)
	}
	in, err := ch.Consume("full", "", true, false, false, false, nil)
	must(t, err)
	seen := map[string]bool{}
	for len(seen) < 300 {
		select {
		case d := <-in:
			seen[string(d.Body)] = true
		case <-time.After(20 * time.Second):
			t.Fatalf("%d arrived", len(seen))
		}
	}
	r.WaitResults(t, 300)
	if _, failed := r.Results(); failed != 0 || r.Twice() != 0 {
		t.Errorf("%d failed, %d twice", failed, r.Twice())
	}
	r.WaitState(t, adapters.Connected)
}

// TestTopicDenied: a topic that the user may not write to fails alone.
func TestTopicDenied(t *testing.T) {
	s := server(t)
	s.ctl(t, "add_user", "limited", "limited-password")
	defer s.ctl(t, "delete_user", "limited")
	s.ctl(t, "set_permissions", "limited", ".*", ".*", ".*")
	s.ctl(t, "set_topic_permissions", "limited", testExchange, "^allowed", ".*")
	c, r := open(t, s.ConnStr()+";limited;limited-password", "exchange="+testExchange+"\n")
	var b adapters.Batch
	for i := range uint64(200) {
		topic := "allowed-topic"
		if i%10 == 3 {
			topic = "denied-topic"
		}
		b.Append(i+1, 0, topic, nil, fmt.Append(nil, i))
	}
	adaptertest.Send(t, c, &b)
	r.WaitResults(t, 200)
	for i := range uint64(200) {
		err, _ := r.Result(i + 1)
		if (err != nil) != (i%10 == 3) || err != nil && (!errors.Is(err, adapters.ErrUnauthorized) || !strings.Contains(err.Error(), "the user limited")) {
			t.Fatalf("message %d: %v", i, err)
		}
	}
	seen := map[string]bool{}
	for _, m := range adaptertest.ConsumeDifferent(t, s, "allowed-topic", 180) {
		seen[string(m.Payload)] = true
	}
	if len(seen) != 180 {
		t.Errorf("%d arrived", len(seen))
	}
}

// pause stops the server's process, and gives what lets it go on.
func (s *testServer) pause(t *testing.T) (resume func()) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.Dir, "erlang.pid"))
	must(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	must(t, err)
	must(t, syscall.Kill(pid, syscall.SIGSTOP))
	resume = sync.OnceFunc(func() { _ = syscall.Kill(pid, syscall.SIGCONT) })
	t.Cleanup(resume)
	return resume
}

// TestHeartbeat: a connection with nothing to say lives on, and one whose server is silent is noticed.
func TestHeartbeat(t *testing.T) {
	s := server(t)
	c, r := open(t, s.ConnStr(), "exchange="+testExchange+"\namqp-heartbeat=2\n")
	got := adaptertest.NewCollector()
	must(t, c.Subscribe(adapters.SubscribeConfig{Topics: []string{"heart"}, Group: "heart"}, got)) // a connection of its own
	adaptertest.Wait(t, "the subscription", func() bool { return got.Agreed("heart") > 0 })
	adaptertest.Send(t, c, adaptertest.BatchOf(1, "heart", 10))
	r.WaitResults(t, 10)
	c.Ack(got.Wait(t, 10))
	time.Sleep(7 * time.Second) // the server hangs up on a client that is silent for four to six
	for _, e := range r.States() {
		if e.State == adapters.Disconnected {
			t.Errorf("while idle: %+v", e)
		}
	}
	if n := got.Agreed("heart"); n != 1 {
		t.Errorf("the subscription was made %d times", n)
	}
	resume := s.pause(t)
	adaptertest.Send(t, c, adaptertest.BatchOf(11, "heart", 10))
	r.WaitReason(t, "the server does not answer; check the network")
	resume()
	r.WaitResults(t, 20)
	if _, failed := r.Results(); failed != 0 {
		t.Errorf("%d failures", failed)
	}
	adaptertest.Wait(t, "all messages", func() bool { return got.Different() == 20 })
}

// TestStopped: a server that hangs holds neither Publish nor Close up, and goes on where it was.
func TestStopped(t *testing.T) {
	s := server(t)
	c, r := open(t, s.ConnStr(), "exchange="+testExchange+"\n")
	other, _ := open(t, s.ConnStr(), "exchange="+testExchange+"\n")
	r.WaitState(t, adapters.Connected)
	resume := s.pause(t)
	var b adapters.Batch
	for i := range uint64(3000) {
		b.Append(i+1, 0, "stopped", nil, make([]byte, 10_000)) // 30 MB: more than sockets hold
	}
	adaptertest.Within(t, "Publish", time.Second, func() {
		if n, err := c.Publish(&b, 0); n != 3000 || err != nil {
			t.Error(n, err)
		}
		adaptertest.Send(t, other, adaptertest.BatchOf(1, "stopped-other", 10))
	})
	adaptertest.Within(t, "Close", 800*time.Millisecond, func() { must(t, other.Close()) })
	adaptertest.Within(t, "Open and Close", 800*time.Millisecond, func() {
		never, _ := open(t, s.ConnStr(), "")
		time.Sleep(50 * time.Millisecond) // it waits for the server's first word
		must(t, never.Close())
	})
	resume()
	r.WaitResults(t, 3000)
	if _, failed := r.Results(); failed != 0 {
		t.Errorf("%d failures", failed)
	}
}

func TestPage(t *testing.T) { adaptertest.CheckPage(t, "sample.cfg", adapter{}.Keys()) }
