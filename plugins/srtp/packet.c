// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A packet's memory on its way into Go and back, what is held, what is counted.
#include "engine.h"
#include "demux.h"

void ew_count(guint64 *counts, guint i, guint64 n) { __atomic_fetch_add(&counts[i], n, __ATOMIC_RELAXED); }
guint64 ew_count_get(const guint64 *counts, guint i) { return __atomic_load_n(&counts[i], __ATOMIC_RELAXED); }

static const char *const reasons[EW_N_COUNTS] = {
    [EW_COUNT_MALFORMED] = "malformed: not RTP or RTCP of version 2, or too short",
    [EW_COUNT_AUTH] = "it does not authenticate",
    [EW_COUNT_REPLAY] = "its index was used before",
    [EW_COUNT_OLD] = "older than the replay window",
    [EW_COUNT_EXPIRED] = "the key has reached its limit of packets",
    [EW_COUNT_FAILED] = "its memory cannot be used, or there are too many SSRCs",
    [EW_COUNT_BEFORE_KEY] = "there is no key yet, and too much is held already",
    [EW_COUNT_OTHER] = "neither DTLS nor SRTP",
    [EW_COUNT_STUN] = "STUN",
    [EW_COUNT_TURN] = "TURN",
    [EW_COUNT_ZRTP] = "ZRTP",
    [EW_COUNT_EMPTY] = "empty",
};

// A flood of packets must not become a flood of lines.
void ew_warn_drop(GstDebugCategory *cat, gpointer object, gint64 *last, guint reason) {
  gint64 now = g_get_monotonic_time(), then = __atomic_load_n(last, __ATOMIC_RELAXED);
  if (then != 0 && now - then < G_USEC_PER_SEC)
    return;
  if (__atomic_compare_exchange_n(last, &then, now, FALSE, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
    GST_CAT_WARNING_OBJECT(cat, object, "a packet is dropped (%s); the next second's are only counted in stats",
        reasons[reason]);
}

// Held buffers

void ew_held_push(EwHeld *h, GstBuffer *buffer, guint64 *counts) {
  h->bytes += gst_buffer_get_size(buffer);
  g_queue_push_tail(&h->buffers, buffer);
  while (h->buffers.length > h->max_packets || (h->bytes > h->max_bytes && h->buffers.length > 0)) {
    gst_buffer_unref(ew_held_pop(h));
    ew_count(counts, EW_COUNT_BEFORE_KEY, 1);
  }
  __atomic_store_n(&h->n, (gint)h->buffers.length, __ATOMIC_SEQ_CST);
}

// The owner sets n to 0 itself when the last one is out.
GstBuffer *ew_held_pop(EwHeld *h) {
  GstBuffer *b = g_queue_pop_head(&h->buffers);
  if (b != NULL)
    h->bytes -= gst_buffer_get_size(b);
  return b;
}

void ew_held_clear(EwHeld *h, guint64 *counts) {
  GstBuffer *b;
  while ((b = ew_held_pop(h)) != NULL) {
    gst_buffer_unref(b);
    ew_count(counts, EW_COUNT_BEFORE_KEY, 1);
  }
  __atomic_store_n(&h->n, 0, __ATOMIC_SEQ_CST);
}

// Packets

guint ew_packet_check(const guint8 *data, gsize size, guint kind) {
  if (size < (kind == EW_KIND_RTCP ? 8 : 12) || data[0] >> 6 != 2)
    return EW_COUNT_MALFORMED;
  // What is no RTCP by its type would not be taken for it at the other end.
  return kind == EW_KIND_RTCP && !ew_is_rtcp(data[1]) ? EW_COUNT_MALFORMED : 0;
}

// Whether nobody else can see a buffer's memory. A memory is writable only if its
// buffer is, and a buffer only if its list is: no need to ask them.
static gboolean is_own(GstMemory *m) { return gst_memory_is_writable(m) && !GST_MEMORY_IS_READONLY(m); }

static gboolean new_output(EwWork *w, gsize size) {
  w->out_mem = gst_allocator_alloc(NULL, size, NULL);
  if (w->out_mem == NULL)
    return FALSE;
  if (gst_memory_map(w->out_mem, &w->out_map, GST_MAP_READWRITE))
    return TRUE;
  gst_memory_unref(w->out_mem);
  w->out_mem = NULL;
  return FALSE;
}

gboolean ew_work_open(EwWork *w, GstBuffer *in, guint32 extra, gboolean in_place) {
  w->mem = w->out_mem = NULL;
  w->own = FALSE;
  if (G_LIKELY(gst_buffer_n_memory(in) == 1)) {
    GstMemory *m = gst_buffer_peek_memory(in, 0);
    if (in_place && is_own(m) && gst_memory_map(m, &w->map, GST_MAP_READWRITE))
      w->own = TRUE;
    else if (!gst_memory_map(m, &w->map, GST_MAP_READ))
      return FALSE;
    w->mem = m;
    w->data = w->map.data;
    w->size = w->map.size;
    return TRUE;
  }
  // Several memories (a payloader's header and payload) are put together where the
  // result will be; mapping the buffer would copy into a third place.
  w->size = gst_buffer_get_size(in);
  if (!new_output(w, w->size + extra))
    return FALSE;
  w->data = w->out_map.data;
  w->size = gst_buffer_extract(in, 0, w->out_map.data, w->size);
  return TRUE;
}

void ew_work_close(EwWork *w) {
  if (w->mem != NULL)
    gst_memory_unmap(w->mem, &w->map);
  if (w->out_mem != NULL) {
    gst_memory_unmap(w->out_mem, &w->out_map);
    gst_memory_unref(w->out_mem);
  }
}

gboolean ew_work_output(EwWork *w, EwPacket *p, guint32 extra) {
  p->in = w->data;
  p->in_len = w->size;
  if (w->own) {
    p->out = w->map.data;
    p->out_cap = w->map.size;
    return TRUE;
  }
  if (w->out_mem == NULL && !new_output(w, w->size + extra))
    return FALSE;
  p->out = w->out_map.data;
  p->out_cap = w->out_map.size;
  return TRUE;
}

GstBuffer *ew_work_finish(EwWork *w, EwPacket *p, GstBuffer *in) {
  if (w->mem != NULL)
    gst_memory_unmap(w->mem, &w->map);
  if (w->own) {
    gst_memory_resize(w->mem, 0, p->out_len);
    return in;
  }
  gst_memory_unmap(w->out_mem, &w->out_map);
  gst_memory_resize(w->out_mem, 0, p->out_len);
  // A buffer that nobody else holds gets the new memory. A pool would throw its
  // buffer away for that.
  if (in->pool == NULL && gst_buffer_is_writable(in)) {
    gst_buffer_replace_all_memory(in, w->out_mem);
    return in;
  }
  GstBuffer *out = gst_buffer_new();
  gst_buffer_copy_into(out, in, GST_BUFFER_COPY_FLAGS | GST_BUFFER_COPY_TIMESTAMPS | GST_BUFFER_COPY_META, 0, -1);
  gst_buffer_append_memory(out, w->out_mem);
  return out;
}

void ew_collect(GstBufferList *list, GstBuffer **in, GstBuffer **out, const guint8 *kinds, guint n, GstBufferList **to) {
  guint i = 0, kind = kinds != NULL && n > 0 ? kinds[0] : 0;
  if (list != NULL && n > 0) {
    while (i < n && out[i] == in[i] && (kinds == NULL || kinds[i] == kind))
      i++;
    if (i == n) {
      to[kind] = list;
      return;
    }
  }
  for (i = 0; i < n; i++) {
    if (out[i] != NULL) {
      kind = kinds != NULL ? kinds[i] : 0;
      if (to[kind] == NULL)
        to[kind] = gst_buffer_list_new_sized(n);
      gst_buffer_list_add(to[kind], list != NULL && out[i] == in[i] ? gst_buffer_ref(out[i]) : out[i]);
    }
    if (list == NULL && out[i] != in[i])
      gst_buffer_unref(in[i]);
  }
  if (list != NULL)
    gst_buffer_list_unref(list);
}
