# SPDX-License-Identifier: LGPL-2.1-or-later
"""msgbroker beside a loop over Eclipse's client for Go and beside mosquitto_pub, on the same Mosquitto."""
import contextlib
import json
import resource
import subprocess
import time

from benchlib import HIGHER, LOWER, ROOT, Failure, run as command, say

SUMMARY = "a pipeline into msgbroker beside a paho loop and mosquitto_pub: messages/s, CPU per message (1 kB, QoS 1, all acknowledged)"
RUNS = 5

COUNT = 200_000
SIZE = 1000


@contextlib.contextmanager
def mosquitto(b):
    script, folder = ROOT / "scripts" / "mosquitto", b.dir / "mosquitto"
    say("starting Mosquitto")
    try:
        yield command([script, "start", folder, "--config-line", "sys_interval 1"]).split("address=")[1].split()[0]
    finally:
        subprocess.run([script, "stop", folder], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)


def run(b):
    b.build()
    gstbench = b.compile_gst("gstbench.c")
    paho = b.dir / "pahobench"
    command(["go", "build", "-o", paho, "./tests/bench/pahobench"], cwd=ROOT)
    count = b.scaled(COUNT)
    lines = b.dir / "lines"
    lines.write_text(("x" * SIZE + "\n") * count)
    source = f"fakesrc num-buffers={count} sizetype=fixed sizemax={SIZE} filltype=zero ! application/json"
    old = b.dir / "old.cfg"
    old.write_text("[message-broker]\nprotocol-version=3.1.1\n")

    with mosquitto(b) as server:
        host, port = server.rsplit(":", 1)

        def taken():
            """How many messages the server has taken since it started; it tells once a second."""
            last = None
            while True:
                n = int(command(["mosquitto_sub", "-h", host, "-p", port, "-t", "$SYS/broker/publish/messages/received", "-C", "1", "-W", "20"]))
                if n == last:
                    return n
                last = n
                time.sleep(1.2)

        def checked(side, extra):
            """Every message must have come to the server, and the one that warmed up."""
            def go():
                before = taken()
                figures = side()
                n = taken() - before
                if n != count + extra:
                    raise Failure(f"the server has taken {n} messages, not {count + extra}")
                return figures
            return go

        def ours(config):
            def go():
                r = b.play(gstbench, f"{source} ! msgbroker name=broker proto-lib=mqtt conn-str={host};{port};bench {config} "
                                     "block-timeout=60000 drain-timeout=60000", warm="broker")
                c = r["counters"]
                if c["acknowledged"] != count + 1 or c["failed"] or c["dropped"] or c["queued"]:
                    raise Failure(f"not everything was acknowledged: {c}")
                return {"rate": count / r["seconds"], "cpu": r["cpu_seconds"] * 1e6 / count}
            return go

        def paho_loop():
            r = json.loads(command([paho, server, "bench", count, SIZE]))
            return {"rate": r["messages"] / r["seconds"], "cpu": r["cpu_us_per_message"]}

        def mosquitto_pub():
            began, used = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
            with lines.open() as f:
                command(["mosquitto_pub", "-h", host, "-p", port, "-t", "bench", "-q", "1", "-l"], stdin=f)
            seconds, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
            return {"rate": count / seconds, "cpu": cpu * 1e6 / count}

        r = b.in_turn("1 kB messages, QoS 1", ours=checked(ours(""), 1), old=checked(ours(f"config={old}"), 1),
                      paho=checked(paho_loop, 1), pub=checked(mosquitto_pub, 0))
    for name, side, rival in (("messages-per-s", "ours", "paho"), ("3.1.1-messages-per-s", "old", "paho"),
                              ("beside-mosquitto_pub-messages-per-s", "ours", "pub")):
        b.figure(name, "1/s", r[side]["rate"], r[rival]["rate"], HIGHER)
        b.figure(name.replace("messages-per-s", "cpu-us-per-message"), "µs", r[side]["cpu"], r[rival]["cpu"], LOWER)
