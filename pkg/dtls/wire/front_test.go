// SPDX-License-Identifier: LGPL-2.1-or-later

package wire

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

func newTestForger() *forger { return &forger{rng: rand.New(rand.NewPCG(1, 2))} }

// helloBody is a ClientHello with an extension of n bytes.
func helloBody(f *forger, cookie []byte, random []byte, n int) []byte {
	b := append([]byte{0xFE, 0xFD}, random...)
	b = append(b, 2, 7, 7, byte(len(cookie)))
	b = append(b, cookie...)
	b = append(b, 0, 2, 0xC0, 0x2B, 1, 0)
	b = append(b, byte((n+4)>>8), byte(n+4), 0xFF, 0x77, byte(n>>8), byte(n))
	return append(b, make([]byte, n)...)
}

func cookieIn(t *testing.T, reply []byte, recordSeq uint64, seq uint16) []byte {
	t.Helper()
	r, rest, ok := nextRecord(reply)
	if !ok || len(rest) != 0 || r.seq != recordSeq {
		t.Fatalf("HelloVerifyRequest %x", reply)
	}
	g, rest, ok := nextFragment(r.body)
	if !ok || len(rest) != 0 || g.kind != msgHelloVerifyRequest || g.seq != seq || g.length != len(g.data) {
		t.Fatalf("HelloVerifyRequest %x", reply)
	}
	if g.data[0] != 0xFE || g.data[1] != 0xFF || int(g.data[2]) != len(g.data)-3 {
		t.Fatalf("HelloVerifyRequest %x", reply)
	}
	return g.data[3:]
}

func TestFront(t *testing.T) {
	f, front := newTestForger(), NewFront()
	random := f.bytes(32)
	first := f.message(msgClientHello, 0, helloBody(f, nil, random, 20))
	reply, hello, _, dropped := front.In(first)
	if hello != nil || dropped {
		t.Fatal("a first ClientHello was taken or dropped")
	}
	cookie := bytes.Clone(cookieIn(t, reply, uint48(first[5:]), 0))
	if len(front.slots) != 0 {
		t.Fatal("a first ClientHello cost memory")
	}
	second := helloBody(f, cookie, random, 20)
	reply, hello, _, dropped = front.In(f.message(msgClientHello, 1, second))
	if reply != nil || hello == nil || dropped {
		t.Fatalf("reply %x, hello %v, dropped %v", reply, hello, dropped)
	}
	if !bytes.Equal(hello.Random[:], random) || !bytes.Equal(hello.cookie(), cookie) {
		t.Error("another random or cookie")
	}
	r, _, _ := nextRecord(hello.Datagram)
	if g, _, ok := nextFragment(r.body); !ok || g.seq != 1 || !bytes.Equal(g.data, second) {
		t.Error("Datagrams hold another ClientHello")
	}
	r, _, _ = nextRecord(hello.primer())
	if g, _, ok := nextFragment(r.body); !ok || g.seq != 0 || !bytes.Equal(g.data, helloBody(f, nil, random, 20)) {
		t.Error("Primer holds another ClientHello")
	}
	// Another client's random, version or session makes the cookie invalid.
	for at := range 2 + 32 + 3 {
		other := bytes.Clone(second)
		other[at] ^= 1
		if reply, hello, _, _ := front.In(f.message(msgClientHello, 1, other)); hello != nil {
			t.Errorf("byte %d: taken; reply %x", at, reply)
		}
	}
	// Another front has another secret.
	if _, hello, _, _ := NewFront().In(f.message(msgClientHello, 1, second)); hello != nil {
		t.Error("another server took the cookie")
	}
}

// A browser's first ClientHello takes two datagrams; each order of them, and
// forged ones between, have to work without memory before the cookie.
func TestFrontFragmented(t *testing.T) {
	f, front := newTestForger(), NewFront()
	random := f.bytes(32)
	body := helloBody(f, nil, random, 1400)
	split := func(seq uint16, body []byte) [][]byte {
		parts := [][]byte{
			f.part(msgClientHello, seq, len(body), 0, body[:900]),
			f.part(msgClientHello, seq, len(body), 900, body[900:1300]),
			f.part(msgClientHello, seq, len(body), 1250, body[1250:]), // it overlaps
		}
		for n := range parts {
			putUint48(parts[n][5:], 40+uint64(n))
		}
		return parts
	}
	parts := split(0, body)
	reply, _, _, _ := front.In(parts[0])
	cookie := bytes.Clone(cookieIn(t, reply, uint48(parts[0][5:]), 0))
	for _, part := range parts[1:] {
		if reply, hello, drop, dropped := front.In(part); reply != nil || hello != nil || !dropped || drop != DropSpoofed {
			t.Fatal("a fragment without its first one is not dropped")
		}
	}
	if len(front.slots) != 0 {
		t.Fatal("a first ClientHello cost memory")
	}
	body = helloBody(f, cookie, random, 1400)
	for _, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {0, 0, 2, 2, 1}} {
		parts = split(1, body)
		var got *Hello
		for n, at := range order {
			for range 20 {
				if _, hello, _, _ := front.In(f.part(msgClientHello, 1, len(body), 0, helloBody(f, f.bytes(20), f.bytes(32), 100))); hello != nil {
					t.Fatal("a forged ClientHello was taken")
				}
			}
			if n == 1 {
				// Somebody guesses the length.
				front.In(f.part(msgClientHello, 1, len(body), 900, f.bytes(len(body)-900)))
			}
			if _, hello, _, _ := front.In(parts[at]); hello != nil {
				got = hello
			}
		}
		if got == nil {
			t.Fatalf("order %v: no ClientHello", order)
		}
		r, _, _ := nextRecord(got.Datagram)
		if g, _, ok := nextFragment(r.body); !ok || !bytes.Equal(g.data, body) {
			t.Errorf("order %v: another ClientHello", order)
		}
		if len(front.slots) != 0 {
			t.Errorf("order %v: %d slots are left", order, len(front.slots))
		}
	}
}

func TestFrontBounds(t *testing.T) {
	f, front := newTestForger(), NewFront()
	// Clients that keep to the protocol and never send the rest.
	for n := range 40 {
		random := f.bytes(32)
		h, _, _ := parseHelloStart(helloBody(f, nil, random, 0))
		body := helloBody(f, bytes.Clone(front.cookie(&h)), random, 6000)
		front.In(f.part(msgClientHello, 1, len(body), 0, body[:1000]))
		for range 30 {
			at := 1000 + n%100
			front.In(f.part(msgClientHello, 1, len(body), at, f.bytes(len(body)-at)))
		}
	}
	if len(front.slots) > helloSlots {
		t.Errorf("%d slots", len(front.slots))
	}
	for _, slot := range front.slots {
		if len(slot.pool.pieces) > helloFragments || slot.pool.bytes > slot.pool.budget() {
			t.Errorf("%d fragments, %d bytes", len(slot.pool.pieces), slot.pool.bytes)
		}
	}
}
