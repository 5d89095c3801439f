// SPDX-License-Identifier: LGPL-2.1-or-later

// Package messagemeta makes buffers of messages that a server has sent. What
// belongs to a message besides its payload is a GstCustomMeta, so that C and
// Python applications can read it without our headers.
//
// Its structure, EdgewireMessage, has the fields topic (string), key (GBytes;
// only if there is one), timestamp (gint64, milliseconds since 1970 UTC; only
// if the server tells), position (string, where the server keeps it; only if
// known), redelivered (boolean) and headers (GstStructure: a string for each
// header that is UTF-8, else GBytes; the last of a repeated name; only if there
// are any).
package messagemeta

/*
#cgo pkg-config: gstreamer-1.0
#cgo CFLAGS: -std=gnu11 -Wall -Wextra
#include "messagemeta.h"
*/
import "C"

import (
	"errors"
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

// Name is the name of the meta and of its structure.
const Name = C.EW_MESSAGE_META

// Register makes the meta known to GStreamer. Call it before anything else here.
func Register() error {
	if C.ew_message_register() == 0 {
		return errors.New("GStreamer refuses the meta " + Name)
	}
	return nil
}

// Buffer makes a buffer of m, with copies of all of it; the caller owns it. It
// is nil when there is no memory for it.
func Buffer(m *adapters.Incoming) gst.Buffer {
	topic, position, headers := text(m.Topic), text(m.Position), nameable(m.Headers)
	c := C.EwMessage{topic_len: C.gsize(len(topic)), position_len: C.gsize(len(position)), key_len: C.gsize(len(m.Key)),
		headers_len: C.gsize(len(headers)), timestamp: C.gint64(m.TimestampMS)}
	if m.Key != nil {
		c.has_key = 1
	}
	if m.Redelivered {
		c.redelivered = 1
	}
	return gst.BufferFrom(unsafe.Pointer(C.ew_message_buffer(first(m.Payload), C.gsize(len(m.Payload)), first([]byte(topic)),
		first([]byte(position)), first(m.Key), first(headers), c)))
}

// Headers are those of m as a structure, named headers. Names are bounded as gst.FieldName says: the others
// are left out.
func Headers(m *adapters.Incoming) gst.Structure {
	s := gst.Structure{Name: "headers"}
	m.Headers.Each(func(name, value []byte) bool {
		field := text(string(name))
		switch {
		case !gst.FieldName(field):
		case utf8.Valid(value) && strings.IndexByte(string(value), 0) < 0:
			s.Add(field, string(value))
		default:
			s.Add(field, append([]byte{}, value...))
		}
		return true
	})
	return s
}

// nameable are the headers whose names can be those of fields.
func nameable(h adapters.Headers) adapters.Headers {
	all := true
	h.Each(func(name, _ []byte) bool {
		all = gst.FieldName(string(name))
		return all
	})
	if all {
		return h
	}
	var kept adapters.Headers
	h.Each(func(name, value []byte) bool {
		if gst.FieldName(string(name)) {
			kept = kept.Append(string(name), value)
		}
		return true
	})
	return kept
}

func first(b []byte) *C.guint8 { return (*C.guint8)(unsafe.Pointer(unsafe.SliceData(b))) }

func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
