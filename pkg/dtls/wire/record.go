// SPDX-License-Identifier: LGPL-2.1-or-later

package wire

import "encoding/binary"

// Record content types (RFC 5246 6.2.1).
const (
	typeChangeCipherSpec = 20
	typeAlert            = 21
	typeHandshake        = 22
	typeApplicationData  = 23
)

// Handshake message types (RFC 5246 7.4, RFC 6347 4.3.2).
const (
	msgClientHello        = 1
	msgServerHello        = 2
	msgHelloVerifyRequest = 3
	msgCertificate        = 11
	msgServerKeyExchange  = 12
	msgCertificateRequest = 13
	msgServerHelloDone    = 14
	msgCertificateVerify  = 15
	msgClientKeyExchange  = 16
)

const (
	recordHeader    = 13
	handshakeHeader = 12

	version10 = 0xFEFF // DTLS 1.0: first ClientHellos and HelloVerifyRequests bear it
	version12 = 0xFEFD

	// maxRecord is the largest ciphertext that DTLS 1.2 allows (RFC 6347 4.1).
	maxRecord = 1<<14 + 2048

	maxSequence = 1<<48 - 1
)

// record is one record of a datagram; body points into the datagram.
type record struct {
	kind  byte
	epoch uint16
	seq   uint64 // 48 bits
	raw   []byte // with its header
	body  []byte
}

// nextRecord cuts the first record off a datagram. ok is false when what
// follows is no DTLS 1.0 or 1.2 record of epoch 0 or 1: then nothing after it
// can be trusted to be one either.
func nextRecord(datagram []byte) (r record, rest []byte, ok bool) {
	if len(datagram) < recordHeader {
		return record{}, nil, false
	}
	version := binary.BigEndian.Uint16(datagram[1:])
	length := int(binary.BigEndian.Uint16(datagram[11:]))
	r.kind = datagram[0]
	r.epoch = binary.BigEndian.Uint16(datagram[3:])
	r.seq = uint48(datagram[5:])
	if r.kind < typeChangeCipherSpec || r.kind > typeApplicationData ||
		version != version10 && version != version12 || r.epoch > 1 ||
		length == 0 || length > maxRecord || length > len(datagram)-recordHeader {
		return record{}, nil, false
	}
	end := recordHeader + length
	r.raw, r.body = datagram[:end:end], datagram[recordHeader:end:end]
	return r, datagram[end:], true
}

// fragment is one handshake fragment (RFC 6347 4.2.2); data points into the
// record.
type fragment struct {
	kind   byte
	length int // of the whole message
	seq    uint16
	offset int
	data   []byte
}

// nextFragment cuts the first handshake fragment off a record's body.
func nextFragment(body []byte) (f fragment, rest []byte, ok bool) {
	if len(body) < handshakeHeader {
		return fragment{}, nil, false
	}
	f.kind = body[0]
	f.length = uint24(body[1:])
	f.seq = binary.BigEndian.Uint16(body[4:])
	f.offset = uint24(body[6:])
	length := uint24(body[9:])
	if length > len(body)-handshakeHeader || f.offset > f.length || length > f.length-f.offset ||
		length == 0 && f.length != 0 {
		return fragment{}, nil, false
	}
	end := handshakeHeader + length
	f.data = body[handshakeHeader:end:end]
	return f, body[end:], true
}

func uint24(b []byte) int {
	_ = b[2]
	return int(b[0])<<16 | int(b[1])<<8 | int(b[2])
}

func uint48(b []byte) uint64 {
	_ = b[5]
	return uint64(binary.BigEndian.Uint16(b))<<32 | uint64(binary.BigEndian.Uint32(b[2:]))
}

func putUint48(b []byte, v uint64) {
	binary.BigEndian.PutUint16(b, uint16(v>>32))
	binary.BigEndian.PutUint32(b[2:], uint32(v))
}

// appendRecordHeader begins a record of epoch 0 with a body of length bytes.
func appendRecordHeader(dst []byte, kind byte, version uint16, seq uint64, length int) []byte {
	return append(dst, kind, byte(version>>8), byte(version), 0, 0,
		byte(seq>>40), byte(seq>>32), byte(seq>>24), byte(seq>>16), byte(seq>>8), byte(seq),
		byte(length>>8), byte(length))
}

// appendHandshakeHeader begins a handshake fragment.
func appendHandshakeHeader(dst []byte, kind byte, length int, seq uint16, offset, size int) []byte {
	return append(dst, kind, byte(length>>16), byte(length>>8), byte(length),
		byte(seq>>8), byte(seq),
		byte(offset>>16), byte(offset>>8), byte(offset),
		byte(size>>16), byte(size>>8), byte(size))
}

// cursor reads fields; after the first one that is not there, bad is set and
// every further read gives zeros.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) take(n int) []byte {
	if c.bad || n > len(c.b) {
		c.bad = true
		return nil
	}
	part := c.b[:n:n]
	c.b = c.b[n:]
	return part
}

func (c *cursor) uint8() int {
	if part := c.take(1); part != nil {
		return int(part[0])
	}
	return 0
}

func (c *cursor) uint16() int {
	if part := c.take(2); part != nil {
		return int(binary.BigEndian.Uint16(part))
	}
	return 0
}

func (c *cursor) uint24() int {
	if part := c.take(3); part != nil {
		return uint24(part)
	}
	return 0
}

func (c *cursor) vector8() []byte  { return c.take(c.uint8()) }
func (c *cursor) vector16() []byte { return c.take(c.uint16()) }

// done tells that all fields were there and nothing follows.
func (c *cursor) done() bool { return !c.bad && len(c.b) == 0 }
