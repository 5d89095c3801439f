// SPDX-License-Identifier: LGPL-2.1-or-later

package payload

import (
	"encoding/json"
	"strings"
	"testing"
)

// difference is a golden case that we answer differently on purpose.
type difference struct {
	reason string
	// edits turn the reference's output into ours, for all payloads together. Each must change something.
	edits []edit
	// contains are texts of our output, where the reference gives none.
	contains []string
}

type edit struct{ from, to string }

// Bytes that are not UTF-8, as the golden files have them, and what they become.
const (
	badText  = "ab\xff\xfecd\xc3(\xe2\x82"
	goodText = "ab\uFFFD\uFFFDcd\uFFFD(\uFFFD\uFFFD"
)

const (
	notJSON     = "the reference's payload is not valid JSON"
	notUTF8     = "the reference copies invalid UTF-8; each bad byte becomes U+FFFD"
	feetMixed   = "the reference appends the foot on the ground to footLocation2D and leaves footLocation3D empty"
	noBar       = "the reference forgets the bar in front of #|SV3DT"
	neverScaled = "the reference does not scale boxes from the pipeline's picture to the source's"
	noConfig    = "no configuration is needed: unknown descriptions are null"
)

var differences = map[string]difference{
	"cfg-bad-list-spaces": {reason: "blanks around the numbers of a list do no harm",
		contains: []string{`"lat" : 1.5`, `"lon" : 2.5`, `"alt" : 3.5`}},
	"cfg-csv-minimal":    {reason: "a CSV file serves every schema", contains: []string{`"sensorId" : "S-1"`}},
	"cfg-no-newline-bom": {reason: "a byte order mark does no harm", contains: []string{`"id" : "bom-id"`, `"place" : null`}},
	"cfg-none-type0": {reason: noConfig, contains: []string{`"place" : null`, `"sensor" : null`, `"analyticsModule" : null`,
		`"id" : "4711"`}},
	"cfg-yaml-bad-bool": {reason: "enable: true is plain", contains: []string{`"sensor" : {` + "\n    " + `"id" : "x"`}},

	"el-dummy-with-events": {reason: "the reference replaces the first event by the dummy", edits: []edit{
		{`"id" : "5"`, `"id" : "17"`}, {"2025-01-01T00:00:00.123Z", "2025-02-03T04:05:06.789Z"},
		{"cam-süd-02", "cam-north-01"}, {"0|0|0|0|0|Vehicle|#|||||||0\"", "1|100.5|200.25|150.5|281|Vehicle|#|||||||0.5\""}}},

	"ev0-bbox-huge": {reason: "the reference's conversion is undefined in C; the nearest number is written", edits: []edit{
		{`"topleftx" : -9223372036854775808`, `"topleftx" : 9223372036854775807`},
		{`"bottomrightx" : -9223372036854775808`, `"bottomrightx" : 9223372036854775807`}}},
	"ev0-bbox-nan-inf": {reason: "the reference's conversion is undefined in C; what is no number is null",
		edits: []edit{{"-9223372036854775808", "null"}}},
	"ev0-double-inf":         {reason: notJSON, edits: []edit{{"inf.0", "null"}}},
	"ev0-double-nan":         {reason: notJSON, edits: []edit{{"nan.0", "null"}}},
	"fr0-confidence-values":  {reason: notJSON, edits: []edit{{"nan.0", "null"}}},
	"ev0-escape-1f":          {reason: notJSON, edits: []edit{{"\x1f", `\u001f`}}},
	"ev0-invalid-utf8":       {reason: notUTF8, edits: []edit{{badText, goodText}, {"\xc0\x80T", "\uFFFD\uFFFDT"}}},
	"ev1-invalid-utf8":       {reason: notUTF8, edits: []edit{{badText, goodText}, {"\"\xfe\"", "\"\uFFFD\""}}},
	"fr0-label-invalid-utf8": {reason: notUTF8, edits: []edit{{badText, goodText}}},
	"ev2-invalid-utf8": {reason: notUTF8, edits: []edit{{"\x0a" + badText, "\x14" + goodText},
		{"\x2a\x12\x0a\x04make", "\x2a\x1c\x0a\x04make"}, {"\x2a\xae\x01", "\x2a\xb8\x01"}}},

	"ev0-everything":       {reason: feetMixed, edits: []edit{feet("-3.5", "4.125")}},
	"ev0-sv3dt":            {reason: feetMixed, edits: []edit{feet("-3.5", "4.125")}},
	"ev0-sv3dt-empty-hull": {reason: feetMixed, edits: []edit{feet("-3.5", "4.125")}},
	"ev1-sv3dt":            {reason: noBar, edits: []edit{{"0.5#|SV3DT", "0.5|#|SV3DT"}}},
	"ev1-dummy":            {reason: noBar, edits: []edit{{`"#|SV3DT`, `"|#|SV3DT`}}},

	"ev0-product-ext-mask-lost": {reason: "the reference loses the mask of a product", edits: []edit{{"\n    },\n    \"location\" : {\n      \"lat\" : 0.0",
		"\n    },\n    \"maskoutline\" : [\n      [\n        1.0,\n        2.0\n      ]\n    ],\n    \"location\" : {\n      \"lat\" : 0.0"}}},
	"ev0-pose-type3": {reason: "the reference reads past its table of joints and crashes; joints without a name are left out",
		contains: []string{`"pose" : {    }`}},
	"ev0-pose2d-too-many": {reason: "the reference reads past its table of joints and crashes; joints without a name are left out",
		contains: []string{`"left-ear" : {`}},

	"fr0-scale-all-zero": {reason: "the reference makes each box 0 when no size is known", edits: []edit{
		{`"topleftx" : 0`, `"topleftx" : 10`}, {`"toplefty" : 0`, `"toplefty" : 20`},
		{`"bottomrightx" : 0`, `"bottomrightx" : 40`}, {`"bottomrighty" : 0`, `"bottomrighty" : 60`}}},
	"fr0-scale-down": {reason: neverScaled, edits: []edit{{`"topleftx" : 10`, `"topleftx" : 21`}, {`"toplefty" : 20`, `"toplefty" : 40`},
		{`"bottomrightx" : 40`, `"bottomrightx" : 81`}, {`"bottomrighty" : 60`, `"bottomrighty" : 121`}}},
	"fr1-scale-down": {reason: neverScaled, edits: []edit{{"1|10.5|20.25|40.5|60.75|", "1|31.5|60.75|121.5|182.25|"}}},
	"fr1-no-config":  {reason: noConfig, contains: []string{`"sensorId" : "0"`, `"1|10.5|20.25|40.5|60.75|truck"`}},
	"fr2-no-config":  {reason: noConfig, contains: []string{"\x22\x010", "truck"}},
}

// feet moves the foot on the ground to where it belongs.
func feet(x, y string) edit {
	list := ",\n        " + x + ",\n        " + y + "\n      ],\n      \"footLocation3D\" : []"
	return edit{list, "\n      ],\n      \"footLocation3D\" : [\n        " + x + ",\n        " + y + "\n      ]"}
}

func (c *goldenCase) selection(t *testing.T) Selection {
	t.Helper()
	s := Selection{Type: c.Type, Dummy: c.Dummy, FrameInterval: 30}
	if c.API == "frame" {
		s.API = APIFrame
	}
	for name, raw := range c.Properties {
		var n uint32
		if err := json.Unmarshal(raw, &n); err != nil {
			t.Fatal(err)
		}
		switch name {
		case "comp-id":
			s.ComponentID = n
		case "frame-interval":
			s.FrameInterval = n
		default:
			t.Fatalf("unknown property %s", name)
		}
	}
	return s
}

func (d difference) check(t *testing.T, c *goldenCase, want, got []string, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if len(d.contains) > 0 {
		if c.Status == "ok" {
			t.Errorf("the reference gives %q: this case needs edits", want)
		}
		for _, s := range d.contains {
			if !strings.Contains(strings.Join(got, "\n"), s) {
				t.Errorf("%q is missing in %q", s, got)
			}
		}
		return
	}
	const end = "\n-- next payload --\n"
	all := strings.Join(want, end)
	for _, e := range d.edits {
		changed := strings.ReplaceAll(all, e.from, e.to)
		if changed == all {
			t.Errorf("the edit of %q changes nothing", e.from)
		}
		all = changed
	}
	compare(t, strings.Split(all, end), got)
}
