/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef EW_HEADERS_H
#define EW_HEADERS_H

#include "shim.h"

/* The session whose text is at hand: it rarely changes. */
typedef struct {
	uint64_t session;
	char text[16];
} ew_session;

/* The headers of a message, the caller's; NULL when it has none. */
rd_kafka_headers_t *ew_headers_of(ew_session *s, const char *data, const ew_record *r);

#endif
