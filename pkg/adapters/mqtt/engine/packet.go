// SPDX-License-Identifier: LGPL-2.1-or-later

package engine

import (
	"encoding/binary"
	"errors"
)

// A Version is a protocol level as CONNECT carries it.
type Version byte

// The versions that are spoken.
const (
	Auto Version = 0 // V5, and V311 with a server that refuses it
	V311 Version = 4
	V5   Version = 5
)

// String is 3.1.1 or 5.
func (v Version) String() string {
	switch v {
	case V311:
		return "3.1.1"
	case V5:
		return "5"
	}
	return "auto"
}

// Packet types: MQTT 5.0, section 2.1.2.
const (
	typeConnect     = 1
	typeConnack     = 2
	typePublish     = 3
	typePuback      = 4
	typePubrec      = 5
	typePubrel      = 6
	typePubcomp     = 7
	typeSubscribe   = 8
	typeSuback      = 9
	typeUnsubscribe = 10
	typeUnsuback    = 11
	typePingreq     = 12
	typePingresp    = 13
	typeDisconnect  = 14
	typeAuth        = 15
)

// Identifiers of properties: MQTT 5.0, section 2.2.2.2.
const (
	propMessageExpiry   = 2
	propContentType     = 3
	propResponseTopic   = 8
	propCorrelation     = 9
	propSessionExpiry   = 17
	propAssignedID      = 18
	propServerKeepAlive = 19
	propWillDelay       = 24
	propReason          = 31
	propReceiveMax      = 33
	propTopicAlias      = 35
	propMaxQoS          = 36
	propRetainAvailable = 37
	propUser            = 38
	propMaxPacket       = 39
	propWildcard        = 40
	propShared          = 42
)

const (
	maxRemaining = 268_435_455 // the largest remaining length: 4 bytes of 7 bits
	maxString    = 65_535
)

var errMalformed = errors.New("a malformed packet")

func appendVarint(b []byte, n int) []byte {
	for n >= 0x80 {
		b = append(b, byte(n)|0x80)
		n >>= 7
	}
	return append(b, byte(n))
}

func varintSize(n int) int {
	switch {
	case n < 1<<7:
		return 1
	case n < 1<<14:
		return 2
	case n < 1<<21:
		return 3
	}
	return 4
}

func appendText[T string | []byte](b []byte, s T) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
	return append(b, s...)
}

// appendPacket wraps a body.
func appendPacket(b []byte, first byte, body []byte) []byte {
	b = append(b, first)
	b = appendVarint(b, len(body))
	return append(b, body...)
}

// appendAck is PUBACK, PUBREC, PUBREL or PUBCOMP. A code other than 0 is for version 5 alone.
func appendAck(b []byte, kind byte, id uint16, code byte) []byte {
	first := kind << 4
	if kind == typePubrel {
		first |= 2
	}
	if code == 0 {
		return append(b, first, 2, byte(id>>8), byte(id))
	}
	return append(b, first, 3, byte(id>>8), byte(id), code)
}

// A cursor reads a packet's body. Reading past the end sets bad.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) take(n int) []byte {
	if n > len(c.b) || c.bad {
		c.bad = true
		return nil
	}
	p := c.b[:n]
	c.b = c.b[n:]
	return p
}

func (c *cursor) u8() byte {
	if p := c.take(1); p != nil {
		return p[0]
	}
	return 0
}

func (c *cursor) u16() uint16 {
	if p := c.take(2); p != nil {
		return binary.BigEndian.Uint16(p)
	}
	return 0
}

func (c *cursor) u32() uint32 {
	if p := c.take(4); p != nil {
		return binary.BigEndian.Uint32(p)
	}
	return 0
}

func (c *cursor) varint() int {
	n := 0
	for shift := 0; shift < 28; shift += 7 {
		x := c.u8()
		n |= int(x&0x7f) << shift
		if x&0x80 == 0 {
			return n
		}
	}
	c.bad = true
	return 0
}

func (c *cursor) text() []byte { return c.take(int(c.u16())) }

// props reads a property list and hands each to f: a number in n, or text in a (and b for a pair).
func (c *cursor) props(f func(id byte, n uint32, a, b []byte)) {
	p := cursor{b: c.take(c.varint())}
	for len(p.b) > 0 && !c.bad {
		id := p.u8()
		var n uint32
		var a, b []byte
		switch id {
		case 1, 23, 25, propMaxQoS, propRetainAvailable, propWildcard, 41, propShared:
			n = uint32(p.u8())
		case propServerKeepAlive, propReceiveMax, 34, propTopicAlias:
			n = uint32(p.u16())
		case propMessageExpiry, propSessionExpiry, propWillDelay, propMaxPacket:
			n = p.u32()
		case 11:
			n = uint32(p.varint())
		case propContentType, propResponseTopic, propCorrelation, propAssignedID, 21, 22, 26, 28, propReason:
			a = p.text()
		case propUser:
			a, b = p.text(), p.text()
		default:
			p.bad = true
		}
		if p.bad {
			c.bad = true
			return
		}
		if f != nil {
			f(id, n, a, b)
		}
	}
}

// frame finds the first whole packet of b: its first byte, its body and its length; 0 when more is to come.
func frame(b []byte, limit int) (first byte, body []byte, size int, err error) {
	n, shift := 0, 0
	for i := 1; i < len(b); i++ {
		if i > 4 {
			return 0, nil, 0, errMalformed
		}
		n |= int(b[i]&0x7f) << shift
		shift += 7
		if b[i]&0x80 != 0 {
			continue
		}
		if n > limit {
			return b[0], nil, i + 1 + n, errTooLong
		}
		if len(b) < i+1+n {
			return 0, nil, i + 1 + n, errMore
		}
		return b[0], b[i+1 : i+1+n], i + 1 + n, nil
	}
	return 0, nil, 0, errMore
}

var (
	errMore    = errors.New("more is to come")
	errTooLong = errors.New("the server sent a packet that is larger than this client takes")
)
