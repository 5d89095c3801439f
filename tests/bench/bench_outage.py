# SPDX-License-Identifier: LGPL-2.1-or-later
"""Queue, spool and delivery over an outage, as a picture.

msgbroker gets 5000 messages of 1 kB a second, with a memory queue of 20000 and a spool; a real Kafka is
stopped (SIGSTOP) for 15 s and goes on. Every 50 ms the element's stats are read. It draws docs/outage.svg and
writes what it drew from beside it, docs/outage.csv; with --quick files of these names in the folder for
temporary files.
"""
import json
import os
import pathlib
import signal
import subprocess
import time

from benchlib import Failure, say
from picture import ceiling, document, draw

SUMMARY = "queue, spool and delivery rate while Kafka is stopped for 15 s; draws docs/outage.svg"
RUNS = 1

RATE, SIZE, QUEUE = 5000, 1000, 20000
BEFORE, AFTER = 5, 15  # seconds of load around the outage
COLOURS = {"all": "#8a8a8a", "memory": "#1b6ca8", "spooled": "#b0562f", "accepted": "#8a8a8a", "acknowledged": "#5b9a3c"}


def run(b):
    outage = 4 if b.quick else 15
    b.build()
    program = b.compile_gst("../chaos/load.c")
    with b.kafka() as address:
        rows, final, stopped, resumed = measure(b, program, address, outage)
    lost = final["accepted"] - final["acknowledged"]
    if lost or final["dropped"] or final["failed"]:
        raise Failure(f"not everything was delivered: {final}")
    say(f"{final['produced']} messages, all acknowledged; push p99 {final['p99_us']} µs, longest {final['max_us']} µs")
    names = ("seconds", "produced", "queued", "in-flight", "spooled", "spooled-bytes", "acknowledged")
    lines = [",".join(names)] + [",".join(f"{r[n]:.2f}" if n == "seconds" else str(r[n]) for n in names) for r in rows]
    draw("outage.csv", "\n".join(lines) + "\n", true=not b.quick)
    draw("outage.svg", picture(rows, stopped, resumed), true=not b.quick)


def measure(b, program, address, outage):
    spool = b.dir / "spool"
    description = (f"msgbroker name=x proto-lib=kafka conn-str={address.replace(':', ';')};outage spool-dir={spool} max-queue-messages={QUEUE} "
                   "drain-timeout=60000")
    rows, stopped, resumed = [], None, None
    pid = int(pathlib.Path(b.dir, "kafka", "pid").read_text())
    load = subprocess.Popen([str(program), str(RATE), str(BEFORE + outage + AFTER), str(SIZE), description], env=b.gst_env(),
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        began = None
        for line in load.stdout:
            r = json.loads(line)
            if r.get("final"):
                load.wait(30)
                return rows, r, stopped, resumed
            if r["acknowledged"] == 0 and began is None:
                continue  # the first connection
            began = began or time.monotonic()
            r["seconds"] = time.monotonic() - began
            rows.append(r)
            if stopped is None and r["seconds"] > BEFORE:
                os.kill(pid, signal.SIGSTOP)
                stopped = r["seconds"]
                say(f"Kafka is stopped for {outage} s")
            if stopped is not None and resumed is None and r["seconds"] > stopped + outage:
                os.kill(pid, signal.SIGCONT)
                resumed = r["seconds"]
        raise Failure("the load ended too early")
    finally:
        os.kill(pid, signal.SIGCONT)
        if load.poll() is None:
            load.kill()
        load.wait()
        load.stdout.close()


def rates(rows, key, over=0.5):
    """Messages per second, as the mean of the last `over` seconds."""
    out, first = [], 0
    for r in rows:
        while rows[first]["seconds"] < r["seconds"] - over:
            first += 1
        passed = r["seconds"] - rows[first]["seconds"]
        out.append((r["seconds"], (r[key] - rows[first][key]) / passed if passed > over / 2 else None))
    return [(t, v) for t, v in out if v is not None]


def picture(rows, stopped, resumed):
    width, height, left, top, gap = 760, 130, 80, 30, 46
    end = rows[-1]["seconds"]
    # What is in flight may be on disk as well, until it is acknowledged.
    panels = (("messages not acknowledged: all, and in memory alone",
               {"all": [(r["seconds"], r["queued"] + r["in-flight"]) for r in rows],
                "memory": [(r["seconds"], max(r["queued"] + r["in-flight"] - r["spooled"], 0)) for r in rows]}),
              ("spool on disk (MB)", {"spooled": [(r["seconds"], r["spooled-bytes"] / 1e6) for r in rows]}),
              ("messages per second: accepted, acknowledged",
               {"accepted": rates(rows, "produced"), "acknowledged": rates(rows, "acknowledged")}))
    out = []

    def x(t):
        return left + t / end * width
    for i, (title, series) in enumerate(panels):
        y0 = top + i * (height + gap) + height
        high = ceiling(max(v for s in series.values() for _, v in s) or 1)
        out += [f'<rect x="{x(stopped):.1f}" y="{y0 - height}" width="{x(resumed) - x(stopped):.1f}" height="{height}" fill="#f3e3da"/>',
                f'<text x="{left}" y="{y0 - height - 8}" font-weight="bold">{title}</text>']
        if i == 0:
            out.append(f'<text x="{x(stopped) + 6:.1f}" y="{y0 - height + 14}" font-size="11" fill="#7a3d20">Kafka is stopped</text>')
        for part in range(5):
            y = y0 - height * part / 4
            out += [f'<line x1="{left}" y1="{y:.1f}" x2="{left + width}" y2="{y:.1f}" stroke="#ddd"/>',
                    f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{high * part / 4:g}</text>']
        for key, points in series.items():
            out.append(f'<polyline fill="none" stroke="{COLOURS[key]}" stroke-width="1.8" points="' +
                       " ".join(f"{x(t):.1f},{y0 - v / high * height:.1f}" for t, v in points) + '"/>')
        for t in range(0, int(end) + 1, 5):
            out.append(f'<text x="{x(t):.1f}" y="{y0 + 16}" text-anchor="middle" font-size="11">{t} s</text>')
    return document(left + width + 30, top + len(panels) * (height + gap) + 10, out)
