// SPDX-License-Identifier: LGPL-2.1-or-later

// Package srtp protects and unprotects RTP and RTCP packets. It covers
//
//   - RFC 3711: the SRTP and SRTCP framework, AES-128 in counter mode, HMAC-SHA1 with tags of 80 and 32
//     bits, the null cipher, key derivation with a rate of 0 (section 4.3), replay protection (3.3.2),
//     the roll-over counter (3.3.1) and the limits of a key (9.2),
//   - RFC 6188: AES-256 in counter mode and its key derivation,
//   - RFC 7714: AEAD_AES_128_GCM and AEAD_AES_256_GCM for SRTP and SRTCP, the latter with and without
//     the E flag (section 9), including erratum 4938 on the 96-bit master salt,
//   - RFC 5764 section 4.1.2 and RFC 7714 section 14.2: the protection profiles that DTLS negotiates,
//   - RFC 5761 section 4: telling RTCP from RTP on one port.
//
// A master key identifier (MKI), the F8 mode, key derivation rates above 0 and encrypted header
// extensions (RFC 6904) are not supported: DTLS-SRTP uses none of them.
//
// A [Sender] and a [Receiver] hold one direction each, for any number of synchronisation sources, with one
// master key. Both are safe for concurrent use; no packet allocates memory except the first of a source.
//
// # Memory
//
// Every method takes dst and pkt. They either start at the same byte (in place) or do not overlap at all;
// anything between is refused with [ErrOverlap]. Only dst[:len(dst)] is written, never the capacity behind it.
//
// When a packet is refused because of its tag, no byte of plaintext has been written anywhere. Counter mode
// authenticates before it decrypts, so dst is untouched. GCM checks while it decrypts, and the standard
// library then wipes its output: the payload part of dst is zero afterwards, which in place means that the
// packet is lost. Whoever wants to try one packet under two keys gives a separate dst.
//
// # What a receiver remembers
//
// A receiver keeps state only for sources from which a packet has been authenticated; a forged packet
// leaves no trace and costs no memory. Under a policy without authentication nothing can be told from
// forgery, and only the limit on the number of sources holds.
package srtp
