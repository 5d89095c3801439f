// SPDX-License-Identifier: LGPL-2.1-or-later

package gst

/*
#include "ew.h"

// GstBin posts the end of its stream only while a private flag says that its own
// PLAYING was posted. A streaming thread that posts the bin's PAUSED clears that
// flag after the application may already have seen PAUSED, set PLAYING and so set
// the flag. It then stays cleared, and the EOS messages of the sinks are kept for
// good. Sinks with async on are safe: they post PAUSED under their preroll lock.

enum { EW_EOS_PASSED, EW_EOS_KEPT, EW_EOS_STUCK };

static gboolean ew_kept_eos_of(GstBin *bin, GstElement *child) {
  for (GList *l = bin->messages; l; l = l->next)
    if (GST_MESSAGE_TYPE(l->data) == GST_MESSAGE_EOS && GST_MESSAGE_SRC(l->data) == GST_OBJECT_CAST(child))
      return TRUE;
  return FALSE;
}

// Stuck: the bin plays, changes no state, and has the EOS of each of its sinks.
static int ew_bin_eos(GstBin *bin, GstElement *child) {
  GST_OBJECT_LOCK(bin);
  int found = EW_EOS_PASSED;
  if (ew_kept_eos_of(bin, child)) {
    found = GST_STATE(bin) == GST_STATE_PLAYING && GST_STATE_PENDING(bin) == GST_STATE_VOID_PENDING ? EW_EOS_STUCK : EW_EOS_KEPT;
    for (GList *l = bin->children; l && found == EW_EOS_STUCK; l = l->next)
      if (GST_OBJECT_FLAG_IS_SET(l->data, GST_ELEMENT_FLAG_SINK) && !ew_kept_eos_of(bin, l->data))
        found = EW_EOS_KEPT;
  }
  GST_OBJECT_UNLOCK(bin);
  return found;
}

static int ew_sink_eos(gpointer element, gboolean repair) {
  GstBaseSink *sink = GST_BASE_SINK(element);
  // Until a flush or a new stream. Read without the preroll lock, which event holds.
  if (!g_atomic_int_get(&sink->eos))
    return EW_EOS_PASSED;
  int found = EW_EOS_PASSED;
  GstElement *child = gst_object_ref(element);
  while (found == EW_EOS_PASSED) {
    GstObject *parent = gst_object_get_parent(GST_OBJECT_CAST(child));
    if (!parent || !GST_IS_BIN(parent)) {
      gst_clear_object(&parent);
      break;
    }
    GstBin *bin = GST_BIN_CAST(parent);
    found = ew_bin_eos(bin, child);
    // Under the state lock, as for each PLAYING a bin posts, and never waiting
    // for it: who holds it is about to post a state.
    if (found == EW_EOS_STUCK && repair && GST_STATE_TRYLOCK(bin)) {
      if (ew_bin_eos(bin, child) == EW_EOS_STUCK)
        gst_element_post_message(GST_ELEMENT_CAST(bin),
            gst_message_new_state_changed(parent, GST_STATE_PLAYING, GST_STATE_PLAYING, GST_STATE_VOID_PENDING));
      GST_STATE_UNLOCK(bin);
    }
    gst_object_unref(child);
    child = GST_ELEMENT_CAST(parent);
  }
  gst_object_unref(child);
  return found;
}
*/
import "C"

// EOSProgress says where the EOS message of a sink has got to.
type EOSProgress int

// What CheckEOS finds.
const (
	EOSPassed EOSProgress = C.EW_EOS_PASSED // the pipeline has posted it, or there is none (any more)
	EOSKept   EOSProgress = C.EW_EOS_KEPT   // kept by a bin until other sinks end or PLAYING is reached
	EOSStuck  EOSProgress = C.EW_EOS_STUCK  // kept by a bin that has no reason to
)

// CheckEOS (BaseSink) tells how far the sink's EOS message has got. A bin may be
// about to post it when it looks stuck, so only what is still stuck a while
// later is. With repair on, a stuck bin is made to post its EOS: its state
// change to PLAYING is posted again (PLAYING to PLAYING, nothing pending). It waits for nothing.
func (e *Element) CheckEOS(repair bool) EOSProgress {
	var on C.gboolean
	if repair {
		on = 1
	}
	return EOSProgress(C.ew_sink_eos(e.ptr(), on))
}
