// SPDX-License-Identifier: LGPL-2.1-or-later

package payload

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/dsconfig"
	"github.com/gst-edgewire/gst-edgewire/pkg/event"
)

var testTime = time.Date(2026, 5, 6, 7, 8, 9, 123_999_999, time.FixedZone("", 7200))

// encode returns the payloads of f, copied.
func encode(t testing.TB, o Options, f *event.Frame) []Payload {
	t.Helper()
	if o.NewUUID == nil {
		o.NewUUID = func() (id [16]byte) { return id }
	}
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	var out []Payload
	if err := e.Encode(f, func(p Payload) {
		p.Data = []byte(string(p.Data))
		out = append(out, p)
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

func one(t testing.TB, o Options, f *event.Frame) Payload {
	t.Helper()
	out := encode(t, o, f)
	if len(out) != 1 {
		t.Fatalf("%d payloads", len(out))
	}
	return out[0]
}

// detections is a frame as a reader of plain regions of interest makes it.
func detections(labels ...string) *event.Frame {
	f := &event.Frame{Num: 12, Time: testTime, SensorID: "cam-9"}
	for i, l := range labels {
		o := f.AddObject()
		o.ID, o.Label = uint64(i+1), l
		o.Box = event.Box{Left: 10, Top: 20.5, Width: 30.25, Height: 40}
		o.Confidence, o.HasConfidence = 0.875, true
	}
	return f
}

func TestPlainDetectionsMinimal(t *testing.T) {
	f := detections("Person", "car", "dog", "")
	f.Objects[3].HasConfidence = false
	f.Objects[0].AddClassification("Gender").AddLabel("female", 0.9)
	f.EventsFromObjects()
	p := one(t, Options{Type: Minimal}, f)
	want := `{"version":"4.0","id":"12","@timestamp":"2026-05-06T05:08:09.123Z","sensorId":"cam-9","objects":[` +
		`"1|10|20.5|40.25|60.5|Person|#|female|0||||0.875",` +
		`"2|10|20.5|40.25|60.5|Vehicle|#|car||||||0.875",` +
		`"3|10|20.5|40.25|60.5|dog|#|||||||0.875",` +
		`"4|10|20.5|40.25|60.5|Unknown|#|||||||1"]}`
	if string(p.Data) != want {
		t.Errorf("got  %s\nwant %s", p.Data, want)
	}
	if p.SensorID != "cam-9" || p.ContentType != ContentTypeJSON || p.Count != 4 {
		t.Errorf("%+v", p)
	}
}

func TestPlainDetectionsFull(t *testing.T) {
	f := detections("person", "bag", "dog", "")
	f.EventsFromObjects()
	out := encode(t, Options{Type: Deepstream}, f)
	if len(out) != 4 {
		t.Fatalf("%d payloads", len(out))
	}
	const head = `{"messageid":"00000000-0000-0000-0000-000000000000","mdsversion":"1.0","@timestamp":"2026-05-06T05:08:09.123Z",` +
		`"place":null,"sensor":null,"analyticsModule":null,"object":{"id":"%d","speed":0.0,"direction":0.0,"orientation":0.0,%s` +
		`"bbox":{"topleftx":10,"toplefty":20,"bottomrightx":40,"bottomrighty":60},"location":{"lat":0.0,"lon":0.0,"alt":0.0},` +
		`"coordinate":{"x":0.0,"y":0.0,"z":0.0},"pose":{}},"event":{"id":"00000000-0000-0000-0000-000000000000","type":"moving"},"videoPath":""}`
	for i, class := range []string{
		`"person":{"age":0,"gender":"","hair":"","cap":"","apparel":"","confidence":0.875},`,
		`"bag":{"confidence":0.875},`, `"dog":{"confidence":0.875},`, ``,
	} {
		if want := fmt.Sprintf(head, i+1, class); string(out[i].Data) != want {
			t.Errorf("got  %s\nwant %s", out[i].Data, want)
		}
		if out[i].SensorID != "cam-9" || out[i].Count != 1 {
			t.Errorf("%+v", out[i])
		}
	}
}

func TestFrameAPIUsesTheFramesTime(t *testing.T) {
	f := detections("car")
	for _, typ := range []Type{Deepstream, Minimal} {
		if p := one(t, Options{Type: typ, API: APIFrame}, f); !strings.Contains(string(p.Data), `"@timestamp":"2026-05-06T05:08:09.123Z"`) {
			t.Errorf("%v: %s", typ, p.Data)
		}
	}
	f.Time = time.Time{}
	now := func() time.Time { return time.Unix(0, 0) }
	if p := one(t, Options{Type: Minimal, API: APIFrame, Now: now}, f); !strings.Contains(string(p.Data), `"1970-01-01T00:00:00.000Z"`) {
		t.Errorf("%s", p.Data)
	}
}

func TestSensorID(t *testing.T) {
	static := &dsconfig.Static{Sensors: map[int]dsconfig.Sensor{3: {ID: "row"}}}
	for _, c := range []struct {
		name        string
		static      *dsconfig.Static
		source      int
		frame       string
		event       event.String
		want        [2]string // minimal: event API, frame API
		full        string    // event API
		fullByFrame string
	}{
		{"row", static, 3, "frame", event.String{}, [2]string{"row", "row"}, "row", "row"},
		{"no row", static, 4, "frame", event.String{}, [2]string{"frame", "frame"}, "frame", "frame"},
		{"nothing", static, 4, "", event.String{}, [2]string{"", "0"}, "", ""},
		{"no config", nil, 4, "", event.String{}, [2]string{"0", "0"}, "", ""},
		{"no config, frame", nil, 4, "frame", event.String{}, [2]string{"frame", "frame"}, "frame", "frame"},
		{"event", static, 3, "frame", event.Str("event"), [2]string{"event", "row"}, "row", "row"},
		{"empty event", static, 4, "frame", event.Str(""), [2]string{"", "frame"}, "", "frame"},
	} {
		f := detections("car")
		f.Source, f.SensorID = c.source, c.frame
		f.EventsFromObjects()
		f.Events[0].SensorStr = c.event
		for api := range 2 {
			p := one(t, Options{Type: Minimal, API: API(api), Static: c.static}, f)
			if p.SensorID != c.want[api] || !strings.Contains(string(p.Data), `"sensorId":"`+c.want[api]+`"`) {
				t.Errorf("%s, API %d: %q in %s", c.name, api, p.SensorID, p.Data)
			}
			want := [2]string{c.full, c.fullByFrame}[api]
			if p = one(t, Options{API: API(api), Static: c.static}, f); p.SensorID != want {
				t.Errorf("%s, API %d: full schema: %q, want %q", c.name, api, p.SensorID, want)
			}
		}
	}
}

func TestNothingToSay(t *testing.T) {
	f := &event.Frame{}
	for _, c := range []struct {
		typ  Type
		api  API
		want int
	}{{Deepstream, APIEvent, 0}, {Minimal, APIEvent, 0}, {Protobuf, APIEvent, 0}, {Deepstream, APIFrame, 0}, {Minimal, APIFrame, 1}, {Protobuf, APIFrame, 1}} {
		if n := len(encode(t, Options{Type: c.typ, API: c.api}, f)); n != c.want {
			t.Errorf("%v, API %d: %d payloads, want %d", c.typ, c.api, n, c.want)
		}
	}
	f.EmitEmpty = true
	if p := one(t, Options{Type: Minimal}, f); p.Count != 0 || !strings.Contains(string(p.Data), `"objects":[]`) {
		t.Errorf("%s", p.Data)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{Type: 258}, "payload type 258"}, {Options{Type: -1}, "payload type -1"},
		{Options{API: 2}, "no API 2"}, {Options{Indent: -1}, "indentation"}, {Options{Indent: MaxIndent + 1}, "indentation"},
	} {
		if _, err := New(c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c.o, err)
		}
	}
	for typ, name := range map[Type]string{Deepstream: "deepstream", Minimal: "minimal", Protobuf: "protobuf", Reserved: "reserved", Custom: "custom", 7: "payload type 7"} {
		if typ.String() != name {
			t.Errorf("%d is %q", typ, typ)
		}
	}
}

func TestTimeError(t *testing.T) {
	e, err := New(Options{Type: Protobuf})
	if err != nil {
		t.Fatal(err)
	}
	f := &event.Frame{}
	f.AddEvent().Timestamp = event.Str("yesterday\xff" + strings.Repeat("x", 100))
	err = e.Encode(f, func(Payload) { t.Error("emitted") })
	var te *TimeError
	if !errors.As(err, &te) || len(err.Error()) > 250 || !strings.Contains(err.Error(), "yesterday") {
		t.Errorf("%v", err)
	}
}

func TestClassNameMeetsMember(t *testing.T) {
	for name, want := range map[string]string{
		"orientation": `"direction":0.0,"orientation":{},"bbox"`,
		"location":    `"orientation":0.0,"location":{"lat":0.0,"lon":0.0,"alt":0.0},"bbox":{`,
		"pose":        `"orientation":0.0,"pose":{},"bbox":{`,
		"embedding":   `"orientation":0.0,"embedding":{},"bbox":{`,
	} {
		f := &event.Frame{}
		e := f.AddEvent()
		e.ObjectType, e.ObjectID = event.Unknown, event.Str(name)
		p := one(t, Options{}, f)
		if s := string(p.Data); !strings.Contains(s, want) || strings.Count(s, `"`+name+`":`) != 1 {
			t.Errorf("%s: %s", name, s)
		}
		f.AddObject().Label = name
		if p := one(t, Options{API: APIFrame}, f); strings.Count(string(p.Data), `"`+name+`":`) != 1 {
			t.Errorf("%s: %s", name, p.Data)
		}
	}
}

func TestClassificationsOfOneType(t *testing.T) {
	f := detections("car")
	o := &f.Objects[0]
	o.AddClassification("confidence").AddLabel("high", 1)
	o.AddClassification("color")
	o.AddClassification("color").AddLabel("red", 1)
	if p := one(t, Options{API: APIFrame}, f); !strings.Contains(string(p.Data), `"car":{"confidence":"high","color":"red"}`) {
		t.Errorf("%s", p.Data)
	}
}

func TestUUIDs(t *testing.T) {
	u := newUUIDs()
	seen := map[string]bool{}
	for range 1000 {
		s := string(appendUUID(nil, u.next()))
		if len(s) != 36 || s[14] != '4' || !strings.ContainsRune("89ab", rune(s[19])) || s[8] != '-' || s[23] != '-' || seen[s] {
			t.Fatal(s)
		}
		seen[s] = true
	}
}

func TestOfComponentKeepsMemoryApart(t *testing.T) {
	f := &event.Frame{}
	for i := range 4 {
		e := f.AddEvent()
		e.ComponentID = int32(i % 2)
		e.TrackingID = uint64(i)
		e.Embedding = append(e.Embedding, float32(i))
	}
	all := f.Events
	f.Events = OfComponent(f.Events, 1)
	if len(f.Events) != 2 || f.Events[0].TrackingID != 1 || f.Events[1].TrackingID != 3 {
		t.Errorf("%+v", f.Events)
	}
	seen := map[*float32]bool{}
	for i := range all {
		p := &all[i].Embedding[0]
		if seen[p] {
			t.Error("two events share their memory")
		}
		seen[p] = true
	}
}

func TestSelection(t *testing.T) {
	for _, c := range []struct {
		name   string
		s      Selection
		num    uint64
		events int
		want   bool
		empty  bool
	}{
		{"events", Selection{}, 0, 1, true, false},
		{"no events", Selection{Type: Minimal}, 0, 0, false, false},
		{"other component", Selection{ComponentID: 9}, 0, 1, false, false},
		{"dummy", Selection{Type: Minimal, Dummy: true}, 0, 0, true, true},
		{"dummy of another component", Selection{Type: Protobuf, Dummy: true, ComponentID: 9}, 0, 1, true, true},
		{"dummy of the full schema", Selection{Dummy: true}, 0, 0, false, false},
		{"frame", Selection{API: APIFrame, FrameInterval: 30}, 60, 0, true, false},
		{"frame between", Selection{API: APIFrame, FrameInterval: 30, Dummy: true}, 61, 0, false, false},
		{"each frame", Selection{API: APIFrame, FrameInterval: 1}, 61, 0, true, false},
		{"interval 0", Selection{API: APIFrame}, 61, 0, true, false},
	} {
		f := &event.Frame{Num: c.num}
		for range c.events {
			f.AddEvent().ComponentID = 1
		}
		if got := c.s.Apply(f); got != c.want || f.EmitEmpty != c.empty {
			t.Errorf("%s: %v, empty %v", c.name, got, f.EmitEmpty)
		}
	}
}
