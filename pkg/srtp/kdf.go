// SPDX-License-Identifier: LGPL-2.1-or-later

package srtp

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"
)

// The labels of RFC 3711 section 4.3.2.
const (
	labelRTPCipher  = 0x00
	labelRTPAuth    = 0x01
	labelRTPSalt    = 0x02
	labelRTCPCipher = 0x03
	labelRTCPAuth   = 0x04
	labelRTCPSalt   = 0x05
)

// kdf is the pseudo-random function of RFC 3711 section 4.3.3 and RFC 6188 section 3: AES in counter mode
// under the master key.
type kdf struct {
	block cipher.Block
	salt  [14]byte
}

// newKDF takes a master salt of 14 bytes, or of 12 for GCM, which counts as 14 with zeros at its end
// (RFC 7714 section 11, erratum 4938).
func newKDF(key, salt []byte) (*kdf, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("srtp: master key: %w", err)
	}
	k := &kdf{block: block}
	copy(k.salt[:], salt)
	return k, nil
}

// derive gives n bytes for label. The key derivation rate is 0, so no packet index takes part.
func (k *kdf) derive(label byte, n int) []byte {
	var iv [aes.BlockSize]byte
	copy(iv[:], k.salt[:])
	iv[7] ^= label
	out := make([]byte, n)
	cipher.NewCTR(k.block, iv[:]).XORKeyStream(out, out)
	return out
}
