// SPDX-License-Identifier: LGPL-2.1-or-later

package payload

import "github.com/gst-edgewire/gst-edgewire/pkg/dsconfig"

// placeSub is the sub-object of a place; which one depends on the event.
type placeSub int

const (
	subNone placeSub = iota
	subAisle
	subParkingSpot
	subEntrance
	subField // frame API
	numSubs
)

var subNames = [numSubs]string{subAisle: "aisle", subParkingSpot: "parkingSpot", subEntrance: "entrance", subField: "place-sub-field"}

var subKeys = [numSubs][3]string{
	subAisle:       {"id", "name", "level"},
	subParkingSpot: {"id", "type", "level"},
	subEntrance:    {"name", "lane", "level"},
	subField:       {"id", "name", "level"},
}

// rows holds the descriptions as JSON text, rendered once: they are most of a full message.
type rows struct {
	sensors   map[int]string
	analytics map[int]string
	places    map[int]*[numSubs]string
}

func renderRows(o Options) rows {
	r := rows{sensors: map[int]string{}, analytics: map[int]string{}, places: map[int]*[numSubs]string{}}
	if o.Static == nil || o.Type != Deepstream {
		return r
	}
	// Each value stands one level deep in its message.
	render := func(object func(w *writer)) string {
		w := writer{indent: o.Indent, depth: 1}
		w.openObject()
		object(&w)
		w.closeObject()
		return string(w.buf)
	}
	for n, s := range o.Static.Sensors {
		r.sensors[n] = render(func(w *writer) {
			w.member("id", s.ID)
			w.member("type", s.Type)
			w.member("description", s.Description)
			w.triple("location", &locationKeys, s.Location)
			w.triple("coordinate", &coordinateKeys, s.Coordinate)
		})
	}
	for n, a := range o.Static.Analytics {
		r.analytics[n] = render(func(w *writer) {
			w.member("id", a.ID)
			w.member("description", a.Description)
			w.member("source", a.Source)
			w.member("version", a.Version)
		})
	}
	for n, p := range o.Static.Places {
		var texts [numSubs]string
		for sub := range numSubs {
			texts[sub] = render(func(w *writer) { w.place(p, sub) })
		}
		r.places[n] = &texts
	}
	return r
}

func (w *writer) place(p dsconfig.Place, sub placeSub) {
	w.member("id", p.ID)
	w.member("name", p.Name)
	w.member("type", p.Type)
	w.triple("location", &locationKeys, p.Location)
	if sub == subNone {
		return
	}
	w.key(subNames[sub])
	w.openObject()
	for i, k := range subKeys[sub] {
		w.member(k, p.Sub[i])
	}
	w.triple("coordinate", &coordinateKeys, p.Coordinate)
	w.closeObject()
}

var (
	locationKeys   = [3]string{"lat", "lon", "alt"}
	coordinateKeys = [3]string{"x", "y", "z"}
)

func (w *writer) member(key, text string) {
	w.key(key)
	w.text(text)
}

func (w *writer) triple(name string, keys *[3]string, v [3]float64) {
	w.key(name)
	w.openObject()
	for i, k := range keys {
		w.key(k)
		w.double(v[i])
	}
	w.closeObject()
}

// around is what a full message says of the surroundings of an object: which rows, and what of the place.
type around struct {
	place, sensor, module int
	sub                   placeSub
}

// appendAround appends all between @timestamp and the object's id.
func (r *rows) appendAround(dst []byte, indent int, a around) []byte {
	w := writer{buf: dst, indent: indent, depth: 1, comma: true}
	r.writePlace(&w, a.place, a.sub)
	r.writeRow(&w, "sensor", r.sensors, a.sensor)
	r.writeRow(&w, "analyticsModule", r.analytics, a.module)
	w.key("object")
	w.openObject()
	w.objectID()
	return w.buf
}

func (r *rows) writePlace(w *writer, row int, sub placeSub) {
	w.key("place")
	if texts := r.places[row]; texts != nil {
		w.raw(texts[sub])
	} else {
		w.raw("null")
	}
}

func (r *rows) writeRow(w *writer, name string, texts map[int]string, row int) {
	w.key(name)
	if text, ok := texts[row]; ok {
		w.raw(text)
	} else {
		w.raw("null")
	}
}
