// SPDX-License-Identifier: LGPL-2.1-or-later

package srtp

import (
	"crypto/sha256"
	"fmt"
)

// stream is what sender and receiver keep for one source alike.
type stream struct {
	ssrc      uint32
	rtp       window
	softDone  bool
	packets   uint64
	bytes     uint64
	rtcp      uint64
	rtcpBytes uint64
}

func (s *stream) info() StreamInfo {
	return StreamInfo{SSRC: s.ssrc, ROC: uint32(s.rtp.highest >> 16), HighestSeq: uint16(s.rtp.highest),
		Packets: s.packets, Bytes: s.bytes, RTCPPackets: s.rtcp, RTCPBytes: s.rtcpBytes}
}

// soft notes that the soft limit was reached, and says whether this is the first time.
func (s *stream) soft(reached bool) bool {
	first := reached && !s.softDone
	s.softDone = s.softDone || reached
	return first
}

// keyID identifies a policy and key without keeping the key.
type keyID [sha256.Size]byte

// prepare is what NewSender and NewReceiver have in common.
func prepare(p Policy, key []byte, o Options) (rtp, rtcp *session, id keyID, window int, err error) {
	if err = p.Validate(); err != nil {
		return
	}
	if len(key) != p.KeySize() {
		err = fmt.Errorf("srtp: the master key and salt have %d bytes, but %v needs %d", len(key), p, p.KeySize())
		return
	}
	if window, err = o.window(); err != nil || p.none() {
		return
	}
	h := sha256.New()
	h.Write([]byte{byte(p.RTPCipher), byte(p.RTPAuth), byte(p.RTCPCipher), byte(p.RTCPAuth)})
	h.Write(key)
	h.Sum(id[:0])
	rtp, rtcp, err = newSessions(p, key)
	return
}

// passThrough copies a packet under a policy that protects nothing.
func passThrough(dst, pkt []byte) (int, error) {
	same, err := inPlace(dst, pkt)
	switch {
	case len(dst) < len(pkt):
		return 0, ErrShortBuffer
	case err != nil:
		return 0, err
	case !same:
		copy(dst, pkt)
	}
	return len(pkt), nil
}
