// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What a command does to other elements: their action signals and their properties.
#include "drive.h"
#include "_cgo_export.h"

GstElement *ew_cloud_find(gpointer element, const char *name) {
  GstObject *top = gst_object_ref(element), *up;
  while ((up = gst_object_get_parent(top)) != NULL) {
    gst_object_unref(top);
    top = up;
  }
  GstElement *found = GST_IS_BIN(top) ? gst_bin_get_by_name(GST_BIN(top), name) : NULL;
  gst_object_unref(top);
  return found;
}

// Whether the element has this action signal, with these parameters: a call with others would crash.
static gboolean has_action(GstElement *e, const char *name, GType ret, guint n, const GType *params) {
  GSignalQuery q;
  guint id = g_signal_lookup(name, G_OBJECT_TYPE(e));
  if (id == 0)
    return FALSE;
  g_signal_query(id, &q);
  if ((q.return_type & ~G_SIGNAL_TYPE_STATIC_SCOPE) != ret || q.n_params != n || (q.signal_flags & G_SIGNAL_DETAILED))
    return FALSE;
  for (guint i = 0; i < n; i++)
    if ((q.param_types[i] & ~G_SIGNAL_TYPE_STATIC_SCOPE) != params[i])
      return FALSE;
  return TRUE;
}

int ew_cloud_record_kind(GstElement *e, gboolean start) {
  const GType ours_start[] = {G_TYPE_UINT64, G_TYPE_UINT64, G_TYPE_STRING}, stop[] = {G_TYPE_UINT};
  const GType sr_start[] = {G_TYPE_POINTER, G_TYPE_UINT, G_TYPE_UINT, G_TYPE_POINTER};
  if (start ? has_action(e, "start-recording", GST_TYPE_STRUCTURE, 3, ours_start)
            : has_action(e, "stop-recording", GST_TYPE_STRUCTURE, 1, stop))
    return EW_CLOUD_RECORD_OURS;
  if (start ? has_action(e, "start-sr", G_TYPE_NONE, 4, sr_start) : has_action(e, "stop-sr", G_TYPE_NONE, 1, stop))
    return EW_CLOUD_RECORD_SR;
  return EW_CLOUD_RECORD_NONE;
}

static EwCloudAnswer answer_of(GstStructure *s) {
  EwCloudAnswer a = {0};
  if (s == NULL) {
    a.error = g_strdup("the element gives no answer");
    return a;
  }
  gst_structure_get_uint(s, "session", &a.session);
  gst_structure_get_uint64(s, "missing", &a.missing);
  a.error = g_strdup(gst_structure_get_string(s, "error"));
  gst_structure_free(s);
  return a;
}

static guint seconds_up(guint64 ms) { return (guint)MIN((ms + 999) / 1000, G_MAXUINT); }

EwCloudAnswer ew_cloud_start(GstElement *e, int kind, guint64 back_ms, guint64 duration_ms, const char *name) {
  EwCloudAnswer a = {0};
  if (kind == EW_CLOUD_RECORD_OURS) {
    GstStructure *s = NULL;
    g_signal_emit_by_name(e, "start-recording", back_ms, duration_ms, name, &s);
    return answer_of(s);
  }
  // Whole seconds only: rounded so that all that was asked for is in the file.
  guint back = seconds_up(back_ms);
  guint64 earlier = (guint64)back * 1000 > back_ms ? (guint64)back * 1000 - back_ms : 0; // not so for times of centuries
  guint duration = duration_ms == 0 ? 0 : seconds_up(duration_ms + earlier);
  g_signal_emit_by_name(e, "start-sr", &a.session, back, duration, NULL);
  return a;
}

EwCloudAnswer ew_cloud_stop(GstElement *e, int kind, guint session) {
  EwCloudAnswer a = {.session = session};
  if (kind == EW_CLOUD_RECORD_OURS) {
    GstStructure *s = NULL;
    g_signal_emit_by_name(e, "stop-recording", session, &s);
    return answer_of(s);
  }
  g_signal_emit_by_name(e, "stop-sr", session);
  return a;
}

static void on_done(GstElement *e, GstStructure *info, gpointer user, gpointer data) {
  (void)user;
  ewCloudDone((uintptr_t)data, e, info);
}

gulong ew_cloud_hear(GstElement *e, uintptr_t handle) {
  GSignalQuery q;
  guint id = g_signal_lookup("sr-done", G_OBJECT_TYPE(e));
  if (id == 0)
    return 0;
  g_signal_query(id, &q);
  if (q.n_params != 2 || (q.param_types[0] & ~G_SIGNAL_TYPE_STATIC_SCOPE) != GST_TYPE_STRUCTURE)
    return 0; // of another kind, as NVIDIA's
  return g_signal_connect(e, "sr-done", G_CALLBACK(on_done), (gpointer)handle);
}

char *ew_cloud_set(GstElement *e, const char *property, int kind, const char *text) {
  GParamSpec *spec = g_object_class_find_property(G_OBJECT_GET_CLASS(e), property);
  if (spec == NULL)
    return g_strdup("it has no such property");
  if (!(spec->flags & G_PARAM_WRITABLE) || (spec->flags & G_PARAM_CONSTRUCT_ONLY))
    return g_strdup("the property cannot be set");
  GType t = G_PARAM_SPEC_VALUE_TYPE(spec), f = G_TYPE_FUNDAMENTAL(t);
  gboolean number = f == G_TYPE_INT || f == G_TYPE_UINT || f == G_TYPE_INT64 || f == G_TYPE_UINT64 || f == G_TYPE_LONG ||
      f == G_TYPE_ULONG || f == G_TYPE_FLOAT || f == G_TYPE_DOUBLE || f == G_TYPE_CHAR || f == G_TYPE_UCHAR;
  if (f == G_TYPE_OBJECT || f == G_TYPE_POINTER || f == G_TYPE_INTERFACE)
    return g_strdup_printf("the property is a %s, which no text can stand for", g_type_name(t));
  if (kind == EW_CLOUD_BOOL ? f != G_TYPE_BOOLEAN : f == G_TYPE_BOOLEAN)
    return g_strdup_printf("the property is a %s, and the value %s a boolean", g_type_name(t), kind == EW_CLOUD_BOOL ? "is" : "is not");
  if (kind == EW_CLOUD_NUMBER ? !number && f != G_TYPE_ENUM && f != G_TYPE_FLAGS && f != G_TYPE_BOXED && f != GST_TYPE_FRACTION : number)
    return g_strdup_printf("the property is a %s, and the value %s a number", g_type_name(t), kind == EW_CLOUD_NUMBER ? "is" : "is not");
  if (kind == EW_CLOUD_NUMBER && text[0] == '-' &&
      (f == G_TYPE_UINT || f == G_TYPE_UINT64 || f == G_TYPE_ULONG || f == G_TYPE_UCHAR)) // which GStreamer takes for the largest
    return g_strdup_printf("the property is a %s, and the value is negative", g_type_name(t));
  GValue v = G_VALUE_INIT;
  char *why = NULL;
  g_value_init(&v, t);
  if (f == G_TYPE_STRING)
    g_value_set_string(&v, text);
  else if (!gst_value_deserialize(&v, text))
    why = g_strdup_printf("the value is no %s", g_type_name(t));
  // Validating changes what is out of range: then it is refused, not bent.
  if (why == NULL && f != G_TYPE_STRING && g_param_value_validate(spec, &v))
    why = g_strdup("the value is out of range");
  if (why == NULL)
    g_object_set_property(G_OBJECT(e), property, &v);
  g_value_unset(&v);
  return why;
}
