// SPDX-License-Identifier: LGPL-2.1-or-later

package wire

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"math/rand/v2"
	"net"
	"os"
	"reflect"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/pion/dtls/v3"
)

// certificateFor makes a self-signed certificate of one kind.
func certificateFor(t testing.TB, kind string) tls.Certificate {
	t.Helper()
	var key crypto.Signer
	var err error
	switch kind {
	case "rsa":
		key, err = rsa.GenerateKey(crand.Reader, 2048)
	case "p384":
		key, err = ecdsa.GenerateKey(elliptic.P384(), crand.Reader)
	case "ed25519":
		_, key, err = ed25519.GenerateKey(crand.Reader)
	default:
		key, err = ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: kind},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(crand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// pipe is the stack's side of a Guard: what comes in was passed, what is
// written goes to send.
type pipe struct {
	in   chan []byte
	send func([]byte)

	mu     sync.Mutex
	cancel chan struct{}
	closed bool
}

func newPipe() *pipe { return &pipe{in: make(chan []byte, 4096), cancel: make(chan struct{})} }

func (p *pipe) push(datagrams [][]byte) {
	for _, d := range datagrams {
		select {
		case p.in <- append([]byte(nil), d...):
		default:
		}
	}
}

func (p *pipe) ReadFrom(b []byte) (int, net.Addr, error) {
	p.mu.Lock()
	cancel := p.cancel
	p.mu.Unlock()
	select {
	case d := <-p.in:
		return copy(b, d), p.LocalAddr(), nil
	case <-cancel:
		return 0, nil, os.ErrDeadlineExceeded
	}
}

func (p *pipe) WriteTo(b []byte, _ net.Addr) (int, error) {
	p.send(append([]byte(nil), b...))
	return len(b), nil
}

func (p *pipe) SetReadDeadline(t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	if !t.IsZero() && !t.After(time.Now()) {
		select {
		case <-p.cancel:
		default:
			close(p.cancel)
		}
		return nil
	}
	select {
	case <-p.cancel:
		p.cancel = make(chan struct{})
	default:
	}
	return nil
}

func (p *pipe) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.closed = true
		select {
		case <-p.cancel:
		default:
			close(p.cancel)
		}
	}
	return nil
}

func (p *pipe) LocalAddr() net.Addr                { return &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }
func (p *pipe) SetDeadline(t time.Time) error      { return p.SetReadDeadline(t) }
func (p *pipe) SetWriteDeadline(_ time.Time) error { return nil }

// way is one direction of a network: it loses, reorders and doubles by a
// seeded pattern, and lets an attacker add datagrams around each real one.
type way struct {
	mu      sync.Mutex
	rng     *rand.Rand
	loss    float64
	kept    []byte
	deliver func([]byte)
	spoof   func(real []byte) [][]byte
}

func (l *way) send(d []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var forged [][]byte
	if l.spoof != nil {
		forged = l.spoof(d)
	}
	half := len(forged) / 2
	for _, f := range forged[:half] {
		l.deliver(f)
	}
	kept := l.kept
	l.kept = nil
	switch x := l.rng.Float64(); {
	case x < l.loss:
	case x < 2*l.loss:
		l.kept = d
	case x < 2.5*l.loss:
		l.deliver(d)
		l.deliver(append([]byte(nil), d...))
	default:
		l.deliver(d)
	}
	if kept != nil {
		l.deliver(kept)
	}
	for _, f := range forged[half:] {
		l.deliver(f)
	}
}

// setup is a handshake between two pion stacks, each behind its Guard, the
// server behind a Front too.
type setup struct {
	cert       string
	clientAuth bool
	mtu        int
	loss       float64
	seed       uint64
	startSeq   uint64
	spoof      func(toClient bool, real []byte) [][]byte
	record     func(toClient bool, d []byte)
	noFront    bool
}

type result struct {
	client, server           *dtls.Conn
	clientGuard, serverGuard *stackGuard
	front                    *Front

	mu    sync.Mutex
	drops [2][Reasons]int
}

// dropped is what the Guards of client and server dropped, by reason.
func (r *result) dropped() [2][Reasons]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.drops
}

// setCookie makes a pion server take the cookie that Front gave out.
func setCookie(c *dtls.Conn, cookie []byte) {
	field := reflect.ValueOf(c).Elem().FieldByName("state").FieldByName("cookie")
	*(*[]byte)(unsafe.Pointer(field.UnsafeAddr())) = cookie
}

func isHelloVerify(d []byte) bool {
	return len(d) > recordHeader && d[0] == typeHandshake && d[recordHeader] == msgHelloVerifyRequest
}

func (s setup) run(t testing.TB, timeout time.Duration) (*result, error) {
	t.Helper()
	r := &result{clientGuard: newStackGuard(true), serverGuard: newStackGuard(false), front: NewFront()}
	if s.startSeq != 0 {
		r.clientGuard.StartSeq(s.startSeq)
	}
	certificate := certificateFor(t, s.cert)
	client, server := newPipe(), newPipe()
	count := func(side int, drops []Reason) {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, d := range drops {
			r.drops[side][d]++
		}
	}
	toClient := &way{rng: rand.New(rand.NewPCG(s.seed, 1)), loss: s.loss}
	toServer := &way{rng: rand.New(rand.NewPCG(s.seed, 2)), loss: s.loss}
	if s.spoof != nil {
		toClient.spoof = func(d []byte) [][]byte { return s.spoof(true, d) }
		toServer.spoof = func(d []byte) [][]byte { return s.spoof(false, d) }
	}
	toClient.deliver = func(d []byte) {
		if s.record != nil {
			s.record(true, d)
		}
		pass, drops := r.clientGuard.In(d)
		count(0, drops)
		client.push(pass)
	}
	client.send = func(d []byte) { toServer.send(r.clientGuard.Out(d)) }

	auth := dtls.NoClientCert
	if s.clientAuth {
		auth = dtls.RequireAnyClientCert
	}
	// Under attack a flight may be given up for a flood of forged ones: it is the number of retransmissions that
	// counts then, and a slow machine must not wait ever longer for the next.
	again := 30 * time.Millisecond
	if s.spoof != nil {
		again = 150 * time.Millisecond
	}
	var err error
	r.client, err = dtls.ClientWithOptions(client, client.LocalAddr(), dtls.WithCertificates(certificate),
		dtls.WithInsecureSkipVerify(true), dtls.WithMTU(s.mtu), dtls.WithFlightInterval(again), dtls.WithDisableRetransmitBackoff(s.spoof != nil))
	if err != nil {
		t.Fatal(err)
	}
	r.server, err = dtls.ServerWithOptions(server, server.LocalAddr(), dtls.WithCertificates(certificate),
		dtls.WithMTU(s.mtu), dtls.WithFlightInterval(again), dtls.WithDisableRetransmitBackoff(s.spoof != nil),
		dtls.WithClientAuth(auth), dtls.WithInsecureSkipVerifyHello(s.noFront))
	if err != nil {
		t.Fatal(err)
	}
	var hello *Hello
	started := make(chan struct{})
	var replies []func()
	toServer.deliver = func(d []byte) {
		if s.record != nil {
			s.record(false, d)
		}
		if hello == nil && !s.noFront {
			reply, h, reason, dropped := r.front.In(d)
			if dropped {
				count(1, []Reason{reason})
			}
			if reply != nil {
				replies = append(replies, func() { toClient.send(reply) })
				// Not from inside our own link's lock: the answer may answer.
				go replies[len(replies)-1]()
			}
			if h != nil {
				hello = h
				pass, _ := r.serverGuard.In(h.primer())
				server.push(pass)
				close(started)
			}
			return
		}
		pass, drops := r.serverGuard.In(d)
		count(1, drops)
		server.push(pass)
	}
	server.send = func(d []byte) {
		d = r.serverGuard.Out(d)
		if isHelloVerify(d) && !s.noFront {
			setCookie(r.server, hello.cookie())
			for _, h := range [][]byte{hello.Datagram} {
				pass, _ := r.serverGuard.In(h)
				server.push(pass)
			}
			return
		}
		toClient.send(d)
	}
	if s.noFront {
		close(started)
	}
	t.Cleanup(func() { _ = r.client.Close(); _ = r.server.Close() })
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	errs := make(chan error, 2)
	go func() {
		err := r.client.HandshakeContext(ctx)
		if err == nil {
			r.clientGuard.Established()
		}
		errs <- err
	}()
	go func() {
		select {
		case <-started:
		case <-ctx.Done():
			errs <- ctx.Err()
			return
		}
		err := r.server.HandshakeContext(ctx)
		if err == nil {
			r.serverGuard.Established()
		}
		errs <- err
	}()
	for range 2 {
		if e := <-errs; e != nil && err == nil {
			err = e
			cancel()
		}
	}
	return r, err
}

// exchange sends a message each way.
func (r *result) exchange(t testing.TB) {
	t.Helper()
	buf := make([]byte, 100)
	for _, way := range [][2]*dtls.Conn{{r.client, r.server}, {r.server, r.client}} {
		_ = way[1].SetReadDeadline(time.Now().Add(5 * time.Second))
		for try := 0; ; try++ {
			if _, err := way[0].Write([]byte("hello")); err != nil {
				t.Fatal(err)
			}
			_ = way[1].SetReadDeadline(time.Now().Add(200 * time.Millisecond))
			if n, err := way[1].Read(buf); err == nil && string(buf[:n]) == "hello" {
				break
			} else if try == 20 {
				t.Fatalf("no data: %v", err)
			}
		}
	}
}
