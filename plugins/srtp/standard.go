// SPDX-License-Identifier: LGPL-2.1-or-later

package srtp

/*
#include "std.h"
#include <stdlib.h>
*/
import "C"

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	crypto "github.com/gst-edgewire/gst-edgewire/pkg/srtp"
)

// NewStandardEncoder is NewEncoder with the standard srtpenc, as a child of the bin,
// in the place of our own crypto. What is held, the events and EOS stay the same.
// Re-keying is as that element does it: before GStreamer 1.28 it forgets the
// roll-over counters. What it drops it counts alone; SoftLimit is not called.
func NewStandardEncoder(e *gst.Element, src *gst.Pad, o EncoderOptions) (EncoderBackend, error) {
	child, err := standard(e, "srtpenc")
	if err != nil {
		return nil, err
	}
	enc := NewEncoder(e, src, o)
	enc.child = child
	C.ew_enc_use_child(enc.c, C.gpointer(child))
	return enc, nil
}

// NewStandardDecoder is NewDecoder with the standard srtpdec, as a child of the bin,
// in the place of our own crypto. There is one key at a time then; what does not
// authenticate is counted by that element alone; lists are taken apart; SoftLimit is
// not called.
func NewStandardDecoder(e *gst.Element, sink, rtpSrc, rtcpSrc *gst.Pad, o DecoderOptions) (DecoderBackend, error) {
	child, err := standard(e, "srtpdec")
	if err != nil {
		return nil, err
	}
	d := NewDecoder(e, sink, rtpSrc, rtcpSrc, o)
	d.child = child
	C.ew_dec_use_child(d.c, C.gpointer(child))
	return d, nil
}

func standard(e *gst.Element, factory string) (unsafe.Pointer, error) {
	child, err := e.AddChild(factory, factory)
	var missing *gst.MissingElementError
	if errors.As(err, &missing) {
		return nil, fmt.Errorf("srtp-backend=standard needs the element %s: install GStreamer's srtp plugin "+
			"(Debian: gstreamer1.0-plugins-bad), or leave srtp-backend at its default", factory)
	}
	if err != nil {
		return nil, err
	}
	return child.Pointer(), nil
}

func setStandardKey(child unsafe.Pointer, p crypto.Policy, key []byte, o EncoderOptions) {
	window := o.ReplayWindow
	if window == 0 {
		window = crypto.DefaultReplayWindow
	}
	C.ew_std_enc_key(C.gpointer(child), (*C.guint8)(unsafe.SliceData(key)), C.gsize(len(key)), C.int(p.RTPCipher), C.int(p.RTPAuth),
		C.int(p.RTCPCipher), C.int(p.RTCPAuth), C.guint(window), gboolean(o.AllowRepeatTx))
}

func (d *Decoder) setStandardKey(p crypto.Policy, key []byte) {
	var names [4]*C.char
	for i, n := range []fmt.Stringer{p.RTPCipher, p.RTPAuth, p.RTCPCipher, p.RTCPAuth} {
		names[i] = C.CString(n.String())
		defer C.free(unsafe.Pointer(names[i]))
	}
	C.ew_dec_child_key(d.c, (*C.guint8)(unsafe.SliceData(key)), C.gsize(len(key)), names[0], names[1], names[2], names[3])
}
