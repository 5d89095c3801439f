/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "headers.h"

/* The headers that let a consumer see that nothing is missing; package adapters names them. */
#define EW_SESSION_HEADER "ew-session"
#define EW_NUMBER_HEADER "ew-sequence"

static const char *session_text(ew_session *s, uint64_t session)
{
	int i;

	if (s->session != session) {
		s->session = session;
		for (i = 15; i >= 0; i--, session >>= 4)
			s->text[i] = "0123456789abcdef"[session & 15];
	}
	return s->text;
}

static char *decimal(char *end, uint64_t n)
{
	do
		*--end = (char)('0' + n % 10);
	while (n /= 10);
	return end;
}

/* The user's headers, laid out as package adapters says; what is damaged ends them. */
static void add_headers(rd_kafka_headers_t *headers, const unsigned char *h, size_t len)
{
	while (len >= 6) {
		size_t name = h[0] | (size_t)h[1] << 8, value;
		const unsigned char *v = h + 2 + name;

		if (name > len - 6)
			return;
		value = v[0] | (size_t)v[1] << 8 | (size_t)v[2] << 16 | (size_t)v[3] << 24;
		if (value > len - 6 - name)
			return;
		rd_kafka_header_add(headers, (const char *)h + 2, (ssize_t)name, v + 4, (ssize_t)value);
		h = v + 4 + value;
		len -= 6 + name + value;
	}
}

rd_kafka_headers_t *ew_headers_of(ew_session *s, const char *data, const ew_record *r)
{
	char number[20], *text = decimal(number + sizeof number, r->number);
	rd_kafka_headers_t *headers;

	if (r->session == 0 && r->headers_len == 0)
		return NULL;
	headers = rd_kafka_headers_new(r->headers_len ? 8 : 2);
	if (r->session != 0) {
		rd_kafka_header_add(headers, EW_SESSION_HEADER, sizeof EW_SESSION_HEADER - 1, session_text(s, r->session),
			(ssize_t)sizeof s->text);
		rd_kafka_header_add(headers, EW_NUMBER_HEADER, sizeof EW_NUMBER_HEADER - 1, text, (ssize_t)(number + sizeof number - text));
	}
	if (r->headers_len)
		add_headers(headers, (const unsigned char *)data + r->headers, r->headers_len);
	return headers;
}
