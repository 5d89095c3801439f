# SPDX-License-Identifier: LGPL-2.1-or-later
"""Messages of one's own: templates (payload-template) and converter libraries (msg2p-lib)."""
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

import ewtest
import nvds
from ewtest import APPSRC, Gst, Pipeline, rgb_frame
from test_msgconv import CAR, CONFIG, PERSON, payload, run, data

TEMPLATE = """{{/* msgconv: per=%s */}}
{"n": {{.frame.num}}, "camera": {{.sensor.id}}, "o": [{{range .objects}}{"c": {{.class}}, "id": "{{.id}}", "w": {{.box.width}}, "conf": {{.confidence}}}{{end}}]}
"""
META = "EdgewirePayload"


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="edgewire-custom-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def file(self, text, name="t.tmpl"):
        path = self.folder / name
        path.write_text(text)
        return str(path)

    def refused(self, properties, *words):
        with Pipeline(f"{APPSRC} ! msgconv name=x {properties} ! fakesink") as p:
            self.assertEqual(p.state(Gst.State.PAUSED), Gst.StateChangeReturn.FAILURE)
            p.pump(0.2)
            text = p.result.text()
        self.assertTrue(p.result.errors, "no error on the bus")
        for w in words:
            self.assertIn(w, text)
        return p.result


class Templates(Case):
    def test_events_and_detections_of_regions(self):
        template = self.file(TEMPLATE % "frame")
        want = [{"c": "person", "id": "7", "w": 30, "conf": 0.75}, {"c": "car", "id": "0", "w": 3, "conf": 1}]
        for properties, frames in (("", [None, 1]), ("msg2p-newapi=1 frame-interval=1", [0, 1]), ("dummy-payload=1", [0, 1])):
            with self.subTest(properties=properties):
                buffers, result = run(f"payload-template={template} sensor-id=cam-1 label-map=face=person {properties}",
                                      [rgb_frame(0), rgb_frame(1, rois=[PERSON, CAR])])
                self.assertEqual(result.text(), "")
                messages = [json.loads(payload(b)) if payload(b) else None for b, _ in buffers]
                self.assertEqual([m and m["n"] for m in messages], frames)
                self.assertEqual(messages[1], {"n": 1, "camera": "cam-1", "o": want})
                meta = buffers[1][0].get_custom_meta(META).get_structure()
                self.assertEqual((meta.get_value("content-type"), meta.get_value("key")), ("application/json", "cam-1"))

    def test_a_message_per_object_as_buffers(self):
        template = self.file('{{/* msgconv: per=object */}}{"c": {{.object.class}}, "at": {{.place.name}}}')
        config = self.file(CONFIG, "site.txt")
        buffers, result = run(f"payload-template={template} payload-type=257 config={config}", [rgb_frame(0), rgb_frame(1, rois=[PERSON, CAR])],
                              tail="application/json ! appsink name=out sync=false")
        self.assertEqual(result.text(), "")
        self.assertEqual([(json.loads(data(b)), b.pts) for b, _ in buffers],
                         [({"c": c, "at": "North yard"}, 40 * Gst.MSECOND) for c in ("face", "car")])

    def test_other_content_types(self):
        template = self.file("{{/* msgconv: per=object content-type=text/csv */}}\n{{.frame.num}},{{csv .object.class}}\n")
        buffers, result = run(f"payload-template={template}", [rgb_frame(0, rois=[PERSON])], tail="text/csv ! appsink name=out sync=false")
        self.assertEqual(result.text(), "")
        self.assertEqual([(data(b), caps) for b, caps in buffers], [("0,face", "text/csv")])
        buffers, _ = run(f"payload-template={template}", [rgb_frame(0, rois=[PERSON])])
        self.assertEqual(buffers[0][0].get_custom_meta(META).get_structure().get_value("content-type"), "text/csv")

    def test_a_filter_and_debug_files(self):
        template = self.file('{{/* msgconv: per=object */}}{{if eq .object.class "car"}}["{{.object.class}}"]{{end}}')
        folder = self.folder / "debug"
        folder.mkdir()
        buffers, _ = run(f"payload-template={template} debug-payload-dir={folder}", [rgb_frame(i, rois=[PERSON, CAR]) for i in range(3)])
        self.assertEqual([payload(b) for b, _ in buffers], ['["car"]'] * 3)
        self.assertEqual(sorted(p.read_text() for p in folder.iterdir()), ['["car"] \n'] * 3)

    def test_mistakes_have_a_place(self):
        template = self.file('{"a": {{.frame.num}},\n "b": {{.sensor.idd}}}')
        result = self.refused(f"payload-template={template}", f"{template}:2:16: there is no field .sensor.idd; did you mean .sensor.id?")
        self.assertTrue(result.error.matches(Gst.ResourceError.quark(), Gst.ResourceError.SETTINGS))
        result = self.refused("payload-template=/nowhere/t.tmpl", "/nowhere/t.tmpl", "no such file")
        self.assertTrue(result.error.matches(Gst.ResourceError.quark(), Gst.ResourceError.NOT_FOUND))
        good = self.file(TEMPLATE % "frame", "good.tmpl")
        self.refused(f"payload-template={good} payload-type=2", "payload-type=2", "Leave payload-type out")
        self.refused(f"payload-template={good} msg2p-lib=/x.so", "/x.so", "one of them")
        self.refused(f"payload-template={self.folder}", "is not a regular file")

    def test_a_message_beyond_all_measure_is_left_out(self):
        # 60 objects: 216 000 turns, each with 60 more.
        template = self.file('[{{range .objects}}{{range $.objects}}{{range $.objects}}{{range $.objects}}{{end}}{{end}}{{end}}{{end}}]')
        buffers, result = run(f"payload-template={template}", [rgb_frame(0, rois=[CAR] * 60), rgb_frame(1, rois=[CAR])])
        self.assertIsNone(payload(buffers[0][0]))
        self.assertEqual(payload(buffers[1][0]), "[]")
        self.assertIn("frame 0 gives no message", result.text())

    def test_a_file_that_changes_between_runs(self):
        template = self.file("[1]")
        with Pipeline(f"{APPSRC} ! msgconv name=x payload-template={template} ! appsink name=out sync=false") as p:
            for want in ("[1]", "[2]"):
                self.file(want)
                p.play()
                p["src"].emit("push-buffer", rgb_frame(0, rois=[CAR]))
                self.assertEqual(payload(p["out"].emit("try-pull-sample", 5 * Gst.SECOND).get_buffer()), want)
                p.state(Gst.State.NULL)

    def test_deepstreams_metadata(self):
        for release in ("6.4", "9.1"):
            for properties, count in (("msg2p-newapi=1 frame-interval=30", 4), ("", 62)):
                with self.subTest(release=release, properties=properties):
                    out = self.folder / "out.json"
                    template = self.file('{"n": {{.frame.num}}, "s": {{.frame.source}}, "o": [{{range .objects}}{{.class}}{{end}}], "e": [{{range .objects}}{{.event.type}}{{end}}]}{{/* */}}')
                    launch_deepstream("videotestsrc num-buffers=31 ! nvdstestmeta sources=2 objects=4 events=3 ! "
                                      f"nvmsgconv payload-template={template} {properties} ! application/json ! filesink location={out}", release, self)
                    messages = many(out.read_text())
                    self.assertEqual(len(messages), count)
                    self.assertEqual({m["s"] for m in messages}, {0, 1})
                    self.assertEqual({len(m["o"]) for m in messages}, {4 if properties else 3})
                    self.assertTrue(all(None not in m["o"] and (None in m["e"]) == bool(properties) for m in messages))

    def test_check_says_the_same(self):
        template = self.file('{"a": {{.frame.nun}}}')
        out = subprocess.run([ewtest.CLI, "check", template], stdout=subprocess.PIPE, text=True, timeout=60)
        self.assertEqual(out.returncode, 2)
        self.assertIn(f"{template}:1:15: wrong: there is no field .frame.nun; did you mean .frame.num?", out.stdout)


def many(text):
    """JSON values one behind the other."""
    decoder, at, values = json.JSONDecoder(), 0, []
    while at < len(text):
        value, at = decoder.raw_decode(text, at)
        values.append(value)
    return values


def launch_deepstream(line, release, test, **environment):
    """gst-launch-1.0 with a stand-in for DeepStream and our elements under its names."""
    plugin = nvds.compile_library(release, plugin="nvdstest", into=test.enterContext(tempfile.TemporaryDirectory()))
    fronts = os.environ.get("EDGEWIRE_DEEPSTREAM_PLUGINS", str(ewtest.ROOT / "build" / "replace" / "deepstream"))
    with tempfile.TemporaryDirectory() as d:
        env = ewtest.clean_env(GST_PLUGIN_PATH=os.pathsep.join((str(plugin.parent), fronts)), GST_REGISTRY=os.path.join(d, "r.bin"), **environment)
        out = subprocess.run(["bash", "-c", "gst-launch-1.0 " + line], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    test.assertEqual(out.returncode, 0, out.stdout)
    test.assertNotIn("WARNING: from", out.stdout)
    return out.stdout


if __name__ == "__main__":
    unittest.main()
