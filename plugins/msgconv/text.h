// SPDX-License-Identifier: LGPL-2.1-or-later
#ifndef EW_TEXT_H
#define EW_TEXT_H

#include <glib.h>
#include <string.h>

// A string of the buffer's or of GLib's; text is NULL for none.
typedef struct {
  const char *text;
  gsize len;
} EwText;

static inline EwText text_of(const char *s) {
  return (EwText){s, s != NULL ? strlen(s) : 0};
}

#endif
