// SPDX-License-Identifier: LGPL-2.1-or-later

package srtp

import "encoding/binary"

const (
	rtpHeaderLen  = 12
	rtcpHeaderLen = 8 // what SRTCP leaves in clear: the first header and the sender's SSRC
	rtcpIndexLen  = 4
	gcmTagLen     = 16

	// A counter-mode keystream is 2^16 blocks long (RFC 3711 section 4.1.1); no datagram comes near it.
	maxPacketLen = 1 << 20

	rtcpEncrypted = 1 << 31 // the E flag (RFC 3711 section 3.4)
)

// IsRTCP tells RTCP from RTP where both come over one port: the second byte is 192 to 223, which as RTP
// would be payload types 64 to 95 with the marker set (RFC 5761 section 4). SRTP and SRTCP can be told apart
// the same way.
func IsRTCP(pkt []byte) bool {
	return len(pkt) >= 2 && pkt[1] >= 192 && pkt[1] <= 223
}

// rtpHeader gives the length of the part of an RTP packet that is not encrypted: the fixed header, the
// contributing sources and the header extension.
func rtpHeader(pkt []byte) (int, error) {
	if len(pkt) < rtpHeaderLen {
		return 0, errTooShort
	}
	if pkt[0]>>6 != 2 {
		return 0, errVersion
	}
	n := rtpHeaderLen + 4*int(pkt[0]&0x0f)
	if pkt[0]&0x10 != 0 {
		if len(pkt) < n+4 {
			return 0, errTooShort
		}
		n += 4 + 4*int(binary.BigEndian.Uint16(pkt[n+2:]))
	}
	if len(pkt) < n {
		return 0, errTooShort
	}
	if len(pkt) > maxPacketLen {
		return 0, errTooLong
	}
	return n, nil
}

func rtpSeq(pkt []byte) uint16   { return binary.BigEndian.Uint16(pkt[2:]) }
func rtpSSRC(pkt []byte) uint32  { return binary.BigEndian.Uint32(pkt[8:]) }
func rtcpSSRC(pkt []byte) uint32 { return binary.BigEndian.Uint32(pkt[4:]) }

// rtcpHeader checks what SRTCP needs of an RTCP packet.
func rtcpHeader(pkt []byte) error {
	switch {
	case len(pkt) < rtcpHeaderLen:
		return errTooShort
	case pkt[0]>>6 != 2:
		return errVersion
	case len(pkt) > maxPacketLen:
		return errTooLong
	}
	return nil
}
