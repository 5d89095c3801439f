// SPDX-License-Identifier: LGPL-2.1-or-later

package handshake

import (
	"crypto/x509"
	"encoding/binary"
	"slices"

	"golang.org/x/crypto/cryptobyte"
)

// Client is a client's handshake: Hello, perhaps again with a cookie, Flight,
// Reply, Finished.
type Client struct {
	state
	curve     group
	peer      []byte // the server's key share
	requested bool
	types     []byte   // of the certificate that the server asks for
	accepted  []uint16 // signature schemes
	step      int
}

// NewClient makes a client's handshake with its random.
func NewClient(config Config, random [32]byte) *Client {
	c := &Client{}
	c.init(config)
	c.secrets.ClientRandom = random
	return c
}

// Hello is the ClientHello: without a cookie the first one, with one that which
// follows a HelloVerifyRequest (RFC 6347 section 4.2.1).
func (c *Client) Hello(cookie []byte) ([]byte, error) {
	c.transcript, c.next, c.expect = c.transcript[:0], 0, 0
	if cookie != nil {
		// The first ClientHello and the HelloVerifyRequest are in no hash.
		c.next, c.expect = 1, 1
	}
	raw, err := message(typeClientHello, c.next, func(b *cryptobyte.Builder) {
		b.AddUint16(version)
		b.AddBytes(c.secrets.ClientRandom[:])
		b.AddUint8(0) // no session
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(cookie) })
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
			for i := range suites {
				b.AddUint16(suites[i].ID)
			}
		})
		b.AddBytes([]byte{1, 0}) // no compression
		b.AddUint16LengthPrefixed(c.extensions)
	})
	var flight [][]byte
	return raw, c.add(&flight, raw, err)
}

func (c *Client) extensions(b *cryptobyte.Builder) {
	if hostName(c.config.ServerName) {
		addExtension(b, extServerName, func(b *cryptobyte.Builder) {
			b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
				b.AddUint8(0) // host_name
				b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(c.config.ServerName)) })
			})
		})
	}
	addExtension(b, extSignatureAlgorithms, addSchemes)
	addRenegotiation(b)
	addExtension(b, extSupportedGroups, func(b *cryptobyte.Builder) {
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
			for _, g := range groups {
				b.AddUint16(g.id)
			}
		})
	})
	addPointFormats(b)
	if len(c.config.Profiles) > 0 {
		addSRTP(b, c.config.Profiles)
	}
	addExtension(b, extMasterSecret, nil)
}

func addSchemes(b *cryptobyte.Builder) {
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		for i := range schemes {
			b.AddUint16(schemes[i].id)
		}
	})
}

// Flight takes the server's: ServerHello to ServerHelloDone. leaf is the first
// of its certificates and scheme that of the ServerKeyExchange's signature,
// which the caller has verified by it over this client's random, the server's
// and the key share. An error leaves the handshake of no use.
func (c *Client) Flight(messages [][]byte, leaf *x509.Certificate, scheme uint16) error {
	if c.step != 0 || len(messages) != 4 && len(messages) != 5 {
		return fault(alertUnexpectedMessage, "the server's flight has %d messages", len(messages))
	}
	c.step = -1
	if err := c.serverHello(messages[0]); err != nil {
		return err
	}
	if err := c.takeChain(messages[1], leaf); err != nil {
		return err
	}
	if err := proven(leaf, scheme); err != nil {
		return err
	}
	if !c.secrets.Suite.suits(kindOf(leaf.PublicKey)) {
		return fault(alertIllegalParameter, "the server's certificate does not suit the cipher suite 0x%04x", c.secrets.Suite.ID)
	}
	body, err := c.take(messages[2], typeServerKeyExchange)
	if err != nil {
		return err
	}
	if err := c.keyExchange(body, scheme); err != nil {
		return err
	}
	if len(messages) == 5 {
		if body, err = c.take(messages[3], typeCertificateRequest); err != nil {
			return err
		}
		var types, names cryptobyte.String
		if !body.ReadUint8LengthPrefixed(&types) || types.Empty() || !readUint16s(&body, &c.accepted) ||
			!body.ReadUint16LengthPrefixed(&names) || !body.Empty() {
			return malformed("CertificateRequest")
		}
		c.requested, c.types = true, types
	}
	if body, err = c.take(messages[len(messages)-1], typeServerHelloDone); err != nil {
		return err
	}
	if !body.Empty() {
		return malformed("ServerHelloDone")
	}
	c.step = 1
	return nil
}

func (c *Client) serverHello(raw []byte) error {
	body, err := c.take(raw, typeServerHello)
	if err != nil {
		return err
	}
	h, ok := parseServerHello(body)
	switch {
	case !ok:
		return malformed("ServerHello")
	case h.version != version:
		return fault(alertProtocolVersion, "the server chose the version 0x%04x; only DTLS 1.2 is spoken", h.version)
	case h.compression[0] != 0:
		return fault(alertIllegalParameter, "the server chose compression")
	}
	i := slices.IndexFunc(suites, func(s Suite) bool { return s.ID == h.suites[0] })
	if i < 0 {
		return fault(alertIllegalParameter, "the server chose the cipher suite 0x%04x, which was not offered", h.suites[0])
	}
	c.secrets.Suite, c.secrets.ServerRandom, c.ems = suites[i], h.random, h.master
	for _, ext := range h.present {
		switch ext {
		case extSupportedGroups, extPointFormats, extMasterSecret, extRenegotiation:
			continue
		case extServerName:
			if hostName(c.config.ServerName) {
				continue
			}
		case extUseSRTP:
			if len(c.config.Profiles) > 0 {
				continue
			}
		}
		return fault(alertUnsupportedExtension, "the server answers an extension that was not offered: %d", ext)
	}
	if len(h.secure) > 0 {
		return fault(alertHandshakeFailure, "the server's renegotiation_info is not empty")
	}
	if h.has(extPointFormats) && !slices.Contains(h.formats, 0) {
		return fault(alertIllegalParameter, "the server does not take uncompressed points")
	}
	if h.has(extUseSRTP) {
		// RFC 5764 section 4.1.3: the MKI is that of the client or left out.
		if len(h.profiles) != 1 || !slices.Contains(c.config.Profiles, h.profiles[0]) || len(h.mki) > 0 {
			return fault(alertIllegalParameter, "the server chose an SRTP profile that was not offered")
		}
		c.profile = h.profiles[0]
	}
	return nil
}

// keyExchange reads a ServerKeyExchange (RFC 8422 section 5.4).
func (c *Client) keyExchange(body cryptobyte.String, scheme uint16) error {
	var kind uint8
	var curve, signed uint16
	var point, signature cryptobyte.String
	if !body.ReadUint8(&kind) || !body.ReadUint16(&curve) || !body.ReadUint8LengthPrefixed(&point) ||
		!body.ReadUint16(&signed) || !body.ReadUint16LengthPrefixed(&signature) || !body.Empty() {
		return malformed("ServerKeyExchange")
	}
	g, ok := groupByID(curve)
	switch {
	case kind != 3 || !ok: // named_curve
		return fault(alertIllegalParameter, "the server chose a group that was not offered: %d", curve)
	case signed != scheme:
		return fault(alertDecryptError, "another signature was verified than the ServerKeyExchange's")
	}
	c.curve, c.peer = g, point
	return nil
}

// Reply is the client's flight before its ChangeCipherSpec, and the Finished
// behind it. The peer's certificate is judged before.
func (c *Client) Reply() (flight [][]byte, finished []byte, err error) {
	if c.step != 1 {
		return nil, nil, errStep
	}
	c.step = -1
	share, err := c.curve.curve.NewPublicKey(c.peer)
	if err != nil {
		return nil, nil, fault(alertIllegalParameter, "the server's key share is not a point of its group")
	}
	if err = c.share(c.curve); err != nil {
		return nil, nil, err
	}
	by, certified := c.chooseScheme()
	if c.requested {
		chain := c.config.Chain
		if !certified {
			chain = nil // RFC 5246 section 7.4.6: it is the server's to go on without
		}
		raw, err := certificateMessage(c.next, chain)
		if err = c.add(&flight, raw, err); err != nil {
			return nil, nil, err
		}
	}
	public := c.private.PublicKey().Bytes()
	raw, err := message(typeClientKeyExchange, c.next, func(b *cryptobyte.Builder) {
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(public) })
	})
	if err = c.add(&flight, raw, err); err != nil {
		return nil, nil, err
	}
	if err = c.agree(share); err != nil {
		return nil, nil, err
	}
	if certified {
		signature, err := by.sign(c.config.Key, c.transcript)
		if err != nil {
			return nil, nil, err
		}
		raw, err := signedMessage(typeCertificateVerify, c.next, nil, by, signature)
		if err = c.add(&flight, raw, err); err != nil {
			return nil, nil, err
		}
	}
	if finished, err = c.finish(true); err != nil {
		return nil, nil, err
	}
	c.step = 2
	return flight, finished, nil
}

// chooseScheme says how this end signs, if it was asked to and can.
func (c *Client) chooseScheme() (scheme, bool) {
	if !c.requested || c.config.Key == nil {
		return scheme{}, false
	}
	want := byte(certECDSA)
	if kindOf(c.config.Key.Public()) == kindRSA {
		want = certRSA
	}
	if !slices.Contains(c.types, want) {
		return scheme{}, false
	}
	return choose(c.config.Key, c.accepted)
}

// Finished takes the server's, which ends the handshake.
func (c *Client) Finished(raw []byte) error {
	if c.step != 2 {
		return errStep
	}
	c.step = -1
	if err := c.finished(raw, false); err != nil {
		return err
	}
	c.step = 3
	return nil
}

var errStep = fault(alertUnexpectedMessage, "the handshake is not at this step")

// Seq is the message_seq of a raw message.
func Seq(raw []byte) uint16 { return binary.BigEndian.Uint16(raw[4:]) }
