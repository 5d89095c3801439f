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

static void ew_object_ref(gpointer object) { gst_object_ref(object); }
static void ew_object_unref(gpointer object) { gst_object_unref(object); }
*/
import "C"

// SkipPreroll (BaseSink) lets buffers through in PAUSED. A sink calls it after
// READY to PAUSED if it must never hold up a stream that feeds other sinks as
// well (with async on it does nothing): even with async off, GstBaseSink keeps the first buffer until PLAYING,
// and a tee without queues then never gets the other sinks prerolled.
func (e *Element) SkipPreroll() { C.ew_sink_skip_preroll(C.gpointer(e.p)) }

// Ref keeps the GstElement alive for a callback that may come late; Unref gives
// it back, and may finalize the element.
func (e *Element) Ref() { C.ew_object_ref(C.gpointer(e.p)) }

// Unref gives back what Ref took.
func (e *Element) Unref() { C.ew_object_unref(C.gpointer(e.p)) }
