// SPDX-License-Identifier: LGPL-2.1-or-later

package wire

import (
	"bytes"
	"slices"
)

const (
	// tiedVerifies and looseVerifies bound the signatures that are verified until
	// the own stack sends again, of messages whose fragments belong together
	// and of others. Forged messages cost little CPU so: the stack's
	// retransmissions are the clock.
	tiedVerifies  = 192
	looseVerifies = 48
	// failedLimit bounds the memory of combinations that did not verify.
	failedLimit = 4096
	// patience is how many repetitions of the flight are awaited while nothing
	// ties its unsigned rest to the proven part. Whoever sends forged ones in a stream is
	// believed when the true rest was lost as often in a row, and the handshake cannot
	// succeed then: with a loss of 10 % that was seen with 3.
	patience = 6
)

// flight judges the peer's flight of handshake messages.
type flight struct {
	pool   pool
	failed map[[3]uint32]struct{}
	spent  [2]int // signatures verified since the own stack sent: tied, loose

	// proven are the messages that the signature covers, once it verified.
	proven []*whole
	anchor anchor
	// again counts how often the flight began anew while its rest was there,
	// but nothing tied that to the proven part.
	again int
	// complete tells that the flight was there, tied or not.
	complete bool
	// spoofed counts the messages that gave way to the proven ones.
	spoofed int
}

// triple tries every combination of three messages until verify accepts one.
func (f *flight) triple(a, b, c []*whole, verify func(a, b, c *whole) bool) bool {
	// The first round tries what is tied together, the second the rest.
	for round, limit := range []int{tiedVerifies, looseVerifies} {
		tied := round == 0
		for _, x := range a {
			for _, y := range b {
				for _, z := range c {
					if (link(x.last, y.first) != apart && link(y.last, z.first) != apart) != tied {
						continue
					}
					key := [3]uint32{x.id, y.id, z.id}
					if _, known := f.failed[key]; known {
						continue
					}
					if f.spent[round] >= limit {
						continue
					}
					f.spent[round]++
					if verify(x, y, z) {
						f.proven = []*whole{x, y, z}
						f.failed = nil
						return true
					}
					if f.failed == nil || len(f.failed) >= failedLimit {
						f.failed = make(map[[3]uint32]struct{})
					}
					f.failed[key] = struct{}{}
				}
			}
		}
	}
	return false
}

// server looks for the server's flight that begins at message_seq base:
// ServerHello, Certificate, ServerKeyExchange, perhaps CertificateRequest,
// ServerHelloDone (RFC 5246 7.3). It is nil while none is proven and whole.
func (f *flight) server(base uint16, clientRandom []byte) []*whole {
	if f.proven == nil {
		exchanges := f.pool.variants(base+2, msgServerKeyExchange, func(b []byte) (any, bool) { return parseKeyExchange(b) })
		if len(exchanges) == 0 {
			return nil
		}
		hellos := f.pool.variants(base, msgServerHello, func(b []byte) (any, bool) { return parseServerHello(b) })
		if len(hellos) == 0 {
			return nil
		}
		certificates := f.pool.variants(base+1, msgCertificate, parseCertificateAny)
		if !f.triple(hellos, certificates, exchanges, func(hello, cert, exchange *whole) bool {
			key := cert.parsed.(certificate).key
			k := exchange.parsed.(keyExchange)
			return key != nil && k.signed.verify(key, clientRandom, hello.parsed.(serverHello).random, k.params)
		}) {
			return nil
		}
		f.anchorTo(f.proven[2])
		f.spoofed += f.pool.keep(func(g *assembler) bool { return g.seq > base+2 }) - len(f.proven)
	}
	// What follows is not signed. What came in one datagram with the proven
	// part is believed first, then what bears the next record number. A
	// ServerHelloDone is empty: whose it is makes no difference, only where it
	// stands.
	done := func(seq uint16) []*whole {
		return f.pool.variants(seq, msgServerHelloDone, func(b []byte) (any, bool) { return nil, len(b) == 0 })
	}
	var best []*whole
	bestTie := -1
	try := func(third *whole, rest ...*whole) {
		if tie := f.anchor.tie(third.first); tie > bestTie {
			best, bestTie = append(append(slices.Clone(f.proven), third), rest...), tie
		}
	}
	if last := done(base + 4); len(last) > 0 {
		for _, request := range f.pool.variants(base+3, msgCertificateRequest, func(b []byte) (any, bool) { return nil, requestOK(b) }) {
			try(request, last[0])
		}
	}
	for _, last := range done(base + 3) {
		try(last)
	}
	f.complete = best != nil
	if bestTie > apart || f.again >= patience {
		return best
	}
	return nil
}

// unguessable is how many bytes of a ServerKeyExchange, or of the beginning of a
// ServerHello, prove that who sent them knows it; all but a few are random.
const unguessable = 24

// anchor is where fragments of the proven ServerKeyExchange were seen.
type anchor struct {
	seen [16]sighting
	next int
}

func (a *anchor) sight(s sighting) {
	a.seen[a.next%len(a.seen)] = s
	a.next++
}

// tie tells how p belongs to the proven part.
func (a *anchor) tie(p *piece) int {
	best := apart
	for _, s := range a.seen[:min(a.next, len(a.seen))] {
		for _, t := range p.seen[:min(p.count, sightings)] {
			if s.datagram == t.datagram {
				return together
			}
			// One more record may hold a short end of the message.
			if t.record >= s.record && t.record <= s.record+2 {
				best = consecutive
			}
		}
	}
	return best
}

// anchorTo notes where the fragments of the ServerKeyExchange were seen that
// nobody can have guessed.
func (f *flight) anchorTo(w *whole) {
	for _, g := range f.pool.groups {
		if g.seq != w.seq || g.kind != w.kind || g.length != len(w.body()) {
			continue
		}
		for _, p := range g.pieces {
			if len(p.data) >= unguessable && bytes.Equal(p.data, w.body()[p.offset:p.end()]) {
				for _, s := range p.seen[:min(p.count, sightings)] {
					f.anchor.sight(s)
				}
			}
		}
	}
}

func parseCertificateAny(b []byte) (any, bool) { return parseCertificate(b) }

// signedClient looks for the client's flight that begins at message_seq base
// after a CertificateRequest: Certificate, ClientKeyExchange and
// CertificateVerify, which signs all handshake messages before it (RFC 5246
// 7.4.8); transcript holds those before the flight.
func (f *flight) signedClient(base uint16, curve int, transcript []byte) []*whole {
	verifies := f.pool.variants(base+2, msgCertificateVerify, func(b []byte) (any, bool) {
		c := cursor{b: b}
		return parseSigned(&c)
	})
	if len(verifies) == 0 {
		return nil
	}
	certificates := f.pool.variants(base, msgCertificate, parseCertificateAny)
	exchanges := f.clientKeys(base+1, curve)
	if !f.triple(certificates, exchanges, verifies, func(cert, exchange, verify *whole) bool {
		key := cert.parsed.(certificate).key
		return key != nil && verify.parsed.(signed).verify(key, transcript, cert.raw, exchange.raw)
	}) {
		return nil
	}
	return f.proven
}

// plainClient is the flight of a client that was not asked for a certificate:
// a ClientKeyExchange, which nothing proves before Finished.
func (f *flight) plainClient(base uint16, curve int) []*whole {
	if keys := f.clientKeys(base, curve); len(keys) > 0 {
		return keys[:1]
	}
	return nil
}

func (f *flight) clientKeys(seq uint16, curve int) []*whole {
	return f.pool.variants(seq, msgClientKeyExchange, func(b []byte) (any, bool) { return nil, clientKeyOK(b, curve) })
}
