// SPDX-License-Identifier: LGPL-2.1-or-later

package wire

import (
	"bytes"
	"cmp"
	"hash/maphash"
	"slices"
)

const (
	// wholeLimit is how many different messages are made of one set of
	// fragments; tiedLimit how many of them of fragments that belong together.
	wholeLimit = 24
	tiedLimit  = 16
	// searchLimit bounds the search for them, in fragments tried.
	searchLimit = 600
	// searchBytes bounds it in bytes that are copied or hashed, beside searchLengths
	// times the message: else a few bytes that come again and again would let 24 kB
	// be put together hundreds of times.
	searchBytes   = 64 << 10
	searchLengths = 16
	// sightings is how many places are remembered where a fragment was seen.
	sightings = 8
)

// sighting is where a fragment was seen: which datagram (counted by arrival)
// and which record number it bore.
type sighting struct{ datagram, record uint64 }

// piece is a fragment that is kept.
type piece struct {
	offset int
	data   []byte
	seen   [sightings]sighting
	count  int
}

func (p *piece) end() int { return p.offset + len(p.data) }

// recent is when the piece was seen last.
func (p *piece) recent() uint64 { return p.seen[(p.count-1)%sightings].datagram }

func (p *piece) sight(s sighting) {
	if p.count > 0 && p.seen[(p.count-1)%sightings] == s {
		return
	}
	p.seen[p.count%sightings] = s
	p.count++
}

// How two fragments that follow each other in a flight belong together.
const (
	apart       = iota
	consecutive // their records bear consecutive numbers
	together    // they came in one datagram
)

// link tells how b belongs to the a that comes before it. Someone off the
// path cannot put a forged fragment into the datagram of a true one, and has
// to guess the record's number otherwise.
func link(a, b *piece) int {
	best := apart
	for _, s := range a.seen[:min(a.count, sightings)] {
		for _, t := range b.seen[:min(b.count, sightings)] {
			if s.datagram == t.datagram {
				return together
			}
			if t.record == s.record || t.record == s.record+1 {
				best = consecutive
			}
		}
	}
	return best
}

// whole is a message put together of pieces.
type whole struct {
	kind        byte
	seq         uint16
	raw         []byte // with the header of an unfragmented message
	first, last *piece
	parsed      any    // what the parser made of it
	id          uint32 // set by the pool
}

func (w *whole) body() []byte { return w.raw[handshakeHeader:] }

// assembler puts one message together whose fragments may be mixed with
// forged ones, fragmented in more than one way. It makes every message that
// the fragments allow, up to wholeLimit.
type assembler struct {
	kind    byte
	seq     uint16
	length  int
	most    int
	strict  bool // only fragments that belong together make a message
	pieces  []*piece
	bytes   int
	touched uint64
	wholes  []*whole
	stale   bool
}

func newAssembler(kind byte, seq uint16, length, most int) *assembler {
	return &assembler{kind: kind, seq: seq, length: length, most: most}
}

// budget bounds the bytes kept: a few times the message.
func (a *assembler) budget() int { return 6*a.length + 4096 }

// add keeps a fragment and tells whether it is new.
func (a *assembler) add(f fragment, datagram, record uint64) bool {
	a.touched = datagram
	s := sighting{datagram, record}
	for _, p := range a.pieces {
		if p.offset == f.offset && bytes.Equal(p.data, f.data) {
			p.sight(s)
			a.stale = a.stale || len(a.pieces) > 1 // it may be tied to another one now
			return false
		}
	}
	for len(a.pieces) > 0 && (len(a.pieces) >= a.most || a.bytes+len(f.data) > a.budget()) {
		a.bytes -= len(a.pieces[0].data)
		a.pieces = slices.Delete(a.pieces, 0, 1)
	}
	p := &piece{offset: f.offset, data: bytes.Clone(f.data)}
	p.sight(s)
	a.pieces = append(a.pieces, p)
	a.bytes += len(p.data)
	a.stale = true
	return true
}

// covered tells that every byte of the message is there in some fragment.
func (a *assembler) covered() bool {
	at := 0
	for at < a.length {
		next := at
		for _, p := range a.pieces {
			if p.offset <= at && p.end() > next {
				next = p.end()
			}
		}
		if next == at {
			return false
		}
		at = next
	}
	return len(a.pieces) > 0
}

// parser makes something of a message's body; false refuses it.
type parser func(body []byte) (any, bool)

// whole lists the messages that the fragments make and parse accepts, which
// is to be the same each time. Messages that were there before stay the same
// pointers.
func (a *assembler) whole(parse parser) []*whole {
	if !a.stale {
		return a.wholes
	}
	a.stale = false
	s := search{a: a, before: a.wholes, parse: parse,
		buf: appendHandshakeHeader(make([]byte, 0, handshakeHeader+a.length), a.kind, a.length, a.seq, 0, a.length)}
	a.wholes = nil
	if !a.covered() {
		return nil
	}
	for _, s.tied = range []bool{true, false} {
		s.limit = wholeLimit
		if s.tied {
			s.limit = tiedLimit
		}
		s.steps = searchLimit
		s.bytes = searchBytes + searchLengths*a.length
		s.been = make(map[uint64]struct{})
		s.from(nil, nil)
		if len(a.pieces) == 1 || a.strict {
			break
		}
	}
	return a.wholes
}

type search struct {
	a      *assembler
	before []*whole
	parse  parser
	buf    []byte
	tied   bool // only fragments that belong together
	limit  int
	steps  int
	bytes  int
	been   map[uint64]struct{} // beginnings that were continued already
}

var searchSeed = maphash.MakeSeed()

// candidate is a fragment that may come next.
type candidate struct {
	*piece
	tie int
}

// from continues the message in buf, whose last piece is last.
func (s *search) from(first, last *piece) {
	at := len(s.buf) - handshakeHeader
	if last != nil && at == s.a.length {
		s.found(first, last)
		return
	}
	if last != nil {
		// Two ways to fragment a message have many paths to the same bytes.
		s.bytes -= len(s.buf)
		key := maphash.Bytes(searchSeed, s.buf)
		if _, again := s.been[key]; again {
			return
		}
		s.been[key] = struct{}{}
	}
	var next []candidate
	for _, p := range s.a.pieces {
		if p.offset > at || p.end() <= at && s.a.length > 0 {
			continue
		}
		c := candidate{piece: p}
		if last != nil {
			if c.tie = link(last, p); c.tie == apart && s.tied {
				continue
			}
		}
		if bytes.Equal(p.data[:at-p.offset], s.buf[handshakeHeader+p.offset:]) {
			next = append(next, c)
		}
	}
	// What belongs together is tried first, then what came last, then what
	// reaches furthest.
	slices.SortStableFunc(next, func(p, q candidate) int {
		return cmp.Or(cmp.Compare(q.tie, p.tie), cmp.Compare(q.recent(), p.recent()), cmp.Compare(q.end(), p.end()))
	})
	for _, p := range next {
		if s.steps--; s.steps < 0 || s.bytes < 0 || len(s.a.wholes) >= s.limit {
			return
		}
		mark := len(s.buf)
		s.bytes -= p.end() - at
		s.buf = append(s.buf, p.data[at-p.offset:]...)
		start := first
		if start == nil {
			start = p.piece
		}
		s.from(start, p.piece)
		s.buf = s.buf[:mark]
	}
}

func (s *search) found(first, last *piece) {
	for _, w := range s.a.wholes {
		if bytes.Equal(w.raw, s.buf) {
			return
		}
	}
	for _, w := range s.before {
		if bytes.Equal(w.raw, s.buf) {
			w.first, w.last = first, last
			s.a.wholes = append(s.a.wholes, w)
			return
		}
	}
	s.bytes -= len(s.buf)
	w := &whole{kind: s.a.kind, seq: s.a.seq, raw: bytes.Clone(s.buf), first: first, last: last}
	var ok bool
	if w.parsed, ok = s.parse(w.body()); ok {
		s.a.wholes = append(s.a.wholes, w)
	}
}
