// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The decoder's source pads, and the events that they get.
#include "decpriv.h"
#include "_cgo_export.h"

static void start_stream(EwDec *d, Out *o) {
  guint group = d->group;
  GstStreamFlags flags = GST_STREAM_FLAG_NONE;
  const gchar *up = NULL;
  gchar *id;
  if (d->stream_start != NULL) {
    gst_event_parse_stream_start(d->stream_start, &up);
    if (!gst_event_parse_group_id(d->stream_start, &group))
      group = d->group;
    gst_event_parse_stream_flags(d->stream_start, &flags);
  }
  id = up != NULL ? g_strdup_printf("%s/%s", up, o->suffix)
                  : g_strdup_printf("dtlssrtpdec-%08x%08x/%s", g_random_int(), g_random_int(), o->suffix);
  GstEvent *event = gst_event_new_stream_start(id);
  gst_event_set_group_id(event, group);
  gst_event_set_stream_flags(event, flags);
  g_free(id);
  o->stream_started = TRUE;
  gst_pad_push_event(o->pad, event);
}

// RTP has all that the sink's caps say of it, keys excepted; RTCP has no fields.
static GstCaps *output_caps(EwDec *d, Out *o) {
  const GstStructure *st = d->caps != NULL ? gst_caps_get_structure(d->caps, 0) : NULL;
  if (st == NULL || o == &d->out[EW_KIND_RTCP] ||
      !(gst_structure_has_name(st, "application/x-srtp") || gst_structure_has_name(st, "application/x-rtp")))
    return gst_caps_new_empty_simple(o->caps_name);
  GstStructure *copy = gst_structure_copy(st);
  gst_structure_set_name(copy, o->caps_name);
  gst_structure_remove_fields(copy, "srtp-key", "srtp-cipher", "srtp-auth", "srtcp-cipher", "srtcp-auth", "mki", "roc",
      NULL);
  GstCaps *caps = gst_caps_new_empty();
  gst_caps_append_structure(caps, copy);
  return caps;
}

static void send_caps(EwDec *d, Out *o) {
  GstCaps *caps = output_caps(d, o), *now = gst_pad_get_current_caps(o->pad);
  if (now == NULL || !gst_caps_is_equal(now, caps))
    gst_pad_push_event(o->pad, gst_event_new_caps(caps));
  o->caps_sent = TRUE;
  gst_clear_caps(&now);
  gst_caps_unref(caps);
}

static void send_segment(EwDec *d, Out *o) {
  o->segment_sent = TRUE;
  if (d->segment != NULL) {
    gst_pad_push_event(o->pad, gst_event_ref(d->segment));
    return;
  }
  GstSegment seg;
  gst_segment_init(&seg, GST_FORMAT_TIME);
  gst_pad_push_event(o->pad, gst_event_new_segment(&seg));
}

static void out_start(EwDec *d, Out *o) {
  if (G_LIKELY(o->segment_sent))
    return;
  if (!o->stream_started)
    start_stream(d, o);
  if (!o->caps_sent)
    send_caps(d, o);
  send_segment(d, o);
}

// A branch that nobody links stops nothing; one that has ended, only if the other has nobody either.
static GstFlowReturn result(EwDec *d, Out *o, GstFlowReturn ret) {
  o->last = ret;
  if (ret == GST_FLOW_NOT_LINKED)
    return GST_FLOW_OK;
  if (ret == GST_FLOW_EOS) {
    Out *other = &d->out[o == &d->out[0]];
    if (other->last != GST_FLOW_EOS && gst_pad_is_linked(other->pad))
      return GST_FLOW_OK;
  }
  return ret;
}

GstFlowReturn ew_dec_push(EwDec *d, guint kind, GstBuffer *b) {
  Out *o = &d->out[kind];
  out_start(d, o);
  return result(d, o, gst_pad_push(o->pad, b));
}

GstFlowReturn ew_dec_push_list(EwDec *d, guint kind, GstBufferList *l) {
  Out *o = &d->out[kind];
  if (l == NULL)
    return GST_FLOW_OK;
  out_start(d, o);
  return result(d, o, gst_pad_push_list(o->pad, l));
}

// Events

static gboolean push_both(EwDec *d, GstEvent *event) {
  gboolean a = gst_pad_push_event(d->out[0].pad, gst_event_ref(event));
  gboolean b = gst_pad_push_event(d->out[1].pad, event);
  return a || b;
}

void ew_dec_send_eos(EwDec *d, GstEvent *eos) {
  for (guint i = 0; i < 2; i++)
    out_start(d, &d->out[i]);
  push_both(d, eos);
}

gboolean ew_dec_event(GstPad *pad, GstObject *parent, GstEvent *ev) {
  EwDec *d = pad->eventdata;
  GstCaps *caps;
  guint i;
  (void)parent;
  g_atomic_int_set(&d->draining, GST_EVENT_TYPE(ev) == GST_EVENT_EOS);
  ewSrtpEvent(d->handle, ev);
  switch (GST_EVENT_TYPE(ev)) {
    case GST_EVENT_STREAM_START:
      gst_event_replace(&d->stream_start, ev);
      for (i = 0; i < 2; i++) {
        d->out[i].last = GST_FLOW_OK;
        start_stream(d, &d->out[i]);
      }
      break;
    case GST_EVENT_CAPS:
      gst_event_parse_caps(ev, &caps);
      gst_caps_replace(&d->caps, caps);
      for (i = 0; i < 2; i++) {
        if (!d->out[i].stream_started)
          start_stream(d, &d->out[i]);
        send_caps(d, &d->out[i]);
      }
      break;
    case GST_EVENT_SEGMENT:
      gst_event_replace(&d->segment, ev);
      for (i = 0; i < 2; i++) {
        d->out[i].segment_sent = FALSE;
        out_start(d, &d->out[i]);
      }
      break;
    case GST_EVENT_FLUSH_STOP:
      ew_held_clear(&d->held, d->counts);
      gst_clear_event(&d->segment);
      for (i = 0; i < 2; i++) {
        d->out[i].segment_sent = FALSE;
        d->out[i].last = GST_FLOW_OK;
      }
      return push_both(d, ev);
    case GST_EVENT_EOS:
      g_atomic_int_set(&d->draining, FALSE);
      if (d->held.buffers.length > 0 && __atomic_load_n(&d->keys, __ATOMIC_SEQ_CST) != EW_KEYS_NONE)
        ew_dec_flush_held(d);
      ew_dec_send_eos(d, ev);
      return TRUE;
    default:
      if (GST_EVENT_IS_STICKY(ev))
        for (i = 0; i < 2; i++)
          if (!d->out[i].stream_started)
            start_stream(d, &d->out[i]);
      return push_both(d, ev);
  }
  gst_event_unref(ev);
  return TRUE;
}
