// SPDX-License-Identifier: LGPL-2.1-or-later
#include "payloadmeta.h"
#include <string.h>

static GType api; // of the custom meta, set once
static GQuark q_payload, q_content_type, q_key, q_timestamp, q_comp_id;

gboolean ew_payload_register(void) {
  static gsize once;
  if (g_once_init_enter(&once)) {
    // Without tags and without a transform function GStreamer copies the meta
    // whenever a buffer is copied, which is what a payload wants.
    const GstMetaInfo *info = gst_meta_get_info(EW_PAYLOAD_META);
    if (info == NULL) {
      static const gchar *tags[] = {NULL};
      info = gst_meta_register_custom(EW_PAYLOAD_META, tags, NULL, NULL, NULL);
    }
    q_payload = g_quark_from_static_string("payload");
    q_content_type = g_quark_from_static_string("content-type");
    q_key = g_quark_from_static_string("key");
    q_timestamp = g_quark_from_static_string("timestamp");
    q_comp_id = g_quark_from_static_string("comp-id");
    if (info != NULL)
      api = info->api;
    g_once_init_leave(&once, 1);
  }
  return api != 0;
}

static void set_string(GstStructure *s, GQuark field, const char *text, gsize len) {
  GValue v = G_VALUE_INIT;
  g_value_init(&v, G_TYPE_STRING);
  g_value_take_string(&v, g_strndup(text, len));
  gst_structure_id_take_value(s, field, &v);
}

gboolean ew_payload_attach(gpointer buffer, gconstpointer data, gsize size, const char *content_type,
    gsize content_type_len, const char *key, gsize key_len, gint64 timestamp, guint comp_id) {
  GstCustomMeta *meta = gst_buffer_add_custom_meta(buffer, EW_PAYLOAD_META);
  if (meta == NULL)
    return FALSE;
  GstStructure *s = gst_custom_meta_get_structure(meta);
  GValue v = G_VALUE_INIT;
  g_value_init(&v, G_TYPE_BYTES);
  g_value_take_boxed(&v, g_bytes_new(data, size));
  gst_structure_id_take_value(s, q_payload, &v);
  set_string(s, q_content_type, content_type, content_type_len);
  if (key_len > 0)
    set_string(s, q_key, key, key_len);
  if (timestamp != 0)
    gst_structure_id_set(s, q_timestamp, G_TYPE_INT64, timestamp, NULL);
  gst_structure_id_set(s, q_comp_id, G_TYPE_UINT, comp_id, NULL);
  return TRUE;
}

static const char *get_string(GstStructure *s, GQuark field) {
  const GValue *v = gst_structure_id_get_value(s, field);
  return v != NULL && G_VALUE_HOLDS_STRING(v) ? g_value_get_string(v) : NULL;
}

// Anyone may attach a meta of our name with whatever fields: a wrong type counts as absent.
static gboolean read_meta(GstStructure *s, EwPayload *p) {
  const GValue *v = gst_structure_id_get_value(s, q_payload);
  memset(p, 0, sizeof *p);
  if (v == NULL)
    return FALSE;
  if (G_VALUE_HOLDS(v, G_TYPE_BYTES) && g_value_get_boxed(v) != NULL) {
    p->data = g_bytes_get_data(g_value_get_boxed(v), &p->size);
  } else if (G_VALUE_HOLDS_STRING(v) && g_value_get_string(v) != NULL) {
    p->data = g_value_get_string(v);
    p->size = strlen(p->data);
  } else {
    return FALSE;
  }
  p->content_type = get_string(s, q_content_type);
  p->key = get_string(s, q_key);
  if ((v = gst_structure_id_get_value(s, q_timestamp)) != NULL && G_VALUE_HOLDS_INT64(v))
    p->timestamp = g_value_get_int64(v);
  if ((v = gst_structure_id_get_value(s, q_comp_id)) != NULL && G_VALUE_HOLDS_UINT(v))
    p->comp_id = g_value_get_uint(v);
  return TRUE;
}

// Fills out with the next payload metas; *state starts as NULL. Fewer than max means the end.
guint ew_payload_collect(gpointer buffer, gpointer *state, EwPayload *out, guint max) {
  GstMeta *meta;
  guint n = 0;
  while (n < max && (meta = gst_buffer_iterate_meta_filtered(buffer, state, api)) != NULL) {
    if (read_meta(gst_custom_meta_get_structure((GstCustomMeta *)meta), &out[n]))
      n++;
  }
  return n;
}
