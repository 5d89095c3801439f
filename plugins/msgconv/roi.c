// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Flattens a buffer's GstVideoRegionOfInterestMeta into arrays, so that a frame
// with any number of objects costs one call.
#include "roi.h"
#include <string.h>

#define NTP_TO_UNIX (G_GINT64_CONSTANT(2208988800) * GST_SECOND)

static gboolean get_number(const GstStructure *s, const char *field, gdouble *out) {
  const GValue *v = gst_structure_get_value(s, field);
  if (v == NULL)
    return FALSE;
  if (G_VALUE_HOLDS_DOUBLE(v))
    *out = g_value_get_double(v);
  else if (G_VALUE_HOLDS_FLOAT(v))
    *out = g_value_get_float(v);
  else
    return FALSE;
  return TRUE;
}

static gboolean get_integer(const GstStructure *s, const char *field, gint64 *out) {
  const GValue *v = gst_structure_get_value(s, field);
  if (v == NULL)
    return FALSE;
  if (G_VALUE_HOLDS_INT(v))
    *out = g_value_get_int(v);
  else if (G_VALUE_HOLDS_UINT(v))
    *out = g_value_get_uint(v);
  else if (G_VALUE_HOLDS_INT64(v))
    *out = g_value_get_int64(v);
  else if (G_VALUE_HOLDS_UINT64(v))
    *out = (gint64)g_value_get_uint64(v);
  else
    return FALSE;
  return TRUE;
}

static void read_param(const GstStructure *s, EwRoiParam *p) {
  memset(p, 0, sizeof *p);
  p->name = gst_structure_get_name(s);
  p->label = gst_structure_get_string(s, "label");
  p->attribute = gst_structure_get_string(s, "attribute_name");
  p->has_confidence = get_number(s, "confidence", &p->confidence) || get_number(s, "score", &p->confidence);
  p->has_id = get_integer(s, "id", &p->id) || get_integer(s, "object_id", &p->id) ||
      get_integer(s, "object-id", &p->id) || get_integer(s, "tracking-id", &p->id);
  p->has_class_id = get_integer(s, "label_id", &p->class_id) || get_integer(s, "class_id", &p->class_id) ||
      get_integer(s, "label-id", &p->class_id) || get_integer(s, "class-id", &p->class_id);
}

static gint64 reference_time(GstBuffer *buffer) {
  gpointer state = NULL;
  GstMeta *meta;
  while ((meta = gst_buffer_iterate_meta_filtered(buffer, &state, GST_REFERENCE_TIMESTAMP_META_API_TYPE)) != NULL) {
    GstReferenceTimestampMeta *r = (GstReferenceTimestampMeta *)meta;
    if (r->reference == NULL || gst_caps_is_empty(r->reference) || gst_caps_is_any(r->reference) ||
        !GST_CLOCK_TIME_IS_VALID(r->timestamp))
      continue;
    const char *name = gst_structure_get_name(gst_caps_get_structure(r->reference, 0));
    if (g_str_equal(name, "timestamp/x-unix"))
      return (gint64)r->timestamp;
    if (g_str_equal(name, "timestamp/x-ntp") && (gint64)r->timestamp > NTP_TO_UNIX)
      return (gint64)r->timestamp - NTP_TO_UNIX;
  }
  return 0;
}

// Writes what fits and counts all, so that the caller can come again with more room.
void ew_roi_collect(gpointer buffer, EwRoi *rois, guint max_rois, EwRoiParam *params, guint max_params, EwRoiCount *count) {
  gpointer state = NULL;
  GstMeta *meta;
  count->rois = count->params = 0;
  while ((meta = gst_buffer_iterate_meta_filtered(buffer, &state, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE)) != NULL) {
    GstVideoRegionOfInterestMeta *m = (GstVideoRegionOfInterestMeta *)meta;
    guint n = 0;
    for (GList *l = m->params; l != NULL; l = l->next, n++) {
      if (count->params < max_params)
        read_param(l->data, &params[count->params]);
      count->params++;
    }
    if (count->rois < max_rois) {
      const char *type = g_quark_to_string(m->roi_type);
      rois[count->rois] = (EwRoi){.type = type ? type : "", .x = m->x, .y = m->y, .w = m->w, .h = m->h, .id = m->id,
          .parent_id = m->parent_id, .n_params = n};
    }
    count->rois++;
  }
  count->unix_ns = reference_time(buffer);
}
