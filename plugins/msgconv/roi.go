// SPDX-License-Identifier: LGPL-2.1-or-later

package msgconv

/*
#cgo pkg-config: gstreamer-1.0 gstreamer-video-1.0
#cgo CFLAGS: -std=gnu11 -Wall -Wextra -I${SRCDIR}/../../internal/nvdssdk
#include "roi.h"
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
	list      *C.EwRoiList // made when first needed, freed by free
	analytics analyticsReader
	spare     event.Object // a region that describes an object that is there already
}

// collect looks at the buffer's metas. It gives the address of DeepStream's
// batch if there is one, which counts alone then. The regions are left out if
// nobody wants them.
func (r *roiReader) collect(b gst.Buffer, regions bool) (batch uintptr) {
	if r.list == nil {
		r.list = C.ew_roi_list_new()
	}
	want := C.gboolean(C.FALSE)
	if regions {
		want = C.TRUE
	}
	C.ew_roi_collect(C.gpointer(b.Pointer()), r.list, want)
	return uintptr(r.list.nvds)
}

// noRegions is the C function that tells a buffer without anything to convert.
func noRegions() unsafe.Pointer { return unsafe.Pointer(C.ew_roi_none) }

// empty reports whether collect has found neither a region nor analytics metadata.
func (r *roiReader) empty() bool { return r.list.n_rois == 0 && !r.foundAnalytics() }

// read appends the objects of the analytics metadata and the regions that collect
// has found to f, and sets its time if the buffer has a reference timestamp. The
// strings in f are views into the buffer's metas.
func (r *roiReader) read(f *event.Frame, labels labelMap) {
	if r.list.unix_ns != 0 {
		f.Time = time.Unix(0, int64(r.list.unix_ns))
	}
	if r.foundAnalytics() {
		r.analytics.read(r.list.analytics, f)
		defer r.analytics.name(r.list.analytics, f, labels) // what the regions add is known then
	}
	rois := unsafe.Slice(r.list.rois, int(r.list.n_rois))
	params := unsafe.Slice(r.list.params, int(r.list.n_params))
	for i := range rois {
		roi := &rois[i]
		if twin, a := r.twin(f, i, roi); twin != nil {
			r.spare.Reset()
			object(&r.spare, roi, params[:roi.n_params], labelMap{})
			merge(twin, &r.spare, a)
		} else {
			object(f.AddObject(), roi, params[:roi.n_params], labels)
		}
		params = params[roi.n_params:]
	}
}

// free gives the memory back; read makes new.
func (r *roiReader) free() {
	C.ew_roi_list_free(r.list)
	r.list = nil
}

func object(o *event.Object, roi *C.EwRoi, params []C.EwRoiParam, labels labelMap) {
	o.Label = view(roi._type)
	o.Box = event.Box{Left: float32(roi.x), Top: float32(roi.y), Width: float32(roi.w), Height: float32(roi.h)}
	if roi.id > 0 {
		o.ID = uint64(roi.id)
	}
	hasClass := false
	for i := range params {
		p := &params[i]
		switch {
		case p.kind == C.EW_PARAM_DETECTION:
			if p.has_confidence != 0 {
				o.Confidence, o.HasConfidence = float32(p.confidence), true
			}
			if p.has_class_id != 0 {
				o.ClassID, hasClass = int32(p.class_id), true
			}
			if p.label.text != nil {
				o.Label = view(p.label)
			}
			if p.has_id != 0 {
				o.ID = uint64(p.id)
			}
		case p.kind == C.EW_PARAM_TRACKING:
			if p.has_id != 0 {
				o.ID = uint64(p.id)
			}
		case p.label.text != nil:
			kind := view(p.name)
			if p.attribute.text != nil {
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

func view(t C.EwText) string {
	return unsafe.String((*byte)(unsafe.Pointer(t.text)), int(t.len))
}
