// SPDX-License-Identifier: LGPL-2.1-or-later

// Package identity holds what a DTLS endpoint proves itself with (a
// certificate chain and its private key) and what it checks its peer
// against: fingerprints (RFC 8122) and certificate authorities.
//
// No error and no String method of this package shows key material or quotes
// the text that it was given.
package identity

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"
)

// lifetime is how long a generated certificate is valid, and backdate how far
// before now that begins, for peers whose clocks are behind.
const (
	lifetime = 365 * 24 * time.Hour
	backdate = 24 * time.Hour
)

// Identity is a certificate chain and the private key of its first
// certificate. It does not change after it was made, so it may be shared.
type Identity struct {
	chain [][]byte
	leaf  *x509.Certificate
	key   crypto.Signer
}

// Generate makes a self-signed certificate (X.509 v3, RFC 5280) with a new
// ECDSA key on P-256. Its name is random, so it tells nothing about the host.
// It is valid from a day ago for one year.
func Generate() (*Identity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("certificate: making an ECDSA key: %w", err)
	}
	var random [16]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, fmt.Errorf("certificate: reading random bytes: %w", err)
	}
	// RFC 5280 4.1.2.2: a positive serial number, never zero.
	serial := new(big.Int).SetBytes(random[:8])
	serial.SetBit(serial, 63, 0).SetBit(serial, 62, 1)
	now := time.Now()
	name := pkix.Name{CommonName: hex.EncodeToString(random[8:])}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               name,
		Issuer:                name,
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(lifetime),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
		SignatureAlgorithm:    x509.ECDSAWithSHA256,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("certificate: signing it: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("certificate: reading it back: %w", err)
	}
	return &Identity{chain: [][]byte{der}, leaf: leaf, key: key}, nil
}

// CertificatePEM is the chain as PEM text, the own certificate first. The
// private key is never part of it.
func (i *Identity) CertificatePEM() string {
	var text bytes.Buffer
	for _, der := range i.chain {
		text.WriteString(CertificatePEM(der))
	}
	return text.String()
}

// DER is the own certificate, without the rest of its chain.
func (i *Identity) DER() []byte { return bytes.Clone(i.chain[0]) }

// TLS is the identity as crypto/tls takes it.
func (i *Identity) TLS() tls.Certificate {
	chain := make([][]byte, len(i.chain))
	copy(chain, i.chain)
	return tls.Certificate{Certificate: chain, PrivateKey: i.key, Leaf: i.leaf}
}

// String names the certificate by its SHA-256 fingerprint; never the key.
func (i *Identity) String() string {
	if i == nil || len(i.chain) == 0 {
		return "no identity"
	}
	text, err := Fingerprint("sha-256", i.chain[0])
	if err != nil {
		return "identity"
	}
	return "identity " + text
}

// GoString keeps %#v from showing the key.
func (i *Identity) GoString() string { return i.String() }

// CertificatePEM is one certificate as PEM text.
func CertificatePEM(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
