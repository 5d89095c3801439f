/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 *   rdkafka_topic HOST:PORT TOPIC [delete]
 *
 * Asks the server how many messages stand in partition 0 of TOPIC, prints {"messages":N}, and deletes the
 * topic if told so. The exit status is 1 when the server does not answer.
 */
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <string.h>

static int delete_topic(rd_kafka_t *rk, const char *topic)
{
	rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
	rd_kafka_DeleteTopic_t *del = rd_kafka_DeleteTopic_new(topic);
	rd_kafka_event_t *event;
	int failed;

	rd_kafka_DeleteTopics(rk, &del, 1, NULL, queue);
	event = rd_kafka_queue_poll(queue, 30000);
	failed = !event || rd_kafka_event_error(event);
	if (event)
		rd_kafka_event_destroy(event);
	rd_kafka_DeleteTopic_destroy(del);
	rd_kafka_queue_destroy(queue);
	return failed;
}

int main(int argc, char **argv)
{
	char err[512];
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_t *rk;
	rd_kafka_resp_err_t e;
	int64_t low = 0, high = 0;
	int ret = 0;

	if (argc < 3 || argc > 4 || (argc == 4 && strcmp(argv[3], "delete"))) {
		fprintf(stderr, "usage: rdkafka_topic HOST:PORT TOPIC [delete]\n");
		return 2;
	}
	if (rd_kafka_conf_set(conf, "bootstrap.servers", argv[1], err, sizeof err) != RD_KAFKA_CONF_OK ||
		!(rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, err, sizeof err))) {
		fprintf(stderr, "rdkafka_topic: %s\n", err);
		return 2;
	}
	e = rd_kafka_query_watermark_offsets(rk, argv[2], 0, &low, &high, 30000);
	if (e) {
		fprintf(stderr, "rdkafka_topic: %s on %s: %s\n", argv[2], argv[1], rd_kafka_err2str(e));
		ret = 1;
	} else {
		printf("{\"messages\":%lld}\n", (long long)(high - low));
		if (argc == 4 && delete_topic(rk, argv[2])) {
			fprintf(stderr, "rdkafka_topic: cannot delete %s on %s\n", argv[2], argv[1]);
			ret = 1;
		}
	}
	rd_kafka_destroy(rk);
	return ret;
}
