// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The groups, key points and texts that GStreamer 1.30 adds to its analytics
// library, with the public signatures (gst/analytics), on top of the library of an
// older one: a stand-in for tests.
#include <gst/gst.h>
#include <string.h>

typedef struct {
  guint id;
  gpointer meta;
} Mtd;

typedef struct {
  const char *name;
  gboolean (*transform)(GstBuffer *, Mtd *, GstBuffer *, GQuark, gpointer);
  void (*clear)(GstBuffer *, Mtd *);
  gpointer reserved[GST_PADDING_LARGE];
} Impl;

// Of the real library.
gpointer gst_analytics_relation_meta_add_mtd(gpointer meta, const Impl *impl, gsize size, Mtd *mtd);
gpointer gst_analytics_relation_meta_get_mtd_data(gpointer meta, guint id);

typedef struct {
  gsize n;
  guint members[64];
} Group;

typedef struct {
  gint dimension, x, y, z;
  gfloat confidence;
} Point;

typedef struct {
  gfloat confidence;
  char text[64];
} Text;

static const Impl group_impl = {.name = "group"}, point_impl = {.name = "point"}, text_impl = {.name = "text"};

guintptr gst_analytics_group_mtd_get_mtd_type(void);
guintptr gst_analytics_group_mtd_get_mtd_type(void) { return (guintptr)&group_impl; }
guintptr gst_analytics_keypoint_mtd_get_mtd_type(void);
guintptr gst_analytics_keypoint_mtd_get_mtd_type(void) { return (guintptr)&point_impl; }
guintptr gst_analytics_text_mtd_get_mtd_type(void);
guintptr gst_analytics_text_mtd_get_mtd_type(void) { return (guintptr)&text_impl; }

static gpointer data_of(const Mtd *mtd) { return gst_analytics_relation_meta_get_mtd_data(mtd->meta, mtd->id); }

gsize gst_analytics_group_mtd_get_member_count(const Mtd *mtd);
gsize gst_analytics_group_mtd_get_member_count(const Mtd *mtd) { return ((Group *)data_of(mtd))->n; }

gboolean gst_analytics_group_mtd_get_member(const Mtd *mtd, gsize i, Mtd *member);
gboolean gst_analytics_group_mtd_get_member(const Mtd *mtd, gsize i, Mtd *member) {
  const Group *g = data_of(mtd);
  if (i >= g->n)
    return FALSE;
  *member = (Mtd){g->members[i], mtd->meta};
  return TRUE;
}

gboolean gst_analytics_keypoint_mtd_get_position(const Mtd *mtd, gint *x, gint *y, gint *z, gint *dimension);
gboolean gst_analytics_keypoint_mtd_get_position(const Mtd *mtd, gint *x, gint *y, gint *z, gint *dimension) {
  const Point *p = data_of(mtd);
  *x = p->x, *y = p->y, *z = p->z, *dimension = p->dimension;
  return TRUE;
}

gboolean gst_analytics_keypoint_mtd_get_confidence(const Mtd *mtd, gfloat *confidence);
gboolean gst_analytics_keypoint_mtd_get_confidence(const Mtd *mtd, gfloat *confidence) {
  *confidence = ((Point *)data_of(mtd))->confidence;
  return TRUE;
}

const gchar *gst_analytics_text_mtd_get_text(const Mtd *mtd);
const gchar *gst_analytics_text_mtd_get_text(const Mtd *mtd) { return ((Text *)data_of(mtd))->text; }

gfloat gst_analytics_text_mtd_get_confidence(const Mtd *mtd);
gfloat gst_analytics_text_mtd_get_confidence(const Mtd *mtd) { return ((Text *)data_of(mtd))->confidence; }

// For the test: they give the new mtd's id.
guint add_point(gpointer meta, gint x, gint y, gfloat confidence);
guint add_point(gpointer meta, gint x, gint y, gfloat confidence) {
  Mtd mtd;
  Point *p = gst_analytics_relation_meta_add_mtd(meta, &point_impl, sizeof *p, &mtd);
  *p = (Point){2, x, y, 0, confidence};
  return mtd.id;
}

guint add_group(gpointer meta, const guint *members, guint n);
guint add_group(gpointer meta, const guint *members, guint n) {
  Mtd mtd;
  Group *g = gst_analytics_relation_meta_add_mtd(meta, &group_impl, sizeof *g, &mtd);
  g->n = MIN(n, G_N_ELEMENTS(g->members));
  memcpy(g->members, members, g->n * sizeof *members);
  return mtd.id;
}

guint add_text(gpointer meta, const char *text, gfloat confidence);
guint add_text(gpointer meta, const char *text, gfloat confidence) {
  Mtd mtd;
  Text *t = gst_analytics_relation_meta_add_mtd(meta, &text_impl, sizeof *t, &mtd);
  t->confidence = confidence;
  g_strlcpy(t->text, text, sizeof t->text);
  return mtd.id;
}
