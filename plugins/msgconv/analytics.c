// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Flattens a buffer's GstAnalyticsRelationMeta into arrays. The library that made
// the meta (libgstanalytics, GStreamer 1.24 and newer) is in the process already:
// its functions are looked up there once, so that older GStreamers do without.
#define _GNU_SOURCE
#include "analytics.h"
#include <dlfcn.h>
#include <gst/video/gstvideometa.h>
#include <math.h>
#include <stdlib.h>

// gst/analytics: the public handle, and the kinds of relations.
typedef struct {
  guint id;
  gpointer meta;
} Mtd;

#define REL_IS_PART_OF (1 << 1)
#define REL_CONTAIN (1 << 2)
#define REL_RELATE_TO (1 << 3)
#define REL_ANY G_MAXINT

#define MAX_MASK_SIDE 16384

enum { KIND_OTHER, KIND_OD, KIND_TRACKING, KIND_CLS, KIND_SEGMENTATION, KIND_GROUP, KIND_KEYPOINT, KIND_TEXT, N_KINDS };

static struct {
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
} lib;

// Functions of one row come together. An incomplete row is as good as none: its
// kind of mtd is then not known, and passed over.
typedef struct {
  const char *name;
  gpointer *to;
} Wanted;

#define F(name, field) {"gst_analytics_" name, (gpointer *)&lib.field}
static const Wanted core[] = {
    F("mtd_get_mtd_type", mtd_type), F("relation_meta_iterate", iterate),
    F("relation_meta_get_direct_related", related), F("relation_meta_get_relation", relation),
    F("od_mtd_get_location", od_location), F("od_mtd_get_obj_type", od_type),
    F("tracking_mtd_get_info", tracking_info), F("cls_mtd_get_length", cls_length),
    F("cls_mtd_get_level", cls_level), F("cls_mtd_get_quark", cls_quark),
    F("cls_mtd_get_index_by_quark", cls_index), {NULL, NULL}};
static const Wanted oriented[] = {F("od_mtd_get_oriented_location", od_oriented), {NULL, NULL}};
static const Wanted segmentation[] = {F("segmentation_mtd_get_mask", mask),
    F("segmentation_mtd_get_region_count", region_count), F("segmentation_mtd_get_region_id", region_id), {NULL, NULL}};
static const Wanted group[] = {F("group_mtd_get_member_count", group_count), F("group_mtd_get_member", group_member), {NULL, NULL}};
static const Wanted keypoint[] = {F("keypoint_mtd_get_position", point_position),
    F("keypoint_mtd_get_confidence", point_confidence), {NULL, NULL}};
static const Wanted text[] = {F("text_mtd_get_text", text), F("text_mtd_get_confidence", text_confidence), {NULL, NULL}};
#undef F

GType ew_analytics_api;

// The meta's type need not be registered yet; what has its name is it.
gboolean ew_analytics_learn(GType api) {
  static GQuark name;
  if (name == 0)
    name = g_quark_from_static_string("GstAnalyticsRelationMetaAPI");
  if (g_type_qname(api) != name)
    return FALSE;
  __atomic_store_n(&ew_analytics_api, api, __ATOMIC_RELAXED);
  return TRUE;
}

static gpointer look_up(void *library, const char *name) {
  gpointer f = library != NULL ? dlsym(library, name) : NULL;
  return f != NULL ? f : dlsym(RTLD_DEFAULT, name); // GStreamer may be linked into the program
}

// Resolves a row and, if complete, the mtd's type; else gives the name that is missing.
static const char *resolve(void *library, const Wanted *row, int kind, const char *type) {
  const char *missing = NULL;
  for (const Wanted *w = row; w->name != NULL; w++)
    if ((*w->to = look_up(library, w->name)) == NULL && missing == NULL)
      missing = w->name;
  if (type != NULL && missing == NULL) {
    guintptr (*get)(void) = (guintptr(*)(void))look_up(library, type);
    if (get == NULL)
      missing = type;
    else
      lib.type[kind] = get();
  }
  return missing;
}

static void resolve_all(const GstMeta *meta) {
  static gsize once;
  if (!g_once_init_enter(&once))
    return;
  // GStreamer loads plugins RTLD_LOCAL and their libraries with them: the library
  // is found by a function of its own that the meta names, or else by its name.
  Dl_info info;
  void *library = NULL;
  gpointer own = (gpointer)meta->info->init_func;
  if (own != NULL && dladdr(own, &info) != 0 && info.dli_fname != NULL)
    library = dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
  if (library == NULL)
    library = dlopen("libgstanalytics-1.0.so.0", RTLD_LAZY | RTLD_NOLOAD);
  const char *missing[] = {
      resolve(library, core, KIND_OD, "gst_analytics_od_mtd_get_mtd_type"),
      resolve(library, core, KIND_TRACKING, "gst_analytics_tracking_mtd_get_mtd_type"),
      resolve(library, core, KIND_CLS, "gst_analytics_cls_mtd_get_mtd_type"),
  };
  for (guint i = 0; i < G_N_ELEMENTS(missing) && lib.missing == NULL; i++)
    lib.missing = missing[i];
  if (resolve(library, oriented, KIND_OTHER, NULL) != NULL)
    lib.od_oriented = NULL;
  resolve(library, segmentation, KIND_SEGMENTATION, "gst_analytics_segmentation_mtd_get_mtd_type");
  resolve(library, group, KIND_GROUP, "gst_analytics_group_mtd_get_mtd_type");
  resolve(library, keypoint, KIND_KEYPOINT, "gst_analytics_keypoint_mtd_get_mtd_type");
  resolve(library, text, KIND_TEXT, "gst_analytics_text_mtd_get_mtd_type");
  g_once_init_leave(&once, 1); // the library stays open: its functions are in use
}

// An edge between an object and something else, whichever of them it came from.
typedef struct {
  guint object; // its place in EwAnList.objects
  guint mtd;
  gint relation; // as from the object, several or'ed
} Edge;

typedef struct {
  guint id;
  guint8 kind;
  gint object; // of an object: its place in EwAnList.objects
  guint8 part; // it is said to belong to something that is not an object: no result of its own
} Node;

struct EwAnalytics {
  GArray *nodes, *edges; // of Node, by id, and of Edge
  guint max_objects, max_results, max_points, max_masks, max_regions;
};

#define GROW(list, field, max) \
  ((list)->n_##field == (list)->scratch->max \
          ? ((list)->scratch->max = MAX(32, 2 * (list)->scratch->max), \
                (list)->field = g_realloc_n((list)->field, (list)->scratch->max, sizeof *(list)->field)) \
          : NULL, \
      &(list)->field[(list)->n_##field++])

EwAnList *ew_analytics_new(void) {
  EwAnList *list = g_new0(EwAnList, 1);
  list->scratch = g_new0(EwAnalytics, 1);
  list->scratch->nodes = g_array_new(FALSE, TRUE, sizeof(Node));
  list->scratch->edges = g_array_new(FALSE, FALSE, sizeof(Edge));
  return list;
}

void ew_analytics_free(EwAnList *list) {
  if (list == NULL)
    return;
  ew_analytics_unmap(list);
  g_array_unref(list->scratch->nodes);
  g_array_unref(list->scratch->edges);
  g_free(list->scratch);
  g_free(list->objects);
  g_free(list->results);
  g_free(list->points);
  g_free(list->masks);
  g_free(list->regions);
  g_free(list);
}

// Gives the masks back, which may come from a pool that waits for them.
void ew_analytics_unmap(EwAnList *list) {
  for (guint i = 0; i < list->n_masks; i++) {
    gst_buffer_unmap(list->masks[i].buffer, &list->masks[i].map);
    gst_buffer_unref(list->masks[i].buffer);
  }
  list->n_masks = list->n_regions = 0;
}

void ew_analytics_reset(EwAnList *list) {
  ew_analytics_unmap(list);
  list->n_objects = list->n_results = list->n_points = 0;
}

static guint8 kind_of(Mtd *mtd) {
  guintptr type = lib.mtd_type(mtd);
  for (guint8 k = KIND_OD; k < N_KINDS; k++)
    if (type != 0 && lib.type[k] == type)
      return k;
  return KIND_OTHER;
}

static EwText text_of_quark(GQuark q) { return text_of(q != 0 ? g_quark_to_string(q) : NULL); }

static gfloat level_of(gfloat level) { return isfinite(level) ? level : -1; }

static void add_object(EwAnList *list, Mtd *mtd) {
  EwAnObject *o = GROW(list, objects, max_objects);
  gfloat confidence = -1;
  *o = (EwAnObject){.mtd = mtd->id, .label = text_of_quark(lib.od_type(mtd))};
  lib.od_location(mtd, &o->x, &o->y, &o->w, &o->h, &confidence);
  o->confidence = level_of(confidence);
  if (lib.od_oriented == NULL || !lib.od_oriented(mtd, &o->rx, &o->ry, &o->rw, &o->rh, &o->rotation, &confidence) ||
      !isfinite(o->rotation))
    o->rotation = 0;
}

static void add_result(EwAnList *list, Mtd *mtd, gboolean read) {
  EwAnResult r = {.level = -1, .text = read};
  if (read) {
    r.label = text_of(lib.text(mtd));
    r.level = level_of(lib.text_confidence(mtd));
  } else {
    // A classifier may list every class that it knows: the most probable counts.
    gsize n = lib.cls_length(mtd);
    for (gsize i = 0; i < n; i++) {
      gfloat level = level_of(lib.cls_level(mtd, i));
      if (i > 0 && level <= r.level)
        continue;
      r.label = text_of_quark(lib.cls_quark(mtd, i));
      r.level = level;
    }
  }
  if (r.label.text != NULL && r.label.len > 0)
    *GROW(list, results, max_results) = r;
}

static void add_point(EwAnList *list, Mtd *mtd) {
  EwAnPoint *p = GROW(list, points, max_points);
  gint z, dimension;
  *p = (EwAnPoint){0};
  if (!lib.point_position(mtd, &p->x, &p->y, &z, &dimension) || !lib.point_confidence(mtd, &p->confidence) ||
      !(p->confidence > 0))
    *p = (EwAnPoint){0};
}

// A related classification names a mask's regions, by their places.
static gboolean names_of_regions(gpointer meta, guint id, Mtd *names) {
  gpointer state = NULL;
  return lib.related(meta, id, REL_ANY, lib.type[KIND_CLS], &state, names);
}

static void add_mask(EwAnList *list, Mtd *mtd, gint object) {
  EwAnMask m = {.object = object};
  const GstVideoMeta *v;
  m.buffer = lib.mask(mtd, &m.x, &m.y, &m.w, &m.h);
  if (m.buffer == NULL)
    return;
  v = gst_buffer_get_video_meta(m.buffer);
  m.bytes = v == NULL ? 0 : v->format == GST_VIDEO_FORMAT_GRAY8 ? 1
      : v->format == GST_VIDEO_FORMAT_GRAY16_LE || v->format == GST_VIDEO_FORMAT_GRAY16_BE ? 2 : 0;
  if (m.bytes == 0 || v->width == 0 || v->height == 0 || v->width > MAX_MASK_SIDE || v->height > MAX_MASK_SIDE ||
      v->stride[0] < 0 || (guint)v->stride[0] < v->width * m.bytes || !gst_buffer_map(m.buffer, &m.map, GST_MAP_READ)) {
    gst_buffer_unref(m.buffer);
    return;
  }
  gsize need = v->offset[0] + (gsize)v->stride[0] * (v->height - 1) + (gsize)v->width * m.bytes;
  if (v->offset[0] > m.map.size || need > m.map.size) { // what the meta says does not fit
    gst_buffer_unmap(m.buffer, &m.map);
    gst_buffer_unref(m.buffer);
    return;
  }
  m.data = m.map.data + v->offset[0];
  m.width = v->width;
  m.height = v->height;
  m.stride = (guint)v->stride[0];
  m.big = v->format == GST_VIDEO_FORMAT_GRAY16_BE;
  if (object < 0) {
    Mtd names;
    gboolean named = names_of_regions(mtd->meta, mtd->id, &names);
    gsize n_names = named ? lib.cls_length(&names) : 0, n = MIN(lib.region_count(mtd), 65536);
    for (gsize i = 0; i < n; i++) {
      EwAnRegion r = {.id = lib.region_id(mtd, i), .level = -1};
      if (i < n_names) {
        r.label = text_of_quark(lib.cls_quark(&names, i));
        r.level = level_of(lib.cls_level(&names, i));
      }
      *GROW(list, regions, max_regions) = r;
      m.n_regions++;
    }
  }
  *GROW(list, masks, max_masks) = m;
}

static gint by_object(gconstpointer a, gconstpointer b) {
  const Edge *x = a, *y = b;
  if (x->object != y->object)
    return x->object < y->object ? -1 : 1;
  return x->mtd < y->mtd ? -1 : x->mtd > y->mtd;
}

static Node *node_of(EwAnalytics *s, guint id) {
  return id < s->nodes->len ? &g_array_index(s->nodes, Node, id) : NULL;
}

// The other way round, "contains" is "is part of".
static gint turned(gint relation) {
  gint rest = relation & ~(REL_CONTAIN | REL_IS_PART_OF);
  return rest | (relation & REL_CONTAIN ? REL_IS_PART_OF : 0) | (relation & REL_IS_PART_OF ? REL_CONTAIN : 0);
}

// Who relates to whom: edges of objects, and marks on what is part of something else.
static void connect(EwAnalytics *s, gpointer meta) {
  g_array_set_size(s->edges, 0);
  for (guint id = 0; id < s->nodes->len; id++) {
    Node *from = node_of(s, id);
    gpointer state = NULL;
    Mtd other;
    if (from->kind == KIND_OTHER)
      continue;
    while (lib.related(meta, id, REL_ANY, 0, &state, &other)) {
      Node *to = node_of(s, other.id);
      if (to == NULL || to == from || to->kind == KIND_OTHER || (from->kind == KIND_KEYPOINT && to->kind == KIND_KEYPOINT))
        continue; // points are related by the bones of a skeleton
      gint relation = lib.relation(meta, id, other.id);
      if (from->kind == KIND_OD && to->kind != KIND_OD)
        g_array_append_val(s->edges, ((Edge){(guint)from->object, other.id, relation}));
      else if (to->kind == KIND_OD && from->kind != KIND_OD)
        g_array_append_val(s->edges, ((Edge){(guint)to->object, id, turned(relation)}));
      if (from->kind == KIND_CLS && to->kind == KIND_CLS && !(relation & REL_RELATE_TO))
        continue; // a finer class of another: both say something
      to->part = TRUE;
      if (from->kind != KIND_CLS || to->kind != KIND_CLS) // a classification may point to a list of all classes
        from->part = TRUE;
    }
  }
  g_array_sort(s->edges, by_object);
}

static void attach(EwAnList *list, EwAnObject *o, gpointer meta, const Edge *e, guint8 kind) {
  Mtd mtd = {e->mtd, meta};
  switch (kind) {
    case KIND_TRACKING:
      if (!o->has_id)
        o->has_id = lib.tracking_info(&mtd, &o->id, NULL, NULL, NULL);
      break;
    case KIND_CLS: {
      // A list of all classes that the detector knows gives the class its number
      // (DL Streamer); it is related to every object and part of none.
      GQuark q = o->label.text != NULL ? g_quark_try_string(o->label.text) : 0;
      gint index = q != 0 && !(e->relation & (REL_CONTAIN | REL_IS_PART_OF)) ? lib.cls_index(&mtd, q) : -1;
      if (index >= 0) {
        o->class_id = index;
        o->has_class = TRUE;
      } else
        add_result(list, &mtd, FALSE);
      break;
    }
    case KIND_TEXT:
      add_result(list, &mtd, TRUE);
      break;
    case KIND_GROUP: {
      gsize n = lib.group_count(&mtd);
      Mtd member;
      if (o->n_points > 0)
        break; // one skeleton for an object
      o->grouped = TRUE;
      for (gsize i = 0; i < n; i++)
        if (lib.group_member(&mtd, i, &member) && kind_of(&member) == KIND_KEYPOINT)
          add_point(list, &member);
      break;
    }
    case KIND_KEYPOINT:
      if (!o->grouped)
        add_point(list, &mtd);
      break;
  }
}

// Does a mask belong to more objects than one? Then nobody says which part is whose.
static gboolean shared(const EwAnalytics *s, guint mtd, guint object) {
  for (guint i = 0; i < s->edges->len; i++) {
    const Edge *e = &g_array_index(s->edges, Edge, i);
    if (e->mtd == mtd && e->object != object)
      return TRUE;
  }
  return FALSE;
}

void ew_analytics_add(EwAnList *list, GstMeta *meta) {
  EwAnalytics *s = list->scratch;
  gpointer state = NULL;
  Mtd mtd;
  resolve_all(meta);
  list->missing = lib.missing;
  if (lib.missing != NULL)
    return;
  guint first = list->n_objects;
  g_array_set_size(s->nodes, 0);
  while (lib.iterate(meta, &state, 0, &mtd)) {
    Node n = {.id = mtd.id, .kind = kind_of(&mtd), .object = -1};
    if (mtd.id != s->nodes->len) // ids are given from 0 on without a gap
      break;
    if (n.kind == KIND_OD) {
      n.object = (gint)list->n_objects;
      add_object(list, &mtd);
    }
    g_array_append_val(s->nodes, n);
  }
  connect(s, meta);
  const Edge *e = s->edges->len > 0 ? &g_array_index(s->edges, Edge, 0) : NULL, *end = e + s->edges->len;
  for (guint i = first; i < list->n_objects; i++) {
    guint results = list->n_results, points = list->n_points;
    for (; e < end && e->object == i; e++) {
      Edge all = *e;
      while (e + 1 < end && e[1].object == i && e[1].mtd == all.mtd) // said from both sides
        all.relation |= (++e)->relation;
      guint8 kind = node_of(s, all.mtd)->kind;
      if (kind != KIND_SEGMENTATION)
        attach(list, &list->objects[i], meta, &all, kind);
      else if (!shared(s, all.mtd, i))
        add_mask(list, &(Mtd){all.mtd, meta}, (gint)i);
      list->objects[i].n_points = list->n_points - points;
    }
    list->objects[i].n_results = list->n_results - results;
  }
  // What belongs to no object speaks of the whole picture.
  for (guint id = 0; id < s->nodes->len; id++) {
    const Node *n = node_of(s, id);
    Mtd whole = {id, meta};
    if (n->kind == KIND_SEGMENTATION && !shared(s, id, G_MAXUINT))
      add_mask(list, &whole, -1);
    else if ((n->kind == KIND_CLS || n->kind == KIND_TEXT) && !n->part) {
      guint results = list->n_results;
      add_result(list, &whole, n->kind == KIND_TEXT);
      if (list->n_results > results) {
        EwAnObject *o = GROW(list, objects, max_objects);
        *o = (EwAnObject){.mtd = id, .frame = TRUE, .confidence = -1, .n_results = list->n_results - results};
      }
    }
  }
}
