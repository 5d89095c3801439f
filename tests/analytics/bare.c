// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A meta by the name of GstAnalyticsRelationMeta from a library that has none of
// the functions to read it.
#include <gst/gst.h>

typedef struct {
  GstMeta meta;
  gpointer inside[16];
} Bare;

static gboolean init(GstMeta *meta, gpointer params, GstBuffer *buffer) {
  (void)meta, (void)params, (void)buffer;
  return TRUE;
}

void add_bare(GstBuffer *buffer);
void add_bare(GstBuffer *buffer) {
  static const GstMetaInfo *info;
  static const gchar *tags[] = {NULL};
  if (info == NULL)
    info = gst_meta_register(gst_meta_api_type_register("GstAnalyticsRelationMetaAPI", tags), "GstAnalyticsRelationMeta",
        sizeof(Bare), init, NULL, NULL);
  gst_buffer_add_meta(buffer, info, NULL);
}
