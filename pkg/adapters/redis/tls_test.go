// SPDX-License-Identifier: LGPL-2.1-or-later

package redis

import (
	"crypto/tls"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
)

// shared is a folder for the tests of this package.
var shared string

func TestMain(m *testing.M) {
	var err error
	if shared, err = os.MkdirTemp("", "edgewire-redis-test-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	dialTimeout = 2 * time.Second // nothing here is farther away, and one test waits for it
	code := m.Run()
	_ = os.RemoveAll(shared)
	os.Exit(code)
}

var pki = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(shared, "pki")
	out, err := exec.Command("../../../scripts/test-pki", dir).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("scripts/test-pki: %w: %s", err, out)
	}
	return dir, err
})

func certificates(t *testing.T) string {
	t.Helper()
	dir, err := pki()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// newTLSServer is a server that speaks TLS alone.
func newTLSServer(t *testing.T, lines ...string) *server {
	t.Helper()
	dir := certificates(t)
	args := []string{"--tls", dir, "--durable"}
	for _, l := range lines {
		args = append(args, "--config-line", l)
	}
	s := &server{Process: adaptertest.StartServer(t, "redis", args...)}
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "client.pem"), filepath.Join(dir, "client-key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	s.c = client(t, &goredis.Options{Addr: s.Addr, TLSConfig: &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{cert}}})
	s.config = "tls-ca-file = " + dir + "/ca.pem"
	return s
}

// TestConformanceTLS: the suite over mutual TLS.
func TestConformanceTLS(t *testing.T) {
	s := newTLSServer(t, "tls-auth-clients yes")
	dir := certificates(t)
	s.config += fmt.Sprintf("\ntls-cert-file = %s/client.pem\ntls-key-file = %[1]s/client-enc-key.pem\ntls-key-password-file = %[1]s/client-enc.password\ntls-min-version = 1.3", dir)
	adaptertest.Run(t, adapter{}, s)
}

// TestTLSTrouble: what does not fit is told, with what to do, and nothing is sent.
func TestTLSTrouble(t *testing.T) {
	dir := certificates(t)
	plain, oneWay := newServer(t), newTLSServer(t)
	mutual := newTLSServer(t, "tls-auth-clients yes")
	wrongName := newTLSServer(t, "tls-cert-file "+dir+"/server-wrong-name.pem", "tls-key-file "+dir+"/server-wrong-name-key.pem")
	expired := newTLSServer(t, "tls-cert-file "+dir+"/server-expired.pem", "tls-key-file "+dir+"/server-expired-key.pem")
	old := newTLSServer(t, `tls-protocols "TLSv1.2"`)
	ca := "tls-ca-file = " + dir + "/ca.pem"
	withCert := func(name string) string {
		return fmt.Sprintf("%s\ntls-cert-file = %s/%s.pem\ntls-key-file = %s/%s-key.pem", ca, dir, name, dir, name)
	}
	for name, c := range map[string]struct {
		s            *server
		config, want string
	}{
		"TLS to plaintext":    {plain, "tls = true", "set tls=false"},
		"plaintext to TLS":    {oneWay, "", "set tls=true"},
		"authority unknown":   {oneWay, "tls = true", "set tls-ca-file"},
		"other authority":     {oneWay, "tls-ca-file = " + dir + "/other-ca.pem", "set tls-ca-file"},
		"another name":        {wrongName, ca, "set tls-server-name"},
		"server expired":      {expired, ca, "check the server's certificate and the clock"},
		"no certificate":      {mutual, ca, "want a client's certificate"},
		"of other authority":  {mutual, withCert("client-other-ca"), "want a client's certificate"},
		"client expired":      {mutual, withCert("client-expired"), "want a client's certificate"},
		"version too low":     {old, ca + "\ntls-min-version = 1.3", "another version or cipher suite"},
		"cipher does not fit": {newTLSServer(t, `tls-protocols "TLSv1.2"`, "tls-ciphers ECDHE-ECDSA-AES256-GCM-SHA384"), ca + "\ntls-ciphers = TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "another version or cipher suite"},
	} {
		t.Run(name, func(t *testing.T) {
			r := adaptertest.NewRecorder()
			adaptertest.Send(t, openConn(t, c.s.ConnStr(), c.config, r), batchOf(1, "x", 3))
			down(t, r, c.want)
			if all, _ := r.Results(); all != 0 {
				t.Error("a message has a result")
			}
			// Receiving says the same.
			r = adaptertest.NewRecorder()
			conn, err := adapter{}.Open(adapters.Config{ConnStr: c.s.ConnStr(), ConfigPath: configFile(t, c.config), ReceiveOnly: true,
				RetryInterval: 50 * time.Millisecond}, r)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			if err := conn.(adapters.Consumer).Subscribe(adapters.SubscribeConfig{Topics: []string{"x"}}, adaptertest.NewCollector()); err != nil {
				t.Fatal(err)
			}
			down(t, r, c.want)
		})
	}
	for name, c := range map[string]struct {
		s      *server
		config string
	}{
		"one way":     {oneWay, ca},
		"mutual":      {mutual, withCert("client")},
		"server name": {wrongName, ca + "\ntls-server-name = wrong-name.invalid"},
		"unchecked":   {expired, "tls-verify = false"},
		"TLS 1.2":     {old, ca + "\ntls-ciphers = TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"},
	} {
		t.Run(name, func(t *testing.T) {
			r := adaptertest.NewRecorder()
			adaptertest.Send(t, openConn(t, c.s.ConnStr(), c.config, r), batchOf(1, "y", 100))
			results(t, r, 100, 0)
			inOrder(t, consume(t, c.s.c, "y", 100), 100)
		})
	}
}

// TestRotation: a certificate that is replaced is used by the next connection.
func TestRotation(t *testing.T) {
	dir := certificates(t)
	s := newTLSServer(t, "tls-auth-clients yes")
	own := t.TempDir()
	use := func(name string) {
		for from, to := range map[string]string{name + ".pem": "c.pem", name + "-key.pem": "k.pem"} {
			data, err := os.ReadFile(filepath.Join(dir, from))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(own, to), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	use("client-expired")
	r := adaptertest.NewRecorder()
	c := openConn(t, s.ConnStr(), fmt.Sprintf("%s\ntls-cert-file = %s/c.pem\ntls-key-file = %s/k.pem", s.config, own, own), r)
	adaptertest.Send(t, c, batchOf(1, "x", 10))
	down(t, r, "want a client's certificate")
	use("client")
	results(t, r, 10, 0)
}
