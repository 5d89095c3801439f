// SPDX-License-Identifier: LGPL-2.1-or-later

package srtp

import (
	"hash/maphash"
	"sync"
)

// Sender protects the packets that we send under one master key.
type Sender struct {
	policy    Policy
	key       keyID
	window    int
	repeat    bool
	softLimit func(uint32)
	seed      maphash.Seed

	mu        sync.Mutex
	rtp, rtcp *session // nil if the policy protects nothing
	streams   map[uint32]*txStream
	last      *txStream // the stream of the packet before
}

type txStream struct {
	stream
	nextRTCP uint64   // SRTCP index of the next packet; above maxRTCPIndex: none is left
	prints   []uint64 // with AllowRepeatTx: fingerprints of the packets in the window, by index modulo its size
}

// NewSender makes a Sender from the master key, followed by the master salt: Policy.KeySize bytes, which are
// copied.
func NewSender(p Policy, masterKeyAndSalt []byte, o Options) (*Sender, error) {
	rtp, rtcp, id, window, err := prepare(p, masterKeyAndSalt, o)
	if err != nil {
		return nil, err
	}
	return &Sender{policy: p, key: id, window: window, repeat: o.AllowRepeatTx, softLimit: o.SoftLimit,
		seed: maphash.MakeSeed(), rtp: rtp, rtcp: rtcp, streams: make(map[uint32]*txStream)}, nil
}

// String names the policy and no key.
func (s *Sender) String() string { return "Sender under " + s.policy.String() }

// GoString is String.
func (s *Sender) GoString() string { return s.String() }

// ProtectRTP writes the SRTP packet for the RTP packet pkt to dst and returns its length. dst needs
// len(pkt) + Policy.RTPOverhead bytes; see the package on memory.
//
// The roll-over counter follows the sequence numbers, which may come out of order within the replay window.
// A sequence number that was used is refused with [ErrReplay] (see Options.AllowRepeatTx), one before the
// window with [ErrOld]: no keystream ever serves two packets.
func (s *Sender) ProtectRTP(dst, pkt []byte) (int, error) {
	hdr, err := rtpHeader(pkt)
	if err != nil {
		return 0, err
	}
	if s.rtp == nil {
		return passThrough(dst, pkt)
	}
	if len(dst) < len(pkt)+s.rtp.tag {
		return 0, ErrShortBuffer
	}
	same, err := inPlace(dst, pkt)
	if err != nil {
		return 0, err
	}
	n, soft, err := s.protectRTP(dst, pkt, hdr, same)
	if soft && s.softLimit != nil {
		s.softLimit(rtpSSRC(dst))
	}
	return n, err
}

func (s *Sender) protectRTP(dst, pkt []byte, hdr int, same bool) (n int, soft bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.stream(rtpSSRC(pkt))
	if err != nil {
		return 0, false, err
	}
	index := st.rtp.rtpIndex(rtpSeq(pkt))
	if index > maxRTPIndex {
		return 0, false, ErrKeyExpired
	}
	var print uint64
	if st.prints != nil {
		print = maphash.Bytes(s.seed, pkt)
	}
	if err := st.rtp.check(index); err != nil {
		if err != ErrReplay || st.prints == nil || st.prints[index%uint64(len(st.prints))] != print {
			return 0, false, err
		}
	} else {
		st.rtp.add(index) // before the keystream is made: whatever happens, it counts as used
	}
	if st.prints != nil {
		st.prints[index%uint64(len(st.prints))] = print
	}
	st.packets++
	st.bytes += uint64(len(pkt))
	n = s.rtp.protectRTP(dst, pkt, hdr, st.ssrc, index, same)
	return n, index > maxRTPIndex-rtpSoftMargin && st.soft(true), nil
}

// ProtectRTCP writes the SRTCP packet for the (compound) RTCP packet pkt to dst and returns its length. dst
// needs len(pkt) + Policy.RTCPOverhead bytes. The same packet given twice becomes two different ones.
func (s *Sender) ProtectRTCP(dst, pkt []byte) (int, error) {
	if err := rtcpHeader(pkt); err != nil {
		return 0, err
	}
	if s.rtcp == nil {
		return passThrough(dst, pkt)
	}
	if len(dst) < len(pkt)+s.rtcp.tag+rtcpIndexLen {
		return 0, ErrShortBuffer
	}
	same, err := inPlace(dst, pkt)
	if err != nil {
		return 0, err
	}
	n, soft, err := s.protectRTCP(dst, pkt, same)
	if soft && s.softLimit != nil {
		s.softLimit(rtcpSSRC(dst))
	}
	return n, err
}

func (s *Sender) protectRTCP(dst, pkt []byte, same bool) (n int, soft bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.stream(rtcpSSRC(pkt))
	if err != nil {
		return 0, false, err
	}
	if st.nextRTCP > maxRTCPIndex {
		return 0, false, ErrKeyExpired
	}
	index := uint32(st.nextRTCP)
	st.nextRTCP++
	st.rtcp++
	st.rtcpBytes += uint64(len(pkt))
	n = s.rtcp.protectRTCP(dst, pkt, st.ssrc, index, same)
	return n, index > maxRTCPIndex-rtcpSoftMargin && st.soft(true), nil
}

// stream finds or makes the state of a source.
func (s *Sender) stream(ssrc uint32) (*txStream, error) {
	if s.last != nil && s.last.ssrc == ssrc {
		return s.last, nil
	}
	st := s.streams[ssrc]
	if st == nil {
		if len(s.streams) >= MaxSenderStreams {
			return nil, ErrTooManyStreams
		}
		st = s.newStream(ssrc)
		s.streams[ssrc] = st
	}
	s.last = st
	return st, nil
}

func (s *Sender) newStream(ssrc uint32) *txStream {
	st := &txStream{stream: stream{ssrc: ssrc, rtp: newWindow(s.window)}}
	if s.repeat {
		st.prints = make([]uint64, s.window)
	}
	return st
}

// Inherit carries the state of old over, for re-keying: the roll-over counter and the highest sequence
// number of each source go on (RFC 3711 section 3.3.1), and so does the SRTCP index (section 3.4). Sources
// that this Sender has state of already stay as they are. Under the same policy and key the packets that old
// has sent count as sent; a new key has not sent any. A source whose index space is used up begins at 0
// again, SRTCP does so after its soft limit already. Nothing may be sent through old afterwards if the key is
// the same.
func (s *Sender) Inherit(old *Sender) {
	if old == nil || old == s {
		return
	}
	sameKey := s.key == old.key
	old.mu.Lock()
	streams := make([]*txStream, 0, len(old.streams))
	for _, o := range old.streams {
		st := s.newStream(o.ssrc)
		st.rtp.copyFrom(&o.rtp)
		st.nextRTCP = o.nextRTCP
		if sameKey {
			st.softDone = o.softDone
		} else {
			st.rekey()
		}
		streams = append(streams, st)
	}
	old.mu.Unlock()

	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range streams {
		if s.streams[st.ssrc] == nil && len(s.streams) < MaxSenderStreams {
			s.streams[st.ssrc] = st
		}
	}
}

func (st *txStream) rekey() {
	st.rtp.forget()
	if st.rtp.highest >= maxRTPIndex {
		st.rtp.started = false
	}
	if st.nextRTCP > maxRTCPIndex-rtcpSoftMargin {
		st.nextRTCP = 0
	}
}

// Streams lists the sources that were sent, in no order.
func (s *Sender) Streams() []StreamInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]StreamInfo, 0, len(s.streams))
	for _, st := range s.streams {
		list = append(list, st.info())
	}
	return list
}
