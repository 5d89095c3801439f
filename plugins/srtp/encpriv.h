// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What enc.c (sink pads), encout.c (the source pad) and encsync.c (waiting for the
// clock) share.
#ifndef EW_SRTP_ENCPRIV_H
#define EW_SRTP_ENCPRIV_H

#include "std.h"

typedef struct EwSink_ EwSink;

// A sink pad. It lives as long as its pad or its place in EwEnc.sinks.
struct EwSink_ {
  gint refs;
  EwEnc *enc;
  GstPad *pad; // referenced while in EwEnc.sinks
  guint kind;
  guint64 id; // never used again, unlike an address

  // Under the source pad's stream lock.
  EwHeld held;
  gboolean eos_held; // EOS came while something was held
  GstEvent *stream_start, *segment;
  GstSegment seg; // of segment
  GstCaps *caps; // what its packets are on the source pad
  EwStdWay ways[2]; // by the kind of a packet; used by whoever gives packets on

  gint fresh; // one of these is new, or waits in the inbox; atomic
  // Of the pad's streaming thread alone, for rtp-sync.
  GstSegment sync_seg;
  gboolean sync_seg_set;

  // Under EwEnc.lock.
  // What has come for the three events above. Their thread must not wait for the
  // source pad, on which downstream may block: a live source holds its own lock
  // while it pushes them, and could not be stopped.
  GstEvent *new_stream_start, *new_segment;
  GstCaps *new_caps;
  gboolean eos, gone;
  gboolean in_flush; // between flush-start and flush-stop
  guint starting; // threads that are about to push its flush-start
  gboolean flushing; // flushed or deactivated: do not wait
  GstClockID clock_id;
};

struct EwEnc_ {
  gint refs;
  GstElement *element;
  GstPad *src; // these two are used from pad functions and running threads of the element only
  GstDebugCategory *cat;
  uintptr_t handle;
  GstElement *child; // the standard srtpenc, referenced; NULL: our own
  gint keys;
  gint flushes; // sink pads between flush-start and flush-stop
  gint sync;
  gint eos_wanted; // EOS is to go out as soon as nobody pushes
  gint64 warned;
  guint64 counts[EW_N_COUNTS];

  // Under the source pad's stream lock: what it has been sent.
  guint64 last; // id of the sink of the last buffer, 0 for the DTLS side or none
  gboolean stream_started, segment_sent, eos_sent;
  int rank; // of its caps
  guint64 caps_owner; // id of the sink that they are of
  GstSegment seg;

  GMutex lock;
  GCond cond; // flushing, blocked, sync have changed
  GList *sinks;
  guint64 last_id;
  gboolean blocked; // not PLAYING
  gboolean data_present, data_eos;
  GstClockTime latency; // of upstream, if live
};

EwSink *ew_sink_ref(EwSink *s);
void ew_sink_unref(gpointer data);

// encout.c, with the source pad's stream lock held. s is NULL for the DTLS side.
void ew_enc_out_start(EwEnc *e, EwSink *s);
GstFlowReturn ew_enc_out_push(EwEnc *e, EwSink *s, GstBuffer *buffer);
GstFlowReturn ew_enc_out_push_list(EwEnc *e, EwSink *s, GstBufferList *list);
void ew_enc_out_flushed(EwEnc *e);
gboolean ew_enc_all_eos(EwEnc *e);
gboolean ew_sink_end_flush(EwSink *s, GstEvent *stop);

gboolean ew_sink_event(GstPad *pad, GstObject *parent, GstEvent *event);
void ew_enc_flush_held(EwEnc *e, EwSink *s, GstFlowReturn *ret); // enc.c
GstFlowReturn ew_enc_child_push(EwSink *s, GstBuffer *b); // encstd.c

// encsync.c
GstFlowReturn ew_sink_wait(EwSink *s, GstBuffer *buffer);
void ew_sink_set_flushing(EwSink *s, gboolean flushing);
gboolean ew_enc_src_query(GstPad *pad, GstObject *parent, GstQuery *query);

void ew_src_unlock(EwEnc *e); // the source pad's stream lock

static inline gboolean ew_src_flushing(EwEnc *e) { return GST_PAD_IS_FLUSHING(e->src); }

#endif
