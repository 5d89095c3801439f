// SPDX-License-Identifier: LGPL-2.1-or-later

// Package payloadmeta carries payloads on buffers: msgconv attaches, msgbroker
// reads. The meta is a GstCustomMeta, so that C and Python applications can
// read (and C ones write) it without our headers.
//
// Its structure, EdgewirePayload, has the fields payload (GBytes; a string is
// taken too), content-type (string), key (string, the partition key; optional),
// timestamp (gint64, milliseconds since 1970 UTC; optional), comp-id (guint) and,
// where msgbroker asked for some, fields (GBytes: for each field the length of
// its name, 2 bytes little-endian, the name, the length of its value, 4 bytes,
// and the value). A buffer may carry several. A payload without timestamp has
// that of the buffer's GstReferenceTimestampMeta (timestamp/x-unix or x-ntp).
//
// Which fields a payload carries is said by custom upstream events (FieldsEvent).
// Who attaches payloads asks for them with a custom query (FieldsQuery) before
// the first one, which is answered by such events.
package payloadmeta

/*
#cgo pkg-config: gstreamer-1.0
#cgo CFLAGS: -std=gnu11 -Wall -Wextra
#include "payloadmeta.h"
#include <stdlib.h>
*/
import "C"

import (
	"errors"
	"strings"
	"unsafe"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

// Name is the name of the meta and of its structure.
const Name = C.EW_PAYLOAD_META

// Payload is one meta. Read from a buffer, its bytes and strings are valid
// only while the buffer is.
type Payload struct {
	Data        []byte
	ContentType string
	Key         string // "" for none
	TimestampMS int64  // since 1970 UTC; 0 for none
	CompID      uint32
	Fields      adapters.Headers // of the message, for templates; nil for none
	Whole       bool             // read: it is the buffer's memory, not a meta
}

// fieldsEvent is the name of the event's structure and of the query's; its field "fields" lists
// names, one a line.
const fieldsEvent = "EdgewireFields"

// FieldsQuery is the structure of the query on which elements behind send their
// FieldsEvent. They answer it with false, so that it reaches all of them.
func FieldsQuery() gst.Structure { return gst.Structure{Name: fieldsEvent} }

// IsFieldsQuery reports whether q is one.
func IsFieldsQuery(q gst.Query) bool { return q.StructureName() == fieldsEvent }

// FieldsEvent makes the structure of an upstream event that asks whoever
// attaches payloads for these fields.
func FieldsEvent(names []string) gst.Structure {
	s := gst.Structure{Name: fieldsEvent}
	s.Add("fields", strings.Join(names, "\n"))
	return s
}

// AskedFor are the fields that an event asks for; ok is false for other events.
func AskedFor(ev gst.Event) (names []string, ok bool) {
	if ev.Type() != gst.EventCustomUp {
		return nil, false
	}
	s := ev.Structure()
	text, isText := s.Get("fields").(string)
	if s.Name != fieldsEvent || !isText {
		return nil, false
	}
	return strings.Split(text, "\n"), true
}

// Register makes the meta known to GStreamer. Call it before anything else here.
func Register() error {
	if C.ew_payload_register() == 0 {
		return errors.New("GStreamer refuses the meta " + Name)
	}
	return nil
}

// Writer collects the payloads of a buffer and attaches them in one call. It
// keeps its memory for the next buffer.
type Writer struct {
	data    []byte // the payloads, one after the other
	text    []byte // content types and keys
	records []C.EwRecord
}

// Add copies p into the Writer.
func (w *Writer) Add(p *Payload) {
	r := C.EwRecord{data: C.guint64(len(w.data)), size: C.guint64(len(p.Data)),
		timestamp: C.gint64(p.TimestampMS), comp_id: C.guint32(p.CompID)}
	w.data = append(w.data, p.Data...)
	if len(p.Fields) > 0 {
		r.fields, r.fields_size = C.guint64(len(w.data)), C.guint64(len(p.Fields))
		w.data = append(w.data, p.Fields...)
	}
	r.content_type, r.content_type_len = w.addText(p.ContentType)
	r.key, r.key_len = w.addText(p.Key)
	w.records = append(w.records, r)
}

func (w *Writer) addText(s string) (offset, length C.guint32) {
	offset = C.guint32(len(w.text))
	w.text = append(w.text, s...)
	return offset, C.guint32(len(s))
}

// Attach makes a meta of each payload added, on a buffer that must be writable,
// and empties the Writer. It reports whether all were attached.
func (w *Writer) Attach(b gst.Buffer) bool {
	ok := len(w.records) == 0 || C.ew_payload_attach(C.gpointer(b.Pointer()),
		(*C.guint8)(unsafe.Pointer(unsafe.SliceData(w.data))), C.gsize(len(w.data)),
		(*C.char)(unsafe.Pointer(unsafe.SliceData(w.text))),
		unsafe.SliceData(w.records), C.guint(len(w.records))) != 0
	w.Reset()
	return ok
}

// Reset forgets what was added.
func (w *Writer) Reset() { w.data, w.text, w.records = w.data[:0], w.text[:0], w.records[:0] }

// ErrMap is what Each gives for a buffer whose memory cannot be read.
var ErrMap = errors.New("the buffer's memory cannot be read")

// Reader reads payload metas. Close frees its memory; it may be used again.
type Reader struct {
	batch *C.EwBatch
}

// Each calls f with every payload on the buffer, in the order of attaching,
// until f answers false. If whole is set, a buffer that carries none is a
// payload by itself.
func (r *Reader) Each(b gst.Buffer, whole bool, f func(Payload) bool) error {
	if r.batch == nil {
		r.batch = (*C.EwBatch)(C.calloc(1, C.sizeof_EwBatch)) // cgo's calloc does not return without memory
	}
	r.batch.state = nil
	flag := C.gboolean(C.FALSE)
	if whole {
		flag = C.TRUE
	}
	for {
		if C.ew_payload_collect(C.gpointer(b.Pointer()), r.batch, flag) == 0 {
			return ErrMap
		}
		if r.batch.mapped != 0 {
			r.single(b, f)
			return nil
		}
		n := int(r.batch.n)
		for i := range n {
			if !f(payload(&r.batch.out[i])) {
				return nil
			}
		}
		if n < C.EW_BATCH {
			return nil
		}
	}
}

// single hands out the buffer's own memory.
func (r *Reader) single(b gst.Buffer, f func(Payload) bool) {
	defer C.ew_payload_release(C.gpointer(b.Pointer()), r.batch)
	p := payload(&r.batch.out[0])
	p.Whole = true
	f(p)
}

// Close frees the Reader's memory.
func (r *Reader) Close() {
	C.free(unsafe.Pointer(r.batch))
	r.batch = nil
}

func payload(c *C.EwPayload) Payload {
	return Payload{
		Data:        unsafe.Slice((*byte)(c.data), int(c.size)),
		ContentType: unsafe.String((*byte)(unsafe.Pointer(c.content_type)), int(c.content_type_len)),
		Key:         unsafe.String((*byte)(unsafe.Pointer(c.key)), int(c.key_len)),
		TimestampMS: int64(c.timestamp), CompID: uint32(c.comp_id),
		Fields: adapters.Headers(unsafe.Slice((*byte)(c.fields), int(c.fields_size))),
	}
}
