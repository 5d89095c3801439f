// SPDX-License-Identifier: LGPL-2.1-or-later

package event

import (
	"strconv"
	"strings"
)

// EventsFromObjects replaces f.Events by events made of the plain detections in f.Objects. The label
// decides about the object type (TypeOfLabel); an object of no known type becomes Unknown and carries its
// label as ObjectID. Events are of type Moving, which is what a detection without an analysis amounts to.
// Classifications whose type is the name of an attribute ("color", "gender" …) become that attribute; the
// label of a vehicle that says more than "vehicle" becomes its type. A pose is taken over, and the mask of a
// vehicle, person, face or product.
func (f *Frame) EventsFromObjects() {
	f.Events = f.Events[:0]
	for i := range f.Objects {
		o := &f.Objects[i]
		e := f.AddEvent()
		e.Type = Moving
		e.ObjectType = TypeOfLabel(o.Label)
		e.Box = o.Box
		e.ClassID = o.ClassID
		e.Sensor, e.Module, e.Place = int32(f.Source), int32(f.Source), int32(f.Source)
		e.FrameID = int64(f.Num)
		e.Confidence = float64(o.Score())
		e.HasConfidence = true
		e.TrackingID = o.ID
		e.At = f.Time
		if e.ObjectType == Unknown && o.Label != "" {
			e.ObjectID = Str(o.Label)
		}
		e.Ext.fromObject(e.ObjectType, o)
		if len(o.Pose.Joints) > 0 {
			e.Pose.Type, e.Pose.Joints = o.Pose.Type, append(e.Pose.Joints, o.Pose.Joints...)
			if e.ObjectType == Person {
				e.Ext.init(Person) // the minimal schema has a pose behind attributes only
			}
		}
		e.outline(o.Mask)
	}
}

// outline takes over a mask, which makes the object's type the one that has masks. Types without such a one
// have no place for it.
func (e *Event) outline(mask [][]float64) {
	if len(mask) == 0 {
		return
	}
	switch e.ObjectType {
	case Vehicle:
		e.ObjectType = VehicleExt
	case Person:
		e.ObjectType = PersonExt
	case Face:
		e.ObjectType = FaceExt
	case Product:
		e.ObjectType = ProductExt
	default:
		return
	}
	for _, polygon := range mask {
		p := e.Ext.AddPolygon()
		*p = append(*p, polygon...)
	}
}

// TypeOfLabel returns the object type that a class name stands for, whatever its case; Unknown if none.
//
// Only names that lose nothing stand here: a backpack stays Unknown with its own name instead of
// becoming a Bag without one.
func TypeOfLabel(label string) ObjectType {
	switch label {
	case "person", "pedestrian", "human", "people":
		return Person
	case "vehicle", "car", "truck", "bus", "van", "motorcycle", "motorbike":
		return Vehicle
	case "face":
		return Face
	case "bag":
		return Bag
	case "bicycle", "bike":
		return Bicycle
	case "roadsign", "road_sign", "road-sign", "road sign":
		return RoadSign
	case "product":
		return Product
	}
	if len(label) > len("motorcycle") { // the longest
		return Unknown
	}
	for i := range len(label) {
		if 'A' <= label[i] && label[i] <= 'Z' {
			var lower [len("motorcycle")]byte
			for i := range len(label) {
				lower[i] = label[i]
				if 'A' <= label[i] && label[i] <= 'Z' {
					lower[i] += 'a' - 'A'
				}
			}
			return TypeOfLabel(string(lower[:len(label)])) // ends here: it has no capitals
		}
	}
	return Unknown
}

// fromObject sets the attributes that the classifications of o name. With none of them Kind stays
// ExtNone; with at least one, the others become "" rather than absent, as in the schema's defaults.
func (x *Ext) fromObject(t ObjectType, o *Object) {
	if t == Vehicle && !strings.EqualFold(o.Label, "vehicle") {
		x.init(t)
		x.VehicleType = Str(o.Label)
	}
	for i := range o.Classifications {
		c := &o.Classifications[i]
		if len(c.Labels) == 0 {
			continue
		}
		best := 0
		for j := range c.Labels {
			if c.Labels[j].Prob > c.Labels[best].Prob {
				best = j
			}
		}
		value := c.Labels[best].Label
		if (t == Person || t == Face) && strings.EqualFold(c.Type, "age") {
			if age, err := strconv.ParseUint(value, 10, 32); err == nil {
				x.init(t)
				x.Age = uint32(age)
			}
			continue
		}
		if p := x.attribute(t, c.Type); p != nil {
			x.init(t)
			*p = Str(value)
		}
	}
}

func (x *Ext) init(t ObjectType) {
	if x.Kind != ExtNone {
		return
	}
	empty := Str("")
	switch t {
	case Vehicle:
		x.Kind = ExtVehicle
		x.VehicleType, x.Make, x.Model, x.Color, x.Region, x.License = empty, empty, empty, empty, empty, empty
	case Person:
		x.Kind = ExtPerson
		x.Gender, x.Hair, x.Cap, x.Apparel = empty, empty, empty, empty
	case Face:
		x.Kind = ExtFace
		x.Gender, x.Hair, x.Cap, x.Glasses, x.FacialHair, x.Name, x.EyeColor = empty, empty, empty, empty, empty, empty, empty
	case Product:
		x.Kind = ExtProduct
		x.Brand, x.ProductType, x.Shape = empty, empty, empty
	}
}

// attribute returns the field that a classifier's type names, or nil.
func (x *Ext) attribute(t ObjectType, name string) *String {
	is := func(s string) bool { return strings.EqualFold(name, s) }
	switch t {
	case Vehicle:
		switch {
		case is("type") || is("vehicletype"):
			return &x.VehicleType
		case is("make"):
			return &x.Make
		case is("model"):
			return &x.Model
		case is("color") || is("colour"):
			return &x.Color
		case is("region") || is("licensestate"):
			return &x.Region
		case is("license") || is("licenseplate"):
			return &x.License
		}
	case Person, Face:
		switch {
		case is("gender"):
			return &x.Gender
		case is("hair"):
			return &x.Hair
		case is("cap"):
			return &x.Cap
		case t == Person && is("apparel"):
			return &x.Apparel
		case t == Face && is("glasses"):
			return &x.Glasses
		case t == Face && is("facialhair"):
			return &x.FacialHair
		case t == Face && is("name"):
			return &x.Name
		case t == Face && is("eyecolor"):
			return &x.EyeColor
		}
	case Product:
		switch {
		case is("brand"):
			return &x.Brand
		case is("type"):
			return &x.ProductType
		case is("shape"):
			return &x.Shape
		}
	}
	return nil
}
