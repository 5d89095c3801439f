// SPDX-License-Identifier: LGPL-2.1-or-later

package payload

import (
	"cmp"
	"math"
	"slices"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gst-edgewire/gst-edgewire/pkg/event"
)

// infoMap writes the entries of an object's info map. The order of a map's entries means nothing; they
// are written by name, so that equal events give equal bytes.
type infoMap struct {
	out     []byte
	scratch []byte
	// Attributes come in order, but the entries of 3D tracking stand among them: then all are sorted.
	sort    bool
	entries [12]infoEntry // the most: a face with 3D tracking
	n       int
}

type infoEntry struct {
	key      string
	from, to int // in out
}

func (m *infoMap) add(key string, value []byte) { addEntry(m, key, value) }

func (m *infoMap) text(key string, s event.String) {
	if !utf8.ValidString(s.Value) {
		m.scratch = appendValid(m.scratch[:0], s.Value)
		m.add(key, m.scratch)
		return
	}
	addEntry(m, key, s.Value)
}

func addEntry[T string | []byte](m *infoMap, key string, value T) {
	b, start := begin(m.out, objectInfo)
	b = append(b, tag(1, protowire.BytesType), byte(len(key))) // ours, and short
	b = append(b, key...)
	b, valueStart := begin(b, 2)
	b = end(append(b, value...), valueStart)
	b = end(b, start)
	if m.sort {
		m.entries[m.n] = infoEntry{key, len(m.out), len(b)}
		m.n++
	}
	m.out = b
}

// inOrder sorts the entries, which stand in out from start on.
func (m *infoMap) inOrder(start int) {
	entries := m.entries[:m.n]
	slices.SortFunc(entries, func(a, b infoEntry) int { return cmp.Compare(a.key, b.key) })
	m.scratch = m.scratch[:0]
	for _, e := range entries {
		m.scratch = append(m.scratch, m.out[e.from:e.to]...)
	}
	copy(m.out[start:], m.scratch)
}

// unseen is the info map of an event without attributes and tracking: the entry visibility, 0.
var unseen = string(new(Encoder).appendMap(nil, &event.Event{}))

func (e *Encoder) appendInfo(b []byte, ev *event.Event) []byte {
	if ev.Ext.Kind == event.ExtNone && !ev.Has3D && math.Float32bits(ev.Visibility) == 0 {
		return append(b, unseen...)
	}
	return e.appendMap(b, ev)
}

func (e *Encoder) appendMap(b []byte, ev *event.Event) []byte {
	m := &e.info
	m.out, m.n, m.sort = b, 0, ev.Has3D
	start := len(b)
	if kind := classOf(ev).kind; kind == ev.Ext.Kind {
		m.attributes(kind, &ev.Ext)
	}
	m.scratch = appendF(m.scratch[:0], float64(ev.Visibility))
	m.add("visibility", m.scratch)
	if ev.Has3D {
		m.scratch = appendPair(m.scratch[:0], ev.Tracking3D.ImageFeet)
		m.add("footLocation2D", m.scratch)
		m.scratch = appendPair(m.scratch[:0], ev.Tracking3D.WorldFeet)
		m.add("footLocation3D", m.scratch)
		m.scratch = appendHull(m.scratch[:0], ev.Tracking3D.Hull)
		m.add("convexHull", m.scratch)
		m.inOrder(start)
	}
	return m.out
}

func (m *infoMap) attributes(kind event.ExtKind, x *event.Ext) {
	switch kind {
	case event.ExtVehicle:
		m.text("color", x.Color)
		m.text("license", x.License)
		m.text("licenseState", x.Region)
		m.text("make", x.Make)
		m.text("model", x.Model)
		m.text("type", x.VehicleType)
	case event.ExtPerson:
		m.age(x)
		m.text("apparel", x.Apparel)
		m.text("cap", x.Cap)
		m.text("gender", x.Gender)
		m.text("hair", x.Hair)
	case event.ExtFace:
		m.age(x)
		m.text("cap", x.Cap)
		m.text("eyecolor", x.EyeColor)
		m.text("facialhair", x.FacialHair)
		m.text("gender", x.Gender)
		m.text("glasses", x.Glasses)
		m.text("hair", x.Hair)
		m.text("name", x.Name)
	case event.ExtProduct:
		m.text("brand", x.Brand)
		m.text("shape", x.Shape)
		m.text("type", x.ProductType)
	}
}

func (m *infoMap) age(x *event.Ext) {
	m.scratch = appendUint(m.scratch[:0], uint64(x.Age))
	m.add("age", m.scratch)
}
