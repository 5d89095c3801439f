// SPDX-License-Identifier: LGPL-2.1-or-later

//go:build !dynamic

/*
 * librdkafka's threads call poll through here: both ways of linking say --wrap=poll. (The shared core has this file in
 * its private librdkafka, which scripts/build-rdkafka links.)
 *
 * While messages wait and the requests that may be under way are, the thread of a broker asks its socket again and
 * again without waiting, and so burns a core for as long as the server is the slower one. Nothing can change for it
 * but by what it polls for: an answer, room in the socket, or a byte in the pipe that other threads wake it with. So
 * a thread that has just found nothing waits a little for one of these.
 *
 * In a static link everything else that is linked in comes through here too, an application's own C code among it.
 * That is none of our business: only the threads that librdkafka has named as a broker's wait.
 */
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>

#include "calm.h"

enum { PATIENCE_MS = 1 }; /* what becomes due by the clock alone may be late by so much */

#define BROKERS "rdk:broker" /* and a number: what librdkafka calls its threads */

int __real_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
__attribute__((visibility("hidden"))) int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms);

static atomic_ulong calls;

unsigned long ew_calm_calls(void) { return atomic_load_explicit(&calls, memory_order_relaxed); }

/* A thread of librdkafka's has its name before it polls for the first time, and keeps it. */
static int by_broker(void)
{
	static __thread enum { UNKNOWN, BROKER, OTHER } thread;
	char name[16] = "";

	if (thread == UNKNOWN) {
		prctl(PR_GET_NAME, name);
		thread = strncmp(name, BROKERS, sizeof BROKERS - 1) == 0 ? BROKER : OTHER;
	}
	return thread == BROKER;
}

int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	static __thread int in_vain = -1; /* the first descriptor of a poll that did not wait and found nothing */
	int found;

	if (!by_broker())
		return __real_poll(fds, n, timeout_ms);
	atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
	if (timeout_ms != 0 || n == 0) {
		in_vain = -1;
		return __real_poll(fds, n, timeout_ms);
	}
	found = __real_poll(fds, n, in_vain == fds[0].fd ? PATIENCE_MS : 0);
	in_vain = found == 0 ? fds[0].fd : -1;
	return found;
}
