// SPDX-License-Identifier: LGPL-2.1-or-later

package payload

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	_ "google.golang.org/protobuf/types/known/timestamppb" // registers the Timestamp that nv.Frame refers to

	"github.com/gst-edgewire/gst-edgewire/pkg/event"
)

// schema is the part of DeepStream's schema.proto that is written, as a descriptor in JSON form: a decoder
// that shares nothing with the encoder.
const schema = `{"name":"schema.proto","package":"nv","syntax":"proto3","dependency":["google/protobuf/timestamp.proto"],"messageType":[
{"name":"Frame","field":[
 {"name":"version","number":1,"type":"TYPE_STRING","label":"LABEL_OPTIONAL"},
 {"name":"id","number":2,"type":"TYPE_STRING","label":"LABEL_OPTIONAL"},
 {"name":"timestamp","number":3,"type":"TYPE_MESSAGE","typeName":".google.protobuf.Timestamp","label":"LABEL_OPTIONAL"},
 {"name":"sensorId","number":4,"type":"TYPE_STRING","label":"LABEL_OPTIONAL"},
 {"name":"objects","number":5,"type":"TYPE_MESSAGE","typeName":".nv.Object","label":"LABEL_REPEATED"}]},
{"name":"Object","field":[
 {"name":"id","number":1,"type":"TYPE_STRING","label":"LABEL_OPTIONAL"},
 {"name":"bbox","number":2,"type":"TYPE_MESSAGE","typeName":".nv.Bbox","label":"LABEL_OPTIONAL"},
 {"name":"type","number":3,"type":"TYPE_STRING","label":"LABEL_OPTIONAL"},
 {"name":"confidence","number":4,"type":"TYPE_FLOAT","label":"LABEL_OPTIONAL"},
 {"name":"info","number":5,"type":"TYPE_MESSAGE","typeName":".nv.Object.InfoEntry","label":"LABEL_REPEATED"},
 {"name":"embedding","number":6,"type":"TYPE_MESSAGE","typeName":".nv.Embedding","label":"LABEL_OPTIONAL"},
 {"name":"pose","number":7,"type":"TYPE_MESSAGE","typeName":".nv.Pose","label":"LABEL_OPTIONAL"}],
 "nestedType":[{"name":"InfoEntry","options":{"mapEntry":true},"field":[
  {"name":"key","number":1,"type":"TYPE_STRING","label":"LABEL_OPTIONAL"},
  {"name":"value","number":2,"type":"TYPE_STRING","label":"LABEL_OPTIONAL"}]}]},
{"name":"Bbox","field":[
 {"name":"leftX","number":1,"type":"TYPE_FLOAT","label":"LABEL_OPTIONAL"},
 {"name":"topY","number":2,"type":"TYPE_FLOAT","label":"LABEL_OPTIONAL"},
 {"name":"rightX","number":3,"type":"TYPE_FLOAT","label":"LABEL_OPTIONAL"},
 {"name":"bottomY","number":4,"type":"TYPE_FLOAT","label":"LABEL_OPTIONAL"}]},
{"name":"Embedding","field":[{"name":"vector","number":1,"type":"TYPE_FLOAT","label":"LABEL_REPEATED"}]},
{"name":"Pose","field":[
 {"name":"type","number":1,"type":"TYPE_STRING","label":"LABEL_OPTIONAL"},
 {"name":"keypoints","number":2,"type":"TYPE_MESSAGE","typeName":".nv.Keypoint","label":"LABEL_REPEATED"}]},
{"name":"Keypoint","field":[
 {"name":"name","number":1,"type":"TYPE_STRING","label":"LABEL_OPTIONAL"},
 {"name":"coordinates","number":2,"type":"TYPE_FLOAT","label":"LABEL_REPEATED"}]}]}`

func frameDescriptor(t testing.TB) protoreflect.MessageDescriptor {
	t.Helper()
	fd := new(descriptorpb.FileDescriptorProto)
	if err := protojson.Unmarshal([]byte(schema), fd); err != nil {
		t.Fatal(err)
	}
	file, err := protodesc.NewFile(fd, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	return file.Messages().ByName("Frame")
}

func decode(t testing.TB, d protoreflect.MessageDescriptor, b []byte) *dynamicpb.Message {
	t.Helper()
	m := dynamicpb.NewMessage(d)
	if err := proto.Unmarshal(b, m); err != nil {
		t.Fatalf("%v in %x", err, b)
	}
	return m
}

// Each protobuf golden file also holds the text form that an independent decoder gave: what we write must
// decode to the same.
func TestProtobufDecodes(t *testing.T) {
	d := frameDescriptor(t)
	paths, err := filepath.Glob("testdata/golden/*.json")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, path := range paths {
		c := loadGolden(t, path)
		if c.Type != Protobuf || c.Status != "ok" || c.Level != "library" {
			continue
		}
		got, err := c.run(t, 0)
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range got {
			var g struct{ Text *string }
			if s == "null" || json.Unmarshal(c.Output[i], &g) != nil {
				continue
			}
			m := decode(t, d, []byte(s))
			if unknown := unknownFields(m); unknown > 0 {
				t.Errorf("%s: %d bytes in unknown fields", c.Name, unknown)
			}
			if g.Text == nil {
				continue // the reference's bytes could not be decoded, ours can
			}
			want := dynamicpb.NewMessage(d)
			if err := prototext.Unmarshal([]byte(*g.Text), want); err != nil {
				t.Fatalf("%s: %v", c.Name, err)
			}
			if !proto.Equal(m, want) {
				t.Errorf("%s:\n got %v\nwant %v", c.Name, m, want)
			}
			checked++
		}
	}
	if checked < 15 {
		t.Errorf("only %d messages were compared", checked)
	}
}

func unknownFields(m protoreflect.Message) int {
	n := len(m.GetUnknown())
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.IsMap() || fd.Message() == nil:
		case fd.IsList():
			for i := range v.List().Len() {
				n += unknownFields(v.List().Get(i).Message())
			}
		default:
			n += unknownFields(v.Message())
		}
		return true
	})
	return n
}

// Sizes around the one, two and three byte lengths of each level.
func TestProtobufLengths(t *testing.T) {
	d := frameDescriptor(t)
	sizes := []int{70000, 2_100_000}
	for n := range 200 {
		sizes = append(sizes, n, 16384-n)
	}
	for _, n := range sizes {
		f := &event.Frame{}
		for _, embedding := range []int{0, n / 8} {
			e := f.AddEvent()
			e.ObjectType, e.ObjectID = event.Unknown, event.Str(strings.Repeat("x", n))
			e.Embedding = make([]float32, embedding)
		}
		p := one(t, Options{Type: Protobuf}, f)
		m := decode(t, d, p.Data)
		objects := m.Get(d.Fields().ByName("objects")).List()
		if objects.Len() != 2 || unknownFields(m) != 0 {
			t.Fatalf("%d: %d objects", n, objects.Len())
		}
		for i := range 2 {
			o := objects.Get(i).Message()
			if got := o.Get(o.Descriptor().Fields().ByName("type")).String(); len(got) != n {
				t.Errorf("%d: type has %d bytes", n, len(got))
			}
		}
		if p.ContentType != ContentTypeProtobuf || p.Count != 2 {
			t.Errorf("%s, %d objects", p.ContentType, p.Count)
		}
	}
}

func FuzzProtobufDecodes(f *testing.F) {
	d := frameDescriptor(f)
	f.Add("person", "caf\xe9", float32(1), float64(0.5), int64(7))
	f.Add("", "\xff", float32(0), float64(-1e300), int64(-1))
	f.Fuzz(func(t *testing.T, label, value string, x float32, c float64, n int64) {
		fr := fuzzFrame(label, value, x, c, n)
		fr.Events[0].Timestamp = event.String{}
		for api := range 2 {
			for _, p := range encode(t, Options{Type: Protobuf, API: API(api)}, fr) {
				if m := decode(t, d, p.Data); unknownFields(m) != 0 {
					t.Errorf("unknown fields in %x", p.Data)
				}
			}
		}
	})
}
