// SPDX-License-Identifier: LGPL-2.1-or-later

package payload

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/gst-edgewire/gst-edgewire/pkg/event"
)

// published compiles a published JSON Schema.
func published(t testing.TB, name string) *jsonschema.Schema {
	t.Helper()
	s, err := jsonschema.NewCompiler().Compile("../../docs/schemas/" + name + ".schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func validate(t testing.TB, s *jsonschema.Schema, text string) error {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return s.Validate(v)
}

// TestSchemas: whatever the golden cases give is what the published schemas say.
func TestSchemas(t *testing.T) {
	schemas := map[Type]*jsonschema.Schema{Deepstream: published(t, "full"), Minimal: published(t, "minimal")}
	count := map[Type]int{}
	files, err := filepath.Glob("testdata/golden/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		c := loadGolden(t, file)
		s := schemas[c.Type]
		if s == nil {
			continue
		}
		out, err := c.run(t, 0)
		if err != nil {
			continue // a configuration that is refused
		}
		for _, text := range out {
			count[c.Type]++
			if err := validate(t, s, text); err != nil {
				t.Errorf("%s: %v\n%s", c.Name, err, text)
			}
		}
	}
	if count[Deepstream] < 50 || count[Minimal] < 40 {
		t.Errorf("only %v messages", count)
	}
}

// TestSchemasRefuse: a message with a part that is wrong, missing or too many is none.
func TestSchemasRefuse(t *testing.T) {
	f := &event.Frame{Num: 7}
	f.AddObject().Label = "car"
	f.EventsFromObjects()
	for typ, c := range map[Type]struct {
		schema string
		breaks [][2]string // a piece of the message, and what is put in its place
	}{
		Deepstream: {"full", [][2]string{{`"mdsversion":"1.0"`, `"mdsversion":"2.0"`}, {`"sensor":null,`, ``}, {`"place":null`, `"place":{}`}, {`"topleftx":0`, `"topleftx":0.5`},
			{`"type":"moving"`, `"type":"Moving"`}, {`"videoPath"`, `"videopath"`}, {`"lat":0.0`, `"lat":"0"`}, {`"speed":0.0`, `"speed":true`}}},
		Minimal: {"minimal", [][2]string{{`"4.0"`, `4.0`}, {`"id":"7"`, `"id":7`}, {`["0|0`, `["zero|0`}, {`"objects"`, `"object"`}, {`"sensorId":"0",`, ``}}},
	} {
		e, err := New(Options{Type: typ})
		if err != nil {
			t.Fatal(err)
		}
		s := published(t, c.schema)
		_ = e.Encode(f, func(p Payload) {
			text := string(p.Data)
			if err := validate(t, s, text); err != nil {
				t.Errorf("%v: %s", err, text)
			}
			for _, b := range c.breaks {
				broken := strings.Replace(text, b[0], b[1], 1)
				if broken == text {
					t.Errorf("%s is not in %s", b[0], text)
				} else if validate(t, s, broken) == nil {
					t.Errorf("valid: %s", broken)
				}
			}
		})
	}
}

// TestLidarSchema: the schema of lidar messages, by an example.
func TestLidarSchema(t *testing.T) {
	s := published(t, "lidar")
	const good = `{"version":"ds3d/1.0","datamap@timestamp":"12","2d_objects":["1|2|3|4|0.5|car"],"3d_objects":["1|2|3|4|5|6|0.5|car"],` +
		`"fusion_results":[{"2d":"1|2|3|4|0.5|car","3d":"1|2|3|4|5|6|0.5|car","score":0.25}]}`
	if err := validate(t, s, good); err != nil {
		t.Error(err)
	}
	for _, b := range [][2]string{{"ds3d/1.0", "1.0"}, {`"12"`, `12`}, {`"1|2|3|4|0.5|car"]`, `"1|2|x|4|0.5|car"]`}, {`"score"`, `"confidence"`}} {
		if broken := strings.Replace(good, b[0], b[1], 1); broken == good || validate(t, s, broken) == nil {
			t.Errorf("valid: %s", broken)
		}
	}
}

// TestSchemasAreListed: each has its place in the documentation.
func TestSchemasAreListed(t *testing.T) {
	files, err := os.ReadDir("../../docs/schemas")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/payloads.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		published(t, strings.TrimSuffix(f.Name(), ".schema.json"))
		if !strings.Contains(string(page), "(schemas/"+f.Name()+")") {
			t.Errorf("docs/payloads.md does not name %s", f.Name())
		}
	}
}
