/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Measures dtlssrtpenc and dtlssrtpdec, whichever plugin GST_PLUGIN_PATH brings: both ends of a connection in
 * this process, encoder linked with the other end's decoder, no network and no other element between them.
 *
 *   dtlsbench packets SIZE LIST COUNT PROFILE UNPACK  CPU per packet, encrypted and decrypted
 *   dtlsbench handshake COUNT                         connections made and dropped one after the other
 *   dtlsbench loss PERCENT COUNT SEED                 time to connect when datagrams are lost
 *   dtlsbench connections COUNT PACKETS PROFILE       threads, memory and CPU per packet with so many at once
 *
 * Each prints one line of JSON. PROFILE is a value for srtp-profiles, or "-" to leave it alone. LIST is how many
 * packets go in one buffer list (1: plain buffers). UNPACK=1 takes the lists apart between encoder and decoder:
 * the srtpdec of GStreamer 1.22 passes what comes in lists on undecrypted. CPU is that of the whole process.
 * The exit status is 1 if a packet got lost or was changed, or a connection was not made.
 */
#include "dtlsends.h"

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
  } else if (strcmp(mode, "connections") == 0 && argc == 5 && n[0] > 0) {
    profile = argv[4];
    connections(n[0], n[1]);
  } else {
    fprintf(stderr, "usage: dtlsbench packets SIZE LIST COUNT PROFILE UNPACK | handshake COUNT | loss PERCENT COUNT SEED | "
                    "connections COUNT PACKETS PROFILE\n");
    return 2;
  }
  return 0;
}
