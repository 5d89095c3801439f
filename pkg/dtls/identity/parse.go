// SPDX-License-Identifier: LGPL-2.1-or-later

package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// RSA key sizes in bits: crypto/rsa signs with nothing smaller, and peers
// (crypto/tls, pion/dtls) refuse to verify anything larger.
const (
	minRSABits = 1024
	maxRSABits = 8192
)

const (
	labelCertificate = "CERTIFICATE"
	beginMark        = "-----BEGIN "
)

// Parse reads one or more certificates and one private key from PEM text, in
// any order. The key may be PKCS #1 (RSA PRIVATE KEY), SEC 1 (EC PRIVATE KEY)
// or PKCS #8 (PRIVATE KEY), RSA of 1024 to 8192 bits or ECDSA on P-256, P-384
// or P-521. The certificate that belongs to the key comes first in the chain;
// the others follow it, each issuer after what it issued where that can be
// told.
func Parse(pemText string) (*Identity, error) {
	blocks, err := splitPEM(pemText)
	if err != nil {
		return nil, fmt.Errorf("pem: %w", err)
	}
	var certificates []*x509.Certificate
	var key crypto.Signer
	for n, block := range blocks {
		where := fmt.Sprintf("block %d", n+1)
		switch block.Type {
		case labelCertificate:
			certificate, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, fmt.Errorf("pem: %s: the certificate is broken; export it again as X.509 in PEM", where)
			}
			certificates = append(certificates, certificate)
		case "RSA PRIVATE KEY", "EC PRIVATE KEY", "PRIVATE KEY":
			if key != nil {
				return nil, fmt.Errorf("pem: %s: a second private key; give one key only", where)
			}
			if key, err = parseKey(block); err != nil {
				return nil, fmt.Errorf("pem: %s: %w", where, err)
			}
		case "ENCRYPTED PRIVATE KEY":
			return nil, fmt.Errorf("pem: %s: %w", where, errEncrypted)
		}
	}
	switch {
	case len(certificates) == 0 && key == nil:
		return nil, errors.New("pem: it holds neither a certificate nor a private key; give both as PEM blocks, CERTIFICATE and PRIVATE KEY")
	case len(certificates) == 0:
		return nil, errors.New("pem: the certificate is missing; add its CERTIFICATE block")
	case key == nil:
		return nil, errors.New("pem: the private key is missing; add its PRIVATE KEY block")
	}
	return assemble(certificates, key)
}

var errEncrypted = errors.New("the private key is encrypted; decrypt it first (openssl pkey -in key.pem -out plain.pem)")

// assemble puts the certificate of key first and its issuers behind it.
func assemble(certificates []*x509.Certificate, key crypto.Signer) (*Identity, error) {
	at := -1
	for n, certificate := range certificates {
		if samePublic(certificate.PublicKey, key.Public()) {
			at = n
			break
		}
	}
	if at < 0 {
		return nil, errors.New("pem: the private key does not match any certificate; give the key that the certificate was made for")
	}
	leaf := certificates[at]
	rest := append(certificates[:at:at], certificates[at+1:]...)
	identity := &Identity{leaf: leaf, key: key, chain: [][]byte{leaf.Raw}}
	for current := leaf; len(rest) > 0; {
		next := 0
		for n, candidate := range rest {
			if string(candidate.RawSubject) == string(current.RawIssuer) {
				next = n
				break
			}
		}
		current = rest[next]
		identity.chain = append(identity.chain, current.Raw)
		rest = append(rest[:next:next], rest[next+1:]...)
	}
	return identity, nil
}

func samePublic(a, b crypto.PublicKey) bool {
	key, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && key.Equal(b)
}

// parseKey reads a private key. Errors of the parsers are not passed on: some
// describe what they read.
func parseKey(block *pem.Block) (crypto.Signer, error) {
	if strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
		return nil, errEncrypted
	}
	var key any
	var err error
	switch block.Type {
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	}
	if err != nil {
		return nil, fmt.Errorf("the private key (%s) is broken or of a kind that is not supported; give RSA (%d to %d bits) or ECDSA (P-256, P-384, P-521)",
			block.Type, minRSABits, maxRSABits)
	}
	switch key := key.(type) {
	case *rsa.PrivateKey:
		if bits := key.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return nil, fmt.Errorf("the RSA key has %d bits; give one of %d to %d", bits, minRSABits, maxRSABits)
		}
		return key, nil
	case *ecdsa.PrivateKey:
		switch key.Curve {
		case elliptic.P256(), elliptic.P384(), elliptic.P521():
			return key, nil
		}
		return nil, errors.New("the ECDSA key lies on a curve that is not supported; give P-256, P-384 or P-521")
	}
	return nil, errors.New("the private key is neither RSA nor ECDSA; give one of these")
}

// splitPEM cuts text into its blocks. encoding/pem skips a broken block
// silently; here it is an error that says which.
func splitPEM(text string) ([]*pem.Block, error) {
	var blocks []*pem.Block
	for start := strings.Index(text, beginMark); start >= 0; {
		text = text[start:]
		next := strings.Index(text[len(beginMark):], beginMark)
		part := text
		if next >= 0 {
			next += len(beginMark)
			part = text[:next]
		}
		block, _ := pem.Decode([]byte(part))
		if block == nil {
			return nil, fmt.Errorf("block %d is broken: its base64 or its END line is damaged; copy the whole block, line breaks included", len(blocks)+1)
		}
		blocks = append(blocks, block)
		start = next
	}
	return blocks, nil
}
