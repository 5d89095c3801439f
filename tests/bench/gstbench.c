/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Plays a pipeline and measures it.
 *
 *   gstbench [--warm NAME] [--rate N] DESCRIPTION
 *
 * Prints one line of JSON: {"seconds":S,"cpu_seconds":C,"disk_bytes":D,"counters":{…}}. They run from the first buffer to
 * EOS; loading, negotiation and connecting are done before, while the first buffer is held back. CPU is that of the whole process,
 * every thread of it; disk_bytes is what the process has written to files on a disk. With --warm, the element
 * NAME is a msgbroker: one message is published by its action signal and acknowledged before the clocks start,
 * and counters are the integers of its stats property. With --rate, the source gives N buffers a second, those of a
 * millisecond at once.
 * The exit status is 1 for a pipeline that ends in an error; warnings go to stderr.
 *
 * The element roisrc is there as well.
 */
#include "roisrc.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static double cpu_seconds(void) {
  struct rusage u;

  getrusage(RUSAGE_SELF, &u);
  return u.ru_utime.tv_sec + u.ru_stime.tv_sec + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* What the kernel counts when pages of files become dirty; 0 where it does not. */
static guint64 disk_bytes(void) {
  gchar *text = NULL, *at;
  guint64 bytes = 0;

  if (g_file_get_contents("/proc/self/io", &text, NULL, NULL) && (at = strstr(text, "\nwrite_bytes: ")) != NULL)
    bytes = g_ascii_strtoull(at + strlen("\nwrite_bytes: "), NULL, 10);
  g_free(text);
  return bytes;
}

/* Shows what went wrong; FALSE ends the run. */
static gboolean look_at(GstMessage *m) {
  GError *error = NULL;
  gchar *debug = NULL;

  if (GST_MESSAGE_TYPE(m) == GST_MESSAGE_ERROR)
    gst_message_parse_error(m, &error, &debug);
  else
    gst_message_parse_warning(m, &error, &debug);
  fprintf(stderr, "gstbench: %s\n%s\n", error->message, debug ? debug : "");
  g_error_free(error);
  g_free(debug);
  return GST_MESSAGE_TYPE(m) != GST_MESSAGE_ERROR;
}

static gboolean wait_eos(GstBus *bus) {
  gboolean going = TRUE;

  while (going) {
    GstMessage *m = gst_bus_timed_pop_filtered(bus, GST_CLOCK_TIME_NONE,
        GST_MESSAGE_EOS | GST_MESSAGE_ERROR | GST_MESSAGE_WARNING);
    if (GST_MESSAGE_TYPE(m) == GST_MESSAGE_EOS) {
      gst_message_unref(m);
      return TRUE;
    }
    going = look_at(m);
    gst_message_unref(m);
  }
  return FALSE;
}

static guint64 counter(GstElement *broker, const char *name) {
  GstStructure *s = NULL;
  guint64 n = 0;

  g_object_get(broker, "stats", &s, NULL);
  if (s != NULL) {
    gst_structure_get_uint64(s, name, &n);
    gst_structure_free(s);
  }
  return n;
}

static gboolean warm_up(GstElement *broker) {
  GBytes *first = g_bytes_new_static("{}", 2);
  gboolean ok = FALSE;
  int i;

  g_signal_emit_by_name(broker, "publish", NULL, first, &ok);
  g_bytes_unref(first);
  for (i = 0; ok && i < 6000 && counter(broker, "acknowledged") == 0; i++)
    g_usleep(5000);
  return ok && counter(broker, "acknowledged") == 1;
}

/* The gate at the source: closed, it holds the first buffer. */
static gint held;

static GstPadProbeReturn hold(GstPad *pad, GstPadProbeInfo *info, gpointer data) {
  (void)pad;
  (void)info;
  (void)data;
  g_atomic_int_set(&held, 1);
  return GST_PAD_PROBE_OK; /* blocked until the probe is removed */
}

typedef struct {
  gint64 began;
  double rate;
  guint64 count;
} Pace;

static GstPadProbeReturn pace(GstPad *pad, GstPadProbeInfo *info, gpointer data) {
  Pace *p = data;
  gint64 due = p->began + (gint64)(p->count++ * 1e6 / p->rate), now = g_get_monotonic_time();

  (void)pad;
  (void)info;
  if (due > now)
    g_usleep(MAX(due - now, 1000)); /* as rdkafka_producer.c does: then all that is due */
  return GST_PAD_PROBE_OK;
}

static GstPad *source_pad(GstElement *pipeline) {
  GstIterator *it = gst_bin_iterate_sources(GST_BIN(pipeline));
  GValue v = G_VALUE_INIT;
  GstPad *pad = NULL;

  if (gst_iterator_next(it, &v) == GST_ITERATOR_OK) {
    pad = gst_element_get_static_pad(g_value_get_object(&v), "src");
    g_value_unset(&v);
  }
  gst_iterator_free(it);
  return pad;
}

static gboolean wait_held(void) {
  int i;

  for (i = 0; i < 10000 && !g_atomic_int_get(&held); i++)
    g_usleep(1000);
  return g_atomic_int_get(&held);
}

static gboolean print_counter(GQuark field, const GValue *value, gpointer first) {
  if (G_VALUE_HOLDS_UINT64(value)) {
    printf("%s\"%s\":%" G_GUINT64_FORMAT, *(gboolean *)first ? "" : ",", g_quark_to_string(field), g_value_get_uint64(value));
    *(gboolean *)first = FALSE;
  }
  return TRUE;
}

int main(int argc, char **argv) {
  GError *error = NULL;
  GstElement *pipeline, *broker = NULL;
  GstStructure *stats = NULL;
  GstBus *bus;
  GstPad *gate;
  gulong probe;
  gboolean ok, first = TRUE;
  gint64 began, took;
  double cpu;
  guint64 disk;
  const char *name = NULL;
  Pace paced = {0};
  int i;

  gst_init(&argc, &argv);
  gst_element_register(NULL, "roisrc", GST_RANK_NONE, roi_src_get_type());
  for (i = 1; i + 2 < argc; i += 2) {
    if (strcmp(argv[i], "--warm") == 0)
      name = argv[i + 1];
    else if (strcmp(argv[i], "--rate") == 0)
      paced.rate = atof(argv[i + 1]);
    else
      break;
  }
  if (i != argc - 1) {
    fprintf(stderr, "usage: gstbench [--warm NAME] [--rate N] DESCRIPTION\n");
    return 2;
  }
  pipeline = gst_parse_launch(argv[argc - 1], &error);
  if (error != NULL || !GST_IS_PIPELINE(pipeline)) {
    fprintf(stderr, "gstbench: %s\n", error ? error->message : "the description is no pipeline");
    return 2;
  }
  bus = gst_element_get_bus(pipeline);
  gate = source_pad(pipeline);
  if (gate == NULL) {
    fprintf(stderr, "gstbench: the pipeline has no source with a pad src\n");
    return 2;
  }
  probe = gst_pad_add_probe(gate, GST_PAD_PROBE_TYPE_BLOCK | GST_PAD_PROBE_TYPE_BUFFER, hold, NULL, NULL);
  ok = gst_element_set_state(pipeline, GST_STATE_PLAYING) != GST_STATE_CHANGE_FAILURE && wait_held();
  if (ok && name != NULL) {
    broker = gst_bin_get_by_name(GST_BIN(pipeline), name);
    ok = broker != NULL && warm_up(broker);
    if (!ok)
      fprintf(stderr, "gstbench: the first message is not acknowledged\n");
  }
  paced.began = began = g_get_monotonic_time();
  if (paced.rate > 0)
    gst_pad_add_probe(gate, GST_PAD_PROBE_TYPE_BUFFER, pace, &paced, NULL);
  cpu = cpu_seconds();
  disk = disk_bytes();
  if (ok)
    gst_pad_remove_probe(gate, probe);
  else
    gst_bus_post(bus, gst_message_new_eos(GST_OBJECT(pipeline))); /* after what stands there already */
  ok = wait_eos(bus) && ok;
  took = g_get_monotonic_time() - began;
  cpu = cpu_seconds() - cpu;
  disk = disk_bytes() - disk;
  if (ok) {
    printf("{\"seconds\":%.6f,\"cpu_seconds\":%.6f,\"disk_bytes\":%" G_GUINT64_FORMAT ",\"counters\":{", took / 1e6, cpu, disk);
    if (broker != NULL) {
      g_object_get(broker, "stats", &stats, NULL);
      gst_structure_foreach(stats, print_counter, &first);
      gst_structure_free(stats);
    }
    printf("}}\n");
  }
  gst_element_set_state(pipeline, GST_STATE_NULL);
  gst_object_unref(gate);
  gst_clear_object(&broker);
  gst_object_unref(bus);
  gst_object_unref(pipeline);
  return ok ? 0 : 1;
}
