// SPDX-License-Identifier: LGPL-2.1-or-later

// Package dtlssrtpdec is the element dtlssrtpdec, which decrypts SRTP and SRTCP
// with keys from a DTLS handshake. Interface mirrored: dtlssrtpdec of
// GStreamer's dtls plugin. Documentation: docs/dtlssrtpdec.md.
//
// It is a bin by its class, as that one is, but holds no children; see
// dtlssrtpenc.
package dtlssrtpdec

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	"github.com/gst-edgewire/gst-edgewire/pkg/dtls"
	crypto "github.com/gst-edgewire/gst-edgewire/pkg/srtp"
	"github.com/gst-edgewire/gst-edgewire/plugins/internal/dtlsside"
	"github.com/gst-edgewire/gst-edgewire/plugins/srtp"
)

var log = gst.NewCategory("dtlssrtpdec", "DTLS-SRTP decoder")

type decoder struct {
	*gst.Element
	receiver *dtlsside.Receiver
	static   dtlsside.StaticKeys
	media    srtp.DecoderBackend // changes only in NULL
	sink     *gst.Pad
	rtp      *gst.Pad
	rtcp     *gst.Pad
	data     dtlsside.DataPad
	alive    atomic.Bool // in PAUSED or above

	// Lock order: mu is taken alone.
	mu      sync.Mutex
	backend gst.Enum
	inUse   bool // the state left NULL: the backend stays
}

// Class describes the element.
var Class = &gst.Class{
	Name:        "GstDTLSSRTPDec", // of its own, yet elements are called dtlssrtpdec0 by it
	Parent:      gst.ParentBin,
	LongName:    "DTLS-SRTP Decoder",
	Klass:       "Decoder/Network/DTLS/SRTP",
	Description: "Decrypts SRTP and SRTCP with keys from a DTLS handshake",
	Author:      "The gst-edgewire maintainers",
	Pads: []gst.PadTemplate{
		{Name: "sink", Direction: gst.PadSink, Presence: gst.PadAlways, Caps: "ANY"},
		{Name: "rtp_src", Direction: gst.PadSrc, Presence: gst.PadAlways, Caps: "application/x-rtp"},
		{Name: "rtcp_src", Direction: gst.PadSrc, Presence: gst.PadAlways, Caps: "application/x-rtcp"},
		{Name: "data_src", Direction: gst.PadSrc, Presence: gst.PadRequest, Caps: "ANY"},
	},
	Properties: properties(),
	Signals:    []gst.Signal{dtlsside.AcceptSignal()},
	Proto:      (*decoder)(nil),
	New:        newDecoder,
}

// Register registers the element.
func Register(p gst.Plugin) error {
	dtlsside.RegisterCategories(log)
	return p.Register("dtlssrtpdec", gst.RankNone, Class)
}

func properties() []gst.Property {
	p := dtlsside.ReceiverProperties(func(d *decoder) *dtlsside.Receiver { return d.receiver }, "dtls-version",
		func(d *decoder) dtlsside.Media {
			s := d.media.Stats()
			return dtlsside.Media{Received: [2]uint64{s.RTPPackets + s.RTCPPackets, s.RTPBytes + s.RTCPBytes}, Fields: append(s.Fields(true), d.data.Fields()...)}
		})
	p = append(p, dtlsside.StaticKeyProperties(func(d *decoder) *dtlsside.StaticKeys { return &d.static })...)
	return append(p, dtlsside.BackendProperty((*decoder).getBackend, (*decoder).setBackend))
}

func newDecoder(e *gst.Element) any {
	d := &decoder{Element: e, receiver: dtlsside.NewReceiver(e, log)}
	d.data.Init(e, log)
	d.sink = e.NewPad("sink", "", gst.PadFuncs{})
	d.rtp, d.rtcp = e.NewPad("rtp_src", "", gst.PadFuncs{}), e.NewPad("rtcp_src", "", gst.PadFuncs{})
	d.media = srtp.NewDecoder(e, d.sink, d.rtp, d.rtcp, d.options())
	for _, p := range []*gst.Pad{d.sink, d.rtp, d.rtcp} {
		e.AddPad(p)
	}
	d.static.Changed = d.staticChanged
	d.receiver.Data = d.data.Push
	d.receiver.Keys = d.keys
	d.receiver.Closed = d.closed
	return d
}

func (d *decoder) options() srtp.DecoderOptions {
	return srtp.DecoderOptions{
		Log: log, DTLS: d.datagram, Event: d.event, Alive: d.receiver.Alive,
		SoftLimit: func(ssrc uint32) { dtlsside.WarnSoftLimit(d.Element, ssrc) },
	}
}

func (d *decoder) getBackend() gst.Enum {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.backend
}

// setBackend changes who decrypts, as long as nothing runs.
func (d *decoder) setBackend(b gst.Enum) {
	d.mu.Lock()
	same, inUse := b == d.backend, d.inUse
	d.mu.Unlock()
	switch {
	case same:
		return
	case inUse:
		log.Log(gst.LevelWarning, d.Element, "srtp-backend stays: set it in NULL, before the element has run")
		return
	}
	var media srtp.DecoderBackend
	if b == dtlsside.BackendStandard {
		standard, err := srtp.NewStandardDecoder(d.Element, d.sink, d.rtp, d.rtcp, d.options())
		if err != nil {
			d.Error(gst.LibraryInit, d.Name()+": srtp-backend: "+err.Error(), "")
			return
		}
		media = standard
	} else {
		media = srtp.NewDecoder(d.Element, d.sink, d.rtp, d.rtcp, d.options())
	}
	d.media.Close()
	d.media = media
	d.mu.Lock()
	d.backend = b
	d.mu.Unlock()
}

// Finalize frees the media half.
func (d *decoder) Finalize() { d.media.Close() }

// ChangeState holds the decoder's place on the connection from READY on.
func (d *decoder) ChangeState(t gst.StateChange) gst.StateChangeReturn {
	switch t {
	case gst.NullToReady:
		d.mu.Lock()
		d.inUse = true
		d.mu.Unlock()
		if !d.static.On() && !d.receiver.Open() {
			return gst.StateChangeFailure
		}
	case gst.ReadyToPaused:
		d.data.Reset()
		d.alive.Store(true)
		if d.static.On() && !d.static.Apply(d.Element, log, true, d.rekey) {
			return gst.StateChangeFailure
		}
	case gst.PausedToReady:
		d.alive.Store(false)
		d.data.Stop()
	}
	d.media.Before(t)
	ret := d.ParentChangeState(t)
	if ret != gst.StateChangeFailure {
		d.media.After(t)
	}
	switch {
	case t == gst.ReadyToNull, t == gst.NullToReady && ret == gst.StateChangeFailure:
		d.receiver.Close()
		// The next session has others; and a key set by hand begins anew, as what is played to it
		// may (a file of packets twice).
		d.media.ClearKeys()
	}
	return ret
}

// keys come from the handshake.
func (d *decoder) keys(k dtls.Keys) {
	if d.static.On() {
		return
	}
	if err := d.media.SetKeys(k.Profile.Policy(), k.Remote, true); err != nil {
		d.Error(gst.LibrarySettings, fmt.Sprintf("%s: the keys of the handshake: %v", d.Name(), err), "")
	}
}

// closed is told that close_notify came.
func (d *decoder) closed() {
	d.data.EOS()
	if d.receiver.Finished() {
		d.media.PushEOS()
	}
}

// datagram is one of DTLS, on the streaming thread.
func (d *decoder) datagram(p []byte) gst.FlowReturn {
	if d.static.On() {
		return gst.FlowOK // keys are set by hand: nobody listens to DTLS
	}
	return d.receiver.Receive(p)
}

// event sees what comes on sink.
func (d *decoder) event(ev gst.Event) {
	switch ev.Type() {
	case gst.EventEOS:
		d.receiver.Drain()
		d.data.EOS()
	case gst.EventFlushStop:
		d.data.Reset()
	}
}

// rekey goes on within the association that a key set by hand began.
func (d *decoder) rekey(p crypto.Policy, key []byte) error { return d.media.SetKeys(p, key, false) }

// staticChanged is told that a key or a cipher was set by hand: DTLS ends.
func (d *decoder) staticChanged() {
	d.receiver.Close()
	if d.alive.Load() {
		d.static.Apply(d.Element, log, false, d.rekey)
	}
}

// RequestPad makes data_src.
func (d *decoder) RequestPad(template, _ string, _ gst.Caps) *gst.Pad {
	if d.static.On() {
		log.Log(gst.LevelWarning, d.Element, "no data_src: DTLS is off, because key or a cipher was set")
		return nil
	}
	return d.data.Request(template)
}

// ReleasePad takes data_src off.
func (d *decoder) ReleasePad(p *gst.Pad) { d.data.Release(p) }
