// SPDX-License-Identifier: LGPL-2.1-or-later

package srtp

import (
	"bytes"
	"crypto/aes"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatalf("bad hex in the test: %v", err)
	}
	return b
}

// testKey is a key that fits the policy, with no two bytes alike.
func testKey(p Policy) []byte {
	key := make([]byte, p.KeySize())
	for i := range key {
		key[i] = byte(17 + 7*i)
	}
	return key
}

func mustSender(t testing.TB, p Policy, key []byte, o Options) *Sender {
	t.Helper()
	s, err := NewSender(p, key, o)
	if err != nil {
		t.Fatalf("NewSender(%v): %v", p, err)
	}
	return s
}

func mustReceiver(t testing.TB, p Policy, key []byte, o Options) *Receiver {
	t.Helper()
	r, err := NewReceiver(p, key, o)
	if err != nil {
		t.Fatalf("NewReceiver(%v): %v", p, err)
	}
	return r
}

func rtpPacket(ssrc uint32, seq uint16, payload int) []byte {
	p := make([]byte, 12+payload)
	p[0], p[1] = 0x80, 96
	binary.BigEndian.PutUint16(p[2:], seq)
	binary.BigEndian.PutUint32(p[4:], 0x01020304)
	binary.BigEndian.PutUint32(p[8:], ssrc)
	for i := range payload {
		p[12+i] = byte(i*31 + int(seq))
	}
	return p
}

func rtcpPacket(ssrc uint32, size int) []byte {
	p := make([]byte, size)
	p[0], p[1] = 0x80, 200
	binary.BigEndian.PutUint16(p[2:], uint16(size/4-1))
	binary.BigEndian.PutUint32(p[4:], ssrc)
	for i := 8; i < size; i++ {
		p[i] = byte(i)
	}
	return p
}

// guarded is memory for n bytes with a border that check finds changed.
type guarded struct {
	all []byte
	n   int
}

const border = 24

func newGuarded(n int) *guarded {
	g := &guarded{bytes.Repeat([]byte{0xa5}, border+n+border), n}
	return g
}
func (g *guarded) mem() []byte { return g.all[border : border+g.n] }
func (g *guarded) check(t testing.TB) {
	t.Helper()
	for i, b := range g.all {
		if (i < border || i >= border+g.n) && b != 0xa5 {
			t.Fatalf("wrote outside of dst, at byte %d of %d", i-border, g.n)
		}
	}
}

// way runs one of the four methods both in place and into separate memory of exactly the needed size.
type method func(dst, pkt []byte) (int, error)

func separate(t testing.TB, m method, pkt []byte, growth int) ([]byte, error) {
	t.Helper()
	before := bytes.Clone(pkt)
	g := newGuarded(len(pkt) + growth)
	n, err := m(g.mem(), pkt)
	g.check(t)
	if !bytes.Equal(before, pkt) {
		t.Fatal("pkt was changed though dst is separate")
	}
	if err != nil {
		if n != 0 {
			t.Fatalf("length %d with error %v", n, err)
		}
		return nil, err
	}
	return g.mem()[:n], nil
}

func inSame(t testing.TB, m method, pkt []byte, growth int) ([]byte, error) {
	t.Helper()
	g := newGuarded(len(pkt) + max(growth, 0))
	copy(g.mem(), pkt)
	n, err := m(g.mem()[:len(pkt)+growth], g.mem()[:len(pkt)])
	g.check(t)
	if err != nil {
		return nil, err
	}
	return g.mem()[:n], nil
}

func protectRTP(t testing.TB, s *Sender, pkt []byte) []byte {
	t.Helper()
	out, err := separate(t, s.ProtectRTP, pkt, s.policy.RTPOverhead())
	if err != nil {
		t.Fatalf("ProtectRTP: %v", err)
	}
	return out
}

func protectRTCP(t testing.TB, s *Sender, pkt []byte) []byte {
	t.Helper()
	out, err := separate(t, s.ProtectRTCP, pkt, s.policy.RTCPOverhead())
	if err != nil {
		t.Fatalf("ProtectRTCP: %v", err)
	}
	return out
}

func unprotectRTP(t testing.TB, r *Receiver, pkt []byte) ([]byte, error) {
	t.Helper()
	if len(pkt) < r.policy.RTPOverhead() {
		return nil, ErrMalformed
	}
	return separate(t, r.UnprotectRTP, pkt, -r.policy.RTPOverhead())
}

func unprotectRTCP(t testing.TB, r *Receiver, pkt []byte) ([]byte, error) {
	t.Helper()
	if len(pkt) < r.policy.RTCPOverhead() {
		return nil, ErrMalformed
	}
	return separate(t, r.UnprotectRTCP, pkt, -r.policy.RTCPOverhead())
}

// slowKeystream goes block by block.
func slowKeystream(key []byte) *keystream {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	return &keystream{block: block, buf: new([keystreamBatch]byte)}
}

// makePlain takes a session's fast paths away.
func makePlain(s *session, p Policy, key []byte, authLabel byte) {
	keyLen, _ := p.master()
	if keyLen == 0 {
		return
	}
	k, err := newKDF(key[:keyLen], key[keyLen:])
	if err != nil {
		panic(err)
	}
	if s.cm != nil {
		label, c := byte(labelRTPCipher), p.RTPCipher
		if authLabel == labelRTCPAuth {
			label, c = labelRTCPCipher, p.RTCPCipher
		}
		s.cm = slowKeystream(k.derive(label, cipherTable[c].key))
	}
	if s.mac != nil {
		s.mac = &mac{plain: hmac.New(sha1.New, k.derive(authLabel, macKeyLen))}
	}
}

// policies are all combinations that Validate allows.
func policies() []Policy {
	var all []Policy
	for rc := range cipherTable {
		for ra := range authTable {
			for cc := range cipherTable {
				for ca := range authTable {
					p := Policy{Cipher(rc), Auth(ra), Cipher(cc), Auth(ca)}
					if p.Validate() == nil {
						all = append(all, p)
					}
				}
			}
		}
	}
	return all
}

func newRand() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }
