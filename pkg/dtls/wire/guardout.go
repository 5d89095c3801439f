// SPDX-License-Identifier: LGPL-2.1-or-later

package wire

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// Out must see every datagram that the stack sends. It returns the datagram
// to send: the one given, or a copy with other epoch-0 record numbers when
// StartSeq was called.
func (g *Guard) Out(datagram []byte) []byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(datagram) > 4 && binary.BigEndian.Uint16(datagram[3:]) != 0 {
		g.outFinished = true
		if g.established {
			return datagram
		}
	}
	g.flight.spent = [2]int{}
	if g.startSeq != 0 {
		datagram = bytes.Clone(datagram)
	}
	for rest := datagram; len(rest) > 0; {
		r, next, ok := nextRecord(rest)
		if !ok {
			break
		}
		rest = next
		if r.epoch == 1 {
			g.outFinished = true
			continue
		}
		seq := (r.seq + g.startSeq) & maxSequence
		if g.startSeq != 0 {
			putUint48(r.raw[5:], seq)
		}
		g.nextSeq = max(g.nextSeq, seq+1)
		if r.kind != typeHandshake {
			continue
		}
		for body := r.body; len(body) > 0; {
			f, next, ok := nextFragment(body)
			if !ok {
				break
			}
			body = next
			g.sent(f, seq)
		}
	}
	return datagram
}

// sent notes what the own stack sent.
func (g *Guard) sent(f fragment, recordSeq uint64) {
	if g.flightDone || g.established {
		return
	}
	if g.client {
		if f.kind != msgClientHello || f.offset != 0 {
			return
		}
		if h, _, ok := parseHelloStart(f.data); ok {
			if g.hellos == 0 {
				g.helloFirst = recordSeq
				g.random = bytes.Clone(h.random)
			}
			g.hellos++
			g.helloLast = recordSeq
		}
		return
	}
	switch f.kind {
	case msgServerHello, msgCertificate, msgServerKeyExchange, msgCertificateRequest, msgServerHelloDone:
	default:
		return
	}
	if g.outDone || g.hello == nil || f.seq < g.helloSeq {
		return
	}
	m := g.out[f.seq]
	if m == nil {
		if len(g.out) >= outMessages || g.outBytes+f.length > outBytes {
			return
		}
		if g.out == nil {
			g.out = make(map[uint16]*outMessage)
		}
		m = &outMessage{raw: appendHandshakeHeader(make([]byte, 0, handshakeHeader+f.length), f.kind, f.length, f.seq, 0, f.length)}
		g.out[f.seq] = m
		g.outBytes += f.length
	}
	if f.offset == m.have && len(m.raw)+len(f.data) <= handshakeHeader+f.length {
		m.raw = append(m.raw, f.data...)
		m.have += len(f.data)
	}
	if f.kind == msgServerHelloDone {
		g.flightOut()
	}
}

// flightOut notes what a server's flight asks of the client.
func (g *Guard) flightOut() {
	for _, m := range g.out {
		switch m.raw[0] {
		case msgCertificateRequest:
			g.requested = true
		case msgServerKeyExchange:
			if k, ok := parseKeyExchange(m.raw[handshakeHeader:]); ok {
				g.curve = k.curve
			}
		}
	}
	g.outDone = true
	g.flight = flight{} // what is left of ClientHellos
}

// transcript is what a client's CertificateVerify signs before the client's
// own flight: the messages as if unfragmented, the cookie round left out
// (RFC 6347 4.2.6).
func (g *Guard) transcript() []byte {
	var order []uint16
	size := len(g.hello)
	for seq, m := range g.out {
		order = append(order, seq)
		size += len(m.raw)
	}
	slices.Sort(order)
	all := append(make([]byte, 0, size), g.hello...)
	for _, seq := range order {
		all = append(all, g.out[seq].raw...)
	}
	return all
}
