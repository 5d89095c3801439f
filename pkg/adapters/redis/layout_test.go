// SPDX-License-Identifier: LGPL-2.1-or-later

package redis

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
)

func options4(t testing.TB, config string) *options {
	t.Helper()
	o, err := loadOptions(adapters.Config{ConfigPath: configFile(t, config), Strict: true}, connString{servers: []string{"h:1"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// words takes a command apart.
func words(t testing.TB, command []byte) (w []string) {
	t.Helper()
	r := newReplyReader(bytes.NewReader(command))
	p, err := r.read()
	if err != nil || p.kind != '*' {
		t.Fatalf("%q: %v", command, err)
	}
	for range p.n {
		q, err := r.read()
		if err != nil || q.kind != '$' {
			t.Fatalf("%q: %v", command, err)
		}
		w = append(w, string(q.text))
	}
	if r.start != r.end {
		t.Fatalf("%q: more than one command", command)
	}
	return w
}

// TestLayout: what stands in an entry, and that it comes back as it went.
func TestLayout(t *testing.T) {
	m := adapters.Message{Topic: []byte("t"), Key: []byte("cam"), Payload: []byte("p\x00\xff"), TimestampMS: 1234, Session: 0xab, Number: 7,
		Headers: adapters.Headers(nil).AppendString("site", "north").Append("raw", []byte{0xff, 0}).AppendString("key", "mine").
			AppendString("header.key", "yours").AppendString("header.site", "as it is").AppendString("site", "again")}
	bare := adapters.Message{Topic: []byte("t"), Payload: []byte("p")}
	for name, c := range map[string]struct {
		config, full, bare string
	}{
		"fields": {"", "XADD t * metadata p\x00\xff key cam timestamp 1234 ew-session 00000000000000ab ew-sequence 7 site north raw \xff\x00 " +
			"header.key mine header.header.key yours header.site as it is site again", "XADD t * metadata p"},
		"named": {"payloadkey = body\ntimestampkey =\nstreamsize = 99", "XADD t MAXLEN ~ 99 * body p\x00\xff key cam ew-session 00000000000000ab ew-sequence 7 site north raw \xff\x00 " +
			"header.key mine header.header.key yours header.site as it is site again", "XADD t MAXLEN ~ 99 * body p"},
		"key-value": {"layout = key-value\nsensorid = me", `XADD t * key cam value ` + "p\x00\xff" + ` headers {"ew-session":"00000000000000ab","ew-sequence":"7","timestamp":"1234",` +
			`"site":"north","raw":{"base64":"/wA="},"header.key":"mine","header.header.key":"yours","header.site":"as it is","site":"again"}`, "XADD t * key me value p headers {}"},
	} {
		t.Run(name, func(t *testing.T) {
			o := options4(t, c.config)
			e := newEncoder(o)
			for _, x := range []struct {
				m    adapters.Message
				want string
			}{{m, c.full}, {bare, c.bare}, {m, c.full}} {
				before := []byte("before")
				out, topic := e.append(before, &x.m)
				if string(out[topic:topic+len(x.m.Topic)]) != string(x.m.Topic) {
					t.Errorf("the topic is not at %d of %q", topic, out)
				}
				w := words(t, out[len(before):])
				if got := strings.Join(w, " "); got != x.want {
					t.Errorf("%q\nwant %q", got, x.want)
				}
				var fields []any
				for i, s := range w {
					if s == "*" {
						for _, f := range w[i+1:] {
							fields = append(fields, f)
						}
					}
				}
				in, ok := o.decode("t", []any{"1700000000000-5", fields})
				h := adapters.Headers(nil)
				if x.m.Session != 0 {
					h = h.AppendString("ew-session", "00000000000000ab").AppendString("ew-sequence", "7")
				}
				h = append(h, x.m.Headers...)
				if !ok || string(in.Payload) != string(x.m.Payload) || !bytes.Equal(in.Headers, h) || in.Position != "1700000000000-5" {
					t.Errorf("came back as %+v", in)
				}
				if x.m.Key != nil && string(in.Key) != "cam" {
					t.Errorf("key %q", in.Key)
				}
				if want := int64(1234); name != "named" && x.m.TimestampMS != 0 && in.TimestampMS != want || x.m.TimestampMS == 0 && in.TimestampMS != 1700000000000 {
					t.Errorf("time %d", in.TimestampMS)
				}
			}
		})
	}
}

// TestForeignEntries: what others write is taken as well as it can be.
func TestForeignEntries(t *testing.T) {
	o := options4(t, "")
	for in, want := range map[string]string{
		"msg|hello":                    "hello",
		"key|k|value|v|headers|{}":     "v",
		"key|k|value|v|headers|broken": "v",
		"a|1|b|2":                      `{"a":"1","b":"2"}`,
		"x|1|metadata|p":               "p",
	} {
		var fields []any
		for _, f := range strings.Split(in, "|") {
			fields = append(fields, f)
		}
		m, ok := o.decode("t", []any{"5-0", fields})
		if !ok || string(m.Payload) != want {
			t.Errorf("%s: %+v", in, m)
		}
	}
	for _, item := range []any{nil, "x", []any{}, []any{"1-0", nil}, []any{7, []any{"a", "b"}}, []any{"1-0", []any{"a"}}} {
		if m, ok := o.decode("t", item); ok {
			t.Errorf("%v: %+v", item, m)
		}
	}
}

// TestConfiguration: mistakes are named with file, line and what to do.
func TestConfiguration(t *testing.T) {
	for config, want := range map[string]string{
		"pasword = x":                         "did you mean password?",
		"username = u":                        "set password",
		"layout = json":                       "write fields or key-value",
		"streamsize = many":                   "streamsize",
		"hostname = h\nport = 70000":          "port",
		"sentinel-master = m\ncluster = true": "is set together with sentinel-master",
		"cluster = true\ndb = 3":              "a cluster has no other database",
		"payloadkey = key":                    "is the name of another field",
		"timestampkey = metadata":             "is the name of another field",
		"payloadkey =":                        "write a name",
		"client-name = a b":                   "printable ASCII",
		"sentinel-tls = true":                 "set tls=true too",
		"tls-ca-file = /nonexistent/ca.pem":   "/nonexistent/ca.pem",
		"tls-min-version = 1.0":               "write 1.2 or 1.3",
		"password-file = /nonexistent/secret": "/nonexistent/secret",
		"response-timeout = 0":                "response-timeout",
		"max-in-flight = 0":                   "max-in-flight",
	} {
		path := configFile(t, config)
		connStr := "h;1"
		if strings.Contains(config, "hostname") {
			connStr = ""
		}
		_, err := adapter{}.Open(adapters.Config{ConnStr: connStr, ConfigPath: path, Strict: true}, adaptertest.NewRecorder())
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: %v, want %q", config, err, want)
		}
	}
	if _, err := (adapter{}).Open(adapters.Config{}, adaptertest.NewRecorder()); err == nil || !strings.Contains(err.Error(), "set hostname and port") {
		t.Error(err)
	}
	// Everything that DeepStream's file may hold, and no connection string.
	o := options4(t, "hostname = \"h\"\nport = 1234\nstreamsize = 10000\npayloadkey = metadata\nconsumergroup = g\nconsumername = c\n"+
		"flush-timeout = 500\nsensorid = s\nshare-connection = 1\npassword = pw")
	if o.groupName != "g" || o.consumerName != "c" || o.sensorID != "s" || o.streamSize != "10000" || o.password != "pw" {
		t.Errorf("%+v", o)
	}
	c, err := adapter{}.Open(adapters.Config{ConfigPath: configFile(t, "hostname = \"127.0.0.1\"\nport = 1\ntopic = t\npartition-key = sensor.id")}, adaptertest.NewRecorder())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if i := c.Info(); i.Host != "127.0.0.1:1" || i.Topic != "t" || i.PartitionKey != "sensor.id" {
		t.Errorf("%+v", i)
	}
	t.Setenv("DEEPSTREAM_ENABLE_SENSOR_ID_EXTRACTION", "1")
	t.Setenv("DEEPSTREAM_SENSOR_ID", "env")
	if o := options4(t, ""); !o.keyValue || o.sensorID != "env" {
		t.Errorf("%+v", o)
	}
	if o := options4(t, "layout = fields"); o.keyValue {
		t.Errorf("%+v", o)
	}
}

func TestConnStr(t *testing.T) {
	for in, want := range map[string]string{
		"h;1": "[h:1] ", "h;1;": "[h:1] ", " h ; 1 ; stream ": "[h:1] stream", "a,b:2,[::1]:3,::1;9": "[a:9 b:2 [::1]:3 [::1]:9] ",
		"": "[] ", "fe80::1%eth0;1;s{x}": "[[fe80::1%eth0]:1] s{x}",
	} {
		cs, err := parseConnStr(in)
		if got := fmt.Sprint(cs.servers, " ", cs.stream); err != nil || got != want {
			t.Errorf("%q: %s, %v, want %s", in, got, err, want)
		}
	}
	if _, err := parseConnStr("h;1;user;secret"); err == nil || strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
}

// FuzzReply: whatever a server sends, nothing breaks, and nothing is read twice.
func FuzzReply(f *testing.F) {
	for _, s := range []string{"+OK\r\n", "-ERR x\r\n", "$3\r\nabc\r\n", "$-1\r\n", "*1\r\n:5\r\n", "\x15\x03\x03", "HTTP/1.1 400\r\n", "$99999999999\r\n", "\r\n", "+\n"} {
		f.Add([]byte(s), 3)
	}
	f.Fuzz(func(t *testing.T, data []byte, step int) {
		r := newReplyReader(&trickle{data, max(1, step&15)})
		for range len(data) + 1 {
			if _, err := r.read(); err != nil {
				return
			}
		}
		t.Error("more answers than bytes")
	})
}

type trickle struct {
	data []byte
	step int
}

func (r *trickle) Read(p []byte) (int, error) {
	n := copy(p[:min(len(p), r.step)], r.data)
	r.data = r.data[n:]
	if n == 0 {
		return 0, fmt.Errorf("over")
	}
	return n, nil
}

// FuzzDecode: whatever stands in a stream, a message comes out or none.
func FuzzDecode(f *testing.F) {
	f.Add("metadata", "p", "headers", `{"a":{"base64":"AA=="}}`, "value", "v")
	f.Add("key", "k", "value", "v", "headers", `{"a":`)
	o := options4(f, "")
	f.Fuzz(func(t *testing.T, a, b, c, d, e, g string) {
		for _, fields := range [][]any{{a, b}, {a, b, c, d}, {a, b, c, d, e, g}} {
			m, ok := o.decode("t", []any{"1-0", fields})
			if !ok || m.Headers.Check() != nil {
				t.Errorf("%v: %+v", fields, m)
			}
		}
	})
}

// TestGroups: another consumer's share is taken over when it is gone, and only then.
func TestGroups(t *testing.T) {
	s := newServer(t)
	publisher := adaptertest.NewRecorder()
	adaptertest.Send(t, openConn(t, s.ConnStr(), "", publisher), batchOf(1, "x", 20))
	results(t, publisher, 20, 0)
	gone := adaptertest.NewCollector()
	c := openConn(t, s.ConnStr(), "consumername = gone", adaptertest.NewRecorder())
	cfg := adapters.SubscribeConfig{Topics: []string{"x"}, Group: "g", FromStart: true}
	began := time.Now() // they came later, and are idle from then on
	if err := c.Subscribe(cfg, gone); err != nil {
		t.Fatal(err)
	}
	c.Ack(gone.Wait(t, 20)[:5])
	_ = c.Close()
	other := adaptertest.NewCollector()
	c = openConn(t, s.ConnStr(), "consumername = other\nclaim-idle = 1", adaptertest.NewRecorder())
	if err := c.Subscribe(cfg, other); err != nil {
		t.Fatal(err)
	}
	got := other.Wait(t, 15)
	if d := time.Since(began); d < time.Second {
		t.Errorf("taken over after %v", d)
	}
	for _, m := range got {
		if !m.Redelivered || string(m.Payload) <= "000005" {
			t.Errorf("%+v", m)
		}
	}
	c.Ack(got)
	adaptertest.Wait(t, "nothing pending", func() bool {
		p, err := s.c.XPending(t.Context(), "x", "g").Result()
		return err == nil && p.Count == 0
	})
	// The server loses everything: the group is made anew and goes on.
	do(t, s.c, "FLUSHALL")
	adaptertest.Send(t, openConn(t, s.ConnStr(), "", publisher), batchOf(21, "x", 5))
	adaptertest.Wait(t, "messages after the loss", func() bool { return other.Different() == 20 })
}
