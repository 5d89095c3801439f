// SPDX-License-Identifier: LGPL-2.1-or-later

package smartrecordbin

import (
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
)

// noTime is a time that a frame does not have.
const noTime = -1 << 63

// A frame is a buffer of the stream, which it holds a reference to. Times are running times in nanoseconds.
type frame struct {
	buf      gst.Buffer
	pts, dts int64
	at       int64 // dts, or pts without one; never noTime
	size     int64
	key      bool
	params   []byte // to stand before this key frame, which has no parameter sets of its own
	wall     time.Time
}

func (f frame) ref() frame {
	f.buf = f.buf.Ref()
	return f
}

// A ring holds the last frames of the stream. It begins with a key frame, always.
type ring struct {
	frames []frame
	bytes  int64
	drop   func(frame)
}

// add appends a frame, and drops what is older than keep (nanoseconds) or beyond maxBytes. Whole groups of
// pictures go: a frame without its key frame is no use. The group that reaches back to keep stays.
func (r *ring) add(f frame, keep, maxBytes int64) {
	if len(r.frames) == 0 && !f.key {
		r.drop(f)
		return
	}
	r.frames = append(r.frames, f)
	r.bytes += f.size
	for {
		next := r.nextKey(1)
		switch {
		case r.bytes > maxBytes && next < 0:
			r.clear() // a group that alone is too large: the next key frame begins anew
			return
		case next < 0 || r.bytes <= maxBytes && r.frames[next].at > f.at-keep:
			return
		}
		r.cut(next)
	}
}

// nextKey is the first key frame from i on, -1 if there is none.
func (r *ring) nextKey(i int) int {
	for ; i < len(r.frames); i++ {
		if r.frames[i].key {
			return i
		}
	}
	return -1
}

func (r *ring) cut(n int) {
	for i := range n {
		r.bytes -= r.frames[i].size
		r.drop(r.frames[i])
	}
	// In place: the memory is used again, and holds nothing that was dropped.
	left := copy(r.frames, r.frames[n:])
	clear(r.frames[left:])
	r.frames = r.frames[:left]
}

func (r *ring) clear() { r.cut(len(r.frames)) }

// from is the last key frame at or before the time, or the first one; -1 when the ring is empty.
func (r *ring) from(at int64) int {
	if len(r.frames) == 0 {
		return -1
	}
	found := 0
	for i, f := range r.frames {
		if f.at > at {
			break
		}
		if f.key {
			found = i
		}
	}
	return found
}

// newest is the time of the last frame.
func (r *ring) newest() (int64, bool) {
	if len(r.frames) == 0 {
		return 0, false
	}
	return r.frames[len(r.frames)-1].at, true
}

// span is how much time the ring holds.
func (r *ring) span() time.Duration {
	if len(r.frames) == 0 {
		return 0
	}
	return time.Duration(r.frames[len(r.frames)-1].at - r.frames[0].at)
}
