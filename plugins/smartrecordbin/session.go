// SPDX-License-Identifier: LGPL-2.1-or-later

package smartrecordbin

/*
#include "rec.h"
#include <stdlib.h>
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
)

// Why a recording ended.
const (
	endStop     = "stop"     // stop-sr, stop-recording
	endDuration = "duration" // it is as long as was asked for
	endMaxSize  = "max-size" // max-file-bytes
	endEOS      = "eos"
	endStopped  = "stopped" // the element left PAUSED
	endCaps     = "caps"    // the stream became another one, or was flushed
	endStalled  = "stalled" // no frame for stall-timeout
	endError    = "error"
)

// writeAhead bounds what the muxer's pipeline holds, in bytes; what is more waits in the session.
const writeAhead = 4 << 20

// A session is one recording. Frames come in by add, under the recorder's lock; a goroutine writes them.
type session struct {
	id       uint32
	r        *recorder
	user     unsafe.Pointer // of the one who asked; only passed back
	dir      string
	name     nameValues
	template string
	format   format
	caps     gst.Caps // ours
	maxBytes int64    // of the file; 0 is no bound
	maxQueue int64    // bytes that may wait for the disk
	stall    time.Duration
	told     atomic.Bool // finished was called

	// mu guards the rest. It is taken under the recorder's or alone.
	mu     sync.Mutex
	queue  []frame
	queued int64
	total  int64   // bytes taken
	length int64   // asked for, in nanoseconds from its start; 0 is no end
	start  int64   // the time that was asked for; noTime until the first frame
	shown  int64   // the latest time of presentation that was taken
	closed int64   // the one before that of held[0]; noTime at the beginning
	step   int64   // the least difference between two
	held   []frame // the last frame of those shown last, with what came since
	reason string
	err    error
	last   time.Time // when the last frame came
	wake   chan struct{}
	done   chan struct{}
}

// A result is what a recording has become.
type result struct {
	path     string
	reason   string
	err      error
	noSpace  bool
	start    time.Time
	duration time.Duration
	frames   uint64
	bytes    uint64
}

// add takes a frame, whose reference it owns. It reports whether the session goes on.
func (s *session) add(f frame) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.reason != "":
		f.buf.Unref()
		return false
	case s.start == noTime:
		s.start = f.at
	}
	switch {
	// A frame that is shown before one that is in the file belongs to it (B-frames): without it the end has a hole.
	case s.length > 0 && f.at >= s.start+s.length && (f.pts == noTime || f.pts > s.shown):
		s.end(endDuration, nil)
	case s.maxBytes > 0 && s.total+f.size > s.maxBytes:
		s.end(endMaxSize, nil)
	case s.queued+f.size > s.maxQueue:
		s.end(endError, fmt.Errorf("the disk is too slow: %d bytes wait for it already (max-cache-bytes)", s.queued))
	}
	if s.reason != "" {
		f.buf.Unref()
		return false
	}
	s.queued += f.size
	s.total += f.size
	s.last = time.Now()
	if f.pts == noTime {
		s.release()
	} else if f.pts > s.shown {
		s.release()
		if s.shown != noTime && (s.step == 0 || f.pts-s.shown < s.step) {
			s.step = f.pts - s.shown
		}
		s.closed, s.shown = s.shown, f.pts
	} else if s.shown-f.pts < s.step {
		s.step = s.shown - f.pts
	}
	s.held = append(s.held, f)
	return true
}

// finish ends the session; what it has taken is still written.
func (s *session) finish(reason string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end(reason, err)
}

func (s *session) end(reason string, err error) {
	if s.reason != "" {
		return
	}
	s.reason, s.err = reason, err
	// What is shown before the last frame may not have come yet: players stumble over the hole.
	whole := reason == endDuration || reason == endEOS || s.closed == noTime || s.shown-s.closed < int64(len(s.held))*s.step+s.step/2
	if whole {
		s.release()
	}
	for _, f := range s.held {
		s.queued -= f.size
		f.buf.Unref()
	}
	s.held = nil
	s.signal()
}

// release lets the frames that were held back be written: all that is shown before them is there.
func (s *session) release() {
	s.queue = append(s.queue, s.held...)
	s.held = s.held[:0]
	s.signal()
}

func (s *session) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// take hands over what waits, and says whether it is the last.
func (s *session) take() (frames []frame, ended, stalled bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	frames, s.queue = s.queue, nil
	return frames, s.reason != "", s.stall > 0 && time.Since(s.last) > s.stall
}

// written tells that the muxer has taken so many bytes.
func (s *session) written(n int64) {
	s.mu.Lock()
	s.queued -= n
	s.mu.Unlock()
}

// run writes the file. It is the session's goroutine.
func (s *session) run() {
	res := result{start: s.name.start}
	if err := s.write(&res); err != nil {
		res.err = err
		s.finish(endError, err)
		s.r.detach(s)
	}
	for frames, _, _ := s.take(); len(frames) > 0; frames, _, _ = s.take() {
		for _, f := range frames {
			f.buf.Unref()
		}
	}
	s.mu.Lock()
	res.reason = s.reason
	if res.err == nil {
		res.err = s.err
	}
	s.mu.Unlock()
	if res.err != nil {
		res.reason = endError
	}
	if res.path != "" {
		if st, err := os.Stat(res.path); err == nil {
			res.bytes = uint64(st.Size())
		}
		if res.frames == 0 && res.bytes == 0 {
			os.Remove(res.path) // it never held anything
			res.path = ""
		}
	}
	s.r.finished(s, res)
	s.caps.Unref()
}

const errRemedy = "free some space, or let smart-rec-dir-path name another disk"

func (s *session) write(res *result) error {
	name, err := fileName(s.template, s.name)
	if err != nil {
		return err
	}
	if res.path, err = create(s.dir, name, s.format.ending); err != nil {
		return fmt.Errorf("cannot make a file in %s: %w", s.dir, bare(err))
	}
	path, parser, muxer := C.CString(res.path), C.CString(s.format.parser), C.CString(s.format.muxer)
	defer C.free(unsafe.Pointer(path))
	defer C.free(unsafe.Pointer(parser))
	defer C.free(unsafe.Pointer(muxer))
	var missing *C.char
	w := C.ew_sr_writer_new(parser, muxer, path, (*C.GstCaps)(s.caps.Pointer()), &missing)
	if w == nil {
		return &gst.MissingElementError{Factory: C.GoString(missing)}
	}
	freed := false
	free := func() {
		if !freed {
			freed = true
			C.ew_sr_writer_free(w)
		}
	}
	defer free()
	if C.ew_sr_writer_start(w) == 0 {
		if ev := C.ew_sr_writer_poll(w); ev.what == C.EW_SR_ERROR {
			return s.failure(ev, res)
		}
		return errors.New("the file's pipeline does not start")
	}
	if err := s.feed(w, res); err != nil {
		return err
	}
	free() // the file is closed
	return syncFile(res.path)
}

// feed pushes frames until the session ends and the muxer has closed the file.
func (s *session) feed(w *C.EwSrWriter, res *result) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var base, lastAt, step int64 = noTime, 0, 0
	ending := false
	var waiting []frame
	defer func() {
		for _, f := range waiting {
			s.written(f.size)
			f.buf.Unref()
		}
	}()
	for {
		ev := C.ew_sr_writer_poll(w)
		switch ev.what {
		case C.EW_SR_EOS:
			if !ending {
				return errors.New("the file's pipeline ended by itself")
			}
			return nil
		case C.EW_SR_ERROR:
			return s.failure(ev, res)
		}
		more, ended, stalled := s.take()
		waiting = append(waiting, more...)
		for len(waiting) > 0 && C.ew_sr_writer_level(w) < writeAhead {
			f := waiting[0]
			waiting = waiting[1:]
			if base == noTime {
				base = f.at
			} else if step = f.at - lastAt; step < 0 {
				step = 0
			}
			lastAt = f.at
			ok := f.dts == noTime && f.pts < base // it shows what came before the key frame
			if !ok {
				var params *C.guint8
				if len(f.params) > 0 {
					params = (*C.guint8)(unsafe.SliceData(f.params))
				}
				ok = C.ew_sr_writer_push(w, (*C.GstBuffer)(f.buf.Pointer()), shift(f.pts, base), shift(f.dts, base), params, C.gsize(len(f.params))) != 0
				res.frames++
			}
			s.written(f.size)
			f.buf.Unref()
			if !ok {
				break // the reason is on the bus
			}
			res.duration = time.Duration(lastAt - base + step)
		}
		switch {
		case ended && len(waiting) == 0 && !ending && len(more) == 0:
			if res.frames == 0 {
				return nil
			}
			ending = true
			C.ew_sr_writer_end(w)
		case stalled && !ended:
			s.finish(endStalled, nil)
			s.r.detach(s)
		}
		select {
		case <-s.wake:
		case <-tick.C:
		}
	}
}

func shift(t, base int64) C.gint64 {
	if t == noTime {
		return C.EW_SR_NO_TIME
	}
	return C.gint64(t - base)
}

func (s *session) failure(ev C.EwSrEvent, res *result) error {
	defer C.free(unsafe.Pointer(ev.text))
	if ev.no_space != 0 {
		res.noSpace = true
		return fmt.Errorf("the disk of %s is full: %s", s.dir, errRemedy)
	}
	return errors.New(C.GoString(ev.text))
}

// syncFile brings a file to the medium: it survives a power cut once sr-done is posted.
func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
