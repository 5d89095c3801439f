// SPDX-License-Identifier: LGPL-2.1-or-later

package srtp

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
)

// keystream is AES in counter mode (RFC 3711 section 4.1.1, RFC 6188 section 2) that can be set to any
// start counter without allocating. Not safe for concurrent use.
type keystream struct {
	stream cipher.Stream // nil: block by block
	lo, hi *uint64       // stream's start counter
	offset *uint64       // how far stream has come

	// For block by block; a process holds thousands of keys, so without need they go.
	block cipher.Block
	buf   *[keystreamBatch]byte
}

const keystreamBatch = 16 * aes.BlockSize

func newKeystream(key []byte) (*keystream, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	k := &keystream{block: block, buf: new([keystreamBatch]byte)}
	s := cipher.NewCTR(block, make([]byte, aes.BlockSize))
	var ok bool
	if k.lo, k.hi, k.offset, ok = counterFields(s); ok {
		k.stream = s
		if k.proven() {
			k.block, k.buf = nil, nil
		} else {
			k.stream = nil
		}
	}
	return k, nil
}

// proven compares the stream with the block cipher: several counters, forth and back, lengths that are
// whole blocks and not, and a carry between the halves of the counter.
func (k *keystream) proven() bool {
	const n = 300
	var fast, slow [n]byte
	for _, c := range []struct {
		hi, lo uint64
		n      int
	}{{1, 0xf0f1f2f3f4f50000, n}, {0, 0, 16}, {0x8000000000000001, 0xffffffffffffffff, 77}, {1, 0xf0f1f2f3f4f50000, n}} {
		clear(fast[:])
		clear(slow[:])
		k.xor(fast[:c.n], fast[:c.n], c.hi, c.lo)
		k.xorBlocks(slow[:c.n], slow[:c.n], c.hi, c.lo)
		if !bytes.Equal(fast[:], slow[:]) {
			return false
		}
	}
	return true
}

// xor sets dst to src XOR the keystream that begins at counter hi:lo. Both have the same length, and are the
// same memory or disjoint.
func (k *keystream) xor(dst, src []byte, hi, lo uint64) {
	if k.stream == nil {
		k.xorBlocks(dst, src, hi, lo)
		return
	}
	*k.hi, *k.lo, *k.offset = hi, lo, 0
	k.stream.XORKeyStream(dst, src)
}

func (k *keystream) xorBlocks(dst, src []byte, hi, lo uint64) {
	for len(src) > 0 {
		n := min(len(src), keystreamBatch)
		for i := 0; i < n; i += aes.BlockSize {
			b := k.buf[i : i+aes.BlockSize]
			binary.BigEndian.PutUint64(b, hi)
			binary.BigEndian.PutUint64(b[8:], lo)
			k.block.Encrypt(b, b)
			if lo++; lo == 0 {
				hi++
			}
		}
		subtle.XORBytes(dst[:n], src[:n], k.buf[:n])
		dst, src = dst[n:], src[n:]
	}
}
