// SPDX-License-Identifier: LGPL-2.1-or-later

package c2d

import (
	"fmt"
	"slices"
	"strings"
)

// Allow lists what a cloud may set: properties of named elements.
type Allow struct{ list []string }

// MaxAllowed bounds an allow list.
const MaxAllowed = 1024

// ParseAllow reads a list such as "tiler.rows,osd.display-text". There are no wildcards: who allows
// everything has allowed the path of a file, too.
func ParseAllow(s string) (Allow, error) {
	var a Allow
	for item := range strings.SplitSeq(s, ",") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		element, property, ok := cutLast(item)
		switch {
		case !ok || element == "" || property == "":
			return Allow{}, fmt.Errorf("%q is not ELEMENT.PROPERTY: write it as in tiler.rows,osd.display-text", clip(item))
		case strings.ContainsAny(item, "*?"):
			return Allow{}, fmt.Errorf("%q: there are no wildcards; name each property", clip(item))
		case strings.ContainsFunc(property, notProperty):
			return Allow{}, fmt.Errorf("%q: %q is no name of a property", clip(item), clip(property))
		case slices.Contains(a.list, element+"."+property):
			return Allow{}, fmt.Errorf("%q stands twice", clip(item))
		case len(a.list) == MaxAllowed:
			return Allow{}, fmt.Errorf("there are more than %d", MaxAllowed)
		}
		a.list = append(a.list, element+"."+property)
	}
	return a, nil
}

// cutLast parts at the last dot: names of elements may hold dots, those of properties do not.
func cutLast(s string) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, '.')
	if i < 0 {
		return s, "", false
	}
	return strings.TrimSpace(s[:i]), strings.TrimSpace(s[i+1:]), true
}

func notProperty(r rune) bool {
	return !(r == '-' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z')
}

// Has reports whether the property of the element may be set.
func (a Allow) Has(element, property string) bool {
	return slices.ContainsFunc(a.list, func(item string) bool {
		e, p, _ := cutLast(item)
		return e == element && p == property
	})
}

// Empty reports whether nothing may be set.
func (a Allow) Empty() bool { return len(a.list) == 0 }

// String is the list as it is written.
func (a Allow) String() string { return strings.Join(a.list, ",") }

// A Setting is what set-property asks for.
type Setting struct {
	Element, Property string
	Value             Value // bool, json.Number or string
}

// Setting reads the arguments of set-property.
func (c *Command) Setting() (Setting, error) {
	var s Setting
	var err error
	if c.Arguments == nil {
		return s, fmt.Errorf(`"arguments" is missing: it names element, property and value`)
	}
	if s.Element, err = text(c.Arguments, "element"); err != nil {
		return s, err
	}
	if s.Property, err = text(c.Arguments, "property"); err != nil {
		return s, err
	}
	if s.Element == "" || s.Property == "" {
		return s, fmt.Errorf(`"arguments" must name "element" and "property"`)
	}
	v, ok := c.Arguments.Get("value")
	if !ok {
		return s, fmt.Errorf(`"arguments" has no "value"`)
	}
	switch v.(type) {
	case nil, *Object, []Value:
		return s, fmt.Errorf(`"value" is not a text, a number or a boolean`)
	}
	s.Value = v
	return s, nil
}
