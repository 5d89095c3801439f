// SPDX-License-Identifier: LGPL-2.1-or-later

package spool

import (
	"errors"
	"io/fs"
	"slices"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

// Unread is how many messages wait to be read.
func (s *Spool) Unread() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unreadLocked()
}

func (s *Spool) unreadLocked() int {
	n := 0
	for _, g := range s.segments {
		n += g.unread
	}
	return n
}

// NextUnread is the id of the message that Read would return next.
func (s *Spool) NextUnread() (uint64, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.segments {
		if g.unread > 0 {
			return g.skip(g.readUpTo+1, false), true
		}
	}
	return 0, false
}

// Rewind makes everything that has no answer unread.
func (s *Spool) Rewind() {
	s.disk.Lock()
	defer s.disk.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.segments {
		g.rewind()
	}
}

// Skip makes the messages up to id read, for a caller that has them in memory.
func (s *Spool) Skip(id uint64) {
	s.disk.Lock()
	defer s.disk.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.segments {
		if g.last <= id && g.unread > 0 {
			g.read, g.readUpTo, g.unread = g.size, g.last, 0
		}
	}
}

// Read appends unread messages to b, in order, until it has maxMessages more or holds about maxBytes, or
// there are no more. It returns how many.
func (s *Spool) Read(b *adapters.Batch, maxMessages, maxBytes int) (int, error) {
	s.disk.Lock()
	defer s.disk.Unlock()
	n := 0
	for len(b.Data) < maxBytes && n < maxMessages {
		s.mu.Lock()
		i := slices.IndexFunc(s.segments, func(g *segment) bool { return g.unread > 0 })
		if i < 0 {
			s.mu.Unlock()
			return n, nil
		}
		g := s.segments[i]
		s.mu.Unlock()
		did, err := s.readSome(g, b, maxMessages-n, maxBytes)
		n += did
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// readSome reads on in one segment.
func (s *Spool) readSome(g *segment, b *adapters.Batch, maxMessages, maxBytes int) (int, error) {
	if err := g.open(); errors.Is(err, fs.ErrNotExist) { // somebody has deleted it: those behind go on
		s.o.OnDamage(Damage{File: g.path, Bytes: g.size, Cause: reason(err)})
		s.missing(g, g.last+1)
		return 0, nil
	} else if err != nil {
		return 0, err
	}
	if s.readSegment != g {
		s.readSegment = g
		s.reader = reader{buf: s.reader.buf[:0]}
	}
	s.reader.f, s.reader.size, s.reader.marker = g.f, g.size, g.marker
	tooOld := s.tooOld()
	n := 0
	for len(b.Data) < maxBytes && n < maxMessages && g.read < g.size {
		v, next, err := s.reader.at(g.read)
		if err == nil && (v.Seq <= g.readUpTo || v.Seq > g.last) {
			err = errDamaged
		}
		if err != nil {
			s.passOver(g, err)
			continue
		}
		s.mu.Lock()
		g.read, g.readUpTo = next, v.Seq
		wanted := !g.answered(v.Seq)
		if wanted {
			g.unread--
		}
		if wanted && s.stored(g, v.storedMS) < tooOld {
			wanted = false
			s.answerLocked(g, v.Seq)
			s.expired++
		}
		s.mu.Unlock()
		if wanted {
			b.Add(v.Message)
			n++
		}
	}
	if g.read >= g.size {
		s.missing(g, g.last+1)
		if g.sealed {
			g.close()
		}
	}
	return n, nil
}

// passOver goes on behind damage. The messages that it hit are found missing when the next one is read.
func (s *Spool) passOver(g *segment, cause error) {
	from := g.read
	behind, err := s.reader.resync(from)
	if err != nil {
		behind = g.size
	}
	d := Damage{File: g.path, Offset: from, Bytes: behind - from}
	if cause != errDamaged {
		d.Cause = reason(cause)
	}
	s.o.OnDamage(d)
	upTo := g.last + 1
	if behind < g.size {
		if v, _, err := s.reader.at(behind); err == nil && v.Seq > g.readUpTo && v.Seq <= g.last {
			upTo = v.Seq
		} else {
			behind = g.size
		}
	}
	s.missing(g, upTo)
	s.mu.Lock()
	g.read = behind
	s.mu.Unlock()
}

// missing gives up the messages between the last one read and id.
func (s *Spool) missing(g *segment, id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := g.readUpTo + 1; i < id; i++ {
		if s.answerLocked(g, i) {
			s.lost++
		}
	}
	g.readUpTo = max(g.readUpTo, id-1)
}

// DropOldest gives up the unread messages of the oldest segment that has some, which makes room for
// others with the next Maintain. It returns how many they were.
func (s *Spool) DropOldest() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.segments {
		if g.unread > 0 {
			return s.giveUp(g)
		}
	}
	return 0
}

// tooOld is the time, in ms, before which a message was stored that has expired.
func (s *Spool) tooOld() int64 {
	if s.o.MaxAge <= 0 {
		return -1 << 63
	}
	return s.now() - s.o.MaxAge.Milliseconds()
}

// expire gives up the unread messages of segments that were written to for the last time too long ago.
func (s *Spool) expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tooOld()
	for _, g := range s.segments {
		if g.unread > 0 && s.stored(g, g.newest) < t {
			s.expired += uint64(s.giveUp(g))
		}
	}
}

func (s *Spool) giveUp(g *segment) int {
	n := 0
	for id := g.readUpTo + 1; id <= g.last; id++ {
		if s.answerLocked(g, id) {
			n++
		}
	}
	return n
}
