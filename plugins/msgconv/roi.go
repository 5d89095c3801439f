// SPDX-License-Identifier: LGPL-2.1-or-later

package msgconv

/*
#cgo pkg-config: gstreamer-1.0 gstreamer-video-1.0
#cgo CFLAGS: -std=gnu11 -Wall -Wextra -Werror
#include "roi.h"
#include <string.h>
*/
import "C"

import (
	"time"
	"unsafe"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	"github.com/gst-edgewire/gst-edgewire/pkg/event"
)

// roiReader turns the regions of interest on a buffer into a frame's objects.
//
// The region's own parameter structures are read as the open detectors write
// them (DL Streamer, gst-plugins-bad, Python):
//
//   - "detection", or one named like the region's type: confidence (or score)
//     and class number (label_id) of the object itself, label its class name;
//   - "object_id": its tracking id;
//   - any other with a label: a classification, its type is attribute_name or
//     else the structure's name.
type roiReader struct {
	rois   []C.EwRoi
	params []C.EwRoiParam
}

// read appends the buffer's regions to f, and sets its time if the buffer has
// a reference timestamp. The strings in f are views into the buffer's metas.
func (r *roiReader) read(b gst.Buffer, f *event.Frame, labels labelMap) {
	if r.rois == nil {
		r.rois = make([]C.EwRoi, 64)
		r.params = make([]C.EwRoiParam, 128)
	}
	var count C.EwRoiCount
	for {
		C.ew_roi_collect(C.gpointer(b.Pointer()), &r.rois[0], C.guint(len(r.rois)),
			&r.params[0], C.guint(len(r.params)), &count)
		if int(count.rois) <= len(r.rois) && int(count.params) <= len(r.params) {
			break
		}
		r.rois = make([]C.EwRoi, 2*max(int(count.rois), len(r.rois)))
		r.params = make([]C.EwRoiParam, 2*max(int(count.params), len(r.params)))
	}
	if count.unix_ns != 0 {
		f.Time = time.Unix(0, int64(count.unix_ns))
	}
	next := 0
	for i := range r.rois[:count.rois] {
		roi := &r.rois[i]
		params := r.params[next : next+int(roi.n_params)]
		next += int(roi.n_params)
		object(f.AddObject(), roi, params, labels)
	}
}

func object(o *event.Object, roi *C.EwRoi, params []C.EwRoiParam, labels labelMap) {
	typ := view(roi._type)
	o.Label = typ
	o.Box = event.Box{Left: float32(roi.x), Top: float32(roi.y), Width: float32(roi.w), Height: float32(roi.h)}
	if roi.id > 0 {
		o.ID = uint64(roi.id)
	}
	hasClass := false
	for i := range params {
		p := &params[i]
		switch name := view(p.name); {
		case name == "detection" || name == typ:
			if p.has_confidence != 0 {
				o.Confidence, o.HasConfidence = float32(p.confidence), true
			}
			if p.has_class_id != 0 {
				o.ClassID, hasClass = int32(p.class_id), true
			}
			if p.label != nil {
				o.Label = view(p.label)
			}
			if p.has_id != 0 {
				o.ID = uint64(p.id)
			}
		case name == "object_id" || name == "object-id" || name == "tracking":
			if p.has_id != 0 {
				o.ID = uint64(p.id)
			}
		case p.label != nil:
			kind := name
			if p.attribute != nil {
				kind = view(p.attribute)
			}
			prob := float32(1)
			if p.has_confidence != 0 {
				prob = float32(p.confidence)
			}
			o.AddClassification(kind).AddLabel(view(p.label), prob)
		}
	}
	o.Label = labels.name(o.Label, o.ClassID, hasClass)
}

func view(s *C.char) string {
	if s == nil {
		return ""
	}
	return unsafe.String((*byte)(unsafe.Pointer(s)), int(C.strlen(s)))
}
