// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The library that made an analytics meta (libgstanalytics, GStreamer 1.24 and
// newer) is in the process already: its functions are looked up there, so that
// older GStreamers do without.
#define _GNU_SOURCE
#include "analytics_lib.h"
#include "analytics.h"
#include <dlfcn.h>

EwAnalyticsLib ew_analytics_lib;
#define lib ew_analytics_lib

// Functions of one row come together. An incomplete row is as good as none: its
// kind of mtd is then not known, and passed over.
typedef struct {
  const char *name;
  gpointer *to;
} Wanted;

#define F(name, field) {"gst_analytics_" name, (gpointer *)&lib.field}
static const Wanted core[] = {
    F("mtd_get_mtd_type", mtd_type), F("relation_meta_iterate", iterate),
    F("relation_meta_get_direct_related", related), F("relation_meta_get_relation", relation),
    F("od_mtd_get_location", od_location), F("od_mtd_get_obj_type", od_type),
    F("tracking_mtd_get_info", tracking_info), F("cls_mtd_get_length", cls_length),
    F("cls_mtd_get_level", cls_level), F("cls_mtd_get_quark", cls_quark),
    F("cls_mtd_get_index_by_quark", cls_index), {NULL, NULL}};
static const Wanted oriented[] = {F("od_mtd_get_oriented_location", od_oriented), {NULL, NULL}};
static const Wanted segmentation[] = {F("segmentation_mtd_get_mask", mask),
    F("segmentation_mtd_get_region_count", region_count), F("segmentation_mtd_get_region_id", region_id), {NULL, NULL}};
static const Wanted group[] = {F("group_mtd_get_member_count", group_count), F("group_mtd_get_member", group_member), {NULL, NULL}};
static const Wanted keypoint[] = {F("keypoint_mtd_get_position", point_position),
    F("keypoint_mtd_get_confidence", point_confidence), {NULL, NULL}};
static const Wanted text[] = {F("text_mtd_get_text", text), F("text_mtd_get_confidence", text_confidence), {NULL, NULL}};
#undef F

GType ew_analytics_api;

// The meta's type need not be registered yet; what has its name is it.
gboolean ew_analytics_learn(GType api) {
  static GQuark name;
  if (name == 0)
    name = g_quark_from_static_string("GstAnalyticsRelationMetaAPI");
  if (g_type_qname(api) != name)
    return FALSE;
  __atomic_store_n(&ew_analytics_api, api, __ATOMIC_RELAXED);
  return TRUE;
}

static gpointer look_up(void *library, const char *name) {
  gpointer f = library != NULL ? dlsym(library, name) : NULL;
  return f != NULL ? f : dlsym(RTLD_DEFAULT, name); // GStreamer may be linked into the program
}

// Resolves a row and, if complete, the mtd's type; else gives the name that is missing.
static const char *resolve(void *library, const Wanted *row, int kind, const char *type) {
  const char *missing = NULL;
  for (const Wanted *w = row; w->name != NULL; w++)
    if ((*w->to = look_up(library, w->name)) == NULL && missing == NULL)
      missing = w->name;
  if (type != NULL && missing == NULL) {
    guintptr (*get)(void) = (guintptr(*)(void))look_up(library, type);
    if (get == NULL)
      missing = type;
    else
      __atomic_store_n(&lib.type[kind], get(), __ATOMIC_RELEASE); // last: who sees the type calls the functions
  }
  return missing;
}

// What 1.26 and 1.30 have added; what is known already is left alone.
static void resolve_kinds(void *library) {
  static const struct {
    int kind;
    const Wanted *row;
    const char *type;
  } kinds[] = {
      {KIND_SEGMENTATION, segmentation, "gst_analytics_segmentation_mtd_get_mtd_type"},
      {KIND_GROUP, group, "gst_analytics_group_mtd_get_mtd_type"},
      {KIND_KEYPOINT, keypoint, "gst_analytics_keypoint_mtd_get_mtd_type"},
      {KIND_TEXT, text, "gst_analytics_text_mtd_get_mtd_type"},
  };
  for (guint i = 0; i < G_N_ELEMENTS(kinds); i++)
    if (lib.type[kinds[i].kind] == 0)
      resolve(library, kinds[i].row, kinds[i].kind, kinds[i].type);
}

static void *library_of(gconstpointer address) {
  Dl_info info;
  return address != NULL && dladdr(address, &info) != 0 && info.dli_fname != NULL
      ? dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD) : NULL;
}

// Finds the functions, once in a process.
void ew_analytics_lib_resolve(const GstMeta *meta) {
  static gsize once;
  if (!g_once_init_enter(&once))
    return;
  // GStreamer loads plugins RTLD_LOCAL and their libraries with them: the library
  // is found by a function of its own that the meta names, or else by its name.
  void *library = library_of((gconstpointer)meta->info->init_func);
  if (library == NULL)
    library = dlopen("libgstanalytics-1.0.so.0", RTLD_LAZY | RTLD_NOLOAD);
  const char *missing[] = {
      resolve(library, core, KIND_OD, "gst_analytics_od_mtd_get_mtd_type"),
      resolve(library, core, KIND_TRACKING, "gst_analytics_tracking_mtd_get_mtd_type"),
      resolve(library, core, KIND_CLS, "gst_analytics_cls_mtd_get_mtd_type"),
  };
  for (guint i = 0; i < G_N_ELEMENTS(missing) && lib.missing == NULL; i++)
    lib.missing = missing[i];
  if (resolve(library, oriented, KIND_OTHER, NULL) != NULL)
    lib.od_oriented = NULL;
  resolve_kinds(library);
  g_once_init_leave(&once, 1); // the library stays open: its functions are in use
}

static guint8 known_kind(guintptr type) {
  for (guint8 k = KIND_OD; k < N_KINDS; k++)
    if (type != 0 && __atomic_load_n(&lib.type[k], __ATOMIC_ACQUIRE) == type)
      return k;
  return KIND_OTHER;
}

// The kinds of 1.30 may be offered by others, too, for older GStreamers.
// A type is the address of a constant of the library that has made it, so that is
// where its functions are. Each type is looked at once.
static guint8 learn_kind(guintptr type) {
  static guintptr seen[16];
  static guint n_seen;
  static GMutex lock;
  for (guint i = 0, n = __atomic_load_n(&n_seen, __ATOMIC_ACQUIRE); i < n; i++)
    if (seen[i] == type)
      return known_kind(type); // it may have become known meanwhile
  g_mutex_lock(&lock);
  if (n_seen < G_N_ELEMENTS(seen)) {
    void *library = library_of((gconstpointer)type);
    if (library != NULL)
      resolve_kinds(library);
    seen[n_seen] = type;
    __atomic_store_n(&n_seen, n_seen + 1, __ATOMIC_RELEASE);
  }
  g_mutex_unlock(&lock);
  return known_kind(type);
}

guint8 ew_analytics_kind_of(Mtd *mtd) {
  guintptr type = lib.mtd_type(mtd);
  guint8 kind = known_kind(type);
  return kind != KIND_OTHER || type == 0 ? kind : learn_kind(type);
}
