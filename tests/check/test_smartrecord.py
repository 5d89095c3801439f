# SPDX-License-Identifier: LGPL-2.1-or-later
"""smartrecordbin with real encoders, parsers and muxers: its files are decoded, frame by frame."""
import ctypes
import functools
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import unittest

import ewtest
import gi
from ewtest import GLib, Gst, Pipeline, stats

gi.require_version("GstPbutils", "1.0")
from gi.repository import GstPbutils  # noqa: E402

WIDTH, HEIGHT, FPS, KEY = 64, 48, 25, 25
STEP = Gst.SECOND // FPS
ENCODERS = {"h264": f"x264enc key-int-max={KEY} bframes=2 b-adapt=false tune=0 speed-preset=ultrafast option-string=scenecut=0",
            "h265": f"x265enc key-int-max={KEY} speed-preset=ultrafast option-string=scenecut=0:bframes=2:log-level=none"}


def luma(n):
    """The grey of frame n: neighbours differ clearly."""
    return 30 + n * 37 % 180


@functools.cache
def encoded(frames=300, codec="h264", tail=""):
    """Encoded frames, each of a grey of its own, as (caps, [buffer])."""
    p = Gst.parse_launch(f"appsrc name=in format=time caps=video/x-raw,format=I420,width={WIDTH},height={HEIGHT},framerate={FPS}/1 ! "
                         f"{ENCODERS[codec]} ! {tail} appsink name=out sync=false")
    src, out = p.get_by_name("in"), p.get_by_name("out")
    p.set_state(Gst.State.PLAYING)
    for n in range(frames):
        b = Gst.Buffer.new_wrapped(bytes([luma(n)]) * (WIDTH * HEIGHT) + bytes([128]) * (WIDTH * HEIGHT // 2))
        b.pts, b.duration = n * STEP, STEP
        src.emit("push-buffer", b)
    src.emit("end-of-stream")
    caps, buffers = None, []
    while (sample := out.emit("try-pull-sample", 20 * Gst.SECOND)) is not None:
        caps = sample.get_caps()
        buffers.append(sample.get_buffer())
    p.set_state(Gst.State.NULL)
    assert len(buffers) == frames, len(buffers)
    return caps, buffers


def decoded(path):
    """The frames of a file: [(pts, frame number mod 180)], through decodebin."""
    p = Gst.parse_launch(f"filesrc location=\"{path}\" ! decodebin ! videoconvert ! video/x-raw,format=GRAY8 ! appsink name=out sync=false")
    out, bus = p.get_by_name("out"), p.get_bus()
    p.set_state(Gst.State.PLAYING)
    greys = {luma(n): n for n in range(180)}
    frames = []
    while (sample := out.emit("try-pull-sample", 20 * Gst.SECOND)) is not None:
        b = sample.get_buffer()
        ok, m = b.map(Gst.MapFlags.READ)
        grey = m.data[len(m.data) // 2]
        b.unmap(m)
        near = min(greys, key=lambda g: abs(g - grey))
        assert abs(near - grey) <= 2, (grey, near)
        frames.append((b.pts, greys[near]))
    error = bus.pop_filtered(Gst.MessageType.ERROR)
    p.set_state(Gst.State.NULL)
    if error is not None:
        raise AssertionError(error.parse_error()[0].message)
    return frames


def samples(path):
    """The encoded frames of a file: for each, whether it is a key frame."""
    p = Gst.parse_launch(f"filesrc location=\"{path}\" ! parsebin ! appsink name=out sync=false")
    p.set_state(Gst.State.PLAYING)
    keys = []
    while (sample := p.get_by_name("out").emit("try-pull-sample", 10 * Gst.SECOND)) is not None:
        keys.append(not sample.get_buffer().has_flags(Gst.BufferFlags.DELTA_UNIT))
    p.set_state(Gst.State.NULL)
    return keys


def fields(structure):
    return {structure.nth_field_name(i): structure.get_value(structure.nth_field_name(i)) for i in range(structure.n_fields())}


class Recorder(unittest.TestCase):
    codec, tail = "h264", ""

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="edgewire-record-")
        self.addCleanup(shutil.rmtree, self.dir, True)
        self.fed = 0

    def open(self, more="", frames=300, **properties):
        self.caps, self.buffers = encoded(frames, self.codec, self.tail)
        p = Pipeline(f"appsrc name=src format=time ! smartrecordbin name=x {more} ! appsink name=out sync=false")
        self.addCleanup(p.stop)
        p["src"].set_property("caps", self.caps)
        p.set("x", smart_rec_dir_path=self.dir, sensor_id="cam-1", **properties)
        self.p, self.passed = p, []
        p.play()
        return p

    def feed(self, to):
        """Feeds frames up to number `to` (decode order) and waits until they have passed."""
        while self.fed < to:
            self.p["src"].emit("push-buffer", self.buffers[self.fed].copy_deep())
            self.fed += 1
        while len(self.passed) < self.fed:
            sample = self.p["out"].emit("try-pull-sample", 10 * Gst.SECOND)
            self.assertIsNotNone(sample, f"frame {len(self.passed)} did not pass")
            self.passed.append(sample.get_buffer())

    def start(self, back, duration, name=None):
        return fields(self.p["x"].emit("start-recording", back, duration, name))

    def done(self, count=1):
        r = self.p.pump(15, until=lambda: len(self.p.result.element("sr-done")) >= count)
        self.assertGreaterEqual(len(r.element("sr-done")), count, r.text())
        return fields(r.element("sr-done")[count - 1])

    def check_file(self, info, first, count, error=None):
        """The file has count frames from frame number `first`, without a gap."""
        self.assertEqual(info.get("error"), error)
        keys = samples(info["file"])
        self.assertTrue(keys[0], "the first frame is a key frame")
        self.assertEqual(len(keys), info["frames"])
        self.assertAlmostEqual(len(keys), count, delta=4)  # it ends with a whole group of B-frames
        self.assertLess(abs(info["duration"] - len(keys) * 1000 // FPS), 130)
        frames = decoded(info["file"])
        self.assertEqual(len(frames), len(keys))
        self.assertEqual([n for _, n in frames], [(first + i) % 180 for i in range(len(frames))])
        steps = {b - a for (a, _), (b, _) in zip(frames, frames[1:])}
        self.assertTrue(all(abs(s - STEP) < Gst.MSECOND for s in steps), steps)

    def test_a_recording_begins_before_it_is_asked_for(self):
        self.open()
        self.feed(160)
        # 2 s back is frame 110 or so: the key frame before is 100.
        self.assertEqual(self.start(2000, 3000), {"session": 1, "missing": 0})
        self.assertEqual(self.p["x"].get_property("recording"), 1)
        self.feed(250)
        info = self.done()
        self.assertEqual((info["session"], info["reason"], info["sensor"], info["container"]), (1, "duration", "cam-1", "mp4"))
        self.assertEqual((info["width"], info["height"]), (WIDTH, HEIGHT))
        self.assertTrue(os.path.basename(info["file"]).startswith("Smart_Record_cam-1_2"), info["file"])
        self.assertTrue(info["file"].endswith("Z_1.mp4"))
        self.check_file(info, 100, 85)
        self.assertEqual(self.p["x"].get_property("recording"), 0)
        for a, b in zip(self.passed, self.buffers):  # what passed is untouched
            self.assertEqual((a.pts, a.dts, a.get_size()), (b.pts, b.dts, b.get_size()))
        self.assertEqual(self.p.result.warnings, [])
        found = GstPbutils.Discoverer.new(10 * Gst.SECOND).discover_uri(pathlib.Path(info["file"]).as_uri())
        self.assertAlmostEqual(found.get_duration() / Gst.SECOND, info["frames"] / FPS, delta=0.13)
        self.assertTrue(found.get_seekable())

    def test_signals_of_the_reference(self):
        self.open()
        heard = []
        self.p["x"].connect("sr-done", lambda _, s, user: heard.append(fields(s)["session"]))
        self.feed(100)
        self.p["x"].emit("start-sr", None, 1, 1, None)
        self.assertEqual(self.p["x"].get_property("recording"), 1)
        self.p["x"].emit("stop-sr", 0)
        self.assertEqual(self.p["x"].get_property("recording"), 0)
        self.check_file(self.done(), 50, 50)
        # As C calls it: the session comes back through the pointer.
        emit = ctypes.CDLL("libgobject-2.0.so.0").g_signal_emit_by_name
        session, bin_ = ctypes.c_uint(99), ctypes.c_void_p(hash(self.p["x"]))
        emit(bin_, b"start-sr", ctypes.byref(session), ctypes.c_uint(2), ctypes.c_uint(60), ctypes.c_void_p(0x1234))
        self.assertEqual(session.value, 2)
        refused = ctypes.c_uint(99)
        emit(bin_, b"start-sr", ctypes.byref(refused), ctypes.c_uint(2), ctypes.c_uint(60), None)
        self.assertEqual(refused.value, 0)
        emit(bin_, b"stop-sr", session)
        self.check_file(self.done(2), 25, 75)
        ewtest.wait_for(lambda: len(heard) >= 2, what="signal sr-done, which comes after the message")
        self.p.pump(0.1)
        self.assertEqual(heard, [1, 2])
        self.p["x"].emit("stop-sr", 7)
        self.p.pump(5, until=lambda: self.p.result.warnings)
        self.assertIn("stop-sr: session 7 is not recording", self.p.result.text())

    def test_stop_and_the_next_one(self):
        self.open()
        for n in range(1, 6):
            self.feed(n * 50)
            self.assertEqual(self.start(0, 0)["session"], n)
            refused = self.start(0, 0)
            self.assertEqual(refused["session"], 0)
            self.assertIn(f"session {n} is recording already", refused["error"])
            self.feed(n * 50 + 10)
            self.assertIn("is not recording", fields(self.p["x"].emit("stop-recording", n + 1))["error"])
            self.assertEqual(fields(self.p["x"].emit("stop-recording", n)), {"session": n})
        self.done(5)
        names = {}
        for info in map(fields, self.p.result.element("sr-done")):
            n = info["session"]
            self.assertEqual(info["reason"], "stop")
            names[info["file"]] = (n * 50 - KEY) % 180
        self.assertEqual(len(names), 5)
        self.assertEqual({k: stats(self.p["x"])[k] for k in ("started", "finished", "failed", "refused")},
                         {"started": 5, "finished": 5, "failed": 0, "refused": 10})
        for name, first in names.items():
            self.assertTrue(samples(name)[0])
            self.assertEqual(decoded(name)[0][1], first)

    def test_what_lies_in_the_past_is_written_at_once(self):
        self.open()
        self.feed(200)
        self.start(6000, 2000)
        info = self.done()
        self.assertEqual(info["reason"], "duration")
        self.check_file(info, 25, 73)  # 50 frames asked for from 49 on
        self.assertIn("all of it lies before", self.start(3600_000, 1000)["error"])

    def test_the_cache_is_bounded(self):
        self.open(smart_rec_cache=2)
        self.feed(300)
        s = stats(self.p["x"])
        self.assertLessEqual(s["cached-frames"], 2 * FPS + KEY)
        self.assertGreaterEqual(s["cached-time"], 1900)
        answer = self.start(10_000, 0)
        self.assertGreater(answer["missing"], 6000)
        self.p["x"].emit("stop-recording", 0)
        self.check_file(self.done(), 225, 75)
        self.p.set("x", max_cache_bytes=1 << 16)
        self.feed(300)
        self.assertLessEqual(stats(self.p["x"])["cached-bytes"], 1 << 16)

    def test_eos_and_stop_close_the_file(self):
        for how in ("eos", "stopped"):
            with self.subTest(how=how):
                self.fed = 0
                self.open()
                self.feed(60)
                self.start(1000, 60_000)
                self.feed(100)
                if how == "eos":
                    self.p["src"].emit("end-of-stream")
                    self.p.pump(10)
                    self.assertTrue(self.p.result.eos)
                    self.assertEqual(len(self.p.result.element("sr-done")), 1, "sr-done comes before EOS")
                else:
                    self.p.state(Gst.State.READY)
                info = self.done()
                self.assertEqual(info["reason"], how)
                self.check_file(info, 25, 75)
                self.p.stop()

    def test_it_plays_again(self):
        self.open()
        self.feed(60)
        self.p.state(Gst.State.NULL)
        self.assertIn("no stream yet", self.start(0, 0)["error"])
        self.p.play()
        self.fed, self.passed = 0, []
        self.feed(60)
        self.start(0, 1000)
        self.feed(100)
        self.check_file(self.done(), 50, 33)

    def test_a_file_that_is_large_enough_ends(self):
        self.open(max_file_bytes=6000)
        self.feed(60)
        self.start(2000, 0)
        self.feed(300)
        info = self.done()
        self.assertEqual(info["reason"], "max-size")
        self.assertLess(sum(b.get_size() for b in self.buffers[:info["frames"]]), 6001)
        decoded(info["file"])

    def test_matroska_and_names(self):
        self.open(smart_rec_container="mkv", file_template="{sensor}-{name}", smart_rec_default_duration=1)
        self.feed(60)
        for n in (1, 2):
            self.start(0, 0, "../../etc/x y")
            self.feed(60 + n * 60)
            info = self.done(n)
            self.assertEqual(os.path.dirname(info["file"]), self.dir)
        self.assertEqual(sorted(os.listdir(self.dir)), ["cam-1--..-etc-x-y-2.mkv", "cam-1--..-etc-x-y.mkv"])
        self.assertEqual(info["container"], "mkv")
        self.check_file(info, 100, 45)

    def test_a_stream_that_stops_ends_the_recording(self):
        self.open(stall_timeout=1)
        self.feed(60)
        self.start(1000, 60_000)
        info = self.done()
        self.assertEqual(info["reason"], "stalled")
        self.check_file(info, 25, 35)
        self.feed(90)
        self.assertEqual(self.start(0, 0)["session"], 2)

    def test_another_stream_ends_the_recording(self):
        self.open()
        self.feed(60)
        self.start(1000, 60_000)
        self.p["src"].send_event(Gst.Event.new_flush_start())
        self.p["src"].send_event(Gst.Event.new_flush_stop(True))
        info = self.done()
        self.assertEqual(info["reason"], "caps")
        self.check_file(info, 25, 35)
        self.assertEqual(stats(self.p["x"])["cached-frames"], 0)

    def test_bad_folder_and_template(self):
        for properties, want in (({"smart_rec_dir_path": "/nowhere/x"}, "the folder /nowhere/x does not exist"),
                                 ({"smart_rec_dir_path": "/dev/null"}, "/dev/null is no folder"),
                                 ({"smart_rec_dir_path": "/proc"}, "cannot be written to"),
                                 ({"file_template": "{sensr}"}, "did you mean {sensor}?"),
                                 ({"file_template": "a/{time}"}, "a file name has no /"),
                                 ({"file_template": "{time"}, "has no }")):
            with self.subTest(properties=properties), Pipeline("appsrc name=src ! smartrecordbin name=x ! fakesink") as p:
                p.set("x", **properties)
                self.assertEqual(p.state(Gst.State.PAUSED), Gst.StateChangeReturn.FAILURE)
                self.assertIn(want, p.pump(0).text())

    def test_the_folder_goes_while_it_plays(self):
        self.open()
        self.feed(60)
        shutil.rmtree(self.dir)
        self.start(1000, 1000)
        info = self.done()
        self.assertEqual(info["reason"], "error")
        self.assertIn("cannot make a file in", info["error"])
        self.assertNotIn("file", info)
        self.feed(90)
        self.assertIn("The stream goes on", self.p.result.text())
        os.mkdir(self.dir)
        self.start(0, 0)
        self.p["x"].emit("stop-recording", 0)
        self.check_file(self.done(2), 75, 15)

    def test_unparsed_video_is_refused(self):
        for source in ("videotestsrc", "fakesrc ! video/x-h264,stream-format=byte-stream,alignment=nal"):
            with self.assertRaisesRegex(GLib.Error, "could not link"):
                ewtest.launch(source + " ! smartrecordbin ! fakesink")

    def test_requests_from_many_threads(self):
        self.open()
        self.feed(30)
        stop = threading.Event()
        sessions = set()

        def ask():
            while not stop.is_set():
                s = self.start(500, 0)["session"]
                if s:
                    sessions.add(s)
                self.p["x"].emit("stop-recording", 0)

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for t in threads:
            t.start()
        for n in range(35, 200, 5):
            self.feed(n)
        stop.set()
        for t in threads:
            t.join()
        self.p["x"].emit("stop-recording", 0)
        self.done(len(sessions))
        s = stats(self.p["x"])
        self.assertEqual((s["started"], s["finished"], s["failed"]), (len(sessions), len(sessions), 0))
        self.assertEqual(len(os.listdir(self.dir)), sum(1 for x in self.p.result.element("sr-done") if x.has_field("file")))

    @unittest.skipUnless(os.geteuid() == 0, "root is needed to mount a small disk")
    def test_a_full_disk_ends_the_recording_and_not_the_stream(self):
        self.open(max_cache_bytes=1 << 20)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "none", self.dir], check=True, timeout=10)
        self.addCleanup(subprocess.run, ["umount", "-l", self.dir], timeout=10)
        self.feed(60)
        self.start(2000, 0)
        self.feed(300)
        info = self.done()
        self.assertEqual(info["reason"], "error")
        self.assertIn("is full: free some space", info["error"])
        self.assertIn("The stream goes on", self.p.result.text())
        self.assertEqual(self.p.result.errors, [])
        with open(os.path.join(self.dir, "..", os.path.basename(self.dir) + ".mp4"), "wb") as copy:
            self.addCleanup(os.remove, copy.name)
            copy.write(pathlib.Path(info["file"]).read_bytes())
        self.assertGreater(len(decoded(copy.name)), 10, "what was written can be played")

    def test_kill_leaves_a_file_that_plays(self):
        code = ("import sys; sys.path.insert(0, %r); import test_smartrecord as t, time\n"
                "class R(t.Recorder):\n def runTest(self): pass\n"
                "r = R(); r.setUp(); r.dir = %r; r.open(); r.feed(100); r.start(2000, 0); r.feed(280); print('ready', flush=True); time.sleep(60)"
                % (os.path.dirname(__file__), self.dir))
        child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        try:
            self.assertEqual(child.stdout.readline(), "ready\n")
            # Frames are written behind the stream, a group at a time.
            ewtest.wait_for(lambda: any(len(samples(f)) >= 180 for f in pathlib.Path(self.dir).iterdir()), what="180 frames in the file")
        finally:
            child.send_signal(signal.SIGKILL)
            child.wait()
            child.stdout.close()
        name, = os.listdir(self.dir)
        frames = decoded(os.path.join(self.dir, name))
        self.assertGreaterEqual(len(frames), 180, "all but the last second or so")
        self.assertEqual([n for _, n in frames], [(25 + i) % 180 for i in range(len(frames))])


class AVC(Recorder):
    """The other format: parameter sets in the caps."""
    tail = "video/x-h264,stream-format=avc !"


class RareParameterSets(Recorder):
    """Parameter sets only once, at the head of the stream: each file still has them."""
    tail = "video/x-h264,stream-format=avc ! h264parse config-interval=0 ! video/x-h264,stream-format=byte-stream,alignment=au !"


@unittest.skipUnless(Gst.ElementFactory.find("x265enc"), "no x265enc")
class H265(Recorder):
    codec = "h265"
    tail = "h265parse ! video/x-h265,stream-format=byte-stream,alignment=au !"


def load_tests(loader, _, __):
    """Everything with one format; the others where they differ."""
    suite = unittest.TestSuite(loader.loadTestsFromTestCase(Recorder))
    for case in (AVC, RareParameterSets, H265):
        for name in ("test_a_recording_begins_before_it_is_asked_for", "test_stop_and_the_next_one", "test_what_lies_in_the_past_is_written_at_once"):
            suite.addTest(case(name))
    return suite


if __name__ == "__main__":
    unittest.main()
