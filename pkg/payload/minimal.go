// SPDX-License-Identifier: LGPL-2.1-or-later

package payload

import (
	"strconv"

	"github.com/gst-edgewire/gst-edgewire/pkg/event"
)

func (e *Encoder) encodeMinimal(f *event.Frame, emit func(Payload)) {
	if e.silent(f) {
		return
	}
	w := &e.w
	w.reset()
	w.openObject()
	w.key("version")
	w.raw(`"4.0"`)
	w.key("id")
	w.buf = append(w.buf, '"')
	first := e.firstEvent(f)
	if first != nil {
		w.buf = strconv.AppendInt(w.buf, first.FrameID, 10)
	} else {
		w.buf = strconv.AppendUint(w.buf, f.Num, 10)
	}
	w.buf = append(w.buf, '"')
	w.key("@timestamp")
	if first != nil {
		e.eventTime(first)
	} else {
		w.buf = append(w.buf, '"')
		w.buf = e.clock.append(w.buf, e.frameTime(f))
		w.buf = append(w.buf, '"')
	}
	sensor := e.sensorID(f)
	w.key("sensorId")
	w.text(sensor)
	w.key("objects")
	w.openArray()
	count := 0
	if e.opts.API == APIEvent {
		count = len(f.Events)
		for i := range f.Events {
			w.element()
			w.minimalEvent(&f.Events[i])
		}
		w.closeArray()
		w.masks(f.Events)
	} else {
		count = len(f.Objects)
		sx, sy := scale(f)
		for i := range f.Objects {
			w.element()
			w.minimalObject(&f.Objects[i], sx, sy)
		}
		w.closeArray()
		w.customMessages(f)
	}
	w.closeObject()
	emit(Payload{Data: w.buf, SensorID: sensor, ContentType: ContentTypeJSON, Count: count,
		Fields: e.fields(f, first, firstObject(f), sensor)})
}

// firstEvent is the event that the values of the whole message come from, or nil: the frame gives them.
func (e *Encoder) firstEvent(f *event.Frame) *event.Event {
	if e.opts.API == APIEvent && len(f.Events) > 0 {
		return &f.Events[0]
	}
	return nil
}

// firstObject is the object that the fields of a whole frame are of, or nil.
func firstObject(f *event.Frame) *event.Object {
	if len(f.Objects) == 0 {
		return nil
	}
	return &f.Objects[0]
}

func (w *writer) bar() { w.buf = append(w.buf, '|') }

// field appends a bar and a text.
func (w *writer) field(s string) {
	w.bar()
	if s != "" { // as most attributes are
		w.buf = appendEscaped(w.buf, s)
	}
}

func (w *writer) minimalBox(id uint64, left, top, right, bottom float32) {
	b := append(appendUint(w.buf, id), '|')
	b = append(appendG32(b, left), '|')
	b = append(appendG32(b, top), '|')
	b = append(appendG32(b, right), '|')
	w.buf = appendG32(b, bottom)
}

// minimalObject writes id|left|top|right|bottom|label and, if there are classifications,
// |#|result…|confidence.
func (w *writer) minimalObject(o *event.Object, sx, sy float32) {
	w.buf = append(w.buf, '"')
	left, top, right, bottom := corners(o.Box, sx, sy)
	w.minimalBox(o.ID, left, top, right, bottom)
	w.field(o.Label)
	if len(o.Classifications) > 0 {
		w.raw("|#")
		for i := range o.Classifications {
			for _, l := range o.Classifications[i].Labels {
				w.field(l.Label)
			}
		}
		w.bar()
		w.buf = appendG(w.buf, float64(o.Score()))
	}
	w.buf = append(w.buf, '"')
}

// minimalEvent writes id|left|top|right|bottom|type|#|attributes…|confidence and then the embedding and the
// 3D tracking, if there are any. A Dummy has neither a box nor attributes.
func (w *writer) minimalEvent(ev *event.Event) {
	w.buf = append(w.buf, '"')
	if ev.ObjectType != event.Dummy {
		left, top, right, bottom := corners(ev.Box, 1, 1)
		w.minimalBox(ev.TrackingID, left, top, right, bottom)
		if ev.ObjectType == event.Unknown {
			w.field(typeName(ev))
		} else {
			w.bar()
			w.raw(typeName(ev))
		}
		w.minimalAttributes(ev)
		w.bar()
		w.buf = appendG(w.buf, ev.Confidence)
	}
	closed := false // a bar stands at the end
	if len(ev.Embedding) > 0 {
		w.raw("|#|embedding|")
		for i, f := range ev.Embedding {
			if i > 0 {
				w.buf = append(w.buf, ',')
			}
			w.buf = appendG(w.buf, float64(f))
		}
		w.bar()
		closed = true
	}
	if ev.Has3D {
		if !closed {
			w.bar()
		}
		w.raw("#|SV3DT|")
		w.buf = appendTracking(w.buf, ev)
	}
	w.buf = append(w.buf, '"')
}

func appendTracking(dst []byte, ev *event.Event) []byte {
	t := &ev.Tracking3D
	dst = appendF(dst, float64(ev.Visibility))
	dst = append(dst, '|')
	dst = appendPair(dst, t.ImageFeet)
	dst = append(dst, '|')
	dst = appendPair(dst, t.WorldFeet)
	dst = append(dst, '|')
	dst = appendHull(dst, t.Hull)
	return append(dst, '|')
}

func appendPair(dst []byte, p [2]float32) []byte {
	dst = appendF(dst, float64(p[0]))
	dst = append(dst, ',')
	return appendF(dst, float64(p[1]))
}

func appendHull(dst []byte, hull []int32) []byte {
	for i, n := range hull {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(dst, int64(n), 10)
	}
	return dst
}

func (w *writer) minimalAttributes(ev *event.Event) {
	x := &ev.Ext
	switch {
	case x.Kind == event.ExtNone:
		w.raw("|#||||||")
		return
	case x.Kind != classOf(ev).kind:
		return
	}
	w.raw("|#")
	switch x.Kind {
	case event.ExtVehicle:
		w.field(x.VehicleType.Value)
		w.field(x.Make.Value)
		w.field(x.Model.Value)
		w.field(x.Color.Value)
		w.field(x.License.Value)
		w.field(x.Region.Value)
	case event.ExtPerson:
		w.field(x.Gender.Value)
		w.minimalAge(x)
		w.field(x.Hair.Value)
		w.field(x.Cap.Value)
		w.field(x.Apparel.Value)
		if plainType(ev) == event.Person {
			w.minimalPose(&ev.Pose)
		}
	case event.ExtFace:
		w.field(x.Gender.Value)
		w.minimalAge(x)
		w.field(x.Hair.Value)
		w.field(x.Cap.Value)
		w.field(x.Glasses.Value)
		w.field(x.FacialHair.Value)
		w.field(x.Name.Value)
		w.bar() // the schema has two bars here
		w.field(x.EyeColor.Value)
	case event.ExtProduct:
		w.field(x.Brand.Value)
		w.field(x.ProductType.Value)
		w.field(x.Shape.Value)
	}
}

func (w *writer) minimalAge(x *event.Ext) {
	w.bar()
	w.buf = strconv.AppendUint(w.buf, uint64(x.Age), 10)
}

func poseName(t event.PoseType) string {
	switch t {
	case event.Pose2D:
		return "pose2D"
	case event.Pose25D:
		return "pose25D"
	case event.Pose3D:
		return "pose3D"
	}
	return ""
}

// minimalPose writes |#|type|joint,x,y[,z],confidence|… with a bar at the end; nothing for an unknown type.
func (w *writer) minimalPose(p *event.Pose) {
	names := event.JointNames(p.Type)
	if len(p.Joints) == 0 || names == nil {
		return
	}
	w.raw("|#|")
	w.raw(poseName(p.Type))
	w.bar()
	for i, j := range p.Joints {
		if i == len(names) {
			break
		}
		w.raw(names[i])
		w.buf = append(w.buf, ',')
		w.buf = appendF(w.buf, float64(j.X))
		w.buf = append(w.buf, ',')
		w.buf = appendF(w.buf, float64(j.Y))
		if p.Type != event.Pose2D {
			w.buf = append(w.buf, ',')
			w.buf = appendF(w.buf, float64(j.Z))
		}
		w.buf = append(w.buf, ',')
		w.buf = appendF(w.buf, float64(j.Confidence))
		w.bar()
	}
}

// masks writes one string per event with a mask: id|number of polygons|x|y…|#|x|y…
func (w *writer) masks(events []event.Event) {
	started := false
	for i := range events {
		ev := &events[i]
		if !hasLate(ev, memberMask) {
			continue
		}
		if !started {
			w.key("masks")
			w.openArray()
			started = true
		}
		w.element()
		w.buf = append(w.buf, '"')
		w.buf = strconv.AppendUint(w.buf, ev.TrackingID, 10)
		w.bar()
		w.buf = strconv.AppendInt(w.buf, int64(len(ev.Ext.Mask)), 10)
		for p, polygon := range ev.Ext.Mask {
			if p > 0 {
				w.raw("|#")
			}
			for _, f := range polygon {
				w.bar()
				w.buf = appendG(w.buf, f)
			}
		}
		w.buf = append(w.buf, '"')
	}
	if started {
		w.closeArray()
	}
}
