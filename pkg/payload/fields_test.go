// SPDX-License-Identifier: LGPL-2.1-or-later

package payload

import (
	"strings"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/dsconfig"
	"github.com/gst-edgewire/gst-edgewire/pkg/event"
	"github.com/gst-edgewire/gst-edgewire/pkg/route"
)

// fieldsFrame has plain detections and events of every kind of attributes.
func fieldsFrame(source int) *event.Frame {
	f := &event.Frame{Num: 42, Source: source, Time: time.UnixMilli(1_700_000_000_123), SensorID: "door \"7\""}
	add := func(id uint64, label string, classifications ...string) {
		o := f.AddObject()
		o.ID, o.Label = id, label
		for i := 0; i+1 < len(classifications); i += 2 {
			o.AddClassification(classifications[i]).AddLabel(classifications[i+1], 0.9)
		}
	}
	add(1, "car", "color", "red", "make", "größer")
	add(2, "person", "age", "31", "gender", "f", "hair", "", "apparel", "coat")
	add(3, "face", "name", "Ada", "glasses", "no")
	add(4, "product", "brand", "b", "shape", "round")
	add(5, "backpack", "color", "blue")
	add(6, "bag")
	f.EventsFromObjects()
	f.Events[1].Type, f.Events[2].Type, f.Events[5].Type = event.Exit, event.CustomType, event.Parked
	f.Events[3].VideoPath = event.Str("/v/1.mp4")
	f.Events[4].SensorStr = event.Str("named by the event")
	return f
}

var everyField = append(FieldNames(), "object.vehicle.type", "object.vehicle.color", "object.vehicle.make", "object.vehicle.model",
	"object.vehicle.license", "object.vehicle.licenseState", "object.person.age", "object.person.gender", "object.person.hair", "object.person.cap",
	"object.person.apparel", "object.face.age", "object.face.name", "object.face.glasses", "object.face.facialhair", "object.face.eyecolor",
	"object.product.brand", "object.product.type", "object.product.shape", "object.car.color", "object.car.make", "object.backpack.color",
	"object.nothing.like", "$.sensor.id", "$.object.vehicle.type")

// TestFieldsAreThoseOfTheMessage: what travels beside a message is what it says.
func TestFieldsAreThoseOfTheMessage(t *testing.T) {
	static := &dsconfig.Static{
		Sensors:   map[int]dsconfig.Sensor{1: {ID: "cam-1", Type: "Camera", Description: "over \\ the door"}},
		Places:    map[int]dsconfig.Place{1: {ID: "p1", Type: "garage", Name: "XYZ"}},
		Analytics: map[int]dsconfig.Analytics{1: {ID: "a1", Source: "src", Description: "d", Version: "1.0"}},
	}
	for _, o := range []Options{{API: APIEvent}, {API: APIFrame}, {API: APIEvent, Static: static}, {API: APIFrame, Static: static, Indent: 2}} {
		e, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		f := fieldsFrame(1)
		e.Want(everyField)
		n := 0
		err = e.Encode(f, func(p Payload) {
			n++
			for _, name := range everyField {
				got, ok := p.Fields.Get(name)
				if !ok {
					t.Fatalf("%s does not travel with %s", name, p.Data)
				}
				bare := strings.TrimPrefix(name, "$.")
				path := FieldPath(bare)
				if path == "" || strings.EqualFold(bare, "sensorId") {
					continue
				}
				parsed, _ := route.ParsePath(path)
				want, there := route.Scan(nil, p.Data, parsed)
				if bare == "sensor.id" && !there {
					want = []byte(p.SensorID)
				}
				if string(got) != string(want) {
					t.Errorf("%s is %q beside %s", name, got, p.Data)
				}
			}
			for name, want := range map[string]string{"frame": "42", "source": "1", "stream": "1", "sensorId": p.SensorID} {
				if got, _ := p.Fields.Get(name); string(got) != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			if class, _ := p.Fields.Get("object.class"); len(class) == 0 {
				t.Errorf("no class beside %s", p.Data)
			}
		})
		if err != nil || n != 6 {
			t.Fatalf("%d messages, %v", n, err)
		}
	}
}

// TestFieldsOfFrames: the schemas with a message per frame tell of the first object.
func TestFieldsOfFrames(t *testing.T) {
	for _, typ := range []Type{Minimal, Protobuf} {
		for _, api := range []API{APIEvent, APIFrame} {
			e, _ := New(Options{Type: typ, API: api})
			e.Want([]string{"sensor.id", "object.id", "object.class", "frame", "stream", "unknown.field", "messageid"})
			got := map[string]string{}
			if err := e.Encode(fieldsFrame(3), func(p Payload) {
				p.Fields.Each(func(name, value []byte) bool { got[string(name)] = string(value); return true })
			}); err != nil {
				t.Fatal(err)
			}
			class := map[API]string{APIEvent: "vehicle", APIFrame: "car"}[api]
			if got["sensor.id"] != "door \"7\"" || got["object.id"] != "1" || got["object.class"] != class || got["frame"] != "42" || got["stream"] != "3" {
				t.Errorf("%v, API %d: %q", typ, api, got)
			}
			if id, ok := got["messageid"]; !ok || id != "" {
				t.Errorf("messageid %q of a schema that has none", id)
			}
			if _, ok := got["unknown.field"]; ok {
				t.Error("an unknown field has a value")
			}
		}
	}
}

// TestFieldsCostNothing when nobody wants any, and little memory when somebody does.
func TestFieldsCostNothing(t *testing.T) {
	e, _ := New(Options{})
	f := fieldsFrame(0)
	var fields adapters.Headers
	emit := func(p Payload) { fields = p.Fields }
	_ = e.Encode(f, emit)
	if fields != nil {
		t.Errorf("%q", fields)
	}
	e.Want(everyField)
	_ = e.Encode(f, emit)
	if n := testing.AllocsPerRun(50, func() { _ = e.Encode(f, emit) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
	e.Want(nil)
	if _ = e.Encode(f, emit); fields != nil {
		t.Errorf("%q", fields)
	}
}
