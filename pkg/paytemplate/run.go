// SPDX-License-Identifier: LGPL-2.1-or-later

package paytemplate

import (
	"fmt"
	"time"
	"unsafe"

	"github.com/gst-edgewire/gst-edgewire/pkg/dsconfig"
	"github.com/gst-edgewire/gst-edgewire/pkg/event"
	"github.com/gst-edgewire/gst-edgewire/pkg/payload"
)

// Options configure an Encoder.
type Options struct {
	API payload.API // what the objects of a frame are: its events or its detections
	// Static describes sensors, places and analytics; nil when there is no configuration.
	Static *dsconfig.Static
	// NewUUID makes the ids of messages; nil means random (version 4) UUIDs.
	NewUUID func() [16]byte
	// Now is the clock for frames without a time; nil means time.Now.
	Now func() time.Time
}

// An Encoder turns frames into messages by a template. It reuses its memory and is not safe for concurrent use.
type Encoder struct {
	t      *Template
	o      Options
	beside *payload.Encoder // what goes beside a message
	r      run
}

// NewEncoder makes an Encoder.
func NewEncoder(t *Template, o Options) (*Encoder, error) {
	beside, err := payload.New(payload.Options{Type: payload.Minimal, API: o.API, Static: o.Static, NewUUID: o.NewUUID, Now: o.Now})
	if err != nil {
		return nil, err
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	e := &Encoder{t: t, o: o, beside: beside}
	e.r = run{dots: make([]dot, t.slots+1), api: o.API, uuid: beside.AppendUUID, now: o.Now}
	return e, nil
}

// Want sets the fields that go beside each message; see payload.Encoder.
func (e *Encoder) Want(names []string) { e.beside.Want(names) }

// Encode hands the messages of f to emit, in order: one per object, or one for the frame. A message in which the
// template writes nothing is left out. The error is of the first message that outgrew its bounds; the others are
// made.
func (e *Encoder) Encode(f *event.Frame, emit func(payload.Payload)) error {
	r := &e.r
	r.f = f
	r.sx, r.sy = 1, 1
	if e.o.API == payload.APIFrame {
		r.sx, r.sy = payload.Scale(f)
	}
	if !e.t.perObject {
		if e.o.API == payload.APIEvent && len(f.Events) == 0 && !f.EmitEmpty {
			return nil
		}
		return e.message(-1, emit)
	}
	var first error
	spent := 0
	for i := range r.items() {
		if err := e.message(i, emit); err != nil && first == nil {
			first = err
		}
		if spent += r.steps; spent > maxFrameSteps {
			return fmt.Errorf("the template takes more than %d turns of loops and calls of functions for the objects of one frame; those behind object %d are left out", maxFrameSteps, i)
		}
	}
	return first
}

func (e *Encoder) message(at int, emit func(payload.Payload)) error {
	r, f := &e.r, e.r.f
	sensor, fields := e.beside.Describe(f, at)
	r.begin(sensor, e.o.Static, at)
	r.do(e.t.body)
	switch {
	case r.over:
		r.out = nil // it may be large
		return fmt.Errorf("the template makes a message of more than %d KiB, or of more than %d turns of loops and calls of functions", MaxSize>>10, maxSteps)
	case len(r.out) == 0:
		return nil
	}
	count := 1
	if at < 0 {
		count = r.items()
	}
	emit(payload.Payload{Data: r.out, SensorID: sensor, ContentType: e.t.contentType, Fields: fields, Count: count})
	return nil
}

// A run is one message in the making.
type run struct {
	f        *event.Frame
	api      payload.API
	sensorID string
	sensor   *dsconfig.Sensor
	place    *dsconfig.Place
	module   *dsconfig.Analytics
	rows     struct {
		sensor dsconfig.Sensor
		place  dsconfig.Place
		module dsconfig.Analytics
	}
	sx, sy float32
	dots   []dot // what the slots of the program stand for; 0 is the root
	out    []byte
	steps  int
	over   bool   // a bound was reached
	commas uint64 // by depth: an element was written; only where the program asks
	clock  clock  // of the frame
	events clock  // a text of its own: the two are compared
	id     []byte
	uuid   func([]byte) []byte
	now    func() time.Time
	at     time.Time
	triple [3]float64
}

func (r *run) begin(sensor string, static *dsconfig.Static, at int) {
	r.out, r.steps, r.over, r.id, r.commas = r.out[:0], 0, false, r.id[:0], 0
	r.at = time.Time{}
	r.sensorID = sensor
	rows := [3]int{r.f.Source, r.f.Source, r.f.Source}
	r.dots[0] = dot{}
	if at >= 0 {
		r.itemAt(at, &r.dots[0])
	}
	if r.api == payload.APIEvent && len(r.f.Events) > 0 {
		ev := &r.f.Events[max(at, 0)]
		rows = [3]int{int(ev.Sensor), int(ev.Place), int(ev.Module)}
	}
	r.sensor, r.place, r.module = nil, nil, nil
	if static == nil {
		return
	}
	var ok bool
	if r.rows.sensor, ok = static.Sensors[rows[0]]; ok {
		r.sensor = &r.rows.sensor
	}
	if r.rows.place, ok = static.Places[rows[1]]; ok {
		r.place = &r.rows.place
	}
	if r.rows.module, ok = static.Analytics[rows[2]]; ok {
		r.module = &r.rows.module
	}
}

// items is how many objects the frame has.
func (r *run) items() int {
	if r.api == payload.APIEvent {
		return len(r.f.Events)
	}
	return len(r.f.Objects)
}

func (r *run) itemAt(i int, d *dot) {
	*d = dot{i: i}
	if r.api == payload.APIFrame {
		d.o = &r.f.Objects[i]
		return
	}
	d.e = &r.f.Events[i]
	if len(r.f.Objects) == len(r.f.Events) { // events made of detections (EventsFromObjects), in their order
		d.o = &r.f.Objects[i]
	}
}

func (r *run) time() time.Time {
	if !r.f.Time.IsZero() && r.f.Time.UnixNano() != 0 { // DeepStream has 0 for none
		return r.f.Time
	}
	if r.at.IsZero() {
		r.at = r.now()
	}
	return r.at
}

func (r *run) messageID() string {
	if len(r.id) == 0 {
		r.id = r.uuid(r.id)
	}
	return unsafe.String(unsafe.SliceData(r.id), len(r.id))
}

// do runs ops, as long as the message keeps within its bounds.
func (r *run) do(ops []op) {
	for _, o := range ops {
		if r.over {
			return
		}
		o(r)
		if len(r.out) > MaxSize {
			r.over = true
		}
	}
}

// step counts a turn of a loop, or a call of a function.
func (r *run) step() bool {
	if r.steps++; r.steps > maxSteps {
		r.over = true
	}
	return !r.over
}

// read counts the work on a long text.
func (r *run) read(n int) { r.steps += n / 64 }
