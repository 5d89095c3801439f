/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the C fronts (capi/) and the core have between them. */
#ifndef EW_CORE_CAPI_H
#define EW_CORE_CAPI_H

#include <stddef.h>
#include <stdint.h>

/* A message that was answered: whom to call, and with what. */
typedef struct {
	void (*callback)(void *user, int result);
	void *user;
	int32_t result; /* an NvDsMsgApiErrorType, or an NvMsgBrokerErrorType */
	int32_t unused;
} ew_done;

/* The two families of functions number their results differently. */
enum { EW_MSGAPI = 0, EW_MSGBROKER = 1 };

/* NvDsMsgApiErrorType and NvMsgBrokerErrorType have the first two in common. */
enum { EW_OK = 0, EW_ERR = 1, EW_UNKNOWN_TOPIC = 2 };
enum { EW_RECONNECTING = 2, EW_NOT_SUPPORTED = 3 };
/* NvDsMsgApiEventType */
enum { EW_EVT_SUCCESS = 0, EW_EVT_DISCONNECT = 1, EW_EVT_SERVICE_DOWN = 2 };

typedef void (*ew_connect_cb)(void *handle, int status);
typedef void (*ew_message_cb)(int status, void *message, int size, char *topic, void *user);

/*
 * The call backs, made by a goroutine. While one runs, ew_inside tells its thread which handle it belongs
 * to: a host may call us from there.
 */
void ew_call_connect(ew_connect_cb cb, uintptr_t handle, int status);
void ew_call_message(ew_message_cb cb, uintptr_t handle, void *message, int size, char *topic, void *user);
void ew_call_done(const ew_done *d, uintptr_t handle);
uintptr_t ew_inside(void);

/* A line for the log: GStreamer's where it runs, DeepStream's where the process has it, else standard error. */
void ew_log(int level, const char *facility, const char *text);

#endif
