// SPDX-License-Identifier: LGPL-2.1-or-later

package gst

/*
#include "ew.h"
#include <stdlib.h>
*/
import "C"

import (
	"fmt"
	"path"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"
)

// Element is the GStreamer side of a Go instance. An instance embeds the
// *Element that its Class.New gets.
type Element struct {
	p      unsafe.Pointer // nil once the GstElement is finalized
	class  *Class
	inst   any
	broken *panicReport // why there is no inst

	padsMu sync.Mutex
	pads   map[*Pad]struct{} // those whose reference the Go side still holds
	padNo  atomic.Uint32     // for names of request pads
}

// Pointer is the GstElement itself, for C code of an element; nil in and after
// Finalize.
func (e *Element) Pointer() unsafe.Pointer { return e.p }

// ptr is the GstElement for a call into C. Whoever calls after Finalize panics
// in Go, which is recovered, instead of writing to freed memory.
func (e *Element) ptr() C.gpointer {
	if e.p == nil {
		panic("a " + e.class.Name + " is used after its end")
	}
	return C.gpointer(e.p)
}

// Name is the element's name in its pipeline.
func (e *Element) Name() string { return takeString(C.ew_object_name(e.ptr())) }

// ErrorCode is the domain and code of a GError.
type ErrorCode struct {
	domain C.int
	code   C.gint
}

// The error codes that elements post.
var (
	CoreFailed            = ErrorCode{0, C.GST_CORE_ERROR_FAILED}
	LibraryFailed         = ErrorCode{1, C.GST_LIBRARY_ERROR_FAILED}
	LibraryInit           = ErrorCode{1, C.GST_LIBRARY_ERROR_INIT}
	LibrarySettings       = ErrorCode{1, C.GST_LIBRARY_ERROR_SETTINGS}
	ResourceNotFound      = ErrorCode{2, C.GST_RESOURCE_ERROR_NOT_FOUND}
	ResourceFailed        = ErrorCode{2, C.GST_RESOURCE_ERROR_FAILED}
	ResourceRead          = ErrorCode{2, C.GST_RESOURCE_ERROR_READ}
	ResourceWrite         = ErrorCode{2, C.GST_RESOURCE_ERROR_WRITE}
	ResourceOpenRead      = ErrorCode{2, C.GST_RESOURCE_ERROR_OPEN_READ}
	ResourceOpenWrite     = ErrorCode{2, C.GST_RESOURCE_ERROR_OPEN_WRITE}
	ResourceNoSpace       = ErrorCode{2, C.GST_RESOURCE_ERROR_NO_SPACE_LEFT}
	ResourceNotAuthorized = ErrorCode{2, C.GST_RESOURCE_ERROR_NOT_AUTHORIZED}
	ResourceSettings      = ErrorCode{2, C.GST_RESOURCE_ERROR_SETTINGS}
	StreamFailed          = ErrorCode{3, C.GST_STREAM_ERROR_FAILED}
	StreamFormat          = ErrorCode{3, C.GST_STREAM_ERROR_FORMAT}
	StreamWrongType       = ErrorCode{3, C.GST_STREAM_ERROR_WRONG_TYPE}
	StreamTypeNotFound    = ErrorCode{3, C.GST_STREAM_ERROR_TYPE_NOT_FOUND}
	StreamEncode          = ErrorCode{3, C.GST_STREAM_ERROR_ENCODE}
)

// Error posts an error message: text says what failed, where, why and what to
// do; debug may add detail. The pipeline stops by it.
func (e *Element) Error(code ErrorCode, text, debug string) {
	e.post(C.GST_MESSAGE_ERROR, code, text, debug)
}

// Warning posts a warning message; the pipeline goes on.
func (e *Element) Warning(code ErrorCode, text, debug string) {
	e.post(C.GST_MESSAGE_WARNING, code, text, debug)
}

// Info posts an info message.
func (e *Element) Info(code ErrorCode, text, debug string) {
	e.post(C.GST_MESSAGE_INFO, code, text, debug)
}

func (e *Element) post(kind C.GstMessageType, code ErrorCode, text, debug string) {
	file, line, function := caller(3)
	e.postFrom(kind, code, text, debug, file, line, function)
}

func (e *Element) postFrom(kind C.GstMessageType, code ErrorCode, text, debug, file string, line int, function string) {
	t, f, fn := cText(text), C.CString(file), C.CString(function)
	defer C.free(unsafe.Pointer(t))
	defer C.free(unsafe.Pointer(f))
	defer C.free(unsafe.Pointer(fn))
	var d *C.char
	if debug != "" {
		d = cText(debug)
		defer C.free(unsafe.Pointer(d))
	}
	C.ew_element_message_full(e.ptr(), kind, C.ew_domain(code.domain), code.code, t, d, f, fn, C.gint(line))
}

// caller names the Go source that called, as GStreamer's debug macros do for C.
func caller(skip int) (file string, line int, function string) {
	pc, file, line, _ := runtime.Caller(skip)
	if f := runtime.FuncForPC(pc); f != nil {
		function = f.Name()
	}
	return path.Base(file), line, function
}

// PostMessage posts an element message on the bus. It reports whether a bus took it.
func (e *Element) PostMessage(s Structure) bool {
	return C.ew_post_element_message(e.ptr(), s.toC()) != 0
}

// Notify emits the notify signal of a property.
func (e *Element) Notify(property string) {
	n := C.CString(property)
	defer C.free(unsafe.Pointer(n))
	C.ew_notify(e.ptr(), n)
}

// RunningTime is the pipeline's running time now, in nanoseconds; false
// without a clock (before PLAYING).
func (e *Element) RunningTime() (uint64, bool) {
	var t C.guint64
	ok := C.ew_running_time(e.ptr(), &t)
	return uint64(t), ok != 0
}

// ParentChangeState lets the parent class do the state change. An instance
// with a ChangeState method must call it.
func (e *Element) ParentChangeState(t StateChange) StateChangeReturn {
	return StateChangeReturn(C.ew_parent_change_state(e.ptr(), C.GstStateChange(t)))
}

// ParentEvent hands an event, with its reference, to the parent class.
func (e *Element) ParentEvent(side Side, ev Event) bool {
	return C.ew_parent_event(e.ptr(), C.int(side), ev.c()) != 0
}

// ParentQuery lets the parent class answer a query.
func (e *Element) ParentQuery(side Side, q Query) bool {
	return C.ew_parent_query(e.ptr(), C.int(side), q.c()) != 0
}

// SetGenerate (BaseTransform) chooses who makes output: the instance, buffer
// by buffer through SubmitInput and GenerateOutput, or TransformIP.
func (e *Element) SetGenerate(on bool) { C.ew_set_generate(e.ptr(), gbool(on)) }

// PushGap (BaseTransform, Generate mode) tells downstream that there is nothing
// for this stretch of time, in nanoseconds, so that sinks need not wait for it.
func (e *Element) PushGap(pts, duration uint64) {
	C.ew_push_gap(e.ptr(), C.guint64(pts), C.guint64(duration))
}

// QueryDownstream (BaseTransform) sends a custom query to the elements behind,
// from any thread. A query that all of them answer with false reaches every
// branch of a tee; one that an element answers with true, no further one.
func (e *Element) QueryDownstream(s Structure) bool {
	q := C.gst_query_new_custom(C.GST_QUERY_CUSTOM, s.toC())
	defer C.ew_mini_unref(C.gpointer(unsafe.Pointer(q)))
	return C.gst_pad_peer_query((*C.GstBaseTransform)(e.ptr()).srcpad, q) != 0
}

// SetInPlace (BaseTransform) says that the media is never changed nor copied,
// gaps included.
func (e *Element) SetInPlace() {
	t := (*C.GstBaseTransform)(e.ptr())
	C.gst_base_transform_set_in_place(t, C.TRUE)
	C.gst_base_transform_set_gap_aware(t, C.TRUE)
}

// SetKeepShared (BaseTransform, TransformIP) takes a C function, gboolean
// (*)(GstBuffer *), that is asked about a buffer which others hold too: if it
// says yes, TransformIP gets it as it is instead of a copy, and must not change it.
func (e *Element) SetKeepShared(keep unsafe.Pointer) {
	C.ew_set_keep_shared(e.ptr(), C.gpointer(keep))
}

// SetSkip (BaseTransform, TransformIP) takes a C function, gboolean
// (*)(GstBuffer *), that says of a buffer that there is nothing in it for
// TransformIP; it is asked while SetSkips is on. The answer counts the buffers
// that TransformIP did not see, for TransformIP to read.
func (e *Element) SetSkip(skip unsafe.Pointer) (count *uint64) {
	return (*uint64)(unsafe.Pointer(C.ew_set_skip(e.ptr(), C.gpointer(skip))))
}

// SetSkips switches SetSkip's function on or off.
func (e *Element) SetSkips(on bool) { C.ew_set_skips(e.ptr(), gbool(on)) }

// ReconfigureSrc (BaseTransform) asks for the output caps to be negotiated again.
func (e *Element) ReconfigureSrc() {
	C.gst_base_transform_reconfigure_src((*C.GstBaseTransform)(e.ptr()))
}

// SetSync (BaseSink) sets whether buffers wait for their time.
func (e *Element) SetSync(on bool) { C.gst_base_sink_set_sync((*C.GstBaseSink)(e.ptr()), gbool(on)) }

// SetAsync (BaseSink) sets whether PAUSED waits for a first buffer.
func (e *Element) SetAsync(on bool) {
	C.gst_base_sink_set_async_enabled((*C.GstBaseSink)(e.ptr()), gbool(on))
}

// SetLastSample (BaseSink) sets whether the sink keeps its last buffer alive.
func (e *Element) SetLastSample(on bool) {
	C.gst_base_sink_set_last_sample_enabled((*C.GstBaseSink)(e.ptr()), gbool(on))
}

// SetTimeFormat (PushSrc) makes a stream of time instead of bytes, as live
// sources need. With timestamp, buffers get the running time of their making.
func (e *Element) SetTimeFormat(timestamp bool) {
	s := (*C.GstBaseSrc)(e.ptr())
	C.gst_base_src_set_format(s, C.GST_FORMAT_TIME)
	C.gst_base_src_set_do_timestamp(s, gbool(timestamp))
}

// SetLive (PushSrc) sets whether buffers are made only in PLAYING.
func (e *Element) SetLive(on bool) { C.gst_base_src_set_live((*C.GstBaseSrc)(e.ptr()), gbool(on)) }

// Emit emits one of the class's signals and gives what it returned, nil if
// nothing. Arguments stay the caller's; Caps, a Buffer or an Object that comes
// back is the caller's to Unref.
func (e *Element) Emit(signal string, args ...any) any {
	s, c := e.class.signal(signal)
	if len(args) != len(s.Params) {
		panic(fmt.Sprintf("signal %s of %s takes %d arguments, got %d", signal, e.class.Name, len(s.Params), len(args)))
	}
	values := make([]C.GValue, len(args)+1)
	for i, t := range s.Params {
		initValue(&values[i+1], t)
		setValue(&values[i+1], args[i])
	}
	if s.Return == TypeNone || s.Return == 0 {
		C.ew_emit(e.ptr(), c.id, C.guint(len(args)), &values[0], nil)
		return nil
	}
	var ret C.GValue
	initValue(&ret, s.Return)
	defer C.g_value_unset(&ret)
	C.ew_emit(e.ptr(), c.id, C.guint(len(args)), &values[0], &ret)
	return refd(getValue(&ret))
}
