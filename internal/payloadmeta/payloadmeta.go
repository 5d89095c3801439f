// SPDX-License-Identifier: LGPL-2.1-or-later

// Package payloadmeta carries payloads on buffers: msgconv attaches, msgbroker
// reads. The meta is a GstCustomMeta, so that C and Python applications can
// read (and C ones write) it without our headers.
//
// Its structure, EdgewirePayload, has the fields payload (GBytes; a string is
// taken too), content-type (string), key (string, the partition key; optional),
// timestamp (gint64, milliseconds since 1970 UTC; optional) and comp-id (guint).
// A buffer may carry several.
package payloadmeta

/*
#cgo pkg-config: gstreamer-1.0
#cgo CFLAGS: -std=gnu11 -Wall -Wextra -Werror
#include "payloadmeta.h"
#include <string.h>
*/
import "C"

import (
	"errors"
	"unsafe"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
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
}

// Register makes the meta known to GStreamer. Call it before Attach and Each.
func Register() error {
	if C.ew_payload_register() == 0 {
		return errors.New("GStreamer refuses the meta " + Name)
	}
	return nil
}

// Attach copies p into a new meta of the buffer, which must be writable.
func Attach(b gst.Buffer, p *Payload) bool {
	return C.ew_payload_attach(C.gpointer(b.Pointer()),
		C.gconstpointer(unsafe.Pointer(unsafe.SliceData(p.Data))), C.gsize(len(p.Data)),
		(*C.char)(unsafe.Pointer(unsafe.StringData(p.ContentType))), C.gsize(len(p.ContentType)),
		(*C.char)(unsafe.Pointer(unsafe.StringData(p.Key))), C.gsize(len(p.Key)),
		C.gint64(p.TimestampMS), C.guint(p.CompID)) != 0
}

// Reader reads payload metas; it is reused to save an allocation per buffer.
type Reader struct {
	out   [16]C.EwPayload
	state C.gpointer
}

// Each calls f with every payload on the buffer, in the order of attaching,
// until f answers false.
func (r *Reader) Each(b gst.Buffer, f func(Payload) bool) {
	r.state = nil
	for {
		n := int(C.ew_payload_collect(C.gpointer(b.Pointer()), &r.state, &r.out[0], C.guint(len(r.out))))
		for i := range r.out[:n] {
			c := &r.out[i]
			more := f(Payload{
				Data:        unsafe.Slice((*byte)(c.data), int(c.size)),
				ContentType: view(c.content_type), Key: view(c.key),
				TimestampMS: int64(c.timestamp), CompID: uint32(c.comp_id),
			})
			if !more {
				return
			}
		}
		if n < len(r.out) {
			return
		}
	}
}

func view(s *C.char) string {
	if s == nil {
		return ""
	}
	return unsafe.String((*byte)(unsafe.Pointer(s)), int(C.strlen(s)))
}
