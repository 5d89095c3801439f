// SPDX-License-Identifier: LGPL-2.1-or-later

package srtp

import "testing"

func TestManyStreams(t *testing.T) {
	forBoth(t, func(t *testing.T, p Policy) {
		s, r := mustSender(t, p, testKey(p), Options{}), mustReceiver(t, p, testKey(p), Options{})
		for round := range 2 {
			for ssrc := range uint32(MaxReceiverStreams) {
				if _, err := r.UnprotectRTP(make([]byte, 64), protectRTP(t, s, rtpPacket(ssrc, uint16(round+int(ssrc)), 4))); err != nil {
					t.Fatalf("SSRC %d: %v", ssrc, err)
				}
			}
		}
		one := protectRTP(t, s, rtpPacket(1<<20, 1, 4))
		_, err := unprotectRTP(t, r, one)
		wantErr(t, "one source too many", err, ErrTooManyStreams)
		_, err = unprotectRTCP(t, r, protectRTCP(t, s, rtcpPacket(1<<20, 12)))
		wantErr(t, "one RTCP source too many", err, ErrTooManyStreams)
		if n := len(r.Streams()); n != MaxReceiverStreams {
			t.Errorf("%d streams", n)
		}
		if n := len(s.Streams()); n != MaxReceiverStreams+1 {
			t.Errorf("sender: %d streams", n)
		}
		if _, err := unprotectRTP(t, r, protectRTP(t, s, rtpPacket(5, 100, 4))); err != nil {
			t.Errorf("a known source after the limit: %v", err)
		}
	})
}

func TestSenderStreamLimit(t *testing.T) {
	p := AEADAES128GCM.Policy()
	s := mustSender(t, p, testKey(p), Options{})
	buf := make([]byte, 64)
	for ssrc := range uint32(MaxSenderStreams) {
		if _, err := s.ProtectRTP(buf, rtpPacket(ssrc, 1, 0)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.ProtectRTP(buf, rtpPacket(1<<31, 1, 0)); err != ErrTooManyStreams {
		t.Errorf("one source too many: %v", err)
	}
}

// Forged packets of many sources leave nothing behind.
func TestForgedCostNothing(t *testing.T) {
	forBoth(t, func(t *testing.T, p Policy) {
		r := mustReceiver(t, p, testKey(p), Options{})
		buf := make([]byte, 128)
		pkt, rtcp := rtpPacket(0, 1, 60), rtcpPacket(0, 60)
		ssrc := uint32(0)
		if n := testing.AllocsPerRun(2000, func() {
			ssrc++
			pkt[8], pkt[9], pkt[10], pkt[11] = byte(ssrc>>24), byte(ssrc>>16), byte(ssrc>>8), byte(ssrc)
			copy(rtcp[4:8], pkt[8:12])
			if _, err := r.UnprotectRTP(buf, pkt); err != ErrAuth {
				t.Fatal(err)
			}
			if _, err := r.UnprotectRTCP(buf, rtcp); err != ErrAuth {
				t.Fatal(err)
			}
		}); n != 0 && !raceEnabled {
			t.Errorf("%v allocations for a forged packet", n)
		}
		if len(r.Streams()) != 0 {
			t.Error("a forged packet left state")
		}
	})
}

func TestNoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, p := range policies() {
		s, r := mustSender(t, p, testKey(p), Options{AllowRepeatTx: true}), mustReceiver(t, p, testKey(p), Options{})
		pkt, rtcp := rtpPacket(1, 0, 500), rtcpPacket(1, 200)
		prot, out := make([]byte, 600), make([]byte, 600)
		seq := uint16(0)
		step := func() {
			seq++
			pkt[2], pkt[3] = byte(seq>>8), byte(seq)
			n, err := s.ProtectRTP(prot, pkt)
			if err == nil {
				_, err = r.UnprotectRTP(out, prot[:n])
			}
			if err != nil {
				t.Fatal(err)
			}
			if n, err = s.ProtectRTCP(prot, rtcp); err == nil {
				_, err = r.UnprotectRTCP(out, prot[:n])
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		step()
		if n := testing.AllocsPerRun(200, step); n != 0 {
			t.Errorf("%v: %v allocations per packet", p, n)
		}
	}
}

func TestLimitsAndSoftLimit(t *testing.T) {
	forBoth(t, func(t *testing.T, p Policy) {
		var tx, rx []uint32
		s := mustSender(t, p, testKey(p), Options{SoftLimit: func(ssrc uint32) { tx = append(tx, ssrc) }})
		r := mustReceiver(t, p, testKey(p), Options{SoftLimit: func(ssrc uint32) { rx = append(rx, ssrc) }})
		for _, ssrc := range []uint32{1, 2} {
			protectRTP(t, s, rtpPacket(ssrc, 1, 4))
			if _, err := unprotectRTP(t, r, protectRTP(t, s, rtpPacket(ssrc, 2, 4))); err != nil {
				t.Fatal(err)
			}
		}
		// Near the soft limit, and at it.
		lead := func(ssrc uint32, index uint64) {
			s.streams[ssrc].rtp.highest, r.streams[ssrc].rtp.highest = index, index
		}
		lead(1, maxRTPIndex-rtpSoftMargin-1)
		next := func(ssrc uint32) error {
			seq := uint16(s.streams[ssrc].rtp.highest + 1)
			pkt := rtpPacket(ssrc, seq, 4)
			buf := make([]byte, 64)
			n, err := s.ProtectRTP(buf, pkt)
			if err != nil {
				return err
			}
			_, err = unprotectRTP(t, r, buf[:n])
			return err
		}
		if err := next(1); err != nil || len(tx) != 0 || len(rx) != 0 {
			t.Errorf("before the soft limit: %v, told %v and %v", err, tx, rx)
		}
		for range 3 {
			if err := next(1); err != nil {
				t.Error(err)
			}
		}
		if len(tx) != 1 || tx[0] != 1 || len(rx) != 1 || rx[0] != 1 {
			t.Errorf("soft limit told to %v and %v, want source 1 once", tx, rx)
		}
		lead(1, maxRTPIndex-1)
		if err := next(1); err != nil {
			t.Errorf("the last packet: %v", err)
		}
		wantErr(t, "after the last packet", next(1), ErrKeyExpired)
		wantErr(t, "after the last packet, again", next(1), ErrKeyExpired)
		_, err := unprotectRTP(t, r, append(rtpPacket(1, 0, 4), make([]byte, p.RTPOverhead())...))
		wantErr(t, "receiving after the last packet", err, ErrKeyExpired)
		if err := next(2); err != nil {
			t.Errorf("the other source: %v", err)
		}

		// SRTCP
		s.streams[2].nextRTCP = maxRTCPIndex - rtcpSoftMargin
		for range 4 {
			if _, err := unprotectRTCP(t, r, protectRTCP(t, s, rtcpPacket(2, 12))); err != nil {
				t.Error(err)
			}
		}
		if len(tx) != 2 || tx[1] != 2 || len(rx) != 2 || rx[1] != 2 {
			t.Errorf("soft limit told to %v and %v, want source 2 once as well", tx, rx)
		}
		s.streams[2].nextRTCP = maxRTCPIndex
		if _, err := unprotectRTCP(t, r, protectRTCP(t, s, rtcpPacket(2, 12))); err != nil {
			t.Error(err)
		}
		_, err = s.ProtectRTCP(make([]byte, 64), rtcpPacket(2, 12))
		wantErr(t, "after the last SRTCP packet", err, ErrKeyExpired)
	})
}

// The callback may use the Sender.
func TestSoftLimitMayReenter(t *testing.T) {
	p := AEADAES128GCM.Policy()
	var s *Sender
	told := 0
	s = mustSender(t, p, testKey(p), Options{SoftLimit: func(uint32) { told += len(s.Streams()) }})
	protectRTP(t, s, rtpPacket(1, 1, 4))
	s.streams[1].rtp.highest = maxRTPIndex - 100
	protectRTP(t, s, rtpPacket(1, (maxRTPIndex-99)&0xffff, 4))
	if told != 1 {
		t.Errorf("told %d", told)
	}
}
