// SPDX-License-Identifier: LGPL-2.1-or-later

package paytemplate

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gst-edgewire/gst-edgewire/pkg/event"
	"github.com/gst-edgewire/gst-edgewire/pkg/payload"
)

// A writer makes templates that ought to be right, with loops and branches wherever they may stand.
type writer struct {
	strings.Builder
	*rand.Rand
	inLoop int
}

func (w *writer) pick(s ...string) string { return s[w.IntN(len(s))] }

func (w *writer) field() string {
	fields := []string{"$.frame.num", "$.frame.time", "$.sensor.id", "$.place.name", "$.message.id", "true", `"x\"y"`, "len $.objects", "and $.frame.pts $.frame.width"}
	if w.inLoop > 0 {
		fields = append(fields, ".class", ".box.left", ".confidence", ".id", "fixed 1 .box.top", ".attributes.color", "default 0 .box.right", "upper .class", "eq .class \"car\"", ".event.time")
	}
	return w.pick(fields...)
}

// ways writes parts in a branch or a loop, or plainly; each way the parts are of one sort.
func (w *writer) ways(depth int, between []string, part func(depth int)) {
	switch kind := w.IntN(7); {
	case depth <= 0 || kind < 2:
		part(depth)
	case kind == 2:
		w.WriteString("{{if " + w.field() + "}}")
		w.ways(depth-1, between, part)
		if w.IntN(2) == 0 {
			w.WriteString("{{else}}")
			w.ways(depth-1, between, part)
		}
		w.WriteString("{{end}}")
	case kind == 3:
		w.WriteString("{{range " + w.pick("$.objects", "$o := $.objects", "$i, $o := $.objects") + "}}")
		w.inLoop++
		w.ways(depth-1, between, part)
		w.inLoop--
		if w.IntN(3) == 0 {
			w.WriteString("{{else}}")
			w.ways(depth-1, between, part)
		}
		w.WriteString("{{end}}")
	default:
		for range w.IntN(4) {
			w.ways(depth-1, between, part)
			w.WriteString(w.pick(between...))
		}
	}
}

func (w *writer) text(depth int) {
	w.WriteByte('"')
	w.ways(min(depth, 2), []string{""}, func(int) {
		w.WriteString(w.pick("a", `\"`, `\u00e9`, "{{"+w.field()+"}}", "é", "{ ", "]", `\\`, ":"))
	})
	w.WriteByte('"')
}

func (w *writer) value(depth int) {
	switch kind := w.IntN(9); {
	case depth <= 0 || kind < 3:
		w.WriteString(w.pick("1", "-2.5e3", "null", "true", "{{"+w.field()+"}}"))
	case kind == 3:
		w.text(depth)
	case kind == 4:
		field := w.field()
		w.WriteString("{{if " + field + "}}")
		w.value(depth - 1)
		w.WriteString("{{else}}")
		w.value(depth - 1)
		w.WriteString("{{end}}")
	case kind < 7:
		w.WriteByte('[')
		w.ways(depth, []string{" ", ",", " , ", "\n", ",,"}, func(depth int) { w.value(depth - 1) })
		w.WriteByte(']')
	default:
		w.WriteString("{ ")
		w.ways(depth, []string{" ", ",", " , ", "\n", ",,"}, func(depth int) {
			w.text(1)
			w.WriteByte(':')
			w.value(depth - 1)
		})
		w.WriteByte('}')
	}
}

// TestRandomTemplates: what is taken makes JSON, on every way through it.
func TestRandomTemplates(t *testing.T) {
	odd := sample()
	o := odd.AddObject()
	o.Label, o.Confidence, o.HasConfidence = "\xff\xfe\"\u2028", float32(math.Inf(-1)), true
	o.Box.Left = float32(math.NaN())
	events := sample()
	events.EventsFromObjects()
	frames := []*event.Frame{{}, sample(), odd, events}
	taken, commas := 0, 0
	for seed := range uint64(4000) {
		w := &writer{Rand: rand.New(rand.NewPCG(seed, 1))}
		w.value(6)
		tmpl, err := Parse("t", []byte(w.String()))
		if err != nil {
			t.Errorf("%s\n%v", w.String(), err)
			continue
		}
		taken++
		for _, api := range []payload.API{payload.APIFrame, payload.APIEvent} {
			e, err := NewEncoder(tmpl, Options{API: api})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range frames {
				if api == payload.APIEvent && len(f.Events) == 0 {
					continue
				}
				_ = e.Encode(f, func(p payload.Payload) {
					commas += strings.Count(string(p.Data), ",")
					if !json.Valid(p.Data) {
						t.Fatalf("%s\nmakes\n%s", w.String(), p.Data)
					}
				})
			}
		}
	}
	if taken < 1000 || commas < 10000 {
		t.Errorf("%d templates taken, %d commas", taken, commas)
	}
}
