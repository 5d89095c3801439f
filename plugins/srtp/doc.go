// SPDX-License-Identifier: LGPL-2.1-or-later

// Package srtp is the SRTP half of dtlssrtpenc and dtlssrtpdec: it carries RTP and
// RTCP (RFC 3550) between the pads of such an element, protected by SRTP (RFC 3711,
// RFC 7714), with RTCP multiplexed into RTP where that is done (RFC 5761).
//
// An [Encoder] has any number of sink pads and shares the element's source pad with
// the DTLS side. A [Decoder] takes the element's sink pad, tells DTLS, SRTP and
// SRTCP apart (RFC 7983) and has two source pads. Without a key media is held,
// within bounds, and goes on in order when the key comes. It is never sent
// unprotected unless every cipher is null, and what does not authenticate is
// dropped and counted.
//
// Everything but the crypto is C: a buffer costs one entry into Go, a list one for
// each 64 packets.
package srtp

/*
#cgo pkg-config: gstreamer-1.0
#cgo CFLAGS: -std=gnu11 -Wall -Wextra
*/
import "C"
