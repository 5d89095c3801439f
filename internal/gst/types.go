// SPDX-License-Identifier: LGPL-2.1-or-later

// Package gst is the thin layer between GStreamer's C and the elements of this
// project, which are plain Go structs.
//
// An element describes itself by a Class; what it can do is told by the
// interfaces that its struct implements (TransformIPer, Renderer, Starter …).
// One generic class_init in class.c fills the vfuncs that the struct has and
// leaves the others to the parent class. Entering Go costs one cgo call; the
// Go instance is found through a handle in a fixed field of the C instance, or
// in a pad's chaindata, by two array look-ups.
//
// Rules that every element can rely on:
//
//   - A panic in a callback becomes an element error with the Go stack in its
//     debug string, and the callback's failure value; the host lives on.
//     What the callback owned when it panicked may leak: nobody knows how far
//     it had come.
//   - Nothing of Go is locked while C runs: the layer holds no lock of its own
//     across any call into GStreamer or into an element.
//   - Memory that C hands over is valid during the call only; what C keeps is
//     C memory.
//
// The layer knows no element, and works with GStreamer 1.20 and newer.
package gst

/*
#cgo pkg-config: gstreamer-1.0 gstreamer-base-1.0
#cgo CFLAGS: -std=gnu11 -Wall -Wextra
#include "ew.h"
#include <stdlib.h>
*/
import "C"

import (
	"strings"
	"unsafe"
)

// FlowReturn is GstFlowReturn.
type FlowReturn int32

// The flow returns that elements use.
const (
	FlowOK            FlowReturn = C.GST_FLOW_OK
	FlowEOS           FlowReturn = C.GST_FLOW_EOS
	FlowFlushing      FlowReturn = C.GST_FLOW_FLUSHING
	FlowNotLinked     FlowReturn = C.GST_FLOW_NOT_LINKED
	FlowNotNegotiated FlowReturn = C.GST_FLOW_NOT_NEGOTIATED
	FlowError         FlowReturn = C.GST_FLOW_ERROR
	// FlowDropped tells basetransform that there is no output (GST_BASE_TRANSFORM_FLOW_DROPPED).
	FlowDropped FlowReturn = C.GST_BASE_TRANSFORM_FLOW_DROPPED
)

// StateChange is GstStateChange.
type StateChange int32

// The state changes.
const (
	NullToReady     StateChange = C.GST_STATE_CHANGE_NULL_TO_READY
	ReadyToPaused   StateChange = C.GST_STATE_CHANGE_READY_TO_PAUSED
	PausedToPlaying StateChange = C.GST_STATE_CHANGE_PAUSED_TO_PLAYING
	PlayingToPaused StateChange = C.GST_STATE_CHANGE_PLAYING_TO_PAUSED
	PausedToReady   StateChange = C.GST_STATE_CHANGE_PAUSED_TO_READY
	ReadyToNull     StateChange = C.GST_STATE_CHANGE_READY_TO_NULL
)

// StateChangeReturn is GstStateChangeReturn.
type StateChangeReturn int32

// The answers to a state change.
const (
	StateChangeFailure   StateChangeReturn = C.GST_STATE_CHANGE_FAILURE
	StateChangeSuccess   StateChangeReturn = C.GST_STATE_CHANGE_SUCCESS
	StateChangeAsync     StateChangeReturn = C.GST_STATE_CHANGE_ASYNC
	StateChangeNoPreroll StateChangeReturn = C.GST_STATE_CHANGE_NO_PREROLL
)

// Rank is an element's autoplugging rank (GstRank).
type Rank uint32

// The ranks.
const (
	RankNone      Rank = C.GST_RANK_NONE
	RankMarginal  Rank = C.GST_RANK_MARGINAL
	RankSecondary Rank = C.GST_RANK_SECONDARY
	RankPrimary   Rank = C.GST_RANK_PRIMARY
)

// PadDirection is GstPadDirection.
type PadDirection int32

// The directions.
const (
	PadSrc  PadDirection = C.GST_PAD_SRC
	PadSink PadDirection = C.GST_PAD_SINK
)

// PadPresence is GstPadPresence.
type PadPresence int32

// The presences.
const (
	PadAlways    PadPresence = C.GST_PAD_ALWAYS
	PadSometimes PadPresence = C.GST_PAD_SOMETIMES
	PadRequest   PadPresence = C.GST_PAD_REQUEST
)

// Side says which pad's event or query function was called.
type Side int

// The sides of an element.
const (
	SinkSide Side = C.EW_SIDE_SINK
	SrcSide  Side = C.EW_SIDE_SRC
)

// ClockTimeNone is GST_CLOCK_TIME_NONE.
const ClockTimeNone = ^uint64(0)

// Version is the GStreamer that the process runs with.
func Version() (major, minor, micro int) {
	var a, b, c, d C.guint
	C.gst_version(&a, &b, &c, &d)
	return int(a), int(b), int(c)
}

// Getenv reads the environment as it is now. os.Getenv sees only what the
// process had when the Go runtime was loaded, not what the host set later.
func Getenv(name string) string {
	n := C.CString(name)
	defer C.free(unsafe.Pointer(n))
	return goString(C.g_getenv((*C.gchar)(n)))
}

func goString(s *C.gchar) string {
	if s == nil {
		return ""
	}
	return C.GoString((*C.char)(s))
}

// cString makes C memory that lives for the process: for what C keeps.
func cString(s string) *C.char { return C.CString(s) }

func gbool(b bool) C.gboolean {
	if b {
		return C.TRUE
	}
	return C.FALSE
}

// takeString turns a string that C handed over into Go's, and frees it.
func takeString(s *C.gchar) string {
	defer C.g_free(C.gpointer(s))
	return goString(s)
}

// cText makes C memory for a text that others will read as UTF-8: bindings and
// GstStructure refuse anything else, and a NUL would cut it short.
func cText(s string) *C.char {
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", "\uFFFD")
	}
	return C.CString(strings.ToValidUTF8(s, "\uFFFD"))
}
