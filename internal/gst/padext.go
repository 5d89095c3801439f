// SPDX-License-Identifier: LGPL-2.1-or-later

package gst

/*
#include "ew.h"
*/
import "C"

import "unsafe"

// For elements with C of their own: what their C code needs of the layer.

// Pointer is the GstPad itself, for C code of an element; nil after its end. It
// is borrowed: it lives as long as the pad is on the element.
func (p *Pad) Pointer() unsafe.Pointer {
	if !p.enter() {
		return nil
	}
	defer p.leave()
	return unsafe.Pointer(p.p)
}

// Pointer is the GstDebugCategory itself, for C code of an element.
func (c *Category) Pointer() unsafe.Pointer { return unsafe.Pointer(c.get()) }

// NewHandle names a Go value to C code of an element. It stays until DropHandle.
func NewHandle(v any) uintptr { return handles.put(v) }

// HandleValue is the value that NewHandle got, nil after DropHandle. It takes no
// lock and does not allocate.
func HandleValue(h uintptr) any { return handles.get(h) }

// DropHandle ends a handle; what C still asks with it finds nothing.
func DropHandle(h uintptr) { handles.drop(h) }

// Panicked posts a panic that a function called by C has recovered, as the layer
// does for its own. Call it in the deferred function.
func (e *Element) Panicked(where string, value any) { newPanicReport(where, value).post(e) }

// EventFrom makes an Event of a GstEvent pointer that C code of an element has.
func EventFrom(p unsafe.Pointer) Event { return Event{p} }

// StructureFrom reads a GstStructure that C code of an element has.
func StructureFrom(p unsafe.Pointer) Structure { return structureFromC((*C.GstStructure)(p)) }

// Pointer is the GstEvent itself, for C code of an element.
func (e Event) Pointer() unsafe.Pointer { return e.p }

// Pointer is the child's GstElement, borrowed: it lives as long as it is in the bin.
func (c Child) Pointer() unsafe.Pointer { return unsafe.Pointer(c.p) }
