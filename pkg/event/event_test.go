// SPDX-License-Identifier: LGPL-2.1-or-later

package event

import (
	"reflect"
	"testing"
	"time"
)

func TestReuseKeepsMemoryAndNothingElse(t *testing.T) {
	f := &Frame{}
	custom := []byte("x")
	fill := func() {
		f.Reset()
		f.Custom = append(f.Custom, custom)
		for range 3 {
			o := f.AddObject()
			o.ID, o.Label, o.HasConfidence = 7, "car", true
			c := o.AddClassification("color")
			c.AddLabel("red", 0.5)
			c.AddLabel("blue", 0.4)
			o.Pose.Joints = append(o.Pose.Joints, Joint{X: 2})
			m := o.AddPolygon()
			*m = append(*m, 1, 2)
			e := f.AddEvent()
			e.Signature = append(e.Signature, 1, 2)
			e.Embedding = append(e.Embedding, 1)
			e.Pose.Joints = append(e.Pose.Joints, Joint{X: 1})
			e.Tracking3D.Hull = append(e.Tracking3D.Hull, 1, 2)
			p := e.Ext.AddPolygon()
			*p = append(*p, 1, 2, 3)
			e.ObjectID, e.Has3D, e.Ext.Kind = Str("x"), true, ExtFace
		}
	}
	fill()
	fill()
	if n := testing.AllocsPerRun(100, fill); n > 0 {
		t.Errorf("%v allocations", n)
	}
	if len(f.Objects) != 3 || len(f.Events) != 3 || len(f.Custom) != 1 || len(f.Objects[2].Classifications[0].Labels) != 2 {
		t.Errorf("%+v", f)
	}
	f.Num, f.SensorID, f.EmitEmpty = 1, "s", true
	f.Reset()
	if len(f.Objects)+len(f.Events)+len(f.Custom) != 0 || f.Num != 0 || f.SensorID != "" || f.EmitEmpty {
		t.Errorf("%+v", f)
	}
	if f.Custom[:1][0] != nil {
		t.Error("a custom message is still referred to")
	}
	o, e := f.AddObject(), f.AddEvent()
	if !reflect.DeepEqual(*o, Object{Classifications: []Classification{}, Pose: Pose{Joints: []Joint{}}, Mask: [][]float64{}}) {
		t.Errorf("%+v", o)
	}
	empty := Event{Signature: []float64{}, Embedding: []float32{}, Pose: Pose{Joints: []Joint{}}, Tracking3D: Tracking3D{Hull: []int32{}}, Ext: Ext{Mask: [][]float64{}}}
	if !reflect.DeepEqual(*e, empty) {
		t.Errorf("%+v", e)
	}
	if p := e.Ext.AddPolygon(); len(*p) != 0 {
		t.Errorf("an old polygon: %v", *p)
	}
	if c := o.AddClassification("make"); len(c.Labels) != 0 {
		t.Errorf("old labels: %v", c.Labels)
	}
}

func TestEventsFromObjects(t *testing.T) {
	now := time.Unix(1700000000, 0)
	f := &Frame{Num: 5, Source: 2, Time: now}
	add := func(label string) *Object {
		o := f.AddObject()
		o.ID, o.Label, o.ClassID, o.Box = 9, label, 3, Box{1, 2, 3, 4}
		o.Confidence, o.HasConfidence = 0.5, true
		return o
	}
	classify := func(o *Object, typ, label string) { o.AddClassification(typ).AddLabel(label, 0.5) }
	p := add("Pedestrian")
	classify(p, "gender", "male")
	classify(p, "AGE", "33")
	classify(p, "color", "not an attribute of persons")
	car := add("Truck")
	c := car.AddClassification("Color")
	c.AddLabel("blue", 0.2)
	c.AddLabel("red", 0.7)
	c.AddLabel("green", 0.1)
	classify(car, "licensePlate", "X 1")
	car.AddClassification("make")
	v := add("vehicle")
	v.HasConfidence = false
	add("wombat")
	add("")
	face := add("FACE")
	classify(face, "age", "old")
	classify(face, "facialHair", "beard")
	typed := add("car")
	classify(typed, "type", "coupe")
	product := add("product")
	classify(product, "brand", "Acme")

	f.AddEvent().Type = Exit // replaced
	f.EventsFromObjects()
	if len(f.Events) != len(f.Objects) {
		t.Fatalf("%d events", len(f.Events))
	}
	e := &f.Events[0]
	if e.Type != Moving || e.ObjectType != Person || e.TrackingID != 9 || e.ClassID != 3 || e.Box != (Box{1, 2, 3, 4}) || e.Confidence != 0.5 ||
		!e.HasConfidence || e.FrameID != 5 || e.Sensor != 2 || e.Place != 2 || e.Module != 2 || !e.At.Equal(now) || e.Timestamp.Set || e.SensorStr.Set || e.ObjectID.Set {
		t.Errorf("%+v", e)
	}
	empty := Str("")
	for i, want := range []struct {
		typ ObjectType
		ext Ext
	}{
		{Person, Ext{Kind: ExtPerson, Gender: Str("male"), Age: 33, Hair: empty, Cap: empty, Apparel: empty}},
		{Vehicle, Ext{Kind: ExtVehicle, VehicleType: Str("Truck"), Color: Str("red"), License: Str("X 1"), Make: empty, Model: empty, Region: empty}},
		{Vehicle, Ext{}}, {Unknown, Ext{}}, {Unknown, Ext{}},
		{Face, Ext{Kind: ExtFace, FacialHair: Str("beard"), Gender: empty, Hair: empty, Cap: empty, Glasses: empty, Name: empty, EyeColor: empty}},
		{Vehicle, Ext{Kind: ExtVehicle, VehicleType: Str("coupe"), Color: empty, License: empty, Make: empty, Model: empty, Region: empty}},
		{Product, Ext{Kind: ExtProduct, Brand: Str("Acme"), ProductType: empty, Shape: empty}},
	} {
		got := f.Events[i].Ext
		got.Mask = nil
		if f.Events[i].ObjectType != want.typ || !reflect.DeepEqual(got, want.ext) {
			t.Errorf("%s: %d %+v", f.Objects[i].Label, f.Events[i].ObjectType, got)
		}
	}
	if f.Events[2].Confidence != 1 {
		t.Errorf("a detector without confidence: %v", f.Events[2].Confidence)
	}
	if f.Events[3].ObjectID != Str("wombat") || f.Events[4].ObjectID.Set {
		t.Errorf("%+v %+v", f.Events[3].ObjectID, f.Events[4].ObjectID)
	}
}

func TestEventsTakePoseAndMask(t *testing.T) {
	f := &Frame{}
	for _, label := range []string{"person", "car", "face", "product", "bag", "wombat"} {
		o := f.AddObject()
		o.Label = label
		o.Pose = Pose{Type: Pose2D, Joints: []Joint{{X: 1, Y: 2, Confidence: 0.5}}}
		for i := range 2 {
			p := o.AddPolygon()
			*p = append(*p, float64(i), 2, 3, 4, 5, 6)
		}
	}
	f.EventsFromObjects()
	f.EventsFromObjects() // nothing of the first time is left
	mask := [][]float64{{0, 2, 3, 4, 5, 6}, {1, 2, 3, 4, 5, 6}}
	for i, want := range []ObjectType{PersonExt, VehicleExt, FaceExt, ProductExt, Bag, Unknown} {
		e := &f.Events[i]
		if e.ObjectType != want || len(e.Pose.Joints) != 1 || e.Pose.Joints[0].Y != 2 {
			t.Errorf("%s: %+v", f.Objects[i].Label, e)
		}
		if masked := want != Bag && want != Unknown; masked && !reflect.DeepEqual(e.Ext.Mask, mask) || !masked && len(e.Ext.Mask) > 0 {
			t.Errorf("%s: %v", f.Objects[i].Label, e.Ext.Mask)
		}
	}
	if f.Events[0].Ext.Kind != ExtPerson {
		t.Errorf("%+v", f.Events[0].Ext)
	}
	f.Events[0].Ext.Mask[0][0] = 9
	if f.Objects[0].Mask[0][0] == 9 {
		t.Error("the event shares the object's memory")
	}
}

func TestTypeOfLabel(t *testing.T) {
	for label, want := range map[string]ObjectType{"person": Person, "PERSON": Person, "Car": Vehicle, "bus": Vehicle, "Bag": Bag, "bicycle": Bicycle,
		"RoadSign": RoadSign, "road_sign": RoadSign, "face": Face, "product": Product, "backpack": Unknown, "": Unknown, "person ": Unknown} {
		if got := TypeOfLabel(label); got != want {
			t.Errorf("%q: %d, want %d", label, got, want)
		}
	}
}

func TestEachAttributeHasAName(t *testing.T) {
	for typ, names := range map[ObjectType][]string{
		Vehicle: {"type", "make", "model", "color", "region", "license"},
		Person:  {"gender", "hair", "cap", "apparel"},
		Face:    {"gender", "hair", "cap", "glasses", "facialhair", "name", "eyecolor"},
		Product: {"brand", "type", "shape"},
		Bag:     {},
	} {
		var x Ext
		seen := map[*String]bool{}
		for _, n := range names {
			p := x.attribute(typ, n)
			if p == nil || seen[p] {
				t.Errorf("%d %s", typ, n)
			}
			seen[p] = true
		}
		if x.attribute(typ, "weight") != nil {
			t.Errorf("%d has a weight", typ)
		}
	}
}

func TestJointNames(t *testing.T) {
	for typ, n := range map[PoseType]int{Pose2D: 18, Pose25D: 34, Pose3D: 34, 3: 0, -1: 0} {
		if got := len(JointNames(typ)); got != n {
			t.Errorf("%d: %d joints, want %d", typ, got, n)
		}
	}
}

// Reset forgets everything, new fields included.
func TestEventReset(t *testing.T) {
	var fill func(v reflect.Value)
	fill = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Struct:
			if v.Type() == reflect.TypeFor[time.Time]() {
				v.Set(reflect.ValueOf(time.Unix(1, 1)))
				return
			}
			for i := range v.NumField() {
				fill(v.Field(i))
			}
		case reflect.Slice:
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
			fill(v.Index(0))
		case reflect.Array:
			for i := range v.Len() {
				fill(v.Index(i))
			}
		case reflect.String:
			v.SetString("x")
		case reflect.Bool:
			v.SetBool(true)
		case reflect.Float32, reflect.Float64:
			v.SetFloat(1)
		case reflect.Int32, reflect.Int64:
			v.SetInt(1)
		case reflect.Uint8, reflect.Uint32, reflect.Uint64:
			v.SetUint(1)
		default:
			t.Fatalf("a field of kind %v: teach this test to fill it", v.Kind())
		}
	}
	var check func(path string, v reflect.Value)
	check = func(path string, v reflect.Value) {
		switch {
		case v.Kind() == reflect.Slice:
			if v.Len() != 0 || v.Cap() == 0 {
				t.Errorf("%s has length %d, capacity %d after Reset; want it empty, with its memory", path, v.Len(), v.Cap())
			}
		case v.Kind() == reflect.Struct && v.Type() != reflect.TypeFor[time.Time]():
			for i := range v.NumField() {
				check(path+"."+v.Type().Field(i).Name, v.Field(i))
			}
		case !v.IsZero():
			t.Errorf("%s is %v after Reset", path, v)
		}
	}
	for kind := ExtMissing; kind <= ExtOther; kind++ {
		var e Event
		fill(reflect.ValueOf(&e).Elem())
		e.Ext.Kind = kind
		e.Reset()
		check("Event", reflect.ValueOf(e))
	}
}
