/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The pipeline process of the chaos runs: a thread that pushes messages into msgbroker at a fixed rate and
 * times each push.
 *
 *   load RATE SECONDS SIZE DESCRIPTION
 *
 * DESCRIPTION is a msgbroker named x with its properties. RATE is messages per second, 0 for as fast as it
 * goes. Every 50 ms, and at the end, a line of JSON goes to stdout: how many messages were produced, and
 * the integers of the stats property. SIGTERM ends the load early. After it the stream ends (EOS, which
 * drains) and the element stops; the last line has "final":1, the percentiles of the push in µs and the
 * longest one, of the pushes above 1 ms how many there were ("slow") and in how many the thread gave
 * its processor up by itself ("waited"): in the others the system took it away; and the longest one without
 * the time for which the machine stood still ("longest_us"), which a thread that only sleeps sees by its
 * own delay. Warnings and errors go to stderr. The exit status is 1 when the element does not start.
 */
#define _GNU_SOURCE
#include <gst/gst.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { TELL_EVERY_NS = 50000000, TICK_NS = 5000000, LONG_NS = 100000000 };

static volatile sig_atomic_t over;

static void end(int signal) {
  (void)signal;
  over = 1;
}

static gint64 now_ns(void) {
  struct timespec t;

  clock_gettime(CLOCK_MONOTONIC, &t);
  return (gint64)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void sleep_until(gint64 ns) {
  struct timespec t = {ns / 1000000000, ns % 1000000000};

  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static gboolean print_counter(GQuark field, const GValue *value, gpointer unused) {
  (void)unused;
  if (G_VALUE_HOLDS_UINT64(value))
    printf(",\"%s\":%" G_GUINT64_FORMAT, g_quark_to_string(field), g_value_get_uint64(value));
  else if (G_VALUE_HOLDS_STRING(value) && strcmp(g_quark_to_string(field), "session") == 0)
    printf(",\"session\":\"%s\"", g_value_get_string(value));
  return TRUE;
}

static void tell(GstElement *broker, guint64 produced) {
  GstStructure *stats = NULL;

  g_object_get(broker, "stats", &stats, NULL);
  printf("{\"produced\":%" G_GUINT64_FORMAT, produced);
  gst_structure_foreach(stats, print_counter, NULL);
  gst_structure_free(stats);
}

static GstBusSyncReply show(GstBus *bus, GstMessage *m, gpointer unused) {
  GError *error = NULL;

  (void)bus;
  (void)unused;
  if (GST_MESSAGE_TYPE(m) == GST_MESSAGE_ERROR)
    gst_message_parse_error(m, &error, NULL);
  else if (GST_MESSAGE_TYPE(m) == GST_MESSAGE_WARNING)
    gst_message_parse_warning(m, &error, NULL);
  if (error != NULL) {
    fprintf(stderr, "%s: %s\n", GST_MESSAGE_TYPE_NAME(m), error->message);
    g_error_free(error);
  }
  gst_message_unref(m);
  return GST_BUS_DROP;
}

static int by_size(const void *a, const void *b) {
  guint32 x = *(const guint32 *)a, y = *(const guint32 *)b;

  return x < y ? -1 : x > y;
}

typedef struct {
  GstElement *broker;
  GstPad *pad;
  double rate, seconds;
  gsize size;
  guint32 *took; /* ns of each push; the ring's oldest are overwritten */
  guint64 produced;
  guint64 slow, waited;
  gint64 stalled; /* ns for which the machine kept a thread that only sleeps from running */
  gint64 longest; /* push, without those */
} Load;

enum { PUSHES = 1 << 22, SLOW_NS = 1000000 };

static glong waits(void) {
  struct rusage r;

  return getrusage(RUSAGE_THREAD, &r) == 0 ? r.ru_nvcsw : 0;
}

static gpointer tell_now_and_then(gpointer data) {
  Load *l = data;

  while (!over) {
    sleep_until(now_ns() + TELL_EVERY_NS);
    tell(l->broker, __atomic_load_n(&l->produced, __ATOMIC_RELAXED));
    printf("}\n");
    fflush(stdout);
  }
  return NULL;
}

static gpointer watch_stalls(gpointer data) {
  Load *l = data;
  gint64 last = now_ns();

  while (!over) {
    gint64 now;

    sleep_until(last + TICK_NS);
    now = now_ns();
    if (now - last > 2 * TICK_NS)
      __atomic_fetch_add(&l->stalled, now - last - 2 * TICK_NS, __ATOMIC_RELAXED);
    last = now;
  }
  return NULL;
}

/* The time of a push without the stalls in it. After a long one the watching thread gets time to count the last of them. */
static gint64 without_stalls(Load *l, gint64 took, gint64 stalled) {
  if (took > LONG_NS)
    sleep_until(now_ns() + 4 * TICK_NS);
  return took - (__atomic_load_n(&l->stalled, __ATOMIC_RELAXED) - stalled);
}

static void produce(Load *l) {
  gint64 began = now_ns(), until = began + (gint64)(l->seconds * 1e9);

  while (!over) {
    gint64 before = l->rate > 0 ? began + (gint64)((double)l->produced * 1e9 / l->rate) : now_ns();
    GstBuffer *b;
    GstMapInfo map;
    guint64 n = l->produced + 1;
    gint64 took, stalled;
    glong waited;

    if (before >= until)
      break;
    if (l->rate > 0)
      sleep_until(before);
    b = gst_buffer_new_allocate(NULL, l->size, NULL);
    gst_buffer_map(b, &map, GST_MAP_WRITE);
    memset(map.data, ' ', map.size);
    map.data[snprintf((char *)map.data, map.size, "{\"n\":%" G_GUINT64_FORMAT, n)] = ' ';
    map.data[map.size - 1] = '}';
    gst_buffer_unmap(b, &map);
    waited = waits();
    stalled = __atomic_load_n(&l->stalled, __ATOMIC_RELAXED);
    before = now_ns();
    if (gst_pad_push(l->pad, b) != GST_FLOW_OK)
      break;
    took = now_ns() - before;
    if (took > SLOW_NS) {
      l->slow++;
      l->waited += waits() > waited;
    }
    if (took > l->longest)
      l->longest = MAX(l->longest, without_stalls(l, took, stalled));
    l->took[l->produced % PUSHES] = (guint32)MIN(took, G_MAXUINT32);
    __atomic_store_n(&l->produced, n, __ATOMIC_RELAXED);
  }
}

int main(int argc, char **argv) {
  GError *error = NULL;
  GstElement *pipeline;
  GstCaps *caps;
  GstSegment segment;
  GstPad *sink;
  GstBus *bus;
  GThread *teller, *watcher;
  Load l = {0};
  guint64 n;
  gint64 took;

  gst_init(&argc, &argv);
  if (argc != 5) {
    fprintf(stderr, "usage: load RATE SECONDS SIZE DESCRIPTION\n");
    return 2;
  }
  signal(SIGTERM, end);
  l.rate = atof(argv[1]);
  l.seconds = atof(argv[2]);
  l.size = MAX(strtoul(argv[3], NULL, 10), 40);
  l.took = calloc(PUSHES, sizeof *l.took);
  pipeline = gst_pipeline_new(NULL);
  l.broker = gst_parse_launch(argv[4], &error);
  if (error != NULL || l.took == NULL) {
    fprintf(stderr, "load: %s\n", error ? error->message : "out of memory");
    return 2;
  }
  gst_bin_add(GST_BIN(pipeline), l.broker);
  bus = gst_element_get_bus(pipeline);
  gst_bus_set_sync_handler(bus, show, NULL, NULL);
  l.pad = gst_pad_new("src", GST_PAD_SRC);
  sink = gst_element_get_static_pad(l.broker, "sink");
  gst_pad_set_active(l.pad, TRUE);
  gst_pad_link(l.pad, sink);
  if (gst_element_set_state(pipeline, GST_STATE_PLAYING) == GST_STATE_CHANGE_FAILURE) {
    fprintf(stderr, "load: the element does not start\n");
    return 1;
  }
  caps = gst_caps_new_empty_simple("application/json");
  gst_segment_init(&segment, GST_FORMAT_TIME);
  gst_pad_push_event(l.pad, gst_event_new_stream_start("load"));
  gst_pad_push_event(l.pad, gst_event_new_caps(caps));
  gst_pad_push_event(l.pad, gst_event_new_segment(&segment));
  gst_caps_unref(caps);
  teller = g_thread_new("teller", tell_now_and_then, &l);
  watcher = g_thread_new("stalls", watch_stalls, &l);
  produce(&l);
  over = 1;
  g_thread_join(teller);
  g_thread_join(watcher);
  took = now_ns();
  gst_pad_push_event(l.pad, gst_event_new_eos());
  gst_element_set_state(pipeline, GST_STATE_READY);
  took = now_ns() - took;
  tell(l.broker, l.produced);
  n = MIN(l.produced, PUSHES);
  qsort(l.took, n, sizeof *l.took, by_size);
  printf(",\"final\":1,\"end_ms\":%.0f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,\"max_us\":%.1f,\"longest_us\":%.1f,\"slow\":%" G_GUINT64_FORMAT ",\"waited\":%" G_GUINT64_FORMAT "}\n", took / 1e6,
      n ? l.took[n / 2] / 1e3 : 0, n ? l.took[n * 99 / 100] / 1e3 : 0, n ? l.took[n * 999 / 1000] / 1e3 : 0,
      n ? l.took[n - 1] / 1e3 : 0, l.longest / 1e3, l.slow, l.waited);
  gst_element_set_state(pipeline, GST_STATE_NULL);
  gst_object_unref(sink);
  gst_object_unref(l.pad);
  gst_object_unref(bus);
  gst_object_unref(pipeline);
  return 0;
}
