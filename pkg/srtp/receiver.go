// SPDX-License-Identifier: LGPL-2.1-or-later

package srtp

import "sync"

// Receiver authenticates and decrypts the packets that a peer sends under one master key.
type Receiver struct {
	policy    Policy
	key       keyID
	window    int
	softLimit func(uint32)

	mu        sync.Mutex
	rtp, rtcp *session // nil if the policy protects nothing
	streams   map[uint32]*rxStream
	last      *rxStream // the stream of the packet before
}

type rxStream struct {
	stream
	rtcpSeen window
}

// NewReceiver makes a Receiver from the peer's master key, followed by the master salt: Policy.KeySize
// bytes, which are copied.
func NewReceiver(p Policy, masterKeyAndSalt []byte, o Options) (*Receiver, error) {
	rtp, rtcp, id, window, err := prepare(p, masterKeyAndSalt, o)
	if err != nil {
		return nil, err
	}
	return &Receiver{policy: p, key: id, window: window, softLimit: o.SoftLimit,
		rtp: rtp, rtcp: rtcp, streams: make(map[uint32]*rxStream)}, nil
}

// String names the policy and no key.
func (r *Receiver) String() string { return "Receiver under " + r.policy.String() }

// GoString is String.
func (r *Receiver) GoString() string { return r.String() }

// UnprotectRTP authenticates and decrypts the SRTP packet pkt into dst and returns the length of the RTP
// packet. dst needs len(pkt) - Policy.RTPOverhead bytes; see the package on memory. A packet that is refused
// changes no state.
func (r *Receiver) UnprotectRTP(dst, pkt []byte) (int, error) {
	if r.rtp == nil {
		if _, err := rtpHeader(pkt); err != nil {
			return 0, err
		}
		return passThrough(dst, pkt)
	}
	n := len(pkt) - r.rtp.tag
	if n < 0 {
		return 0, errNoTag
	}
	hdr, err := rtpHeader(pkt[:n])
	if err != nil {
		return 0, err
	}
	if len(dst) < n {
		return 0, ErrShortBuffer
	}
	same, err := inPlace(dst, pkt)
	if err != nil {
		return 0, err
	}
	ssrc := rtpSSRC(pkt)
	n, soft, err := r.unprotectRTP(dst, pkt, hdr, ssrc, same)
	if soft && r.softLimit != nil {
		r.softLimit(ssrc)
	}
	return n, err
}

func (r *Receiver) unprotectRTP(dst, pkt []byte, hdr int, ssrc uint32, same bool) (n int, soft bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	st := r.find(ssrc)
	index := uint64(rtpSeq(pkt))
	if st != nil {
		if index = st.rtp.rtpIndex(uint16(index)); index > maxRTPIndex {
			return 0, false, ErrKeyExpired
		}
		if err := st.rtp.check(index); err != nil {
			return 0, false, err
		}
	} else if len(r.streams) >= MaxReceiverStreams {
		return 0, false, ErrTooManyStreams
	}
	if n, err = r.rtp.unprotectRTP(dst, pkt, hdr, ssrc, index, same); err != nil {
		return 0, false, err
	}
	if st == nil {
		st = r.add(ssrc)
	}
	r.last = st
	st.rtp.add(index)
	st.packets++
	st.bytes += uint64(n)
	return n, index > maxRTPIndex-rtpSoftMargin && st.soft(true), nil
}

// UnprotectRTCP authenticates and decrypts the SRTCP packet pkt into dst and returns the length of the RTCP
// packet. dst needs len(pkt) - Policy.RTCPOverhead bytes. A packet that is authenticated but not encrypted
// (E flag 0) is taken as such.
func (r *Receiver) UnprotectRTCP(dst, pkt []byte) (int, error) {
	if r.rtcp == nil {
		if err := rtcpHeader(pkt); err != nil {
			return 0, err
		}
		return passThrough(dst, pkt)
	}
	n := len(pkt) - r.rtcp.tag - rtcpIndexLen
	if n < 0 {
		return 0, errNoTag
	}
	if err := rtcpHeader(pkt[:n]); err != nil {
		return 0, err
	}
	if len(dst) < n {
		return 0, ErrShortBuffer
	}
	same, err := inPlace(dst, pkt)
	if err != nil {
		return 0, err
	}
	ssrc := rtcpSSRC(pkt)
	n, soft, err := r.unprotectRTCP(dst, pkt, ssrc, same)
	if soft && r.softLimit != nil {
		r.softLimit(ssrc)
	}
	return n, err
}

func (r *Receiver) unprotectRTCP(dst, pkt []byte, ssrc uint32, same bool) (n int, soft bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	word := r.rtcp.rtcpWord(pkt)
	index := uint64(word &^ rtcpEncrypted)
	st := r.find(ssrc)
	if st != nil {
		if err := st.rtcpSeen.check(index); err != nil {
			return 0, false, err
		}
	} else if len(r.streams) >= MaxReceiverStreams {
		return 0, false, ErrTooManyStreams
	}
	if n, err = r.rtcp.unprotectRTCP(dst, pkt, ssrc, word, same); err != nil {
		return 0, false, err
	}
	if st == nil {
		st = r.add(ssrc)
	}
	r.last = st
	st.rtcpSeen.add(index)
	st.rtcp++
	st.rtcpBytes += uint64(n)
	return n, index > maxRTCPIndex-rtcpSoftMargin && st.soft(true), nil
}

func (r *Receiver) find(ssrc uint32) *rxStream {
	if r.last != nil && r.last.ssrc == ssrc {
		return r.last
	}
	return r.streams[ssrc]
}

// add makes the state of a source, after a packet of it was authenticated.
func (r *Receiver) add(ssrc uint32) *rxStream {
	st := r.newStream(ssrc)
	r.streams[ssrc] = st
	return st
}

func (r *Receiver) newStream(ssrc uint32) *rxStream {
	return &rxStream{stream: stream{ssrc: ssrc, rtp: newWindow(r.window)}, rtcpSeen: newWindow(r.window)}
}

// Inherit carries the state of old over, for re-keying: the roll-over counter and the highest sequence
// number of each source go on (RFC 3711 section 3.3.1). Sources that this Receiver has state of already stay
// as they are. Under the same policy and key what old has seen counts as seen; under a new key nothing has
// been seen, since packets of the old key do not authenticate. Nothing may be received through old
// afterwards if the key is the same.
func (r *Receiver) Inherit(old *Receiver) {
	if old == nil || old == r {
		return
	}
	sameKey := r.key == old.key
	old.mu.Lock()
	streams := make([]*rxStream, 0, len(old.streams))
	for _, o := range old.streams {
		st := r.newStream(o.ssrc)
		st.rtp.copyFrom(&o.rtp)
		if sameKey {
			st.rtcpSeen.copyFrom(&o.rtcpSeen)
			st.softDone = o.softDone
		} else {
			st.rtp.forget()
			if st.rtp.highest >= maxRTPIndex {
				st.rtp.started = false
			}
		}
		streams = append(streams, st)
	}
	old.mu.Unlock()

	r.mu.Lock()
	defer r.mu.Unlock()
	for _, st := range streams {
		if r.streams[st.ssrc] == nil && len(r.streams) < MaxReceiverStreams {
			r.streams[st.ssrc] = st
		}
	}
}

// Opened reports whether this Receiver has authenticated an RTP packet of the source that pkt is of. Its
// roll-over counter is certain then, not inherited or guessed.
func (r *Receiver) Opened(pkt []byte) bool {
	if len(pkt) < rtpHeaderLen {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	st := r.find(rtpSSRC(pkt))
	return st != nil && st.packets > 0
}

// TakeOver moves the sources of which other, under the same key, has authenticated packets: that counts more
// than what was inherited. Nothing may be received through other afterwards.
func (r *Receiver) TakeOver(other *Receiver) {
	if other == nil || other == r || other.key != r.key {
		return
	}
	other.mu.Lock()
	streams := other.streams
	other.streams, other.last = nil, nil
	other.mu.Unlock()

	r.mu.Lock()
	defer r.mu.Unlock()
	for ssrc, o := range streams {
		st := r.streams[ssrc]
		switch {
		case o.packets == 0 && o.rtcp == 0:
			continue
		case st == nil:
			if len(r.streams) < MaxReceiverStreams {
				r.streams[ssrc] = o
			}
			continue
		}
		if o.packets > 0 {
			st.rtp = o.rtp
			st.packets += o.packets
			st.bytes += o.bytes
		}
		if o.rtcp > 0 {
			st.rtcpSeen = o.rtcpSeen
			st.rtcp += o.rtcp
			st.rtcpBytes += o.rtcpBytes
		}
	}
}

// Streams lists the sources of which packets were authenticated, in no order.
func (r *Receiver) Streams() []StreamInfo {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]StreamInfo, 0, len(r.streams))
	for _, st := range r.streams {
		list = append(list, st.info())
	}
	return list
}
