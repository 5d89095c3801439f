/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the two fronts share: the functions of the core, looked up with the first call. */
#ifndef EW_CAPI_FRONT_H
#define EW_CAPI_FRONT_H

#define _GNU_SOURCE
#include "../core/capi.h"
#include "../core/open.h"

#include <pthread.h>
#include <stdio.h>

#define EW_EXPORT __attribute__((visibility("default")))

static struct {
	uintptr_t (*connect)(int family, const char *proto_lib, const char *conn_str, const char *config, ew_connect_cb cb);
	int (*send)(uintptr_t h, const char *topic, const void *payload, size_t size);
	int (*send_async)(uintptr_t h, const char *topic, const void *payload, size_t size, uintptr_t cb, uintptr_t user);
	size_t (*collect)(uintptr_t h, ew_done *out, size_t capacity);
	int (*subscribe)(uintptr_t h, char **topics, int count, ew_message_cb cb, void *user);
	int (*disconnect)(uintptr_t h);
	void (*release)(uintptr_t h);
	int (*signature)(const char *proto_lib, const char *conn_str, const char *config, char *out);
} core;
static int core_ready;

static void *core_function(void *so, const char *name, int *missing)
{
	void *p = dlsym(so, name);

	if (!p) {
		fprintf(stderr, "gst-edgewire: " EW_CORE " has no %s: library and core are of different versions\n", name);
		*missing = 1;
	}
	return p;
}

static void core_open(void)
{
	const char *problem = "";
	int missing = 0;
	void *so = ew_open_core("this process is a Go program; use package github.com/gst-edgewire/gst-edgewire/pkg/broker instead",
		&problem);

	if (!so) {
		fprintf(stderr, "gst-edgewire: cannot open the core: %s\n", problem);
		return;
	}
	*(void **)&core.connect = core_function(so, "edgewire_capi_connect", &missing);
	*(void **)&core.send = core_function(so, "edgewire_capi_send", &missing);
	*(void **)&core.send_async = core_function(so, "edgewire_capi_send_async", &missing);
	*(void **)&core.collect = core_function(so, "edgewire_capi_collect", &missing);
	*(void **)&core.subscribe = core_function(so, "edgewire_capi_subscribe", &missing);
	*(void **)&core.disconnect = core_function(so, "edgewire_capi_disconnect", &missing);
	*(void **)&core.release = core_function(so, "edgewire_capi_release", &missing);
	*(void **)&core.signature = core_function(so, "edgewire_capi_signature", &missing);
	core_ready = !missing;
}

/* have_core opens the core, once. */
static int have_core(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, core_open);
	return core_ready;
}

#endif
