// SPDX-License-Identifier: LGPL-2.1-or-later

package payload

import (
	"bytes"
	"math"
	"strconv"

	"github.com/gst-edgewire/gst-edgewire/pkg/event"
)

func (e *Encoder) encodeFull(f *event.Frame, emit func(Payload)) {
	if e.opts.API == APIFrame {
		for i := range f.Objects {
			e.fullObject(f, &f.Objects[i])
			sensor := e.fullSensorID(f, f.Source, event.String{})
			emit(Payload{Data: e.w.buf, SensorID: sensor, ContentType: ContentTypeJSON, Count: 1,
				Fields: e.fields(f, nil, &f.Objects[i], sensor)})
		}
		return
	}
	for i := range f.Events {
		ev := &f.Events[i]
		e.fullEvent(ev)
		sensor := e.fullSensorID(f, int(ev.Sensor), ev.SensorStr)
		emit(Payload{Data: e.w.buf, SensorID: sensor, ContentType: ContentTypeJSON, Count: 1, Fields: e.fields(f, ev, nil, sensor)})
	}
}

// fullSensorID is what names the sensor of a full message: the id in it or, where its sensor is null, what
// is known besides.
func (e *Encoder) fullSensorID(f *event.Frame, row int, str event.String) string {
	if e.opts.Static != nil {
		if s, ok := e.opts.Static.Sensors[row]; ok {
			return s.ID
		}
	}
	if str.Set {
		return str.Value
	}
	return f.SensorID
}

// head writes what stands before @timestamp's value.
func (e *Encoder) head() {
	w := &e.w
	w.reset()
	w.raw(e.parts.head)
	e.uuid()
	w.raw(e.parts.version)
}

// uuid writes an id. A message has two: its own, and that of its event.
func (e *Encoder) uuid() {
	e.uuidAt[0], e.uuidAt[1] = e.uuidAt[1], len(e.w.buf)
	e.w.buf = appendUUID(e.w.buf, e.newUUID())
}

// eventTime writes the time of an event.
func (e *Encoder) eventTime(ev *event.Event) {
	switch w := &e.w; {
	case ev.Timestamp.Set:
		w.text(ev.Timestamp.Value)
	case !ev.At.IsZero():
		w.buf = append(w.buf, '"')
		w.buf = e.clock.append(w.buf, ev.At)
		w.buf = append(w.buf, '"')
	default:
		w.raw("null")
	}
}

func (e *Encoder) fullEvent(ev *event.Event) {
	e.head()
	w := &e.w
	e.eventTime(ev)
	e.toObject(around{place: int(ev.Place), sensor: int(ev.Sensor), module: int(ev.Module), sub: subOf(ev)})
	e.eventObject(ev)
	w.raw(e.parts.event)
	e.uuid()
	w.raw(e.parts.eventTypes[eventNumber(ev.Type)])
	w.text(ev.VideoPath.Value)
	w.raw(e.parts.end)
}

// toObject writes what stands between @timestamp and the object's id.
func (e *Encoder) toObject(a around) {
	if a != e.around || e.aroundText == nil {
		e.around = a
		e.aroundText = e.rows.appendAround(e.aroundText[:0], e.opts.Indent, a)
	}
	e.w.buf = append(e.w.buf, e.aroundText...)
	e.w.depth, e.w.comma = 2, true
}

// takeBack removes the start of the id, which toObject wrote: another member comes first.
func (e *Encoder) takeBack() {
	e.w.buf = e.w.buf[:len(e.w.buf)-len(e.parts.id)]
	e.w.comma = false
}

func subOf(ev *event.Event) placeSub {
	switch ev.Type {
	case event.Moving, event.Stopped:
		return subAisle
	case event.Entry, event.Exit:
		if ev.ObjectType == event.Vehicle {
			return subAisle
		}
		return subEntrance
	case event.Empty, event.Parked:
		return subParkingSpot
	}
	return subNone
}

// eventNames are the names of the types from event.Entry to event.ResetEvent; others have none.
var eventNames = [...]string{event.Entry: "entry", event.Exit: "exit", event.Moving: "moving", event.Stopped: "stopped",
	event.Empty: "empty", event.Parked: "parked", event.ResetEvent: "reset"}

// noEvent stands for the types without a name.
const noEvent = event.Type(len(eventNames))

// eventNumber is the type, or noEvent.
func eventNumber(t event.Type) event.Type {
	if t < 0 || t >= noEvent {
		return noEvent
	}
	return t
}

// The members of "object" beside the class. A class name from outside may be one of them; the reference
// then sets the member twice, which leaves the later value at the earlier place.
type member int

const (
	noMember member = iota
	memberID
	memberSpeed
	memberDirection
	memberOrientation
	memberBbox
	memberMask
	memberSignature
	memberLocation
	memberCoordinate
	memberPose
	memberEmbedding
	memberSV3DT
	endMembers

	firstLate = memberBbox // the members from here on follow the class
)

var memberNames = [endMembers]string{memberID: "id", memberSpeed: "speed", memberDirection: "direction",
	memberOrientation: "orientation", memberBbox: "bbox", memberMask: "maskoutline", memberSignature: "signature",
	memberLocation: "location", memberCoordinate: "coordinate", memberPose: "pose", memberEmbedding: "embedding",
	memberSV3DT: "SV3DT"}

func memberOf(name string) member {
	for m := memberID; m < endMembers; m++ {
		if memberNames[m] == name {
			return m
		}
	}
	return noMember
}

// early writes one of id, speed, direction and orientation.
func (e *Encoder) early(m member, id uint64) {
	w := &e.w
	w.key(memberNames[m])
	if m != memberID {
		w.raw("0.0")
		return
	}
	w.buf = append(w.buf, '"')
	w.buf = appendUint(w.buf, id)
	w.buf = append(w.buf, '"')
}

func (e *Encoder) eventObject(ev *event.Event) {
	w := &e.w
	class, hit := classOf(ev), noMember
	if class.fromOutside {
		hit = memberOf(class.name)
	}
	if hit == noMember {
		w.buf = appendUint(w.buf, ev.TrackingID)
		w.raw(e.parts.still)
	} else {
		e.takeBack()
		for m := memberID; m <= memberOrientation; m++ {
			if m == hit {
				w.key(class.name)
				e.classObject(ev, class)
			} else {
				e.early(m, ev.TrackingID)
			}
		}
	}
	switch {
	case !class.set || hit != noMember && hit < firstLate:
	case hit != noMember && hasLate(ev, hit):
		e.late(ev, hit)
	default:
		e.classMember(ev, class)
		hit = noMember
	}
	if hit == noMember && bare(ev) {
		left, top, right, bottom := corners(ev.Box, 1, 1)
		e.bbox(left, top, right, bottom, e.parts.noMore)
		return
	}
	for m := firstLate; m < endMembers; m++ {
		if m != hit && hasLate(ev, m) {
			e.late(ev, m)
		}
	}
}

// bare reports whether an event's object has nothing but a box, as most have.
func bare(ev *event.Event) bool {
	return !hasLate(ev, memberMask) && len(ev.Signature) == 0 && nowhere(ev.Location.Lat, ev.Location.Lon, ev.Location.Alt) &&
		nowhere(ev.Coordinate.X, ev.Coordinate.Y, ev.Coordinate.Z) && len(ev.Pose.Joints) == 0 && len(ev.Embedding) == 0 && !ev.Has3D
}

// nowhere reports whether all numbers are (positive) zero.
func nowhere(a, b, c float64) bool {
	return math.Float64bits(a)|math.Float64bits(b)|math.Float64bits(c) == 0
}

func hasLate(ev *event.Event, m member) bool {
	switch m {
	case memberMask:
		return len(ev.Ext.Mask) > 0 && maskable(ev.ObjectType)
	case memberSignature:
		return len(ev.Signature) > 0
	case memberEmbedding:
		return len(ev.Embedding) > 0
	case memberSV3DT:
		return ev.Has3D
	}
	return true
}

func maskable(t event.ObjectType) bool {
	switch t {
	case event.VehicleExt, event.PersonExt, event.FaceExt, event.ProductExt:
		return true
	}
	return false
}

func (e *Encoder) late(ev *event.Event, m member) {
	w := &e.w
	switch m {
	case memberBbox:
		left, top, right, bottom := corners(ev.Box, 1, 1)
		e.bbox(left, top, right, bottom, e.parts.bboxEnd)
		return
	case memberLocation:
		w.triple("location", &locationKeys, [3]float64{ev.Location.Lat, ev.Location.Lon, ev.Location.Alt})
		return
	case memberCoordinate:
		w.triple("coordinate", &coordinateKeys, [3]float64{ev.Coordinate.X, ev.Coordinate.Y, ev.Coordinate.Z})
		return
	}
	w.key(memberNames[m])
	switch m {
	case memberMask:
		w.openArray()
		for _, polygon := range ev.Ext.Mask {
			w.element()
			writeNumbers(w, polygon)
		}
		w.closeArray()
	case memberSignature:
		writeNumbers(w, ev.Signature)
	case memberPose:
		w.pose(&ev.Pose)
	case memberEmbedding:
		w.openObject()
		w.key("embedding_length")
		w.buf = strconv.AppendInt(w.buf, int64(len(ev.Embedding)), 10)
		w.key("embedding_vector")
		writeNumbers(w, ev.Embedding)
		w.closeObject()
	case memberSV3DT:
		w.openObject()
		w.key("visibility")
		w.double(float64(ev.Visibility))
		w.key("footLocation2D")
		writeNumbers(w, ev.Tracking3D.ImageFeet[:])
		w.key("footLocation3D")
		writeNumbers(w, ev.Tracking3D.WorldFeet[:])
		w.key("convexHull")
		writeNumbers(w, ev.Tracking3D.Hull)
		w.closeObject()
	}
}

func writeNumbers[T float32 | float64 | int32](w *writer, v []T) {
	w.openArray()
	for _, f := range v {
		w.element()
		w.double(float64(f))
	}
	w.closeArray()
}

// bbox writes a box's corners and end, which closes it.
func (e *Encoder) bbox(left, top, right, bottom float32, end string) {
	b, p := e.w.buf, &e.parts
	b = appendPixel(append(b, p.corners[0]...), left)
	b = appendPixel(append(b, p.corners[1]...), top)
	b = appendPixel(append(b, p.corners[2]...), right)
	b = appendPixel(append(b, p.corners[3]...), bottom)
	e.w.buf, e.w.comma = append(b, end...), true
}

// pose writes the joints with a confidence above 0. Joints that the pose type has no name for are left
// out.
func (w *writer) pose(p *event.Pose) {
	w.openObject()
	names := event.JointNames(p.Type)
	for i, j := range p.Joints {
		if i == len(names) {
			break
		}
		if !(j.Confidence > 0) {
			continue
		}
		w.key(names[i])
		w.openObject()
		w.key("x")
		w.buf = appendPixel(w.buf, j.X)
		w.key("y")
		w.buf = appendPixel(w.buf, j.Y)
		if p.Type != event.Pose2D {
			w.key("z")
			w.buf = appendPixel(w.buf, j.Z)
		}
		w.key("confidence")
		w.double(float64(j.Confidence))
		w.closeObject()
	}
	w.closeObject()
}

func (e *Encoder) fullObject(f *event.Frame, o *event.Object) {
	e.head()
	w := &e.w
	w.buf = append(w.buf, '"')
	w.buf = e.clock.append(w.buf, e.frameTime(f))
	w.buf = append(w.buf, '"')
	e.toObject(around{place: f.Source, sensor: f.Source, module: f.Source, sub: subField})
	hit := memberOf(o.Label)
	if hit == noMember {
		w.buf = appendUint(w.buf, o.ID)
		w.raw(e.parts.still)
	} else {
		e.takeBack()
		for m := memberID; m <= memberOrientation; m++ {
			if m == hit {
				w.key(o.Label)
				w.detection(o)
			} else {
				e.early(m, o.ID)
			}
		}
	}
	late := hit == memberBbox || hit == memberLocation || hit == memberCoordinate
	if late {
		e.frameMember(f, o, hit)
	} else if hit == noMember || hit >= firstLate {
		w.keyText(o.Label)
		w.detection(o)
	}
	for _, m := range [...]member{memberBbox, memberLocation, memberCoordinate} {
		if m != hit {
			e.frameMember(f, o, m)
		}
	}
	w.raw(e.parts.event)
	e.uuid()
	w.raw(e.parts.noEventType)
	w.depth, w.comma = 1, true
	w.customMessages(f)
	w.raw(e.parts.end)
}

func (e *Encoder) frameMember(f *event.Frame, o *event.Object, m member) {
	switch m {
	case memberBbox:
		sx, sy := scale(f)
		left, top, right, bottom := corners(o.Box, sx, sy)
		e.bbox(left, top, right, bottom, e.parts.bboxEnd)
	case memberLocation:
		e.w.raw(e.parts.noLocation)
	case memberCoordinate:
		e.w.raw(e.parts.noCoordinate)
	}
}

// detection writes the confidence and a member per type of classification. Of several labels of one type
// the last counts, at the place of the first; a type called "confidence" takes the place of the number.
func (w *writer) detection(o *event.Object) {
	w.openObject()
	w.key("confidence")
	if label, ok := lastLabel(o, "confidence"); ok {
		w.text(label)
	} else {
		w.double(float64(o.Score()))
	}
	for i := range o.Classifications {
		c := &o.Classifications[i]
		if c.Type == "" || c.Type == "confidence" || len(c.Labels) == 0 || seenBefore(o.Classifications[:i], c.Type) {
			continue
		}
		w.keyText(c.Type)
		label, _ := lastLabel(o, c.Type)
		w.text(label)
	}
	w.closeObject()
}

func lastLabel(o *event.Object, typ string) (string, bool) {
	for i := len(o.Classifications) - 1; i >= 0; i-- {
		if c := &o.Classifications[i]; c.Type == typ && len(c.Labels) > 0 {
			return c.Labels[len(c.Labels)-1].Label, true
		}
	}
	return "", false
}

func seenBefore(list []event.Classification, typ string) bool {
	for i := range list {
		if list[i].Type == typ && len(list[i].Labels) > 0 {
			return true
		}
	}
	return false
}

// customMessages writes one string per message, cut at its first NUL.
func (w *writer) customMessages(f *event.Frame) {
	if len(f.Custom) == 0 {
		return
	}
	w.key("customMessage")
	w.openArray()
	for _, m := range f.Custom {
		w.element()
		if i := bytes.IndexByte(m, 0); i >= 0 {
			m = m[:i]
		}
		w.textBytes(m)
	}
	w.closeArray()
}
