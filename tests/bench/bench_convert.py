# SPDX-License-Identifier: LGPL-2.1-or-later
"""What msgconv adds to a buffer, beside identity on the same buffers."""
import json
import os

from benchlib import LOWER, run as command

SUMMARY = ("msgconv (full and minimal JSON, protobuf; 0, 1, 10, 50, 200 objects) beside identity, ns per buffer, "
           "what an object costs, and allocations")
RUNS = 5

# Objects per buffer: buffers in a run of ours, about a second of work.
COUNTS = {0: 1_000_000, 1: 300_000, 10: 100_000, 50: 20_000, 200: 5_000}
SCHEMAS = {"full": 0, "minimal": 1, "protobuf": 2}


def run(b):
    b.build()
    gstbench = b.compile_gst("gstbench.c")

    def side(element, objects, count):
        def once():
            r = b.play(gstbench, f"roisrc count={count} objects={objects} ! {element} ! fakesink")
            return {"ns": r["seconds"] * 1e9 / count, "cpu-ns": r["cpu_seconds"] * 1e9 / count}
        return once

    for schema, kind in SCHEMAS.items():
        for objects, count in COUNTS.items():
            # identity is so cheap that it needs more buffers for the same precision.
            r = b.in_turn(f"{schema}, {objects} objects",
                          ours=side(f"msgconv payload-type={kind}", objects, b.scaled(count)),
                          rival=side("identity", objects, b.scaled(max(count, 500_000))))
            if objects == 50:
                added = [(a - c) / objects / 1000 for a, c in zip(r["ours"]["cpu-ns"], r["rival"]["cpu-ns"])]
                b.figure(f"{schema}-us-per-object", "us", added, [c / objects / 1000 for c in r["rival"]["cpu-ns"]], LOWER)
            if objects == 0 and schema == "full":
                b.figure("empty-frame-ns", "ns", r["ours"]["cpu-ns"], r["rival"]["cpu-ns"], LOWER)
            for key in ("ns", "cpu-ns"):
                b.figure(f"convert-{schema}-{objects}-{key}-per-buffer", "ns", r["ours"][key], r["rival"][key], LOWER)
    allocations(b)


def allocations(b):
    """They are counted by a program of their own, and are no matter of chance: once is enough."""
    program = b.go_build("allocs")

    def count(element, objects):
        # GLib's slices would hide most of them.
        return json.loads(command([program, objects, element], env={**os.environ, "G_SLICE": "always-malloc"}))

    for objects in filter(None, COUNTS):
        rival = count("identity", objects)
        for schema, kind in SCHEMAS.items():
            ours = count(f"msgconv payload-type={kind}", objects)
            for key, name in (("go", "go-mallocs"), ("c", "c-mallocs")):
                b.figure(f"convert-{schema}-{objects}-{name}-per-buffer", "1", [ours[key]], [rival[key]], LOWER, zero=True)
