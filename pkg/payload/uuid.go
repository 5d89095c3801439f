// SPDX-License-Identifier: LGPL-2.1-or-later

package payload

import "crypto/rand"

// uuids makes random (version 4) UUIDs from a block of random bytes, so that the kernel is asked once in
// 256.
type uuids struct {
	block [4096]byte
	used  int
}

func newUUIDs() *uuids {
	u := new(uuids)
	u.used = len(u.block)
	return u
}

func (u *uuids) next() (id [16]byte) {
	if u.used == len(u.block) {
		rand.Read(u.block[:]) // never fails: crypto/rand ends the process rather than return an error
		u.used = 0
	}
	copy(id[:], u.block[u.used:])
	clear(u.block[u.used : u.used+16]) // an id is nobody else's
	u.used += 16
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id
}

// hexPairs holds the two digits of each byte.
var hexPairs = func() (t [256][2]byte) {
	for i := range t {
		t[i] = [2]byte{hexDigits[i>>4], hexDigits[i&15]}
	}
	return t
}()

// uuidSize is the length of an id as text.
const uuidSize = 36

// appendUUID appends the usual form, in lower case.
func appendUUID(dst []byte, id [16]byte) []byte {
	text := [uuidSize]byte{8: '-', 13: '-', 18: '-', 23: '-'}
	at := 0
	for i, b := range id {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			at++
		}
		text[at], text[at+1] = hexPairs[b][0], hexPairs[b][1]
		at += 2
	}
	return append(dst, text[:]...)
}
