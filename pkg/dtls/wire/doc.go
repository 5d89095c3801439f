// SPDX-License-Identifier: LGPL-2.1-or-later

// Package wire stands between the network and a DTLS 1.2 stack (RFC 6347) and
// lets nothing through that could harm it: a stack that takes the first
// well-formed ServerHello, Certificate or fragment for the true one dies of a
// single spoofed datagram.
//
// Classify divides what shares one socket (RFC 7983). Front answers
// ClientHellos without memory until a cookie comes back. Guard holds back the
// peer's handshake messages until their signature proves that they belong to
// this handshake.
//
// Nothing here starts a goroutine or looks at a clock. What came from outside
// is parsed within fixed bounds and held within fixed bounds.
package wire

// Kind is what a datagram is, by its first byte.
type Kind uint8

// The kinds of RFC 7983 section 7, by their first byte.
const (
	KindOther Kind = iota
	KindSTUN       // 0..3
	KindZRTP       // 16..19
	KindDTLS       // 20..63
	KindTURN       // 64..79, TURN channel data
	KindRTP        // 128..191, RTP and RTCP
)

// Classify tells what a datagram is by its first byte (RFC 7983 section 7).
func Classify(first byte) Kind {
	switch {
	case first <= 3:
		return KindSTUN
	case first >= 16 && first <= 19:
		return KindZRTP
	case first >= 20 && first <= 63:
		return KindDTLS
	case first >= 64 && first <= 79:
		return KindTURN
	case first >= 128 && first <= 191:
		return KindRTP
	}
	return KindOther
}

// String names the kind.
func (k Kind) String() string {
	switch k {
	case KindSTUN:
		return "STUN"
	case KindZRTP:
		return "ZRTP"
	case KindDTLS:
		return "DTLS"
	case KindTURN:
		return "TURN"
	case KindRTP:
		return "RTP"
	}
	return "other"
}

// Reason is why something that came from the network was dropped. Statistics
// use the numbers as indices and String as names.
type Reason uint8

// The reasons.
const (
	// DropMalformed: no protocol that is spoken here looks like it.
	DropMalformed Reason = iota
	// DropSpoofed: well-formed, but not valid now; forged, or far too late.
	DropSpoofed
	// DropReplay: it came before.
	DropReplay
	// DropAuth: its authentication failed.
	DropAuth
	// DropBeforeKey: it came before the keys that it needs.
	DropBeforeKey
	// DropQueueFull: the bounded queue for it was full.
	DropQueueFull

	// Reasons is the number of reasons.
	Reasons = iota
)

// String names the reason as statistics do.
func (r Reason) String() string {
	switch r {
	case DropMalformed:
		return "malformed"
	case DropSpoofed:
		return "spoofed"
	case DropReplay:
		return "replay"
	case DropAuth:
		return "auth"
	case DropBeforeKey:
		return "before-key"
	case DropQueueFull:
		return "queue-full"
	}
	return "unknown"
}
