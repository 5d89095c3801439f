// SPDX-License-Identifier: LGPL-2.1-or-later

package dsconfig

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Load reads a file of static properties. The extension decides about its form: .csv, .yml or .yaml, and
// everything else is a key file. Errors are of type *Error; the warnings are in file order.
func Load(path string) (*Static, []Warning, error) {
	data, err := ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	return LoadData(path, data)
}

// LoadData is Load for the content of a file that has been read; path decides about its form.
func LoadData(path string, data []byte) (*Static, []Warning, error) {
	var err error
	l := &loader{path: path, static: newStatic(), lines: map[string]int{}}
	switch strings.ToLower(filepath.Ext(path)) {
	case ".csv":
		err = l.csv(data)
	case ".yml", ".yaml":
		err = l.yaml(data)
	default:
		err = l.keyFile(data)
	}
	if err != nil {
		return nil, l.warnings, err
	}
	slices.SortStableFunc(l.warnings, func(a, b Warning) int { return a.Line - b.Line })
	return l.static, l.warnings, nil
}

// loader collects the groups of one file.
type loader struct {
	path     string
	static   *Static
	warnings []Warning
	lines    map[string]int // where each group that is on stands, by kind and number

	dataMapLine int // where the last group of a data map stands
}

// field is one key of a group, from a key file or from YAML.
type field struct {
	Entry
	yaml bool // Raw is plain text, without key file escapes
}

func (f field) text() (string, error) {
	if f.yaml {
		return f.Raw, nil
	}
	return f.Text()
}

func (f field) triple() (v [3]float64, err error) {
	var list []float64
	if f.yaml {
		for i, s := range strings.Split(strings.TrimSuffix(f.Raw, ";"), ";") {
			n, err := parseDouble(s)
			if err != nil {
				return v, f.Errorf("write three numbers such as 1.5;2.5;3.5", "item %d is not a finite number", i+1)
			}
			list = append(list, n)
		}
	} else if list, err = f.Doubles(); err != nil {
		return v, err
	}
	if len(list) != 3 {
		return v, f.Errorf("write three numbers such as 1.5;2.5;3.5", "has %d numbers instead of 3", len(list))
	}
	copy(v[:], list)
	return v, nil
}

func (f field) enabled() (on, valid bool) {
	if !f.yaml {
		on, err := f.Bool()
		return on, err == nil
	}
	switch strings.ToLower(f.Raw) {
	case "true", "yes", "on":
		return true, true
	case "false", "no", "off":
		return false, true
	}
	n, err := strconv.ParseInt(f.Raw, 0, 64)
	return n != 0, err == nil
}

func (l *loader) warn(line int, group, key, cause, remedy string) {
	l.warnings = append(l.warnings, Warning{File: l.path, Line: line, Group: group, Key: key, Cause: cause, Remedy: remedy})
}

func (l *loader) keyFile(data []byte) error {
	kf, err := ParseKeyData(l.path, data)
	if err != nil {
		return err
	}
	l.warnings = append(l.warnings, kf.Warnings...)
	for _, g := range kf.Groups {
		fields := make([]field, len(g.Entries))
		for i, e := range g.Entries {
			fields[i] = field{Entry: e}
		}
		if err := l.group(g.Name, g.Line, fields); err != nil {
			return err
		}
	}
	return nil
}

var kinds = []string{"sensor", "place", "analytics"}

// splitGroup reads names like sensor0. rest is what follows the number.
func splitGroup(name string) (kind string, number int, rest string, ok bool) {
	for _, kind := range kinds {
		tail, found := strings.CutPrefix(name, kind)
		if !found {
			continue
		}
		tail = strings.TrimLeft(tail, " \t")
		end := 0
		if strings.HasPrefix(tail, "-") || strings.HasPrefix(tail, "+") {
			end = 1
		}
		for end < len(tail) && tail[end] >= '0' && tail[end] <= '9' {
			end++
		}
		n, err := strconv.ParseInt(tail[:end], 10, 32)
		return kind, int(n), tail[end:], err == nil
	}
	return "", 0, "", false
}

func (l *loader) group(name string, line int, fields []field) error {
	kind, number, rest, ok := splitGroup(name)
	if !ok {
		remedy := "the groups are sensor0, place0, analytics0 and so on"
		stem := strings.TrimRight(name, "0123456789")
		if s := Nearest(stem, kinds); s != "" && kind == "" {
			remedy = "did you mean " + s + name[len(stem):] + "?"
		}
		if kind != "" {
			remedy = "write a number behind " + kind + ", such as " + kind + "0"
		}
		if IsDataMap(name) {
			remedy = "a data map is described in a YAML file alone: name the file .yml"
		}
		if trimmed := strings.TrimSpace(name); trimmed != name {
			if _, _, _, good := splitGroup(trimmed); good {
				remedy = "write [" + trimmed + "] without blanks"
			}
		}
		l.warn(line, printable(name), "", "unknown group; it is ignored", remedy)
		return nil
	}
	on := false
	if i := slices.IndexFunc(fields, func(f field) bool { return f.Key == "enable" }); i < 0 {
		l.warn(line, name, "", "the group is off, since it has no enable", "write enable=1 to use it")
	} else {
		var valid bool
		if on, valid = fields[i].enabled(); !valid {
			l.warnings = append(l.warnings, fields[i].Warn("is not a boolean; the group is off", "write 1 or 0"))
			on = false
		}
	}
	if !on {
		return nil
	}
	if rest != "" {
		l.warn(line, name, "", fmt.Sprintf("the text behind the number is ignored: this is %s%d", kind, number), "remove it")
	}
	id := kind + strconv.Itoa(number)
	if first, used := l.lines[id]; used {
		return &Error{File: l.path, Line: line, Group: name, Cause: fmt.Sprintf("%s is described in line %d already", id, first),
			Remedy: "give each group a number of its own"}
	}
	l.lines[id] = line
	switch kind {
	case "sensor":
		return l.sensor(number, fields)
	case "place":
		return l.place(number, fields)
	default:
		return l.analytics(number, fields)
	}
}

// assign stores the fields in texts and triples, by key.
func (l *loader) assign(fields []field, texts map[string]*string, triples map[string]*[3]float64) error {
	for _, f := range fields {
		var err error
		if p := texts[f.Key]; p != nil {
			*p, err = f.text()
		} else if p := triples[f.Key]; p != nil {
			*p, err = f.triple()
		} else if f.Key != "enable" {
			known := []string{"enable"}
			for k := range texts {
				known = append(known, k)
			}
			for k := range triples {
				known = append(known, k)
			}
			slices.Sort(known)
			l.warnings = append(l.warnings, f.Warn("unknown key; it is ignored", suggest(f.Key, known, "the keys are "+strings.Join(known, ", "))))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *loader) sensor(n int, fields []field) error {
	var s Sensor
	err := l.assign(fields, map[string]*string{"id": &s.ID, "type": &s.Type, "description": &s.Description},
		map[string]*[3]float64{"location": &s.Location, "coordinate": &s.Coordinate})
	l.static.Sensors[n] = s
	return err
}

func (l *loader) place(n int, fields []field) error {
	var p Place
	err := l.assign(fields, map[string]*string{"id": &p.ID, "type": &p.Type, "name": &p.Name,
		"place-sub-field1": &p.Sub[0], "place-sub-field2": &p.Sub[1], "place-sub-field3": &p.Sub[2]},
		map[string]*[3]float64{"location": &p.Location, "coordinate": &p.Coordinate})
	l.static.Places[n] = p
	return err
}

func (l *loader) analytics(n int, fields []field) error {
	var a Analytics
	err := l.assign(fields, map[string]*string{"id": &a.ID, "source": &a.Source, "description": &a.Description, "version": &a.Version}, nil)
	l.static.Analytics[n] = a
	return err
}
