# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a spool costs beside none: spool-mode=overflow, and always with each spool-sync, on Kafka and on Redis."""
import itertools
import shutil

from benchlib import HIGHER, LOWER, Failure

SUMMARY = "spool-mode overflow, and always with spool-sync none, interval, batch, beside no spool: messages/s, CPU, disk (Kafka, Redis, 1 kB)"
RUNS = 3

COUNT = 300_000
SIZE = 1000
SPOOLS = {"overflow": "spool-mode=overflow"} | {f"always-{sync}": f"spool-mode=always spool-sync={sync}" for sync in ("none", "interval", "batch")}
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
            where = f"spool-dir={folder} {spool}" if spool else ""
            r = b.play(gstbench, f"{source} ! msgbroker name=broker {broker} {where} topic=spool-{next(numbers)} "
                                 "block-timeout=60000 drain-timeout=60000", warm="broker")
            c = r["counters"]
            if c["acknowledged"] != count + 1 or c["failed"] or c["dropped"] or c["queued"] or c["spooled"] or c["spool-errors"]:
                raise Failure(f"not everything went its way: {c}")
            if "always" in spool and not r["disk_bytes"]:
                raise Failure(f"{b.dir} is on no disk; set EDGEWIRE_BENCH_DIR")
            shutil.rmtree(folder, ignore_errors=True)
            return {"rate": count / r["seconds"], "cpu": r["cpu_seconds"] * 1e6 / count, "disk": r["disk_bytes"] / count}
        return once

    def compare(name, broker):
        r = b.in_turn(f"1 kB messages to {name}", memory=side(broker, ""), **{n: side(broker, spool) for n, spool in SPOOLS.items()})
        for spool in SPOOLS:
            b.figure(f"{name}-{spool}-messages-per-s", "1/s", r[spool]["rate"], r["memory"]["rate"], HIGHER)
            b.figure(f"{name}-{spool}-cpu-us-per-message", "µs", r[spool]["cpu"], r["memory"]["cpu"], LOWER)
            # Beside the payload: what a message has on disk more, or less, than that.
            b.figure(f"{name}-{spool}-disk-bytes-per-message", "B", r[spool]["disk"], [SIZE], LOWER)

    with b.kafka(PROPERTIES) as server:
        compare("kafka", f"proto-lib=kafka conn-str={server.replace(':', ';')}")
    with b.server("redis") as server:
        compare("redis", f"proto-lib=redis conn-str={server.replace(':', ';')} config={config}")
