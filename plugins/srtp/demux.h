// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What a datagram on a port that DTLS and SRTP share is, by its first byte
// (RFC 7983 section 7), and RTCP among RTP by its second (RFC 5761 section 4).
#ifndef EW_SRTP_DEMUX_H
#define EW_SRTP_DEMUX_H

#include <gst/gst.h>

typedef enum {
  EW_FIRST_OTHER,
  EW_FIRST_STUN, // 0..3
  EW_FIRST_ZRTP, // 16..19
  EW_FIRST_DTLS, // 20..63
  EW_FIRST_TURN, // 64..79, a TURN channel
  EW_FIRST_RTP, // 128..191, RTP and RTCP, encrypted or not
  EW_FIRST_EMPTY, // no byte at all
  EW_FIRST_N
} EwFirst;

static inline EwFirst ew_first_of(guint8 b) {
  if (b >= 128)
    return b <= 191 ? EW_FIRST_RTP : EW_FIRST_OTHER;
  if (b >= 64)
    return b <= 79 ? EW_FIRST_TURN : EW_FIRST_OTHER;
  if (b >= 20)
    return EW_FIRST_DTLS;
  if (b >= 16)
    return EW_FIRST_ZRTP;
  return b <= 3 ? EW_FIRST_STUN : EW_FIRST_OTHER;
}

static inline EwFirst ew_first_of_buffer(GstBuffer *buffer) {
  GstMapInfo map;
  guint8 b;
  if (G_LIKELY(gst_buffer_n_memory(buffer) > 0)) {
    GstMemory *m = gst_buffer_peek_memory(buffer, 0);
    // Cheaper than gst_buffer_extract, which is for those that begin with an empty memory.
    if (gst_memory_map(m, &map, GST_MAP_READ)) {
      gsize size = map.size;
      b = size > 0 ? map.data[0] : 0;
      gst_memory_unmap(m, &map);
      if (size > 0)
        return ew_first_of(b);
    }
  }
  return gst_buffer_extract(buffer, 0, &b, 1) == 1 ? ew_first_of(b) : EW_FIRST_EMPTY;
}

static inline gboolean ew_is_rtcp(guint8 second) { return second >= 192 && second <= 223; }

#endif
