/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A converter library of one's own (msg2p-lib): JSON with what was seen, where and when. It is a start for a schema that
 * payload-template cannot express, and works in msgconv with and without DeepStream, and in DeepStream's nvmsgconv:
 *
 *   cc -shared -fPIC -Wall -I capi -o libobjects.so examples/c/msg2p/objects.c $(pkg-config --cflags --libs glib-2.0)
 *   gst-launch-1.0 ... ! msgconv msg2p-lib=$PWD/libobjects.so payload-type=PAYLOAD_CUSTOM ! ...
 *
 * The first line of msgconv's config, if there is one, is the name of the site in each message.
 *
 * Three rules make a converter a good one:
 *   1. Whatever metadata says may be missing: texts may be NULL, lists empty.
 *   2. Texts are not JSON: escape them.
 *   3. A message belongs to who asked for it until nvds_msg2p_release is called; nothing of the metadata does.
 */
#include "nvds_msg2p.h"
#include <string.h>

typedef struct {
	gchar *site;
	guint64 messages;
} State;

NvDsMsg2pCtx *nvds_msg2p_ctx_create(const gchar *file, NvDsPayloadType type)
{
	gchar *text = NULL;
	GError *error = NULL;
	if (file != NULL && !g_file_get_contents(file, &text, NULL, &error)) {
		g_printerr("objects: %s\n", error->message);
		g_error_free(error);
		return NULL;
	}
	State *state = g_new0(State, 1);
	state->site = g_strdup(text != NULL ? text : "");
	g_free(text);
	state->site[strcspn(state->site, "\r\n")] = '\0';
	NvDsMsg2pCtx *ctx = g_new0(NvDsMsg2pCtx, 1);
	ctx->payloadType = type;
	ctx->privData = state;
	return ctx;
}

void nvds_msg2p_ctx_destroy(NvDsMsg2pCtx *ctx)
{
	State *state = ctx->privData;
	g_free(state->site);
	g_free(state);
	g_free(ctx);
}

/* Appends a text as a JSON string; what is not UTF-8 becomes U+FFFD. */
static void add_text(GString *json, const gchar *text)
{
	gchar *valid = g_utf8_make_valid(text != NULL ? text : "", -1);
	g_string_append_c(json, '"');
	for (const gchar *c = valid; *c != '\0'; c++) {
		if (*c == '"' || *c == '\\')
			g_string_append_printf(json, "\\%c", *c);
		else if ((guchar)*c < 0x20)
			g_string_append_printf(json, "\\u%04x", *c);
		else
			g_string_append_c(json, *c);
	}
	g_string_append_c(json, '"');
	g_free(valid);
}

/* Numbers have a point, whatever the locale of the application. JSON has no NaN and no infinity. */
static void add_number(GString *json, double number)
{
	gchar buf[G_ASCII_DTOSTR_BUF_SIZE];
	g_string_append(json, number - number == 0 ? g_ascii_formatd(buf, sizeof buf, "%g", number) : "null");
}

static void add_box(GString *json, double left, double top, double width, double height)
{
	double numbers[] = {left, top, width, height};
	g_string_append(json, ",\"box\":[");
	for (guint i = 0; i < G_N_ELEMENTS(numbers); i++) {
		g_string_append(json, i > 0 ? "," : "");
		add_number(json, numbers[i]);
	}
	g_string_append_c(json, ']');
}

static void add_head(GString *json, const State *state, const gchar *sensor)
{
	g_string_append(json, "{\"site\":");
	add_text(json, state->site);
	g_string_append(json, ",\"sensor\":");
	add_text(json, sensor);
}

static void add_event(GString *json, const State *state, const NvDsEvent *event)
{
	const NvDsEventMsgMeta *m = event->metadata;
	add_head(json, state, m->sensorStr);
	g_string_append(json, ",\"at\":");
	add_text(json, m->ts);
	if (m->objType != NVDS_OBJECT_TYPE_DUMMY) {
		g_string_append_printf(json, ",\"id\":\"%" G_GUINT64_FORMAT "\",\"type\":%d,\"what\":", m->trackingId, (int)m->objType);
		add_text(json, m->objectId);
		g_string_append(json, ",\"score\":");
		add_number(json, m->confidence);
		add_box(json, m->bbox.left, m->bbox.top, m->bbox.width, m->bbox.height);
	}
	g_string_append_c(json, '}');
}

static void add_object(GString *json, const State *state, const NvDsFrameMeta *f, const NvDsObjectMeta *o)
{
	add_head(json, state, f->sensorInfo_meta.sensor_id);
	g_string_append_printf(json, ",\"frame\":%d,\"id\":\"%" G_GUINT64_FORMAT "\",\"what\":", f->frame_num, o->object_id);
	add_text(json, o->obj_label);
	g_string_append(json, ",\"score\":");
	add_number(json, o->confidence);
	add_box(json, o->rect_params.left, o->rect_params.top, o->rect_params.width, o->rect_params.height);
	g_string_append(json, ",\"labels\":[");
	const char *comma = "";
	for (GList *l = o->classifier_meta_list; l != NULL; l = l->next) {
		const NvDsClassifierMeta *c = l->data;
		for (GList *k = c->label_info_list; k != NULL; k = k->next) {
			const NvDsLabelInfo *label = k->data;
			g_string_append(json, comma);
			add_text(json, label->pResult_label != NULL ? label->pResult_label : label->result_label);
			comma = ",";
		}
	}
	g_string_append(json, "]}");
}

static NvDsPayload *message(NvDsMsg2pCtx *ctx, GString *json)
{
	NvDsPayload *p = g_new0(NvDsPayload, 1);
	p->payloadSize = json->len; /* without the NUL */
	p->payload = g_string_free(json, FALSE);
	((State *)ctx->privData)->messages++;
	return p;
}

/* One event is a message; several, of payload types 1 and 2, are an array. */
NvDsPayload *nvds_msg2p_generate(NvDsMsg2pCtx *ctx, NvDsEvent *events, guint eventSize)
{
	GString *json = g_string_new(eventSize > 1 ? "[" : NULL);
	for (guint i = 0; i < eventSize; i++) {
		g_string_append(json, i > 0 ? "," : "");
		add_event(json, ctx->privData, &events[i]);
	}
	g_string_append(json, eventSize > 1 ? "]" : "");
	return message(ctx, json);
}

/* With multiple-payloads each event is a message of its own. */
NvDsPayload **nvds_msg2p_generate_multiple(NvDsMsg2pCtx *ctx, NvDsEvent *events, guint eventSize, guint *payloadCount)
{
	NvDsPayload **list = g_new0(NvDsPayload *, eventSize + 1);
	for (guint i = 0; i < eventSize; i++)
		list[i] = nvds_msg2p_generate(ctx, &events[i], 1);
	*payloadCount = eventSize;
	return list;
}

/* The stream may be audio, whose frames are of another type. */
static const NvDsFrameMeta *video_frame(const NvDsMsg2pMetaInfo *info)
{
	return strcmp(info->mediaType, "video") == 0 ? info->frameMeta : NULL;
}

NvDsPayload *nvds_msg2p_generate_new(NvDsMsg2pCtx *ctx, void *metadataInfo)
{
	const NvDsMsg2pMetaInfo *info = metadataInfo;
	const NvDsFrameMeta *f = video_frame(info);
	if (f == NULL)
		return NULL;
	GString *json = g_string_new(NULL);
	if (info->objMeta != NULL) {
		add_object(json, ctx->privData, f, info->objMeta);
		return message(ctx, json);
	}
	g_string_append_c(json, '[');
	for (GList *l = f->obj_meta_list; l != NULL; l = l->next) {
		g_string_append(json, l->prev != NULL ? "," : "");
		add_object(json, ctx->privData, f, l->data);
	}
	g_string_append_c(json, ']');
	return message(ctx, json);
}

NvDsPayload **nvds_msg2p_generate_multiple_new(NvDsMsg2pCtx *ctx, void *metadataInfo, guint *payloadCount)
{
	NvDsMsg2pMetaInfo info = *(NvDsMsg2pMetaInfo *)metadataInfo;
	const NvDsFrameMeta *f = video_frame(&info);
	NvDsPayload **list = g_new0(NvDsPayload *, (f != NULL ? g_list_length(f->obj_meta_list) : 0) + 1);
	*payloadCount = 0;
	if (info.objMeta != NULL) {
		list[(*payloadCount)++] = nvds_msg2p_generate_new(ctx, &info);
		return list;
	}
	for (GList *l = f != NULL ? f->obj_meta_list : NULL; l != NULL; l = l->next) {
		info.objMeta = l->data;
		list[(*payloadCount)++] = nvds_msg2p_generate_new(ctx, &info);
	}
	return list;
}

void nvds_msg2p_release(NvDsMsg2pCtx *ctx, NvDsPayload *payload)
{
	(void)ctx;
	g_free(payload->payload);
	g_free(payload);
}
