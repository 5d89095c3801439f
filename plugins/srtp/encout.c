// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The encoder's source pad, on which several sink pads and the DTLS side push, and
// the events that belong there.
//
// One stream leaves: stream-start once, of whoever is first. The caps say what its
// packets are: those of the one RTP stream, or just application/x-srtp when there
// are several; RTCP and DTLS name it only until there is RTP. A segment is sent
// when it differs from the last one. (A funnel repeats all of it at every change
// of the pad, which is at every packet when two streams alternate.)
#include "encpriv.h"
#include "_cgo_export.h"

enum { RANK_NONE, RANK_DTLS, RANK_RTCP, RANK_RTP, RANK_MIXED };

static void start_stream(EwEnc *e, EwSink *s) {
  GstEvent *event;
  if (s != NULL && s->stream_start != NULL) {
    event = gst_event_ref(s->stream_start);
  } else {
    gchar *id = g_strdup_printf("dtlssrtpenc-%08x%08x", g_random_int(), g_random_int());
    event = gst_event_new_stream_start(id);
    gst_event_set_group_id(event, gst_util_group_id_next());
    g_free(id);
  }
  e->stream_started = TRUE;
  gst_pad_push_event(e->src, event);
}

static void push_caps(EwEnc *e, GstCaps *caps, int rank, guint64 owner) {
  e->rank = rank;
  e->caps_owner = owner;
  GstCaps *now = gst_pad_get_current_caps(e->src);
  if (now == NULL || !gst_caps_is_equal(now, caps))
    gst_pad_push_event(e->src, gst_event_new_caps(caps));
  gst_clear_caps(&now);
}

static void push_simple_caps(EwEnc *e, const char *name, int rank) {
  GstCaps *caps = gst_caps_new_empty_simple(name);
  push_caps(e, caps, rank, 0);
  gst_caps_unref(caps);
}

static void start_caps(EwEnc *e, EwSink *s) {
  if (s == NULL) {
    if (e->rank < RANK_DTLS)
      push_simple_caps(e, "application/x-dtls", RANK_DTLS);
    return;
  }
  if (s->kind == EW_KIND_RTCP) {
    if (e->rank < RANK_RTCP)
      push_simple_caps(e, "application/x-srtcp", RANK_RTCP);
    return;
  }
  if (e->rank == RANK_MIXED)
    return;
  if (e->rank < RANK_RTP || e->caps_owner == s->id) {
    if (s->caps != NULL)
      push_caps(e, s->caps, RANK_RTP, s->id);
    else if (e->rank < RANK_RTP)
      push_simple_caps(e, "application/x-srtp", RANK_RTP);
    return;
  }
  GstCaps *now = gst_pad_get_current_caps(e->src);
  if (now == NULL || s->caps == NULL || !gst_caps_is_equal(now, s->caps))
    push_simple_caps(e, "application/x-srtp", RANK_MIXED);
  gst_clear_caps(&now);
}

static void start_segment(EwEnc *e, EwSink *s) {
  if (s != NULL && s->segment != NULL) {
    if (e->segment_sent && gst_segment_is_equal(&e->seg, &s->seg))
      return;
    e->seg = s->seg;
    e->segment_sent = TRUE;
    gst_pad_push_event(e->src, gst_event_ref(s->segment));
  } else if (!e->segment_sent) {
    // Datagrams of DTLS bear no time, so any segment is good for them: in time, as the media's.
    gst_segment_init(&e->seg, GST_FORMAT_TIME);
    e->segment_sent = TRUE;
    gst_pad_push_event(e->src, gst_event_new_segment(&e->seg));
  }
}

// Takes over the events that wait in the sink pad's inbox.
static void take_inbox(EwEnc *e, EwSink *s) {
  g_atomic_int_set(&s->fresh, FALSE); // before the look: what comes meanwhile sets it again
  g_mutex_lock(&e->lock);
  GstEvent *start = g_steal_pointer(&s->new_stream_start), *segment = g_steal_pointer(&s->new_segment);
  GstCaps *caps = g_steal_pointer(&s->new_caps);
  g_mutex_unlock(&e->lock);
  if (start != NULL) {
    gst_clear_event(&s->stream_start);
    s->stream_start = start;
    s->eos_held = FALSE;
    if (e->eos_sent) { // a new stream is what ends EOS on the source pad
      e->eos_sent = FALSE;
      e->stream_started = FALSE;
    }
  }
  if (caps != NULL) {
    gst_clear_caps(&s->caps);
    s->caps = caps;
  }
  if (segment != NULL) {
    gst_clear_event(&s->segment);
    s->segment = segment;
    gst_event_copy_segment(segment, &s->seg);
  }
}

void ew_enc_out_start(EwEnc *e, EwSink *s) {
  if (G_LIKELY(s != NULL ? e->last == s->id && !g_atomic_int_get(&s->fresh) : e->segment_sent))
    return;
  if (s != NULL && g_atomic_int_get(&s->fresh))
    take_inbox(e, s);
  if (!e->stream_started)
    start_stream(e, s);
  start_caps(e, s);
  start_segment(e, s);
  if (s != NULL)
    e->last = s->id;
}

// While one branch flushes downstream, what others send is lost, as on a network:
// it is no reason for them to stop.
static GstFlowReturn flushing(EwEnc *e) {
  return g_atomic_int_get(&e->flushes) > 0 ? GST_FLOW_OK : GST_FLOW_FLUSHING;
}

GstFlowReturn ew_enc_out_push(EwEnc *e, EwSink *s, GstBuffer *buffer) {
  if (G_UNLIKELY(ew_src_flushing(e))) {
    gst_buffer_unref(buffer);
    return flushing(e);
  }
  ew_enc_out_start(e, s);
  GstFlowReturn ret = gst_pad_push(e->src, buffer);
  return ret == GST_FLOW_FLUSHING ? flushing(e) : ret;
}

GstFlowReturn ew_enc_out_push_list(EwEnc *e, EwSink *s, GstBufferList *list) {
  if (G_UNLIKELY(ew_src_flushing(e))) {
    gst_buffer_list_unref(list);
    return flushing(e);
  }
  ew_enc_out_start(e, s);
  GstFlowReturn ret = gst_pad_push_list(e->src, list);
  return ret == GST_FLOW_FLUSHING ? flushing(e) : ret;
}

GstFlowReturn ew_enc_push_data(EwEnc *e, const guint8 *data, gsize size) {
  GstBuffer *b = gst_buffer_new_allocate(NULL, size, NULL);
  if (b == NULL)
    return GST_FLOW_ERROR;
  gst_buffer_fill(b, 0, data, size);
  GST_PAD_STREAM_LOCK(e->src);
  GstFlowReturn ret = ew_enc_out_push(e, NULL, b);
  ew_src_unlock(e);
  return ret;
}

// EOS must not wait for a push that downstream blocks: who asks for it may be releasing
// the very pad whose push that is. Then the thread that pushes sends it afterwards.
static void send_wanted_eos(EwEnc *e) {
  while (g_atomic_int_get(&e->eos_wanted) && g_rec_mutex_trylock(GST_PAD_GET_STREAM_LOCK(e->src))) {
    if (g_atomic_int_compare_and_exchange(&e->eos_wanted, TRUE, FALSE) && !e->eos_sent && !ew_src_flushing(e)) {
      ew_enc_out_start(e, NULL);
      e->eos_sent = TRUE;
      gst_pad_push_event(e->src, gst_event_new_eos());
    }
    GST_PAD_STREAM_UNLOCK(e->src);
  }
}

void ew_src_unlock(EwEnc *e) {
  GST_PAD_STREAM_UNLOCK(e->src);
  send_wanted_eos(e);
}

void ew_enc_push_eos(EwEnc *e) {
  g_atomic_int_set(&e->eos_wanted, TRUE);
  send_wanted_eos(e);
}

// What flush-stop takes off the pad.
void ew_enc_out_flushed(EwEnc *e) {
  e->segment_sent = FALSE;
  e->eos_sent = FALSE;
  e->last = 0;
}

gboolean ew_enc_all_eos(EwEnc *e) {
  g_mutex_lock(&e->lock);
  gboolean all = e->sinks != NULL || e->data_present;
  if (e->data_present && !e->data_eos)
    all = FALSE;
  for (GList *l = e->sinks; l != NULL && all; l = l->next)
    all = ((EwSink *)l->data)->eos;
  g_mutex_unlock(&e->lock);
  return all;
}

void ew_enc_set_data(EwEnc *e, gboolean present) {
  g_mutex_lock(&e->lock);
  gboolean was = e->data_present && !e->data_eos;
  e->data_present = present;
  e->data_eos = FALSE;
  g_mutex_unlock(&e->lock);
  if (was && !present && ew_enc_all_eos(e))
    ewSrtpAllEOS(e->handle);
}

void ew_enc_data_eos(EwEnc *e) {
  g_mutex_lock(&e->lock);
  e->data_eos = TRUE;
  g_mutex_unlock(&e->lock);
  if (ew_enc_all_eos(e))
    ewSrtpAllEOS(e->handle);
}

// Sink events

// The caps of what leaves: the RTP stream's own, by another name. Keys never travel in caps.
static GstCaps *output_caps(GstCaps *in) {
  GstStructure *st = gst_structure_copy(gst_caps_get_structure(in, 0));
  gst_structure_set_name(st, "application/x-srtp");
  gst_structure_remove_fields(st, "srtp-key", "mki", NULL);
  GstCaps *caps = gst_caps_new_empty();
  gst_caps_append_structure(caps, st);
  return caps;
}

static void eos(EwSink *s) {
  EwEnc *e = s->enc;
  GST_PAD_STREAM_LOCK(e->src);
  if (g_atomic_int_get(&s->fresh))
    take_inbox(e, s); // a stream-start there was before this EOS
  gboolean wait = s->held.buffers.length > 0;
  s->eos_held = wait;
  if (!wait) {
    g_mutex_lock(&e->lock);
    s->eos = TRUE;
    g_mutex_unlock(&e->lock);
  }
  ew_src_unlock(e);
  if (!wait && ew_enc_all_eos(e))
    ewSrtpAllEOS(e->handle);
}

// Called by the pad's streaming thread: the event waits in the inbox until something
// is to be sent.
static void to_inbox(EwSink *s, GstEvent *event) {
  EwEnc *e = s->enc;
  GstCaps *caps = NULL;
  if (GST_EVENT_TYPE(event) == GST_EVENT_CAPS) {
    gst_event_parse_caps(event, &caps);
    caps = output_caps(caps);
  } else if (GST_EVENT_TYPE(event) == GST_EVENT_SEGMENT) {
    gst_event_copy_segment(event, &s->sync_seg);
    s->sync_seg_set = TRUE;
  }
  g_mutex_lock(&e->lock);
  switch (GST_EVENT_TYPE(event)) {
    case GST_EVENT_STREAM_START:
      gst_event_replace(&s->new_stream_start, event);
      s->eos = FALSE;
      break;
    case GST_EVENT_CAPS:
      gst_clear_caps(&s->new_caps);
      s->new_caps = caps;
      break;
    default:
      gst_event_replace(&s->new_segment, event);
      break;
  }
  g_mutex_unlock(&e->lock);
  g_atomic_int_set(&s->fresh, TRUE);
}

gboolean ew_sink_end_flush(EwSink *s, GstEvent *stop) {
  EwEnc *e = s->enc;
  g_mutex_lock(&e->lock);
  gboolean counted = s->in_flush;
  s->in_flush = FALSE;
  s->eos = FALSE;
  gst_clear_event(&s->new_segment);
  g_mutex_unlock(&e->lock);
  s->sync_seg_set = FALSE;
  GST_PAD_STREAM_LOCK(e->src);
  ew_held_clear(&s->held, e->counts);
  s->eos_held = FALSE;
  gst_clear_event(&s->segment);
  g_atomic_int_set(&s->fresh, TRUE);
  ew_enc_out_flushed(e);
  // Only the last of several flushes ends downstream's.
  gboolean ok = TRUE, last = !counted || g_atomic_int_dec_and_test(&e->flushes);
  if (last)
    ok = gst_pad_push_event(e->src, stop);
  else
    gst_event_unref(stop);
  ew_src_unlock(e);
  return ok;
}

static gboolean flush_start(EwSink *s, GstEvent *event) {
  EwEnc *e = s->enc;
  g_mutex_lock(&e->lock);
  if (s->gone) { // nobody would end it
    g_mutex_unlock(&e->lock);
    gst_event_unref(event);
    return FALSE;
  }
  if (!s->in_flush)
    g_atomic_int_inc(&e->flushes);
  s->in_flush = TRUE;
  s->starting++;
  g_mutex_unlock(&e->lock);
  ew_sink_set_flushing(s, TRUE);
  gboolean ok = gst_pad_push_event(e->src, event);
  g_mutex_lock(&e->lock);
  gboolean end = --s->starting == 0 && s->gone && s->in_flush;
  g_mutex_unlock(&e->lock);
  if (end) // the pad was released meanwhile
    ew_sink_end_flush(s, gst_event_new_flush_stop(TRUE));
  return ok;
}

gboolean ew_sink_event(GstPad *pad, GstObject *parent, GstEvent *event) {
  EwSink *s = pad->eventdata;
  EwEnc *e = s->enc;
  gboolean ok = TRUE;
  (void)parent;
  switch (GST_EVENT_TYPE(event)) {
    case GST_EVENT_FLUSH_START:
      return flush_start(s, event);
    case GST_EVENT_FLUSH_STOP:
      ew_sink_set_flushing(s, FALSE);
      return ew_sink_end_flush(s, event);
    case GST_EVENT_EOS:
      gst_event_unref(event);
      eos(s);
      return TRUE;
    default:
      break;
  }
  if (!GST_EVENT_IS_SERIALIZED(event))
    return gst_pad_push_event(e->src, event);
  switch (GST_EVENT_TYPE(event)) {
    case GST_EVENT_STREAM_START:
    case GST_EVENT_CAPS:
    case GST_EVENT_SEGMENT:
      to_inbox(s, event);
      gst_event_unref(event);
      return TRUE;
    default: // tags, gaps, custom ones
      break;
  }
  GST_PAD_STREAM_LOCK(e->src);
  if (ew_src_flushing(e)) {
    gst_event_unref(event);
  } else {
    ew_enc_out_start(e, s);
    ok = gst_pad_push_event(e->src, event);
  }
  ew_src_unlock(e);
  return ok;
}
