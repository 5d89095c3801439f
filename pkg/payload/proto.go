// SPDX-License-Identifier: LGPL-2.1-or-later

package payload

import (
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gst-edgewire/gst-edgewire/pkg/event"
)

// Field numbers of the messages of package nv.
const (
	frameVersion   = 1
	frameID        = 2
	frameTimestamp = 3
	frameSensorID  = 4
	frameObjects   = 5

	objectID         = 1
	objectBbox       = 2
	objectType       = 3
	objectConfidence = 4
	objectInfo       = 5
	objectEmbedding  = 6
	objectPose       = 7

	poseType      = 1
	poseKeypoints = 2

	keypointName        = 1
	keypointCoordinates = 2

	embeddingVector = 1
)

func (e *Encoder) encodeProto(f *event.Frame, emit func(Payload)) error {
	if e.silent(f) {
		return nil
	}
	first := e.firstEvent(f)
	sec, nanos, hasTime, err := e.protoTime(f, first)
	if err != nil {
		return err
	}
	sensor := e.sensorID(f)
	w := &e.w
	w.reset()
	b := appendText(w.buf, frameVersion, "4.0")
	b, start := begin(b, frameID)
	if first != nil {
		b = strconv.AppendInt(b, first.FrameID, 10)
	} else {
		b = strconv.AppendUint(b, f.Num, 10)
	}
	b = end(b, start)
	if hasTime {
		b, start = begin(b, frameTimestamp)
		if sec != 0 {
			b = append(b, tag(1, protowire.VarintType))
			b = protowire.AppendVarint(b, uint64(sec))
		}
		if nanos != 0 {
			b = append(b, tag(2, protowire.VarintType))
			b = protowire.AppendVarint(b, uint64(nanos))
		}
		b = end(b, start)
	}
	b = appendText(b, frameSensorID, sensor)
	count := 0
	if e.opts.API == APIEvent {
		for i := range f.Events {
			ev := &f.Events[i]
			if ev.ObjectType == event.Dummy {
				continue
			}
			count++
			left, top, right, bottom := corners(ev.Box, 1, 1)
			b, start = begin(b, frameObjects)
			b = appendBox(b, ev.TrackingID, left, top, right, bottom)
			if ev.ObjectType == event.Unknown {
				b = appendText(b, objectType, typeName(ev))
			} else {
				b = appendBytes(b, objectType, typeName(ev))
			}
			b = appendNumber(b, objectConfidence, float32(ev.Confidence))
			b = e.appendInfo(b, ev)
			b = appendEmbedding(b, ev.Embedding)
			b = appendPose(b, &ev.Pose)
			b = end(b, start)
		}
	} else {
		count = len(f.Objects)
		sx, sy := scale(f)
		for i := range f.Objects {
			o := &f.Objects[i]
			left, top, right, bottom := corners(o.Box, sx, sy)
			b, start = begin(b, frameObjects)
			b = appendBox(b, o.ID, left, top, right, bottom)
			b = appendText(b, objectType, o.Label)
			b = appendNumber(b, objectConfidence, o.Score())
			b = end(b, start)
		}
	}
	w.buf = b
	emit(Payload{Data: b, SensorID: sensor, ContentType: ContentTypeProtobuf, Count: count,
		Fields: e.fields(f, first, firstObject(f), sensor)})
	return nil
}

// protoTime is the time of the message; there is none where the first event gives none.
func (e *Encoder) protoTime(f *event.Frame, first *event.Event) (sec int64, nanos int32, ok bool, err error) {
	var t time.Time
	switch {
	case first == nil:
		t = e.frameTime(f)
	case first.Timestamp.Set:
		sec, nanos, ok = parseTime(first.Timestamp.Value)
		if !ok {
			return 0, 0, false, &TimeError{Timestamp: string(appendValid(nil, first.Timestamp.Value))}
		}
		return sec, nanos, true, nil
	case first.At.IsZero():
		return 0, 0, false, nil
	default:
		t = first.At
	}
	return t.Unix(), int32(t.Nanosecond()), true, nil
}

// begin starts a length-delimited field: its value follows, and then end. One byte is kept for the length.
func begin(b []byte, field protowire.Number) (_ []byte, start int) {
	b = append(b, tag(field, protowire.BytesType), 0)
	return b, len(b)
}

// end writes the length of the field whose value is all from start on. It moves what is longer than the byte
// that was kept counts, instead of measuring it first.
func end(b []byte, start int) []byte {
	n := len(b) - start
	if n < 0x80 {
		b[start-1] = byte(n)
		return b
	}
	more := protowire.SizeVarint(uint64(n)) - 1
	for range more {
		b = append(b, 0)
	}
	copy(b[start+more:], b[start:start+n])
	protowire.AppendVarint(b[:start-1], uint64(n))
	return b
}

// appendText appends a string field, unless it is empty.
func appendText(b []byte, field protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	return appendTextAlways(b, field, s)
}

// appendTextAlways replaces what is not valid UTF-8, which readers of proto3 refuse.
func appendTextAlways(b []byte, field protowire.Number, s string) []byte {
	if utf8.ValidString(s) {
		return appendBytes(b, field, s)
	}
	b, start := begin(b, field)
	return end(appendValid(b, s), start)
}

func appendBytes[T string | []byte](b []byte, field protowire.Number, s T) []byte {
	b = append(b, tag(field, protowire.BytesType))
	b = protowire.AppendVarint(b, uint64(len(s)))
	return append(b, s...)
}

// tag is the key of a field: one byte, as all numbers here are below 16.
func tag(field protowire.Number, t protowire.Type) byte {
	return byte(field)<<3 | byte(t)
}

// appendNumber appends a float field, unless it is (positive) zero.
func appendNumber(b []byte, field protowire.Number, f float32) []byte {
	bits := math.Float32bits(f)
	if bits == 0 {
		return b
	}
	b = append(b, tag(field, protowire.Fixed32Type))
	return protowire.AppendFixed32(b, bits)
}

func appendBox(b []byte, id uint64, left, top, right, bottom float32) []byte {
	b, start := begin(b, objectID)
	b = end(appendUint(b, id), start)

	b, start = begin(b, objectBbox)
	b = appendNumber(b, 1, left)
	b = appendNumber(b, 2, top)
	b = appendNumber(b, 3, right)
	b = appendNumber(b, 4, bottom)
	return end(b, start)
}

func appendEmbedding(b []byte, vector []float32) []byte {
	if len(vector) == 0 {
		return b
	}
	b, start := begin(b, objectEmbedding)
	b = append(b, tag(embeddingVector, protowire.BytesType))
	b = protowire.AppendVarint(b, uint64(4*len(vector)))
	for _, f := range vector {
		b = protowire.AppendFixed32(b, math.Float32bits(f))
	}
	return end(b, start)
}

// appendPose writes every joint that has a name; a pose of unknown type is empty.
func appendPose(b []byte, p *event.Pose) []byte {
	if len(p.Joints) == 0 {
		return b
	}
	b, poseStart := begin(b, objectPose)
	b = appendText(b, poseType, poseName(p.Type))
	names := event.JointNames(p.Type)
	start := 0
	for i, j := range p.Joints {
		if i >= len(names) {
			break
		}
		b, start = begin(b, poseKeypoints)
		b = appendText(b, keypointName, names[i])
		b = append(b, tag(keypointCoordinates, protowire.BytesType))
		values, n := [4]float32{j.X, j.Y, j.Z, j.Confidence}, 4
		if p.Type == event.Pose2D {
			values[2], n = j.Confidence, 3
		}
		b = protowire.AppendVarint(b, uint64(4*n))
		for _, f := range values[:n] {
			b = protowire.AppendFixed32(b, math.Float32bits(f))
		}
		b = end(b, start)
	}
	return end(b, poseStart)
}
