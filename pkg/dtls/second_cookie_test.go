// SPDX-License-Identifier: LGPL-2.1-or-later

package dtls

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// A server that begins anew between its HelloVerifyRequest and the ClientHello that
// repeats the cookie sends another one. OpenSSL counts its messages on.
func TestOpenSSLIsAskedForASecondCookie(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("there is no openssl")
	}
	k := ecKey(t)
	file := filepath.Join(t.TempDir(), "ec.pem")
	if err := os.WriteFile(file, []byte(pemOf(t, k, certificate(t, "ec", k, false, nil, nil))), 0o600); err != nil {
		t.Fatal(err)
	}
	ours, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "openssl", "s_client", "-connect", ours.LocalAddr().String(), "-dtls1_2", "-cert", file, "-key", file)
	out := &output{}
	cmd.Stdout, cmd.Stderr = out, out
	if _, err := cmd.StdinPipe(); err != nil { // at its end the client would end
		t.Fatal(err)
	}
	e := newEnd(t, false)
	e.encConfig.Profiles = nil
	var mu sync.Mutex
	var peer net.Addr
	cookies := 0
	e.out = func(p []byte) error {
		mu.Lock()
		defer mu.Unlock()
		if msg, _ := messageOf(p); msg == msgHelloVerifyRequest {
			if cookies++; cookies <= 2 {
				c := e.enc.Connection()
				c.mu.Lock()
				c.run.front = nil
				c.mu.Unlock()
			}
		}
		_, _ = ours.WriteTo(p, peer)
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
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = ours.Close()
		reader.Wait()
		e.close()
		if t.Failed() {
			t.Logf("%d cookies; OpenSSL: %s", cookies, out)
		}
	}()
	e.connected(0)
	if cookies != 3 {
		t.Errorf("%d cookies", cookies)
	}
}
