// SPDX-License-Identifier: LGPL-2.1-or-later

package payload

import (
	"slices"
	"strconv"
	"strings"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/dsconfig"
	"github.com/gst-edgewire/gst-edgewire/pkg/event"
)

// MaxFields is how many fields an Encoder hands out with each message at most.
const MaxFields = 64

// A part says where a field comes from.
type part int

const (
	partSensorID part = iota + 1
	partSensorType
	partSensorDescription
	partPlaceID
	partPlaceType
	partPlaceName
	partModuleID
	partModuleSource
	partModuleDescription
	partModuleVersion
	partObjectID
	partObjectClass
	partAttribute // object.CLASS.NAME
	partEventID
	partEventType
	partMessageID
	partVideoPath
	partFrame
	partSource
)

type partName struct {
	name string
	part part
	path string // in the full schema; "" means nowhere
}

var partNames = []partName{
	{"sensor.id", partSensorID, "sensor.id"},
	{"sensorId", partSensorID, "sensorId"},
	{"sensor.type", partSensorType, "sensor.type"},
	{"sensor.description", partSensorDescription, "sensor.description"},
	{"place.id", partPlaceID, "place.id"},
	{"place.type", partPlaceType, "place.type"},
	{"place.name", partPlaceName, "place.name"},
	{"analyticsModule.id", partModuleID, "analyticsModule.id"},
	{"analyticsModule.source", partModuleSource, "analyticsModule.source"},
	{"analyticsModule.description", partModuleDescription, "analyticsModule.description"},
	{"analyticsModule.version", partModuleVersion, "analyticsModule.version"},
	{"object.id", partObjectID, "object.id"},
	{"object.class", partObjectClass, ""},
	{"event.id", partEventID, "event.id"},
	{"event.type", partEventType, "event.type"},
	{"messageid", partMessageID, "messageid"},
	{"videoPath", partVideoPath, "videoPath"},
	{"frame", partFrame, ""},
	{"source", partSource, ""},
	{"stream", partSource, ""},
}

// FieldNames are the names of fields that stand in every list; object.CLASS.ATTRIBUTE, as in
// object.vehicle.type, come on top.
func FieldNames() []string {
	names := make([]string, len(partNames))
	for i := range partNames {
		names[i] = partNames[i].name
	}
	return names
}

// FieldPath is where the field of that name stands in a message of the full schema; "" when nowhere.
func FieldPath(name string) string {
	for i := range partNames {
		if partNames[i].name == name {
			return partNames[i].path
		}
	}
	if _, _, ok := attributeField(name); ok {
		return name
	}
	return ""
}

// IsAttributeField reports whether name is object.CLASS.ATTRIBUTE.
func IsAttributeField(name string) bool {
	_, _, ok := attributeField(name)
	return ok
}

func attributeField(name string) (class, attribute string, ok bool) {
	rest, ok := strings.CutPrefix(name, "object.")
	if !ok {
		return "", "", false
	}
	class, attribute, ok = strings.Cut(rest, ".")
	return class, attribute, ok && class != "" && attribute != "" && !strings.Contains(attribute, ".")
}

// A wantedField is one that messages are asked to carry.
type wantedField struct {
	name             string // as asked for
	part             part
	class, attribute string
}

// Want sets the fields that each Payload carries from now on: names of FieldNames, object.CLASS.ATTRIBUTE, or
// the same behind "$.", as paths into the message are written. Others, and those above MaxFields, are left out:
// whoever asked finds them in the message itself.
func (e *Encoder) Want(names []string) {
	e.want = e.want[:0]
	for _, name := range names {
		w := wantedField{name: name}
		bare := strings.TrimPrefix(name, "$.")
		if i := slices.IndexFunc(partNames, func(p partName) bool { return p.name == bare }); i >= 0 {
			w.part = partNames[i].part
		} else if class, attribute, ok := attributeField(bare); ok {
			w.part, w.class, w.attribute = partAttribute, class, attribute
		} else {
			continue
		}
		if len(e.want) < MaxFields {
			e.want = append(e.want, w)
		}
	}
}

// fields makes the fields of a message: of an event, of an object, or of a frame that has neither. One without
// a value is there and empty.
func (e *Encoder) fields(f *event.Frame, ev *event.Event, o *event.Object, sensor string) adapters.Headers {
	if len(e.want) == 0 {
		return nil
	}
	e.run = e.run[:0]
	for i := range e.want {
		w := &e.want[i]
		e.value = e.appendField(e.value[:0], w, f, ev, o, sensor)
		e.run = e.run.Append(w.name, e.value)
	}
	return e.run
}

func (e *Encoder) appendField(dst []byte, w *wantedField, f *event.Frame, ev *event.Event, o *event.Object, sensor string) []byte {
	sensorRow, placeRow, moduleRow := f.Source, f.Source, f.Source
	if ev != nil {
		sensorRow, placeRow, moduleRow = int(ev.Sensor), int(ev.Place), int(ev.Module)
	}
	static := e.opts.Static
	if static == nil {
		static = &noStatic
	}
	switch w.part {
	case partSensorID:
		return append(dst, sensor...)
	case partSensorType:
		return append(dst, static.Sensors[sensorRow].Type...)
	case partSensorDescription:
		return append(dst, static.Sensors[sensorRow].Description...)
	case partPlaceID:
		return append(dst, static.Places[placeRow].ID...)
	case partPlaceType:
		return append(dst, static.Places[placeRow].Type...)
	case partPlaceName:
		return append(dst, static.Places[placeRow].Name...)
	case partModuleID:
		return append(dst, static.Analytics[moduleRow].ID...)
	case partModuleSource:
		return append(dst, static.Analytics[moduleRow].Source...)
	case partModuleDescription:
		return append(dst, static.Analytics[moduleRow].Description...)
	case partModuleVersion:
		return append(dst, static.Analytics[moduleRow].Version...)
	case partFrame:
		if ev != nil {
			return strconv.AppendInt(dst, ev.FrameID, 10)
		}
		return strconv.AppendUint(dst, f.Num, 10)
	case partSource:
		return strconv.AppendInt(dst, int64(f.Source), 10)
	case partMessageID, partEventID:
		at := e.uuidAt[0]
		if w.part == partEventID {
			at = e.uuidAt[1]
		}
		if e.opts.Type == Deepstream {
			return append(dst, e.w.buf[at:at+uuidSize]...)
		}
		return dst
	}
	switch {
	case ev != nil:
		return eventField(dst, w, ev)
	case o != nil:
		return objectField(dst, w, o)
	}
	return dst
}

var noStatic dsconfig.Static

func eventField(dst []byte, w *wantedField, ev *event.Event) []byte {
	switch w.part {
	case partObjectID:
		return appendUint(dst, ev.TrackingID)
	case partObjectClass:
		if c := classOf(ev); c.set {
			return append(dst, c.name...)
		}
		return append(dst, typeName(ev)...)
	case partEventType:
		if n := eventNumber(ev.Type); n != noEvent {
			return append(dst, eventNames[n]...)
		}
	case partVideoPath:
		return append(dst, ev.VideoPath.Value...)
	case partAttribute:
		if c := classOf(ev); c.name == w.class && c.kind == ev.Ext.Kind {
			return appendAttribute(dst, &ev.Ext, w.attribute)
		}
	}
	return dst
}

// appendAttribute appends the attribute that the full schema has under that name.
func appendAttribute(dst []byte, x *event.Ext, name string) []byte {
	text := event.String{}
	switch x.Kind {
	case event.ExtVehicle:
		switch name {
		case "type":
			text = x.VehicleType
		case "make":
			text = x.Make
		case "model":
			text = x.Model
		case "color":
			text = x.Color
		case "licenseState":
			text = x.Region
		case "license":
			text = x.License
		}
	case event.ExtPerson, event.ExtFace:
		face := x.Kind == event.ExtFace
		switch {
		case name == "age":
			return strconv.AppendUint(dst, uint64(x.Age), 10)
		case name == "gender":
			text = x.Gender
		case name == "hair":
			text = x.Hair
		case name == "cap":
			text = x.Cap
		case name == "apparel" && !face:
			text = x.Apparel
		case name == "glasses" && face:
			text = x.Glasses
		case name == "facialhair" && face:
			text = x.FacialHair
		case name == "name" && face:
			text = x.Name
		case name == "eyecolor" && face:
			text = x.EyeColor
		}
	case event.ExtProduct:
		switch name {
		case "brand":
			text = x.Brand
		case "type":
			text = x.ProductType
		case "shape":
			text = x.Shape
		}
	}
	return append(dst, text.Value...)
}

func objectField(dst []byte, w *wantedField, o *event.Object) []byte {
	switch w.part {
	case partObjectID:
		return appendUint(dst, o.ID)
	case partObjectClass:
		return append(dst, o.Label...)
	case partAttribute:
		if o.Label == w.class {
			label, _ := lastLabel(o, w.attribute)
			return append(dst, label...)
		}
	}
	return dst
}
