// SPDX-License-Identifier: LGPL-2.1-or-later

package payload

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gst-edgewire/gst-edgewire/pkg/event"
)

// Field numbers that nv.Frame, nv.Object and nv.Bbox3d have besides, in the schema of the converter for 3D boxes
// (nvmsgconv_mega).
const (
	frameInfo    = 12
	objectBbox3D = 14

	bbox3DCoordinates = 1
	bbox3DEmbeddings  = 2
	bbox3DConfidence  = 3
)

// DefaultEmbeddingFilter is what nvmsgconv's embedding-filter stands for when it is not set.
const DefaultEmbeddingFilter = "Person"

// ParseEmbeddingFilter splits nvmsgconv's embedding-filter: labels with commas between, with blanks around them
// or not.
func ParseEmbeddingFilter(text string) (labels []string) {
	for label := range strings.SplitSeq(text, ",") {
		if label = strings.Trim(label, " "); label != "" {
			labels = append(labels, label)
		}
	}
	return labels
}

// EncodeScene hands out the message of a scene, of which f tells number, time and source: one, also if the
// scene is empty, in the minimal and in the protobuf schema; none in the others, as in the reference.
//
// The members are those of DeepStream's nvmsgconv_mega. Unlike there no empty string follows each object in
// JSON, embeddings are filtered in JSON too, and protobuf's id is the frame's number and not a count of the
// messages.
func (e *Encoder) EncodeScene(f *event.Frame, s *event.Scene, emit func(Payload)) {
	sensor := e.sceneSensor(f, s)
	contentType := ContentTypeJSON
	switch e.opts.Type {
	case Minimal:
		e.sceneJSON(f, s, sensor)
	case Protobuf:
		e.sceneProto(f, s, sensor)
		contentType = ContentTypeProtobuf
	default:
		return
	}
	p := Payload{Data: e.w.buf, SensorID: sensor, ContentType: contentType, Count: len(s.Objects)}
	if len(e.want) > 0 {
		var first *event.Object
		if len(s.Objects) > 0 {
			first = &event.Object{ID: uint64(s.Objects[0].ID), Label: s.Objects[0].Class()}
		}
		p.Fields = e.fields(f, nil, first, sensor)
	}
	emit(p)
}

// sceneSensor is the sensor's own name, or that of its description.
func (e *Encoder) sceneSensor(f *event.Frame, s *event.Scene) string {
	if s.SensorStr.Set {
		return s.SensorStr.Value
	}
	if e.opts.Static != nil {
		if row, ok := e.opts.Static.Sensors[f.Source]; ok {
			return row.ID
		}
	}
	switch {
	case f.SensorID != "":
		return f.SensorID
	case e.opts.Static != nil:
		return ""
	}
	return "0"
}

// embeds reports whether the embedding of an object is written: by the detector's name of its class, or that of messages.
func (e *Encoder) embeds(o *event.Solid) bool {
	return slices.Contains(e.opts.Embeddings, o.Label) || o.Name != "" && slices.Contains(e.opts.Embeddings, o.Name)
}

func (e *Encoder) sceneJSON(f *event.Frame, s *event.Scene, sensor string) {
	w := &e.w
	w.reset()
	w.openObject()
	w.key("version")
	w.raw(`"4.0"`)
	w.key("id")
	w.buf = append(w.buf, '"')
	w.buf = strconv.AppendInt(w.buf, int64(int32(f.Num)), 10)
	w.buf = append(w.buf, '"')
	w.key("@timestamp")
	w.buf = append(w.buf, '"')
	w.buf = e.clock.append(w.buf, e.frameTime(f))
	w.buf = append(w.buf, '"')
	w.key("sensorId")
	w.text(sensor)
	w.key("objects")
	w.openArray()
	for i := range s.Objects {
		w.element()
		w.solid(&s.Objects[i], e.embeds(&s.Objects[i]))
	}
	w.closeArray()
	if e.opts.Views {
		w.key("info")
		w.openArray()
		for i := range s.Views {
			w.element()
			w.openObject()
			w.member("source_id", s.Views[i].Source)
			w.key("timestamp")
			w.buf = append(w.buf, '"')
			w.buf = strconv.AppendUint(w.buf, s.Views[i].Stamp, 10)
			w.buf = append(w.buf, '"')
			w.closeObject()
		}
		w.closeArray()
	}
	w.closeObject()
}

var flatKeys = [...]string{"leftX", "topY", "rightX", "bottomY"}

// solid writes an object. It has a box in the picture that says nothing, since no picture is its own.
func (w *writer) solid(o *event.Solid, embedding bool) {
	w.openObject()
	w.key("id")
	w.buf = append(w.buf, '"')
	w.buf = strconv.AppendUint(w.buf, uint64(o.ID), 10)
	w.buf = append(w.buf, '"')
	w.key("bbox")
	w.openObject()
	for _, key := range flatKeys {
		w.key(key)
		w.raw("0.0")
	}
	w.empty("embeddings", '[')
	w.key("confidence")
	w.raw("0.0")
	w.empty("info", '{')
	w.key("type")
	w.text(o.Class())
	w.closeObject()
	w.key("embedding")
	w.openObject()
	w.empty("vector", '[')
	w.empty("info", '{')
	w.closeObject()
	w.key("bbox3d")
	w.openObject()
	w.key("coordinates")
	w.doubles(o.Box[:])
	w.key("confidence")
	w.double(float64(o.Score))
	w.key("embeddings")
	if embedding {
		w.doubles(o.Embedding)
	} else {
		w.doubles(nil)
	}
	w.empty("info", '{')
	w.closeObject()
	w.key("confidence")
	w.double(float64(o.ClassScore))
	w.empty("info", '{')
	w.key("speed")
	w.raw("0.0")
	w.empty("dir", '[')
	w.closeObject()
}

// empty writes a member that holds nothing.
func (w *writer) empty(key string, bracket byte) {
	w.key(key)
	w.open(bracket)
	if bracket == '{' {
		w.closeObject()
	} else {
		w.closeArray()
	}
}

func (w *writer) doubles(list []float32) {
	w.openArray()
	for _, f := range list {
		w.element()
		w.double(float64(f))
	}
	w.closeArray()
}

func (e *Encoder) sceneProto(f *event.Frame, s *event.Scene, sensor string) {
	w := &e.w
	w.reset()
	b := appendText(w.buf, frameVersion, "4.0")
	b, start := begin(b, frameID)
	b = end(strconv.AppendInt(b, int64(int32(f.Num)), 10), start)
	b, start = begin(b, frameTimestamp)
	t := e.frameTime(f)
	if sec := t.Unix(); sec != 0 {
		b = append(b, tag(1, protowire.VarintType))
		b = protowire.AppendVarint(b, uint64(sec))
	}
	if nanos := t.Nanosecond() / 1e6 * 1e6; nanos != 0 { // as in JSON
		b = append(b, tag(2, protowire.VarintType))
		b = protowire.AppendVarint(b, uint64(nanos))
	}
	b = end(b, start)
	b = appendText(b, frameSensorID, sensor)
	for i := range s.Objects {
		b, start = begin(b, frameObjects)
		b = end(appendSolid(b, &s.Objects[i], e.embeds(&s.Objects[i])), start)
	}
	if e.opts.Views {
		b = e.appendViews(b, s.Views)
	}
	w.buf = b
}

// appendViews appends a map, in which a camera that is named twice stands once.
func (e *Encoder) appendViews(b []byte, views []event.View) []byte {
	for i := range views {
		var entry, value int
		b, entry = begin(b, frameInfo)
		b = appendTextAlways(b, 1, views[i].Source)
		b, value = begin(b, 2)
		b = end(e.clock.append(b, time.Unix(0, int64(min(views[i].Stamp, math.MaxInt64)))), value)
		b = end(b, entry)
	}
	return b
}

func appendSolid(b []byte, o *event.Solid, embedding bool) []byte {
	b, start := begin(b, objectID)
	b = end(strconv.AppendUint(b, uint64(o.ID), 10), start)
	b = append(b, tag(objectBbox, protowire.BytesType), 0) // there, and all zero
	b = appendText(b, objectType, o.Class())
	b = appendNumber(b, objectConfidence, o.Score)

	b, start = begin(b, objectInfo)
	b = appendBytes(b, 1, "classConfidence")
	b, value := begin(b, 2)
	b = end(appendF(b, float64(o.ClassScore)), value)
	b = end(b, start)

	b = append(b, tag(objectEmbedding, protowire.BytesType), 0)

	b, start = begin(b, objectBbox3D)
	b = append(b, tag(bbox3DCoordinates, protowire.BytesType), byte(8*len(o.Box)))
	for _, f := range o.Box {
		b = protowire.AppendFixed64(b, math.Float64bits(float64(f)))
	}
	if o.HasEmbedding { // an entry, whether it is filled or filtered out
		var entry int
		b, entry = begin(b, bbox3DEmbeddings)
		if embedding && len(o.Embedding) > 0 {
			b = append(b, tag(embeddingVector, protowire.BytesType))
			b = protowire.AppendVarint(b, uint64(4*len(o.Embedding)))
			for _, f := range o.Embedding {
				b = protowire.AppendFixed32(b, math.Float32bits(f))
			}
		}
		b = end(b, entry)
	}
	b = appendNumber(b, bbox3DConfidence, o.Score)
	return end(b, start)
}
