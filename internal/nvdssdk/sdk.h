// SPDX-License-Identifier: LGPL-2.1-or-later
#ifndef EW_NVDS_SDK_H
#define EW_NVDS_SDK_H

#include <gst/gst.h>

// The SDK's functions, as its headers declare them (nvdsmeta.h,
// nvds_audio_meta.h), looked up in the process.
typedef struct {
  gpointer (*acquire_user_meta)(gpointer batch);
  void (*add_to_frame)(gpointer frame, gpointer user);
  void (*add_to_audio_frame)(gpointer frame, gpointer user);
  void (*add_to_batch)(gpointer batch, gpointer user);
  const char *missing; // the first that is not there
} EwNvdsSdk;

typedef struct {
  guint major, minor;
  const char *where; // which library or plugin says so; NULL: nobody
} EwNvdsVersion;

enum { EW_NVDS_TO_FRAME, EW_NVDS_TO_AUDIO_FRAME, EW_NVDS_TO_BATCH, EW_NVDS_TO_BATCH_OF_SCENES };

// A payload to attach, as offsets into the bytes and the texts of a call: Go
// memory without pointers, which cgo need not look through.
typedef struct {
  guint64 target, data, size;
  guint32 text, key_len, content_type_len; // the texts: key, then content type
  guint32 comp_id;
  gint64 timestamp; // ms since the epoch, 0 unknown
  gint32 kind;
} EwNvdsRecord;

// What of ours stands behind an NvDsPayload that we attached.
typedef struct {
  const char *key, *content_type;
  guint32 key_len, content_type_len;
  gint64 timestamp;
} EwNvdsSide;

gpointer ew_nvds_look_up(const char *name);
gpointer ew_nvds_find(gpointer buffer);
gpointer ew_nvds_add_batch(gpointer buffer);
gboolean ew_nvds_has_batch(GstBuffer *buffer);
void ew_nvds_resolve(EwNvdsSdk *sdk);
void ew_nvds_version(gpointer buffer, EwNvdsVersion *from_library);
gchar *ew_nvds_plugin_version(const char *name, const char *not_package);
gchar **ew_nvds_plugins(void);
void ew_nvds_lock(guint64 batch);
void ew_nvds_unlock(guint64 batch);
gboolean ew_nvds_attach(const EwNvdsSdk *sdk, guint64 batch, const guint8 *data, const char *text, const EwNvdsRecord *records, guint n);
guint64 ew_nvds_release(void);
gboolean ew_nvds_side(guint64 user, EwNvdsSide *side);

#endif
