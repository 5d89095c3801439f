// SPDX-License-Identifier: LGPL-2.1-or-later

package route

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
)

var known = Known{Names: []string{"sensor.id", "stream", "object.class"}, Path: func(n string) string {
	if n == "stream" {
		return ""
	}
	return n
}, Is: func(n string) bool { return strings.HasPrefix(n, "object.") }}

func values(m map[string]string) func([]byte, *Field) ([]byte, bool) {
	return func(dst []byte, f *Field) ([]byte, bool) {
		v, ok := m[f.Name]
		return append(dst, v...), ok
	}
}

func TestTemplate(t *testing.T) {
	m := values(map[string]string{"sensor.id": "cam 1", "stream": "7", "$.a.b": "deep", "object.car.type": "van", "object.class": ""})
	for _, c := range []struct {
		text, want string
		ok         bool
	}{
		{"", "", true},
		{"plain", "plain", true},
		{"{sensor.id}", "cam 1", true},
		{"a.{stream}.{sensor.id}-", "a.7.cam 1-", true},
		{"{{{stream}}}", "{7}", true},
		{"{{stream}}", "{stream}", true},
		{"{$.a.b}/{object.car.type}", "deep/van", true},
		{"{ stream | x }", "7", true},
		{"x{object.class}", "", false},
		{"x{object.class|none}y", "xnoney", true},
		{"{object.color|a|b}", "a|b", true},
	} {
		tpl, err := Parse(c.text, &known)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		got, ok := tpl.Append([]byte("> "), m)
		if want := "> " + c.want; string(got) != want || ok != c.ok {
			t.Errorf("%q gives %q, %v; want %q, %v", c.text, got, ok, want, c.ok)
		}
	}
}

func TestTemplateErrors(t *testing.T) {
	for text, want := range map[string]string{
		"{":                                     "has a { without its }",
		"a}b":                                   "has a } without its {",
		"{}":                                    "name of a field between the braces",
		"{|x}":                                  "name of a field between the braces",
		"{a{stream}}":                           "name of a field between the braces",
		"{sensor_id}":                           `there is no field {sensor_id}; did you mean {sensor.id}? A path into a JSON payload is written {$.sensor_id}`,
		"{nothing.like.it.known}":               "known are sensor.id, stream, object.class, and paths into a JSON payload",
		"{$.}":                                  "empty name",
		"{$.a..b}":                              "empty name",
		"{$." + strings.Repeat("a.", 20) + "b}": "is 21 deep; 16 is the most",
	} {
		if _, err := Parse(text, &known); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestScan(t *testing.T) {
	const doc = ` {"n":{"sensor":{"id":"wrong"}}, "list":[{"sensor":1},"]",[]], "sensor" : {"x":null,"id":"c\u00e4m \"1\"\n\ud83d\ude00","num":-1.5e3,
		"yes":true,"no":false,"obj":{},"arr":[1]}, "esc\u0061ped":"found","":"empty name","dup":1,"dup":2, "last":"\\"} trailing`
	for path, want := range map[string]string{"sensor.id": "cäm \"1\"\n😀", "sensor.num": "-1.5e3", "sensor.yes": "true", "sensor.no": "false",
		"escaped": "found", "dup": "1", "last": `\`, "n.sensor.id": "wrong"} {
		p, _ := ParsePath(path)
		if got, ok := Scan([]byte("> "), []byte(doc), p); !ok || string(got) != "> "+want {
			t.Errorf("%s is %q, %v; want %q", path, got, ok, want)
		}
	}
	for _, path := range []string{"sensor", "sensor.x", "sensor.obj", "sensor.arr", "sensor.id.more", "list.sensor", "none", "sensor.none", "sensor.num.x"} {
		p, _ := ParsePath(path)
		if got, ok := Scan([]byte("> "), []byte(doc), p); ok || string(got) != "> " {
			t.Errorf("%s is %q, %v", path, got, ok)
		}
	}
	for n := range doc[:strings.Index(doc, "trailing")-2] {
		Scan(nil, []byte(doc[:n]), Path{"last"}) // does not read behind the end
	}
	if n := testing.AllocsPerRun(100, func() { Scan(make([]byte, 0, 64), []byte(doc), Path{"sensor", "id"}) }); n > 1 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzScan compares with encoding/json where the text is JSON.
func FuzzScan(f *testing.F) {
	f.Add(`{"a":{"b":"c"}}`, "a.b")
	f.Add(`{"a":[{"b":1}],"b":{"a":"\ud800x\u0000"}}`, "b.a")
	f.Add(`{"x\\":"\"","a":1}`, "a")
	f.Fuzz(func(t *testing.T, doc, path string) {
		p, err := ParsePath(path)
		if err != nil {
			return
		}
		got, ok := Scan(nil, []byte(doc), p)
		want, there, single := byDecoder(doc, p)
		if !single {
			return
		}
		if ok != there || (ok && string(got) != want) {
			t.Fatalf("%q in %q is %q, %v; want %q, %v", path, doc, got, ok, want, there)
		}
	})
}

// byDecoder finds the value with encoding/json; single is false for what is no JSON object, or has a name
// twice, of which we take the first and it the last.
func byDecoder(doc string, p Path) (text string, there, single bool) {
	raw := json.RawMessage(doc)
	if !json.Valid(raw) || !strings.HasPrefix(strings.TrimLeft(doc, " \t\r\n"), "{") {
		return "", false, false
	}
	for _, name := range p {
		dec := json.NewDecoder(strings.NewReader(string(raw)))
		if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
			return "", false, true
		}
		seen, found := map[string]bool{}, json.RawMessage(nil)
		for dec.More() {
			key, _ := dec.Token()
			var v json.RawMessage
			if dec.Decode(&v) != nil {
				return "", false, false
			}
			k := key.(string)
			if seen[k] || strings.Contains(k, "\uFFFD") {
				return "", false, false
			}
			seen[k] = true
			if k == name {
				found = v
			}
		}
		if found == nil {
			return "", false, true
		}
		raw = found
	}
	switch c := raw[0]; {
	case c == '"':
		var s string
		if json.Unmarshal(raw, &s) != nil || strings.Contains(s, "\uFFFD") {
			return "", false, false
		}
		return s, true, true
	case c == '{' || c == '[' || c == 'n':
		return "", false, true
	}
	return string(raw), true, true
}

func BenchmarkScan(b *testing.B) {
	for _, members := range []int{1, 20} {
		var doc strings.Builder
		doc.WriteString(`{"messageid":"84a3a0ad-7eb8-49a2-9aa7-104ded6764d0"`)
		for i := range members {
			fmt.Fprintf(&doc, `,"member%d":{"id":"text of some length","list":[1,2,3],"n":%s}`, i, strconv.Itoa(i))
		}
		doc.WriteString(`,"sensor":{"id":"camera-7"}}`)
		payload, path, dst := []byte(doc.String()), Path{"sensor", "id"}, make([]byte, 0, 64)
		b.Run(fmt.Sprintf("%d-bytes", len(payload)), func(b *testing.B) {
			for b.Loop() {
				if _, ok := Scan(dst[:0], payload, path); !ok {
					b.Fatal("not found")
				}
			}
		})
	}
}

func TestFrameSensor(t *testing.T) {
	for payload, want := range map[string]string{"": "", "\x0a\x034.0\x22\x05cam-5\x2a\x00": "cam-5", "\x22\x05cam": "", "\x20\x05": "",
		"\x22\x01a\x22\x01b": "b", "{\"sensorId\":1}": "", "\x22\x01a\xff": ""} {
		if got, ok := FrameSensor([]byte(payload)); string(got) != want || ok != (want != "") {
			t.Errorf("%q: %q, %v", payload, got, ok)
		}
	}
}
