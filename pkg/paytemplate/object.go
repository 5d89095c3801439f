// SPDX-License-Identifier: LGPL-2.1-or-later

package paytemplate

import (
	"strings"

	"github.com/gst-edgewire/gst-edgewire/pkg/event"
)

// coordinate makes a getter of a box's corner, in the coordinates of the source's picture.
func coordinate(f func(b event.Box) float32, vertical bool) getter {
	return func(r *run, d *dot) value {
		b := &event.Box{}
		if d.e != nil {
			b = &d.e.Box
		} else if d.o != nil {
			b = &d.o.Box
		}
		s := r.sx
		if vertical {
			s = r.sy
		}
		if s == 1 {
			return float32v(f(*b))
		}
		return float32v(f(*b) * s)
	}
}

// joints gives what a list of joints or an array of an event holds; an object without event has none.
func countOf(f func(*event.Event) int) func(*run, *dot) int {
	return func(_ *run, d *dot) int {
		if d.e == nil {
			return 0
		}
		return f(d.e)
	}
}

func array(name, doc string, count func(*event.Event) int, at func(*event.Event, int) value) *node {
	return &node{name: name, shape: isArray, doc: doc, count: countOf(count),
		number: func(_ *run, d *dot, i int) value { return at(d.e, i) }}
}

// in3D is null for an object without 3D tracking.
func in3D(f func(*event.Tracking3D) float32) getter {
	return ofEvent(func(e *event.Event) value {
		if !e.Has3D {
			return null()
		}
		return float32v(f(&e.Tracking3D))
	})
}

var objectType = group("", "",
	num("id", "tracking id; 0 without a tracker. In quotes, a text: JavaScript cannot hold more than 53 bits", func(_ *run, d *dot) value {
		if d.e != nil {
			return unsigned(d.e.TrackingID)
		}
		return unsigned(d.o.ID)
	}),
	txt("class", "name of the class", func(_ *run, d *dot) value { return text(className(d)) }),
	num("classId", "number of the class in its detector", func(_ *run, d *dot) value {
		if d.e != nil {
			return integer(int64(d.e.ClassID))
		}
		return integer(int64(d.o.ClassID))
	}),
	num("confidence", "of the detector, 0 to 1; 1 if it gives none", func(_ *run, d *dot) value {
		switch {
		case d.o != nil:
			return float32v(d.o.Score())
		default:
			return double(d.e.Confidence)
		}
	}),
	group("box", "",
		num("left", "pixels of the source's picture", coordinate(func(b event.Box) float32 { return b.Left }, false)),
		num("top", "pixels", coordinate(func(b event.Box) float32 { return b.Top }, true)),
		num("width", "pixels", coordinate(func(b event.Box) float32 { return b.Width }, false)),
		num("height", "pixels", coordinate(func(b event.Box) float32 { return b.Height }, true)),
		num("right", "pixels", coordinate(func(b event.Box) float32 { return b.Left + b.Width }, false)),
		num("bottom", "pixels", coordinate(func(b event.Box) float32 { return b.Top + b.Height }, true)),
	),
	&node{name: "attributes", shape: isMap, doc: "the classification of that type (`color`), or DeepStream's attribute of that name " +
		"(`type`, `make`, `model`, `color`, `region`, `license`, `gender`, `age`, `hair`, `cap`, `apparel`, `glasses`, `facialhair`, `name`, `eyecolor`, " +
		"`brand`, `shape`); null if there is none", look: attribute},
	&node{name: "classifications", shape: isList, doc: "what classifiers said of it", fields: classificationType.fields,
		count: func(_ *run, d *dot) int {
			if d.o == nil {
				return 0
			}
			return len(d.o.Classifications)
		},
		item: func(_ *run, d *dot, i int, out *dot) { *out = dot{i: i, c: &d.o.Classifications[i]} }},
	group("event", "",
		txt("type", "`entry`, `exit`, `moving`, `stopped`, `empty`, `parked`, `reset`, `custom`; null with msg2p-newapi, as all that follows", ofEvent(func(e *event.Event) value {
			if name, ok := eventTypes[e.Type]; ok {
				return text(name)
			}
			return null()
		})),
		txt("time", "time of the event, RFC 3339", func(r *run, d *dot) value {
			switch {
			case d.e == nil:
				return null()
			case d.e.Timestamp.Set:
				return text(d.e.Timestamp.Value)
			case !d.e.At.IsZero():
				return text(r.events.text(d.e.At))
			}
			return null()
		}),
		num("componentId", "component that made it", ofEvent(func(e *event.Event) value { return integer(int64(e.ComponentID)) })),
		num("frame", "number of the frame that it names", ofEvent(func(e *event.Event) value { return integer(e.FrameID) })),
		txt("objectId", "the application's id of the object", ofEvent(func(e *event.Event) value { return optional(e.ObjectID) })),
		txt("otherAttrs", "further attributes", ofEvent(func(e *event.Event) value { return optional(e.OtherAttrs) })),
		txt("videoPath", "path of the video", ofEvent(func(e *event.Event) value { return optional(e.VideoPath) })),
	),
	triple("location", "", geoNames, geoDocs, func(r *run, d *dot) *[3]float64 {
		if d.e == nil {
			return nil
		}
		r.triple = [3]float64{d.e.Location.Lat, d.e.Location.Lon, d.e.Location.Alt}
		return &r.triple
	}),
	triple("coordinate", "", xyz, xyzDocs, func(r *run, d *dot) *[3]float64 {
		if d.e == nil {
			return nil
		}
		r.triple = [3]float64{d.e.Coordinate.X, d.e.Coordinate.Y, d.e.Coordinate.Z}
		return &r.triple
	}),
	array("signature", "feature vector of the object", func(e *event.Event) int { return len(e.Signature) },
		func(e *event.Event, i int) value { return double(e.Signature[i]) }),
	array("embedding", "embedding of the object", func(e *event.Event) int { return len(e.Embedding) },
		func(e *event.Event, i int) value { return float32v(e.Embedding[i]) }),
	group("pose", "",
		&node{name: "joints", shape: isList, doc: "the skeleton's joints", fields: jointType.fields,
			count: countOf(func(e *event.Event) int { return len(e.Pose.Joints) }),
			item:  func(_ *run, d *dot, i int, out *dot) { *out = dot{i: i, e: d.e, at: i} }},
	),
	group("tracking", "",
		num("visibility", "0 to 1, of single-view 3D tracking; null without it", ofEvent(func(e *event.Event) value {
			if !e.Has3D {
				return null()
			}
			return float32v(e.Visibility)
		})),
		num("worldX", "foot on the ground", in3D(func(t *event.Tracking3D) float32 { return t.WorldFeet[0] })),
		num("worldY", "foot on the ground", in3D(func(t *event.Tracking3D) float32 { return t.WorldFeet[1] })),
		num("imageX", "foot in the picture, pixels", in3D(func(t *event.Tracking3D) float32 { return t.ImageFeet[0] })),
		num("imageY", "foot in the picture, pixels", in3D(func(t *event.Tracking3D) float32 { return t.ImageFeet[1] })),
		array("hull", "convex hull in the picture: x, y, x, y …", func(e *event.Event) int {
			if !e.Has3D {
				return 0
			}
			return len(e.Tracking3D.Hull)
		}, func(e *event.Event, i int) value { return integer(int64(e.Tracking3D.Hull[i])) }),
	),
)

var eventTypes = map[event.Type]string{event.Entry: "entry", event.Exit: "exit", event.Moving: "moving", event.Stopped: "stopped",
	event.Empty: "empty", event.Parked: "parked", event.ResetEvent: "reset", event.CustomType: "custom"}

var classes = map[event.ObjectType]string{event.Vehicle: "vehicle", event.VehicleExt: "vehicle", event.Person: "person", event.PersonExt: "person",
	event.Face: "face", event.FaceExt: "face", event.Bag: "bag", event.Bicycle: "bicycle", event.RoadSign: "roadsign",
	event.Product: "product", event.ProductExt: "product"}

// className is the detector's name; of DeepStream's events the kind of object, or its own id where that is unknown.
func className(d *dot) string {
	if d.o != nil {
		return d.o.Label
	}
	if name, ok := classes[d.e.ObjectType]; ok {
		return name
	}
	return d.e.ObjectID.Value
}

func attribute(_ *run, d *dot, name string) value {
	if d.o != nil {
		for i := range d.o.Classifications {
			c := &d.o.Classifications[i]
			if len(c.Type) == len(name) && strings.EqualFold(c.Type, name) {
				if l := best(c); l != nil {
					return text(l.Label)
				}
			}
		}
	}
	if d.e == nil {
		return null()
	}
	x := &d.e.Ext
	find := func(names []string, values ...event.String) value {
		for i, n := range names {
			if n == name {
				return optional(values[i])
			}
		}
		return null()
	}
	switch x.Kind {
	case event.ExtVehicle:
		return find(vehicleNames, x.VehicleType, x.Make, x.Model, x.Color, x.Region, x.License)
	case event.ExtPerson, event.ExtFace:
		if name == "age" {
			return unsigned(uint64(x.Age))
		}
		if x.Kind == event.ExtPerson {
			return find(personNames, x.Gender, x.Hair, x.Cap, x.Apparel)
		}
		return find(faceNames, x.Gender, x.Hair, x.Cap, x.Glasses, x.FacialHair, x.Name, x.EyeColor)
	case event.ExtProduct:
		return find(productNames, x.Brand, x.ProductType, x.Shape)
	}
	return null()
}

var (
	vehicleNames = []string{"type", "make", "model", "color", "region", "license"}
	personNames  = []string{"gender", "hair", "cap", "apparel"}
	faceNames    = []string{"gender", "hair", "cap", "glasses", "facialhair", "name", "eyecolor"}
	productNames = []string{"brand", "type", "shape"}
)
