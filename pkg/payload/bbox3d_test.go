// SPDX-License-Identifier: LGPL-2.1-or-later

package payload

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/gst-edgewire/gst-edgewire/pkg/dsconfig"
	"github.com/gst-edgewire/gst-edgewire/pkg/event"
)

// solidSchema is schema with what nvmsgconv_mega's schema.proto has besides.
var solidSchema = strings.NewReplacer(
	`.nv.Object","label":"LABEL_REPEATED"}]},`, `.nv.Object","label":"LABEL_REPEATED"},
 {"name":"info","number":12,"type":"TYPE_MESSAGE","typeName":".nv.Frame.InfoEntry","label":"LABEL_REPEATED"}],
 "nestedType":[{"name":"InfoEntry","options":{"mapEntry":true},"field":[
  {"name":"key","number":1,"type":"TYPE_STRING","label":"LABEL_OPTIONAL"},
  {"name":"value","number":2,"type":"TYPE_STRING","label":"LABEL_OPTIONAL"}]}]},`,
	`.nv.Pose","label":"LABEL_OPTIONAL"}],`, `.nv.Pose","label":"LABEL_OPTIONAL"},
 {"name":"bbox3d","number":14,"type":"TYPE_MESSAGE","typeName":".nv.Bbox3d","label":"LABEL_OPTIONAL"}],`,
	`{"name":"Embedding",`, `{"name":"Bbox3d","field":[
 {"name":"coordinates","number":1,"type":"TYPE_DOUBLE","label":"LABEL_REPEATED"},
 {"name":"embeddings","number":2,"type":"TYPE_MESSAGE","typeName":".nv.Embedding","label":"LABEL_REPEATED"},
 {"name":"confidence","number":3,"type":"TYPE_FLOAT","label":"LABEL_OPTIONAL"}]},
{"name":"Embedding",`).Replace(schema)

// scene has a person, and a pallet without an embedding.
func scene() *event.Scene {
	s := &event.Scene{SensorStr: event.Str("hall")}
	o := s.AddObject()
	o.ID, o.Label, o.Score, o.ClassScore = 4294967295, "Person", 0.5, 0.75
	o.Box = [12]float32{1, 2.5, -3, 0.5, 0.25, 1.75, 0, 0, 3.140625, 1, 0, -0.5}
	o.Embedding, o.HasEmbedding = []float32{1, -0.5}, true
	o = s.AddObject()
	o.ID, o.Label, o.Score, o.ClassScore = 7, "Pal\"let", 0.25, 1
	return s
}

func solidJSON(id, label, coordinates, score, embeddings, class string) string {
	return fmt.Sprintf(`{"id":"%s","bbox":{"leftX":0.0,"topY":0.0,"rightX":0.0,"bottomY":0.0,"embeddings":[],"confidence":0.0,"info":{},"type":"%s"},`+
		`"embedding":{"vector":[],"info":{}},"bbox3d":{"coordinates":[%s],"confidence":%s,"embeddings":[%s],"info":{}},`+
		`"confidence":%s,"info":{},"speed":0.0,"dir":[]}`, id, label, coordinates, score, embeddings, class)
}

func encodeScene(t testing.TB, o Options, f *event.Frame, s *event.Scene) (out []Payload) {
	t.Helper()
	encoder(t, o).EncodeScene(f, s, func(p Payload) {
		p.Data = bytes.Clone(p.Data)
		out = append(out, p)
	})
	return out
}

var sceneFrame = event.Frame{Num: 12, Time: time.Date(2025, 2, 3, 4, 5, 6, 789_999_999, time.UTC), Source: 3}

func TestSceneJSON(t *testing.T) {
	head := `{"version":"4.0","id":"12","@timestamp":"2025-02-03T04:05:06.789Z","sensorId":"hall","objects":[`
	pallet := solidJSON("7", `Pal\"let`, "0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0", "0.25", "", "1.0")
	person := func(embedding string) string {
		return solidJSON("4294967295", "Person", "1.0,2.5,-3.0,0.5,0.25,1.75,0.0,0.0,3.140625,1.0,0.0,-0.5", "0.5", embedding, "0.75")
	}
	for _, c := range []struct {
		filter, want string
		s            *event.Scene
	}{
		{"Person", head + person("1.0,-0.5") + "," + pallet + "]}", scene()},
		{"person, Pal\"let", head + person("") + "," + pallet + "]}", scene()},
		{"", head + "]}", &event.Scene{SensorStr: event.Str("hall")}},
	} {
		out := encodeScene(t, Options{Type: Minimal, Embeddings: ParseEmbeddingFilter(c.filter)}, &sceneFrame, c.s)
		if len(out) != 1 || string(out[0].Data) != c.want {
			t.Errorf("got  %s\nwant %s", out[0].Data, c.want)
		}
		if p := out[0]; p.SensorID != "hall" || p.Count != len(c.s.Objects) || p.ContentType != ContentTypeJSON {
			t.Errorf("%+v", p)
		}
		indented := encodeScene(t, Options{Type: Minimal, Embeddings: ParseEmbeddingFilter(c.filter), Indent: 2}, &sceneFrame, c.s)
		compareCompact(t, []string{string(indented[0].Data)}, []string{c.want})
	}
}

func TestSceneProtobuf(t *testing.T) {
	d := descriptor(t, solidSchema, "Frame")
	const person = `objects{id:"4294967295" bbox{} type:"Person" confidence:0.5 info{key:"classConfidence" value:"0.750000"} embedding{}
		bbox3d{coordinates:[1,2.5,-3,0.5,0.25,1.75,0,0,3.140625,1,0,-0.5] embeddings{%s} confidence:0.5}}
		objects{id:"7" bbox{} type:"Pal\"let" confidence:0.25 info{key:"classConfidence" value:"1.000000"} embedding{}
		bbox3d{coordinates:[0,0,0,0,0,0,0,0,0,0,0,0] confidence:0.25}}`
	const head = `version:"4.0" id:"12" timestamp{seconds:1738555506 nanos:789000000} sensorId:"hall" `
	for filter, want := range map[string]string{
		"Car ,  Person": head + fmt.Sprintf(person, "vector:[1,-0.5]"),
		"Car":           head + fmt.Sprintf(person, ""),
	} {
		out := encodeScene(t, Options{Type: Protobuf, Embeddings: ParseEmbeddingFilter(filter)}, &sceneFrame, scene())
		if len(out) != 1 || out[0].ContentType != ContentTypeProtobuf {
			t.Fatal(out)
		}
		m, w := decode(t, d, out[0].Data), dynamicpb.NewMessage(d)
		if err := prototext.Unmarshal([]byte(want), w); err != nil {
			t.Fatal(err)
		}
		if unknownFields(m) > 0 || !proto.Equal(m, w) {
			t.Errorf("got  %v\nwant %v", m, w)
		}
	}
	// Readers of the plain schema read the rest of it.
	plain := decode(t, frameDescriptor(t), encodeScene(t, Options{Type: Protobuf}, &sceneFrame, scene())[0].Data)
	if n := plain.Get(plain.Descriptor().Fields().ByName("objects")).List().Len(); n != 2 {
		t.Error(n)
	}
}

func TestSceneSensor(t *testing.T) {
	static := &dsconfig.Static{Sensors: map[int]dsconfig.Sensor{3: {ID: "row"}}}
	for want, c := range map[string]struct {
		s      *event.Scene
		static *dsconfig.Static
		id     string
	}{
		"":     {&event.Scene{SensorStr: event.Str("")}, static, "id"},
		"own":  {&event.Scene{SensorStr: event.Str("own")}, static, "id"},
		"row":  {&event.Scene{}, static, "id"},
		"id":   {&event.Scene{}, &dsconfig.Static{}, "id"},
		"0":    {&event.Scene{}, nil, ""},
		"none": {&event.Scene{}, nil, "none"},
	} {
		f := sceneFrame
		f.SensorID = c.id
		if got := encodeScene(t, Options{Type: Minimal, Static: c.static}, &f, c.s)[0].SensorID; got != want {
			t.Errorf("%q instead of %q", got, want)
		}
	}
	if got := encodeScene(t, Options{Type: Minimal, Static: &dsconfig.Static{}}, &sceneFrame, &event.Scene{})[0].SensorID; got != "" {
		t.Error(got)
	}
}

func TestSceneOfOtherSchemas(t *testing.T) {
	for _, typ := range []Type{Deepstream, Reserved, Custom} {
		if out := encodeScene(t, Options{Type: typ}, &sceneFrame, scene()); len(out) != 0 {
			t.Error(typ, out)
		}
	}
	now := func() time.Time { return time.Unix(1, 0) }
	if p := encodeScene(t, Options{Type: Minimal, Now: now}, &event.Frame{Num: math.MaxUint32}, &event.Scene{})[0]; string(p.Data) !=
		`{"version":"4.0","id":"-1","@timestamp":"1970-01-01T00:00:01.000Z","sensorId":"0","objects":[]}` {
		t.Errorf("%s", p.Data)
	}
}

func TestSceneViews(t *testing.T) {
	s := &event.Scene{Views: []event.View{{Source: "cam \"1\"", Stamp: 1738555506789999999}, {Source: "\xff", Stamp: math.MaxUint64}}}
	for _, views := range []bool{false, true} {
		want := `{"version":"4.0","id":"12","@timestamp":"2025-02-03T04:05:06.789Z","sensorId":"0","objects":[]`
		if views {
			want += `,"info":[{"source_id":"cam \"1\"","timestamp":"1738555506789999999"},{"source_id":"` + "\uFFFD" + `","timestamp":"18446744073709551615"}]`
		}
		if p := encodeScene(t, Options{Type: Minimal, Views: views}, &sceneFrame, s)[0]; string(p.Data) != want+"}" {
			t.Errorf("got  %s\nwant %s}", p.Data, want)
		}
		d := descriptor(t, solidSchema, "Frame")
		m := decode(t, d, encodeScene(t, Options{Type: Protobuf, Views: views}, &sceneFrame, s)[0].Data)
		info := m.Get(d.Fields().ByName("info")).Map()
		if !views {
			if info.Len() != 0 {
				t.Error(info)
			}
			continue
		}
		for key, value := range map[string]string{"cam \"1\"": "2025-02-03T04:05:06.789Z", "\uFFFD": "2262-04-11T23:47:16.854Z"} {
			if got := info.Get(protoreflect.ValueOfString(key).MapKey()); info.Len() != 2 || got.String() != value {
				t.Error(key, got)
			}
		}
	}
}

func TestSceneFields(t *testing.T) {
	e := encoder(t, Options{Type: Minimal})
	e.Want([]string{"sensorId", "object.id", "object.class", "frame"})
	e.EncodeScene(&sceneFrame, scene(), func(p Payload) {
		got := map[string]string{}
		p.Fields.Each(func(name, value []byte) bool { got[string(name)] = string(value); return true })
		if want := "map[frame:12 object.class:Person object.id:4294967295 sensorId:hall]"; fmt.Sprint(got) != want {
			t.Errorf("%v instead of %s", got, want)
		}
	})
}

func TestParseEmbeddingFilter(t *testing.T) {
	for text, want := range map[string][]string{"": nil, " , ,": nil, "Person": {"Person"}, " a b ,c,, d": {"a b", "c", "d"}} {
		if got := ParseEmbeddingFilter(text); !slices.Equal(got, want) {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func TestSceneCostsNoAllocation(t *testing.T) {
	s := scene()
	for range 100 {
		s.Objects = append(s.Objects, s.Objects[0])
	}
	for _, typ := range []Type{Minimal, Protobuf} {
		e, bytes := encoder(t, Options{Type: typ, Embeddings: []string{"Person"}}), 0
		emit := func(p Payload) { bytes += len(p.Data) }
		if n := testing.AllocsPerRun(100, func() { e.EncodeScene(&sceneFrame, s, emit) }); n != 0 {
			t.Errorf("%v: %v allocations", typ, n)
		}
	}
}

func TestPlaceholders(t *testing.T) {
	f := &event.Frame{SensorID: "cam"}
	f.AddObject()
	f.AddObject()
	f.AddEvent().SensorStr = event.Str("own")
	for api, want := range []string{"own", "cam cam"} {
		got := ""
		for _, p := range encode(t, Options{Type: Custom, API: API(api)}, f) {
			if string(p.Data) != "CUSTOM Schema\x00" || p.ContentType != ContentTypeCustom || p.Count != 1 {
				t.Errorf("%+v", p)
			}
			got += " " + p.SensorID
		}
		if got != " "+want {
			t.Error(api, got)
		}
		if out := encode(t, Options{Type: Reserved, API: API(api)}, f); len(out) != 0 {
			t.Error(out)
		}
	}
	for _, typ := range []Type{Deepstream, Reserved, Custom} {
		if s := (Selection{Type: typ, Dummy: true}); s.Apply(&event.Frame{}) {
			t.Error(typ, "takes a dummy")
		}
	}
}
