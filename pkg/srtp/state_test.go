// SPDX-License-Identifier: LGPL-2.1-or-later

package srtp

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
)

var bothKinds = []Profile{AES128CMHMACSHA1_80, AEADAES128GCM}

func forBoth(t *testing.T, f func(t *testing.T, p Policy)) {
	for _, p := range bothKinds {
		t.Run(p.String(), func(t *testing.T) { f(t, p.Policy()) })
	}
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v; want %v", what, err, want)
	}
}

// Packets out of order over two wraps of the sequence number.
func TestReorderOverWrap(t *testing.T) {
	forBoth(t, func(t *testing.T, p Policy) {
		s, r := mustSender(t, p, testKey(p), Options{}), mustReceiver(t, p, testKey(p), Options{})
		ref := referenceFor(p, testKey(p), false)
		rnd := rand.New(rand.NewPCG(3, 4))
		// Whole rounds would be slow; the windows are led on in steps below 2^15 instead.
		index := uint64(60000)
		for range 40 {
			var block []uint64
			for i := range uint64(40) {
				block = append(block, index+i)
			}
			rnd.Shuffle(len(block), func(i, j int) { block[i], block[j] = block[j], block[i] })
			var sent [][]byte
			for _, i := range block {
				pkt := rtpPacket(7, uint16(i), 30)
				got := protectRTP(t, s, pkt)
				if want := ref.rtp(pkt, 12, i); !bytes.Equal(got, want) {
					t.Fatalf("index %d was protected as another one", i)
				}
				sent = append(sent, got)
			}
			rnd.Shuffle(len(sent), func(i, j int) { sent[i], sent[j] = sent[j], sent[i] })
			for _, pkt := range sent {
				if _, err := unprotectRTP(t, r, pkt); err != nil {
					t.Fatalf("near index %d: %v", index, err)
				}
				if _, err := unprotectRTP(t, r, pkt); !errors.Is(err, ErrReplay) {
					t.Fatalf("replay near index %d: %v", index, err)
				}
			}
			index += 5520 // lands blocks across 65536
		}
		if i := r.Streams(); len(i) != 1 || i[0].ROC != uint32((index-5520+39)>>16) || i[0].Packets != 1600 ||
			i[0].HighestSeq != uint16(index-5520+39) || i[0].SSRC != 7 || i[0].Bytes != 1600*42 {
			t.Errorf("stream info %+v at index %d", i, index)
		}
	})
}

// rtpIndex against RFC 3711 appendix A, written as there.
func TestIndexEstimate(t *testing.T) {
	for _, roc := range []uint64{0, 1, 2, 0xfffffffe} {
		for _, last := range []int64{0, 1, 0x7ffe, 0x7fff, 0x8000, 0x8001, 0xfffe, 0xffff} {
			for _, seq := range []int64{0, 1, 0x7ffe, 0x7fff, 0x8000, 0x8001, 0xfffe, 0xffff} {
				v := roc
				if last < 0x8000 {
					if seq-last > 0x8000 && roc > 0 {
						v = roc - 1
					}
				} else if last-0x8000 > seq {
					v = roc + 1
				}
				w := window{started: true, highest: roc<<16 | uint64(last)}
				if got, want := w.rtpIndex(uint16(seq)), v<<16|uint64(seq); got != want {
					t.Errorf("ROC %d, last %#x, seq %#x: %#x, want %#x", roc, last, seq, got, want)
				}
			}
		}
	}
}

func TestReplayWindowEdges(t *testing.T) {
	for _, size := range []int{0, 64, 65, 100, 128, 1000, 32768} {
		w := newWindow(max(size, 1))
		if size == 0 {
			size = DefaultReplayWindow
			w = newWindow(size)
		}
		// A model that remembers everything.
		seen := map[uint64]bool{}
		highest := uint64(0)
		rnd := rand.New(rand.NewPCG(5, uint64(size)))
		for step := range 6000 {
			index := highest
			switch rnd.IntN(6) {
			case 0:
				index += uint64(rnd.IntN(3 * size))
			case 1, 2:
				index += uint64(rnd.IntN(4))
			case 3:
				index -= min(index, uint64(size-1)) // the oldest that is allowed
			case 4:
				index -= min(index, uint64(size)) // one older
			default:
				index -= min(index, uint64(rnd.IntN(size+10)))
			}
			var want error
			switch {
			case len(seen) > 0 && index < highest && highest-index >= uint64(size):
				want = ErrOld
			case seen[index]:
				want = ErrReplay
			}
			if err := w.check(index); err != want {
				t.Fatalf("window %d, step %d: index %d with highest %d: %v, want %v", size, step, index, highest, err, want)
			}
			if want == nil {
				w.add(index)
				seen[index] = true
				highest = max(highest, index)
			}
		}
	}
}

func TestReplayWindowThroughReceiver(t *testing.T) {
	forBoth(t, func(t *testing.T, p Policy) {
		s := mustSender(t, p, testKey(p), Options{})
		r := mustReceiver(t, p, testKey(p), Options{ReplayWindow: 64})
		var rtp, rtcp [][]byte
		for i := range 200 {
			rtp = append(rtp, protectRTP(t, s, rtpPacket(1, uint16(i), 8)))
			rtcp = append(rtcp, protectRTCP(t, s, rtcpPacket(1, 16)))
		}
		for _, c := range []struct {
			at   int
			want error
		}{{100, nil}, {100, ErrReplay}, {37, nil}, {36, ErrOld}, {37, ErrReplay}, {164, nil}, {101, nil}, {100, ErrOld}} {
			_, err := unprotectRTP(t, r, rtp[c.at])
			if err != c.want {
				t.Errorf("RTP %d: %v, want %v", c.at, err, c.want)
			}
			_, err = unprotectRTCP(t, r, rtcp[c.at])
			if err != c.want {
				t.Errorf("RTCP %d: %v, want %v", c.at, err, c.want)
			}
		}
	})
}

// No sequence number's keystream is used for two packets, whatever the application does.
func TestSenderNeverReusesIndex(t *testing.T) {
	forBoth(t, func(t *testing.T, p Policy) {
		s := mustSender(t, p, testKey(p), Options{})
		first := rtpPacket(1, 1000, 20)
		protectRTP(t, s, first)
		buf := make([]byte, 64)
		other := rtpPacket(1, 1000, 21)
		for _, pkt := range [][]byte{first, other} {
			if _, err := s.ProtectRTP(buf, pkt); err != ErrReplay {
				t.Errorf("repeated: %v", err)
			}
		}
		protectRTP(t, s, rtpPacket(1, 1000+127, 20))
		protectRTP(t, s, rtpPacket(1, 1000+200, 20))
		if _, err := s.ProtectRTP(buf, other); err != ErrOld {
			t.Errorf("before the window: %v", err)
		}
		if !bytes.Equal(buf, make([]byte, 64)) {
			t.Error("a refused packet was written")
		}
	})
}

func TestAllowRepeatTx(t *testing.T) {
	forBoth(t, func(t *testing.T, p Policy) {
		s := mustSender(t, p, testKey(p), Options{AllowRepeatTx: true})
		var out [][]byte
		for i := range 300 {
			pkt := rtpPacket(1, uint16(65400+i), 20)
			out = append(out, protectRTP(t, s, pkt))
			if got := protectRTP(t, s, pkt); !bytes.Equal(got, out[i]) {
				t.Fatal("the repeated packet came out differently")
			}
		}
		const newest = (65400 + 299) & 0xffff
		if got := protectRTP(t, s, rtpPacket(1, newest-99, 20)); !bytes.Equal(got, out[200]) {
			t.Error("a packet repeated later, over the wrap, came out differently")
		}
		buf := make([]byte, 64)
		if _, err := s.ProtectRTP(buf, rtpPacket(1, newest, 21)); err != ErrReplay {
			t.Errorf("another packet under a used number: %v", err)
		}
		changed := rtpPacket(1, newest, 20)
		changed[1] ^= 0x80
		if _, err := s.ProtectRTP(buf, changed); err != ErrReplay {
			t.Errorf("another marker under a used number: %v", err)
		}
		if _, err := s.ProtectRTP(buf, rtpPacket(1, newest-128, 20)); err != ErrOld {
			t.Errorf("before the window: %v", err)
		}
	})
}

func TestConcurrentUse(t *testing.T) {
	forBoth(t, func(t *testing.T, p Policy) {
		s, r := mustSender(t, p, testKey(p), Options{}), mustReceiver(t, p, testKey(p), Options{})
		var wg sync.WaitGroup
		for ssrc := range uint32(4) {
			wg.Add(1)
			go func() {
				defer wg.Done()
				a, b := make([]byte, 256), make([]byte, 256)
				for i := range 300 {
					pkt := rtpPacket(ssrc, uint16(i), 100)
					n, err := s.ProtectRTP(a, pkt)
					if err == nil {
						n, err = r.UnprotectRTP(b, a[:n])
					}
					if err != nil || !bytes.Equal(b[:n], pkt) {
						t.Errorf("SSRC %d: %v", ssrc, err)
						return
					}
					if i%50 == 0 {
						s.Streams()
						r.Streams()
						mustSender(t, p, testKey(p), Options{}).Inherit(s)
						mustReceiver(t, p, testKey(p), Options{}).Inherit(r)
					}
				}
			}()
		}
		wg.Wait()
	})
}
