# SPDX-License-Identifier: LGPL-2.1-or-later
"""msgconv on plain GStreamer: regions of interest become messages."""
import ctypes
import json
import os
import re
import tempfile
import time
import unittest

import ewtest
from ewtest import APPSRC, Gst, Pipeline, rgb_frame

META = "EdgewirePayload"
CONFIG = """[sensor0]
enable=1
type=Camera
id=cam-gate
location=48.1;11.5;520.0
description=Gate
coordinate=1.0;2.0;3.0

[place0]
enable=1
id=site-7
type=yard
name=North yard
location=1;2;3
coordinate=0;0;0
place-sub-field1=a
place-sub-field2=b
place-sub-field3=c

[analytics0]
enable=1
id=an-0
description=People
source=cascade
version=1.0
"""

PERSON = ("face", 10, 20, 30, 40, {"detection": {"confidence": 0.75}, "object_id": {"id": 7}})
CAR = ("car", 1, 2, 3, 4, {})


def run(properties, frames, tail="appsink name=out sync=false"):
    """Pushes frames through msgconv; gives the buffers that come out and the messages of the bus."""
    with Pipeline(f"{APPSRC} ! msgconv name=x {properties} ! {tail}") as p:
        p.play()
        for f in frames:
            p["src"].emit("push-buffer", f)
        p["src"].emit("end-of-stream")
        buffers = []
        while True:
            sample = p["out"].emit("try-pull-sample", 5 * Gst.SECOND)
            if sample is None:
                break
            buffers.append((sample.get_buffer(), sample.get_caps().to_string()))
        p.pump(2, until=lambda: p.result.eos)
        return buffers, p.result


def payload(buffer):
    meta = buffer.get_custom_meta(META)
    if meta is None:
        return None
    return bytes(meta.get_structure().get_value("payload").get_data()).decode()


def data(buffer):
    return buffer.extract_dup(0, buffer.get_size()).decode()


class Metas(unittest.TestCase):
    def test_full_schema_describes_the_object(self):
        buffers, result = run("label-map=face=person", [rgb_frame(0, rois=[PERSON])])
        self.assertEqual(result.text(), "")
        m = json.loads(payload(buffers[0][0]))
        self.assertEqual(m["object"]["id"], "7")
        self.assertEqual(m["object"]["bbox"], {"topleftx": 10, "toplefty": 20, "bottomrightx": 40, "bottomrighty": 60})
        self.assertEqual(m["object"]["person"]["confidence"], 0.75)
        self.assertIsNone(m["sensor"])
        self.assertRegex(m["messageid"], r"^[0-9a-f-]{36}$")

    def test_config_describes_sensor_place_and_analytics(self):
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as f:
            f.write(CONFIG)
            f.flush()
            buffers, _ = run(f"config={f.name} label-map=face=person", [rgb_frame(0, rois=[PERSON])])
        m = json.loads(payload(buffers[0][0]))
        self.assertEqual(m["sensor"]["id"], "cam-gate")
        self.assertEqual(m["place"]["name"], "North yard")
        self.assertEqual(m["analyticsModule"]["source"], "cascade")
        self.assertEqual(m["sensor"]["location"], {"lat": 48.1, "lon": 11.5, "alt": 520.0})

    def test_minimal_schema_has_a_message_per_frame(self):
        buffers, _ = run("payload-type=1 sensor-id=cam-1 label-map=face=person;car=van",
                         [rgb_frame(0), rgb_frame(1, rois=[PERSON, CAR])])
        self.assertIsNone(payload(buffers[0][0]))
        m = json.loads(payload(buffers[1][0]))
        self.assertEqual((m["version"], m["id"], m["sensorId"]), ("4.0", "1", "cam-1"))
        self.assertEqual(len(m["objects"]), 2)
        self.assertTrue(m["objects"][0].startswith("7|10|20|40|60|Person|#|"), m["objects"][0])

    def test_classes_are_named_by_number(self):
        numbered = ("", 1, 2, 3, 4, {"detection": {"label_id": 1, "confidence": 0.5}})
        buffers, _ = run("payload-type=1 msg2p-newapi=1 frame-interval=1 label-map=1=bicycle",
                         [rgb_frame(0, rois=[numbered])])
        self.assertTrue(json.loads(payload(buffers[0][0]))["objects"][0].endswith("|bicycle"))

    def test_frame_interval_counts_frames(self):
        buffers, _ = run("payload-type=1 msg2p-newapi=1 frame-interval=3", [rgb_frame(i) for i in range(7)])
        ids = [json.loads(payload(b))["id"] if payload(b) else None for b, _ in buffers]
        self.assertEqual(ids, ["0", None, None, "3", None, None, "6"])

    def test_dummy_payload_keeps_the_real_objects(self):
        buffers, _ = run("payload-type=1 dummy-payload=1", [rgb_frame(0), rgb_frame(1, rois=[CAR])])
        self.assertEqual(json.loads(payload(buffers[0][0]))["objects"], [])
        self.assertEqual(len(json.loads(payload(buffers[1][0]))["objects"]), 1)

    def test_protobuf_payload_is_binary(self):
        buffers, result = run("payload-type=2", [rgb_frame(0, rois=[PERSON])])
        self.assertEqual(result.text(), "")
        meta = buffers[0][0].get_custom_meta(META).get_structure()
        self.assertEqual(meta.get_value("content-type"), "application/x-protobuf")
        self.assertEqual(bytes(meta.get_value("payload").get_data())[:5], b"\n\x034.0")

    def test_media_passes_untouched_behind_a_tee(self):
        """The other branch sees neither copy nor meta."""
        with Pipeline(f"{APPSRC} ! tee name=t ! queue ! msgconv ! appsink name=a sync=false "
                      "t. ! queue ! appsink name=b sync=false") as p:
            p.play()
            for i in range(20):
                p["src"].emit("push-buffer", rgb_frame(i, rois=[PERSON]))
            for i in range(20):
                a = p["a"].emit("pull-sample").get_buffer()
                b = p["b"].emit("pull-sample").get_buffer()
                self.assertIsNotNone(payload(a))
                self.assertIsNone(payload(b))
                self.assertEqual(a.pts, b.pts)
                self.assertEqual(a.extract_dup(0, a.get_size()), b.extract_dup(0, b.get_size()))

    def test_invalid_utf8_in_a_label_gives_valid_json(self):
        # Python cannot make such a label, a program in C can: call what it would call.
        video = ctypes.CDLL("libgstvideo-1.0.so.0")
        add = video.gst_buffer_add_video_region_of_interest_meta
        add.restype, add.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_char_p] + 4 * [ctypes.c_uint]
        for schema in ("payload-type=1 msg2p-newapi=1 frame-interval=1", "payload-type=0", "payload-type=1"):
            with self.subTest(schema=schema):
                frame = rgb_frame(0)
                self.assertTrue(add(hash(frame), b"caf\xe9 \xc3", 1, 2, 3, 4))
                buffers, result = run(schema, [frame])
                self.assertIn("caf\ufffd", json.dumps(json.loads(payload(buffers[0][0])), ensure_ascii=False))
                self.assertEqual(result.errors, [])


class Buffers(unittest.TestCase):
    def test_json_buffers_on_request(self):
        buffers, result = run("payload-type=1 label-map=face=person", [rgb_frame(0), rgb_frame(1, rois=[PERSON])],
                              tail="application/json ! appsink name=out sync=false")
        self.assertEqual(result.text(), "")
        self.assertEqual(len(buffers), 1)
        buffer, caps = buffers[0]
        self.assertEqual(caps, "application/json")
        self.assertEqual(json.loads(data(buffer))["id"], "1")
        self.assertEqual(buffer.pts, 40 * Gst.MSECOND)

    def test_a_message_per_object(self):
        buffers, _ = run("", [rgb_frame(0, rois=[PERSON, CAR, CAR])], tail="application/json ! appsink name=out sync=false")
        self.assertEqual(len({json.loads(data(b))["messageid"] for b, _ in buffers}), 3)

    def test_tee_prerolls_without_detections(self):
        with Pipeline("videotestsrc num-buffers=600 ! video/x-raw,framerate=25/1 ! tee name=t ! queue ! fakesink sync=true "
                      "t. ! queue ! msgconv payload-type=1 ! application/json ! fakesink") as p:
            self.assertEqual(p.state(Gst.State.PAUSED), Gst.StateChangeReturn.SUCCESS)

    def test_restart_counts_frames_from_zero(self):
        with Pipeline(f"{APPSRC} ! msgconv payload-type=1 ! application/json ! appsink name=out sync=false") as p:
            for _ in range(3):
                p.play()
                p["src"].emit("push-buffer", rgb_frame(0, rois=[CAR]))
                sample = p["out"].emit("try-pull-sample", 5 * Gst.SECOND)
                self.assertEqual(json.loads(data(sample.get_buffer()))["id"], "0")
                p.state(Gst.State.NULL)


class Debug(unittest.TestCase):
    def test_every_frame_has_a_file(self):
        with tempfile.TemporaryDirectory() as d:
            run(f"debug-payload-dir={d}", [rgb_frame(i, rois=[PERSON, CAR]) for i in range(5)])
            files = sorted(os.listdir(d))
            self.assertEqual(len(files), 5)
            for name in files:
                self.assertRegex(name, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z(-\d+)?\.txt$")
                with open(os.path.join(d, name)) as f:
                    text = f.read()
                self.assertEqual(len(re.findall(r"\} \n", text)), 2)


class BadInput(unittest.TestCase):
    def refused(self, properties, *words):
        with Pipeline(f"{APPSRC} ! msgconv name=x {properties} ! fakesink") as p:
            self.assertEqual(p.state(Gst.State.PAUSED), Gst.StateChangeReturn.FAILURE)
            p.pump(0.2)
            text = p.result.text()
        self.assertTrue(p.result.errors, "no error on the bus")
        for w in words:
            self.assertIn(w, text)

    def test_missing_config(self):
        self.refused("config=/nowhere/site.txt", "/nowhere/site.txt")

    def test_broken_config_names_file_and_line(self):
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as f:
            f.write("[sensor0]\nenable=1\nlocation=1;2\n")
            f.flush()
            self.refused(f"config={f.name}", f.name + ":3", "location")

    def test_unknown_key_is_a_warning_with_the_nearest(self):
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as f:
            f.write("[sensor0]\nenable=1\nid=a\ndescripton=b\n")
            f.flush()
            _, result = run(f"config={f.name}", [rgb_frame(0)])
        self.assertIn("descripton", result.text())
        self.assertIn("description", result.text())
        self.assertEqual(result.errors, [])

    def test_bad_label_map(self):
        self.refused('label-map="face"', "label-map", "face")

    def test_label_map_changed_for_the_worse_while_playing(self):
        with Pipeline(f"{APPSRC} ! msgconv name=x label-map=face=person payload-type=1 ! appsink name=out sync=false") as p:
            p.play()
            p["src"].emit("push-buffer", rgb_frame(0, rois=[PERSON]))
            p["out"].emit("pull-sample")
            p.set("x", label_map="nonsense")
            p["src"].emit("push-buffer", rgb_frame(1, rois=[PERSON]))
            self.assertIn("Person", payload(p["out"].emit("pull-sample").get_buffer()))
            p.pump(0.3)
            self.assertIn("nonsense", p.result.text())

    def test_missing_debug_dir(self):
        self.refused("debug-payload-dir=/nowhere/at/all", "/nowhere/at/all")

    def test_unsupported_kinds_say_so(self):
        self.refused("msg2p-lib=/x.so", "/x.so")

    def test_types_without_a_schema(self):
        for api in ("", "msg2p-newapi=1 frame-interval=1"):
            for kind, want in ((256, []), (257, ["CUSTOM Schema\0"])):
                with self.subTest(kind=kind, api=api):
                    buffers, result = run(f"payload-type={kind} {api}", [rgb_frame(1, rois=[PERSON])])
                    buffer = buffers[0][0]
                    self.assertEqual([payload(buffer)] if buffer.get_custom_meta(META) else [], want)
                    self.assertEqual(result.text().count("stands for no schema"), 1 if kind == 256 else 0)
                    self.assertEqual(result.errors, [])

    def test_media_without_caps_never_passes_for_json(self):
        with Pipeline("fakesrc num-buffers=5 sizetype=fixed sizemax=9 ! msgconv payload-type=1 ! application/json ! "
                      "appsink name=out sync=false") as p:
            p.play()
            self.assertIsNone(p["out"].emit("try-pull-sample", Gst.SECOND))
            self.assertIn("no caps", p.pump(2).text())

    def test_missing_config_is_not_found(self):
        with Pipeline(f"{APPSRC} ! msgconv config=/nowhere/site.txt ! fakesink") as p:
            p.state(Gst.State.PAUSED)
            p.pump(0.2)
        self.assertTrue(p.result.error.matches(Gst.ResourceError.quark(), Gst.ResourceError.NOT_FOUND))

    def test_a_class_named_twice(self):
        self.refused('label-map="1=car;01=van"', "class 1", "twice")

    def test_an_untracked_object_has_no_id(self):
        untracked = ("face", 10, 20, 30, 40, {"object_id": {"id": -1}})
        buffers, _ = run("", [rgb_frame(0, rois=[untracked])])
        self.assertEqual(json.loads(payload(buffers[0][0]))["object"]["id"], "0")

    def test_reference_timestamps(self):
        for caps, stamp, year in (("timestamp/x-unix", 1_600_000_000 * Gst.SECOND, "2020-09-13T12:26:40"),
                                  ("timestamp/x-ntp", (1_600_000_000 + 2208988800) * Gst.SECOND, "2020-09-13T12:26:40"),
                                  ("timestamp/x-unix", 2**63 + 5, time.strftime("%Y-%m-", time.gmtime())),
                                  ("timestamp/x-other", 1_600_000_000 * Gst.SECOND, time.strftime("%Y-%m-", time.gmtime()))):
            with self.subTest(caps=caps, stamp=stamp):
                frame = rgb_frame(0, rois=[CAR])
                frame.add_reference_timestamp_meta(Gst.Caps.from_string(caps), stamp, Gst.CLOCK_TIME_NONE)
                buffers, _ = run("payload-type=1", [frame])
                self.assertTrue(json.loads(payload(buffers[0][0]))["@timestamp"].startswith(year))

    def test_buffers_without_caps_pass(self):
        with Pipeline("fakesrc num-buffers=5 sizetype=fixed sizemax=9 ! msgconv msg2p-newapi=1 frame-interval=1 payload-type=1 ! fakesink name=s") as p:
            r = p.run(10)
            self.assertTrue(r.eos, r.text())

    def test_other_media_passes(self):
        for caps in ("audio/x-raw,format=S16LE,rate=8000,channels=1", "text/x-raw,format=utf8", "video/x-h264", "application/x-whatever"):
            with self.subTest(caps=caps), Pipeline(f"fakesrc num-buffers=5 ! capsfilter caps={caps.replace(',', chr(44))} ! msgconv ! fakesink") as p:
                r = p.run(10)
                self.assertTrue(r.eos, r.text())


if __name__ == "__main__":
    unittest.main()
