// SPDX-License-Identifier: LGPL-2.1-or-later

package handshake

import (
	"encoding/binary"
	"slices"

	"golang.org/x/crypto/cryptobyte"
)

const (
	headerSize = 12
	version    = 0xfefd // DTLS 1.2
	randomSize = 32
)

// Handshake types (RFC 5246 section 7.4, RFC 6347 section 4.3.2).
const (
	typeClientHello        = 1
	typeServerHello        = 2
	typeCertificate        = 11
	typeServerKeyExchange  = 12
	typeCertificateRequest = 13
	typeServerHelloDone    = 14
	typeCertificateVerify  = 15
	typeClientKeyExchange  = 16
	typeFinished           = 20
)

// Extensions.
const (
	extServerName          = 0
	extSupportedGroups     = 10
	extPointFormats        = 11
	extSignatureAlgorithms = 13
	extUseSRTP             = 14
	extMasterSecret        = 23
	extRenegotiation       = 0xff01
)

// Certificate types (RFC 5246 section 7.4.4, RFC 8422 section 5.5).
const (
	certRSA   = 1
	certECDSA = 64
)

// message builds a raw message.
func message(kind byte, seq uint16, build func(b *cryptobyte.Builder)) ([]byte, error) {
	b := cryptobyte.NewBuilder(make([]byte, 0, 192))
	b.AddBytes([]byte{kind, 0, 0, 0, byte(seq >> 8), byte(seq), 0, 0, 0, 0, 0, 0})
	if build != nil {
		build(b)
	}
	raw, err := b.Bytes()
	if err != nil {
		return nil, err
	}
	n := len(raw) - headerSize
	if n >= 1<<24 {
		return nil, errTooLong
	}
	for _, at := range []int{1, 9} { // length and fragment_length
		raw[at], raw[at+1], raw[at+2] = byte(n>>16), byte(n>>8), byte(n)
	}
	return raw, nil
}

var errTooLong = fault(alertIllegalParameter, "a handshake message is longer than 16 MB")

// parse checks a raw message's header and returns its body.
func parse(raw []byte, kind byte, seq uint16) (cryptobyte.String, error) {
	if len(raw) < headerSize || raw[0] != kind || binary.BigEndian.Uint16(raw[4:]) != seq {
		return nil, fault(alertUnexpectedMessage, "another message came where handshake message %d was due", kind)
	}
	n := len(raw) - headerSize
	for at, want := range map[int]int{1: n, 6: 0, 9: n} {
		if int(raw[at])<<16|int(raw[at+1])<<8|int(raw[at+2]) != want {
			return nil, fault(alertDecodeError, "handshake message %d is not whole", kind)
		}
	}
	return cryptobyte.String(raw[headerSize:]), nil
}

func malformed(what string) error { return fault(alertDecodeError, "the %s is malformed", what) }

func addUint16s(b *cryptobyte.Builder, list []uint16) {
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		for _, v := range list {
			b.AddUint16(v)
		}
	})
}

// readUint16s reads a list that is not empty.
func readUint16s(s *cryptobyte.String, list *[]uint16) bool {
	var part cryptobyte.String
	if !s.ReadUint16LengthPrefixed(&part) || part.Empty() || len(part)%2 != 0 {
		return false
	}
	*list = make([]uint16, 0, len(part)/2)
	for !part.Empty() {
		var v uint16
		part.ReadUint16(&v)
		*list = append(*list, v)
	}
	return true
}

// hello is what matters of a ClientHello or a ServerHello.
type hello struct {
	version     uint16
	random      [randomSize]byte
	suites      []uint16 // of a ServerHello the chosen one
	compression []byte

	present   []uint16 // extensions
	groups    []uint16
	formats   []byte
	schemes   []uint16
	profiles  []uint16
	mki       []byte
	secure    []byte // renegotiated_connection
	hasSecure bool
	master    bool // extended_master_secret
}

func (h *hello) has(ext uint16) bool { return slices.Contains(h.present, ext) }

// scsv stands for an empty renegotiation_info (RFC 5746 section 3.3).
const scsv = 0x00ff

func parseClientHello(body cryptobyte.String) (*hello, bool) {
	h := &hello{}
	var session, cookie, methods cryptobyte.String
	if !body.ReadUint16(&h.version) || !body.CopyBytes(h.random[:]) || !body.ReadUint8LengthPrefixed(&session) ||
		len(session) > 32 || !body.ReadUint8LengthPrefixed(&cookie) || !readUint16s(&body, &h.suites) ||
		!body.ReadUint8LengthPrefixed(&methods) || methods.Empty() {
		return nil, false
	}
	h.compression = methods
	return h, h.extensions(body, true)
}

func parseServerHello(body cryptobyte.String) (*hello, bool) {
	h := &hello{suites: make([]uint16, 1), compression: make([]byte, 1)}
	var session cryptobyte.String
	if !body.ReadUint16(&h.version) || !body.CopyBytes(h.random[:]) || !body.ReadUint8LengthPrefixed(&session) ||
		len(session) > 32 || !body.ReadUint16(&h.suites[0]) || !body.ReadUint8(&h.compression[0]) {
		return nil, false
	}
	return h, h.extensions(body, false)
}

// extensions reads those that are known here; none may come twice.
func (h *hello) extensions(body cryptobyte.String, fromClient bool) bool {
	if body.Empty() {
		return true
	}
	var list cryptobyte.String
	if !body.ReadUint16LengthPrefixed(&list) || !body.Empty() {
		return false
	}
	h.present = make([]uint16, 0, 16)
	for !list.Empty() {
		var typ uint16
		var data cryptobyte.String
		if !list.ReadUint16(&typ) || !list.ReadUint16LengthPrefixed(&data) || h.has(typ) || len(h.present) >= 64 {
			return false
		}
		h.present = append(h.present, typ)
		ok := true
		switch typ {
		case extSupportedGroups:
			if fromClient { // a ServerHello's says nothing (RFC 8446 section 4.2.7)
				ok = readUint16s(&data, &h.groups) && data.Empty()
			}
		case extPointFormats:
			var formats cryptobyte.String
			ok = data.ReadUint8LengthPrefixed(&formats) && !formats.Empty() && data.Empty()
			h.formats = formats
		case extSignatureAlgorithms:
			ok = readUint16s(&data, &h.schemes) && data.Empty()
		case extUseSRTP:
			var mki cryptobyte.String
			ok = readUint16s(&data, &h.profiles) && data.ReadUint8LengthPrefixed(&mki) && data.Empty()
			h.mki = mki
		case extMasterSecret:
			ok = data.Empty()
			h.master = true
		case extRenegotiation:
			var connection cryptobyte.String
			ok = data.ReadUint8LengthPrefixed(&connection) && data.Empty()
			h.secure, h.hasSecure = connection, true
		}
		if !ok {
			return false
		}
	}
	return true
}

func addExtension(b *cryptobyte.Builder, typ uint16, data func(b *cryptobyte.Builder)) {
	b.AddUint16(typ)
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		if data != nil {
			data(b)
		}
	})
}

func addSRTP(b *cryptobyte.Builder, profiles []uint16) {
	addExtension(b, extUseSRTP, func(b *cryptobyte.Builder) {
		addUint16s(b, profiles)
		b.AddUint8(0) // no MKI
	})
}

func addPointFormats(b *cryptobyte.Builder) {
	addExtension(b, extPointFormats, func(b *cryptobyte.Builder) { b.AddBytes([]byte{1, 0}) }) // uncompressed
}

func addRenegotiation(b *cryptobyte.Builder) {
	addExtension(b, extRenegotiation, func(b *cryptobyte.Builder) { b.AddUint8(0) })
}

// certificateMessage is a Certificate; an empty chain is that of a client that
// has none to offer.
func certificateMessage(seq uint16, chain [][]byte) ([]byte, error) {
	return message(typeCertificate, seq, func(b *cryptobyte.Builder) {
		b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) {
			for _, der := range chain {
				b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(der) })
			}
		})
	})
}

// parseCertificates reads a chain that is not empty.
func parseCertificates(body cryptobyte.String) ([][]byte, bool) {
	var list cryptobyte.String
	var chain [][]byte
	if !readUint24LengthPrefixed(&body, &list) || !body.Empty() {
		return nil, false
	}
	for !list.Empty() {
		var der cryptobyte.String
		if !readUint24LengthPrefixed(&list, &der) || der.Empty() {
			return nil, false
		}
		chain = append(chain, der)
	}
	return chain, len(chain) > 0
}

func readUint24LengthPrefixed(s, out *cryptobyte.String) bool { return s.ReadUint24LengthPrefixed(out) }

// signedMessage is a CertificateVerify, or with params a ServerKeyExchange.
func signedMessage(kind byte, seq uint16, params []byte, s scheme, signature []byte) ([]byte, error) {
	return message(kind, seq, func(b *cryptobyte.Builder) {
		b.AddBytes(params)
		b.AddUint16(s.id)
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(signature) })
	})
}
