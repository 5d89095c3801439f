// SPDX-License-Identifier: LGPL-2.1-or-later
#include "payloadmeta.h"
#include <string.h>

static const GstMetaInfo *info; // of the custom meta, set once
static GQuark q_payload, q_content_type, q_key, q_timestamp, q_comp_id, q_fields;
static GstCaps *unix_time, *ntp_time; // what a reference timestamp counts from

gboolean ew_payload_register(void) {
  static gsize once;
  if (g_once_init_enter(&once)) {
    // Without tags and without a transform function GStreamer copies the meta
    // whenever a buffer is copied, which is what a payload wants.
    info = gst_meta_get_info(EW_PAYLOAD_META);
    if (info == NULL) {
      static const gchar *tags[] = {NULL};
      info = gst_meta_register_custom(EW_PAYLOAD_META, tags, NULL, NULL, NULL);
    }
    q_payload = g_quark_from_static_string("payload");
    q_content_type = g_quark_from_static_string("content-type");
    q_key = g_quark_from_static_string("key");
    q_timestamp = g_quark_from_static_string("timestamp");
    q_comp_id = g_quark_from_static_string("comp-id");
    q_fields = g_quark_from_static_string("fields");
    unix_time = gst_caps_new_empty_simple("timestamp/x-unix");
    ntp_time = gst_caps_new_empty_simple("timestamp/x-ntp");
    GST_MINI_OBJECT_FLAG_SET(unix_time, GST_MINI_OBJECT_FLAG_MAY_BE_LEAKED);
    GST_MINI_OBJECT_FLAG_SET(ntp_time, GST_MINI_OBJECT_FLAG_MAY_BE_LEAKED);
    g_once_init_leave(&once, 1);
  }
  return info != NULL;
}

// The usual content types need no copy; NULL for others.
static const char *known_type(const char *text, gsize len) {
  static const char *const known[] = {"application/json", "application/x-protobuf"};
  for (guint i = 0; i < G_N_ELEMENTS(known); i++)
    if (strlen(known[i]) == len && memcmp(known[i], text, len) == 0)
      return known[i];
  return NULL;
}

static void take(GstStructure *s, GQuark field, GValue v) { gst_structure_id_take_value(s, field, &v); }

static GValue new_string(const char *text, gsize len) {
  GValue v = G_VALUE_INIT;
  g_value_init(&v, G_TYPE_STRING);
  g_value_take_string(&v, g_strndup(text, len));
  return v;
}

static GValue part_of(GBytes *all, gsize at, gsize size) {
  GValue v = G_VALUE_INIT;
  g_value_init(&v, G_TYPE_BYTES);
  g_value_take_boxed(&v, size == g_bytes_get_size(all) ? g_bytes_ref(all) : g_bytes_new_from_bytes(all, at, size));
  return v;
}

// Attaches n payloads. They share one copy of data.
gboolean ew_payload_attach(gpointer buffer, const guint8 *data, gsize size, const char *text, const EwRecord *records, guint n) {
  GBytes *all = g_bytes_new(data, size);
  GValue type = G_VALUE_INIT, timestamp = G_VALUE_INIT, comp_id = G_VALUE_INIT;
  guint i;
  g_value_init(&timestamp, G_TYPE_INT64);
  g_value_init(&comp_id, G_TYPE_UINT);
  for (i = 0; i < n; i++) {
    const EwRecord *r = &records[i];
    // What gst_buffer_add_custom_meta does after looking the name up, under a lock.
    GstCustomMeta *meta = (GstCustomMeta *)gst_buffer_add_meta(buffer, info, NULL);
    if (meta == NULL)
      break;
    GstStructure *s = gst_custom_meta_get_structure(meta);
    const char *known = known_type(text + r->content_type, r->content_type_len);
    take(s, q_payload, part_of(all, r->data, r->size));
    if (known != NULL) {
      type = (GValue)G_VALUE_INIT;
      g_value_init(&type, G_TYPE_STRING);
      g_value_set_static_string(&type, known);
      take(s, q_content_type, type);
    } else {
      take(s, q_content_type, new_string(text + r->content_type, r->content_type_len));
    }
    if (r->key_len > 0)
      take(s, q_key, new_string(text + r->key, r->key_len));
    if (r->fields_size > 0)
      take(s, q_fields, part_of(all, r->fields, r->fields_size));
    if (r->timestamp != 0) {
      g_value_set_int64(&timestamp, r->timestamp);
      take(s, q_timestamp, timestamp);
    }
    g_value_set_uint(&comp_id, r->comp_id);
    take(s, q_comp_id, comp_id);
  }
  g_bytes_unref(all);
  return i == n;
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
  if ((p->content_type = get_string(s, q_content_type)) != NULL)
    p->content_type_len = strlen(p->content_type);
  if ((p->key = get_string(s, q_key)) != NULL)
    p->key_len = strlen(p->key);
  if ((v = gst_structure_id_get_value(s, q_fields)) != NULL && G_VALUE_HOLDS(v, G_TYPE_BYTES) && g_value_get_boxed(v) != NULL)
    p->fields = g_bytes_get_data(g_value_get_boxed(v), &p->fields_size);
  if ((v = gst_structure_id_get_value(s, q_timestamp)) != NULL && G_VALUE_HOLDS_INT64(v))
    p->timestamp = g_value_get_int64(v);
  if ((v = gst_structure_id_get_value(s, q_comp_id)) != NULL && G_VALUE_HOLDS_UINT(v))
    p->comp_id = g_value_get_uint(v);
  return TRUE;
}

// The wall-clock time that a source has put on the buffer, in ms since the epoch; 0 when there is none.
static gint64 buffer_time(gpointer buffer) {
  const guint64 between = G_GUINT64_CONSTANT(2208988800000); // ms from 1900, where NTP begins, to 1970
  GstReferenceTimestampMeta *meta;
  guint64 ms;
  if ((meta = gst_buffer_get_reference_timestamp_meta(buffer, unix_time)) != NULL)
    return (gint64)(meta->timestamp / GST_MSECOND);
  if ((meta = gst_buffer_get_reference_timestamp_meta(buffer, ntp_time)) == NULL)
    return 0;
  ms = meta->timestamp / GST_MSECOND;
  return ms > between ? (gint64)(ms - between) : 0;
}

// Fills batch with the next payloads; its state starts as NULL. Fewer than EW_BATCH
// means the end. With whole, a buffer without such metas is a payload by itself,
// which must be released. FALSE if its memory cannot be read.
gboolean ew_payload_collect(gpointer buffer, EwBatch *batch, gboolean whole) {
  GstMeta *meta;
  gboolean first = batch->state == NULL;
  batch->n = 0;
  while (batch->n < EW_BATCH && (meta = gst_buffer_iterate_meta_filtered(buffer, &batch->state, info->api)) != NULL) {
    if (read_meta(gst_custom_meta_get_structure((GstCustomMeta *)meta), &batch->out[batch->n]))
      batch->n++;
  }
  for (guint i = 0; i < batch->n; i++)
    if (batch->out[i].timestamp == 0)
      batch->out[i].timestamp = buffer_time(buffer);
  if (batch->n > 0 || !whole || !first)
    return TRUE;
  if (!gst_buffer_map(buffer, &batch->map, GST_MAP_READ))
    return FALSE;
  batch->mapped = TRUE;
  batch->out[0] = (EwPayload){.data = batch->map.data, .size = batch->map.size, .timestamp = buffer_time(buffer)};
  batch->n = 1;
  return TRUE;
}

void ew_payload_release(gpointer buffer, EwBatch *batch) {
  batch->mapped = FALSE;
  gst_buffer_unmap(buffer, &batch->map);
}
