// SPDX-License-Identifier: LGPL-2.1-or-later

// Package dtlsdec is the element dtlsdec, which decrypts data by DTLS.
// Interface mirrored: dtlsdec of GStreamer's dtls plugin.
// Documentation: docs/dtlsdec.md.
package dtlsdec

import (
	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	"github.com/gst-edgewire/gst-edgewire/pkg/dtls"
	"github.com/gst-edgewire/gst-edgewire/plugins/internal/dtlsside"
)

var log = gst.NewCategory("dtlsdec", "DTLS decoder")

type decoder struct {
	*gst.Element
	*dtlsside.Receiver
	data dtlsside.DataPad
}

// Class describes the element.
var Class = &gst.Class{
	Name:        "GstDTLSDec", // of its own, yet elements are called dtlsdec0 by it
	Parent:      gst.ParentElement,
	LongName:    "DTLS Decoder",
	Klass:       "Decoder/Network/DTLS",
	Description: "Decrypts data by DTLS, and makes the keys for SRTP",
	Author:      "The gst-edgewire maintainers",
	Pads: []gst.PadTemplate{
		{Name: "sink", Direction: gst.PadSink, Presence: gst.PadAlways, Caps: "application/x-dtls"},
		{Name: "src", Direction: gst.PadSrc, Presence: gst.PadRequest, Caps: "ANY"},
	},
	Properties: append(dtlsside.ReceiverProperties(receiver, "version", media), dtlsside.ReceiverKeyProperties(receiver)...),
	Signals:    []gst.Signal{{Name: "on-key-received"}, dtlsside.AcceptSignal()},
	Proto:      (*decoder)(nil),
	New: func(e *gst.Element) any {
		d := &decoder{Element: e, Receiver: dtlsside.NewReceiver(e, log)}
		d.data.Init(e, log)
		d.Data = d.data.Push
		d.Keys = func(dtls.Keys) { e.Emit("on-key-received") }
		d.Closed = d.data.EOS
		e.AddPad(e.NewPad("sink", "", gst.PadFuncs{
			Chain:     func(_ *gst.Pad, b gst.Buffer) gst.FlowReturn { return d.ReceiveBuffer(b) },
			ChainList: func(_ *gst.Pad, l gst.BufferList) gst.FlowReturn { return d.receiveList(l) },
			Event:     func(p *gst.Pad, ev gst.Event) bool { return d.event(p, ev) },
		}))
		return d
	},
}

// Register registers the element.
func Register(p gst.Plugin) error {
	dtlsside.RegisterCategories(log)
	return p.Register("dtlsdec", gst.RankNone, Class)
}

func receiver(d *decoder) *dtlsside.Receiver { return d.Receiver }

func media(d *decoder) dtlsside.Media { return dtlsside.Media{Fields: d.data.Fields()} }

// ChangeState holds the decoder's place on the connection from READY on.
func (d *decoder) ChangeState(t gst.StateChange) gst.StateChangeReturn {
	if t == gst.NullToReady && !d.Open() {
		return gst.StateChangeFailure
	}
	if t == gst.PausedToReady {
		d.data.Stop()
	}
	ret := d.ParentChangeState(t)
	switch {
	case t == gst.ReadyToPaused || t == gst.PausedToReady:
		d.data.Reset()
	case t == gst.ReadyToNull, t == gst.NullToReady && ret == gst.StateChangeFailure:
		d.Close()
	}
	return ret
}

func (d *decoder) receiveList(l gst.BufferList) gst.FlowReturn {
	defer l.Unref()
	ret := gst.FlowOK
	for i := range l.Len() {
		if ret = d.ReceiveBuffer(l.At(i).Ref()); ret != gst.FlowOK && ret != gst.FlowEOS {
			break
		}
	}
	return ret
}

func (d *decoder) event(p *gst.Pad, ev gst.Event) bool {
	switch ev.Type() {
	case gst.EventStreamStart, gst.EventCaps, gst.EventSegment:
		ev.Unref() // the data has its own
		return true
	case gst.EventEOS:
		d.Drain()
		d.data.EOS()
		ev.Unref()
		return true
	case gst.EventFlushStop:
		d.data.Reset()
	}
	return p.EventDefault(ev)
}

// RequestPad makes the one source pad.
func (d *decoder) RequestPad(template, _ string, _ gst.Caps) *gst.Pad {
	return d.data.Request(template)
}

// ReleasePad takes the source pad off.
func (d *decoder) ReleasePad(p *gst.Pad) { d.data.Release(p) }
