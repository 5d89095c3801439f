// SPDX-License-Identifier: LGPL-2.1-or-later

// Package route makes topics, keys and headers of a message's fields: templates, paths into JSON payloads, and
// the rules of topics.
//
// Whoever makes a payload knows its fields; it carries those that were asked for beside the payload, as
// adapters.Headers. Only for payloads without them the JSON text is looked through (Scan).
package route

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gst-edgewire/gst-edgewire/internal/nearest"
)

// A Path leads to a member of a JSON object: names from the outside in.
type Path []string

// ParsePath reads a path with dots, such as object.vehicle.type.
func ParsePath(text string) (Path, error) {
	p := Path(strings.Split(text, "."))
	if slices.Contains(p, "") {
		return nil, fmt.Errorf("the path %q has an empty name in it; write names with dots between them, as in sensor.id", text)
	}
	if len(p) > maxDepth {
		return nil, fmt.Errorf("the path %q is %d deep; %d is the most", text, len(p), maxDepth)
	}
	return p, nil
}

// JSONPrefix is what a field's name begins with that is a path into the payload and no name of ours.
const JSONPrefix = "$."

// A Field is something of a message that a template names.
type Field struct {
	Name    string // as written; without JSONPrefix it is one of the known names
	Default string
	Path    Path // where it stands in a JSON payload; nil when nowhere
}

// A Template is text with fields in it: {sensor.id}, {sensor.id|default}, {$.path.in.json}; {{ and }} are
// braces.
type Template struct {
	text  []string // text[i] stands before fields[i]; one more than fields
	field []Field
}

// Known says which names a template may have beside paths.
type Known struct {
	Names []string            // for the nearest name of an unknown one
	Path  func(string) string // where a name stands in a JSON payload; "" when nowhere. nil: nowhere
	Is    func(string) bool   // further names
}

func (k *Known) field(name string) (Field, error) {
	f := Field{Name: name}
	if path, ok := strings.CutPrefix(name, JSONPrefix); ok {
		p, err := ParsePath(path)
		f.Path = p
		return f, err
	}
	if !slices.Contains(k.Names, name) && (k.Is == nil || !k.Is(name)) {
		remedy := "known are " + strings.Join(k.Names, ", ") + ", and paths into a JSON payload as in {$.a.b}"
		if n, ok := nearest.Of(name, k.Names); ok {
			remedy = "did you mean {" + n + "}? A path into a JSON payload is written {$." + name + "}"
		}
		return f, fmt.Errorf("there is no field {%s}; %s", name, remedy)
	}
	if k.Path != nil {
		if path := k.Path(name); path != "" {
			f.Path = Path(strings.Split(path, "."))
		}
	}
	return f, nil
}

// Parse reads a template.
func Parse(text string, known *Known) (*Template, error) {
	t := &Template{}
	var lit strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c != '{' && c != '}':
			lit.WriteByte(c)
		case i+1 < len(text) && text[i+1] == c:
			lit.WriteByte(c)
			i++
		case c == '}':
			return nil, fmt.Errorf("%q has a } without its {; write }} for the character", text)
		default:
			end := strings.IndexByte(text[i:], '}')
			if end < 0 {
				return nil, fmt.Errorf("%q has a { without its }; write {{ for the character", text)
			}
			name, def, _ := strings.Cut(text[i+1:i+end], "|")
			name = strings.TrimSpace(name)
			if name == "" || strings.Contains(name+def, "{") {
				return nil, fmt.Errorf("%q has {%s} in it; write the name of a field between the braces, as in {sensor.id}",
					text, text[i+1:i+end])
			}
			f, err := known.field(name)
			if err != nil {
				return nil, fmt.Errorf("%q: %w", text, err)
			}
			f.Default = def
			t.text, t.field = append(t.text, lit.String()), append(t.field, f)
			lit.Reset()
			i += end
		}
	}
	t.text = append(t.text, lit.String())
	return t, nil
}

// Fields are those of the template, in order.
func (t *Template) Fields() []Field { return t.field }

// Literals are the texts around the fields, in order.
func (t *Template) Literals() []string { return t.text }

// Append appends the text for one message. lookup appends the value of a field and reports whether there is
// one that is not empty. Without a value and a default the whole is nothing: ok is false, and dst as before.
func (t *Template) Append(dst []byte, lookup func(dst []byte, f *Field) ([]byte, bool)) (out []byte, ok bool) {
	was := len(dst)
	for i := range t.field {
		dst = append(dst, t.text[i]...)
		f := &t.field[i]
		start := len(dst)
		if dst, ok = lookup(dst, f); ok && len(dst) > start {
			continue
		}
		if f.Default == "" {
			return dst[:was], false
		}
		dst = append(dst[:start], f.Default...)
	}
	return append(dst, t.text[len(t.field)]...), true
}
