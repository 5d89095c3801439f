# SPDX-License-Identifier: LGPL-2.1-or-later
"""Making connections with dtlssrtpenc and dtlssrtpdec, beside the system's dtls plugin.

Both ends are in one process (dtlsbench.c), with the certificates that each plugin makes by itself; no network is
between them, but a probe that loses datagrams by a seeded generator, the same seeds for both sides.
rate-per-s and cpu-ms: connections one after the other, the four bins built, connected and dropped each time, both
ends together; the first five, where a process makes what it has once, are not counted.
lossN-…: time from building the bins until both ends say connected, N % of the datagrams lost each way; one begins
every 10 ms. A connection that is not made within 60 s counts as 60 s; one of ours is an error.
conn200-…: a process that holds 200 connections, both ends (400 endpoints), after a few packets through each.
"""
from benchlib import HIGHER, LOWER, Failure, say
from dtlslib import Sides

SUMMARY = "DTLS handshakes beside the system's plugin: rate, CPU, time under loss; threads and memory of 200 connections"
RUNS = 3


def run(b):
    sides = Sides(b)
    r = sides.both("handshakes", "handshake", b.scaled(500))
    b.figure("rate-per-s", "/s", r["ours"]["rate"], r["rival"]["rate"], HIGHER)
    b.figure("cpu-ms", "ms", r["ours"]["cpu_ms"], r["rival"]["cpu_ms"], LOWER)
    for percent in (0, 5, 20):
        r = sides.both(f"{percent} % loss", "loss", percent, b.scaled(200), lambda number: number)
        if any(r["ours"]["failed"]) and sides.folder != "system":
            raise Failure(f"{percent} % loss: connections of ours were not made: {r['ours']['failed']}")
        if any(r["rival"]["failed"]):
            say(f"{percent} % loss: connections of the rival that were not made within 60 s, by run: {r['rival']['failed']}")
        for figure in ("mean", "p99"):
            b.figure(f"loss{percent}-{figure}-ms", "ms", r["ours"][f"{figure}_ms"], r["rival"][f"{figure}_ms"], LOWER)
    r = sides.both("200 connections", "connections", 200, b.scaled(100_000), sides.cm80("ours"),
                   rival_args=("connections", 200, b.scaled(100_000), sides.cm80("rival")))
    b.figure("conn200-threads", "", r["ours"]["threads"], r["rival"]["threads"], LOWER)
    b.figure("conn200-rss-mb", "MB", r["ours"]["rss_mb"], r["rival"]["rss_mb"], LOWER)
