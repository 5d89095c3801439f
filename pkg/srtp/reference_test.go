// SPDX-License-Identifier: LGPL-2.1-or-later

package srtp

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/binary"
	"math/big"
	"math/rand/v2"
	"testing"
)

// reference protects a packet straight from the RFCs' formulas, with none of the package's code.
type reference struct {
	c               Cipher
	a               Auth
	key, salt, auth []byte
}

func referenceFor(p Policy, master []byte, rtcp bool) reference {
	keyLen := map[int]int{30: 16, 46: 32, 28: 16, 44: 32}[len(master)]
	label, c, a := 0, p.RTPCipher, p.RTPAuth
	if rtcp {
		label, c, a = 3, p.RTCPCipher, p.RTCPAuth
	}
	prf := func(label, n int) []byte {
		// x = label * 2^48 XOR salt; the counter is x * 2^16
		salt := new(big.Int).SetBytes(append(bytes.Clone(master[keyLen:]), make([]byte, 14-(len(master)-keyLen))...))
		x := new(big.Int).Xor(salt, new(big.Int).Lsh(big.NewInt(int64(label)), 48))
		iv := new(big.Int).Lsh(x, 16).FillBytes(make([]byte, 16))
		b, err := aes.NewCipher(master[:keyLen])
		if err != nil {
			panic(err)
		}
		out := make([]byte, n)
		cipher.NewCTR(b, iv).XORKeyStream(out, out)
		return out
	}
	sizes := map[Cipher][2]int{CipherAES128ICM: {16, 14}, CipherAES256ICM: {32, 14}, CipherAES128GCM: {16, 12}, CipherAES256GCM: {32, 12}}[c]
	return reference{c, a, prf(label, sizes[0]), prf(label+2, sizes[1]), prf(label+1, 20)}
}

func (r reference) tagLen() int {
	return map[Auth]int{AuthHMACSHA1_32: 4, AuthHMACSHA1_80: 10}[r.a]
}

func (r reference) ctr(text []byte, ssrc uint32, index uint64) []byte {
	iv := new(big.Int).Lsh(new(big.Int).SetBytes(r.salt), 16)
	iv.Xor(iv, new(big.Int).Lsh(new(big.Int).SetUint64(uint64(ssrc)), 64))
	iv.Xor(iv, new(big.Int).Lsh(new(big.Int).SetUint64(index), 16))
	b, err := aes.NewCipher(r.key)
	if err != nil {
		panic(err)
	}
	out := make([]byte, len(text))
	cipher.NewCTR(b, iv.FillBytes(make([]byte, 16))).XORKeyStream(out, text)
	return out
}

func (r reference) gcm(text, aad []byte, ssrc uint32, index uint64) []byte {
	b, err := aes.NewCipher(r.key)
	if err != nil {
		panic(err)
	}
	g, err := cipher.NewGCM(b)
	if err != nil {
		panic(err)
	}
	iv := new(big.Int).SetUint64(uint64(ssrc))
	iv.Lsh(iv, 48)
	iv.Or(iv, new(big.Int).SetUint64(index))
	iv.Xor(iv, new(big.Int).SetBytes(r.salt))
	return g.Seal(nil, iv.FillBytes(make([]byte, 12)), text, aad)
}

func (r reference) tag(parts ...[]byte) []byte {
	if r.a == AuthNull {
		return nil
	}
	h := hmac.New(sha1.New, r.auth)
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)[:r.tagLen()]
}

func (r reference) rtp(pkt []byte, hdr int, index uint64) []byte {
	ssrc := binary.BigEndian.Uint32(pkt[8:])
	out := bytes.Clone(pkt[:hdr])
	switch r.c {
	case CipherNull:
		out = append(out, pkt[hdr:]...)
	case CipherAES128GCM, CipherAES256GCM:
		return append(out, r.gcm(pkt[hdr:], pkt[:hdr], ssrc, index)...)
	default:
		out = append(out, r.ctr(pkt[hdr:], ssrc, index)...)
	}
	return append(out, r.tag(out, binary.BigEndian.AppendUint32(nil, uint32(index>>16)))...)
}

func (r reference) rtcp(pkt []byte, index uint32, encrypt bool) []byte {
	ssrc := binary.BigEndian.Uint32(pkt[4:])
	word := binary.BigEndian.AppendUint32(nil, index)
	if encrypt {
		word[0] |= 0x80
	}
	out := bytes.Clone(pkt[:8])
	switch {
	case r.c == CipherAES128GCM || r.c == CipherAES256GCM:
		if encrypt {
			out = append(out, r.gcm(pkt[8:], append(bytes.Clone(pkt[:8]), word...), ssrc, uint64(index))...)
		} else {
			out = append(bytes.Clone(pkt), r.gcm(nil, append(bytes.Clone(pkt), word...), ssrc, uint64(index))...)
		}
		return append(out, word...)
	case encrypt:
		out = append(out, r.ctr(pkt[8:], ssrc, uint64(index))...)
	default:
		out = bytes.Clone(pkt)
	}
	out = append(out, word...)
	return append(out, r.tag(out)...)
}

// variedPacket makes an RTP packet with contributing sources and a header extension; returns its header's length.
func variedPacket(rnd *rand.Rand, ssrc uint32, seq uint16, payload int) ([]byte, int) {
	hdr := rtpPacket(ssrc, seq, 0)
	cc := rnd.IntN(16)
	hdr[0] |= byte(cc)
	hdr[1] = byte(rnd.Uint32())
	for range cc {
		hdr = binary.BigEndian.AppendUint32(hdr, rnd.Uint32())
	}
	if rnd.IntN(2) == 0 {
		hdr[0] |= 0x10
		words := rnd.IntN(6)
		hdr = append(hdr, 0xbe, 0xde, 0, byte(words))
		for range words {
			hdr = binary.BigEndian.AppendUint32(hdr, rnd.Uint32())
		}
	}
	n := len(hdr)
	if rnd.IntN(4) == 0 && payload > 4 {
		hdr[0] |= 0x20 // padding is payload to SRTP
	}
	for range payload {
		hdr = append(hdr, byte(rnd.Uint32()))
	}
	return hdr, n
}

// Every policy, every padding of SHA-1 and tail of AES, fast and plain, in place and not, both ways.
func TestAgainstReference(t *testing.T) {
	for _, p := range policies() {
		if p == (Policy{}) {
			continue
		}
		t.Run(p.String(), func(t *testing.T) {
			key := testKey(p)
			rnd := rand.New(rand.NewPCG(1, uint64(p.RTPCipher)))
			refRTP, refRTCP := referenceFor(p, key, false), referenceFor(p, key, true)
			senders := []*Sender{mustSender(t, p, key, Options{}), mustSender(t, p, key, Options{}), mustSender(t, p, key, Options{})}
			wide := Options{ReplayWindow: 2048}
			receivers := []*Receiver{mustReceiver(t, p, key, wide), mustReceiver(t, p, key, wide), mustReceiver(t, p, key, wide)}
			makePlain(senders[2].rtp, p, key, labelRTPAuth)
			makePlain(senders[2].rtcp, p, key, labelRTCPAuth)
			makePlain(receivers[2].rtp, p, key, labelRTPAuth)
			makePlain(receivers[2].rtcp, p, key, labelRTCPAuth)
			run := []func(testing.TB, method, []byte, int) ([]byte, error){separate, inSame, separate}

			const ssrc = 0xdeadbeef
			for i := range 150 {
				index := uint64(0xfff0 + i) // over a wrap
				pkt, hdr := variedPacket(rnd, ssrc, uint16(index), i)
				want := refRTP.rtp(pkt, hdr, index)
				for k := range run {
					got, err := run[k](t, senders[k].ProtectRTP, pkt, p.RTPOverhead())
					if err != nil || !bytes.Equal(got, want) {
						t.Fatalf("way %d: ProtectRTP with %d bytes of payload: %v\ngot  %x\nwant %x", k, i, err, got, want)
					}
					back, err := run[k](t, receivers[k].UnprotectRTP, want, -p.RTPOverhead())
					if err != nil || !bytes.Equal(back, pkt) {
						t.Fatalf("way %d: UnprotectRTP with %d bytes of payload: %v\ngot  %x\nwant %x", k, i, err, back, pkt)
					}
				}
				rtcp := rtcpPacket(ssrc, 8+i)
				want = refRTCP.rtcp(rtcp, uint32(i), p.RTCPCipher != CipherNull)
				for k := range run {
					got, err := run[k](t, senders[k].ProtectRTCP, rtcp, p.RTCPOverhead())
					if err != nil || !bytes.Equal(got, want) {
						t.Fatalf("way %d: ProtectRTCP of %d bytes: %v\ngot  %x\nwant %x", k, len(rtcp), err, got, want)
					}
					back, err := run[k](t, receivers[k].UnprotectRTCP, want, -p.RTCPOverhead())
					if err != nil || !bytes.Equal(back, rtcp) {
						t.Fatalf("way %d: UnprotectRTCP of %d bytes: %v\ngot  %x\nwant %x", k, len(rtcp), err, back, rtcp)
					}
				}
				// What is not encrypted is taken as well.
				want = refRTCP.rtcp(rtcp, uint32(1000+i), false)
				for k := range run {
					back, err := run[k](t, receivers[k].UnprotectRTCP, want, -p.RTCPOverhead())
					if err != nil || !bytes.Equal(back, rtcp) {
						t.Fatalf("way %d: UnprotectRTCP without E of %d bytes: %v\ngot  %x\nwant %x", k, len(rtcp), err, back, rtcp)
					}
				}
			}
		})
	}
}
