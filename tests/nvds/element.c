/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The element nvdstestmeta stands where a pipeline has nvstreammux, nvinfer and a probe of the application: it puts a batch
 * with frames, objects, classifications, events and custom messages on every buffer. As a plugin file it is libnvdstest.so.
 */
#include "nvds.h"
#include <gst/base/gstbasetransform.h>

gpointer tn_batch(GstBuffer *buffer, gboolean audio);
gpointer tn_frame(NvDsBatchMeta *b, guint source, gint num, guint64 pts, guint64 ntp, guint sw, guint sh, gint pw, gint ph);
gpointer tn_object(NvDsFrameMeta *f, guint64 id, gint class_id, double confidence, double l, double t, double w, double h,
    const char *label);
gpointer tn_event(gpointer frame);

typedef struct {
  GstBaseTransform parent;
  guint sources, objects, events;
  guint64 count;
} TestMeta;

typedef struct {
  GstBaseTransformClass parent;
} TestMetaClass;

GType test_meta_get_type(void);
G_DEFINE_TYPE(TestMeta, test_meta, GST_TYPE_BASE_TRANSFORM)

static const char *const labels[] = {"person", "car", "bicycle", "roadsign"};

static void add_event(NvDsFrameMeta *f, guint i, const gchar *time) {
  NvDsEventMsgMeta *e = tn_event(f);
  e->type = 2;              /* moving */
  e->objType = i % 2;       /* vehicle, person */
  e->bbox = (NvDsRect){200 + 3 * i, 100 + 7 * i, 64 + i, 128 + i};
  e->sensorId = e->placeId = e->moduleId = (gint)f->source_id;
  e->frameId = f->frame_num;
  e->confidence = 0.5 + i / 512.0;
  e->trackingId = 1000 + i;
  e->ts = g_strdup(time);
}

static GstFlowReturn transform_ip(GstBaseTransform *base, GstBuffer *buffer) {
  TestMeta *self = (TestMeta *)base;
  NvDsBatchMeta *b = tn_batch(buffer, FALSE);
  const guint64 ntp = G_GUINT64_CONSTANT(1735689600123000000) + self->count * 40 * GST_MSECOND;
  GDateTime *when = g_date_time_new_from_unix_utc((gint64)(ntp / GST_SECOND));
  gchar *time = g_date_time_format(when, "%Y-%m-%dT%H:%M:%S.123Z");
  for (guint s = 0; s < self->sources; s++) {
    NvDsFrameMeta *f = tn_frame(b, s, (gint)self->count, GST_BUFFER_PTS(buffer), ntp, 1920, 1080, 1920, 1080);
    for (guint i = self->objects; i > 0; i--)
      tn_object(f, 1000 + i, (gint)(i % 4), 0.5 + i / 512.0, 100 + 7 * i, 200 + 3 * i, 64 + i, 128 + i, labels[i % 4]);
    for (guint i = self->events; i > 0; i--)
      add_event(f, i, time);
  }
  self->count++;
  g_free(time);
  g_date_time_unref(when);
  return GST_FLOW_OK;
}

static gboolean start(GstBaseTransform *base) {
  ((TestMeta *)base)->count = 0;
  return TRUE;
}

static void set_property(GObject *object, guint id, const GValue *value, GParamSpec *spec) {
  TestMeta *self = (TestMeta *)object;
  guint *to[] = {NULL, &self->sources, &self->objects, &self->events};
  (void)spec;
  *to[id] = g_value_get_uint(value);
}

static void test_meta_class_init(TestMetaClass *klass) {
  GObjectClass *object = G_OBJECT_CLASS(klass);
  GstElementClass *element = GST_ELEMENT_CLASS(klass);
  static GstStaticPadTemplate sink = GST_STATIC_PAD_TEMPLATE("sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY),
                              src = GST_STATIC_PAD_TEMPLATE("src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);
  static const char *const names[] = {"sources", "objects", "events"};
  object->set_property = set_property;
  for (guint i = 0; i < G_N_ELEMENTS(names); i++)
    g_object_class_install_property(object, i + 1, g_param_spec_uint(names[i], NULL, NULL, 0, 100000, i == 0, G_PARAM_WRITABLE));
  gst_element_class_add_static_pad_template(element, &sink);
  gst_element_class_add_static_pad_template(element, &src);
  gst_element_class_set_static_metadata(element, "Metadata for tests", "Filter", "Attaches DeepStream's metadata", "gst-edgewire");
  GST_BASE_TRANSFORM_CLASS(klass)->transform_ip = transform_ip;
  GST_BASE_TRANSFORM_CLASS(klass)->start = start;
}

static void test_meta_init(TestMeta *self) { self->sources = 1; }

static gboolean plugin_init(GstPlugin *plugin) {
  if (g_type_from_name("TestMeta") != 0)
    return TRUE; /* another file of this kind has been loaded */
  return gst_element_register(plugin, "nvdstestmeta", GST_RANK_NONE, test_meta_get_type());
}

#ifndef NVDS_PLUGIN
#define NVDS_PLUGIN nvdstest
#define NVDS_PLUGIN_VERSION "1"
#endif
#define PACKAGE "nvdstest"
GST_PLUGIN_DEFINE(GST_VERSION_MAJOR, GST_VERSION_MINOR, NVDS_PLUGIN, "DeepStream's metadata for tests", plugin_init,
    NVDS_PLUGIN_VERSION, "LGPL", PACKAGE, "https://github.com/gst-edgewire/gst-edgewire")
