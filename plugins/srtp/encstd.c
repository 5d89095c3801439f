// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The standard srtpenc behind the encoder.
#include "encpriv.h"
#include "demux.h"

static GstFlowReturn child_back(gpointer owner, guint kind, GstBuffer *buffer) {
  EwSink *s = owner;
  EwEnc *e = s->enc;
  ew_count(e->counts, kind == EW_KIND_RTP ? EW_COUNT_RTP_PACKETS : EW_COUNT_RTCP_PACKETS, 1);
  GST_PAD_STREAM_LOCK(e->src);
  GstFlowReturn ret = ew_enc_out_push(e, s, buffer);
  ew_src_unlock(e);
  return ret;
}

GstFlowReturn ew_enc_child_push(EwSink *s, GstBuffer *b) {
  EwEnc *e = s->enc;
  guint8 head[12] = {0};
  gsize size = gst_buffer_get_size(b);
  gst_buffer_extract(b, 0, head, sizeof head);
  guint kind = s->kind == EW_KIND_RTCP || ew_is_rtcp(head[1]) ? EW_KIND_RTCP : EW_KIND_RTP;
  guint why = ew_packet_check(head, size, kind);
  EwStdWay *w = &s->ways[kind];
  if (why == 0 && w->inner == NULL) {
    gchar *sink = g_strdup_printf(kind == EW_KIND_RTP ? "rtp_sink_%u" : "rtcp_sink_%u", (guint)s->id);
    gchar *src = g_strdup_printf(kind == EW_KIND_RTP ? "rtp_src_%u" : "rtcp_src_%u", (guint)s->id);
    if (!ew_std_open(w, e->child, sink, src, TRUE, child_back, s, kind))
      why = EW_COUNT_FAILED;
    g_free(sink);
    g_free(src);
  }
  if (why != 0) {
    gst_buffer_unref(b);
    ew_count(e->counts, why, 1);
    ew_warn_drop(e->cat, s->pad, &e->warned, why);
    return GST_FLOW_OK;
  }
  ew_count(e->counts, kind == EW_KIND_RTP ? EW_COUNT_RTP_BYTES : EW_COUNT_RTCP_BYTES, size);
  return ew_std_push(w, kind == EW_KIND_RTP ? "application/x-rtp" : "application/x-rtcp", b);
}

void ew_enc_use_child(EwEnc *e, gpointer child) {
  e->child = gst_object_ref(child);
  // Without one it does not start; it gets no packet before it gets a key of ours.
  g_object_set(child, "random-key", TRUE, NULL);
}
