// SPDX-License-Identifier: LGPL-2.1-or-later
#ifndef EW_CLOUD_H
#define EW_CLOUD_H

#include <gst/gst.h>
#include <stdint.h>

// The element called name in the pipeline that element is in, however deep; the caller's. NULL if there is none.
GstElement *ew_cloud_find(gpointer element, const char *name);

enum { EW_CLOUD_RECORD_NONE, EW_CLOUD_RECORD_OURS, EW_CLOUD_RECORD_SR };
int ew_cloud_record_kind(GstElement *e, gboolean start);

typedef struct {
  guint session;
  guint64 missing; // ms
  char *error; // NULL: it went well. To be freed
} EwCloudAnswer;
EwCloudAnswer ew_cloud_start(GstElement *e, int kind, guint64 back_ms, guint64 duration_ms, const char *name);
EwCloudAnswer ew_cloud_stop(GstElement *e, int kind, guint session);

// Hears sr-done where it brings a GstStructure; 0 where it does not.
gulong ew_cloud_hear(GstElement *e, uintptr_t handle);

// NULL: it is set. Otherwise why not, to be freed.
enum { EW_CLOUD_BOOL, EW_CLOUD_NUMBER, EW_CLOUD_TEXT };
char *ew_cloud_set(GstElement *e, const char *property, int kind, const char *text);

#endif
