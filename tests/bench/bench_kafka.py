# SPDX-License-Identifier: LGPL-2.1-or-later
"""msgbroker beside a plain C producer, on the same Kafka, with the same librdkafka and options."""
import itertools
import json

from benchlib import HIGHER, LOWER, Failure, run as command

SUMMARY = "a pipeline into msgbroker beside a plain C librdkafka producer: messages/s, CPU per message (1 kB, all acknowledged)"
RUNS = 5

COUNT = 800_000
SIZE = 1000
# What msgbroker sets by itself; the rival gets the same.
OPTIONS = ["enable.idempotence=true", "acks=all", "message.timeout.ms=0", "linger.ms=5", "batch.size=262144"]
# A run leaves 0.8 GB; each topic is deleted when it has been counted, and its files soon after.
PROPERTIES = "log.segment.delete.delay.ms=1000\nlog.segment.bytes=268435456\n"


def run(b):
    b.build()
    gstbench = b.compile_gst("gstbench.c")
    producer = b.compile_rdkafka("rdkafka_producer.c")
    topic_tool = b.compile_rdkafka("rdkafka_topic.c")
    count = b.scaled(COUNT)
    numbers = itertools.count(1)
    source = f"fakesrc num-buffers={count} sizetype=fixed sizemax={SIZE} filltype=zero ! application/json"

    with b.kafka(PROPERTIES, "--optimise") as server:
        def arrived(topic):
            """Every message stands in the log, and the one that warmed up."""
            n = json.loads(command([topic_tool, server, topic, "delete"]))["messages"]
            if n != count + 1:
                raise Failure(f"{topic} holds {n} messages, not {count + 1}")

        def ours():
            topic = f"ours-{next(numbers)}"
            # A server that is held up by the machine for a second must not become a dropped message.
            r = b.play(gstbench, f"{source} ! msgbroker name=broker proto-lib=kafka conn-str={server.replace(':', ';')};{topic} "
                                 "block-timeout=60000 drain-timeout=60000", warm="broker")
            c = r["counters"]
            if c["acknowledged"] != count + 1 or c["failed"] or c["dropped"] or c["queued"]:
                raise Failure(f"not everything was acknowledged: {c}")
            arrived(topic)
            return {"rate": count / r["seconds"], "cpu": r["cpu_seconds"] * 1e6 / count}

        def rival():
            topic = f"rival-{next(numbers)}"
            r = json.loads(command([producer, server, topic, str(count), str(SIZE), *OPTIONS]))
            arrived(topic)
            return {"rate": r["messages"] / r["seconds"], "cpu": r["cpu_us_per_message"]}

        def source_alone():
            r = b.play(gstbench, f"{source} ! fakesink")
            return {"rate": count / r["seconds"], "cpu": r["cpu_seconds"] * 1e6 / count}

        r = b.in_turn("1 kB messages", ours=ours, rival=rival, source=source_alone)
    net = [max(0, a - s) for a, s in zip(r["ours"]["cpu"], r["source"]["cpu"])]
    b.figure("messages-per-s", "1/s", r["ours"]["rate"], r["rival"]["rate"], HIGHER)
    b.figure("cpu-us-per-message", "µs", r["ours"]["cpu"], r["rival"]["cpu"], LOWER)
    b.figure("cpu-us-per-message-net-of-source", "µs", net, r["rival"]["cpu"], LOWER)
