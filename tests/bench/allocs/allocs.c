/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Plays a pipeline, and counts what C allocates: the program's own malloc, calloc and realloc take the place of
 * the C library's for every library in the process.
 */
#include "allocs.h"
#include "roisrc.h"

static guint64 count;

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t size);

static void one_more(void) { __atomic_fetch_add(&count, 1, __ATOMIC_RELAXED); }

void *malloc(size_t size) {
  one_more();
  return __libc_malloc(size);
}

void *calloc(size_t n, size_t size) {
  one_more();
  return __libc_calloc(n, size);
}

void *realloc(void *p, size_t size) {
  one_more();
  return __libc_realloc(p, size);
}

guint64 ew_allocs_count(void) { return __atomic_load_n(&count, __ATOMIC_RELAXED); }

gboolean ew_allocs_init(void) {
  gst_init(NULL, NULL);
  return gst_element_register(NULL, "roisrc", GST_RANK_NONE, roi_src_get_type());
}

/* NULL when it has reached EOS, else what went wrong, to be freed. */
char *ew_allocs_play(const char *description) {
  GError *error = NULL;
  GstElement *pipeline = gst_parse_launch(description, &error);
  char *failure = NULL;
  GstMessage *m;
  GstBus *bus;

  if (error != NULL || !GST_IS_PIPELINE(pipeline)) {
    failure = g_strdup(error != NULL ? error->message : "the description is no pipeline");
    g_clear_error(&error);
    gst_clear_object(&pipeline);
    return failure;
  }
  bus = gst_element_get_bus(pipeline);
  gst_element_set_state(pipeline, GST_STATE_PLAYING); /* its failure is a message, too */
  m = gst_bus_timed_pop_filtered(bus, 300 * GST_SECOND, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
  if (m == NULL) {
    failure = g_strdup("no EOS within 300 s");
  } else if (GST_MESSAGE_TYPE(m) == GST_MESSAGE_ERROR) {
    gst_message_parse_error(m, &error, NULL);
    failure = g_strdup(error->message);
    g_clear_error(&error);
  }
  if (m != NULL)
    gst_message_unref(m);
  gst_element_set_state(pipeline, GST_STATE_NULL);
  gst_object_unref(bus);
  gst_object_unref(pipeline);
  return failure;
}
