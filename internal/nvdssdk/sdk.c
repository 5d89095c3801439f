// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What needs the SDK's own functions: they are looked up in the process that
// carries its metadata, and are therefore there.
#define _GNU_SOURCE
#include "sdk.h"
#include "find.h"
#include <dlfcn.h>
#include <link.h>
#include <string.h>

// The public structures, the same in every release (nvdsmeta.h).
typedef struct {
  gpointer batch;
  gint type;
  gpointer context;
  gpointer (*copy)(gpointer user, gpointer);
  void (*release)(gpointer user, gpointer);
} BaseMeta;

typedef struct {
  BaseMeta base;
  gpointer data;
} UserMeta;

typedef struct {
  gpointer payload;
  guint size, comp_id;
} NvdsPayload;

#define TYPE_PAYLOAD 8       // NVDS_PAYLOAD_META
#define TYPE_SPARSE4D 31     // NVDS_CUSTOM_MSG_SPARSE4D, in all releases that have it
#define META_MUTEX 112       // of NvDsBatchMeta: a GRecMutex
#define MISC_BATCH_INFO 128  // of NvDsBatchMeta: gint64[4]

// An NvDsPayload of ours, and what our own msgbroker wants to know beside.
typedef struct {
  NvdsPayload pub; // what everybody sees; payload is memory of its own
  guint32 magic, key_len, content_type_len;
  gint64 timestamp;
  char text[];
} Sealed;

#define MAGIC 0x45576e76 // "EWnv"

gpointer ew_nvds_find(gpointer buffer) {
  EwNvdsCache cache = {0, 0};
  gpointer state = NULL, batch = NULL;
  GstMeta *meta;
  while (batch == NULL && (meta = gst_buffer_iterate_meta(buffer, &state)) != NULL)
    batch = ew_nvds_batch_of(meta, &cache);
  return batch;
}

gboolean ew_nvds_has_batch(GstBuffer *buffer) { return ew_nvds_find(buffer) != NULL; }

static int collect_name(struct dl_phdr_info *info, size_t size, void *data) {
  (void)size;
  const char *base = strrchr(info->dlpi_name, '/');
  base = base != NULL ? base + 1 : info->dlpi_name;
  if (strstr(base, "nvds") != NULL || strstr(base, "cudart") != NULL)
    g_ptr_array_add(data, g_strdup(info->dlpi_name));
  return 0;
}

// The libraries of the SDK may have been loaded RTLD_LOCAL, as GStreamer loads
// plugins: then RTLD_DEFAULT does not see them, their own handles do. They are
// asked after dl_iterate_phdr: within it dlopen would wait for the lock of
// whoever loads a library, who waits for the one that dl_iterate_phdr holds.
gpointer ew_nvds_look_up(const char *name) {
  gpointer found = dlsym(RTLD_DEFAULT, name);
  if (found != NULL)
    return found;
  GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
  dl_iterate_phdr(collect_name, names);
  for (guint i = 0; i < names->len && found == NULL; i++) {
    void *lib = dlopen(names->pdata[i], RTLD_LAZY | RTLD_NOLOAD);
    if (lib == NULL)
      continue;
    found = dlsym(lib, name);
    dlclose(lib);
  }
  g_ptr_array_unref(names);
  return found;
}

void ew_nvds_resolve(EwNvdsSdk *sdk) {
  const struct {
    const char *name;
    gpointer *to;
  } wanted[] = {
      {"nvds_acquire_user_meta_from_pool", (gpointer *)&sdk->acquire_user_meta},
      {"nvds_add_user_meta_to_frame", (gpointer *)&sdk->add_to_frame},
      {"nvds_add_user_meta_to_audio_frame", (gpointer *)&sdk->add_to_audio_frame},
      {"nvds_add_user_meta_to_batch", (gpointer *)&sdk->add_to_batch},
  };
  sdk->missing = NULL;
  for (guint i = 0; i < G_N_ELEMENTS(wanted); i++)
    if ((*wanted[i].to = ew_nvds_look_up(wanted[i].name)) == NULL && sdk->missing == NULL)
      sdk->missing = wanted[i].name;
}

// Puts an empty batch on a buffer that has none, as nvmsgconv does for data maps;
// NULL if the SDK cannot. The buffer is writable.
gpointer ew_nvds_add_batch(gpointer buffer) {
  gpointer (*create)(guint) = (gpointer(*)(guint))ew_nvds_look_up("nvds_create_batch_meta");
  EwNvdsMeta *(*add)(gpointer, gpointer, gpointer, gpointer, gpointer) =
      (EwNvdsMeta * (*)(gpointer, gpointer, gpointer, gpointer, gpointer)) ew_nvds_look_up("gst_buffer_add_nvds_meta");
  gpointer copy = ew_nvds_look_up("nvds_batch_meta_copy_func"), release = ew_nvds_look_up("nvds_batch_meta_release_func");
  gpointer batch = create != NULL && add != NULL && copy != NULL && release != NULL ? create(1) : NULL;
  if (batch == NULL)
    return NULL;
  EwNvdsMeta *meta = add(buffer, batch, NULL, copy, release);
  if (meta == NULL) {
    ((void (*)(gpointer, gpointer))release)(batch, NULL);
    return NULL;
  }
  meta->meta_type = EW_NVDS_BATCH_GST_META;
  BaseMeta *base = batch;
  base->batch = batch;
  base->copy = (gpointer(*)(gpointer, gpointer))copy;
  base->release = (void (*)(gpointer, gpointer))release;
  return batch;
}

// nvds_version is in libnvds_utils, which not every pipeline loads: it lies
// beside the library whose functions the buffer's meta names.
static gpointer version_function(gpointer buffer) {
  gpointer f = ew_nvds_look_up("nvds_version");
  EwNvdsCache cache = {0, 0};
  gpointer state = NULL;
  GstMeta *meta;
  while (f == NULL && (meta = gst_buffer_iterate_meta(buffer, &state)) != NULL) {
    Dl_info info;
    if (ew_nvds_batch_of(meta, &cache) == NULL || ((EwNvdsMeta *)meta)->freefunc == NULL ||
        dladdr(((EwNvdsMeta *)meta)->freefunc, &info) == 0 || info.dli_fname == NULL || strchr(info.dli_fname, '/') == NULL)
      continue;
    gchar *folder = g_path_get_dirname(info.dli_fname);
    gchar *file = g_build_filename(folder, "libnvds_utils.so", NULL);
    void *lib = dlopen(file, RTLD_LAZY | RTLD_LOCAL);
    if (lib != NULL && (f = dlsym(lib, "nvds_version")) == NULL) // else it stays open: the function is in it
      dlclose(lib);
    g_free(file);
    g_free(folder);
  }
  return f;
}

void ew_nvds_version(gpointer buffer, EwNvdsVersion *v) {
  memset(v, 0, sizeof *v);
  void (*version)(unsigned *, unsigned *) = (void (*)(unsigned *, unsigned *))version_function(buffer);
  if (version == NULL)
    return;
  version(&v->major, &v->minor);
  Dl_info info;
  v->where = dladdr((gpointer)version, &info) != 0 && info.dli_fname != NULL ? info.dli_fname : "nvds_version";
}

// The version of a plugin that is registered and not of the package named; NULL
// if there is none.
gchar *ew_nvds_plugin_version(const char *name, const char *not_package) {
  GstPlugin *p = gst_registry_find_plugin(gst_registry_get(), name);
  gchar *version = NULL;
  if (p == NULL)
    return NULL;
  if (g_strcmp0(gst_plugin_get_package(p), not_package) != 0)
    version = g_strdup(gst_plugin_get_version(p));
  gst_object_unref(p);
  return version;
}

// The names of the SDK's plugins.
gchar **ew_nvds_plugins(void) {
  GPtrArray *names = g_ptr_array_new();
  GList *all = gst_registry_get_plugin_list(gst_registry_get());
  for (GList *l = all; l != NULL; l = l->next)
    if (g_str_has_prefix(gst_plugin_get_name(l->data), "nvdsgst_"))
      g_ptr_array_add(names, g_strdup(gst_plugin_get_name(l->data)));
  gst_plugin_list_free(all);
  g_ptr_array_add(names, NULL);
  return (gchar **)g_ptr_array_free(names, FALSE);
}

static GRecMutex *mutex_of(guint64 batch) { return (GRecMutex *)(guintptr)(batch + META_MUTEX); }

// nvds_acquire_meta_lock does the same.
void ew_nvds_lock(guint64 batch) { g_rec_mutex_lock(mutex_of(batch)); }
void ew_nvds_unlock(guint64 batch) { g_rec_mutex_unlock(mutex_of(batch)); }

static void release_payload(gpointer data, gpointer user_data) {
  (void)user_data;
  UserMeta *user = data;
  Sealed *s = user->data;
  user->data = NULL;
  if (s == NULL)
    return;
  g_free(s->pub.payload); // an application may have put memory of its own there
  g_free(s);
}

static gpointer copy_bytes(gconstpointer data, gsize size) {
  // A NUL follows that size does not count: some adaptors take payloads for C strings.
  char *copy = g_malloc(size + 1);
  memcpy(copy, data, size);
  copy[size] = 0;
  return copy;
}

// The SDK hands over the NvDsUserMeta and takes what its user_meta_data is to be.
static gpointer copy_payload(gpointer data, gpointer user_data) {
  (void)user_data;
  const Sealed *s = ((UserMeta *)data)->data;
  if (s == NULL)
    return NULL;
  gboolean ours = s->magic == MAGIC; // an application may have put a payload of its own in its place
  gsize texts = ours ? (gsize)s->key_len + s->content_type_len : 0;
  Sealed *copy = g_malloc0(sizeof *s + texts);
  if (ours)
    memcpy(copy, s, sizeof *s + texts);
  copy->pub = s->pub;
  copy->pub.payload = s->pub.payload != NULL ? copy_bytes(s->pub.payload, s->pub.size) : NULL;
  return copy;
}

static Sealed *seal(const guint8 *data, const char *text, const EwNvdsRecord *r) {
  gsize texts = (gsize)r->key_len + r->content_type_len;
  Sealed *s = g_malloc(sizeof *s + texts);
  s->pub = (NvdsPayload){copy_bytes(data + r->data, r->size), (guint)r->size, r->comp_id};
  s->magic = MAGIC;
  s->key_len = r->key_len;
  s->content_type_len = r->content_type_len;
  s->timestamp = r->timestamp;
  if (texts > 0)
    memcpy(s->text, text + r->text, texts);
  return s;
}

// Attaches n payloads, all to frames or all to the batch. The SDK puts user metas
// in front of a frame's list and at the end of a batch's, and who publishes them
// goes from the front: of a frame the last comes first, so that messages leave in
// the order of their making.
gboolean ew_nvds_attach(const EwNvdsSdk *sdk, guint64 batch, const guint8 *data, const char *text,
    const EwNvdsRecord *records, guint n) {
  for (guint i = 0; i < n; i++) {
    const EwNvdsRecord *r = records[0].kind >= EW_NVDS_TO_BATCH ? &records[i] : &records[n - 1 - i];
    UserMeta *user = sdk->acquire_user_meta((gpointer)(guintptr)batch);
    if (user == NULL)
      return FALSE;
    user->base.type = TYPE_PAYLOAD;
    user->base.context = NULL;
    user->base.copy = copy_payload;
    user->base.release = release_payload;
    user->data = seal(data, text, r);
    gpointer target = (gpointer)(guintptr)r->target;
    if (r->kind == EW_NVDS_TO_FRAME)
      sdk->add_to_frame(target, user);
    else if (r->kind == EW_NVDS_TO_AUDIO_FRAME)
      sdk->add_to_audio_frame(target, user);
    else
      sdk->add_to_batch(target, user);
    if (r->kind == EW_NVDS_TO_BATCH_OF_SCENES) // tells nvmsgbroker to look at the batch instead of its frames
      *(gint64 *)((char *)target + MISC_BATCH_INFO) = TYPE_SPARSE4D;
  }
  return TRUE;
}

guint64 ew_nvds_release(void) { return (guint64)(guintptr)release_payload; }

gboolean ew_nvds_side(guint64 address, EwNvdsSide *side) {
  const UserMeta *user = (const UserMeta *)(guintptr)address;
  const Sealed *s = user->data;
  if (s == NULL || s->magic != MAGIC) // an application may have put a payload of its own in its place
    return FALSE;
  *side = (EwNvdsSide){.key = s->text, .content_type = s->text + s->key_len,
      .key_len = s->key_len, .content_type_len = s->content_type_len, .timestamp = s->timestamp};
  return TRUE;
}
