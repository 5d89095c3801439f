/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The interface of DeepStream 9.1's message broker library: what libnvds_msgbroker.so of gst-edgewire
 * exports. Written anew to be compatible by source and binary. docs/deepstream-c.md describes what ours does.
 */
#ifndef NVMSGBROKER_H
#define NVMSGBROKER_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NV_MSGBROKER_VERSION "2.0"

/* A connection; connections with the same configuration and share-connection = 1 are one behind it. */
typedef void *NvMsgBrokerClientHandle;

typedef enum {
	NV_MSGBROKER_API_OK,
	NV_MSGBROKER_API_ERR,
	NV_MSGBROKER_API_RECONNECTING, /* the server is away; messages are queued meanwhile */
	NV_MSGBROKER_API_NOT_SUPPORTED
} NvMsgBrokerErrorType;

typedef struct {
	char *topic;
	void *payload;
	size_t payload_len;
} NvMsgBrokerClientMsg;

/* The call backs come from threads of the library. They may call these functions, nv_msgbroker_disconnect included. */
typedef void (*nv_msgbroker_connect_cb_t)(NvMsgBrokerClientHandle h_ptr, NvMsgBrokerErrorType status);
typedef void (*nv_msgbroker_send_cb_t)(void *user_ptr, NvMsgBrokerErrorType flag);
/* msg and topic are valid during the call; after msg_len bytes there is a NUL. */
typedef void (*nv_msgbroker_subscribe_cb_t)(NvMsgBrokerErrorType flag, void *msg, int msg_len, char *topic, void *user_ptr);

/*
 * Connects; NULL when that fails within 5 s, which the log explains. broker_proto_lib is a protocol's name,
 * the path of DeepStream's adaptor, for which the built-in one stands, or that of anyone else's.
 */
NvMsgBrokerClientHandle nv_msgbroker_connect(char *broker_conn_str, char *broker_proto_lib,
	nv_msgbroker_connect_cb_t connect_cb, char *cfg);

/* Queues a copy of the message. Of NV_MSGBROKER_API_OK follows exactly one call of cb (which may be NULL). */
NvMsgBrokerErrorType nv_msgbroker_send_async(NvMsgBrokerClientHandle h_ptr, NvMsgBrokerClientMsg message,
	nv_msgbroker_send_cb_t cb, void *user_ctx);

/* Receives the messages of topics. Several calls add up. */
NvMsgBrokerErrorType nv_msgbroker_subscribe(NvMsgBrokerClientHandle h_ptr, char **topics, int num_topics,
	nv_msgbroker_subscribe_cb_t cb, void *user_ctx);

/* Delivers what is queued, for at most 10 s while the server is there, calls back for the rest, and ends. */
NvMsgBrokerErrorType nv_msgbroker_disconnect(NvMsgBrokerClientHandle h_ptr);

/* NV_MSGBROKER_VERSION of the library; not to be freed. */
char *nv_msgbroker_version(void);

#ifdef __cplusplus
}
#endif

#endif
