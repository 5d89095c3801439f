/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A protocol adaptor of one's own: it appends every message to a file, as one line "TOPIC PAYLOAD". It is a
 * start for an adaptor to a system that nobody else speaks to, and works in msgbroker as in DeepStream's
 * nvmsgbroker:
 *
 *   cc -shared -fPIC -Wall -o libjournal_proto.so journal.c -lpthread
 *   gst-launch-1.0 videotestsrc num-buffers=3 ! ... ! msgbroker proto-lib=$PWD/libjournal_proto.so
 *       conn-str="/tmp/journal.txt" topic=events
 *
 * Three rules make an adaptor a good one:
 *   1. send_async copies the message and returns. It may be called while do_work runs: hence the lock.
 *   2. The call back is never called inside send_async, but by do_work (or by a thread of the adaptor's own),
 *      exactly once per message, without the lock.
 *   3. When the far side is gone, the connect call back is called with NVDS_MSGAPI_EVT_SERVICE_DOWN. Then
 *      msgbroker disconnects, connects again, and sends again what was not acknowledged.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The interface: nvds_msgapi.h of DeepStream says the same. */
typedef void *NvDsMsgApiHandle;
typedef enum { NVDS_MSGAPI_EVT_SUCCESS, NVDS_MSGAPI_EVT_DISCONNECT, NVDS_MSGAPI_EVT_SERVICE_DOWN } NvDsMsgApiEventType;
typedef enum { NVDS_MSGAPI_OK, NVDS_MSGAPI_ERR, NVDS_MSGAPI_UNKNOWN_TOPIC } NvDsMsgApiErrorType;
typedef void (*nvds_msgapi_connect_cb_t)(NvDsMsgApiHandle h, NvDsMsgApiEventType event);
typedef void (*nvds_msgapi_send_cb_t)(void *user, NvDsMsgApiErrorType result);

/* A message that waits for do_work. */
typedef struct entry {
	struct entry *next;
	nvds_msgapi_send_cb_t done;
	void *user;
	size_t size;
	char line[];
} entry;

typedef struct {
	int fd;
	nvds_msgapi_connect_cb_t event;
	pthread_mutex_t lock; /* of the list */
	entry *first, **last;
} journal;

NvDsMsgApiHandle nvds_msgapi_connect(char *conn_str, nvds_msgapi_connect_cb_t event, char *config_path)
{
	journal *j;
	int fd;

	(void)config_path; /* a key file with the group [message-broker], if there is something to configure */
	if (!conn_str)
		return NULL;
	fd = open(conn_str, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0) {
		fprintf(stderr, "journal: %s: %s\n", conn_str, strerror(errno));
		return NULL;
	}
	j = calloc(1, sizeof *j);
	if (!j) {
		close(fd);
		return NULL;
	}
	j->fd = fd;
	j->event = event;
	j->last = &j->first;
	pthread_mutex_init(&j->lock, NULL);
	return j;
}

NvDsMsgApiErrorType nvds_msgapi_send_async(NvDsMsgApiHandle h, char *topic, const uint8_t *payload, size_t size,
	nvds_msgapi_send_cb_t done, void *user)
{
	journal *j = h;
	size_t topic_len = topic ? strlen(topic) : 0;
	entry *e = malloc(sizeof *e + topic_len + size + 2);

	if (!e)
		return NVDS_MSGAPI_ERR;
	e->next = NULL;
	e->done = done;
	e->user = user;
	e->size = topic_len + size + 2;
	memcpy(e->line, topic ? topic : "", topic_len);
	e->line[topic_len] = ' ';
	memcpy(e->line + topic_len + 1, payload, size);
	e->line[e->size - 1] = '\n';
	pthread_mutex_lock(&j->lock);
	*j->last = e;
	j->last = &e->next;
	pthread_mutex_unlock(&j->lock);
	return NVDS_MSGAPI_OK;
}

static int write_all(int fd, const char *data, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, data, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		data += n;
		size -= (size_t)n;
	}
	return 0;
}

void nvds_msgapi_do_work(NvDsMsgApiHandle h)
{
	journal *j = h;
	entry *e;

	pthread_mutex_lock(&j->lock);
	e = j->first;
	j->first = NULL;
	j->last = &j->first;
	pthread_mutex_unlock(&j->lock);
	while (e) {
		entry *next = e->next;
		int failed = write_all(j->fd, e->line, e->size);

		e->done(e->user, failed ? NVDS_MSGAPI_ERR : NVDS_MSGAPI_OK);
		free(e);
		e = next;
		if (failed)
			j->event(j, NVDS_MSGAPI_EVT_SERVICE_DOWN);
	}
}

NvDsMsgApiErrorType nvds_msgapi_disconnect(NvDsMsgApiHandle h)
{
	journal *j = h;

	nvds_msgapi_do_work(h); /* what is left is written, and its call backs are called */
	close(j->fd);
	pthread_mutex_destroy(&j->lock);
	free(j);
	return NVDS_MSGAPI_OK;
}

char *nvds_msgapi_getversion(void) { return "1.0"; }
char *nvds_msgapi_get_protocol_name(void) { return "JOURNAL"; }
