// SPDX-License-Identifier: LGPL-2.1-or-later

package gst

/*
#include "ew.h"
*/
import "C"

import (
	"fmt"
	"path"
	"reflect"
	"runtime"
	"runtime/debug"
	"strings"
	"unsafe"
)

// Every function here is called by C. Each recovers: a panic ends in an
// element error and the value that tells C of the failure.

func element(h C.EwHandle) *Element {
	e, _ := handles.get(uintptr(h)).(*Element)
	return e
}

// instance gives the Go instance as I; false for a handle that is gone.
func instance[I any](h C.EwHandle) (I, bool) {
	if e := element(h); e != nil {
		i, ok := e.inst.(I)
		return i, ok
	}
	var none I
	return none, false
}

// recovered is deferred by every export with the value to answer after a panic.
func recovered[R any](h C.EwHandle, where string, ret *R, failure R) {
	v := recover()
	if v == nil {
		return
	}
	*ret = failure
	newPanicReport(where, v).post(element(h))
}

var layerLog = NewCategory("edgewire", "gst-edgewire's Go layer")

// A panicReport is what there is to say of a panic: the place in the Go source
// that raised it, and the stack.
type panicReport struct {
	where, file, function, stack string
	line                         int
	value                        any
}

// newPanicReport is called by the deferred function that has recovered v: the
// panicking frames are still below it.
func newPanicReport(where string, v any) *panicReport {
	r := &panicReport{where: where, value: v, stack: string(debug.Stack())}
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs[:])])
	for panicking := false; ; {
		f, more := frames.Next()
		switch {
		case f.Function == "runtime.gopanic":
			panicking = true
		case panicking && !strings.HasPrefix(f.Function, "runtime."):
			r.file, r.line, r.function = path.Base(f.File), f.Line, f.Function
			return r
		}
		if !more {
			return r
		}
	}
}

// post makes an element error of it, or a log line if there is no element.
func (r *panicReport) post(e *Element) {
	defer func() { _ = recover() }() // there is nobody left to tell
	if e == nil || e.p == nil {
		layerLog.Log(LevelError, nil, "panic in %s: %v\n%s", r.where, r.value, r.stack)
		return
	}
	text := fmt.Sprintf("%s: internal error in %s: %v. This is a bug: please report it with the debug details; the element cannot go on.",
		e.class.LongName, r.where, r.value)
	e.postFrom(C.GST_MESSAGE_ERROR, CoreFailed, text, r.stack, r.file, r.line, r.function)
}

//export ewGoInit
func ewGoInit(index C.guint, object unsafe.Pointer, handle *C.EwHandle, broken *C.gboolean) {
	e := &Element{p: object, class: classAt(index)}
	*handle = C.EwHandle(handles.put(e))
	// Nobody listens to an element that is being made: change_state tells of it.
	defer func() {
		if v := recover(); v != nil {
			e.broken = newPanicReport("making the instance", v)
			e.broken.post(nil)
			*broken = C.TRUE
		}
	}()
	inst := e.class.New(e)
	if got, want := reflect.TypeOf(inst), reflect.TypeOf(e.class.Proto); got != want {
		panic(fmt.Sprintf("New of %s gives %v, Proto says %v", e.class.Name, got, want))
	}
	e.inst = inst
}

//export ewGoFinalize
func ewGoFinalize(h C.EwHandle) {
	e := element(h)
	if e == nil {
		return
	}
	defer handles.drop(uintptr(h))
	e.p = nil // half gone: no message can be posted in its name any more
	defer func() {
		if v := recover(); v != nil {
			newPanicReport("finalize", v).post(nil)
		}
	}()
	defer e.closePads()
	if f, has := e.inst.(Finalizer); has {
		f.Finalize()
	}
}

//export ewGoSetProperty
func ewGoSetProperty(h C.EwHandle, id C.guint, v *C.GValue) {
	var ok bool
	defer recovered(h, "set_property", &ok, false)
	e := element(h)
	if e == nil || e.inst == nil {
		return
	}
	if p := &e.class.Properties[id-1]; p.set != nil {
		p.set(e.inst, getValue(v))
	}
}

//export ewGoGetProperty
func ewGoGetProperty(h C.EwHandle, id C.guint, v *C.GValue) {
	var ok bool
	defer recovered(h, "get_property", &ok, false)
	e := element(h)
	if e == nil || e.inst == nil {
		return
	}
	if p := &e.class.Properties[id-1]; p.get != nil {
		handOver(v, p.get(e.inst))
	}
}

//export ewGoSignal
func ewGoSignal(h C.EwHandle, index C.guint, ret *C.GValue, n C.guint, params *C.GValue) {
	var ok bool
	defer recovered(h, "a signal handler", &ok, false)
	e := element(h)
	if e == nil || e.inst == nil {
		return
	}
	s := &e.class.Signals[index]
	args := make([]any, n)
	for i := range args {
		args[i] = getValue(at(params, i))
	}
	r := s.Handler(e.inst, args)
	if ret != nil && r != nil && Type(C.ew_value_type(ret)) != 0 {
		handOver(ret, r)
	} else {
		unref(r)
	}
}

//export ewGoChangeState
func ewGoChangeState(h C.EwHandle, t C.GstStateChange) C.GstStateChangeReturn {
	e := element(h)
	if e == nil {
		return C.GST_STATE_CHANGE_FAILURE
	}
	if ret, ok := e.changeState(h, t); ok {
		return ret
	}
	// It panicked, or there is no instance. Downwards the parent must still do its
	// part: nobody could free an element that cannot be stopped.
	switch StateChange(t) {
	case NullToReady, ReadyToPaused, PausedToPlaying:
		return C.GST_STATE_CHANGE_FAILURE
	}
	return C.GstStateChangeReturn(e.ParentChangeState(StateChange(t)))
}

func (e *Element) changeState(h C.EwHandle, t C.GstStateChange) (ret C.GstStateChangeReturn, ok bool) {
	defer recovered(h, "change_state", &ok, false)
	if e.broken != nil {
		if StateChange(t) == NullToReady {
			e.broken.post(e)
		}
		return 0, false
	}
	i, ok := e.inst.(StateChanger)
	if !ok {
		return 0, false
	}
	return C.GstStateChangeReturn(i.ChangeState(StateChange(t))), true
}

//export ewGoRequestPad
func ewGoRequestPad(h C.EwHandle, template, name *C.gchar, caps unsafe.Pointer) (ret *C.GstPad) {
	defer recovered(h, "request_new_pad", &ret, nil)
	if i, ok := instance[PadRequester](h); ok {
		if p := i.RequestPad(goString(template), goString(name), Caps{caps}); p != nil {
			return p.p
		}
	}
	return nil
}

//export ewGoReleasePad
func ewGoReleasePad(h, pad C.EwHandle) {
	var ok bool
	defer recovered(h, "release_pad", &ok, false)
	i, has := instance[PadRequester](h)
	if !has {
		return
	}
	if p := padAt(pad); p != nil {
		i.ReleasePad(p)
	}
}

//export ewGoStart
func ewGoStart(h C.EwHandle) (ret C.gboolean) {
	defer recovered(h, "start", &ret, C.FALSE)
	i, ok := instance[StartStopper](h)
	return gbool(ok && i.Start())
}

//export ewGoStop
func ewGoStop(h C.EwHandle) (ret C.gboolean) {
	defer recovered(h, "stop", &ret, C.TRUE) // GStreamer takes a stop that fails for a bug of its own
	if i, ok := instance[StartStopper](h); ok {
		i.Stop()
	}
	return C.TRUE
}

//export ewGoSetCaps
func ewGoSetCaps(h C.EwHandle, in, out *C.GstCaps) (ret C.gboolean) {
	defer recovered(h, "set_caps", &ret, C.FALSE)
	i, ok := instance[CapsSetter](h)
	return gbool(ok && i.SetCaps(Caps{unsafe.Pointer(in)}, Caps{unsafe.Pointer(out)}))
}

//export ewGoTransformIP
func ewGoTransformIP(h C.EwHandle, b *C.GstBuffer) (ret C.GstFlowReturn) {
	defer recovered(h, "transform_ip", &ret, C.GST_FLOW_ERROR)
	if i, ok := instance[InPlaceTransformer](h); ok {
		return C.GstFlowReturn(i.TransformIP(Buffer{unsafe.Pointer(b)}))
	}
	return C.GST_FLOW_ERROR
}

//export ewGoTransformCaps
func ewGoTransformCaps(h C.EwHandle, d C.GstPadDirection, caps *C.GstCaps) (ret *C.GstCaps) {
	defer recovered(h, "transform_caps", &ret, nil)
	if i, ok := instance[CapsTransformer](h); ok {
		return i.TransformCaps(PadDirection(d), Caps{unsafe.Pointer(caps)}).c()
	}
	return nil
}

//export ewGoSubmitInput
func ewGoSubmitInput(h C.EwHandle, _ C.gboolean, b *C.GstBuffer) (ret C.GstFlowReturn) {
	defer recovered(h, "submit_input_buffer", &ret, C.GST_FLOW_ERROR)
	if i, ok := instance[Generator](h); ok {
		return C.GstFlowReturn(i.SubmitInput(Buffer{unsafe.Pointer(b)}))
	}
	Buffer{unsafe.Pointer(b)}.Unref()
	return C.GST_FLOW_ERROR
}

//export ewGoGenerateOutput
func ewGoGenerateOutput(h C.EwHandle, out **C.GstBuffer) (ret C.GstFlowReturn) {
	defer recovered(h, "generate_output", &ret, C.GST_FLOW_ERROR)
	i, ok := instance[Generator](h)
	if !ok {
		return C.GST_FLOW_ERROR
	}
	b, flow := i.GenerateOutput()
	*out = b.c()
	return C.GstFlowReturn(flow)
}

//export ewGoEvent
func ewGoEvent(h C.EwHandle, side C.int, ev *C.GstEvent) (ret C.gboolean) {
	defer recovered(h, "an event", &ret, C.FALSE)
	event := Event{unsafe.Pointer(ev)}
	if side == C.EW_SIDE_SINK {
		if i, ok := instance[SinkEventer](h); ok {
			return gbool(i.SinkEvent(event))
		}
	} else if i, ok := instance[SrcEventer](h); ok {
		return gbool(i.SrcEvent(event))
	}
	event.Unref()
	return C.FALSE
}

//export ewGoQuery
func ewGoQuery(h C.EwHandle, side C.int, q *C.GstQuery) (ret C.gboolean) {
	defer recovered(h, "a query", &ret, C.FALSE)
	i, ok := instance[Querier](h)
	return gbool(ok && i.Query(Side(side), Query{unsafe.Pointer(q)}))
}

//export ewGoRender
func ewGoRender(h C.EwHandle, b *C.GstBuffer) (ret C.GstFlowReturn) {
	defer recovered(h, "render", &ret, C.GST_FLOW_ERROR)
	if i, ok := instance[Renderer](h); ok {
		return C.GstFlowReturn(i.Render(Buffer{unsafe.Pointer(b)}))
	}
	return C.GST_FLOW_ERROR
}

//export ewGoRenderList
func ewGoRenderList(h C.EwHandle, l *C.GstBufferList) (ret C.GstFlowReturn) {
	defer recovered(h, "render_list", &ret, C.GST_FLOW_ERROR)
	if i, ok := instance[ListRenderer](h); ok {
		return C.GstFlowReturn(i.RenderList(BufferList{unsafe.Pointer(l)}))
	}
	return C.GST_FLOW_ERROR
}

//export ewGoUnlock
func ewGoUnlock(h C.EwHandle, on C.gboolean) (ret C.gboolean) {
	defer recovered(h, "unlock", &ret, C.FALSE)
	i, ok := instance[Unlocker](h)
	if ok {
		i.Unlock(on != 0)
	}
	return gbool(ok)
}

//export ewGoCreate
func ewGoCreate(h C.EwHandle, out **C.GstBuffer) (ret C.GstFlowReturn) {
	defer recovered(h, "create", &ret, C.GST_FLOW_ERROR)
	i, ok := instance[Creator](h)
	if !ok {
		return C.GST_FLOW_ERROR
	}
	b, flow := i.Create()
	switch {
	case flow == FlowOK && b.IsNil():
		panic("Create answers FlowOK without a buffer")
	case flow == FlowOK:
		*out = b.c()
	default:
		unref(b) // basesrc would not look at it
	}
	return C.GstFlowReturn(flow)
}

// Pads

func padAt(h C.EwHandle) *Pad {
	p, _ := handles.get(uintptr(h)).(*Pad)
	return p
}

func padRecovered[R any](h C.EwHandle, where string, ret *R, failure R) {
	v := recover()
	if v == nil {
		return
	}
	*ret = failure
	var e *Element
	if p := padAt(h); p != nil {
		e = p.owner
	}
	newPanicReport(where, v).post(e)
}

//export ewGoPadChain
func ewGoPadChain(h C.EwHandle, b *C.GstBuffer) (ret C.GstFlowReturn) {
	defer padRecovered(h, "chain", &ret, C.GST_FLOW_ERROR)
	p := padAt(h)
	if p == nil {
		Buffer{unsafe.Pointer(b)}.Unref()
		return C.GST_FLOW_FLUSHING
	}
	return C.GstFlowReturn(p.funcs.Chain(p, Buffer{unsafe.Pointer(b)}))
}

//export ewGoPadChainList
func ewGoPadChainList(h C.EwHandle, l *C.GstBufferList) (ret C.GstFlowReturn) {
	defer padRecovered(h, "chain_list", &ret, C.GST_FLOW_ERROR)
	p := padAt(h)
	if p == nil {
		BufferList{unsafe.Pointer(l)}.Unref()
		return C.GST_FLOW_FLUSHING
	}
	return C.GstFlowReturn(p.funcs.ChainList(p, BufferList{unsafe.Pointer(l)}))
}

//export ewGoPadEvent
func ewGoPadEvent(h C.EwHandle, _ *C.GstObject, ev *C.GstEvent) (ret C.gboolean) {
	defer padRecovered(h, "a pad event", &ret, C.FALSE)
	p := padAt(h)
	if p == nil {
		Event{unsafe.Pointer(ev)}.Unref()
		return C.FALSE
	}
	return gbool(p.funcs.Event(p, Event{unsafe.Pointer(ev)}))
}

//export ewGoPadQuery
func ewGoPadQuery(h C.EwHandle, _ *C.GstObject, q *C.GstQuery) (ret C.gboolean) {
	defer padRecovered(h, "a pad query", &ret, C.FALSE)
	p := padAt(h)
	return gbool(p != nil && p.funcs.Query(p, Query{unsafe.Pointer(q)}))
}

//export ewGoPadActivateMode
func ewGoPadActivateMode(h C.EwHandle, mode C.GstPadMode, active C.gboolean) (ret C.gboolean) {
	failure := C.gboolean(C.FALSE)
	if active == 0 {
		failure = C.TRUE // a pad cannot refuse to be deactivated
	}
	defer padRecovered(h, "activate_mode", &ret, failure)
	p := padAt(h)
	return gbool(p != nil && p.funcs.ActivateMode(p, mode == C.GST_PAD_MODE_PUSH, active != 0))
}

//export ewGoPadRemoved
func ewGoPadRemoved(h C.EwHandle) {
	if p := padAt(h); p != nil {
		p.close()
	}
}

//export ewGoPadFree
func ewGoPadFree(h C.EwHandle) { handles.drop(uintptr(h)) }

//export ewGoStaticPlugin
func ewGoStaticPlugin(index C.guint, plugin unsafe.Pointer) (ret C.gboolean) {
	staticPlugins.Lock()
	s := staticPlugins.list[index]
	staticPlugins.Unlock()
	defer func() {
		if v := recover(); v != nil {
			newPanicReport("registering a plugin", v).post(nil)
			s.err = fmt.Errorf("panic while registering a plugin: %v", v)
			ret = C.FALSE
		}
	}()
	s.err = s.init(Plugin{plugin})
	return gbool(s.err == nil)
}
