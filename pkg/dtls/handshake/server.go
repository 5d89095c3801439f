// SPDX-License-Identifier: LGPL-2.1-or-later

package handshake

import (
	"crypto/ecdh"
	"crypto/rand"
	"crypto/x509"
	"slices"

	"golang.org/x/crypto/cryptobyte"
)

// Server is a server's handshake: Hello, Flight, Agree, Finished. It always asks
// for a certificate.
type Server struct {
	state
	curve group
	peer  *ecdh.PublicKey
	step  int
}

// NewServer makes a server's handshake.
func NewServer(config Config) *Server {
	s := &Server{}
	s.init(config)
	return s
}

// Hello takes the ClientHello and returns the server's flight, ServerHello to
// ServerHelloDone, numbered from the ClientHello's message_seq on.
func (s *Server) Hello(raw []byte) (flight [][]byte, err error) {
	if s.step != 0 || len(raw) < headerSize {
		return nil, errStep
	}
	s.step = -1
	s.expect = Seq(raw)
	s.next = s.expect
	body, err := s.take(raw, typeClientHello)
	if err != nil {
		return nil, err
	}
	h, ok := parseClientHello(body)
	if !ok {
		return nil, malformed("ClientHello")
	}
	by, err := s.choose(h)
	if err != nil {
		return nil, err
	}
	if err = s.share(s.curve); err != nil {
		return nil, err
	}
	m := &s.secrets
	m.ClientRandom = h.random
	_, _ = rand.Read(m.ServerRandom[:]) // never fails

	hello, err := message(typeServerHello, s.next, func(b *cryptobyte.Builder) { s.serverHello(b, h) })
	if err = s.add(&flight, hello, err); err != nil {
		return nil, err
	}
	chain, err := certificateMessage(s.next, s.config.Chain)
	if err = s.add(&flight, chain, err); err != nil {
		return nil, err
	}
	point := s.private.PublicKey().Bytes()
	params := append([]byte{3, byte(s.curve.id >> 8), byte(s.curve.id), byte(len(point))}, point...)
	signature, err := by.sign(s.config.Key, m.ClientRandom[:], m.ServerRandom[:], params)
	if err != nil {
		return nil, err
	}
	exchange, err := signedMessage(typeServerKeyExchange, s.next, params, by, signature)
	if err = s.add(&flight, exchange, err); err != nil {
		return nil, err
	}
	request, err := message(typeCertificateRequest, s.next, func(b *cryptobyte.Builder) {
		b.AddBytes([]byte{2, certECDSA, certRSA})
		addSchemes(b)
		b.AddUint16(0) // any issuer
	})
	if err = s.add(&flight, request, err); err != nil {
		return nil, err
	}
	done, err := message(typeServerHelloDone, s.next, nil)
	if err = s.add(&flight, done, err); err != nil {
		return nil, err
	}
	s.step = 1
	return flight, nil
}

// choose agrees with what the client offers.
func (s *Server) choose(h *hello) (by scheme, err error) {
	switch {
	case h.version>>8 != 0xfe || h.version > version: // the numbers count down
		return by, fault(alertProtocolVersion, "the client speaks at most version 0x%04x; only DTLS 1.2 is spoken", h.version)
	case !slices.Contains(h.compression, 0):
		return by, fault(alertIllegalParameter, "the client insists on compression")
	case len(h.secure) > 0:
		return by, fault(alertHandshakeFailure, "the client's renegotiation_info is not empty")
	case h.has(extPointFormats) && !slices.Contains(h.formats, 0):
		return by, fault(alertIllegalParameter, "the client does not take uncompressed points")
	}
	kind := kindOf(s.config.Key.Public())
	i := slices.IndexFunc(suites, func(x Suite) bool { return x.suits(kind) && slices.Contains(h.suites, x.ID) })
	if i < 0 {
		return by, fault(alertHandshakeFailure, "no cipher suite of the client's suits this end's certificate: it offers none of ECDHE with AES-GCM for it")
	}
	s.secrets.Suite = suites[i]
	i = 0 // RFC 8422 section 4: without supported_groups any will do
	if h.has(extSupportedGroups) {
		i = slices.IndexFunc(groups, func(g group) bool { return slices.Contains(h.groups, g.id) })
	}
	if i < 0 {
		return by, fault(alertInsufficientSecurity, "the client offers none of the groups P-256, X25519 and P-384")
	}
	s.curve = groups[i]
	by, ok := choose(s.config.Key, h.schemes)
	if !ok {
		return by, fault(alertInsufficientSecurity, "the client takes no signature scheme of this end's certificate")
	}
	s.ems = h.master
	for _, p := range s.config.Profiles {
		if slices.Contains(h.profiles, p) {
			s.profile = p
			break
		}
	}
	return by, nil
}

func (s *Server) serverHello(b *cryptobyte.Builder, h *hello) {
	b.AddUint16(version)
	b.AddBytes(s.secrets.ServerRandom[:])
	b.AddUint8(0) // no session
	b.AddUint16(s.secrets.Suite.ID)
	b.AddUint8(0) // no compression
	secure := h.hasSecure || slices.Contains(h.suites, scsv)
	if !secure && !s.ems && s.profile == 0 && !h.has(extPointFormats) {
		return // a list must not be empty
	}
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		if secure {
			addRenegotiation(b)
		}
		if s.ems {
			addExtension(b, extMasterSecret, nil)
		}
		if s.profile != 0 { // else it is left out (RFC 5764 section 4.1)
			addSRTP(b, []uint16{s.profile})
		}
		if h.has(extPointFormats) {
			addPointFormats(b)
		}
	})
}

// Flight takes the client's: Certificate, ClientKeyExchange, CertificateVerify.
// leaf is the first of its certificates and scheme that of the signature, which
// the caller has verified by it over all messages before.
func (s *Server) Flight(messages [][]byte, leaf *x509.Certificate, scheme uint16) error {
	if s.step != 1 || len(messages) != 3 {
		return fault(alertUnexpectedMessage, "the client's flight has %d messages", len(messages))
	}
	s.step = -1
	if err := s.takeChain(messages[0], leaf); err != nil {
		return err
	}
	if err := proven(leaf, scheme); err != nil {
		return err
	}
	body, err := s.take(messages[1], typeClientKeyExchange)
	if err != nil {
		return err
	}
	var point cryptobyte.String
	if !body.ReadUint8LengthPrefixed(&point) || !body.Empty() {
		return malformed("ClientKeyExchange")
	}
	if s.peer, err = s.curve.curve.NewPublicKey(point); err != nil {
		return fault(alertIllegalParameter, "the client's key share is not a point of its group")
	}
	if err = s.agree(s.peer); err != nil { // before the CertificateVerify is in the transcript
		return err
	}
	if body, err = s.take(messages[2], typeCertificateVerify); err != nil {
		return err
	}
	var id uint16
	var signature cryptobyte.String
	if !body.ReadUint16(&id) || !body.ReadUint16LengthPrefixed(&signature) || !body.Empty() || id != scheme {
		return malformed("CertificateVerify")
	}
	s.step = 2
	return nil
}

// Finished takes the client's and returns the server's, which ends the
// handshake, for behind its ChangeCipherSpec. The peer's certificate is judged
// before.
func (s *Server) Finished(raw []byte) ([]byte, error) {
	if s.step != 2 {
		return nil, errStep
	}
	s.step = -1
	if err := s.finished(raw, true); err != nil {
		return nil, err
	}
	own, err := s.finish(false)
	if err != nil {
		return nil, err
	}
	s.step = 3
	return own, nil
}
