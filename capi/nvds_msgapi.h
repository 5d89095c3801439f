/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The interface of a protocol adaptor, as DeepStream 9.1 defines it: what the libraries libnvds_*_proto.so
 * of gst-edgewire export, and what msgbroker expects of a library of someone else. Written anew to be
 * compatible by source and binary. docs/deepstream-c.md describes what ours do.
 */
#ifndef NVDS_MSGAPI_H
#define NVDS_MSGAPI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A connection. NULL is none. A handle that was disconnected is refused, not followed. */
typedef void *NvDsMsgApiHandle;

/* What happened to a connection. */
typedef enum {
	NVDS_MSGAPI_EVT_SUCCESS,     /* it stands: told once, by the MQTT library alone, as DeepStream's does */
	NVDS_MSGAPI_EVT_DISCONNECT,  /* it was closed */
	NVDS_MSGAPI_EVT_SERVICE_DOWN /* it is lost for good. Ours reconnect by themselves and say it only then */
} NvDsMsgApiEventType;

/* What became of a call or of a message. */
typedef enum {
	NVDS_MSGAPI_OK,
	NVDS_MSGAPI_ERR,
	NVDS_MSGAPI_UNKNOWN_TOPIC /* the server does not know the topic */
} NvDsMsgApiErrorType;

/*
 * The answer to nvds_msgapi_send_async. Called by nvds_msgapi_do_work (or _disconnect), never inside _send_async;
 * after an nvds_msgapi_disconnect from within a call back for a message or the connection, by a thread of the library.
 */
typedef void (*nvds_msgapi_send_cb_t)(void *user_ptr, NvDsMsgApiErrorType completion_flag);

/* A message. msg and topic are valid during the call; msg_len bytes, after which ours have a NUL. */
typedef void (*nvds_msgapi_subscribe_request_cb_t)(NvDsMsgApiErrorType flag, void *msg, int msg_len, char *topic, void *user_ptr);

/* A change of the connection, from a thread of the library. */
typedef void (*nvds_msgapi_connect_cb_t)(NvDsMsgApiHandle h_ptr, NvDsMsgApiEventType ds_evt);

/*
 * Connects; NULL when that fails within 5 s, which the log explains. connection_str is the protocol's, such
 * as "host;port;topic"; config_path a key file with the group [message-broker]. Each may be NULL or "", and
 * connect_cb may be NULL.
 */
NvDsMsgApiHandle nvds_msgapi_connect(char *connection_str, nvds_msgapi_connect_cb_t connect_cb, char *config_path);

/*
 * Sends a message and waits for the server's answer, which it returns; at most 300 s. topic may be NULL where
 * the connection string or the configuration names one.
 */
NvDsMsgApiErrorType nvds_msgapi_send(NvDsMsgApiHandle h_ptr, char *topic, const uint8_t *payload, size_t nbuf);

/*
 * Queues a copy of a message and returns. Of NVDS_MSGAPI_OK follows exactly one call of send_callback (which
 * may be NULL); of anything else, none: the queue is full, or the message is empty or has no topic.
 */
NvDsMsgApiErrorType nvds_msgapi_send_async(NvDsMsgApiHandle h_ptr, char *topic, const uint8_t *payload, size_t nbuf,
	nvds_msgapi_send_cb_t send_callback, void *user_ptr);

/*
 * Receives the messages of topics: cb is called by a thread of the library, one call at a time. A message
 * counts as taken when cb returns. Several calls add up.
 */
NvDsMsgApiErrorType nvds_msgapi_subscribe(NvDsMsgApiHandle h_ptr, char **topics, int num_topics,
	nvds_msgapi_subscribe_request_cb_t cb, void *user_ctx);

/* Calls back for what was answered since the last time. Everything else happens without it. */
void nvds_msgapi_do_work(NvDsMsgApiHandle h_ptr);

/*
 * Delivers what is queued, for at most 10 s while the server is there, calls back for the rest with
 * NVDS_MSGAPI_ERR, and ends the connection.
 */
NvDsMsgApiErrorType nvds_msgapi_disconnect(NvDsMsgApiHandle h_ptr);

/* The version of the interface, and the protocol's name: constants, not to be freed. */
char *nvds_msgapi_getversion(void);
char *nvds_msgapi_get_protocol_name(void);

/*
 * Writes what connections must have in common to be shared: 64 hexadecimal digits, or "" unless the
 * configuration says share-connection = 1. max_len is the room in output_str, at least 65.
 */
NvDsMsgApiErrorType nvds_msgapi_connection_signature(char *connection_str, char *config_path, char *output_str, int max_len);

#ifdef __cplusplus
}
#endif

#endif
