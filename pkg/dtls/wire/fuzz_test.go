// SPDX-License-Identifier: LGPL-2.1-or-later

package wire

import (
	"bytes"
	"encoding/binary"
	"sync"
	"testing"
	"time"
)

// tape is what both ends of a handshake sent, in order.
type tape struct {
	mu    sync.Mutex
	items []taped
}

type taped struct {
	toClient bool
	datagram []byte
}

func tapeOf(t testing.TB, cert string, mtu int) []taped {
	t.Helper()
	var tp tape
	s := setup{cert: cert, clientAuth: true, mtu: mtu, seed: 1, noFront: true, record: func(toClient bool, d []byte) {
		tp.mu.Lock()
		defer tp.mu.Unlock()
		tp.items = append(tp.items, taped{toClient, bytes.Clone(d)})
	}}
	if _, err := s.run(t, 20*time.Second); err != nil {
		t.Fatal(err)
	}
	tp.mu.Lock()
	defer tp.mu.Unlock()
	return tp.items
}

func pack(datagrams ...[]byte) []byte {
	var all []byte
	for _, d := range datagrams {
		all = binary.BigEndian.AppendUint16(all, uint16(len(d)))
		all = append(all, d...)
	}
	return all
}

func unpack(all []byte, f func([]byte)) {
	for len(all) >= 2 {
		n := min(int(binary.BigEndian.Uint16(all)), len(all)-2)
		f(all[2 : 2+n])
		all = all[2+n:]
	}
}

func first(d []byte) byte {
	r, _, ok := nextRecord(d)
	if !ok || r.epoch != 0 || r.kind != typeHandshake {
		return 0
	}
	g, _, _ := nextFragment(r.body)
	return g.kind
}

// checkPassed checks that what a guard gave to the stack is whole records.
func checkPassed(t *testing.T, pass [][]byte) {
	for _, d := range pass {
		for len(d) > 0 {
			_, rest, ok := nextRecord(d)
			if !ok {
				t.Fatalf("it passed what is no record: %x", d)
			}
			d = rest
		}
	}
}

func FuzzClassify(f *testing.F) {
	for _, b := range []byte{0, 3, 4, 15, 16, 19, 20, 63, 64, 79, 80, 127, 128, 191, 192, 255} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b byte) {
		k := Classify(b)
		if k == KindDTLS != (b >= 20 && b <= 63) || k == KindRTP != (b >= 128 && b <= 191) || k.String() == "" {
			t.Errorf("%d is %v", b, k)
		}
	})
}

func FuzzFront(f *testing.F) {
	front := NewFront()
	fg := newTestForger()
	random := fg.bytes(32)
	h, _, _ := parseHelloStart(helloBody(fg, nil, random, 0))
	body := helloBody(fg, bytes.Clone(front.cookie(&h)), random, 300)
	f.Add(pack(fg.message(msgClientHello, 0, helloBody(fg, nil, random, 300)), fg.message(msgClientHello, 1, body)))
	a, b := fg.part(msgClientHello, 1, len(body), 0, body[:200]), fg.part(msgClientHello, 1, len(body), 200, body[200:])
	putUint48(a[5:], 1)
	putUint48(b[5:], 2)
	f.Add(pack(a, b))
	f.Add(pack(b, a, append(bytes.Clone(a), b...)))
	for _, item := range tapeOf(f, "p256", 200) {
		if !item.toClient {
			f.Add(pack(item.datagram))
		}
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		unpack(in, func(d []byte) {
			reply, hello, _, _ := front.In(d)
			if reply != nil {
				if len(reply) > len(d)+recordHeader+handshakeHeader+cookieSize {
					t.Fatalf("%d bytes answered by %d", len(d), len(reply))
				}
				checkPassed(t, [][]byte{reply})
			}
			if hello != nil {
				checkPassed(t, [][]byte{hello.Datagram, hello.primer()})
				r, _, _ := nextRecord(hello.primer())
				g, _, _ := nextFragment(r.body)
				if h, ok := parseHello(g.data); !ok || len(h.cookie) != 0 || !bytes.Equal(h.random, hello.Random[:]) {
					t.Fatalf("primer %x", hello.primer())
				}
				if len(hello.cookie()) != cookieSize {
					t.Fatalf("cookie %x", hello.cookie())
				}
			}
			if len(front.slots) > helloSlots {
				t.Fatalf("%d slots", len(front.slots))
			}
		})
	})
}

func FuzzGuardClient(f *testing.F) {
	items := tapeOf(f, "p256", 400)
	var before []taped
	var flight [][]byte
	for n, item := range items {
		if item.toClient && first(item.datagram) == msgServerHello {
			before = items[:n]
			for _, item := range items[n:] {
				if item.toClient {
					flight = append(flight, item.datagram)
				}
			}
			break
		}
	}
	start := func() *stackGuard {
		g := newStackGuard(true)
		for _, item := range before {
			if item.toClient {
				g.In(item.datagram)
			} else {
				g.Out(item.datagram)
			}
		}
		return g
	}
	whole := start()
	for _, d := range flight {
		whole.In(d)
	}
	if !whole.flightDone {
		f.Fatal("the recorded flight does not pass")
	}
	f.Add(pack(flight...))
	for n := range flight {
		f.Add(pack(append(flight[n:], flight[:n]...)...))
		f.Add(pack(flight[n]))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		g := start()
		unpack(in, func(d []byte) {
			pass, _ := g.In(d)
			checkPassed(t, pass)
			g.checkBounds(t)
		})
		// A ServerKeyExchange that is signed for this client cannot be made up.
		if g.flightDone && !bytes.Equal(g.had(3), whole.had(3)) {
			t.Fatalf("a forged flight passed: %x", g.had(3))
		}
		g.Hint()
		g.Established()
		unpack(in, func(d []byte) { pass, _ := g.In(d); checkPassed(t, pass) })
	})
}

func FuzzGuardServer(f *testing.F) {
	items := tapeOf(f, "p256", 400)
	var before []taped
	var flight [][]byte
	for n, item := range items {
		if !item.toClient && first(item.datagram) == msgCertificate {
			before = items[:n]
			for _, item := range items[n:] {
				if !item.toClient {
					flight = append(flight, item.datagram)
				}
			}
			break
		}
	}
	start := func() *stackGuard {
		g := newStackGuard(false)
		for _, item := range before {
			if item.toClient {
				g.Out(item.datagram)
			} else {
				g.In(item.datagram)
			}
		}
		return g
	}
	whole := start()
	for _, d := range flight {
		whole.In(d)
	}
	if !whole.flightDone {
		f.Fatal("the recorded flight does not pass")
	}
	f.Add(pack(flight...))
	for n := range flight {
		f.Add(pack(append(flight[n:], flight[:n]...)...))
		f.Add(pack(flight[n]))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		g := start()
		unpack(in, func(d []byte) {
			pass, _ := g.In(d)
			checkPassed(t, pass)
			g.checkBounds(t)
		})
		// All of the client's flight is signed.
		for seq := uint16(2); g.flightDone && seq < 4; seq++ {
			if !bytes.Equal(g.had(seq), whole.had(seq)) {
				t.Fatalf("a forged flight passed: %x", g.had(seq))
			}
		}
		g.Hint()
		g.Established()
		unpack(in, func(d []byte) { pass, _ := g.In(d); checkPassed(t, pass) })
	})
}
