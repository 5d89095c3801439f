// SPDX-License-Identifier: LGPL-2.1-or-later
#include "padtest.h"
#include <string.h>
#include <time.h>

static GstPad *pad_of(gpointer element, const char *name) { return gst_element_get_static_pad(element, name); }

static GstPad *new_src(GstPad *sink) {
  GstPad *src = gst_object_ref_sink(gst_pad_new("test-src", GST_PAD_SRC));
  gst_pad_set_active(src, TRUE);
  if (gst_pad_link_full(src, sink, GST_PAD_LINK_CHECK_NOTHING) != GST_PAD_LINK_OK)
    g_error("cannot link");
  return src;
}

GstPad *pt_src(gpointer element, const char *name) {
  GstPad *sink = pad_of(element, name);
  if (sink == NULL)
    return NULL;
  GstPad *src = new_src(sink);
  gst_object_unref(sink);
  return src;
}

gboolean pt_src_inside(GstPad *src) {
  GstPad *peer = gst_pad_get_peer(src);
  if (peer == NULL)
    return FALSE;
  gboolean idle = GST_PAD_STREAM_TRYLOCK(peer);
  if (idle)
    GST_PAD_STREAM_UNLOCK(peer);
  gst_object_unref(peer);
  return !idle;
}

void pt_src_free(GstPad *src) {
  GstPad *peer = gst_pad_get_peer(src);
  gst_pad_set_active(src, FALSE);
  if (peer != NULL) {
    gst_pad_unlink(src, peer);
    gst_object_unref(peer);
  }
  gst_object_unref(src);
}

GstPad *pt_request(gpointer element, const char *name) { return gst_element_request_pad_simple(element, name); }

void pt_release(gpointer element, GstPad *pad) {
  gst_element_release_request_pad(element, pad);
  gst_object_unref(pad);
}

void pt_start(GstPad *src, const char *caps, guint64 base) {
  gst_pad_push_event(src, gst_event_new_stream_start("padtest"));
  if (caps != NULL) {
    GstCaps *c = gst_caps_from_string(caps);
    gst_pad_push_event(src, gst_event_new_caps(c));
    gst_caps_unref(c);
  }
  GstSegment seg;
  gst_segment_init(&seg, GST_FORMAT_TIME);
  seg.base = base;
  gst_pad_push_event(src, gst_event_new_segment(&seg));
}

gboolean pt_event(GstPad *src, GstEvent *e) { return gst_pad_push_event(src, e); }

GstBuffer *pt_make(const guint8 *data, gsize size, guint64 pts, int how, GstBuffer **keep) {
  GstBuffer *b;
  *keep = NULL;
  switch (how) {
    case PT_PARTS: {
      b = gst_buffer_new();
      gsize at = 0, step = size > 12 ? 12 : size / 2 + 1;
      gst_buffer_append_memory(b, gst_allocator_alloc(NULL, 0, NULL)); // an empty one first
      while (at < size) {
        gsize n = MIN(step, size - at);
        GstMemory *m = gst_allocator_alloc(NULL, n, NULL);
        GstMapInfo map;
        gst_memory_map(m, &map, GST_MAP_WRITE);
        memcpy(map.data, data + at, n);
        gst_memory_unmap(m, &map);
        gst_buffer_append_memory(b, m);
        at += n;
        step = 100;
      }
      break;
    }
    case PT_READONLY: {
      gpointer copy = g_malloc0(size + 1);
      if (size > 0)
        memcpy(copy, data, size);
      b = gst_buffer_new();
      gst_buffer_append_memory(b, gst_memory_new_wrapped(GST_MEMORY_FLAG_READONLY, copy, size, 0, size, copy, g_free));
      break;
    }
    default:
      b = gst_buffer_new_allocate(NULL, size, NULL);
      gst_buffer_fill(b, 0, data, size);
  }
  GST_BUFFER_PTS(b) = pts;
  if (how == PT_META) {
    GstCaps *ref = gst_caps_new_empty_simple("timestamp/x-test");
    gst_buffer_add_reference_timestamp_meta(b, ref, 42, GST_CLOCK_TIME_NONE);
    gst_caps_unref(ref);
    GST_BUFFER_FLAG_SET(b, GST_BUFFER_FLAG_MARKER);
    GST_BUFFER_DTS(b) = pts;
    GST_BUFFER_DURATION(b) = 20 * GST_MSECOND;
  }
  if (how == PT_SHARED)
    *keep = gst_buffer_ref(b);
  return b;
}

// What others hold must come out as it went in.
static int check(int ret, GstBuffer *keep, const guint8 *data, gsize size) {
  if (keep == NULL)
    return ret;
  if (gst_buffer_get_size(keep) != size || (size > 0 && gst_buffer_memcmp(keep, 0, data, size) != 0))
    ret = -1000;
  gst_buffer_unref(keep);
  return ret;
}

int pt_push(GstPad *src, const guint8 *data, gsize size, guint64 pts, int how) {
  GstBuffer *keep, *b = pt_make(data, size, pts, how, &keep);
  int ret = gst_pad_push(src, b);
  return check(ret, keep, data, size);
}

int pt_push_list(GstPad *src, const guint8 *data, const guint32 *sizes, guint n, int how) {
  GstBufferList *l = gst_buffer_list_new_sized(n);
  GstBuffer **keep = g_new0(GstBuffer *, n);
  gsize at = 0;
  for (guint i = 0; i < n; at += sizes[i++])
    gst_buffer_list_add(l, pt_make(data + at, sizes[i], i, how, &keep[i]));
  GstBufferList *also = how == PT_SHARED ? gst_buffer_list_ref(l) : NULL;
  int ret = gst_pad_push_list(src, l);
  if (also != NULL)
    gst_buffer_list_unref(also);
  at = 0;
  for (guint i = 0; i < n; at += sizes[i++])
    ret = check(ret, keep[i], data + at, sizes[i]);
  g_free(keep);
  return ret;
}

// The source pad's answer is asked for.
gboolean pt_latency(GstPad *sink, guint64 *min) {
  GstQuery *q = gst_query_new_latency();
  gboolean live, ok = gst_pad_peer_query(sink, q);
  GstClockTime max;
  if (ok)
    gst_query_parse_latency(q, &live, min, &max);
  gst_query_unref(q);
  return ok;
}

struct PtSink_ {
  GstPad *pad;
  GMutex lock;
  GCond cond;
  GQueue got;
  GString *events;
  GstCaps *caps;
  guint64 n, lists;
  gboolean block, blocked, keep;
  gint answer;
};

static GstFlowReturn take(PtSink *s, GstBuffer *b) {
  g_mutex_lock(&s->lock);
  s->blocked = s->block;
  while (s->block)
    g_cond_wait(&s->cond, &s->lock);
  s->blocked = FALSE;
  s->n++;
  int answer = s->answer;
  if (s->keep && answer == 0)
    g_queue_push_tail(&s->got, gst_buffer_ref(b));
  g_mutex_unlock(&s->lock);
  gst_buffer_unref(b);
  return answer;
}

static GstFlowReturn sink_chain(GstPad *pad, GstObject *parent, GstBuffer *b) {
  (void)parent;
  return take(pad->chaindata, b);
}

static GstFlowReturn sink_chain_list(GstPad *pad, GstObject *parent, GstBufferList *l) {
  PtSink *s = pad->chaindata;
  GstFlowReturn ret = GST_FLOW_OK;
  (void)parent;
  g_mutex_lock(&s->lock);
  s->lists++;
  g_mutex_unlock(&s->lock);
  for (guint i = 0; i < gst_buffer_list_length(l) && ret == GST_FLOW_OK; i++)
    ret = take(s, gst_buffer_ref(gst_buffer_list_get(l, i)));
  gst_buffer_list_unref(l);
  return ret;
}

static gboolean sink_event(GstPad *pad, GstObject *parent, GstEvent *e) {
  PtSink *s = pad->chaindata;
  (void)parent;
  g_mutex_lock(&s->lock);
  g_string_append_printf(s->events, "%s ", GST_EVENT_TYPE_NAME(e));
  if (GST_EVENT_TYPE(e) == GST_EVENT_FLUSH_START) {
    s->block = FALSE;
    g_cond_broadcast(&s->cond);
  }
  if (GST_EVENT_TYPE(e) == GST_EVENT_CAPS) {
    GstCaps *c;
    gst_event_parse_caps(e, &c);
    gst_caps_replace(&s->caps, c);
  }
  g_mutex_unlock(&s->lock);
  gst_event_unref(e);
  return TRUE;
}

PtSink *pt_sink_alone(void) {
  PtSink *s = g_new0(PtSink, 1);
  g_mutex_init(&s->lock);
  g_cond_init(&s->cond);
  g_queue_init(&s->got);
  s->events = g_string_new("");
  s->keep = TRUE;
  // Without a template a pad takes no other caps than its first ones.
  GstPadTemplate *any = gst_object_ref_sink(gst_pad_template_new("test-sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_CAPS_ANY));
  s->pad = gst_object_ref_sink(gst_pad_new_from_template(any, "test-sink"));
  gst_object_unref(any);
  s->pad->chaindata = s;
  gst_pad_set_chain_function_full(s->pad, sink_chain, s, NULL);
  gst_pad_set_chain_list_function(s->pad, sink_chain_list);
  gst_pad_set_event_function(s->pad, sink_event);
  gst_pad_set_active(s->pad, TRUE);
  return s;
}

PtSink *pt_sink(gpointer element, const char *name, gboolean unpack) {
  GstPad *src = pad_of(element, name);
  PtSink *s = pt_sink_alone();
  if (unpack)
    gst_pad_set_chain_list_function(s->pad, NULL);
  if (gst_pad_link_full(src, s->pad, GST_PAD_LINK_CHECK_NOTHING) != GST_PAD_LINK_OK)
    g_error("cannot link");
  gst_object_unref(src);
  return s;
}

GstPad *pt_sink_pad(PtSink *s) { return s->pad; }

void pt_sink_free(PtSink *s) {
  pt_sink_block(s, FALSE);
  gst_pad_set_active(s->pad, FALSE);
  GstPad *peer = gst_pad_get_peer(s->pad);
  if (peer != NULL) {
    gst_pad_unlink(peer, s->pad);
    gst_object_unref(peer);
  }
  gst_object_unref(s->pad);
  g_queue_clear_full(&s->got, (GDestroyNotify)gst_buffer_unref);
  g_string_free(s->events, TRUE);
  gst_clear_caps(&s->caps);
  g_mutex_clear(&s->lock);
  g_cond_clear(&s->cond);
  g_free(s);
}

guint pt_sink_take(PtSink *s, GstBuffer **to, guint max) {
  guint n = 0;
  g_mutex_lock(&s->lock);
  while (n < max && s->got.length > 0)
    to[n++] = g_queue_pop_head(&s->got);
  g_mutex_unlock(&s->lock);
  return n;
}

static guint64 get(PtSink *s, guint64 *v) {
  g_mutex_lock(&s->lock);
  guint64 n = *v;
  g_mutex_unlock(&s->lock);
  return n;
}
guint64 pt_sink_count(PtSink *s) { return get(s, &s->n); }
guint64 pt_sink_lists(PtSink *s) { return get(s, &s->lists); }

char *pt_sink_events(PtSink *s) {
  g_mutex_lock(&s->lock);
  char *t = g_strdup(s->events->str);
  g_mutex_unlock(&s->lock);
  return t;
}

char *pt_sink_caps(PtSink *s) {
  g_mutex_lock(&s->lock);
  char *t = s->caps != NULL ? gst_caps_to_string(s->caps) : g_strdup("");
  g_mutex_unlock(&s->lock);
  return t;
}

void pt_sink_block(PtSink *s, gboolean on) {
  g_mutex_lock(&s->lock);
  s->block = on;
  g_cond_broadcast(&s->cond);
  g_mutex_unlock(&s->lock);
}

gboolean pt_sink_blocked(PtSink *s) {
  g_mutex_lock(&s->lock);
  gboolean b = s->blocked;
  g_mutex_unlock(&s->lock);
  return b;
}

void pt_sink_answer(PtSink *s, int flow) {
  g_mutex_lock(&s->lock);
  s->answer = flow;
  g_mutex_unlock(&s->lock);
}

void pt_sink_keep(PtSink *s, gboolean on) {
  g_mutex_lock(&s->lock);
  s->keep = on;
  g_mutex_unlock(&s->lock);
}

// Benchmarks

GstPad *pt_loose_src(PtSink *s) { return new_src(s->pad); }

typedef struct {
  GstPad *src;
  guint n, list, size, seq;
  guint32 ssrc;
  gint64 ns;
} Bench;

static gint64 cpu(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (gint64)t.tv_sec * 1000000000 + t.tv_nsec;
}

static GstBuffer *packet(Bench *b) {
  GstBuffer *buf = gst_buffer_new_allocate(NULL, b->size, NULL);
  GstMemory *m = gst_buffer_peek_memory(buf, 0);
  GstMapInfo map;
  gst_memory_map(m, &map, GST_MAP_WRITE);
  guint8 *p = map.data;
  p[0] = 0x80;
  p[1] = 96;
  GST_WRITE_UINT16_BE(p + 2, b->seq++);
  GST_WRITE_UINT32_BE(p + 4, b->seq * 160);
  GST_WRITE_UINT32_BE(p + 8, b->ssrc);
  gst_memory_unmap(m, &map);
  return buf;
}

static gpointer bench(gpointer data) {
  Bench *b = data;
  gint64 at = cpu();
  for (guint i = 0; i < b->n;) {
    if (b->list <= 1) {
      gst_pad_push(b->src, packet(b));
      i++;
      continue;
    }
    GstBufferList *l = gst_buffer_list_new_sized(b->list);
    for (guint j = 0; j < b->list; j++, i++)
      gst_buffer_list_add(l, packet(b));
    gst_pad_push_list(b->src, l);
  }
  b->ns = cpu() - at;
  return NULL;
}

gint64 pt_bench(GstPad *src, guint n, guint list, guint size, guint32 ssrc, guint first_seq) {
  Bench b = {src, n, list, size, first_seq, ssrc, 0};
  g_thread_join(g_thread_new("bench", bench, &b));
  return b.ns;
}
