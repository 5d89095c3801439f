// SPDX-License-Identifier: LGPL-2.1-or-later

package srtp

import (
	"bytes"
	"errors"
	"testing"
)

// fuzzPolicies are those in which both sides authenticate, in a fixed order.
func fuzzPolicies() []Policy {
	var all []Policy
	for _, p := range policies() {
		if (p.RTPAuth != AuthNull || p.RTPCipher.gcm()) && (p.RTCPAuth != AuthNull || p.RTCPCipher.gcm()) {
			all = append(all, p)
		}
	}
	return all
}

func addSeeds(f *testing.F, rtcp bool) {
	all := fuzzPolicies()
	csrc, _ := variedPacket(newRand(), 7, 9, 33)
	for i, p := range all {
		s := mustSender(f, p, testKey(p), Options{})
		if rtcp {
			f.Add(uint8(i), protectRTCP(f, s, rtcpPacket(1, 28)))
			f.Add(uint8(i), protectRTCP(f, s, rtcpPacket(1, 8)))
		} else {
			f.Add(uint8(i), protectRTP(f, s, rtpPacket(1, 1, 20)))
			f.Add(uint8(i), protectRTP(f, s, csrc))
		}
	}
	f.Add(uint8(0), []byte{})
	f.Add(uint8(0), []byte{0x80})
	f.Add(uint8(0), append([]byte{0x9f, 96}, make([]byte, 100)...))
	f.Add(uint8(1), append([]byte{0x90, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0xbe, 0xde, 0xff, 0xff}, make([]byte, 40)...))
}

// checkUnprotect holds for any bytes: no panic, nothing written outside of dst or, when refused, as
// plaintext; the same answer in place; no state unless accepted; and what is accepted was made with the key.
func checkUnprotect(t *testing.T, p Policy, pkt []byte, rtcp bool) {
	get := func() (*Receiver, method, method, int) {
		r, s := mustReceiver(t, p, testKey(p), Options{}), mustSender(t, p, testKey(p), Options{})
		if rtcp {
			return r, r.UnprotectRTCP, s.ProtectRTCP, p.RTCPOverhead()
		}
		return r, r.UnprotectRTP, s.ProtectRTP, p.RTPOverhead()
	}
	r, m, _, overhead := get()
	room := max(len(pkt)-overhead, 0)
	g := newGuarded(room)
	before := bytes.Clone(pkt)
	n, err := m(g.mem(), pkt)
	g.check(t)
	if !bytes.Equal(before, pkt) {
		t.Fatal("pkt was changed")
	}
	_, m2, _, _ := get()
	mem := bytes.Clone(pkt)
	n2, err2 := m2(mem, mem)
	if n != n2 || err != err2 {
		t.Fatalf("separate: %d, %v; in place: %d, %v", n, err, n2, err2)
	}
	if err != nil {
		if !errors.Is(err, ErrAuth) && !errors.Is(err, ErrMalformed) {
			t.Fatalf("unexpected error %v", err)
		}
		if n != 0 || len(r.Streams()) != 0 {
			t.Fatalf("refused with %v, but length %d and %d streams", err, n, len(r.Streams()))
		}
		for i, b := range g.mem() {
			if b != 0xa5 && b != 0 {
				t.Fatalf("refused, but dst was written at %d", i)
			}
		}
		return
	}
	if n != room || !bytes.Equal(mem[:n], g.mem()) {
		t.Fatalf("plaintext of %d bytes differs in place", n)
	}
	if len(r.Streams()) != 1 {
		t.Fatal("accepted without state")
	}
	if _, err := m(make([]byte, room), pkt); !errors.Is(err, ErrReplay) {
		t.Fatalf("accepted twice: %v", err)
	}
}

func FuzzUnprotectRTP(f *testing.F) {
	addSeeds(f, false)
	all := fuzzPolicies()
	f.Fuzz(func(t *testing.T, policy uint8, pkt []byte) {
		checkUnprotect(t, all[int(policy)%len(all)], pkt, false)
	})
}

func FuzzUnprotectRTCP(f *testing.F) {
	addSeeds(f, true)
	all := fuzzPolicies()
	f.Fuzz(func(t *testing.T, policy uint8, pkt []byte) {
		checkUnprotect(t, all[int(policy)%len(all)], pkt, true)
	})
}

// FuzzProtect protects any bytes as RTP and as RTCP; what is taken comes back the same, and matches the
// formulas.
func FuzzProtect(f *testing.F) {
	all := policies()
	csrc, _ := variedPacket(newRand(), 7, 9, 33)
	for i := range all {
		f.Add(uint8(i), rtpPacket(1, 1, 20))
		f.Add(uint8(i), csrc)
		f.Add(uint8(i), rtcpPacket(1, 28))
	}
	f.Add(uint8(0), []byte{})
	f.Add(uint8(3), []byte{0xbf, 0, 0, 0})
	f.Fuzz(func(t *testing.T, policy uint8, pkt []byte) {
		p := all[int(policy)%len(all)]
		s, r := mustSender(t, p, testKey(p), Options{}), mustReceiver(t, p, testKey(p), Options{})
		for _, rtcp := range []bool{false, true} {
			protect, unprotect, overhead := s.ProtectRTP, r.UnprotectRTP, p.RTPOverhead()
			if rtcp {
				protect, unprotect, overhead = s.ProtectRTCP, r.UnprotectRTCP, p.RTCPOverhead()
			}
			out, err := separate(t, protect, pkt, overhead)
			if err != nil {
				if !errors.Is(err, ErrMalformed) {
					t.Fatalf("unexpected error %v", err)
				}
				continue
			}
			if len(out) != len(pkt)+overhead {
				t.Fatalf("%d bytes became %d, overhead %d", len(pkt), len(out), overhead)
			}
			if !p.none() {
				want := []byte(nil)
				if rtcp {
					want = referenceFor(p, testKey(p), true).rtcp(pkt, 0, p.RTCPCipher != CipherNull)
				} else {
					hdr, _ := rtpHeader(pkt)
					want = referenceFor(p, testKey(p), false).rtp(pkt, hdr, uint64(rtpSeq(pkt)))
				}
				if !bytes.Equal(out, want) {
					t.Fatalf("%v: got %x, want %x", p, out, want)
				}
			}
			back, err := inSame(t, unprotect, out, -overhead)
			if err != nil || !bytes.Equal(back, pkt) {
				t.Fatalf("%v: came back as %x, %v; was %x", p, back, err, pkt)
			}
		}
	})
}
