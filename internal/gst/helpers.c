// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What must be C: macros, variadics, and calls that have to hold a lock that
// belongs to the OS thread.
#include "ew.h"
#include "_cgo_export.h"

GType ew_value_type(const GValue *v) { return G_VALUE_TYPE(v); }
GType ew_type_strv(void) { return G_TYPE_STRV; }
GType ew_type_bytes(void) { return G_TYPE_BYTES; }

void ew_value_take_bytes(GValue *v, const guint8 *data, gsize size) {
  g_value_take_boxed(v, g_bytes_new(data, size));
}

// text and debug are handed over, as gst_element_message_full wants them.
void ew_element_message_full(gpointer element, GstMessageType type, GQuark domain, gint code, char *text,
    char *debug, const char *file, const char *function, gint line) {
  gst_element_message_full(element, type, domain, code, g_strdup(text), debug ? g_strdup(debug) : NULL, file, function,
      line);
}

gboolean ew_post_element_message(gpointer element, GstStructure *structure) {
  return gst_element_post_message(element, gst_message_new_element(GST_OBJECT(element), structure));
}

GstFlowReturn ew_src_flow(gpointer element) {
  return gst_pad_get_last_flow_return(GST_BASE_SRC_PAD(GST_BASE_SRC(element)));
}

gboolean ew_src_flushing(gpointer element) { return GST_PAD_IS_FLUSHING(GST_BASE_SRC_PAD(GST_BASE_SRC(element))); }

// basesrc counts down before it calls create, and would not call it again.
gboolean ew_src_once_more(gpointer element) {
  GstBaseSrc *s = GST_BASE_SRC(element);
  if (s->num_buffers_left != 0)
    return FALSE;
  s->num_buffers_left = 1;
  return TRUE;
}

static void message_gone(gpointer data, GstMiniObject *where_it_was) {
  (void)where_it_was;
  ewGoMessageGone((EwHandle)data);
}

gboolean ew_post_element_message_then(gpointer element, GstStructure *structure, EwHandle gone) {
  GstMessage *m = gst_message_new_element(GST_OBJECT(element), structure);
  gst_mini_object_weak_ref(GST_MINI_OBJECT_CAST(m), message_gone, (gpointer)gone);
  return gst_element_post_message(element, m);
}

void ew_notify(gpointer object, const char *name) { g_object_notify(object, name); }

// args[0] is left free by the caller for the instance.
void ew_emit(gpointer object, guint id, guint n, GValue *args, GValue *ret) {
  g_value_init(&args[0], G_OBJECT_TYPE(object));
  g_value_set_object(&args[0], object);
  g_signal_emitv(args, id, 0, ret);
  for (guint i = 0; i <= n; i++)
    g_value_unset(&args[i]);
}

gchar *ew_object_name(gpointer object) { return gst_object_get_name(object); }

GQuark ew_domain(int which) {
  switch (which) {
    case 0:
      return GST_CORE_ERROR;
    case 1:
      return GST_LIBRARY_ERROR;
    case 2:
      return GST_RESOURCE_ERROR;
    default:
      return GST_STREAM_ERROR;
  }
}

gboolean ew_running_time(gpointer element, guint64 *now) {
  GstClock *clock = gst_element_get_clock(element);
  if (clock == NULL)
    return FALSE;
  GstClockTime t = gst_clock_get_time(clock), base = gst_element_get_base_time(element);
  gst_object_unref(clock);
  if (!GST_CLOCK_TIME_IS_VALID(t) || !GST_CLOCK_TIME_IS_VALID(base) || t < base)
    return FALSE;
  *now = t - base;
  return TRUE;
}

gboolean ew_has_ancestor(gpointer element, const char *type_name) {
  GType wanted = g_type_from_name(type_name);
  GstObject *o = wanted == 0 ? NULL : gst_object_get_parent(element);
  while (o != NULL && !g_type_is_a(G_OBJECT_TYPE(o), wanted)) {
    GstObject *up = gst_object_get_parent(o);
    gst_object_unref(o);
    o = up;
  }
  if (o == NULL)
    return FALSE;
  gst_object_unref(o);
  return TRUE;
}

// Pads

static GstFlowReturn pad_chain(GstPad *pad, GstObject *parent, GstBuffer *buffer) {
  (void)parent;
  return ewGoPadChain((EwHandle)pad->chaindata, buffer);
}
static GstFlowReturn pad_chain_list(GstPad *pad, GstObject *parent, GstBufferList *list) {
  (void)parent;
  return ewGoPadChainList((EwHandle)pad->chainlistdata, list);
}
static gboolean pad_event(GstPad *pad, GstObject *parent, GstEvent *event) {
  return ewGoPadEvent((EwHandle)pad->eventdata, parent, event);
}
static gboolean pad_query(GstPad *pad, GstObject *parent, GstQuery *query) {
  return ewGoPadQuery((EwHandle)pad->querydata, parent, query);
}
static gboolean pad_activate_mode(GstPad *pad, GstObject *parent, GstPadMode mode, gboolean active) {
  (void)parent;
  return ewGoPadActivateMode((EwHandle)pad->activatemodedata, mode, active);
}
static void pad_gone(gpointer data) { ewGoPadFree((EwHandle)data); }

static GQuark pad_quark(void) { return g_quark_from_static_string("edgewire-pad"); }

EwHandle ew_pad_handle(GstPad *pad) { return (EwHandle)g_object_get_qdata(G_OBJECT(pad), pad_quark()); }

// The reference that it gives is the Go pad's: no floating one is left.
static GstPad *new_from_template(gpointer element, const char *template_name, const char *name, GstPad *target,
    EwHandle handle) {
  GstPadTemplate *t = gst_element_get_pad_template(element, template_name);
  if (t == NULL)
    return NULL;
  GstPad *pad = target ? gst_ghost_pad_new_from_template(name, target, t) : gst_pad_new_from_template(t, name);
  if (pad == NULL)
    return NULL;
  gst_object_ref_sink(pad);
  // Whoever still holds the pad may call into it: the handle ends with the pad.
  g_object_set_qdata_full(G_OBJECT(pad), pad_quark(), (gpointer)handle, pad_gone);
  return pad;
}

GstPad *ew_pad_new(gpointer element, const char *template_name, const char *name, EwHandle handle, guint flags) {
  GstPad *pad = new_from_template(element, template_name, name, NULL, handle);
  if (pad == NULL)
    return NULL;
  gpointer data = (gpointer)handle;
  if (flags & EW_PAD_CHAIN)
    gst_pad_set_chain_function_full(pad, pad_chain, data, NULL);
  if (flags & EW_PAD_CHAIN_LIST)
    gst_pad_set_chain_list_function_full(pad, pad_chain_list, data, NULL);
  if (flags & EW_PAD_EVENT)
    gst_pad_set_event_function_full(pad, pad_event, data, NULL);
  if (flags & EW_PAD_QUERY)
    gst_pad_set_query_function_full(pad, pad_query, data, NULL);
  if (flags & EW_PAD_ACTIVATE_MODE)
    gst_pad_set_activatemode_function_full(pad, pad_activate_mode, data, NULL);
  return pad;
}

GstPad *ew_ghost_pad_new(gpointer element, const char *template_name, const char *name, GstPad *target, EwHandle handle) {
  return new_from_template(element, template_name, name, target, handle);
}

gboolean ew_has_pad(gpointer element, const char *name) {
  GstPad *pad = gst_element_get_static_pad(element, name);
  if (pad == NULL)
    return FALSE;
  gst_object_unref(pad);
  return TRUE;
}

// An element that runs wants its pads active before they are added.
gboolean ew_add_pad(gpointer element, GstPad *pad) {
  GstElement *e = element;
  if (!GST_PAD_IS_ACTIVE(pad) && (GST_STATE(e) > GST_STATE_READY || GST_STATE_NEXT(e) == GST_STATE_PAUSED))
    gst_pad_set_active(pad, TRUE);
  return gst_element_add_pad(e, pad);
}

gboolean ew_remove_pad(gpointer element, GstPad *pad) {
  gst_pad_set_active(pad, FALSE);
  return gst_element_remove_pad(element, pad);
}

// A push from a thread that is not the pad's streaming thread. The stream lock
// belongs to the OS thread, so it is taken and given back within this one call:
// deactivating the pad then waits for us, as it does for a task.
GstFlowReturn ew_pad_push_locked(GstPad *pad, GstBuffer *buffer) {
  GstFlowReturn ret;
  GST_PAD_STREAM_LOCK(pad);
  if (GST_PAD_IS_FLUSHING(pad)) {
    gst_buffer_unref(buffer);
    ret = GST_FLOW_FLUSHING;
  } else {
    ret = gst_pad_push(pad, buffer);
  }
  GST_PAD_STREAM_UNLOCK(pad);
  return ret;
}

void ew_pad_cut(GstPad *pad, gint64 wait_us) {
  GRecMutex *lock = GST_PAD_GET_STREAM_LOCK(pad);
  gint64 end = g_get_monotonic_time() + wait_us;
  while (!g_rec_mutex_trylock(lock)) {
    if (g_get_monotonic_time() >= end) {
      // The pad does not become active between the two events: nothing can
      // block again.
      GstPad *peer = gst_pad_get_peer(pad);
      gst_pad_push_event(pad, gst_event_new_flush_start());
      gst_pad_set_active(pad, FALSE);
      if (peer) {
        gst_pad_send_event(peer, gst_event_new_flush_stop(FALSE));
        gst_object_unref(peer);
      }
      return;
    }
    g_usleep(2000);
  }
  g_rec_mutex_unlock(lock);
}

GstFlowReturn ew_pad_push_list_locked(GstPad *pad, GstBufferList *list) {
  GstFlowReturn ret;
  GST_PAD_STREAM_LOCK(pad);
  if (GST_PAD_IS_FLUSHING(pad)) {
    gst_buffer_list_unref(list);
    ret = GST_FLOW_FLUSHING;
  } else {
    ret = gst_pad_push_list(pad, list);
  }
  GST_PAD_STREAM_UNLOCK(pad);
  return ret;
}

gboolean ew_pad_push_event_locked(GstPad *pad, GstEvent *event) {
  gboolean ret;
  GST_PAD_STREAM_LOCK(pad);
  ret = gst_pad_push_event(pad, event); // refuses on a flushing pad itself
  GST_PAD_STREAM_UNLOCK(pad);
  return ret;
}

// Tells downstream that nothing comes for this stretch of time, so that a sink
// prerolls and does not wait. Called by the streaming thread.
void ew_push_gap(gpointer transform, guint64 pts, guint64 duration) {
  GstBaseTransform *t = transform;
  if (GST_CLOCK_TIME_IS_VALID(pts) && t->segment.format == GST_FORMAT_TIME)
    gst_pad_push_event(GST_BASE_TRANSFORM_SRC_PAD(t), gst_event_new_gap(pts, duration));
}

// Mini objects

void ew_mini_ref(gpointer p) { gst_mini_object_ref(p); }
void ew_mini_unref(gpointer p) { gst_mini_object_unref(p); }
gboolean ew_mini_writable(gpointer p) { return gst_mini_object_is_writable(p); }

GstBuffer *ew_buffer_new_copy(const guint8 *data, gsize size) {
  GstBuffer *b = gst_buffer_new_allocate(NULL, size, NULL);
  if (b != NULL && size > 0)
    gst_buffer_fill(b, 0, data, size);
  return b;
}

EwMap ew_buffer_map(GstBuffer *b, gboolean write) {
  EwMap m = {0}; // wholly: cgo checks every word of it for Go pointers
  m.ok = gst_buffer_map(b, &m.info, write ? GST_MAP_READWRITE : GST_MAP_READ);
  return m;
}
void ew_buffer_unmap(GstBuffer *b, EwMap m) { gst_buffer_unmap(b, &m.info); }

// Debug

void ew_debug_log(GstDebugCategory *cat, GstDebugLevel level, const char *file, const char *function, gint line,
    gpointer object, const char *text) {
  gst_debug_log_literal(cat, level, file, function, line, object, text);
}

// Plugins

gboolean ew_element_register(gpointer plugin, const char *name, guint rank, GType type) {
  return gst_element_register(plugin, name, rank, type);
}

static gboolean static_init(GstPlugin *plugin, gpointer data) {
  return ewGoStaticPlugin(GPOINTER_TO_UINT(data), plugin);
}

gboolean ew_plugin_register_static(const char *name, const char *description, const char *version,
    const char *license, const char *source, const char *package, const char *origin, guint index) {
  if (!gst_is_initialized())
    gst_init(NULL, NULL);
  return gst_plugin_register_static_full(GST_VERSION_MAJOR, GST_VERSION_MINOR, name, description, static_init, version,
      license, source, package, origin, GUINT_TO_POINTER(index));
}
