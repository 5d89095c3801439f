// SPDX-License-Identifier: LGPL-2.1-or-later

package payload

import (
	"strconv"

	"github.com/gst-edgewire/gst-edgewire/pkg/event"
)

// class is the member of "object" that is named after what was seen.
type class struct {
	name        string
	set         bool          // there is such a member
	fromOutside bool          // the name is data and may be anything
	kind        event.ExtKind // the attributes that it holds
}

func classOf(ev *event.Event) class {
	switch ev.ObjectType {
	case event.Vehicle, event.VehicleExt:
		return class{name: "vehicle", set: true, kind: event.ExtVehicle}
	case event.Person, event.PersonExt:
		return class{name: "person", set: true, kind: event.ExtPerson}
	case event.Face, event.FaceExt:
		return class{name: "face", set: true, kind: event.ExtFace}
	case event.Product, event.ProductExt:
		return class{name: "product", set: true, kind: event.ExtProduct}
	case event.Unknown:
		return class{name: ev.ObjectID.Value, set: ev.ObjectID.Set, fromOutside: true}
	}
	if !ev.HasConfidence {
		return class{}
	}
	switch ev.ObjectType {
	case event.Bag:
		return class{name: "bag", set: true}
	case event.Bicycle:
		return class{name: "bicycle", set: true}
	case event.RoadSign:
		return class{name: "roadsign", set: true}
	}
	return class{}
}

// classMember writes the class and its object.
func (e *Encoder) classMember(ev *event.Event, c class) {
	w := &e.w
	if text := e.parts.classes[c.kind]; text != "" && ev.Ext.Kind == event.ExtNone {
		confidence := ev.Confidence
		if !ev.HasConfidence {
			confidence = 1
		}
		w.buf = appendDouble(append(w.buf, text...), confidence)
		w.raw(e.parts.classEnd)
		w.comma = true
		return
	}
	if c.fromOutside {
		w.keyText(c.name)
	} else {
		w.key(c.name)
	}
	e.classObject(ev, c)
}

// classObject writes the attributes of an event's object. Without attributes they have default values; if
// they were announced but are missing, or belong to another class, the object is empty.
func (e *Encoder) classObject(ev *event.Event, c class) {
	w := &e.w
	x := &ev.Ext
	w.openObject()
	switch {
	case c.kind == event.ExtNone:
		if ev.HasConfidence {
			w.confidence(ev.Confidence)
		}
	case x.Kind == event.ExtNone:
		w.raw(e.parts.noAttributes[c.kind])
		w.comma = true
		switch {
		case ev.HasConfidence:
			w.confidence(ev.Confidence)
		case c.kind != event.ExtProduct:
			w.confidence(1)
		}
	case x.Kind == c.kind:
		w.attributes(c.kind, x)
		if c.kind != event.ExtProduct || ev.HasConfidence {
			w.confidence(ev.Confidence)
		}
	}
	w.closeObject()
}

func (w *writer) confidence(f float64) {
	w.key("confidence")
	w.double(f)
}

// noAttributes has every text present and empty.
var noAttributes = func() (x event.Ext) {
	for _, s := range []*event.String{&x.VehicleType, &x.Make, &x.Model, &x.Color, &x.Region, &x.License,
		&x.Gender, &x.Hair, &x.Cap, &x.Apparel, &x.Glasses, &x.FacialHair, &x.Name, &x.EyeColor,
		&x.Brand, &x.ProductType, &x.Shape} {
		*s = event.Str("")
	}
	return x
}()

func (w *writer) attributes(kind event.ExtKind, x *event.Ext) {
	switch kind {
	case event.ExtVehicle:
		w.nullable("type", x.VehicleType)
		w.nullable("make", x.Make)
		w.nullable("model", x.Model)
		w.nullable("color", x.Color)
		w.nullable("licenseState", x.Region)
		w.nullable("license", x.License)
	case event.ExtPerson:
		w.age(x)
		w.nullable("gender", x.Gender)
		w.nullable("hair", x.Hair)
		w.nullable("cap", x.Cap)
		w.nullable("apparel", x.Apparel)
	case event.ExtFace:
		w.age(x)
		w.nullable("gender", x.Gender)
		w.nullable("hair", x.Hair)
		w.nullable("cap", x.Cap)
		w.nullable("glasses", x.Glasses)
		w.nullable("facialhair", x.FacialHair)
		w.nullable("name", x.Name)
		w.nullable("eyecolor", x.EyeColor)
	case event.ExtProduct:
		w.nullable("brand", x.Brand)
		w.nullable("type", x.ProductType)
		w.nullable("shape", x.Shape)
	}
}

func (w *writer) age(x *event.Ext) {
	w.key("age")
	w.buf = strconv.AppendUint(w.buf, uint64(x.Age), 10)
}

func (w *writer) nullable(name string, s event.String) {
	w.key(name)
	if s.Set {
		w.text(s.Value)
	} else {
		w.raw("null")
	}
}

// typeName is the name of an object's class in the minimal and the protobuf schema. The Ext variants are
// "Unknown" there, as in the reference, since readers may depend on it; but not those that were made of
// detections.
func typeName(ev *event.Event) string {
	switch plainType(ev) {
	case event.Vehicle:
		return "Vehicle"
	case event.Person:
		return "Person"
	case event.Face:
		return "Face"
	case event.Bag:
		return "Bag"
	case event.Bicycle:
		return "Bicycle"
	case event.RoadSign:
		return "RoadSign"
	case event.Custom:
		return "Custom"
	case event.Product:
		return "Product"
	case event.Unknown:
		if ev.ObjectID.Set {
			return ev.ObjectID.Value
		}
	}
	return "Unknown"
}

// plainType is the object type of an event, for one made of a detection without regard to a mask.
func plainType(ev *event.Event) event.ObjectType {
	if ev.HasConfidence {
		switch ev.ObjectType {
		case event.VehicleExt:
			return event.Vehicle
		case event.PersonExt:
			return event.Person
		case event.FaceExt:
			return event.Face
		case event.ProductExt:
			return event.Product
		}
	}
	return ev.ObjectType
}
