// SPDX-License-Identifier: LGPL-2.1-or-later

package spool

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

// Append writes the records of b from index from on, whose ids (Seq) must grow and be new. n is how many
// it has written; with an error the others are to be offered again, or not.
func (s *Spool) Append(b *adapters.Batch, from int) (n int, err error) {
	s.disk.Lock()
	defer s.disk.Unlock()
	for from+n < b.Len() && err == nil {
		var did int
		did, err = s.write(b, from+n, nil, false)
		n += did
	}
	return n, s.afterWrite(err)
}

// Insert writes records whose ids were used before, but never written: messages that were only in memory
// until now. Those that skip names are left out; a gap in the ids means messages that have their answer.
// n is how many records were dealt with.
func (s *Spool) Insert(b *adapters.Batch, from int, skip func(i int) bool) (n int, err error) {
	s.disk.Lock()
	defer s.disk.Unlock()
	for from+n < b.Len() && err == nil {
		if skip(from + n) {
			n++
			continue
		}
		var did int
		did, err = s.write(b, from+n, skip, true)
		n += did
	}
	return n, s.afterWrite(err)
}

func (s *Spool) afterWrite(err error) error {
	if err == nil && s.o.Sync == SyncBatch {
		err = s.sync()
	}
	return err
}

// write writes records from index from on into one segment, as many as it takes.
func (s *Spool) write(b *adapters.Batch, from int, skip func(i int) bool, insert bool) (int, error) {
	first := b.At(from)
	s.mu.Lock()
	if first.Seq < s.next && !insert {
		s.mu.Unlock()
		return 0, ErrOrder
	}
	g, limit := s.place(first.Seq, insert)
	free := s.o.MaxBytes - s.bytes
	s.mu.Unlock()
	if free < int64(recordSize(&first)+len(magic)) {
		return 0, ErrFull
	}
	if g == nil {
		var err error
		if g, err = s.start(first.Seq, insert); err != nil {
			return 0, err
		}
		free -= int64(len(magic))
	}
	if err := g.open(); err != nil {
		return 0, err
	}
	// Encode what fits, and write it at once.
	stored := s.now()
	s.buf = s.buf[:0]
	var ends []int // of the records in buf
	var ids []uint64
	last, n := g.last, 0
	for i := from; i < b.Len() && len(s.buf) < windowSize; i++ {
		if skip != nil && skip(i) {
			n++
			continue
		}
		m := b.At(i)
		size := int64(len(s.buf) + recordSize(&m))
		switch {
		case m.Seq <= last && g.count+len(ids) > 0, m.Seq >= limit, size > free,
			len(ids) > 0 && !insert && m.Seq != last+1, m.Seq-g.first > maxGap,
			g.size+size > s.segSize && g.count+len(ids) > 0:
			i = b.Len() // the rest needs another segment, or room
			continue
		}
		s.buf = encode(s.buf, g.marker, &m, stored)
		last = m.Seq
		ids, ends = append(ids, m.Seq), append(ends, len(s.buf))
		n++
	}
	if len(ids) == 0 { // the segment is full
		s.finish(g)
		return 0, nil
	}
	wrote, err := g.f.WriteAt(s.buf, g.size)
	s.mu.Lock()
	whole := 0
	for whole < len(ends) && ends[whole] <= wrote {
		g.note(ids[whole], stored)
		s.next = max(s.next, ids[whole]+1)
		whole++
	}
	if whole > 0 {
		g.size += int64(ends[whole-1])
		s.bytes += int64(ends[whole-1])
	}
	s.mu.Unlock()
	if !slices.Contains(s.dirty, g) {
		s.dirty = append(s.dirty, g)
	}
	if err != nil {
		_ = g.f.Truncate(g.size) // if not, the next write goes over it
		n = 0
		for i := from; n < b.Len()-from && whole > 0; i, n = i+1, n+1 {
			if skip == nil || !skip(i) {
				whole--
			}
		}
		s.empty(g)
		return n, fmt.Errorf("%s cannot be written: %w", g.path, reason(err))
	}
	return n, nil
}

// empty removes a segment into which nothing could be written.
func (s *Spool) empty(g *segment) {
	if g.count > 0 {
		return
	}
	s.mu.Lock()
	s.segments = slices.DeleteFunc(s.segments, func(x *segment) bool { return x == g })
	s.dirty = slices.DeleteFunc(s.dirty, func(x *segment) bool { return x == g })
	s.forget(g)
	s.bytes -= g.size
	s.mu.Unlock()
	_ = g.remove()
}

// place finds the segment that id goes into, nil if there is none, and the id that it must stay below.
func (s *Spool) place(id uint64, insert bool) (*segment, uint64) {
	limit := ^uint64(0)
	if !insert {
		g := s.active
		if g != nil && (g.sealed || g.size >= s.segSize || id != g.last+1 || s.aged(g)) {
			g = nil
		}
		return g, limit
	}
	i, _ := slices.BinarySearchFunc(s.segments, id, func(g *segment, id uint64) int { return cmp.Compare(g.first, id) })
	if i < len(s.segments) {
		limit = s.segments[i].first
	}
	if i > 0 {
		if g := s.segments[i-1]; g == s.inserted && !g.sealed && g.last < id && g.size < s.segSize && id-g.first <= maxGap {
			return g, limit
		}
	}
	return nil, limit
}

// aged reports that a segment spans so much time that another one is better for the next message: what has
// expired is deleted a segment at a time.
func (s *Spool) aged(g *segment) bool {
	return s.o.MaxAge > 0 && g.newest-g.oldest > s.o.MaxAge.Milliseconds()/segmentsAtLeast
}

// start makes a new segment.
func (s *Spool) start(first uint64, insert bool) (*segment, error) {
	marker := rand.Uint32()
	g, err := create(s.dir, first, max(marker, 1))
	if err != nil {
		return nil, fmt.Errorf("%s cannot be written: %w", s.dir, reason(err))
	}
	if s.o.Sync != SyncNone {
		syncDir(s.dir)
	}
	last := s.active
	if insert {
		last = s.inserted
	}
	if last != nil {
		s.finish(last)
	}
	s.mu.Lock()
	i, _ := slices.BinarySearchFunc(s.segments, first, func(g *segment, id uint64) int { return cmp.Compare(g.first, id) })
	s.segments = slices.Insert(s.segments, i, g)
	s.bytes += g.size
	if insert {
		s.inserted = g
	} else {
		s.active = g
	}
	s.mu.Unlock()
	return g, nil
}

// finish closes a segment for good; what is not synced yet is.
func (s *Spool) finish(g *segment) {
	if s.o.Sync != SyncNone && slices.Contains(s.dirty, g) && g.f != nil {
		if err := g.f.Sync(); err != nil {
			s.unsynced = fmt.Errorf("%s cannot be synced: %w", g.path, reason(err))
		}
		s.dirty = slices.DeleteFunc(s.dirty, func(x *segment) bool { return x == g })
	}
	g.seal()
	s.mu.Lock()
	s.forget(g)
	s.mu.Unlock()
}

// forget makes g one of those that nothing is written to.
func (s *Spool) forget(g *segment) {
	if s.active == g {
		s.active = nil
	}
	if s.inserted == g {
		s.inserted = nil
	}
}
