// SPDX-License-Identifier: LGPL-2.1-or-later
#include "messagemeta.h"
#include <string.h>

gboolean ew_message_register(void) {
  static gsize once;
  static gboolean ok;
  if (g_once_init_enter(&once)) {
    // Without tags and without a transform function GStreamer copies the meta
    // whenever a buffer is copied.
    static const gchar *tags[] = {NULL};
    ok = gst_meta_get_info(EW_MESSAGE_META) != NULL ||
         gst_meta_register_custom(EW_MESSAGE_META, tags, NULL, NULL, NULL) != NULL;
    g_once_init_leave(&once, 1);
  }
  return ok;
}

static void set_text(GstStructure *s, const char *field, const guint8 *text, gsize len) {
  GValue v = G_VALUE_INIT;
  g_value_init(&v, G_TYPE_STRING);
  g_value_take_string(&v, g_strndup((const char *)text, len));
  gst_structure_take_value(s, field, &v);
}

static void set_bytes(GstStructure *s, const char *field, const guint8 *data, gsize len) {
  GValue v = G_VALUE_INIT;
  g_value_init(&v, G_TYPE_BYTES);
  g_value_take_boxed(&v, g_bytes_new(data, len));
  gst_structure_take_value(s, field, &v);
}

// In the form of adapters.Headers: 2 bytes length and name, 4 bytes length and value, lengths little-endian.
static GstStructure *read_headers(const guint8 *h, gsize len) {
  GstStructure *s = gst_structure_new_empty("headers");
  while (len >= 6) {
    gsize n = GST_READ_UINT16_LE(h), v;
    if (n > len - 6)
      break;
    v = GST_READ_UINT32_LE(h + 2 + n);
    if (v > len - 6 - n)
      break;
    gchar *name = g_utf8_make_valid((const char *)h + 2, n);
    const guint8 *value = h + 6 + n;
    // A NUL ends g_utf8_validate_len with FALSE, as it should.
    if (g_utf8_validate_len((const char *)value, v, NULL))
      set_text(s, name, value, v);
    else
      set_bytes(s, name, value, v);
    g_free(name);
    h += 6 + n + v;
    len -= 6 + n + v;
  }
  return s;
}

gpointer ew_message_buffer(const guint8 *payload, gsize size, const guint8 *topic, const guint8 *position, const guint8 *key,
    const guint8 *headers, EwMessage m) {
  GstBuffer *b = gst_buffer_new_allocate(NULL, size, NULL);
  GstCustomMeta *meta = b ? gst_buffer_add_custom_meta(b, EW_MESSAGE_META) : NULL;
  if (meta == NULL) {
    gst_clear_buffer(&b);
    return NULL;
  }
  if (size > 0)
    gst_buffer_fill(b, 0, payload, size);
  GstStructure *s = gst_custom_meta_get_structure(meta);
  set_text(s, "topic", topic, m.topic_len);
  if (m.has_key)
    set_bytes(s, "key", key, m.key_len);
  if (m.timestamp != 0)
    gst_structure_set(s, "timestamp", G_TYPE_INT64, m.timestamp, NULL);
  if (m.position_len > 0)
    set_text(s, "position", position, m.position_len);
  gst_structure_set(s, "redelivered", G_TYPE_BOOLEAN, m.redelivered, NULL);
  if (m.headers_len > 0) {
    GValue v = G_VALUE_INIT;
    g_value_init(&v, GST_TYPE_STRUCTURE);
    g_value_take_boxed(&v, read_headers(headers, m.headers_len));
    gst_structure_take_value(s, "headers", &v);
  }
  return b;
}
