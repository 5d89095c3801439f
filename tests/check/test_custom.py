# SPDX-License-Identifier: LGPL-2.1-or-later
"""Messages of one's own: templates (payload-template) and converter libraries (msg2p-lib)."""
import ctypes
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest

import ewtest
import nvds
from ewtest import APPSRC, ROOT, Gst, Pipeline, rgb_frame
from test_nvds import broker
from test_msgconv import CAR, CONFIG, PERSON, payload, run, data

TEMPLATE = """{{/* msgconv: per=%s */}}
{"n": {{.frame.num}}, "camera": {{.sensor.id}}, "o": [{{range .objects}}{"c": {{.class}}, "id": "{{.id}}", "w": {{.box.width}}, "conf": {{.confidence}}}{{end}}]}
"""
META = "EdgewirePayload"
HERE = pathlib.Path(__file__).resolve().parent


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


class Schemas(Case):
    """What the elements send is what the published JSON Schemas say, by another implementation than the Go tests'."""

    @classmethod
    def setUpClass(cls):
        try:
            import jsonschema
        except ImportError:
            raise unittest.SkipTest("python3-jsonschema is not installed")
        cls.jsonschema = jsonschema

    def schema(self, name):
        s = json.loads((ROOT / "docs" / "schemas" / f"{name}.schema.json").read_text())
        self.jsonschema.Draft202012Validator.check_schema(s)
        return self.jsonschema.Draft202012Validator(s)

    def test_messages_of_regions(self):
        classified = ("car", 1, 2, 3, 4, {"detection": {"confidence": 0.5}, "color": {"label": "red", "confidence": 0.5}})
        config = self.file(CONFIG, "site.txt")
        for kind, name in ((0, "full"), (1, "minimal")):
            valid = self.schema(name)
            for properties in ("", "msg2p-newapi=1 frame-interval=1", f"config={config}", f"config={config} msg2p-newapi=1 frame-interval=1", "json-indent=2", "dummy-payload=1"):
                with self.subTest(kind=kind, properties=properties):
                    buffers, result = run(f"payload-type={kind} label-map=face=person {properties}", [rgb_frame(0), rgb_frame(1, rois=[PERSON, CAR, classified])])
                    self.assertEqual(result.text(), "")
                    messages = [json.loads(m) for b, _ in buffers for m in metas(b)]
                    self.assertGreaterEqual(len(messages), 1 if kind else 3)
                    for m in messages:
                        valid.validate(m)
                    with self.assertRaises(self.jsonschema.ValidationError):
                        valid.validate({**messages[0], "@timestamp": 7})

    def test_messages_of_deepstreams_metadata(self):
        out = self.folder / "out.json"
        for kind, name in ((0, "full"), (1, "minimal")):
            for properties in ("", "msg2p-newapi=1 frame-interval=10"):
                with self.subTest(kind=kind, properties=properties):
                    launch_deepstream("videotestsrc num-buffers=11 ! nvdstestmeta sources=2 objects=4 events=3 ! "
                                      f"nvmsgconv payload-type={kind} {properties} ! application/json ! filesink location={out}", "9.1", self)
                    messages = many(out.read_text())
                    self.assertGreaterEqual(len(messages), 4)
                    for m in messages:
                        self.schema(name).validate(m)

    @unittest.skipUnless(os.path.exists(ewtest.CLI), "the edgewire command is not built")
    def test_the_command_of_the_page(self):
        page = (ROOT / "docs" / "payloads.md").read_text()
        command = next(line for line in page.splitlines() if line.startswith("edgewire consume"))
        with broker() as address:
            host, port = address.rsplit(":", 1)
            result = ewtest.launch("videotestsrc num-buffers=2 ! msgconv payload-type=1 msg2p-newapi=1 frame-interval=1 ! "
                                   f'msgbroker proto-lib=kafka conn-str="{host};{port};frames"')
            self.assertTrue(result.eos, result.text())
            for schema, lines in (("minimal", 0), ("full", 2)):
                line = command.replace("localhost:9092", address).replace("--count 10", "--count 2").replace("minimal.schema", f"{schema}.schema")
                out = subprocess.run(["bash", "-c", line], cwd=ROOT, env={**os.environ, "PATH": f"{pathlib.Path(ewtest.CLI).parent}:{os.environ['PATH']}"},
                                     stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=120)
                self.assertEqual(out.stdout.count('"version":"4.0"'), lines, out.stdout)


class Libraries(Case):
    @classmethod
    def setUpClass(cls):
        cls.built = tempfile.TemporaryDirectory(prefix="edgewire-msg2p-")
        cls.addClassCleanup(cls.built.cleanup)
        cls.objects = cls.build("examples/c/msg2p/objects.c")
        cls.odd = cls.build("tests/msg2p/odd.c")

    @classmethod
    def build(cls, source, *flags):
        out = pathlib.Path(cls.built.name, "lib" + "-".join((pathlib.Path(source).stem, *(f.removeprefix("-D") for f in flags))) + ".so")
        if not out.exists():
            glib = subprocess.check_output(["pkg-config", "--cflags", "--libs", "gstreamer-1.0"], text=True).split()
            subprocess.check_call(["gcc", "-std=gnu11", "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", *flags, "-I", str(ROOT / "capi"),
                                   "-o", str(out), str(ROOT / source), *glib])
        return str(out)

    def test_events_of_regions(self):
        site = self.file("North\nsecond line\n", "site.txt")
        frames = [rgb_frame(0), rgb_frame(1, rois=[("face", 10, 20, 30, 40, {"detection": {"confidence": 0.75}, "object_id": {"id": 7}}), CAR])]
        buffers, result = run(f"msg2p-lib={self.objects} payload-type=257 comp-id=5 config={site} sensor-id=cam-1 label-map=face=person", frames)
        self.assertEqual(result.text(), "")
        self.assertIsNone(payload(buffers[0][0]))
        messages = [json.loads(m) for m in metas(buffers[1][0])]
        self.assertEqual([m["what"] for m in messages], ["person", "car"])
        at = messages[0].pop("at")
        self.assertRegex(at, r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertEqual(messages[0], {"site": "North", "sensor": "cam-1", "id": "7", "type": 1, "what": "person", "score": 0.75, "box": [10, 20, 30, 40]})
        meta = buffers[1][0].get_custom_meta(META).get_structure()
        self.assertEqual((meta.get_value("comp-id"), meta.get_value("key"), meta.get_value("content-type")), (5, "cam-1", "application/json"))

    def test_detections_of_regions(self):
        classified = ("car", 1, 2, 3, 4, {"detection": {"confidence": 0.5}, "color": {"label": "re\"d", "confidence": 0.5}, "make": {"label": "x" * 200}})
        for kind, want in ((257, 2), (0, 2), (256, 2), (1, 1), (2, 1)):
            with self.subTest(kind=kind):
                buffers, result = run(f"msg2p-lib={self.objects} payload-type={kind} msg2p-newapi=1 frame-interval=2",
                                      [rgb_frame(i, rois=[classified, CAR]) for i in range(3)])
                self.assertEqual(result.text(), "")
                counts = [len(metas(b)) for b, _ in buffers]
                self.assertEqual(counts, [want, 0, want])
                messages = [json.loads(m) for m in metas(buffers[2][0])]
                first = messages[0] if want == 2 else messages[0][0]
                self.assertEqual(first, {"site": "", "sensor": "", "frame": 2, "id": first["id"], "what": "car", "score": 0.5, "box": [1, 2, 3, 4],
                                         "labels": ["re\"d", "x" * 200]})

    def test_numbers_that_json_has_not(self):
        for number in (float("nan"), float("inf")):
            for api in ("", "msg2p-newapi=1 frame-interval=1"):
                with self.subTest(number=number, api=api):
                    buffers, result = run(f"msg2p-lib={self.objects} payload-type=257 {api}", [rgb_frame(0, rois=[("car", 1, 2, 3, 4, {"detection": {"confidence": number}})])])
                    self.assertEqual(result.text(), "")
                    self.assertIsNone(json.loads(payload(buffers[0][0]), parse_constant=self.fail)["score"])

    def test_multiple_payloads_and_buffers(self):
        for api in ("", "msg2p-newapi=1 frame-interval=1"):
            with self.subTest(api=api):
                buffers, result = run(f"msg2p-lib={self.objects} payload-type=1 multiple-payloads=1 {api}", [rgb_frame(0, rois=[CAR, PERSON, CAR])],
                                      tail="application/json ! appsink name=out sync=false")
                self.assertEqual(result.text(), "")
                self.assertEqual([json.loads(data(b))["what"] for b, _ in buffers], ["car", "face", "car"])

    def test_dummy_and_debug(self):
        folder = self.folder / "debug"
        folder.mkdir()
        buffers, result = run(f"msg2p-lib={self.objects} payload-type=1 dummy-payload=1 debug-payload-dir={folder} sensor-id=c", [rgb_frame(0), rgb_frame(1, rois=[CAR, CAR])])
        self.assertEqual(result.text(), "")
        self.assertEqual(sorted(json.loads(payload(buffers[0][0]))), ["at", "sensor", "site"])
        self.assertEqual(len(json.loads(payload(buffers[1][0]))), 2)
        self.assertEqual(len(list(folder.iterdir())), 2)

    def odd_run(self, mode, properties="", frames=2, library=None):
        """A run with the odd library. Gives each frame's messages, the bus, and what the library did not get back."""
        library = library or self.odd
        before = ctypes.CDLL(library).odd_payloads()
        buffers, result = run(f"msg2p-lib={library} payload-type=257 config={mode} {properties}", [rgb_frame(i, rois=[CAR]) for i in range(frames)])
        lib = ctypes.CDLL(library)
        lib.odd_last.restype = ctypes.c_char_p
        self.assertEqual(lib.odd_contexts(), 0)
        return [metas(b) for b, _ in buffers], result, lib.odd_payloads() - before, lib.odd_last().decode()

    def test_what_a_library_gives_is_given_back(self):
        for properties, each in (("", 1), ("multiple-payloads=1", 1), ("msg2p-newapi=1 frame-interval=1", 1),
                                 ("msg2p-newapi=1 frame-interval=1 multiple-payloads=1", 2)):
            for mode, bytes_ in (("fine", b'{"odd":1}'), ("binary", b"a\0b\0"), ("null", None), ("no-bytes", None), ("size-0", None)):
                with self.subTest(properties=properties, mode=mode):
                    messages, result, kept, _ = self.odd_run(mode, properties)
                    self.assertEqual(result.text(), "")
                    self.assertEqual(messages, [[bytes_] * each if bytes_ else []] * 2)
                    self.assertEqual(kept, 0)

    def test_what_a_library_gets(self):
        for properties, want in (("comp-id=3", "generate 1 type=2 objType=0 frame=1 component=3"),
                                 ("msg2p-newapi=1 frame-interval=1", "new video frame=1 object=1 datamap=0 batch=1"),
                                 ("msg2p-newapi=1 frame-interval=1 payload-type=2", "new video frame=1 object=0 datamap=0 batch=1"),
                                 ("payload-type=1", "generate 1 type=2 objType=0 frame=1 component=0")):
            with self.subTest(properties=properties):
                self.assertEqual(self.odd_run("fine", properties)[3], want)

    def test_pointers_that_lead_nowhere(self):
        for mode, properties in (("nowhere", ""), ("far", ""), ("unmapped", ""), ("nowhere", "msg2p-newapi=1 frame-interval=1"), ("many", "multiple-payloads=1"),
                                 ("no-list", "multiple-payloads=1"), ("large", ""), ("short", ""), ("short", "multiple-payloads=1")):
            with self.subTest(mode=mode, properties=properties):
                messages, result, *_ = self.odd_run(mode, properties)
                self.assertEqual(messages, [[], []])
                self.assertEqual(result.errors, [])
                if mode != "no-list":
                    self.assertIn("frame 0 gives no message: ", result.text())

    def test_failures_do_not_flood_the_bus(self):
        messages, result, *_ = self.odd_run("large", frames=300)
        self.assertEqual(messages, [[]] * 300)
        self.assertTrue(1 <= len(result.warnings) <= 30, result.text()[:1000])
        self.assertIn("frame 0 gives no message: ", result.warnings[0])

    def test_pointers_that_lead_nowhere_and_messages_as_buffers(self):
        for mode in ("unmapped", "large", "short"):
            for kind, caps in ((2, "application/x-protobuf"), (257, "application/json")):
                with self.subTest(mode=mode, kind=kind):
                    buffers, result = run(f"msg2p-lib={self.odd} payload-type={kind} config={mode}", [rgb_frame(i, rois=[CAR]) for i in range(2)],
                                          tail=f"{caps} ! appsink name=out sync=false")
                    self.assertEqual((buffers, result.errors), ([], []))
                    self.assertIn("frame 0 gives no message: ", result.text())

    def test_libraries_of_old_releases(self):
        old = self.build("tests/msg2p/odd.c", "-DOLD")
        messages, result, _, _ = self.odd_run("fine", library=old)
        self.assertEqual((messages, result.text()), ([[b'{"odd":1}']] * 2, ""))
        for properties, symbol, remedy in (("multiple-payloads=1", "nvds_msg2p_generate_multiple", "multiple-payloads=false"),
                                           ("msg2p-newapi=1", "nvds_msg2p_generate_new", "msg2p-newapi=false"),
                                           ("msg2p-newapi=1 multiple-payloads=1", "nvds_msg2p_generate_multiple_new", "multiple-payloads=false")):
            self.refused(f"msg2p-lib={old} {properties}", f"does not export {symbol};", remedy)

    def test_libraries_that_are_none(self):
        result = self.refused("msg2p-lib=/nowhere/libx.so", "/nowhere/libx.so", "there is no such file")
        self.assertTrue(result.error.matches(Gst.LibraryError.quark(), Gst.LibraryError.INIT))
        self.refused("msg2p-lib=nowhere/libx.so", "relative path")
        self.refused(f"msg2p-lib={self.file('text', 'libtext.so')}", "libtext.so", "cannot be opened")
        pipe = self.folder / "pipe.so"
        os.mkfifo(pipe)
        for path in (pipe, self.folder, "/dev/null"):
            self.refused(f"msg2p-lib={path}", "is not a regular file")
        self.refused("msg2p-lib=libm.so.6", "does not export nvds_msg2p_ctx_create", "C linkage")
        self.refused(f"msg2p-lib={self.build('tests/msg2p/odd.c', '-DNO_RELEASE')}", "does not export nvds_msg2p_release;")
        result = self.refused(f"msg2p-lib={self.odd} config=refuse", "nvds_msg2p_ctx_create", "refuse")
        self.assertTrue(result.error.matches(Gst.LibraryError.quark(), Gst.LibraryError.SETTINGS))

    def test_a_function_that_nobody_has_is_a_warning(self):
        undefined = self.build("tests/msg2p/odd.c", "-DUNDEFINED")
        buffers, result = run(f"msg2p-lib={undefined} payload-type=257", [rgb_frame(0, rois=[CAR])])
        self.assertEqual(metas(buffers[0][0]), [b'{"odd":1}'])
        self.assertIn("nobody_has_this_function", result.text())

    def test_deepstreams_own_library_stands_for_the_built_in_schemas(self):
        for kind in (0, 1, 2):
            buffers, result = run(f"msg2p-lib=/opt/nvidia/deepstream/deepstream/lib/libnvds_msgconv.so payload-type={kind}", [rgb_frame(0, rois=[CAR])])
            self.assertEqual(result.text(), "")
            self.assertEqual(len(metas(buffers[0][0])), 1)
        buffers, _ = run("msg2p-lib=/opt/nvidia/deepstream/deepstream/lib/libnvds_msgconv.so payload-type=257", [rgb_frame(0, rois=[CAR])])
        self.assertEqual(metas(buffers[0][0]), [b"CUSTOM Schema\0"])

    def test_start_and_stop(self):
        with Pipeline(f"{APPSRC} ! msgconv name=x msg2p-lib={self.odd} payload-type=257 ! appsink name=out sync=false") as p:
            kept = []
            for i in range(5):
                p.play()
                p["src"].emit("push-buffer", rgb_frame(0, rois=[CAR]))
                kept.append(p["out"].emit("try-pull-sample", 5 * Gst.SECOND).get_buffer())
                p.state(Gst.State.NULL)
            self.assertEqual([metas(b) for b in kept], [[b'{"odd":1}']] * 5)  # messages outlive the library's context

    def test_several_elements_at_once(self):
        """Each has a context of its own, and calls come from as many threads."""
        before = ctypes.CDLL(self.odd).odd_payloads()
        branch = f"queue ! msgconv msg2p-lib={self.odd} payload-type=257 multiple-payloads=1 msg2p-newapi=1 frame-interval=1 ! fakesink name=s%d signal-handoffs=true"
        got = [[] for _ in range(4)]
        with Pipeline(f"{APPSRC} ! tee name=t " + " ".join(f"t. ! {branch % i}" for i in range(4))) as p:
            for i in range(4):
                p[f"s{i}"].connect("handoff", lambda _s, b, _p, i=i: got[i].append(len(metas(b))))
            p.play()
            for i in range(100):
                p["src"].emit("push-buffer", rgb_frame(i, rois=[CAR] * 3))
            p["src"].emit("end-of-stream")
            result = p.pump(20)
        self.assertEqual((result.eos, result.text()), (True, ""))
        self.assertEqual(got, [[6] * 100] * 4)
        lib = ctypes.CDLL(self.odd)
        self.assertEqual((lib.odd_contexts(), lib.odd_payloads() - before), (0, 0))

    def test_a_library_that_crashes_is_the_end_and_not_a_hang(self):
        script = ("import sys; sys.path.insert(0, %r)\nimport ewtest, test_msgconv\n"
                  "test_msgconv.run('msg2p-lib=%s payload-type=257 config=crash', [ewtest.rgb_frame(0, rois=[test_msgconv.CAR])])" % (str(HERE), self.odd))
        out = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
        self.assertEqual(out.returncode, -signal.SIGSEGV, out.stderr)

    def test_deepstreams_metadata(self):
        """The structures of the stream, as they are: the library is of the release of the stream."""
        out = self.folder / "out.json"
        for properties, count, objects in (("payload-type=257", 2 * 31 * 3, None), ("payload-type=1", 2 * 31, 3), ("payload-type=257 msg2p-newapi=1 frame-interval=30", 4 * 4, None),
                                           ("payload-type=1 msg2p-newapi=1 frame-interval=30", 4, 4), ("payload-type=1 multiple-payloads=1", 2 * 31 * 3, None)):
            with self.subTest(properties=properties):
                launch_deepstream("videotestsrc num-buffers=31 ! nvdstestmeta sources=2 objects=4 events=3 ! "
                                  f"nvmsgconv msg2p-lib={self.objects} {properties} ! application/json ! filesink location={out}", "9.1", self)
                messages = many(out.read_text())
                self.assertEqual(len(messages), count)
                if objects:
                    self.assertEqual({len(m) for m in messages}, {objects})
        # What is read of an event stands at the same place in every release.
        for release in ("6.4", "8.0"):
            with self.subTest(release=release):
                launch_deepstream("videotestsrc num-buffers=3 ! nvdstestmeta sources=2 objects=4 events=3 ! "
                                  f"nvmsgconv msg2p-lib={self.objects} payload-type=1 ! application/json ! filesink location={out}", release, self)
                messages = many(out.read_text())
                self.assertEqual([len(m) for m in messages], [3] * 6)
                self.assertTrue(all(o["score"] for m in messages for o in m))


def metas(buffer):
    """The bytes of all messages on a buffer, by ctypes: Python's binding gives only the first meta of a name."""
    out, state = [], ctypes.c_void_p()
    info = GST.gst_meta_get_info(META.encode())
    while meta := GST.gst_buffer_iterate_meta(hash(buffer), ctypes.byref(state)):
        if ctypes.c_void_p.from_address(meta + 8).value != info:
            continue
        value = GST.gst_structure_get_value(GST.gst_custom_meta_get_structure(meta), b"payload")
        size = ctypes.c_size_t()
        bytes_ = GST.g_value_get_boxed(value)
        start = GST.g_bytes_get_data(bytes_, ctypes.byref(size))
        out.append(ctypes.string_at(start, size.value))
    return out


GST = ctypes.CDLL("libgstreamer-1.0.so.0")
for name, result, *args in (("gst_meta_get_info", ctypes.c_void_p, ctypes.c_char_p), ("gst_buffer_iterate_meta", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p),
                            ("gst_structure_get_value", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p), ("gst_custom_meta_get_structure", ctypes.c_void_p, ctypes.c_void_p),
                            ("g_value_get_boxed", ctypes.c_void_p, ctypes.c_void_p), ("g_bytes_get_data", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)):
    function = getattr(GST, name)
    function.restype, function.argtypes = result, args


def many(text):
    """JSON values one behind the other."""
    decoder, at, values = json.JSONDecoder(), 0, []
    while at < len(text):
        value, at = decoder.raw_decode(text, at)
        values.append(value)
    return values


def launch_deepstream(line, release, test):
    """gst-launch-1.0 with a stand-in for DeepStream and our elements under its names."""
    folder = nvds.folder() / release
    folder.mkdir(exist_ok=True)
    plugin = nvds.compile_library(release, plugin="nvdstest", into=folder)
    fronts = os.environ.get("EDGEWIRE_DEEPSTREAM_PLUGINS", str(ewtest.ROOT / "build" / "replace" / "deepstream"))
    env = ewtest.clean_env(GST_PLUGIN_PATH=os.pathsep.join((str(plugin.parent), fronts)), GST_REGISTRY=str(folder / "registry.bin"))
    out = subprocess.run(["bash", "-c", "gst-launch-1.0 --no-fault " + line], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    test.assertEqual(out.returncode, 0, out.stdout)
    test.assertNotIn("WARNING: from", out.stdout)
    return out.stdout


if __name__ == "__main__":
    unittest.main()
