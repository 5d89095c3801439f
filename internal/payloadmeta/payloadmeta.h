// SPDX-License-Identifier: LGPL-2.1-or-later
#ifndef EW_PAYLOADMETA_H
#define EW_PAYLOADMETA_H

#include <gst/gst.h>

#define EW_PAYLOAD_META "EdgewirePayload"

// A payload to attach, as offsets into the bytes and the texts of a call: Go
// memory without pointers, which cgo need not look through.
typedef struct {
  guint64 data, size;
  guint64 fields, fields_size; // among the bytes
  guint32 content_type, content_type_len, key, key_len;
  gint64 timestamp;
  guint32 comp_id;
} EwRecord;

// What a meta says. The pointers belong to the buffer.
typedef struct {
  const char *content_type, *key;
  gsize content_type_len, key_len;
  gconstpointer data, fields;
  gsize size, fields_size;
  gint64 timestamp; // ms since the epoch, 0 unknown
  guint comp_id;
} EwPayload;

#define EW_BATCH 16

// What a collect call found. It is C memory that is reused, for cgo's sake too.
typedef struct {
  EwPayload out[EW_BATCH];
  guint n;
  gpointer state; // of the iteration
  gboolean mapped; // out[0] is the buffer's own memory, until released
  GstMapInfo map;
} EwBatch;

gboolean ew_payload_register(void);
gboolean ew_payload_attach(gpointer buffer, const guint8 *data, gsize size, const char *text, const EwRecord *records, guint n);
gboolean ew_payload_collect(gpointer buffer, EwBatch *batch, gboolean whole);
void ew_payload_release(gpointer buffer, EwBatch *batch);

#endif
