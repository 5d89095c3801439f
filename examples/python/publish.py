#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Publish detections of one's own from Python.

    examples/python/publish.py "localhost;9092;detections" [FRAMES]

The frames come from an appsrc, as they would from a camera library or a model
that runs in Python. Each carries its detections as regions of interest; msgconv
makes the messages and msgbroker publishes them.
"""
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
gi.require_version("GstVideo", "1.0")
from gi.repository import Gst, GstApp, GstVideo  # noqa: E402,F401

WIDTH, HEIGHT, FPS = 320, 240, 25


def detect(number):
    """Stands for a detector: (label, confidence, tracking id, x, y, width, height)."""
    yield "person", 0.9, 1, 10 + number % 200, 20, 40, 80
    if number % 2:
        yield "bicycle", 0.6, 2, 100, 120, 60, 50


def frame(number):
    buffer = Gst.Buffer.new_allocate(None, WIDTH * HEIGHT * 3, None)
    buffer.pts = number * Gst.SECOND // FPS
    buffer.duration = Gst.SECOND // FPS
    for label, confidence, track, x, y, w, h in detect(number):
        roi = GstVideo.buffer_add_video_region_of_interest_meta(buffer, label, x, y, w, h)
        param = Gst.Structure.new_empty("detection")
        param.set_value("confidence", confidence)
        param.set_value("id", track)
        roi.add_param(param)
    return buffer


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    frames = int(sys.argv[2]) if len(sys.argv) == 3 else 100
    Gst.init(None)
    pipeline = Gst.parse_launch(
        f"appsrc name=src format=time caps=video/x-raw,format=RGB,width={WIDTH},height={HEIGHT},framerate={FPS}/1 ! "
        "msgconv payload-type=1 sensor-id=python-example ! msgbroker name=broker proto-lib=kafka"
    )
    broker = pipeline.get_by_name("broker")
    broker.set_property("conn-str", sys.argv[1])
    source = pipeline.get_by_name("src")
    pipeline.set_state(Gst.State.PLAYING)
    for number in range(frames):
        source.emit("push-buffer", frame(number))
    source.emit("end-of-stream")

    bus = pipeline.get_bus()
    failed = None
    while True:
        message = bus.timed_pop_filtered(
            30 * Gst.SECOND, Gst.MessageType.EOS | Gst.MessageType.ERROR | Gst.MessageType.WARNING
        )
        if message is None:
            failed = "no end of the stream within 30 seconds"
            break
        if message.type == Gst.MessageType.EOS:
            break
        text = (message.parse_error() if message.type == Gst.MessageType.ERROR else message.parse_warning())[0].message
        print(text, file=sys.stderr)
        if message.type == Gst.MessageType.ERROR:
            failed = text
            break
    stats = broker.get_property("stats")
    print(f"{stats.get_value('sent')} sent, {stats.get_value('acknowledged')} acknowledged by {stats.get_value('host')}")
    pipeline.set_state(Gst.State.NULL)
    sys.exit(f"publish: {failed}" if failed else 0)


if __name__ == "__main__":
    main()
