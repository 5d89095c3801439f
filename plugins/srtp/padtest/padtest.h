// SPDX-License-Identifier: LGPL-2.1-or-later
#ifndef EW_PADTEST_H
#define EW_PADTEST_H

#include <gst/gst.h>

enum { PT_PLAIN, PT_SHARED, PT_PARTS, PT_READONLY, PT_META };

typedef struct PtSink_ PtSink;

GstPad *pt_src(gpointer element, const char *pad);
void pt_src_free(GstPad *pad);
/* Whether a push is inside the peer. */
gboolean pt_src_inside(GstPad *pad);
GstPad *pt_request(gpointer element, const char *name);
void pt_release(gpointer element, GstPad *pad);
void pt_start(GstPad *src, const char *caps, guint64 base);
gboolean pt_event(GstPad *src, GstEvent *e);
int pt_push(GstPad *src, const guint8 *data, gsize size, guint64 pts, int how);
int pt_push_list(GstPad *src, const guint8 *data, const guint32 *sizes, guint n, int how);
GstBuffer *pt_make(const guint8 *data, gsize size, guint64 pts, int how, GstBuffer **keep);
gboolean pt_latency(GstPad *sink, guint64 *min);

PtSink *pt_sink(gpointer element, const char *pad, gboolean unpack);
PtSink *pt_sink_alone(void);
GstPad *pt_sink_pad(PtSink *s);
void pt_sink_free(PtSink *s);
guint pt_sink_take(PtSink *s, GstBuffer **to, guint max);
guint64 pt_sink_count(PtSink *s);
guint64 pt_sink_lists(PtSink *s);
char *pt_sink_events(PtSink *s);
char *pt_sink_caps(PtSink *s);
void pt_sink_block(PtSink *s, gboolean on);
gboolean pt_sink_blocked(PtSink *s);
void pt_sink_answer(PtSink *s, int flow);
void pt_sink_keep(PtSink *s, gboolean on);

// Pushes n RTP packets in a thread of its own and gives its CPU time in ns.
gint64 pt_bench(GstPad *src, guint n, guint list, guint size, guint32 ssrc, guint first_seq);
GstPad *pt_loose_src(PtSink *s);

#endif
