// SPDX-License-Identifier: LGPL-2.1-or-later

package srtp

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
)

// session is the keyed transform of either RTP or RTCP in one direction. It has scratch memory and is used
// under its owner's lock.
type session struct {
	// At most one of cm and aead is set.
	cm   *keystream
	aead cipher.AEAD
	mac  *mac // nil with AEAD and without authentication
	tag  int  // bytes

	saltHi, saltLo uint64   // counter mode: salt * 2^16 (RFC 3711 section 4.1.1)
	gcmSalt        [12]byte // GCM
	nonce          [12]byte // GCM, scratch
	aad            []byte   // GCM with SRTCP, scratch
}

// newSession takes session keys as derived; salt has 14 bytes for counter mode and 12 for GCM, authKey is
// nil without authentication.
func newSession(c Cipher, a Auth, key, salt, authKey []byte) (*session, error) {
	s := &session{tag: tagLen(c, a)}
	switch {
	case c == CipherNull:
	case c.gcm():
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		if s.aead, err = cipher.NewGCM(block); err != nil {
			return nil, fmt.Errorf("srtp: this process refuses AES-GCM; SRTP cannot run with GODEBUG=fips140=only: %w", err)
		}
		copy(s.gcmSalt[:], salt)
		s.aad = make([]byte, 0, 256)
	default:
		var err error
		if s.cm, err = newKeystream(key); err != nil {
			return nil, err
		}
		var iv [aes.BlockSize]byte
		copy(iv[:14], salt)
		s.saltHi, s.saltLo = binary.BigEndian.Uint64(iv[:]), binary.BigEndian.Uint64(iv[8:])
	}
	if a != AuthNull {
		var err error
		if s.mac, err = newMAC(authKey); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// newSessions derives the session keys of both protocols.
func newSessions(p Policy, masterKeyAndSalt []byte) (rtp, rtcp *session, err error) {
	keyLen, _ := p.master()
	k, err := newKDF(masterKeyAndSalt[:keyLen], masterKeyAndSalt[keyLen:])
	if err != nil {
		return nil, nil, err
	}
	side := func(c Cipher, a Auth, cipherLabel, authLabel, saltLabel byte) (*session, error) {
		var authKey []byte
		if a != AuthNull {
			authKey = k.derive(authLabel, macKeyLen)
		}
		return newSession(c, a, k.derive(cipherLabel, cipherTable[c].key), k.derive(saltLabel, cipherTable[c].salt), authKey)
	}
	if rtp, err = side(p.RTPCipher, p.RTPAuth, labelRTPCipher, labelRTPAuth, labelRTPSalt); err != nil {
		return nil, nil, err
	}
	rtcp, err = side(p.RTCPCipher, p.RTCPAuth, labelRTCPCipher, labelRTCPAuth, labelRTCPSalt)
	return rtp, rtcp, err
}

// counter is the first counter of a packet: salt XOR SSRC * 2^64 XOR index * 2^16 (RFC 3711 section 4.1.1).
func (s *session) counter(ssrc uint32, index uint64) (hi, lo uint64) {
	return s.saltHi ^ uint64(ssrc), s.saltLo ^ index<<16
}

// setNonce makes the GCM nonce: salt XOR two zero bytes, the SSRC and the index in 48 bits, which is ROC and
// sequence number for SRTP and the 31-bit index for SRTCP (RFC 7714 sections 8.1 and 9.1).
func (s *session) setNonce(ssrc uint32, index uint64) []byte {
	n, salt := s.nonce[:], s.gcmSalt[:]
	binary.BigEndian.PutUint32(n, binary.BigEndian.Uint32(salt)^ssrc>>16)
	binary.BigEndian.PutUint64(n[4:], binary.BigEndian.Uint64(salt[4:])^(uint64(ssrc)<<48|index))
	return n
}

// crypt runs the counter mode, or copies without cipher, from byte clear on; what is before is copied.
func (s *session) crypt(dst, src []byte, clear int, ssrc uint32, index uint64, same bool) {
	if s.cm == nil {
		if !same {
			copy(dst, src)
		}
		return
	}
	if !same {
		copy(dst, src[:clear])
	}
	hi, lo := s.counter(ssrc, index)
	s.cm.xor(dst[clear:len(src)], src[clear:], hi, lo)
}

// protectRTP writes pkt protected to dst, which is long enough. hdr is the length of what stays in clear.
func (s *session) protectRTP(dst, pkt []byte, hdr int, ssrc uint32, index uint64, same bool) int {
	n := len(pkt)
	if s.aead != nil {
		s.aead.Seal(dst[hdr:hdr], s.setNonce(ssrc, index), pkt[hdr:], pkt[:hdr])
		if !same {
			copy(dst, pkt[:hdr])
		}
		return n + gcmTagLen
	}
	s.crypt(dst, pkt, hdr, ssrc, index, same)
	if s.mac != nil {
		copy(dst[n:n+s.tag], s.mac.sum(dst[:n], uint32(index>>16), true))
	}
	return n + s.tag
}

// unprotectRTP is the reverse; dst has room for the plaintext.
func (s *session) unprotectRTP(dst, pkt []byte, hdr int, ssrc uint32, index uint64, same bool) (int, error) {
	n := len(pkt) - s.tag
	if s.aead != nil {
		if _, err := s.aead.Open(dst[hdr:hdr], s.setNonce(ssrc, index), pkt[hdr:], pkt[:hdr]); err != nil {
			return 0, ErrAuth
		}
		if !same {
			copy(dst, pkt[:hdr])
		}
		return n, nil
	}
	if s.mac != nil &&
		subtle.ConstantTimeCompare(s.mac.sum(pkt[:n], uint32(index>>16), true)[:s.tag], pkt[n:]) != 1 {
		return 0, ErrAuth
	}
	s.crypt(dst, pkt[:n], hdr, ssrc, index, same)
	return n, nil
}

// protectRTCP writes pkt protected to dst. The index comes before the tag with HMAC (RFC 3711 section 3.4)
// and after it with GCM (RFC 7714 section 9.2).
func (s *session) protectRTCP(dst, pkt []byte, ssrc, index uint32, same bool) int {
	n := len(pkt)
	if s.aead != nil {
		word := index | rtcpEncrypted
		s.aad = binary.BigEndian.AppendUint32(append(s.aad[:0], pkt[:rtcpHeaderLen]...), word)
		s.aead.Seal(dst[rtcpHeaderLen:rtcpHeaderLen], s.setNonce(ssrc, uint64(index)), pkt[rtcpHeaderLen:], s.aad)
		if !same {
			copy(dst, pkt[:rtcpHeaderLen])
		}
		n += gcmTagLen
		binary.BigEndian.PutUint32(dst[n:], word)
		return n + rtcpIndexLen
	}
	word := index
	if s.cm != nil {
		word |= rtcpEncrypted
	}
	s.crypt(dst, pkt, rtcpHeaderLen, ssrc, uint64(index), same)
	binary.BigEndian.PutUint32(dst[n:], word)
	n += rtcpIndexLen
	if s.mac != nil {
		copy(dst[n:n+s.tag], s.mac.sum(dst[:n], 0, false))
	}
	return n + s.tag
}

// rtcpWord is the E flag and the index of a packet that is long enough.
func (s *session) rtcpWord(pkt []byte) uint32 {
	end := len(pkt)
	if s.aead == nil {
		end -= s.tag
	}
	return binary.BigEndian.Uint32(pkt[end-rtcpIndexLen:])
}

// unprotectRTCP is the reverse of protectRTCP, and takes packets without the E flag too: those are
// authenticated and not encrypted (RFC 3711 section 3.4, RFC 7714 section 9.3).
func (s *session) unprotectRTCP(dst, pkt []byte, ssrc, word uint32, same bool) (int, error) {
	n := len(pkt) - s.tag - rtcpIndexLen
	encrypted := word&rtcpEncrypted != 0
	index := uint64(word &^ rtcpEncrypted)
	if s.aead != nil {
		sealed := pkt[:len(pkt)-rtcpIndexLen]
		inClear := n
		if encrypted {
			inClear = rtcpHeaderLen
		}
		s.aad = binary.BigEndian.AppendUint32(append(s.aad[:0], pkt[:inClear]...), word)
		if _, err := s.aead.Open(dst[inClear:inClear], s.setNonce(ssrc, index), sealed[inClear:], s.aad); err != nil {
			return 0, ErrAuth
		}
		if !same {
			copy(dst, pkt[:inClear])
		}
		return n, nil
	}
	if s.mac != nil &&
		subtle.ConstantTimeCompare(s.mac.sum(pkt[:n+rtcpIndexLen], 0, false)[:s.tag], pkt[n+rtcpIndexLen:]) != 1 {
		return 0, ErrAuth
	}
	switch {
	case !encrypted:
		if !same {
			copy(dst, pkt[:n])
		}
	case s.cm == nil:
		return 0, errEncrypted
	default:
		s.crypt(dst, pkt[:n], rtcpHeaderLen, ssrc, index, same)
	}
	return n, nil
}
