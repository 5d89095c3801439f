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

func (u *uuids) next() (id [16]byte) {
	binary.NativeEndian.PutUint64(id[:8], u.source.Uint64())
	binary.NativeEndian.PutUint64(id[8:], u.source.Uint64())
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
