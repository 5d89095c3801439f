// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The C half of the SRTP engine: pads, buffers, lists, waiting and holding. Go is
// entered once per buffer or per EW_BATCH buffers of a list, for the crypto alone.
//
// Locks, outermost first: a sink pad's stream lock (held by GStreamer while it
// calls the pad), the encoder's source pad's stream lock, EwEnc.lock. EwEnc.lock
// is not held while a pad, an element or Go is called; stream locks are, as they must be.
#ifndef EW_SRTP_ENGINE_H
#define EW_SRTP_ENGINE_H

#include <gst/gst.h>
#include <stdint.h>

enum { EW_KIND_RTP, EW_KIND_RTCP };

// What is known of the keys. Media is held, sent as it is (all ciphers null), or protected.
enum { EW_KEYS_NONE, EW_KEYS_PLAIN, EW_KEYS_SET };

enum {
  EW_BATCH = 64, // packets for one crossing
  EW_OVERHEAD = 20, // the most that protecting adds, of all policies: GCM's tag and the SRTCP index
};

enum {
  EW_COUNT_RTP_PACKETS,
  EW_COUNT_RTP_BYTES,
  EW_COUNT_RTCP_PACKETS,
  EW_COUNT_RTCP_BYTES,
  // What was dropped, and why. Those from here to EW_COUNT_FAILED come out of Go too.
  EW_COUNT_MALFORMED,
  EW_COUNT_AUTH,
  EW_COUNT_REPLAY,
  EW_COUNT_OLD,
  EW_COUNT_EXPIRED,
  EW_COUNT_FAILED, // memory that cannot be mapped, too many SSRCs
  EW_COUNT_BEFORE_KEY,
  EW_COUNT_OTHER,
  EW_COUNT_STUN,
  EW_COUNT_TURN,
  EW_COUNT_ZRTP,
  EW_COUNT_EMPTY,
  EW_N_COUNTS
};

// One packet for Go. out may be in.
typedef struct {
  const guint8 *in;
  guint8 *out;
  guint32 in_len, out_cap;
  gint32 out_len; // Go's answer: the length, or -EW_COUNT_… for a packet to drop
  guint32 kind;
} EwPacket;

typedef struct EwEnc_ EwEnc;
typedef struct EwDec_ EwDec;

// The encoder: any number of sink pads, one source pad, which others may push on too.
EwEnc *ew_enc_new(gpointer element, gpointer src, gpointer category, uintptr_t handle);
void ew_enc_free(EwEnc *e); // the element's end: its pads may live on, and do nothing
void ew_enc_add_sink(EwEnc *e, gpointer pad, guint kind, guint max_packets, guint max_bytes);
gboolean ew_enc_remove_sink(EwEnc *e, gpointer pad); // TRUE: it was the last that others' EOS waited for
void ew_enc_unblock_remove(gpointer element, gpointer pad);
void ew_enc_set_keys(EwEnc *e, int keys);
void ew_enc_set_sync(EwEnc *e, gboolean sync);
void ew_enc_set_blocked(EwEnc *e, gboolean blocked);
void ew_enc_reset(EwEnc *e);
void ew_enc_set_data(EwEnc *e, gboolean present);
void ew_enc_data_eos(EwEnc *e);
void ew_enc_push_eos(EwEnc *e);
GstFlowReturn ew_enc_push_data(EwEnc *e, const guint8 *data, gsize size);
guint64 ew_enc_count(EwEnc *e, guint i);
guint ew_enc_held(EwEnc *e);

// The decoder: one sink pad, two source pads.
EwDec *ew_dec_new(gpointer element, gpointer sink, gpointer rtp, gpointer rtcp, gpointer category, uintptr_t handle,
    guint max_packets, guint max_bytes);
void ew_dec_free(EwDec *d);
void ew_dec_set_keys(EwDec *d, int keys);
void ew_dec_push_eos(EwDec *d);
void ew_dec_reset(EwDec *d);
guint64 ew_dec_count(EwDec *d, guint i);
guint ew_dec_held(EwDec *d);

// What both halves share (packet.c).

typedef struct {
  GQueue buffers;
  gsize bytes;
  gint n; // of buffers; written under the owner's stream lock, read without
  guint max_packets;
  gsize max_bytes;
} EwHeld;

void ew_held_push(EwHeld *h, GstBuffer *buffer, guint64 *counts);
GstBuffer *ew_held_pop(EwHeld *h);
void ew_held_clear(EwHeld *h, guint64 *counts);

void ew_count(guint64 *counts, guint i, guint64 n);
guint64 ew_count_get(const guint64 *counts, guint i);
void ew_warn_drop(GstDebugCategory *cat, gpointer object, gint64 *last, guint reason);

// A packet's memory between the two: open, output, then finish; or close.
typedef struct {
  const guint8 *data; // the packet
  gsize size;
  GstMemory *mem, *out_mem; // NULL: not mapped
  gboolean own; // mem may be written to
  GstMapInfo map, out_map;
} EwWork;

guint ew_packet_check(const guint8 *data, gsize size, guint kind); // 0, or the reason to drop it
// extra is how much longer the result may be.
gboolean ew_work_open(EwWork *w, GstBuffer *in, guint32 extra, gboolean in_place);
void ew_work_close(EwWork *w);
gboolean ew_work_output(EwWork *w, EwPacket *p, guint32 extra);
// The result of out_len bytes, with all that in has beside its memory: in itself
// where that may be changed, else a new buffer. in stays the caller's.
GstBuffer *ew_work_finish(EwWork *w, EwPacket *p, GstBuffer *in);

// Makes n results, which may be the buffers themselves, new ones, or NULL, into
// lists by kind (0 or 1; kinds NULL: all 0). The buffers are list's, which is
// taken and, mostly, goes on as it is; or, list being NULL, the caller's, and taken.
void ew_collect(GstBufferList *list, GstBuffer **in, GstBuffer **out, const guint8 *kinds, guint n, GstBufferList **to);

#endif
