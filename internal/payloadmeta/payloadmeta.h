// SPDX-License-Identifier: LGPL-2.1-or-later
#ifndef EW_PAYLOADMETA_H
#define EW_PAYLOADMETA_H

#include <gst/gst.h>

#define EW_PAYLOAD_META "EdgewirePayload"

// What a meta says. The pointers belong to the buffer.
typedef struct {
  const char *content_type, *key;
  gconstpointer data;
  gsize size;
  gint64 timestamp; // ms since the epoch, 0 unknown
  guint comp_id;
} EwPayload;

gboolean ew_payload_register(void);
gboolean ew_payload_attach(gpointer buffer, gconstpointer data, gsize size, const char *content_type,
    gsize content_type_len, const char *key, gsize key_len, gint64 timestamp, guint comp_id);
guint ew_payload_collect(gpointer buffer, gpointer *state, EwPayload *out, guint max);

#endif
