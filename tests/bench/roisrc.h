/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The element roisrc: a source of video buffers with regions of interest that costs next to nothing, because
 * its buffers come from a pool and keep their regions there. Properties: objects, how many regions a buffer has,
 * and count, how many buffers there are. For one C file of a program, which registers roi_src_get_type().
 */
#ifndef EW_ROISRC_H
#define EW_ROISRC_H

#include <gst/base/gstpushsrc.h>
#include <gst/gst.h>
#include <gst/video/gstvideometa.h>

typedef struct {
  GstPushSrc parent;
  GstBufferPool *pool;
  guint objects;
  guint64 num_buffers, count;
} RoiSrc;

typedef struct {
  GstPushSrcClass parent;
} RoiSrcClass;

typedef struct {
  GstBufferPool parent;
  guint objects;
} RoiPool;

typedef struct {
  GstBufferPoolClass parent;
} RoiPoolClass;

G_DEFINE_TYPE(RoiPool, roi_pool, GST_TYPE_BUFFER_POOL)
G_DEFINE_TYPE(RoiSrc, roi_src, GST_TYPE_PUSH_SRC)

static const char *const labels[] = {"person", "car", "bicycle", "roadsign"};

/* What a detector and a tracker write, in the fields that the open ones use. */
static void add_region(GstBuffer *b, guint i) {
  GstVideoRegionOfInterestMeta *roi = gst_buffer_add_video_region_of_interest_meta(b, labels[i % G_N_ELEMENTS(labels)],
      100 + 7 * i, 200 + 3 * i, 64 + i, 128 + i);
  gst_video_region_of_interest_meta_add_param(roi, gst_structure_new("detection", "confidence", G_TYPE_DOUBLE,
      0.5 + i / 128.0, "label_id", G_TYPE_INT, (gint)(i % G_N_ELEMENTS(labels)), NULL));
  gst_video_region_of_interest_meta_add_param(roi, gst_structure_new("object_id", "id", G_TYPE_INT, (gint)(1000 + i), NULL));
  /* The pool takes every other meta off when the buffer comes back. */
  GST_META_FLAG_SET(&roi->meta, GST_META_FLAG_POOLED);
}

static GstFlowReturn roi_pool_alloc(GstBufferPool *pool, GstBuffer **out, GstBufferPoolAcquireParams *params) {
  GstFlowReturn ret = GST_BUFFER_POOL_CLASS(roi_pool_parent_class)->alloc_buffer(pool, out, params);
  guint i;

  for (i = 0; ret == GST_FLOW_OK && i < ((RoiPool *)pool)->objects; i++)
    add_region(*out, i);
  return ret;
}

static void roi_pool_class_init(RoiPoolClass *klass) {
  GST_BUFFER_POOL_CLASS(klass)->alloc_buffer = roi_pool_alloc;
}

static void roi_pool_init(RoiPool *pool) { (void)pool; }

static gboolean roi_src_start(GstBaseSrc *base) {
  RoiSrc *self = (RoiSrc *)base;
  GstStructure *config;

  self->pool = g_object_new(roi_pool_get_type(), NULL);
  ((RoiPool *)self->pool)->objects = self->objects;
  config = gst_buffer_pool_get_config(self->pool);
  gst_buffer_pool_config_set_params(config, NULL, 16, 4, 0);
  self->count = 0;
  return gst_buffer_pool_set_config(self->pool, config) && gst_buffer_pool_set_active(self->pool, TRUE);
}

static gboolean roi_src_stop(GstBaseSrc *base) {
  RoiSrc *self = (RoiSrc *)base;

  gst_buffer_pool_set_active(self->pool, FALSE);
  gst_clear_object(&self->pool);
  return TRUE;
}

static GstFlowReturn roi_src_create(GstPushSrc *push, GstBuffer **out) {
  RoiSrc *self = (RoiSrc *)push;
  GstFlowReturn ret;

  if (self->count == self->num_buffers)
    return GST_FLOW_EOS;
  ret = gst_buffer_pool_acquire_buffer(self->pool, out, NULL);
  if (ret == GST_FLOW_OK)
    GST_BUFFER_PTS(*out) = self->count++ * 40 * GST_MSECOND;
  return ret;
}

static void roi_src_set_property(GObject *object, guint id, const GValue *value, GParamSpec *spec) {
  (void)spec;
  if (id == 1)
    ((RoiSrc *)object)->objects = g_value_get_uint(value);
  else
    ((RoiSrc *)object)->num_buffers = g_value_get_uint64(value);
}

static void roi_src_class_init(RoiSrcClass *klass) {
  static GstStaticPadTemplate src = GST_STATIC_PAD_TEMPLATE("src", GST_PAD_SRC, GST_PAD_ALWAYS,
      GST_STATIC_CAPS("video/x-raw,format=RGB,width=1920,height=1080,framerate=25/1"));
  GObjectClass *object = G_OBJECT_CLASS(klass);

  object->set_property = roi_src_set_property;
  g_object_class_install_property(object, 1, g_param_spec_uint("objects", NULL, "Regions of interest on each buffer",
      0, 10000, 0, G_PARAM_WRITABLE | G_PARAM_STATIC_STRINGS));
  g_object_class_install_property(object, 2, g_param_spec_uint64("count", NULL, "Buffers until EOS",
      0, G_MAXUINT64, 0, G_PARAM_WRITABLE | G_PARAM_STATIC_STRINGS));
  GST_BASE_SRC_CLASS(klass)->start = roi_src_start;
  GST_BASE_SRC_CLASS(klass)->stop = roi_src_stop;
  GST_PUSH_SRC_CLASS(klass)->create = roi_src_create;
  gst_element_class_add_static_pad_template(GST_ELEMENT_CLASS(klass), &src);
  gst_element_class_set_static_metadata(GST_ELEMENT_CLASS(klass), "Regions", "Source/Video",
      "Buffers with regions of interest", "The gst-edgewire maintainers");
}

static void roi_src_init(RoiSrc *self) { gst_base_src_set_format(GST_BASE_SRC(self), GST_FORMAT_TIME); }

#endif
