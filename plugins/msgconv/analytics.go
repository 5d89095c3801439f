// SPDX-License-Identifier: LGPL-2.1-or-later

package msgconv

/*
#include "roi.h"
*/
import "C"

import (
	"math"
	"strconv"
	"unsafe"

	"github.com/gst-edgewire/gst-edgewire/internal/outline"
	"github.com/gst-edgewire/gst-edgewire/pkg/event"
)

// analyticsReader turns a buffer's GstAnalyticsRelationMeta, as analytics.c has
// flattened it, into a frame's objects.
type analyticsReader struct {
	outlines  bool // they are wanted: of the schemas, the built-in ones of events have a place for them
	tracer    outline.Tracer
	ids       []uint32
	rects     []outline.Rect
	fromMasks int    // objects that are a mask's regions; they follow the others
	missing   string // told on the bus, once
}

// foundAnalytics reports whether collect has seen metadata that may become an object.
func (r *roiReader) foundAnalytics() bool {
	a := r.list.analytics
	return a != nil && a.n_objects+a.n_masks > 0
}

// missing names the function for want of which analytics metadata cannot be
// read, the first time that it is asked; "" for none.
func (r *roiReader) missing() string {
	a := r.list.analytics
	if a == nil || a.missing == nil || r.analytics.missing != "" {
		return ""
	}
	r.analytics.missing = C.GoString(a.missing)
	return r.analytics.missing
}

// read appends the objects to f. The first of them are those of list.objects,
// in their order.
func (r *analyticsReader) read(list *C.EwAnList, f *event.Frame) {
	objects := unsafe.Slice(list.objects, int(list.n_objects))
	results := unsafe.Slice(list.results, int(list.n_results))
	points := unsafe.Slice(list.points, int(list.n_points))
	for i := range objects {
		a, o := &objects[i], f.AddObject()
		describe(a, o, f)
		classify(o, a, results[:a.n_results])
		pose(&o.Pose, points[:a.n_points])
		results, points = results[a.n_results:], points[a.n_points:]
	}
	r.masks(list, f)
	r.fromMasks = len(f.Objects) - len(objects)
	for i := range objects {
		if o := &f.Objects[i]; r.outlines && len(o.Mask) == 0 {
			corners(&objects[i], o)
		}
	}
}

func describe(a *C.EwAnObject, o *event.Object, f *event.Frame) {
	if a.frame != 0 {
		o.Box = event.Box{Width: float32(f.PipelineWidth), Height: float32(f.PipelineHeight)}
		return
	}
	o.Label = view(a.label)
	o.Box = event.Box{Left: float32(a.x), Top: float32(a.y), Width: max(0, float32(a.w)), Height: max(0, float32(a.h))}
	if a.confidence >= 0 {
		o.Confidence, o.HasConfidence = float32(a.confidence), true
	}
	if a.has_id != 0 {
		o.ID = uint64(a.id)
	}
	if a.has_class != 0 {
		o.ClassID = int32(a.class_id)
	}
}

// classify adds what was classified. GStreamer's metadata does not say what a
// classification is about.
func classify(o *event.Object, a *C.EwAnObject, results []C.EwAnResult) {
	for i := range results {
		res := &results[i]
		if a.frame != 0 { // the picture is the object
			o.Label = view(res.label)
			if res.level >= 0 {
				o.Confidence, o.HasConfidence = float32(res.level), true
			}
			return
		}
		prob := float32(res.level)
		if prob < 0 {
			prob = 1
		}
		kind := &classificationNames
		if res.text != 0 {
			kind = &textNames
		}
		o.AddClassification(unused(o, kind)).AddLabel(view(res.label), prob)
	}
}

// The types of the classifications of one object: a schema has one value for each.
var (
	classificationNames = numbered("classification")
	textNames           = numbered("text")
)

func numbered(kind string) (names [16]string) {
	names[0] = kind
	for i := 1; i < len(names); i++ {
		names[i] = kind + strconv.Itoa(i+1)
	}
	return names
}

// unused gives the first of the names that the object has no classification of; the last if there is none.
func unused(o *event.Object, names *[16]string) string {
	n := 0
	for i := range o.Classifications {
		if o.Classifications[i].Type == names[n] && n < len(names)-1 {
			n++
		}
	}
	return names[n]
}

// The places of COCO's 17 key points among the joints of event.Pose2D. COCO has
// no neck.
var coco17 = [...]int{0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10}

// pose makes a skeleton of 17 points (COCO's order) or 18 (OpenPose's, which is
// that of Pose2D). The schemas have no place for other points.
func pose(p *event.Pose, points []C.EwAnPoint) {
	n := len(event.JointNames(event.Pose2D))
	if len(points) != len(coco17) && len(points) != n {
		return
	}
	p.Type = event.Pose2D
	for range n {
		p.Joints = append(p.Joints, event.Joint{})
	}
	for i := range points {
		at := i
		if len(points) == len(coco17) {
			at = coco17[i]
		}
		pt := &points[i]
		p.Joints[at] = event.Joint{X: float32(pt.x), Y: float32(pt.y), Confidence: float32(pt.confidence)}
	}
}

// corners makes a rotated rectangle the outline of its object.
func corners(a *C.EwAnObject, o *event.Object) {
	if a.rotation == 0 || a.rw <= 0 || a.rh <= 0 {
		return
	}
	sin, cos := math.Sincos(float64(a.rotation))
	w, h := float64(a.rw)/2, float64(a.rh)/2
	cx, cy := float64(a.rx)+w, float64(a.ry)+h
	p := o.AddPolygon()
	for _, c := range [...][2]float64{{-w, -h}, {w, -h}, {w, h}, {-w, h}} {
		*p = append(*p, round(cx+c[0]*cos-c[1]*sin), round(cy+c[0]*sin+c[1]*cos))
	}
}

// round keeps eighths of a pixel, which have a short decimal notation.
func round(v float64) float64 { return math.Round(v*8) / 8 }

// masks outlines the objects that have a mask, and makes objects of the regions
// of those masks that stand by themselves.
func (r *analyticsReader) masks(list *C.EwAnList, f *event.Frame) {
	regions := unsafe.Slice(list.regions, int(list.n_regions))
	masks := unsafe.Slice(list.masks, int(list.n_masks))
	for i := range masks {
		c := &masks[i]
		m := outline.Mask{Width: int(c.width), Height: int(c.height), Stride: int(c.stride), Bytes: int(c.bytes), BigEndian: c.big != 0}
		m.Data = unsafe.Slice((*byte)(unsafe.Pointer(c.data)), m.Stride*(m.Height-1)+m.Width*m.Bytes)
		if c.object >= 0 {
			if r.outlines {
				r.outline(&f.Objects[c.object], c, &m, outline.Any, m.Foreground())
			}
			continue
		}
		r.regions(f, c, &m, regions[:c.n_regions])
		regions = regions[c.n_regions:]
	}
	C.ew_analytics_unmap(list)
}

// mostPasses is how many times a mask is gone over for the outlines of its regions, of which each takes a pass over
// its box: thousands that lie all over the picture, as in noise, would take minutes.
const mostPasses = 16

func (r *analyticsReader) regions(f *event.Frame, c *C.EwAnMask, m *outline.Mask, regions []C.EwAnRegion) {
	r.ids = r.ids[:0]
	for i := range regions {
		r.ids = append(r.ids, uint32(regions[i].id))
	}
	r.rects = m.Rects(r.ids, r.rects[:0])
	work := 0
	if r.outlines {
		work = mostPasses * m.Width * m.Height
	}
	for i, rect := range r.rects {
		label := view(regions[i].label)
		if rect.Empty() || label == "background" || label == "" && r.ids[i] == 0 {
			continue
		}
		o := f.AddObject()
		o.Label, o.ClassID = label, int32(i)
		if regions[i].level >= 0 {
			o.Confidence, o.HasConfidence = float32(regions[i].level), true
		}
		x0, y0 := place(c, m, float64(rect.X0), float64(rect.Y0))
		x1, y1 := place(c, m, float64(rect.X1), float64(rect.Y1))
		o.Box = event.Box{Left: float32(x0), Top: float32(y0), Width: float32(x1 - x0), Height: float32(y1 - y0)}
		if area := (rect.X1 - rect.X0) * (rect.Y1 - rect.Y0); area <= work {
			work -= area
			r.outline(o, c, m, r.ids[i], rect)
		}
	}
}

// place gives a point of the mask in the picture's coordinates.
func place(c *C.EwAnMask, m *outline.Mask, x, y float64) (float64, float64) {
	w, h := float64(c.w), float64(c.h)
	if c.w == 0 || c.h == 0 { // nobody said: a pixel for a pixel
		w, h = float64(m.Width), float64(m.Height)
	}
	return round(float64(c.x) + x*w/float64(m.Width)), round(float64(c.y) + y*h/float64(m.Height))
}

func (r *analyticsReader) outline(o *event.Object, c *C.EwAnMask, m *outline.Mask, id uint32, rect outline.Rect) {
	for _, polygon := range r.tracer.Polygons(m, id, rect) {
		p := o.AddPolygon()
		for i := 0; i < len(polygon); i += 2 {
			x, y := place(c, m, polygon[i], polygon[i+1])
			*p = append(*p, x, y)
		}
	}
}

// twin finds the object of the analytics metadata that the region of interest
// number i describes too: DL Streamer and others write both. Both come in the same
// order, mostly.
func (r *roiReader) twin(f *event.Frame, i int, roi *C.EwRoi) (*event.Object, *C.EwAnObject) {
	if !r.foundAnalytics() {
		return nil, nil
	}
	objects := unsafe.Slice(r.list.analytics.objects, int(r.list.analytics.n_objects))
	if i < len(objects) && twins(&objects[i], roi) {
		return &f.Objects[i], &objects[i]
	}
	for k := range objects {
		if twins(&objects[k], roi) {
			return &f.Objects[k], &objects[k]
		}
	}
	return nil, nil
}

// twins reports whether a region describes the same object: the same rectangle, and
// its id or its type tells so.
func twins(a *C.EwAnObject, roi *C.EwRoi) bool {
	if a.frame != 0 || a.x != C.gint(roi.x) || a.y != C.gint(roi.y) || a.w != C.gint(roi.w) || a.h != C.gint(roi.h) {
		return false
	}
	return roi.id >= 0 && C.guint(roi.id) == a.mtd || view(a.label) == view(roi._type)
}

// merge adds to an object what only its region of interest says, and takes the
// region's classifications instead of the object's, since they have a type.
func merge(o, region *event.Object, a *C.EwAnObject) {
	// A region's id is the object's number in the metadata, unless it is a tracker's.
	if a.has_id == 0 && region.ID != uint64(a.mtd) {
		o.ID = region.ID
	}
	if !o.HasConfidence {
		o.Confidence, o.HasConfidence = region.Confidence, region.HasConfidence
	}
	if a.has_class == 0 && region.ClassID != 0 {
		o.ClassID, a.has_class = region.ClassID, 1
	}
	if o.Label == "" {
		o.Label = region.Label
	}
	if len(region.Classifications) > 0 {
		o.Classifications, region.Classifications = region.Classifications, o.Classifications
	}
}

// name applies the label map to the objects of the analytics metadata.
func (r *analyticsReader) name(list *C.EwAnList, f *event.Frame, labels labelMap) {
	objects := unsafe.Slice(list.objects, int(list.n_objects))
	for i := range f.Objects[:len(objects)+r.fromMasks] {
		o := &f.Objects[i]
		o.Label = labels.name(o.Label, o.ClassID, i >= len(objects) || objects[i].has_class != 0)
	}
}
