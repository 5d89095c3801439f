// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Flattens a buffer's GstVideoRegionOfInterestMeta into arrays, so that a frame
// with any number of objects costs one call.
#include "roi.h"
#include <string.h>

#define NTP_TO_UNIX (G_GINT64_CONSTANT(2208988800) * GST_SECOND)

// The fields that are read. A look-up by name costs a hash of the string under a
// global lock, so a structure is walked once, and its fields' numbers compared.
enum { FIELD_LABEL, FIELD_ATTRIBUTE, FIELD_CONFIDENCE, FIELD_ID, FIELD_CLASS, N_FIELDS };

static const struct {
  gint field;
  const char *name;
} names[] = {
    // Of two names for a field the first wins.
    {FIELD_LABEL, "label"},
    {FIELD_ATTRIBUTE, "attribute_name"},
    {FIELD_CONFIDENCE, "confidence"},
    {FIELD_CONFIDENCE, "score"},
    {FIELD_ID, "id"},
    {FIELD_ID, "object_id"},
    {FIELD_ID, "object-id"},
    {FIELD_ID, "tracking-id"},
    {FIELD_CLASS, "label_id"},
    {FIELD_CLASS, "class_id"},
    {FIELD_CLASS, "label-id"},
    {FIELD_CLASS, "class-id"},
};

static GQuark quarks[G_N_ELEMENTS(names)];
static guint8 slots[256]; // by the lowest byte of a quark: one of the names, from 1, that has it; 0 if none has
static GQuark q_detection, q_object_id, q_object_id_dash, q_tracking;

static void init_quarks(void) {
  static gsize once;
  if (g_once_init_enter(&once)) {
    for (guint i = 0; i < G_N_ELEMENTS(names); i++)
      slots[(quarks[i] = g_quark_from_static_string(names[i].name)) & 0xff] = i + 1;
    q_detection = g_quark_from_static_string("detection");
    q_object_id = g_quark_from_static_string("object_id");
    q_object_id_dash = g_quark_from_static_string("object-id");
    q_tracking = g_quark_from_static_string("tracking");
    g_once_init_leave(&once, 1);
  }
}

// The name that a field's quark stands for; G_N_ELEMENTS(names) for others.
static guint name_of(GQuark field) {
  guint i = slots[field & 0xff];
  if (i == 0)
    return G_N_ELEMENTS(names);
  if (quarks[--i] == field)
    return i;
  for (i = 0; i < G_N_ELEMENTS(names) && quarks[i] != field; i++)
    ;
  return i;
}

// Quarks last for ever, and so do their texts.
static EwText quark_text(EwRoiList *list, GQuark quark) {
  guint i = quark % EW_N_TEXTS;
  if (list->texts[i].quark != quark) {
    list->texts[i].quark = quark;
    list->texts[i].text = text_of(g_quark_to_string(quark));
  }
  return list->texts[i].text;
}

static gboolean get_number(const GValue *v, gdouble *out) {
  if (G_VALUE_HOLDS_DOUBLE(v))
    *out = g_value_get_double(v);
  else if (G_VALUE_HOLDS_FLOAT(v))
    *out = g_value_get_float(v);
  else
    return FALSE;
  return TRUE;
}

static gboolean get_integer(const GValue *v, gint64 *out) {
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

typedef struct {
  EwRoiParam *param;
  guint best[N_FIELDS]; // which of the names has been found; at first, none
} Walk;

static gboolean take_field(GQuark field, const GValue *v, gpointer data) {
  Walk *w = data;
  EwRoiParam *p = w->param;
  guint i = name_of(field);
  gboolean ok = FALSE;
  if (i == G_N_ELEMENTS(names) || i >= w->best[names[i].field])
    return TRUE;
  switch (names[i].field) {
    case FIELD_LABEL:
      if ((ok = G_VALUE_HOLDS_STRING(v)))
        p->label = text_of(g_value_get_string(v));
      break;
    case FIELD_ATTRIBUTE:
      if ((ok = G_VALUE_HOLDS_STRING(v)))
        p->attribute = text_of(g_value_get_string(v));
      break;
    case FIELD_CONFIDENCE:
      if ((ok = get_number(v, &p->confidence)))
        p->has_confidence = TRUE;
      break;
    case FIELD_ID: // a tracker's -1 means none; only a guint64 may be that large
      if ((ok = get_integer(v, &p->id) && (p->id >= 0 || G_VALUE_HOLDS_UINT64(v))))
        p->has_id = TRUE;
      break;
    case FIELD_CLASS:
      if ((ok = get_integer(v, &p->class_id)))
        p->has_class_id = TRUE;
      break;
  }
  if (ok)
    w->best[names[i].field] = i;
  return TRUE;
}

static void read_param(EwRoiList *list, const GstStructure *s, GQuark roi_type, EwRoiParam *p) {
  Walk walk = {p, {G_MAXUINT, G_MAXUINT, G_MAXUINT, G_MAXUINT, G_MAXUINT}};
  GQuark name = gst_structure_get_name_id(s);
  memset(p, 0, sizeof *p);
  if (name == q_detection || name == roi_type)
    p->kind = EW_PARAM_DETECTION;
  else if (name == q_object_id || name == q_object_id_dash || name == q_tracking)
    p->kind = EW_PARAM_TRACKING;
  else
    p->name = quark_text(list, name);
  gst_structure_foreach(s, take_field, &walk);
}

// The time of day that a meta gives, 0 for none.
static gint64 reference_time(const GstReferenceTimestampMeta *r) {
  if (r->reference == NULL || gst_caps_is_empty(r->reference) || gst_caps_is_any(r->reference) ||
      r->timestamp > G_MAXINT64)
    return 0;
  const char *name = gst_structure_get_name(gst_caps_get_structure(r->reference, 0));
  if (g_str_equal(name, "timestamp/x-unix"))
    return (gint64)r->timestamp;
  if (g_str_equal(name, "timestamp/x-ntp") && (gint64)r->timestamp > NTP_TO_UNIX)
    return (gint64)r->timestamp - NTP_TO_UNIX;
  return 0;
}

EwRoiList *ew_roi_list_new(void) {
  init_quarks();
  return g_new0(EwRoiList, 1);
}

void ew_roi_list_free(EwRoiList *list) {
  if (list == NULL)
    return;
  ew_analytics_free(list->analytics);
  g_free(list->rois);
  g_free(list->params);
  g_free(list);
}

static void add_roi(EwRoiList *list, const GstVideoRegionOfInterestMeta *m) {
  guint n = 0;
  for (GList *l = m->params; l != NULL; l = l->next, n++) {
    if (list->n_params == list->max_params) {
      list->max_params = MAX(128, 2 * list->max_params);
      list->params = g_renew(EwRoiParam, list->params, list->max_params);
    }
    read_param(list, l->data, m->roi_type, &list->params[list->n_params++]);
  }
  if (list->n_rois == list->max_rois) {
    list->max_rois = MAX(64, 2 * list->max_rois);
    list->rois = g_renew(EwRoi, list->rois, list->max_rois);
  }
  list->rois[list->n_rois++] = (EwRoi){.type = quark_text(list, m->roi_type),
      .x = m->x, .y = m->y, .w = m->w, .h = m->h, .id = m->id, .n_params = n};
}

// Without regions, only DeepStream's batch is looked for.
void ew_roi_collect(gpointer buffer, EwRoiList *list, gboolean regions) {
  const GType roi = GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE, timestamp = GST_REFERENCE_TIMESTAMP_META_API_TYPE;
  gpointer state = NULL;
  GstMeta *meta;
  list->n_rois = list->n_params = 0;
  list->unix_ns = 0;
  list->nvds = NULL;
  if (list->analytics != NULL)
    ew_analytics_reset(list->analytics);
  while ((meta = gst_buffer_iterate_meta(buffer, &state)) != NULL) {
    if (meta->info->api == roi) {
      if (regions)
        add_roi(list, (GstVideoRegionOfInterestMeta *)meta);
    } else if (ew_analytics_is(meta)) {
      if (regions) {
        if (list->analytics == NULL)
          list->analytics = ew_analytics_new();
        ew_analytics_add(list->analytics, meta);
      }
    } else if (meta->info->api == timestamp && list->unix_ns == 0)
      list->unix_ns = reference_time((GstReferenceTimestampMeta *)meta);
    else if ((list->nvds = ew_nvds_batch_of(meta, &list->cache)) != NULL)
      break;
  }
  if (list->nvds != NULL && list->analytics != NULL)
    ew_analytics_reset(list->analytics); // nobody will read it, and masks are mapped
}

// True for a buffer without regions, analytics metadata and a batch of DeepStream's.
gboolean ew_roi_none(GstBuffer *buffer) {
  static EwNvdsCache cache; // words that all threads would fill alike
  const GType roi = GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE;
  gpointer state = NULL;
  GstMeta *meta;
  while ((meta = gst_buffer_iterate_meta(buffer, &state)) != NULL) {
    EwNvdsCache mine = {__atomic_load_n(&cache.yes, __ATOMIC_RELAXED), __atomic_load_n(&cache.no, __ATOMIC_RELAXED)};
    if (meta->info->api == roi || ew_analytics_is(meta) || ew_nvds_batch_of(meta, &mine) != NULL)
      return FALSE;
    __atomic_store_n(&cache.yes, mine.yes, __ATOMIC_RELAXED);
    __atomic_store_n(&cache.no, mine.no, __ATOMIC_RELAXED);
  }
  return TRUE;
}
