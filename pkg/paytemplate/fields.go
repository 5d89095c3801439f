// SPDX-License-Identifier: LGPL-2.1-or-later

package paytemplate

import (
	"time"
	"unsafe"

	"github.com/gst-edgewire/gst-edgewire/pkg/dsconfig"
	"github.com/gst-edgewire/gst-edgewire/pkg/event"
)

// A dot is what fields are read from: the frame, or an element of a list in it.
type dot struct {
	i  int // which element of its list
	o  *event.Object
	e  *event.Event
	c  *event.Classification
	l  *event.Label
	at int // of joints
}

// A shape says what a name stands for.
type shape uint8

const (
	isGroup  shape = iota // has fields
	isScalar              // is a value
	isList                // is ranged over
	isArray               // numbers: written as they are, or counted
	isMap                 // values by names that nobody can list
)

// A sort is what is known of a scalar before it runs.
type sort uint8

const (
	anySort sort = iota
	numberSort
	textSort
	boolSort
)

func (s sort) String() string { return [...]string{"value", "number", "text", "truth"}[s] }

// A node is a field, or the type of a list's elements.
type node struct {
	name   string
	shape  shape
	sort   sort
	doc    string // for the reference
	fields []*node
	get    func(r *run, d *dot) value              // scalar
	count  func(r *run, d *dot) int                // list, array
	item   func(r *run, d *dot, i int, out *dot)   // list
	number func(r *run, d *dot, i int) value       // array
	look   func(r *run, d *dot, name string) value // map
}

func (n *node) field(name string) *node {
	for _, f := range n.fields {
		if f.name == name {
			return f
		}
	}
	return nil
}

func (n *node) names() []string {
	names := make([]string, len(n.fields))
	for i, f := range n.fields {
		names[i] = f.name
	}
	return names
}

type getter = func(*run, *dot) value

func group(name, doc string, fields ...*node) *node {
	return &node{name: name, shape: isGroup, doc: doc, fields: fields}
}
func num(name, doc string, get getter) *node {
	return &node{name: name, shape: isScalar, sort: numberSort, doc: doc, get: get}
}
func txt(name, doc string, get getter) *node {
	return &node{name: name, shape: isScalar, sort: textSort, doc: doc, get: get}
}

// optional is null for an absent text.
func optional(s event.String) value {
	if !s.Set {
		return null()
	}
	return text(s.Value)
}

// ofEvent is null without an event, which detections as they are (msg2p-newapi) have none of.
func ofEvent(f func(*event.Event) value) getter {
	return func(_ *run, d *dot) value {
		if d.e == nil {
			return null()
		}
		return f(d.e)
	}
}

func triple(name, doc string, names, docs [3]string, get func(*run, *dot) *[3]float64) *node {
	n := group(name, doc)
	for i := range names {
		n.fields = append(n.fields, num(names[i], docs[i], func(r *run, d *dot) value {
			if v := get(r, d); v != nil {
				return double(v[i])
			}
			return null()
		}))
	}
	return n
}

var (
	geoNames = [3]string{"lat", "lon", "alt"}
	geoDocs  = [3]string{"latitude, degrees", "longitude, degrees", "altitude, metres"}
	xyz      = [3]string{"x", "y", "z"}
	xyzDocs  = [3]string{"in the place's own coordinates", "in the place's own coordinates", "in the place's own coordinates"}
)

func of[T any](get func(*run) *T, f func(*T) value) getter {
	return func(r *run, _ *dot) value {
		if v := get(r); v != nil {
			return f(v)
		}
		return null()
	}
}

func vec[T any](get func(*run) *T, f func(*T) *[3]float64) func(*run, *dot) *[3]float64 {
	return func(r *run, _ *dot) *[3]float64 {
		if v := get(r); v != nil {
			return f(v)
		}
		return nil
	}
}

var frameNode = group("frame", "",
	num("num", "number of the frame, from 0", func(r *run, _ *dot) value { return unsigned(r.f.Num) }),
	num("source", "number of the source", func(r *run, _ *dot) value { return integer(int64(r.f.Source)) }),
	txt("time", "time of the picture, RFC 3339 in UTC with milliseconds", func(r *run, _ *dot) value { return text(r.clock.text(r.time())) }),
	num("unixMs", "the same in milliseconds since 1970 UTC", func(r *run, _ *dot) value { return integer(r.time().UnixMilli()) }),
	num("unixNs", "the same in nanoseconds", func(r *run, _ *dot) value { return integer(r.time().UnixNano()) }),
	num("pts", "presentation time in the stream, nanoseconds", func(r *run, _ *dot) value {
		if !r.f.HasPTS {
			return null()
		}
		return integer(int64(r.f.PTS))
	}),
	num("width", "width of the picture that boxes refer to, pixels; null if unknown", size(func(f *event.Frame) int {
		if f.SourceWidth > 0 {
			return f.SourceWidth
		}
		return f.PipelineWidth
	})),
	num("height", "its height", size(func(f *event.Frame) int {
		if f.SourceHeight > 0 {
			return f.SourceHeight
		}
		return f.PipelineHeight
	})),
)

func size(f func(*event.Frame) int) getter {
	return func(r *run, _ *dot) value {
		if n := f(r.f); n > 0 {
			return integer(int64(n))
		}
		return null()
	}
}

func theSensor(r *run) *dsconfig.Sensor    { return r.sensor }
func thePlace(r *run) *dsconfig.Place      { return r.place }
func theModule(r *run) *dsconfig.Analytics { return r.module }

var sensorNode = group("sensor", "",
	txt("id", "id of the sensor: of the configuration, else of the event or the stream, else of sensor-id; null if none", func(r *run, _ *dot) value {
		if r.sensorID == "" {
			return null()
		}
		return text(r.sensorID)
	}),
	txt("type", "type, of the configuration", of(theSensor, func(s *dsconfig.Sensor) value { return text(s.Type) })),
	txt("description", "description, of the configuration", of(theSensor, func(s *dsconfig.Sensor) value { return text(s.Description) })),
	triple("location", "", geoNames, geoDocs, vec(theSensor, func(s *dsconfig.Sensor) *[3]float64 { return &s.Location })),
	triple("coordinate", "", xyz, xyzDocs, vec(theSensor, func(s *dsconfig.Sensor) *[3]float64 { return &s.Coordinate })),
)

var placeNode = group("place", "",
	txt("id", "id of the place, of the configuration", of(thePlace, func(p *dsconfig.Place) value { return text(p.ID) })),
	txt("type", "type", of(thePlace, func(p *dsconfig.Place) value { return text(p.Type) })),
	txt("name", "name", of(thePlace, func(p *dsconfig.Place) value { return text(p.Name) })),
	triple("location", "", geoNames, geoDocs, vec(thePlace, func(p *dsconfig.Place) *[3]float64 { return &p.Location })),
	triple("coordinate", "", xyz, xyzDocs, vec(thePlace, func(p *dsconfig.Place) *[3]float64 { return &p.Coordinate })),
	txt("sub1", "place-sub-field1", of(thePlace, func(p *dsconfig.Place) value { return text(p.Sub[0]) })),
	txt("sub2", "place-sub-field2", of(thePlace, func(p *dsconfig.Place) value { return text(p.Sub[1]) })),
	txt("sub3", "place-sub-field3", of(thePlace, func(p *dsconfig.Place) value { return text(p.Sub[2]) })),
)

var moduleNode = group("analyticsModule", "",
	txt("id", "id of the analytics module, of the configuration", of(theModule, func(a *dsconfig.Analytics) value { return text(a.ID) })),
	txt("source", "source", of(theModule, func(a *dsconfig.Analytics) value { return text(a.Source) })),
	txt("description", "description", of(theModule, func(a *dsconfig.Analytics) value { return text(a.Description) })),
	txt("version", "version", of(theModule, func(a *dsconfig.Analytics) value { return text(a.Version) })),
)

var labelType = group("", "",
	txt("label", "a result of the classifier", func(_ *run, d *dot) value { return text(d.l.Label) }),
	num("confidence", "its probability", func(_ *run, d *dot) value { return float32v(d.l.Prob) }),
)

var classificationType = group("", "",
	txt("type", "what was classified, such as color; may be empty", func(_ *run, d *dot) value { return text(d.c.Type) }),
	txt("label", "its most probable result; null if there is none", func(_ *run, d *dot) value {
		if l := best(d.c); l != nil {
			return text(l.Label)
		}
		return null()
	}),
	num("confidence", "the probability of that", func(_ *run, d *dot) value {
		if l := best(d.c); l != nil {
			return float32v(l.Prob)
		}
		return null()
	}),
	&node{name: "labels", shape: isList, doc: "all its results", fields: labelType.fields,
		count: func(_ *run, d *dot) int { return len(d.c.Labels) },
		item:  func(_ *run, d *dot, i int, out *dot) { *out = dot{i: i, l: &d.c.Labels[i]} }},
)

func best(c *event.Classification) *event.Label {
	var b *event.Label
	for i := range c.Labels {
		if b == nil || c.Labels[i].Prob > b.Prob {
			b = &c.Labels[i]
		}
	}
	return b
}

var jointType = group("", "",
	txt("name", "name of the joint, such as left-knee; null if unknown", func(_ *run, d *dot) value {
		if names := event.JointNames(d.e.Pose.Type); d.at < len(names) {
			return text(names[d.at])
		}
		return null()
	}),
	num("x", "pixels", func(_ *run, d *dot) value { return float32v(d.e.Pose.Joints[d.at].X) }),
	num("y", "pixels", func(_ *run, d *dot) value { return float32v(d.e.Pose.Joints[d.at].Y) }),
	num("z", "depth, of poses with three dimensions; else null", func(_ *run, d *dot) value {
		if d.e.Pose.Type == event.Pose2D {
			return null()
		}
		return float32v(d.e.Pose.Joints[d.at].Z)
	}),
	num("confidence", "0 to 1", func(_ *run, d *dot) value { return float32v(d.e.Pose.Joints[d.at].Confidence) }),
)

var customType = group("", "",
	txt("text", "the message", func(r *run, d *dot) value {
		b := r.f.Custom[d.i]
		return text(unsafe.String(unsafe.SliceData(b), len(b)))
	}),
)

// rootOf makes the fields of a template: with an object, or with all of them.
func rootOf(perObject bool) *node {
	root := group("", "", frameNode, sensorNode, placeNode, moduleNode,
		group("message", "", txt("id", "a random UUID, another for each message", func(r *run, _ *dot) value { return text(r.messageID()) })),
		&node{name: "objects", shape: isList, doc: "the objects of the frame", fields: objectType.fields,
			count: func(r *run, _ *dot) int { return r.items() },
			item:  func(r *run, _ *dot, i int, out *dot) { r.itemAt(i, out) }},
		&node{name: "custom", shape: isList, doc: "DeepStream's custom messages of the frame (NVDS_CUSTOM_MSG_BLOB; msg2p-newapi)", fields: customType.fields,
			count: func(r *run, _ *dot) int { return len(r.f.Custom) },
			item:  func(_ *run, _ *dot, i int, out *dot) { *out = dot{i: i} }},
	)
	if perObject {
		root.fields = append(root.fields, group("object", "", objectType.fields...))
	}
	return root
}

// Field is a line of the reference of fields.
type Field struct{ Name, Kind, Meaning string }

// Reference lists every field of a template with per=object; lists have a *, and what any name may stand for is NAME.
func Reference() []Field {
	var out []Field
	var walk func(prefix string, n *node)
	walk = func(prefix string, n *node) {
		for _, f := range n.fields {
			name := prefix + "." + f.name
			switch f.shape {
			case isScalar:
				out = append(out, Field{name, f.sort.String(), f.doc})
			case isList:
				out = append(out, Field{name, "list", f.doc})
				if name != ".objects" { // the same as .object
					walk(name+"[]", f)
				}
			case isArray:
				out = append(out, Field{name, "array", f.doc})
			case isMap:
				out = append(out, Field{name + ".NAME", "text", f.doc})
			default:
				walk(name, f)
			}
		}
	}
	walk("", rootOf(true))
	return out
}

// A clock keeps the text of the last time: those of one frame share it.
type clock struct {
	ms   int64
	done bool
	buf  []byte
}

func (c *clock) text(t time.Time) string {
	if ms := t.UnixMilli(); !c.done || ms != c.ms {
		c.ms, c.done = ms, true
		c.buf = t.UTC().AppendFormat(c.buf[:0], "2006-01-02T15:04:05.000Z")
	}
	return unsafe.String(unsafe.SliceData(c.buf), len(c.buf))
}
