// SPDX-License-Identifier: LGPL-2.1-or-later

package wire

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/dtls/v3"
)

func writePEM(t *testing.T, c tls.Certificate) string {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]})
	text = append(text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...)
	file := filepath.Join(t.TempDir(), "identity.pem")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// TestOpenSSL lets pion behind the Guard handshake with openssl over UDP on
// loopback, in both roles, junk before each of the peer's datagrams.
func TestOpenSSL(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("there is no openssl program")
	}
	for _, client := range []bool{true, false} {
		for _, kind := range []string{"p256", "rsa"} {
			t.Run(fmt.Sprintf("client=%v/%s", client, kind), func(t *testing.T) {
				t.Parallel()
				testOpenSSL(t, client, kind)
			})
		}
	}
}

func testOpenSSL(t *testing.T, client bool, kind string) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	certificate := certificateFor(t, kind)
	file := writePEM(t, certificate)
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	var peer *net.UDPAddr
	args := []string{"s_client", "-dtls1_2", "-connect", socket.LocalAddr().String(), "-cert", file, "-key", file, "-mtu", "600"}
	if client {
		// A free port for the server.
		probe, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		peer = probe.LocalAddr().(*net.UDPAddr)
		probe.Close()
		args = []string{"s_server", "-dtls1_2", "-listen", "-accept", peer.String(), "-cert", file, "-key", file, "-Verify", "1", "-mtu", "600"}
	}
	out := &output{}
	command := exec.CommandContext(ctx, "openssl", args...)
	command.Stdout, command.Stderr = out, out
	stdin, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = command.Process.Kill(); _ = command.Wait() }()
	if client {
		for !strings.Contains(out.String(), "ACCEPT") {
			if ctx.Err() != nil {
				t.Fatalf("openssl does not accept: %s", out)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}

	guard, front, stack := newStackGuard(client), NewFront(), newPipe()
	if client {
		guard.StartSeq(1 << 33)
	}
	var mu sync.Mutex
	var hello *Hello
	var conn *dtls.Conn
	send := func(d []byte) {
		mu.Lock()
		to := peer
		mu.Unlock()
		_, _ = socket.WriteToUDP(d, to)
	}
	stack.send = func(d []byte) {
		d = guard.Out(d)
		if !client && isHelloVerify(d) {
			setCookie(conn, hello.cookie())
			for _, h := range [][]byte{hello.Datagram} {
				pass, _ := guard.In(h)
				stack.push(pass)
			}
			return
		}
		send(d)
	}
	if client {
		conn, err = dtls.ClientWithOptions(stack, peer, dtls.WithCertificates(certificate), dtls.WithInsecureSkipVerify(true))
	} else {
		conn, err = dtls.ServerWithOptions(stack, stack.LocalAddr(), dtls.WithCertificates(certificate),
			dtls.WithClientAuth(dtls.RequireAnyClientCert))
	}
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan struct{})
	if client {
		close(started)
	}
	junk := newForger(t, 3, kind)
	go func() {
		buf := make([]byte, 4096)
		for {
			n, from, err := socket.ReadFromUDP(buf)
			if err != nil {
				return
			}
			d := bytes.Clone(buf[:n])
			mu.Lock()
			peer = from
			mu.Unlock()
			for _, forged := range junk.all(client, d) {
				if pass, _ := guard.In(forged); hello != nil || client {
					stack.push(pass)
				}
			}
			if !client && hello == nil {
				reply, h, _, _ := front.In(d)
				if reply != nil {
					send(reply)
				}
				if h != nil {
					hello = h
					guard = newStackGuard(false)
					pass, _ := guard.In(h.primer())
					stack.push(pass)
					close(started)
				}
				continue
			}
			pass, _ := guard.In(d)
			stack.push(pass)
		}
	}()
	select {
	case <-started:
	case <-ctx.Done():
		t.Fatalf("no ClientHello came: %s", out)
	}
	if err := conn.HandshakeContext(ctx); err != nil {
		t.Fatalf("%v; %s\n%s", err, guard.Hint(), out)
	}
	guard.Established()
	defer conn.Close()
	if _, err := conn.Write([]byte("from pion\n")); err != nil {
		t.Fatal(err)
	}
	for !strings.Contains(out.String(), "from pion") {
		if ctx.Err() != nil {
			t.Fatalf("openssl does not show what was sent: %s", out)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if _, err := io.WriteString(stdin, "from openssl\n"); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	n, err := conn.Read(buf)
	if err != nil || string(buf[:n]) != "from openssl\n" {
		t.Fatalf("read %q, %v", buf[:n], err)
	}
}
