// SPDX-License-Identifier: LGPL-2.1-or-later

// Package padtest feeds and watches the pads of an element that is under test, by
// unparented pads of its own: buffers of every kind of memory, lists, events, a
// downstream that blocks or fails, and a loop that measures CPU time.
package padtest

/*
#cgo pkg-config: gstreamer-1.0
#cgo CFLAGS: -std=gnu11 -Wall -Wextra
#include "padtest.h"
#include <stdlib.h>
*/
import "C"

import (
	"strings"
	"sync"
	"time"
	"unsafe"
)

// How a buffer is made.
type How int

// Plain has one memory of its own; Shared is referenced by the test too, which
// checks that it stays as it was; Parts has many memories, the first one empty;
// ReadOnly memory cannot be written; Meta has a meta, flags and all timestamps.
const (
	Plain    How = C.PT_PLAIN
	Shared   How = C.PT_SHARED
	Parts    How = C.PT_PARTS
	ReadOnly How = C.PT_READONLY
	Meta     How = C.PT_META
)

// Changed is what Push gives if a shared buffer was written to.
const Changed = -1000

// Src is a source pad that is linked to a sink pad under test.
type Src struct {
	p    *C.GstPad
	once sync.Once
}

// NewSrc links to an element's sink pad; nil if there is no such pad.
func NewSrc(element unsafe.Pointer, pad string) *Src {
	n := C.CString(pad)
	defer C.free(unsafe.Pointer(n))
	if p := C.pt_src(C.gpointer(element), n); p != nil {
		return &Src{p: p}
	}
	return nil
}

// Close unlinks the pad and frees it.
func (s *Src) Close() { s.once.Do(func() { C.pt_src_free(s.p) }) }

// Inside reports whether a push has entered the pad under test and not come back.
func (s *Src) Inside() bool { return C.pt_src_inside(s.p) != 0 }

// Start sends stream-start, caps (none if "") and a segment in time with a base.
func (s *Src) Start(caps string, base time.Duration) {
	var c *C.char
	if caps != "" {
		c = C.CString(caps)
		defer C.free(unsafe.Pointer(c))
	}
	C.pt_start(s.p, c, C.guint64(base))
}

// EOS, FlushStart and FlushStop send these events.
func (s *Src) EOS() bool        { return C.pt_event(s.p, C.gst_event_new_eos()) != 0 }
func (s *Src) FlushStart() bool { return C.pt_event(s.p, C.gst_event_new_flush_start()) != 0 }
func (s *Src) FlushStop() bool  { return C.pt_event(s.p, C.gst_event_new_flush_stop(1)) != 0 }

// Push pushes a buffer and gives the flow return.
func (s *Src) Push(data []byte, pts time.Duration, how How) int {
	return int(C.pt_push(s.p, (*C.guint8)(unsafe.SliceData(data)), C.gsize(len(data)), C.guint64(pts), C.int(how)))
}

// PushList pushes a list of buffers.
func (s *Src) PushList(packets [][]byte, how How) int {
	var all []byte
	var sizes []C.guint32
	for _, p := range packets {
		all = append(all, p...)
		sizes = append(sizes, C.guint32(len(p)))
	}
	return int(C.pt_push_list(s.p, (*C.guint8)(unsafe.SliceData(all)), unsafe.SliceData(sizes), C.guint(len(sizes)), C.int(how)))
}

// Bench pushes n RTP packets of size bytes, singly or in lists, in a thread that is
// not Go's, and gives the CPU time that it took.
func (s *Src) Bench(n, list, size int, ssrc uint32, seq int) time.Duration {
	return time.Duration(C.pt_bench(s.p, C.guint(n), C.guint(list), C.guint(size), C.guint32(ssrc), C.guint(seq)))
}

// Request asks an element for a pad; it reports whether it got one.
func Request(element unsafe.Pointer, name string) (release func(), ok bool) {
	n := C.CString(name)
	defer C.free(unsafe.Pointer(n))
	p := C.pt_request(C.gpointer(element), n)
	if p == nil {
		return nil, false
	}
	return func() { C.pt_release(C.gpointer(element), p) }, true
}

// Sink is a sink pad that is linked to a source pad under test and keeps what comes.
type Sink struct {
	s    *C.PtSink
	once sync.Once
}

// NewSink links to an element's source pad. With unpack it takes no lists.
func NewSink(element unsafe.Pointer, pad string, unpack bool) *Sink {
	n := C.CString(pad)
	defer C.free(unsafe.Pointer(n))
	u := C.gboolean(0)
	if unpack {
		u = 1
	}
	return &Sink{s: C.pt_sink(C.gpointer(element), n, u)}
}

// NewLoop links a source pad straight to a sink pad, to measure what that costs.
func NewLoop() (*Src, *Sink) {
	s := C.pt_sink_alone()
	return &Src{p: C.pt_loose_src(s)}, &Sink{s: s}
}

// Close unlinks the pad and frees it, and all that it kept.
func (s *Sink) Close() { s.once.Do(func() { C.pt_sink_free(s.s) }) }

// Packet is a buffer that came.
type Packet struct {
	Data               []byte
	PTS, DTS, Duration time.Duration
	Marker             bool
	Metas              int
}

// Take gives what has come since the last Take.
func (s *Sink) Take() []Packet {
	var list []Packet
	var some [64]*C.GstBuffer
	for {
		n := C.pt_sink_take(s.s, &some[0], 64)
		for _, b := range some[:n] {
			list = append(list, packet(b))
			C.gst_buffer_unref(b)
		}
		if n < 64 {
			return list
		}
	}
}

func packet(b *C.GstBuffer) Packet {
	p := Packet{PTS: time.Duration(b.pts), DTS: time.Duration(b.dts), Duration: time.Duration(b.duration),
		Marker: C.gst_buffer_get_flags(b)&C.GST_BUFFER_FLAG_MARKER != 0, Data: make([]byte, C.gst_buffer_get_size(b))}
	if len(p.Data) > 0 {
		C.gst_buffer_extract(b, 0, C.gpointer(unsafe.Pointer(&p.Data[0])), C.gsize(len(p.Data)))
	}
	var state C.gpointer
	for C.gst_buffer_iterate_meta(b, &state) != nil {
		p.Metas++
	}
	return p
}

// Count is how many buffers have come, Lists how many lists.
func (s *Sink) Count() int { return int(C.pt_sink_count(s.s)) }
func (s *Sink) Lists() int { return int(C.pt_sink_lists(s.s)) }

// Events are the names of the events that came.
func (s *Sink) Events() []string { return strings.Fields(take(C.pt_sink_events(s.s))) }

// Caps are the last caps that came.
func (s *Sink) Caps() string { return take(C.pt_sink_caps(s.s)) }

func take(c *C.char) string {
	defer C.g_free(C.gpointer(c))
	return C.GoString(c)
}

// Block holds every buffer that comes, until it is off again or flushed.
func (s *Sink) Block(on bool) {
	v := C.gboolean(0)
	if on {
		v = 1
	}
	C.pt_sink_block(s.s, v)
}

// Blocked reports whether a thread is inside Block.
func (s *Sink) Blocked() bool { return C.pt_sink_blocked(s.s) != 0 }

// Answer sets the flow return of buffers.
func (s *Sink) Answer(flow int) { C.pt_sink_answer(s.s, C.int(flow)) }

// Forget makes the sink count buffers only.
func (s *Sink) Forget() { C.pt_sink_keep(s.s, 0) }

// Latency asks the element behind the sink for its latency.
func (s *Sink) Latency() (minimum time.Duration, ok bool) {
	var m C.guint64
	ok = C.pt_latency(C.pt_sink_pad(s.s), &m) != 0
	return time.Duration(m), ok
}
