// SPDX-License-Identifier: LGPL-2.1-or-later

package wire

import (
	"bytes"
	"crypto/x509"
	"sync"
)

const (
	// holdRecords and holdBytes bound the epoch-1 records that came before
	// the flight they follow.
	holdRecords = 16
	holdBytes   = 16 << 10

	// outMessages and outBytes bound what is remembered of the own stack's
	// flight.
	outMessages = 8
	outBytes    = 64 << 10
)

// Guard stands between the network and one DTLS 1.2 handshake while it is under
// way and after it, in either role. The handshake gets the peer's messages a
// whole flight at a time, once the signature in it has proven that it belongs
// to this handshake: the ServerKeyExchange's for a client, the
// CertificateVerify's for a server that asked for a certificate. Nobody needs
// to verify it again. A server that asked for a certificate gets no flight
// without one.
//
// What only an observer of the connection can forge (unsigned parts of
// messages whose signed parts he copies) is left to the Finished messages.
//
// All methods are safe for concurrent use.
type Guard struct {
	mu     sync.Mutex
	client bool
	input  *Input // of the datagram that is looked at

	// Towards the network.
	startSeq uint64
	nextSeq  uint64

	// What the stack sent.
	hellos      int // ClientHellos, retransmissions included
	helloFirst  uint64
	helloLast   uint64 // record numbers of the first and the last one
	random      []byte
	out         map[uint16]*outMessage
	outBytes    int
	outDone     bool // a server's flight is out
	outFinished bool // epoch 1 was used
	requested   bool // the server's flight asked for a certificate
	curve       int  // of the server's ServerKeyExchange

	// What the peer sent.
	datagrams     uint64
	flight        flight
	hello         []byte // a server: the ClientHello that the stack answers, with its header
	helloSeq      uint16
	fronted       bool     // it comes from a Front, with its cookie
	passed        [][]byte // what was passed, with headers, by message_seq
	verified      bool     // a client got a HelloVerifyRequest
	cookie        []byte
	strange       []byte // a cookie under a record number that is no ClientHello's
	strangeHellos int    // ClientHellos that were out when it came
	strangers     bool   // there were several
	stale         bool
	flightDone    bool
	held          [][]byte
	heldBytes     int
	established   bool
	seen          seen
}

// outMessage is a message that the own stack sent, put together.
type outMessage struct {
	raw  []byte
	have int
}

// NewGuard makes the guard of one handshake attempt of a client or a server.
func NewGuard(client bool) *Guard {
	return &Guard{client: client}
}

// StartSeq makes the record numbers of epoch 0 in what Out returns begin at
// seq (48 bits). Call it before the first Out. A second attempt that is to
// look like the first one's continuation starts where that ended (NextSeq).
//
// A start that cannot be guessed makes forging a HelloVerifyRequest hard: one
// whose record number is not that of a ClientHello (RFC 6347 4.2.1 demands
// it, not all servers do it) waits until its cookie came again for a repeated
// ClientHello, and is refused when others contradict it.
func (g *Guard) StartSeq(seq uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.startSeq, g.nextSeq = seq&maxSequence, seq&maxSequence
}

// NextSeq is the number after the highest epoch-0 record number that Out
// returned.
func (g *Guard) NextSeq() uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.nextSeq
}

// Established tells that the handshake is complete. From now on epoch 0 passes
// only what asks a server for its last flight again.
func (g *Guard) Established() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.established = true
	g.flight = flight{}
	g.out = nil
	g.hello = nil
}

// Stale tells that a client's attempt follows a HelloVerifyRequest that the
// true server contradicts: another attempt is needed. Anyone who sees the
// connection can bring it about, so act on it no more often than a
// retransmission is due.
func (g *Guard) Stale() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.stale && !g.flightDone
}

// Flight is a flight of the peer that has proven to belong to this handshake.
type Flight struct {
	// Messages are whole, with the header of an unfragmented one (RFC 6347
	// section 4.2.2), in the order of their message_seq.
	Messages [][]byte
	// Leaf is the certificate whose key made the signature: a server's over
	// the randoms and its key share, a client's over all messages before it
	// (RFC 8422 section 5.4, RFC 5246 section 7.4.8). nil: the flight of a
	// client that was not asked for one.
	Leaf *x509.Certificate
	// Scheme is the signature's SignatureScheme; it suits Leaf's key.
	Scheme uint16
}

// Input is what the handshake may have of a datagram, in this order.
type Input struct {
	// Hello is the ClientHello for a server to answer, whole with its header.
	Hello []byte
	// Cookie is that of the HelloVerifyRequest that a client is to repeat its
	// ClientHello with.
	Cookie []byte
	Flight *Flight
	// Records are protected ones (epoch 1), with their headers. They may point
	// into the datagram; nothing about them is proven.
	Records [][]byte
	// Repeated is a message that was passed before and comes again, whole or in
	// part: the peer has not got the answer to its flight.
	Repeated []byte
	// Insists: what was repeated is a server's and cannot have been guessed.
	Insists bool
	// Drops are the reasons for which something was dropped.
	Drops []Reason
}

// Hello takes the ClientHello that a Front has let through, for a server's
// attempt to begin with.
func (g *Guard) Hello(hello *Hello) Input {
	g.mu.Lock()
	g.fronted = true
	g.mu.Unlock()
	return g.In(hello.Datagram)
}

// In takes one datagram from the network.
func (g *Guard) In(datagram []byte) (in Input) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.input = &in
	defer func() { g.input = nil }()
	g.datagrams++
	drop := func(r Reason) { in.Drops = append(in.Drops, r) }
	if len(datagram) == 0 {
		drop(DropMalformed)
		return in
	}
	fresh, proven := false, false
	for len(datagram) > 0 {
		r, rest, ok := nextRecord(datagram)
		if !ok {
			g.seen.malformed = true
			drop(DropMalformed)
			break
		}
		datagram = rest
		switch {
		case r.epoch == 1:
			g.epoch1(r, drop)
		case r.kind == typeHandshake:
			for body := r.body; len(body) > 0; {
				f, next, ok := nextFragment(body)
				if !ok {
					drop(DropMalformed)
					break
				}
				body = next
				a, b := g.handshake(f, r.seq, drop)
				fresh, proven = fresh || a, proven || b
			}
		case r.kind == typeChangeCipherSpec:
			// It carries nothing that the records behind it do not say.
			if len(r.body) != 1 || r.body[0] != 1 {
				drop(DropMalformed)
			}
		case r.kind == typeAlert:
			// Not authenticated: it may be anyone's.
			if len(r.body) == 2 {
				g.seen.alert(r.body[0], r.body[1])
			}
			drop(DropSpoofed)
		default:
			drop(DropSpoofed)
		}
	}
	if (fresh || proven) && !g.flightDone {
		g.judge(drop)
	}
	return in
}

// epoch1 handles a protected record.
func (g *Guard) epoch1(r record, drop func(Reason)) {
	if r.kind == typeChangeCipherSpec {
		// Never protected without renegotiation.
		drop(DropSpoofed)
		return
	}
	g.seen.epoch1 = true
	switch {
	case g.open():
		g.release(r.raw)
	case g.client || !g.outDone:
		// The peer cannot have keys yet.
		drop(DropBeforeKey)
	default:
		for len(g.held) > 0 && (len(g.held) >= holdRecords || g.heldBytes+len(r.raw) > holdBytes) {
			g.heldBytes -= len(g.held[0])
			g.held = append(g.held[:0], g.held[1:]...)
			drop(DropQueueFull)
		}
		if len(r.raw) > holdBytes {
			drop(DropQueueFull)
			return
		}
		g.held = append(g.held, bytes.Clone(r.raw))
		g.heldBytes += len(r.raw)
	}
}

// open tells that protected records can be of use.
func (g *Guard) open() bool { return g.flightDone && (!g.client || g.outFinished) }

func (g *Guard) release(raw []byte) { g.input.Records = append(g.input.Records, raw) }
