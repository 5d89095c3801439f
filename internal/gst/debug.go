// SPDX-License-Identifier: LGPL-2.1-or-later

package gst

/*
#include "ew.h"
#include <stdlib.h>
*/
import "C"

import (
	"fmt"
	"sync"
	"unsafe"
)

// Level is a GST_DEBUG level.
type Level int32

// The debug levels.
const (
	LevelError   Level = C.GST_LEVEL_ERROR
	LevelWarning Level = C.GST_LEVEL_WARNING
	LevelFixme   Level = C.GST_LEVEL_FIXME
	LevelInfo    Level = C.GST_LEVEL_INFO
	LevelDebug   Level = C.GST_LEVEL_DEBUG
	LevelLog     Level = C.GST_LEVEL_LOG
	LevelTrace   Level = C.GST_LEVEL_TRACE
)

// Category is a GST_DEBUG category. It is registered when first used: package
// variables of a program are made before GStreamer is initialised.
type Category struct {
	name, description string
	once              sync.Once
	c                 *C.GstDebugCategory
}

// NewCategory makes a category that shows in GST_DEBUG under its name.
func NewCategory(name, description string) *Category {
	return &Category{name: name, description: description}
}

func (c *Category) get() *C.GstDebugCategory {
	c.once.Do(func() {
		c.c = C._gst_debug_category_new((*C.gchar)(cString(c.name)), 0, (*C.gchar)(cString(c.description)))
	})
	return c.c
}

// Register registers the category now, so that tools that list categories show
// it before its first line.
func (c *Category) Register() { c.get() }

// Enabled reports whether a line of this level would be shown, so that costly
// arguments need not be made in vain. It does not enter C.
func (c *Category) Enabled(l Level) bool { return l <= Level(c.get().threshold) }

// Log writes a line; e may be nil.
func (c *Category) Log(l Level, e *Element, format string, args ...any) {
	if !c.Enabled(l) {
		return
	}
	c.log(l, e, fmt.Sprintf(format, args...))
}

func (c *Category) log(l Level, e *Element, text string) {
	file, line, function := caller(3)
	t, f, fn := cText(text), C.CString(file), C.CString(function)
	defer C.free(unsafe.Pointer(t))
	defer C.free(unsafe.Pointer(f))
	defer C.free(unsafe.Pointer(fn))
	var object unsafe.Pointer
	if e != nil {
		object = e.p
	}
	C.ew_debug_log(c.get(), C.GstDebugLevel(l), f, fn, C.gint(line), C.gpointer(object), t)
}
