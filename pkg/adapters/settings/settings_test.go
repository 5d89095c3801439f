// SPDX-License-Identifier: LGPL-2.1-or-later

package settings

import (
	"crypto/tls"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

var known = append([]Key{{Name: "hostname"}, {Name: "port"}, {Name: "password", Secret: true}, {Name: "wait"}}, TLSKeys...)

// load reads text as a strict configuration file with the mode 0600.
func load(t *testing.T, text string) (*Group, *[]string, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cfg.txt")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var lines []string
	g, err := Load(path, known, true, func(e adapters.LogEntry) { lines = append(lines, e.Text) })
	return g, &lines, err
}

func must(t *testing.T, text string) (*Group, *[]string) {
	t.Helper()
	g, lines, err := load(t, text)
	if err != nil {
		t.Fatal(err)
	}
	return g, lines
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error; want one with %q", parts)
		return
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("%v: no word of %q", err, p)
		}
	}
}

func TestLoad(t *testing.T) {
	g, _ := must(t, "[message-broker]\nhostname=\"here\" \nport = 1234\nshare-connection=1\nwait=\"250\"\ntls=false\n")
	if host, err := g.Text("hostname", "x"); host != "here" || err != nil {
		t.Errorf("hostname %q, %v", host, err)
	}
	if port, err := g.Int("port", 1, 1, 65535); port != 1234 || err != nil {
		t.Errorf("port %d, %v", port, err)
	}
	if d, err := g.Duration("wait", time.Millisecond, time.Second, 0, time.Minute); d != 250*time.Millisecond || err != nil {
		t.Errorf("wait %v, %v", d, err)
	}
	if _, err := g.Int("port", 1, 1, 1000); err == nil {
		t.Error("1234 is not out of range")
	} else {
		wantError(t, err, "cfg.txt:3: [message-broker] port: is out of range; choose a number from 1 to 1000")
	}
	if d, err := g.Duration("none", time.Second, 1500*time.Millisecond, 0, time.Minute); d != 1500*time.Millisecond || err != nil {
		t.Errorf("the default became %v, %v", d, err)
	}
	for text, want := range map[string]string{
		"[message-broker]\nhostnam=x\n":          "cfg.txt:2: [message-broker] hostnam: unknown key; did you mean hostname?",
		"[message_broker]\nhostname=x\n":         "rename [message_broker] to [message-broker]",
		"[message-broker]\nshare-connection=7\n": "share-connection",
		"hostname=x\n":                           "a key before the first [group]",
	} {
		_, _, err := load(t, text)
		wantError(t, err, want)
	}
	var lines []string
	path := filepath.Join(t.TempDir(), "cfg.txt")
	_ = os.WriteFile(path, []byte("[message-broker]\nnonsense=x\n"), 0o600)
	if _, err := Load(path, known, false, func(e adapters.LogEntry) { lines = append(lines, e.Text) }); err != nil || len(lines) != 1 {
		t.Errorf("not strict: %v, %q", err, lines)
	}
	empty, err := Load("", known, true, nil)
	if text, _ := empty.Text("hostname", "default"); err != nil || text != "default" || empty.Has("hostname") {
		t.Errorf("no file: %v, %q", err, text)
	}
	_, err = Load(filepath.Join(t.TempDir(), "absent"), known, true, nil)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func TestSecret(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "pw")
	write := func(text string, mode os.FileMode) {
		_ = os.Remove(file)
		if err := os.WriteFile(file, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("from file\n", 0o600)
	g, lines := must(t, "[message-broker]\npassword=inline\npassword-file="+file+"\n")
	t.Setenv("EW_TEST_PW", "from env")
	for _, c := range []struct {
		env         []string
		value, part string
	}{{[]string{"EW_TEST_NONE", "EW_TEST_PW"}, "from env", "EW_TEST_PW"}, {nil, "from file", file}} {
		if v, where, err := g.Secret("password", c.env...); v != c.value || !strings.Contains(where, c.part) || err != nil {
			t.Errorf("%q from %q, %v", v, where, err)
		}
	}
	if len(*lines) != 0 {
		t.Errorf("warned: %q", *lines)
	}
	if got := g.Mask("x from file y from env"); got != "x *** y ***" {
		t.Errorf("masked: %q", got)
	}
	write("open\r\n", 0o644)
	if v, _, err := g.Secret("password"); v != "open" || err != nil {
		t.Errorf("%q, %v", v, err)
	}
	_, _, _ = g.Secret("password")
	if len(*lines) != 1 || !strings.Contains((*lines)[0], "chmod 600") {
		t.Errorf("a file that all can read: %q", *lines)
	}
	for text, want := range map[string]string{"": "is empty", "secret1\nsecret2\n": "more than one line", strings.Repeat("s", maxSecret+1): "larger than"} {
		write(text, 0o600)
		v, _, err := g.Secret("password")
		wantError(t, err, want, "password-file")
		if v != "" || err != nil && strings.Contains(err.Error(), "secret1") {
			t.Errorf("%q, %v", v, err)
		}
	}
	if v, where, err := must2(must(t, "[message-broker]\npassword = \"in line\"\n")).Secret("password"); v != "in line" || !strings.HasSuffix(where, "cfg.txt") || err != nil {
		t.Errorf("%q from %q, %v", v, where, err)
	}
	if v, where, err := must2(must(t, "[message-broker]\n")).Secret("password"); v != "" || where != "" || err != nil {
		t.Errorf("%q from %q, %v", v, where, err)
	}
	for name, want := range map[string]string{filepath.Join(dir, "none"): "no such file", dir: "not a regular file"} {
		_, _, err := must2(must(t, "[message-broker]\npassword-file="+name+"\n")).Secret("password")
		wantError(t, err, want)
	}
	// A systemd credential wins over a file of that name in the working directory.
	t.Chdir(t.TempDir())
	_ = os.WriteFile("cred", []byte("wrong"), 0o600)
	_ = os.WriteFile(filepath.Join(dir, "cred"), []byte("right"), 0o600)
	t.Setenv(credentialsEnv, dir)
	if v, _, err := must2(must(t, "[message-broker]\npassword-file=cred\n")).Secret("password"); v != "right" || err != nil {
		t.Errorf("credential: %q, %v", v, err)
	}
}

func must2(g *Group, _ *[]string) *Group { return g }

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

// serve answers one 2-way TLS connection after the other with the name of the client.
func serve(t *testing.T, dir, certificate string) string {
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, certificate+".pem"), filepath.Join(dir, certificate+"-key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots, err := must2(must(t, "[message-broker]\ntls-ca-file="+dir+"/ca.pem\n")).tlsRoots()
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, ClientCAs: roots,
		ClientAuth: tls.RequireAndVerifyClientCert})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			tc := c.(*tls.Conn)
			if tc.Handshake() == nil {
				_, _ = io.WriteString(c, tc.ConnectionState().PeerCertificates[0].Subject.CommonName+" "+
					tls.CipherSuiteName(tc.ConnectionState().CipherSuite))
			}
			_ = c.Close()
		}
	}()
	return l.Addr().String()
}

func dial(t *testing.T, address string, g *Group) (string, error) {
	t.Helper()
	host, _, _ := net.SplitHostPort(address)
	c, err := g.TLS(host)
	if err != nil {
		return "", err
	}
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", address, c)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	text, err := io.ReadAll(conn)
	return string(text), err
}

func TestTLS(t *testing.T) {
	dir, err := pki()
	if err != nil {
		t.Skip("no certificates: ", err)
	}
	address := serve(t, dir, "server")
	with := func(lines ...string) *Group {
		return must2(must(t, "[message-broker]\ntls-ca-file="+dir+"/ca.pem\n"+strings.ReplaceAll(strings.Join(lines, "\n"), "@", dir)+"\n"))
	}
	cert := "tls-cert-file=@/client.pem\ntls-key-file=@/client-key.pem"
	for name, g := range map[string]*Group{
		"pair":      with(cert),
		"bundle":    with("tls-cert-file=@/client-bundle.pem"),
		"encrypted": with("tls-cert-file=@/client.pem", "tls-key-file=@/client-enc-key.pem", "tls-key-password-file=@/client-enc.password"),
		"1.3":       with(cert, "tls-min-version=TLSv1.3"),
		"name":      with(cert, "tls-server-name=localhost"),
	} {
		if got, err := dial(t, address, g); err != nil || !strings.HasPrefix(got, "client ") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for name, g := range map[string]*Group{
		"no certificate": with(),
		"other CA":       with("tls-cert-file=@/client-other-ca-bundle.pem"),
		"expired":        with("tls-cert-file=@/client-expired-bundle.pem"),
		"name":           with(cert, "tls-server-name=else.invalid"),
		"untrusted":      must2(must(t, "[message-broker]\ntls-ca-file="+dir+"/other-ca.pem\n"+strings.ReplaceAll(cert, "@", dir)+"\n")),
	} {
		if got, err := dial(t, address, g); err == nil && got != "" {
			t.Errorf("%s was let in: %q", name, got)
		}
	}
	for _, wrong := range []string{"server-wrong-name", "server-expired"} {
		if got, err := dial(t, serve(t, dir, wrong), with(cert)); err == nil {
			t.Errorf("%s was believed: %q", wrong, got)
		}
	}
	for _, c := range []struct{ lines, want string }{
		{"tls-min-version=1.1", "write 1.2 or 1.3"},
		{"tls-ciphers=TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA257", "did you mean TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256?"},
		{"tls-cert-file=@/ca-key.pem", "holds no certificate"},
		{"tls-cert-file=@/client.pem", "holds no private key"},
		{"tls-cert-file=@/client.pem\ntls-key-file=@/server-key.pem", "does not belong to the key"},
		{"tls-key-file=@/client-key.pem", "without tls-cert-file"},
		{"tls-cert-file=@/client.pem\ntls-key-file=@/client-enc-key.pem", "tls-key-password is not set"},
		{"tls-cert-file=@/client.pem\ntls-key-file=@/client-enc-key.pem\ntls-key-password=hunter2", "the password does not fit"},
		{"tls-cert-file=@/none.pem", "no such file"},
		{"tls=maybe", "is not a boolean"},
		{"tls-verify=maybe", "is not a boolean"},
	} {
		_, err := with(c.lines).TLS("localhost")
		wantError(t, err, c.want)
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v: holds the password", err)
		}
	}
	if c, err := must2(must(t, "[message-broker]\n")).TLS("x"); c != nil || err != nil {
		t.Error("TLS without being asked for")
	}
	if c, err := with("tls=0").TLS("x"); c != nil || err != nil {
		t.Error("TLS though it is off")
	}
	g, lines := must(t, "[message-broker]\ntls-verify=0\n"+strings.ReplaceAll(cert, "@", dir)+"\n")
	for range 2 {
		if got, err := dial(t, address, g); err != nil || got == "" {
			t.Errorf("unverified: %q, %v", got, err)
		}
	}
	if len(*lines) != 1 || !strings.Contains((*lines)[0], "not checked") {
		t.Errorf("warnings: %q", *lines)
	}
}

// TestRotation: a certificate that is replaced is used by the next connection.
func TestRotation(t *testing.T) {
	dir, err := pki()
	if err != nil {
		t.Skip("no certificates: ", err)
	}
	address := serve(t, dir, "server")
	bundle := filepath.Join(t.TempDir(), "bundle.pem")
	use := func(name string) {
		data, err := os.ReadFile(filepath.Join(dir, name+"-bundle.pem"))
		if err == nil {
			err = os.WriteFile(bundle, data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	g, _ := must(t, "[message-broker]\ntls-ca-file="+dir+"/ca.pem\ntls-cert-file="+bundle+"\n")
	use("client-expired")
	if got, err := dial(t, address, g); err == nil && got != "" {
		t.Errorf("an expired certificate was let in: %q", got)
	}
	use("client")
	if got, err := dial(t, address, g); err != nil || !strings.HasPrefix(got, "client ") {
		t.Errorf("after the renewal: %q, %v", got, err)
	}
}
