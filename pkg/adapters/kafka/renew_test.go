// SPDX-License-Identifier: LGPL-2.1-or-later

package kafka

import (
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

// TestRenewal: which replaced files are a reason to connect anew, and which would only cost the connection.
func TestRenewal(t *testing.T) {
	dir := t.TempDir()
	password, ca := filepath.Join(dir, "password"), filepath.Join(dir, "ca.pem")
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	pem := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	put := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(name+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name+".new", time.Time{}, time.Unix(1_700_000_000, 0)); err != nil { // as cp -p may leave it
			t.Fatal(err)
		}
		if err := os.Rename(name+".new", name); err != nil {
			t.Fatal(err)
		}
	}
	put(password, "first")
	put(ca, pem)
	cfg := adapters.Config{ConnStr: "localhost;9093", Strict: true, ConfigPath: writeFile(t, "kafka.cfg", "[message-broker]\nsasl-password-file="+password+
		"\nproto-cfg=security.protocol=sasl_ssl;sasl.mechanism=PLAIN;sasl.username=me;ssl.ca.location="+ca+"\n")}
	configured := func() (fileConfig, *conf) {
		t.Helper()
		_, fc, rc, err := configure(cfg, func(adapters.LogEntry) {})
		if err != nil {
			t.Fatal(err)
		}
		return fc, rc
	}
	fc, rc := configured()
	defer rc.free()
	check := func() error {
		_, _, again, err := configure(cfg, func(adapters.LogEntry) {})
		if err == nil {
			again.free()
		}
		return err
	}
	now := time.Now()
	var said []string
	due := func(r *renewal) bool {
		said = nil
		for range 3 { // the second look finds that nothing changes any more
			now = now.Add(renewInterval)
			if r.due(now, func(s string) { said = append(said, s) }) {
				return true
			}
		}
		return false
	}
	fresh := func() *renewal { return newRenewal(rc, fc.secretFiles, check) }
	r := fresh()
	if due(r) {
		t.Error("nothing was replaced")
	}
	put(password, "other") // of the same size and time
	if !due(r) {
		t.Errorf("a new password was not seen: %q", said)
	}
	if !due(fresh()) {
		t.Errorf("a password that was replaced after it was read was not seen: %q", said)
	}
	fc2, rc2 := configured()
	defer rc2.free()
	r = newRenewal(rc2, fc2.secretFiles, check)
	for name, c := range map[string]struct{ file, bad, good, want string }{
		"no certificate":  {ca, "half of a fi", pem + "\n", "holds no certificate"},
		"no longer there": {password, "", "the third", "is gone"},
		"too large":       {password, strings.Repeat("x", 2<<20), "the third", "password"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.bad == "" {
				_ = os.Remove(c.file)
			} else {
				put(c.file, c.bad)
			}
			if due(r) {
				t.Error("a sound connection is given up")
			}
			if len(said) != 1 || !strings.Contains(said[0], c.want) || !strings.Contains(said[0], c.file) {
				t.Errorf("said %q", said)
			}
			put(c.file, c.good)
			if !due(r) {
				t.Errorf("good again, and not seen: %q", said)
			}
		})
	}
}
