// SPDX-License-Identifier: LGPL-2.1-or-later

package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestGenerate(t *testing.T) {
	a, err := Generate()
	if err != nil {
		t.Fatal(err)
	}
	b, err := Generate()
	if err != nil {
		t.Fatal(err)
	}
	c := a.TLS().Leaf
	if c.Version != 3 || c.SerialNumber.Sign() <= 0 || c.Subject.CommonName == "" || c.Subject.CommonName == b.TLS().Leaf.Subject.CommonName {
		t.Errorf("version %d, serial %v, name %q", c.Version, c.SerialNumber, c.Subject.CommonName)
	}
	if key, ok := c.PublicKey.(*ecdsa.PublicKey); !ok || key.Curve != elliptic.P256() {
		t.Errorf("key %T", c.PublicKey)
	}
	now := time.Now()
	if c.NotBefore.After(now.Add(-23*time.Hour)) || c.NotAfter.Before(now.Add(360*24*time.Hour)) || c.NotAfter.After(now.Add(367*24*time.Hour)) {
		t.Errorf("valid from %v to %v", c.NotBefore, c.NotAfter)
	}
	if err := c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature); err != nil {
		t.Error(err)
	}
	if strings.Contains(a.CertificatePEM(), "PRIVATE") || a.CertificatePEM() != CertificatePEM(a.DER()) {
		t.Error("the PEM text is not the certificate alone")
	}
	for _, text := range []string{fmt.Sprint(a), fmt.Sprintf("%+v", a), fmt.Sprintf("%#v", a)} {
		if !strings.HasPrefix(text, "identity sha-256 ") || len(text) != len("identity sha-256 ")+95 {
			t.Errorf("shown as %q", text)
		}
	}
}

func BenchmarkGenerate(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Generate(); err != nil {
			b.Fatal(err)
		}
	}
}

type made struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func (m made) pem() string { return CertificatePEM(m.cert.Raw) }

func issue(t *testing.T, name string, key crypto.Signer, by *made) made {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		BasicConstraintsValid: true, IsCA: true,
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return made{c, key}
}

func keyOn(t *testing.T, c elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func pkcs8(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func TestParse(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	r := issue(t, "rsa", rsaKey, nil)
	ecKey := keyOn(t, elliptic.P384())
	root := issue(t, "root", keyOn(t, elliptic.P256()), nil)
	middle := issue(t, "middle", keyOn(t, elliptic.P256()), &root)
	e := issue(t, "ec", ecKey, &middle)
	sec1, err := x509.MarshalECPrivateKey(ecKey)
	if err != nil {
		t.Fatal(err)
	}
	pkcs1 := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(rsaKey)}))
	ec := string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1}))
	params := "-----BEGIN EC PARAMETERS-----\nBgUrgQQAIg==\n-----END EC PARAMETERS-----\n"
	for name, c := range map[string]struct {
		text  string
		chain []made
	}{
		"pkcs1":          {pkcs1 + r.pem(), []made{r}},
		"pkcs8 rsa":      {r.pem() + pkcs8(t, rsaKey), []made{r}},
		"sec1":           {params + ec + e.pem(), []made{e}},
		"pkcs8 ec, CRLF": {strings.ReplaceAll("text before\n"+e.pem()+pkcs8(t, ecKey), "\n", "\r\n"), []made{e}},
		"chain":          {root.pem() + middle.pem() + ec + e.pem(), []made{e, middle, root}},
	} {
		id, err := Parse(c.text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := id.TLS()
		want := ""
		for n, m := range c.chain {
			want += m.pem()
			if n >= len(got.Certificate) || string(got.Certificate[n]) != string(m.cert.Raw) {
				t.Errorf("%s: certificate %d of the chain is another one", name, n)
			}
		}
		if id.CertificatePEM() != want {
			t.Errorf("%s: CertificatePEM is another chain", name)
		}
		if !samePublic(got.PrivateKey.(crypto.Signer).Public(), c.chain[0].key.Public()) {
			t.Errorf("%s: another key", name)
		}
	}

	broken := strings.Replace(pkcs8(t, ecKey), "\n-----END", "!\n-----END", 1)
	cut := e.pem()[:200] + "\n"
	encrypted := "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n"
	for _, c := range []struct{ text, want string }{
		{"", "neither a certificate nor a private key"},
		{"rubbish", "neither"},
		{e.pem(), "private key is missing"},
		{ec, "certificate is missing"},
		{e.pem() + pkcs1, "does not match"},
		{e.pem() + ec + ec, "second private key"},
		{e.pem() + broken, "block 2 is broken"},
		{cut + ec, "block 1 is broken"},
		{e.pem() + encrypted, "encrypted"},
		{"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" + ec, "block 1: the certificate is broken"},
		{e.pem() + "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "block 2: the private key"},
		{e.pem() + pkcs8(t, keyOn(t, elliptic.P224())), "curve"},
	} {
		_, err := Parse(c.text)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.40q…: %v, want %q", c.text, err, c.want)
			continue
		}
		for _, line := range strings.Split(c.text, "\n") {
			if len(line) > 30 && !strings.HasPrefix(line, "-") && strings.Contains(err.Error(), line) {
				t.Errorf("the error quotes what it was given: %v", err)
			}
		}
	}
}

func TestFingerprint(t *testing.T) {
	// RFC 6234's test vector for "abc".
	const want = "sha-256 BA:78:16:BF:8F:01:CF:EA:41:41:40:DE:5D:AE:22:23:B0:03:61:A3:96:17:7A:9C:B4:10:FF:61:F2:00:15:AD"
	got, err := Fingerprint("SHA-256", []byte("abc"))
	if err != nil || got != want {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := Fingerprint("sha-1", nil); err == nil {
		t.Error("sha-1 is taken")
	}
	for _, hash := range []string{"sha-224", "sha-256", "sha-384", "sha-512"} {
		text, err := Fingerprint(hash, []byte("abc"))
		if err != nil {
			t.Fatal(err)
		}
		for _, form := range []string{text, strings.ToLower(text), strings.ToUpper(text), "a=fingerprint:" + text, "fingerprint: " + text, " " + text + "\r\n"} {
			pins, err := ParsePins(form)
			if err != nil || len(pins) != 1 || !pins[0].Match([]byte("abc")) || pins[0].Match([]byte("abd")) || pins[0].String() != text {
				t.Errorf("%q: %v, %v", form, pins, err)
			}
		}
	}
	if pins, err := ParsePins(want + ",\n" + strings.Replace(want, "BA", "BB", 1) + "\n"); err != nil || len(pins) != 2 {
		t.Errorf("%v, %v", pins, err)
	}
	if pins, err := ParsePins(" \n"); err != nil || pins != nil {
		t.Errorf("%v, %v", pins, err)
	}
	if (Pin{}).Match(nil) {
		t.Error("the zero pin matches")
	}
	for text, part := range map[string]string{
		"sha-1 AA:BB":                         "too weak",
		"sha-3 AA":                            "unknown hash function",
		"AA:BB":                               "want the hash function",
		"sha-256 AA:BB":                       "32 bytes, this one has 2",
		strings.Replace(want, "BA", "XY", 1):  "byte 1",
		strings.Replace(want, ":78", ":7", 1): "byte 2",
		want + ",sha-256 1":                   "fingerprint 2",
	} {
		if _, err := ParsePins(text); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestLoadCAs(t *testing.T) {
	dir := t.TempDir()
	file := func(text string) string {
		name := filepath.Join(dir, "ca.pem")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	root := issue(t, "root", keyOn(t, elliptic.P256()), nil)
	leaf := issue(t, "leaf", keyOn(t, elliptic.P256()), &root)
	pool, err := LoadCAs(file("comment\n" + root.pem()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := leaf.cert.Verify(x509.VerifyOptions{Roots: pool}); err != nil {
		t.Error(err)
	}
	for text, part := range map[string]string{
		"":                      "no CERTIFICATE block",
		root.pem()[:150] + "\n": "block 1 is broken",
		root.pem() + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n": "block 2",
	} {
		if _, err := LoadCAs(file(text)); err == nil || !strings.Contains(err.Error(), part) || !strings.Contains(err.Error(), "ca.pem") {
			t.Errorf("%.20q: %v", text, err)
		}
	}
	if _, err := LoadCAs(filepath.Join(dir, "none.pem")); err == nil || !strings.Contains(err.Error(), "none.pem") {
		t.Errorf("a missing file: %v", err)
	}
}
