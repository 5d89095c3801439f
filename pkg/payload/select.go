// SPDX-License-Identifier: LGPL-2.1-or-later

package payload

import "github.com/gst-edgewire/gst-edgewire/pkg/event"

// Selection says which frames and events become messages: the filters of nvmsgconv.
type Selection struct {
	Type Type
	API  API
	// ComponentID keeps the events of this component; 0 keeps all (event API).
	ComponentID uint32
	// FrameInterval keeps each frame whose number it divides; 0 and 1 keep all (frame API).
	FrameInterval uint32
	// Dummy asks for a message even for a frame without events (event API, minimal and protobuf schema).
	Dummy bool
}

// Apply removes what is not selected from f and reports whether f is to be encoded.
func (s Selection) Apply(f *event.Frame) bool {
	if s.API == APIFrame {
		return Due(f.Num, s.FrameInterval)
	}
	f.Events = OfComponent(f.Events, s.ComponentID)
	f.EmitEmpty = s.Dummy && (s.Type == Minimal || s.Type == Protobuf)
	return len(f.Events) > 0 || f.EmitEmpty
}

// Due reports whether a frame is converted at the given interval.
func Due(frame uint64, interval uint32) bool {
	return interval <= 1 || frame%uint64(interval) == 0
}

// OfComponent moves the events of a component to the front of events, in order, and returns them; 0 means
// all. The others stay behind, so that their memory can be reused.
func OfComponent(events []event.Event, component uint32) []event.Event {
	if component == 0 {
		return events
	}
	n := 0
	for i := range events {
		if uint32(events[i].ComponentID) != component {
			continue
		}
		if i != n {
			events[i], events[n] = events[n], events[i]
		}
		n++
	}
	return events[:n]
}
