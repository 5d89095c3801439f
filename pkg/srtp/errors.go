// SPDX-License-Identifier: LGPL-2.1-or-later

package srtp

import (
	"errors"
	"fmt"
)

// The reasons for which a packet is refused. What the methods return matches one of these by errors.Is.
var (
	// ErrMalformed: the packet is not RTP (RTCP), or too short or too long to be protected.
	ErrMalformed = errors.New("srtp: malformed packet")
	// ErrAuth: the authentication tag does not fit: another key, a changed packet, or a lost roll-over counter.
	ErrAuth = errors.New("srtp: authentication failed")
	// ErrReplay: a packet with this index has been seen (sent) before.
	ErrReplay = errors.New("srtp: packet index was used before")
	// ErrOld: the packet's index lies before the replay window, so it cannot be told whether it is a replay.
	ErrOld = errors.New("srtp: packet is older than the replay window")
	// ErrKeyExpired: the master key has protected as many packets as RFC 3711 section 9.2 allows for this
	// source. A new key is needed.
	ErrKeyExpired = errors.New("srtp: the master key has reached its limit of packets, a new one is needed")
	// ErrTooManyStreams: the packet would open one source more than [MaxReceiverStreams] or
	// [MaxSenderStreams].
	ErrTooManyStreams = errors.New("srtp: too many synchronisation sources under one key")
	// ErrShortBuffer: dst is shorter than the result.
	ErrShortBuffer = errors.New("srtp: dst is too short: it needs the packet's length and the policy's overhead")
	// ErrOverlap: dst and pkt overlap without starting at the same byte.
	ErrOverlap = errors.New("srtp: dst and pkt overlap but do not start at the same byte")
)

// Made once, so that refusing a packet allocates nothing.
var (
	errTooShort  = fmt.Errorf("%w: too short for its header", ErrMalformed)
	errNoTag     = fmt.Errorf("%w: too short for its header and authentication tag", ErrMalformed)
	errTooLong   = fmt.Errorf("%w: longer than a counter-mode keystream (1 MiB)", ErrMalformed)
	errVersion   = fmt.Errorf("%w: the version is not 2", ErrMalformed)
	errEncrypted = fmt.Errorf("%w: SRTCP says that it is encrypted, but the policy has no cipher for RTCP", ErrMalformed)
)
