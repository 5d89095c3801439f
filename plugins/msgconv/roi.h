// SPDX-License-Identifier: LGPL-2.1-or-later
#ifndef EW_ROI_H
#define EW_ROI_H

#include <gst/gst.h>
#include <gst/video/gstvideometa.h>

// A region of interest, flat. The strings belong to the buffer or to GLib.
typedef struct {
  const char *type;
  guint x, y, w, h;
  gint id, parent_id;
  guint n_params; // how many of the params that follow are this region's
} EwRoi;

// One of a region's parameter structures.
typedef struct {
  const char *name, *label, *attribute;
  gdouble confidence;
  gint64 id, class_id;
  gboolean has_confidence, has_id, has_class_id;
} EwRoiParam;

// What a collect call wrote, and what it had needed.
typedef struct {
  guint rois, params;
  gint64 unix_ns; // of the buffer's reference timestamp, 0 if it has none
} EwRoiCount;

void ew_roi_collect(gpointer buffer, EwRoi *rois, guint max_rois, EwRoiParam *params, guint max_params, EwRoiCount *count);

#endif
