// SPDX-License-Identifier: LGPL-2.1-or-later

package payload

import "github.com/gst-edgewire/gst-edgewire/pkg/event"

// The payload types of nvmsgconv that stand for no schema of its own.
const (
	Reserved Type = 256 // no message at all
	Custom   Type = 257 // a placeholder per event or object: the schema is that of a converter library
)

// placeholder is what the reference's own library says where a library of somebody's should speak. Its end
// belongs to it.
const placeholder = "CUSTOM Schema\x00"

// ContentTypeCustom is what a placeholder is.
const ContentTypeCustom = "application/octet-stream"

func (e *Encoder) encodeCustom(f *event.Frame, emit func(Payload)) {
	n := len(f.Events)
	if e.opts.API == APIFrame {
		n = len(f.Objects)
	}
	for i := range n {
		e.w.reset()
		e.w.raw(placeholder)
		p := Payload{Data: e.w.buf, ContentType: ContentTypeCustom, Count: 1}
		if e.opts.API == APIFrame {
			p.SensorID = e.fullSensorID(f, f.Source, event.String{})
			p.Fields = e.fields(f, nil, &f.Objects[i], p.SensorID)
		} else {
			ev := &f.Events[i]
			p.SensorID = e.fullSensorID(f, int(ev.Sensor), ev.SensorStr)
			p.Fields = e.fields(f, ev, nil, p.SensorID)
		}
		emit(p)
	}
}
