// SPDX-License-Identifier: LGPL-2.1-or-later

package payload

import (
	"crypto/rand"
	"encoding/binary"
	mathrand "math/rand/v2"
)

// uuids makes random (version 4) UUIDs by ChaCha8, with a key from the system: asking the system for each
// costs several times as much.
type uuids struct {
	source *mathrand.ChaCha8
}

func newUUIDs() *uuids {
	var key [32]byte
	rand.Read(key[:]) // never fails: crypto/rand ends the process rather than return an error
	return &uuids{mathrand.NewChaCha8(key)}
}

// A uuid is the two halves of an id, as big-endian numbers.
type uuid struct{ high, low uint64 }

func (u *uuids) next() uuid {
	high, low := u.source.Uint64(), u.source.Uint64()
	return uuid{high&^0xf000 | 0x4000, low&^(3<<62) | 2<<62}
}

// uuidSize is the length of an id as text.
const uuidSize = 36

// appendUUID appends the usual form, in lower case.
func appendUUID(dst []byte, id uuid) []byte {
	a, b := hex8(uint32(id.high>>32)), hex8(uint32(id.high))
	c, d := hex8(uint32(id.low>>32)), hex8(uint32(id.low))
	// In its place: text that is written in words and then copied is waited for.
	dst = append(dst, "00000000-0000-0000-0000-000000000000"...)
	text := dst[len(dst)-uuidSize:]
	binary.BigEndian.PutUint64(text[0:], a)
	binary.BigEndian.PutUint32(text[9:], uint32(b>>32))
	binary.BigEndian.PutUint32(text[14:], uint32(b))
	binary.BigEndian.PutUint32(text[19:], uint32(c>>32))
	binary.BigEndian.PutUint32(text[24:], uint32(c))
	binary.BigEndian.PutUint64(text[28:], d)
	return dst
}

// hex8 gives the eight hexadecimal digits of n as the bytes of a number, the first digit in the highest.
func hex8(n uint32) uint64 {
	x := uint64(n)
	x = (x | x<<16) & 0x0000ffff0000ffff
	x = (x | x<<8) & 0x00ff00ff00ff00ff
	x = (x | x<<4) & 0x0f0f0f0f0f0f0f0f // a digit in each byte
	letters := (x + 0x0606060606060606) >> 4 & 0x0101010101010101
	return x + 0x3030303030303030 + letters*('a'-'0'-10)
}
