// SPDX-License-Identifier: LGPL-2.1-or-later

// Command core is the Go half of every plugin file, built as the one shared
// object libedgewire.so.1 (buildmode c-shared). The plugin files are small C
// fronts that open it; see plugins/front.c.
package main

/*
#include <stdlib.h>
#include "trim.h"
*/
import "C"

import (
	"fmt"
	"runtime/debug"
	"sync"
	"unsafe"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	"github.com/gst-edgewire/gst-edgewire/pkg/dtls"
	"github.com/gst-edgewire/gst-edgewire/plugins/all"
)

func main() {}

var trim sync.Once // the first plugin of a process has loaded us

func init() { dtls.OnTrim = func() { C.ew_trim(1) } }

// smallHeap lets garbage grow to half of what lives, not to all of it: of many DTLS connections that are made
// at once, the peak would stay. Who sets GOGC has a reason.
func smallHeap() {
	if gst.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
}

// edgewire_register registers the elements of the plugin called name into the
// GstPlugin that is being loaded. It returns NULL, or what went wrong: text
// that the caller frees.
//
//export edgewire_register
func edgewire_register(plugin unsafe.Pointer, name *C.char) (problem *C.char) {
	defer func() {
		if v := recover(); v != nil {
			problem = C.CString(fmt.Sprintf("panic while registering: %v", v))
		}
	}()
	gst.KeepFaults()
	known, err := all.RegisterInto(gst.PluginFrom(plugin), C.GoString(name))
	if err != nil {
		return C.CString(err.Error())
	}
	if !known {
		return C.CString("the core does not know this plugin: core and plugin files are of different versions")
	}
	if C.GoString(name) == "dtls" {
		smallHeap()
	}
	trim.Do(func() { C.ew_trim(0) })
	return nil
}
