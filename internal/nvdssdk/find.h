// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Finds DeepStream's batch of metadata among a buffer's metas. Included by the
// C code of elements, too: their loop over the metas is then the only one.
#ifndef EW_NVDS_FIND_H
#define EW_NVDS_FIND_H

#include <gst/gst.h>

// The public part of NvDsMeta (gstnvdsmeta.h), the same in every release.
typedef struct {
  GstMeta meta;
  gpointer meta_data, user_data;
  gint meta_type;
  gpointer copyfunc, freefunc, transform, release;
} EwNvdsMeta;

#define EW_NVDS_BATCH_GST_META 4097

// What an API type turned out to be is kept: asking for its tag takes a lock.
typedef struct {
  GType yes, no;
} EwNvdsCache;

// The batch that meta carries, NULL if it is something else.
static inline gpointer ew_nvds_batch_of(GstMeta *meta, EwNvdsCache *cache) {
  const GstMetaInfo *info = meta->info;
  if (info->api == cache->no)
    return NULL;
  if (info->api != cache->yes) {
    GQuark tag = g_quark_try_string("nvdsmeta");
    if (tag == 0 || !gst_meta_api_type_has_tag(info->api, tag) || info->size < sizeof(EwNvdsMeta)) {
      cache->no = info->api;
      return NULL;
    }
    cache->yes = info->api;
  }
  const EwNvdsMeta *m = (const EwNvdsMeta *)meta;
  return m->meta_type == EW_NVDS_BATCH_GST_META ? m->meta_data : NULL;
}

#endif
