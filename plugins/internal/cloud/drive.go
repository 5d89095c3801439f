// SPDX-License-Identifier: LGPL-2.1-or-later

package cloud

/*
#cgo pkg-config: gstreamer-1.0
#cgo CFLAGS: -std=gnu11 -Wall -Wextra
#include "drive.h"
#include <stdlib.h>
*/
import "C"

import (
	"encoding/json"
	"errors"
	"fmt"
	"unsafe"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	"github.com/gst-edgewire/gst-edgewire/pkg/c2d"
)

// An other is an element of the same pipeline; unref it.
type other struct{ p *C.GstElement }

func find(e *gst.Element, name string) (other, error) {
	n := C.CString(name)
	defer C.free(unsafe.Pointer(n))
	p := C.ew_cloud_find(C.gpointer(e.Pointer()), n)
	if p == nil {
		return other{}, fmt.Errorf("there is no element called %s in the pipeline", name)
	}
	return other{p}, nil
}

func (o other) unref() { C.gst_object_unref(C.gpointer(unsafe.Pointer(o.p))) }

func take(a C.EwCloudAnswer) (session uint32, missing uint64, err error) {
	if a.error != nil {
		err = errors.New(C.GoString(a.error))
		C.g_free(C.gpointer(unsafe.Pointer(a.error)))
	}
	return uint32(a.session), uint64(a.missing), err
}

var errNoRecorder = errors.New("the element has no action signals start-sr and stop-sr (or start-recording and stop-recording)")

func (o other) startRecording(back, duration uint64, name string) (session uint32, missing uint64, err error) {
	kind := C.ew_cloud_record_kind(o.p, C.TRUE)
	if kind == C.EW_CLOUD_RECORD_NONE {
		return 0, 0, errNoRecorder
	}
	n := C.CString(name)
	defer C.free(unsafe.Pointer(n))
	return take(C.ew_cloud_start(o.p, kind, C.guint64(back), C.guint64(duration), n))
}

func (o other) stopRecording(session uint32) (uint32, error) {
	kind := C.ew_cloud_record_kind(o.p, C.FALSE)
	if kind == C.EW_CLOUD_RECORD_NONE {
		return 0, errNoRecorder
	}
	session, _, err := take(C.ew_cloud_stop(o.p, kind, C.guint(session)))
	return session, err
}

// hear connects to sr-done; 0 where the element does not tell in a way that is understood here.
func (o other) hear(handle uintptr) uint64 { return uint64(C.ew_cloud_hear(o.p, C.uintptr_t(handle))) }

func (o other) forget(connection uint64) {
	if connection != 0 {
		C.g_signal_handler_disconnect(C.gpointer(unsafe.Pointer(o.p)), C.gulong(connection))
	}
}

// set sets a property, if the value is one for it.
func (o other) set(property string, value c2d.Value) error {
	var kind C.int
	var text string
	switch v := value.(type) {
	case bool:
		kind, text = C.EW_CLOUD_BOOL, fmt.Sprint(v)
	case json.Number:
		kind, text = C.EW_CLOUD_NUMBER, v.String()
	case string:
		kind, text = C.EW_CLOUD_TEXT, v
	default:
		return errors.New("the value is not a text, a number or a boolean")
	}
	p, t := C.CString(property), C.CString(text)
	defer C.free(unsafe.Pointer(p))
	defer C.free(unsafe.Pointer(t))
	if why := C.ew_cloud_set(o.p, p, kind, t); why != nil {
		defer C.g_free(C.gpointer(unsafe.Pointer(why)))
		return errors.New(C.GoString(why))
	}
	return nil
}

//export ewCloudDone
func ewCloudDone(handle C.uintptr_t, e *C.GstElement, info *C.GstStructure) {
	c, ok := gst.HandleValue(uintptr(handle)).(*Cloud)
	if !ok {
		return
	}
	defer func() {
		if v := recover(); v != nil {
			c.o.Element.Panicked("sr-done", v)
		}
	}()
	c.recorded(unsafe.Pointer(e), gst.StructureFrom(unsafe.Pointer(info)))
}

func (o other) ref() other {
	C.gst_object_ref(C.gpointer(unsafe.Pointer(o.p)))
	return o
}
