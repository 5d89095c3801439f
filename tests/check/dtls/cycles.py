# SPDX-License-Identifier: LGPL-2.1-or-later
"""Makes, connects and drops as many connections as its argument says, under GStreamer's leaks tracer.

Both ends are in one pipeline, each encoder linked with the other end's decoder. Prints what of
GStreamer's is alive afterwards, and exits with 1 if a connection fails or threads pile up."""
import gc
import os
import pathlib
import re
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

LOG = tempfile.mktemp(prefix="edgewire-leaks-")
os.environ.update(GST_TRACERS="leaks", GST_DEBUG="GST_TRACER:7", GST_DEBUG_FILE=LOG, GST_DEBUG_NO_COLOR="1")

import dtls  # noqa: E402,F401
from dtls import Gst  # noqa: E402


WARM = 3  # what a first connection leaves for good: classes, pools, a thread or two


def cycle(number):
    pipeline = Gst.Pipeline.new(None)
    made = {}
    for end in "ab":
        for kind in ("dec", "enc"):
            e = made[kind + end] = Gst.ElementFactory.make("dtlssrtp" + kind, kind + end)
            e.set_property("connection-id", f"cycle-{number}-{end}")
            pipeline.add(e)
    made["enca"].set_property("is-client", True)
    made["enca"].link_pads("src", made["decb"], "sink")
    made["encb"].link_pads("src", made["deca"], "sink")
    connected = {end: threading.Event() for end in "ab"}
    handlers = []
    for end, event in connected.items():
        def changed(e, _spec, event=event):
            if e.get_property("connection-state").value_nick == "connected":
                event.set()
        handlers.append((made["enc" + end], made["enc" + end].connect("notify::connection-state", changed)))
    made["enca"].set_locked_state(True)  # the client last: the C plugin needs it
    pipeline.set_state(Gst.State.PLAYING)
    made["enca"].set_locked_state(False)
    made["enca"].sync_state_with_parent()
    ok = all(event.wait(20) for event in connected.values())
    pipeline.set_state(Gst.State.NULL)
    for e, handler in handlers:
        e.disconnect(handler)
    return ok


def alive():
    """What the leaks tracer still counts, by type. It tells in the debug log: objects in its answer would be alive by it."""
    tracer = next(t for t in Gst.tracing_get_active_tracers() if t.__gtype__.name == "GstLeaksTracer")
    before = os.path.getsize(LOG)
    tracer.emit("log-live-objects")
    objects = {}
    with open(LOG) as f:
        f.seek(before)
        for name in re.findall(r"object-alive, type-name=\(string\)([A-Za-z0-9]+)", f.read()):
            objects[name] = objects.get(name, 0) + 1
    return objects


def main():
    count = int(sys.argv[1])
    if not all(cycle(n) for n in range(WARM)):
        sys.exit("a connection was not made")
    gc.collect()
    threads, before = len(os.listdir("/proc/self/task")), alive()
    for n in range(WARM, WARM + count):
        if not cycle(n):
            sys.exit(f"connection {n} was not made")
    deadline = time.monotonic() + 5  # timers that are still to fire hold references in the C plugin
    while True:
        gc.collect()
        after = alive()
        more = {k: n - before.get(k, 0) for k, n in after.items() if n > before.get(k, 0)}
        if not more or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    now = len(os.listdir("/proc/self/task"))
    print(f"{count} connections; threads {threads} before and {now} after; more alive than before: {more}; alive: {after}")
    if now > threads + 6:
        sys.exit("threads pile up")
    if more or dtls.OURS and any("dtls" in k.lower() for k in after):
        sys.exit("objects are alive that should not be")
    print("nothing alive")


if __name__ == "__main__":
    try:
        main()
    finally:
        os.unlink(LOG)
