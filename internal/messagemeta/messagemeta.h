// SPDX-License-Identifier: LGPL-2.1-or-later
#ifndef EW_MESSAGEMETA_H
#define EW_MESSAGEMETA_H

#include <gst/gst.h>

#define EW_MESSAGE_META "EdgewireMessage"

// What a call gets besides the payload; the pointers are valid during the call.
typedef struct {
  gsize topic_len, position_len, key_len, headers_len;
  gint64 timestamp; // ms since the epoch, 0 unknown
  gboolean has_key, redelivered;
} EwMessage;

gboolean ew_message_register(void);
// A buffer with a copy of the payload and a meta that tells the rest. Texts are UTF-8.
gpointer ew_message_buffer(const guint8 *payload, gsize size, const guint8 *topic, const guint8 *position, const guint8 *key,
    const guint8 *headers, EwMessage m);

#endif
