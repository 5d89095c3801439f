// SPDX-License-Identifier: LGPL-2.1-or-later

package dsconfig

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// load writes text to a file of the given name and loads it. Paths in errors and warnings are cut to the
// name.
func load(t *testing.T, name, text string) (*Static, []string, string) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, warnings, err := Load(path)
	var list []string
	for _, w := range warnings {
		list = append(list, strings.TrimPrefix(w.String(), dir+"/"))
	}
	if err != nil {
		if s != nil {
			t.Error("an error and a result")
		}
		return nil, list, strings.TrimPrefix(err.Error(), dir+"/")
	}
	return s, list, ""
}

func TestLoadKeyFile(t *testing.T) {
	s, warnings, err := load(t, "site.txt", `# comment
[sensor0]
enable=1
id=cam\s1
type=Camera
description=North
location= 1.5 ; -2.5 ;3e-5
coordinate=1;2;3;
[place0]
enable=true
id=p
type=t
name=n
location=4;5;6
coordinate=7;8;9
place-sub-field1=a
place-sub-field2=b
place-sub-field3=c
[analytics12]
enable=1
id=an
source=src
description=d
version=1.0
[sensor1]
enable=0
location=broken, but off
`)
	want := &Static{
		Sensors: map[int]Sensor{0: {ID: "cam 1", Type: "Camera", Description: "North", Location: [3]float64{1.5, -2.5, 3e-5}, Coordinate: [3]float64{1, 2, 3}}},
		Places: map[int]Place{0: {ID: "p", Type: "t", Name: "n", Location: [3]float64{4, 5, 6}, Coordinate: [3]float64{7, 8, 9},
			Sub: [3]string{"a", "b", "c"}}},
		Analytics: map[int]Analytics{12: {ID: "an", Source: "src", Description: "d", Version: "1.0"}},
	}
	if err != "" || len(warnings) != 0 || !reflect.DeepEqual(s, want) {
		t.Errorf("%+v\n%q\n%s", s, warnings, err)
	}
}

func TestLoadWarnings(t *testing.T) {
	for _, c := range []struct {
		name, file, text string
		want             []string
	}{
		{"unknown keys and groups", "a.txt", "[general]\nx=1\n[sensr0]\nenable=1\n[sensor]\nenable=1\n[sensor0]\nenable=1\nlocaton=1;2;3\nid=a\nid=b\nzzz=1\n",
			[]string{"a.txt:1: [general] unknown group; it is ignored; the groups are sensor0",
				"a.txt:3: [sensr0] unknown group; it is ignored; did you mean sensor0?",
				"a.txt:5: [sensor] unknown group; it is ignored; write a number behind sensor",
				"a.txt:9: [sensor0] locaton: unknown key; it is ignored; did you mean location?", "a.txt:11: [sensor0] id: set in line 10 already",
				"a.txt:12: [sensor0] zzz: unknown key; it is ignored; the keys are coordinate, description, enable, id, location, type"}},
		{"off", "a.txt", "[sensor0]\nid=x\n[sensor1]\nenable=yes\n[sensor2]\nenable=0\nzzz=1\n",
			[]string{"a.txt:1: [sensor0] the group is off, since it has no enable; write enable=1",
				"a.txt:4: [sensor1] enable: is not a boolean; the group is off; write 1 or 0"}},
		{"text behind the number", "a.txt", "[sensor6x]\nenable=1\n", []string{"a.txt:1: [sensor6x] the text behind the number is ignored: this is sensor6; remove it"}},
		{"yaml", "a.yml", "other: {a: 1}\nds3d::datamap:\n  y: 1\nsensor0:\n  enable: 1\n  idd: 2\nsensor1:\n  id: x\nsensor2:\n  enable: maybe\n",
			[]string{"a.yml:1: [other] unknown group", "a.yml:3: [ds3d::datamap] y: unknown key; it is ignored; the keys are 2d_objects_key",
				"a.yml:6: [sensor0] idd: unknown key; it is ignored; did you mean id?", "a.yml:7: [sensor1] the group is off",
				"a.yml:10: [sensor2] enable: is not a boolean"}},
		{"csv", "a.csv", "h\n1,2,\"x\",4,5,6,7\n", []string{"a.csv:2: column 3 starts with a quote"}},
	} {
		s, got, err := load(t, c.file, c.text)
		if err != "" || s == nil {
			t.Errorf("%s: %s", c.name, err)
			continue
		}
		if len(got) != len(c.want) {
			t.Errorf("%s: %q", c.name, got)
			continue
		}
		for i := range got {
			if !strings.HasPrefix(got[i], c.want[i]) {
				t.Errorf("%s: %q, want %q", c.name, got[i], c.want[i])
			}
		}
	}
}

func TestLoadErrors(t *testing.T) {
	for _, c := range []struct{ name, file, text, want string }{
		{"duplicate number", "a.txt", "[sensor3]\nenable=1\n[sensor03]\nenable=1\n", "a.txt:3: [sensor03] sensor3 is described in line 1 already; give each group a number of its own"},
		{"two numbers", "a.txt", "[sensor0]\nenable=1\nlocation=1;2\n", "a.txt:3: [sensor0] location: has 2 numbers instead of 3; write three numbers such as 1.5;2.5;3.5"},
		{"four numbers", "a.txt", "[place0]\nenable=1\ncoordinate=1;2;3;4\n", "has 4 numbers"},
		{"not a number", "a.txt", "[place0]\nenable=1\ncoordinate=1;x;3\n", "item 2 is not a finite number"},
		{"escape", "a.txt", "[sensor0]\nenable=1\nid=a\\qb\n", `a.txt:3: [sensor0] id: unknown escape \q; write \\ for a backslash`},
		{"utf-8", "a.txt", "[sensor0]\nenable=1\nid=a\xff\n", "a.txt:3: [sensor0] id: the value is not valid UTF-8; save the file as UTF-8"},
		{"syntax", "a.txt", "sensor0:\n  enable: 1\n", "a.txt:1: this line is neither"},
		{"yaml numbers", "a.yml", "sensor0:\n  enable: 1\n  location: 1;2\n", "a.yml:3: [sensor0] location: has 2 numbers"},
		{"yaml number", "a.yaml", "sensor0:\n  enable: 1\n  location: 1;2;x\n", "a.yaml:3: [sensor0] location: item 3"},
		{"yaml list", "a.yml", "sensor0:\n  enable: 1\n  location: [1, 2, 3]\n", "a.yml:3: [sensor0] location: is not a single value"},
		{"yaml group", "a.yml", "sensor0: 7\n", "a.yml:1: [sensor0] is not a map of keys"},
		{"yaml duplicate group", "a.yml", "sensor0:\n  enable: 1\nsensor0:\n  enable: 1\n", "a.yml:3: [sensor0] "},
		{"yaml duplicate number", "a.yml", "sensor1:\n  enable: 1\nsensor01:\n  enable: 1\n", "a.yml:3: [sensor01] sensor1 is described in line 1"},
		{"yaml duplicate key", "a.yml", "sensor0:\n  enable: 1\n  id: a\n  id: b\n", "a.yml:4: [sensor0] id: set in line 3"},
		{"yaml top", "a.yml", "- 1\n- 2\n", "a.yml:1: the file is not a map of groups"},
		{"yaml syntax", "a.yml", "sensor0:\n  enable: 1\n id: [\n", "is not valid YAML"},
		{"csv columns", "a.csv", "h1,h2\n1,only,three\n", "a.csv:2: the row has 3 columns instead of 7; write cameraId"},
		{"csv gap", "a.csv", "h\n1,2,3,4,5,6,7\n\n1,2,3,4,5,6,7\n", "a.csv:3: the row has 1 columns"},
		{"csv utf-8", "a.csv", "h\n1,2,\xff,4,5,6,7\n", "a.csv:2: the row is not valid UTF-8"},
	} {
		_, _, err := load(t, c.file, c.text)
		if !strings.Contains(err, c.want) {
			t.Errorf("%s: %q, want %q", c.name, err, c.want)
		}
	}
	if _, _, err := Load(filepath.Join(t.TempDir(), "absent.yml")); !IsMissing(err) {
		t.Errorf("absent file: %v", err)
	}
}

func TestLoadYAML(t *testing.T) {
	s, warnings, err := load(t, "a.yml", "\xef\xbb\xbfsensor0: &s\n  enable: true\n  id: 007\n  type: ~\n  description:\n  location: 1; 2 ;3;\nsensor1:\n  enable: Yes\n  id: 3.10\n"+
		"sensor2:\n  enable: off\nsensor3: *s\nanalytics0:\n  enable: 0x1\n  version: 'a: b'\n---\nsecond: document\n")
	if err != "" || len(warnings) != 0 {
		t.Fatal(warnings, err)
	}
	zero := Sensor{ID: "007", Type: "null", Location: [3]float64{1, 2, 3}}
	want := &Static{Sensors: map[int]Sensor{0: zero, 1: {ID: "3.10"}, 3: zero}, Places: map[int]Place{}, Analytics: map[int]Analytics{0: {Version: "a: b"}}}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("%+v", s)
	}
	for _, empty := range []string{"", "# nothing\n", "~\n"} {
		if s, _, err := load(t, "a.yml", empty); err != "" || len(s.Sensors) != 0 {
			t.Errorf("%q: %s", empty, err)
		}
	}
}

func TestLoadCSV(t *testing.T) {
	s, warnings, err := load(t, "a.CSV", "\xef\xbb\xbfcameraId,sensorId\r\n1, S-1 ,ramp east,c,spot-7, P ,L2\r\n2,S-2,,c,,,,extra\r\n\r\n")
	if err != "" || len(warnings) != 0 {
		t.Fatal(warnings, err)
	}
	place := Place{ID: "Id", Type: "building/garage", Name: "endeavor"}
	first := place
	first.Sub = [3]string{"spot-7", "P", "L2"}
	want := &Static{
		Sensors:   map[int]Sensor{0: {ID: "S-1", Type: "Camera", Description: "ramp east"}, 1: {ID: "S-2", Type: "Camera"}},
		Places:    map[int]Place{0: first, 1: place},
		Analytics: map[int]Analytics{0: {Version: "1.0"}, 1: {Version: "1.0"}},
	}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("%+v", s)
	}
}

func TestSplitGroup(t *testing.T) {
	for name, want := range map[string]struct {
		kind, rest string
		n          int
		ok         bool
	}{
		"sensor0": {"sensor", "", 0, true}, "place05": {"place", "", 5, true}, "analytics 7": {"analytics", "", 7, true},
		"sensor-1": {"sensor", "", -1, true}, "sensor6x": {"sensor", "x", 6, true}, "sensor": {"sensor", "", 0, false},
		"sensors1": {"sensor", "s1", 0, false}, "sensor99999999999": {"sensor", "", 2147483647, false}, "x0": {"", "", 0, false},
	} {
		kind, n, rest, ok := splitGroup(name)
		if ok != want.ok || ok && (kind != want.kind || n != want.n || rest != want.rest) {
			t.Errorf("%s: %q %d %q %v", name, kind, n, rest, ok)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte("[sensor0]\nenable=1\nlocation=1;2;3\n"), uint8(0))
	f.Add([]byte("sensor0:\n  enable: 1\n  id: &a x\nplace0: *a\n"), uint8(1))
	f.Add([]byte("h\n1,2,3,4,5,6,7\n"), uint8(2))
	f.Fuzz(func(t *testing.T, data []byte, form uint8) {
		l := &loader{path: "f", static: newStatic(), lines: map[string]int{}}
		var err error
		switch form % 3 {
		case 0:
			err = l.keyFile(data)
		case 1:
			err = l.yaml(data)
		default:
			err = l.csv(data)
		}
		if err != nil && !strings.HasPrefix(err.Error(), "f") {
			t.Errorf("%v", err)
		}
	})
}
