# SPDX-License-Identifier: LGPL-2.1-or-later
"""How the cost of DTLS-SRTP connections grows with their number, beside the system's dtls plugin, as a picture.

1, 10, 100 and 1000 connections, both ends in one process (dtlsbench.c): CPU per packet of 1200 bytes
(AES128_CM_HMAC_SHA1_80 on both sides) with the packets spread over all connections, memory per connection, threads. It draws docs/dtls-growth.svg; with --quick a file of that
name in the folder for temporary files instead.
"""
import math
import statistics

from benchlib import LOWER
from dtlslib import Sides
from picture import ceiling, document, draw

SUMMARY = "1 to 1000 DTLS-SRTP connections beside the system's plugin: CPU, memory, threads; draws docs/dtls-growth.svg"
RUNS = 3

COUNTS = (1, 10, 100, 1000)
PANELS = (("net_ns", "CPU per packet (ns)"), ("rss_kb", "memory per connection (kB)"), ("threads", "threads of the process"))
COLOURS = {"ours": "#1b6ca8", "rival": "#b0562f"}
NAMES = {"ours": "gst-edgewire", "rival": "GStreamer's plugin"}


def run(b):
    sides = Sides(b)
    seen = {side: {key: {} for key, _ in PANELS} for side in NAMES}
    for count in COUNTS:
        # At least 100 packets through each, so that what a first packet costs does not show.
        # GStreamer 1.22's plugin now and then corrupts the heap while 1000 connections are made.
        packets = max(b.scaled(200_000), b.scaled(1000) * count // 10)
        r = sides.both(f"{count} connections", "connections", count, packets, sides.cm80("ours"),
                       rival_args=("connections", count, packets, sides.cm80("rival")), rival_tries=4)
        for side in NAMES:
            r[side]["rss_kb"] = [(rss - before) * 1024 / count for rss, before in zip(r[side]["rss_mb"], r[side]["rss_before_mb"])]
            for key, _ in PANELS:
                seen[side][key][count] = statistics.median(r[side][key])
        b.figure(f"conn{count}-cpu-ns", "ns", r["ours"]["net_ns"], r["rival"]["net_ns"], LOWER)
        b.figure(f"conn{count}-rss-kb-each", "kB", r["ours"]["rss_kb"], r["rival"]["rss_kb"], LOWER)
        b.figure(f"conn{count}-threads", "", r["ours"]["threads"], r["rival"]["threads"], LOWER)
    draw("dtls-growth.svg", picture(seen), true=not b.quick and sides.folder != "system")


def picture(seen):
    width, height, left, top = 280, 190, 62, 60
    out = []
    for i, (side, name) in enumerate(NAMES.items()):
        x = left + i * 150
        out += [f'<line x1="{x}" y1="18" x2="{x + 24}" y2="18" stroke="{COLOURS[side]}" stroke-width="2.5"/>',
                f'<text x="{x + 30}" y="22">{name}</text>']
    for p, (key, title) in enumerate(PANELS):
        x0, y0 = left + p * (width + left), top + height
        # Of one connection alone the process itself is most of the memory: logarithmic shows both ends.
        values = [v for side in NAMES for v in seen[side][key].values()]
        low, high = 10 ** math.floor(math.log10(max(min(values), 0.1))), ceiling(max(values))

        def at(count, value):
            y = math.log(max(value, low) / low) / math.log(high / low)
            return x0 + math.log10(count) / 3 * width, y0 - y * height
        out.append(f'<text x="{x0}" y="{top - 14}" font-weight="bold">{title}</text>')
        step = low
        while step <= high:
            y = at(1, step)[1]
            out += [f'<line x1="{x0}" y1="{y:.1f}" x2="{x0 + width}" y2="{y:.1f}" stroke="#ddd"/>',
                    f'<text x="{x0 - 6}" y="{y + 4:.1f}" text-anchor="end">{step:g}</text>']
            step *= 10
        for count in COUNTS:
            out.append(f'<text x="{at(count, low)[0]:.1f}" y="{y0 + 18}" text-anchor="middle">{count}</text>')
        out.append(f'<text x="{x0 + width / 2}" y="{y0 + 38}" text-anchor="middle">connections</text>')
        for side in NAMES:
            points = [at(count, value) for count, value in seen[side][key].items()]
            out.append(f'<polyline fill="none" stroke="{COLOURS[side]}" stroke-width="2.5" points="' +
                       " ".join(f"{x:.1f},{y:.1f}" for x, y in points) + '"/>')
            other = seen["rival" if side == "ours" else "ours"][key]
            for (x, y), (count, value) in zip(points, seen[side][key].items()):
                beside = y - 8 if value >= other[count] else y + 17
                out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{COLOURS[side]}"/>',
                        f'<text x="{x:.1f}" y="{beside:.1f}" text-anchor="middle" font-size="10" fill="{COLOURS[side]}">{value:.0f}</text>']
    return document(3 * (width + left) + 30, top + height + 62, out)
