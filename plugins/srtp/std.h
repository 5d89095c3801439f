// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The standard srtpenc or srtpdec in the place of our crypto, as a child of the
// bin. Unparented pads connect it: an inner one gives it packets, a back one takes
// what it has made of them.
#ifndef EW_SRTP_STD_H
#define EW_SRTP_STD_H

#include "engine.h"

typedef struct {
  GstPad *inner, *back, *child_pad; // child_pad: a request pad to release, NULL for an always pad
  gboolean started;
} EwStdWay;

typedef GstFlowReturn (*EwStdBack)(gpointer owner, guint kind, GstBuffer *buffer);

// sink and src are the child's pads; owner outlives the way.
gboolean ew_std_open(EwStdWay *w, GstElement *child, const char *sink, const char *src, gboolean request, EwStdBack back,
    gpointer owner, guint kind);
void ew_std_close(EwStdWay *w, GstElement *child);
void ew_std_restart(EwStdWay *w);
GstFlowReturn ew_std_push(EwStdWay *w, const char *caps, GstBuffer *buffer);

// The child leaves its bin, if that has not ended already.
void ew_std_take_off(GstElement *child);

void ew_enc_use_child(EwEnc *e, gpointer child);
void ew_dec_use_child(EwDec *d, gpointer child);
void ew_std_enc_key(gpointer child, const guint8 *key, gsize size, int rtp_cipher, int rtp_auth, int rtcp_cipher,
    int rtcp_auth, guint window, gboolean repeat);
void ew_dec_child_key(EwDec *d, const guint8 *key, gsize size, const char *rtp_cipher, const char *rtp_auth,
    const char *rtcp_cipher, const char *rtcp_auth);

#endif
