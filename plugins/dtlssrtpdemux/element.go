// SPDX-License-Identifier: LGPL-2.1-or-later

// Package dtlssrtpdemux is the element dtlssrtpdemux, which parts DTLS from SRTP
// by the first byte of a datagram (RFC 7983).
// Interface mirrored: dtlssrtpdemux of GStreamer's dtls plugin.
// Documentation: docs/dtlssrtpdemux.md.
package dtlssrtpdemux

/*
#cgo pkg-config: gstreamer-1.0
#cgo CFLAGS: -std=gnu11 -Wall -Wextra
#include "element.h"
*/
import "C"

import "github.com/gst-edgewire/gst-edgewire/internal/gst"

var log = gst.NewCategory("dtlssrtpdemux", "DTLS SRTP demultiplexer")

type demux struct {
	*gst.Element
	c *C.EwDemux
}

// Class describes the element.
var Class = &gst.Class{
	Name:        "GstDTLSSRTPDemux",
	Parent:      gst.ParentElement,
	LongName:    "DTLS SRTP Demultiplexer",
	Klass:       "DTLS/SRTP/Demux",
	Description: "Demultiplexes DTLS and SRTP packets",
	Author:      "The gst-edgewire maintainers",
	Pads: []gst.PadTemplate{
		{Name: "sink", Direction: gst.PadSink, Presence: gst.PadAlways, Caps: "ANY"},
		{Name: "rtp_src", Direction: gst.PadSrc, Presence: gst.PadAlways,
			Caps: "application/x-rtp; application/x-rtcp; application/x-srtp; application/x-srtcp"},
		{Name: "dtls_src", Direction: gst.PadSrc, Presence: gst.PadAlways, Caps: "application/x-dtls"},
	},
	Properties: []gst.Property{
		gst.BoxedProp("stats", "Datagrams dropped because they are neither DTLS nor SRTP, by what their first byte says they are "+
			"(RFC 7983)", gst.TypeStructure, 0, (*demux).stats, nil),
	},
	Proto: (*demux)(nil),
	New: func(e *gst.Element) any {
		sink := e.NewPad("sink", "", gst.PadFuncs{})
		rtp := e.NewPad("rtp_src", "", gst.PadFuncs{})
		dtls := e.NewPad("dtls_src", "", gst.PadFuncs{})
		d := &demux{Element: e, c: C.ew_demux_new(C.gpointer(sink.Pointer()), C.gpointer(rtp.Pointer()),
			C.gpointer(dtls.Pointer()), C.gpointer(log.Pointer()))}
		e.AddPad(sink)
		e.AddPad(rtp)
		e.AddPad(dtls)
		return d
	},
}

// Register registers the element.
func Register(p gst.Plugin) error { return p.Register("dtlssrtpdemux", gst.RankNone, Class) }

func (d *demux) stats() gst.Structure {
	s := gst.Structure{Name: "application/x-dtlssrtpdemux-stats"}
	for _, f := range []struct {
		name  string
		first C.EwFirst
	}{
		{"dropped-other", C.EW_FIRST_OTHER},
		{"dropped-stun", C.EW_FIRST_STUN},
		{"dropped-turn", C.EW_FIRST_TURN},
		{"dropped-zrtp", C.EW_FIRST_ZRTP},
		{"dropped-empty", C.EW_FIRST_EMPTY},
	} {
		s.Add(f.name, uint64(C.ew_demux_dropped(d.c, f.first)))
	}
	return s
}

// Finalize gives the C half back.
func (d *demux) Finalize() { C.ew_demux_unref(d.c) }
