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

// An infoKey is the name of an entry, and the entry without a value, which most attributes have.
type infoKey struct{ name, empty string }

func newInfoKey(name string) infoKey {
	return infoKey{name, string(appendEntry[string](nil, name, ""))}
}

var (
	keyAge            = newInfoKey("age")
	keyApparel        = newInfoKey("apparel")
	keyBrand          = newInfoKey("brand")
	keyCap            = newInfoKey("cap")
	keyColor          = newInfoKey("color")
	keyEyeColor       = newInfoKey("eyecolor")
	keyFacialHair     = newInfoKey("facialhair")
	keyGender         = newInfoKey("gender")
	keyGlasses        = newInfoKey("glasses")
	keyHair           = newInfoKey("hair")
	keyLicense        = newInfoKey("license")
	keyLicenseState   = newInfoKey("licenseState")
	keyMake           = newInfoKey("make")
	keyModel          = newInfoKey("model")
	keyName           = newInfoKey("name")
	keyShape          = newInfoKey("shape")
	keyType           = newInfoKey("type")
	keyVisibility     = newInfoKey("visibility")
	keyFootLocation2D = newInfoKey("footLocation2D")
	keyFootLocation3D = newInfoKey("footLocation3D")
	keyConvexHull     = newInfoKey("convexHull")
)

// invisible is the entry for a visibility of 0.
var invisible = string(appendEntry(nil, keyVisibility.name, "0.000000"))

func (m *infoMap) text(key *infoKey, s event.String) {
	from := len(m.out)
	switch {
	case s.Value == "":
		m.out = append(m.out, key.empty...)
	case utf8.ValidString(s.Value):
		m.out = appendEntry(m.out, key.name, s.Value)
	default:
		m.scratch = appendValid(m.scratch[:0], s.Value)
		m.out = appendEntry(m.out, key.name, m.scratch)
	}
	m.note(key, from)
}

// number adds what is in scratch.
func (m *infoMap) number(key *infoKey) {
	from := len(m.out)
	m.out = appendEntry(m.out, key.name, m.scratch)
	m.note(key, from)
}

func (m *infoMap) note(key *infoKey, from int) {
	if m.sort {
		m.entries[m.n] = infoEntry{key.name, from, len(m.out)}
		m.n++
	}
}

func appendEntry[T string | []byte](b []byte, key string, value T) []byte {
	b, start := begin(b, objectInfo)
	b = append(b, tag(1, protowire.BytesType), byte(len(key))) // ours, and short
	b = append(b, key...)
	b, valueStart := begin(b, 2)
	b = end(append(b, value...), valueStart)
	return end(b, start)
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

func (e *Encoder) appendInfo(b []byte, ev *event.Event) []byte {
	if ev.Ext.Kind == event.ExtNone && !ev.Has3D && math.Float32bits(ev.Visibility) == 0 {
		return append(b, invisible...)
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
	if from := len(m.out); math.Float32bits(ev.Visibility) == 0 {
		m.out = append(m.out, invisible...)
		m.note(&keyVisibility, from)
	} else {
		m.scratch = appendF(m.scratch[:0], float64(ev.Visibility))
		m.number(&keyVisibility)
	}
	if ev.Has3D {
		m.scratch = appendPair(m.scratch[:0], ev.Tracking3D.ImageFeet)
		m.number(&keyFootLocation2D)
		m.scratch = appendPair(m.scratch[:0], ev.Tracking3D.WorldFeet)
		m.number(&keyFootLocation3D)
		m.scratch = appendHull(m.scratch[:0], ev.Tracking3D.Hull)
		m.number(&keyConvexHull)
		m.inOrder(start)
	}
	return m.out
}

func (m *infoMap) attributes(kind event.ExtKind, x *event.Ext) {
	switch kind {
	case event.ExtVehicle:
		m.text(&keyColor, x.Color)
		m.text(&keyLicense, x.License)
		m.text(&keyLicenseState, x.Region)
		m.text(&keyMake, x.Make)
		m.text(&keyModel, x.Model)
		m.text(&keyType, x.VehicleType)
	case event.ExtPerson:
		m.age(x)
		m.text(&keyApparel, x.Apparel)
		m.text(&keyCap, x.Cap)
		m.text(&keyGender, x.Gender)
		m.text(&keyHair, x.Hair)
	case event.ExtFace:
		m.age(x)
		m.text(&keyCap, x.Cap)
		m.text(&keyEyeColor, x.EyeColor)
		m.text(&keyFacialHair, x.FacialHair)
		m.text(&keyGender, x.Gender)
		m.text(&keyGlasses, x.Glasses)
		m.text(&keyHair, x.Hair)
		m.text(&keyName, x.Name)
	case event.ExtProduct:
		m.text(&keyBrand, x.Brand)
		m.text(&keyShape, x.Shape)
		m.text(&keyType, x.ProductType)
	}
}

func (m *infoMap) age(x *event.Ext) {
	m.scratch = appendUint(m.scratch[:0], uint64(x.Age))
	m.number(&keyAge)
}
