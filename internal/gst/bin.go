// SPDX-License-Identifier: LGPL-2.1-or-later

package gst

/*
#include "ew.h"
#include <stdlib.h>
*/
import "C"

import "unsafe"

// HasAncestor reports whether the element is now inside something of the GType
// called name, however deep.
func (e *Element) HasAncestor(name string) bool {
	n := C.CString(name)
	defer C.free(unsafe.Pointer(n))
	return C.ew_has_ancestor(e.ptr(), n) != 0
}

// PushStartBytes is PushStart with a segment in bytes, for streams without time.
func (p *Pad) PushStartBytes(streamID, caps string) bool {
	return p.pushStart(streamID, caps, C.GST_FORMAT_BYTES)
}

// HasHandler reports whether somebody is connected to one of the class's signals.
func (e *Element) HasHandler(signal string) bool {
	_, c := e.class.signal(signal)
	return C.g_signal_has_handler_pending(e.ptr(), c.id, 0, C.FALSE) != 0
}
