// SPDX-License-Identifier: LGPL-2.1-or-later
#include "gsttest.h"
#include "_cgo_export.h"

GType ewt_type(const GValue *v) { return G_VALUE_TYPE(v); }
GType ewt_type_strv(void) { return G_TYPE_STRV; }
gpointer ewt_new_subclass(GstElement *of, const char *name) {
  GTypeQuery q;
  g_type_query(G_OBJECT_TYPE(of), &q);
  GType t = g_type_from_name(name);
  if (t == 0)
    t = g_type_register_static_simple(q.type, name, q.class_size, NULL, q.instance_size, NULL, 0);
  return gst_object_ref_sink(g_object_new(t, NULL));
}
void ewt_set_bytes(GValue *v, const guint8 *data, gsize size) { g_value_take_boxed(v, g_bytes_new(data, size)); }

GParamSpec *ewt_param(gpointer object, const char *name) {
  return g_object_class_find_property(G_OBJECT_GET_CLASS(object), name);
}

void ewt_emit(gpointer object, guint id, GValue *values, GValue *ret) {
  g_value_init(&values[0], G_OBJECT_TYPE(object));
  g_value_set_object(&values[0], object);
  g_signal_emitv(values, id, 0, ret);
}

static void marshal(GClosure *c, GValue *ret, guint n, const GValue *params, gpointer hint, gpointer data) {
  (void)hint;
  (void)data;
  ewtGoSignal((uintptr_t)c->data, ret, n - 1, (GValue *)params + 1);
}
static void forget(gpointer data, GClosure *c) {
  (void)c;
  ewtGoForget((uintptr_t)data);
}

gulong ewt_connect(gpointer object, const char *signal, uintptr_t handle) {
  GClosure *c = g_closure_new_simple(sizeof(GClosure), (gpointer)handle);
  g_closure_set_marshal(c, marshal);
  g_closure_add_finalize_notifier(c, (gpointer)handle, forget);
  return g_signal_connect_closure(object, signal, c, FALSE);
}

static GstPadProbeReturn hold(GstPad *pad, GstPadProbeInfo *info, gpointer data) {
  (void)pad;
  (void)info;
  (void)data;
  return GST_PAD_PROBE_OK;
}
gulong ewt_block(GstPad *pad) {
  return gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BLOCK_DOWNSTREAM, hold, NULL, NULL);
}

static GstPadProbeReturn see(GstPad *pad, GstPadProbeInfo *info, gpointer data) {
  (void)pad;
  if (info->type & GST_PAD_PROBE_TYPE_BUFFER)
    ewtGoProbe((uintptr_t)data, GST_PAD_PROBE_INFO_BUFFER(info), 0);
  else if (info->type & GST_PAD_PROBE_TYPE_EVENT_BOTH)
    ewtGoProbe((uintptr_t)data, NULL, (int)GST_EVENT_TYPE(GST_PAD_PROBE_INFO_EVENT(info)));
  return GST_PAD_PROBE_OK;
}
static void forget_probe(gpointer data) { ewtGoForget((uintptr_t)data); }
gulong ewt_probe(GstPad *pad, uintptr_t handle) {
  return gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER | GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM, see, (gpointer)handle,
      forget_probe);
}

gulong ewt_refcount(gpointer object) { return G_OBJECT(object)->ref_count; }
gpointer ewt_memory(GstBuffer *b) { return gst_buffer_n_memory(b) > 0 ? gst_buffer_peek_memory(b, 0) : NULL; }
guint ewt_meta_count(GstBuffer *b) {
  gpointer state = NULL;
  guint n = 0;
  while (gst_buffer_iterate_meta(b, &state) != NULL)
    n++;
  return n;
}
gboolean ewt_is_writable(GstBuffer *b) { return gst_buffer_is_writable(b); }

GstBuffer *ewt_buffer(const guint8 *data, gsize size, guint64 pts, guint64 duration) {
  GstBuffer *b = gst_buffer_new_allocate(NULL, size, NULL);
  gst_buffer_fill(b, 0, data, size);
  GST_BUFFER_PTS(b) = pts;
  GST_BUFFER_DURATION(b) = duration;
  return b;
}

GstMessageType ewt_message_type(GstMessage *m) { return GST_MESSAGE_TYPE(m); }
gpointer ewt_message_src(GstMessage *m) { return GST_MESSAGE_SRC(m); }
gboolean ewt_is_pad(gpointer p) { return GST_IS_PAD(p); }

static gint criticals;
static void count(const gchar *domain, GLogLevelFlags level, const gchar *text, gpointer data) {
  if (level & (G_LOG_LEVEL_WARNING | G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_ERROR))
    g_atomic_int_inc(&criticals);
  g_log_default_handler(domain, level, text, data);
}
void ewt_count_criticals(void) { g_log_set_default_handler(count, NULL); }
guint ewt_criticals(void) { return g_atomic_int_get(&criticals); }

static void log_line(GstDebugCategory *cat, GstDebugLevel level, const gchar *file, const gchar *function, gint line,
    GObject *object, GstDebugMessage *message, gpointer data) {
  gchar *name = NULL;
  if (object != NULL && GST_IS_OBJECT(object))
    name = gst_object_get_name(GST_OBJECT(object));
  ewtGoLog((uintptr_t)data, (char *)gst_debug_category_get_name(cat), level, (char *)file, (char *)function, line, name,
      (char *)gst_debug_message_get(message));
  g_free(name);
}
gulong ewt_watch_log(uintptr_t handle) {
  gst_debug_remove_log_function(gst_debug_log_default);
  gst_debug_add_log_function(log_line, (gpointer)handle, forget_probe);
  return handle;
}
