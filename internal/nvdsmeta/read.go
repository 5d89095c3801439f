// SPDX-License-Identifier: LGPL-2.1-or-later

package nvdsmeta

import (
	"math"
	"time"
	"unsafe"

	"github.com/gst-edgewire/gst-edgewire/pkg/event"
)

// maxMetas is how many metas of all kinds a buffer may have.
const maxMetas = 1 << 17

// Reader reads the metadata of one buffer after the other. It keeps its memory.
type Reader struct {
	Layout  *Layout
	budget  budget
	refused int  // payloads
	cut     bool // the batch's own list was cut when HasScenes went through it
}

// Frame is a frame of a batch.
type Frame struct {
	Addr  uintptr
	Audio bool
}

// Frames calls f with each frame of a batch, in order, until it answers false.
// The caller holds the batch's lock and runs inside Guard.
func (r *Reader) Frames(batch uintptr, f func(Frame) bool) {
	r.budget = newBudget()
	for l := newList(word(batch+batchFrames), &r.budget); ; {
		addr, ok := l.next()
		if !ok {
			return
		}
		kind := i32(addr + baseType)
		if kind != typeFrame && kind != r.Layout.audioFrameType {
			continue
		}
		if !f(Frame{Addr: addr, Audio: kind != typeFrame}) {
			return
		}
	}
}

// Broken reports whether a list of the batch was cut, because it ran in a
// circle or was beyond all measure, or texts and arrays left out that were.
func (r *Reader) Broken() bool { return r.budget.broken || r.cut }

// Refused is how many payloads Payloads left out because of their size.
func (r *Reader) Refused() int { return r.refused }

// Num is the number of a frame.
func (f Frame) Num() uint64 { return uint64(uint32(i32(f.Addr + frameNum))) }

// Head reads what a frame says of itself.
func (r *Reader) Head(f Frame, out *event.Frame) {
	out.Num = f.Num()
	out.Source = int(u32(f.Addr + frameSource))
	if ntp := u64(f.Addr + frameNTP); ntp <= math.MaxInt64 {
		out.Time = time.Unix(0, int64(ntp))
	}
	if pts := u64(f.Addr + framePTS); pts <= math.MaxInt64 {
		out.PTS, out.HasPTS = time.Duration(pts), true
	}
	if f.Audio {
		return
	}
	out.SourceWidth, out.SourceHeight = int(u32(f.Addr+frameSourceWidth)), int(u32(f.Addr+frameSourceHeight))
	out.PipelineWidth, out.PipelineHeight = int(u32(f.Addr+framePipelineWidth)), int(u32(f.Addr+framePipelineHeight))
	if r.Layout.sensorInfo != 0 {
		out.SensorID = r.budget.text(word(f.Addr + r.Layout.sensorInfo + sensorInfoID))
	}
}

// Objects appends the frame's detections, and its custom messages.
func (r *Reader) Objects(f Frame, out *event.Frame) {
	if f.Audio {
		r.sound(f, out)
	} else {
		for l := newList(word(f.Addr+frameObjects), &r.budget); ; {
			addr, ok := l.next()
			if !ok {
				break
			}
			if i32(addr+baseType) == typeObject {
				r.object(addr, out.AddObject())
			}
		}
	}
	for l := newList(word(f.userMetas()), &r.budget); ; {
		addr, ok := l.next()
		if !ok {
			return
		}
		if kind := i32(addr + baseType); kind != r.Layout.customBlobType {
			continue
		}
		info := word(addr + userData)
		if info == 0 {
			continue
		}
		data, size := word(info+messageData), u32(info+messageSize)
		if size > maxMessage {
			size, r.budget.broken = maxMessage, true
		}
		if message := views[byte](&r.budget, data, int(size)); message != nil || data != 0 && size == 0 {
			out.Custom = append(out.Custom, message)
		}
	}
}

func (f Frame) userMetas() uintptr {
	if f.Audio {
		return f.Addr + audioUserMetas
	}
	return f.Addr + frameUserMetas
}

func (r *Reader) object(addr uintptr, o *event.Object) {
	o.ID = u64(addr + objectID)
	o.ClassID = i32(addr + objectClass)
	o.Confidence, o.HasConfidence = f32(addr+objectConfidence), true
	rect := addr + objectRect
	o.Box = event.Box{Left: f32(rect + coordsLeft), Top: f32(rect + coordsTop), Width: f32(rect + rectWidth), Height: f32(rect + rectHeight)}
	o.Label = fixed(addr+r.Layout.objLabel, labelSize)
	r.classifications(word(addr+r.Layout.objClassifiers), o)
}

func (r *Reader) classifications(head uintptr, o *event.Object) {
	for l := newList(head, &r.budget); ; {
		addr, ok := l.next()
		if !ok {
			return
		}
		if i32(addr+baseType) != typeClassifier {
			continue
		}
		c := o.AddClassification(r.budget.text(word(addr + classifierKind)))
		for labels := newList(word(addr+classifierLabels), &r.budget); ; {
			label, ok := labels.next()
			if !ok {
				break
			}
			if i32(label+baseType) != typeLabel {
				continue
			}
			name := fixed(label+labelText, labelSize)
			if long := word(label + labelLongText); long != 0 {
				name = r.budget.text(long)
			}
			c.AddLabel(name, f32(label+labelProbability))
		}
	}
}

// sound makes an object of what was heard in a frame of audio.
func (r *Reader) sound(f Frame, out *event.Frame) {
	label, classifiers := fixed(f.Addr+audioLabel, labelSize), word(f.Addr+audioClassifiers)
	if label == "" && classifiers == 0 {
		return
	}
	o := out.AddObject()
	o.ClassID = i32(f.Addr + audioClass)
	o.Confidence, o.HasConfidence = f32(f.Addr+audioConfidence), true
	o.Label = label
	r.classifications(classifiers, o)
}

// Events appends the frame's event metas, those of a component alone if it is
// not 0.
func (r *Reader) Events(f Frame, component uint32, out *event.Frame) {
	for l := newList(word(f.userMetas()), &r.budget); ; {
		addr, ok := l.next()
		if !ok {
			return
		}
		if i32(addr+baseType) != typeEvent {
			continue
		}
		meta := word(addr + userData)
		if meta == 0 || component != 0 && u32(meta+eventComponent) != component {
			continue
		}
		r.event(meta, out.AddEvent())
	}
}

func (r *Reader) event(m uintptr, e *event.Event) {
	l := r.Layout
	e.Type = event.Type(i32(m + eventType))
	e.ObjectType = l.objectType(i32(m + eventObjectType))
	box := m + eventBox
	e.Box = event.Box{Left: f32(box + rectLeft), Top: f32(box + rectTop), Width: f32(box + rectWidth), Height: f32(box + rectHeight)}
	e.Location = event.GeoLocation{Lat: f64(m + eventLocation), Lon: f64(m + eventLocation + 8), Alt: f64(m + eventLocation + 16)}
	e.Coordinate = event.Coordinate{X: f64(m + eventCoordinate), Y: f64(m + eventCoordinate + 8), Z: f64(m + eventCoordinate + 16)}
	e.Signature = append(e.Signature, numbers[float64](&r.budget, word(m+eventSignature), u32(m+eventSignature+signatureSize))...)
	e.ClassID, e.Sensor = i32(m+eventClass), i32(m+eventSensor)
	e.Module, e.Place = i32(m+eventModule), i32(m+eventPlace)
	e.ComponentID, e.FrameID = i32(m+eventComponent), int64(i32(m+eventFrame))
	e.Confidence, e.TrackingID = f64(m+eventConfidence), u64(m+eventTracking)
	e.Timestamp, e.ObjectID, e.SensorStr = r.budget.optional(m+eventTime), r.budget.optional(m+eventObjectID), r.budget.optional(m+eventSensorStr)
	e.OtherAttrs, e.VideoPath = r.budget.optional(m+l.otherAttrs), r.budget.optional(m+l.videoPath)
	if u32(m+l.extMsgSize) != 0 {
		r.attributes(word(m+l.extMsg), e.ObjectType, &e.Ext)
	}
	e.Pose.Type = event.PoseType(i32(m + l.pose + jointsKind))
	joints, n := word(m+l.pose), min(i32(m+l.pose+jointsCount), maxJoints)
	for i := int32(0); joints != 0 && i < n; i++ {
		e.Pose.Joints = append(e.Pose.Joints, *(*event.Joint)(at(joints + uintptr(i)*jointSize)))
	}
	e.Embedding = append(e.Embedding, numbers[float32](&r.budget, word(m+l.embedding), u32(m+l.embedding+embeddingLength))...)
	e.Visibility = f32(m + l.visibility)
	if *(*byte)(at(m + l.has3D)) != 0 {
		e.Has3D = true
		e.Tracking3D.WorldFeet = *(*[2]float32)(at(m + l.worldFeet))
		e.Tracking3D.ImageFeet = *(*[2]float32)(at(m + l.imageFeet))
		points := min(u32(m+l.hull+hullCount), maxNumbers)
		e.Tracking3D.Hull = append(e.Tracking3D.Hull, numbers[int32](&r.budget, word(m+l.hull), 2*points)...)
	}
}

// objectType maps NvDsObjectType, in which some numbers changed their meaning.
func (l *Layout) objectType(t int32) event.ObjectType {
	switch t {
	case l.productType:
		return event.Product
	case l.productType + 1:
		return event.ProductExt
	case int32(event.Product), int32(event.ProductExt): // of a later release
		return event.Unknown
	}
	return event.ObjectType(t)
}

func (r *Reader) attributes(m uintptr, t event.ObjectType, x *event.Ext) {
	if m == 0 {
		x.Kind = event.ExtMissing
		return
	}
	mask := uintptr(0)
	switch t {
	case event.Vehicle, event.VehicleExt:
		x.Kind = event.ExtVehicle
		x.VehicleType, x.Make, x.Model = r.budget.optional(m+vehicleType), r.budget.optional(m+vehicleMake), r.budget.optional(m+vehicleModel)
		x.Color, x.Region, x.License = r.budget.optional(m+vehicleColor), r.budget.optional(m+vehicleRegion), r.budget.optional(m+vehicleLicense)
		mask = vehicleMask
	case event.Person, event.PersonExt:
		x.Kind = event.ExtPerson
		x.Gender, x.Hair, x.Cap = r.budget.optional(m+personGender), r.budget.optional(m+personHair), r.budget.optional(m+personCap)
		x.Apparel, x.Age = r.budget.optional(m+personApparel), u32(m+personAge)
		mask = personMask
	case event.Face, event.FaceExt:
		x.Kind = event.ExtFace
		x.Gender, x.Hair, x.Cap = r.budget.optional(m+faceGender), r.budget.optional(m+faceHair), r.budget.optional(m+faceCap)
		x.Glasses, x.FacialHair = r.budget.optional(m+faceGlasses), r.budget.optional(m+faceFacialHair)
		x.Name, x.EyeColor, x.Age = r.budget.optional(m+faceName), r.budget.optional(m+faceEyeColor), u32(m+faceAge)
		mask = faceMask
	case event.Product, event.ProductExt:
		x.Kind = event.ExtProduct
		x.Brand, x.ProductType, x.Shape = r.budget.optional(m+productBrand), r.budget.optional(m+productKind), r.budget.optional(m+productShape)
		mask = productMask
	default:
		x.Kind = event.ExtOther
		return
	}
	switch t {
	case event.VehicleExt, event.PersonExt, event.FaceExt, event.ProductExt:
		r.mask(word(m+mask), x)
	}
}

// mask reads a GList of GArrays of double.
func (r *Reader) mask(head uintptr, x *event.Ext) {
	for l := newList(head, &r.budget); ; {
		array, ok := l.next()
		if !ok {
			return
		}
		p := x.AddPolygon()
		*p = append(*p, numbers[float64](&r.budget, word(array), u32(array+arrayLen))...)
	}
}

// maxPayloads is what the payloads of a batch may be together, in bytes.
const maxPayloads = 256 << 20

// Sealed is a payload that hangs on a frame or on the batch.
type Sealed struct {
	User    uintptr // the NvDsUserMeta
	Release uintptr // its release_func: whose it is
	Data    []byte  // foreign memory
	Comp    uint32
}

// Payloads calls f with every NvDsPayload of a batch: those of its frames, and
// then its own, until f answers false. It needs no Layout, because all that it
// reads is the same in every release. A payload of more than 16 MiB is none: no broker takes it, and half of it would be a
// wrong message. It is left out, as is what goes beyond maxPayloads; Refused counts them.
func (r *Reader) Payloads(batch uintptr, f func(Sealed) bool) {
	r.budget = budget{left: maxMetas, bytes: maxPayloads}
	r.refused = 0
	for l := newList(word(batch+batchFrames), &r.budget); ; {
		addr, ok := l.next()
		if !ok {
			break
		}
		frame := Frame{Addr: addr}
		if kind := i32(addr + baseType); kind != typeFrame {
			// The number of the audio frame's type changed from release to release:
			// the pool that it is from names it, and its size.
			pool := word(batch + batchFramePool)
			if pool == 0 || kind != i32(pool+poolType) || u32(pool+poolElementSize) != audioSize {
				continue
			}
			frame.Audio = true
		}
		if !r.payloads(word(frame.userMetas()), f) {
			return
		}
	}
	r.payloads(word(batch+batchUserMetas), f)
}

func (r *Reader) payloads(head uintptr, f func(Sealed) bool) bool {
	for l := newList(head, &r.budget); ; {
		addr, ok := l.next()
		if !ok {
			return true
		}
		if i32(addr+baseType) != typePayload {
			continue
		}
		p := word(addr + userData)
		if p == 0 {
			continue
		}
		data, size := word(p+payloadData), u32(p+payloadSize)
		if data == 0 || size == 0 {
			continue
		}
		if size > maxMessage || !r.budget.take(int(size)) {
			r.refused++
			continue
		}
		if !f(Sealed{User: addr, Release: word(addr + baseRelease), Data: unsafe.Slice((*byte)(at(data)), int(size)), Comp: u32(p + payloadComponent)}) {
			return false
		}
	}
}
