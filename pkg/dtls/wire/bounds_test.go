// SPDX-License-Identifier: LGPL-2.1-or-later

package wire

import (
	"runtime"
	"strings"
	"testing"
)

func (g *stackGuard) checkBounds(t *testing.T) {
	t.Helper()
	p := &g.flight.pool
	bytes, pieces := 0, 0
	groups := map[uint16]int{}
	for _, a := range p.groups {
		bytes += a.bytes
		pieces += len(a.pieces)
		groups[a.seq]++
		if len(a.pieces) > groupFragments || a.bytes > a.budget() || len(a.wholes) > wholeLimit {
			t.Fatalf("a group holds %d fragments, %d bytes, %d messages", len(a.pieces), a.bytes, len(a.wholes))
		}
		if groups[a.seq] > groupLimit {
			t.Fatalf("%d groups for one message_seq", groups[a.seq])
		}
	}
	if bytes != p.bytes || pieces != p.pieces {
		t.Fatalf("counted %d bytes, %d fragments; there are %d, %d", p.bytes, p.pieces, bytes, pieces)
	}
	if bytes > poolBytes || pieces > poolPieces || len(g.held) > holdRecords || g.heldBytes > holdBytes || len(g.flight.failed) > failedLimit {
		t.Fatalf("it holds %d bytes, %d fragments, %d records", bytes, pieces, len(g.held))
	}
	if len(p.groups) > 6*groupLimit {
		t.Fatalf("%d groups", len(p.groups))
	}
}

// A flood of well-formed messages stays within the bounds, and so does the
// work it makes.
func TestGuardBounds(t *testing.T) {
	f := newForger(t, 5, "p256")
	client, server := newStackGuard(true), newStackGuard(false)
	client.Out(f.message(msgClientHello, 0, f.clientHello(0)))
	hello := f.message(msgClientHello, 0, f.clientHello(0))
	if pass, drops := server.In(hello); len(pass) != 1 || len(drops) != 0 {
		t.Fatalf("a ClientHello: passed %d, dropped %v", len(pass), drops)
	}
	for seq, m := range [][]byte{f.serverHello(), f.certificate(), f.serverKeyExchange(), {1, 64, 0, 2, 4, 3, 0, 0}, nil} {
		server.Out(f.message([]byte{2, 11, 12, 13, 14}[seq], uint16(seq), m))
	}
	if !server.outDone || !server.requested || server.curve != curveX25519 {
		t.Fatal("the server's own flight was not seen")
	}
	server.Out(hello)
	client.flight.spent, server.flight.spent = [2]int{}, [2]int{}
	kinds := []byte{2, 11, 12, 13, 14, 15, 16}
	for n := range 2500 {
		var d []byte
		kind, seq := kinds[f.rng.IntN(len(kinds))], uint16(f.rng.IntN(6))
		switch n % 4 {
		case 0:
			length := maxMessage - f.rng.IntN(8) // few lengths, so that each fills
			at := f.rng.IntN(length)
			d = f.part(kind, seq, length, at, f.bytes(min(length-at, 1+f.rng.IntN(1200))))
		case 1:
			d = f.record(typeHandshake, 1, f.bytes(1+f.rng.IntN(2000)))
		case 2:
			length := 100
			at := f.rng.IntN(length)
			d = f.part(kind, seq, length, at, f.bytes(min(length-at, 1+f.rng.IntN(30))))
		default:
			switch kind {
			case 2:
				d = f.message(kind, 0, f.serverHello())
			case 11:
				d = f.message(kind, 1, f.certificate())
			case 12:
				d = f.message(kind, 2, f.serverKeyExchange())
			default:
				d = f.message(msgCertificateVerify, 3, f.certificateVerify())
			}
		}
		for _, g := range []*stackGuard{client, server} {
			if pass, _ := g.In(d); len(pass) != 0 {
				t.Fatalf("it passed %x", pass)
			}
			if n%50 == 0 {
				g.checkBounds(t)
			}
		}
	}
	for _, g := range []*stackGuard{client, server} {
		if g.flight.spent[0] > tiedVerifies || g.flight.spent[1] > looseVerifies {
			t.Errorf("it verified %v signatures", g.flight.spent)
		}
	}
	if client.flight.spent == [2]int{} {
		t.Error("the flood brought no signature to verify")
	}
}

func TestGuardRecords(t *testing.T) {
	f := newForger(t, 6, "p256")
	for name, d := range map[string][]byte{
		"malformed":  {22, 0xFE, 0xFD, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 1},
		"spoofed":    f.record(typeAlert, 0, []byte{2, 40}),
		"before-key": f.record(typeApplicationData, 1, f.bytes(30)),
	} {
		g := newStackGuard(true)
		pass, drops := g.In(d)
		if len(pass) != 0 || len(drops) != 1 || drops[0].String() != name {
			t.Errorf("%s: passed %x, dropped %v", name, pass, drops)
		}
	}
}

func TestPoolBounds(t *testing.T) {
	f := newTestForger()
	for _, size := range []int{1200, 1} {
		g := newStackGuard(true)
		for n := range 4000 {
			length := maxMessage - f.rng.IntN(16)
			at := f.rng.IntN(length - size)
			g.flight.pool.add(fragment{kind: msgCertificate, seq: uint16(f.rng.IntN(6)), length: length, offset: at, data: f.bytes(size)}, uint64(n), uint64(n))
			g.checkBounds(t)
		}
		if p := &g.flight.pool; p.bytes < poolBytes/2 && p.pieces < poolPieces/2 {
			t.Errorf("the bounds were not reached: %d bytes, %d fragments", p.bytes, p.pieces)
		}
	}
}

// A message that the peer's role may not send at its message_seq is not kept.
func TestGuardUnexpected(t *testing.T) {
	f := newForger(t, 9, "p256")
	g := newStackGuard(true)
	hello := f.message(msgClientHello, 0, f.clientHello(0))
	if _, drops := g.In(f.message(msgServerHello, 0, f.serverHello())); len(drops) != 1 || drops[0] != DropSpoofed {
		t.Errorf("a ServerHello before the ClientHello: dropped %v", drops)
	}
	g.Out(hello)
	allowed := map[byte][]uint16{msgServerHello: {0}, msgCertificate: {1}, msgServerKeyExchange: {2}, msgCertificateRequest: {3}, msgServerHelloDone: {3, 4}}
	for kind := range byte(30) {
		if kind == msgHelloVerifyRequest {
			continue
		}
		for _, seq := range []uint16{0, 1, 2, 3, 4, 5, 6, 100, 65535} {
			want := DropSpoofed
			for _, at := range allowed[kind] {
				if at == seq {
					want = Reasons
				}
			}
			_, drops := g.In(f.message(kind, seq, f.bytes(10)))
			if want == Reasons && len(drops) != 0 || want != Reasons && (len(drops) != 1 || drops[0] != want) {
				t.Errorf("type %d at %d: dropped %v", kind, seq, drops)
			}
		}
	}
	if n := len(g.flight.pool.groups); n != 6 {
		t.Errorf("it holds %d messages", n)
	}
}

func TestGuardHelloVerify(t *testing.T) {
	f := newForger(t, 7, "p256")
	verify := func(recordSeq uint64, cookie string) []byte {
		d := f.message(msgHelloVerifyRequest, 0, append([]byte{0xFE, 0xFF, byte(len(cookie))}, cookie...))
		putUint48(d[5:], recordSeq)
		return d
	}
	hello := f.message(msgClientHello, 0, f.clientHello(0))
	putUint48(hello[5:], 0)
	g := newStackGuard(true)
	g.StartSeq(77777)
	if pass, _ := g.In(verify(0, "early")); len(pass) != 0 {
		t.Error("a HelloVerifyRequest passed before a ClientHello")
	}
	if out := g.Out(hello); uint48(out[5:]) != 77777 || g.NextSeq() != 77778 {
		t.Error("the record number is not the one wanted")
	}
	if pass, _ := g.In(verify(0, "forged")); len(pass) != 0 {
		t.Error("a HelloVerifyRequest under another record number passed")
	}
	if pass, _ := g.In(verify(77777, "true")); len(pass) != 1 {
		t.Error("the HelloVerifyRequest did not pass")
	}
	if pass, drops := g.In(verify(77777, "true")); len(pass) != 0 || len(drops) != 0 || g.Stale() {
		t.Error("a repeated HelloVerifyRequest passed, was dropped or contradicted")
	}
	if pass, _ := g.In(verify(77777, "other")); len(pass) != 0 || !g.Stale() {
		t.Error("another HelloVerifyRequest passed, or was not noticed")
	}
	// A server that counts its records itself.
	g = newStackGuard(true)
	g.StartSeq(77777)
	g.Out(hello)
	if pass, _ := g.In(verify(0, "own")); len(pass) != 0 {
		t.Error("a HelloVerifyRequest under another record number passed at once")
	}
	if pass, _ := g.In(verify(1, "own")); len(pass) != 0 {
		t.Error("it passed without another ClientHello")
	}
	g.Out(hello)
	if pass, _ := g.In(verify(2, "own")); len(pass) != 1 {
		t.Error("it did not pass after another ClientHello")
	}
}

func TestHint(t *testing.T) {
	f := newForger(t, 8, "p256")
	hello := f.message(msgClientHello, 0, f.clientHello(0))
	for _, c := range []struct {
		client bool
		in     []byte
		want   string
	}{
		{true, nil, "nothing came"},
		{true, hello, "both ends are clients"},
		{true, f.record(typeAlert, 0, []byte{2, 40}), "handshake_failure(40)"},
		{true, f.message(msgServerHello, 0, append([]byte{0xFE, 0xFF}, f.serverHello()[2:]...)), "DTLS 1.0"},
		{true, f.message(msgServerHello, 0, f.serverHello()), "missing: Certificate, ServerKeyExchange"},
		{true, []byte("rubbish"), "no DTLS 1.2"},
		{false, f.message(msgServerHello, 0, f.serverHello()), "both ends are servers"},
		{false, hello, "a ClientHello came"},
	} {
		g := newStackGuard(c.client)
		if c.client {
			g.Out(hello)
		}
		if c.in != nil {
			g.In(c.in)
		}
		if got := g.Hint(); !strings.Contains(got, c.want) {
			t.Errorf("hint %q, want %q in it", got, c.want)
		}
	}
}

func TestClassify(t *testing.T) {
	want := func(b int) Kind {
		for _, r := range []struct {
			from, to int
			kind     Kind
		}{{0, 3, KindSTUN}, {16, 19, KindZRTP}, {20, 63, KindDTLS}, {64, 79, KindTURN}, {128, 191, KindRTP}} {
			if b >= r.from && b <= r.to {
				return r.kind
			}
		}
		return KindOther
	}
	for b := range 256 {
		if got := Classify(byte(b)); got != want(b) {
			t.Errorf("%d: %v", b, got)
		}
	}
}

// Fragments of which many messages can be made, none of them any good, cost bounded
// work each time that one of them comes again.
func TestSearchBounds(t *testing.T) {
	f := newForger(t, 7, "p256")
	const forks = 10
	for name, at := range map[string]int{"in the beginning": 0, "at the end": maxMessage - forks} {
		g := newStackGuard(true)
		g.Out(f.message(msgClientHello, 0, f.clientHello(0)))
		part := func(offset int, data []byte) []byte {
			return f.part(msgServerKeyExchange, 2, maxMessage, offset, data)
		}
		for n := range forks {
			for b := range byte(2) {
				g.In(part(at+n, []byte{b}))
			}
		}
		rest, end := 0, at
		if at == 0 {
			rest, end = forks, maxMessage
		}
		for most := 1<<14 - 100; rest < end; rest += most {
			g.In(part(rest, make([]byte, min(most, end-rest))))
		}
		if a := g.flight.pool.groups[0]; len(g.flight.pool.groups) != 1 || !a.covered() {
			t.Fatal("the fragments make no message")
		}
		again := part(at, []byte{1})
		const rounds = 20
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range rounds {
			g.In(again)
		}
		runtime.ReadMemStats(&after)
		if n := (after.TotalAlloc - before.TotalAlloc) / rounds; n > 1<<20 {
			t.Errorf("%s: %d kB are copied for a datagram of %d bytes", name, n>>10, len(again))
		}
	}
}
