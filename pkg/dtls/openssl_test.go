// SPDX-License-Identifier: LGPL-2.1-or-later

package dtls

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"crypto"

	"github.com/gst-edgewire/gst-edgewire/pkg/srtp"
)

// output is what a program prints.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

var keyingMaterial = regexp.MustCompile(`(?s)Keying material: ([0-9A-F]+)`)

// TestOpenSSL shakes hands with OpenSSL over UDP on the loopback interface and
// compares the exported keys, in both roles.
func TestOpenSSL(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("there is no openssl")
	}
	k := ecKey(t)
	keys := map[string]crypto.Signer{"ec": k, "rsa": rsaKey()}
	for _, kind := range []string{"ec", "rsa"} {
		file := filepath.Join(t.TempDir(), kind+".pem")
		if err := os.WriteFile(file, []byte(pemOf(t, keys[kind], certificate(t, kind, keys[kind], false, nil, nil))), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, p := range []struct {
			openssl string
			profile srtp.Profile
		}{{"SRTP_AES128_CM_SHA1_80", srtp.AES128CMHMACSHA1_80}, {"SRTP_AEAD_AES_128_GCM", srtp.AEADAES128GCM}, {"", 0}} {
			for _, isClient := range []bool{true, false} {
				for _, mtu := range []int{0, 256} {
					name := fmt.Sprintf("%s-%s-client=%v-mtu=%d", kind, p.openssl, isClient, mtu)
					t.Run(name, func(t *testing.T) { withOpenSSL(t, file, p.openssl, p.profile, isClient, mtu) })
				}
			}
		}
	}
}

func withOpenSSL(t *testing.T, file, openssl string, profile srtp.Profile, isClient bool, mtu int) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	ours, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"s_client", "-connect", ours.LocalAddr().String()}
	var peer net.Addr
	if isClient {
		probe, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		peer = probe.LocalAddr()
		_ = probe.Close()
		args = []string{"s_server", "-accept", peer.String(), "-Verify", "1"}
	}
	args = append(args, "-dtls1_2", "-cert", file, "-key", file, "-keymatexport", exporterLabel, "-keymatexportlen", "60")
	if openssl != "" {
		args = append(args, "-use_srtp", openssl)
	}
	if mtu != 0 {
		args = append(args, "-mtu", fmt.Sprint(mtu))
	}
	cmd := exec.CommandContext(ctx, "openssl", args...)
	out := &output{}
	cmd.Stdout, cmd.Stderr = out, out
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	e := newEnd(t, isClient)
	if mtu != 0 {
		e.encConfig.MTU = mtu
	}
	var mu sync.Mutex
	e.out = func(p []byte) error {
		mu.Lock()
		to := peer
		mu.Unlock()
		if to != nil {
			_, _ = ours.WriteTo(p, to)
		}
		return nil
	}
	e.open()
	e.start()
	var reader sync.WaitGroup
	reader.Add(1)
	go func() {
		defer reader.Done()
		b := make([]byte, 65536)
		for {
			n, from, err := ours.ReadFrom(b)
			if err != nil {
				return
			}
			mu.Lock()
			peer = from
			mu.Unlock()
			_ = e.dec.Receive(b[:n])
		}
	}()
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = ours.Close()
		reader.Wait()
		e.close()
		if t.Failed() {
			t.Logf("openssl %s\n%s", strings.Join(args, " "), out)
		}
	}()
	want := 0
	if profile != 0 {
		want = 1
	}
	e.connected(want)
	if profile != 0 {
		poll(t, "OpenSSL's keying material", func() bool { return keyingMaterial.MatchString(out.String()) })
		all, err := hex.DecodeString(keyingMaterial.FindStringSubmatch(out.String())[1])
		if err != nil || len(all) != 60 {
			t.Fatalf("OpenSSL printed %q", out)
		}
		got := e.encKeys[0]
		if got.Profile != profile {
			t.Fatalf("the profile is %v", got.Profile)
		}
		client, server := got.Local, got.Remote
		if !isClient {
			client, server = server, client
		}
		n, m := profile.KeyLen(), profile.SaltLen()
		mine := append(append(append(append([]byte(nil), client[:n]...), server[:n]...), client[n:]...), server[n:]...)
		if !bytes.Equal(mine, all[:2*(n+m)]) {
			t.Error("OpenSSL has exported other keys")
		}
	}
	if err := e.enc.Write([]byte("from us\n")); err != nil {
		t.Fatal(err)
	}
	poll(t, "our text at OpenSSL", func() bool { return strings.Contains(out.String(), "from us") })
	if _, err := io.WriteString(stdin, "from openssl\n"); err != nil {
		t.Fatal(err)
	}
	e.until("OpenSSL's text", func() bool {
		return len(e.data) > 0 && strings.Contains(string(bytes.Join(e.data, nil)), "from openssl")
	})
	e.enc.CloseNotify()
	e.until("closed", func() bool { return e.closedE == 1 })
}
