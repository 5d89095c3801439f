// SPDX-License-Identifier: LGPL-2.1-or-later

package cloud

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	"github.com/gst-edgewire/gst-edgewire/pkg/c2d"
)

// structure turns the arguments of a command into a GstStructure: objects are structures, lists are
// GstValueArrays, whole numbers gint64 and others gdouble. null is left out. A list of several kinds has no
// GstValueArray: its items come as their JSON.
func structure(name string, o *c2d.Object) gst.Structure {
	s := gst.Structure{Name: name}
	if o == nil {
		return s
	}
	for _, m := range o.Members {
		if v := value(m.Value); v != nil {
			s.Add(fieldName(m.Name), v)
		}
	}
	return s
}

// nameable says why arguments cannot become a structure: see gst.FieldName.
func nameable(v c2d.Value) error {
	switch v := v.(type) {
	case *c2d.Object:
		if v == nil {
			return nil
		}
		for _, m := range v.Members {
			if name := fieldName(m.Name); !gst.FieldName(name) {
				return fmt.Errorf("the name %.40q in its arguments is one too many: %d different ones were seen, or they are too long", name, gst.MaxFieldNames)
			}
			if err := nameable(m.Value); err != nil {
				return err
			}
		}
	case []c2d.Value:
		for _, x := range v {
			if err := nameable(x); err != nil {
				return err
			}
		}
	}
	return nil
}

// fieldName keeps to what GstStructure can write and read again.
func fieldName(s string) string {
	s = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.:+/", r) {
			return r
		}
		return '-'
	}, s)
	if s == "" || s[0] < 'A' {
		s = "x" + s
	}
	return s
}

func value(v c2d.Value) any {
	switch v := v.(type) {
	case bool, string:
		return v
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i
		}
		f, err := v.Float64()
		if err != nil {
			return v.String() // beyond a double
		}
		return f
	case *c2d.Object:
		return structure("object", v)
	case []c2d.Value:
		return list(v)
	}
	return nil
}

func list(in []c2d.Value) any {
	out := make([]any, 0, len(in))
	alike := true
	for _, v := range in {
		x := value(v)
		out = append(out, x)
		alike = alike && x != nil && fmt.Sprintf("%T", x) == fmt.Sprintf("%T", out[0])
	}
	if alike {
		return out
	}
	for i, v := range in {
		text, err := json.Marshal(v)
		if err != nil {
			return nil
		}
		out[i] = string(text)
	}
	return out
}

// object turns a GstStructure into JSON, as the result of a reply.
func object(s gst.Structure) *c2d.Object {
	o := &c2d.Object{}
	for _, f := range s.Fields {
		o.Members = append(o.Members, c2d.Member{Name: f.Name, Value: jsonOf(f.Value)})
	}
	return o
}

func jsonOf(v any) c2d.Value {
	switch v := v.(type) {
	case bool, string, nil:
		return v
	case gst.Structure:
		return object(v)
	case []string:
		out := make([]c2d.Value, len(v))
		for i, s := range v {
			out[i] = s
		}
		return out
	case []any:
		out := make([]c2d.Value, len(v))
		for i, x := range v {
			out[i] = jsonOf(x)
		}
		return out
	case []byte:
		return string(v)
	}
	text, err := json.Marshal(v) // numbers; not NaN
	if err != nil || len(text) == 0 || text[0] != '-' && (text[0] < '0' || text[0] > '9') {
		return fmt.Sprint(v)
	}
	return json.Number(text)
}
