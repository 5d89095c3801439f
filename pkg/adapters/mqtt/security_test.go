// SPDX-License-Identifier: LGPL-2.1-or-later

package mqtt

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

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

func certificates(t *testing.T) string {
	t.Helper()
	dir, err := pki()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// delivers publishes ten messages and waits for their acknowledgements.
func delivers(t *testing.T, c adapters.Conn, r *adaptertest.Recorder, topic string) {
	t.Helper()
	adaptertest.Send(t, c, batchOf(1, topic, 10, 100))
	adaptertest.Wait(t, "ten acknowledgements", func() bool { n, _ := r.Results(); return n == 10 })
	if _, failed := r.Results(); failed != 0 {
		t.Errorf("%d of 10 failed", failed)
	}
}

func hostPort(addr string) (host, port string) {
	host, port, _ = net.SplitHostPort(addr)
	return host, port
}

func TestTLS(t *testing.T) {
	dir := certificates(t)
	cadir := t.TempDir()
	ca, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	_ = os.WriteFile(filepath.Join(cadir, "any.pem"), ca, 0o600)
	s := newServer(t, "", "--listener", "tls", "--pki", dir).observe(t, "", "")
	m := newServer(t, "", "--listener", "mtls", "--pki", dir)
	// A server whose certificate has ended.
	olddir := t.TempDir()
	for from, to := range map[string]string{"ca.pem": "ca.pem", "server-expired.pem": "server.pem", "server-expired-key.pem": "server-key.pem"} {
		if err := os.Symlink(filepath.Join(dir, from), filepath.Join(olddir, to)); err != nil {
			t.Fatal(err)
		}
	}
	o := newServer(t, "", "--listener", "tls", "--pki", olddir)
	_, oldPort := hostPort(o.Addr)
	_, tlsPort := hostPort(s.Addr)
	_, mtlsPort := hostPort(m.Addr)
	own := "tls-cert-file=" + dir + "/client.pem\ntls-key-file=" + dir + "/client-key.pem\n"
	trust := "tls-ca-file=" + dir + "/ca.pem\n"
	for name, c := range map[string]struct{ connStr, conf, reason string }{
		"tls":               {"localhost;" + tlsPort, trust, ""},
		"url":               {"mqtts://127.0.0.1:" + tlsPort, trust, ""},
		"deepstream":        {"127.0.0.1;" + tlsPort, "enable-tls=1\ntls-cafile=\"" + dir + "/ca.pem\"\n", ""},
		"deepstream folder": {"127.0.0.1;" + tlsPort, "enable-tls=1\ntls-capath=" + cadir + "\n", ""},
		"deepstream mutual": {"localhost;" + mtlsPort, "enable-tls=1\ntls-cafile=" + dir + "/ca.pem\ntls-certfile=" + dir + "/client.pem\ntls-keyfile=" + dir + "/client-key.pem\n", ""},
		"1.3":               {"localhost;" + tlsPort, trust + "tls-min-version=1.3\n", ""},
		"mutual":            {"localhost;" + mtlsPort, trust + own, ""},
		"encrypted key":     {"localhost;" + mtlsPort, trust + "tls-cert-file=" + dir + "/client.pem\ntls-key-file=" + dir + "/client-enc-key.pem\ntls-key-password-file=" + dir + "/client-enc.password\n", ""},
		"unknown authority": {"localhost;" + tlsPort, "tls=true\n", "tls-ca-file"},
		"other authority":   {"localhost;" + tlsPort, "tls-ca-file=" + dir + "/other-ca.pem\n", "tls-ca-file"},
		"wrong name":        {"localhost;" + tlsPort, trust + "tls-server-name=elsewhere.example\n", "tls-server-name"},
		"server expired":    {"localhost;" + oldPort, trust, "replace the server's certificate"},
		"unchecked":         {"localhost;" + oldPort, "tls=true\ntls-verify=false\n", ""},
		"no certificate":    {"localhost;" + mtlsPort, trust, "refuses our certificate"},
		"foreign":           {"localhost;" + mtlsPort, trust + "tls-cert-file=" + dir + "/client-other-ca.pem\ntls-key-file=" + dir + "/client-other-ca-key.pem\n", "refuses our certificate"},
		"expired":           {"localhost;" + mtlsPort, trust + "tls-cert-file=" + dir + "/client-expired.pem\ntls-key-file=" + dir + "/client-expired-key.pem\n", "refuses our certificate"},
		"TLS to plain":      {"localhost;" + s.Fields["port2"], trust, "TLS"},
		"plain to TLS":      {"localhost;" + tlsPort, "", "TLS"},
	} {
		t.Run(name, func(t *testing.T) {
			r := adaptertest.NewRecorder()
			conn := openConn(t, c.connStr, c.conf, r)
			if c.reason != "" {
				adaptertest.Send(t, conn, batchOf(1, "t", 1, 10))
				wantReason(t, r, c.reason)
				if n, _ := r.Results(); n != 0 {
					t.Error("a result without a connection")
				}
				return
			}
			delivers(t, conn, r, "tls/"+strings.ReplaceAll(name, " ", "-"))
		})
	}
}

// TestNoServer: what is wrong with the address is told, and the message is kept.
func TestNoServer(t *testing.T) {
	for connStr, want := range map[string]string{
		"127.0.0.1;1":               "connection refused; check that the server runs",
		"no-such-host.invalid;1883": "check the host name",
		"ws://127.0.0.1:1":          "connection refused; check that the server runs",
	} {
		r := adaptertest.NewRecorder()
		adaptertest.Send(t, openConn(t, connStr, "", r), batchOf(1, "x", 3, 10))
		wantReason(t, r, want)
		if n, _ := r.Results(); n != 0 {
			t.Errorf("%s: %d results", connStr, n)
		}
	}
}

// TestRefused: who may not, is told by the message; who may not at all, by the state.
func TestRefused(t *testing.T) {
	acl := adaptertest.WriteFile(t, "acl", "user observer\ntopic read #\nuser cam\ntopic readwrite open/#\n")
	s := newServer(t, "", "--password", "cam:right-password", "--password", "observer:o", "--config-line", "acl_file "+acl,
		"--config-line", "message_size_limit 100000").observe(t, "observer", "o")
	t.Run("password", func(t *testing.T) {
		for _, version := range []string{"5", "3.1.1"} {
			r := adaptertest.NewRecorder()
			c := openConn(t, s.ConnStr(), "username=cam\npassword=wrong-password\nprotocol-version="+version+"\n", r)
			adaptertest.Send(t, c, batchOf(1, "open/x", 1, 10))
			wantReason(t, r, "check username and password")
			for _, e := range r.States() {
				if strings.Contains(e.Reason, "wrong-password") {
					t.Error(e.Reason)
				}
			}
			_ = c.Close()
		}
	})
	t.Run("environment", func(t *testing.T) {
		t.Setenv("USER_MQTT", "cam")
		t.Setenv("PASSWORD_MQTT", "right-password")
		r := adaptertest.NewRecorder()
		delivers(t, openConn(t, s.ConnStr(), "username=x\npassword=wrong-password\n", r), r, "open/env")
	})
	right := "username=cam\npassword=right-password\n"
	t.Run("rotated password", func(t *testing.T) {
		file := adaptertest.WriteFile(t, "pw", "wrong-password\n")
		r := adaptertest.NewRecorder()
		c := openConn(t, s.ConnStr(), "username=cam\npassword-file="+file+"\n", r)
		adaptertest.Send(t, c, batchOf(1, "open/rotated", 1, 10))
		wantReason(t, r, "check username and password")
		if err := os.WriteFile(file, []byte("right-password\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		adaptertest.Wait(t, "the acknowledgement", func() bool { n, failed := r.Results(); return n == 1 && failed == 0 })
	})
	t.Run("topic", func(t *testing.T) {
		r := adaptertest.NewRecorder()
		c := openConn(t, s.ConnStr(), right, r)
		b := batchOf(1, "open/topic", 1, 10)
		b.Append(2, 0, "closed/topic", nil, []byte("x"))
		b.Append(3, 0, "open/topic", nil, make([]byte, 150_000))
		b.Append(4, 0, "open/+/topic", nil, []byte("x"))
		b.Append(5, 0, "", nil, []byte("x"))
		b.Append(6, 0, "open/topic", nil, []byte("last"))
		adaptertest.Send(t, c, b)
		adaptertest.Wait(t, "six results", func() bool { n, _ := r.Results(); return n == 6 })
		for seq, want := range map[uint64]error{1: nil, 2: adapters.ErrUnauthorized, 3: adapters.ErrTooLarge, 4: adapters.ErrRejected, 5: adapters.ErrRejected, 6: nil} {
			err, _ := r.Result(seq)
			if !errors.Is(err, want) {
				t.Errorf("message %d: %v, want %v", seq, err, want)
			}
			var d *adapters.DeliveryError
			if want != nil && (!errors.As(err, &d) || d.Host != s.Addr || d.Cause == "" || d.Remedy == "") {
				t.Errorf("message %d: %v: host, cause and remedy are expected", seq, err)
			}
		}
		// The large one ends the connection: the first may have come without its acknowledgement, and come again.
		different := map[string]bool{}
		for _, m := range adaptertest.ConsumeDifferent(t, s, "open/topic", 2) {
			different[string(m.Payload)] = true
		}
		if len(different) != 2 || !different["last"] {
			t.Errorf("%d different messages arrived, want 2", len(different))
		}
	})
	t.Run("subscription", func(t *testing.T) {
		r, rec := adaptertest.NewCollector(), adaptertest.NewRecorder()
		c := openConn(t, s.ConnStr(), right, rec)
		for _, bad := range []string{"", "a/#/b", "a+/b"} {
			if err := c.Subscribe(adapters.SubscribeConfig{Topics: []string{bad}}, r); err == nil {
				t.Errorf("the topic %q was accepted", bad)
			}
		}
		if err := c.Subscribe(adapters.SubscribeConfig{Topics: []string{"open/#"}, Group: "a/b"}, r); err == nil {
			t.Error("the group a/b was accepted")
		}
		if err := c.Subscribe(adapters.SubscribeConfig{Topics: []string{"open/#"}}, r); err != nil {
			t.Error(err)
		}
		adaptertest.Wait(t, "the server's word", func() bool { return r.Agreed("open/#") >= 1 })
	})
}

// TestTooLargeForTheServer: MQTT 5 servers tell their limit, and nothing larger is sent; one that does not
// tell it hangs up, and only the message that it hangs up on is refused.
func TestTooLargeForTheServer(t *testing.T) {
	for _, version := range []string{"5", "3.1.1"} {
		t.Run(version, func(t *testing.T) {
			s := newServer(t, "", "--config-line", "max_packet_size 50000").observe(t, "", "")
			r := adaptertest.NewRecorder()
			c := openConn(t, s.ConnStr(), "protocol-version="+version+"\n", r)
			b := batchOf(1, "size", 20, 10)
			b.Append(21, 0, "size", nil, make([]byte, 60_000))
			for i := range uint64(20) {
				b.Append(22+i, 0, "size", nil, fmt.Append(nil, 22+i))
			}
			adaptertest.Send(t, c, b)
			adaptertest.Wait(t, "all results", func() bool { n, _ := r.Results(); return n == 41 })
			err, _ := r.Result(21)
			want := adapters.ErrTooLarge
			if version == "3.1.1" {
				want = adapters.ErrRejected
			}
			if _, failed := r.Results(); failed != 1 || !errors.Is(err, want) {
				t.Errorf("%d failures, message 21: %v", failed, err)
			}
			t.Log(err)
		})
	}
}

func TestWebSocket(t *testing.T) {
	dir := certificates(t)
	for kind, conf := range map[string]string{"ws": "", "wss": "tls-ca-file=" + dir + "/ca.pem\n"} {
		t.Run(kind, func(t *testing.T) {
			s := newServer(t, "", "--listener", kind, "--pki", dir).observe(t, "", "")
			r := adaptertest.NewRecorder()
			c := openConn(t, kind+"://"+s.Addr+"/mqtt;default/topic", conf, r)
			if c.Info().Topic != "default/topic" {
				t.Errorf("topic %q", c.Info().Topic)
			}
			col := adaptertest.NewCollector()
			if err := c.Subscribe(adapters.SubscribeConfig{Topics: []string{"ws/+"}}, col); err != nil {
				t.Fatal(err)
			}
			adaptertest.Wait(t, "the subscription", func() bool { return col.Agreed("ws/+") > 0 })
			b := batchOf(1, "ws/x", 300, 1000)
			b.Append(301, 0, "ws/x", nil, make([]byte, 500_000))
			adaptertest.Send(t, c, b)
			got := col.Wait(t, 301)
			c.Ack(got)
			if len(got[300].Payload) != 500_000 {
				t.Errorf("%d bytes came", len(got[300].Payload))
			}
			s.Kill(t)
			wantReason(t, r, "")
			s.Start(t)
			adaptertest.Send(t, c, batchOf(302, "ws/x", 10, 10))
			adaptertest.Wait(t, "all results", func() bool { n, failed := r.Results(); return n == 311 && failed == 0 })
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
