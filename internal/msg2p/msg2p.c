// SPDX-License-Identifier: LGPL-2.1-or-later
#include "msg2p.h"
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

// What the offset printer said of the real headers of 9.1.
#define AT(type, member, offset) _Static_assert(offsetof(type, member) == (offset), #type "." #member)
#define SIZE(type, size) _Static_assert(sizeof(type) == (size), "size of " #type)
SIZE(NvDsBaseMeta, 40);
SIZE(NvDsBatchMeta, 192);
AT(NvDsBatchMeta, frame_meta_list, 96);
AT(NvDsBatchMeta, meta_mutex, 112);
SIZE(NvDsFrameMeta, 232);
AT(NvDsFrameMeta, ntp_timestamp, 64);
AT(NvDsFrameMeta, num_obj_meta, 96);
AT(NvDsFrameMeta, frame_user_meta_list, 120);
AT(NvDsFrameMeta, pipeline_width, 160);
AT(NvDsFrameMeta, sensorInfo_meta, 168);
SIZE(NvOSD_RectParams, 112);
SIZE(NvOSD_MaskParams, 24);
SIZE(NvOSD_TextParams, 104);
SIZE(NvDsObjectMeta, 552);
AT(NvDsObjectMeta, object_id, 56);
AT(NvDsObjectMeta, rect_params, 104);
AT(NvDsObjectMeta, obj_label, 344);
AT(NvDsObjectMeta, classifier_meta_list, 472);
SIZE(NvDsClassifierMeta, 64);
AT(NvDsClassifierMeta, classifier_type, 56);
SIZE(NvDsLabelInfo, 200);
AT(NvDsLabelInfo, pResult_label, 176);
AT(NvDsLabelInfo, result_prob, 192);
SIZE(NvDsEventMsgMeta, 14040);
AT(NvDsEventMsgMeta, objClassId, 88);
AT(NvDsEventMsgMeta, confidence, 112);
AT(NvDsEventMsgMeta, sensorStr, 144);
AT(NvDsEventMsgMeta, count, 13752);
AT(NvDsEventMsgMeta, segmentation, 13824);
AT(NvDsEventMsgMeta, otherAttrs, 13832);
AT(NvDsEventMsgMeta, extMsg, 13848);
AT(NvDsEventMsgMeta, pose, 13864);
AT(NvDsEventMsgMeta, has3DTracking, 13896);
AT(NvDsEventMsgMeta, singleView3DTracking, 13904);
AT(NvDsEventMsgMeta, visibility, 14032);
SIZE(NvDs3DTracking, 128);
SIZE(NvDsVehicleObject, 48);
SIZE(NvDsPersonObject, 40);
SIZE(NvDsFaceObject, 64);
SIZE(NvDsProductObject, 24);
SIZE(NvDsEvent, 16);
SIZE(NvDsPayload, 16);
_Static_assert(sizeof(EwMsg2pEvent) == sizeof(NvDsEvent) && offsetof(EwMsg2pEvent, meta) == offsetof(NvDsEvent, metadata), "events");

// Opens the library and looks its functions up; the text of dlopen's error, NULL when all is well. It stays open:
// there may be threads of its own in it. nvmsgconv opens with RTLD_LAZY, and so works with libraries whose
// functions are not all there: lazy says which then.
gchar *ew_msg2p_open(const char *path, EwMsg2p *lib, gchar **lazy) {
  void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (handle == NULL) {
    *lazy = g_strdup(dlerror());
    handle = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
    if (handle == NULL) {
      g_clear_pointer(lazy, g_free);
      return g_strdup(dlerror());
    }
  }
  const struct {
    const char *name;
    void **to;
  } wanted[] = {
      {"nvds_msg2p_ctx_create", (void **)&lib->create},
      {"nvds_msg2p_ctx_destroy", (void **)&lib->destroy},
      {"nvds_msg2p_generate", (void **)&lib->generate},
      {"nvds_msg2p_generate_multiple", (void **)&lib->generate_multiple},
      {"nvds_msg2p_generate_new", (void **)&lib->generate_new},
      {"nvds_msg2p_generate_multiple_new", (void **)&lib->generate_multiple_new},
      {"nvds_msg2p_release", (void **)&lib->release},
  };
  for (guint i = 0; i < G_N_ELEMENTS(wanted); i++)
    *wanted[i].to = dlsym(handle, wanted[i].name);
  return NULL;
}

NvDsMsg2pCtx *ew_msg2p_create(const EwMsg2p *lib, const char *file, gint type) { return lib->create(file, (NvDsPayloadType)type); }

void ew_msg2p_destroy(const EwMsg2p *lib, NvDsMsg2pCtx *ctx) { lib->destroy(ctx); }

static void one(EwMsg2pResult *r, NvDsPayload *p) {
  r->one = p;
  r->count = p != NULL;
  r->list = NULL;
}

static void many(EwMsg2pResult *r, NvDsPayload **list, guint count) {
  r->one = NULL;
  r->list = list;
  r->count = list != NULL ? count : 0;
}

void ew_msg2p_events(const EwMsg2p *lib, NvDsMsg2pCtx *ctx, const EwMsg2pEvent *events, guint n, gboolean multiple, EwMsg2pResult *r) {
  guint count = 0;
  if (multiple) {
    NvDsPayload **list = lib->generate_multiple(ctx, (NvDsEvent *)events, n, &count);
    many(r, list, count);
  } else {
    one(r, lib->generate(ctx, (NvDsEvent *)events, n));
  }
}

void ew_msg2p_frame(const EwMsg2p *lib, NvDsMsg2pCtx *ctx, guint64 object, guint64 frame, gboolean audio, gboolean multiple, EwMsg2pResult *r) {
  char media[] = "video"; // not const in the interface
  if (audio)
    memcpy(media, "audio", sizeof media);
  NvDsMsg2pMetaInfo info = {(void *)(guintptr)object, (void *)(guintptr)frame, media, NULL};
  guint count = 0;
  if (multiple) {
    NvDsPayload **list = lib->generate_multiple_new(ctx, &info, &count);
    many(r, list, count);
  } else {
    one(r, lib->generate_new(ctx, &info));
  }
}

// Gives back what a call gave. The array is GLib's, as in nvmsgconv.
void ew_msg2p_release(const EwMsg2p *lib, NvDsMsg2pCtx *ctx, EwMsg2pResult *r) {
  NvDsPayload **list = r->list != NULL ? r->list : &r->one;
  for (guint i = 0; i < r->count; i++)
    if (list[i] != NULL)
      lib->release(ctx, list[i]);
  g_free(r->list);
  *r = (EwMsg2pResult){NULL, NULL, 0};
}
