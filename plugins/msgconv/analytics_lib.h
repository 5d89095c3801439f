// SPDX-License-Identifier: LGPL-2.1-or-later
//
// GStreamer's analytics library, as far as it is in the process.
#ifndef EW_ANALYTICS_LIB_H
#define EW_ANALYTICS_LIB_H

#include <gst/gst.h>

// gst/analytics: the public handle, and the kinds of relations.
typedef struct {
  guint id;
  gpointer meta;
} Mtd;

#define REL_IS_PART_OF (1 << 1)
#define REL_CONTAIN (1 << 2)
#define REL_RELATE_TO (1 << 3)
#define REL_ANY G_MAXINT

enum { KIND_OTHER, KIND_OD, KIND_TRACKING, KIND_CLS, KIND_SEGMENTATION, KIND_GROUP, KIND_KEYPOINT, KIND_TEXT, N_KINDS };

typedef struct {
  guintptr type[N_KINDS];
  // 1.24
  guintptr (*mtd_type)(Mtd *);
  gboolean (*iterate)(gpointer meta, gpointer *state, guintptr type, Mtd *);
  gboolean (*related)(gpointer meta, guint id, gint relation, guintptr type, gpointer *state, Mtd *);
  gint (*relation)(gpointer meta, guint first, guint second);
  gboolean (*od_location)(Mtd *, gint *x, gint *y, gint *w, gint *h, gfloat *confidence);
  GQuark (*od_type)(Mtd *);
  gboolean (*tracking_info)(Mtd *, guint64 *id, GstClockTime *first, GstClockTime *last, gboolean *lost);
  gsize (*cls_length)(Mtd *);
  gfloat (*cls_level)(Mtd *, gsize);
  GQuark (*cls_quark)(Mtd *, gsize);
  gint (*cls_index)(Mtd *, GQuark);
  // 1.26
  gboolean (*od_oriented)(Mtd *, gint *x, gint *y, gint *w, gint *h, gfloat *rotation, gfloat *confidence);
  GstBuffer *(*mask)(Mtd *, gint *x, gint *y, guint *w, guint *h);
  gsize (*region_count)(Mtd *);
  guint (*region_id)(Mtd *, gsize);
  // 1.30
  gsize (*group_count)(Mtd *);
  gboolean (*group_member)(Mtd *, gsize, Mtd *);
  gboolean (*point_position)(Mtd *, gint *x, gint *y, gint *z, gint *dimension);
  gboolean (*point_confidence)(Mtd *, gfloat *);
  const gchar *(*text)(Mtd *);
  gfloat (*text_confidence)(Mtd *);
  const char *missing; // of those of 1.24
} EwAnalyticsLib;

extern EwAnalyticsLib ew_analytics_lib;

void ew_analytics_lib_resolve(const GstMeta *meta);
guint8 ew_analytics_kind_of(Mtd *mtd);

#endif
