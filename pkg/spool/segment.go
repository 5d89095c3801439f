// SPDX-License-Identifier: LGPL-2.1-or-later

package spool

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// A segment is a file NNNN-MMMM.spool, where NNNN is the first id and MMMM the marker of its records, both
// in hexadecimal. It begins with magic, whose last character is the version; those of version 1 have no headers
// and are read as well. One that is complete ends in a footer, so that opening a large
// spool reads a few bytes of most files; one without (the process died) is read through.
const (
	magic      = "EWSPOOL2"
	suffix     = ".spool"
	footerSize = 48
	// A gap in the ids of a segment costs a bit for each that is missing.
	maxGap = 1 << 20
)

// A Damage is a stretch of a file that holds no whole record.
type Damage struct {
	File   string
	Offset int64
	Bytes  int64
	Cut    bool  // it was the end of the file, and was cut off
	Cause  error // the disk's word, if it was a failing read
}

// String says it for a person.
func (d Damage) String() string {
	text := fmt.Sprintf("%s: %d bytes from offset %d on hold no whole message", d.File, d.Bytes, d.Offset)
	if d.Cause != nil {
		return text + " that can be read: " + d.Cause.Error()
	}
	if d.Cut {
		return text + " (the last write was interrupted) and were cut off"
	}
	return text + " and were passed over"
}

type segment struct {
	path    string
	f       *os.File // nil until needed
	marker  uint32
	first   uint64
	last    uint64 // id of the last record; first-1 when empty
	size    int64  // of the records and the header; a footer may follow
	count   int    // records
	left    int    // records without an answer
	answers []uint64
	oldest  int64 // when its first record was stored, in ms …
	newest  int64 // … and its last
	sealed  bool  // nothing is appended any more
	earlier bool  // of an earlier run

	read     int64  // where reading goes on
	readUpTo uint64 // the id of the last record that was read
	unread   int    // records behind it without an answer
}

func segmentName(first uint64, marker uint32) string {
	return fmt.Sprintf("%016x-%08x%s", first, marker, suffix)
}

// parseName returns the first id and the marker.
func parseName(name string) (first uint64, marker uint32, ok bool) {
	base, found := strings.CutSuffix(name, suffix)
	if !found || len(base) != 16+1+8 || base[16] != '-' {
		return 0, 0, false
	}
	first, err := strconv.ParseUint(base[:16], 16, 64)
	m, err2 := strconv.ParseUint(base[17:], 16, 32)
	return first, uint32(m), err == nil && err2 == nil && first > 0
}

// note enters a record at the end of the segment. Ids between the last one and this one count as answered.
func (s *segment) note(id uint64, storedMS int64) {
	for len(s.answers) <= int((id-s.first)>>6) {
		s.answers = append(s.answers, ^uint64(0))
	}
	s.answers[(id-s.first)>>6] &^= 1 << ((id - s.first) & 63)
	if s.count == 0 {
		s.oldest = storedMS
	}
	s.last, s.newest = id, storedMS
	s.count++
	s.left++
	s.unread++
}

func (s *segment) answered(id uint64) bool {
	i := id - s.first
	return id < s.first || id > s.last || s.answers[i>>6]&(1<<(i&63)) != 0
}

// answer marks id and reports whether it had no answer yet.
func (s *segment) answer(id uint64) bool {
	if s.answered(id) {
		return false
	}
	s.answers[(id-s.first)>>6] |= 1 << ((id - s.first) & 63)
	s.left--
	if id > s.readUpTo {
		s.unread--
	}
	return true
}

// answerRange marks the ids from..to, as the cursor file names them.
func (s *segment) answerRange(from, to uint64) {
	for id := max(from, s.first); id <= min(to, s.last); id++ {
		s.answer(id)
	}
}

// rewind makes everything without an answer unread.
func (s *segment) rewind() {
	s.read, s.readUpTo, s.unread = int64(len(magic)), s.first-1, s.left
}

func (s *segment) open() error {
	if s.f != nil {
		return nil
	}
	f, err := os.OpenFile(s.path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	s.f = f
	return nil
}

func (s *segment) close() {
	if s.f != nil {
		_ = s.f.Close()
		s.f = nil
	}
}

func (s *segment) remove() error {
	s.close()
	return os.Remove(s.path)
}

// seal writes the footer. A segment without one is only slower to open.
func (s *segment) seal() {
	if s.sealed {
		return
	}
	s.sealed = true
	if s.open() == nil {
		_, _ = s.f.WriteAt(s.footer(), s.size)
	}
	s.close()
}

// footer: marker 4, checksum 4 of what follows, last id 8, records 8, size 8, oldest 8, newest 8.
func (s *segment) footer() []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, ^s.marker)
	b = append(b, 0, 0, 0, 0)
	b = le.AppendUint64(b, s.last)
	b = le.AppendUint64(b, uint64(s.count))
	b = le.AppendUint64(b, uint64(s.size))
	b = le.AppendUint64(b, uint64(s.oldest))
	b = le.AppendUint64(b, uint64(s.newest))
	le.PutUint32(b[4:], crc32.Checksum(b[8:], castagnoli))
	return b
}

// fromFooter takes the segment's figures from its footer, if it has one that tells everything.
func (s *segment) fromFooter(fileSize int64) bool {
	b := make([]byte, footerSize)
	if fileSize < int64(len(magic))+footerSize {
		return false
	}
	if _, err := s.f.ReadAt(b, fileSize-footerSize); err != nil {
		return false
	}
	le := binary.LittleEndian
	last, count, size := le.Uint64(b[8:]), le.Uint64(b[16:]), le.Uint64(b[24:])
	if le.Uint32(b) != ^s.marker || le.Uint32(b[4:]) != crc32.Checksum(b[8:], castagnoli) ||
		size != uint64(fileSize-footerSize) || count == 0 || count > size/headSize || last-s.first+1 != count {
		return false // with gaps in the ids only the records tell which there are
	}
	s.last, s.count, s.left, s.size = last, int(count), int(count), int64(size)
	s.oldest, s.newest = int64(le.Uint64(b[32:])), int64(le.Uint64(b[40:]))
	s.answers = make([]uint64, (count+63)>>6)
	return true
}

// load opens the file and learns which records it holds. What is damaged is told; at the end of the file
// it is cut off.
func (s *segment) load() ([]Damage, error) {
	if err := s.open(); err != nil {
		return nil, err
	}
	info, err := s.f.Stat()
	if err != nil {
		return nil, err
	}
	if err := s.checkVersion(); err != nil {
		return nil, err
	}
	s.sealed = true
	defer s.rewind()
	if s.fromFooter(info.Size()) {
		return nil, nil
	}
	var damage []Damage
	r := reader{f: s.f, size: info.Size(), marker: s.marker}
	off := int64(len(magic))
	for {
		v, next, err := r.at(off)
		if err == nil && (v.Seq <= s.last || v.Seq-s.last > maxGap) {
			err = errDamaged // a whole record, but none of this place
		}
		if err == nil {
			s.note(v.Seq, v.storedMS)
			off = next
			continue
		}
		if err == io.EOF {
			s.size = off
			return damage, nil
		}
		behind, bad := r.resync(off)
		d := Damage{File: s.path, Offset: off, Bytes: behind - off}
		if err != errDamaged {
			d.Cause = reason(err)
		}
		if bad == nil {
			damage = append(damage, d)
			off = behind
			continue
		}
		d.Bytes = r.size - off
		d.Cut = d.Cause == nil
		s.size = off
		if d.Bytes > 0 && !s.footerOnly(&r, off) {
			damage = append(damage, d)
		}
		if d.Cut {
			_ = s.f.Truncate(off) // if not, the next start cuts it
		}
		return damage, nil
	}
}

// checkVersion refuses a file of a later version. One whose first bytes are damaged is read: what its records
// look like, they say themselves.
func (s *segment) checkVersion() error {
	b := make([]byte, len(magic))
	if _, err := s.f.ReadAt(b, 0); err != nil {
		return nil // too short for any record, or told when they are read
	}
	n := len(magic) - 1
	if string(b[:n]) == magic[:n] && b[n] > magic[n] && b[n] <= 'Z' {
		return fmt.Errorf("%s was written by a later version (format %c, this one knows up to %c)", s.path, b[n], magic[n])
	}
	return nil
}

// footerOnly reports that what stands behind the last record is a footer, whole or not, and no message.
func (s *segment) footerOnly(r *reader, off int64) bool {
	rest := r.size - off
	if rest > footerSize {
		return false
	}
	b := make([]byte, rest)
	if _, err := s.f.ReadAt(b, off); err != nil {
		return false
	}
	want := s.footer()
	return string(b) == string(want[:rest])
}

// create makes an empty segment and its file.
func create(dir string, first uint64, marker uint32) (*segment, error) {
	s := &segment{path: filepath.Join(dir, segmentName(first, marker)), marker: marker, first: first, last: first - 1}
	f, err := os.OpenFile(s.path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if _, err = f.WriteAt([]byte(magic), 0); err != nil {
		_ = f.Close()
		_ = os.Remove(s.path)
		return nil, err
	}
	s.f, s.size = f, int64(len(magic))
	s.rewind()
	return s, nil
}
