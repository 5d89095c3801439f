// SPDX-License-Identifier: LGPL-2.1-or-later

package srtp

import "fmt"

// How many synchronisation sources one Receiver or Sender keeps. A receiver's come from the network, a
// sender's from the application. Neither forgets one: that would open the way to replay, or to using a
// nonce twice.
const (
	MaxReceiverStreams = 32768
	MaxSenderStreams   = 65536
)

// The range and default of Options.ReplayWindow, in packets; GStreamer's srtpdec has the same.
const (
	MinReplayWindow     = 64
	MaxReplayWindow     = 32768
	DefaultReplayWindow = 128
)

// Options of a Sender or a Receiver. The zero value is good.
type Options struct {
	// ReplayWindow is how many packets behind the newest one a packet is still accepted: 64 to 32768,
	// 0 means 128. A sender takes packets out of order within the same window.
	ReplayWindow int

	// AllowRepeatTx lets a sender protect the same packet again, as long as it is the same to the byte; the
	// result is then the same too. Another packet with a sequence number that was used is refused in any
	// case: its keystream has been used. A receiver ignores this.
	AllowRepeatTx bool

	// SoftLimit is called once per synchronisation source when less than 2^20 RTP or 2^16 RTCP packets are
	// left for the master key (RFC 3711 section 9.2), on the goroutine that handed over the packet and with
	// no lock held. nil means not to be told.
	SoftLimit func(ssrc uint32)
}

func (o Options) window() (int, error) {
	switch {
	case o.ReplayWindow == 0:
		return DefaultReplayWindow, nil
	case o.ReplayWindow < MinReplayWindow || o.ReplayWindow > MaxReplayWindow:
		return 0, fmt.Errorf("srtp: a replay window of %d packets is out of range; use %d to %d, or 0 for %d",
			o.ReplayWindow, MinReplayWindow, MaxReplayWindow, DefaultReplayWindow)
	}
	return o.ReplayWindow, nil
}

// StreamInfo is the state of one synchronisation source.
type StreamInfo struct {
	SSRC        uint32
	ROC         uint32 // roll-over counter of the newest RTP packet
	HighestSeq  uint16 // sequence number of the newest RTP packet
	Packets     uint64 // RTP packets, repeated ones included
	Bytes       uint64 // their payload and header, without what SRTP adds
	RTCPPackets uint64
	RTCPBytes   uint64
}
