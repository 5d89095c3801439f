# SPDX-License-Identifier: LGPL-2.1-or-later
"""A data map in a process with some of DeepStream's libraries: absent.py PAYLOAD-TYPE|json LIBRARY…, the last one that of ds3d.

Prints {"payloads": how many came (null: not even the buffer), "errors": …, "warnings": …}."""
import json
import pathlib
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import ewtest  # noqa: E402, F401
import nvds  # noqa: E402
from ewtest import Gst, Pipeline  # noqa: E402


def main():
    kind, *others, last = sys.argv[1:]
    library = nvds.Library(others[0]) if others else None
    ds3d = nvds.Ds3d(last)
    box = struct.pack("=7fif4f128s", *range(7), 2, 0.5, 1, 1, 0, 1, b"truck")
    m = ds3d.map()
    ds3d.put(m, "DS3D::Lidar3DBboxRawData", box, (1, 180))
    ds3d.put(m, "DS3D::LidarXYZI", struct.pack("=4f", *range(4)), (1, 4), memory=1)
    tail = "application/json ! " if kind == "json" else ""
    with Pipeline(f"appsrc name=src format=time caps=ds3d/datamap ! msgconv payload-type={1 if kind == 'json' else kind} ! {tail}"
                  "appsink name=out sync=false") as p:
        p.play()
        nvds.Library.push(None, p["src"], ds3d.buffer(m))
        sample = p["out"].emit("try-pull-sample", 3 * Gst.SECOND)
        p.pump(0.5, until=lambda: p.result.errors)
        payloads = None
        if sample:
            payloads = 1 if kind == "json" else len(library.payloads(sample.get_buffer(), -1))
        print(json.dumps({"payloads": payloads, "errors": "\n".join(map(str, p.result.errors)), "warnings": "\n".join(map(str, p.result.warnings))}))


if __name__ == "__main__":
    main()
