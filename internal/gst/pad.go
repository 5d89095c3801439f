// SPDX-License-Identifier: LGPL-2.1-or-later

package gst

/*
#include "ew.h"
#include <stdlib.h>
*/
import "C"

import (
	"cmp"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"
)

// PadFuncs are what a pad does. A nil function stays GStreamer's default.
type PadFuncs struct {
	// Chain owns the buffer: push it on or Unref it.
	Chain func(*Pad, Buffer) FlowReturn
	// ChainList owns the list.
	ChainList func(*Pad, BufferList) FlowReturn
	// Event owns the event: pass it to Pad.EventDefault, push it or Unref it.
	Event func(*Pad, Event) bool
	// Query answers, or passes on to Pad.QueryDefault.
	Query func(*Pad, Query) bool
	// ActivateMode is told when the pad is (de)activated in push (or pull) mode.
	ActivateMode func(p *Pad, push, active bool) bool
}

// Pad is a pad of a Go element. It may be used until the pad leaves the
// element (RemovePad, release, the element's end), which any thread may do at
// any time: what comes later finds the pad flushing. A removed pad cannot be
// added again.
type Pad struct {
	p     *C.GstPad
	owner *Element
	funcs PadFuncs
	// uses counts who is inside a call, and 1 for being on the element. The
	// one who brings it to 0 gives the reference on p back: no lock is held
	// while C runs, and p is never used after its end.
	uses   atomic.Int32
	closed atomic.Bool
	// Data is the element's own, to find its state from a pad function
	// without a look-up.
	Data any
}

func (p *Pad) enter() bool {
	for {
		n := p.uses.Load()
		if n == 0 {
			return false
		}
		if p.uses.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (p *Pad) leave() {
	if p.uses.Add(-1) == 0 {
		C.gst_object_unref(C.gpointer(unsafe.Pointer(p.p)))
	}
}

// close ends the pad's use by Go.
func (p *Pad) close() {
	if p.closed.Swap(true) {
		return
	}
	e := p.owner
	e.padsMu.Lock()
	delete(e.pads, p)
	e.padsMu.Unlock()
	p.leave()
}

// closePads ends those that have never left the element, or never were on it.
func (e *Element) closePads() {
	e.padsMu.Lock()
	left := e.pads
	e.pads = nil
	e.padsMu.Unlock()
	for p := range left {
		p.close()
	}
}

// makePad makes the C pad by f, which gets the template's and the pad's name and the handle.
func (e *Element) makePad(template, name string, funcs PadFuncs, f func(t, n *C.char, h C.EwHandle) *C.GstPad) *Pad {
	pad := &Pad{owner: e, funcs: funcs}
	pad.uses.Store(1)
	h := handles.put(pad)
	t, n := C.CString(template), C.CString(e.padName(template, name))
	defer C.free(unsafe.Pointer(t))
	defer C.free(unsafe.Pointer(n))
	if pad.p = f(t, n, C.EwHandle(h)); pad.p == nil {
		handles.drop(h)
		panic(e.class.Name + " has no pad template " + template)
	}
	e.padsMu.Lock()
	defer e.padsMu.Unlock()
	if e.pads == nil {
		e.pads = map[*Pad]struct{}{}
	}
	e.pads[pad] = struct{}{}
	return pad
}

// padName is the name of a pad that the caller left open: the template's, with
// the next free number.
func (e *Element) padName(template, name string) string {
	before, after, numbered := strings.Cut(template, "%")
	if name != "" || !numbered {
		return cmp.Or(name, template)
	}
	for {
		name = fmt.Sprint(before, e.padNo.Add(1)-1, after[1:])
		n := C.CString(name)
		taken := C.ew_has_pad(e.ptr(), n) != 0
		C.free(unsafe.Pointer(n))
		if !taken {
			return name
		}
	}
}

// NewPad makes a pad from one of the class's templates, to be put on the
// element by AddPad. name "" takes the template's, with the next free number in
// the place of %u or %d.
func (e *Element) NewPad(template, name string, funcs PadFuncs) *Pad {
	var flags C.guint
	set := func(on bool, f C.guint) {
		if on {
			flags |= f
		}
	}
	set(funcs.Chain != nil, C.EW_PAD_CHAIN)
	set(funcs.ChainList != nil, C.EW_PAD_CHAIN_LIST)
	set(funcs.Event != nil, C.EW_PAD_EVENT)
	set(funcs.Query != nil, C.EW_PAD_QUERY)
	set(funcs.ActivateMode != nil, C.EW_PAD_ACTIVATE_MODE)
	return e.makePad(template, name, funcs, func(t, n *C.char, h C.EwHandle) *C.GstPad {
		return C.ew_pad_new(e.ptr(), t, n, h, flags)
	})
}

// newGhostPad makes a ghost pad for a pad of a child of the bin.
func (e *Element) newGhostPad(template, name string, target *C.GstPad) *Pad {
	return e.makePad(template, name, PadFuncs{}, func(t, n *C.char, h C.EwHandle) *C.GstPad {
		return C.ew_ghost_pad_new(e.ptr(), t, n, target, h)
	})
}

func cName(s string) *C.char {
	if s == "" {
		return nil
	}
	return C.CString(s)
}

// AddPad puts the pad on its element, active if the element's state asks for
// it. It fails if the element has a pad of the same name.
func (e *Element) AddPad(p *Pad) bool {
	if !p.enter() {
		return false
	}
	defer p.leave()
	return C.ew_add_pad(e.ptr(), p.p) != 0
}

// RemovePad deactivates the pad, which waits for a push that is inside, and
// takes it off. Hold no lock that a pad function takes.
func (e *Element) RemovePad(p *Pad) bool {
	if !p.enter() {
		return false
	}
	defer p.leave()
	return C.ew_remove_pad(e.ptr(), p.p) != 0
}

// Name is the pad's name, "" after its end.
func (p *Pad) Name() string {
	if !p.enter() {
		return ""
	}
	defer p.leave()
	return takeString(C.ew_object_name(C.gpointer(unsafe.Pointer(p.p))))
}

// SetActive activates or deactivates the pad. Deactivating waits for a push
// that is inside.
func (p *Pad) SetActive(on bool) bool {
	if !p.enter() {
		return false
	}
	defer p.leave()
	return C.gst_pad_set_active(p.p, gbool(on)) != 0
}

// Cut ends a PushLocked that downstream blocks, on a source pad that is about to be
// deactivated or removed: a push that does not end within wait is flushed out, and
// the pad is inactive then. Deactivating alone waits as long as downstream does, as
// a sink in PAUSED or an appsink that is full.
func (p *Pad) Cut(wait time.Duration) {
	if !p.enter() {
		return
	}
	defer p.leave()
	C.ew_pad_cut(p.p, C.gint64(wait.Microseconds()))
}

// Push pushes from the element's streaming thread; the buffer is handed over.
func (p *Pad) Push(b Buffer) FlowReturn {
	if !p.enter() {
		b.Unref()
		return FlowFlushing
	}
	defer p.leave()
	return FlowReturn(C.gst_pad_push(p.p, b.c()))
}

// PushList pushes a list from the element's streaming thread; it is handed over.
func (p *Pad) PushList(l BufferList) FlowReturn {
	if !p.enter() {
		l.Unref()
		return FlowFlushing
	}
	defer p.leave()
	return FlowReturn(C.gst_pad_push_list(p.p, l.c()))
}

// PushLocked pushes from a goroutine of the element. It holds the pad's stream
// lock for the time of the push, so that deactivating the pad waits for it, and
// answers FlowFlushing on a pad that is not active. Hold no lock of your own.
func (p *Pad) PushLocked(b Buffer) FlowReturn {
	if !p.enter() {
		b.Unref()
		return FlowFlushing
	}
	defer p.leave()
	return FlowReturn(C.ew_pad_push_locked(p.p, b.c()))
}

// PushListLocked is PushLocked for a list.
func (p *Pad) PushListLocked(l BufferList) FlowReturn {
	if !p.enter() {
		l.Unref()
		return FlowFlushing
	}
	defer p.leave()
	return FlowReturn(C.ew_pad_push_list_locked(p.p, l.c()))
}

// PushEvent pushes an event, which is handed over, from the element's streaming
// thread or an event function.
func (p *Pad) PushEvent(ev Event) bool {
	if !p.enter() {
		ev.Unref()
		return false
	}
	defer p.leave()
	return C.gst_pad_push_event(p.p, ev.c()) != 0
}

// PushEventLocked is PushLocked for an event that goes with the data.
func (p *Pad) PushEventLocked(ev Event) bool {
	if !p.enter() {
		ev.Unref()
		return false
	}
	defer p.leave()
	return C.ew_pad_push_event_locked(p.p, ev.c()) != 0
}

// EventDefault hands the event to GStreamer's default handler.
func (p *Pad) EventDefault(ev Event) bool {
	if !p.enter() {
		ev.Unref()
		return false
	}
	defer p.leave()
	return C.gst_pad_event_default(p.p, (*C.GstObject)(p.owner.ptr()), ev.c()) != 0
}

// QueryDefault lets GStreamer's default handler answer.
func (p *Pad) QueryDefault(q Query) bool {
	if !p.enter() {
		return false
	}
	defer p.leave()
	return C.gst_pad_query_default(p.p, (*C.GstObject)(p.owner.ptr()), q.c()) != 0
}

// PushStart sends the events that must stand before a first buffer: stream-start,
// caps (none if "") and a segment in time. It may be called from a goroutine. It
// reports whether the pad took them: an inactive one does not.
func (p *Pad) PushStart(streamID, caps string) bool {
	return p.pushStart(streamID, caps, C.GST_FORMAT_TIME)
}

func (p *Pad) pushStart(streamID, caps string, format C.GstFormat) bool {
	id := C.CString(streamID)
	defer C.free(unsafe.Pointer(id))
	// Stop at the first that is refused: the pad may become active in between,
	// and would then get the rest out of order.
	push := func(e *C.GstEvent) bool { return p.PushEventLocked(Event{unsafe.Pointer(e)}) }
	if !push(C.gst_event_new_stream_start((*C.gchar)(id))) {
		return false
	}
	if caps != "" {
		c := NewCaps(caps)
		defer c.Unref()
		if !push(C.gst_event_new_caps(c.c())) {
			return false
		}
	}
	var seg C.GstSegment
	C.gst_segment_init(&seg, format)
	return push(C.gst_event_new_segment(&seg))
}

// NewEOS is an end-of-stream event, for PushEvent or PushEventLocked.
func NewEOS() Event { return Event{unsafe.Pointer(C.gst_event_new_eos())} }

// Child is an element inside a bin.
type Child struct{ p *C.GstElement }

// AddChild makes an element by factory name and adds it to the bin. A missing
// factory is an error that names it.
func (e *Element) AddChild(factory, name string) (Child, error) {
	f, n := C.CString(factory), cName(name)
	defer C.free(unsafe.Pointer(f))
	defer C.free(unsafe.Pointer(n))
	c := C.gst_element_factory_make((*C.gchar)(f), (*C.gchar)(n))
	if c == nil {
		return Child{}, &MissingElementError{factory}
	}
	if C.gst_bin_add((*C.GstBin)(e.ptr()), c) == 0 { // which has freed it
		return Child{}, fmt.Errorf("cannot add a second child %q to %s", name, e.Name())
	}
	return Child{c}, nil
}

// MissingElementError names an element that the machine does not have.
type MissingElementError struct{ Factory string }

func (e *MissingElementError) Error() string {
	return "no element \"" + e.Factory + "\": install the GStreamer plugin that has it (gst-inspect-1.0 " + e.Factory + " must know it)"
}

// Link links two children by pad names ("" for any).
func (c Child) Link(srcPad string, to Child, sinkPad string) bool {
	a, b := cName(srcPad), cName(sinkPad)
	defer C.free(unsafe.Pointer(a))
	defer C.free(unsafe.Pointer(b))
	return C.gst_element_link_pads(c.p, (*C.gchar)(a), to.p, (*C.gchar)(b)) != 0
}

// GhostChildPad shows a static pad of a child as the bin's own.
func (e *Element) GhostChildPad(template, name string, c Child, childPad string) *Pad {
	n := C.CString(childPad)
	defer C.free(unsafe.Pointer(n))
	target := C.gst_element_get_static_pad(c.p, (*C.gchar)(n))
	if target == nil {
		panic("the child has no pad " + childPad)
	}
	defer C.gst_object_unref(C.gpointer(unsafe.Pointer(target)))
	return e.newGhostPad(template, name, target)
}
