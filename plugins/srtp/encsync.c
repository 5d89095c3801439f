// SPDX-License-Identifier: LGPL-2.1-or-later
//
// rtp-sync: buffers wait on the pipeline's clock for their running time, as behind
// a clocksync. The wait ends by flush, deactivation, a pause (it goes on after it),
// the pad's release, and by switching it off.
#include "encpriv.h"

static GstClockTime running_time(EwSink *s, GstBuffer *b) {
  GstClockTime t = GST_BUFFER_DTS_OR_PTS(b);
  if (!s->sync_seg_set || s->sync_seg.format != GST_FORMAT_TIME || !GST_CLOCK_TIME_IS_VALID(t))
    return GST_CLOCK_TIME_NONE;
  return gst_segment_to_running_time(&s->sync_seg, GST_FORMAT_TIME, t);
}

GstFlowReturn ew_sink_wait(EwSink *s, GstBuffer *buffer) {
  EwEnc *e = s->enc;
  GstClockTime t = running_time(s, buffer);
  if (!GST_CLOCK_TIME_IS_VALID(t))
    return GST_FLOW_OK;
  GstFlowReturn ret = GST_FLOW_OK;
  g_mutex_lock(&e->lock);
  for (;;) {
    while (e->blocked && !s->flushing && g_atomic_int_get(&e->sync))
      g_cond_wait(&e->cond, &e->lock);
    if (s->flushing) {
      ret = GST_FLOW_FLUSHING;
      break;
    }
    if (!g_atomic_int_get(&e->sync))
      break;
    GstClock *clock = gst_element_get_clock(e->element);
    if (clock == NULL)
      break;
    s->clock_id = gst_clock_new_single_shot_id(clock, gst_element_get_base_time(e->element) + t + e->latency);
    GstClockID id = gst_clock_id_ref(s->clock_id);
    g_mutex_unlock(&e->lock);
    GstClockReturn r = gst_clock_id_wait(id, NULL);
    g_mutex_lock(&e->lock);
    gst_clock_id_unref(id);
    gst_clock_id_unref(s->clock_id);
    s->clock_id = NULL;
    gst_object_unref(clock);
    if (r != GST_CLOCK_UNSCHEDULED)
      break;
  }
  if (s->flushing)
    ret = GST_FLOW_FLUSHING;
  g_mutex_unlock(&e->lock);
  return ret;
}

static void wake(EwEnc *e) {
  for (GList *l = e->sinks; l != NULL; l = l->next) {
    EwSink *s = l->data;
    if (s->clock_id != NULL)
      gst_clock_id_unschedule(s->clock_id);
  }
  g_cond_broadcast(&e->cond);
}

void ew_sink_set_flushing(EwSink *s, gboolean flushing) {
  EwEnc *e = s->enc;
  g_mutex_lock(&e->lock);
  s->flushing = flushing || s->gone;
  if (s->flushing && s->clock_id != NULL)
    gst_clock_id_unschedule(s->clock_id);
  g_cond_broadcast(&e->cond);
  g_mutex_unlock(&e->lock);
}

void ew_enc_set_sync(EwEnc *e, gboolean sync) {
  g_mutex_lock(&e->lock);
  g_atomic_int_set(&e->sync, sync);
  wake(e);
  g_mutex_unlock(&e->lock);
}

void ew_enc_set_blocked(EwEnc *e, gboolean blocked) {
  g_mutex_lock(&e->lock);
  e->blocked = blocked;
  wake(e);
  g_mutex_unlock(&e->lock);
}

// The latency of live sources is what the buffers come late by anyway.
gboolean ew_enc_src_query(GstPad *pad, GstObject *parent, GstQuery *query) {
  EwEnc *e = pad->querydata;
  gboolean ok = gst_pad_query_default(pad, parent, query);
  if (ok && GST_QUERY_TYPE(query) == GST_QUERY_LATENCY) {
    gboolean live;
    GstClockTime min, max;
    gst_query_parse_latency(query, &live, &min, &max);
    g_mutex_lock(&e->lock);
    e->latency = live ? min : 0;
    g_mutex_unlock(&e->lock);
  }
  return ok;
}
