// SPDX-License-Identifier: LGPL-2.1-or-later

package gst

/*
#include "ew.h"
*/
import "C"

// What a PushSrc may implement besides.
type (
	// SrcCapser tells which caps the source makes (PS), as new caps; the
	// filter is applied by the layer.
	SrcCapser interface {
		SrcCaps() Caps
	}
	// EndWatcher is told on the streaming thread that the stream ends (PS),
	// before the EOS event leaves, and what became of the last buffer.
	EndWatcher interface {
		StreamEnds(last FlowReturn)
	}
)

// SrcFlow (PushSrc) is how downstream took the last buffer. A flush makes it
// FlowOK again.
func (e *Element) SrcFlow() FlowReturn { return FlowReturn(C.ew_src_flow(e.ptr())) }

// SrcFlushing (PushSrc) reports whether the source pad is flushing or inactive.
// Within Unlock(true) it tells a flush or a stop from a pause.
func (e *Element) SrcFlushing() bool { return C.ew_src_flushing(e.ptr()) != 0 }

//export ewGoSrcCaps
func ewGoSrcCaps(h C.EwHandle) (ret *C.GstCaps) {
	defer recovered(h, "get_caps", &ret, nil)
	if i, ok := instance[SrcCapser](h); ok {
		return i.SrcCaps().c()
	}
	return nil
}

//export ewGoStreamEnds
func ewGoStreamEnds(h C.EwHandle, last C.GstFlowReturn) {
	var ok bool
	defer recovered(h, "the end of the stream", &ok, false)
	if i, has := instance[EndWatcher](h); has {
		i.StreamEnds(FlowReturn(last))
	}
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
