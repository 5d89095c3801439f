// SPDX-License-Identifier: LGPL-2.1-or-later

package payload

import (
	"encoding/json"
	"math"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gst-edgewire/gst-edgewire/pkg/dsconfig"
	"github.com/gst-edgewire/gst-edgewire/pkg/event"
)

// fuzzFrame puts its arguments everywhere.
func fuzzFrame(label, value string, x float32, c float64, n int64) *event.Frame {
	f := &event.Frame{Num: uint64(n), Source: int(n % 3), SensorID: value, Time: time.Unix(n%1e9, n%1e9),
		SourceWidth: int(int32(n)), PipelineWidth: 640}
	f.Custom = append(f.Custom, []byte(value), []byte(label))
	o := f.AddObject()
	o.ID, o.Label, o.Confidence, o.HasConfidence = uint64(n), label, x, n%2 == 0
	o.Box = event.Box{Left: x, Top: -x, Width: x * 3, Height: float32(c)}
	o.AddClassification(value).AddLabel(label, x)
	o.AddClassification(label).AddLabel(value, x)
	for _, t := range []event.ObjectType{event.Unknown, event.Vehicle, event.PersonExt, event.Face, event.ProductExt, event.Bag, event.Dummy, event.ObjectType(n)} {
		e := f.AddEvent()
		e.Type, e.ObjectType, e.Box = event.Type(n%8), t, o.Box
		e.Location, e.Coordinate = event.GeoLocation{Lat: c, Lon: -c, Alt: float64(x)}, event.Coordinate{X: c * c, Y: 1 / c}
		e.Signature, e.Embedding = append(e.Signature, c, 1), append(e.Embedding, x, 2)
		e.Sensor, e.Place, e.Module, e.FrameID = int32(n%3), int32(n%2), int32(n%5), n
		e.Confidence, e.HasConfidence, e.TrackingID = c, n%3 == 0, uint64(n)
		e.Timestamp = event.Str(value)
		e.ObjectID, e.VideoPath = event.String{Value: label, Set: n%7 != 0}, event.Str(label)
		e.Ext = event.Ext{Kind: event.ExtKind(uint64(n) % 8), VehicleType: event.Str(label), Gender: event.Str(value),
			Name: event.Str(value), Brand: event.Str(label), Age: uint32(n), Mask: [][]float64{{c, 1}, {}, {float64(x)}}}
		e.Pose = event.Pose{Type: event.PoseType(n % 4), Joints: make([]event.Joint, uint64(n)%40)}
		for i := range e.Pose.Joints {
			e.Pose.Joints[i] = event.Joint{X: x, Y: float32(c), Z: 1, Confidence: x}
		}
		e.Has3D, e.Visibility = n%2 == 0, x
		e.Tracking3D = event.Tracking3D{WorldFeet: [2]float32{x, 1}, Hull: []int32{int32(n), 2}}
	}
	return f
}

func FuzzJSONIsValid(f *testing.F) {
	f.Add("person", "caf\xe9", float32(1), float64(0.5), int64(7))
	f.Add("bbox", "\x00\x1f\x7f\"\\/\u2028\xed\xa0\x80", float32(math.Inf(1)), math.NaN(), int64(-1))
	f.Add("", "\xff\xfe", float32(math.NaN()), math.Inf(-1), int64(math.MinInt64))
	f.Add("id", "|#|", float32(1e30), 5e-324, int64(math.MaxInt64))
	f.Add("location", "confidence", float32(math.Copysign(0, -1)), 1e17, int64(42))
	f.Fuzz(func(t *testing.T, label, value string, x float32, c float64, n int64) {
		fr := fuzzFrame(label, value, x, c, n)
		triple := [3]float64{c, 1, -c}
		static := &dsconfig.Static{
			Sensors:   map[int]dsconfig.Sensor{0: {ID: value, Type: label, Location: triple}},
			Places:    map[int]dsconfig.Place{0: {Name: value, Coordinate: triple, Sub: [3]string{label, value}}},
			Analytics: map[int]dsconfig.Analytics{0: {Source: value}},
		}
		for _, typ := range []Type{Deepstream, Minimal} {
			for api := range 2 {
				for _, indent := range []int{0, 2} {
					out := encode(t, Options{Type: typ, API: API(api), Static: static, Indent: indent}, fr)
					if len(out) == 0 {
						t.Fatal("no payload")
					}
					for _, p := range out {
						if !json.Valid(p.Data) || !utf8.Valid(p.Data) {
							t.Errorf("%v, API %d, indent %d: %q", typ, api, indent, p.Data)
						}
					}
				}
			}
		}
	})
}
