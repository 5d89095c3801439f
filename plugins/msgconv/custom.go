// SPDX-License-Identifier: LGPL-2.1-or-later

package msgconv

import (
	"errors"
	"path/filepath"
	"strings"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	"github.com/gst-edgewire/gst-edgewire/internal/msg2p"
	"github.com/gst-edgewire/gst-edgewire/internal/nvdsmeta"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/event"
	"github.com/gst-edgewire/gst-edgewire/pkg/payload"
)

// usesLibrary reports whether messages are made by a library. DeepStream's own stands for the built-in schemas,
// which are its.
func (s *settings) usesLibrary() bool {
	return s.msg2pLib != "" && filepath.Base(s.msg2pLib) != payload.StockLibrary
}

// A libraryEncoder has a converter library make the messages (msg2p-lib).
type libraryEncoder struct {
	c           *converter
	ctx         *msg2p.Context
	beside      *payload.Encoder // what goes beside a message
	build       msg2p.Builder
	newAPI      bool
	perObject   bool
	contentType string // "": as the message looks
	events      []msg2p.Event
	metas       []uintptr

	f       *event.Frame // that is being converted, and what of it
	at      int
	sensor  string
	fields  adapters.Headers
	emit    func(payload.Payload)
	message func([]byte) // hand as a value, made once
}

// newLibrary opens the library and makes the encoder. The code is for an error.
func (c *converter) newLibrary(o payload.Options) (encoder, gst.ErrorCode, error) {
	s := &c.cur
	beside, err := payload.New(payload.Options{Type: payload.Minimal, API: o.API})
	if err != nil {
		return nil, gst.LibrarySettings, err
	}
	ctx, err := msg2p.Open(s.msg2pLib, strings.TrimSpace(s.config), int(s.payloadType), msg2p.Options{New: s.newAPI, Multiple: s.multiple})
	if err != nil {
		var broken *msg2p.LoadError
		if errors.As(err, &broken) {
			return nil, gst.LibraryInit, err
		}
		return nil, gst.LibrarySettings, err
	}
	if ctx.Lazy != "" {
		c.Warning(gst.LibraryFailed, "msgconv: msg2p-lib: the library "+s.msg2pLib+" uses what nobody offers: "+ctx.Lazy+
			". It is tried all the same; a call of that function ends the process.", "")
	}
	l := &libraryEncoder{c: c, ctx: ctx, beside: beside, newAPI: s.newAPI}
	l.message = l.hand
	l.perObject = s.payloadType != typeMinimal && s.payloadType != typeProtobuf
	if s.payloadType == typeProtobuf {
		l.contentType = payloadProtobuf
	}
	// As nvmsgconv has it: these two types are of the whole frame, all others of one object or event.
	c.selection.Type = payload.Minimal
	if l.perObject {
		c.selection.Type = payload.Deepstream
	}
	return l, gst.ErrorCode{}, nil
}

// Want is for encoders of which a part is ours.
func (l *libraryEncoder) Want(names []string) { l.beside.Want(names) }

// Close ends the library's context. Of its messages nothing is left: each was copied when it was made.
func (l *libraryEncoder) Close() {
	l.ctx.Close()
	l.build.Close()
}

// Encode has the messages of a frame made: of the metadata as it is if it is DeepStream's, else of metadata that is
// made for the library.
func (l *libraryEncoder) Encode(f *event.Frame, emit func(payload.Payload)) error {
	l.f, l.emit = f, emit
	l.build.Reset()
	if l.newAPI {
		return l.frame()
	}
	return l.eventsOf()
}

func (l *libraryEncoder) frame() error {
	n := &l.c.nvds
	addr, audio := n.frame.Addr, n.frame.Audio
	switch {
	case addr == 0:
		addr, l.metas = l.build.Frame(l.f, l.metas[:0])
	case l.perObject:
		l.metas = n.reader.ObjectMetas(n.frame, l.metas[:0])
	}
	if !l.perObject {
		l.describe(-1)
		return l.ctx.Frame(0, addr, audio, l.message)
	}
	for i, object := range l.metas {
		l.describe(i)
		if err := l.ctx.Frame(object, addr, audio, l.message); err != nil {
			return err
		}
	}
	return nil
}

func (l *libraryEncoder) eventsOf() error {
	n := &l.c.nvds
	l.events = l.events[:0]
	switch {
	case len(l.f.Events) == 0:
		l.events = append(l.events, l.build.Dummy(l.f))
	case n.frame.Addr != 0:
		l.metas = n.reader.EventMetas(n.frame, l.c.cur.compID, l.metas[:0])
		for _, m := range l.metas {
			l.events = append(l.events, msg2p.EventAt(nvdsmeta.EventType(m), m))
		}
	default:
		for i := range l.f.Events { // made of the objects, in their order
			l.events = append(l.events, l.build.Event(l.f, &l.f.Events[i], &l.f.Objects[i]))
		}
	}
	if !l.perObject {
		l.describe(-1)
		return l.ctx.Events(l.events, l.message)
	}
	for i := range l.events {
		l.describe(i)
		if err := l.ctx.Events(l.events[i:i+1], l.message); err != nil {
			return err
		}
	}
	return nil
}

// describe finds what goes beside the messages of an object, -1 of the frame.
func (l *libraryEncoder) describe(at int) {
	if at >= len(l.f.Events) && !l.newAPI || at >= len(l.f.Objects) && l.newAPI {
		at = -1 // a list that was cut
	}
	l.at = at
	l.sensor, l.fields = l.beside.Describe(l.f, at)
}

// hand hands on one message of the library's.
func (l *libraryEncoder) hand(data []byte) {
	kind := l.contentType
	if kind == "" {
		kind = looksLike(data)
	}
	count := 1
	if l.at < 0 {
		count = len(l.f.Objects)
		if !l.newAPI {
			count = len(l.f.Events)
		}
	}
	l.emit(payload.Payload{Data: data, SensorID: l.sensor, ContentType: kind, Fields: l.fields, Count: count})
}

// looksLike tells JSON by how it begins.
func looksLike(data []byte) string {
	for _, b := range data {
		switch b {
		case ' ', '\t', '\r', '\n':
		case '{', '[':
			return payloadJSON
		default:
			return "application/octet-stream"
		}
	}
	return "application/octet-stream"
}
