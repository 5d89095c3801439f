# SPDX-License-Identifier: LGPL-2.1-or-later
"""The plugins, built on this machine's GStreamer, in a newer one: GstAnalytics metadata, messages, DTLS."""
import ctypes
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import ewtest
from ewtest import APPSRC, ROOT, Pipeline, rgb_frame

HERE = pathlib.Path(__file__).resolve().parent
SCRIPT = str(ROOT / "scripts" / "newer-gstreamer")
DTLS = os.environ.get("EDGEWIRE_DTLS_PLUGINS", str(ROOT / "build" / "replace" / "dtls"))


def compile_library(name, into, folder="analytics"):
    """Builds tests/FOLDER/NAME.c for whatever GStreamer the process will have."""
    out = pathlib.Path(into) / f"lib{name}.so"
    flags = subprocess.run(["pkg-config", "--cflags", "gstreamer-1.0"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    subprocess.run(["gcc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-I", str(ROOT / "capi"), "-o", str(out), *flags,
                    str(ROOT / "tests" / folder / f"{name}.c")], check=True)
    return out


class Newer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        out = subprocess.run([SCRIPT, "fetch"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=500)
        if out.returncode != 0:
            said = out.stdout.strip()
            print(f"NOT TESTED: GStreamer newer than this machine's cannot be had:\n{said}", file=sys.stderr)
            raise unittest.SkipTest("no newer GStreamer: " + said.splitlines()[-1])

    def inside(self, *command, plugins=ewtest.PLUGINS, **env):
        with tempfile.TemporaryDirectory() as d:
            out = subprocess.run([SCRIPT, "run", *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=200,
                                 env=ewtest.clean_env(GST_PLUGIN_PATH=plugins, GST_REGISTRY=os.path.join(d, "r.bin"), EDGEWIRE_PLUGINS=plugins, **env))
        self.assertEqual(out.returncode, 0, out.stdout[-6000:])
        return out.stdout

    def test_it_is_newer(self):
        version = re.search(r"GStreamer 1\.(\d+)", self.inside("gst-inspect-1.0", "--version"))
        self.assertGreaterEqual(int(version[1]), 26)

    def test_analytics_metadata(self):
        with tempfile.TemporaryDirectory() as d:
            newer, odd = str(compile_library("newer", d)), str(compile_library("odd", d, "msg2p"))
            # Under its log of everything GStreamer 1.26 asserts where it does not otherwise.
            for scope, log in (("RTLD_LOCAL", ""), ("RTLD_GLOBAL", "anrelmeta:7")):
                with self.subTest(scope=scope):
                    out = self.inside("python3", str(HERE / "analytics" / "inside.py"), EDGEWIRE_TEST_NEWER=newer, EDGEWIRE_TEST_SCOPE=scope, EDGEWIRE_TEST_ODD=odd,
                                      G_DEBUG="fatal-criticals", GST_DEBUG=log, GST_DEBUG_FILE="/dev/null")
                    self.assertRegex(out, r"Ran (2[5-9]|[3-9]\d) tests")
                    self.assertNotIn("skipped", out)

    def test_a_library_that_is_loaded_for_a_plugin_alone(self):
        self.assertIn('"objects":["7|1|2|4|6|wombat|#|||||||0.5"]', self.inside("python3", str(HERE / "analytics" / "local.py")))

    def test_messages_reach_a_file(self):
        with tempfile.TemporaryDirectory() as d:
            self.inside("gst-launch-1.0", *f"videotestsrc num-buffers=20 ! msgconv payload-type=1 msg2p-newapi=1 frame-interval=5 ! "
                        f"msgbroker proto-lib=file conn-str={d}/out.ndjson".split())
            self.assertEqual(len(pathlib.Path(d, "out.ndjson").read_text().splitlines()), 4)

    def test_launch_lines_of_the_page(self):
        page = (ROOT / "docs" / "analytics.md").read_text()
        lines = [x for block in re.findall(r"^```sh\n(.*?)^```", page, re.M | re.S) for x in block.splitlines()]
        self.assertGreaterEqual(sum("gst-launch-1.0" in x for x in lines), 1)
        for line in lines:
            with self.subTest(line=line), tempfile.TemporaryDirectory() as d:
                line = line.replace("=build/plugins ", f"={ewtest.PLUGINS} ").replace("=build/replace/dtls ", f"={DTLS} ")
                out = subprocess.run(["bash", "-c", line], env=ewtest.clean_env(GST_REGISTRY=os.path.join(d, "r.bin")), cwd=ROOT,
                                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
                self.assertEqual(out.returncode, 0, out.stdout[-2000:])
                self.assertNotIn("WARNING", out.stdout)
                if "gst-inspect-1.0 dtls" in line:
                    self.assertRegex(out.stdout, r"Source module +gst-edgewire")

    def test_our_checks_pass_there_as_well(self):
        """Regions of interest, all schemas, both modes; DTLS handshakes and media; the end of a stream."""
        for check, least in (("test_msgconv", 25), ("test_dtls", 30), ("test_eos", 1)):
            with self.subTest(check=check):
                out = self.inside("python3", str(HERE / f"{check}.py"))
                self.assertGreaterEqual(int(re.search(r"Ran (\d+) tests? in", out)[1]), least)
                self.assertRegex(out, r"\nOK\n$")


class Without(unittest.TestCase):
    """A library that has the meta, but not the functions to read it."""

    def test_it_is_told_once(self):
        with tempfile.TemporaryDirectory() as d:
            bare = ctypes.CDLL(str(compile_library("bare", d)))
            bare.add_bare.argtypes = [ctypes.c_void_p]
            with Pipeline(f"{APPSRC} ! msgconv payload-type=1 ! fakesink") as p:
                p.play()
                for i in range(5):
                    frame = rgb_frame(i, rois=[("car", 1, 2, 3, 4, {})])
                    bare.add_bare(hash(frame))
                    p["src"].emit("push-buffer", frame)
                p["src"].emit("end-of-stream")
                result = p.pump(10)
        self.assertEqual((result.eos, len(result.errors), len(result.warnings)), (True, 0, 1), result.text())
        self.assertIn("gst_analytics_", result.warnings[0])
        self.assertIn("1.24", result.warnings[0])


if __name__ == "__main__":
    unittest.main()
