// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What touches GStreamer's structs: times and flags of buffers, and the pipeline that writes a file.
#include "rec.h"

static gint64 running_time(const GstSegment *s, GstClockTime t) {
  guint64 r;
  if (!GST_CLOCK_TIME_IS_VALID(t))
    return EW_SR_NO_TIME;
  if (s == NULL || s->format != GST_FORMAT_TIME)
    return (gint64)t;
  switch (gst_segment_to_running_time_full(s, GST_FORMAT_TIME, t, &r)) {
    case 1:
      return (gint64)r;
    case -1: // before the segment, as the first DTS of a stream with B-frames
      return -(gint64)r;
    default:
      return EW_SR_NO_TIME;
  }
}

EwSrInfo ew_sr_info(GstBuffer *b, const GstSegment *s) {
  return (EwSrInfo){
      .pts = running_time(s, GST_BUFFER_PTS(b)),
      .dts = running_time(s, GST_BUFFER_DTS(b)),
      .size = gst_buffer_get_size(b),
      .key = !GST_BUFFER_FLAG_IS_SET(b, GST_BUFFER_FLAG_DELTA_UNIT),
      .header = GST_BUFFER_FLAG_IS_SET(b, GST_BUFFER_FLAG_HEADER),
  };
}

// A buffer of a pool, or of a device's memory, is copied: seconds of them in the ring would leave an encoder
// without buffers. Others are only referred to.
GstBuffer *ew_sr_keep(GstBuffer *b, gboolean *copied) {
  *copied = b->pool != NULL;
  for (guint i = 0; !*copied && i < gst_buffer_n_memory(b); i++)
    *copied = !gst_memory_is_type(gst_buffer_peek_memory(b, i), GST_ALLOCATOR_SYSMEM);
  if (!*copied)
    return gst_buffer_ref(b);
  GstBuffer *c = gst_buffer_copy_deep(b);
  if (c == NULL) { // memory that cannot be mapped
    *copied = FALSE;
    return gst_buffer_ref(b);
  }
  return c;
}

GstSegment *ew_sr_segment(GstEvent *e) {
  const GstSegment *s;
  gst_event_parse_segment(e, &s);
  return gst_segment_copy(s);
}

void ew_sr_proxy(GstPad *pad) {
  GST_PAD_SET_PROXY_CAPS(pad);
  GST_PAD_SET_PROXY_ALLOCATION(pad);
  GST_PAD_SET_PROXY_SCHEDULING(pad);
}

struct EwSrWriter_ {
  GstElement *pipeline, *src;
  GstBus *bus;
};

static GstElement *add(GstElement *pipeline, const char *factory, const char **missing) {
  GstElement *e = gst_element_factory_make(factory, NULL);
  if (e == NULL)
    *missing = factory;
  else
    gst_bin_add(GST_BIN(pipeline), e);
  return e;
}

static gboolean has_property(GstElement *e, const char *name) {
  return g_object_class_find_property(G_OBJECT_GET_CLASS(e), name) != NULL;
}

EwSrWriter *ew_sr_writer_new(const char *parser, const char *muxer, const char *location, GstCaps *caps, const char **missing) {
  GstElement *p = gst_pipeline_new(NULL);
  GstElement *src, *parse = NULL, *mux = NULL, *sink = NULL;
  *missing = NULL;
  if ((src = add(p, "appsrc", missing)) == NULL || (parse = add(p, parser, missing)) == NULL ||
      (mux = add(p, muxer, missing)) == NULL || (sink = add(p, "filesink", missing)) == NULL) {
    gst_object_unref(p);
    return NULL;
  }
  g_object_set(src, "caps", caps, "block", FALSE, "max-bytes", (guint64)0, NULL);
  gst_util_set_object_arg(G_OBJECT(src), "format", "time");
  g_object_set(sink, "location", location, "async", FALSE, "sync", FALSE, NULL);
  // What was written is in the file at once, not in a buffer that dies with the process.
  gst_util_set_object_arg(G_OBJECT(sink), "buffer-mode", "unbuffered");
  if (has_property(mux, "fragment-duration")) { // mp4: a second at a time, playable without its end
    g_object_set(mux, "fragment-duration", 1000, NULL);
    if (has_property(mux, "fragment-mode"))
      gst_util_set_object_arg(G_OBJECT(mux), "fragment-mode", "first-moov-then-finalise");
  }
  if (!gst_element_link_many(src, parse, mux, sink, NULL)) {
    *missing = muxer;
    gst_object_unref(p);
    return NULL;
  }
  EwSrWriter *w = g_new0(EwSrWriter, 1);
  w->pipeline = p;
  w->src = src;
  w->bus = gst_element_get_bus(p);
  return w;
}

gboolean ew_sr_writer_start(EwSrWriter *w) {
  return gst_element_set_state(w->pipeline, GST_STATE_PLAYING) != GST_STATE_CHANGE_FAILURE;
}

// The buffer stays the caller's.
gboolean ew_sr_writer_push(EwSrWriter *w, GstBuffer *buffer, gint64 pts, gint64 dts, const guint8 *before, gsize n_before) {
  GstFlowReturn ret = GST_FLOW_ERROR;
  GstBuffer *b = gst_buffer_copy(buffer); // of the description, not of the memory
  GST_BUFFER_PTS(b) = pts == EW_SR_NO_TIME ? GST_CLOCK_TIME_NONE : (GstClockTime)pts;
  GST_BUFFER_DTS(b) = dts == EW_SR_NO_TIME ? GST_CLOCK_TIME_NONE : (GstClockTime)dts;
  if (n_before > 0)
    gst_buffer_prepend_memory(b, gst_memory_new_wrapped(0, g_memdup2(before, n_before), n_before, 0, n_before, NULL, NULL));
  g_signal_emit_by_name(w->src, "push-buffer", b, &ret);
  gst_buffer_unref(b);
  return ret == GST_FLOW_OK;
}

void ew_sr_writer_end(EwSrWriter *w) {
  GstFlowReturn ret;
  g_signal_emit_by_name(w->src, "end-of-stream", &ret);
}

guint64 ew_sr_writer_level(EwSrWriter *w) {
  guint64 n = 0;
  g_object_get(w->src, "current-level-bytes", &n, NULL);
  return n;
}

EwSrEvent ew_sr_writer_poll(EwSrWriter *w) {
  EwSrEvent out = {0};
  GstMessage *m = gst_bus_pop_filtered(w->bus, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
  if (m == NULL)
    return out;
  out.what = EW_SR_EOS;
  if (GST_MESSAGE_TYPE(m) == GST_MESSAGE_ERROR) {
    GError *e = NULL;
    gst_message_parse_error(m, &e, NULL);
    out.what = EW_SR_ERROR;
    out.no_space = g_error_matches(e, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NO_SPACE_LEFT);
    out.text = g_strdup(e->message);
    g_error_free(e);
  }
  gst_message_unref(m);
  return out;
}

void ew_sr_writer_free(EwSrWriter *w) {
  gst_element_set_state(w->pipeline, GST_STATE_NULL);
  gst_object_unref(w->bus);
  gst_object_unref(w->pipeline);
  g_free(w);
}
