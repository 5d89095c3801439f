// SPDX-License-Identifier: LGPL-2.1-or-later

package settings

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"

	"github.com/youmark/pkcs8"

	"github.com/gst-edgewire/gst-edgewire/internal/nearest"
)

// maxPEM is the largest file of certificates that is read: a whole CA bundle has a quarter of it.
const maxPEM = 1 << 20

// TLSKeys are the keys that TLS reads; an adapter adds them to its own.
var TLSKeys = []Key{
	{Name: "tls", Doc: "use TLS (true or false; true when any other tls key is set)"},
	{Name: "tls-ca-file", Doc: "PEM file with the certificates of the authorities that may vouch for the server (default: the system's)"},
	{Name: "tls-cert-file", Doc: "PEM file with the client's certificate and its chain, for 2-way TLS"},
	{Name: "tls-key-file", Doc: "PEM file with the key of tls-cert-file (PKCS#1, PKCS#8 or SEC 1; default: tls-cert-file)"},
	{Name: "tls-key-password", Secret: true, Doc: "password of an encrypted tls-key-file (PKCS#8)"},
	{Name: "tls-server-name", Doc: "name that the server's certificate must have (default: the host)"},
	{Name: "tls-min-version", Doc: "lowest version of TLS: 1.2 or 1.3 (default 1.2)"},
	{Name: "tls-ciphers", Doc: "cipher suites of TLS 1.2, by their IANA names, separated by ':' (default: Go's; those of TLS 1.3 cannot be chosen)"},
	{Name: "tls-verify", Doc: "check the server's certificate (default true; false is for tests alone: anyone can be the server then)"},
}

// TLS makes the configuration for a connection to host; nil when TLS is off. The files are read each time:
// an adapter calls it for every connection, so that certificates can be replaced without a stop.
func (g *Group) TLS(host string) (*tls.Config, error) {
	on, err := g.UsesTLS()
	if err != nil || !on {
		return nil, err
	}
	c := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if c.ServerName, err = g.Text("tls-server-name", host); err != nil {
		return nil, err
	}
	if err := g.tlsVersion(c); err != nil {
		return nil, err
	}
	if err := g.tlsCiphers(c); err != nil {
		return nil, err
	}
	verify, err := g.Bool("tls-verify", true)
	if err != nil {
		return nil, err
	}
	if !verify {
		c.InsecureSkipVerify = true
		g.warnOnce(g.Errorf("tls-verify", "set it to true and name the authority with tls-ca-file",
			"the server's certificate is not checked: anyone on the way can read and change everything").Error())
	}
	if c.RootCAs, err = g.tlsRoots(); err != nil {
		return nil, err
	}
	cert, err := g.tlsCertificate()
	if err != nil {
		return nil, err
	}
	if cert != nil {
		c.Certificates = []tls.Certificate{*cert}
		// Sent also to a server whose list of authorities does not name ours: its refusal says more then.
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert, nil }
	}
	return c, nil
}

// UsesTLS reports whether TLS is on: by the key tls or, without it, by any other of TLSKeys.
func (g *Group) UsesTLS() (bool, error) {
	any := false
	for _, k := range TLSKeys {
		any = any || g.Has(k.Name)
	}
	return g.Bool("tls", any)
}

func (g *Group) tlsVersion(c *tls.Config) error {
	text, err := g.Text("tls-min-version", "1.2")
	if err != nil {
		return err
	}
	switch strings.TrimPrefix(strings.TrimPrefix(strings.ToLower(text), "tls"), "v") {
	case "1.2":
	case "1.3":
		c.MinVersion = tls.VersionTLS13
	default:
		return g.Errorf("tls-min-version", "write 1.2 or 1.3; older versions are not secure (RFC 8996)", "is not a version that can be used")
	}
	return nil
}

func (g *Group) tlsCiphers(c *tls.Config) error {
	text, err := g.Text("tls-ciphers", "")
	if err != nil || text == "" {
		return err
	}
	ids, names := map[string]uint16{}, []string{}
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		if s.SupportedVersions[0] != tls.VersionTLS13 {
			ids[s.Name] = s.ID
			names = append(names, s.Name)
		}
	}
	for name := range strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune(":, ;", r) }) {
		id, ok := ids[strings.ToUpper(name)]
		if !ok {
			remedy := "known are " + strings.Join(names, ", ")
			if n, near := nearest.Of(name, names); near {
				remedy = "did you mean " + n + "?"
			}
			return g.Errorf("tls-ciphers", remedy, "%q is not a cipher suite of TLS 1.2 that can be used", name)
		}
		c.CipherSuites = append(c.CipherSuites, id)
	}
	return nil
}

func (g *Group) tlsRoots() (*x509.CertPool, error) {
	const key = "tls-ca-file"
	file, err := g.Text(key, "")
	if err != nil || file == "" {
		return nil, err
	}
	data, err := g.readFile(key, file, maxPEM)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, g.Errorf(key, "name a PEM file with at least one CERTIFICATE block", "the file %s holds no certificate", file)
	}
	return pool, nil
}

// tlsCertificate reads the client's certificate and key; nil when none is named.
func (g *Group) tlsCertificate() (*tls.Certificate, error) {
	certFile, err := g.Text("tls-cert-file", "")
	if err != nil {
		return nil, err
	}
	keyFile, err := g.Text("tls-key-file", certFile)
	if err != nil {
		return nil, err
	}
	if certFile == "" {
		if keyFile != "" {
			return nil, g.Errorf("tls-key-file", "name its certificate with tls-cert-file, or remove it", "is set without tls-cert-file")
		}
		return nil, nil
	}
	certPEM, err := g.readFile("tls-cert-file", certFile, maxPEM)
	if err != nil {
		return nil, err
	}
	c := &tls.Certificate{}
	for rest := certPEM; ; {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			break
		}
		if b.Type == "CERTIFICATE" {
			c.Certificate = append(c.Certificate, b.Bytes)
		}
	}
	if len(c.Certificate) == 0 {
		return nil, g.Errorf("tls-cert-file", "name a PEM file with a CERTIFICATE block", "the file %s holds no certificate", certFile)
	}
	if c.Leaf, err = x509.ParseCertificate(c.Certificate[0]); err != nil {
		return nil, g.Errorf("tls-cert-file", "make it anew", "the first certificate of %s is damaged: %v", certFile, err)
	}
	if c.PrivateKey, err = g.tlsKey(keyFile); err != nil {
		return nil, err
	}
	public, ok := c.Leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	if signer, isSigner := c.PrivateKey.(crypto.Signer); !ok || !isSigner || !public.Equal(signer.Public()) {
		return nil, g.Errorf("tls-cert-file", "name the key that it was made with", "the certificate of %s does not belong to the key of %s",
			certFile, keyFile)
	}
	return c, nil
}

func (g *Group) tlsKey(file string) (crypto.PrivateKey, error) {
	key := "tls-key-file"
	if !g.Has(key) {
		key = "tls-cert-file"
	}
	data, err := g.readFile(key, file, maxPEM)
	if err != nil {
		return nil, err
	}
	defer clear(data)
	for rest := data; ; {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			return nil, g.Errorf(key, "name a PEM file with a PRIVATE KEY block", "the file %s holds no private key", file)
		}
		if !strings.HasSuffix(b.Type, "PRIVATE KEY") {
			continue
		}
		g.checkMode(key, file)
		private, err := g.parseKey(b)
		if err != nil {
			return nil, g.Errorf(key, "make it anew, or set the right tls-key-password", "the private key of %s cannot be read: %v", file, err)
		}
		return private, nil
	}
}

var (
	errNoPassword = errors.New("it is encrypted and tls-key-password is not set")
	errPassword   = errors.New("it is encrypted and the password does not fit")
	errLegacy     = errors.New("it is encrypted the old way (Proc-Type), which is not safe; convert it with openssl pkcs8 -topk8")
	errKeyKind    = errors.New("it is neither PKCS#1, PKCS#8 nor SEC 1")
)

func (g *Group) parseKey(b *pem.Block) (crypto.PrivateKey, error) {
	if b.Type == "ENCRYPTED PRIVATE KEY" {
		password, _, err := g.Secret("tls-key-password")
		if err != nil {
			return nil, err
		}
		if password == "" {
			return nil, errNoPassword
		}
		private, err := pkcs8.ParsePKCS8PrivateKey(b.Bytes, []byte(password))
		if err != nil {
			return nil, errPassword
		}
		return private, nil
	}
	if bytes.Contains([]byte(b.Headers["Proc-Type"]), []byte("ENCRYPTED")) {
		return nil, errLegacy
	}
	if k, err := x509.ParsePKCS8PrivateKey(b.Bytes); err == nil {
		return k, nil
	}
	if k, err := x509.ParsePKCS1PrivateKey(b.Bytes); err == nil {
		return k, nil
	}
	if k, err := x509.ParseECPrivateKey(b.Bytes); err == nil {
		return k, nil
	}
	return nil, errKeyKind
}
