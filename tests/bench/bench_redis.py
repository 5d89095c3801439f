# SPDX-License-Identifier: LGPL-2.1-or-later
"""msgbroker beside redis-benchmark's XADD in a pipeline, on the same Redis."""
import itertools
import re
import resource

from benchlib import HIGHER, LOWER, Failure, run as command

SUMMARY = "a pipeline into msgbroker beside redis-benchmark's pipelined XADD: messages/s, CPU per message (1 kB, all acknowledged)"
RUNS = 5

COUNT = 1_000_000
SIZE = 1000
KEEP = 10_000  # both streams are as long: memory must not decide


def run(b):
    b.build()
    gstbench = b.compile_gst("gstbench.c")
    count = b.scaled(COUNT)
    numbers = itertools.count(1)
    source = f"fakesrc num-buffers={count} sizetype=fixed sizemax={SIZE} filltype=zero ! application/json"
    config = b.dir / "redis.cfg"

    with b.server("redis") as address:
        host, port = address.split(":")

        def cli(*words):
            return command(["redis-cli", "-h", host, "-p", port, *words]).strip()

        def added(stream, expected):
            """Every message was added, also those that MAXLEN has cut since."""
            info = cli("XINFO", "STREAM", stream).split("\n")
            n = int(info[info.index("entries-added") + 1])
            cli("DEL", stream)
            if n != expected:
                raise Failure(f"{n} messages were added to {stream}, not {expected}")

        def ours():
            config.write_text(f"[message-broker]\nstreamsize = {KEEP}\n")
            stream = f"ours-{next(numbers)}"
            r = b.play(gstbench, f"{source} ! msgbroker name=broker proto-lib=redis conn-str={host};{port};{stream} config={config} "
                                 f"block-timeout=60000 drain-timeout=60000", warm="broker")
            c = r["counters"]
            if c["acknowledged"] != count + 1 or c["failed"] or c["dropped"] or c["queued"]:
                raise Failure(f"not everything was acknowledged: {c}")
            added(stream, count + 1)
            return {"rate": count / r["seconds"], "cpu": r["cpu_seconds"] * 1e6 / count}

        def rival():
            stream = f"rival-{next(numbers)}"
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            out = command(["redis-benchmark", "-h", host, "-p", port, "-n", str(count), "-c", "1", "-P", "500", "-q", "XADD", stream,
                           "MAXLEN", "~", str(KEEP), "*", "metadata", "x" * SIZE])
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            added(stream, count)
            rate = float(re.findall(r"([0-9.]+) requests per second", out)[-1])
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            return {"rate": rate, "cpu": cpu * 1e6 / count}

        def source_alone():
            r = b.play(gstbench, f"{source} ! fakesink")
            return {"rate": count / r["seconds"], "cpu": r["cpu_seconds"] * 1e6 / count}

        r = b.in_turn("1 kB messages", ours=ours, rival=rival, source=source_alone)
    net = [max(0, a - s) for a, s in zip(r["ours"]["cpu"], r["source"]["cpu"])]
    b.figure("messages-per-s", "1/s", r["ours"]["rate"], r["rival"]["rate"], HIGHER)
    b.figure("cpu-us-per-message", "µs", r["ours"]["cpu"], r["rival"]["cpu"], LOWER)
    b.figure("cpu-us-per-message-net-of-source", "µs", net, r["rival"]["cpu"], LOWER)
