/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Makes and reads metadata for tests that are not written in C: each function takes and gives plain pointers and numbers.
 * Members of an event and its attributes are named as in DeepStream's headers.
 */
#include "nvds.h"
#include <string.h>

gpointer tn_batch(GstBuffer *buffer, gboolean audio) {
  NvDsBatchMeta *b = audio ? nvds_create_audio_batch_meta(16) : nvds_create_batch_meta(16);
  gst_buffer_add_nvds_meta(buffer, b, NULL, audio ? NULL : nvds_batch_meta_copy_func, nvds_batch_meta_release_func)->meta_type =
      NVDS_BATCH_GST_META;
  return b;
}

/* Keeps the batch of a buffer for ever: one that a test has damaged must not be freed. */
void tn_leak(GstBuffer *buffer) {
  gpointer state = NULL;
  GstMeta *m = gst_buffer_iterate_meta_filtered(buffer, &state, nvds_meta_api_get_type());
  ((NvDsMeta *)m)->freefunc = NULL;
}

gpointer tn_buffer_batch(GstBuffer *buffer) { return gst_buffer_get_nvds_batch_meta(buffer); }

gpointer tn_frame(NvDsBatchMeta *b, guint source, gint num, guint64 pts, guint64 ntp, guint sw, guint sh, gint pw, gint ph) {
  NvDsFrameMeta *f = nvds_acquire_frame_meta_from_pool(b);
  f->source_id = f->pad_index = source;
  f->frame_num = num;
  f->buf_pts = pts;
  f->ntp_timestamp = ntp;
  f->source_frame_width = sw;
  f->source_frame_height = sh;
  f->pipeline_width = pw;
  f->pipeline_height = ph;
  f->num_surfaces_per_frame = 1;
  nvds_add_frame_meta_to_batch(b, f);
  return f;
}

void tn_sensor(NvDsFrameMeta *f, char *id) {
#if NVDS_RELEASE >= 800
  f->sensorInfo_meta.sensor_id = id; /* the caller's */
#else
  (void)f;
  (void)id;
#endif
}

gpointer tn_audio_frame(NvDsBatchMeta *b, guint source, gint num, guint64 ntp, gint class_id, double confidence, const char *label) {
  NvDsAudioFrameMeta *f = nvds_acquire_audio_frame_meta_from_pool(b);
  f->source_id = source;
  f->frame_num = num;
  f->ntp_timestamp = ntp;
  f->class_id = class_id;
  f->confidence = confidence;
  g_strlcpy(f->class_label, label, sizeof f->class_label);
  nvds_add_audio_frame_meta_to_audio_batch(b, f);
  return f;
}

gpointer tn_object(NvDsFrameMeta *f, guint64 id, gint class_id, double confidence, double l, double t, double w, double h,
    const char *label) {
  NvDsObjectMeta *o = nvds_acquire_obj_meta_from_pool(f->base_meta.batch_meta);
  o->object_id = id;
  o->class_id = class_id;
  o->confidence = confidence;
  o->rect_params.left = l;
  o->rect_params.top = t;
  o->rect_params.width = w;
  o->rect_params.height = h;
  g_strlcpy(o->obj_label, label, sizeof o->obj_label);
  nvds_add_obj_meta_to_frame(f, o, NULL);
  return o;
}

gpointer tn_classifier(NvDsObjectMeta *o, char *type) {
  NvDsClassifierMeta *c = nvds_acquire_classifier_meta_from_pool(o->base_meta.batch_meta);
  c->classifier_type = type; /* the caller's */
  nvds_add_classifier_meta_to_object(o, c);
  return c;
}

/* A label that does not fit stands in pResult_label. */
gpointer tn_label(NvDsClassifierMeta *c, const char *label, double prob) {
  NvDsLabelInfo *l = nvds_acquire_label_info_meta_from_pool(c->base_meta.batch_meta);
  if (g_strlcpy(l->result_label, label, sizeof l->result_label) >= sizeof l->result_label)
    l->pResult_label = g_strdup(label);
  l->result_prob = prob;
  nvds_add_label_info_meta_to_classifier(c, l);
  return l;
}

static gpointer add_user(gpointer frame, gint type, gpointer data, NvDsMetaCopyFunc copy, NvDsMetaReleaseFunc release) {
  NvDsBaseMeta *base = frame;
  NvDsUserMeta *u = nvds_acquire_user_meta_from_pool(base->batch_meta);
  u->base_meta.meta_type = type;
  u->base_meta.copy_func = copy;
  u->base_meta.release_func = release;
  u->user_meta_data = data;
  if (base->meta_type == NVDS_AUDIO_FRAME_META)
    nvds_add_user_meta_to_audio_frame(frame, u);
  else if (base->meta_type == NVDS_FRAME_META)
    nvds_add_user_meta_to_frame(frame, u);
  else
    nvds_add_user_meta_to_batch(frame, u);
  return u;
}

static void release_event(gpointer data, gpointer user_data) {
  (void)user_data;
  NvDsEventMsgMeta *m = ((NvDsUserMeta *)data)->user_meta_data;
  if (m == NULL)
    return;
  gpointer owned[] = {m->objSignature.signature, m->ts, m->objectId, m->sensorStr, m->otherAttrs, m->videoPath, m->pose.joints,
      m->embedding.embedding_vector, m->singleView3DTracking.convexHull.points};
  for (guint i = 0; i < G_N_ELEMENTS(owned); i++)
    g_free(owned[i]);
  if (m->extMsg != NULL) { /* its texts and masks are a test's, and small: left to the end of the process */
    g_free(m->extMsg);
  }
  g_free(m);
  ((NvDsUserMeta *)data)->user_meta_data = NULL;
}

gpointer tn_event(gpointer frame) {
  NvDsEventMsgMeta *m = g_new0(NvDsEventMsgMeta, 1);
  add_user(frame, NVDS_EVENT_MSG_META, m, NULL, release_event);
  return m;
}

typedef struct {
  const char *name;
  gsize offset;
  char kind; /* i int, f float, d double, u uint64, s string */
} Member;

#define M(type, member, kind) {#member, offsetof(type, member), kind}
static const Member event_members[] = {
    M(NvDsEventMsgMeta, type, 'i'), M(NvDsEventMsgMeta, objType, 'i'), M(NvDsEventMsgMeta, bbox.left, 'f'),
    M(NvDsEventMsgMeta, bbox.top, 'f'), M(NvDsEventMsgMeta, bbox.width, 'f'), M(NvDsEventMsgMeta, bbox.height, 'f'),
    M(NvDsEventMsgMeta, location.lat, 'd'), M(NvDsEventMsgMeta, location.lon, 'd'), M(NvDsEventMsgMeta, location.alt, 'd'),
    M(NvDsEventMsgMeta, coordinate.x, 'd'), M(NvDsEventMsgMeta, coordinate.y, 'd'), M(NvDsEventMsgMeta, coordinate.z, 'd'),
    M(NvDsEventMsgMeta, objClassId, 'i'), M(NvDsEventMsgMeta, sensorId, 'i'), M(NvDsEventMsgMeta, moduleId, 'i'),
    M(NvDsEventMsgMeta, placeId, 'i'), M(NvDsEventMsgMeta, componentId, 'i'), M(NvDsEventMsgMeta, frameId, 'i'),
    M(NvDsEventMsgMeta, confidence, 'd'), M(NvDsEventMsgMeta, trackingId, 'u'), M(NvDsEventMsgMeta, ts, 's'),
    M(NvDsEventMsgMeta, objectId, 's'), M(NvDsEventMsgMeta, sensorStr, 's'), M(NvDsEventMsgMeta, otherAttrs, 's'),
    M(NvDsEventMsgMeta, videoPath, 's'), M(NvDsEventMsgMeta, extMsgSize, 'i'), M(NvDsEventMsgMeta, pose.num_joints, 'i'),
    M(NvDsEventMsgMeta, pose.pose_type, 'i'), M(NvDsEventMsgMeta, has3DTracking, 'b'),
    M(NvDsEventMsgMeta, singleView3DTracking.ptWorldFeet[0], 'f'), M(NvDsEventMsgMeta, singleView3DTracking.ptWorldFeet[1], 'f'),
    M(NvDsEventMsgMeta, singleView3DTracking.ptImgFeet[0], 'f'), M(NvDsEventMsgMeta, singleView3DTracking.ptImgFeet[1], 'f'),
#if NVDS_RELEASE >= 901
    M(NvDsEventMsgMeta, visibility, 'f'),
#else
    {"visibility", offsetof(NvDsEventMsgMeta, singleView3DTracking.visibility), 'f'},
#endif
    {NULL, 0, 0}};
static const Member vehicle_members[] = {M(NvDsVehicleObjectExt, type, 's'), M(NvDsVehicleObjectExt, make, 's'),
    M(NvDsVehicleObjectExt, model, 's'), M(NvDsVehicleObjectExt, color, 's'), M(NvDsVehicleObjectExt, region, 's'),
    M(NvDsVehicleObjectExt, license, 's'), M(NvDsVehicleObjectExt, mask, 'm'), {NULL, 0, 0}};
static const Member person_members[] = {M(NvDsPersonObjectExt, gender, 's'), M(NvDsPersonObjectExt, hair, 's'),
    M(NvDsPersonObjectExt, cap, 's'), M(NvDsPersonObjectExt, apparel, 's'), M(NvDsPersonObjectExt, age, 'i'),
    M(NvDsPersonObjectExt, mask, 'm'), {NULL, 0, 0}};
static const Member face_members[] = {M(NvDsFaceObjectExt, gender, 's'), M(NvDsFaceObjectExt, hair, 's'),
    M(NvDsFaceObjectExt, cap, 's'), M(NvDsFaceObjectExt, glasses, 's'), M(NvDsFaceObjectExt, facialhair, 's'),
    M(NvDsFaceObjectExt, name, 's'), M(NvDsFaceObjectExt, eyecolor, 's'), M(NvDsFaceObjectExt, age, 'i'),
    M(NvDsFaceObjectExt, mask, 'm'), {NULL, 0, 0}};
static const Member product_members[] = {M(NvDsProductObjectExt, brand, 's'), M(NvDsProductObjectExt, type, 's'),
    M(NvDsProductObjectExt, shape, 's'), M(NvDsProductObjectExt, mask, 'm'), {NULL, 0, 0}};

static const struct {
  const char *name;
  const Member *members;
  gsize size;
} attributes[] = {
    {"NvDsVehicleObject", vehicle_members, sizeof(NvDsVehicleObjectExt)},
    {"NvDsPersonObject", person_members, sizeof(NvDsPersonObjectExt)},
    {"NvDsFaceObject", face_members, sizeof(NvDsFaceObjectExt)},
    {"NvDsProductObject", product_members, sizeof(NvDsProductObjectExt)},
};

static const Member *find(const Member *m, const char *name) {
  while (m->name != NULL && strcmp(m->name, name) != 0)
    m++;
  return m->name != NULL ? m : NULL;
}

static gboolean set(gpointer base, const Member *m, double number, guint64 integer, const char *text) {
  if (m == NULL)
    return FALSE;
  gpointer to = (char *)base + m->offset;
  switch (m->kind) {
    case 'i': *(gint *)to = (gint)number; break;
    case 'b': *(bool *)to = number != 0; break;
    case 'f': *(float *)to = (float)number; break;
    case 'd': *(double *)to = number; break;
    case 'u': *(guint64 *)to = integer; break;
    case 's': *(char **)to = g_strdup(text); break;
    default: return FALSE;
  }
  return TRUE;
}

gboolean tn_set(NvDsEventMsgMeta *m, const char *member, double number, guint64 integer, const char *text) {
  return set(m, find(event_members, member), number, integer, text);
}

/* kind is the name of the C struct without Ext; whether there is a mask, objType says. */
gboolean tn_attributes(NvDsEventMsgMeta *m, const char *kind) {
  for (guint i = 0; i < G_N_ELEMENTS(attributes); i++)
    if (strcmp(attributes[i].name, kind) == 0) {
      m->extMsg = g_malloc0(attributes[i].size);
      return TRUE;
    }
  return FALSE;
}

static const Member *attribute(const char *kind, const char *member) {
  for (guint i = 0; i < G_N_ELEMENTS(attributes); i++)
    if (strcmp(attributes[i].name, kind) == 0)
      return find(attributes[i].members, member);
  return NULL;
}

gboolean tn_set_attribute(NvDsEventMsgMeta *m, const char *kind, const char *member, double number, const char *text) {
  return set(m->extMsg, attribute(kind, member), number, 0, text);
}

void tn_polygon(NvDsEventMsgMeta *m, const char *kind, const double *numbers, guint n) {
  GList **mask = (GList **)((char *)m->extMsg + attribute(kind, "mask")->offset);
  GArray *a = g_array_new(FALSE, FALSE, sizeof(gdouble));
  g_array_append_vals(a, numbers, n);
  *mask = g_list_append(*mask, a);
}

gboolean tn_numbers(NvDsEventMsgMeta *m, const char *member, const double *numbers, guint n) {
  if (strcmp(member, "signature") == 0) {
    m->objSignature.signature = g_memdup2(numbers, n * sizeof *numbers);
    m->objSignature.size = n;
  } else if (strcmp(member, "embedding") == 0) {
    m->embedding.embedding_vector = g_new(float, n);
    m->embedding.embedding_length = n;
    for (guint i = 0; i < n; i++)
      m->embedding.embedding_vector[i] = (float)numbers[i];
  } else if (strcmp(member, "hull") == 0) {
    m->singleView3DTracking.convexHull.points = g_new(gint, n);
    m->singleView3DTracking.convexHull.numFilled = n / 2;
    for (guint i = 0; i < n; i++)
      m->singleView3DTracking.convexHull.points[i] = (gint)numbers[i];
  } else if (strcmp(member, "joints") == 0) {
    m->pose.joints = g_new(NvDsJoint, n / 4);
    for (guint i = 0; i < n; i++)
      ((float *)m->pose.joints)[i] = (float)numbers[i];
  } else {
    return FALSE;
  }
  return TRUE;
}

static void release_blob(gpointer data, gpointer user_data) {
  (void)user_data;
  NvDsCustomMsgInfo *info = ((NvDsUserMeta *)data)->user_meta_data;
  g_free(info->message);
  g_free(info);
}

/* type 0 is the release's NVDS_CUSTOM_MSG_BLOB. */
gpointer tn_blob(gpointer frame, gint type, const char *message, guint length, guint size) {
  NvDsCustomMsgInfo *info = g_new0(NvDsCustomMsgInfo, 1);
  info->message = g_malloc0(length + 1);
  memcpy(info->message, message, length);
  info->size = size;
  return add_user(frame, type != 0 ? type : NVDS_CUSTOM_MSG_BLOB, info, NULL, release_blob);
}

gpointer tn_user(gpointer frame, gint type, gpointer data) { return add_user(frame, type, data, NULL, NULL); }

/* A list of 3D boxes, of a whole batch. Its texts are the caller's. NULL before 8.0. */
#if NVDS_RELEASE >= 800
static void release_scene(gpointer data, gpointer user_data) {
  (void)user_data;
  NvDsBbox3dObjectList *list = ((NvDsUserMeta *)data)->user_meta_data;
  for (guint i = 0; i < G_N_ELEMENTS(list->objects); i++) {
    if (list->objects[i].instance_feats != NULL)
      g_free(list->objects[i].instance_feats->embedding_vector);
    g_free(list->objects[i].instance_feats);
  }
  g_free(list);
}

gpointer tn_scene(NvDsBatchMeta *b, gint num, guint camera, guint64 timestamp, gchar *sensor) {
  NvDsBbox3dObjectList *list = g_new0(NvDsBbox3dObjectList, 1);
  list->frame_num = num;
  list->camera_id = camera;
  list->timestamp = timestamp;
  list->sensorStr = sensor;
  add_user(b, NVDS_CUSTOM_MSG_SPARSE4D, list, NULL, release_scene);
  return list;
}

void tn_solid(NvDsBbox3dObjectList *list, guint id, gchar *label, const double *box, double score, double class_score,
    const double *embedding, guint n) {
  NvDsBbox3dObject *o = &list->objects[list->num_objects++];
  for (guint i = 0; i < 12; i++)
    o->boxes_3d[i] = (float)box[i];
  o->scores_3d = (float)score;
  o->cls_scores = (float)class_score;
  o->labels_3d = label;
  o->instance_ids = id;
  if (embedding == NULL)
    return;
  o->instance_feats = g_new0(NvDsEmbedding, 1);
  o->instance_feats->embedding_vector = g_new(float, n);
  o->instance_feats->embedding_length = n;
  for (guint i = 0; i < n; i++)
    o->instance_feats->embedding_vector[i] = (float)embedding[i];
}

void tn_view(NvDsBbox3dObjectList *list, const char *source, guint64 timestamp) {
  SourceTimePair *p = &list->entries[list->count++];
  g_strlcpy(p->source_id, source, sizeof p->source_id);
  p->timestamp = timestamp;
}

/* What the list says that it holds. */
void tn_scene_count(NvDsBbox3dObjectList *list, guint n) { list->num_objects = n; }
#else
gpointer tn_scene(NvDsBatchMeta *b, gint num, guint camera, guint64 timestamp, gchar *sensor) {
  (void)b, (void)num, (void)camera, (void)timestamp, (void)sensor;
  return NULL;
}
#endif

/* A payload as another converter makes it. */
static void release_payload(gpointer data, gpointer user_data) {
  (void)user_data;
  NvDsPayload *p = ((NvDsUserMeta *)data)->user_meta_data;
  g_free(p->payload);
  g_free(p);
}

gpointer tn_add_payload(gpointer target, const char *bytes, guint n, guint comp_id) {
  NvDsPayload *p = g_new0(NvDsPayload, 1);
  p->payload = g_memdup2(bytes, n);
  p->payloadSize = n;
  p->componentId = comp_id;
  return add_user(target, NVDS_PAYLOAD_META, p, NULL, release_payload);
}

/* The i-th payload of frame number frame_index of a batch (-1: of the batch itself), as nvmsgbroker reads it; NULL at the end. */
const NvDsPayload *tn_payload(NvDsBatchMeta *b, gint frame_index, guint i) {
  GList *l = b->batch_user_meta_list;
  if (frame_index >= 0) {
    NvDsBaseMeta *f = g_list_nth_data(b->frame_meta_list, frame_index);
    l = f->meta_type == NVDS_AUDIO_FRAME_META ? ((NvDsAudioFrameMeta *)f)->frame_user_meta_list
                                              : ((NvDsFrameMeta *)f)->frame_user_meta_list;
  }
  for (; l != NULL; l = l->next) {
    NvDsUserMeta *u = l->data;
    if (u->base_meta.meta_type == NVDS_PAYLOAD_META && i-- == 0)
      return u->user_meta_data;
  }
  return NULL;
}
