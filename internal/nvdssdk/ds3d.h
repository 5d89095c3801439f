// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Reads the data maps of DeepStream's ds3d components: objects of C++ behind
// the interface that ds3d/common/abi_obj.h and abi_frame.h promise to keep, so
// that what is called are functions in their tables, and nothing is linked.
#ifndef EW_NVDS_DS3D_H
#define EW_NVDS_DS3D_H

#include <gst/gst.h>

enum { EW_DS3D_OBJECTS_2D, EW_DS3D_OBJECTS_3D, EW_DS3D_FUSED, EW_DS3D_POINTS, EW_DS3D_N };

// What became of an entry.
enum { EW_DS3D_ABSENT, EW_DS3D_THERE, EW_DS3D_OTHER_TYPE, EW_DS3D_STRANGE };

// An entry of a data map: an array.
typedef struct {
  guint64 ref;  // keeps it alive
  guint64 base, bytes;
  gint32 status, data_type, mem_type, n_dims;
  gint32 dims[8];
} EwDs3dArray;

// What a stream needs to read its data maps. C memory.
typedef struct {
  gint (*find)(GstBuffer *buffer, gpointer *map);                              // NvDs3D_Find1stDataMap
  gint (*cuda_copy)(gpointer to, gconstpointer from, gsize size, gint kind); // cudaMemcpy, may be NULL
  gchar *keys[EW_DS3D_N];
  EwDs3dArray arrays[EW_DS3D_N];
  gpointer host[EW_DS3D_N]; // copies of what is in the memory of a GPU
  gsize host_size[EW_DS3D_N];
  gpointer known[16]; // tables whose first known_size entries are functions
  guint known_size[16];
  guint n_known;
  guint64 stamp;
  gboolean has_stamp;
} EwDs3d;

EwDs3d *ew_ds3d_new(void);
void ew_ds3d_free(EwDs3d *d);
guint64 ew_ds3d_find(EwDs3d *d, gpointer buffer);
gboolean ew_ds3d_read(EwDs3d *d, guint64 map);
void ew_ds3d_done(EwDs3d *d);
guint64 ew_ds3d_to_host(EwDs3d *d, guint i, guint64 size);

#endif
