// SPDX-License-Identifier: LGPL-2.1-or-later

package gst

/*
#include "ew.h"

static void ew_sink_skip_preroll(gpointer element) {
  GstBaseSink *sink = GST_BASE_SINK(element);
  if (gst_base_sink_is_async_enabled(sink))
    return; // the application asked for the usual preroll
  GST_BASE_SINK_PREROLL_LOCK(sink);
  sink->need_preroll = FALSE;
  GST_BASE_SINK_PREROLL_SIGNAL(sink);
  GST_BASE_SINK_PREROLL_UNLOCK(sink);
}

// render and event are called with the preroll lock held. Who called unlock
// waits for that lock, and sets need_preroll or flushing when it has it: as long
// as the lock was not given back meanwhile, there is always something to wait for.
static GstFlowReturn ew_sink_wait_preroll(gpointer element, gboolean was_unlocked) {
  GstBaseSink *sink = GST_BASE_SINK(element);
  if (sink->flushing)
    return GST_FLOW_FLUSHING;
  if (was_unlocked && !sink->need_preroll)
    return GST_FLOW_OK; // not set yet, or PLAYING again already
  return gst_base_sink_wait_preroll(sink);
}

static void ew_sink_preroll_lock(gpointer element) { GST_BASE_SINK_PREROLL_LOCK(GST_BASE_SINK(element)); }
static void ew_sink_preroll_unlock(gpointer element) { GST_BASE_SINK_PREROLL_UNLOCK(GST_BASE_SINK(element)); }

static gboolean ew_sink_push_upstream(gpointer element, GstStructure *s) {
  return gst_pad_push_event(GST_BASE_SINK_PAD(element), gst_event_new_custom(GST_EVENT_CUSTOM_UPSTREAM, s));
}

static void ew_object_ref(gpointer object) { gst_object_ref(object); }
static void ew_object_unref(gpointer object) { gst_object_unref(object); }
*/
import "C"

// SkipPreroll (BaseSink) lets buffers through in PAUSED. A sink calls it after
// READY to PAUSED if it must never hold up a stream that feeds other sinks as
// well: even with async off, GstBaseSink keeps the first buffer until PLAYING,
// and a tee without queues then never gets the other sinks prerolled. With async
// on it does nothing.
func (e *Element) SkipPreroll() { C.ew_sink_skip_preroll(e.ptr()) }

// WaitPreroll (BaseSink) is for a Render or SinkEvent whose wait Unlock has
// ended: GstBaseSink does so for PAUSED as well, not only to flush or stop. It
// holds the stream while the sink is PAUSED. FlowOK means to go on, FlowFlushing
// to give up. Not after a wait in PrerollUnlocked.
func (e *Element) WaitPreroll() FlowReturn {
	return FlowReturn(C.ew_sink_wait_preroll(e.ptr(), C.FALSE))
}

// WaitPrerollAgain is WaitPreroll after a wait in PrerollUnlocked. It may answer
// FlowOK before the state change has got the lock: wait in PrerollUnlocked again.
func (e *Element) WaitPrerollAgain() FlowReturn {
	return FlowReturn(C.ew_sink_wait_preroll(e.ptr(), C.TRUE))
}

// PrerollUnlocked (BaseSink) gives the preroll lock, which GstBaseSink holds
// during Render and SinkEvent, back for the time of a wait: PAUSED to PLAYING
// needs it, and does not call Unlock first. Only from within these two, where
// the goroutine stays on its thread.
func (e *Element) PrerollUnlocked(wait func()) {
	C.ew_sink_preroll_unlock(e.ptr())
	defer func() { C.ew_sink_preroll_lock(e.ptr()) }()
	wait()
}

// PushUpstream (BaseSink) sends a custom event to the elements in front of the
// sink, from any thread; false if none of them took it.
func (e *Element) PushUpstream(s Structure) bool {
	return C.ew_sink_push_upstream(e.ptr(), s.toC()) != 0
}

// Ref keeps the GstElement alive for a callback that may come late; Unref gives
// it back, and may finalize the element.
func (e *Element) Ref() { C.ew_object_ref(e.ptr()) }

// Unref gives back what Ref took.
func (e *Element) Unref() { C.ew_object_unref(e.ptr()) }
