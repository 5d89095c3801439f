// SPDX-License-Identifier: LGPL-2.1-or-later

package srtp

import (
	"encoding/binary"
	"fmt"
	"testing"
)

// One direction, packets of 1200 and of 100 bytes with their 12-byte header, in place and into separate
// memory; one source, sequence numbers going up.
func benchPackets(b *testing.B, run func(b *testing.B, p Profile, size int)) {
	for _, p := range []Profile{AES128CMHMACSHA1_80, AES128CMHMACSHA1_32, AEADAES128GCM, AEADAES256GCM} {
		for _, size := range []int{1200, 100} {
			b.Run(fmt.Sprintf("%v/%d", p, size), func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(size))
				run(b, p, size)
			})
		}
	}
}

func BenchmarkProtectRTP(b *testing.B) {
	benchPackets(b, func(b *testing.B, p Profile, size int) {
		s := mustSender(b, p.Policy(), testKey(p.Policy()), Options{})
		pkt := rtpPacket(1, 0, size-12)
		dst := make([]byte, size+16)
		for seq := uint16(0); b.Loop(); seq++ {
			binary.BigEndian.PutUint16(pkt[2:], seq)
			if _, err := s.ProtectRTP(dst, pkt); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkProtectRTPInPlace(b *testing.B) {
	benchPackets(b, func(b *testing.B, p Profile, size int) {
		s := mustSender(b, p.Policy(), testKey(p.Policy()), Options{})
		buf := append(rtpPacket(1, 0, size-12), make([]byte, 16)...)
		for seq := uint16(0); b.Loop(); seq++ {
			binary.BigEndian.PutUint16(buf[2:], seq)
			if _, err := s.ProtectRTP(buf, buf[:size]); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// The packets are made beforehand, one round of sequence numbers; the receiver's window is set back at the
// end of each, which costs next to nothing per packet.
func benchUnprotect(b *testing.B, inPlace bool) {
	benchPackets(b, func(b *testing.B, p Profile, size int) {
		s := mustSender(b, p.Policy(), testKey(p.Policy()), Options{})
		r := mustReceiver(b, p.Policy(), testKey(p.Policy()), Options{})
		const round = 512
		var pkts [round][]byte
		for i := range pkts {
			pkts[i] = protectRTP(b, s, rtpPacket(1, uint16(i), size-12))
		}
		dst := make([]byte, size+16)
		i := 0
		for b.Loop() {
			out := dst
			if inPlace {
				out = dst[:copy(dst, pkts[i])] // included: a packet can be decrypted in place only once
			}
			var err error
			if inPlace {
				_, err = r.UnprotectRTP(out, out)
			} else {
				_, err = r.UnprotectRTP(out, pkts[i])
			}
			if err != nil {
				b.Fatal(err)
			}
			if i++; i == round {
				i = 0
				r.last.rtp.forget()
				r.last.rtp.started = false
			}
		}
	})
}

func BenchmarkUnprotectRTP(b *testing.B)        { benchUnprotect(b, false) }
func BenchmarkUnprotectRTPInPlace(b *testing.B) { benchUnprotect(b, true) }

func BenchmarkProtectRTCP(b *testing.B) {
	for _, p := range []Profile{AES128CMHMACSHA1_80, AEADAES128GCM} {
		b.Run(p.String(), func(b *testing.B) {
			b.ReportAllocs()
			s := mustSender(b, p.Policy(), testKey(p.Policy()), Options{})
			pkt := rtcpPacket(1, 52)
			dst := make([]byte, len(pkt)+20)
			for b.Loop() {
				if _, err := s.ProtectRTCP(dst, pkt); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// What a new connection pays.
func BenchmarkNewSender(b *testing.B) {
	for _, p := range []Profile{AES128CMHMACSHA1_80, AEADAES128GCM} {
		b.Run(p.String(), func(b *testing.B) {
			b.ReportAllocs()
			key := testKey(p.Policy())
			for b.Loop() {
				mustSender(b, p.Policy(), key, Options{})
			}
		})
	}
}

// The path that is taken where the standard library's stream or hash state cannot be set.
func BenchmarkPlainFallback(b *testing.B) {
	for _, size := range []int{1200, 100} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.ReportAllocs()
			p := AES128CMHMACSHA1_80.Policy()
			s := mustSender(b, p, testKey(p), Options{})
			makePlain(s.rtp, p, testKey(p), labelRTPAuth)
			pkt := rtpPacket(1, 0, size-12)
			dst := make([]byte, size+16)
			for seq := uint16(0); b.Loop(); seq++ {
				binary.BigEndian.PutUint16(pkt[2:], seq)
				if _, err := s.ProtectRTP(dst, pkt); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
