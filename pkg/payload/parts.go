// SPDX-License-Identifier: LGPL-2.1-or-later

package payload

import "github.com/gst-edgewire/gst-edgewire/pkg/event"

// parts are pieces of a full message that never change, rendered once: a call per member costs more than
// copying the piece.
type parts struct {
	version      string                     // from the comma behind the message's id to its time
	still        string                     // speed, direction and orientation
	noLocation   string                     // the object's location when it is all zero
	noCoordinate string                     // the object's coordinate when it is all zero
	noAttributes [event.ExtOther + 1]string // the class's default attributes
}

func renderParts(indent int) (p parts) {
	render := func(depth int, comma bool, write func(w *writer)) string {
		w := writer{indent: indent, depth: depth, comma: comma}
		write(&w)
		return string(w.buf)
	}
	p.version = render(1, true, func(w *writer) {
		w.key("mdsversion")
		w.raw(`"1.0"`)
		w.key("@timestamp")
	})
	p.still = render(2, true, func(w *writer) {
		for m := memberSpeed; m <= memberOrientation; m++ {
			w.key(memberNames[m])
			w.double(0)
		}
	})
	p.noLocation = render(2, true, func(w *writer) { w.triple("location", &locationKeys, [3]float64{}) })
	p.noCoordinate = render(2, true, func(w *writer) { w.triple("coordinate", &coordinateKeys, [3]float64{}) })
	for _, kind := range []event.ExtKind{event.ExtVehicle, event.ExtPerson, event.ExtFace, event.ExtProduct} {
		p.noAttributes[kind] = render(3, false, func(w *writer) { w.attributes(kind, &noAttributes) })
	}
	return p
}
