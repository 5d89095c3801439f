/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Measures dtlssrtpenc and dtlssrtpdec, whichever plugin GST_PLUGIN_PATH brings: both ends of a connection in
 * this process, encoder linked with the other end's decoder, no network and no other element between them.
 *
 *   dtlsbench packets SIZE LIST COUNT PROFILE UNPACK  CPU per packet, encrypted and decrypted
 *   dtlsbench handshake COUNT                         connections made and dropped one after the other
 *   dtlsbench loss PERCENT COUNT SEED                 time to connect when datagrams are lost
 *   dtlsbench connections COUNT PACKETS               threads, memory and CPU per packet with so many at once
 *
 * Each prints one line of JSON. PROFILE is a value for srtp-profiles, or "-" to leave it alone. LIST is how many
 * packets go in one buffer list (1: plain buffers). UNPACK=1 takes the lists apart between encoder and decoder:
 * the srtpdec of GStreamer 1.22 passes what comes in lists on undecrypted. CPU is that of the whole process.
 * The exit status is 1 if a packet got lost or was changed, or a connection was not made.
 */
#include <gst/gst.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define RTP_HEADER 12

typedef struct {
  GstElement *enc, *dec;
  GstPad *source, *sink; /* ours: RTP into enc, RTP out of dec */
  GstPad *between_in, *between_out;
  guint64 received, bad;
  guint16 seq;
  gboolean check, connected;
} End;

typedef struct {
  End end[2]; /* 0 is the client */
  gint64 began, done;
} Connection;

static GMutex lock;
static GCond changed;
static GRand *dice;
static guint loss;
static const char *profile = "-";

static double cpu_seconds(void) {
  struct rusage u;

  getrusage(RUSAGE_SELF, &u);
  return u.ru_utime.tv_sec + u.ru_stime.tv_sec + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static guint64 status(const char *what) {
  FILE *f = fopen("/proc/self/status", "r");
  char line[256];
  guint64 n = 0;

  while (f != NULL && fgets(line, sizeof line, f) != NULL)
    if (strncmp(line, what, strlen(what)) == 0)
      n = strtoull(line + strlen(what), NULL, 10);
  if (f != NULL)
    fclose(f);
  return n;
}

/* Which plugin was measured belongs to every answer. */
static void answer(gchar *figures) {
  GstPlugin *plugin = gst_registry_find_plugin(gst_registry_get(), "dtls");

  printf("{\"plugin\":\"%s\",%s}\n", plugin != NULL ? gst_plugin_get_filename(plugin) : "", figures);
  gst_clear_object(&plugin);
  g_free(figures);
}

static void die(const char *what) {
  fprintf(stderr, "dtlsbench: %s\n", what);
  exit(1);
}

/* Pads of our own. */

static gboolean swallow(GstPad *pad, GstObject *parent, GstEvent *event) {
  (void)pad;
  (void)parent;
  gst_event_unref(event);
  return TRUE;
}

static gboolean accept_all(GstPad *pad, GstObject *parent, GstQuery *query) {
  (void)pad;
  (void)parent;
  switch (GST_QUERY_TYPE(query)) {
  case GST_QUERY_ACCEPT_CAPS:
    gst_query_set_accept_caps_result(query, TRUE);
    return TRUE;
  case GST_QUERY_CAPS: {
    GstCaps *any = gst_caps_new_any();
    gst_query_set_caps_result(query, any);
    gst_caps_unref(any);
    return TRUE;
  }
  default:
    return FALSE;
  }
}

/* The payload repeats the low byte of the sequence number. */
static void look_into(End *e, GstBuffer *b) {
  GstMapInfo m;

  if (!gst_buffer_map(b, &m, GST_MAP_READ) || m.size <= RTP_HEADER || m.data[0] != 0x80 || m.data[RTP_HEADER] != m.data[3] ||
      m.data[m.size - 1] != m.data[3])
    e->bad++;
  gst_buffer_unmap(b, &m);
}

static GstFlowReturn count_one(GstPad *pad, GstObject *parent, GstBuffer *b) {
  End *e = gst_pad_get_element_private(pad);

  (void)parent;
  e->received++;
  if (e->check)
    look_into(e, b);
  gst_buffer_unref(b);
  return GST_FLOW_OK;
}

static GstFlowReturn count_list(GstPad *pad, GstObject *parent, GstBufferList *list) {
  End *e = gst_pad_get_element_private(pad);
  guint i, n = gst_buffer_list_length(list);

  (void)parent;
  e->received += n;
  for (i = 0; e->check && i < n; i++)
    look_into(e, gst_buffer_list_get(list, i));
  gst_buffer_list_unref(list);
  return GST_FLOW_OK;
}

static GstPad *new_sink(End *e) {
  GstPad *pad = gst_object_ref_sink(gst_pad_new("count", GST_PAD_SINK));

  gst_pad_set_element_private(pad, e);
  gst_pad_set_chain_function(pad, count_one);
  gst_pad_set_chain_list_function(pad, count_list);
  gst_pad_set_event_function(pad, swallow);
  gst_pad_set_query_function(pad, accept_all);
  gst_pad_set_active(pad, TRUE);
  return pad;
}

static void push_start(GstPad *pad, const char *id, const char *caps) {
  GstSegment segment;
  GstCaps *c = gst_caps_from_string(caps);

  gst_segment_init(&segment, GST_FORMAT_TIME);
  gst_pad_push_event(pad, gst_event_new_stream_start(id));
  gst_pad_push_event(pad, gst_event_new_caps(c));
  gst_pad_push_event(pad, gst_event_new_segment(&segment));
  gst_caps_unref(c);
}

static GstPad *new_source(GstPad *to) {
  GstPad *pad = gst_object_ref_sink(gst_pad_new("make", GST_PAD_SRC));

  gst_pad_set_event_function(pad, swallow);
  gst_pad_set_query_function(pad, accept_all);
  gst_pad_set_active(pad, TRUE);
  if (gst_pad_link_full(pad, to, GST_PAD_LINK_CHECK_NOTHING) != GST_PAD_LINK_OK)
    die("a pad does not link");
  return pad;
}

/* What takes lists apart. */

static GstFlowReturn pass_one(GstPad *pad, GstObject *parent, GstBuffer *b) {
  (void)parent;
  return gst_pad_push(((End *)gst_pad_get_element_private(pad))->between_out, b);
}

static GstFlowReturn pass_list(GstPad *pad, GstObject *parent, GstBufferList *list) {
  End *e = gst_pad_get_element_private(pad);
  GstFlowReturn ret = GST_FLOW_OK;
  guint i, n = gst_buffer_list_length(list);

  (void)parent;
  /* Each is given away and writable, as from a source that knows no lists. */
  list = gst_buffer_list_make_writable(list);
  for (i = 0; i < n && ret == GST_FLOW_OK; i++) {
    GstBuffer *b = gst_buffer_ref(gst_buffer_list_get(list, 0));
    gst_buffer_list_remove(list, 0, 1);
    ret = gst_pad_push(e->between_out, b);
  }
  gst_buffer_list_unref(list);
  return ret;
}

static gboolean pass_event(GstPad *pad, GstObject *parent, GstEvent *event) {
  (void)parent;
  return gst_pad_push_event(((End *)gst_pad_get_element_private(pad))->between_out, event);
}

/* Connections. */

static void state_changed(GstElement *enc, GParamSpec *spec, gpointer data) {
  End *e = data;
  gint state = 0;

  (void)spec;
  g_object_get(enc, "connection-state", &state, NULL);
  g_mutex_lock(&lock);
  if (state == 4 && !e->connected) {
    e->connected = TRUE;
    g_cond_broadcast(&changed);
  }
  g_mutex_unlock(&lock);
}

static GstPadProbeReturn lose(GstPad *pad, GstPadProbeInfo *info, gpointer data) {
  gboolean drop;

  (void)pad;
  (void)info;
  (void)data;
  g_mutex_lock(&lock);
  drop = (guint)g_rand_int_range(dice, 0, 100) < loss;
  g_mutex_unlock(&lock);
  return drop ? GST_PAD_PROBE_DROP : GST_PAD_PROBE_OK;
}

static void make_end(End *e, guint number, gboolean client) {
  gchar *id = g_strdup_printf("bench-%u-%s", number, client ? "client" : "server");
  GstPad *pad;

  e->dec = gst_element_factory_make("dtlssrtpdec", NULL);
  e->enc = gst_element_factory_make("dtlssrtpenc", NULL);
  if (e->dec == NULL || e->enc == NULL)
    die("there is no dtlssrtpdec or dtlssrtpenc");
  gst_object_ref_sink(e->dec);
  gst_object_ref_sink(e->enc);
  g_object_set(e->dec, "connection-id", id, NULL);
  g_object_set(e->enc, "connection-id", id, "is-client", client, NULL);
  if (strcmp(profile, "-") != 0)
    g_object_set(e->enc, "srtp-profiles", profile, NULL);
  g_free(id);
  g_signal_connect(e->enc, "notify::connection-state", G_CALLBACK(state_changed), e);
  e->sink = new_sink(e);
  pad = gst_element_get_static_pad(e->dec, "rtp_src");
  gst_pad_link_full(pad, e->sink, GST_PAD_LINK_CHECK_NOTHING);
  gst_object_unref(pad);
  pad = gst_element_request_pad_simple(e->enc, "rtp_sink_0");
  e->source = new_source(pad);
  gst_object_unref(pad);
}

static void link_ends(End *from, End *to, gboolean unpack) {
  GstPad *src = gst_element_get_static_pad(from->enc, "src"), *sink = gst_element_get_static_pad(to->dec, "sink");

  if (unpack) {
    GstPad *in = gst_object_ref_sink(gst_pad_new("in", GST_PAD_SINK));
    gst_pad_set_element_private(in, from);
    gst_pad_set_chain_function(in, pass_one);
    gst_pad_set_chain_list_function(in, pass_list);
    gst_pad_set_event_function(in, pass_event);
    gst_pad_set_query_function(in, accept_all);
    from->between_out = new_source(sink);
    from->between_in = in;
    gst_pad_set_active(in, TRUE);
    gst_object_unref(sink);
    sink = gst_object_ref(in);
  }
  if (gst_pad_link_full(src, sink, GST_PAD_LINK_CHECK_NOTHING) != GST_PAD_LINK_OK)
    die("encoder and decoder do not link");
  if (loss > 0)
    gst_pad_add_probe(src, GST_PAD_PROBE_TYPE_BUFFER, lose, NULL, NULL);
  gst_object_unref(src);
  gst_object_unref(sink);
}

/* The client's encoder comes last: the C plugin has no other way. */
static Connection *begin_connection(guint number, gboolean unpack) {
  Connection *c = g_new0(Connection, 1);
  int i;

  c->began = g_get_monotonic_time();
  for (i = 0; i < 2; i++)
    make_end(&c->end[i], number, i == 0);
  for (i = 0; i < 2; i++)
    link_ends(&c->end[i], &c->end[1 - i], unpack);
  for (i = 0; i < 2; i++)
    gst_element_set_state(c->end[i].dec, GST_STATE_PLAYING);
  for (i = 1; i >= 0; i--)
    if (gst_element_set_state(c->end[i].enc, GST_STATE_PLAYING) == GST_STATE_CHANGE_FAILURE)
      die("an encoder does not start");
  return c;
}

static gboolean is_connected(Connection *c) { return c->end[0].connected && c->end[1].connected; }

static gboolean wait_connected(Connection *c, gint64 until) {
  gboolean ok;

  g_mutex_lock(&lock);
  while (!(ok = is_connected(c)) && g_cond_wait_until(&changed, &lock, until))
    ;
  g_mutex_unlock(&lock);
  c->done = g_get_monotonic_time();
  return ok;
}

static Connection *connection(guint number, gboolean unpack) {
  Connection *c = begin_connection(number, unpack);

  if (!wait_connected(c, g_get_monotonic_time() + 30 * G_TIME_SPAN_SECOND))
    die("a connection was not made within 30 s");
  return c;
}

static void drop_connection(Connection *c) {
  int i;

  /* Without its peer an encoder has nobody to answer it; the pads are unlinked when their elements go. */
  for (i = 0; i < 2; i++)
    gst_element_set_state(c->end[i].enc, GST_STATE_NULL);
  for (i = 0; i < 2; i++) {
    End *e = &c->end[i];
    gst_element_set_state(e->dec, GST_STATE_NULL);
    gst_pad_set_active(e->source, FALSE);
    gst_pad_set_active(e->sink, FALSE);
  }
  for (i = 0; i < 2; i++) {
    End *e = &c->end[i];
    g_signal_handlers_disconnect_by_data(e->enc, e);
    gst_object_unref(e->enc);
    gst_object_unref(e->dec);
    gst_object_unref(e->source);
    gst_object_unref(e->sink);
    gst_clear_object(&e->between_in);
    gst_clear_object(&e->between_out);
  }
  g_free(c);
}

/* Packets. */

static GstBuffer *packet(End *e, guint size) {
  GstBuffer *b = gst_buffer_new_allocate(NULL, RTP_HEADER + size, NULL);
  GstMapInfo m;
  guint16 seq = e->seq++;

  gst_buffer_map(b, &m, GST_MAP_WRITE);
  memset(m.data, seq & 0xff, m.size);
  memcpy(m.data, "\x80\x60\0\0\0\0\0\0\x11\x22\x33\x44", RTP_HEADER);
  GST_WRITE_UINT16_BE(m.data + 2, seq);
  GST_WRITE_UINT32_BE(m.data + 4, seq * 960u);
  gst_buffer_unmap(b, &m);
  return b;
}

static void push_packets(GstPad *pad, End *e, guint size, guint list, guint count) {
  guint sent = 0, i;

  while (sent < count) {
    GstFlowReturn ret;
    if (list == 1) {
      ret = gst_pad_push(pad, packet(e, size));
      sent++;
    } else {
      GstBufferList *l = gst_buffer_list_new_sized(list);
      for (i = 0; i < list; i++)
        gst_buffer_list_add(l, packet(e, size));
      ret = gst_pad_push_list(pad, l);
      sent += list;
    }
    if (ret != GST_FLOW_OK)
      die("a push failed");
  }
}

static const char rtp_caps[] = "application/x-rtp,media=audio,clock-rate=48000,encoding-name=OPUS,payload=96,ssrc=(uint)287454020";

static double source_cost(guint size, guint list, guint count) {
  End alone = {0};
  GstPad *sink = new_sink(&alone), *src = new_source(sink);
  double cpu;

  push_start(src, "alone", rtp_caps);
  push_packets(src, &alone, size, list, list * 100);
  cpu = cpu_seconds();
  push_packets(src, &alone, size, list, count);
  cpu = cpu_seconds() - cpu;
  gst_object_unref(src);
  gst_object_unref(sink);
  return cpu / count;
}

static void packets(guint size, guint list, guint count, gboolean unpack) {
  Connection *c = connection(0, unpack);
  End *from = &c->end[0], *to = &c->end[1];
  double source, cpu;
  guint warm = list * (2000 / list);

  count -= count % list;
  source = source_cost(size, list, count);
  push_start(from->source, "rtp", rtp_caps);
  to->check = TRUE;
  push_packets(from->source, from, size, list, warm);
  if (to->received != warm || to->bad != 0)
    die("packets are lost or changed");
  to->check = FALSE;
  cpu = cpu_seconds();
  push_packets(from->source, from, size, list, count);
  cpu = (cpu_seconds() - cpu) / count;
  if (to->received != warm + count)
    die("packets are lost");
  to->check = TRUE;
  push_packets(from->source, from, size, list, warm);
  if (to->received != 2 * warm + count || to->bad != 0)
    die("packets are lost or changed");
  answer(g_strdup_printf("\"gross_ns\":%.1f,\"source_ns\":%.1f,\"net_ns\":%.1f", cpu * 1e9, source * 1e9, (cpu - source) * 1e9));
  drop_connection(c);
}

static void handshake(guint count) {
  gint64 began, total = 0, longest = 0;
  double cpu;
  guint i;

  for (i = 0; i < 5; i++) /* the first one makes what a process has once: keys, classes, threads */
    drop_connection(connection(i, FALSE));
  began = g_get_monotonic_time();
  cpu = cpu_seconds();
  for (i = 0; i < count; i++) {
    Connection *c = connection(5 + i, FALSE);
    total += c->done - c->began;
    longest = MAX(longest, c->done - c->began);
    drop_connection(c);
  }
  cpu = cpu_seconds() - cpu;
  answer(g_strdup_printf("\"rate\":%.3f,\"cpu_ms\":%.4f,\"connect_ms\":%.4f,\"longest_ms\":%.3f",
      count / ((g_get_monotonic_time() - began) / 1e6), cpu * 1e3 / count, total / 1e3 / count, longest / 1e3));
}

static int by_time(gconstpointer a, gconstpointer b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

/* One begins every 10 ms, so that the slow ones do not wait for each other. One that is not made counts as 60 s. */
static void with_loss(guint percent, guint count, guint seed) {
  Connection **c = g_new0(Connection *, count);
  double *ms = g_new0(double, count), sum = 0;
  guint i, open = 0, failed = 0, made = 0;
  gint64 next, end;

  dice = g_rand_new_with_seed(seed);
  for (i = 0; i < 5; i++)
    drop_connection(connection(i, FALSE));
  loss = percent;
  next = g_get_monotonic_time();
  end = next + (gint64)count * 10000 + 60 * G_TIME_SPAN_SECOND;
  for (i = 0; i < count || open > 0;) {
    gint64 now = g_get_monotonic_time();
    guint k;
    if (i < count && now >= next) {
      c[i] = begin_connection(5 + i, FALSE);
      i++;
      open++;
      next += 10000;
    }
    g_mutex_lock(&lock);
    g_cond_wait_until(&changed, &lock, MIN(i < count ? next : end, now + 100000));
    now = g_get_monotonic_time();
    for (k = 0; k < i; k++)
      if (c[k] != NULL && c[k]->done == 0 && is_connected(c[k])) {
        c[k]->done = now;
        ms[made++] = (now - c[k]->began) / 1e3;
        open--;
      }
    g_mutex_unlock(&lock);
    if (now > end) {
      for (failed = open; open > 0; open--)
        ms[made++] = 60e3;
      break;
    }
  }
  for (i = 0; i < count; i++)
    if (c[i] != NULL)
      drop_connection(c[i]);
  qsort(ms, made, sizeof *ms, by_time);
  for (i = 0; i < made; i++)
    sum += ms[i];
  if (failed == count)
    die("no connection was made");
  answer(g_strdup_printf("\"mean_ms\":%.3f,\"median_ms\":%.3f,\"p99_ms\":%.3f,\"failed\":%u", sum / made, ms[made / 2],
      ms[MIN(made - 1, made * 99 / 100)], failed));
  g_free(ms);
  g_free(c);
}

static void connections(guint count, guint total) {
  Connection **c = g_new0(Connection *, count);
  guint64 rss, before = status("VmRSS:"), threads;
  guint i, k, each = MAX(1, total / count / 10);
  double source, cpu;

  for (i = 0; i < count; i++)
    c[i] = connection(i, FALSE);
  for (i = 0; i < count; i++) {
    push_start(c[i]->end[0].source, "rtp", rtp_caps);
    push_packets(c[i]->end[0].source, &c[i]->end[0], 1200, 1, 10);
  }
  g_usleep(300000);
  rss = status("VmRSS:");
  threads = status("Threads:");
  source = source_cost(1200, 1, each * 10 * count);
  cpu = cpu_seconds();
  for (k = 0; k < 10; k++) /* in turn, as many streams would come */
    for (i = 0; i < count; i++)
      push_packets(c[i]->end[0].source, &c[i]->end[0], 1200, 1, each);
  cpu = (cpu_seconds() - cpu) / ((double)each * 10 * count) - source;
  for (i = 0; i < count; i++)
    if (c[i]->end[1].received != 10 + 10 * each)
      die("packets are lost");
  answer(g_strdup_printf("\"threads\":%" G_GUINT64_FORMAT ",\"rss_mb\":%.2f,\"rss_before_mb\":%.2f,\"net_ns\":%.1f", threads,
      rss / 1024.0, before / 1024.0, cpu * 1e9));
  for (i = 0; i < count; i++)
    drop_connection(c[i]);
  g_free(c);
}

int main(int argc, char **argv) {
  const char *mode = argc > 1 ? argv[1] : "";
  guint n[6] = {0};
  int i;

  gst_init(&argc, &argv);
  for (i = 2; i < argc && i < 8; i++)
    n[i - 2] = (guint)strtoul(argv[i], NULL, 10);
  if (strcmp(mode, "packets") == 0 && argc == 7 && n[1] > 0 && n[2] >= n[1]) {
    profile = argv[5];
    packets(n[0], n[1], n[2], n[4] != 0);
  } else if (strcmp(mode, "handshake") == 0 && argc == 3) {
    handshake(n[0]);
  } else if (strcmp(mode, "loss") == 0 && argc == 5) {
    with_loss(n[0], n[1], n[2]);
  } else if (strcmp(mode, "connections") == 0 && argc == 4 && n[0] > 0) {
    connections(n[0], n[1]);
  } else {
    fprintf(stderr, "usage: dtlsbench packets SIZE LIST COUNT PROFILE UNPACK | handshake COUNT | loss PERCENT COUNT SEED | "
                    "connections COUNT PACKETS\n");
    return 2;
  }
  return 0;
}
