// SPDX-License-Identifier: LGPL-2.1-or-later
#define _GNU_SOURCE
#include "ds3d.h"
#include "sdk.h"
#include <errno.h>
#include <link.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

// The places of the functions in their tables, by the C++ ABI of all platforms
// that DeepStream runs on (Itanium): in the order of their declaration, a
// destructor takes two.
enum {
  REF_DESTROY = 0, // abiRefObj and abiRefT
  REF_COPY = 1,
  REF_DATA = 4,
  MAP_GET = 3,   // abiDataMap: getBuf_i
  FRAME_DATA_TYPE = 2, // abiFrame
  FRAME_MEM_TYPE = 4,
  FRAME_BYTES = 6,
  FRAME_SHAPE = 7,
  FRAME_BASE = 8,
};

// The types of entries (REGISTER_TYPE_ID), an error, and where a GPU's memory is.
#define TYPE_FRAME 0x20001
#define TYPE_TIME_STAMP 0x20002
#define ERROR_TYPE (-6)
#define COPY_DEVICE_TO_HOST 2
#define KEY_TIME_STAMP "DS3D::Timestamp"

typedef struct {
  guint32 n_dims;
  gint32 d[8];
} Shape;

// Whether size bytes can be read, at most a page of them. The kernel looks at the
// set of signals that it is handed before it refuses what to do with it: nothing
// changes, and what is unmapped is an answer and no fault.
static gboolean readable(gconstpointer at, gsize size) {
  const gsize word = 8; // of the kernel's set of signals
  guintptr first = (guintptr)at, last = first + (size > word ? size - word : 0);
  if (at == NULL || last < first)
    return FALSE;
  return (syscall(SYS_rt_sigprocmask, ~0, first, NULL, word) == 0 || errno != EFAULT) &&
         (syscall(SYS_rt_sigprocmask, ~0, last, NULL, word) == 0 || errno != EFAULT);
}

typedef struct {
  gpointer address;
  gboolean found;
} Code;

static int search_code(struct dl_phdr_info *info, size_t size, void *data) {
  (void)size;
  Code *c = data;
  for (guint i = 0; i < info->dlpi_phnum && !c->found; i++) {
    const ElfW(Phdr) *p = &info->dlpi_phdr[i];
    guintptr start = info->dlpi_addr + p->p_vaddr, at = (guintptr)c->address;
    c->found = p->p_type == PT_LOAD && (p->p_flags & PF_X) != 0 && at >= start && at - start < p->p_memsz;
  }
  return c->found;
}

// An object's table, if what stands in its first n places is code of a loaded
// library: another layout than the one known is told, and not called.
static gpointer *table(EwDs3d *d, gpointer object, guint n) {
  if (!readable(object, sizeof(gpointer)))
    return NULL;
  gpointer *t = *(gpointer **)object;
  for (guint i = 0; i < d->n_known; i++)
    if (d->known[i] == t && d->known_size[i] >= n)
      return t;
  if (!readable(t, n * sizeof *t))
    return NULL;
  for (guint i = 0; i < n; i++) {
    Code c = {t[i], FALSE};
    dl_iterate_phdr(search_code, &c);
    if (!c.found)
      return NULL;
  }
  if (d->n_known < G_N_ELEMENTS(d->known)) { // more kinds of objects are looked at again each time
    d->known[d->n_known] = t;
    d->known_size[d->n_known++] = n;
  }
  return t;
}

static gpointer ref_data(EwDs3d *d, gpointer ref) {
  gpointer *t = table(d, ref, REF_DATA + 1);
  return t != NULL ? ((gpointer(*)(gpointer))t[REF_DATA])(ref) : NULL;
}

static void ref_destroy(gpointer ref) { ((void (*)(gpointer)) (*(gpointer **)ref)[REF_DESTROY])(ref); }

// The entry of a map, as a reference that its caller gives back, and its data.
static gpointer get(EwDs3d *d, gpointer map, const char *key, guint64 type, gpointer *data, gint *status) {
  gpointer *t = table(d, map, MAP_GET + 3), ref = NULL;
  *data = NULL;
  if (t == NULL) {
    *status = EW_DS3D_STRANGE;
    return NULL;
  }
  // What the map gives is its own reference. A copy keeps the entry when others put something else in its place; that
  // they leave the reference itself for a moment longer is up to the map.
  gint code = ((gint(*)(gpointer, const char *, guint64, gpointer *))t[MAP_GET])(map, key, type, &ref);
  *status = code == ERROR_TYPE ? EW_DS3D_OTHER_TYPE : EW_DS3D_ABSENT;
  if (code != 0 || ref == NULL)
    return NULL;
  *status = EW_DS3D_STRANGE;
  gpointer *refs = table(d, ref, REF_DATA + 1);
  gpointer copy = refs != NULL ? ((gpointer(*)(gpointer))refs[REF_COPY])(ref) : NULL;
  *data = ref_data(d, copy);
  if (*data != NULL) {
    *status = EW_DS3D_THERE;
    return copy;
  }
  if (copy != NULL && table(d, copy, REF_DATA + 1) != NULL)
    ref_destroy(copy);
  return NULL;
}

static void read_array(EwDs3d *d, gpointer map, guint i) {
  EwDs3dArray *a = &d->arrays[i];
  gpointer frame;
  a->ref = 0;
  a->status = EW_DS3D_ABSENT;
  if (d->keys[i] == NULL || d->keys[i][0] == 0)
    return;
  gpointer ref = get(d, map, d->keys[i], TYPE_FRAME, &frame, &a->status);
  if (ref == NULL)
    return;
  a->ref = (guint64)(guintptr)ref;
  gpointer *t = table(d, frame, FRAME_BASE + 1);
  const Shape *shape = t != NULL ? ((const Shape *(*)(gpointer))t[FRAME_SHAPE])(frame) : NULL;
  if (!readable(shape, sizeof *shape) || shape->n_dims > G_N_ELEMENTS(a->dims)) {
    a->status = EW_DS3D_STRANGE;
    return;
  }
  a->n_dims = (gint32)shape->n_dims;
  memcpy(a->dims, shape->d, sizeof a->dims);
  a->data_type = ((gint(*)(gpointer))t[FRAME_DATA_TYPE])(frame);
  a->mem_type = ((gint(*)(gpointer))t[FRAME_MEM_TYPE])(frame);
  a->bytes = ((gsize(*)(gpointer))t[FRAME_BYTES])(frame);
  a->base = (guint64)(guintptr)((gpointer(*)(gpointer))t[FRAME_BASE])(frame);
}

EwDs3d *ew_ds3d_new(void) {
  EwDs3d *d = g_new0(EwDs3d, 1);
  d->find = (gint(*)(GstBuffer *, gpointer *))ew_nvds_look_up("NvDs3D_Find1stDataMap");
  d->cuda_copy = (gint(*)(gpointer, gconstpointer, gsize, gint))ew_nvds_look_up("cudaMemcpy");
  return d;
}

void ew_ds3d_free(EwDs3d *d) {
  if (d == NULL)
    return;
  ew_ds3d_done(d);
  for (guint i = 0; i < EW_DS3D_N; i++) {
    g_free(d->keys[i]);
    g_free(d->host[i]);
  }
  g_free(d);
}

// The first data map of a buffer, 0 if it has none.
guint64 ew_ds3d_find(EwDs3d *d, gpointer buffer) {
  gpointer map = NULL;
  return d->find(buffer, &map) == 0 ? (guint64)(guintptr)map : 0;
}

// Looks at the entries of a data map, which stay until ew_ds3d_done. FALSE: it is
// no object as is known.
gboolean ew_ds3d_read(EwDs3d *d, guint64 address) {
  gpointer map = ref_data(d, (gpointer)(guintptr)address), stamp;
  if (map == NULL || table(d, map, MAP_GET + 3) == NULL)
    return FALSE;
  gint status; // a stamp that is none is no reason to give the rest up
  gpointer ref = get(d, map, KEY_TIME_STAMP, TYPE_TIME_STAMP, &stamp, &status);
  d->has_stamp = ref != NULL && readable(stamp, sizeof d->stamp);
  d->stamp = d->has_stamp ? *(guint64 *)stamp : 0;
  if (ref != NULL)
    ref_destroy(ref);
  for (guint i = 0; i < EW_DS3D_N; i++)
    read_array(d, map, i);
  return TRUE;
}

void ew_ds3d_done(EwDs3d *d) {
  for (guint i = 0; i < EW_DS3D_N; i++) {
    if (d->arrays[i].ref != 0)
      ref_destroy((gpointer)(guintptr)d->arrays[i].ref);
    d->arrays[i].ref = 0;
  }
}

// Copies the first bytes of an array out of a GPU's memory; 0 if that fails.
guint64 ew_ds3d_to_host(EwDs3d *d, guint i, guint64 size) {
  if (d->cuda_copy == NULL)
    return 0;
  if (d->host_size[i] < size) {
    g_free(d->host[i]);
    d->host[i] = g_try_malloc(size); // an array can be as large as a GPU's memory
    d->host_size[i] = d->host[i] != NULL ? size : 0;
    if (d->host[i] == NULL)
      return 0;
  }
  gint code = d->cuda_copy(d->host[i], (gpointer)(guintptr)d->arrays[i].base, size, COPY_DEVICE_TO_HOST);
  return code == 0 ? (guint64)(guintptr)d->host[i] : 0;
}
