// SPDX-License-Identifier: LGPL-2.1-or-later

package dtls

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/dtls/identity"
)

var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

func ecKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// certificate makes a certificate, self-signed or signed by a CA.
func certificate(t testing.TB, name string, key crypto.Signer, isCA bool, ca *x509.Certificate, caKey crypto.Signer) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: isCA, BasicConstraintsValid: true,
	}
	if isCA {
		template.KeyUsage = x509.KeyUsageCertSign
	}
	if ca == nil {
		ca, caKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca, key.Public(), caKey)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func pemOf(t testing.TB, key crypto.Signer, chain ...*x509.Certificate) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	for _, c := range chain {
		_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
	}
	_ = pem.Encode(&b, &pem.Block{Type: "PRIVATE KEY", Bytes: der})
	return b.String()
}

func identityOf(t testing.TB, key crypto.Signer, chain ...*x509.Certificate) *identity.Identity {
	t.Helper()
	id, err := identity.Parse(pemOf(t, key, chain...))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func pinsOf(t testing.TB, der []byte) []identity.Pin {
	t.Helper()
	f, err := identity.Fingerprint("sha-256", der)
	if err != nil {
		t.Fatal(err)
	}
	pins, err := identity.ParsePins(f)
	if err != nil {
		t.Fatal(err)
	}
	return pins
}

func TestRSAAndECDSA(t *testing.T) {
	r := identityOf(t, rsaKey(), certificate(t, "rsa", rsaKey(), false, nil, nil))
	k := ecKey(t)
	e := identityOf(t, k, certificate(t, "ec", k, false, nil, nil))
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	e384 := identityOf(t, p384, certificate(t, "ec384", p384, false, nil, nil))
	for _, ids := range [][2]*identity.Identity{{r, r}, {r, e}, {e, r}, {e, e384}, {e384, r}} {
		client, server, _, _ := pair(t)
		client.dec.Configure(DecoderConfig{Identity: ids[0]})
		server.dec.Configure(DecoderConfig{Identity: ids[1]})
		server.start()
		client.start()
		client.connected(1)
		server.connected(1)
		sameKeys(t, client, server)
		if !strings.HasPrefix(client.peers[0], "-----BEGIN") || strings.TrimSpace(client.peers[0]) != strings.TrimSpace(ids[1].CertificatePEM()) ||
			strings.TrimSpace(server.peers[0]) != strings.TrimSpace(ids[0].CertificatePEM()) {
			t.Error("PeerCertificate is not the peer's certificate")
		}
	}
}

func TestTrust(t *testing.T) {
	caKey, otherKey := ecKey(t), ecKey(t)
	ca := certificate(t, "ca", caKey, true, nil, nil)
	otherCA := certificate(t, "other ca", otherKey, true, nil, nil)
	pool := func(c *x509.Certificate) *x509.CertPool {
		p := x509.NewCertPool()
		p.AddCert(c)
		return p
	}
	interKey := ecKey(t)
	inter := certificate(t, "intermediate", interKey, true, ca, caKey)
	serverKey, clientKey := ecKey(t), ecKey(t)
	serverCert := certificate(t, "server.test", serverKey, false, inter, interKey)
	clientCert := certificate(t, "client.test", clientKey, false, ca, caKey)
	serverID := identityOf(t, serverKey, serverCert, inter)
	clientID := identityOf(t, clientKey, clientCert)

	asked := func(verdict bool) func(string) bool { return func(string) bool { return verdict } }
	cases := []struct {
		name           string
		client, server DecoderConfig
		refuses        string // "client" or "server"
		reason         string
	}{
		{"pins right", DecoderConfig{Pins: pinsOf(t, serverCert.Raw)}, DecoderConfig{Pins: pinsOf(t, clientCert.Raw)}, "", ""},
		{"two pins, one right", DecoderConfig{Pins: append(pinsOf(t, clientCert.Raw), pinsOf(t, serverCert.Raw)...)}, DecoderConfig{}, "", ""},
		{"the client's pin wrong", DecoderConfig{Pins: pinsOf(t, clientCert.Raw)}, DecoderConfig{}, "client", "peer-fingerprint"},
		{"the server's pin wrong", DecoderConfig{}, DecoderConfig{Pins: pinsOf(t, serverCert.Raw)}, "server", "peer-fingerprint"},
		{"CA right", DecoderConfig{Verify: VerifyCA, CAs: pool(ca), ServerName: "server.test"}, DecoderConfig{Verify: VerifyCA, CAs: pool(ca)}, "", ""},
		{"the client's CA wrong", DecoderConfig{Verify: VerifyCA, CAs: pool(otherCA)}, DecoderConfig{}, "client", "ca-file"},
		{"the server's CA wrong", DecoderConfig{}, DecoderConfig{Verify: VerifyCA, CAs: pool(otherCA)}, "server", "ca-file"},
		{"the name wrong", DecoderConfig{Verify: VerifyCA, CAs: pool(ca), ServerName: "another.test"}, DecoderConfig{}, "client", "another.test"},
		{"accepted", DecoderConfig{Accept: asked(true)}, DecoderConfig{Accept: asked(true)}, "", ""},
		{"the client does not accept", DecoderConfig{Accept: asked(false)}, DecoderConfig{}, "client", "did not accept"},
		{"the server does not accept", DecoderConfig{}, DecoderConfig{Accept: asked(false)}, "server", "did not accept"},
		{"the pin right, not accepted", DecoderConfig{Pins: pinsOf(t, serverCert.Raw), Accept: asked(false)}, DecoderConfig{}, "client", "did not accept"},
		{"the pin right, the CA wrong", DecoderConfig{Pins: pinsOf(t, serverCert.Raw), Verify: VerifyCA, CAs: pool(otherCA)}, DecoderConfig{}, "client", "ca-file"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			client, server, _, _ := pair(t)
			tc.client.Identity, tc.server.Identity = clientID, serverID
			client.dec.Configure(tc.client)
			server.dec.Configure(tc.server)
			if tc.refuses != "" {
				client.encConfig.HandshakeTimeout, server.encConfig.HandshakeTimeout = 250*time.Millisecond, 250*time.Millisecond
			}
			server.start()
			client.start()
			_ = client.enc.Write([]byte("secret"))
			_ = server.enc.Write([]byte("secret"))
			if tc.refuses == "" {
				client.connected(1)
				server.connected(1)
				sameKeys(t, client, server)
				if trusts := len(tc.client.Pins) > 0 || tc.client.Verify != VerifyNone || tc.client.Accept != nil; trusts && len(client.warnings) != 0 {
					t.Errorf("warnings %v", client.warnings)
				}
				return
			}
			for name, e := range map[string]*end{"client": client, "server": server} {
				e.untilState(StateFailed)
				e.until("the error", func() bool { return len(e.errors) > 0 })
				if len(e.encKeys)+len(e.decKeys)+len(e.data) != 0 {
					t.Errorf("the %s has keys or data", name)
				}
				if _, ok := e.enc.Connection().Keys(); ok {
					t.Errorf("the %s has keys", name)
				}
				for _, s := range e.states {
					if s == StateConnected {
						t.Errorf("the %s was connected", name)
					}
				}
				err := e.errors[0]
				var refused *RefusedError
				if name == tc.refuses {
					if !errors.As(err, &refused) || !strings.Contains(refused.Error(), tc.reason) || !strings.Contains(refused.Error(), "sha-256 ") {
						t.Errorf("the %s: %v", name, err)
					}
				} else if !strings.Contains(err.Error(), "bad_certificate(42)") {
					t.Errorf("the refused %s: %v", name, err)
				}
			}
		})
	}
}

// Accept may take its time; the peer's retransmissions do not ask it again.
func TestSlowAccept(t *testing.T) {
	for _, asClient := range []bool{true, false} {
		client, server, _, _ := pair(t)
		asked := 0
		cfg := DecoderConfig{Accept: func(pem string) bool {
			asked++
			time.Sleep(200 * time.Millisecond)
			return strings.HasPrefix(pem, "-----BEGIN CERTIFICATE")
		}}
		if asClient {
			client.dec.Configure(cfg)
		} else {
			server.dec.Configure(cfg)
		}
		server.start()
		client.start()
		client.connected(1)
		server.connected(1)
		sameKeys(t, client, server)
		if asked != 1 {
			t.Errorf("Accept was asked %d times", asked)
		}
	}
}

// A peer that is refused while a session lives does not harm it.
func TestARefusedPeerBesideASession(t *testing.T) {
	client, server, up, down := both(t)
	good, err := client.dec.Identity()
	if err != nil {
		t.Fatal(err)
	}
	server.dec.Configure(DecoderConfig{Pins: pinsOf(t, good.DER())})
	other := newEnd(t, true)
	defer other.close()
	other.encConfig.HandshakeTimeout = 300 * time.Millisecond
	other.out = (&wiring{to: server}).send
	down.mu.Lock()
	down.tap = func(p []byte) [][]byte {
		if o := other.dec; o != nil {
			_ = o.Receive(p)
		}
		return [][]byte{p}
	}
	down.mu.Unlock()
	other.open()
	other.start()
	other.untilState(StateFailed)
	server.until("the warning", func() bool {
		for _, w := range server.warnings {
			var refused *RefusedError
			if errors.As(w, &refused) {
				return true
			}
		}
		return false
	})
	if server.last() != StateConnected || len(server.encKeys) != 1 {
		t.Errorf("states %v", server.states)
	}
	exchange(t, client, server)
	_ = up
}
