// SPDX-License-Identifier: LGPL-2.1-or-later

package srtp

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"encoding"
	"encoding/binary"
	"fmt"
	"hash"
	"sync"
)

const (
	macKeyLen  = 20 // RFC 3711 section 5.2
	macLenSize = 8  // SHA-1 ends with the length in bits

	// How crypto/sha1 writes its state: four bytes of magic, the five words, a block, a length. Whether it
	// still does is proved by macProven.
	sha1StateHead = 4
	sha1StateLen  = sha1StateHead + sha1.Size + sha1.BlockSize + 8
)

// mac is HMAC-SHA1 (RFC 2104). A short packet is three SHA-1 blocks, so what crypto/hmac does around them
// (restoring two states, copying the state for Sum, padding by a second write) costs as much as one of
// them. mac restores the precomputed states, pads by itself so that SHA-1 only ever sees whole blocks, and
// reads the result out of the state. Not safe for concurrent use.
type mac struct {
	hash         hash.Hash // crypto/sha1
	restore      encoding.BinaryUnmarshaler
	save         encoding.BinaryAppender
	inner, outer []byte // SHA-1 after the key's first block, as MarshalBinary gives it

	plain hash.Hash // crypto/hmac, where the above is not to be had

	tail   [2 * sha1.BlockSize]byte
	final  [sha1.BlockSize]byte
	state  [sha1StateLen]byte
	result [sha1.Size]byte
}

func newMAC(key []byte) (*mac, error) {
	h := sha1.New()
	if _, err := h.Write(nil); err != nil {
		return nil, fmt.Errorf("srtp: this process refuses HMAC-SHA1; SRTP cannot run with GODEBUG=fips140=only: %w", err)
	}
	m := &mac{hash: h}
	if !macProven() || !m.precompute(key) {
		m.restore, m.plain = nil, hmac.New(sha1.New, key)
	}
	return m, nil
}

// macProven compares with crypto/hmac over every position of the padding, once in a process.
var macProven = sync.OnceValue(func() bool {
	msg := make([]byte, 2*sha1.BlockSize+1)
	for i := range msg {
		msg[i] = byte(i)
	}
	key := msg[1 : 1+macKeyLen]
	m := &mac{hash: sha1.New()}
	plain := &mac{plain: hmac.New(sha1.New, key)}
	if !m.precompute(key) {
		return false
	}
	for n := range len(msg) {
		for _, withROC := range []bool{true, false} {
			if !bytes.Equal(m.sum(msg[:n], 0xdeadbeef, withROC), plain.sum(msg[:n], 0xdeadbeef, withROC)) {
				return false
			}
		}
	}
	return true
})

// precompute fills the two states; false if crypto/sha1 cannot save and restore them.
func (m *mac) precompute(key []byte) bool {
	restore, ok1 := m.hash.(encoding.BinaryUnmarshaler)
	save, ok2 := m.hash.(encoding.BinaryAppender)
	if !ok1 || !ok2 || len(key) > sha1.BlockSize {
		return false
	}
	m.restore, m.save = restore, save
	for _, half := range []struct {
		state *[]byte
		pad   byte
	}{{&m.inner, 0x36}, {&m.outer, 0x5c}} {
		var block [sha1.BlockSize]byte
		copy(block[:], key)
		for i := range block {
			block[i] ^= half.pad
		}
		m.hash.Reset()
		m.hash.Write(block[:])
		state, err := m.save.AppendBinary(nil)
		if err != nil || len(state) != sha1StateLen {
			return false
		}
		*half.state = state
	}
	clear(m.final[:])
	m.final[sha1.Size] = 0x80
	binary.BigEndian.PutUint64(m.final[sha1.BlockSize-macLenSize:], 8*(sha1.BlockSize+sha1.Size))
	return true
}

// sum is the HMAC of p, followed by the four bytes of roc if withROC. The result is valid until the next
// call.
func (m *mac) sum(p []byte, roc uint32, withROC bool) []byte {
	if m.restore == nil {
		return m.sumPlain(p, roc, withROC)
	}
	// The state came from this very hash, so restoring and saving it cannot fail.
	_ = m.restore.UnmarshalBinary(m.inner)
	whole := len(p) &^ (sha1.BlockSize - 1)
	if whole > 0 {
		m.hash.Write(p[:whole])
	}
	n := copy(m.tail[:], p[whole:])
	length := len(p)
	if withROC {
		binary.BigEndian.PutUint32(m.tail[n:], roc)
		n += 4
		length += 4
	}
	m.tail[n] = 0x80
	n++
	end := sha1.BlockSize
	if n > sha1.BlockSize-macLenSize {
		end = 2 * sha1.BlockSize
	}
	clear(m.tail[n : end-macLenSize])
	binary.BigEndian.PutUint64(m.tail[end-macLenSize:], 8*uint64(sha1.BlockSize+length))
	m.hash.Write(m.tail[:end])
	state, _ := m.save.AppendBinary(m.state[:0])
	copy(m.final[:sha1.Size], state[sha1StateHead:])

	_ = m.restore.UnmarshalBinary(m.outer)
	m.hash.Write(m.final[:])
	state, _ = m.save.AppendBinary(m.state[:0])
	copy(m.result[:], state[sha1StateHead:])
	return m.result[:]
}

func (m *mac) sumPlain(p []byte, roc uint32, withROC bool) []byte {
	m.plain.Reset()
	m.plain.Write(p)
	if withROC {
		binary.BigEndian.PutUint32(m.tail[:], roc)
		m.plain.Write(m.tail[:4])
	}
	return m.plain.Sum(m.result[:0])
}
