// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The decoder: datagrams come in on one pad, are told apart by their first byte,
// and leave as RTP and RTCP on two. DTLS goes to Go. What does not authenticate
// goes nowhere.
#include "engine.h"
#include "demux.h"
#include "std.h"
#include "_cgo_export.h"

// A source pad, under the sink pad's stream lock.
typedef struct {
  GstPad *pad;
  const char *suffix, *caps_name;
  gboolean stream_started, caps_sent, segment_sent;
  GstFlowReturn last; // of its last push
} Out;

struct EwDec_ {
  gint refs;
  GstElement *element;
  GstPad *sink; // these and the pads of out are used from pad functions and running threads of the element only
  GstDebugCategory *cat;
  uintptr_t handle;
  gint keys;
  gint64 warned;
  guint64 counts[EW_N_COUNTS];
  GstElement *child; // the standard srtpdec, referenced; NULL: our own
  gulong asks; // its request-key signal
  GMutex key_lock;
  GstCaps *child_key; // under key_lock
  EwStdWay ways[2];
  gint draining; // the streaming thread waits for the DTLS side

  // Under the sink pad's stream lock. The events are kept here too, since GStreamer
  // stores them on the pad only after its event function.
  EwHeld held;
  GstEvent *stream_start, *segment;
  GstCaps *caps;
  guint group; // for upstreams without one
  Out out[2]; // by EW_KIND_
};

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

static void drop(EwDec *d, guint why) {
  ew_count(d->counts, why, 1);
  ew_warn_drop(d->cat, d->sink, &d->warned, why);
}

// What leaves

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

static GstFlowReturn push(EwDec *d, guint kind, GstBuffer *b) {
  Out *o = &d->out[kind];
  out_start(d, o);
  return result(d, o, gst_pad_push(o->pad, b));
}

static GstFlowReturn push_list(EwDec *d, guint kind, GstBufferList *l) {
  Out *o = &d->out[kind];
  if (l == NULL)
    return GST_FLOW_OK;
  out_start(d, o);
  return result(d, o, gst_pad_push_list(o->pad, l));
}

// What comes in

static void count_packets(EwDec *d, const guint64 *count, const guint64 *bytes) {
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
  drop(d, EW_COUNT_OTHER); // nobody wants it
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
    drop(d, EW_COUNT_FAILED);
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
    drop(d, first_reason(first));
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
      drop(d, why);
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
        drop(d, -p->out_len);
      continue;
    }
    guint at = b->at[i];
    out[at] = ew_work_finish(&b->work[i], p, in[at]);
    kinds[at] = p->kind;
    count[p->kind]++;
    bytes[p->kind] += p->out_len;
  }
  count_packets(d, count, bytes);
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
  count_packets(d, count, bytes);
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
  GstFlowReturn ret = push_list(d, EW_KIND_RTP, lists[EW_KIND_RTP]);
  if (ret == GST_FLOW_OK)
    return push_list(d, EW_KIND_RTCP, lists[EW_KIND_RTCP]);
  if (lists[EW_KIND_RTCP] != NULL)
    gst_buffer_list_unref(lists[EW_KIND_RTCP]);
  return ret;
}

// The standard element

static GstFlowReturn child_back(gpointer owner, guint kind, GstBuffer *b) {
  EwDec *d = owner;
  guint64 count[2] = {0}, bytes[2] = {0};
  count[kind] = 1;
  bytes[kind] = gst_buffer_get_size(b);
  count_packets(d, count, bytes);
  ewSrtpAlive(d->handle);
  return push(d, kind, b);
}

static GstFlowReturn child_push(EwDec *d, GstBuffer *b, guint kind) {
  guint8 head[12] = {0};
  gst_buffer_extract(b, 0, head, sizeof head);
  guint why = ew_packet_check(head, gst_buffer_get_size(b), kind);
  if (why != 0) {
    drop(d, why);
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
      G_TYPE_STRING, rtcp_auth, NULL);
  gst_buffer_unref(b);
  g_mutex_lock(&d->key_lock);
  gst_caps_replace(&d->child_key, caps);
  g_mutex_unlock(&d->key_lock);
  gst_caps_unref(caps);
  g_signal_emit_by_name(d->child, "clear-keys");
}

// Gives the batch to the standard element, packet by packet.
static GstFlowReturn batch_to_child(EwDec *d, Batch *b, GstBuffer **in) {
  GstFlowReturn ret = GST_FLOW_OK;
  for (guint i = 0; i < b->n; i++) {
    ew_work_close(&b->work[i]);
    if (ret == GST_FLOW_OK)
      ret = child_push(d, in[b->at[i]], b->packets[i].kind);
  }
  b->n = 0;
  return ret;
}

// Sends what was held, now that there is a key.
static GstFlowReturn flush_held(EwDec *d) {
  GstFlowReturn ret = GST_FLOW_OK;
  int keys = g_atomic_int_get(&d->keys);
  Batch b;
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
  return __atomic_load_n(&d->keys, __ATOMIC_SEQ_CST) != EW_KEYS_NONE ? flush_held(d) : GST_FLOW_OK;
}

// Does with the batch what the keys say.
static GstFlowReturn take_batch(EwDec *d, Batch *b, GstBuffer **in, GstBuffer **out, guint8 *kinds) {
  int keys = g_atomic_int_get(&d->keys);
  GstFlowReturn ret = GST_FLOW_OK;
  if (G_UNLIKELY(keys == EW_KEYS_NONE))
    return hold(d, b, in);
  if (G_UNLIKELY(d->held.buffers.length > 0))
    ret = flush_held(d);
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
  return out != NULL ? push(d, kind, out) : ret;
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

static gboolean push_both(EwDec *d, GstEvent *event) {
  gboolean a = gst_pad_push_event(d->out[0].pad, gst_event_ref(event));
  gboolean b = gst_pad_push_event(d->out[1].pad, event);
  return a || b;
}

static void send_eos(EwDec *d, GstEvent *eos) {
  for (guint i = 0; i < 2; i++)
    out_start(d, &d->out[i]);
  push_both(d, eos);
}

static gboolean event(GstPad *pad, GstObject *parent, GstEvent *ev) {
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
        flush_held(d);
      send_eos(d, ev);
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
  gst_pad_set_event_function_full(sink, event, d, dec_unref);
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
      flush_held(d);
  }
  GST_PAD_STREAM_UNLOCK(d->sink);
}

void ew_dec_push_eos(EwDec *d) {
  GST_PAD_STREAM_LOCK(d->sink);
  if (!GST_PAD_IS_FLUSHING(d->sink))
    send_eos(d, gst_event_new_eos());
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
