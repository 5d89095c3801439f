# SPDX-License-Identifier: LGPL-2.1-or-later
"""What spool-mode=always costs beside spool-mode=overflow, for each spool-sync, on Kafka and on Redis."""
import itertools
import shutil

from benchlib import HIGHER, LOWER, Failure

SUMMARY = "spool-mode=always with spool-sync none, interval, batch beside overflow: messages/s, CPU, bytes on disk (Kafka, Redis, 1 kB)"
RUNS = 3

COUNT = 300_000
SIZE = 1000
SYNCS = ("none", "interval", "batch")
PROPERTIES = "log.segment.delete.delay.ms=1000\nlog.segment.bytes=268435456\n"


def run(b):
    b.build()
    gstbench = b.compile_gst("gstbench.c")
    count = b.scaled(COUNT)
    numbers = itertools.count(1)
    source = f"fakesrc num-buffers={count} sizetype=fixed sizemax={SIZE} filltype=zero ! application/json"
    config = b.dir / "redis.cfg"
    config.write_text("[message-broker]\nstreamsize = 10000\n")

    def side(broker, spool):
        def once():
            folder = b.dir / f"spool-{next(numbers)}"
            r = b.play(gstbench, f"{source} ! msgbroker name=broker {broker} spool-dir={folder} {spool} topic=spool-{next(numbers)} "
                                 "block-timeout=60000 drain-timeout=60000", warm="broker")
            c = r["counters"]
            if c["acknowledged"] != count + 1 or c["failed"] or c["dropped"] or c["queued"] or c["spooled"] or c["spool-errors"]:
                raise Failure(f"not everything went its way: {c}")
            if "always" in spool and not r["disk_bytes"]:
                raise Failure(f"{b.dir} is on no disk; set EDGEWIRE_BENCH_DIR")
            shutil.rmtree(folder)
            return {"rate": count / r["seconds"], "cpu": r["cpu_seconds"] * 1e6 / count, "disk": r["disk_bytes"] / count}
        return once

    def compare(name, broker):
        sides = {"overflow": side(broker, "spool-mode=overflow")}
        sides |= {sync: side(broker, f"spool-mode=always spool-sync={sync}") for sync in SYNCS}
        r = b.in_turn(f"1 kB messages to {name}", **sides)
        for sync in SYNCS:
            b.figure(f"{name}-{sync}-messages-per-s", "1/s", r[sync]["rate"], r["overflow"]["rate"], HIGHER)
            b.figure(f"{name}-{sync}-cpu-us-per-message", "µs", r[sync]["cpu"], r["overflow"]["cpu"], LOWER)
        # Beside the payload: what a message has on disk more than that.
        b.figure(f"{name}-disk-bytes-per-message", "B", r["none"]["disk"], [SIZE], LOWER)
        b.figure(f"{name}-overflow-disk-bytes-per-message", "B", r["overflow"]["disk"], [SIZE], LOWER)

    with b.kafka(PROPERTIES) as server:
        compare("kafka", f"proto-lib=kafka conn-str={server.replace(':', ';')}")
    with b.server("redis") as server:
        compare("redis", f"proto-lib=redis conn-str={server.replace(':', ';')} config={config}")
