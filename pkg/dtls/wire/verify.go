// SPDX-License-Identifier: LGPL-2.1-or-later

package wire

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	_ "crypto/sha256" // for crypto.SHA256
	_ "crypto/sha512" // for crypto.SHA384 and SHA512
	"crypto/x509"
)

// maxRSABits bounds the work that a peer's certificate may cost.
const maxRSABits = 8192

// signatureOf is the key type and hash of a TLS 1.2 signature scheme
// (RFC 5246 7.4.1.4.1, RFC 8446 4.2.3). SHA-1 is missing: it is
// neither offered nor accepted.
type signatureOf struct {
	key  byte // 'e' ECDSA, 'r' RSA PKCS #1, 'p' RSA-PSS, 'd' Ed25519
	hash crypto.Hash
}

func schemeOf(id int) (signatureOf, bool) {
	switch id {
	case 0x0403:
		return signatureOf{'e', crypto.SHA256}, true
	case 0x0503:
		return signatureOf{'e', crypto.SHA384}, true
	case 0x0603:
		return signatureOf{'e', crypto.SHA512}, true
	case 0x0401:
		return signatureOf{'r', crypto.SHA256}, true
	case 0x0501:
		return signatureOf{'r', crypto.SHA384}, true
	case 0x0601:
		return signatureOf{'r', crypto.SHA512}, true
	case 0x0804:
		return signatureOf{'p', crypto.SHA256}, true
	case 0x0805:
		return signatureOf{'p', crypto.SHA384}, true
	case 0x0806:
		return signatureOf{'p', crypto.SHA512}, true
	case 0x0807:
		return signatureOf{'d', 0}, true
	}
	return signatureOf{}, false
}

// signed is a signature with its scheme.
type signed struct {
	id        uint16
	scheme    signatureOf
	signature []byte
}

func parseSigned(c *cursor) (signed, bool) {
	id := c.uint16()
	scheme, ok := schemeOf(id)
	s := signed{id: uint16(id), scheme: scheme, signature: c.vector16()}
	return s, ok && c.done() && len(s.signature) > 0
}

// verify tells whether s signs the parts, one after another, with key.
func (s signed) verify(key crypto.PublicKey, parts ...[]byte) bool {
	if s.scheme.key == 'd' {
		public, ok := key.(ed25519.PublicKey)
		if !ok {
			return false
		}
		var message []byte
		for _, part := range parts {
			message = append(message, part...)
		}
		return ed25519.Verify(public, message, s.signature)
	}
	var ec *ecdsa.PublicKey
	var rs *rsa.PublicKey
	var ok bool
	if s.scheme.key == 'e' {
		ec, ok = key.(*ecdsa.PublicKey)
	} else {
		rs, ok = key.(*rsa.PublicKey)
	}
	if !ok {
		return false
	}
	h := s.scheme.hash.New()
	for _, part := range parts {
		h.Write(part)
	}
	sum := h.Sum(nil)
	switch s.scheme.key {
	case 'e':
		return ecdsa.VerifyASN1(ec, sum, s.signature)
	case 'r':
		return rsa.VerifyPKCS1v15(rs, s.scheme.hash, sum, s.signature) == nil
	default:
		return rsa.VerifyPSS(rs, s.scheme.hash, sum, s.signature,
			&rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: s.scheme.hash}) == nil
	}
}

// certificate is what a Certificate message proves: the key of its first
// certificate. key is nil for an empty list.
type certificate struct {
	key  crypto.PublicKey
	leaf *x509.Certificate
}

func parseCertificate(body []byte) (certificate, bool) {
	c := cursor{b: body}
	list := cursor{b: c.take(c.uint24())}
	if !c.done() {
		return certificate{}, false
	}
	var leaf []byte
	for len(list.b) > 0 {
		der := list.take(list.uint24())
		if list.bad || len(der) == 0 {
			return certificate{}, false
		}
		if leaf == nil {
			leaf = der
		}
	}
	if leaf == nil {
		return certificate{}, true
	}
	parsed, err := x509.ParseCertificate(leaf)
	if err != nil {
		return certificate{}, false
	}
	switch key := parsed.PublicKey.(type) {
	case *ecdsa.PublicKey, ed25519.PublicKey:
	case *rsa.PublicKey:
		if key.N.BitLen() > maxRSABits {
			return certificate{}, false
		}
	default:
		return certificate{}, false
	}
	return certificate{key: parsed.PublicKey, leaf: parsed}, true
}

// serverHello is a ServerHello's random.
type serverHello struct{ random []byte }

func parseServerHello(body []byte) (serverHello, bool) {
	c := cursor{b: body}
	version := c.uint16()
	h := serverHello{random: c.take(32)}
	session := c.vector8()
	c.uint16()
	compression := c.uint8()
	if c.bad || version != version12 || len(session) > 32 || compression != 0 {
		return serverHello{}, false
	}
	if len(c.b) > 0 && !extensionsOK(&c) {
		return serverHello{}, false
	}
	return h, c.done()
}

// Named curves that the stack knows (RFC 8422 5.1.1).
const (
	curveP256   = 23
	curveP384   = 24
	curveX25519 = 29
)

// keyExchange is a ServerKeyExchange with a named curve (RFC 8422 5.4).
type keyExchange struct {
	params []byte
	curve  int
	signed signed
}

func parseKeyExchange(body []byte) (keyExchange, bool) {
	c := cursor{b: body}
	curveType := c.uint8()
	k := keyExchange{curve: c.uint16()}
	point := c.vector8()
	if c.bad || curveType != 3 || !pointSize(k.curve, len(point)) {
		return keyExchange{}, false
	}
	k.params = body[:len(body)-len(c.b)]
	var ok bool
	k.signed, ok = parseSigned(&c)
	return k, ok
}

func pointSize(curve, size int) bool {
	switch curve {
	case curveP256:
		return size == 65
	case curveP384:
		return size == 97
	case curveX25519:
		return size == 32
	}
	return false
}

// clientKeyOK tells whether a ClientKeyExchange holds a point of the curve
// (RFC 8422 5.7).
func clientKeyOK(body []byte, curve int) bool {
	c := cursor{b: body}
	point := c.vector8()
	if !c.done() || !pointSize(curve, len(point)) {
		return false
	}
	var err error
	switch curve {
	case curveP256:
		_, err = ecdh.P256().NewPublicKey(point)
	case curveP384:
		_, err = ecdh.P384().NewPublicKey(point)
	case curveX25519:
		_, err = ecdh.X25519().NewPublicKey(point)
	}
	return err == nil
}

// requestOK checks the lengths in a CertificateRequest (RFC 5246 7.4.4).
func requestOK(body []byte) bool {
	c := cursor{b: body}
	types := c.vector8()
	schemes := c.vector16()
	c.vector16()
	return c.done() && len(types) > 0 && len(schemes) > 0 && len(schemes)%2 == 0
}
