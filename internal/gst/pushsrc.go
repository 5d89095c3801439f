// SPDX-License-Identifier: LGPL-2.1-or-later

package gst

/*
#include "ew.h"
*/
import "C"

// SrcCapser is a PushSrc that tells which caps it makes, as new caps; the
// filter is applied by the layer.
type SrcCapser interface {
	SrcCaps() Caps
}

// SrcFlow (PushSrc) is how downstream took the last buffer. A flush makes it
// FlowOK again.
func (e *Element) SrcFlow() FlowReturn { return FlowReturn(C.ew_src_flow(e.ptr())) }

// SrcFlushing (PushSrc) reports whether the source pad is flushing or inactive.
// Within Unlock(true) it tells a flush or a stop from a pause.
func (e *Element) SrcFlushing() bool { return C.ew_src_flushing(e.ptr()) != 0 }

// OnceMore (PushSrc) is for a Create that must know what became of the last of
// num-buffers: if this is it, Create is called once more when downstream has taken
// it, and must answer FlowEOS then.
func (e *Element) OnceMore() bool { return C.ew_src_once_more(e.ptr()) != 0 }

//export ewGoSrcCaps
func ewGoSrcCaps(h C.EwHandle) (ret *C.GstCaps) {
	defer recovered(h, "get_caps", &ret, nil)
	if i, ok := instance[SrcCapser](h); ok {
		return i.SrcCaps().c()
	}
	return nil
}

// PostMessageThen posts an element message and calls gone when nobody holds it
// any more: whoever reads the bus has dealt with it. gone is called once, by any
// thread, within PostMessageThen if no bus takes the message.
func (e *Element) PostMessageThen(s Structure, gone func()) bool {
	return C.ew_post_element_message_then(e.ptr(), s.toC(), C.EwHandle(handles.put(gone))) != 0
}

//export ewGoMessageGone
func ewGoMessageGone(h C.EwHandle) {
	var ok bool
	defer recovered(0, "the end of a message", &ok, false)
	gone, _ := handles.get(uintptr(h)).(func())
	handles.drop(uintptr(h))
	if gone != nil {
		gone()
	}
}
