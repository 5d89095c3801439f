// SPDX-License-Identifier: LGPL-2.1-or-later

package handshake

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha256" // for crypto.SHA256
	_ "crypto/sha512" // for crypto.SHA384 and SHA512
	"slices"
)

// Suite is a cipher suite.
type Suite struct {
	ID     uint16
	KeyLen int // of AES-GCM, in bytes
	hash   crypto.Hash
	rsa    bool // the server's key is RSA, else one of elliptic curves
}

// suites are offered, and chosen from, in this order. Every peer that matters
// has AES-128-GCM, which is also the cheapest.
var suites = []Suite{
	{0xc02b, 16, crypto.SHA256, false}, // TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
	{0xc02f, 16, crypto.SHA256, true},  // TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
	{0xc02c, 32, crypto.SHA384, false}, // TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
	{0xc030, 32, crypto.SHA384, true},  // TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
}

// group is a named group of RFC 8422 section 5.1.1.
type group struct {
	id    uint16
	curve ecdh.Curve
}

// groups are offered, and chosen from, in this order. One handshake costs about
// the same with each of the first two.
var groups = []group{{23, ecdh.P256()}, {29, ecdh.X25519()}, {24, ecdh.P384()}}

func groupByID(id uint16) (group, bool) {
	i := slices.IndexFunc(groups, func(g group) bool { return g.id == id })
	if i < 0 {
		return group{}, false
	}
	return groups[i], true
}

// scheme is a SignatureScheme (RFC 5246 section 7.4.1.4.1, RFC 8446 section 4.2.3).
type scheme struct {
	id    uint16
	kind  keyKind
	hash  crypto.Hash // 0: Ed25519 hashes by itself
	pss   bool
	curve elliptic.Curve // whose keys prefer it
}

type keyKind uint8

const (
	kindNone keyKind = iota
	kindECDSA
	kindEd25519
	kindRSA
)

// schemes are offered, and chosen from, in this order. SHA-1 is not one of them.
var schemes = []scheme{
	{0x0403, kindECDSA, crypto.SHA256, false, elliptic.P256()},
	{0x0503, kindECDSA, crypto.SHA384, false, elliptic.P384()},
	{0x0603, kindECDSA, crypto.SHA512, false, elliptic.P521()},
	{0x0807, kindEd25519, 0, false, nil},
	{0x0804, kindRSA, crypto.SHA256, true, nil},
	{0x0805, kindRSA, crypto.SHA384, true, nil},
	{0x0806, kindRSA, crypto.SHA512, true, nil},
	{0x0401, kindRSA, crypto.SHA256, false, nil},
	{0x0501, kindRSA, crypto.SHA384, false, nil},
	{0x0601, kindRSA, crypto.SHA512, false, nil},
}

func schemeByID(id uint16) (scheme, bool) {
	i := slices.IndexFunc(schemes, func(s scheme) bool { return s.id == id })
	if i < 0 {
		return scheme{}, false
	}
	return schemes[i], true
}

// kindOf is the kind of a public key.
func kindOf(public crypto.PublicKey) keyKind {
	switch public.(type) {
	case *ecdsa.PublicKey:
		return kindECDSA
	case ed25519.PublicKey:
		return kindEd25519
	case *rsa.PublicKey:
		return kindRSA
	}
	return kindNone
}

// suits tells that a server with a key of this kind may use the suite (RFC 8422
// section 2.1).
func (s *Suite) suits(k keyKind) bool {
	if s.rsa {
		return k == kindRSA
	}
	return k == kindECDSA || k == kindEd25519
}

// choose finds the scheme by which key signs for a peer that accepts offered.
func choose(key crypto.Signer, offered []uint16) (scheme, bool) {
	public := key.Public()
	kind := kindOf(public)
	var best scheme
	for _, s := range schemes {
		if s.kind != kind || !slices.Contains(offered, s.id) {
			continue
		}
		if ec, ok := public.(*ecdsa.PublicKey); ok && s.curve == ec.Curve {
			return s, true
		}
		if r, ok := public.(*rsa.PublicKey); ok && s.pss && r.Size() < 2*s.hash.Size()+2 {
			continue // the key is too short for it (RFC 8017 section 9.1.1)
		}
		if best.id == 0 {
			best = s
		}
	}
	return best, best.id != 0
}

// sign signs the parts, one after another.
func (s scheme) sign(key crypto.Signer, parts ...[]byte) ([]byte, error) {
	if s.hash == 0 {
		return key.Sign(rand.Reader, slices.Concat(parts...), crypto.Hash(0))
	}
	h := s.hash.New()
	for _, p := range parts {
		h.Write(p)
	}
	var opts crypto.SignerOpts = s.hash
	if s.pss {
		opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: s.hash}
	}
	return key.Sign(rand.Reader, h.Sum(nil), opts)
}
