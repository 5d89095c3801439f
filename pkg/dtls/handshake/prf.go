// SPDX-License-Identifier: LGPL-2.1-or-later

package handshake

import (
	"crypto/hmac"
	"hash"
)

const (
	masterSize   = 48
	verifySize   = 12
	finishedSize = headerSize + verifySize
)

// pseudoRandom fills out with PRF(secret, label, seed) of RFC 5246 section 5, by the
// hash of the cipher suite.
func pseudoRandom(newHash func() hash.Hash, secret []byte, label string, out []byte, seed ...[]byte) {
	expand(hmac.New(newHash, secret), label, out, seed...)
}

// expand is pseudoRandom with a fresh HMAC that has the secret.
func expand(mac hash.Hash, label string, out []byte, seed ...[]byte) {
	write := func() {
		mac.Write([]byte(label))
		for _, s := range seed {
			mac.Write(s)
		}
	}
	var a, block [64]byte // no hash is longer
	write()
	last := mac.Sum(a[:0])
	for {
		mac.Reset()
		mac.Write(last)
		write()
		n := copy(out, mac.Sum(block[:0]))
		if out = out[n:]; len(out) == 0 {
			return
		}
		mac.Reset()
		mac.Write(last)
		last = mac.Sum(a[:0])
	}
}

// Secrets are what a handshake ends in. They must not be logged, and are not for
// use by several goroutines at a time.
type Secrets struct {
	Suite                      Suite
	ClientRandom, ServerRandom [32]byte
	master                     [masterSize]byte
	mac                        hash.Hash // HMAC with the master secret
}

// derive fills out with the PRF of the master secret.
func (s *Secrets) derive(label string, out []byte, seed ...[]byte) {
	if s.mac == nil {
		s.mac = hmac.New(s.Suite.hash.New, s.master[:])
	}
	s.mac.Reset()
	expand(s.mac, label, out, seed...)
}

// Export is the exporter of RFC 5705 without a context.
func (s *Secrets) Export(label string, n int) []byte {
	out := make([]byte, n)
	s.derive(label, out, s.ClientRandom[:], s.ServerRandom[:])
	return out
}

// Keys are the keys and implicit nonces that protect records (RFC 5246 section
// 6.3, RFC 5288 section 3).
func (s *Secrets) Keys() (clientKey, serverKey, clientIV, serverIV []byte) {
	const iv = 4
	k := s.Suite.KeyLen
	block := make([]byte, 2*(k+iv))
	s.derive("key expansion", block, s.ServerRandom[:], s.ClientRandom[:])
	return block[:k:k], block[k : 2*k : 2*k], block[2*k : 2*k+iv : 2*k+iv], block[2*k+iv:]
}
