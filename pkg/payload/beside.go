// SPDX-License-Identifier: LGPL-2.1-or-later

package payload

import (
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/event"
)

// What encoders of other schemas (pkg/paytemplate, converter libraries) have in common with this one.

// StockLibrary is the file name of DeepStream's own converter library, whose schemas are the built-in ones.
const StockLibrary = "libnvds_msgconv.so"

// AppendEscaped appends s for use inside a JSON string, always valid UTF-8.
func AppendEscaped(dst []byte, s string) []byte { return appendEscaped(dst, s) }

// AppendUUID appends a random (version 4) UUID as text, or one of Options.NewUUID's.
func (e *Encoder) AppendUUID(dst []byte) []byte { return appendUUID(dst, e.newUUID()) }

// Scale is the factor from the pipeline's picture to the source's, 1 where a size is unknown.
func Scale(f *event.Frame) (x, y float32) { return scale(f) }

// Describe tells what goes beside a message of another schema about f: the sensor's id and the fields that Want
// named. With at >= 0 the message is of one object or event, as with the full schema; with -1 of the whole frame.
// The fields are valid until the next call.
func (e *Encoder) Describe(f *event.Frame, at int) (sensor string, fields adapters.Headers) {
	ev, o := e.firstEvent(f), firstObject(f)
	row, str := f.Source, event.String{}
	if at >= 0 && e.opts.API == APIEvent {
		ev = &f.Events[at]
	}
	if at >= 0 && e.opts.API == APIFrame {
		o = &f.Objects[at]
	}
	if ev != nil {
		row, str = int(ev.Sensor), ev.SensorStr
	}
	sensor = e.fullSensorID(f, row, str)
	return sensor, e.fields(f, ev, o, sensor)
}
