// SPDX-License-Identifier: LGPL-2.1-or-later
#ifndef EW_GSTTEST_H
#define EW_GSTTEST_H

#include <gst/gst.h>
#include <stdint.h>
#include <stdlib.h>

GType ewt_type(const GValue *v);
GType ewt_type_strv(void);
gpointer ewt_new_subclass(GstElement *of, const char *name);
void ewt_set_bytes(GValue *v, const guint8 *data, gsize size);
GParamSpec *ewt_param(gpointer object, const char *name);
void ewt_emit(gpointer object, guint id, GValue *values, GValue *ret);
gulong ewt_connect(gpointer object, const char *signal, uintptr_t handle);
gulong ewt_block(GstPad *pad);
gulong ewt_probe(GstPad *pad, uintptr_t handle);
gulong ewt_refcount(gpointer object);
gpointer ewt_memory(GstBuffer *b);
guint ewt_meta_count(GstBuffer *b);
gboolean ewt_is_writable(GstBuffer *b);
GstBuffer *ewt_buffer(const guint8 *data, gsize size, guint64 pts, guint64 duration);
GstMessageType ewt_message_type(GstMessage *m);
gpointer ewt_message_src(GstMessage *m);
gboolean ewt_is_pad(gpointer p);
void ewt_count_criticals(void);
guint ewt_criticals(void);
gulong ewt_watch_log(uintptr_t handle);

#endif
