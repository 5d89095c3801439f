// SPDX-License-Identifier: LGPL-2.1-or-later

package srtp

/*
#include "engine.h"
*/
import "C"

import "github.com/gst-edgewire/gst-edgewire/internal/gst"

// Stats is what an Encoder or a Decoder has counted since the element was made.
// Bytes are those of RTP and RTCP, without what SRTP adds.
type Stats struct {
	RTPPackets, RTPBytes, RTCPPackets, RTCPBytes uint64
	// Held is how many packets wait for a key now.
	Held uint64
	// What was dropped, and why.
	Malformed, Auth, Replay, Old, Expired, Failed, BeforeKey uint64
	// What was dropped because it is neither DTLS nor SRTP, by what its first byte
	// says it is. Other counts DTLS too while nobody takes it.
	Other, STUN, TURN, ZRTP, Empty uint64
}

func readStats(held uint64, count func(C.guint) C.guint64) Stats {
	n := func(i C.guint) uint64 { return uint64(count(i)) }
	return Stats{
		RTPPackets: n(C.EW_COUNT_RTP_PACKETS), RTPBytes: n(C.EW_COUNT_RTP_BYTES),
		RTCPPackets: n(C.EW_COUNT_RTCP_PACKETS), RTCPBytes: n(C.EW_COUNT_RTCP_BYTES),
		Held:      held,
		Malformed: n(C.EW_COUNT_MALFORMED), Auth: n(C.EW_COUNT_AUTH), Replay: n(C.EW_COUNT_REPLAY), Old: n(C.EW_COUNT_OLD),
		Expired: n(C.EW_COUNT_EXPIRED), Failed: n(C.EW_COUNT_FAILED), BeforeKey: n(C.EW_COUNT_BEFORE_KEY),
		Other: n(C.EW_COUNT_OTHER), STUN: n(C.EW_COUNT_STUN), TURN: n(C.EW_COUNT_TURN), ZRTP: n(C.EW_COUNT_ZRTP),
		Empty: n(C.EW_COUNT_EMPTY),
	}
}

// Fields are the Stats for a GstStructure. demux adds what only a Decoder counts.
func (s Stats) Fields(demux bool) []gst.Field {
	f := []gst.Field{
		{Name: "rtp-packets", Value: s.RTPPackets}, {Name: "rtp-bytes", Value: s.RTPBytes},
		{Name: "rtcp-packets", Value: s.RTCPPackets}, {Name: "rtcp-bytes", Value: s.RTCPBytes},
		{Name: "held", Value: s.Held},
		{Name: "dropped-before-key", Value: s.BeforeKey}, {Name: "dropped-auth", Value: s.Auth},
		{Name: "dropped-replay", Value: s.Replay}, {Name: "dropped-old", Value: s.Old},
		{Name: "dropped-malformed", Value: s.Malformed}, {Name: "dropped-key-expired", Value: s.Expired},
		{Name: "dropped-failed", Value: s.Failed},
	}
	if demux {
		f = append(f, gst.Field{Name: "dropped-other", Value: s.Other}, gst.Field{Name: "dropped-stun", Value: s.STUN},
			gst.Field{Name: "dropped-turn", Value: s.TURN}, gst.Field{Name: "dropped-zrtp", Value: s.ZRTP},
			gst.Field{Name: "dropped-empty", Value: s.Empty})
	}
	return f
}
