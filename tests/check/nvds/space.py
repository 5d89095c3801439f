# SPDX-License-Identifier: LGPL-2.1-or-later
"""Lidar data maps and lists of 3D boxes through the elements, whole and broken: space.py, with EDGEWIRE_NVDS naming the release."""
import ctypes
import json
import os
import struct
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import behaviour  # noqa: E402
import ewtest  # noqa: E402
import nvds  # noqa: E402
from behaviour import CAPS, LIBRARY, NEW, NTP, NUMBER, Gst, Stream, car, word  # noqa: E402

DS3D = nvds.Ds3d(nvds.compile_ds3d())
LIDAR = "ds3d/datamap"
BATCH_MISC = 128
T0 = NTP + 5_000_000
OBJECTS_2D, OBJECTS_3D, FUSED, POINTS = "DS3D::Object2DBboxKey", "DS3D::Lidar3DBboxRawData", "DS3D::FusedDetectionKey", "DS3D::LidarXYZI"


def flat(x, y, dx, dy, score, label):
    return struct.pack("=4fififi4f128s", x, y, dx, dy, 3, score, -1, 0.5, 0, 0, 0, 0, 1, label)


def box(x, y, z, dx, dy, dz, score, label):
    return struct.pack("=7fif4f128s", x, y, z, dx, dy, dz, 0.5, 2, score, 1, 1, 0, 1, label)


def fused(box3d, box2d, score):
    return struct.pack("=180s180sf4f128s", box3d, box2d, score, 1, 0, 0, 1, b"fused")


FLAT, BOX = flat(320.5, 240, 64, 32, 0.75, b"car"), box(12.25, -3, 0.5, 4.5, 2, 1.5, 0.5, b"truck")
FLAT_TEXT, BOX_TEXT = "320.5|240|64|32|0.75|car", "12.25|-3|0.5|4.5|2|1.5|0.5|truck"


def full_map():
    """A data map with one of everything."""
    m = DS3D.map()
    DS3D.stamp(m, b"DS3D::Timestamp", T0)
    DS3D.put(m, OBJECTS_2D, FLAT * 2, (2, 180))
    DS3D.put(m, OBJECTS_3D, BOX, (1, 1, 180))
    DS3D.put(m, FUSED, fused(BOX, FLAT, 0.25), (1, 508))
    DS3D.put(m, POINTS, struct.pack("=12f", *range(1, 13)), (3, 4))
    return m


JSON = {"version": "ds3d/1.0", "datamap@timestamp": str(T0), "2d_objects": [FLAT_TEXT] * 2, "3d_objects": [BOX_TEXT],
        "fusion_results": [{"2d": FLAT_TEXT, "3d": BOX_TEXT, "score": 0.25}]}


def points(data):
    """Decodes a LidarPointCloud."""
    out = []
    while data:
        assert data[0] == 0x0a, data
        size, body, point = data[1], data[2:2 + data[1]], [0.0] * 4
        while body:
            number, (value,) = body[0] >> 3, struct.unpack("<f", body[1:5])
            assert body[0] & 7 == 5
            point[number - 1], body = value, body[5:]
        out.append(tuple(point))
        data = data[2 + size:]
    return out


def split(data):
    """The JSON and the points of a message."""
    text = data.decode("latin-1")
    end = json.JSONDecoder().raw_decode(text)[1] if text.startswith("{") else 0
    return json.loads(data[:end]) if end else None, points(data[end:])


class Lidar(unittest.TestCase):
    def setUp(self):
        self.assertEqual(DS3D.live(), 0)

    def tearDown(self):
        # The last to let go of an element may be a thread of its own, which has ended its work already.
        ewtest.wait_for(lambda: DS3D.live() == 0, what="the end of all references")

    def one(self, data_map, properties="payload-type=1", text=""):
        """The payload of the batch of a buffer with a data map; None if there is none."""
        with Stream(properties, caps=LIDAR) as s:
            LIBRARY.push(s.p["src"], DS3D.buffer(data_map))
            buffer = s.pull()
            s.p.pump(0.5 if text else 0.05, until=lambda: s.p.result.text())
            self.assertEqual(s.p.result.errors, [])
            if text:
                self.assertIn(text, s.p.result.text())
            else:
                self.assertEqual(s.p.result.text(), "")
            if LIBRARY.buffer_batch(hash(buffer)) is None:
                return None
            payloads = LIBRARY.payloads(buffer, -1)
            self.assertLessEqual(len(payloads), 1)
            return payloads[0][0] if payloads else None

    def test_json(self):
        self.assertEqual(json.loads(self.one(full_map())), JSON)

    def test_json_with_points_behind(self):
        self.assertEqual(split(self.one(full_map(), "payload-type=2")), (JSON, [(1, 2, 3, 4), (5, 6, 7, 8), (9, 10, 11, 12)]))

    def test_the_old_api_and_the_interval_do_not_matter(self):
        for properties in ("payload-type=1 msg2p-newapi=1 frame-interval=1000", "payload-type=1 multiple-payloads=1 dummy-payload=1"):
            self.assertEqual(json.loads(self.one(full_map(), properties)), JSON)

    def test_every_buffer_has_its_message(self):
        with Stream("payload-type=1 comp-id=9", caps=LIDAR) as s:
            for i in range(50):
                m = DS3D.map()
                DS3D.put(m, OBJECTS_3D, box(i, 0, 0, 1, 1, 1, 1, b"x") * (i + 1), (i + 1, 180))
                LIBRARY.push(s.p["src"], DS3D.buffer(m))
            for i in range(50):
                (data, component), = LIBRARY.payloads(s.pull(), -1)
                objects = json.loads(data)["3d_objects"]
                self.assertEqual((objects, component), ([f"{i}|0|0|1|1|1|1|x"] * (i + 1), 9))

    def test_a_batch_that_is_there_is_taken(self):
        with Stream("payload-type=1", caps=LIDAR) as s:
            buffer = DS3D.buffer(full_map())
            batch = LIBRARY.batch(buffer, 0)
            car(LIBRARY.frame(batch, 0, 30, 40, NTP, 0, 0, 0, 0))
            LIBRARY.push(s.p["src"], buffer)
            out = s.pull()
            self.assertEqual(LIBRARY.buffer_batch(hash(out)), batch)
            self.assertEqual((len(LIBRARY.payloads(out, -1)), len(LIBRARY.payloads(out, 0))), (1, 0))

    def test_messages_as_buffers(self):
        for kind, caps in ((1, "application/json"), (2, "application/x-protobuf")):
            with Stream(f"payload-type={kind}", caps=LIDAR, tail=f"{caps} ! appsink name=out sync=false") as s:
                for _ in range(3):
                    LIBRARY.push(s.p["src"], DS3D.buffer(full_map()))
                for _ in range(3):
                    b = s.pull()
                    self.assertEqual(split(b.extract_dup(0, b.get_size()))[0], JSON)

    def test_entries_of_other_names(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yml") as f:
            f.write("ds3d::datamap:\n  2d_objects_key: a\n  3d_objects_key: b\n  fused_detection_key: ''\n  lidar_data_key: d\n  lidar_element_max_points: 2\n"
                    "sensor0:\n  enable: 1\n  id: roof\n")
            f.flush()
            m = full_map()
            DS3D.put(m, "a", FLAT, (1, 180))
            DS3D.put(m, "d", struct.pack("=9f", *range(9)), (3, 3))
            want = {k: v for k, v in JSON.items() if k[0] in "vd"} | {"2d_objects": [FLAT_TEXT]}
            self.assertEqual(split(self.one(m, f"payload-type=2 config={f.name}")), (want, [(0, 1, 2, 1), (3, 4, 5, 1)]))

    def test_ten_points_at_the_most(self):
        m = DS3D.map()
        DS3D.put(m, POINTS, struct.pack("=400f", *range(400)), (100, 4))
        data = self.one(m, "payload-type=2")
        self.assertEqual(split(data), (None, [tuple(range(4 * i, 4 * i + 4)) for i in range(10)]))

    def test_nothing_to_say(self):
        m = DS3D.map()
        for key in (OBJECTS_2D, OBJECTS_3D, FUSED):
            DS3D.put(m, key, b"", (0, 180))
        for data_map, kind in ((m, 1), (DS3D.map(), 1), (DS3D.map(), 2)):
            self.assertIsNone(self.one(data_map, f"payload-type={kind}"))

    def test_gpu_memory(self):
        m = DS3D.map()
        DS3D.put(m, OBJECTS_3D, BOX, (1, 180), memory=1)
        DS3D.put(m, POINTS, struct.pack("=80f", *range(80)), (20, 4), memory=1)
        text, cloud = split(self.one(m, "payload-type=2"))
        self.assertEqual((text["3d_objects"], len(cloud), cloud[9]), ([BOX_TEXT], 10, (36, 37, 38, 39)))

    def test_pinned_memory(self):
        m = DS3D.map()
        DS3D.put(m, OBJECTS_2D, FLAT, (1, 180), memory=3)
        self.assertEqual(json.loads(self.one(m))["2d_objects"], [FLAT_TEXT])

    def test_entries_that_cannot_be_read(self):
        for key, data, dims, kind, text in (
                (OBJECTS_2D, FLAT, (1, 168), 0, "records of 168 bytes instead of 180"),
                (OBJECTS_3D, BOX, (2, 180), 0, "has 180 bytes, less than its dimensions say"),
                (OBJECTS_3D, BOX, (), 0, "no dimensions"),
                (FUSED, BOX, (2**31 - 1, 2**31 - 1, 508), 0, "less than its dimensions say"),
                (OBJECTS_3D, BOX, (1,) * 9, 0, "no frame of the kind that is known"),
                (POINTS, struct.pack("=4d", 1, 2, 3, 4), (1, 4), 11, "data type 11"),
                (POINTS, struct.pack("=4f", 1, 2, 3, 4), (2, 2), 0, "less than three numbers")):
            with self.subTest(key=key, dims=dims):
                m = full_map()
                DS3D.put(m, key, data, dims, kind)
                text_of, _ = split(self.one(m, "payload-type=2", text=text))
                self.assertEqual(text_of["version"], "ds3d/1.0")  # the others are there
                if key != POINTS:
                    missing = {OBJECTS_2D: "2d_objects", OBJECTS_3D: "3d_objects", FUSED: "fusion_results"}[key]
                    self.assertEqual(text_of, {k: v for k, v in JSON.items() if k != missing})

    def test_an_entry_of_another_type(self):
        m = full_map()
        DS3D.stamp(m, OBJECTS_2D.encode(), 1)
        self.assertNotIn("2d_objects", json.loads(self.one(m, text="is no frame")))

    def test_a_buffer_without_a_data_map(self):
        with Stream("payload-type=1", caps=LIDAR) as s:
            for _ in range(3):
                LIBRARY.push(s.p["src"], LIBRARY.buffer())
                s.pull()
            s.p.pump(0.5, until=lambda: s.p.result.text())
            self.assertEqual((s.p.result.text().count("has no data map"), s.p.result.errors), (1, []))

    def test_a_data_map_that_is_none(self):
        for address in (8, 0xdeadbeef000, 0x4141414141414141, 2**64 - 8):
            with self.subTest(hex(address)), Stream("payload-type=1", caps=LIDAR) as s:
                LIBRARY.push(s.p["src"], DS3D.wild(address))
                s.pull()
                s.p.pump(0.5, until=lambda: s.p.result.text())
                self.assertIn("leads nowhere", s.p.result.text())
        with Stream("payload-type=1", caps=LIDAR) as s:
            LIBRARY.push(s.p["src"], DS3D.strange())
            s.p.pump(5, until=lambda: s.p.result.errors)
            self.assertIn("no object of the kind that is known", s.p.result.text())

    WILD = (8, 0x8000, 0xdeadbeef000, 0x4141414141414141, 2**64 - 8)

    def test_arrays_that_lead_nowhere(self):
        """What is read of them in the middle of a message leaves nothing behind in the next one."""
        hole = nvds.Hole(BOX * 20)
        self.addCleanup(hole.close)
        end = hole.address + hole.PAGE
        for key, kind, dims, addresses in ((OBJECTS_3D, 1, (2, 180), (end - 180, *self.WILD)), (POINTS, 2, (4, 4), (end - 48, *self.WILD))):
            for address in addresses:
                with self.subTest(key=key, address=hex(address)), tempfile.TemporaryDirectory() as d, \
                        Stream(f"payload-type={kind} debug-payload-dir={d}", caps=LIDAR) as s:
                    broken = full_map()
                    DS3D.array_at(broken, key.encode(), address, 2**40, (ctypes.c_int * 2)(*dims), 2)
                    for m in (broken, full_map()):
                        LIBRARY.push(s.p["src"], DS3D.buffer(m))
                    self.assertIsNone(LIBRARY.buffer_batch(hash(s.pull())))
                    (data, _), = LIBRARY.payloads(s.pull(), -1)
                    self.assertEqual(split(data)[0], JSON)
                    s.p.pump(0.5, until=lambda: s.p.result.text())
                    self.assertIn("leads nowhere", s.p.result.text())
                    name, = os.listdir(d)
                    with open(os.path.join(d, name), "rb") as f:
                        self.assertEqual(f.read(), data + b" \n")

    def test_objects_that_are_none(self):
        """What the map gives is looked at before it is called, or read."""
        for address in self.WILD:
            for break_it in (lambda m: DS3D.entry_at(m, OBJECTS_3D.encode(), 0x20001, address), lambda m: DS3D.shape_at(m, OBJECTS_3D.encode(), address)):
                m = full_map()
                break_it(m)
                self.assertNotIn("3d_objects", json.loads(self.one(m, text="no frame of the kind that is known")))
        for address in (0, *self.WILD):
            m = full_map()
            DS3D.entry_at(m, b"DS3D::Timestamp", 0x20002, address)
            self.assertNotIn("datamap@timestamp", json.loads(self.one(m)))

    def test_other_schemas_are_told(self):
        for kind in (0, 256, 257):
            with Stream(f"payload-type={kind}", caps=LIDAR) as s:
                LIBRARY.push(s.p["src"], DS3D.buffer(full_map()))
                self.assertIsNone(LIBRARY.buffer_batch(hash(s.pull())))
                s.p.pump(0.5, until=lambda: s.p.result.text())
                self.assertEqual(s.p.result.text().count("Use PAYLOAD_DEEPSTREAM"), 1)
                self.assertIn("stands for no schema" if kind == 256 else "ds3d/datamap, for which this payload-type or library has no schema", s.p.result.text())

    def test_an_entry_that_is_replaced_while_it_is_read(self):
        """Two branches have the same map; a third thread puts new arrays into it."""
        m, stop = full_map(), threading.Event()

        def churn():
            while not stop.is_set():
                DS3D.put(m, OBJECTS_3D, BOX * 50, (50, 180))
                DS3D.put(m, POINTS, struct.pack("=4000f", *([1.5] * 4000)), (1000, 4))
        thread = threading.Thread(target=churn)
        thread.start()
        try:
            with Stream("payload-type=2", caps=LIDAR) as s:
                for _ in range(300):
                    LIBRARY.push(s.p["src"], DS3D.buffer(DS3D.copy(m)))
                for _ in range(300):
                    text, cloud = split(LIBRARY.payloads(s.pull(), -1)[0][0])
                    self.assertIn(len(text["3d_objects"]), (1, 50))
                    self.assertIn(len(cloud), (3, 10))
                self.assertEqual(s.p.result.text(), "")
        finally:
            stop.set()
            thread.join()
            DS3D.destroy(m)

    def test_msgbroker_publishes_it(self):
        with tempfile.TemporaryDirectory() as d:
            with Stream("payload-type=1", caps=LIDAR, tail=f"msgbroker proto-lib=file conn-str={d}/out.ndjson") as s:
                for _ in range(5):
                    LIBRARY.push(s.p["src"], DS3D.buffer(full_map()))
                s.p["src"].emit("end-of-stream")
                s.p.pump(20)
                self.assertEqual(s.p.result.text(), "")
            with open(f"{d}/out.ndjson") as f:
                self.assertEqual([json.loads(line) for line in f], [JSON] * 5)

    def test_behind_a_tee(self):
        with Stream("payload-type=1", caps=LIDAR, element="tee name=t ! queue ! msgconv",
                    tail="appsink name=out sync=false t. ! queue ! msgconv payload-type=2 ! appsink name=other sync=false") as s:
            for _ in range(50):
                LIBRARY.push(s.p["src"], DS3D.buffer(full_map()))
            for _ in range(50):
                mine, other = s.pull(), s.p["other"].emit("pull-sample").get_buffer()
                self.assertEqual(len(LIBRARY.payloads(mine, -1)), 1)
                self.assertEqual(len(LIBRARY.payloads(other, -1)), 1)

    def test_two_branches_with_one_batch(self):
        """A buffer that has a batch is shared: both branches put their messages there."""
        with Stream("payload-type=1 comp-id=1", caps=LIDAR, element="tee name=t ! queue ! msgconv",
                    tail="appsink name=out sync=false t. ! queue ! msgconv payload-type=2 comp-id=2 ! appsink name=other sync=false") as s:
            for _ in range(100):
                buffer = DS3D.buffer(full_map())
                LIBRARY.batch(buffer, 0)
                LIBRARY.push(s.p["src"], buffer)
            for i in range(100):
                mine, other = s.pull(), s.p["other"].emit("pull-sample").get_buffer()
                if i > 0:  # basetransform copies the first, to mark it
                    self.assertEqual(hash(mine), hash(other))
                    self.assertEqual(sorted(c for _, c in LIBRARY.payloads(mine, -1)), [1, 2])

    def test_a_flush(self):
        with Stream("payload-type=2", caps=LIDAR, tail="appsink name=out sync=false async=false") as s:
            for _ in range(5):
                for _ in range(20):
                    LIBRARY.push(s.p["src"], DS3D.buffer(full_map()))
                s.p["src"].send_event(Gst.Event.new_flush_start())
                s.p["src"].send_event(Gst.Event.new_flush_stop(True))
                LIBRARY.push(s.p["src"], DS3D.buffer(full_map()))
                data = [LIBRARY.payloads(s.pull(), -1)]
                while (sample := s.p["out"].emit("try-pull-sample", Gst.SECOND // 20)) is not None:
                    data.append(LIBRARY.payloads(sample.get_buffer(), -1))
                for (one, _), in data:
                    self.assertEqual(split(one)[0], JSON)
            self.assertEqual(s.p.result.text(), "")

    def test_numbers_that_are_none_and_texts_that_are_no_text(self):
        m = DS3D.map()
        nan, inf = float("nan"), float("inf")
        DS3D.stamp(m, b"DS3D::Timestamp", 2**64 - 1)
        DS3D.put(m, OBJECTS_3D, box(nan, inf, -inf, -0.0, 1e-40, 3e38, nan, b"\xff" * 128) * 2, (2, 180))
        DS3D.put(m, FUSED, fused(box(nan, inf, 0, 0, 0, 0, 0, b"\"\n"), flat(nan, -inf, 0, 0, 0, b""), nan), (1, 508))
        DS3D.put(m, POINTS, struct.pack("=4f", nan, inf, -inf, -0.0), (1, 4))

        def constant(name):
            raise AssertionError(name)
        data = self.one(m, "payload-type=2")
        text = json.loads(data[:data.rindex(b"}") + 1].decode(), parse_constant=constant)
        self.assertEqual(text["datamap@timestamp"], str(2**64 - 1))
        self.assertEqual((text["3d_objects"][0].count("\ufffd"), text["fusion_results"][0]["score"]), (128, None))
        (x, y, z, i), = split(data)[1]
        self.assertTrue(x != x and (y, z, i) == (inf, -inf, 0))

    def test_caps_that_change(self):
        """From a lidar to a camera and back, in the old API, which skips buffers without metadata."""
        with Stream("payload-type=1", caps="") as s:
            for caps in (LIDAR, CAPS, LIDAR):
                s.p["src"].set_property("caps", Gst.Caps.from_string(caps))
                LIBRARY.push(s.p["src"], DS3D.buffer(full_map()))
                batch = LIBRARY.buffer_batch(hash(s.pull()))
                self.assertEqual(batch is not None, caps == LIDAR)
            s.p["src"].set_property("caps", Gst.Caps.from_string(CAPS))
            s.push(behaviour.vehicle())
            self.assertEqual(len(s.texts()[0]), 1)

    def test_a_restart(self):
        with Stream("payload-type=1", caps=LIDAR) as s:
            for _ in range(4):
                s.p.play()
                LIBRARY.push(s.p["src"], DS3D.buffer(full_map()))
                self.assertEqual(len(LIBRARY.payloads(s.pull(), -1)), 1)
                s.p.state(Gst.State.NULL)

    def test_a_payload_outlives_everything(self):
        with Stream("payload-type=1", caps=LIDAR) as s:
            LIBRARY.push(s.p["src"], DS3D.buffer(full_map()))
            buffer = s.pull()
        copy = buffer.copy_deep()
        del buffer, s
        self.assertEqual(json.loads(LIBRARY.payloads(copy, -1)[0][0]), JSON)

    def test_debug_files(self):
        with tempfile.TemporaryDirectory() as d:
            self.one(full_map(), f"payload-type=2 debug-payload-dir={d}")
            name, = os.listdir(d)
            self.assertEqual(name, "2025-01-01T00:00:00.128Z.txt")  # the data's own time
            with open(os.path.join(d, name), "rb") as f:
                self.assertTrue(f.read().endswith(b" \n"))


@unittest.skipUnless(NUMBER >= 800, "lists of 3D boxes came with 8.0")
class Scenes(unittest.TestCase):
    def scene(self, batch, num=30, camera=0, ts=NTP, sensor=b"hall"):
        return LIBRARY.scene(batch, num, camera, ts, None if sensor is None else LIBRARY.kept(sensor))

    def solid(self, scene, number, label=b"Person", embedding=(1, -0.5)):
        box = (ctypes.c_double * 12)(*(number + i for i in range(12)))
        vector = None if embedding is None else (ctypes.c_double * max(1, len(embedding)))(*embedding)
        LIBRARY.solid(scene, number, None if label is None else LIBRARY.kept(label), box, 0.5, 0.75, vector, 0 if embedding is None else len(embedding))

    def run_with(self, fill, properties="payload-type=1", frames=(), texts=""):
        """[(bytes, component)] of the batch, and what misc_batch_info says."""
        with Stream(properties) as s:
            buffer = LIBRARY.buffer()
            batch = LIBRARY.batch(buffer, 0)
            for f in frames:
                f(LIBRARY.frame(batch, 0, 30, 40, NTP, 0, 0, 0, 0))
            fill(batch)
            LIBRARY.push(s.p["src"], buffer)
            out = s.pull()
            s.p.pump(0.5 if texts else 0.05, until=lambda: s.p.result.text())
            self.assertEqual(s.p.result.errors, [])
            if texts:
                self.assertIn(texts, s.p.result.text())
            else:
                self.assertEqual(s.p.result.text(), "")
            self.assertEqual([LIBRARY.payloads(out, i) for i in range(len(frames))], [[]] * len(frames))
            return LIBRARY.payloads(out, -1), word(batch + BATCH_MISC)

    def test_a_message_for_the_batch(self):
        def fill(batch):
            scene = self.scene(batch)
            self.solid(scene, 7)
            self.solid(scene, 8, b"Pallet", None)
        (payload,), misc = self.run_with(fill, frames=(car, behaviour.vehicle()))
        self.assertEqual((payload[1], misc), (0, 31))
        m = json.loads(payload[0])
        self.assertEqual((m["version"], m["id"], m["@timestamp"], m["sensorId"]), ("4.0", "30", "2025-01-01T00:00:00.123Z", "hall"))
        self.assertEqual([(o["id"], o["bbox"]["type"], o["confidence"], o["bbox3d"]["confidence"], o["bbox3d"]["embeddings"]) for o in m["objects"]],
                         [("7", "Person", 0.75, 0.5, [1, -0.5]), ("8", "Pallet", 0.75, 0.5, [])])
        self.assertEqual(m["objects"][0]["bbox3d"]["coordinates"], list(range(7, 19)))

    def test_the_filter_is_of_labels(self):
        def fill(batch):
            scene = self.scene(batch)
            for label in (b"Person", b"Pallet", b"Fork lift"):
                self.solid(scene, 1, label)
        for properties, want in (("", [2, 0, 0]), ('embedding-filter="Pallet , Fork lift"', [0, 2, 2]), ("embedding-filter=none", [0, 0, 0])):
            (payload,), _ = self.run_with(fill, "payload-type=1 " + properties)
            self.assertEqual([len(o["bbox3d"]["embeddings"]) for o in json.loads(payload[0])["objects"]], want)

    def test_protobuf(self):
        def fill(batch):
            self.solid(self.scene(batch), 7)
        (payload,), _ = self.run_with(fill, "payload-type=2")
        self.assertIn(b"\x22\x04hall", payload[0])
        self.assertIn(b"\x72", payload[0])  # bbox3d
        self.assertIn(struct.pack("<12d", *range(7, 19)), payload[0])
        self.assertIn(b"classConfidence\x12\x080.750000", payload[0])

    def test_an_empty_list_has_a_message(self):
        (payload,), _ = self.run_with(self.scene)
        self.assertEqual(json.loads(payload[0])["objects"], [])

    def test_two_lists_are_two_messages_in_order(self):
        (one, two), _ = self.run_with(lambda b: [self.solid(self.scene(b, n, sensor=s), n) for n, s in ((3, b"a"), (4, b"b"))])
        self.assertEqual([(m["id"], m["sensorId"], m["objects"][0]["id"]) for m in map(json.loads, (one[0], two[0]))], [("3", "a", "3"), ("4", "b", "4")])

    def test_sensor_component_and_interval(self):
        fill = lambda b: self.solid(self.scene(b, 31, 0, sensor=None), 1)  # noqa: E731
        (payload,), _ = self.run_with(fill, f"payload-type=1 comp-id=5 msg2p-newapi=1 frame-interval=30 config={nvds.GOLDEN}/config/site.txt")
        self.assertEqual(payload[1], 5)
        self.assertNotIn(json.loads(payload[0])["sensorId"], ("", "0"))
        (payload,), _ = self.run_with(fill, "payload-type=1 sensor-id=door")
        self.assertEqual(json.loads(payload[0])["sensorId"], "door")

    def test_times_of_the_cameras(self):
        def fill(batch):
            scene = self.scene(batch)
            for name in (b"cam-1", b"cam-2"):
                LIBRARY.view(scene, name, NTP)
        setenv = ctypes.CDLL("libglib-2.0.so.0").g_setenv
        for value, want in (("1", [{"source_id": name, "timestamp": str(NTP)} for name in ("cam-1", "cam-2")]), ("0", None)):
            setenv(b"SPARSE4D_DEBUG_TS", value.encode(), 1)
            (payload,), _ = self.run_with(fill)
            self.assertEqual(json.loads(payload[0]).get("info"), want)

    def test_labels_are_renamed(self):
        (payload,), _ = self.run_with(lambda b: self.solid(self.scene(b), 1), "payload-type=1 label-map=Person=human")
        self.assertEqual(json.loads(payload[0])["objects"][0]["bbox"]["type"], "human")
        for properties, want in (("", 2), ("embedding-filter=human", 2), ("embedding-filter=Pallet", 0)):  # the filter knows both names
            (payload,), _ = self.run_with(lambda b: self.solid(self.scene(b), 1), "payload-type=1 label-map=Person=human " + properties)
            self.assertEqual(len(json.loads(payload[0])["objects"][0]["bbox3d"]["embeddings"]), want)

    def test_two_branches_convert_the_same_batches_at_once(self):
        with Stream("payload-type=1 comp-id=1", element="tee name=t ! queue ! msgconv",
                    tail="appsink name=out sync=false t. ! queue ! msgconv payload-type=2 comp-id=2 ! appsink name=other sync=false") as s:
            for i in range(100):
                buffer = LIBRARY.buffer()
                self.solid(self.scene(LIBRARY.batch(buffer, 0), i), i)
                LIBRARY.push(s.p["src"], buffer)
            for i in range(100):
                mine, other = s.pull(), s.p["other"].emit("pull-sample").get_buffer()
                if i > 0:  # basetransform copies the first, to mark it
                    self.assertEqual(hash(mine), hash(other))
                    self.assertEqual(sorted(c for _, c in LIBRARY.payloads(mine, -1)), [1, 2])

    def test_frames_and_lists_by_turns(self):
        with Stream("payload-type=1 msg2p-newapi=1 frame-interval=1") as s:
            for i in range(20):
                if i % 2:
                    s.push(car)
                else:
                    buffer = LIBRARY.buffer()
                    batch = LIBRARY.batch(buffer, 0)
                    car(LIBRARY.frame(batch, 0, 30, 40, NTP, 0, 0, 0, 0))
                    self.solid(self.scene(batch, i), i)
                    LIBRARY.push(s.p["src"], buffer)
            for i in range(20):
                b = s.pull()
                self.assertEqual((len(LIBRARY.payloads(b, 0)), len(LIBRARY.payloads(b, -1))), (i % 2, 1 - i % 2))

    def test_numbers_that_are_none_and_texts_that_are_no_text(self):
        def fill(batch):
            scene = self.scene(batch, -1, 2**32 - 1, 2**64 - 1, b"\xff\"\\\n")
            box = (ctypes.c_double * 12)(*[float("nan"), float("inf"), float("-inf"), 1e300, -0.0, 1e-45] * 2)
            LIBRARY.solid(scene, 2**32 - 1, LIBRARY.kept(b"Person"), box, float("nan"), float("inf"), box, 12)
            LIBRARY.solid(scene, 2, LIBRARY.kept(b"\xed\xa0\x80|\x01"), box, float("nan"), float("inf"), box, 12)

        def constant(name):
            raise AssertionError(name)
        (payload,), _ = self.run_with(fill)
        m = json.loads(payload[0].decode(), parse_constant=constant)
        self.assertEqual((m["id"], m["sensorId"]), ("-1", "\ufffd\"\\\n"))
        self.assertEqual(m["objects"][0]["bbox3d"]["embeddings"][:3], [None] * 3)
        self.assertEqual([o["bbox"]["type"] for o in m["objects"]], ["Person", "\ufffd\ufffd\ufffd|\x01"])

    def test_other_schemas_are_told_once(self):
        with Stream("payload-type=0") as s:
            for _ in range(3):
                buffer = LIBRARY.buffer()
                self.solid(self.scene(LIBRARY.batch(buffer, 0)), 1)
                LIBRARY.push(s.p["src"], buffer)
                self.assertEqual(LIBRARY.payloads(s.pull(), -1), [])
            s.p.pump(0.5, until=lambda: s.p.result.text())
            self.assertEqual(s.p.result.text().count("Sparse4D"), 1)

    def test_as_buffers(self):
        with Stream("payload-type=1", tail="application/json ! appsink name=out sync=false") as s:
            buffer = LIBRARY.buffer()
            self.solid(self.scene(LIBRARY.batch(buffer, 0)), 1)
            LIBRARY.push(s.p["src"], buffer)
            b = s.pull()
            self.assertEqual(json.loads(b.extract_dup(0, b.get_size()))["objects"][0]["id"], "1")

    def test_full_and_overfull(self):
        def fill(batch, count=600):
            scene = self.scene(batch)
            for i in range(600):
                self.solid(scene, i, embedding=None)
            LIBRARY.scene_count(scene, count)
        (payload,), _ = self.run_with(fill)
        self.assertEqual([o["id"] for o in json.loads(payload[0])["objects"]], [str(i) for i in range(600)])
        for count in (601, 2**32 - 1):
            (payload,), _ = self.run_with(lambda b: fill(b, count), texts="beyond all measure")
            self.assertEqual(len(json.loads(payload[0])["objects"]), 600)

    def test_wild_and_absent_pointers(self):
        size = 96 if NUMBER >= 900 else 88
        for offset in (56, 80):  # the label, the embedding
            for value, text in ((0, ""), (0xdeadbeef000, "leads nowhere"), (2**64 - 8, "leads nowhere")):
                with self.subTest(offset=offset, value=hex(value)), Stream("payload-type=1") as s:
                    buffer = LIBRARY.buffer()
                    scene = self.scene(LIBRARY.batch(buffer, 0))
                    self.solid(scene, 1)
                    self.solid(scene, 2)
                    old = word(scene + size + offset)
                    word(scene + size + offset, value)
                    LIBRARY.push(s.p["src"], buffer)
                    out = s.pull()
                    s.p.pump(0.5 if text else 0.05, until=lambda: s.p.result.text())
                    word(scene + size + offset, old)
                    self.assertIn(text, s.p.result.text())
                    self.assertEqual((len(LIBRARY.payloads(out, -1)), s.p.result.errors), (0 if text else 1, []))


class Types(unittest.TestCase):
    """Payload types without a schema."""

    def test_custom(self):
        for properties, fill in (("", behaviour.vehicle()), (NEW, car)):
            with Stream(properties + " payload-type=257") as s:
                s.push(lambda f: [fill(f), fill(f)], behaviour.nothing)
                buffer = s.pull()
                self.assertEqual([LIBRARY.payloads(buffer, i) for i in range(2)], [[(b"CUSTOM Schema\0", 0)] * 2, []])
                self.assertEqual(s.p.result.text(), "")

    def test_reserved(self):
        for properties in ("", NEW, "dummy-payload=1 "):
            with Stream(properties + " payload-type=256") as s:
                for _ in range(3):
                    s.push(lambda f: [car(f), behaviour.vehicle()(f)])
                    self.assertEqual(LIBRARY.payloads(s.pull(), 0), [])
                s.p.pump(0.5, until=lambda: s.p.result.text())
                self.assertEqual(s.p.result.text().count("PAYLOAD_RESERVED stands for no schema"), 1)

    def test_sound(self):
        for properties, want in (("payload-type=257", 1), ("payload-type=256", 0), (NEW + "payload-type=257", 0), ("payload-type=2", 1), (NEW + "payload-type=2", 1)):
            with self.subTest(properties), Stream(properties, caps="audio/x-raw,format=S16LE,rate=8000,channels=1,layout=interleaved") as s:
                buffer = LIBRARY.buffer()
                behaviour.vehicle()(LIBRARY.audio_frame(LIBRARY.batch(buffer, 1), 0, 3, NTP, 5, 0.25, b"siren"))
                LIBRARY.push(s.p["src"], buffer)
                self.assertEqual(len(LIBRARY.payloads(s.pull(), 0)), want)


if __name__ == "__main__":
    unittest.main(verbosity=2)
