// SPDX-License-Identifier: LGPL-2.1-or-later

package kafka

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
)

func TestParseConnStr(t *testing.T) {
	for in, want := range map[string][2]string{
		"localhost;9092":             {"localhost:9092"},
		" localhost ; 9092 ; t ":     {"localhost:9092", "t"},
		"localhost;9092;":            {"localhost:9092"},
		"a,b:1,c;9092;x.y_z-1":       {"a:9092,b:1,c:9092", "x.y_z-1"},
		"::1;9092":                   {"[::1]:9092"},
		"[::1];9092":                 {"[::1]:9092"},
		"[::1]:9093,[fe80::1%e0];92": {"[::1]:9093,[fe80::1%e0]:92"},
		"":                           {},
	} {
		got, err := parseConnStr(in)
		if err != nil || got.servers != want[0] || got.topic != want[1] {
			t.Errorf("%q: %+v, %v; want %v", in, got, err, want)
		}
	}
	for in, want := range map[string]string{
		"localhost:9092":          "separated by a colon, a semicolon is expected",
		"localhost":               "the port is missing",
		";9092":                   "the host is empty",
		"localhost;":              "the port is empty",
		"localhost;http":          `the port is not a number from 1 to 65535`,
		"localhost;0":             "from 1 to 65535",
		"localhost;65536":         "from 1 to 65535",
		"localhost;+1":            "from 1 to 65535",
		"localhost;-1":            "from 1 to 65535",
		"a,,b;9092":               "a host in the list is empty",
		"a b;9092":                "holds a character that no host name has",
		"http://a;9092":           "the port is not a number",
		"[::1;9092":               "no closing bracket",
		"[::1]x;9092":             "the host has no closing bracket",
		"[a];9092":                "is not an IPv6 address",
		":::1::;9092":             "neither a name nor an IPv6 address",
		":1;9092":                 "the host is empty",
		"h;9092;bad topic":        "is not a topic name",
		"h;9092;..":               "is not a topic name",
		"h;5672;guest;hunter2":    "4 parts between semicolons",
		"h;5672;guest;hunter2;xx": "5 parts",
	} {
		_, err := parseConnStr(in)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "write host;port") {
			t.Errorf("%q: %v, want %s", in, err, want)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: the error shows a password: %v", in, err)
		}
	}
}

// tryOpen opens a connection that goes nowhere with a configuration file.
func tryOpen(t *testing.T, connStr, config string, strict bool) (*conn, *adaptertest.Recorder, error) {
	t.Helper()
	r := adaptertest.NewRecorder()
	c, err := adapter{}.Open(adapters.Config{ConnStr: connStr, ConfigPath: writeFile(t, "test.cfg", config), Strict: strict}, r)
	if err != nil {
		return nil, r, err
	}
	t.Cleanup(func() { _ = c.Close() })
	return c.(*conn), r, nil
}

func TestBadConfig(t *testing.T) {
	here := t.TempDir()
	for _, c := range []struct{ config, want string }{
		{"[message-broker]\nproto-cfg = \"compresion.type=lz4\"\n", `test.cfg:2: [message-broker] proto-cfg: librdkafka option "compresion.type" does not exist; did you mean compression.type?`},
		{"[message-broker]\nproto-cfg = \"ssl.key. password=hunter2\"\n", `"ssl.key. password" does not exist; did you mean ssl.key.password?`},
		{"[message-broker]\nconsumer-proto-cfg = \"auto.offset.rset=latest\"\n", "did you mean auto.offset.reset?"},
		{"[message-broker]\nproto-cfg = \"acks=maybe\"\n", `librdkafka option "acks" has an invalid value`},
		{"[message-broker]\nproto-cfg = \"sasl.password=hunter2;hunter2\"\n", `item 2 has no option=value; write option=value; a semicolon inside a value is written \;`},
		{"[message-broker]\nproto-cfg = \"acks=1\n", "a quotation mark is missing"},
		{"[message-broker]\nprotocfg = \"acks=1\"\n", "test.cfg:2: [message-broker] protocfg: unknown key; did you mean proto-cfg?"},
		{"[message-broker]\nsecurity.protocol = ssl\n", `this is an option of librdkafka, not a key of the group; write it inside proto-cfg`},
		{"[message-broker]\ncolour = red\n", "colour: unknown key; remove it; known are"},
		{"[messagebroker]\nproto-cfg = \"acks=1\"\n", "there is no [message-broker] group; rename [messagebroker] to [message-broker]"},
		{"proto-cfg = \"acks=1\"\n", "test.cfg:1: proto-cfg: a key before the first [group]"},
		{"[message-broker]\nshare-connection = maybe\n", "test.cfg:2: [message-broker] share-connection: is not a boolean"},
		{"[message-broker]\ntopic = not a topic\n", "test.cfg:2: [message-broker] topic: \"not a topic\" is not a topic name"},
		{"[message-broker]\nproto-cfg = \"security.protocol=ssl;ssl.ca.location=" + here + "/none.pem\"\n", "ssl.ca.location\" names a file that cannot be read: open " + here + "/none.pem: no such file"},
		{"[message-broker]\nproto-cfg = \"security.protocol=sasl_plaintext\"\n", "Kerberos is not built in"},
		{"[message-broker]\nproto-cfg = \"security.protocol=ssl;ssl.key.pem=hunter2\"\n", "librdkafka refuses the configuration"},
		{"[message-broker]\nproto-cfg = \"transactional.id=x\"\n", "transactional.id\" is not supported"},
		{"[message-broker]\nproto-cfg = \"enable.idempotence=true;acks=1\"\n", "librdkafka refuses the configuration"},
		{"[message-broker]\ntls-min-version = 1.1\n", "test.cfg:2: [message-broker] tls-min-version: is no version of TLS that is safe; write 1.2 or 1.3"},
		{"[message-broker]\ntls-min-version = 1.3\nproto-cfg = \"ssl.cipher.suites=ECDHE-RSA-AES256-GCM-SHA384\"\n", "tls-min-version: ssl.cipher.suites chooses among"},
	} {
		_, _, err := tryOpen(t, "127.0.0.1;1", c.config, true)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v\nwant %s", c.config, err, c.want)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error shows a password: %v", err)
		}
	}
	if _, _, err := tryOpen(t, "", "[message-broker]\n", true); err == nil || !strings.Contains(err.Error(), "no server is named; set conn-str") {
		t.Errorf("no server: %v", err)
	}
	_, err := adapter{}.Open(adapters.Config{ConnStr: "h;1", ConfigPath: here + "/absent.cfg"}, adaptertest.NewRecorder())
	if err == nil || !strings.Contains(err.Error(), "absent.cfg: cannot open the configuration file") {
		t.Errorf("absent file: %v", err)
	}
}

func TestLenientConfig(t *testing.T) {
	_, r, err := tryOpen(t, "127.0.0.1;1", "[message-broker]\nprotocfg = x\nproto-cfg = \"compresion.type=lz4;acks=maybe;linger.ms=1\"\n", false)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"did you mean proto-cfg?", "did you mean compression.type?", `"acks" has an invalid value`} {
		if !logged(r, want) {
			t.Errorf("no warning with %q in %v", want, r.Logs())
		}
	}
}

func TestGoodConfig(t *testing.T) {
	cert := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(cert, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	log := func(l adapters.LogEntry) { t.Log(l.Text) }
	props := func(text string) []property {
		fc, err := loadConfig(writeFile(t, "good.cfg", "[message-broker]\n"+text), true, log)
		if err != nil {
			t.Fatal(err)
		}
		return fc.producer
	}
	for _, c := range []struct{ text, option, want string }{
		{"", "enable.idempotence", "true"},
		{"", "message.timeout.ms", "0"},
		{"", "client.id", "gst-edgewire"},
		{"", "bootstrap.servers", "h:1"},
		{"proto-cfg = \"linger.ms=77;client.id=me;\"\n", "linger.ms", "77"},
		{"proto-cfg = linger.ms=77;client.id=me\n", "client.id", "me"},
		{"proto-cfg = \"linger.ms=77\"\nproducer-proto-cfg = \"linger.ms=78\"\n", "linger.ms", "78"},
		{"proto-cfg = \"acks=1\"\n", "enable.idempotence", "false"},
		{"proto-cfg = \"max.in.flight=50\"\n", "enable.idempotence", "false"},
		{"proto-cfg = \"retries=0\"\n", "enable.idempotence", "false"},
		{"proto-cfg = \"max.in.flight=5;acks=-1\"\n", "enable.idempotence", "true"},
		{`proto-cfg = "sasl.password=a\;b\\c=d"` + "\n", "sasl.password", `a;b\c=d`},
		{"proto-cfg = \"bootstrap.servers=other:2\"\n", "bootstrap.servers", "other:2"},
		{"proto-cfg = \"ssl.ca.location=" + cert + "\"\n", "ssl.ca.location", cert},
		{"proto-cfg = \"delivery.report.only.error=true\"\n", "delivery.report.only.error", "false"},
	} {
		rc, err := buildProducer("h:1", props(c.text), adapters.Config{Strict: true}, log)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		if got := rc.get(c.option); got != c.want {
			t.Errorf("%q: %s=%s, want %s", c.text, c.option, got, c.want)
		}
		rc.free()
	}
	c, r, err := tryOpen(t, "127.0.0.1;1", "[message-broker]\nproto-cfg = \"acks=0\"\ntopic = \"t1\"\npartition-key = sensorId\nconsumer-group-id = g\nshare-connection = 1\n", true)
	if err != nil {
		t.Fatal(err)
	}
	if i := c.Info(); i.Topic != "t1" || i.PartitionKey != "sensorId" || i.Host != "127.0.0.1:1" {
		t.Errorf("%+v", i)
	}
	if !logged(r, "enable.idempotence is turned off, because acks=0 was asked for") {
		t.Errorf("nothing was said about idempotence: %v", r.Logs())
	}
}

// TestOptionNames: whatever the library lists can be set, so that the list is not of names that do not exist.
func TestOptionNames(t *testing.T) {
	names := knownOptions()
	if len(names) < 150 {
		t.Errorf("only %d options are known", len(names))
	}
	for _, n := range names {
		c := newConf()
		if err := c.apply(property{name: n, value: "\x01"}, false); err != nil && strings.Contains(err.Error(), "does not exist") {
			t.Error(err)
		}
		c.free()
	}
}

func TestSecretNames(t *testing.T) {
	for name, want := range map[string]bool{"sasl.password": true, "ssl.key.password": true, "ssl.key.pem": true,
		"ssl.keystore.password": true, "sasl.oauthbearer.client.secret": true, "sasl.oauthbearer.config": true,
		"sasl.username": false, "acks": false, "ssl.key.location": false, "sasl.oauthbearer.token.endpoint.url": false} {
		if isSecret(name) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
}

// TestABI compiles our declarations against the header that comes with the library.
func TestABI(t *testing.T) {
	cc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("no C compiler")
	}
	out, err := exec.Command("go", "list", "-m", "-json", "github.com/confluentinc/confluent-kafka-go/v2").Output()
	var module struct{ Dir string }
	if err != nil || json.Unmarshal(out, &module) != nil || module.Dir == "" {
		t.Skip("the module's folder is not known")
	}
	include := t.TempDir()
	if err := os.Symlink(filepath.Join(module.Dir, "kafka", "librdkafka_vendor"), filepath.Join(include, "librdkafka")); err != nil {
		t.Fatal(err)
	}
	text, err := exec.Command(cc, "-std=c11", "-Wall", "-Werror", "-fsyntax-only", "-DEW_RDKAFKA_CHECK", "-I"+include, "-x", "c", "rdkafka_abi.h").CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, text)
	}
}

func TestPage(t *testing.T) {
	adaptertest.CheckPage(t, "kafka.cfg", adapter{}.Keys())
	if _, _, err := tryOpen(t, "127.0.0.1;1", readFile(t, "kafka.cfg"), true); err != nil {
		t.Error(err)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestReaders: a secret that every user of the machine can read gets a warning, wherever it stands.
func TestReaders(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	openKey, ownKey := write("open-key.pem", "key", 0o644), write("own-key.pem", "key", 0o640)
	openPassword := write("password", "hunter2", 0o604)
	const sasl = "security.protocol=sasl_plaintext;sasl.mechanism=PLAIN;sasl.username=u"
	for i, c := range []struct {
		config string
		mode   os.FileMode
		want   []string // the files, and whose secret they hold
	}{
		{`proto-cfg = "` + sasl + `;sasl.password=hunter2"`, 0o644, []string{"cfg", "sasl.password"}},
		{`proto-cfg = "` + sasl + `;sasl.password=hunter2"`, 0o600, nil},
		{`proto-cfg = "` + sasl + `"`, 0o644, nil},
		{`consumer-proto-cfg = "` + sasl + `;sasl.password=hunter2"`, 0o644, []string{"cfg", "sasl.password"}},
		{`proto-cfg = "ssl.key.location=` + openKey + `"`, 0o644, []string{"open-key.pem", "ssl.key.location"}},
		{`proto-cfg = "ssl.key.location=` + ownKey + `"`, 0o644, nil},
		{`proto-cfg = "` + sasl + `"` + "\nsasl-password-file = " + openPassword, 0o644, []string{"password", "sasl-password"}},
	} {
		path := write(fmt.Sprint("cfg", i), "[message-broker]\n"+c.config+"\n", c.mode)
		var warnings []string
		if _, err := loadConfig(path, true, func(e adapters.LogEntry) {
			if e.Level == adapters.LogWarning {
				warnings = append(warnings, e.Text)
			}
		}); err != nil {
			t.Fatal(err)
		}
		if c.want == nil != (len(warnings) == 0) || len(warnings) > 1 {
			t.Errorf("%s, mode %o: %q", c.config, c.mode, warnings)
			continue
		}
		for _, word := range c.want {
			if !strings.Contains(warnings[0], word) || !strings.Contains(warnings[0], "chmod 600") || strings.Contains(warnings[0], "hunter2") {
				t.Errorf("%s: %q", c.config, warnings)
			}
		}
	}
}
