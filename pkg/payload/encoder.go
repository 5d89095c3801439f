// SPDX-License-Identifier: LGPL-2.1-or-later

package payload

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/dsconfig"
	"github.com/gst-edgewire/gst-edgewire/pkg/event"
)

// Type is the schema of a message. The numbers are those of nvmsgconv's payload-type.
type Type int

// The schemas.
const (
	Deepstream Type = 0 // full JSON, one message per event or object
	Minimal    Type = 1 // minimal JSON, one message per frame
	Protobuf   Type = 2 // nv.Frame in protobuf, one message per frame
)

// String returns the name of the schema.
func (t Type) String() string {
	switch t {
	case Deepstream:
		return "deepstream"
	case Minimal:
		return "minimal"
	case Protobuf:
		return "protobuf"
	case Reserved:
		return "reserved"
	case Custom:
		return "custom"
	}
	return fmt.Sprintf("payload type %d", int(t))
}

// API says what messages are made of.
type API int

// The sources of messages.
const (
	APIEvent API = iota // Frame.Events (nvmsgconv's default)
	APIFrame            // Frame.Objects (nvmsgconv's msg2p-newapi)
)

// Content types of payloads.
const (
	ContentTypeJSON     = "application/json"
	ContentTypeProtobuf = "application/x-protobuf"
)

// MaxIndent is the largest indentation that Options accept.
const MaxIndent = 16

// Options configure an Encoder.
type Options struct {
	Type Type
	API  API
	// Static describes sensors, places and analytics; nil when there is no configuration.
	Static *dsconfig.Static
	// Indent is the number of blanks per level of JSON, up to MaxIndent; 0 writes compact JSON.
	Indent int
	// Embeddings are the labels of the objects of a Scene whose embeddings are written.
	Embeddings []string
	// Views asks for the cameras of a Scene and their times.
	Views bool
	// NewUUID makes the ids of messages and events; nil means random (version 4) UUIDs.
	NewUUID func() [16]byte
	// Now is the clock for frames without a time; nil means time.Now.
	Now func() time.Time
}

// Payload is one message.
type Payload struct {
	// Data is valid only during the call that hands it out.
	Data []byte
	// SensorID is the id of the sensor as the message gives it, the usual key of partitions; "" if none.
	SensorID    string
	ContentType string
	// Fields are those that Want named, as a run of names and values; nil when none are wanted. Like Data it
	// is valid only during the call. In a message per frame those of an object are the first one's.
	Fields adapters.Headers
	// Count is the number of objects in the message.
	Count int
}

// Encoder turns frames into messages. It reuses its memory and is not safe for concurrent use.
type Encoder struct {
	opts  Options
	uuids *uuids
	w     writer
	clock clock
	rows  rows
	parts parts
	info  infoMap

	around     around
	aroundText []byte // of around; nil at first

	want   []wantedField
	run    adapters.Headers
	value  []byte
	uuidAt [2]int // where in w.buf the message's own id and its event's stand
}

// New makes an Encoder. It fails on a schema, an API or an indentation that does not exist.
func New(o Options) (*Encoder, error) {
	switch o.Type {
	case Deepstream, Minimal, Protobuf, Reserved, Custom:
	default:
		return nil, fmt.Errorf("payload: there is no built-in schema for payload type %d; use 0 (deepstream), 1 (minimal) or 2 (protobuf)", int(o.Type))
	}
	if o.API != APIEvent && o.API != APIFrame {
		return nil, fmt.Errorf("payload: there is no API %d; use APIEvent or APIFrame", int(o.API))
	}
	if o.Indent < 0 || o.Indent > MaxIndent {
		return nil, fmt.Errorf("payload: an indentation of %d is out of range; use 0 to %d", o.Indent, MaxIndent)
	}
	e := &Encoder{opts: o, uuids: newUUIDs(), w: writer{indent: o.Indent}}
	if o.Now == nil {
		e.opts.Now = time.Now
	}
	e.rows = renderRows(o)
	e.parts = renderParts(o.Indent)
	return e, nil
}

// Encode hands the messages of f to emit, in order. A frame without events or objects yields what the
// reference yields: nothing for the full schema and for the event API (but see Frame.EmitEmpty), a message
// with an empty list for the other schemas of the frame API. f is not changed.
//
// The only error is a *TimeError, from the protobuf schema; then nothing was emitted.
func (e *Encoder) Encode(f *event.Frame, emit func(Payload)) error {
	switch e.opts.Type {
	case Deepstream:
		e.encodeFull(f, emit)
	case Minimal:
		e.encodeMinimal(f, emit)
	case Protobuf:
		return e.encodeProto(f, emit)
	case Custom:
		e.encodeCustom(f, emit)
	}
	return nil
}

// TimeError says that an event's timestamp cannot be written in the protobuf schema.
type TimeError struct {
	Timestamp string
}

func (e *TimeError) Error() string {
	ts := e.Timestamp
	if len(ts) > 40 {
		ts = ts[:40] + "…"
	}
	return fmt.Sprintf("payload: the event's timestamp %q is not RFC 3339, which the protobuf schema needs; write it like 2025-02-03T04:05:06.789Z", ts)
}

func (e *Encoder) newUUID() uuid {
	if e.opts.NewUUID != nil {
		id := e.opts.NewUUID()
		return uuid{binary.BigEndian.Uint64(id[:8]), binary.BigEndian.Uint64(id[8:])}
	}
	return e.uuids.next()
}

// frameTime is the time of f, or now.
func (e *Encoder) frameTime(f *event.Frame) time.Time {
	if f.Time.IsZero() {
		return e.opts.Now()
	}
	return f.Time
}

// silent reports whether the event API has nothing to say about f.
func (e *Encoder) silent(f *event.Frame) bool {
	return e.opts.API == APIEvent && len(f.Events) == 0 && !f.EmitEmpty
}

// sensorID is the sensorId of the minimal and the protobuf schema, a value of the whole message: in the
// event API that of the first event.
func (e *Encoder) sensorID(f *event.Frame) string {
	row := f.Source
	if e.opts.API == APIEvent && len(f.Events) > 0 {
		if s := f.Events[0].SensorStr; s.Set {
			return s.Value
		}
		row = int(f.Events[0].Sensor)
	}
	if e.opts.Static != nil {
		if s, ok := e.opts.Static.Sensors[row]; ok {
			return s.ID
		}
	}
	switch {
	case f.SensorID != "":
		return f.SensorID
	case e.opts.Static != nil && e.opts.API == APIEvent:
		return ""
	}
	return "0"
}

// scale is the factor from the pipeline's picture to the source's, 1 where a size is unknown.
func scale(f *event.Frame) (x, y float32) {
	x, y = 1, 1
	if f.SourceWidth > 0 && f.PipelineWidth > 0 {
		x = float32(f.SourceWidth) / float32(f.PipelineWidth)
	}
	if f.SourceHeight > 0 && f.PipelineHeight > 0 {
		y = float32(f.SourceHeight) / float32(f.PipelineHeight)
	}
	return x, y
}

// corners of a box, computed in float32 as the reference does.
func corners(b event.Box, sx, sy float32) (left, top, right, bottom float32) {
	right, bottom = b.Left+b.Width, b.Top+b.Height
	if sx == 1 && sy == 1 { // also keeps the sign of NaN as it is
		return b.Left, b.Top, right, bottom
	}
	return b.Left * sx, b.Top * sy, right * sx, bottom * sy
}
