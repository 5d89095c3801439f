# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which release the element takes a process for: release.py LIBRARY [PLUGIN…]. Prints {"messages": N, "text": what the bus said}."""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import ewtest  # noqa: E402
import nvds  # noqa: E402
from ewtest import Gst, Pipeline  # noqa: E402


def main():
    library = nvds.Library(sys.argv[1])
    for plugin in sys.argv[2:]:
        Gst.Registry.get().add_plugin(Gst.Plugin.load_file(plugin))
    with Pipeline("appsrc name=src format=time caps=video/x-raw ! msgconv msg2p-newapi=1 frame-interval=1 payload-type=1 ! "
                  "application/json ! appsink name=out sync=false") as p:
        p.play()
        buffer = library.buffer()
        library.object(library.frame(library.batch(buffer, 0), 0, 0, 0, 0, 0, 0, 0, 0), 1, 0, 1, 0, 0, 1, 1, b"car")
        library.push(p["src"], buffer)
        sample = p["out"].emit("try-pull-sample", 5 * Gst.SECOND)
        p.pump(0.5, until=lambda: p.result.errors)
        print(json.dumps({"messages": 1 if sample else 0, "text": p.result.text()}))


if __name__ == "__main__":
    main()
