// SPDX-License-Identifier: LGPL-2.1-or-later

// Package event is the model of what a pipeline sees: a Frame with the Objects that were detected in it
// and the Events that an application made of them. Readers fill it from buffer metadata and encoders
// (pkg/payload) turn it into messages.
//
// A Frame is meant to be reused: Reset, AddObject and AddEvent keep the memory of earlier frames, so that
// in the steady state nothing is allocated. Strings and byte slices are kept as given; whoever fills a
// Frame from foreign memory keeps that memory alive until the Frame has been encoded.
package event

import "time"

// Box is a rectangle in pixels, in the coordinates of the pipeline's picture.
type Box struct {
	Left, Top, Width, Height float32
}

// Frame is one picture with what was found in it.
type Frame struct {
	// Num is the frame number, counted from 0 by its source.
	Num uint64
	// Source is the number of the source. It is also the row of the sensor, place and analytics
	// descriptions that belong to the frame's objects.
	Source int
	// Time is the wall-clock time of the picture; zero when unknown.
	Time time.Time
	// PTS is the presentation time in the stream; valid when HasPTS is set.
	PTS    time.Duration
	HasPTS bool
	// SourceWidth and SourceHeight are the size, in pixels, of the picture as the source gave it;
	// PipelineWidth and PipelineHeight that of the picture which the boxes refer to. 0 means unknown.
	SourceWidth, SourceHeight     int
	PipelineWidth, PipelineHeight int
	// SensorID names the source when no configuration describes it; may be "".
	SensorID string
	// Objects are plain detections (the frame API of nvmsgconv).
	Objects []Object
	// Events are detections with their meaning (the event API of nvmsgconv).
	Events []Event
	// EmitEmpty asks for a message even if there are no events (nvmsgconv's dummy-payload).
	EmitEmpty bool
	// Custom holds free-form messages that travel with the frame.
	Custom [][]byte
}

// Reset empties the frame and keeps the memory of its slices.
func (f *Frame) Reset() {
	clear(f.Custom) // drop references to foreign memory
	*f = Frame{Objects: f.Objects[:0], Events: f.Events[:0], Custom: f.Custom[:0]}
}

// AddObject appends an empty object and returns it. The pointer is valid until the next AddObject.
func (f *Frame) AddObject() *Object {
	f.Objects = extend(f.Objects)
	o := &f.Objects[len(f.Objects)-1]
	o.Reset()
	return o
}

// AddEvent appends an empty event and returns it. The pointer is valid until the next AddEvent.
func (f *Frame) AddEvent() *Event {
	f.Events = extend(f.Events)
	e := &f.Events[len(f.Events)-1]
	e.Reset()
	return e
}

// Object is one detection.
type Object struct {
	ID      uint64 // tracking id; 0 when there is no tracker
	ClassID int32  // number of the class in its detector
	Label   string // name of the class
	// Confidence of the detector, usually 0 to 1. Valid when HasConfidence is set; a detector that gives
	// none counts as certain (1).
	Confidence      float32
	HasConfidence   bool
	Box             Box
	Classifications []Classification
	Pose            Pose        // only the schemas' events have one
	Mask            [][]float64 // outline: polygons, each x, y, x, y … in the picture's pixels; in the schemas' events
}

// Score returns the confidence, or 1 when the detector gives none.
func (o *Object) Score() float32 {
	if o.HasConfidence {
		return o.Confidence
	}
	return 1
}

// Reset empties the object and keeps the memory of its slices.
func (o *Object) Reset() {
	*o = Object{Classifications: o.Classifications[:0], Pose: Pose{Joints: o.Pose.Joints[:0]}, Mask: o.Mask[:0]}
}

// AddPolygon appends an empty polygon to the mask and returns it; append the numbers to it.
func (o *Object) AddPolygon() *[]float64 { return addPolygon(&o.Mask) }

func addPolygon(mask *[][]float64) *[]float64 {
	*mask = extend(*mask)
	p := &(*mask)[len(*mask)-1]
	*p = (*p)[:0]
	return p
}

// AddClassification appends a classification of the given type ("color", "make" …), without labels.
func (o *Object) AddClassification(typ string) *Classification {
	o.Classifications = extend(o.Classifications)
	c := &o.Classifications[len(o.Classifications)-1]
	*c = Classification{Type: typ, Labels: c.Labels[:0]}
	return c
}

// Classification is what one secondary classifier says about an object.
type Classification struct {
	Type   string // what was classified; may be ""
	Labels []Label
}

// AddLabel appends a result with its probability (0 to 1).
func (c *Classification) AddLabel(label string, prob float32) {
	c.Labels = append(c.Labels, Label{label, prob})
}

// Label is one result of a classifier.
type Label struct {
	Label string
	Prob  float32
}

// extend lengthens s by one. The new element keeps what an earlier use left there, so that its own
// slices can be reused.
func extend[T any](s []T) []T {
	if len(s) < cap(s) {
		return s[:len(s)+1]
	}
	var zero T
	return append(s, zero)
}
