/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The structures of DeepStream's metadata, of the release that NVDS_RELEASE names (604, 700, 701, 800, 900, 901 for 6.4 to
 * 9.1), written from the offsets of its public headers, and the functions of libnvds_meta and libnvdsgst_meta that elements
 * and applications call. For tests on machines without the SDK: nvds.c is a stand-in for the library.
 */
#ifndef TEST_NVDS_H
#define TEST_NVDS_H

#include <gst/gst.h>
#include <stdbool.h>

typedef gpointer (*NvDsMetaCopyFunc)(gpointer data, gpointer user_data);
typedef void (*NvDsMetaReleaseFunc)(gpointer data, gpointer user_data);

enum {
  NVDS_BATCH_META = 1,
  NVDS_FRAME_META,
  NVDS_OBJ_META,
  NVDS_DISPLAY_META,
  NVDS_CLASSIFIER_META,
  NVDS_LABEL_INFO_META,
  NVDS_USER_META,
  NVDS_PAYLOAD_META,
  NVDS_EVENT_MSG_META,
#if NVDS_RELEASE >= 800
  NVDS_AUDIO_BATCH_META = 25,
  NVDS_AUDIO_FRAME_META = 26,
  NVDS_CUSTOM_MSG_BLOB = 29,
  NVDS_CUSTOM_MSG_SPARSE4D = 31,
#else
  NVDS_AUDIO_BATCH_META = 24,
  NVDS_AUDIO_FRAME_META = 25,
  NVDS_CUSTOM_MSG_BLOB = 28,
#endif
  NVDS_BATCH_GST_META = 4097,
};

typedef struct {
  GstMeta meta;
  gpointer meta_data, user_data;
  gint meta_type;
  NvDsMetaCopyFunc copyfunc;
  NvDsMetaReleaseFunc freefunc;
  NvDsMetaCopyFunc gst_to_nvds_meta_transform_func;
  NvDsMetaReleaseFunc gst_to_nvds_meta_release_func;
} NvDsMeta;

typedef struct NvDsBatchMeta NvDsBatchMeta;

typedef struct {
  NvDsBatchMeta *batch_meta;
  gint meta_type;
  void *uContext;
  NvDsMetaCopyFunc copy_func;
  NvDsMetaReleaseFunc release_func;
} NvDsBaseMeta;

typedef struct {
  gint meta_type;
  guint max_elements_in_pool, element_size, num_empty_elements, num_full_elements;
  GList *empty_list, *full_list;
  NvDsMetaCopyFunc copy_func;
  NvDsMetaReleaseFunc release_func;
} NvDsMetaPool;

struct NvDsBatchMeta {
  NvDsBaseMeta base_meta;
  guint max_frames_in_batch, num_frames_in_batch;
  NvDsMetaPool *frame_meta_pool, *obj_meta_pool, *classifier_meta_pool, *display_meta_pool, *user_meta_pool,
      *label_info_meta_pool;
  GList *frame_meta_list, *batch_user_meta_list;
  GRecMutex meta_mutex;
  gint64 misc_batch_info[4], reserved[4];
};

typedef struct {
  guint source_id;
  const gchar *uri, *sensor_id, *sensor_name;
} NvDsSensorInfo_meta;

typedef struct {
  NvDsBaseMeta base_meta;
  guint pad_index, batch_id;
  gint frame_num;
  guint64 buf_pts, ntp_timestamp;
  guint source_id;
  gint num_surfaces_per_frame;
  guint source_frame_width, source_frame_height, surface_type, surface_index, num_obj_meta;
  gboolean bInferDone;
  GList *obj_meta_list, *display_meta_list, *frame_user_meta_list;
  gint64 misc_frame_info[4];
  gint pipeline_width, pipeline_height;
#if NVDS_RELEASE >= 800
  NvDsSensorInfo_meta sensorInfo_meta;
#endif
  gint64 reserved[4];
} NvDsFrameMeta;

typedef struct {
  NvDsBaseMeta base_meta;
  guint pad_index, batch_id;
  gint frame_num;
  guint64 buf_pts, ntp_timestamp;
  guint source_id, num_samples_per_frame, sample_rate, num_channels;
  gint format, layout;
  gboolean bInferDone;
  gint class_id;
  gfloat confidence;
  gchar class_label[128];
  GList *classifier_meta_list, *frame_user_meta_list;
  gint64 misc_frame_info[4], reserved[4];
} NvDsAudioFrameMeta;

typedef struct { float left, top, width, height; } NvBbox_Coords;

typedef struct {
  float left, top, width, height;
  guint border_width;
  double border_color[4];
  guint has_bg_color, reserved;
  double bg_color[4];
  gint has_color_info, color_id;
#if NVDS_RELEASE >= 900
  float rotation_angle;
#endif
} NvOSD_RectParams;

typedef struct { float *data; guint size; float threshold; guint width, height; } NvOSD_MaskParams;
typedef struct { gchar *display_text; guint x_offset, y_offset; double opaque[11]; } NvOSD_TextParams;

typedef struct NvDsObjectMeta {
  NvDsBaseMeta base_meta;
  struct NvDsObjectMeta *parent;
  gint unique_component_id, class_id;
  guint64 object_id;
  NvBbox_Coords detector_bbox_info, tracker_bbox_info;
  gfloat confidence, tracker_confidence;
  NvOSD_RectParams rect_params;
  NvOSD_MaskParams mask_params;
  NvOSD_TextParams text_params;
  gchar obj_label[128];
  GList *classifier_meta_list, *obj_user_meta_list;
  gint64 misc_obj_info[4], reserved[4];
} NvDsObjectMeta;

typedef struct {
  NvDsBaseMeta base_meta;
  guint num_labels;
  gint unique_component_id;
  GList *label_info_list;
  const gchar *classifier_type;
} NvDsClassifierMeta;

typedef struct {
  NvDsBaseMeta base_meta;
  guint num_classes;
  gchar result_label[128];
  gchar *pResult_label;
  guint result_class_id, label_id;
  gfloat result_prob;
} NvDsLabelInfo;

typedef struct {
  NvDsBaseMeta base_meta;
  void *user_meta_data;
} NvDsUserMeta;

typedef struct { float top, left, width, height; } NvDsRect;
typedef struct { gdouble lat, lon, alt; } NvDsGeoLocation;
typedef struct { gdouble x, y, z; } NvDsCoordinate;
typedef struct { gdouble *signature; guint size; } NvDsObjectSignature;
typedef struct { float x, y, z, confidence; } NvDsJoint;
typedef struct { NvDsJoint *joints; gint num_joints, pose_type; } NvDsJoints;
typedef struct { float *embedding_vector; guint embedding_length; } NvDsEmbedding;
typedef struct { gint *points; guint numFilled; } NvDsConvexHull;

typedef struct {
  float ptWorldFeet[2], ptImgFeet[2];
#if NVDS_RELEASE <= 900
  float visibility;
#endif
  NvDsConvexHull convexHull;
#if NVDS_RELEASE >= 900
  gint64 bbox3d[12];
#elif NVDS_RELEASE >= 800
  gint64 bbox3d[11];
#endif
} NvDs3DTracking;

typedef struct { gchar source_id[128]; guint64 timestamp; } SourceTimePair;

typedef struct {
  gint type, objType;
  NvDsRect bbox;
  NvDsGeoLocation location;
  NvDsCoordinate coordinate;
  NvDsObjectSignature objSignature;
  gint objClassId, sensorId, moduleId, placeId, componentId, frameId;
  gdouble confidence;
  guint64 trackingId;
  gchar *ts, *objectId, *sensorStr;
#if NVDS_RELEASE >= 800
  SourceTimePair entries[100];
  gint count;
  void *bbox3d, *llm;
  guint num_interactions;
  void *interactions;
  guint num_congestions;
  void *congestions;
  guint num_fov;
  void *fov, *segmentation;
#endif
  gchar *otherAttrs, *videoPath;
  void *extMsg;
  guint extMsgSize;
  NvDsJoints pose;
  NvDsEmbedding embedding;
  bool has3DTracking;
  NvDs3DTracking singleView3DTracking;
#if NVDS_RELEASE >= 901
  float visibility;
#endif
} NvDsEventMsgMeta;

typedef struct { gchar *type, *make, *model, *color, *region, *license; GList *mask; } NvDsVehicleObjectExt;
typedef struct { gchar *gender, *hair, *cap, *apparel; guint age; GList *mask; } NvDsPersonObjectExt;
typedef struct { gchar *gender, *hair, *cap, *glasses, *facialhair, *name, *eyecolor; guint age; GList *mask; } NvDsFaceObjectExt;
typedef struct { gchar *brand, *type, *shape; GList *mask; } NvDsProductObjectExt;

typedef struct { void *message; guint size; } NvDsCustomMsgInfo;
typedef struct { void *payload; guint payloadSize, componentId; } NvDsPayload;

#if NVDS_RELEASE >= 800
typedef struct {
  float boxes_3d[12], scores_3d;
  gchar *labels_3d, *embedding_filter;
  float cls_scores;
  guint instance_ids;
  NvDsEmbedding *instance_feats;
#if NVDS_RELEASE >= 900
  gchar *ocr_label;
#endif
} NvDsBbox3dObject;

typedef struct {
  NvDsBbox3dObject objects[600];
  guint num_objects;
  guint64 timestamp;
  gint frame_num;
  guint camera_id;
  gchar *sensorStr;
  SourceTimePair entries[100];
  gint count;
} NvDsBbox3dObjectList;
#endif

#define DISPLAY_META_SIZE (NVDS_RELEASE >= 900 ? 7040 : 6912)

/* What the offset printer said of the real headers. */
#define AT(type, member, offset) _Static_assert(offsetof(type, member) == (offset), #type "." #member)
#define SIZE(type, size) _Static_assert(sizeof(type) == (size), "size of " #type)
SIZE(NvDsMeta, 72);
SIZE(NvDsBatchMeta, 192);
AT(NvDsBatchMeta, meta_mutex, 112);
SIZE(NvDsFrameMeta, NVDS_RELEASE >= 800 ? 232 : 200);
AT(NvDsFrameMeta, frame_user_meta_list, 120);
SIZE(NvDsAudioFrameMeta, 320);
AT(NvDsAudioFrameMeta, frame_user_meta_list, 248);
SIZE(NvDsObjectMeta, NVDS_RELEASE >= 900 ? 552 : 544);
AT(NvDsObjectMeta, obj_label, NVDS_RELEASE >= 900 ? 344 : 336);
SIZE(NvDsClassifierMeta, 64);
SIZE(NvDsLabelInfo, 200);
SIZE(NvDsEventMsgMeta, NVDS_RELEASE >= 900 ? 14040 : NVDS_RELEASE >= 800 ? 14032 : 264);
AT(NvDsEventMsgMeta, extMsg, NVDS_RELEASE >= 800 ? 13848 : 168);
AT(NvDsEventMsgMeta, has3DTracking, NVDS_RELEASE >= 800 ? 13896 : 216);
AT(NvDsEventMsgMeta, singleView3DTracking.convexHull, NVDS_RELEASE >= 901 ? 13920 : NVDS_RELEASE >= 800 ? 13928 : 248);
#if NVDS_RELEASE >= 901
AT(NvDsEventMsgMeta, visibility, 14032);
#else
AT(NvDsEventMsgMeta, singleView3DTracking.visibility, NVDS_RELEASE >= 800 ? 13920 : 240);
#endif
SIZE(NvDsVehicleObjectExt, 56);
SIZE(NvDsPersonObjectExt, 48);
SIZE(NvDsFaceObjectExt, 72);
SIZE(NvDsProductObjectExt, 32);

#if NVDS_RELEASE >= 800
SIZE(NvDsBbox3dObject, NVDS_RELEASE >= 900 ? 96 : 88);
AT(NvDsBbox3dObject, instance_feats, 80);
SIZE(NvDsBbox3dObjectList, NVDS_RELEASE >= 900 ? 71240 : 66440);
AT(NvDsBbox3dObjectList, sensorStr, NVDS_RELEASE >= 900 ? 57624 : 52824);
#endif

/* The functions, as DeepStream's headers declare them. */
GType nvds_meta_api_get_type(void);
const GstMetaInfo *nvds_meta_get_info(void);
NvDsMeta *gst_buffer_add_nvds_meta(GstBuffer *buffer, gpointer meta_data, gpointer user_data, NvDsMetaCopyFunc copy_func,
    NvDsMetaReleaseFunc release_func);
NvDsBatchMeta *gst_buffer_get_nvds_batch_meta(GstBuffer *buffer);
NvDsBatchMeta *nvds_create_batch_meta(guint max_batch_size);
NvDsBatchMeta *nvds_create_audio_batch_meta(guint max_batch_size);
gboolean nvds_destroy_batch_meta(NvDsBatchMeta *batch_meta);
void nvds_acquire_meta_lock(NvDsBatchMeta *batch_meta);
void nvds_release_meta_lock(NvDsBatchMeta *batch_meta);
NvDsFrameMeta *nvds_acquire_frame_meta_from_pool(NvDsBatchMeta *batch_meta);
NvDsAudioFrameMeta *nvds_acquire_audio_frame_meta_from_pool(NvDsBatchMeta *batch_meta);
NvDsObjectMeta *nvds_acquire_obj_meta_from_pool(NvDsBatchMeta *batch_meta);
NvDsClassifierMeta *nvds_acquire_classifier_meta_from_pool(NvDsBatchMeta *batch_meta);
NvDsLabelInfo *nvds_acquire_label_info_meta_from_pool(NvDsBatchMeta *batch_meta);
NvDsUserMeta *nvds_acquire_user_meta_from_pool(NvDsBatchMeta *batch_meta);
void nvds_add_frame_meta_to_batch(NvDsBatchMeta *batch_meta, NvDsFrameMeta *frame_meta);
void nvds_add_audio_frame_meta_to_audio_batch(NvDsBatchMeta *batch_meta, NvDsAudioFrameMeta *frame_meta);
void nvds_add_obj_meta_to_frame(NvDsFrameMeta *frame_meta, NvDsObjectMeta *obj_meta, NvDsObjectMeta *obj_parent);
void nvds_add_classifier_meta_to_object(NvDsObjectMeta *obj_meta, NvDsClassifierMeta *classifier_meta);
void nvds_add_label_info_meta_to_classifier(NvDsClassifierMeta *classifier_meta, NvDsLabelInfo *label_info_meta);
void nvds_add_user_meta_to_frame(NvDsFrameMeta *frame_meta, NvDsUserMeta *user_meta);
void nvds_add_user_meta_to_audio_frame(NvDsAudioFrameMeta *frame_meta, NvDsUserMeta *user_meta);
void nvds_add_user_meta_to_batch(NvDsBatchMeta *batch_meta, NvDsUserMeta *user_meta);
gpointer nvds_batch_meta_copy_func(gpointer data, gpointer user_data);
void nvds_batch_meta_release_func(gpointer data, gpointer user_data);
void nvds_version(unsigned *major, unsigned *minor);

#endif
