// SPDX-License-Identifier: LGPL-2.1-or-later
#ifndef EW_ANALYTICS_H
#define EW_ANALYTICS_H

#include "text.h"
#include <gst/gst.h>

// An object that was detected (GstAnalyticsODMtd) with what its relations add.
typedef struct {
  EwText label;
  guint mtd; // its number in the relation meta
  gint x, y, w, h; // of the upright rectangle around it
  gint rx, ry, rw, rh; // before rotation
  gfloat rotation; // radians, about the centre; 0 if upright
  gfloat confidence; // below 0 if there is none
  guint64 id;
  gint class_id;
  gboolean has_id, has_class, grouped; // grouped: the points are a group's
  gboolean frame; // not an object, but a classification of the whole picture
  guint n_results, n_points; // how many of the results and points that follow are this object's
} EwAnObject;

// What a classification or a text says about an object.
typedef struct {
  EwText label;
  gfloat level; // below 0 if there is none
  gboolean text; // it was read, not classified
} EwAnResult;

typedef struct {
  gint x, y;
  gfloat confidence;
} EwAnPoint;

// A mapped mask: 8 or 16 bits for each pixel.
typedef struct {
  GstBuffer *buffer;
  GstMapInfo map;
  const guint8 *data;
  guint width, height, stride; // pixels, rows, bytes
  guint bytes; // of a pixel: 1 or 2
  gboolean big; // endian
  gint x, y; // where it lies in the picture, pixels
  guint w, h;
  gint object; // whose it is, by its place in objects; -1 for a mask of its own
  guint n_regions; // how many of the regions that follow are this mask's
} EwAnMask;

typedef struct {
  guint id;
  EwText label;
  gfloat level; // below 0 if there is none
} EwAnRegion;

typedef struct EwAnalytics EwAnalytics;

// What a buffer's relation metas say, flat; C memory that is reused.
typedef struct {
  EwAnObject *objects;
  EwAnResult *results;
  EwAnPoint *points;
  EwAnMask *masks;
  EwAnRegion *regions;
  guint n_objects, n_results, n_points, n_masks, n_regions;
  const char *missing; // a function that GStreamer's library has not, NULL for none
  EwAnalytics *scratch;
} EwAnList;

gboolean ew_analytics_learn(GType api);

extern GType ew_analytics_api; // of GstAnalyticsRelationMeta, 0 until one was met

// Whether a meta is a GstAnalyticsRelationMeta. Of an API that was met before this
// is a comparison, as in nearly every call.
static inline gboolean ew_analytics_is(const GstMeta *meta) {
  GType known = __atomic_load_n(&ew_analytics_api, __ATOMIC_RELAXED);
  return known != 0 ? meta->info->api == known : ew_analytics_learn(meta->info->api);
}

EwAnList *ew_analytics_new(void);
void ew_analytics_free(EwAnList *list);
void ew_analytics_reset(EwAnList *list);
void ew_analytics_add(EwAnList *list, GstMeta *meta);
void ew_analytics_unmap(EwAnList *list);

#endif
