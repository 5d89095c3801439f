// SPDX-License-Identifier: LGPL-2.1-or-later

package srtp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"testing"
)

func TestInheritCarriesROC(t *testing.T) {
	forBoth(t, func(t *testing.T, p Policy) {
		oldKey, newKey := testKey(p), bytes.Repeat([]byte{0x5a}, p.KeySize())
		s, r := mustSender(t, p, oldKey, Options{}), mustReceiver(t, p, oldKey, Options{})
		var last []byte
		for i := range 20 {
			last = protectRTP(t, s, rtpPacket(1, uint16(65530+i), 10))
			if _, err := unprotectRTP(t, r, last); err != nil {
				t.Fatal(err)
			}
			if _, err := unprotectRTCP(t, r, protectRTCP(t, s, rtcpPacket(1, 16))); err != nil {
				t.Fatal(err)
			}
		}
		s2, r2 := mustSender(t, p, newKey, Options{}), mustReceiver(t, p, newKey, Options{})
		s2.Inherit(s)
		r2.Inherit(r)
		s2.Inherit(nil)
		s2.Inherit(s2)
		r2.Inherit(nil)
		r2.Inherit(r2)

		// ROC 1 and the SRTCP index go on, byte for byte.
		pkt, rtcp := rtpPacket(1, 20, 10), rtcpPacket(1, 16)
		got, want := protectRTP(t, s2, pkt), referenceFor(p, newKey, false).rtp(pkt, 12, 1<<16|20)
		if !bytes.Equal(got, want) {
			t.Errorf("after re-keying: got %x, want %x", got, want)
		}
		if back, err := unprotectRTP(t, r2, got); err != nil || !bytes.Equal(back, pkt) {
			t.Errorf("after re-keying: %x, %v", back, err)
		}
		gotC, wantC := protectRTCP(t, s2, rtcp), referenceFor(p, newKey, true).rtcp(rtcp, 20, true)
		if !bytes.Equal(gotC, wantC) {
			t.Errorf("SRTCP after re-keying: got %x, want %x", gotC, wantC)
		}
		if _, err := unprotectRTCP(t, r2, gotC); err != nil {
			t.Errorf("SRTCP after re-keying: %v", err)
		}
		// The old key's packets still in flight go to the old receiver, and do not pass the new one.
		_, err := unprotectRTP(t, r2, protectRTP(t, s, rtpPacket(1, 14, 10)))
		wantErr(t, "a packet under the old key", err, ErrAuth)
		// A number before the change is free under the new key, with the right ROC: over the wrap.
		late := rtpPacket(1, 65533, 10)
		if got := protectRTP(t, s2, late); !bytes.Equal(got, referenceFor(p, newKey, false).rtp(late, 12, 65533)) {
			t.Error("a late packet under the new key has the wrong index")
		} else if _, err := unprotectRTP(t, r2, got); err != nil {
			t.Errorf("a late packet under the new key: %v", err)
		}
	})
}

func TestInheritSameKeyKeepsReplayProtection(t *testing.T) {
	forBoth(t, func(t *testing.T, p Policy) {
		for _, window := range []int{64, 128, 1024} {
			key := testKey(p)
			s, r := mustSender(t, p, key, Options{}), mustReceiver(t, p, key, Options{})
			pkt, rtcp := rtpPacket(1, 300, 10), rtcpPacket(1, 16)
			rtp1 := protectRTP(t, s, pkt)
			rtcp1 := protectRTCP(t, s, rtcp)
			missing := protectRTP(t, s, rtpPacket(1, 301, 10))
			rtp2 := protectRTP(t, s, rtpPacket(1, 302, 10))
			for _, m := range [][]byte{rtp1, rtp2} {
				if _, err := unprotectRTP(t, r, m); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := unprotectRTCP(t, r, rtcp1); err != nil {
				t.Fatal(err)
			}
			s2, r2 := mustSender(t, p, key, Options{ReplayWindow: window}), mustReceiver(t, p, key, Options{ReplayWindow: window})
			s2.Inherit(s)
			r2.Inherit(r)
			for _, m := range [][]byte{rtp1, rtp2} {
				_, err := unprotectRTP(t, r2, m)
				wantErr(t, "replay after Inherit", err, ErrReplay)
			}
			if _, err := unprotectRTP(t, r2, missing); err != nil {
				t.Errorf("window %d: a packet not seen yet: %v", window, err)
			}
			_, err := unprotectRTCP(t, r2, rtcp1)
			wantErr(t, "SRTCP replay after Inherit", err, ErrReplay)
			_, err = s2.ProtectRTP(make([]byte, 64), pkt)
			wantErr(t, "sending a used number after Inherit", err, ErrReplay)
			// What the old window could not tell counts as used, in a wider one too.
			_, err = s2.ProtectRTP(make([]byte, 64), rtpPacket(1, 302-128, 10))
			if err != ErrReplay && err != ErrOld {
				t.Errorf("window %d: sending a number before the old window: %v", window, err)
			}
			if got := protectRTCP(t, s2, rtcp); bytes.Equal(got, rtcp1) {
				t.Error("the SRTCP index was used twice")
			}
		}
	})
}

func TestInheritKeepsWhatIsThere(t *testing.T) {
	p := AEADAES128GCM.Policy()
	key2 := bytes.Repeat([]byte{1}, p.KeySize())
	s, s2 := mustSender(t, p, testKey(p), Options{}), mustSender(t, p, key2, Options{})
	protectRTP(t, s, rtpPacket(1, 100, 4))
	protectRTP(t, s2, rtpPacket(1, 40000, 4))
	s2.Inherit(s)
	if i := s2.Streams(); len(i) != 1 || i[0].HighestSeq != 40000 {
		t.Errorf("%+v", i)
	}
}

func TestInheritOfExpired(t *testing.T) {
	p := AEADAES128GCM.Policy()
	key2 := bytes.Repeat([]byte{1}, p.KeySize())
	s, r := mustSender(t, p, testKey(p), Options{}), mustReceiver(t, p, testKey(p), Options{})
	if _, err := unprotectRTP(t, r, protectRTP(t, s, rtpPacket(1, 1, 4))); err != nil {
		t.Fatal(err)
	}
	s.streams[1].rtp.highest, r.streams[1].rtp.highest = maxRTPIndex, maxRTPIndex
	s.streams[1].nextRTCP = maxRTCPIndex + 1
	s2, r2 := mustSender(t, p, key2, Options{}), mustReceiver(t, p, key2, Options{})
	s2.Inherit(s)
	r2.Inherit(r)
	if _, err := unprotectRTP(t, r2, protectRTP(t, s2, rtpPacket(1, 9, 4))); err != nil {
		t.Error(err)
	}
	if _, err := unprotectRTCP(t, r2, protectRTCP(t, s2, rtcpPacket(1, 12))); err != nil {
		t.Error(err)
	}
}

// A changed byte anywhere, a wrong key, a packet cut short: refused, no plaintext, no state.
func TestTampered(t *testing.T) {
	for _, p := range policies() {
		authRTP, authRTCP := p.RTPAuth != AuthNull || p.RTPCipher.gcm(), p.RTCPAuth != AuthNull || p.RTCPCipher.gcm()
		s := mustSender(t, p, testKey(p), Options{})
		r := mustReceiver(t, p, testKey(p), Options{})
		plain, plainC := rtpPacket(3, 5, 40), rtcpPacket(3, 48)
		good, goodC := protectRTP(t, s, plain), protectRTCP(t, s, plainC)
		for _, side := range []struct {
			on          bool
			m           method
			good, plain []byte
			hdr         int
			growth      int
			gcm         bool
		}{{authRTP, r.UnprotectRTP, good, plain, 12, -p.RTPOverhead(), p.RTPCipher.gcm()},
			{authRTCP, r.UnprotectRTCP, goodC, plainC, 8, -p.RTCPOverhead(), p.RTCPCipher.gcm()}} {
			if !side.on {
				continue
			}
			try := func(what string, bad []byte) {
				dst := bytes.Repeat([]byte{0xa5}, len(bad))
				n, err := side.m(dst, bad)
				if err == nil || n != 0 {
					t.Fatalf("%v: %s: accepted", p, what)
				}
				if !errors.Is(err, ErrAuth) && !errors.Is(err, ErrMalformed) {
					t.Fatalf("%v: %s: %v", p, what, err)
				}
				for i, b := range dst {
					if b != 0xa5 && !(side.gcm && b == 0) {
						t.Fatalf("%v: %s: dst was written at %d", p, what, i)
					}
				}
				same := bytes.Clone(bad)
				if _, err := side.m(same, same); err == nil {
					t.Fatalf("%v: %s: accepted in place", p, what)
				}
				for i := range same {
					if same[i] != bad[i] && !(side.gcm && same[i] == 0) {
						t.Fatalf("%v: %s: the packet was changed at %d", p, what, i)
					}
				}
			}
			for i := range side.good {
				for _, bit := range []byte{1, 0x80} {
					bad := bytes.Clone(side.good)
					bad[i] ^= bit
					try("a bit turned", bad)
				}
			}
			for n := range side.good {
				try("cut short", side.good[:n:n])
			}
			try("longer", append(bytes.Clone(side.good), 0))
		}
		if len(r.Streams()) != 0 {
			t.Fatalf("%v: refused packets left state", p)
		}
		// After all that the good ones pass.
		if got, err := unprotectRTP(t, r, good); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("%v: %v", p, err)
		}
		if got, err := unprotectRTCP(t, r, goodC); err != nil || !bytes.Equal(got, plainC) {
			t.Fatalf("%v: %v", p, err)
		}
	}
}

// A forged packet far ahead must not move the window.
func TestForgedDoesNotMoveWindow(t *testing.T) {
	forBoth(t, func(t *testing.T, p Policy) {
		s, r := mustSender(t, p, testKey(p), Options{}), mustReceiver(t, p, testKey(p), Options{})
		if _, err := unprotectRTP(t, r, protectRTP(t, s, rtpPacket(1, 10, 10))); err != nil {
			t.Fatal(err)
		}
		before := r.Streams()[0]
		for _, seq := range []uint16{11, 12, 500, 30000, 65535} {
			bad := protectRTP(t, mustSender(t, p, bytes.Repeat([]byte{9}, p.KeySize()), Options{}), rtpPacket(1, seq, 10))
			_, err := unprotectRTP(t, r, bad)
			wantErr(t, "another key", err, ErrAuth)
		}
		if after := r.Streams()[0]; after != before {
			t.Errorf("state %+v became %+v", before, after)
		}
		if _, err := unprotectRTP(t, r, protectRTP(t, s, rtpPacket(1, 11, 10))); err != nil {
			t.Error(err)
		}
	})
}

func TestMalformed(t *testing.T) {
	long := rtpPacket(1, 1, 1<<20)
	extension := func(words uint16, have int) []byte {
		p := append(rtpPacket(1, 1, 0), 0xbe, 0xde, byte(words>>8), byte(words))
		p[0] |= 0x10
		return append(p, make([]byte, have)...)
	}
	csrc := rtpPacket(1, 1, 8)
	csrc[0] |= 3
	cutExt := rtpPacket(1, 1, 3)
	cutExt[0] |= 0x10
	wrong := rtpPacket(1, 1, 8)
	wrong[0] = 0x40
	for _, p := range append(policies(), Policy{}) {
		s, r := mustSender(t, p, testKey(p), Options{}), mustReceiver(t, p, testKey(p), Options{})
		pad := func(b []byte) []byte { return append(bytes.Clone(b), make([]byte, p.RTPOverhead())...) }
		buf := make([]byte, 1<<21)
		for _, bad := range [][]byte{nil, {}, {0x80}, make([]byte, 11), csrc, extension(3, 8), extension(0xffff, 100), cutExt, wrong, long} {
			if n, err := s.ProtectRTP(buf, bad); !errors.Is(err, ErrMalformed) || n != 0 {
				t.Errorf("%v: ProtectRTP of %d bytes: %v", p, len(bad), err)
			}
			if n, err := r.UnprotectRTP(buf, pad(bad)); !errors.Is(err, ErrMalformed) || n != 0 {
				t.Errorf("%v: UnprotectRTP of %d bytes: %v", p, len(bad), err)
			}
		}
		longC := rtcpPacket(1, 1<<20+4)
		wrongC := rtcpPacket(1, 12)
		wrongC[0] = 0xc0
		padC := func(b []byte) []byte { return append(bytes.Clone(b), make([]byte, p.RTCPOverhead())...) }
		for _, bad := range [][]byte{nil, {0x80}, make([]byte, 7), wrongC, longC} {
			if n, err := s.ProtectRTCP(buf, bad); !errors.Is(err, ErrMalformed) || n != 0 {
				t.Errorf("%v: ProtectRTCP of %d bytes: %v", p, len(bad), err)
			}
			if n, err := r.UnprotectRTCP(buf, padC(bad)); !errors.Is(err, ErrMalformed) || n != 0 {
				t.Errorf("%v: UnprotectRTCP of %d bytes: %v", p, len(bad), err)
			}
		}
	}
	// SRTCP that claims to be encrypted under a policy without a cipher for it.
	p := Policy{CipherAES128ICM, AuthHMACSHA1_80, CipherNull, AuthHMACSHA1_80}
	key := testKey(p)
	r := mustReceiver(t, p, key, Options{})
	ref := referenceFor(p, key, true)
	pkt := rtcpPacket(1, 16)
	sealed := binary.BigEndian.AppendUint32(bytes.Clone(pkt), 0x80000001)
	sealed = append(sealed, ref.tag(sealed)...)
	_, err := unprotectRTCP(t, r, sealed)
	wantErr(t, "E without a cipher", err, ErrMalformed)
	if len(r.Streams()) != 0 {
		t.Error("it left state")
	}
}

// The largest and the smallest.
func TestSizes(t *testing.T) {
	forBoth(t, func(t *testing.T, p Policy) {
		s, r := mustSender(t, p, testKey(p), Options{}), mustReceiver(t, p, testKey(p), Options{})
		for i, size := range []int{0, 1, 65507 - 12, 1<<20 - 12} {
			pkt := rtpPacket(1, uint16(i), size)
			if got, err := unprotectRTP(t, r, protectRTP(t, s, pkt)); err != nil || !bytes.Equal(got, pkt) {
				t.Errorf("payload of %d: %v", size, err)
			}
		}
	})
}

func TestShortBufferAndOverlap(t *testing.T) {
	for _, p := range append(policies(), Policy{}) {
		s, r := mustSender(t, p, testKey(p), Options{}), mustReceiver(t, p, testKey(p), Options{})
		pkt, rtcp := rtpPacket(1, 1, 20), rtcpPacket(1, 32)
		short := func(what string, m method, pkt []byte, growth int) {
			t.Helper()
			big := make([]byte, 200)
			if _, err := m(big[:len(pkt)+growth-1], pkt); err != ErrShortBuffer {
				t.Errorf("%v: %s into a short buffer: %v", p, what, err)
			}
			if _, err := m(nil, pkt); err != ErrShortBuffer {
				t.Errorf("%v: %s into nil: %v", p, what, err)
			}
			if !bytes.Equal(big, make([]byte, 200)) {
				t.Errorf("%v: %s wrote to a short buffer", p, what)
			}
			for _, at := range []int{1, 4, len(pkt) - 1} {
				mem := make([]byte, 300)
				in := mem[at : at+len(pkt)]
				copy(in, pkt)
				if _, err := m(mem[:100], in); err != ErrOverlap {
					t.Errorf("%v: %s with dst %d before pkt: %v", p, what, at, err)
				}
				mem = make([]byte, 300)
				copy(mem, pkt)
				if _, err := m(mem[at:], mem[:len(pkt)]); err != ErrOverlap {
					t.Errorf("%v: %s with dst %d after pkt: %v", p, what, at, err)
				}
			}
		}
		short("ProtectRTP", s.ProtectRTP, pkt, p.RTPOverhead())
		short("ProtectRTCP", s.ProtectRTCP, rtcp, p.RTCPOverhead())
		short("UnprotectRTP", r.UnprotectRTP, protectRTP(t, s, pkt), -p.RTPOverhead())
		short("UnprotectRTCP", r.UnprotectRTCP, protectRTCP(t, s, rtcp), -p.RTCPOverhead())
		// Side by side is not an overlap.
		mem := make([]byte, 300)
		copy(mem, rtpPacket(1, 2, 20))
		if _, err := s.ProtectRTP(mem[32:], mem[:32]); err != nil {
			t.Errorf("%v: side by side: %v", p, err)
		}
	}
}

// The all-null policy hands packets on as they are.
func TestPassThrough(t *testing.T) {
	s, r := mustSender(t, Policy{}, nil, Options{}), mustReceiver(t, Policy{}, nil, Options{})
	pkt, rtcp := rtpPacket(1, 1, 20), rtcpPacket(1, 32)
	for range 2 {
		for _, in := range []bool{false, true} {
			run := separate
			if in {
				run = inSame
			}
			for _, c := range []struct {
				m   method
				pkt []byte
			}{{s.ProtectRTP, pkt}, {s.ProtectRTCP, rtcp}, {r.UnprotectRTP, pkt}, {r.UnprotectRTCP, rtcp}} {
				if got, err := run(t, c.m, c.pkt, 0); err != nil || !bytes.Equal(got, c.pkt) {
					t.Errorf("%x, %v", got, err)
				}
			}
		}
	}
}

// Random bytes of every length, under every policy.
func TestGarbage(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	for _, p := range policies() {
		r := mustReceiver(t, p, testKey(p), Options{})
		auth := (p.RTPAuth != AuthNull || p.RTPCipher.gcm()) && (p.RTCPAuth != AuthNull || p.RTCPCipher.gcm())
		for n := range 200 {
			pkt := make([]byte, n)
			for i := range pkt {
				pkt[i] = byte(rnd.Uint32())
			}
			if n > 0 && n%2 == 0 {
				pkt[0] = 0x80 | pkt[0]&0x3f
			}
			_, err1 := r.UnprotectRTP(make([]byte, n), pkt)
			_, err2 := r.UnprotectRTCP(make([]byte, n), pkt)
			if auth && (err1 == nil || err2 == nil) {
				t.Fatalf("%v: garbage was accepted: %x", p, pkt)
			}
		}
		if auth && len(r.Streams()) != 0 {
			t.Fatalf("%v: garbage left state", p)
		}
	}
}
