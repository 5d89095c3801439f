// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The whole way of a buffer through dtlssrtpdemux.
#include "element.h"

struct EwDemux_ {
  gint refs;
  GstPad *dtls, *rtp; // the element's own, which lives while its pads are called
  GstDebugCategory *cat;
  gint64 warned; // monotonic time of the last warning, in microseconds
  guint64 dropped[EW_FIRST_N];
};

static void unref(gpointer data) {
  EwDemux *d = data;
  if (g_atomic_int_dec_and_test(&d->refs))
    g_free(d);
}

static GstPad *pad_for(EwDemux *d, EwFirst first) {
  if (first == EW_FIRST_RTP)
    return d->rtp;
  return first == EW_FIRST_DTLS ? d->dtls : NULL;
}

static void drop(EwDemux *d, GstPad *pad, EwFirst first) {
  static const char *const names[EW_FIRST_N] = {"neither DTLS nor SRTP", "STUN", "ZRTP", "DTLS", "TURN", "RTP", "empty"};
  gint64 now = g_get_monotonic_time();
  __atomic_fetch_add(&d->dropped[first], 1, __ATOMIC_RELAXED);
  if (now - d->warned < G_USEC_PER_SEC && d->warned != 0)
    return;
  d->warned = now;
  GST_CAT_WARNING_OBJECT(d->cat, pad, "a datagram is dropped (%s); others like it are in stats", names[first]);
}

// A branch that nobody links is no reason to stop the source while the other works.
static GstFlowReturn result(EwDemux *d, GstPad *pad, GstFlowReturn ret) {
  if (ret == GST_FLOW_NOT_LINKED && gst_pad_is_linked(pad == d->rtp ? d->dtls : d->rtp))
    return GST_FLOW_OK;
  return ret;
}

static GstFlowReturn chain(GstPad *sink, GstObject *parent, GstBuffer *buffer) {
  EwDemux *d = sink->chaindata;
  EwFirst first = ew_first_of_buffer(buffer);
  GstPad *pad = pad_for(d, first);
  (void)parent;
  if (G_UNLIKELY(pad == NULL)) {
    drop(d, sink, first);
    gst_buffer_unref(buffer);
    return GST_FLOW_OK;
  }
  return result(d, pad, gst_pad_push(pad, buffer));
}

static GstFlowReturn push_list(EwDemux *d, GstPad *pad, GstBufferList *list) {
  if (gst_buffer_list_length(list) == 0) {
    gst_buffer_list_unref(list);
    return GST_FLOW_OK;
  }
  return result(d, pad, gst_pad_push_list(pad, list));
}

static GstFlowReturn chain_list(GstPad *sink, GstObject *parent, GstBufferList *list) {
  EwDemux *d = sink->chainlistdata;
  guint n = gst_buffer_list_length(list), i;
  GstPad *only = NULL;
  (void)parent;
  // Mostly all of a list goes one way.
  for (i = 0; i < n; i++) {
    GstPad *pad = pad_for(d, ew_first_of_buffer(gst_buffer_list_get(list, i)));
    if (pad == NULL || (only != NULL && pad != only))
      break;
    only = pad;
  }
  if (i == n && only != NULL)
    return push_list(d, only, list);
  GstBufferList *dtls = gst_buffer_list_new(), *rtp = gst_buffer_list_new();
  for (i = 0; i < n; i++) {
    GstBuffer *b = gst_buffer_list_get(list, i);
    EwFirst first = ew_first_of_buffer(b);
    GstPad *pad = pad_for(d, first);
    if (pad == NULL)
      drop(d, sink, first);
    else
      gst_buffer_list_add(pad == d->rtp ? rtp : dtls, gst_buffer_ref(b));
  }
  gst_buffer_list_unref(list);
  GstFlowReturn ret = push_list(d, d->dtls, dtls);
  if (ret != GST_FLOW_OK && ret != GST_FLOW_NOT_LINKED) {
    gst_buffer_list_unref(rtp);
    return ret;
  }
  GstFlowReturn ret2 = push_list(d, d->rtp, rtp);
  return ret2 != GST_FLOW_OK ? ret2 : ret;
}

EwDemux *ew_demux_new(gpointer sink, gpointer rtp, gpointer dtls, gpointer category) {
  EwDemux *d = g_new0(EwDemux, 1);
  d->refs = 3; // the instance's, and one for each function
  d->rtp = rtp;
  d->dtls = dtls;
  d->cat = category;
  gst_pad_set_chain_function_full(sink, chain, d, unref);
  gst_pad_set_chain_list_function_full(sink, chain_list, d, unref);
  return d;
}

void ew_demux_unref(EwDemux *d) { unref(d); }

guint64 ew_demux_dropped(EwDemux *d, EwFirst first) { return __atomic_load_n(&d->dropped[first], __ATOMIC_RELAXED); }
