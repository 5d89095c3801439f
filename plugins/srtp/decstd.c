// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The standard srtpdec behind the decoder.
#include "decpriv.h"
#include "_cgo_export.h"

static GstFlowReturn child_back(gpointer owner, guint kind, GstBuffer *b) {
  EwDec *d = owner;
  guint64 count[2] = {0}, bytes[2] = {0};
  count[kind] = 1;
  bytes[kind] = gst_buffer_get_size(b);
  ew_dec_count_packets(d, count, bytes);
  ewSrtpAlive(d->handle);
  return ew_dec_push(d, kind, b);
}

GstFlowReturn ew_dec_child_push(EwDec *d, GstBuffer *b, guint kind) {
  guint8 head[12] = {0};
  gst_buffer_extract(b, 0, head, sizeof head);
  guint why = ew_packet_check(head, gst_buffer_get_size(b), kind);
  if (why != 0) {
    ew_dec_drop(d, why);
    return GST_FLOW_OK;
  }
  // It writes to memory that is not its own (before 1.26), and gets lists wrong:
  // it is given single buffers of its own.
  return ew_std_push(&d->ways[kind], kind == EW_KIND_RTP ? "application/x-srtp" : "application/x-srtcp",
      gst_buffer_copy_deep(b));
}

static GstCaps *give_key(GstElement *child, guint ssrc, gpointer data) {
  EwDec *d = data;
  (void)child;
  (void)ssrc;
  g_mutex_lock(&d->key_lock);
  GstCaps *caps = d->child_key != NULL ? gst_caps_ref(d->child_key) : NULL;
  g_mutex_unlock(&d->key_lock);
  return caps;
}

void ew_dec_use_child(EwDec *d, gpointer child) {
  d->child = gst_object_ref(child);
  d->asks = g_signal_connect(child, "request-key", G_CALLBACK(give_key), d);
  ew_std_open(&d->ways[EW_KIND_RTP], child, "rtp_sink", "rtp_src", FALSE, child_back, d, EW_KIND_RTP);
  ew_std_open(&d->ways[EW_KIND_RTCP], child, "rtcp_sink", "rtcp_src", FALSE, child_back, d, EW_KIND_RTCP);
}

void ew_dec_child_key(EwDec *d, const guint8 *key, gsize size, const char *rtp_cipher, const char *rtp_auth,
    const char *rtcp_cipher, const char *rtcp_auth) {
  GstBuffer *b = gst_buffer_new_allocate(NULL, size, NULL);
  gst_buffer_fill(b, 0, key, size);
  GstCaps *caps = gst_caps_new_simple("application/x-srtp", "srtp-key", GST_TYPE_BUFFER, b, "srtp-cipher", G_TYPE_STRING,
      rtp_cipher, "srtp-auth", G_TYPE_STRING, rtp_auth, "srtcp-cipher", G_TYPE_STRING, rtcp_cipher, "srtcp-auth",
      G_TYPE_STRING, rtcp_auth,
      // srtpdec asks for it, and GStreamer logs the whole structure, key
      // included, where a field that is asked for is missing.
      "mki", GST_TYPE_BUFFER, NULL, NULL);
  gst_buffer_unref(b);
  g_mutex_lock(&d->key_lock);
  gst_caps_replace(&d->child_key, caps);
  g_mutex_unlock(&d->key_lock);
  gst_caps_unref(caps);
  g_signal_emit_by_name(d->child, "clear-keys");
}
