// SPDX-License-Identifier: LGPL-2.1-or-later

package handshake

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/dtls/v3/pkg/crypto/prf"
)

// identity is a key with its self-signed certificate.
type identity struct {
	key  crypto.Signer
	leaf *x509.Certificate
}

var identities sync.Map // by kind

func identityOf(t testing.TB, kind string) identity {
	t.Helper()
	if id, ok := identities.Load(kind); ok {
		return id.(identity)
	}
	var key crypto.Signer
	var err error
	switch kind {
	case "rsa":
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	case "rsa1024":
		key, err = rsa.GenerateKey(rand.Reader, 1024)
	case "p384":
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "p521":
		key, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "ed25519":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: kind},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	id := identity{key, leaf}
	identities.Store(kind, id)
	return id
}

func (id identity) config(profiles ...uint16) Config {
	return Config{Chain: [][]byte{id.leaf.Raw}, Key: id.key, Profiles: profiles}
}

// schemeIn is the SignatureScheme of a message that ends with a signature.
func schemeIn(t testing.TB, raw []byte, at int) uint16 {
	t.Helper()
	return binary.BigEndian.Uint16(raw[headerSize+at:])
}

// meeting is a client and a server with what they send each other. change is
// called with every message, by its sender and number, and may return another.
type meeting struct {
	client   *Client
	server   *Server
	idC, idS identity
	cookie   bool
	change   func(name string, raw []byte) []byte
}

func meet(t testing.TB, kindC, kindS string, profiles ...uint16) *meeting {
	m := &meeting{idC: identityOf(t, kindC), idS: identityOf(t, kindS), cookie: true}
	var random [32]byte
	_, _ = rand.Read(random[:])
	m.client = NewClient(m.idC.config(profiles...), random)
	m.server = NewServer(m.idS.config(profiles...))
	return m
}

var flightNames = []string{"ServerHello", "Certificate", "ServerKeyExchange", "CertificateRequest", "ServerHelloDone"}

func (m *meeting) pass(name string, raw []byte) []byte {
	raw = slices.Clone(raw)
	if m.change != nil {
		raw = m.change(name, raw)
	}
	return raw
}

// run goes through the handshake; the error says who found what.
func (m *meeting) run(t testing.TB) (who string, err error) {
	t.Helper()
	hello, err := m.client.Hello(nil)
	if err != nil {
		return "client", err
	}
	if m.cookie {
		if hello, err = m.client.Hello([]byte("cookie")); err != nil {
			return "client", err
		}
	}
	flight, err := m.server.Hello(m.pass("ClientHello", hello))
	if err != nil {
		return "server", err
	}
	var got [][]byte
	for i, raw := range flight {
		if raw = m.pass(flightNames[i], raw); raw != nil {
			got = append(got, raw)
		}
	}
	scheme := uint16(0)
	if len(got) > 2 && len(got[2]) > headerSize+4 && int(got[2][headerSize+3])+6 <= len(got[2])-headerSize {
		scheme = schemeIn(t, got[2], 4+int(got[2][headerSize+3]))
	}
	if err := m.client.Flight(got, m.idS.leaf, scheme); err != nil {
		return "client", err
	}
	flight, finished, err := m.client.Reply()
	if err != nil {
		return "client", err
	}
	names := []string{"client Certificate", "ClientKeyExchange", "CertificateVerify"}
	got = nil
	for i, raw := range flight {
		if raw = m.pass(names[i], raw); raw != nil {
			got = append(got, raw)
		}
	}
	if len(got) > 2 {
		scheme = schemeIn(t, got[2], 0)
	}
	if err := m.server.Flight(got, m.idC.leaf, scheme); err != nil {
		return "server", err
	}
	if finished, err = m.server.Finished(m.pass("client Finished", finished)); err != nil {
		return "server", err
	}
	if err := m.client.Finished(m.pass("server Finished", finished)); err != nil {
		return "client", err
	}
	return "", nil
}

func TestMeeting(t *testing.T) {
	for _, kindC := range []string{"p256", "p384", "p521", "rsa", "rsa1024", "ed25519"} {
		for _, kindS := range []string{"p256", "p384", "rsa", "ed25519"} {
			for _, cookie := range []bool{true, false} {
				m := meet(t, kindC, kindS, 7, 8)
				m.cookie = cookie
				if who, err := m.run(t); err != nil {
					t.Fatalf("%s and %s: %s: %v", kindC, kindS, who, err)
				}
				a, b := m.client.Secrets(), m.server.Secrets()
				if a.master != b.master || a.Suite != b.Suite || a.ServerRandom != b.ServerRandom || a.ClientRandom != b.ClientRandom || a.master == [masterSize]byte{} || !m.client.ems || !m.server.ems {
					t.Fatalf("%s and %s: the secrets differ", kindC, kindS)
				}
				if m.client.Profile() != 7 || m.server.Profile() != 7 {
					t.Errorf("profiles %d and %d", m.client.Profile(), m.server.Profile())
				}
				if !bytes.Equal(m.client.Chain()[0], m.idS.leaf.Raw) || !bytes.Equal(m.server.Chain()[0], m.idC.leaf.Raw) {
					t.Error("the chains are not those of the peers")
				}
			}
		}
	}
}

// Not one bit of the handshake may change without an end that finds it, at the
// latest by the Finished.
func TestEveryBitIsCovered(t *testing.T) {
	names := append(slices.Clone(flightNames), "ClientHello", "client Certificate", "ClientKeyExchange", "CertificateVerify",
		"client Finished", "server Finished")
	for _, name := range names {
		for at := 0; ; at++ {
			m := meet(t, "p256", "p256", 7)
			end := false
			m.change = func(n string, raw []byte) []byte {
				if n == name {
					if end = at >= len(raw)*2; !end {
						raw[at/2] ^= 1 << (at % 2 * 7)
					}
				}
				return raw
			}
			_, err := m.run(t)
			if end {
				if err != nil {
					t.Fatalf("%s unchanged: %v", name, err)
				}
				break
			}
			if err == nil {
				t.Fatalf("%s: byte %d was changed and nobody has found it", name, at/2)
			}
			if at > 60 { // bodies are the same all along
				at += 37
			}
		}
	}
}

// What is left out or comes twice is found.
func TestMissingMessages(t *testing.T) {
	for _, name := range append(slices.Clone(flightNames), "client Certificate", "ClientKeyExchange", "CertificateVerify") {
		m := meet(t, "p256", "rsa")
		m.change = func(n string, raw []byte) []byte {
			if n == name {
				return nil
			}
			return raw
		}
		if _, err := m.run(t); err == nil {
			t.Errorf("nobody misses the %s", name)
		}
	}
	m := meet(t, "p256", "p256")
	if _, err := m.run(t); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"another Finished of the server": m.client.Finished(nil),
		"another flight of the server":   m.client.Flight(nil, nil, 0),
		"another flight of the client":   m.server.Flight(nil, nil, 0),
	} {
		if err == nil {
			t.Errorf("%s was taken", what)
		}
	}
	if _, err := m.server.Finished(nil); err == nil {
		t.Error("another Finished of the client was taken")
	}
	if _, err := m.server.Hello(make([]byte, 100)); err == nil {
		t.Error("another ClientHello was taken")
	}
	if _, _, err := m.client.Reply(); err == nil {
		t.Error("another reply was made")
	}
}

// editHello parses a ClientHello into its parts and puts it together again.
func editHello(t testing.TB, raw []byte, suites []uint16, edit func(exts map[uint16][]byte)) []byte {
	t.Helper()
	body := raw[headerSize:]
	at := 2 + 32
	at += 1 + int(body[at])
	at += 1 + int(body[at])
	head := slices.Clone(body[:at])
	n := 2 + int(binary.BigEndian.Uint16(body[at:]))
	if suites == nil {
		head = append(head, body[at:at+n]...)
	} else {
		head = binary.BigEndian.AppendUint16(head, uint16(2*len(suites)))
		for _, s := range suites {
			head = binary.BigEndian.AppendUint16(head, s)
		}
	}
	at += n
	n = 1 + int(body[at])
	head = append(head, body[at:at+n]...)
	at += n + 2
	exts := map[uint16][]byte{}
	for rest := body[at:]; len(rest) > 0; {
		n := int(binary.BigEndian.Uint16(rest[2:]))
		exts[binary.BigEndian.Uint16(rest)] = rest[4 : 4+n]
		rest = rest[4+n:]
	}
	if edit != nil {
		edit(exts)
	}
	var list []byte
	for typ, data := range exts {
		list = binary.BigEndian.AppendUint16(list, typ)
		list = binary.BigEndian.AppendUint16(list, uint16(len(data)))
		list = append(list, data...)
	}
	if len(list) > 0 {
		head = append(binary.BigEndian.AppendUint16(head, uint16(len(list))), list...)
	}
	out := slices.Clone(raw[:headerSize])
	for _, at := range []int{1, 9} {
		out[at], out[at+1], out[at+2] = byte(len(head)>>16), byte(len(head)>>8), byte(len(head))
	}
	return append(out, head...)
}

func TestClientHellos(t *testing.T) {
	for _, c := range []struct {
		what   string
		server string
		suites []uint16
		edit   func(exts map[uint16][]byte)
		first  func(body []byte)
		want   string // in the error; "" for none
	}{
		{what: "as it is", server: "p256"},
		{what: "AES-256", server: "p256", suites: []uint16{0xc02c}},
		{what: "RSA, AES-256", server: "rsa", suites: []uint16{0xc030, 0x009c}},
		{what: "no common suite", server: "p256", suites: []uint16{0xc02f, 0xc030, 0x1301}, want: "cipher suite"},
		{what: "static RSA only", server: "rsa", suites: []uint16{0x009c, 0x002f}, want: "cipher suite"},
		{what: "DTLS 1.0", server: "p256", first: func(b []byte) { b[1] = 0xff }, want: "version"},
		{what: "TLS 1.2", server: "p256", first: func(b []byte) { b[0], b[1] = 3, 3 }, want: "version"},
		{what: "DTLS 1.3 as the highest", server: "p256", first: func(b []byte) { b[1] = 0xfc }},
		{what: "no group", server: "p256", edit: func(e map[uint16][]byte) { e[extSupportedGroups] = []byte{0, 2, 0, 25} }, want: "groups"},
		{what: "no supported_groups", server: "p256", edit: func(e map[uint16][]byte) { delete(e, extSupportedGroups) }},
		{what: "an empty supported_groups", server: "p256", edit: func(e map[uint16][]byte) { e[extSupportedGroups] = []byte{0, 0} }, want: "malformed"},
		{what: "X25519", server: "p256", edit: func(e map[uint16][]byte) { e[extSupportedGroups] = []byte{0, 2, 0, 29} }},
		{what: "P-384", server: "p256", edit: func(e map[uint16][]byte) { e[extSupportedGroups] = []byte{0, 2, 0, 24} }},
		{what: "SHA-1 only", server: "p256", edit: func(e map[uint16][]byte) { e[extSignatureAlgorithms] = []byte{0, 2, 2, 3} }, want: "signature"},
		{what: "no signature_algorithms", server: "p256", edit: func(e map[uint16][]byte) { delete(e, extSignatureAlgorithms) }, want: "signature"},
		{what: "compressed points only", server: "p256", edit: func(e map[uint16][]byte) { e[extPointFormats] = []byte{1, 1} }, want: "uncompressed"},
		{what: "a renegotiation", server: "p256", edit: func(e map[uint16][]byte) { e[extRenegotiation] = []byte{1, 1} }, want: "renegotiation"},
		{what: "other SRTP profiles", server: "p256", edit: func(e map[uint16][]byte) { e[extUseSRTP] = []byte{0, 2, 0, 99, 0} }},
		{what: "an MKI", server: "p256", edit: func(e map[uint16][]byte) { e[extUseSRTP] = []byte{0, 2, 0, 7, 2, 1, 1} }},
		{what: "no extension", server: "p256", edit: func(e map[uint16][]byte) { clear(e) }, want: "signature"},
	} {
		client, server := meet(t, "p256", c.server, 7).client, NewServer(identityOf(t, c.server).config(7))
		raw, err := client.Hello(nil)
		if err != nil {
			t.Fatal(err)
		}
		raw = editHello(t, raw, c.suites, c.edit)
		if c.first != nil {
			c.first(raw[headerSize:])
		}
		flight, err := server.Hello(raw)
		var fault *Error
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.what, err)
		case c.want == "":
			body, err := parse(flight[0], typeServerHello, 0)
			if err != nil {
				t.Fatal(err)
			}
			h, ok := parseServerHello(body)
			if !ok || h.version != version || len(c.suites) > 0 && !slices.Contains(c.suites, h.suites[0]) {
				t.Errorf("%s: ServerHello %+v", c.what, h)
			}
			if strings.Contains(c.what, "SRTP") && (h.has(extUseSRTP) || server.Profile() != 0) {
				t.Errorf("%s: the profile is %d", c.what, server.Profile())
			}
		case err == nil || !strings.Contains(err.Error(), c.want) || !errors.As(err, &fault) || fault.Alert == 0:
			t.Errorf("%s: %v", c.what, err)
		}
	}
}

// A ServerHello that answers what was not asked.
func TestServerHellos(t *testing.T) {
	for what, change := range map[string]func(raw []byte) []byte{
		"a suite that was not offered": func(b []byte) []byte { b[headerSize+35], b[headerSize+36] = 0x00, 0x9c; return b },
		"the suite of another key":     func(b []byte) []byte { b[headerSize+36] = 0x2f; return b },
		"DTLS 1.0":                     func(b []byte) []byte { b[headerSize+1] = 0xff; return b },
		"compression":                  func(b []byte) []byte { b[headerSize+37] = 1; return b },
		"an unknown extension":         func(b []byte) []byte { return withExtension(b, 99, nil) },
		"an extension twice":           func(b []byte) []byte { return withExtension(b, extMasterSecret, nil) },
		"a session ticket":             func(b []byte) []byte { return withExtension(b, 35, nil) },
		"server_name without a name":   func(b []byte) []byte { return withExtension(b, extServerName, nil) },
		"use_srtp without an offer":    func(b []byte) []byte { return withExtension(b, extUseSRTP, []byte{0, 2, 0, 7, 0}) },
	} {
		m := meet(t, "p256", "p256")
		m.change = func(name string, raw []byte) []byte {
			if name == "ServerHello" {
				return change(raw)
			}
			return raw
		}
		if who, err := m.run(t); who != "client" {
			t.Errorf("%s: %s: %v", what, who, err)
		}
	}
	for what, data := range map[string][]byte{
		"a profile that was not offered": {0, 2, 0, 9, 0}, "two profiles": {0, 4, 0, 7, 0, 8, 0}, "an MKI": {0, 2, 0, 7, 1, 1}, "none": {0, 0, 0},
	} {
		m := meet(t, "p256", "p256", 7, 8)
		m.server.config.Profiles = nil
		m.change = func(name string, raw []byte) []byte {
			if name == "ServerHello" {
				return withExtension(raw, extUseSRTP, data)
			}
			return raw
		}
		if who, err := m.run(t); who != "client" {
			t.Errorf("%s: %s: %v", what, who, err)
		}
	}
}

// withExtension adds an extension to a ServerHello.
func withExtension(raw []byte, typ uint16, data []byte) []byte {
	ext := binary.BigEndian.AppendUint16(nil, typ)
	ext = binary.BigEndian.AppendUint16(ext, uint16(len(data)))
	raw = append(append(raw, ext...), data...)
	at := headerSize + 38
	n := binary.BigEndian.Uint16(raw[at:])
	binary.BigEndian.PutUint16(raw[at:], n+uint16(len(ext)+len(data)))
	n = uint16(len(raw) - headerSize)
	for _, at := range []int{2, 10} {
		binary.BigEndian.PutUint16(raw[at:], n)
	}
	return raw
}

// A signature that was verified by something else than the messages say.
func TestProofs(t *testing.T) {
	m := meet(t, "p256", "p256")
	hello, _ := m.client.Hello(nil)
	flight, err := m.server.Hello(hello)
	if err != nil {
		t.Fatal(err)
	}
	again := func() *Client {
		c := NewClient(m.idC.config(), m.client.secrets.ClientRandom)
		if _, err := c.Hello(nil); err != nil {
			t.Fatal(err)
		}
		return c
	}
	if err := again().Flight(flight, m.idS.leaf, 0x0403); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"no certificate":      again().Flight(flight, nil, 0x0403),
		"another certificate": again().Flight(flight, identityOf(t, "p384").leaf, 0x0403),
		"a scheme of RSA":     again().Flight(flight, m.idS.leaf, 0x0804),
		"another scheme":      again().Flight(flight, m.idS.leaf, 0x0503),
		"an unknown scheme":   again().Flight(flight, m.idS.leaf, 0x0203),
	} {
		if err == nil {
			t.Errorf("%s was taken", what)
		}
	}
}

// Without extended_master_secret the older computation is used, and without a
// request for a certificate there is none.
func TestWithoutExtendedMasterSecret(t *testing.T) {
	m := meet(t, "p256", "p256")
	m.change = func(name string, raw []byte) []byte {
		if name == "ClientHello" {
			return editHello(t, raw, nil, func(e map[uint16][]byte) { delete(e, extMasterSecret) })
		}
		return raw
	}
	who, err := m.run(t)
	if err == nil || m.server.ems || m.client.ems {
		t.Fatalf("%s: %v", who, err) // the Finished shows that somebody took it away
	}
	if bytes.Equal(m.client.secrets.master[:], make([]byte, masterSize)) || m.client.secrets.master != m.server.secrets.master {
		t.Error("the master secrets differ") // it does not cover the hellos: that is why there is the extension
	}
}

// A client that has no certificate for what is asked sends an empty list.
func TestNothingToCertifyWith(t *testing.T) {
	m := meet(t, "p256", "p256")
	m.change = func(name string, raw []byte) []byte {
		if name == "CertificateRequest" {
			raw = append(raw[:headerSize], 1, certRSA, 0, 2, 4, 1, 0, 0)
			for _, at := range []int{1, 9} {
				raw[at], raw[at+1], raw[at+2] = 0, 0, 8
			}
		}
		return raw
	}
	if who, _ := m.run(t); who != "server" {
		t.Error("a client without a certificate was taken")
	}
}

func TestPRF(t *testing.T) {
	unhex := func(s string) []byte {
		b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	// The vector for P_SHA256 that was given to the TLS working group.
	want := unhex("e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a6b301791e90d35c9c9a46b4e14baf9af0fa022f7077def17abfd3797c0564bab" +
		"4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e5a5110fff70187347b66")
	got := make([]byte, len(want))
	pseudoRandom(sha256.New, unhex("9bbe436ba940f017b17652849a71db35"), "test label", got, unhex("a0ba9f936cda311827a6f796ffd5198c"))
	if !bytes.Equal(got, want) {
		t.Errorf("PRF: %x", got)
	}
	// Another implementation, also with SHA-384.
	for i := range 40 {
		secret, seed := make([]byte, i), make([]byte, 2*i)
		_, _ = rand.Read(secret)
		_, _ = rand.Read(seed)
		n := 1 + 7*i
		for _, newHash := range []func() hash.Hash{sha256.New, sha512.New384} {
			want, err := prf.PHash(secret, append([]byte("label"), seed...), n, newHash)
			if err != nil {
				t.Fatal(err)
			}
			got := make([]byte, n)
			pseudoRandom(newHash, secret, "label", got, seed[:i], seed[i:])
			if !bytes.Equal(got, want) {
				t.Fatalf("%d bytes: other than pion's", n)
			}
		}
	}
}

func BenchmarkMeeting(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		m := meet(b, "p256", "p256", 7)
		if who, err := m.run(b); err != nil {
			b.Fatal(who, err)
		}
	}
}
