// SPDX-License-Identifier: LGPL-2.1-or-later

package msgconv

import (
	"fmt"
	"strconv"
	"strings"
)

// labelMap renames classes. A key is a label as the detector gives it, or the
// number of a class.
type labelMap struct {
	byName  map[string]string
	byClass map[int32]string
}

// parseLabelMap reads "face=person;1=car". Blanks around names are dropped.
func parseLabelMap(s string) (labelMap, error) {
	var m labelMap
	for i, entry := range strings.Split(s, ";") {
		entry = strings.TrimSpace(entry)
		if entry == "" {
			continue
		}
		from, to, ok := strings.Cut(entry, "=")
		from, to = strings.TrimSpace(from), strings.TrimSpace(to)
		if !ok || from == "" || to == "" {
			return labelMap{}, fmt.Errorf("label-map: entry %d, %q, is not LABEL=NAME or CLASS-NUMBER=NAME; write for example label-map=\"face=person;1=car\"", i+1, entry)
		}
		if m.byName == nil {
			m.byName, m.byClass = map[string]string{}, map[int32]string{}
		}
		if _, twice := m.byName[from]; twice {
			return labelMap{}, fmt.Errorf("label-map: %q stands there twice (entry %d); keep one of them", from, i+1)
		}
		m.byName[from] = to
		if n, err := strconv.ParseInt(from, 10, 32); err == nil {
			if _, twice := m.byClass[int32(n)]; twice {
				return labelMap{}, fmt.Errorf("label-map: class %d stands there twice (entry %d, %q); keep one of them", n, i+1, from)
			}
			m.byClass[int32(n)] = to
		}
	}
	return m, nil
}

// name is the name that the map gives to an object, or its label.
func (m labelMap) name(label string, class int32, hasClass bool) string {
	if m.byName == nil {
		return label
	}
	if to, ok := m.byName[label]; ok {
		return to
	}
	if hasClass {
		if to, ok := m.byClass[class]; ok {
			return to
		}
	}
	return label
}
