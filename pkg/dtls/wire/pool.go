// SPDX-License-Identifier: LGPL-2.1-or-later

package wire

import (
	"cmp"
	"slices"
)

// What a Guard holds of unproven messages at most.
const (
	// maxMessage is the longest handshake message; a Certificate with a chain
	// of RSA certificates is the largest that occurs.
	maxMessage = 24 << 10
	// groupFragments bounds the fragments of one message.
	groupFragments = 128
	// groupLimit bounds the messages (of different type or length) that claim
	// one message_seq.
	groupLimit = 16
	// poolBytes and poolPieces bound the whole.
	poolBytes  = 128 << 10
	poolPieces = 512
	// variantLimit bounds the messages of one place in the flight that are
	// tried with each other.
	variantLimit = 16
)

// pool holds the fragments of a flight that is not proven yet.
type pool struct {
	groups []*assembler
	bytes  int
	pieces int
	nextID uint32
}

// add keeps a fragment. evicted is how many messages had to make room.
func (p *pool) add(f fragment, datagram, record uint64) (fresh bool, evicted int) {
	var group *assembler
	same := 0
	for _, g := range p.groups {
		if g.seq != f.seq {
			continue
		}
		same++
		if g.kind == f.kind && g.length == f.length {
			group = g
		}
	}
	if group == nil {
		if same >= groupLimit {
			p.evict(func(g *assembler) bool { return g.seq == f.seq })
			evicted++
		}
		group = newAssembler(f.kind, f.seq, f.length, groupFragments)
		p.groups = append(p.groups, group)
	}
	bytes, pieces := group.bytes, len(group.pieces)
	fresh = group.add(f, datagram, record)
	p.bytes += group.bytes - bytes
	p.pieces += len(group.pieces) - pieces
	for p.bytes > poolBytes || p.pieces > poolPieces {
		if !p.evict(func(g *assembler) bool { return g != group }) {
			break
		}
		evicted++
	}
	return fresh, evicted
}

// evict removes the group that was touched least recently among those that
// may go.
func (p *pool) evict(may func(*assembler) bool) bool {
	at := -1
	for n, g := range p.groups {
		if may(g) && (at < 0 || g.touched < p.groups[at].touched) {
			at = n
		}
	}
	if at < 0 {
		return false
	}
	p.remove(at)
	return true
}

func (p *pool) remove(at int) {
	g := p.groups[at]
	p.bytes -= g.bytes
	p.pieces -= len(g.pieces)
	p.groups = append(p.groups[:at], p.groups[at+1:]...)
}

// keep removes the groups that f refuses and returns how many.
func (p *pool) keep(f func(*assembler) bool) int {
	removed := 0
	for n := 0; n < len(p.groups); {
		if f(p.groups[n]) {
			n++
			continue
		}
		p.remove(n)
		removed++
	}
	return removed
}

// variants lists the whole messages of one place that parse accepts, the
// latest first.
func (p *pool) variants(seq uint16, kind byte, parse parser) []*whole {
	var list []*whole
	for _, g := range p.groups {
		if g.seq != seq || g.kind != kind {
			continue
		}
		for _, w := range g.whole(parse) {
			if w.id == 0 {
				p.nextID++
				w.id = p.nextID
			}
			list = append(list, w)
		}
	}
	slices.SortStableFunc(list, func(v, w *whole) int { return cmp.Compare(w.last.recent(), v.last.recent()) })
	if len(list) > variantLimit {
		list = list[:variantLimit]
	}
	return list
}
