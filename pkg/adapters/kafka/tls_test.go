// SPDX-License-Identifier: LGPL-2.1-or-later

package kafka

import (
	"crypto/tls"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
)

// TestTLSVersions: which version of TLS is spoken with servers that speak some of them; nothing older than 1.2, ever.
func TestTLSVersions(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command("../../../scripts/test-pki", dir).CombinedOutput(); err != nil {
		t.Fatalf("scripts/test-pki: %v: %s", err, out)
	}
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "server.pem"), filepath.Join(dir, "server-key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	const refused = "speaks no version of TLS or no cipher suite that is allowed here"
	for _, c := range []struct {
		name           string
		lowest, newest uint16 // of the server
		config         string
		spoken         uint16 // 0: none
	}{
		{"all of them", tls.VersionTLS10, tls.VersionTLS13, "", tls.VersionTLS13},
		{"1.2", tls.VersionTLS12, tls.VersionTLS12, "", tls.VersionTLS12},
		{"1.2, told", tls.VersionTLS12, tls.VersionTLS12, "tls-min-version = TLSv1.2", tls.VersionTLS12},
		{"1.1", tls.VersionTLS10, tls.VersionTLS11, "", 0},
		{"1.0", tls.VersionTLS10, tls.VersionTLS10, "tls-min-version = 1.2", 0},
		{"1.3 where both are spoken", tls.VersionTLS12, tls.VersionTLS13, `tls-min-version = "1.3"`, tls.VersionTLS13},
		{"1.2 where 1.3 is the least", tls.VersionTLS12, tls.VersionTLS12, "tls-min-version = 1.3", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var spoken atomic.Uint32
			s := newServer(t, kfake.AllowAutoTopicCreation(), kfake.TLS(&tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: c.lowest, MaxVersion: c.newest,
				VerifyConnection: func(cs tls.ConnectionState) error { spoken.Store(uint32(cs.Version)); return nil }}))
			r := adaptertest.NewRecorder()
			config := writeFile(t, "tls.cfg", fmt.Sprintf("[message-broker]\nproto-cfg = \"security.protocol=ssl;ssl.ca.location=%s/ca.pem;reconnect.backoff.max.ms=300\"\n%s\n", dir, c.config))
			conn := openConn(t, s.ConnStr(), config, r)
			adaptertest.Send(t, conn, batchOf(1, "tls", 10, 10))
			if c.spoken != 0 {
				adaptertest.Wait(t, "ten results", func() bool { n, failed := r.Results(); return n == 10 && failed == 0 })
			} else {
				waitReason(t, r, refused)
				if n, _ := r.Results(); n != 0 {
					t.Errorf("%d results", n)
				}
			}
			if got := uint16(spoken.Load()); got != c.spoken {
				t.Errorf("%s is spoken, want %s", tls.VersionName(got), tls.VersionName(c.spoken))
			}
			// Receiving has a connection of its own.
			spoken.Store(0)
			got := adaptertest.NewCollector()
			if err := conn.Subscribe(adapters.SubscribeConfig{Topics: []string{"tls"}, FromStart: true}, got); err != nil {
				t.Fatal(err)
			}
			if c.spoken == 0 {
				return // the same reason, which is told once
			}
			got.Wait(t, 10)
			if got := uint16(spoken.Load()); got != c.spoken {
				t.Errorf("receiving, %s is spoken, want %s", tls.VersionName(got), tls.VersionName(c.spoken))
			}
		})
	}
}

func waitReason(t *testing.T, r *adaptertest.Recorder, part string) {
	t.Helper()
	adaptertest.Wait(t, "a reason with "+part, func() bool {
		for _, e := range r.States() {
			if e.State == adapters.Disconnected && strings.Contains(e.Reason, part) {
				return true
			}
		}
		if states := r.States(); len(states) > 30 {
			t.Fatalf("other reasons came: %+v", states[len(states)-1])
		}
		return false
	})
}

// TestServerList: hosts that are not there are passed over.
func TestServerList(t *testing.T) {
	s := newServer(t, kfake.AllowAutoTopicCreation())
	l, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r := adaptertest.NewRecorder()
	c := openConn(t, "127.0.0.1:1,no-such-host.invalid:2,"+l.Addr().String()+","+s.addr()+";9092;list", "", r)
	if want := "127.0.0.1:1,no-such-host.invalid:2," + l.Addr().String() + "," + s.addr(); c.Info().Host != want || c.Info().Topic != "list" {
		t.Errorf("%+v", c.Info())
	}
	adaptertest.Send(t, c, batchOf(1, "list", 10, 10))
	adaptertest.Wait(t, "ten results", func() bool { n, failed := r.Results(); return n == 10 && failed == 0 })
}
