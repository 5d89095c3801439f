// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What dec.c (datagrams), decout.c (source pads and events) and decstd.c (the
// standard element) share.
#ifndef EW_SRTP_DECPRIV_H
#define EW_SRTP_DECPRIV_H

#include "std.h"

// A source pad, under the sink pad's stream lock.
typedef struct {
  GstPad *pad;
  const char *suffix, *caps_name;
  gboolean stream_started, caps_sent, segment_sent;
  GstFlowReturn last; // of its last push
} Out;

struct EwDec_ {
  gint refs;
  GstElement *element;
  GstPad *sink; // these and the pads of out are used from pad functions and running threads of the element only
  GstDebugCategory *cat;
  uintptr_t handle;
  gint keys;
  gint64 warned;
  guint64 counts[EW_N_COUNTS];
  GstElement *child; // the standard srtpdec, referenced; NULL: our own
  gulong asks; // its request-key signal
  GMutex key_lock;
  GstCaps *child_key; // under key_lock
  EwStdWay ways[2];
  gint draining; // the streaming thread waits for the DTLS side

  // Under the sink pad's stream lock. The events are kept here too, since GStreamer
  // stores them on the pad only after its event function.
  EwHeld held;
  GstEvent *stream_start, *segment;
  GstCaps *caps;
  guint group; // for upstreams without one
  Out out[2]; // by EW_KIND_
};

void ew_dec_drop(EwDec *d, guint why);
void ew_dec_count_packets(EwDec *d, const guint64 *count, const guint64 *bytes); // by EW_KIND_
GstFlowReturn ew_dec_flush_held(EwDec *d);

GstFlowReturn ew_dec_push(EwDec *d, guint kind, GstBuffer *b);
GstFlowReturn ew_dec_push_list(EwDec *d, guint kind, GstBufferList *l); // which may be NULL
void ew_dec_send_eos(EwDec *d, GstEvent *eos);
gboolean ew_dec_event(GstPad *pad, GstObject *parent, GstEvent *ev);

GstFlowReturn ew_dec_child_push(EwDec *d, GstBuffer *b, guint kind);

#endif
