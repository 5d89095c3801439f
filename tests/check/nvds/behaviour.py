# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the elements do with DeepStream's metadata, whole, odd and broken: behaviour.py, with EDGEWIRE_NVDS naming the release."""
import ctypes
import datetime
import json
import os
import pathlib
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import ewtest  # noqa: E402
import nvds  # noqa: E402
from ewtest import Gst, Pipeline  # noqa: E402

RELEASE = os.environ.get("EDGEWIRE_NVDS", "9.1")
LIBRARY = nvds.Library(os.environ.get("EDGEWIRE_NVDS_LIBRARY") or nvds.compile_library(RELEASE))
NUMBER = nvds.RELEASES[RELEASE]
CAPS = "video/x-raw,format=RGB,width=64,height=48,framerate=25/1"
NTP = 1735689600123000000
# What the C structures of 9.1 have where, for damage.
BATCH_FRAMES, BATCH_USER_POOL, BATCH_MUTEX, FRAME_OBJECTS, FRAME_USER_METAS, USER_DATA = 96, 80, 112, 104, 120, 40


def word(address, value=None):
    cell = ctypes.c_uint64.from_address(address)
    if value is not None:
        cell.value = value & (2**64 - 1)
    return cell.value


class Stream:
    """A pipeline that takes buffers by their addresses."""

    def __init__(self, properties="", caps=CAPS, tail="appsink name=out sync=false", element="msgconv"):
        caps = f"caps={caps}" if caps else ""
        self.p = Pipeline(f"appsrc name=src format=time {caps} ! {element} name=x {properties} ! {tail}")

    def __enter__(self):
        self.p.play()
        return self

    def __exit__(self, *_):
        self.p.stop()

    def push(self, *frames, audio=False):
        """A buffer with a batch; each of frames is a function that fills one. Gives the batch's address."""
        buffer = LIBRARY.buffer()
        batch = LIBRARY.batch(buffer, int(audio))
        for n, fill in enumerate(frames):
            fill(LIBRARY.frame(batch, n, 30, 40, NTP, 1920, 1080, 1920, 1080))
        LIBRARY.push(self.p["src"], buffer)
        return batch

    def pull(self):
        sample = self.p["out"].emit("try-pull-sample", 5 * Gst.SECOND)
        if sample is None:
            self.p.pump(0.3)
            raise AssertionError("nothing comes: " + self.p.result.text())
        return sample.get_buffer()

    def texts(self, frames=1):
        buffer = self.pull()
        return [[json.loads(data) for data, _ in LIBRARY.payloads(buffer, i)] for i in range(frames)]


def car(frame):
    LIBRARY.object(frame, 7, 2, 0.5, 1, 2, 3, 4, b"car")


def vehicle(component=0):
    def fill(frame):
        event = LIBRARY.event(frame)
        LIBRARY.set(event, b"componentId", component, 0, None)
        LIBRARY.set(event, b"ts", 0, 0, b"2025-01-01T00:00:00.123Z")
    return fill


def nothing(frame):
    pass


NEW = "msg2p-newapi=1 frame-interval=1 "


class Whole(unittest.TestCase):
    def test_time_and_size_are_the_frames(self):
        with Stream(NEW + "payload-type=1") as s:
            s.push(car)
            message = s.texts()[0][0]
        self.assertEqual(message["@timestamp"], "2025-01-01T00:00:00.123Z")
        self.assertEqual(message["objects"], ["7|1|2|4|6|car"])

    def test_messages_stand_in_the_order_of_the_list(self):
        def three(frame):
            for name in (b"c", b"b", b"a"):  # the list grows at its head
                LIBRARY.object(frame, 1, 0, 1, 0, 0, 1, 1, name)
        with Stream(NEW) as s:
            s.push(three)
            names = [list(m["object"])[4] for m in s.texts()[0]]
        self.assertEqual(names, ["a", "b", "c"])

    def test_label_map_renames_objects(self):
        with Stream(NEW + "payload-type=1 label-map=2=van") as s:
            s.push(car)
            self.assertEqual(s.texts()[0][0]["objects"], ["7|1|2|4|6|van"])

    def test_the_sensor_of_the_mux_is_the_id(self):
        with Stream(NEW + "payload-type=1") as s:
            s.push(lambda f: LIBRARY.sensor(f, LIBRARY.kept(b"gate-3")))
            self.assertEqual(s.texts()[0][0]["sensorId"], "gate-3" if NUMBER >= 800 else "0")

    def test_a_label_that_does_not_fit_comes_whole(self):
        def fill(frame):
            obj = LIBRARY.object(frame, 1, 0, 1, 0, 0, 1, 1, b"car")
            LIBRARY.label(LIBRARY.classifier(obj, LIBRARY.kept(b"make")), b"x" * 300, 0.5)
        with Stream(NEW) as s:
            s.push(fill)
            self.assertEqual(s.texts()[0][0]["object"]["car"]["make"], "x" * 300)

    def test_comp_id_selects_and_marks(self):
        with Stream("payload-type=1 comp-id=3") as s:
            s.push(lambda f: [vehicle(3)(f), vehicle(4)(f)], vehicle(4))
            buffer = s.pull()
            self.assertEqual([c for _, c in LIBRARY.payloads(buffer, 0)], [3])
            self.assertEqual(len(json.loads(LIBRARY.payloads(buffer, 0)[0][0])["objects"]), 1)
            self.assertEqual(LIBRARY.payloads(buffer, 1), [])

    def test_a_shared_buffer_is_not_copied(self):
        with Stream(NEW + "payload-type=1", tail="appsink name=out sync=false t. ! queue ! appsink name=other sync=false",
                    element="tee name=t ! queue ! msgconv") as s:
            for _ in range(2):  # basetransform copies the first, to mark it
                s.push(car)
            s.pull()
            mine = s.pull()
            for _ in range(2):
                other = s.p["other"].emit("pull-sample").get_buffer()
            self.assertEqual(hash(mine), hash(other))
            self.assertEqual(len(LIBRARY.payloads(mine, 0)), 1)

    def test_two_branches_convert_the_same_batches_at_once(self):
        with Stream(NEW + "payload-type=1 comp-id=1", element="tee name=t ! queue ! msgconv",
                    tail=f"appsink name=out sync=false t. ! queue ! msgconv {NEW} payload-type=1 comp-id=2 ! appsink name=other sync=false") as s:
            for _ in range(200):
                s.push(car, car)
            for i in range(200):
                mine, other = s.pull(), s.p["other"].emit("pull-sample").get_buffer()
                if i > 0:  # basetransform copies the first, to mark it
                    self.assertEqual(hash(mine), hash(other))
                    self.assertEqual(sorted(c for _, c in LIBRARY.payloads(mine, 0)), [1, 2])

    def test_a_restart(self):
        with Stream(NEW + "payload-type=1") as s:
            for _ in range(5):
                s.p.play()
                s.push(car)
                self.assertEqual(len(s.texts()[0]), 1)
                s.p.state(Gst.State.NULL)

    def test_a_copy_of_the_buffer_has_payloads_of_its_own(self):
        with Stream(NEW + "payload-type=1") as s:
            s.push(car)
            buffer = s.pull()
            before = LIBRARY.payloads(buffer, 0)
            copy = buffer.copy_deep()
            del buffer
            self.assertEqual(LIBRARY.payloads(copy, 0), before)

    def test_payloads_outlive_the_element(self):
        with Stream(NEW + "payload-type=1") as s:
            s.push(car)
            buffer = s.pull()
        del s
        self.assertEqual(json.loads(LIBRARY.payloads(buffer, 0)[0][0])["objects"], ["7|1|2|4|6|car"])
        copy = buffer.copy_deep()
        del buffer, copy

    def test_payloads_end_with_a_zero_that_does_not_count(self):
        with Stream(NEW + "payload-type=1") as s:
            s.push(car)
            buffer = s.pull()
            p = LIBRARY.payload(LIBRARY.buffer_batch(hash(buffer)), 0, 0).contents
            self.assertEqual(ctypes.string_at(p.payload, p.size + 1)[-2:], b"}\0")

    def test_messages_as_buffers(self):
        with Stream(NEW + "payload-type=1", tail="application/json ! appsink name=out sync=false") as s:
            s.push(car, nothing)
            texts = [json.loads(b.extract_dup(0, b.get_size())) for b in (s.pull(), s.pull())]
        self.assertEqual([len(t["objects"]) for t in texts], [1, 0])

    def test_debug_files_of_every_frame(self):
        with tempfile.TemporaryDirectory() as d:
            with Stream(f"payload-type=1 debug-payload-dir={d}") as s:
                s.push(vehicle(), vehicle())
                s.pull()
            self.assertEqual(len(os.listdir(d)), 2)
            self.assertTrue(all(name.startswith("2025-01-01T00:00:00.123Z") for name in os.listdir(d)))

    def test_sound(self):
        def run(properties):
            with Stream(properties, caps="audio/x-raw,format=S16LE,rate=8000,channels=1,layout=interleaved") as s:
                buffer = LIBRARY.buffer()
                frame = LIBRARY.audio_frame(LIBRARY.batch(buffer, 1), 0, 3, NTP, 5, 0.25, b"siren")
                vehicle()(frame)
                LIBRARY.push(s.p["src"], buffer)
                return s.texts()[0]
        self.assertEqual(len(run("payload-type=0")), 1)
        self.assertEqual(len(run("payload-type=1")[0]["objects"]), 1)
        message = run(NEW + "payload-type=1")[0]
        self.assertEqual((message["id"], message["objects"]), ("3", ["0|0|0|0|0|siren"]))
        self.assertEqual(run(NEW + "payload-type=0"), [])

    def test_any_caps(self):
        for caps in ("", "text/x-raw,format=utf8", "video/x-h264", "application/x-whatever", "audio/x-raw,format=S16LE,rate=8000,channels=1",
                     "video/x-raw(memory:NVMM),format=NV12,width=64,height=48"):
            with self.subTest(caps=caps), Stream(NEW + "payload-type=1", caps=caps.replace(" ", "")) as s:
                s.push(car)
                self.assertEqual(len(s.texts()[0]), 1)

    def test_a_time_that_is_none(self):
        """NTP times are GST_CLOCK_TIME_NONE where no source gives one: the message's time is that of its making."""
        for properties, fill in ((NEW, car), ("", vehicle())):
            with self.subTest(properties), tempfile.TemporaryDirectory() as d:
                before = time.time()
                with Stream(properties + f"payload-type=1 debug-payload-dir={d}",
                            tail=f"tee name=t ! queue ! appsink name=out sync=false t. ! queue ! msgbroker proto-lib=file conn-str={d}/sent.ndjson") as s:
                    buffer = LIBRARY.buffer()
                    fill(LIBRARY.frame(LIBRARY.batch(buffer, 0), 0, 30, 40, 2**64 - 1, 0, 0, 0, 0))
                    LIBRARY.push(s.p["src"], buffer)
                    s.pull()
                name, = (n for n in os.listdir(d) if n.endswith(".txt"))
                written = datetime.datetime.strptime(name, "%Y-%m-%dT%H:%M:%S.%fZ.txt").replace(tzinfo=datetime.timezone.utc).timestamp()
                self.assertTrue(before - 1 <= written <= time.time() + 1, name)

    def test_a_payload_of_the_applications_own_in_place_of_ours(self):
        """An NvDsPayload has 16 bytes: what follows them is not read when the buffer is copied."""
        with Stream(NEW + "payload-type=1") as s:
            s.push(car)
            buffer = s.pull()
            user = word(word(word(word(LIBRARY.buffer_batch(hash(buffer)) + BATCH_FRAMES)) + FRAME_USER_METAS))
            glib = ctypes.CDLL("libglib-2.0.so.0")
            glib.g_malloc.restype, glib.g_strdup.restype = ctypes.c_void_p, ctypes.c_void_p
            own = glib.g_malloc(24)
            word(own, glib.g_strdup(b"own"))
            word(own + 8, 3 | 77 << 32)
            word(own + 16, 2**63 - 1)  # what stood there before: as the lengths of our texts it would be gigabytes
            glib.g_free(ctypes.c_void_p(word(word(user + USER_DATA))))
            glib.g_free(ctypes.c_void_p(word(user + USER_DATA)))
            word(user + USER_DATA, own)
            copy = buffer.copy_deep()
            del buffer
            self.assertEqual(LIBRARY.payloads(copy, 0), [(b"own", 77)])
            del copy

    def test_many_metas(self):
        def fill(frame):
            for i in range(2000):
                LIBRARY.object(frame, i, 0, 1, 0, 0, 1, 1, b"car")
                vehicle()(frame)
        for properties in ("", NEW, "payload-type=1", NEW + "payload-type=2"):
            with self.subTest(properties), Stream(properties) as s:
                s.push(fill)
                self.assertEqual(len(LIBRARY.payloads(s.pull(), 0)), 1 if "=1" in properties[-2:] or "=2" in properties[-2:] else 2000)


class Broken(unittest.TestCase):
    """Nothing crashes, buffers pass, and the bus tells."""

    def damaged(self, damage, properties=NEW + "payload-type=1", flows=True):
        with Stream(properties) as s:
            buffer = LIBRARY.buffer()
            batch = LIBRARY.batch(buffer, 0)
            frame = LIBRARY.frame(batch, 0, 30, 40, NTP, 0, 0, 0, 0)
            car(frame)
            vehicle()(frame)
            LIBRARY.leak(buffer)
            undo = damage(batch, frame)
            LIBRARY.push(s.p["src"], buffer)
            out = s.p["out"].emit("try-pull-sample", 5 * Gst.SECOND if flows else Gst.SECOND)
            s.p.pump(0.3, until=lambda: s.p.result.text())
            if undo:
                undo()
            payloads = LIBRARY.payloads(out.get_buffer(), 0) if out else None
            self.assertEqual(out is not None, flows, s.p.result.text())
            return payloads, s.p.result

    def overwrite(self, address, value):
        old = word(address)
        word(address, value)
        return lambda: word(address, old)

    def test_wild_pointers(self):
        for wild in (8, 0xdeadbeef000, 0x4141414141414141, 2**64 - 8):
            for api in (NEW, ""):
                with self.subTest(wild=hex(wild), api=api):
                    _, result = self.damaged(lambda b, f: self.overwrite(f + (FRAME_OBJECTS if api else FRAME_USER_METAS), wild), api)
                    self.assertIn("leads nowhere", result.text())
                    self.assertEqual(result.errors, [])

    def test_nothing_where_there_should_be_something(self):
        payloads, result = self.damaged(lambda b, f: self.overwrite(f + FRAME_OBJECTS, 0))
        self.assertEqual(len(payloads), 1, result.text())
        _, result = self.damaged(lambda b, f: self.overwrite(f + FRAME_USER_METAS, 0), "")
        self.assertEqual(result.text(), "")
        _, result = self.damaged(lambda b, f: self.overwrite(word(word(f + FRAME_USER_METAS)) + USER_DATA, 0), "")
        self.assertEqual(result.text(), "")
        _, result = self.damaged(lambda b, f: self.overwrite(word(f + FRAME_OBJECTS), 0))
        self.assertEqual(result.text(), "")

    def test_a_list_in_a_circle(self):
        for offset, api in ((FRAME_OBJECTS, NEW), (FRAME_USER_METAS, "")):
            payloads, result = self.damaged(lambda b, f: self.overwrite(word(f + offset) + 8, word(f + offset)), api)
            self.assertGreater(len(payloads), 0)
            self.assertLess(len(payloads), 50)
            self.assertIn("circle", result.text())

    def test_a_message_that_ends_in_a_hole(self):
        """The fault is met while the frame is encoded; the next one is what it is alone."""
        hole = nvds.Hole()
        info = (ctypes.c_uint64 * 2)(hole.address, 3 * hole.PAGE // 2)
        self.addCleanup(hole.close)
        with tempfile.TemporaryDirectory() as d, Stream(NEW + f"payload-type=1 debug-payload-dir={d}") as s:
            def broken(frame):
                car(frame)
                LIBRARY.user(frame, 28 if NUMBER < 800 else 29, ctypes.addressof(info))
            s.push(car, car, broken, car)
            s.push(car)
            first, second = s.pull(), s.pull()
            self.assertEqual([len(LIBRARY.payloads(first, i)) for i in range(4)], [1, 1, 0, 0])
            (data, _), = LIBRARY.payloads(second, 0)
            self.assertEqual(data, LIBRARY.payloads(first, 0)[0][0])
            s.p.pump(0.5, until=lambda: s.p.result.text())
            self.assertIn("given up after 2 of them", s.p.result.text())
            for name in os.listdir(d):
                self.assertEqual((pathlib.Path(d) / name).read_bytes(), data + b" \n")
            self.assertEqual(len(os.listdir(d)), 3)

    def test_warnings_come_without_the_batchs_lock(self):
        """Who hears of one may wait for another thread that wants the batch: another branch behind a tee."""
        def bad_time(frame):
            LIBRARY.set(LIBRARY.event(frame), b"ts", 0, 0, b"yesterday")
        lock, unlock = LIBRARY.lib.nvds_acquire_meta_lock, LIBRARY.lib.nvds_release_meta_lock
        lock.argtypes = unlock.argtypes = [ctypes.c_void_p]
        for properties, fill, text, spoil in (("payload-type=2", bad_time, "gives no message", lambda d: None),
                                              ("payload-type=1 debug-payload-dir={}", vehicle(), "switched off", os.rmdir)):
            d = os.path.join(self.enterContext(tempfile.TemporaryDirectory()), "x")
            os.mkdir(d)
            with Stream(properties.format(d)) as s:
                batches, free = [], []

                def heard(_, message, *__):
                    if message.type == Gst.MessageType.WARNING:
                        def other():
                            lock(batches[0])
                            unlock(batches[0])
                        thread = threading.Thread(target=other, daemon=True)
                        thread.start()
                        thread.join(3)
                        free.append(not thread.is_alive())
                    return Gst.BusSyncReply.PASS
                s.p.bus.set_sync_handler(heard)
                spoil(d)
                buffer = LIBRARY.buffer()
                batches.append(LIBRARY.batch(buffer, 0))
                fill(LIBRARY.frame(batches[0], 0, 30, 40, NTP, 0, 0, 0, 0))
                LIBRARY.push(s.p["src"], buffer)
                s.pull()
                s.p.pump(5, until=lambda: s.p.result.text())
                self.assertIn(text, s.p.result.text())
                self.assertEqual(free, [True])

    def test_no_user_meta_is_left(self):
        """The stream ends with an error; what could be attached is."""
        self.addCleanup(LIBRARY.user_metas, -1)
        for left in (0, 1):
            with Stream(NEW) as s:
                buffer = LIBRARY.buffer()
                batch = LIBRARY.batch(buffer, 0)
                frame = LIBRARY.frame(batch, 0, 30, 40, NTP, 0, 0, 0, 0)
                for _ in range(2):
                    car(frame)
                LIBRARY.leak(buffer)  # the batch outlives it
                LIBRARY.user_metas(left)
                LIBRARY.push(s.p["src"], buffer)
                s.p.pump(5, until=lambda: s.p.result.errors)
                self.assertIn("gives no user meta", s.p.result.text())
                self.assertEqual([bool(LIBRARY.payload(batch, 0, i)) for i in range(2)], [left > 0, False])
            LIBRARY.user_metas(-1)

    def test_payloads_beyond_all_measure(self):
        """msgbroker publishes the others."""
        for size in (2**24 + 1, 2**31, 2**32 - 1):
            with self.subTest(size), tempfile.TemporaryDirectory() as d:
                with Stream(element="identity", tail=f"msgbroker proto-lib=file conn-str={d}/out.ndjson") as s:
                    buffer = LIBRARY.buffer()
                    frame = LIBRARY.frame(LIBRARY.batch(buffer, 0), 0, 30, 40, NTP, 0, 0, 0, 0)
                    for data in (b'{"n":1}', b'{"n":2}', b'{"n":3}'):
                        LIBRARY.add_payload(frame, data, 7, 0)
                    LIBRARY.payload(LIBRARY.buffer_batch(buffer), 0, 1).contents.size = size
                    LIBRARY.push(s.p["src"], buffer)
                    s.p["src"].emit("end-of-stream")
                    s.p.pump(20)
                    self.assertIn("1 of them", s.p.result.text())
                    self.assertEqual(s.p.result.errors, [])
                self.assertEqual(sorted((pathlib.Path(d) / "out.ndjson").read_text().split()), ['{"n":1}', '{"n":3}'])

    def test_a_batch_that_is_none(self):
        _, result = self.damaged(lambda b, f: self.overwrite(b + BATCH_USER_POOL, 0), flows=False)
        self.assertIn("pools", result.text())
        _, result = self.damaged(lambda b, f: self.overwrite(b + BATCH_MUTEX, 0x5550), flows=False)
        self.assertIn("leads nowhere", result.text())
        _, result = self.damaged(lambda b, f: self.overwrite(b + BATCH_USER_POOL, 0x5550), flows=False)
        self.assertIn("leads nowhere", result.text())


if __name__ == "__main__":
    unittest.main(verbosity=2)
