# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the element checks share: pipelines with their messages, brokers, consumers.

scripts/test sets EDGEWIRE_PLUGINS (folder of installed plugin files), EDGEWIRE_CLI
(the edgewire command) and, where a broker runs, EDGEWIRE_KAFKA (HOST:PORT).
"""
import contextlib
import json
import os
import pathlib
import random
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PLUGINS = os.environ.get("EDGEWIRE_PLUGINS", str(ROOT / "build" / "plugins"))
CLI = os.environ.get("EDGEWIRE_CLI", str(ROOT / "build" / "cmd" / "edgewire"))
KAFKA = os.environ.get("EDGEWIRE_KAFKA", "")

# A failed load is remembered in the registry: each test process has its own.
_registry = tempfile.TemporaryDirectory(prefix="edgewire-registry-")
os.environ["GST_REGISTRY"] = os.path.join(_registry.name, "registry.bin")
os.environ["GST_PLUGIN_PATH"] = PLUGINS

import gi  # noqa: E402

gi.require_version("Gst", "1.0")
gi.require_version("GstVideo", "1.0")
gi.require_version("GstApp", "1.0")
from gi.repository import GLib, Gst, GstApp, GstVideo  # noqa: E402,F401

Gst.init(None)


def clean_env(**more):
    """The environment of a user who only set GST_PLUGIN_PATH."""
    keep = {k: os.environ[k] for k in ("PATH", "HOME", "LANG") if k in os.environ}
    return {**keep, "GST_PLUGIN_PATH": PLUGINS, "GST_REGISTRY": os.environ["GST_REGISTRY"], **more}


class Result:
    """What a pipeline put on its bus."""

    def __init__(self):
        self.eos = False
        self.errors, self.warnings, self.elements = [], [], []
        self.changed_to = "NULL"

    def text(self):
        return "\n".join(self.errors + self.warnings)

    def element(self, name):
        return [s for s in self.elements if s.get_name() == name]


class Pipeline:
    """A parsed pipeline that collects its messages."""

    def __init__(self, description):
        self.pipeline = Gst.parse_launch(description)
        if not isinstance(self.pipeline, Gst.Pipeline):
            wrapped = Gst.Pipeline.new(None)
            wrapped.add(self.pipeline)
            self.pipeline = wrapped
        self.bus = self.pipeline.get_bus()
        self.result = Result()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def __getitem__(self, name):
        return self.pipeline.get_by_name(name)

    def set(self, name, **properties):
        for key, value in properties.items():
            self[name].set_property(key.replace("_", "-"), value)
        return self

    def state(self, state):
        ret = self.pipeline.set_state(state)
        if ret == Gst.StateChangeReturn.ASYNC:
            ret = self.pipeline.get_state(10 * Gst.SECOND)[0]
        return ret

    def play(self):
        """Starts, without waiting for sinks that want a first buffer."""
        return self.pipeline.set_state(Gst.State.PLAYING)

    def stop(self):
        self.pipeline.set_state(Gst.State.NULL)
        self.pump(0)

    def pump(self, seconds, until=None):
        """Collects messages until EOS, an error, the time is over, or until() holds."""
        deadline = time.monotonic() + seconds
        while True:
            left = max(0, deadline - time.monotonic())
            msg = self.bus.timed_pop(int(min(left, 0.05) * Gst.SECOND))
            if msg is not None:
                self._take(msg)
                if msg.type in (Gst.MessageType.EOS, Gst.MessageType.ERROR):
                    return self.result
            elif left == 0:
                return self.result
            if until is not None and until():
                return self.result

    def _take(self, msg):
        r = self.result
        if msg.type == Gst.MessageType.EOS:
            r.eos = True
        elif msg.type == Gst.MessageType.ERROR:
            e, debug = msg.parse_error()
            if not r.errors:
                r.error, r.debug = e, debug or ""
            r.errors.append(e.message)
        elif msg.type == Gst.MessageType.WARNING:
            r.warnings.append(msg.parse_warning()[0].message)
        elif msg.type == Gst.MessageType.ELEMENT and msg.get_structure() is not None:
            r.elements.append(msg.get_structure().copy())

    def run(self, seconds=30):
        """Plays to the end."""
        self.play()
        return self.pump(seconds)


def launch(description, seconds=30, **properties):
    """Plays a description to the end; properties go to the element named x."""
    with Pipeline(description) as p:
        if properties:
            p.set("x", **properties)
        return p.run(seconds)


def stats(element):
    s = element.get_property("stats")
    return {s.nth_field_name(i): s.get_value(s.nth_field_name(i)) for i in range(s.n_fields())}


def wait_for(condition, seconds=15, what="condition"):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"no {what} within {seconds} s")
        time.sleep(0.02)


class Stalls:
    """How long the machine kept this process from running: a thread that only sleeps sees it by its own delay.

    What is slow by itself, waits or computes, does not delay it. (GStreamer's calls let other Python threads run.)"""
    TICK = 0.01

    def __enter__(self):
        self.seconds, self._over = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _watch(self):
        last = time.monotonic()
        while not self._over.is_set():
            self._over.wait(self.TICK)
            now = time.monotonic()
            self.seconds += max(0.0, now - last - 2 * self.TICK)
            last = now


def took(action, *arguments):
    """The seconds that a call takes, without those for which the machine stood still: for bounds that are promised."""
    with Stalls() as stalls:
        began = time.monotonic()
        action(*arguments)
        seconds = time.monotonic() - began
    return seconds - stalls.seconds


def free_port():
    """A port of 127.0.0.1 that nobody has, and that the system gives nobody for a connection: see scripts/lib/server.sh."""
    while True:
        port = random.randrange(18000, 30000)
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) != 0:
                return port


def conn(topic="", kafka=None):
    host, port = (kafka or KAFKA).rsplit(":", 1)
    return f"{host};{port}" + (f";{topic}" if topic else "")


def consume(topic, count, kafka=None, seconds=30):
    """Reads count messages from the start of a topic, as dicts of the consumer's JSON lines."""
    out = subprocess.run(
        [CLI, "consume", "--brokers", kafka or KAFKA, "--topic", topic, "--from-start", "--json",
         "--count", str(count), "--idle-timeout", f"{seconds}s"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=seconds + 30)
    if out.returncode != 0:
        raise AssertionError(f"edgewire consume: {out.stderr}")
    return [json.loads(line) for line in out.stdout.splitlines() if line.strip()]


def topic(test):
    """A topic name of the test's own."""
    return f"{test.id().split('.')[-1]}-{os.getpid()}-{time.monotonic_ns() % 10**9}"


@contextlib.contextmanager
def kafka_server(*options):
    """A Kafka of the test's own; gives its address and its folder."""
    folder = tempfile.mkdtemp(prefix="edgewire-kafka-")
    try:
        out = subprocess.run([str(ROOT / "scripts" / "kafka"), "start", folder, *options], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True, timeout=120)
        if out.returncode != 0:
            raise AssertionError(f"Kafka does not start: {out.stderr}")
        yield out.stdout.strip().split("bootstrap=")[1].split()[0], folder
    finally:
        subprocess.run([str(ROOT / "scripts" / "kafka"), "stop", folder], stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, timeout=60)
        shutil.rmtree(folder, ignore_errors=True)


def rgb_frame(number, width=64, height=48, rois=()):
    """A frame with regions of interest: (type, x, y, w, h, {structure: {field: value}})."""
    buffer = Gst.Buffer.new_allocate(None, width * height * 3, None)
    buffer.memset(0, number % 256, width * height * 3)
    buffer.pts = number * 40 * Gst.MSECOND
    buffer.duration = 40 * Gst.MSECOND
    for kind, x, y, w, h, params in rois:
        roi = GstVideo.buffer_add_video_region_of_interest_meta(buffer, kind, x, y, w, h)
        for name, fields in params.items():
            s = Gst.Structure.new_empty(name)
            for key, value in fields.items():
                s.set_value(key, value)
            roi.add_param(s)
    return buffer


APPSRC = "appsrc name=src format=time caps=video/x-raw,format=RGB,width=64,height=48,framerate=25/1"

needs_kafka = unittest.skipUnless(KAFKA, "no Kafka (EDGEWIRE_KAFKA is not set)")
