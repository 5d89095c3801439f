// SPDX-License-Identifier: LGPL-2.1-or-later

// Package spool keeps messages on disk until a server has taken them: a queue in a folder, written in
// batches, read in order, and acknowledged in any order.
//
// A message is written once, to the end of a segment file. Which messages have been acknowledged is kept
// in memory and written to a small cursor file a few times a second; a segment is deleted when nothing in
// it is needed. After a crash every message that was written whole is there again, and a few that were
// acknowledged in the last moment are there again too. What a crash has torn off is cut and reported;
// damage in the middle costs the messages that it hits and no other. A folder belongs to one Spool of
// one process at a time.
//
// One goroutine does the reading and writing. Ack, Stats and Unread may be called by any other and never
// wait for the disk.
//
// Lock order: disk before mu. Files are touched under disk alone.
package spool

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// Sync says when written messages are forced to the medium (fsync). Without that they survive the end of
// the process, but not a power cut.
type Sync int

// The values of Sync.
const (
	SyncInterval Sync = iota // every SyncEvery
	SyncNone                 // when the system likes
	SyncBatch                // before Append and Insert return
)

// Defaults of Options.
const (
	DefaultMaxBytes  = 1 << 30
	DefaultSyncEvery = 200 * time.Millisecond
	maxSegment       = 16 << 20
	minSegment       = 64 << 10
	segmentsAtLeast  = 16 // room is given back a segment at a time
	cursorEvery      = 200 * time.Millisecond
)

// Errors of Append and Insert, besides the disk's.
var (
	ErrFull  = errors.New("the spool is full")
	ErrOrder = errors.New("ids must grow")
)

// Options of Open.
type Options struct {
	MaxBytes  int64         // of all segment files; 0 means DefaultMaxBytes
	MaxAge    time.Duration // since a message was stored; an older one is given up instead of read; 0 means none
	Sync      Sync
	SyncEvery time.Duration // for SyncInterval; 0 means DefaultSyncEvery
	OnDamage  func(Damage)  // told by Open and Read, on their goroutine
}

// A Spool is an open folder.
type Spool struct {
	dir     string
	o       Options
	segSize int64
	lock    *os.File
	opened  int64     // the clock's time when it was opened, in ms since 1970 …
	since   time.Time // … from which the time runs on, whatever is done to the clock

	disk        sync.Mutex
	buf         []byte
	reader      reader
	readSegment *segment
	dirty       []*segment // written and not synced
	unsynced    error      // why one that is full could not be synced: the next sync tells
	synced      time.Time
	saved       time.Time

	mu       sync.Mutex
	segments []*segment // in the order of their ids
	active   *segment   // takes what Append writes; nil when there is none
	inserted *segment   // took what Insert wrote last; nil when there is none
	next     uint64     // smallest id that was never used
	bytes    int64
	stale    bool // the cursor file does not tell the answers
	done     int  // segments without anything unanswered
	lost     uint64
	expired  uint64
}

// Stats are the figures of a spool.
type Stats struct {
	Messages int   // without an answer
	Unread   int   // of these, not read since Open or Rewind
	Bytes    int64 // of the files
	Oldest   time.Time
	Lost     uint64 // messages that damage has made unreadable since Open
	Expired  uint64 // messages given up for their age since Open
}

// Open takes the folder, makes it if necessary, and finds what an earlier run has left in it.
func Open(dir string, o Options) (*Spool, error) {
	if o.MaxBytes == 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	if o.SyncEvery == 0 {
		o.SyncEvery = DefaultSyncEvery
	}
	if o.OnDamage == nil {
		o.OnDamage = func(Damage) {}
	}
	if o.MaxBytes < minSegment*segmentsAtLeast {
		return nil, fmt.Errorf("a spool of %d bytes is too small; allow at least %d", o.MaxBytes, minSegment*segmentsAtLeast)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("spool folder %s cannot be made: %w; make it, or name another one", dir, reason(err))
	}
	lockFile, err := lock(dir)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	s := &Spool{dir: dir, o: o, lock: lockFile, next: 1, synced: now, saved: now, opened: wallClock().UnixMilli(), since: now,
		segSize: min(o.MaxBytes/segmentsAtLeast, maxSegment)}
	if err := s.load(); err != nil {
		s.release()
		return nil, fmt.Errorf("spool folder %s cannot be read: %w; check the disk, the permissions and the version that wrote it", dir, err)
	}
	return s, nil
}

var wallClock = time.Now // tests replace it

// clockWorks: before this moment, in ms since 1970, a machine's clock was never set. Those without a battery begin
// in 1970, or when their system was built.
const clockWorks = 1_577_836_800_000 // 2020

// now is the time in ms since 1970. A clock that is set while the spool is open makes nothing old.
func (s *Spool) now() int64 { return s.opened + time.Since(s.since).Milliseconds() }

// stored is when a message of g was stored, that says it was at ms. What an earlier run with another clock has
// stored, later than now or before the clock was ever set, counts from the opening on.
func (s *Spool) stored(g *segment, ms int64) int64 {
	if g.earlier && (ms > s.opened || (ms < clockWorks && s.opened >= clockWorks)) {
		return s.opened
	}
	return ms
}

// load finds the segments and what the cursor knows of them.
func (s *Spool) load() error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return reason(err)
	}
	c := readCursor(s.dir)
	s.next = max(c.next, 1)
	for _, e := range entries { // in the order of the names, and so of the ids
		first, marker, ok := parseName(e.Name())
		if !ok || !e.Type().IsRegular() {
			continue
		}
		g := &segment{path: filepath.Join(s.dir, e.Name()), marker: marker, first: first, last: first - 1, earlier: true}
		damage, err := g.load()
		if err != nil {
			return err
		}
		g.close()
		for _, d := range damage {
			s.o.OnDamage(d)
		}
		if known, ok := c.segments[first]; ok && known.marker == marker {
			for _, r := range known.ranges {
				g.answerRange(r[0], r[1])
			}
		}
		s.next = max(s.next, g.last+1)
		if g.left == 0 {
			_ = g.remove()
			continue
		}
		g.rewind()
		s.bytes += g.size
		s.segments = append(s.segments, g)
	}
	return nil
}

func (s *Spool) release() {
	for _, g := range s.segments {
		g.close()
	}
	_ = s.lock.Close()
}

// Next is the smallest id that Append takes.
func (s *Spool) Next() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next
}

// Ack says that the message id is needed no more. It reports whether the spool held it.
func (s *Spool) Ack(id uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, found := slices.BinarySearchFunc(s.segments, id, func(g *segment, id uint64) int { return cmp.Compare(g.first, id) })
	if !found {
		i--
	}
	return i >= 0 && s.answerLocked(s.segments[i], id)
}

// Holds reports whether message id is on disk without an answer.
func (s *Spool) Holds(id uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, found := slices.BinarySearchFunc(s.segments, id, func(g *segment, id uint64) int { return cmp.Compare(g.first, id) })
	if !found {
		i--
	}
	return i >= 0 && !s.segments[i].answered(id)
}

func (s *Spool) answerLocked(g *segment, id uint64) bool {
	if !g.answer(id) {
		return false
	}
	s.stale = true
	if g.left == 0 {
		s.done++
	}
	return true
}

// Maintain deletes what is needed no more or has expired, and saves the cursor and syncs when it is time to. It is to be
// called a few times a second.
func (s *Spool) Maintain() error {
	s.disk.Lock()
	defer s.disk.Unlock()
	now := time.Now()
	s.expire()
	s.sweep()
	var err error
	if s.o.Sync == SyncInterval && now.Sub(s.synced) >= s.o.SyncEvery {
		err = s.sync()
		s.synced = now
	}
	if now.Sub(s.saved) >= cursorEvery {
		err = errors.Join(err, s.save(maxRanges))
		s.saved = now
	}
	return err
}

// sweep deletes the segments in which everything has its answer.
func (s *Spool) sweep() {
	s.mu.Lock()
	var gone []*segment
	if s.done > 0 {
		s.segments = slices.DeleteFunc(s.segments, func(g *segment) bool {
			if g.left > 0 {
				return false
			}
			gone = append(gone, g)
			s.bytes -= g.size
			s.forget(g)
			return true
		})
		s.done = 0
	}
	s.mu.Unlock()
	for _, g := range gone {
		s.dirty = slices.DeleteFunc(s.dirty, func(x *segment) bool { return x == g })
		_ = g.remove()
	}
}

func (s *Spool) sync() error {
	failure := s.unsynced
	s.unsynced = nil
	for _, g := range s.dirty {
		if g.f == nil {
			continue
		}
		if err := g.f.Sync(); err != nil {
			failure = fmt.Errorf("%s cannot be synced: %w", g.path, reason(err))
		}
	}
	s.dirty = s.dirty[:0]
	return failure
}

// save writes the cursor file if it is not up to date.
func (s *Spool) save(limit int) error {
	s.mu.Lock()
	stale := s.stale
	var b []byte
	if stale {
		b = encodeCursor(s.next, s.segments, limit)
		s.stale = false
	}
	s.mu.Unlock()
	if !stale {
		return nil
	}
	if err := writeCursor(s.dir, b); err != nil {
		s.mu.Lock()
		s.stale = true
		s.mu.Unlock()
		return fmt.Errorf("%s cannot be written: %w", filepath.Join(s.dir, cursorFile), reason(err))
	}
	return nil
}

// Stats returns the figures of this moment.
func (s *Spool) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Stats{Bytes: s.bytes, Lost: s.lost, Expired: s.expired}
	oldest := int64(0)
	for _, g := range s.segments {
		st.Messages += g.left
		st.Unread += g.unread
		if t := s.stored(g, g.oldest); g.left > 0 && (oldest == 0 || t < oldest) {
			oldest = t
		}
	}
	if oldest > 0 {
		st.Oldest = time.Now().Add(-time.Duration(s.now()-oldest) * time.Millisecond) // right, by the clock of today
	}
	return st
}

// Close saves everything and gives the folder back.
func (s *Spool) Close() error {
	s.disk.Lock()
	defer s.disk.Unlock()
	s.sweep()
	var err error
	if s.o.Sync != SyncNone {
		err = s.sync()
	}
	for _, g := range s.segments {
		g.seal()
	}
	s.mu.Lock()
	s.stale = true
	s.mu.Unlock()
	err = errors.Join(err, s.save(1<<30))
	s.release()
	return err
}

// syncDir makes the name of a new file last.
func syncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
}
