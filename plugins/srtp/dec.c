// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The decoder: datagrams come in on one pad, are told apart by their first byte,
// and leave as RTP and RTCP on two. DTLS goes to Go. What does not authenticate
// goes nowhere.
#include "decpriv.h"
#include "demux.h"
#include "_cgo_export.h"

static void dec_unref(gpointer data) {
  EwDec *d = data;
  if (!g_atomic_int_dec_and_test(&d->refs))
    return;
  ew_held_clear(&d->held, d->counts);
  gst_clear_event(&d->stream_start);
  gst_clear_event(&d->segment);
  gst_clear_caps(&d->caps);
  gst_clear_caps(&d->child_key);
  g_mutex_clear(&d->key_lock);
  g_free(d);
}

// What comes in

void ew_dec_drop(EwDec *d, guint why) {
  ew_count(d->counts, why, 1);
  ew_warn_drop(d->cat, d->sink, &d->warned, why);
}

void ew_dec_count_packets(EwDec *d, const guint64 *count, const guint64 *bytes) {
  if (count[EW_KIND_RTP] > 0) {
    ew_count(d->counts, EW_COUNT_RTP_PACKETS, count[EW_KIND_RTP]);
    ew_count(d->counts, EW_COUNT_RTP_BYTES, bytes[EW_KIND_RTP]);
  }
  if (count[EW_KIND_RTCP] > 0) {
    ew_count(d->counts, EW_COUNT_RTCP_PACKETS, count[EW_KIND_RTCP]);
    ew_count(d->counts, EW_COUNT_RTCP_BYTES, bytes[EW_KIND_RTCP]);
  }
}

static guint first_reason(EwFirst first) {
  switch (first) {
    case EW_FIRST_STUN:
      return EW_COUNT_STUN;
    case EW_FIRST_ZRTP:
      return EW_COUNT_ZRTP;
    case EW_FIRST_TURN:
      return EW_COUNT_TURN;
    case EW_FIRST_EMPTY:
      return EW_COUNT_EMPTY;
    default:
      return EW_COUNT_OTHER;
  }
}

static GstFlowReturn take_dtls(EwDec *d, const EwWork *w) {
  GstFlowReturn ret = ewSrtpDTLS(d->handle, (guint8 *)w->data, w->size);
  if (ret != GST_FLOW_CUSTOM_SUCCESS)
    return ret;
  ew_dec_drop(d, EW_COUNT_OTHER); // nobody wants it
  return GST_FLOW_OK;
}

// Datagrams on their way through: those of SRTP in order, each with its memory mapped.
typedef struct {
  guint n;
  guint at[EW_BATCH]; // which of the caller's they are
  EwWork work[EW_BATCH];
  EwPacket packets[EW_BATCH];
} Batch;

// Maps the caller's buffer i. SRTP joins the batch, the rest ends here.
static GstFlowReturn sort(EwDec *d, Batch *b, GstBuffer *buffer, guint i) {
  EwWork *w = &b->work[b->n];
  GstFlowReturn ret = GST_FLOW_OK;
  if (G_UNLIKELY(!ew_work_open(w, buffer, 0, TRUE))) {
    ew_dec_drop(d, EW_COUNT_FAILED);
    return ret;
  }
  EwFirst first = w->size > 0 ? ew_first_of(w->data[0]) : EW_FIRST_EMPTY;
  if (G_LIKELY(first == EW_FIRST_RTP)) {
    b->packets[b->n].kind = w->size > 1 && ew_is_rtcp(w->data[1]) ? EW_KIND_RTCP : EW_KIND_RTP;
    b->at[b->n++] = i;
    return ret;
  }
  if (first == EW_FIRST_DTLS)
    ret = take_dtls(d, w);
  else
    ew_dec_drop(d, first_reason(first));
  ew_work_close(w);
  return ret;
}

// Decrypts the batch, and writes the results to out as ew_collect takes them.
static gboolean unprotect(EwDec *d, Batch *b, GstBuffer **in, GstBuffer **out, guint8 *kinds) {
  guint used = 0, i;
  for (i = 0; i < b->n; i++) {
    EwPacket *p = &b->packets[i];
    EwWork *w = &b->work[i];
    guint why = ew_packet_check(w->data, w->size, p->kind);
    if (why == 0 && G_UNLIKELY(!ew_work_output(w, p, 0)))
      why = EW_COUNT_FAILED;
    if (G_UNLIKELY(why != 0)) {
      ew_work_close(w);
      ew_dec_drop(d, why);
      continue;
    }
    if (used != i) {
      b->packets[used] = *p;
      b->work[used] = *w;
      b->at[used] = b->at[i];
    }
    used++;
  }
  gboolean ok = used == 0 || ewSrtpUnprotect(d->handle, b->packets, used);
  guint64 count[2] = {0}, bytes[2] = {0};
  for (i = 0; i < used; i++) {
    EwPacket *p = &b->packets[i];
    if (G_UNLIKELY(!ok || p->out_len < 0)) {
      ew_work_close(&b->work[i]);
      if (ok)
        ew_dec_drop(d, -p->out_len);
      continue;
    }
    guint at = b->at[i];
    out[at] = ew_work_finish(&b->work[i], p, in[at]);
    kinds[at] = p->kind;
    count[p->kind]++;
    bytes[p->kind] += p->out_len;
  }
  ew_dec_count_packets(d, count, bytes);
  return ok;
}

static void pass_plain(EwDec *d, Batch *b, GstBuffer **in, GstBuffer **out, guint8 *kinds) {
  guint64 count[2] = {0}, bytes[2] = {0};
  for (guint i = 0; i < b->n; i++) {
    guint at = b->at[i];
    out[at] = in[at];
    kinds[at] = b->packets[i].kind;
    count[kinds[at]]++;
    bytes[kinds[at]] += b->work[i].size;
    ew_work_close(&b->work[i]);
  }
  ew_dec_count_packets(d, count, bytes);
}

static gboolean open_batch(EwDec *d, int keys, Batch *b, GstBuffer **in, GstBuffer **out, guint8 *kinds) {
  gboolean ok = TRUE;
  if (keys == EW_KEYS_SET)
    ok = unprotect(d, b, in, out, kinds);
  else
    pass_plain(d, b, in, out, kinds);
  b->n = 0;
  return ok;
}

static GstFlowReturn push_lists(EwDec *d, GstBufferList **lists) {
  GstFlowReturn ret = ew_dec_push_list(d, EW_KIND_RTP, lists[EW_KIND_RTP]);
  if (ret == GST_FLOW_OK)
    return ew_dec_push_list(d, EW_KIND_RTCP, lists[EW_KIND_RTCP]);
  if (lists[EW_KIND_RTCP] != NULL)
    gst_buffer_list_unref(lists[EW_KIND_RTCP]);
  return ret;
}

// Gives the batch to the standard element, packet by packet.
static GstFlowReturn batch_to_child(EwDec *d, Batch *b, GstBuffer **in) {
  GstFlowReturn ret = GST_FLOW_OK;
  for (guint i = 0; i < b->n; i++) {
    ew_work_close(&b->work[i]);
    if (ret == GST_FLOW_OK)
      ret = ew_dec_child_push(d, in[b->at[i]], b->packets[i].kind);
  }
  b->n = 0;
  return ret;
}

// Sends what was held, now that there is a key.
GstFlowReturn ew_dec_flush_held(EwDec *d) {
  GstFlowReturn ret = GST_FLOW_OK;
  int keys = g_atomic_int_get(&d->keys);
  Batch b;
  if (keys == EW_KEYS_NONE) // gone again this moment
    return ret;
  while (ret == GST_FLOW_OK && d->held.buffers.length > 0) {
    GstBufferList *lists[2] = {NULL, NULL};
    GstBuffer *in[EW_BATCH], *out[EW_BATCH] = {NULL};
    guint8 kinds[EW_BATCH] = {0};
    guint n = 0;
    b.n = 0;
    while (n < EW_BATCH && (in[n] = ew_held_pop(&d->held)) != NULL) {
      sort(d, &b, in[n], n);
      n++;
    }
    gboolean ok = TRUE;
    if (d->child != NULL && keys == EW_KEYS_SET)
      ret = batch_to_child(d, &b, in);
    else
      ok = open_batch(d, keys, &b, in, out, kinds);
    ew_collect(NULL, in, out, kinds, n, lists);
    GstFlowReturn pushed = push_lists(d, lists);
    if (ret == GST_FLOW_OK)
      ret = ok ? pushed : GST_FLOW_ERROR;
  }
  ew_held_clear(&d->held, d->counts);
  return ret;
}

// Holds the batch, as there is no key yet.
static GstFlowReturn hold(EwDec *d, Batch *b, GstBuffer **in) {
  for (guint i = 0; i < b->n; i++) {
    ew_work_close(&b->work[i]);
    ew_held_push(&d->held, gst_buffer_ref(in[b->at[i]]), d->counts);
  }
  b->n = 0;
  // After the push: ew_dec_set_keys sees it, or we see the keys.
  return __atomic_load_n(&d->keys, __ATOMIC_SEQ_CST) != EW_KEYS_NONE ? ew_dec_flush_held(d) : GST_FLOW_OK;
}

// Does with the batch what the keys say.
static GstFlowReturn take_batch(EwDec *d, Batch *b, GstBuffer **in, GstBuffer **out, guint8 *kinds) {
  int keys = g_atomic_int_get(&d->keys);
  GstFlowReturn ret = GST_FLOW_OK;
  if (G_UNLIKELY(keys == EW_KEYS_NONE))
    return hold(d, b, in);
  if (G_UNLIKELY(d->held.buffers.length > 0))
    ret = ew_dec_flush_held(d);
  if (ret == GST_FLOW_OK && G_UNLIKELY(d->child != NULL && keys == EW_KEYS_SET))
    return batch_to_child(d, b, in);
  if (ret == GST_FLOW_OK)
    return open_batch(d, keys, b, in, out, kinds) ? GST_FLOW_OK : GST_FLOW_ERROR;
  for (guint i = 0; i < b->n; i++)
    ew_work_close(&b->work[i]);
  b->n = 0;
  return ret;
}

static GstFlowReturn chain(GstPad *pad, GstObject *parent, GstBuffer *buffer) {
  EwDec *d = pad->chaindata;
  GstBuffer *out = NULL;
  guint8 kind = 0;
  Batch b; // only its first places are touched, so its size costs nothing
  (void)parent;
  b.n = 0;
  GstFlowReturn ret = sort(d, &b, buffer, 0);
  if (b.n > 0)
    ret = take_batch(d, &b, &buffer, &out, &kind);
  if (out != buffer)
    gst_buffer_unref(buffer);
  return out != NULL ? ew_dec_push(d, kind, out) : ret;
}

static GstFlowReturn chain_list(GstPad *pad, GstObject *parent, GstBufferList *list) {
  EwDec *d = pad->chainlistdata;
  guint n = gst_buffer_list_length(list), i;
  GstBuffer *few[2 * EW_BATCH], **in = n <= EW_BATCH ? few : g_new(GstBuffer *, 2 * n), **out = in + n;
  guint8 few_kinds[EW_BATCH], *kinds = n <= EW_BATCH ? few_kinds : g_new(guint8, n);
  GstBufferList *lists[2] = {NULL, NULL};
  GstFlowReturn ret = GST_FLOW_OK;
  Batch b;
  (void)parent;
  b.n = 0;
  for (i = 0; i < n; i++) {
    in[i] = gst_buffer_list_get(list, i);
    out[i] = NULL;
    kinds[i] = 0;
    if (G_UNLIKELY(ret != GST_FLOW_OK))
      continue;
    ret = sort(d, &b, in[i], i);
    if (b.n == EW_BATCH || (b.n > 0 && (i == n - 1 || ret != GST_FLOW_OK))) {
      GstFlowReturn media = take_batch(d, &b, in, out, kinds);
      if (ret == GST_FLOW_OK)
        ret = media;
    }
  }
  ew_collect(list, in, out, kinds, n, lists);
  GstFlowReturn pushed = push_lists(d, lists);
  if (in != few) {
    g_free(in);
    g_free(kinds);
  }
  return ret != GST_FLOW_OK ? ret : pushed;
}

// The element's side

EwDec *ew_dec_new(gpointer element, gpointer sink, gpointer rtp, gpointer rtcp, gpointer category, uintptr_t handle,
    guint max_packets, guint max_bytes) {
  EwDec *d = g_new0(EwDec, 1);
  d->refs = 4;
  d->element = element;
  d->sink = sink;
  d->cat = category;
  d->handle = handle;
  g_queue_init(&d->held.buffers);
  d->held.max_packets = max_packets;
  d->held.max_bytes = max_bytes;
  d->group = gst_util_group_id_next();
  g_mutex_init(&d->key_lock);
  d->out[EW_KIND_RTP] = (Out){.pad = rtp, .suffix = "rtp", .caps_name = "application/x-rtp"};
  d->out[EW_KIND_RTCP] = (Out){.pad = rtcp, .suffix = "rtcp", .caps_name = "application/x-rtcp"};
  gst_pad_set_chain_function_full(sink, chain, d, dec_unref);
  gst_pad_set_chain_list_function_full(sink, chain_list, d, dec_unref);
  gst_pad_set_event_function_full(sink, ew_dec_event, d, dec_unref);
  return d;
}

void ew_dec_free(EwDec *d) {
  for (guint i = 0; i < 2; i++)
    ew_std_close(&d->ways[i], d->child);
  if (d->child != NULL)
    g_signal_handler_disconnect(d->child, d->asks);
  ew_std_take_off(d->child);
  gst_clear_object(&d->child);
  dec_unref(d);
}

void ew_dec_set_keys(EwDec *d, int keys) {
  __atomic_store_n(&d->keys, keys, __ATOMIC_SEQ_CST);
  if (keys == EW_KEYS_NONE || __atomic_load_n(&d->held.n, __ATOMIC_SEQ_CST) == 0)
    return;
  // A thread that waits for the DTLS side at EOS sends what is held itself, after that.
  while (!g_rec_mutex_trylock(GST_PAD_GET_STREAM_LOCK(d->sink))) {
    if (g_atomic_int_get(&d->draining))
      return;
    g_usleep(200);
  }
  if (g_atomic_int_get(&d->keys) != EW_KEYS_NONE) {
    if (GST_PAD_IS_FLUSHING(d->sink))
      ew_held_clear(&d->held, d->counts);
    else
      ew_dec_flush_held(d);
  }
  GST_PAD_STREAM_UNLOCK(d->sink);
}

void ew_dec_push_eos(EwDec *d) {
  GST_PAD_STREAM_LOCK(d->sink);
  if (!GST_PAD_IS_FLUSHING(d->sink))
    ew_dec_send_eos(d, gst_event_new_eos());
  GST_PAD_STREAM_UNLOCK(d->sink);
}

void ew_dec_reset(EwDec *d) {
  GST_PAD_STREAM_LOCK(d->sink);
  ew_held_clear(&d->held, d->counts);
  for (guint i = 0; i < 2; i++) {
    d->out[i].stream_started = d->out[i].caps_sent = d->out[i].segment_sent = FALSE;
    d->out[i].last = GST_FLOW_OK;
    ew_std_restart(&d->ways[i]);
  }
  GST_PAD_STREAM_UNLOCK(d->sink);
}

guint64 ew_dec_count(EwDec *d, guint i) { return ew_count_get(d->counts, i); }
guint ew_dec_held(EwDec *d) { return g_atomic_int_get(&d->held.n); }
