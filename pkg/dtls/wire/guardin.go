// SPDX-License-Identifier: LGPL-2.1-or-later

package wire

import "bytes"

// handshake handles one fragment of epoch 0. fresh tells that it was not
// there before, proven that it is part of the proven, unfinished flight.
func (g *Guard) handshake(f fragment, recordSeq uint64, drop func(Reason)) (fresh, proven bool) {
	g.seen.message(f.kind)
	if g.again(f) {
		return false, false
	}
	if g.established {
		drop(DropSpoofed)
		return false, false
	}
	if f.length > maxMessage {
		drop(DropMalformed)
		return false, false
	}
	if f.kind == msgHelloVerifyRequest && g.client {
		g.helloVerify(f, recordSeq, drop)
		return false, false
	}
	if g.flightDone || !g.expected(f) {
		drop(DropSpoofed)
		return false, false
	}
	for _, w := range g.flight.proven {
		if w.seq != f.seq {
			continue
		}
		if !matches(w.raw, f) {
			drop(DropSpoofed)
			return false, false
		}
		if w.kind == msgServerKeyExchange && len(f.data) >= unguessable {
			g.flight.anchor.sight(sighting{g.datagrams, recordSeq})
		}
		// The random is in it, so whoever sends this has seen the flight.
		if w == g.flight.proven[0] && f.offset == 0 && len(f.data) >= unguessable && g.flight.complete {
			g.flight.again++
		}
		return false, true
	}
	fresh, evicted := g.flight.pool.add(f, g.datagrams, recordSeq)
	for ; evicted > 0; evicted-- {
		drop(DropQueueFull)
	}
	if fresh && !g.client && f.kind == msgClientHello {
		g.judgeHello(f.seq, drop)
		return false, false
	}
	// A known fragment seen in another place may tie the flight together.
	return true, false
}

// base is the message_seq at which the peer's flight begins.
func (g *Guard) base() uint16 {
	if !g.client {
		return g.helloSeq + 1
	}
	if g.verified {
		return 1
	}
	return 0
}

// expected tells whether the peer's role may send such a message now.
func (g *Guard) expected(f fragment) bool {
	if !g.client && f.kind == msgClientHello {
		// After the flight that answers it, only its own retransmissions.
		return !g.outDone && (g.hello == nil && g.fronted || f.seq <= 1 && (g.hello == nil || f.seq == g.helloSeq+1))
	}
	if g.client && g.random == nil || !g.client && !g.outDone || f.seq < g.base() {
		return false
	}
	at := f.seq - g.base()
	switch {
	case g.client:
		switch f.kind {
		case msgServerHello:
			return at == 0
		case msgCertificate:
			return at == 1
		case msgServerKeyExchange:
			return at == 2
		case msgCertificateRequest:
			return at == 3
		case msgServerHelloDone:
			return at == 3 || at == 4
		}
	case g.requested:
		switch f.kind {
		case msgCertificate:
			return at == 0
		case msgClientKeyExchange:
			return at == 1
		case msgCertificateVerify:
			return at == 2
		}
	default:
		return f.kind == msgClientKeyExchange && at == 0
	}
	return false
}

// matches tells that f is part of the message raw, which has its header.
func matches(raw []byte, f fragment) bool {
	body := raw[handshakeHeader:]
	return raw[0] == f.kind && len(body) == f.length &&
		bytes.Equal(body[f.offset:f.offset+len(f.data)], f.data)
}

// again handles a retransmission of what came before: who repeats a whole
// flight has not got the answer to it.
func (g *Guard) again(f fragment) bool {
	raw := g.had(f.seq)
	if raw == nil || !matches(raw, f) {
		return false
	}
	if f.kind != msgHelloVerifyRequest {
		g.input.Repeated = raw
		if f.kind == msgServerKeyExchange && len(f.data) >= unguessable {
			g.input.Insists = true
		}
	}
	return true
}

// helloVerify handles a HelloVerifyRequest that a client did not get yet.
func (g *Guard) helloVerify(f fragment, recordSeq uint64, drop func(Reason)) {
	c := cursor{b: f.data}
	version := c.uint16()
	cookie := c.vector8()
	if len(f.data) != f.length || !c.done() || len(cookie) == 0 || version != version10 && version != version12 {
		drop(DropMalformed)
		return
	}
	if g.random == nil || g.flightDone || g.flight.proven != nil {
		drop(DropSpoofed)
		return
	}
	echo := recordSeq >= g.helloFirst && recordSeq <= g.helloLast
	if g.verified {
		// The true server, asked with a forged cookie, sends its own.
		if !bytes.Equal(cookie, g.cookie) && (echo || g.insistent(cookie)) {
			g.stale = true
		}
		drop(DropSpoofed)
		return
	}
	if f.seq != 0 || !echo && !g.insistent(cookie) {
		drop(DropSpoofed)
		return
	}
	g.verified = true
	g.strange, g.strangers = nil, false
	g.cookie = bytes.Clone(cookie)
	g.flight = flight{spent: g.flight.spent}
	raw := appendHandshakeHeader(make([]byte, 0, handshakeHeader+len(f.data)), f.kind, f.length, 0, 0, f.length)
	g.remember(0, append(raw, f.data...))
	g.input.Cookie = g.cookie
}

// insistent tells that a cookie came in answer to one ClientHello and again
// in answer to a later one, and no other came. That has to do for a server
// that does not repeat the record number.
func (g *Guard) insistent(cookie []byte) bool {
	switch {
	case g.strange == nil:
		g.strange = bytes.Clone(cookie)
		g.strangeHellos = g.hellos
	case !bytes.Equal(g.strange, cookie):
		g.strangers = true
	default:
		return !g.strangers && g.hellos > g.strangeHellos
	}
	return false
}

// judgeHello gives a server its ClientHello as soon as it is whole.
func (g *Guard) judgeHello(seq uint16, drop func(Reason)) {
	for _, w := range g.flight.pool.variants(seq, msgClientHello, parseHelloAny) {
		h := w.parsed.(clientHello)
		if g.hello != nil {
			// RFC 6347 4.2.1: the same parameters again, now with a cookie.
			first, ok := parseHello(g.hello[handshakeHeader:])
			if !ok || len(h.cookie) == 0 || h.version != first.version || !bytes.Equal(h.random, first.random) ||
				!bytes.Equal(h.sessionID, first.sessionID) || !bytes.Equal(h.head, first.head) {
				continue
			}
		} else if seq != 0 && !g.fronted {
			continue
		}
		g.hello, g.helloSeq = w.raw, seq
		g.random = bytes.Clone(h.random)
		g.remember(seq, w.raw)
		g.input.Hello = w.raw
		for n := g.flight.pool.keep(func(a *assembler) bool { return a.seq != seq }) - 1; n > 0; n-- {
			drop(DropSpoofed)
		}
		return
	}
}

// had is the message that was passed, nil if it was not.
func (g *Guard) had(seq uint16) []byte {
	if int(seq) >= len(g.passed) {
		return nil
	}
	return g.passed[seq]
}

// remember keeps a message that is passed, to know it again.
func (g *Guard) remember(seq uint16, raw []byte) {
	for len(g.passed) <= int(seq) { // single digits
		g.passed = append(g.passed, nil)
	}
	g.passed[seq] = raw
}

// judge passes the peer's flight once it is proven and whole.
func (g *Guard) judge(drop func(Reason)) {
	var messages []*whole
	switch {
	case g.client:
		messages = g.flight.server(g.base(), g.random)
	case !g.outDone:
		return
	case g.requested:
		messages = g.flight.signedClient(g.base(), g.curve, g.transcript())
	default:
		messages = g.flight.plainClient(g.base(), g.curve)
	}
	for ; g.flight.spoofed > 0; g.flight.spoofed-- {
		drop(DropSpoofed)
	}
	if messages == nil {
		return
	}
	// What is left lost against these.
	chosen := 0
	for _, group := range g.flight.pool.groups {
		for _, w := range messages {
			if group.seq == w.seq && group.kind == w.kind && group.length == len(w.body()) {
				chosen++
			}
		}
	}
	for n := len(g.flight.pool.groups) - chosen; n > 0; n-- {
		drop(DropSpoofed)
	}
	passed := &Flight{Messages: make([][]byte, 0, len(messages))}
	for _, w := range messages {
		g.remember(w.seq, w.raw)
		passed.Messages = append(passed.Messages, w.raw)
		switch p := w.parsed.(type) {
		case certificate:
			passed.Leaf = p.leaf
		case keyExchange:
			passed.Scheme = p.signed.id
		case signed:
			passed.Scheme = p.id
		}
	}
	g.input.Flight = passed
	g.flight = flight{}
	g.flightDone = true
	g.out = nil
	if g.open() {
		for _, raw := range g.held {
			g.release(raw)
		}
	}
	g.held, g.heldBytes = nil, 0
}
