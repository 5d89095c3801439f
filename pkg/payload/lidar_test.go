// SPDX-License-Identifier: LGPL-2.1-or-later

package payload

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/gst-edgewire/gst-edgewire/pkg/dsconfig"
	"github.com/gst-edgewire/gst-edgewire/pkg/event"
)

// cloud is DeepStream's lidar_schema.proto, for a decoder that shares nothing with the encoder.
const cloud = `{"name":"lidar_schema.proto","package":"ds3dmsg","syntax":"proto3","messageType":[
{"name":"LidarPointCloud","field":[
 {"name":"points","number":1,"type":"TYPE_MESSAGE","typeName":".ds3dmsg.Point","label":"LABEL_REPEATED"}]},
{"name":"Point","field":[
 {"name":"x","number":1,"type":"TYPE_FLOAT","label":"LABEL_OPTIONAL"},
 {"name":"y","number":2,"type":"TYPE_FLOAT","label":"LABEL_OPTIONAL"},
 {"name":"z","number":3,"type":"TYPE_FLOAT","label":"LABEL_OPTIONAL"},
 {"name":"intensity","number":4,"type":"TYPE_FLOAT","label":"LABEL_OPTIONAL"}]}]}`

func descriptor(t testing.TB, schema, message string) protoreflect.MessageDescriptor {
	t.Helper()
	fd := new(descriptorpb.FileDescriptorProto)
	if err := protojson.Unmarshal([]byte(schema), fd); err != nil {
		t.Fatal(err)
	}
	file, err := protodesc.NewFile(fd, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	return file.Messages().ByName(protoreflect.Name(message))
}

func encoder(t testing.TB, o Options) *Encoder {
	t.Helper()
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// reading is one of everything.
func reading() *event.Lidar {
	flat := event.Flat{X: 320.5, Y: 1e-5, DX: 64.123456, DY: 1234567, Score: 0.9, Label: "car"}
	box := event.Box3D{X: 12.25, Y: -3, Z: 0, DX: 4.5, DY: 1.8, DZ: 1.6, Score: 0.25, Label: "ca\xffr\"|"}
	return &event.Lidar{Stamp: 18446744073709551615, HasStamp: true, Has2D: true, Has3D: true, HasFused: true,
		Objects2D: []event.Flat{flat, {}}, Objects3D: []event.Box3D{box}, Fused: []event.Fused{{Flat: flat, Box3D: box, Score: 0.1}},
		Points: []float32{1, 2, 3, 0.5, 0, 0, 0, 0, -1.5, float32(math.NaN()), 7, 8, 99}, PointSize: 4}
}

const readingJSON = `{"version":"ds3d/1.0","datamap@timestamp":"18446744073709551615",` +
	`"2d_objects":["320.5|1e-05|64.1235|1.23457e+06|0.9|car","0|0|0|0|0|"],` +
	`"3d_objects":["12.25|-3|0|4.5|1.8|1.6|0.25|ca` + "\uFFFD" + `r\"|"],` +
	`"fusion_results":[{"2d":"320.5|1e-05|64.1235|1.23457e+06|0.9|car","3d":"12.25|-3|0|4.5|1.8|1.6|0.25|ca` + "\uFFFD" + `r\"|","score":0.10000000149011612}]}`

func lidar(t testing.TB, o Options, l *event.Lidar) (out []Payload) {
	t.Helper()
	encoder(t, o).EncodeLidar(&event.Frame{SensorID: "roof", Source: 1}, l, func(p Payload) {
		p.Data = bytes.Clone(p.Data)
		out = append(out, p)
	})
	return out
}

func TestLidarJSON(t *testing.T) {
	out := lidar(t, Options{Type: Minimal}, reading())
	if len(out) != 1 || string(out[0].Data) != readingJSON {
		t.Fatalf("got  %s\nwant %s", out[0].Data, readingJSON)
	}
	if p := out[0]; p.ContentType != ContentTypeJSON || p.Count != 4 || p.SensorID != "roof" {
		t.Errorf("%+v", p)
	}
	static := &dsconfig.Static{Sensors: map[int]dsconfig.Sensor{1: {ID: "top"}}}
	if p := lidar(t, Options{Type: Minimal, Static: static}, reading())[0]; p.SensorID != "top" {
		t.Error(p.SensorID)
	}
	indented := lidar(t, Options{Type: Minimal, Indent: 2}, reading())[0].Data
	if !bytes.HasPrefix(indented, []byte("{\n  \"version\" : \"ds3d/1.0\",\n  \"datamap@timestamp\" : ")) {
		t.Errorf("%s", indented)
	}
	compareCompact(t, []string{string(indented)}, []string{readingJSON})
}

func TestLidarSaysNothing(t *testing.T) {
	empty := &event.Lidar{HasStamp: true, Has2D: true, Has3D: true, HasFused: true}
	points := &event.Lidar{Points: []float32{1, 2, 3}, PointSize: 3}
	for _, c := range []struct {
		typ  Type
		l    *event.Lidar
		want string
	}{
		{Minimal, empty, ""}, {Protobuf, empty, ""}, {Minimal, &event.Lidar{}, ""}, {Minimal, points, ""},
		{Deepstream, reading(), ""}, {Reserved, reading(), ""}, {Custom, reading(), ""},
		{Protobuf, points, "\x0a\x14\x0d\x00\x00\x80\x3f\x15\x00\x00\x00\x40\x1d\x00\x00\x40\x40\x25\x00\x00\x80\x3f"},
		{Minimal, &event.Lidar{Has2D: true, Objects2D: make([]event.Flat, 1), Has3D: true},
			`{"version":"ds3d/1.0","2d_objects":["0|0|0|0|0|"],"3d_objects":[]}`},
	} {
		got := ""
		for _, p := range lidar(t, Options{Type: c.typ}, c.l) {
			got += string(p.Data)
		}
		if got != c.want {
			t.Errorf("%v: %q instead of %q", c.typ, got, c.want)
		}
	}
}

func TestLidarPoints(t *testing.T) {
	d := descriptor(t, cloud, "LidarPointCloud")
	for size, want := range map[int][][4]float32{
		4: {{1, 2, 3, 0.5}, {0, 0, 0, 0}, {-1.5, float32(math.NaN()), 7, 8}},
		3: {{1, 2, 3, 1}, {0.5, 0, 0, 1}, {0, 0, -1.5, 1}, {float32(math.NaN()), 7, 8, 1}},
		5: {{1, 2, 3, 1}, {0, 0, 0, 1}}, 2: nil, 0: nil, -4: nil,
	} {
		l := reading()
		l.PointSize = size
		p := lidar(t, Options{Type: Protobuf}, l)[0]
		if p.ContentType != ContentTypeLidar || !strings.HasPrefix(string(p.Data), readingJSON) {
			t.Fatalf("%d: %s", size, p.Data)
		}
		m := decode(t, d, p.Data[len(readingJSON):])
		points := m.Get(d.Fields().ByName("points")).List()
		if unknownFields(m) > 0 || points.Len() != len(want) {
			t.Fatalf("size %d: %d points", size, points.Len())
		}
		for i, w := range want {
			for n := range 4 {
				got := float32(points.Get(i).Message().Get(points.Get(i).Message().Descriptor().Fields().ByNumber(protoreflect.FieldNumber(n + 1))).Float())
				if math.Float32bits(got) != math.Float32bits(w[n]) {
					t.Errorf("size %d, point %d: %v instead of %v", size, i, got, w[n])
				}
			}
		}
	}
}

func TestLidarCostsNoAllocation(t *testing.T) {
	l := reading()
	for range 200 {
		l.Objects3D = append(l.Objects3D, l.Objects3D[0])
		l.Points = append(l.Points, 1, 2, 3, 4)
	}
	f := &event.Frame{}
	for _, typ := range []Type{Minimal, Protobuf} {
		e, bytes := encoder(t, Options{Type: typ}), 0
		emit := func(p Payload) { bytes += len(p.Data) }
		if n := testing.AllocsPerRun(100, func() { e.EncodeLidar(f, l, emit) }); n != 0 {
			t.Errorf("%v: %v allocations", typ, n)
		}
	}
}

func FuzzLidarAndSceneAreValid(f *testing.F) {
	f.Add("car", float32(1), uint32(7), uint64(9))
	f.Add("\xff\x00\x1f\"\\\u2028\xed\xa0\x80", float32(math.Inf(1)), uint32(1<<31), uint64(1<<63))
	f.Add("", float32(math.NaN()), uint32(0), uint64(0))
	f.Fuzz(func(t *testing.T, label string, x float32, n uint32, stamp uint64) {
		l := &event.Lidar{Stamp: stamp, HasStamp: n%2 == 0, Has2D: true, Has3D: n%3 > 0, HasFused: true,
			Objects2D: []event.Flat{{X: x, DY: -x, Score: x, Label: label}}, Objects3D: []event.Box3D{{Y: x, Label: label}}}
		l.Fused = append(l.Fused, event.Fused{Flat: l.Objects2D[0], Box3D: l.Objects3D[0], Score: x})
		s := &event.Scene{SensorStr: event.String{Value: label, Set: n%2 == 0}}
		for range n % 4 {
			o := s.AddObject()
			o.ID, o.Label, o.Score, o.ClassScore, o.Box[3], o.Box[11] = n, label, x, -x, x, x*3
			o.Embedding, o.HasEmbedding = []float32{x, 0}, true
		}
		frame := &event.Frame{Num: uint64(n), SensorID: label}
		d := descriptor(t, solidSchema, "Frame")
		for _, typ := range []Type{Minimal, Protobuf} {
			e := encoder(t, Options{Type: typ, Indent: int(n % 3), Embeddings: []string{label}})
			e.EncodeScene(frame, s, func(p Payload) {
				if typ == Minimal && (!json.Valid(p.Data) || !utf8.Valid(p.Data)) {
					t.Errorf("%q", p.Data)
				} else if typ == Protobuf {
					decode(t, d, p.Data)
				}
			})
			e.EncodeLidar(frame, l, func(p Payload) {
				if !json.Valid(p.Data) || !utf8.Valid(p.Data) {
					t.Errorf("%q", p.Data)
				}
			})
		}
	})
}

// BenchmarkSpace: nanoseconds per object with a body, detection of a lidar, and point.
func BenchmarkSpace(b *testing.B) {
	const n = 50
	s, l := &event.Scene{}, &event.Lidar{Has3D: true}
	for i := range n {
		o := s.AddObject()
		*o = event.Solid{ID: uint32(i), Label: "Person", Score: 0.75, ClassScore: 0.875, Embedding: make([]float32, 256), HasEmbedding: true}
		for k := range o.Box {
			o.Box[k] = float32(i) + float32(k)*0.37
		}
		l.Objects3D = append(l.Objects3D, event.Box3D{X: float32(i) * 1.7, Y: 3.33, Z: 0.5, DX: 4.51, DY: 1.87, DZ: 1.6, Score: 0.91, Label: "car"})
	}
	cloud := &event.Lidar{Points: make([]float32, 4*10000), PointSize: 4}
	for i := range cloud.Points {
		cloud.Points[i] = float32(i) * 0.01
	}
	f, bytes := &event.Frame{}, 0
	emit := func(p Payload) { bytes += len(p.Data) }
	for _, c := range []struct {
		name string
		typ  Type
		per  int
		run  func(e *Encoder)
	}{
		{"scene-json", Minimal, n, func(e *Encoder) { e.EncodeScene(f, s, emit) }},
		{"scene-protobuf", Protobuf, n, func(e *Encoder) { e.EncodeScene(f, s, emit) }},
		{"lidar-json", Minimal, n, func(e *Encoder) { e.EncodeLidar(f, l, emit) }},
		{"points", Protobuf, len(cloud.Points) / 4, func(e *Encoder) { e.EncodeLidar(f, cloud, emit) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			e := encoder(b, Options{Type: c.typ})
			b.ReportAllocs()
			for b.Loop() {
				c.run(e)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(c.per), "ns/item")
		})
	}
}
