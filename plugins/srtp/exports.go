// SPDX-License-Identifier: LGPL-2.1-or-later

package srtp

/*
#include "engine.h"
*/
import "C"

import (
	"errors"
	"unsafe"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	crypto "github.com/gst-edgewire/gst-edgewire/pkg/srtp"
)

// What C calls. Each function recovers: a panic is an element error.

func bytesOf(p *C.EwPacket) (in, out []byte) {
	return unsafe.Slice((*byte)(p.in), int(p.in_len)), unsafe.Slice((*byte)(p.out), int(p.out_cap))
}

func setResult(p *C.EwPacket, n int, err error) {
	if err == nil {
		p.out_len = C.gint32(n)
		return
	}
	why := C.gint32(C.EW_COUNT_FAILED)
	switch {
	case errors.Is(err, crypto.ErrAuth):
		why = C.EW_COUNT_AUTH
	case errors.Is(err, crypto.ErrReplay):
		why = C.EW_COUNT_REPLAY
	case errors.Is(err, crypto.ErrOld):
		why = C.EW_COUNT_OLD
	case errors.Is(err, crypto.ErrMalformed):
		why = C.EW_COUNT_MALFORMED
	case errors.Is(err, crypto.ErrKeyExpired):
		why = C.EW_COUNT_EXPIRED
	case errors.Is(err, errNoKey):
		why = C.EW_COUNT_BEFORE_KEY
	}
	p.out_len = -why
}

//export ewSrtpProtect
func ewSrtpProtect(h C.uintptr_t, packets *C.EwPacket, n C.guint) (ok C.gboolean) {
	enc, _ := gst.HandleValue(uintptr(h)).(*Encoder)
	if enc == nil {
		return C.FALSE
	}
	defer func() {
		if v := recover(); v != nil {
			ok = C.FALSE
			enc.e.Panicked("protecting SRTP", v)
		}
	}()
	enc.protect(unsafe.Slice(packets, int(n)))
	return C.TRUE
}

//export ewSrtpUnprotect
func ewSrtpUnprotect(h C.uintptr_t, packets *C.EwPacket, n C.guint) (ok C.gboolean) {
	d, _ := gst.HandleValue(uintptr(h)).(*Decoder)
	if d == nil {
		return C.FALSE
	}
	defer func() {
		if v := recover(); v != nil {
			ok = C.FALSE
			d.e.Panicked("unprotecting SRTP", v)
		}
	}()
	d.unprotect(unsafe.Slice(packets, int(n)))
	return C.TRUE
}

//export ewSrtpAllEOS
func ewSrtpAllEOS(h C.uintptr_t) {
	enc, _ := gst.HandleValue(uintptr(h)).(*Encoder)
	if enc == nil {
		return
	}
	defer func() {
		if v := recover(); v != nil {
			enc.e.Panicked("EOS", v)
		}
	}()
	enc.allEOS()
}

//export ewSrtpAlive
func ewSrtpAlive(h C.uintptr_t) {
	d, _ := gst.HandleValue(uintptr(h)).(*Decoder)
	if d == nil || d.o.Alive == nil {
		return
	}
	defer func() {
		if v := recover(); v != nil {
			d.e.Panicked("receiving SRTP", v)
		}
	}()
	d.o.Alive()
}

// ewSrtpDTLS answers GST_FLOW_CUSTOM_SUCCESS if nobody takes DTLS.
//
//export ewSrtpDTLS
func ewSrtpDTLS(h C.uintptr_t, data *C.guint8, size C.gsize) (ret C.GstFlowReturn) {
	d, _ := gst.HandleValue(uintptr(h)).(*Decoder)
	if d == nil {
		return C.GST_FLOW_FLUSHING
	}
	if d.o.DTLS == nil {
		return C.GST_FLOW_CUSTOM_SUCCESS
	}
	defer func() {
		if v := recover(); v != nil {
			ret = C.GST_FLOW_ERROR
			d.e.Panicked("receiving DTLS", v)
		}
	}()
	return C.GstFlowReturn(d.o.DTLS(unsafe.Slice((*byte)(data), int(size))))
}

//export ewSrtpEvent
func ewSrtpEvent(h C.uintptr_t, ev *C.GstEvent) {
	d, _ := gst.HandleValue(uintptr(h)).(*Decoder)
	if d == nil || d.o.Event == nil {
		return
	}
	defer func() {
		if v := recover(); v != nil {
			d.e.Panicked("an event", v)
		}
	}()
	d.o.Event(gst.EventFrom(unsafe.Pointer(ev)))
}
