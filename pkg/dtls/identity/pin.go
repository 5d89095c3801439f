// SPDX-License-Identifier: LGPL-2.1-or-later

package identity

import (
	"crypto"
	_ "crypto/sha256" // for crypto.SHA224 and SHA256
	_ "crypto/sha512" // for crypto.SHA384 and SHA512
	"crypto/subtle"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
)

// hashes are the hash functions of RFC 8122 section 5 that still count as
// strong.
var hashes = []struct {
	name string
	hash crypto.Hash
}{
	{"sha-256", crypto.SHA256},
	{"sha-384", crypto.SHA384},
	{"sha-512", crypto.SHA512},
	{"sha-224", crypto.SHA224},
}

func findHash(name string) (string, crypto.Hash, error) {
	name = strings.ToLower(name)
	for _, known := range hashes {
		if name == known.name {
			return known.name, known.hash, nil
		}
	}
	switch name {
	case "sha-1", "md5", "md2":
		return "", 0, fmt.Errorf("%s is too weak to identify a certificate; use sha-256", name)
	}
	return "", 0, fmt.Errorf("unknown hash function %q; use sha-256, sha-384, sha-512 or sha-224", name)
}

func digest(hash crypto.Hash, der []byte) []byte {
	h := hash.New()
	h.Write(der)
	return h.Sum(nil)
}

// Fingerprint is a certificate's fingerprint in the syntax of SDP's
// a=fingerprint (RFC 8122 section 5): "sha-256 AA:BB:…".
func Fingerprint(hash string, der []byte) (string, error) {
	name, function, err := findHash(hash)
	if err != nil {
		return "", fmt.Errorf("fingerprint: %w", err)
	}
	return name + " " + colons(digest(function, der)), nil
}

func colons(sum []byte) string {
	const digits = "0123456789ABCDEF"
	text := make([]byte, 0, 3*len(sum))
	for n, b := range sum {
		if n > 0 {
			text = append(text, ':')
		}
		text = append(text, digits[b>>4], digits[b&15])
	}
	return string(text)
}

// Pin is a fingerprint that a peer's certificate has to have.
type Pin struct {
	name string
	hash crypto.Hash
	sum  []byte
}

// ParsePins reads fingerprints in the syntax of RFC 8122 section 5, several
// of them divided by commas or line breaks. Upper and lower case are the
// same, and "a=fingerprint:" or "fingerprint:" may stand before each. Hash
// functions: sha-256, sha-384, sha-512, sha-224. An empty text is no pin.
func ParsePins(s string) ([]Pin, error) {
	var pins []Pin
	for _, part := range strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == '\n' || r == '\r' }) {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		pin, err := parsePin(part)
		if err != nil {
			return nil, fmt.Errorf("fingerprint %d: %w", len(pins)+1, err)
		}
		pins = append(pins, pin)
	}
	return pins, nil
}

func parsePin(text string) (Pin, error) {
	for _, prefix := range []string{"a=fingerprint:", "fingerprint:"} {
		if len(text) >= len(prefix) && strings.EqualFold(text[:len(prefix)], prefix) {
			text = strings.TrimSpace(text[len(prefix):])
			break
		}
	}
	fields := strings.Fields(text)
	if len(fields) != 2 {
		return Pin{}, errors.New("want the hash function, a space and the hash, as in \"sha-256 AA:BB:…\"")
	}
	name, hash, err := findHash(fields[0])
	if err != nil {
		return Pin{}, err
	}
	groups := strings.Split(fields[1], ":")
	if len(groups) != hash.Size() {
		return Pin{}, fmt.Errorf("%s has %d bytes, this one has %d; copy the whole fingerprint", name, hash.Size(), len(groups))
	}
	sum := make([]byte, 0, hash.Size())
	for n, group := range groups {
		b, err := hex.DecodeString(group)
		if err != nil || len(b) != 1 {
			return Pin{}, fmt.Errorf("byte %d is not two hexadecimal digits", n+1)
		}
		sum = append(sum, b[0])
	}
	return Pin{name: name, hash: hash, sum: sum}, nil
}

// Match tells whether a certificate has the fingerprint. It takes the same
// time for every certificate of one length. The zero Pin matches nothing.
func (p Pin) Match(der []byte) bool {
	if len(p.sum) == 0 {
		return false
	}
	return subtle.ConstantTimeCompare(digest(p.hash, der), p.sum) == 1
}

// String is the fingerprint as RFC 8122 writes it.
func (p Pin) String() string { return p.name + " " + colons(p.sum) }

// LoadCAs reads the certificates of trusted authorities from a PEM file.
func LoadCAs(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("certificate authorities: %w; give a PEM file that can be read", err)
	}
	blocks, err := splitPEM(string(text))
	if err != nil {
		return nil, fmt.Errorf("certificate authorities: %s: %w", file, err)
	}
	pool := x509.NewCertPool()
	found := false
	for n, block := range blocks {
		if block.Type != labelCertificate {
			continue
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate authorities: %s: block %d is no X.509 certificate; export it again", file, n+1)
		}
		pool.AddCert(certificate)
		found = true
	}
	if !found {
		return nil, fmt.Errorf("certificate authorities: %s holds no CERTIFICATE block; give the authorities' certificates in PEM", file)
	}
	return pool, nil
}
