// SPDX-License-Identifier: LGPL-2.1-or-later
#ifndef EW_ROI_H
#define EW_ROI_H

#include "analytics.h"
#include "find.h"
#include "text.h"
#include <gst/gst.h>
#include <gst/video/gstvideometa.h>

// A region of interest, flat.
typedef struct {
  EwText type;
  guint x, y, w, h;
  gint id;
  guint n_params; // how many of the params that follow are this region's
} EwRoi;

// What a parameter structure speaks of.
enum { EW_PARAM_OTHER, EW_PARAM_DETECTION, EW_PARAM_TRACKING };

// One of a region's parameter structures.
typedef struct {
  EwText name, label, attribute; // name: of a structure of the kind EW_PARAM_OTHER
  gdouble confidence;
  gint64 id, class_id;
  gint kind;
  gboolean has_confidence, has_id, has_class_id;
} EwRoiParam;

#define EW_N_TEXTS 64

// What a collect call found. It is C memory that is reused: were it Go's, cgo
// would look through all of it for Go pointers at every call.
typedef struct {
  EwRoi *rois;
  EwRoiParam *params;
  guint n_rois, n_params, max_rois, max_params;
  gint64 unix_ns; // of the buffer's reference timestamp, 0 if it has none
  gpointer nvds; // DeepStream's batch; the rest is empty then
  EwAnList *analytics; // NULL until a buffer has such metadata
  EwNvdsCache cache;
  struct {
    GQuark quark;
    EwText text;
  } texts[EW_N_TEXTS]; // of quarks that were met: finding one's length takes long
} EwRoiList;

gboolean ew_roi_none(GstBuffer *buffer);
EwRoiList *ew_roi_list_new(void);
void ew_roi_list_free(EwRoiList *list);
void ew_roi_collect(gpointer buffer, EwRoiList *list, gboolean regions);

#endif
