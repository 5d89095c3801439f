// SPDX-License-Identifier: LGPL-2.1-or-later

// Command allocs counts what a pipeline with msgconv allocates for each buffer, in Go and in C.
//
//	allocs OBJECTS ELEMENT
//
// It plays roisrc ! ELEMENT ! fakesink with few buffers and with many, and prints the difference for each buffer
// between, as one line of JSON: {"go":N,"c":N}. Run it with G_SLICE=always-malloc, or GLib's slices are not
// counted.
package main

/*
#cgo pkg-config: gstreamer-1.0 gstreamer-base-1.0 gstreamer-video-1.0
#cgo CFLAGS: -std=gnu11 -O2 -Wall -Wextra -I${SRCDIR}/..
#include "allocs.h"
#include <stdlib.h>
*/
import "C"

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"strconv"
	"unsafe"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	"github.com/gst-edgewire/gst-edgewire/plugins/msgconv"
)

// What a pipeline allocates for its first buffers, it keeps for the later ones.
const few, many = 1000, 6000

func main() {
	if len(os.Args) != 3 {
		fail("usage: allocs OBJECTS ELEMENT")
	}
	objects, err := strconv.Atoi(os.Args[1])
	if err != nil {
		fail(err)
	}
	if C.ew_allocs_init() == 0 {
		fail("GStreamer refuses the element roisrc")
	}
	if err := gst.RegisterStatic(&gst.StaticPlugin{Name: "msgconv", Description: "Turns detections into messages", Version: "1",
		License: "LGPL", Source: "allocs", Package: "allocs", Origin: "https://github.com/gst-edgewire/gst-edgewire",
		Init: msgconv.Register}); err != nil {
		fail(err)
	}
	play(objects, few) // whatever is made once
	fewGo, fewC := play(objects, few)
	manyGo, manyC := play(objects, many)
	fmt.Printf("{\"go\":%.2f,\"c\":%.2f}\n", each(fewGo, manyGo), each(fewC, manyC))
}

// each is to two decimals: the runtime and other threads allocate now and then.
func each(inFew, inMany uint64) float64 {
	return math.Round((float64(inMany)-float64(inFew))/(many-few)*100)/100 + 0 // no -0
}

// play plays the pipeline and counts its allocations.
func play(objects, buffers int) (inGo, inC uint64) {
	description := C.CString(fmt.Sprintf("roisrc count=%d objects=%d ! %s ! fakesink", buffers, objects, os.Args[2]))
	defer C.free(unsafe.Pointer(description))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	beforeC := uint64(C.ew_allocs_count())
	if failure := C.ew_allocs_play(description); failure != nil {
		fail(C.GoString(failure))
	}
	inC = uint64(C.ew_allocs_count()) - beforeC
	runtime.ReadMemStats(&after)
	return after.Mallocs - before.Mallocs, inC
}

func fail(what any) {
	fmt.Fprintln(os.Stderr, "allocs:", what)
	os.Exit(1)
}
