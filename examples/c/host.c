// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A C program that publishes with msgbroker by its action signal, and reads
// the connection's counters:
//
//   cc host.c -o host $(pkg-config --cflags --libs gstreamer-1.0)
//   ./host "localhost;9092;events" 10
#include <gst/gst.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
  gst_init(&argc, &argv);
  if (argc != 3) {
    fprintf(stderr, "usage: host HOST;PORT;TOPIC MESSAGES\n");
    return 2;
  }
  GError *error = NULL;
  // The element is loaded first and other elements after it: what a plugin
  // that disturbed its host's GStreamer would break.
  GstElement *pipeline = gst_parse_launch(
      "msgbroker name=broker proto-lib=kafka  fakesrc num-buffers=5 ! identity ! fakesink name=sink", &error);
  if (pipeline == NULL) {
    fprintf(stderr, "host: %s\n", error->message);
    return 1;
  }
  GstElement *broker = gst_bin_get_by_name(GST_BIN(pipeline), "broker");
  GstElement *sink = gst_bin_get_by_name(GST_BIN(pipeline), "sink");
  g_object_set(broker, "conn-str", argv[1], NULL);

  // These two are data of GStreamer and GObject that a program may hold by copy relocation.
  printf("GST_TYPE_CAPS %s, G_TYPE_PARAM_BOXED %s\n", g_type_name(GST_TYPE_CAPS), g_type_name(G_TYPE_PARAM_BOXED));

  gst_element_set_state(pipeline, GST_STATE_PLAYING);
  int n = atoi(argv[2]);
  for (int i = 0; i < n; i++) {
    char text[64];
    snprintf(text, sizeof text, "{\"event\":\"door-open\",\"number\":%d}", i);
    GBytes *payload = g_bytes_new(text, strlen(text));
    gboolean accepted = FALSE;
    g_signal_emit_by_name(broker, "publish", NULL, payload, &accepted);
    g_bytes_unref(payload);
    if (!accepted)
      return 1;
  }
  guint64 acknowledged = 0;
  for (int i = 0; i < 300 && acknowledged < (guint64)n; i++) {
    GstStructure *stats = NULL;
    g_object_get(broker, "stats", &stats, NULL);
    gst_structure_get_uint64(stats, "acknowledged", &acknowledged);
    gst_structure_free(stats);
    g_usleep(100 * 1000);
  }
  GstStructure *rendered = NULL;
  g_object_get(sink, "stats", &rendered, NULL);
  gchar *text = gst_structure_to_string(rendered);
  printf("fakesink %s\n%" G_GUINT64_FORMAT " of %d acknowledged\n", text, acknowledged, n);
  g_free(text);
  gst_structure_free(rendered);
  gst_element_set_state(pipeline, GST_STATE_NULL);
  gst_object_unref(broker);
  gst_object_unref(sink);
  gst_object_unref(pipeline);
  return acknowledged == (guint64)n ? 0 : 1;
}
