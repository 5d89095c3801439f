// SPDX-License-Identifier: LGPL-2.1-or-later

package wire

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"hash"
	"sync"
)

const (
	cookieSize = 20 // DTLS 1.0 allows 32 (RFC 4347 4.2.1)

	// maxHello bounds a ClientHello. Browsers with post-quantum key shares
	// send 1.5 kB to 3 kB.
	maxHello = 8000

	// helloSlots is how many fragmented ClientHellos whose cookie was valid
	// are put together at a time; the oldest makes room.
	helloSlots = 4
	// lastHello is the highest message_seq of a ClientHello: a client that gets
	// another cookie, from a server that has begun anew meanwhile, counts on.
	lastHello = 3
	// helloFragments bounds the fragments of one of them.
	helloFragments = 48
)

// Front answers a DTLS server's ClientHellos by HelloVerifyRequests (RFC 6347
// 4.2.1) and keeps nothing about a client until its cookie came back. It is
// safe for concurrent use.
type Front struct {
	mu    sync.Mutex
	mac   hash.Hash
	sum   [sha256.Size]byte
	slots []*helloSlot
	stamp uint64
}

// helloSlot is one ClientHello with a valid cookie of which fragments are
// still missing.
type helloSlot struct {
	seq    uint16
	length int
	random [32]byte
	pool   *assembler
}

// Hello is a whole ClientHello whose cookie was valid.
type Hello struct {
	// Random is the client's; a ClientHello with the same one is a
	// retransmission.
	Random [32]byte
	// Datagram is the ClientHello as it came, cookie included, in a record made
	// anew (the record's header is no part of the handshake's hash).
	Datagram []byte
}

// NewFront makes a Front with a secret of its own.
func NewFront() *Front {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails: crypto/rand ends the program instead
	return &Front{mac: hmac.New(sha256.New, secret)}
}

// In takes one datagram, which may hold fragments of ClientHellos in epoch 0.
// reply is the HelloVerifyRequest to send, if any. hello is a whole
// ClientHello whose cookie is valid, if there is one now. dropped tells that
// something in the datagram was refused, and drop why.
func (f *Front) In(datagram []byte) (reply []byte, hello *Hello, drop Reason, dropped bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	refuse := func(r Reason) {
		if !dropped {
			drop, dropped = r, true
		}
	}
	if len(datagram) == 0 {
		refuse(DropMalformed)
	}
	f.stamp++
	for len(datagram) > 0 {
		r, rest, ok := nextRecord(datagram)
		if !ok {
			refuse(DropMalformed)
			break
		}
		datagram = rest
		if r.epoch != 0 || r.kind != typeHandshake {
			refuse(DropSpoofed)
			continue
		}
		for body := r.body; len(body) > 0; {
			frag, next, ok := nextFragment(body)
			if !ok {
				refuse(DropMalformed)
				break
			}
			body = next
			if frag.kind != msgClientHello || frag.seq > lastHello {
				refuse(DropSpoofed)
				continue
			}
			if frag.length > maxHello {
				refuse(DropMalformed)
				continue
			}
			answer, whole, why, bad := f.fragment(r.seq, frag)
			if bad {
				refuse(why)
			}
			if answer != nil && reply == nil {
				reply = answer
			}
			if whole != nil && hello == nil {
				hello = whole
			}
		}
	}
	if hello != nil {
		reply = nil
	}
	return reply, hello, drop, dropped
}

// fragment handles one ClientHello fragment.
func (f *Front) fragment(recordSeq uint64, frag fragment) (reply []byte, hello *Hello, drop Reason, dropped bool) {
	if frag.offset > 0 {
		if hello, known := f.later(recordSeq, frag); known {
			return nil, hello, 0, false
		}
		return nil, nil, DropSpoofed, true
	}
	h, _, ok := parseHelloStart(frag.data)
	if !ok {
		return nil, nil, DropMalformed, true
	}
	cookie := f.cookie(&h)
	if len(h.cookie) == 0 || !hmac.Equal(cookie, h.cookie) {
		return helloVerify(recordSeq, frag.seq, cookie), nil, 0, false
	}
	// The numbering of the messages that follow counts from the cookie round.
	if frag.seq == 0 {
		return nil, nil, DropSpoofed, true
	}
	if len(frag.data) == frag.length {
		if hello = newHello(frag.seq, frag.data); hello == nil {
			return nil, nil, DropMalformed, true
		}
		return nil, hello, 0, false
	}
	return nil, f.add(f.slot(&h, frag), recordSeq, frag), 0, false
}

// cookie covers what is at the start of every ClientHello of a client, so it
// can be computed without the rest. The result is valid until the next call.
func (f *Front) cookie(h *clientHello) []byte {
	f.mac.Reset()
	f.mac.Write([]byte{byte(h.version >> 8), byte(h.version)})
	f.mac.Write(h.random)
	f.mac.Write([]byte{byte(len(h.sessionID))})
	f.mac.Write(h.sessionID)
	return f.mac.Sum(f.sum[:0])[:cookieSize]
}

// helloVerify builds a HelloVerifyRequest: the record sequence number is the
// ClientHello's, as RFC 6347 4.2.1 wants it, and so is message_seq.
func helloVerify(recordSeq uint64, seq uint16, cookie []byte) []byte {
	size := 3 + len(cookie)
	out := make([]byte, 0, recordHeader+handshakeHeader+size)
	out = appendRecordHeader(out, typeHandshake, version10, recordSeq, handshakeHeader+size)
	out = appendHandshakeHeader(out, msgHelloVerifyRequest, size, seq, 0, size)
	out = append(out, version10>>8, version10&0xFF, byte(len(cookie)))
	return append(out, cookie...)
}

// slot finds the place of a fragmented ClientHello, or makes one.
func (f *Front) slot(h *clientHello, frag fragment) *helloSlot {
	for _, slot := range f.slots {
		if slot.seq == frag.seq && slot.length == frag.length && bytes.Equal(slot.random[:], h.random) {
			return slot
		}
	}
	slot := &helloSlot{
		seq: frag.seq, length: frag.length,
		pool: newAssembler(msgClientHello, frag.seq, frag.length, helloFragments),
	}
	// Nothing in a ClientHello is signed, and clients send its fragments in
	// records one after another.
	slot.pool.strict = true
	copy(slot.random[:], h.random)
	if len(f.slots) == helloSlots {
		copy(f.slots, f.slots[1:])
		f.slots[helloSlots-1] = slot
	} else {
		f.slots = append(f.slots, slot)
	}
	return slot
}

// later handles a fragment that is not the first of its message: it counts
// only beside a first one whose cookie was valid.
func (f *Front) later(recordSeq uint64, frag fragment) (hello *Hello, known bool) {
	for _, slot := range f.slots {
		if slot.seq != frag.seq || slot.length != frag.length {
			continue
		}
		known = true
		if hello = f.add(slot, recordSeq, frag); hello != nil {
			break
		}
	}
	return hello, known
}

// add puts a fragment to its slot; the result is the ClientHello once whole.
func (f *Front) add(slot *helloSlot, recordSeq uint64, frag fragment) *Hello {
	slot.pool.add(frag, f.stamp, recordSeq)
	for _, whole := range slot.pool.whole(parseHelloAny) {
		hello := newHello(slot.seq, whole.body())
		if !bytes.Equal(hello.Random[:], slot.random[:]) {
			continue
		}
		for n, s := range f.slots {
			if s == slot {
				f.slots = append(f.slots[:n], f.slots[n+1:]...)
				break
			}
		}
		return hello
	}
	return nil
}

func parseHelloAny(body []byte) (any, bool) { return parseHello(body) }

// newHello builds a Hello from a whole ClientHello's message_seq and body; nil
// when it is malformed.
func newHello(seq uint16, body []byte) *Hello {
	h, ok := parseHello(body)
	if !ok {
		return nil
	}
	hello := &Hello{}
	copy(hello.Random[:], h.random)
	d := make([]byte, 0, recordHeader+handshakeHeader+len(body))
	d = appendRecordHeader(d, typeHandshake, version12, 1, handshakeHeader+len(body))
	d = appendHandshakeHeader(d, msgClientHello, len(body), seq, 0, len(body))
	hello.Datagram = append(d, body...)
	return hello
}
