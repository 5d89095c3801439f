// SPDX-License-Identifier: LGPL-2.1-or-later

package handshake

import (
	"crypto"
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/rand"
	"crypto/x509"
	"net/netip"

	"golang.org/x/crypto/cryptobyte"
)

// Config is who this end is and what it offers.
type Config struct {
	Chain [][]byte // of DER certificates, the own one first
	Key   crypto.Signer
	// Profiles are the SRTP profiles to offer or to choose from, by preference
	// (RFC 5764 section 4.1.2). None: no use_srtp.
	Profiles []uint16
	// ServerName is what a client sends in server_name (RFC 6066); an address is not sent.
	ServerName string
}

// state is what both roles have.
type state struct {
	config     Config
	secrets    Secrets
	ems        bool // extended master secret
	profile    uint16
	chain      [][]byte // of the peer
	private    *ecdh.PrivateKey
	transcript []byte
	next       uint16 // message_seq of the own next message
	expect     uint16 // of the peer's next one
}

func (s *state) init(config Config) {
	s.config = config
	s.transcript = make([]byte, 0, 3072) // enough for one certificate of each end
}

// Chain is the peer's certificates, the own one first, once its flight came.
func (s *state) Chain() [][]byte { return s.chain }

// Secrets are those of the handshake, once they are agreed. The peer has proven
// to have them only when its Finished was taken.
func (s *state) Secrets() *Secrets { return &s.secrets }

// Profile is the SRTP profile that was agreed, 0 for none.
func (s *state) Profile() uint16 { return s.profile }

// add builds an own message and adds it to the transcript.
func (s *state) add(flight *[][]byte, raw []byte, err error) error {
	if err != nil {
		return err
	}
	s.next++
	s.transcript = append(s.transcript, raw...)
	*flight = append(*flight, raw)
	return nil
}

// take checks a message of the peer, whose body it returns, and adds it to the transcript.
func (s *state) take(raw []byte, kind byte) (cryptobyte.String, error) {
	body, err := parse(raw, kind, s.expect)
	if err != nil {
		return nil, err
	}
	s.expect++
	s.transcript = append(s.transcript, raw...)
	return body, nil
}

// takeChain reads the peer's Certificate, whose first one leaf was made of.
func (s *state) takeChain(raw []byte, leaf *x509.Certificate) error {
	body, err := s.take(raw, typeCertificate)
	if err != nil {
		return err
	}
	chain, ok := parseCertificates(body)
	if !ok {
		return malformed("Certificate")
	}
	if leaf == nil || string(leaf.Raw) != string(chain[0]) {
		return fault(alertDecryptError, "no signature was verified by the peer's certificate")
	}
	s.chain = chain
	return nil
}

// proven checks that a signature, which the caller has verified, was made by a
// scheme that was offered and that suits the certificate.
func proven(leaf *x509.Certificate, id uint16) error {
	s, ok := schemeByID(id)
	if !ok || s.kind != kindOf(leaf.PublicKey) {
		return fault(alertIllegalParameter, "the signature scheme 0x%04x was not offered or does not suit the certificate", id)
	}
	return nil
}

// sum is the hash of the transcript.
func (s *state) sum() []byte {
	h := s.secrets.Suite.hash.New()
	h.Write(s.transcript)
	return h.Sum(nil)
}

// agree makes the master secret of the peer's key share (RFC 5246 section 8.1,
// RFC 7627 section 4). The transcript ends with the ClientKeyExchange.
func (s *state) agree(share *ecdh.PublicKey) error {
	premaster, err := s.private.ECDH(share)
	if err != nil {
		return fault(alertIllegalParameter, "the peer's key share is of no use: %v", err)
	}
	m := &s.secrets
	if s.ems {
		pseudoRandom(m.Suite.hash.New, premaster, "extended master secret", m.master[:], s.sum())
	} else {
		pseudoRandom(m.Suite.hash.New, premaster, "master secret", m.master[:], m.ClientRandom[:], m.ServerRandom[:])
	}
	clear(premaster)
	s.private = nil
	return nil
}

// verifyData is that of a Finished after the present transcript (RFC 5246
// section 7.4.9).
func (s *state) verifyData(client bool) []byte {
	label := "server finished"
	if client {
		label = "client finished"
	}
	out := make([]byte, verifySize)
	s.secrets.derive(label, out, s.sum())
	return out
}

// finish makes the own Finished.
func (s *state) finish(client bool) ([]byte, error) {
	var flight [][]byte
	data := s.verifyData(client)
	raw, err := message(typeFinished, s.next, func(b *cryptobyte.Builder) { b.AddBytes(data) })
	return raw, s.add(&flight, raw, err)
}

// finished checks the peer's.
func (s *state) finished(raw []byte, client bool) error {
	want := s.verifyData(client)
	body, err := s.take(raw, typeFinished)
	if err != nil {
		return err
	}
	if !hmac.Equal(want, body) {
		return fault(alertDecryptError, "the peer's Finished does not match this handshake")
	}
	return nil
}

// share makes this end's key share.
func (s *state) share(g group) (err error) {
	s.private, err = g.curve.GenerateKey(rand.Reader)
	return err
}

// hostName tells that a server name may be sent.
func hostName(name string) bool {
	if name == "" || len(name) > 255 {
		return false
	}
	_, err := netip.ParseAddr(name)
	return err != nil
}
