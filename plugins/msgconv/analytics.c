// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Flattens a buffer's GstAnalyticsRelationMeta into arrays.
#include "analytics.h"
#include "analytics_lib.h"
#include <gst/video/gstvideometa.h>
#include <math.h>

#define lib ew_analytics_lib

#define MAX_MASK_SIDE 16384

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

// Whether it matters what one kind says of its relation to another.
static gboolean matters(guint8 from, guint8 to) {
  if (from == KIND_OTHER || to == KIND_OTHER || (from == KIND_OD && to == KIND_OD))
    return FALSE;
  if (from == KIND_OD || to == KIND_OD)
    return TRUE;
  gboolean says = from == KIND_CLS || from == KIND_TEXT, said = to == KIND_CLS || to == KIND_TEXT;
  return (says || from == KIND_SEGMENTATION || from == KIND_GROUP) && (said || to == KIND_SEGMENTATION || to == KIND_GROUP) &&
      (says || said);
}

static void connect_pair(EwAnalytics *s, gpointer meta, Node *from, Node *to) {
  gint relation = lib.relation(meta, from->id, to->id);
  if (from->kind == KIND_OD)
    g_array_append_val(s->edges, ((Edge){(guint)from->object, to->id, relation}));
  else if (to->kind == KIND_OD)
    g_array_append_val(s->edges, ((Edge){(guint)to->object, from->id, turned(relation)}));
  else if (from->kind == KIND_CLS && to->kind == KIND_CLS) {
    // A classification may point to a list of all classes; a finer class of
    // another one says something as well.
    to->part |= (relation & REL_RELATE_TO) != 0;
    return;
  }
  from->part = to->part = TRUE;
}

// Who relates to whom: edges of objects, and marks on what is part of something else.
// The kinds are asked for one by one: of any kind, GStreamer 1.26 asserts when it
// is told to log what it does.
static void connect_all(EwAnalytics *s, gpointer meta) {
  gboolean there[N_KINDS] = {FALSE};
  for (guint id = 0; id < s->nodes->len; id++)
    there[node_of(s, id)->kind] = TRUE;
  g_array_set_size(s->edges, 0);
  for (guint id = 0; id < s->nodes->len; id++) {
    Node *from = node_of(s, id);
    for (guint8 kind = KIND_OD; kind < N_KINDS; kind++) {
      gpointer state = NULL;
      Mtd other;
      if (!there[kind] || !matters(from->kind, kind))
        continue;
      while (lib.related(meta, id, REL_ANY, lib.type[kind], &state, &other)) {
        Node *to = node_of(s, other.id);
        if (to != NULL && to != from)
          connect_pair(s, meta, from, to);
      }
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
        if (lib.group_member(&mtd, i, &member) && member.id < list->scratch->nodes->len && ew_analytics_kind_of(&member) == KIND_KEYPOINT)
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
  ew_analytics_lib_resolve(meta);
  list->missing = lib.missing;
  if (lib.missing != NULL)
    return;
  guint first = list->n_objects;
  g_array_set_size(s->nodes, 0);
  while (lib.iterate(meta, &state, 0, &mtd)) {
    Node n = {.id = mtd.id, .kind = ew_analytics_kind_of(&mtd), .object = -1};
    if (mtd.id != s->nodes->len) // ids are given from 0 on without a gap
      break;
    if (n.kind == KIND_OD) {
      n.object = (gint)list->n_objects;
      add_object(list, &mtd);
    }
    g_array_append_val(s->nodes, n);
  }
  connect_all(s, meta);
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
