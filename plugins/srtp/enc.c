// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The encoder's sink pads: RTP and RTCP come in, are held until there is a key,
// protected, and handed to encout.c.
#include "encpriv.h"
#include "demux.h"
#include "_cgo_export.h"

static EwEnc *enc_ref(EwEnc *e) {
  g_atomic_int_inc(&e->refs);
  return e;
}

static void enc_unref(EwEnc *e) {
  if (!g_atomic_int_dec_and_test(&e->refs))
    return;
  gst_clear_object(&e->child);
  g_mutex_clear(&e->lock);
  g_cond_clear(&e->cond);
  g_free(e);
}

static void enc_unref_notify(gpointer data) { enc_unref(data); }

EwSink *ew_sink_ref(EwSink *s) {
  g_atomic_int_inc(&s->refs);
  return s;
}

void ew_sink_unref(gpointer data) {
  EwSink *s = data;
  if (!g_atomic_int_dec_and_test(&s->refs))
    return;
  gst_clear_event(&s->stream_start);
  gst_clear_event(&s->segment);
  gst_clear_caps(&s->caps);
  gst_clear_event(&s->new_stream_start);
  gst_clear_event(&s->new_segment);
  gst_clear_caps(&s->new_caps);
  ew_held_clear(&s->held, s->enc->counts);
  for (guint i = 0; i < 2; i++)
    ew_std_close(&s->ways[i], s->enc->child);
  enc_unref(s->enc);
  g_free(s);
}

EwEnc *ew_enc_new(gpointer element, gpointer src, gpointer category, uintptr_t handle) {
  EwEnc *e = g_new0(EwEnc, 1);
  e->refs = 2;
  e->element = element;
  e->src = src;
  e->cat = category;
  e->handle = handle;
  e->blocked = TRUE;
  g_mutex_init(&e->lock);
  g_cond_init(&e->cond);
  gst_pad_set_query_function_full(src, ew_enc_src_query, e, enc_unref_notify);
  return e;
}

static void drop_sink(gpointer data) {
  EwSink *s = data;
  gst_object_unref(s->pad);
  ew_sink_unref(s);
}

void ew_enc_free(EwEnc *e) {
  g_mutex_lock(&e->lock);
  GList *sinks = e->sinks;
  e->sinks = NULL;
  g_mutex_unlock(&e->lock);
  g_list_free_full(sinks, drop_sink);
  ew_std_take_off(e->child);
  enc_unref(e);
}

static void count_plain(EwSink *s, GstBuffer *b) {
  gboolean rtp = s->kind == EW_KIND_RTP;
  ew_count(s->enc->counts, rtp ? EW_COUNT_RTP_PACKETS : EW_COUNT_RTCP_PACKETS, 1);
  ew_count(s->enc->counts, rtp ? EW_COUNT_RTP_BYTES : EW_COUNT_RTCP_BYTES, gst_buffer_get_size(b));
}

// Protecting

// Go's answer for n packets becomes n results as ew_collect takes them.
static gboolean protect(EwSink *s, GstBuffer **in, guint n, GstBuffer **out) {
  EwEnc *e = s->enc;
  EwPacket packets[EW_BATCH];
  EwWork work[EW_BATCH];
  guint index[EW_BATCH], used = 0, i;
  guint64 count[2] = {0}, bytes[2] = {0};
  for (i = 0; i < n; i++) {
    EwPacket *p = &packets[used];
    EwWork *w = &work[used];
    guint why = EW_COUNT_FAILED;
    out[i] = NULL;
    if (G_LIKELY(ew_work_open(w, in[i], EW_OVERHEAD, FALSE))) {
      p->kind = s->kind == EW_KIND_RTCP || (w->size > 1 && ew_is_rtcp(w->data[1])) ? EW_KIND_RTCP : EW_KIND_RTP;
      why = ew_packet_check(w->data, w->size, p->kind);
      if (why == 0 && !ew_work_output(w, p, EW_OVERHEAD))
        why = EW_COUNT_FAILED;
      if (why != 0)
        ew_work_close(w);
    }
    if (G_UNLIKELY(why != 0)) {
      ew_count(e->counts, why, 1);
      ew_warn_drop(e->cat, s->pad, &e->warned, why);
      continue;
    }
    index[used++] = i;
  }
  gboolean ok = used == 0 || ewSrtpProtect(e->handle, packets, used);
  for (i = 0; i < used; i++) {
    EwPacket *p = &packets[i];
    if (G_UNLIKELY(!ok || p->out_len < 0)) {
      ew_work_close(&work[i]);
      if (ok) {
        ew_count(e->counts, -p->out_len, 1);
        ew_warn_drop(e->cat, s->pad, &e->warned, -p->out_len);
      }
      continue;
    }
    count[p->kind]++;
    bytes[p->kind] += p->in_len;
    out[index[i]] = ew_work_finish(&work[i], p, in[index[i]]);
  }
  for (i = 0; i < 2; i++) {
    if (count[i] > 0) {
      ew_count(e->counts, i == EW_KIND_RTP ? EW_COUNT_RTP_PACKETS : EW_COUNT_RTCP_PACKETS, count[i]);
      ew_count(e->counts, i == EW_KIND_RTP ? EW_COUNT_RTP_BYTES : EW_COUNT_RTCP_BYTES, bytes[i]);
    }
  }
  return ok;
}

// Makes what goes out of n buffers of list, or of n that it takes: a list, NULL if
// nothing is left.
static gboolean protect_all(EwSink *s, int keys, GstBufferList *list, GstBuffer **in, guint n, GstBufferList **to) {
  GstBuffer *few[EW_BATCH], **out = n <= EW_BATCH ? few : g_new(GstBuffer *, n);
  gboolean ok = TRUE;
  for (guint at = 0; at < n; at += EW_BATCH) {
    guint m = MIN(n - at, EW_BATCH), i;
    if (ok && keys == EW_KEYS_SET) {
      ok = protect(s, in + at, m, out + at);
      continue;
    }
    for (i = at; i < at + m; i++) {
      out[i] = ok ? in[i] : NULL;
      if (ok)
        count_plain(s, in[i]);
    }
  }
  *to = NULL;
  ew_collect(list, in, out, NULL, n, to);
  if (out != few)
    g_free(out);
  return ok;
}

static gboolean through_child(EwEnc *e, int keys) { return e->child != NULL && keys == EW_KEYS_SET; }

// Sends what was held, in order; the source pad's stream lock is held.
void ew_enc_flush_held(EwEnc *e, EwSink *s, GstFlowReturn *ret) {
  int keys = g_atomic_int_get(&e->keys);
  GstBuffer *in[EW_BATCH], *b;
  if (keys == EW_KEYS_NONE) // gone again this moment
    return;
  while (s->held.buffers.length > 0) {
    GstBufferList *list;
    guint n = 0;
    while (n < EW_BATCH && (b = ew_held_pop(&s->held)) != NULL)
      in[n++] = b;
    GstFlowReturn r = GST_FLOW_OK;
    if (through_child(e, keys)) {
      for (guint i = 0; i < n; i++) {
        if (r == GST_FLOW_OK)
          r = ew_enc_child_push(s, in[i]);
        else
          gst_buffer_unref(in[i]);
      }
    } else {
      gboolean ok = protect_all(s, keys, NULL, in, n, &list);
      if (list != NULL)
        r = ew_enc_out_push_list(e, s, list);
      if (!ok)
        r = GST_FLOW_ERROR;
    }
    if (r != GST_FLOW_OK) {
      *ret = r;
      ew_held_clear(&s->held, e->counts);
      break;
    }
  }
  // Only now may the streaming thread go past what it has held.
  __atomic_store_n(&s->held.n, 0, __ATOMIC_SEQ_CST);
}

// The way without a key, or behind packets that waited for one.
static GstFlowReturn hold(EwSink *s, GstBuffer **in, guint n) {
  EwEnc *e = s->enc;
  GstFlowReturn ret = GST_FLOW_OK;
  GST_PAD_STREAM_LOCK(e->src);
  if (ew_src_flushing(e) && g_atomic_int_get(&e->flushes) == 0)
    ret = GST_FLOW_FLUSHING;
  for (guint i = 0; i < n; i++) {
    if (ret != GST_FLOW_OK || s->gone)
      gst_buffer_unref(in[i]);
    else
      ew_held_push(&s->held, in[i], e->counts);
  }
  // After the push: ew_enc_set_keys sees it, or we see the keys.
  if (ret == GST_FLOW_OK && __atomic_load_n(&e->keys, __ATOMIC_SEQ_CST) != EW_KEYS_NONE)
    ew_enc_flush_held(e, s, &ret);
  ew_src_unlock(e);
  return ret;
}

// keys is read once for a packet: it must not go out in clear because they are taken away meanwhile.
static gboolean must_hold(EwSink *s, int keys) {
  return keys == EW_KEYS_NONE || g_atomic_int_get(&s->held.n) > 0;
}

// rtp-sync is of RTP: reports that wait for the clock, or for PLAYING, come too late.
static gboolean waits(EwSink *s) { return g_atomic_int_get(&s->enc->sync) && s->kind == EW_KIND_RTP; }

static GstFlowReturn chain(GstPad *pad, GstObject *parent, GstBuffer *buffer) {
  EwSink *s = pad->chaindata;
  EwEnc *e = s->enc;
  GstFlowReturn ret;
  (void)parent;
  if (waits(s) && (ret = ew_sink_wait(s, buffer)) != GST_FLOW_OK) {
    gst_buffer_unref(buffer);
    return ret;
  }
  int keys = g_atomic_int_get(&e->keys);
  if (G_UNLIKELY(must_hold(s, keys)))
    return hold(s, &buffer, 1);
  if (G_UNLIKELY(through_child(e, keys)))
    return ew_enc_child_push(s, buffer);
  if (keys == EW_KEYS_SET) {
    GstBuffer *out;
    gboolean ok = protect(s, &buffer, 1, &out);
    if (out != buffer) {
      gst_buffer_unref(buffer);
      buffer = out;
    }
    if (out == NULL)
      return ok ? GST_FLOW_OK : GST_FLOW_ERROR;
  } else {
    count_plain(s, buffer);
  }
  GST_PAD_STREAM_LOCK(e->src);
  ret = ew_enc_out_push(e, s, buffer);
  ew_src_unlock(e);
  return ret;
}

static GstFlowReturn chain_list(GstPad *pad, GstObject *parent, GstBufferList *list) {
  EwSink *s = pad->chainlistdata;
  EwEnc *e = s->enc;
  guint n = gst_buffer_list_length(list), i;
  GstFlowReturn ret;
  GstBuffer *few[EW_BATCH], **in = few;
  GstBufferList *out = NULL;
  gboolean ok = TRUE;
  (void)parent;
  if (n == 0) {
    gst_buffer_list_unref(list);
    return GST_FLOW_OK;
  }
  if (waits(s) && (ret = ew_sink_wait(s, gst_buffer_list_get(list, 0))) != GST_FLOW_OK) {
    gst_buffer_list_unref(list);
    return ret;
  }
  if (n > EW_BATCH)
    in = g_new(GstBuffer *, n);
  int keys = g_atomic_int_get(&e->keys);
  gboolean holds = must_hold(s, keys), child = through_child(e, keys);
  for (i = 0; i < n; i++) {
    in[i] = gst_buffer_list_get(list, i);
    if (G_UNLIKELY(holds || child))
      gst_buffer_ref(in[i]);
  }
  if (G_UNLIKELY(holds)) {
    gst_buffer_list_unref(list);
    ret = hold(s, in, n);
  } else if (child) {
    gst_buffer_list_unref(list);
    ret = GST_FLOW_OK;
    for (i = 0; i < n; i++) {
      if (ret == GST_FLOW_OK)
        ret = ew_enc_child_push(s, in[i]);
      else
        gst_buffer_unref(in[i]);
    }
  } else {
    ok = protect_all(s, keys, list, in, n, &out);
    ret = ok ? GST_FLOW_OK : GST_FLOW_ERROR;
    if (out != NULL) {
      GST_PAD_STREAM_LOCK(e->src);
      GstFlowReturn pushed = ew_enc_out_push_list(e, s, out);
      ew_src_unlock(e);
      if (ok)
        ret = pushed;
    }
  }
  if (in != few)
    g_free(in);
  return ret;
}

static gboolean activate_mode(GstPad *pad, GstObject *parent, GstPadMode mode, gboolean active) {
  (void)parent;
  if (mode != GST_PAD_MODE_PUSH)
    return FALSE;
  // Called before GStreamer waits for the streaming thread.
  ew_sink_set_flushing(pad->activatemodedata, !active);
  return TRUE;
}

// Sinks

void ew_enc_add_sink(EwEnc *e, gpointer pad, guint kind, guint max_packets, guint max_bytes) {
  EwSink *s = g_new0(EwSink, 1);
  s->refs = 5; // the list's, and one for each function
  s->enc = enc_ref(e);
  s->pad = gst_object_ref(pad);
  s->kind = kind;
  g_queue_init(&s->held.buffers);
  s->held.max_packets = max_packets;
  s->held.max_bytes = max_bytes;
  s->flushing = TRUE;
  gst_segment_init(&s->seg, GST_FORMAT_UNDEFINED);
  gst_pad_set_chain_function_full(pad, chain, s, ew_sink_unref);
  gst_pad_set_chain_list_function_full(pad, chain_list, s, ew_sink_unref);
  gst_pad_set_event_function_full(pad, ew_sink_event, s, ew_sink_unref);
  gst_pad_set_activatemode_function_full(pad, activate_mode, s, ew_sink_unref);
  g_mutex_lock(&e->lock);
  s->id = ++e->last_id;
  e->sinks = g_list_append(e->sinks, s);
  g_mutex_unlock(&e->lock);
}

gboolean ew_enc_remove_sink(EwEnc *e, gpointer pad) {
  EwSink *s = GST_PAD(pad)->chaindata;
  g_mutex_lock(&e->lock);
  GList *at = g_list_find(e->sinks, s);
  if (at != NULL)
    e->sinks = g_list_delete_link(e->sinks, at);
  s->gone = TRUE;
  gboolean eos = s->eos, in_flush = s->in_flush && s->starting == 0;
  g_mutex_unlock(&e->lock);
  ew_sink_set_flushing(s, TRUE);
  if (in_flush) // nobody else would end what it began; a flush-start that is on its way ends it itself
    ew_sink_end_flush(s, gst_event_new_flush_stop(TRUE));
  if (at == NULL)
    return FALSE;
  drop_sink(s);
  return !eos && ew_enc_all_eos(e);
}

// Takes a pad off whose streaming thread may be blocked in downstream: it is given
// a moment to come out, and is left to itself otherwise. It holds what it uses.
void ew_enc_unblock_remove(gpointer element, gpointer p) {
  GstPad *pad = p;
  gst_object_ref(pad);
  GST_OBJECT_LOCK(pad);
  GST_PAD_SET_FLUSHING(pad);
  GST_PAD_BLOCK_BROADCAST(pad);
  GST_OBJECT_UNLOCK(pad);
  for (guint i = 0; i < 100; i++) {
    if (g_rec_mutex_trylock(GST_PAD_GET_STREAM_LOCK(pad))) {
      g_rec_mutex_unlock(GST_PAD_GET_STREAM_LOCK(pad));
      gst_pad_set_active(pad, FALSE);
      break;
    }
    g_usleep(1000);
  }
  // It may have been refused by the element, because of its name.
  if (GST_OBJECT_PARENT(pad) == element)
    gst_element_remove_pad(element, pad);
  gst_object_unref(pad);
}

// A copy of the sinks, each referenced.
static GList *sinks_of(EwEnc *e) {
  g_mutex_lock(&e->lock);
  GList *sinks = g_list_copy(e->sinks);
  for (GList *l = sinks; l != NULL; l = l->next) {
    ew_sink_ref(l->data);
    gst_object_ref(((EwSink *)l->data)->pad);
  }
  g_mutex_unlock(&e->lock);
  return sinks;
}

void ew_enc_set_keys(EwEnc *e, int keys) {
  __atomic_store_n(&e->keys, keys, __ATOMIC_SEQ_CST);
  if (keys == EW_KEYS_NONE)
    return;
  GList *sinks = sinks_of(e);
  gboolean all_eos = FALSE;
  for (GList *l = sinks; l != NULL; l = l->next) {
    EwSink *s = l->data;
    GstFlowReturn ret = GST_FLOW_OK;
    // A source pad that is blocked must not block whoever sets a key for nothing.
    if (__atomic_load_n(&s->held.n, __ATOMIC_SEQ_CST) == 0)
      continue;
    GST_PAD_STREAM_LOCK(e->src);
    if (g_atomic_int_get(&e->keys) != EW_KEYS_NONE)
      ew_enc_flush_held(e, s, &ret);
    if (s->eos_held && s->held.buffers.length == 0) {
      s->eos_held = FALSE;
      g_mutex_lock(&e->lock);
      s->eos = TRUE;
      g_mutex_unlock(&e->lock);
      all_eos = ew_enc_all_eos(e);
    }
    ew_src_unlock(e);
  }
  g_list_free_full(sinks, drop_sink);
  if (all_eos)
    ewSrtpAllEOS(e->handle);
}

void ew_enc_reset(EwEnc *e) {
  GList *sinks = sinks_of(e);
  GST_PAD_STREAM_LOCK(e->src);
  for (GList *l = sinks; l != NULL; l = l->next) {
    EwSink *s = l->data;
    ew_held_clear(&s->held, e->counts);
    s->eos_held = FALSE;
    g_atomic_int_set(&s->fresh, TRUE);
    for (guint i = 0; i < 2; i++)
      ew_std_restart(&s->ways[i]);
    g_mutex_lock(&e->lock);
    s->eos = s->in_flush = FALSE;
    g_mutex_unlock(&e->lock);
  }
  ew_enc_out_flushed(e);
  e->stream_started = FALSE;
  e->rank = 0;
  e->caps_owner = 0;
  g_atomic_int_set(&e->eos_wanted, FALSE);
  GST_PAD_STREAM_UNLOCK(e->src);
  g_atomic_int_set(&e->flushes, 0);
  g_mutex_lock(&e->lock);
  e->data_eos = FALSE;
  g_mutex_unlock(&e->lock);
  g_list_free_full(sinks, drop_sink);
}

guint64 ew_enc_count(EwEnc *e, guint i) { return ew_count_get(e->counts, i); }

guint ew_enc_held(EwEnc *e) {
  guint n = 0;
  g_mutex_lock(&e->lock);
  for (GList *l = e->sinks; l != NULL; l = l->next)
    n += g_atomic_int_get(&((EwSink *)l->data)->held.n);
  g_mutex_unlock(&e->lock);
  return n;
}
