/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A protocol adaptor in DeepStream's manner, compiled once per protocol with EW_PROTOCOL (ours), EW_NAME and
 * EW_API (DeepStream's).
 */
#include "front.h"

#include "nvds_msgapi.h"

#define AT_ONCE 64

EW_EXPORT NvDsMsgApiHandle nvds_msgapi_connect(char *connection_str, nvds_msgapi_connect_cb_t connect_cb, char *config_path)
{
	if (!have_core())
		return NULL;
	return (NvDsMsgApiHandle)core.connect(EW_MSGAPI, EW_PROTOCOL, connection_str, config_path, (ew_connect_cb)(void (*)(void))connect_cb);
}

EW_EXPORT NvDsMsgApiErrorType nvds_msgapi_send(NvDsMsgApiHandle h_ptr, char *topic, const uint8_t *payload, size_t nbuf)
{
	return have_core() ? (NvDsMsgApiErrorType)core.send((uintptr_t)h_ptr, topic, payload, nbuf) : NVDS_MSGAPI_ERR;
}

EW_EXPORT NvDsMsgApiErrorType nvds_msgapi_send_async(NvDsMsgApiHandle h_ptr, char *topic, const uint8_t *payload, size_t nbuf,
	nvds_msgapi_send_cb_t send_callback, void *user_ptr)
{
	if (!have_core())
		return NVDS_MSGAPI_ERR;
	return (NvDsMsgApiErrorType)core.send_async((uintptr_t)h_ptr, topic, payload, nbuf, (uintptr_t)send_callback, (uintptr_t)user_ptr);
}

EW_EXPORT NvDsMsgApiErrorType nvds_msgapi_subscribe(NvDsMsgApiHandle h_ptr, char **topics, int num_topics,
	nvds_msgapi_subscribe_request_cb_t cb, void *user_ctx)
{
	if (!have_core())
		return NVDS_MSGAPI_ERR;
	return (NvDsMsgApiErrorType)core.subscribe((uintptr_t)h_ptr, topics, num_topics, (ew_message_cb)(void (*)(void))cb, user_ctx);
}

/* What a do_work has collected and not told yet. A call back may call do_work or disconnect: those tell it first. */
typedef struct frame {
	NvDsMsgApiHandle h;
	ew_done done[AT_ONCE];
	size_t next, count;
	struct frame *outer;
} frame;

static __thread frame *innermost;

static void tell(frame *f)
{
	while (f->next < f->count) {
		const ew_done *d = &f->done[f->next++];

		d->callback(d->user, d->result);
	}
}

/* The call backs are made here, on the host's thread, with nothing of ours held. */
EW_EXPORT void nvds_msgapi_do_work(NvDsMsgApiHandle h_ptr)
{
	frame f, *outer;
	size_t n;

	if (!have_core())
		return;
	for (outer = innermost; outer; outer = outer->outer)
		if (outer->h == h_ptr)
			tell(outer);
	f.h = h_ptr;
	f.outer = innermost;
	innermost = &f;
	do {
		f.next = 0;
		f.count = n = core.collect((uintptr_t)h_ptr, f.done, AT_ONCE);
		tell(&f);
	} while (n == AT_ONCE);
	innermost = f.outer;
}

EW_EXPORT NvDsMsgApiErrorType nvds_msgapi_disconnect(NvDsMsgApiHandle h_ptr)
{
	int result;

	if (!h_ptr || !have_core())
		return NVDS_MSGAPI_ERR;
	result = core.disconnect((uintptr_t)h_ptr);
	if (result != EW_OK) /* no handle, or another thread ends it and needs it yet */
		return (NvDsMsgApiErrorType)result;
	nvds_msgapi_do_work(h_ptr);
	core.release((uintptr_t)h_ptr);
	return (NvDsMsgApiErrorType)result;
}

EW_EXPORT char *nvds_msgapi_getversion(void) { return (char *)EW_API; }

EW_EXPORT char *nvds_msgapi_get_protocol_name(void) { return (char *)EW_NAME; }

EW_EXPORT NvDsMsgApiErrorType nvds_msgapi_connection_signature(char *connection_str, char *config_path, char *output_str, int max_len)
{
	if (!output_str || max_len < 65 || !have_core())
		return NVDS_MSGAPI_ERR;
	output_str[0] = 0;
	return (NvDsMsgApiErrorType)core.signature(EW_PROTOCOL, connection_str, config_path, output_str);
}
