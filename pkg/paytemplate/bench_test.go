// SPDX-License-Identifier: LGPL-2.1-or-later

package paytemplate

import (
	"bytes"
	"encoding/json"
	"testing"
	"text/template"

	"github.com/gst-edgewire/gst-edgewire/pkg/event"
	"github.com/gst-edgewire/gst-edgewire/pkg/payload"
)

const benchTemplate = `{"frame": {{.frame.num}}, "time": "{{.frame.time}}", "camera": {{.sensor.id}}, "objects": [
{{range .objects}}{"id": "{{.id}}", "class": {{.class}}, "confidence": {{fixed 3 .confidence}}, "box": [{{.box.left}}, {{.box.top}}, {{.box.right}}, {{.box.bottom}}], "color": {{.attributes.color}}}{{end}}
]}`

// standardTemplate is what a user of text/template would write over structures of ours.
const standardTemplate = `{"frame": {{.Num}}, "time": {{json .Time}}, "camera": {{json .SensorID}}, "objects": [
{{range $i, $o := .Objects}}{{if $i}},{{end}}{"id": "{{.ID}}", "class": {{json .Label}}, "confidence": {{printf "%.3f" .Score}}, "box": [{{.Box.Left}}, {{.Box.Top}}, {{.Box.Width}}, {{.Box.Height}}], "color": {{json (index .Classifications 0).Type}}}{{end}}
]}`

func benchFrame(objects int) *event.Frame {
	f := sample()
	for len(f.Objects) < objects {
		o := f.AddObject()
		o.ID, o.Label, o.Confidence, o.HasConfidence = 7, "person", 0.875, true
		o.Box = event.Box{Left: 100.5, Top: 200.25, Width: 50, Height: 80.75}
		o.AddClassification("color").AddLabel("red", 0.9)
	}
	return f
}

const benchObjects = 50

func BenchmarkOurs(b *testing.B) {
	tmpl, err := Parse("t", []byte(benchTemplate))
	if err != nil {
		b.Fatal(err)
	}
	e, err := NewEncoder(tmpl, Options{API: payload.APIFrame})
	if err != nil {
		b.Fatal(err)
	}
	f, n := benchFrame(benchObjects), 0
	b.ReportAllocs()
	for b.Loop() {
		if err := e.Encode(f, func(p payload.Payload) { n += len(p.Data) }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchObjects, "ns/object")
}

func BenchmarkTextTemplate(b *testing.B) {
	tmpl := template.Must(template.New("t").Funcs(template.FuncMap{"json": func(v any) (string, error) {
		t, err := json.Marshal(v)
		return string(t), err
	}}).Parse(standardTemplate))
	f := benchFrame(benchObjects)
	var buf bytes.Buffer
	b.ReportAllocs()
	for b.Loop() {
		buf.Reset()
		if err := tmpl.Execute(&buf, f); err != nil {
			b.Fatal(err)
		}
		if !json.Valid(buf.Bytes()) {
			b.Fatal(buf.String())
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchObjects, "ns/object")
}

// BenchmarkMapping is the JSON mapping file: a tree of maps is filled by names, and marshalled.
func BenchmarkMapping(b *testing.B) {
	f := benchFrame(benchObjects)
	b.ReportAllocs()
	for b.Loop() {
		objects := make([]any, 0, len(f.Objects))
		for i := range f.Objects {
			o := &f.Objects[i]
			objects = append(objects, map[string]any{"id": o.ID, "class": o.Label, "confidence": o.Score(),
				"box": []any{o.Box.Left, o.Box.Top, o.Box.Width, o.Box.Height}, "color": o.Classifications[0].Type})
		}
		if _, err := json.Marshal(map[string]any{"frame": f.Num, "time": f.Time, "camera": f.SensorID, "objects": objects}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchObjects, "ns/object")
}

func FuzzTemplate(f *testing.F) {
	for _, s := range []string{benchTemplate, `[{{range $i, $o := .objects}}{{if $i}},{{end}}{{$o.class}}{{end}}]`, `{"{{.frame.num}}": "\u00e9{{.sensor.id}}"}`,
		`{{if .frame.pts}}[1]{{else}}{ {{range .objects}}"{{.class}}": {{with .attributes.color}}{{.}}{{else}}null{{end}}{{end}} }{{end}}`,
		"{{/* msgconv: content-type=text/csv */}}{{range .objects}}{{csv .class}},{{json .event.type}}{{fixed 2 .confidence}}{{end}}"} {
		f.Add(s)
		f.Add("{{/* msgconv: per=object */}}" + s)
	}
	frames := []*event.Frame{{}, sample(), sampleEvents()}
	f.Fuzz(func(t *testing.T, src string) {
		tmpl, err := Parse("f", []byte(src))
		if err != nil {
			return
		}
		for _, api := range []payload.API{payload.APIFrame, payload.APIEvent} {
			e, err := NewEncoder(tmpl, Options{API: api})
			if err != nil {
				t.Fatal(err)
			}
			for _, frame := range frames {
				_ = e.Encode(frame, func(p payload.Payload) {
					if tmpl.json && !json.Valid(p.Data) {
						t.Errorf("%q makes %q", src, p.Data)
					}
				})
			}
		}
	})
}
