// SPDX-License-Identifier: LGPL-2.1-or-later

package payload

import "github.com/gst-edgewire/gst-edgewire/pkg/event"

// parts are pieces of a full message that never change, rendered once: a call per member costs more than
// copying the piece.
type parts struct {
	head         string                     // up to the message's id
	version      string                     // from there to the time
	id           string                     // from the object's brace to its id
	still        string                     // from there: speed, direction and orientation
	noAttributes [event.ExtOther + 1]string // the class's default attributes
	classes      [event.ExtOther + 1]string // up to the confidence behind those; "" where not all have one
	classEnd     string                     // the class's brace
	corners      [4]string                  // before each number of the box
	bboxEnd      string                     // the box's brace
	noMore       string                     // the same, and what an event's object has by itself: location, coordinate and pose
	noLocation   string                     // an object's location in the frame API
	noCoordinate string                     // and its coordinate
	event        string                     // from the object's brace to the event's id
	eventTypes   [noEvent + 1]string        // from there to the video's path
	noEventType  string                     // from there to its end, in the frame API
	end          string                     // the message's brace
}

func renderParts(indent int) (p parts) {
	render := func(depth int, comma bool, write func(w *writer)) string {
		w := writer{indent: indent, depth: depth, comma: comma}
		write(&w)
		return string(w.buf)
	}
	empty := func(name string) string {
		return render(2, true, func(w *writer) {
			w.key(name)
			w.openObject()
			w.closeObject()
		})
	}
	p.head = render(0, false, func(w *writer) {
		w.openObject()
		w.key("messageid")
		w.raw(`"`)
	})
	p.version = render(1, true, func(w *writer) {
		w.raw(`"`)
		w.key("mdsversion")
		w.raw(`"1.0"`)
		w.key("@timestamp")
	})
	p.id = render(2, false, func(w *writer) { w.objectID() })
	p.still = render(2, true, func(w *writer) {
		w.raw(`"`)
		for m := memberSpeed; m <= memberOrientation; m++ {
			w.key(memberNames[m])
			w.double(0)
		}
	})
	for _, kind := range []event.ExtKind{event.ExtVehicle, event.ExtPerson, event.ExtFace, event.ExtProduct} {
		p.noAttributes[kind] = render(3, false, func(w *writer) { w.attributes(kind, &noAttributes) })
	}
	for kind, name := range map[event.ExtKind]string{event.ExtVehicle: "vehicle", event.ExtPerson: "person", event.ExtFace: "face"} {
		p.classes[kind] = render(2, true, func(w *writer) {
			w.key(name)
			w.openObject()
			w.raw(p.noAttributes[kind])
			w.comma = true
			w.key("confidence")
		})
	}
	p.classEnd = render(3, true, func(w *writer) { w.closeObject() })
	p.corners[0] = render(2, true, func(w *writer) {
		w.key(memberNames[memberBbox])
		w.openObject()
		w.key("topleftx")
	})
	for i, name := range []string{"toplefty", "bottomrightx", "bottomrighty"} {
		p.corners[1+i] = render(3, true, func(w *writer) { w.key(name) })
	}
	p.bboxEnd = render(3, true, func(w *writer) { w.closeObject() })
	p.noMore = render(3, true, func(w *writer) {
		w.closeObject()
		w.triple(memberNames[memberLocation], &locationKeys, [3]float64{})
		w.triple(memberNames[memberCoordinate], &coordinateKeys, [3]float64{})
		w.key(memberNames[memberPose])
		w.pose(&event.Pose{})
	})
	p.noLocation, p.noCoordinate = empty(memberNames[memberLocation]), empty(memberNames[memberCoordinate])
	p.event = render(2, true, func(w *writer) {
		w.closeObject()
		w.key("event")
		w.openObject()
		w.key("id")
		w.raw(`"`)
	})
	eventType := func(name string, known bool) string {
		return render(2, true, func(w *writer) {
			w.raw(`"`)
			if known {
				w.member("type", name)
			}
			w.closeObject()
			w.key("videoPath")
		})
	}
	for t, name := range eventNames {
		p.eventTypes[t] = eventType(name, true)
	}
	p.eventTypes[noEvent] = eventType("", false)
	p.noEventType = eventType("", true) + `""`
	p.end = render(1, true, func(w *writer) { w.closeObject() })
	return p
}

func (w *writer) objectID() {
	w.key(memberNames[memberID])
	w.raw(`"`)
}
