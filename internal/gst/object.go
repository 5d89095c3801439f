// SPDX-License-Identifier: LGPL-2.1-or-later

package gst

/*
#include "ew.h"
#include <stdlib.h>
*/
import "C"

import "unsafe"

// Object is a borrowed GObject, as it comes out of a signal or a property.
type Object struct{ p unsafe.Pointer }

// Pointer is the GObject itself, for C code of an element.
func (o Object) Pointer() unsafe.Pointer { return o.p }

// Ref takes a reference that the caller must Unref.
func (o Object) Ref() Object {
	C.g_object_ref(C.gpointer(o.p))
	return o
}

// Unref gives a reference back.
func (o Object) Unref() { C.g_object_unref(C.gpointer(o.p)) }

// Caps is a GstCaps. Callbacks get it borrowed; Ref it to keep it.
type Caps struct{ p unsafe.Pointer }

// NewCaps parses a caps string; the caller owns the caps. A string that is
// not caps is a programming error.
func NewCaps(s string) Caps {
	c := C.CString(s)
	defer C.free(unsafe.Pointer(c))
	p := C.gst_caps_from_string((*C.gchar)(c))
	if p == nil {
		panic("no caps: " + s)
	}
	return Caps{unsafe.Pointer(p)}
}

func (c Caps) c() *C.GstCaps { return (*C.GstCaps)(c.p) }

// Pointer is the GstCaps itself.
func (c Caps) Pointer() unsafe.Pointer { return c.p }

// IsNil reports whether there are no caps at all (NULL).
func (c Caps) IsNil() bool { return c.p == nil }

// IsAny reports whether the caps are ANY.
func (c Caps) IsAny() bool { return c.p != nil && C.gst_caps_is_any(c.c()) != 0 }

// Ref takes a reference that the caller must Unref.
func (c Caps) Ref() Caps {
	C.ew_mini_ref(C.gpointer(c.p))
	return c
}

// Unref gives a reference back.
func (c Caps) Unref() { C.ew_mini_unref(C.gpointer(c.p)) }

// Size is the number of structures, 0 for none (NULL), ANY and empty caps.
func (c Caps) Size() int {
	if c.p == nil {
		return 0
	}
	return int(C.gst_caps_get_size(c.c()))
}

// Name is the media type of structure i, "" beyond the last.
func (c Caps) Name(i int) string {
	if i < 0 || i >= c.Size() {
		return ""
	}
	return goString(C.gst_structure_get_name(C.gst_caps_get_structure(c.c(), C.guint(i))))
}

// Int reads an int field of the first structure.
func (c Caps) Int(field string) (int, bool) {
	if c.IsNil() || c.IsAny() || c.Size() == 0 {
		return 0, false
	}
	f := C.CString(field)
	defer C.free(unsafe.Pointer(f))
	var v C.gint
	ok := C.gst_structure_get_int(C.gst_caps_get_structure(c.c(), 0), (*C.gchar)(f), &v)
	return int(v), ok != 0
}

func (c Caps) String() string {
	if c.IsNil() {
		return "NULL"
	}
	return takeString(C.gst_caps_to_string(c.c()))
}

// Merge takes both and gives their union, without the doubles.
func (c Caps) Merge(other Caps) Caps {
	return Caps{unsafe.Pointer(C.gst_caps_merge(c.c(), other.c()))}
}

// Intersect gives what both allow, in the order of c; both stay the caller's.
func (c Caps) Intersect(other Caps) Caps {
	return Caps{unsafe.Pointer(C.gst_caps_intersect_full(c.c(), other.c(), C.GST_CAPS_INTERSECT_FIRST))}
}

// IsSubset reports whether other allows all that c allows.
func (c Caps) IsSubset(other Caps) bool { return C.gst_caps_is_subset(c.c(), other.c()) != 0 }

// CanIntersect reports whether both allow something in common.
func (c Caps) CanIntersect(other Caps) bool { return C.gst_caps_can_intersect(c.c(), other.c()) != 0 }

// Buffer is a GstBuffer. Who owns it is told by the callback that has it.
type Buffer struct{ p unsafe.Pointer }

// BufferFrom makes a Buffer of a GstBuffer pointer that C code of an element has.
func BufferFrom(p unsafe.Pointer) Buffer { return Buffer{p} }

// NewBuffer makes a buffer with a copy of data; the caller owns it.
func NewBuffer(data []byte) Buffer {
	return Buffer{unsafe.Pointer(C.ew_buffer_new_copy((*C.guint8)(unsafe.SliceData(data)), C.gsize(len(data))))}
}

func (b Buffer) c() *C.GstBuffer { return (*C.GstBuffer)(b.p) }

// Pointer is the GstBuffer itself, for C code of an element.
func (b Buffer) Pointer() unsafe.Pointer { return b.p }

// IsNil reports whether there is no buffer.
func (b Buffer) IsNil() bool { return b.p == nil }

// Ref takes a reference that the caller must Unref.
func (b Buffer) Ref() Buffer {
	C.ew_mini_ref(C.gpointer(b.p))
	return b
}

// Unref gives a reference back.
func (b Buffer) Unref() { C.ew_mini_unref(C.gpointer(b.p)) }

// IsWritable reports whether nobody else holds the buffer.
func (b Buffer) IsWritable() bool { return C.ew_mini_writable(C.gpointer(b.p)) != 0 }

// PTS is the presentation time in nanoseconds, ClockTimeNone if it has none.
func (b Buffer) PTS() uint64 { return uint64(b.c().pts) }

// Duration is the duration in nanoseconds, ClockTimeNone if it has none.
func (b Buffer) Duration() uint64 { return uint64(b.c().duration) }

// SetTimes sets presentation time and duration, in nanoseconds.
func (b Buffer) SetTimes(pts, duration uint64) {
	b.c().pts = C.GstClockTime(pts)
	b.c().duration = C.GstClockTime(duration)
}

// Size is the number of bytes in the buffer.
func (b Buffer) Size() int { return int(C.gst_buffer_get_size(b.c())) }

// Map calls f with the buffer's bytes, which are valid only during the call.
// It reports whether the memory could be mapped.
func (b Buffer) Map(f func([]byte)) bool {
	m := C.ew_buffer_map(b.c(), C.FALSE)
	if m.ok == 0 {
		return false
	}
	defer C.ew_buffer_unmap(b.c(), m)
	f(unsafe.Slice((*byte)(m.info.data), int(m.info.size)))
	return true
}

// CopyMetadata copies flags and timestamps (not the memory, not the metas) from src.
func (b Buffer) CopyMetadata(src Buffer) {
	C.gst_buffer_copy_into(b.c(), src.c(), C.GST_BUFFER_COPY_FLAGS|C.GST_BUFFER_COPY_TIMESTAMPS, 0, C.gsize(C.G_MAXSIZE))
}

// BufferList is a GstBufferList.
type BufferList struct{ p unsafe.Pointer }

func (l BufferList) c() *C.GstBufferList { return (*C.GstBufferList)(l.p) }

// Len is the number of buffers.
func (l BufferList) Len() int { return int(C.gst_buffer_list_length(l.c())) }

// At is buffer i, which stays the list's.
func (l BufferList) At(i int) Buffer {
	return Buffer{unsafe.Pointer(C.gst_buffer_list_get(l.c(), C.guint(i)))}
}

// Unref gives a reference back.
func (l BufferList) Unref() { C.ew_mini_unref(C.gpointer(l.p)) }

// EventType is GstEventType.
type EventType int32

// The events that elements look at.
const (
	EventFlushStart   EventType = C.GST_EVENT_FLUSH_START
	EventFlushStop    EventType = C.GST_EVENT_FLUSH_STOP
	EventStreamStart  EventType = C.GST_EVENT_STREAM_START
	EventCaps         EventType = C.GST_EVENT_CAPS
	EventSegment      EventType = C.GST_EVENT_SEGMENT
	EventTag          EventType = C.GST_EVENT_TAG
	EventEOS          EventType = C.GST_EVENT_EOS
	EventGap          EventType = C.GST_EVENT_GAP
	EventCustomDown   EventType = C.GST_EVENT_CUSTOM_DOWNSTREAM
	EventCustomUp     EventType = C.GST_EVENT_CUSTOM_UPSTREAM
	EventCustomSticky EventType = C.GST_EVENT_CUSTOM_DOWNSTREAM_STICKY
)

// Event is a GstEvent.
type Event struct{ p unsafe.Pointer }

func (e Event) c() *C.GstEvent { return (*C.GstEvent)(e.p) }

// Type is the event's type.
func (e Event) Type() EventType { return EventType(e.c()._type) }

// Unref gives the event back unhandled.
func (e Event) Unref() { C.ew_mini_unref(C.gpointer(e.p)) }

// Caps are the caps of a caps event, borrowed from it.
func (e Event) Caps() Caps {
	var c *C.GstCaps
	C.gst_event_parse_caps(e.c(), &c)
	return Caps{unsafe.Pointer(c)}
}

// StreamID is the stream-id of a stream-start event.
func (e Event) StreamID() string {
	var s *C.gchar
	C.gst_event_parse_stream_start(e.c(), &s)
	return goString(s)
}

// Structure is the event's structure, empty if it has none.
func (e Event) Structure() Structure {
	if s := C.gst_event_get_structure(e.c()); s != nil {
		return structureFromC(s)
	}
	return Structure{}
}

// Query is a GstQuery.
type Query struct{ p unsafe.Pointer }

func (q Query) c() *C.GstQuery { return (*C.GstQuery)(q.p) }

// StructureName is the name of the query's structure, which is what tells
// custom queries apart.
func (q Query) StructureName() string {
	if s := C.gst_query_get_structure(q.c()); s != nil {
		return goString(C.gst_structure_get_name(s))
	}
	return ""
}

// TypeName is the query's type, as in "latency".
func (q Query) TypeName() string {
	return goString(C.gst_query_type_get_name(q.c()._type))
}
