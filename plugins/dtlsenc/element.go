// SPDX-License-Identifier: LGPL-2.1-or-later

// Package dtlsenc is the element dtlsenc, which encrypts data by DTLS.
// Interface mirrored: dtlsenc of GStreamer's dtls plugin.
// Documentation: docs/dtlsenc.md.
package dtlsenc

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	"github.com/gst-edgewire/gst-edgewire/pkg/dtls"
	"github.com/gst-edgewire/gst-edgewire/plugins/internal/dtlsside"
)

var log = gst.NewCategory("dtlsenc", "DTLS encoder")

type encoder struct {
	*gst.Element
	*dtlsside.Sender

	src *gst.Pad
	// started says that stream-start, caps and segment are out. It belongs to
	// the goroutine of the connection that sends, and to the state change.
	started atomic.Bool

	mu   sync.Mutex
	sink *gst.Pad // the one request pad
	eos  bool     // came on sink
}

// Class describes the element.
var Class = &gst.Class{
	Name:        "GstDTLSEnc", // of its own, yet elements are called dtlsenc0 by it
	Parent:      gst.ParentElement,
	LongName:    "DTLS Encoder",
	Klass:       "Encoder/Network/DTLS",
	Description: "Encrypts data by DTLS, and makes the keys for SRTP",
	Author:      "The gst-edgewire maintainers",
	Pads: []gst.PadTemplate{
		{Name: "sink", Direction: gst.PadSink, Presence: gst.PadRequest, Caps: "ANY"},
		{Name: "src", Direction: gst.PadSrc, Presence: gst.PadAlways, Caps: "application/x-dtls"},
	},
	Properties: append(dtlsside.SenderProperties(sender, "version", nil), dtlsside.SenderKeyProperties(sender)...),
	Signals:    []gst.Signal{{Name: "on-key-received"}},
	Proto:      (*encoder)(nil),
	New: func(e *gst.Element) any {
		d := &encoder{Element: e, Sender: dtlsside.NewSender(e, log)}
		d.Output = d.push
		d.Unblock = func() { d.src.Cut(0) }
		d.Keys = func(dtls.Keys) { e.Emit("on-key-received") }
		d.Closed = d.closed
		d.src = e.NewPad("src", "", gst.PadFuncs{})
		e.AddPad(d.src)
		return d
	},
}

// Register registers the element.
func Register(p gst.Plugin) error {
	dtlsside.RegisterCategories(log)
	return p.Register("dtlsenc", gst.RankNone, Class)
}

func sender(d *encoder) *dtlsside.Sender { return d.Sender }

// ChangeState starts and ends the connection with the pads.
func (d *encoder) ChangeState(t gst.StateChange) gst.StateChangeReturn {
	switch t {
	case gst.NullToReady:
		if !d.Open() {
			return gst.StateChangeFailure
		}
	case gst.PausedToReady:
		d.Stop()
	}
	ret := d.ParentChangeState(t)
	switch {
	case t == gst.NullToReady && ret == gst.StateChangeFailure:
		d.Close()
	case t == gst.ReadyToPaused && ret != gst.StateChangeFailure:
		d.mu.Lock()
		d.eos = false
		d.mu.Unlock()
		d.started.Store(false)
		if !d.Start() {
			return gst.StateChangeFailure
		}
	case t == gst.ReadyToNull:
		d.Close()
	}
	return ret
}

// push gives a datagram to downstream, on a goroutine of the connection.
func (d *encoder) push(datagram []byte) gst.FlowReturn {
	if d.started.CompareAndSwap(false, true) &&
		!d.src.PushStartBytes(fmt.Sprintf("dtlsenc-%08x", rand.Uint32()), "application/x-dtls") {
		d.started.Store(false)
		return gst.FlowFlushing
	}
	return d.src.PushLocked(gst.NewBuffer(datagram))
}

// closed ends the stream, if it was ours to end.
func (d *encoder) closed() {
	d.mu.Lock()
	eos := d.eos
	d.mu.Unlock()
	if eos || d.sinkPad() == nil {
		d.src.PushEventLocked(gst.NewEOS())
		d.started.Store(false) // a session that follows begins a new stream
	}
}

func (d *encoder) sinkPad() *gst.Pad {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.sink
}

// RequestPad makes the one sink pad.
func (d *encoder) RequestPad(template, _ string, _ gst.Caps) *gst.Pad {
	if d.sinkPad() != nil {
		log.Log(gst.LevelWarning, d.Element, "there is a sink pad already: one dtlsenc encrypts one stream of data")
		return nil
	}
	p := d.NewPad(template, template, gst.PadFuncs{
		Chain: func(_ *gst.Pad, b gst.Buffer) gst.FlowReturn { return d.Write(b) },
		Event: func(p *gst.Pad, ev gst.Event) bool { return d.event(p, ev) },
	})
	if !d.AddPad(p) {
		return nil
	}
	d.mu.Lock()
	d.sink = p
	d.mu.Unlock()
	return p
}

// ReleasePad takes the sink pad off.
func (d *encoder) ReleasePad(p *gst.Pad) {
	d.Interrupt(true)
	d.RemovePad(p)
	d.Interrupt(false)
	d.mu.Lock()
	d.sink = nil
	d.mu.Unlock()
}

func (d *encoder) event(p *gst.Pad, ev gst.Event) bool {
	switch ev.Type() {
	case gst.EventStreamStart, gst.EventCaps, gst.EventSegment:
		// The records have a stream, caps and a segment of their own.
		ev.Unref()
		return true
	case gst.EventFlushStart:
		d.Interrupt(true)
	case gst.EventFlushStop:
		d.Interrupt(false)
		d.started.Store(false) // the segment is gone by it
	case gst.EventEOS:
		d.mu.Lock()
		d.eos = true
		d.mu.Unlock()
		if d.CloseNotify() {
			ev.Unref() // it follows when both directions are closed
			return true
		}
	}
	return p.EventDefault(ev)
}
