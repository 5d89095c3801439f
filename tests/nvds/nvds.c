/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A stand-in for libnvds_meta and libnvdsgst_meta: see nvds.h. */
#include "nvds.h"
#include <string.h>

void tn_user_metas(gint left);

void nvds_acquire_meta_lock(NvDsBatchMeta *b) { g_rec_mutex_lock(&b->meta_mutex); }
void nvds_release_meta_lock(NvDsBatchMeta *b) { g_rec_mutex_unlock(&b->meta_mutex); }

static NvDsMetaPool *new_pool(gint type, guint element_size) {
  NvDsMetaPool *p = g_new0(NvDsMetaPool, 1);
  p->meta_type = type;
  p->element_size = element_size;
  return p;
}

/* Elements are made when they are asked for; the real library makes some before. */
static gpointer acquire(NvDsBatchMeta *b, NvDsMetaPool *p) {
  NvDsBaseMeta *m = g_malloc0(p->element_size);
  nvds_acquire_meta_lock(b);
  m->batch_meta = b;
  m->meta_type = p->meta_type;
  p->full_list = g_list_prepend(p->full_list, m);
  p->num_full_elements++;
  p->max_elements_in_pool++;
  nvds_release_meta_lock(b);
  return m;
}

static NvDsBatchMeta *new_batch(guint max_frames, gint type, NvDsMetaPool *frames) {
  NvDsBatchMeta *b = g_new0(NvDsBatchMeta, 1);
  g_rec_mutex_init(&b->meta_mutex);
  b->base_meta.batch_meta = b;
  b->base_meta.meta_type = type;
  b->base_meta.copy_func = nvds_batch_meta_copy_func;
  b->base_meta.release_func = nvds_batch_meta_release_func;
  b->max_frames_in_batch = max_frames;
  b->frame_meta_pool = frames;
  b->classifier_meta_pool = new_pool(NVDS_CLASSIFIER_META, sizeof(NvDsClassifierMeta));
  b->user_meta_pool = new_pool(NVDS_USER_META, sizeof(NvDsUserMeta));
  b->label_info_meta_pool = new_pool(NVDS_LABEL_INFO_META, sizeof(NvDsLabelInfo));
  return b;
}

NvDsBatchMeta *nvds_create_batch_meta(guint max_frames) {
  NvDsBatchMeta *b = new_batch(max_frames, NVDS_BATCH_META, new_pool(NVDS_FRAME_META, sizeof(NvDsFrameMeta)));
  b->obj_meta_pool = new_pool(NVDS_OBJ_META, sizeof(NvDsObjectMeta));
  b->display_meta_pool = new_pool(NVDS_DISPLAY_META, DISPLAY_META_SIZE);
  return b;
}

NvDsBatchMeta *nvds_create_audio_batch_meta(guint max_frames) {
  return new_batch(max_frames, NVDS_AUDIO_BATCH_META, new_pool(NVDS_AUDIO_FRAME_META, sizeof(NvDsAudioFrameMeta)));
}

static void free_pool(NvDsMetaPool *p) {
  if (p == NULL)
    return;
  for (GList *l = p->full_list; l != NULL; l = l->next) {
    NvDsBaseMeta *m = l->data;
    if (p->meta_type == NVDS_FRAME_META) {
      g_list_free(((NvDsFrameMeta *)m)->obj_meta_list);
      g_list_free(((NvDsFrameMeta *)m)->frame_user_meta_list);
    } else if (p->meta_type == NVDS_AUDIO_FRAME_META) {
      g_list_free(((NvDsAudioFrameMeta *)m)->classifier_meta_list);
      g_list_free(((NvDsAudioFrameMeta *)m)->frame_user_meta_list);
    } else if (p->meta_type == NVDS_OBJ_META) {
      g_list_free(((NvDsObjectMeta *)m)->classifier_meta_list);
    } else if (p->meta_type == NVDS_CLASSIFIER_META) {
      g_list_free(((NvDsClassifierMeta *)m)->label_info_list);
    } else if (p->meta_type == NVDS_LABEL_INFO_META) {
      g_free(((NvDsLabelInfo *)m)->pResult_label);
    }
    if (m->release_func != NULL)
      m->release_func(m, NULL);
    g_free(m);
  }
  g_list_free(p->full_list);
  g_free(p);
}

gboolean nvds_destroy_batch_meta(NvDsBatchMeta *b) {
  free_pool(b->frame_meta_pool);
  free_pool(b->obj_meta_pool);
  free_pool(b->classifier_meta_pool);
  free_pool(b->display_meta_pool);
  free_pool(b->user_meta_pool);
  free_pool(b->label_info_meta_pool);
  g_list_free(b->frame_meta_list);
  g_list_free(b->batch_user_meta_list);
  g_rec_mutex_clear(&b->meta_mutex);
  g_free(b);
  return TRUE;
}

NvDsFrameMeta *nvds_acquire_frame_meta_from_pool(NvDsBatchMeta *b) { return acquire(b, b->frame_meta_pool); }
NvDsAudioFrameMeta *nvds_acquire_audio_frame_meta_from_pool(NvDsBatchMeta *b) { return acquire(b, b->frame_meta_pool); }
NvDsObjectMeta *nvds_acquire_obj_meta_from_pool(NvDsBatchMeta *b) { return acquire(b, b->obj_meta_pool); }
NvDsClassifierMeta *nvds_acquire_classifier_meta_from_pool(NvDsBatchMeta *b) { return acquire(b, b->classifier_meta_pool); }
NvDsLabelInfo *nvds_acquire_label_info_meta_from_pool(NvDsBatchMeta *b) { return acquire(b, b->label_info_meta_pool); }
/* How many user metas there are to be had yet: -1 for as many as are asked for. */
static gint user_metas = -1;
void tn_user_metas(gint left) { user_metas = left; }

NvDsUserMeta *nvds_acquire_user_meta_from_pool(NvDsBatchMeta *b) {
  if (user_metas == 0)
    return NULL;
  user_metas -= user_metas > 0;
  return acquire(b, b->user_meta_pool);
}

/* Frames and the metas of a batch go to the end of their list, all else to its head. */
static void add(gpointer meta, GList **list, gboolean append) {
  NvDsBatchMeta *b = ((NvDsBaseMeta *)meta)->batch_meta;
  nvds_acquire_meta_lock(b);
  *list = append ? g_list_append(*list, meta) : g_list_prepend(*list, meta);
  nvds_release_meta_lock(b);
}

void nvds_add_frame_meta_to_batch(NvDsBatchMeta *b, NvDsFrameMeta *f) {
  add(f, &b->frame_meta_list, TRUE);
  b->num_frames_in_batch++;
}
void nvds_add_audio_frame_meta_to_audio_batch(NvDsBatchMeta *b, NvDsAudioFrameMeta *f) {
  add(f, &b->frame_meta_list, TRUE);
  b->num_frames_in_batch++;
}
void nvds_add_obj_meta_to_frame(NvDsFrameMeta *f, NvDsObjectMeta *o, NvDsObjectMeta *parent) {
  add(o, &f->obj_meta_list, FALSE);
  o->parent = parent;
  f->num_obj_meta++;
}
void nvds_add_classifier_meta_to_object(NvDsObjectMeta *o, NvDsClassifierMeta *c) { add(c, &o->classifier_meta_list, FALSE); }
void nvds_add_label_info_meta_to_classifier(NvDsClassifierMeta *c, NvDsLabelInfo *l) {
  add(l, &c->label_info_list, FALSE);
  c->num_labels++;
}
void nvds_add_user_meta_to_frame(NvDsFrameMeta *f, NvDsUserMeta *u) { add(u, &f->frame_user_meta_list, FALSE); }
void nvds_add_user_meta_to_audio_frame(NvDsAudioFrameMeta *f, NvDsUserMeta *u) { add(u, &f->frame_user_meta_list, TRUE); }
void nvds_add_user_meta_to_batch(NvDsBatchMeta *b, NvDsUserMeta *u) { add(u, &b->batch_user_meta_list, TRUE); }

/* A user meta is copied by its own function, which gets the meta and gives the copy's user_meta_data. */
static NvDsUserMeta *copy_user(NvDsBatchMeta *to, NvDsUserMeta *from) {
  NvDsUserMeta *u = nvds_acquire_user_meta_from_pool(to);
  u->base_meta.meta_type = from->base_meta.meta_type;
  u->base_meta.uContext = from->base_meta.uContext;
  u->base_meta.copy_func = from->base_meta.copy_func;
  u->base_meta.release_func = from->base_meta.release_func;
  u->user_meta_data = from->base_meta.copy_func(from, NULL);
  return u;
}

/* Copies a batch of video, as far as tests look: frames, objects without classifiers, user metas with a copy function. */
gpointer nvds_batch_meta_copy_func(gpointer data, gpointer user_data) {
  (void)user_data;
  NvDsBatchMeta *from = data, *to = nvds_create_batch_meta(from->max_frames_in_batch);
  for (GList *l = from->frame_meta_list; l != NULL; l = l->next) {
    NvDsFrameMeta *src = l->data, *dst = nvds_acquire_frame_meta_from_pool(to);
    memcpy((char *)dst + sizeof(NvDsBaseMeta), (char *)src + sizeof(NvDsBaseMeta), sizeof *src - sizeof(NvDsBaseMeta));
    dst->obj_meta_list = dst->display_meta_list = dst->frame_user_meta_list = NULL;
    dst->num_obj_meta = 0;
    for (GList *o = src->obj_meta_list; o != NULL; o = o->next) {
      NvDsObjectMeta *object = nvds_acquire_obj_meta_from_pool(to);
      memcpy((char *)object + sizeof(NvDsBaseMeta), (char *)o->data + sizeof(NvDsBaseMeta), sizeof *object - sizeof(NvDsBaseMeta));
      object->classifier_meta_list = object->obj_user_meta_list = NULL;
      nvds_add_obj_meta_to_frame(dst, object, NULL);
    }
    for (GList *u = src->frame_user_meta_list; u != NULL; u = u->next)
      if (((NvDsUserMeta *)u->data)->base_meta.copy_func != NULL)
        nvds_add_user_meta_to_frame(dst, copy_user(to, u->data));
    nvds_add_frame_meta_to_batch(to, dst);
  }
  for (GList *u = from->batch_user_meta_list; u != NULL; u = u->next)
    if (((NvDsUserMeta *)u->data)->base_meta.copy_func != NULL)
      nvds_add_user_meta_to_batch(to, copy_user(to, u->data));
  return to;
}

void nvds_batch_meta_release_func(gpointer data, gpointer user_data) {
  (void)user_data;
  nvds_destroy_batch_meta(data);
}

/* libnvdsgst_meta */

GType nvds_meta_api_get_type(void) {
  static gsize type;
  if (g_once_init_enter(&type)) {
    static const gchar *tags[] = {"nvdsmeta", NULL};
    g_once_init_leave(&type, gst_meta_api_type_register("NvDsMetaAPI", tags));
  }
  return type;
}

static gboolean meta_init(GstMeta *meta, gpointer params, GstBuffer *buffer) {
  (void)params;
  (void)buffer;
  memset((char *)meta + sizeof(GstMeta), 0, sizeof(NvDsMeta) - sizeof(GstMeta));
  return TRUE;
}

static void meta_free(GstMeta *meta, GstBuffer *buffer) {
  (void)buffer;
  NvDsMeta *m = (NvDsMeta *)meta;
  if (m->freefunc != NULL && m->meta_data != NULL)
    m->freefunc(m->meta_data, m->user_data);
}

static gboolean meta_transform(GstBuffer *to, GstMeta *meta, GstBuffer *from, GQuark type, gpointer data) {
  (void)from;
  (void)data;
  NvDsMeta *m = (NvDsMeta *)meta;
  if (!GST_META_TRANSFORM_IS_COPY(type) || m->copyfunc == NULL)
    return TRUE;
  NvDsMeta *copy = gst_buffer_add_nvds_meta(to, m->copyfunc(m->meta_data, NULL), NULL, m->copyfunc, m->freefunc);
  copy->meta_type = m->meta_type;
  return TRUE;
}

const GstMetaInfo *nvds_meta_get_info(void) {
  static const GstMetaInfo *info;
  if (g_once_init_enter(&info)) {
    const GstMetaInfo *i =
        gst_meta_register(nvds_meta_api_get_type(), "NvDsMeta", sizeof(NvDsMeta), meta_init, meta_free, meta_transform);
    g_once_init_leave(&info, i);
  }
  return info;
}

NvDsMeta *gst_buffer_add_nvds_meta(GstBuffer *b, gpointer data, gpointer user_data, NvDsMetaCopyFunc copy,
    NvDsMetaReleaseFunc release) {
  NvDsMeta *m = (NvDsMeta *)gst_buffer_add_meta(b, nvds_meta_get_info(), NULL);
  m->meta_data = data;
  m->user_data = user_data;
  m->copyfunc = copy;
  m->freefunc = release;
  return m;
}

NvDsBatchMeta *gst_buffer_get_nvds_batch_meta(GstBuffer *b) {
  gpointer state = NULL;
  NvDsMeta *m;
  while ((m = (NvDsMeta *)gst_buffer_iterate_meta_filtered(b, &state, nvds_meta_api_get_type())) != NULL)
    if (m->meta_type == NVDS_BATCH_GST_META)
      return m->meta_data;
  return NULL;
}

/* libnvds_utils; NVDS_CLAIM makes a library that lies about itself, 0 one that says nothing. */
#ifndef NVDS_CLAIM
#define NVDS_CLAIM NVDS_RELEASE
#endif
#if NVDS_CLAIM
void nvds_version(unsigned *major, unsigned *minor) {
  *major = NVDS_CLAIM / 100;
  *minor = NVDS_CLAIM % 100;
}
#endif
