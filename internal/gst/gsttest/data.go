// SPDX-License-Identifier: LGPL-2.1-or-later

package gsttest

/*
#include "gsttest.h"
*/
import "C"

import (
	"runtime/cgo"
	"time"
	"unsafe"
)

// None is GST_CLOCK_TIME_NONE.
const None = ^uint64(0)

// Buffer is a GstBuffer that the test owns.
type Buffer struct{ p *C.GstBuffer }

// NewBuffer makes a buffer with a copy of data; times in nanoseconds.
func NewBuffer(data []byte, pts, duration uint64) *Buffer {
	return &Buffer{C.ewt_buffer((*C.guint8)(unsafe.SliceData(data)), C.gsize(len(data)), C.guint64(pts), C.guint64(duration))}
}

// Unref gives the buffer back.
func (b *Buffer) Unref() { C.gst_buffer_unref(b.p) }

// Pointer is the GstBuffer.
func (b *Buffer) Pointer() unsafe.Pointer { return unsafe.Pointer(b.p) }

// Sample is a copy of what is on a buffer.
type Sample struct {
	Data          []byte
	PTS, Duration uint64
	Caps          string  // of a sample, not of a probe
	Memory        uintptr // address of the first GstMemory: two buffers with the same share it
	Metas         int     // number of metas of any kind
	Writable      bool
}

func newSample(b *C.GstBuffer) *Sample {
	s := &Sample{
		PTS: uint64(b.pts), Duration: uint64(b.duration),
		Memory: uintptr(unsafe.Pointer(C.ewt_memory(b))), Metas: int(C.ewt_meta_count(b)), Writable: C.ewt_is_writable(b) != 0,
	}
	s.Data = make([]byte, C.gst_buffer_get_size(b))
	if len(s.Data) > 0 {
		C.gst_buffer_extract(b, 0, C.gpointer(unsafe.Pointer(&s.Data[0])), C.gsize(len(s.Data)))
	}
	return s
}

func sample(c *C.GstSample) *Sample {
	s := &Sample{}
	if b := C.gst_sample_get_buffer(c); b != nil {
		s = newSample(b)
	}
	if caps := C.gst_sample_get_caps(c); caps != nil {
		t := C.gst_caps_to_string(caps)
		s.Caps = gostr(t)
		C.g_free(C.gpointer(t))
	}
	return s
}

// Push pushes data into an appsrc and gives its flow return (0 is OK).
func (e *Element) Push(data []byte, pts, duration uint64) int {
	b := NewBuffer(data, pts, duration)
	defer b.Unref()
	return e.Emit("push-buffer", b).(int)
}

// EndOfStream ends an appsrc's stream.
func (e *Element) EndOfStream() { e.Emit("end-of-stream") }

// Pull waits for the next sample of an appsink; nil at EOS or when none came in time.
func (e *Element) Pull(timeout time.Duration) *Sample {
	s, _ := e.Emit("try-pull-sample", uint64(timeout)).(*Sample)
	return s
}

// Pad is a pad that the test holds a reference to.
type Pad struct{ p *C.GstPad }

// StaticPad finds a pad by its name; Unref it. nil if there is none.
func (e *Element) StaticPad(name string) *Pad {
	n := cs(name)
	defer free(n)
	if p := C.gst_element_get_static_pad(e.p, n); p != nil {
		return &Pad{p}
	}
	return nil
}

// RequestPad requests a pad by template ("sink_%u") or full name; Release it. nil
// if the element refuses.
func (e *Element) RequestPad(name string) *Pad {
	n := cs(name)
	defer free(n)
	if p := C.gst_element_request_pad_simple(e.p, n); p != nil {
		return &Pad{p}
	}
	return nil
}

// Release gives a request pad back to its element, and the test's reference.
func (e *Element) Release(p *Pad) {
	C.gst_element_release_request_pad(e.p, p.p)
	p.Unref()
}

// Unref gives the reference back.
func (p *Pad) Unref() { C.gst_object_unref(p.obj()) }

func (p *Pad) obj() C.gpointer { return C.gpointer(unsafe.Pointer(p.p)) }

// Name is the pad's name.
func (p *Pad) Name() string {
	n := C.gst_object_get_name((*C.GstObject)(unsafe.Pointer(p.p)))
	defer C.g_free(C.gpointer(n))
	return gostr(n)
}

// Link links a source pad to a sink pad.
func (p *Pad) Link(sink *Pad) bool { return C.gst_pad_link(p.p, sink.p) == C.GST_PAD_LINK_OK }

// IsActive reports whether the pad is active.
func (p *Pad) IsActive() bool { return C.gst_pad_is_active(p.p) != 0 }

// SetActive activates or deactivates the pad.
func (p *Pad) SetActive(on bool) {
	v := C.gboolean(0)
	if on {
		v = 1
	}
	C.gst_pad_set_active(p.p, v)
}

// Chain calls a sink pad's chain function with a new buffer; it gives the flow return.
func (p *Pad) Chain(data []byte) int { return int(C.gst_pad_chain(p.p, NewBuffer(data, 0, None).p)) }

// ChainList calls the chain list function with n buffers of data.
func (p *Pad) ChainList(data []byte, n int) int {
	l := C.gst_buffer_list_new_sized(C.guint(n))
	for range n {
		C.gst_buffer_list_insert(l, -1, NewBuffer(data, 0, None).p)
	}
	return int(C.gst_pad_chain_list(p.p, l))
}

// Start sends stream-start, caps (none if "") and a segment in time into a sink pad.
func (p *Pad) Start(caps string) {
	id := cs("gsttest")
	defer free(id)
	C.gst_pad_send_event(p.p, C.gst_event_new_stream_start(id))
	if caps != "" {
		c := cs(caps)
		defer free(c)
		k := C.gst_caps_from_string(c)
		C.gst_pad_send_event(p.p, C.gst_event_new_caps(k))
		C.gst_caps_unref(k)
	}
	var seg C.GstSegment
	C.gst_segment_init(&seg, C.GST_FORMAT_TIME)
	C.gst_pad_send_event(p.p, C.gst_event_new_segment(&seg))
}

// EOS sends end-of-stream into a sink pad.
func (p *Pad) EOS() bool { return C.gst_pad_send_event(p.p, C.gst_event_new_eos()) != 0 }

// Event sends a custom event with the named structure into the pad: downstream
// into a sink pad, upstream into a source pad.
func (p *Pad) Event(name string) bool {
	n := cs(name)
	defer free(n)
	t := C.GstEventType(C.GST_EVENT_CUSTOM_DOWNSTREAM)
	if C.gst_pad_get_direction(p.p) == C.GST_PAD_SRC {
		t = C.GST_EVENT_CUSTOM_UPSTREAM
	}
	return C.gst_pad_send_event(p.p, C.gst_event_new_custom(t, C.gst_structure_new_empty(n))) != 0
}

// QueryLatency asks the pad for its latency.
func (p *Pad) QueryLatency() bool {
	q := C.gst_query_new_latency()
	defer C.gst_query_unref(q)
	return C.gst_pad_query(p.p, q) != 0
}

// QueryAllocation asks the pad for allocation proposals for caps, and gives the
// number of pools and of metas proposed.
func (p *Pad) QueryAllocation(caps string) (ok bool, pools, metas int) {
	c := cs(caps)
	defer free(c)
	k := C.gst_caps_from_string(c)
	defer C.gst_caps_unref(k)
	q := C.gst_query_new_allocation(k, C.TRUE)
	defer C.gst_query_unref(q)
	ok = C.gst_pad_peer_query(p.p, q) != 0
	return ok, int(C.gst_query_get_n_allocation_pools(q)), int(C.gst_query_get_n_allocation_metas(q))
}

// Block holds every push and event through a pad until the returned function is called.
func (p *Pad) Block() (unblock func()) {
	id := C.ewt_block(p.p)
	return func() { C.gst_pad_remove_probe(p.p, id) }
}

// Probe calls f with every buffer (then event is "") and every event that goes
// downstream through the pad, on the streaming thread.
func (p *Pad) Probe(f func(s *Sample, event string)) (remove func()) {
	id := C.ewt_probe(p.p, C.uintptr_t(cgo.NewHandle(f)))
	return func() { C.gst_pad_remove_probe(p.p, id) }
}

//export ewtGoProbe
func ewtGoProbe(h C.uintptr_t, b *C.GstBuffer, event C.int) {
	f := cgo.Handle(h).Value().(func(*Sample, string))
	if b != nil {
		f(newSample(b), "")
		return
	}
	f(nil, gostr(C.gst_event_type_get_name(C.GstEventType(event))))
}

// LogLine is a line of GST_DEBUG output.
type LogLine struct {
	Category, File, Function, Object, Text string
	Level, Line                            int
}

// WatchLog sets the threshold of a category (as in GST_DEBUG) and calls f with
// each line that any category writes, instead of printing it, for the rest of
// the process.
func WatchLog(threshold string, f func(LogLine)) {
	t := cs(threshold)
	defer free(t)
	C.gst_debug_set_active(C.TRUE)
	C.gst_debug_set_threshold_from_string(t, C.FALSE)
	C.ewt_watch_log(C.uintptr_t(cgo.NewHandle(f)))
}

//export ewtGoLog
func ewtGoLog(h C.uintptr_t, cat *C.char, level C.int, file, function *C.char, line C.int, object *C.gchar, text *C.char) {
	cgo.Handle(h).Value().(func(LogLine))(LogLine{
		Category: C.GoString(cat), Level: int(level), File: C.GoString(file), Function: C.GoString(function),
		Line: int(line), Object: gostr(object), Text: C.GoString(text),
	})
}
