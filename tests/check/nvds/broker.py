# SPDX-License-Identifier: LGPL-2.1-or-later
"""What msgbroker publishes of DeepStream's batches: broker.py HOST:PORT. Prints one line of JSON."""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import ewtest  # noqa: E402
import nvds  # noqa: E402
from ewtest import Pipeline  # noqa: E402

LIBRARY = nvds.Library(nvds.compile_library("9.1"))


def publish(address, topic, fill, properties="", before="", caps="video/x-raw", audio=False):
    host, port = address.rsplit(":", 1)
    with Pipeline(f"appsrc name=src format=time caps={caps} ! {before} msgbroker name=x proto-lib=kafka {properties} "
                  f'conn-str="{host};{port};{topic}"') as p:
        p.play()
        buffer = LIBRARY.buffer()
        fill(LIBRARY.batch(buffer, int(audio)))
        LIBRARY.push(p["src"], buffer)
        p["src"].emit("end-of-stream")
        p.pump(20)
        return p.result.text()


def foreign(batch):
    """Payloads as another converter attaches them: two frames, and the batch itself (lidar)."""
    for i in range(2):
        frame = LIBRARY.frame(batch, i, 0, 0, 0, 0, 0, 0, 0)
        LIBRARY.add_payload(frame, f"frame-{i}".encode(), 7, i)
    LIBRARY.add_payload(batch, b"batch", 5, 0)
    LIBRARY.user(batch, 8, None)  # a payload that is NULL


def objects(batch):
    frame = LIBRARY.frame(batch, 0, 0, 0, 1735689600123000000, 0, 0, 0, 0)
    for number in (8, 7):
        LIBRARY.object(frame, number, 0, 1, 0, 0, 1, 1, b"car")


def main():
    address = sys.argv[1]
    texts = [
        publish(address, "all", foreign),
        publish(address, "selected", foreign, "comp-id=1"),
        publish(address, "audio", lambda b: LIBRARY.add_payload(LIBRARY.audio_frame(b, 0, 0, 0, 0, 0, b""), b"sound", 5, 0),
                caps="audio/x-raw", audio=True),
        publish(address, "ours", objects, before="msgconv msg2p-newapi=1 frame-interval=1 sensor-id=cam-1 !"),
    ]

    def got(topic, count):
        return ewtest.consume(topic, count, kafka=address)

    ours = got("ours", 2)
    print(json.dumps({
        "text": "".join(texts), "all": [m["value"] for m in got("all", 3)], "selected": [m["value"] for m in got("selected", 1)],
        "audio": [m["value"] for m in got("audio", 1)],
        "ours": [(m["value"] if isinstance(m["value"], dict) else json.loads(m["value"]))["object"]["id"] for m in ours],
        "key": ours[0]["key"]}))


if __name__ == "__main__":
    main()
