// SPDX-License-Identifier: LGPL-2.1-or-later

package spool

import (
	"encoding/binary"
	"hash/crc32"
	"math/bits"
	"os"
	"path/filepath"
)

// The cursor file says which messages of the segments have their answer. It is replaced as a whole. One
// that is missing, damaged or too old costs no message: what it does not name is delivered again.
//
//	magic 8, checksum 4 of the rest, then as unsigned varints: next id, number of segments, and for each
//	first id, marker, number of ranges, and for each range of answered ids the distance from the end of
//	the one before and the length
const (
	cursorFile  = "cursor"
	cursorMagic = "EWCURS1\n"
	maxRanges   = 16384 // of one segment between two stops: more are delivered again after a crash
)

type cursor struct {
	next     uint64
	segments map[uint64]cursorSegment // by first id
}

type cursorSegment struct {
	marker uint32
	ranges [][2]uint64 // first and last id
}

// ranges lists the answered ids, at most limit ranges of them.
func (s *segment) ranges(limit int) [][2]uint64 {
	var out [][2]uint64
	if s.left == s.count && s.last-s.first+1 == uint64(s.count) {
		return nil
	}
	for id := s.first; id <= s.last && len(out) < limit; {
		from := s.skip(id, true)
		if from > s.last {
			break
		}
		to := min(s.skip(from, false)-1, s.last)
		out = append(out, [2]uint64{from, to})
		id = to + 1
	}
	return out
}

// skip returns the first id from id on whose answered bit is set, or clear; any id beyond the last when
// there is none.
func (s *segment) skip(id uint64, set bool) uint64 {
	i := id - s.first
	for w := i >> 6; w < uint64(len(s.answers)); w++ {
		word := s.answers[w]
		if !set {
			word = ^word
		}
		if w == i>>6 {
			word &= ^uint64(0) << (i & 63)
		}
		if word != 0 {
			return s.first + w<<6 + uint64(bits.TrailingZeros64(word))
		}
	}
	return s.last + 1
}

func encodeCursor(next uint64, segments []*segment, limit int) []byte {
	b := append([]byte(cursorMagic), 0, 0, 0, 0)
	b = binary.AppendUvarint(b, next)
	b = binary.AppendUvarint(b, uint64(len(segments)))
	for _, s := range segments {
		ranges := s.ranges(limit)
		b = binary.AppendUvarint(b, s.first)
		b = binary.AppendUvarint(b, uint64(s.marker))
		b = binary.AppendUvarint(b, uint64(len(ranges)))
		at := s.first
		for _, r := range ranges {
			b = binary.AppendUvarint(b, r[0]-at)
			b = binary.AppendUvarint(b, r[1]-r[0])
			at = r[1]
		}
	}
	binary.LittleEndian.PutUint32(b[8:], crc32.Checksum(b[12:], castagnoli))
	return b
}

// decodeCursor reads what encodeCursor has written; false for anything else.
func decodeCursor(b []byte) (cursor, bool) {
	c := cursor{segments: map[uint64]cursorSegment{}}
	if len(b) < 12 || string(b[:8]) != cursorMagic || binary.LittleEndian.Uint32(b[8:]) != crc32.Checksum(b[12:], castagnoli) {
		return c, false
	}
	b = b[12:]
	ok := true
	number := func() uint64 {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			ok = false
			return 0
		}
		b = b[n:]
		return v
	}
	c.next = number()
	for n := number(); n > 0 && ok; n-- {
		first := number()
		s := cursorSegment{marker: uint32(number())}
		at := first
		for m := number(); m > 0 && ok; m-- {
			from := at + number()
			to := from + number()
			if from < at || to < from {
				ok = false
			}
			s.ranges = append(s.ranges, [2]uint64{from, to})
			at = to
		}
		c.segments[first] = s
	}
	return c, ok
}

func readCursor(dir string) cursor {
	b, err := os.ReadFile(filepath.Join(dir, cursorFile))
	if err != nil {
		return cursor{}
	}
	c, ok := decodeCursor(b)
	if !ok {
		return cursor{}
	}
	return c
}

// writeCursor replaces the file, so that a crash leaves the old or the new one.
func writeCursor(dir string, b []byte) error {
	path := filepath.Join(dir, cursorFile)
	if err := os.WriteFile(path+".new", b, 0o600); err != nil {
		_ = os.Remove(path + ".new")
		return err
	}
	return os.Rename(path+".new", path)
}
