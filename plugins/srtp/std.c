// SPDX-License-Identifier: LGPL-2.1-or-later
#include "std.h"

typedef struct {
  EwStdBack back;
  gpointer owner;
  guint kind;
} Back;

static GstFlowReturn back_chain(GstPad *pad, GstObject *parent, GstBuffer *buffer) {
  Back *b = pad->chaindata;
  (void)parent;
  return b->back(b->owner, b->kind, buffer);
}

// What leaves the bin has events of its own.
static gboolean back_event(GstPad *pad, GstObject *parent, GstEvent *event) {
  (void)pad;
  (void)parent;
  gst_event_unref(event);
  return TRUE;
}

static GstPad *new_pad(const char *name, GstPadDirection direction) {
  GstPadTemplate *any = gst_object_ref_sink(gst_pad_template_new(name, direction, GST_PAD_ALWAYS, GST_CAPS_ANY));
  GstPad *pad = gst_object_ref_sink(gst_pad_new_from_template(any, name));
  gst_object_unref(any);
  return pad;
}

gboolean ew_std_open(EwStdWay *w, GstElement *child, const char *sink, const char *src, gboolean request, EwStdBack back,
    gpointer owner, guint kind) {
  GstPad *in = request ? gst_element_request_pad_simple(child, sink) : gst_element_get_static_pad(child, sink);
  GstPad *out = in != NULL ? gst_element_get_static_pad(child, src) : NULL;
  if (out == NULL) {
    if (in != NULL && request)
      gst_element_release_request_pad(child, in);
    gst_clear_object(&in);
    return FALSE;
  }
  Back *b = g_new0(Back, 1);
  *b = (Back){back, owner, kind};
  w->inner = new_pad("inner", GST_PAD_SRC);
  w->back = new_pad("back", GST_PAD_SINK);
  gst_pad_set_chain_function_full(w->back, back_chain, b, g_free);
  gst_pad_set_event_function(w->back, back_event);
  gst_pad_set_active(w->back, TRUE);
  gst_pad_set_active(w->inner, TRUE);
  // The hierarchy is not checked: the bin's own pads are what connects these.
  gst_pad_link_full(w->inner, in, GST_PAD_LINK_CHECK_NOTHING);
  gst_pad_link_full(out, w->back, GST_PAD_LINK_CHECK_NOTHING);
  gst_object_unref(out);
  if (request)
    w->child_pad = in;
  else
    gst_object_unref(in);
  return TRUE;
}

static void unlink_pad(GstPad *pad) {
  GstPad *peer = gst_pad_get_peer(pad);
  gst_pad_set_active(pad, FALSE);
  if (peer == NULL)
    return;
  if (GST_PAD_IS_SRC(pad))
    gst_pad_unlink(pad, peer);
  else
    gst_pad_unlink(peer, pad);
  gst_object_unref(peer);
}

void ew_std_close(EwStdWay *w, GstElement *child) {
  if (w->inner == NULL)
    return;
  unlink_pad(w->inner);
  unlink_pad(w->back);
  gst_clear_object(&w->inner);
  gst_clear_object(&w->back);
  if (w->child_pad != NULL)
    gst_element_release_request_pad(child, w->child_pad);
  gst_clear_object(&w->child_pad);
  w->started = FALSE;
}

// After the child has been stopped, and has forgotten its events.
void ew_std_restart(EwStdWay *w) {
  if (w->inner == NULL)
    return;
  gst_pad_set_active(w->inner, FALSE);
  gst_pad_set_active(w->inner, TRUE);
  w->started = FALSE;
}

GstFlowReturn ew_std_push(EwStdWay *w, const char *caps, GstBuffer *buffer) {
  if (!w->started) {
    GstCaps *c = gst_caps_new_empty_simple(caps);
    GstSegment seg;
    gst_segment_init(&seg, GST_FORMAT_TIME);
    gst_pad_push_event(w->inner, gst_event_new_stream_start(caps));
    gst_pad_push_event(w->inner, gst_event_new_caps(c));
    gst_pad_push_event(w->inner, gst_event_new_segment(&seg));
    gst_caps_unref(c);
    w->started = TRUE;
  }
  return gst_pad_push(w->inner, buffer);
}

void ew_std_enc_key(gpointer child, const guint8 *key, gsize size, int rtp_cipher, int rtp_auth, int rtcp_cipher,
    int rtcp_auth, guint window, gboolean repeat) {
  GstBuffer *b = gst_buffer_new_allocate(NULL, size, NULL);
  gst_buffer_fill(b, 0, key, size);
  g_object_set(child, "random-key", FALSE, "rtp-cipher", rtp_cipher, "rtp-auth", rtp_auth, "rtcp-cipher", rtcp_cipher,
      "rtcp-auth", rtcp_auth, "allow-repeat-tx", repeat, "replay-window-size", window, "key", b, NULL);
  gst_buffer_unref(b);
}

void ew_std_take_off(GstElement *child) {
  GstObject *bin = child != NULL ? gst_object_get_parent(GST_OBJECT(child)) : NULL;
  if (bin == NULL)
    return;
  gst_element_set_state(child, GST_STATE_NULL);
  gst_bin_remove(GST_BIN(bin), child);
  gst_object_unref(bin);
}
