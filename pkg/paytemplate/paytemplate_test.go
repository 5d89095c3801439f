// SPDX-License-Identifier: LGPL-2.1-or-later

package paytemplate

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/dsconfig"
	"github.com/gst-edgewire/gst-edgewire/pkg/event"
	"github.com/gst-edgewire/gst-edgewire/pkg/payload"
)

// sample is a frame with something in every field.
func sample() *event.Frame {
	f := &event.Frame{Num: 30, Source: 1, Time: time.Date(2025, 2, 3, 4, 5, 6, 789e6, time.UTC), PTS: 1200 * time.Millisecond, HasPTS: true,
		SourceWidth: 1920, SourceHeight: 1080, PipelineWidth: 960, PipelineHeight: 540, SensorID: "cam-\"1\"",
		Custom: [][]byte{[]byte("hello \x01\xff"), {}}}
	o := f.AddObject()
	o.ID, o.ClassID, o.Label, o.Confidence, o.HasConfidence = math.MaxUint64, 2, "car\n", 0.9, true
	o.Box = event.Box{Left: 10.5, Top: 20, Width: 30, Height: 40}
	c := o.AddClassification("color")
	c.AddLabel("blue", 0.2)
	c.AddLabel("re\"d", 0.7)
	o.AddClassification("make")
	o = f.AddObject()
	o.Label, o.Box = "person", event.Box{Width: 1, Height: 2}
	o.AddClassification("gender").AddLabel("male", 0.5)
	return f
}

func sampleEvents() *event.Frame {
	f := sample()
	f.EventsFromObjects()
	f.Objects = f.Objects[:0]
	e := &f.Events[0]
	e.Ext.Kind, e.Ext.Make = event.ExtVehicle, event.Str("Foo")
	e.Embedding, e.Signature = []float32{0.5, -1, float32(math.NaN())}, []float64{1e-9}
	e.Has3D, e.Visibility = true, 0.5
	e.Tracking3D = event.Tracking3D{WorldFeet: [2]float32{1, 2}, ImageFeet: [2]float32{3, 4}, Hull: []int32{1, 2, 3, 4}}
	e.Pose = event.Pose{Type: event.Pose3D, Joints: []event.Joint{{X: 1, Y: 2, Z: 3, Confidence: 0.5}}}
	e.VideoPath, e.Timestamp = event.Str("/v.mp4"), event.Str("2025-02-03T04:05:06Z")
	e.Location = event.GeoLocation{Lat: 48.1, Lon: 11.5}
	return f
}

var static = &dsconfig.Static{
	Sensors: map[int]dsconfig.Sensor{1: {ID: "gate", Type: "Camera", Description: "d", Location: [3]float64{48.1, 11.5, 520}}},
	Places:  map[int]dsconfig.Place{1: {ID: "site", Name: "Yard", Sub: [3]string{"a", "b", "c"}}},
}

func render(t *testing.T, text string, api payload.API, f *event.Frame, s *dsconfig.Static) ([]string, error) {
	t.Helper()
	tmpl, err := Parse("t.tmpl", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	e, err := NewEncoder(tmpl, Options{API: api, Static: s, NewUUID: func() [16]byte { return [16]byte{15: 1} }})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	err = e.Encode(f, func(p payload.Payload) { out = append(out, string(p.Data)) })
	return out, err
}

func TestMessages(t *testing.T) {
	perObject := "{{/* msgconv: per=object */}}\n"
	for name, c := range map[string]struct {
		text   string
		events bool
		want   []string
	}{
		"values by themselves and in strings": {perObject + `{"id": "{{.object.id}}", "n": {{.object.id}}, "c": {{.object.class}}, "s": "a-{{.object.class}}-b", "no": {{.object.attributes.nothing}},
			"empty": "{{.object.attributes.nothing}}", "conf": {{.object.confidence}}}`, false, []string{
			`{"id":"18446744073709551615","n":18446744073709551615,"c":"car\n","s":"a-car\n-b","no":null,"empty":"","conf":0.9}`,
			`{"id":"0","n":0,"c":"person","s":"a-person-b","no":null,"empty":"","conf":1}`}},
		"boxes in the source's picture": {perObject + `[{{.object.box.left}} {{.object.box.top}} {{.object.box.right}} {{.object.box.bottom}} {{.frame.width}}]`, false,
			[]string{`[21,40,81,120,1920]`, `[0,0,2,4,1920]`}},
		"a loop in an array": {`{"o": [{{range .objects}}{"c": {{.class}}, "k": [{{range .classifications}}{{.type}} {{.label}}{{end}}]}{{end}}]}`, false,
			[]string{`{"o":[{"c":"car\n","k":["color","re\"d","make",null]},{"c":"person","k":["gender","male"]}]}`}},
		"commas of all kinds": {`[{{range $i, $o := .objects}}{{if $i}},{{end}}{{$i}},{{$o.classId}},,{{end}}, 7,]`, false, []string{`[0,2,1,0,7]`}},
		"a loop in an object": {`{{range .objects}}{{end}}{ "first": 1 {{range .objects}}{{range .classifications}}"{{.type}}": "{{.label}}",{{end}}{{end}} }`, false,
			[]string{`{"first":1,"color":"re\"d","make":"","gender":"male"}`}},
		"a loop in a string": {`"{{range .objects}}{{.class}};{{end}}"`, false, []string{`"car\n;person;"`}},
		"else of a loop":     {`[1 {{range .custom}}{{.text}}{{else}}"none"{{end}} 2]`, false, []string{`[1,"hello \u0001` + "\uFFFD" + `","",2]`}},
		"branches":           {`[{{range .objects}}{{if gt .confidence 0.95}}"sure"{{else if eq .class "car\n"}}"car"{{end}}{{end}} {{if .frame.pts}}{{.frame.pts}}{{else}}0{{end}}]`, false, []string{`["car","sure",1200000000]`}},
		"an optional member": {`{ {{if .sensor.type}}"type": {{.sensor.type}}{{end}} "id": {{.sensor.id}} {{if not .sensor.type}}, "no": true{{end}} }`, false, []string{`{"id":"cam-\"1\"","no":true}`}},
		"a filter":           {perObject + `{{if eq .object.class "person"}}{"p": {{.frame.num}}}{{end}}`, false, []string{`{"p":30}`}},
		"variables":          {`{{$n := .frame.num}}[{{range $o := .objects}}{{$n}} {{$.frame.source}} {{with $o.box}}{{.width}}{{end}} {{with .classifications}}{{else}}0{{end}}{{end}}]`, false, nil},
		"functions": {`[{{len .objects}} {{default "?" .sensor.description}} {{fixed 2 .frame.num}} {{.frame.num | fixed 1}} {{upper .sensor.id}} {{int 2.9}} {{eq .frame.num 30}} {{and true 0}} {{or 0 "x"}}
			{{len .sensor.id}} {{ne 1 2}} {{le 2 2}} {{ge 1 2}} {{eq .frame.num 1 2 30}} {{lt .frame.source 1.5}}]`, false,
			[]string{`[2,"?",30.00,30.0,"CAM-\"1\"",2,true,0,"x",7,true,true,false,true,true]`}},
		"trimmed":  {"{\"a\": {{- .frame.num -}} ,\n \"b\":\t\"x {{- .frame.num -}}  y\" }", false, []string{`{"a":30,"b":"x30y"}`}},
		"comments": {"{{/* no header */}}[1{{/* , */}}]", false, []string{`[1]`}},
		"events": {`[{{range .objects}}{"e": {{.event.type}}, "t": {{.event.time}}, "v": {{.event.videoPath}}, "make": {{.attributes.make}}, "emb": {{.embedding}}, "sig": {{.signature}}, "n": {{len .embedding}},
			"hull": {{.tracking.hull}}, "vis": {{.tracking.visibility}}, "w": {{.tracking.worldX}}, "lat": {{.location.lat}}, "j": [{{range .pose.joints}}{{.name}} {{.x}} {{.y}} {{.z}} {{.confidence}}{{end}}], "c": {{.class}}}{{end}}]`, true, []string{
			`[{"e":"moving","t":"2025-02-03T04:05:06Z","v":"/v.mp4","make":"Foo","emb":[0.5,-1,null],"sig":[1e-09],"n":3,"hull":[1,2,3,4],"vis":0.5,"w":1,"lat":48.1,"j":["pelvis",1,2,3,0.5],"c":"car\n"},` +
				`{"e":"moving","t":"2025-02-03T04:05:06.789Z","v":null,"make":null,"emb":[],"sig":[],"n":0,"hull":[],"vis":null,"w":null,"lat":0,"j":[],"c":"person"}]`}},
		"CSV": {"{{/* msgconv: per=object content-type=text/csv */}}\n{{.frame.time}},{{csv .object.class}},{{fixed 3 .object.confidence}},{{json .sensor.id}}\n", false, []string{
			"2025-02-03T04:05:06.789Z,\"car\n\",0.900,\"cam-\\\"1\\\"\"", "2025-02-03T04:05:06.789Z,person,1.000,\"cam-\\\"1\\\"\""}},
		"a frame": {`{"id": "{{.message.id}}", "id2": {{.message.id}}, "ms": {{.frame.unixMs}}}`, false,
			[]string{`{"id":"00000000-0000-0000-0000-000000000001","id2":"00000000-0000-0000-0000-000000000001","ms":1738555506789}`}},
		"a byte order mark": {"\uFEFF[1]", false, []string{"[1]"}},
	} {
		f, api := sample(), payload.APIFrame
		if c.events {
			f, api = sampleEvents(), payload.APIEvent
			f.Events[0].ObjectType, f.Events[0].ObjectID = event.Unknown, event.Str("car\n")
		}
		got, err := render(t, c.text, api, f, nil)
		if err != nil || c.want != nil && !slices.Equal(got, c.want) {
			t.Errorf("%s: %v\n%q\n%q", name, err, got, c.want)
		}
		for _, m := range got {
			if name != "CSV" && !json.Valid([]byte(m)) {
				t.Errorf("%s: not JSON: %s", name, m)
			}
		}
	}
}

func TestConfiguration(t *testing.T) {
	got, err := render(t, `[{{.sensor.id}} {{.sensor.type}} {{.sensor.location.lat}} {{.place.name}} {{.place.sub3}} {{.analyticsModule.id}}]`, payload.APIFrame, sample(), static)
	if want := `["gate","Camera",48.1,"Yard","c",null]`; err != nil || len(got) != 1 || got[0] != want {
		t.Error(got, err)
	}
}

// TestFrames: when there is a message at all.
func TestFrames(t *testing.T) {
	empty := &event.Frame{}
	dummy := &event.Frame{EmitEmpty: true}
	for name, c := range map[string]struct {
		api  payload.API
		f    *event.Frame
		text string
		want int
	}{
		"detections, none":    {payload.APIFrame, empty, "[1]", 1},
		"events, none":        {payload.APIEvent, empty, "[1]", 0},
		"events, dummy":       {payload.APIEvent, dummy, "[{{.sensor.id}}{{.frame.num}}]", 1},
		"per object, none":    {payload.APIFrame, empty, "{{/* msgconv: per=object */}}[1]", 0},
		"per object, dummy":   {payload.APIEvent, dummy, "{{/* msgconv: per=object */}}[1]", 0},
		"per object, events":  {payload.APIEvent, sampleEvents(), "{{/* msgconv: per=object */}}[1]", 2},
		"per object, objects": {payload.APIFrame, sample(), "{{/* msgconv: per=object */}}[1]", 2},
	} {
		if got, err := render(t, c.text, c.api, c.f, nil); err != nil || len(got) != c.want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// TestMistakes: each is found at its place, with a remedy.
func TestMistakes(t *testing.T) {
	object := "{{/* msgconv: per=object */}}\n"
	for _, c := range []struct {
		text, place, want string
	}{
		{`{"a": {{.frame.nun}}}`, "1:15", "there is no field .frame.nun; did you mean .frame.num?"},
		{"{\n \"a\": \"é{{.sensor.locaton.lat}}\"}", "2:18", "did you mean .sensor.location?"},
		{`[{{range .objects}}{{.frame.num}}{{end}}]`, "1:22", "outside of the object it is $.frame.num"},
		{object + `[{{.class}}]`, "2:4", "did you mean .object.class?"},
		{`[{{.class}}]`, "1:4", "{{range .objects}}"},
		{"[\n{{{range .objects}}{{end}}}]", "2", "put a blank between"},
		{"[1]\n {{/* msgconv: per=object */}}", "2:2", "a header stands at the beginning"},
		{"{{/* note */}}{{- /* msgconv: per=object */}}[1]", "1:15", "a header stands at the beginning"},
		{"{{/* msgconv: per=object\n per=frame */}}[1]", "2:2", "says per twice"},
		{`[{{.object.class}}]`, "1:4", "per=object"},
		{`[{{range $o := .objects}}{{$o.box.lefft}}{{end}}]`, "1:34", "did you mean $o.box.left?"},
		{`[{{.objects.class}}]`, "1:12", "range .objects"},
		{`[{{.frame.num.x}}]`, "1:14", ".frame.num is a value"},
		{`[{{.frame}}]`, "1:4", "group of fields"},
		{`[{{.objects}}]`, "1:4", "list"},
		{`[{{range .frame.num}}{{end}}]`, "1:10", "is no list"},
		{object + `[{{.object.attributes}}]`, "2:4", ".color"},
		{`[{{printf "%d" .frame.num}}]`, "1:4", "fixed 2"},
		{`[{{uper .sensor.id}}]`, "1:4", "did you mean upper?"},
		{`[{{lt .sensor.id 3}}]`, "1:18", "compares a text with a number"},
		{`[{{upper .frame.num}}]`, "1:10", "takes a text"},
		{`[{{fixed .frame.num}}]`, "1:4", "takes 2 arguments"},
		{`[{{json .frame.num}}]`, "1:4", "by themselves"},
		{`[{{.frame.num "x"}}]`, "1:4", "is no function"},
		{`[{{define "x"}}{{end}}]`, "", "{{define}}"},
		{`[{{template "x"}}]`, "1:13", "{{template}}"},
		{`[{{range .objects}}{{break}}{{end}}]`, "1:22", "{{break}}"},
		{`[{{$x := 1}}{{$x = 2}}]`, "1:", "keep their values"},
		{"[\n\n{{if}}x{{end}}]", "3", "missing value for if"},
		{"{{/* msgconv: per=frame */}}\n[\n{{end}}]", "3", "unexpected {{end}}"},
		{`[{{$y}}]`, "1", "undefined variable"},
		{`{"a": nothing}`, "1:7", `"nothing}" is not JSON`},
		{`{"a" 1}`, "1:6", "a colon is missing"},
		{`{"a": }`, "1:7", "a value is missing"},
		{`{a: 1}`, "1:2", "not JSON"},
		{`{ {{.sensor.id}}: 1}`, "1:5", "in quotes"},
		{`{"a": 1`, "1:8", "before \"{\" is closed"},
		{`["a`, "1:4", "inside of a string"},
		{`[1]]`, "1:4", "closes nothing"},
		{`[1}`, "1:3", `is to come`},
		{`[1] 2`, "1:5", "second"},
		{`{"a": {{if .frame.pts}}1{{end}}}`, "1:", "different places"},
		{`{{if .frame.pts}}[1{{end}}`, "1:", "different places"},
		{`[{{if .frame.pts}}"{{end}}]`, "1:", "different places"},
		{`{{range .objects}}[1]{{end}}`, "1:", "put [ and ] around"},
		{`[{{range .objects}}[{{end}}]`, "1:", "ends elsewhere"},
		{`{{if .frame.pts}}[1]{{end}}{{if .frame.pts}}[1]{{end}}`, "1:45", "second"},
		{`["\{{.frame.num}}"]`, "1:6", "escape sequence"},
		{`["\x"]`, "1:4", "no escape sequence"},
		{`["\u12"]`, "1:8", "no escape sequence"},
		{"[\"a\nb\"]", "1:4", "control character"},
		{`[01]`, "1:2", "not JSON"},
		{`{{.frame.num}}.5`, "1:15", "not JSON"},
		{``, "", "empty"},
		{"   \n", "", "empty"},
		{"{{/* msgconv: per=object */}}", "", "empty"},
		{`{{if .frame.pts}}{{end}}`, "1:25", "writes nothing"},
		{"{{/* msgconv: per=objekt */}}[1]", "1:15", "per=object"},
		{"{{/* msgconv: par=object */}}[1]", "1:15", "did you mean per=?"},
		{"{{/* msgconv: content-type=csv */}}x", "1:15", "no content type"},
		{"{{/* msgconv: content-type=text/csv */}}{{.embedding}}", "1:43", "no field"},
		{"[1\x00]", "1:3", "NUL"},
		{"[\"\xff\"]", "1:3", "UTF-8"},
		{strings.Repeat("[", 70) + strings.Repeat("]", 70), "1:64", "levels"},
		{"[" + strings.Repeat("1,", maxFile) + "]", "", "256 KiB"},
		{object + `[{{.object.embedding}} "{{.object.embedding}}"]`, "2:27", "without quotes"},
		{`[{{nil}}]`, "1", "nil"},
	} {
		tmpl, err := Parse("t.tmpl", []byte(c.text))
		if err == nil {
			t.Errorf("%.60q is taken: %v", c.text, tmpl)
			continue
		}
		want := "t.tmpl:" + c.place
		if c.place == "" {
			want = "t.tmpl: "
		}
		if !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60q: %v\nwant %s … %s", c.text, err, want, c.want)
		}
	}
}

// TestAllMistakes: one run tells them all.
func TestAllMistakes(t *testing.T) {
	_, err := Parse("t", []byte("{\"a\": {{.fram.num}},\n\"b\": {{.sensor.it}},\n\"c\": {{loer .sensor.id}}}"))
	var all Errors
	if !errors.As(err, &all) || len(all) != 3 || all[2].Line != 3 || !strings.Contains(err.Error(), "and 2 more") {
		t.Error(err, all)
	}
	_, err = Parse("t", []byte("["+strings.Repeat("{{.x}}\n", 5000)+"]"))
	if !errors.As(err, &all) || len(all) != maxErrors {
		t.Error(len(all))
	}
}

func TestLoad(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "none.tmpl"))
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "none.tmpl: cannot open the template: ") {
		t.Error(err)
	}
	path := filepath.Join(t.TempDir(), "a.tmpl")
	if err := os.WriteFile(path, []byte("{{/* msgconv: content-type=text/csv per=object */}}\n{{.object.id}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tmpl, err := Load(path)
	if err != nil || !tmpl.PerObject() || tmpl.ContentType() != "text/csv" || Peek(path) != "text/csv" || Peek("/nowhere") != payload.ContentTypeJSON {
		t.Error(tmpl, err)
	}
	if got, err := render(t, "{{/* msgconv: content-type=text/csv */}}\r\n{{.frame.num}}\r\n", payload.APIFrame, &event.Frame{}, nil); err != nil || got[0] != "0" {
		t.Errorf("%q, %v", got, err)
	}
	if !Is([]byte("{{/* msgconv: per=frame */}}")) || Is([]byte("{{/* other */}}")) {
		t.Error("the header is not known")
	}
}

// TestNumbers: conditions see the numbers that are written.
func TestNumbers(t *testing.T) {
	f := &event.Frame{Time: time.UnixMilli(1000)}
	o := f.AddObject()
	o.Confidence, o.HasConfidence, o.Label = 0.04, true, "car"
	nan := float32(math.NaN())
	o.Box = event.Box{Left: nan, Top: float32(math.Inf(1)), Width: 0.96}
	for text, want := range map[string]string{
		`[{{range .objects}}{{.box.left}}{{.box.top}}{{default 7 .box.left}}{{default 8 .box.top}}{{end}}]`:               `[null,null,7,8]`,
		`[{{range .objects}}{{if .box.left}}1{{else}}2{{end}}{{gt .box.top 1}}{{fixed 1 .box.left}}{{end}}]`:              `[2,false,null]`,
		`[{{range .objects}}{{if fixed 1 .confidence}}1{{else}}2{{end}}{{eq (fixed 1 .box.width) 1}}{{end}}]`:             `[2,true]`,
		`[{{range .objects}}{{int (fixed 0 .box.width)}}{{fixed 1 (fixed 0 .box.width)}}{{fixed 99 .confidence}}{{end}}]`: `[1,1.0,0.03999999910593033]`,
	} {
		if got, err := render(t, text, payload.APIFrame, f, nil); err != nil || len(got) != 1 || got[0] != want {
			t.Errorf("%s makes %q, %v", text, got, err)
		}
	}
	f.EventsFromObjects()
	f.Events[0].At = f.Time.Add(time.Second)
	text := `[{{range .objects}}{{eq $.frame.time .event.time}}{{lt $.frame.time .event.time}}{{end}}]`
	if got, err := render(t, text, payload.APIEvent, f, nil); err != nil || got[0] != "[false,true]" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestBounds: no frame makes a template write or work without end.
func TestBounds(t *testing.T) {
	f := &event.Frame{}
	for range 2000 {
		f.AddObject().Label = "person"
	}
	for _, text := range []string{
		`[{{range .objects}}{{range $.objects}}{{range $.objects}}{{end}}{{end}}{{end}}]`,
		`[{{range .objects}}{{range $.objects}}"{{.class}}"{{end}}{{end}}]`,
	} {
		if got, err := render(t, text, payload.APIFrame, f, nil); err == nil || len(got) != 0 {
			t.Errorf("%d messages, %v", len(got), err)
		}
	}
	var b strings.Builder // 2 to the power of 60 comparisons
	b.WriteString("[{{$v0 := .frame.num}}")
	for i := range 60 {
		fmt.Fprintf(&b, "{{$v%d := eq $v%d $v%d}}", i+1, i, i)
	}
	if got, err := render(t, b.String()+"{{$v60}}]", payload.APIFrame, f, nil); err == nil || len(got) != 0 {
		t.Errorf("%q, %v", got, err)
	}
	for _, nested := range []string{strings.Repeat("{{if .frame.num}}", 9000) + strings.Repeat("{{end}}", 9000), "[{{" + strings.Repeat("(", 9000) + "1" + strings.Repeat(")", 9000) + "}}]",
		"[" + strings.Repeat("{{range .objects}}", 9000) + strings.Repeat("{{end}}", 9000) + "]"} {
		_, _ = Parse("deep", []byte(nested)) // whatever it is, it ends
	}
	f = &event.Frame{Custom: [][]byte{make([]byte, 2<<20)}}
	if got, err := render(t, `[{{range .custom}}{{.text}}{{end}}]`, payload.APIFrame, f, nil); err == nil || len(got) != 0 {
		t.Errorf("%d messages, %v", len(got), err)
	}
	f.Custom = append(f.Custom, f.Custom[0]) // long texts count for what they are
	for range 300 {
		f.AddObject()
	}
	for _, work := range []string{`{{if lt (upper $t.text) "A"}}{{end}}`, `{{if eq $t.text $u.text}}{{end}}`, `{{if eq (len $t.text) 1}}{{end}}`} {
		text := `[{{range $u := .custom}}{{range $t := $.custom}}{{range $.objects}}` + work + `{{end}}{{end}}{{end}}]`
		if got, err := render(t, text, payload.APIFrame, f, nil); err == nil || len(got) != 0 {
			t.Errorf("%s: %d messages, %v", work, len(got), err)
		}
	}
	many := "{{/* msgconv: per=object */}}[{{range .objects}}{{range $.objects}}{{end}}{{end}}]" // 90 300 turns in each of 300
	if got, err := render(t, many, payload.APIFrame, f, nil); err == nil || len(got) == 0 || len(got) > 60 {
		t.Errorf("%d messages, %v", len(got), err)
	}
	if got, err := render(t, `[1]`, payload.APIFrame, f, nil); err != nil || len(got) != 1 {
		t.Error(got, err)
	}
}

// TestReference: every field of the reference can be written, with and without events.
func TestReference(t *testing.T) {
	for _, field := range Reference() {
		name := strings.ReplaceAll(field.Name, ".NAME", ".color")
		lists := strings.Split(name, "[]")
		text := "{{/* msgconv: per=object */}}["
		for _, l := range lists[:len(lists)-1] {
			text += "{{range " + l + "}}"
		}
		last := lists[len(lists)-1]
		switch field.Kind {
		case "list":
			text += "{{len " + last + "}}"
		default:
			text += "{{" + last + "}}"
		}
		text += strings.Repeat("{{end}}", len(lists)-1) + "]"
		for _, api := range []payload.API{payload.APIFrame, payload.APIEvent} {
			f := sample()
			if api == payload.APIEvent {
				f = sampleEvents()
			}
			got, err := render(t, text, api, f, static)
			if err != nil || len(got) != 2 || !json.Valid([]byte(got[0])) || !json.Valid([]byte(got[1])) {
				t.Errorf("%s: %q %v", text, got, err)
			}
		}
	}
}

// TestDocumented: the page has the table of fields.
func TestDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/payload-template.md")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, f := range Reference() {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.Name, f.Kind, f.Meaning)
	}
	if !strings.Contains(string(page), b.String()) {
		t.Errorf("docs/payload-template.md has not this table:\n%s", b.String())
	}
	for _, name := range functionNames {
		if !strings.Contains(string(page), "`"+name+" ") {
			t.Errorf("the page has no function %s", name)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	tmpl, err := Parse("t", []byte(benchTemplate))
	if err != nil {
		t.Fatal(err)
	}
	e, err := NewEncoder(tmpl, Options{API: payload.APIFrame})
	if err != nil {
		t.Fatal(err)
	}
	f, n := sample(), 0
	if a := testing.AllocsPerRun(100, func() { _ = e.Encode(f, func(p payload.Payload) { n += len(p.Data) }) }); a > 0 {
		t.Errorf("%v allocations", a)
	}
}
