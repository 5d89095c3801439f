// SPDX-License-Identifier: LGPL-2.1-or-later

package msg2p

/*
#include "msg2p.h"
#include <stdlib.h>
*/
import "C"

import (
	"math"
	"time"
	"unicode/utf8"
	"unsafe"

	"github.com/gst-edgewire/gst-edgewire/pkg/event"
)

// A Builder makes DeepStream's metadata of a frame, in C memory that it keeps for the next one.
type Builder struct {
	chunks [][]byte // C memory
	chunk  int      // that is being filled
	used   int      // of it
	time   []byte
}

const chunkSize = 256 << 10

// Reset gives the memory of the last frame up.
func (b *Builder) Reset() { b.chunk, b.used = 0, 0 }

// Close frees all memory.
func (b *Builder) Close() {
	for _, c := range b.chunks {
		C.free(unsafe.Pointer(unsafe.SliceData(c)))
	}
	*b = Builder{}
}

// bytes gives n zeroed bytes, aligned for anything.
func (b *Builder) bytes(n int) unsafe.Pointer {
	n = (n + 15) &^ 15
	for b.chunk < len(b.chunks) && b.used+n > len(b.chunks[b.chunk]) {
		b.chunk, b.used = b.chunk+1, 0
	}
	if b.chunk == len(b.chunks) {
		size := max(n, chunkSize)
		b.chunks = append(b.chunks, unsafe.Slice((*byte)(C.malloc(C.size_t(size))), size)) // cgo's malloc does not return without memory
		b.used = 0
	}
	m := b.chunks[b.chunk][b.used : b.used+n]
	b.used += n
	clear(m)
	return unsafe.Pointer(unsafe.SliceData(m))
}

func alloc[T any](b *Builder) *T {
	var t T
	return (*T)(b.bytes(int(unsafe.Sizeof(t))))
}

// text copies a text; a NUL inside of it ends it.
func (b *Builder) text(s string) *C.gchar {
	p := b.bytes(len(s) + 1)
	copy(unsafe.Slice((*byte)(p), len(s)), s)
	return (*C.gchar)(p)
}

// optional is NULL for an absent text.
func (b *Builder) optional(s event.String) *C.gchar {
	if !s.Set {
		return nil
	}
	return b.text(s.Value)
}

// label fills an array of a label: what does not fit is cut, between characters.
func label(dst *[128]C.gchar, s string) (whole bool) {
	n := min(len(s), len(dst)-1)
	for n < len(s) && n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	for i := range n {
		dst[i] = C.gchar(s[i])
	}
	return n == len(s)
}

// link appends an element to a list whose end is *tail.
func (b *Builder) link(head, tail **C.GList, data unsafe.Pointer) {
	l := alloc[C.GList](b)
	l.data = C.gpointer(data)
	if *tail == nil {
		*head = l
	} else {
		(*tail).next, l.prev = l, *tail
	}
	*tail = l
}

func (b *Builder) stamp(t time.Time) *C.gchar {
	b.time = t.UTC().AppendFormat(b.time[:0], "2006-01-02T15:04:05.000Z")
	return b.text(unsafe.String(unsafe.SliceData(b.time), len(b.time)))
}

// Event makes an NvDsEventMsgMeta of an event that was made of a detection (event.Frame.EventsFromObjects).
func (b *Builder) Event(f *event.Frame, e *event.Event, o *event.Object) Event {
	m := alloc[C.NvDsEventMsgMeta](b)
	m._type, m.objType = C.NvDsEventType(e.Type), C.NvDsObjectType(e.ObjectType)
	m.bbox = C.NvDsRect{top: C.float(e.Box.Top), left: C.float(e.Box.Left), width: C.float(e.Box.Width), height: C.float(e.Box.Height)}
	m.objClassId = C.gint(e.ClassID)
	m.sensorId, m.moduleId, m.placeId = C.gint(e.Sensor), C.gint(e.Module), C.gint(e.Place)
	m.componentId, m.frameId = C.gint(e.ComponentID), C.gint(e.FrameID)
	m.confidence, m.trackingId = C.gdouble(e.Confidence), C.guint64(e.TrackingID)
	m.ts = b.stamp(f.Time)
	m.objectId = b.text(o.Label)
	m.sensorStr = b.sensor(f)
	m.otherAttrs, m.videoPath = b.optional(e.OtherAttrs), b.optional(e.VideoPath)
	b.attributes(m, &e.Ext)
	return EventAt(int32(e.Type), uintptr(unsafe.Pointer(m)))
}

// Dummy makes the event of a frame without any (dummy-payload). What it fills is at the same place in every
// release, and what not is zero, so that it serves libraries of each.
func (b *Builder) Dummy(f *event.Frame) Event {
	m := alloc[C.NvDsEventMsgMeta](b)
	m.objType = C.NVDS_OBJECT_TYPE_DUMMY
	m.sensorId, m.moduleId, m.placeId = C.gint(f.Source), C.gint(f.Source), C.gint(f.Source)
	m.frameId = C.gint(f.Num)
	m.ts, m.sensorStr = b.stamp(f.Time), b.sensor(f)
	return EventAt(int32(m._type), uintptr(unsafe.Pointer(m)))
}

func (b *Builder) sensor(f *event.Frame) *C.gchar {
	if f.SensorID == "" {
		return nil
	}
	return b.text(f.SensorID)
}

func (b *Builder) attributes(m *C.NvDsEventMsgMeta, x *event.Ext) {
	switch x.Kind {
	case event.ExtVehicle:
		v := alloc[C.NvDsVehicleObject](b)
		v._type, v.make, v.model = b.optional(x.VehicleType), b.optional(x.Make), b.optional(x.Model)
		v.color, v.region, v.license = b.optional(x.Color), b.optional(x.Region), b.optional(x.License)
		m.extMsg, m.extMsgSize = unsafe.Pointer(v), C.sizeof_NvDsVehicleObject
	case event.ExtPerson:
		p := alloc[C.NvDsPersonObject](b)
		p.gender, p.hair, p.cap = b.optional(x.Gender), b.optional(x.Hair), b.optional(x.Cap)
		p.apparel, p.age = b.optional(x.Apparel), C.guint(x.Age)
		m.extMsg, m.extMsgSize = unsafe.Pointer(p), C.sizeof_NvDsPersonObject
	case event.ExtFace:
		p := alloc[C.NvDsFaceObject](b)
		p.gender, p.hair, p.cap = b.optional(x.Gender), b.optional(x.Hair), b.optional(x.Cap)
		p.glasses, p.facialhair, p.name = b.optional(x.Glasses), b.optional(x.FacialHair), b.optional(x.Name)
		p.eyecolor, p.age = b.optional(x.EyeColor), C.guint(x.Age)
		m.extMsg, m.extMsgSize = unsafe.Pointer(p), C.sizeof_NvDsFaceObject
	case event.ExtProduct:
		p := alloc[C.NvDsProductObject](b)
		p.brand, p._type, p.shape = b.optional(x.Brand), b.optional(x.ProductType), b.optional(x.Shape)
		m.extMsg, m.extMsgSize = unsafe.Pointer(p), C.sizeof_NvDsProductObject
	}
}

// Frame makes an NvDsFrameMeta, in a batch of its own, with an NvDsObjectMeta for each object, whose addresses
// are appended to dst.
func (b *Builder) Frame(f *event.Frame, dst []uintptr) (frame uintptr, objects []uintptr) {
	batch := alloc[C.NvDsBatchMeta](b)
	batch.base_meta.meta_type = C.NVDS_BATCH_META
	batch.max_frames_in_batch, batch.num_frames_in_batch = 1, 1
	m := alloc[C.NvDsFrameMeta](b)
	m.base_meta.batch_meta, m.base_meta.meta_type = batch, C.NVDS_FRAME_META
	var tail *C.GList
	b.link(&batch.frame_meta_list, &tail, unsafe.Pointer(m))
	m.frame_num = C.gint(f.Num)
	m.buf_pts = math.MaxUint64 // GST_CLOCK_TIME_NONE
	if f.HasPTS {
		m.buf_pts = C.guint64(f.PTS)
	}
	m.ntp_timestamp = C.guint64(f.Time.UnixNano())
	m.source_id, m.pad_index = C.guint(f.Source), C.guint(f.Source)
	m.num_surfaces_per_frame, m.bInferDone = 1, C.TRUE
	m.source_frame_width, m.source_frame_height = C.guint(f.SourceWidth), C.guint(f.SourceHeight)
	m.pipeline_width, m.pipeline_height = C.gint(f.PipelineWidth), C.gint(f.PipelineHeight)
	m.sensorInfo_meta.source_id = C.guint(f.Source)
	m.sensorInfo_meta.sensor_id = b.sensor(f)
	m.num_obj_meta = C.guint(len(f.Objects))
	tail = nil
	for i := range f.Objects {
		o := b.object(batch, &f.Objects[i])
		b.link(&m.obj_meta_list, &tail, unsafe.Pointer(o))
		dst = append(dst, uintptr(unsafe.Pointer(o)))
	}
	return uintptr(unsafe.Pointer(m)), dst
}

func (b *Builder) object(batch *C.NvDsBatchMeta, o *event.Object) *C.NvDsObjectMeta {
	m := alloc[C.NvDsObjectMeta](b)
	m.base_meta.batch_meta, m.base_meta.meta_type = batch, C.NVDS_OBJ_META
	m.class_id, m.object_id = C.gint(o.ClassID), C.guint64(o.ID)
	m.confidence = C.gfloat(o.Score())
	box := C.NvBbox_Coords{left: C.float(o.Box.Left), top: C.float(o.Box.Top), width: C.float(o.Box.Width), height: C.float(o.Box.Height)}
	m.detector_bbox_info = box
	m.rect_params.left, m.rect_params.top, m.rect_params.width, m.rect_params.height = box.left, box.top, box.width, box.height
	label(&m.obj_label, o.Label)
	m.text_params.display_text = b.text(o.Label)
	var tail *C.GList
	for i := range o.Classifications {
		c := &o.Classifications[i]
		cm := alloc[C.NvDsClassifierMeta](b)
		cm.base_meta.batch_meta, cm.base_meta.meta_type = batch, C.NVDS_CLASSIFIER_META
		cm.num_labels = C.guint(len(c.Labels))
		cm.classifier_type = b.text(c.Type)
		var last *C.GList
		for j := range c.Labels {
			lm := alloc[C.NvDsLabelInfo](b)
			lm.base_meta.batch_meta, lm.base_meta.meta_type = batch, C.NVDS_LABEL_INFO_META
			if !label(&lm.result_label, c.Labels[j].Label) {
				lm.pResult_label = b.text(c.Labels[j].Label)
			}
			lm.result_prob = C.gfloat(c.Labels[j].Prob)
			b.link(&cm.label_info_list, &last, unsafe.Pointer(lm))
		}
		b.link(&m.classifier_meta_list, &tail, unsafe.Pointer(cm))
	}
	return m
}
