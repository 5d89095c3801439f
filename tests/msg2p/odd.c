/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A converter library that does what none should. msgconv's config, which a library gets as it is, says what. With OLD it
 * exports what libraries of old releases did.
 */
#include "nvds_msg2p.h"
#include <string.h>
#include <sys/mman.h>

static gint contexts, payloads; /* that are not freed */
static gchar last[256];         /* what the last call got */

int odd_contexts(void) { return g_atomic_int_get(&contexts); }
int odd_payloads(void) { return g_atomic_int_get(&payloads); }
const char *odd_last(void) { return last; }

NvDsMsg2pCtx *nvds_msg2p_ctx_create(const gchar *file, NvDsPayloadType type)
{
	if (file != NULL && strcmp(file, "refuse") == 0)
		return NULL;
	g_atomic_int_inc(&contexts);
	NvDsMsg2pCtx *ctx = g_new0(NvDsMsg2pCtx, 1);
	ctx->payloadType = type;
	ctx->privData = g_strdup(file != NULL ? file : "");
	return ctx;
}

void nvds_msg2p_ctx_destroy(NvDsMsg2pCtx *ctx)
{
	g_atomic_int_add(&contexts, -1);
	g_free(ctx->privData);
	g_free(ctx);
}

static NvDsPayload *message(gconstpointer bytes, guint size)
{
	NvDsPayload *p = g_new0(NvDsPayload, 1);
	p->payload = bytes != NULL ? g_memdup2(bytes, size) : NULL;
	p->payloadSize = size;
	g_atomic_int_inc(&payloads);
	return p;
}

static NvDsPayload *odd(NvDsMsg2pCtx *ctx)
{
	const char *mode = ctx->privData;
	if (strcmp(mode, "null") == 0)
		return NULL;
	if (strcmp(mode, "no-bytes") == 0)
		return message(NULL, 7);
	if (strcmp(mode, "size-0") == 0)
		return message("x", 0);
	if (strcmp(mode, "binary") == 0)
		return message("a\0b", 4);
	if (strcmp(mode, "nowhere") == 0)
		return (NvDsPayload *)0x10;
	if (strcmp(mode, "far") == 0)
		return (NvDsPayload *)0x1234567890abcdefULL;
	if (strcmp(mode, "unmapped") == 0) {
		NvDsPayload *p = message(NULL, 100);
		p->payload = (gpointer)0x600000000000;
		return p;
	}
	if (strcmp(mode, "large") == 0) {
		NvDsPayload *p = message("{", 1);
		p->payloadSize = G_MAXUINT;
		return p;
	}
	if (strcmp(mode, "short") == 0) { /* ends before it says so, at the end of what is mapped */
		NvDsPayload *p = message(NULL, 5000);
		gchar *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		munmap(pages + 4096, 4096);
		p->payload = pages;
		pages[0] = '{';
		return p;
	}
	if (strcmp(mode, "crash") == 0)
		*(volatile int *)0x40 = 1;
	return message("{\"odd\":1}", 9);
}

NvDsPayload *nvds_msg2p_generate(NvDsMsg2pCtx *ctx, NvDsEvent *events, guint n)
{
	g_snprintf(last, sizeof last, "generate %u type=%d objType=%d frame=%d component=%d", n, (int)events[0].eventType,
	    (int)events[0].metadata->objType, events[0].metadata->frameId, events[0].metadata->componentId);
	return odd(ctx);
}

#ifndef OLD
NvDsPayload **nvds_msg2p_generate_multiple(NvDsMsg2pCtx *ctx, NvDsEvent *events, guint n, guint *count)
{
	(void)events;
	if (strcmp(ctx->privData, "many") == 0) { /* says more than there is */
		*count = 0x7fffffff;
		return g_new0(NvDsPayload *, 1);
	}
	if (strcmp(ctx->privData, "no-list") == 0) {
		*count = 5;
		return NULL;
	}
	NvDsPayload **list = g_new0(NvDsPayload *, n + 3);
	*count = n + 3; /* of which some are NULL */
	for (guint i = 0; i < n; i++)
		list[i + 1] = odd(ctx);
	return list;
}

NvDsPayload *nvds_msg2p_generate_new(NvDsMsg2pCtx *ctx, void *metadataInfo)
{
	NvDsMsg2pMetaInfo *info = metadataInfo;
	NvDsFrameMeta *f = info->frameMeta; /* frame_num is at the same place in a frame of audio */
	g_snprintf(last, sizeof last, "new %s frame=%d object=%d datamap=%d batch=%d", info->mediaType, f->frame_num,
	    info->objMeta != NULL, info->datamap != NULL, f->base_meta.batch_meta != NULL);
	return odd(ctx);
}

NvDsPayload **nvds_msg2p_generate_multiple_new(NvDsMsg2pCtx *ctx, void *metadataInfo, guint *count)
{
	NvDsPayload **list = g_new0(NvDsPayload *, 2);
	list[0] = nvds_msg2p_generate_new(ctx, metadataInfo);
	list[1] = odd(ctx);
	*count = 2;
	return list;
}
#endif

#ifdef UNDEFINED
void nobody_has_this_function(void);
void odd_undefined(void) { nobody_has_this_function(); }
#endif

#ifndef NO_RELEASE
void nvds_msg2p_release(NvDsMsg2pCtx *ctx, NvDsPayload *payload)
{
	(void)ctx;
	g_atomic_int_add(&payloads, -1);
	g_free(payload->payload);
	g_free(payload);
}
#endif
