/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What dtlsbench measures with: connections of two ends in this process, and the pads around them. */
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
