// SPDX-License-Identifier: LGPL-2.1-or-later
#ifndef EW_SMARTRECORD_H
#define EW_SMARTRECORD_H

#include <gst/gst.h>

#define EW_SR_NO_TIME G_MININT64

// What the ring needs to know of a buffer; times are running times in ns, EW_SR_NO_TIME if there is none.
typedef struct {
  gint64 pts, dts;
  guint64 size;
  gboolean key, header;
} EwSrInfo;

EwSrInfo ew_sr_info(GstBuffer *buffer, const GstSegment *segment);
GstBuffer *ew_sr_keep(GstBuffer *buffer, gboolean *copied);
GstSegment *ew_sr_segment(GstEvent *event);
void ew_sr_proxy(GstPad *pad);

// A file that is being written: a pipeline of its own, which nothing in the application's waits for.
typedef struct EwSrWriter_ EwSrWriter;
enum { EW_SR_NOTHING, EW_SR_EOS, EW_SR_ERROR };
typedef struct {
  int what;
  gboolean no_space;
  char *text; // of EW_SR_ERROR: to be freed
} EwSrEvent;

EwSrWriter *ew_sr_writer_new(const char *parser, const char *muxer, const char *location, GstCaps *caps, const char **missing);
gboolean ew_sr_writer_start(EwSrWriter *w);
gboolean ew_sr_writer_push(EwSrWriter *w, GstBuffer *buffer, gint64 pts, gint64 dts, const guint8 *before, gsize n_before);
void ew_sr_writer_end(EwSrWriter *w);
guint64 ew_sr_writer_level(EwSrWriter *w);
EwSrEvent ew_sr_writer_poll(EwSrWriter *w);
void ew_sr_writer_free(EwSrWriter *w);

#endif
