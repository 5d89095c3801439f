/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define _GNU_SOURCE
#include "capi.h"

#include <dlfcn.h>
#include <gst/gst.h>
#include <stdio.h>

static __thread uintptr_t inside;

uintptr_t ew_inside(void) { return inside; }

void ew_call_connect(ew_connect_cb cb, uintptr_t handle, int status)
{
	inside = handle;
	cb((void *)handle, status);
	inside = 0;
}

void ew_call_message(ew_message_cb cb, uintptr_t handle, void *message, int size, char *topic, void *user)
{
	inside = handle;
	cb(EW_OK, message, size, topic, user);
	inside = 0;
}

void ew_call_done(const ew_done *d, uintptr_t handle)
{
	inside = handle;
	d->callback(d->user, d->result);
	inside = 0;
}

/*
 * DeepStream's logger is printf-like and takes syslog's priorities. Messages of librdkafka and the like come
 * at any time, so its presence is looked up once. A host that has not called gst_init has no debug log.
 */
typedef void (*nvds_log_fn)(const char *category, int priority, const char *data, ...);

void ew_log(int level, const char *facility, const char *text)
{
	static const int priorities[] = { 3, 4, 6, 7 };
	static const GstDebugLevel levels[] = { GST_LEVEL_ERROR, GST_LEVEL_WARNING, GST_LEVEL_INFO, GST_LEVEL_DEBUG };
	static gsize once;
	static nvds_log_fn nvds_log;

	if (level < 0 || level > 3)
		level = 3;
	if (g_once_init_enter(&once)) {
		*(void **)&nvds_log = dlsym(RTLD_DEFAULT, "nvds_log");
		g_once_init_leave(&once, 1);
	}
	if (nvds_log) {
		nvds_log("GST_EDGEWIRE", priorities[level], "%s: %s", facility, text);
	} else if (gst_is_initialized()) {
		static GstDebugCategory *category;
		static gsize made;

		if (g_once_init_enter(&made)) {
			category = _gst_debug_category_new("msgapi", 0, "C interfaces of DeepStream's messaging");
			g_once_init_leave(&made, 1);
		}
		gst_debug_log(category, levels[level], __FILE__, __func__, __LINE__, NULL, "%s: %s", facility, text);
	} else if (level <= 1) {
		fprintf(stderr, "gst-edgewire: %s: %s\n", facility, text);
	}
}
