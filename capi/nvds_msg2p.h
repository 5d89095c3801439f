/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The interface of a converter library, as DeepStream 9.1 defines it: what msgconv expects of msg2p-lib. Written anew to be
 * compatible by source and binary: a library that is built with it works in nvmsgconv of DeepStream 9.1, and in msgconv with
 * DeepStream 9.1 or with plain GStreamer. For an older release of DeepStream, build with the headers of that release.
 * docs/custom-payloads.md describes who calls what, and when.
 */
#ifndef NVDS_MSG2P_H
#define NVDS_MSG2P_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* payload-type. */
typedef enum {
	NVDS_PAYLOAD_DEEPSTREAM,
	NVDS_PAYLOAD_DEEPSTREAM_MINIMAL,
	NVDS_PAYLOAD_DEEPSTREAM_PROTOBUF,
	NVDS_PAYLOAD_RESERVED = 0x100,
	NVDS_PAYLOAD_CUSTOM = 0x101,
	NVDS_PAYLOAD_FORCE32 = 0x7fffffff
} NvDsPayloadType;

typedef enum {
	NVDS_EVENT_ENTRY,
	NVDS_EVENT_EXIT,
	NVDS_EVENT_MOVING,
	NVDS_EVENT_STOPPED,
	NVDS_EVENT_EMPTY,
	NVDS_EVENT_PARKED,
	NVDS_EVENT_RESET,
	NVDS_EVENT_RESERVED = 0x100,
	NVDS_EVENT_CUSTOM = 0x101,
	NVDS_EVENT_FORCE32 = 0x7fffffff
} NvDsEventType;

typedef enum {
	NVDS_OBJECT_TYPE_VEHICLE,
	NVDS_OBJECT_TYPE_PERSON,
	NVDS_OBJECT_TYPE_FACE,
	NVDS_OBJECT_TYPE_BAG,
	NVDS_OBJECT_TYPE_BICYCLE,
	NVDS_OBJECT_TYPE_ROADSIGN,
	NVDS_OBJECT_TYPE_VEHICLE_EXT,
	NVDS_OBJECT_TYPE_PERSON_EXT,
	NVDS_OBJECT_TYPE_FACE_EXT,
	NVDS_OBJECT_TYPE_3D,
	NVDS_OBJECT_TYPE_DUMMY, /* dummy-payload: there is no object, the event has time, frame and sensor alone */
	NVDS_OBJECT_TYPE_PRODUCT,
	NVDS_OBJECT_TYPE_PRODUCT_EXT,
	NVDS_OBJECT_TYPE_RESERVED = 0x100,
	NVDS_OBJECT_TYPE_CUSTOM = 0x101,
	NVDS_OBJECT_TYPE_UNKNOWN = 0x102,
	NVDS_OBEJCT_TYPE_FORCE32 = 0x7fffffff
} NvDsObjectType;

/* meta_type of NvDsBaseMeta. */
typedef enum {
	NVDS_INVALID_META = -1,
	NVDS_BATCH_META = 1,
	NVDS_FRAME_META = 2,
	NVDS_OBJ_META = 3,
	NVDS_CLASSIFIER_META = 5,
	NVDS_LABEL_INFO_META = 6,
	NVDS_USER_META = 7,
	NVDS_EVENT_MSG_META = 9,
	NVDS_AUDIO_FRAME_META = 26
} NvDsMetaType;

typedef struct NvDsBatchMeta NvDsBatchMeta;

typedef struct {
	NvDsBatchMeta *batch_meta;
	gint meta_type;
	void *uContext;
	gpointer (*copy_func)(gpointer data, gpointer user_data);
	void (*release_func)(gpointer data, gpointer user_data);
} NvDsBaseMeta;

struct NvDsBatchMeta {
	NvDsBaseMeta base_meta;
	guint max_frames_in_batch;
	guint num_frames_in_batch;
	void *pools[6]; /* of frame, object, classifier, display, user and label metas */
	GList *frame_meta_list;
	GList *batch_user_meta_list;
	GRecMutex meta_mutex;
	gint64 misc_batch_info[4];
	gint64 reserved[4];
};

typedef struct {
	guint source_id;
	const gchar *uri;
	const gchar *sensor_id;
	const gchar *sensor_name;
} NvDsSensorInfo_meta;

/* A frame: msg2p-newapi. */
typedef struct {
	NvDsBaseMeta base_meta;
	guint pad_index;
	guint batch_id;
	gint frame_num;
	guint64 buf_pts;       /* ns */
	guint64 ntp_timestamp; /* ns since 1970 UTC */
	guint source_id;
	gint num_surfaces_per_frame;
	guint source_frame_width;
	guint source_frame_height;
	guint surface_type;
	guint surface_index;
	guint num_obj_meta;
	gboolean bInferDone;
	GList *obj_meta_list; /* of NvDsObjectMeta * */
	GList *display_meta_list;
	GList *frame_user_meta_list;
	gint64 misc_frame_info[4];
	gint pipeline_width;
	gint pipeline_height;
	NvDsSensorInfo_meta sensorInfo_meta;
	gint64 reserved[4];
} NvDsFrameMeta;

typedef struct {
	float left, top, width, height; /* pixels */
} NvBbox_Coords;

typedef struct {
	float left, top, width, height; /* pixels */
	guint border_width;
	double border_color[4];
	guint has_bg_color;
	guint reserved;
	double bg_color[4];
	gint has_color_info;
	gint color_id;
	float rotation_angle;
} NvOSD_RectParams;

typedef struct {
	float *data;
	guint size;
	float threshold;
	guint width, height;
} NvOSD_MaskParams;

typedef struct {
	gchar *display_text;
	guint x_offset, y_offset;
	double opaque[11]; /* font and colours */
} NvOSD_TextParams;

typedef struct NvDsObjectMeta {
	NvDsBaseMeta base_meta;
	struct NvDsObjectMeta *parent;
	gint unique_component_id;
	gint class_id;
	guint64 object_id; /* tracking id */
	NvBbox_Coords detector_bbox_info;
	NvBbox_Coords tracker_bbox_info;
	gfloat confidence;
	gfloat tracker_confidence;
	NvOSD_RectParams rect_params;
	NvOSD_MaskParams mask_params;
	NvOSD_TextParams text_params;
	gchar obj_label[128];
	GList *classifier_meta_list; /* of NvDsClassifierMeta * */
	GList *obj_user_meta_list;
	gint64 misc_obj_info[4];
	gint64 reserved[4];
} NvDsObjectMeta;

typedef struct {
	NvDsBaseMeta base_meta;
	guint num_labels;
	gint unique_component_id;
	GList *label_info_list; /* of NvDsLabelInfo * */
	const gchar *classifier_type;
} NvDsClassifierMeta;

typedef struct {
	NvDsBaseMeta base_meta;
	guint num_classes;
	gchar result_label[128];
	gchar *pResult_label; /* where the text does not fit; else NULL */
	guint result_class_id;
	guint label_id;
	gfloat result_prob;
} NvDsLabelInfo;

typedef struct { float top, left, width, height; } NvDsRect;
typedef struct { gdouble lat, lon, alt; } NvDsGeoLocation;
typedef struct { gdouble x, y, z; } NvDsCoordinate;
typedef struct { gdouble *signature; guint size; } NvDsObjectSignature;
typedef struct { float x, y, z, confidence; } NvDsJoint;
typedef struct { NvDsJoint *joints; gint num_joints; gint pose_type; } NvDsJoints;
typedef struct { float *embedding_vector; guint embedding_length; } NvDsEmbedding;
typedef struct { gint *points; guint numFilled; } NvDsConvexHull;

typedef struct {
	float ptWorldFeet[2];
	float ptImgFeet[2];
	NvDsConvexHull convexHull;
	gint64 bbox3d[12];
} NvDs3DTracking;

typedef struct { gchar source_id[128]; guint64 timestamp; } SourceTimePair;

/* What extMsg points to, by objType. The Ext types have a GList *mask of GArray * of double at their end. */
typedef struct { gchar *type, *make, *model, *color, *region, *license; } NvDsVehicleObject;
typedef struct { gchar *gender, *hair, *cap, *apparel; guint age; } NvDsPersonObject;
typedef struct { gchar *gender, *hair, *cap, *glasses, *facialhair, *name, *eyecolor; guint age; } NvDsFaceObject;
typedef struct { gchar *brand, *type, *shape; } NvDsProductObject;

/* An event. Texts may be NULL. */
typedef struct {
	NvDsEventType type;
	NvDsObjectType objType;
	NvDsRect bbox;
	NvDsGeoLocation location;
	NvDsCoordinate coordinate;
	NvDsObjectSignature objSignature;
	gint objClassId;
	gint sensorId;
	gint moduleId;
	gint placeId;
	gint componentId;
	gint frameId;
	gdouble confidence;
	guint64 trackingId;
	gchar *ts; /* RFC 3339 */
	gchar *objectId;
	gchar *sensorStr;
	SourceTimePair entries[100];
	gint count;
	void *bbox3d;
	void *llm;
	guint num_interactions;
	void *interactions;
	guint num_congestions;
	void *congestions;
	guint num_fov;
	void *fov;
	void *segmentation;
	gchar *otherAttrs;
	gchar *videoPath;
	void *extMsg; /* NvDsVehicleObject *, NvDsPersonObject * … */
	guint extMsgSize;
	NvDsJoints pose;
	NvDsEmbedding embedding;
	bool has3DTracking;
	NvDs3DTracking singleView3DTracking;
	float visibility;
} NvDsEventMsgMeta;

typedef struct {
	NvDsEventType eventType;
	NvDsEventMsgMeta *metadata;
} NvDsEvent;

/* A message. A NUL may follow the bytes; payloadSize does not count it. */
typedef struct {
	gpointer payload;
	guint payloadSize;
	guint componentId; /* msgconv writes its comp-id there */
} NvDsPayload;

typedef struct {
	NvDsPayloadType payloadType;
	gpointer privData; /* the library's */
} NvDsMsg2pCtx;

/* What the functions with _new get, behind their void *. */
typedef struct {
	void *objMeta;    /* NvDsObjectMeta *; NULL where a message is of the whole frame */
	void *frameMeta;  /* NvDsFrameMeta *, or NvDsAudioFrameMeta * of DeepStream's */
	gchar *mediaType; /* "video" or "audio" */
	void *datamap;    /* of lidar data; NULL */
} NvDsMsg2pMetaInfo;

/* Makes a context; file is msgconv's config, NULL without. NULL: msgconv does not start. */
NvDsMsg2pCtx *nvds_msg2p_ctx_create(const gchar *file, NvDsPayloadType type);

/* Frees what ctx_create made. */
void nvds_msg2p_ctx_destroy(NvDsMsg2pCtx *ctx);

/* Makes a message of events; NULL for none. */
NvDsPayload *nvds_msg2p_generate(NvDsMsg2pCtx *ctx, NvDsEvent *events, guint eventSize);

/* The same with several messages: an array that g_free frees, and how many there are in it. */
NvDsPayload **nvds_msg2p_generate_multiple(NvDsMsg2pCtx *ctx, NvDsEvent *events, guint eventSize, guint *payloadCount);

/* Makes a message of a frame or of an object in it; metadataInfo is a NvDsMsg2pMetaInfo *. */
NvDsPayload *nvds_msg2p_generate_new(NvDsMsg2pCtx *ctx, void *metadataInfo);

/* The same with several messages. */
NvDsPayload **nvds_msg2p_generate_multiple_new(NvDsMsg2pCtx *ctx, void *metadataInfo, guint *payloadCount);

/* Frees a message, its bytes included. */
void nvds_msg2p_release(NvDsMsg2pCtx *ctx, NvDsPayload *payload);

#ifdef __cplusplus
}
#endif
#endif
