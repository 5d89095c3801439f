/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* DeepStream's message broker library. */
#include "front.h"

#include "nvmsgbroker.h"

EW_EXPORT NvMsgBrokerClientHandle nv_msgbroker_connect(char *broker_conn_str, char *broker_proto_lib,
	nv_msgbroker_connect_cb_t connect_cb, char *cfg)
{
	if (!have_core())
		return NULL;
	return (NvMsgBrokerClientHandle)core.connect(EW_MSGBROKER, broker_proto_lib, broker_conn_str, cfg,
		(ew_connect_cb)(void (*)(void))connect_cb);
}

EW_EXPORT NvMsgBrokerErrorType nv_msgbroker_send_async(NvMsgBrokerClientHandle h_ptr, NvMsgBrokerClientMsg message,
	nv_msgbroker_send_cb_t cb, void *user_ctx)
{
	if (!have_core())
		return NV_MSGBROKER_API_ERR;
	return (NvMsgBrokerErrorType)core.send_async((uintptr_t)h_ptr, message.topic, message.payload, message.payload_len, (uintptr_t)cb,
		(uintptr_t)user_ctx);
}

EW_EXPORT NvMsgBrokerErrorType nv_msgbroker_subscribe(NvMsgBrokerClientHandle h_ptr, char **topics, int num_topics,
	nv_msgbroker_subscribe_cb_t cb, void *user_ctx)
{
	if (!have_core())
		return NV_MSGBROKER_API_ERR;
	return (NvMsgBrokerErrorType)core.subscribe((uintptr_t)h_ptr, topics, num_topics, (ew_message_cb)(void (*)(void))cb, user_ctx);
}

EW_EXPORT NvMsgBrokerErrorType nv_msgbroker_disconnect(NvMsgBrokerClientHandle h_ptr)
{
	return h_ptr && have_core() ? (NvMsgBrokerErrorType)core.disconnect((uintptr_t)h_ptr) : NV_MSGBROKER_API_ERR;
}

EW_EXPORT char *nv_msgbroker_version(void) { return (char *)NV_MSGBROKER_VERSION; }
