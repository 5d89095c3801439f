// SPDX-License-Identifier: LGPL-2.1-or-later

package dtls

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/srtp"
	pion "github.com/pion/dtls/v3"
	pioncurve "github.com/pion/dtls/v3/pkg/crypto/elliptic"
)

// Another implementation as the peer: pion/dtls, in both roles.

// pipe is the network of a pion end.
type pipe struct {
	in   chan []byte
	send func([]byte) error

	mu     sync.Mutex
	cancel chan struct{}
	closed bool
}

func newPipe() *pipe { return &pipe{in: make(chan []byte, 1024), cancel: make(chan struct{})} }

func (p *pipe) push(d []byte) {
	select {
	case p.in <- bytes.Clone(d):
	default:
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

func (p *pipe) WriteTo(b []byte, _ net.Addr) (int, error) { return len(b), p.send(bytes.Clone(b)) }

func (p *pipe) SetReadDeadline(t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	past := !t.IsZero() && !t.After(time.Now())
	select {
	case <-p.cancel:
		if !past && !p.closed {
			p.cancel = make(chan struct{})
		}
	default:
		if past {
			close(p.cancel)
		}
	}
	return nil
}

func (p *pipe) Close() error {
	_ = p.SetReadDeadline(time.Unix(1, 0))
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	return nil
}

func (p *pipe) LocalAddr() net.Addr                { return &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }
func (p *pipe) SetDeadline(t time.Time) error      { return p.SetReadDeadline(t) }
func (p *pipe) SetWriteDeadline(_ time.Time) error { return nil }

func keyOf(t testing.TB, kind string) crypto.Signer {
	t.Helper()
	var key crypto.Signer
	var err error
	switch kind {
	case "rsa":
		return rsaKey()
	case "p384":
		key, err = ecdsa.GenerateKey(elliptic.P384(), crand.Reader)
	case "ed25519":
		_, key, err = ed25519.GenerateKey(crand.Reader)
	default:
		return ecKey(t)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key
}

type pionCase struct {
	ours, theirs string // kinds of keys
	suite        pion.CipherSuiteID
	curve        pioncurve.Curve
	profiles     []pion.SRTPProtectionProfile
	want         srtp.Profile
	noMaster     bool // without extended master secret
	mtu          int
	noRequest    bool // pion asks for no certificate
	trouble      bool // loss, reordering, copies
}

func (c pionCase) run(t *testing.T, client bool) {
	e := newEnd(t, client)
	defer e.close()
	if c.mtu != 0 {
		e.encConfig.MTU = c.mtu
	}
	if client && len(c.profiles) == 0 {
		e.encConfig.Profiles = nil // a pion server without profiles refuses who offers some
	}
	if c.ours != "" {
		key := keyOf(t, c.ours)
		e.decConfig.Identity = identityOf(t, key, certificate(t, c.ours, key, false, nil, nil))
	}
	theirs := keyOf(t, c.theirs)
	theirCert := tls.Certificate{PrivateKey: theirs, Certificate: [][]byte{certificate(t, "pion", theirs, false, nil, nil).Raw}}
	p := newPipe()
	bad := &wiring{to: e}
	if c.trouble {
		bad.rng = rand.New(rand.NewPCG(5, 6))
		bad.loss, bad.dup, bad.reorder = 0.15, 0.1, 0.1
	}
	p.send = bad.send
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(7, 8))
	e.out = func(d []byte) error {
		if c.mtu != 0 && len(d) > c.mtu {
			t.Errorf("a datagram of %d bytes", len(d))
		}
		mu.Lock()
		n := 1
		if c.trouble {
			switch x := rng.Float64(); {
			case x < 0.15:
				n = 0
			case x < 0.25:
				n = 2
			}
		}
		mu.Unlock()
		for range n {
			p.push(d)
		}
		return nil
	}
	opts := []pion.Option{
		pion.WithInsecureSkipVerify(true), pion.WithFlightInterval(30 * time.Millisecond),
		pion.WithCertificates(theirCert),
	}
	if c.suite != 0 {
		opts = append(opts, pion.WithCipherSuites(c.suite))
	}
	if c.curve != 0 {
		opts = append(opts, pion.WithEllipticCurves(c.curve))
	}
	if len(c.profiles) > 0 {
		opts = append(opts, pion.WithSRTPProtectionProfiles(c.profiles...))
	}
	if c.noMaster {
		opts = append(opts, pion.WithExtendedMasterSecret(pion.DisableExtendedMasterSecret))
	}
	if c.mtu != 0 {
		opts = append(opts, pion.WithMTU(c.mtu))
	}
	var conn *pion.Conn
	var err error
	if client {
		auth := pion.RequireAnyClientCert
		if c.noRequest {
			auth = pion.NoClientCert
		}
		server := []pion.ServerOption{pion.WithClientAuth(auth)}
		for _, o := range opts {
			server = append(server, o)
		}
		conn, err = pion.ServerWithOptions(p, p.LocalAddr(), server...)
	} else {
		var options []pion.ClientOption
		for _, o := range opts {
			options = append(options, o)
		}
		conn, err = pion.ClientWithOptions(p, p.LocalAddr(), options...)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	e.open()
	e.start()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		t.Fatalf("pion: %v; %v; %+v", err, e.errors, e.enc.Connection().Stats())
	}
	want := 0
	if c.want != 0 {
		want = 1
	}
	e.connected(want)
	if c.want != 0 {
		state, ok := conn.ConnectionState()
		if !ok {
			t.Fatal("pion has no state")
		}
		n, m := c.want.KeyLen(), c.want.SaltLen()
		all, err := state.ExportKeyingMaterial(exporterLabel, nil, 2*(n+m))
		if err != nil {
			t.Fatal(err)
		}
		got := e.encKeys[0]
		a, b := got.Local, got.Remote
		if !client {
			a, b = b, a
		}
		if mine := bytes.Join([][]byte{a[:n], b[:n], a[n:], b[n:]}, nil); got.Profile != c.want || !bytes.Equal(mine, all) {
			t.Errorf("%v: pion has exported other keys", got.Profile)
		}
	}
	// Each way; what is lost is sent again.
	stop := make(chan struct{})
	var writer sync.WaitGroup
	writer.Add(1)
	go func() {
		defer writer.Done()
		for {
			_, _ = conn.Write([]byte("from pion"))
			_ = e.enc.Write([]byte("from us"))
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	b := make([]byte, 100)
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	n, err := conn.Read(b)
	if err != nil || string(b[:n]) != "from us" {
		t.Errorf("pion has read %q, %v", b[:n], err)
	}
	e.until("pion's text", func() bool { return len(e.data) > 0 && string(e.data[0]) == "from pion" })
	close(stop)
	writer.Wait()
}

func TestPion(t *testing.T) {
	gcm128 := []pion.SRTPProtectionProfile{pion.SRTP_AEAD_AES_128_GCM, pion.SRTP_AES128_CM_HMAC_SHA1_80}
	for _, c := range []pionCase{
		{},
		{profiles: gcm128, want: srtp.AEADAES128GCM},
		{suite: pion.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, curve: pioncurve.X25519},
		{suite: pion.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, curve: pioncurve.P384, profiles: gcm128, want: srtp.AEADAES128GCM},
		{ours: "rsa", theirs: "rsa", suite: pion.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256},
		{ours: "rsa", theirs: "rsa", suite: pion.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, curve: pioncurve.P256},
		{ours: "rsa", mtu: 300}, {theirs: "rsa", mtu: 300},
		{ours: "p384", theirs: "p384", profiles: gcm128, want: srtp.AEADAES128GCM},
		{theirs: "ed25519"},
		{noMaster: true, profiles: gcm128, want: srtp.AEADAES128GCM},
		{noRequest: true, profiles: gcm128, want: srtp.AEADAES128GCM},
		{trouble: true, profiles: gcm128, want: srtp.AEADAES128GCM},
		{trouble: true, ours: "rsa", theirs: "rsa", mtu: 300},
	} {
		for _, client := range []bool{true, false} {
			t.Run(fmt.Sprintf("%+v client=%v", c, client), func(t *testing.T) {
				t.Parallel()
				c.run(t, client)
			})
		}
	}
}

// A peer without anything in common is told why.
func TestPionNothingInCommon(t *testing.T) {
	e := newEnd(t, false)
	defer e.close()
	p := newPipe()
	p.send = (&wiring{to: e}).send
	e.out = func(d []byte) error { p.push(d); return nil }
	conn, err := pion.ClientWithOptions(p, p.LocalAddr(), pion.WithInsecureSkipVerify(true),
		pion.WithCipherSuites(pion.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	e.open()
	e.start()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err == nil || ctx.Err() != nil {
		t.Errorf("pion: %v", err)
	}
}

// A chain of many RSA certificates takes many datagrams, also when a third of
// them is lost, doubled or out of order.
func TestLongChain(t *testing.T) {
	client, server, up, down := pair(t)
	for i, w := range []*wiring{up, down} {
		w.rng = rand.New(rand.NewPCG(uint64(i), 3))
		w.loss, w.dup, w.reorder = 0.1, 0.1, 0.1
	}
	for _, e := range []*end{client, server} {
		key := rsaKey()
		chain := []*x509.Certificate{certificate(t, "leaf", key, false, nil, nil)}
		for i := range 8 {
			chain = append(chain, certificate(t, fmt.Sprintf("issuer %d", i), key, true, nil, nil))
		}
		e.decConfig.Identity = identityOf(t, key, chain...)
		e.encConfig.MTU = 300
		e.dec.Configure(e.decConfig)
	}
	server.start()
	client.start()
	client.connected(1)
	server.connected(1)
	sameKeys(t, client, server)
	if n := client.enc.Connection().Stats().BytesReceived; n < 5000 {
		t.Errorf("only %d bytes were received", n)
	}
}
