// SPDX-License-Identifier: LGPL-2.1-or-later

package wire

import (
	"bytes"
	"strings"
	"testing"
)

// scene is a guard before the peer's flight, and that flight's fragments.
func scene(t *testing.T, client bool) (*stackGuard, []fragment, []taped) {
	t.Helper()
	items := tapeOf(t, "p256", 300)
	kind := byte(msgCertificate)
	if client {
		kind = msgServerHello
	}
	g := newStackGuard(client)
	for n, item := range items {
		if item.toClient == client && first(item.datagram) == kind {
			return g, fragments(items[n:], client), items[n:]
		}
		if item.toClient == client {
			g.In(item.datagram)
		} else {
			g.Out(item.datagram)
		}
	}
	t.Fatal("the tape has no flight")
	return nil, nil, nil
}

func fragments(items []taped, toClient bool) []fragment {
	var list []fragment
	for _, item := range items {
		if item.toClient != toClient {
			continue
		}
		for rest := item.datagram; len(rest) > 0; {
			r, next, ok := nextRecord(rest)
			if !ok {
				break
			}
			rest = next
			if r.epoch != 0 || r.kind != typeHandshake {
				continue
			}
			for body := r.body; len(body) > 0; {
				f, next, ok := nextFragment(body)
				if !ok {
					break
				}
				body = next
				list = append(list, f)
			}
		}
	}
	return list
}

// alone is a fragment in a datagram of its own.
func alone(f fragment, record uint64) []byte {
	fr := framer{seq: record}
	fr.fragment(f)
	return fr.take()[0]
}

// A forged CertificateRequest or ServerHelloDone is not signed by anything:
// the one that came with the ServerKeyExchange wins.
func TestUnsignedRest(t *testing.T) {
	g, flight, _ := scene(t, true)
	forger := newTestForger()
	forge := func() {
		for seq := range uint16(6) {
			g.In(forger.message(msgCertificateRequest, seq, []byte{1, 64, 0, 2, 4, 3, 0, 0}))
			g.In(forger.message(msgServerHelloDone, seq, nil))
		}
	}
	forge()
	for n, f := range flight {
		pass, _ := g.In(alone(f, 10+uint64(n)))
		if len(pass) != 0 && f.kind != msgServerHelloDone && f.kind != msgCertificateRequest {
			t.Fatal("it passed before the flight was there")
		}
		forge()
	}
	if !g.flightDone {
		t.Fatal("the flight did not pass")
	}
	for _, f := range flight {
		if !matches(g.had(f.seq), f) {
			t.Errorf("message %d is a forged one", f.seq)
		}
	}
}

// Where nothing ties the end of the flight to its signed part, it passes
// after some repetitions.
func TestUntiedRest(t *testing.T) {
	g, flight, _ := scene(t, true)
	record := uint64(1000)
	rounds := 0
	for ; !g.flightDone && rounds < 10; rounds++ {
		for _, f := range flight {
			record += 100
			g.In(alone(f, record))
		}
	}
	if !g.flightDone || rounds < 2 || rounds > patience+2 {
		t.Errorf("passed: %v, after %d rounds", g.flightDone, rounds)
	}
}

// The flight passes whatever the order, and once it has passed, each fragment
// of it passes again, in whatever cut, and nothing else.
func TestRetransmission(t *testing.T) {
	for _, client := range []bool{true, false} {
		g, flight, items := scene(t, client)
		record := uint64(500)
		for n := len(flight) - 1; n >= 0; n-- {
			g.In(alone(flight[n], record+uint64(n)))
		}
		if !g.flightDone {
			t.Fatalf("client %v: the flight in reverse order does not pass", client)
		}
		for _, f := range flight {
			if pass, drops := g.In(alone(f, 3)); len(pass) != 1 || len(drops) != 0 {
				t.Errorf("client %v: a repeated fragment: passed %d, dropped %v", client, len(pass), drops)
			}
			if len(f.data) == 0 {
				continue
			}
			half := f
			half.data = f.data[:len(f.data)/2+1]
			if pass, _ := g.In(alone(half, 4)); len(pass) != 1 {
				t.Errorf("client %v: half a fragment does not pass", client)
			}
			half.data = bytes.Clone(half.data)
			half.data[0] ^= 1
			if pass, drops := g.In(alone(half, 5)); len(pass) != 0 || len(drops) != 1 || drops[0] != DropSpoofed {
				t.Errorf("client %v: a changed fragment: passed %d, dropped %v", client, len(pass), drops)
			}
		}
		for _, item := range items {
			if item.toClient != client {
				g.Out(item.datagram)
			}
		}
		g.Established()
		passed := 0
		for _, f := range flight {
			pass, drops := g.In(alone(f, 6))
			if len(drops) != 0 {
				t.Errorf("client %v: a late fragment is dropped: %v", client, drops)
			}
			passed += len(pass)
		}
		if want := map[bool]int{true: 0, false: 1}[client]; passed != want {
			t.Errorf("client %v: %d late fragments passed, want %d", client, passed, want)
		}
		if pass, _ := g.In(newTestForger().record(typeApplicationData, 1, make([]byte, 40))); len(pass) != 1 {
			t.Errorf("client %v: a protected record does not pass", client)
		}
	}
}

// Protected records that overtake the flight are kept for it.
func TestOvertaken(t *testing.T) {
	g, flight, _ := scene(t, false)
	finished := newTestForger().record(typeHandshake, 1, make([]byte, 40))
	if pass, drops := g.In(finished); len(pass) != 0 || len(drops) != 0 {
		t.Fatalf("passed %d, dropped %v", len(pass), drops)
	}
	var all []byte
	for n, f := range flight {
		pass, _ := g.In(alone(f, uint64(n)))
		for _, d := range pass {
			all = append(all, d...)
		}
	}
	if !bytes.HasSuffix(all, finished) {
		t.Fatal("the record did not follow the flight")
	}
	var kinds []byte
	for len(all) > 0 {
		r, rest, ok := nextRecord(all)
		if !ok {
			t.Fatal("no record")
		}
		kinds = append(kinds, r.kind)
		all = rest
	}
	if n := len(kinds); kinds[n-2] != typeChangeCipherSpec || bytes.Count(kinds, []byte{typeChangeCipherSpec}) != 1 {
		t.Errorf("records %v: want one ChangeCipherSpec before the last", kinds)
	}
}

// A server that asked for a certificate does not take a client without one.
func TestNoCertificate(t *testing.T) {
	g, flight, _ := scene(t, false)
	forger := newTestForger()
	g.In(forger.message(msgCertificate, flight[0].seq, []byte{0, 0, 0}))
	for _, f := range flight {
		if f.kind == msgClientKeyExchange {
			g.In(alone(f, 9))
		}
	}
	if g.flightDone {
		t.Fatal("it passed")
	}
	if hint := g.Hint(); !strings.Contains(hint, "no certificate") {
		t.Errorf("hint %q", hint)
	}
}

// Who knows nothing of the flight can guess its first bytes, but cannot make it pass
// with an end of his own.
func TestGuessedRepetitions(t *testing.T) {
	g, flight, _ := scene(t, true)
	record := uint64(1000)
	forger := newTestForger()
	var hello fragment
	for _, f := range flight {
		if f.kind == msgServerHello {
			hello = f
		}
		if record += 100; f.kind != msgServerHelloDone && f.kind != msgCertificateRequest {
			g.In(alone(f, record))
		}
	}
	last := hello.seq + 3
	g.In(forger.message(msgServerHelloDone, last, nil))
	for range 2 * patience {
		g.In(forger.part(msgServerHello, hello.seq, hello.length, 0, []byte{0xfe, 0xfd}))
	}
	if g.flightDone {
		t.Error("a forged ServerHelloDone ended the flight")
	}
}
