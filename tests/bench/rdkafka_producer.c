/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The rival of the Kafka benchmark: the plainest producer that librdkafka allows.
 *
 *   rdkafka_producer HOST:PORT TOPIC COUNT SIZE [rate=N] [OPTION=VALUE…]
 *
 * Sends COUNT messages of SIZE bytes as fast as the library takes them, or N a second, waits for every delivery report,
 * and prints one line of JSON: {"messages":N,"seconds":S,"cpu_us_per_message":C}. Only acknowledged
 * messages count; the exit status is 1 when there are fewer than COUNT. Time and CPU run from the first
 * message, sent once the broker is connected and the topic exists, to the last report.
 */
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static long acknowledged, failed;

static void report(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
	(void)rk;
	(void)opaque;
	if (m->err)
		failed++;
	else
		acknowledged++;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static double cpu(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return u.ru_utime.tv_sec + u.ru_stime.tv_sec + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char err[512];

	if (rd_kafka_conf_set(conf, name, value, err, sizeof err) != RD_KAFKA_CONF_OK) {
		fprintf(stderr, "rdkafka_producer: %s\n", err);
		exit(2);
	}
}

static int produce(rd_kafka_t *rk, const char *topic, void *payload, size_t size)
{
	return rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
		RD_KAFKA_V_VALUE(payload, size), RD_KAFKA_V_END);
}

int main(int argc, char **argv)
{
	char err[512];
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_t *rk;
	long i, count, rate = 0;
	size_t size;
	char *payload;
	double t, c;

	if (argc < 5) {
		fprintf(stderr, "usage: rdkafka_producer HOST:PORT TOPIC COUNT SIZE [rate=N] [OPTION=VALUE...]\n");
		return 2;
	}
	count = atol(argv[3]);
	size = (size_t)atol(argv[4]);
	set(conf, "bootstrap.servers", argv[1]);
	for (i = 5; i < argc; i++) {
		char *eq = strchr(argv[i], '=');

		if (!eq) {
			fprintf(stderr, "rdkafka_producer: %s is not OPTION=VALUE\n", argv[i]);
			return 2;
		}
		*eq = 0;
		if (!strcmp(argv[i], "rate")) {
			rate = atol(eq + 1);
			continue;
		}
		set(conf, argv[i], eq + 1);
	}
	rd_kafka_conf_set_dr_msg_cb(conf, report);
	rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, err, sizeof err);
	payload = malloc(size + 1);
	if (!rk || !payload) {
		fprintf(stderr, "rdkafka_producer: %s\n", rk ? "out of memory" : err);
		return 2;
	}
	memset(payload, 'x', size);
	/* A first message makes the connection and the topic; it is not part of the figures. */
	produce(rk, argv[2], payload, size);
	rd_kafka_flush(rk, 30000);
	if (acknowledged != 1) {
		fprintf(stderr, "rdkafka_producer: %s does not acknowledge\n", argv[1]);
		return 1;
	}
	acknowledged = 0;
	t = now();
	c = cpu();
	for (i = 0; i < count; i++) {
		int e;

		while (rate > 0 && now() - t < (double)i / rate)
			rd_kafka_poll(rk, 1);
		while ((e = produce(rk, argv[2], payload, size)) == RD_KAFKA_RESP_ERR__QUEUE_FULL)
			rd_kafka_poll(rk, 10);
		if (e) {
			fprintf(stderr, "rdkafka_producer: %s\n", rd_kafka_err2str(e));
			return 1;
		}
		if (i % 64 == 0)
			rd_kafka_poll(rk, 0);
	}
	while (acknowledged + failed < count && rd_kafka_outq_len(rk) > 0)
		rd_kafka_poll(rk, 100);
	t = now() - t;
	c = cpu() - c;
	printf("{\"messages\":%ld,\"seconds\":%.6f,\"cpu_us_per_message\":%.3f}\n",
		acknowledged, t, acknowledged ? c * 1e6 / acknowledged : 0);
	rd_kafka_destroy(rk);
	free(payload);
	return acknowledged == count ? 0 : 1;
}
