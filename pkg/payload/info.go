// SPDX-License-Identifier: LGPL-2.1-or-later

package payload

import (
	"math"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gst-edgewire/gst-edgewire/pkg/event"
)

// infoMap collects the entries of an object's info map. The order of a map's entries means nothing; they
// are written by name, so that equal events give equal bytes.
type infoMap struct {
	entries [12]infoEntry // the largest: a face with 3D tracking
	n       int
	scratch []byte // numbers as text
}

type infoEntry struct {
	key      string
	value    string
	from, to int // in scratch, when to > 0
}

func (m *infoMap) reset() { m.n, m.scratch = 0, m.scratch[:0] }

func (m *infoMap) add(e infoEntry) {
	i := m.n
	for ; i > 0 && m.entries[i-1].key > e.key; i-- {
		m.entries[i] = m.entries[i-1]
	}
	m.entries[i] = e
	m.n++
}

func (m *infoMap) text(key string, s event.String) { m.add(infoEntry{key: key, value: s.Value}) }

// written adds what was appended to scratch since from.
func (m *infoMap) written(key string, from int) {
	m.add(infoEntry{key: key, from: from, to: len(m.scratch)})
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
	m.reset()
	if kind := classOf(ev).kind; kind == ev.Ext.Kind {
		m.attributes(kind, &ev.Ext)
	}
	from := len(m.scratch)
	m.scratch = appendF(m.scratch, float64(ev.Visibility))
	m.written("visibility", from)
	if ev.Has3D {
		from = len(m.scratch)
		m.scratch = appendPair(m.scratch, ev.Tracking3D.ImageFeet)
		m.written("footLocation2D", from)
		from = len(m.scratch)
		m.scratch = appendPair(m.scratch, ev.Tracking3D.WorldFeet)
		m.written("footLocation3D", from)
		from = len(m.scratch)
		m.scratch = appendHull(m.scratch, ev.Tracking3D.Hull)
		m.written("convexHull", from)
	}
	for i := range m.n {
		entry := &m.entries[i]
		b = append(b, tag(objectInfo, protowire.BytesType))
		start := len(b)
		b = appendBytes(b, 1, entry.key)
		if entry.to > 0 {
			b = appendBytes(b, 2, m.scratch[entry.from:entry.to])
		} else {
			b = appendTextAlways(b, 2, entry.value)
		}
		b = insertSize(b, start)
	}
	return b
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
	from := len(m.scratch)
	m.scratch = strconv.AppendUint(m.scratch, uint64(x.Age), 10)
	m.written("age", from)
}
