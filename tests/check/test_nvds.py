# SPDX-License-Identifier: LGPL-2.1-or-later
"""DeepStream's metadata, of each release, through the elements. One process per release: a process can hold only one."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

import ewtest
import nvds

HERE = pathlib.Path(__file__).resolve().parent
# The folder of the fronts under DeepStream's names.
FRONTS = os.environ.get("EDGEWIRE_DEEPSTREAM_PLUGINS", str(HERE.parents[1] / "build" / "replace" / "deepstream"))


def run(script, *arguments, timeout=120):
    out = subprocess.run([sys.executable, str(HERE / "nvds" / script), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         text=True, timeout=timeout)
    if out.returncode != 0:
        raise AssertionError(f"{script} {arguments} ended with {out.returncode}: {out.stdout[-2000:]}{out.stderr[-4000:]}")
    return json.loads(out.stdout.splitlines()[-1])


class Golden(unittest.TestCase):
    def test_every_case_with_every_release(self):
        for release in nvds.RELEASES:
            with self.subTest(release=release):
                result = run("golden.py", release, "msgconv")
                self.assertGreaterEqual(result["ran"], 155)
                self.assertEqual(result["failures"], [])


class Behaviour(unittest.TestCase):
    def with_releases(self, script):
        for release in ("6.4", "8.0", "9.1"):
            with self.subTest(release=release):
                out = subprocess.run([sys.executable, str(HERE / "nvds" / script)], env={**os.environ, "EDGEWIRE_NVDS": release},
                                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
                self.assertEqual(out.returncode, 0, out.stdout[-4000:])
                self.assertRegex(out.stdout, r"Ran (1[5-9]|[2-9]\d) tests")

    def test_of_pictures_and_sound(self):
        self.with_releases("behaviour.py")

    @unittest.skipUnless(shutil.which("g++"), "there is no C++ compiler, which the stand-in for ds3d needs")
    def test_in_space(self):
        self.with_releases("space.py")


class LookUp(unittest.TestCase):
    def test_beside_threads_that_load_libraries(self):
        """The first batch comes while codecs and models are still being loaded."""
        with tempfile.TemporaryDirectory() as d:
            program = os.path.join(d, "lookup")
            flags = subprocess.check_output(["pkg-config", "--cflags", "--libs", "gstreamer-1.0"], text=True).split()
            root = HERE.parents[1]
            subprocess.check_call(["gcc", "-std=gnu11", "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-o", program, str(root / "tests" / "nvds" / "lookup.c"),
                                   str(root / "internal" / "nvdssdk" / "sdk.c"), *flags, "-ldl", "-pthread"])
            out = subprocess.run([program, str(nvds.compile_library("9.1")), "libgstbase-1.0.so.0", "libcrypto.so.3"], stderr=subprocess.PIPE,
                                 text=True, timeout=120)
        self.assertEqual(out.returncode, 0, out.stderr)


@unittest.skipUnless(shutil.which("g++"), "there is no C++ compiler, which the stand-in for ds3d needs")
class Absent(unittest.TestCase):
    """A process that lacks a library of DeepStream's is told which."""

    def run_with(self, kind, *libraries):
        return run("absent.py", str(kind), *map(str, libraries))

    def test_ds3d(self):
        result = self.run_with(1, nvds.compile_library("9.1"), nvds.compile_ds3d("WITHOUT_FIND"))
        self.assertEqual(result["payloads"], None)
        for word in ("NvDs3D_Find1stDataMap", "libnvds_3d_gst"):
            self.assertIn(word, result["errors"])

    def test_metadata(self):
        result = self.run_with(1, nvds.compile_ds3d())
        self.assertIn("libnvds_meta has no function nvds_acquire_user_meta_from_pool", result["errors"])

    def test_messages_as_buffers_need_no_metadata(self):
        result = self.run_with("json", nvds.compile_ds3d())
        self.assertEqual((result["payloads"], result["errors"]), (1, ""))

    def test_cuda(self):
        result = self.run_with(2, nvds.compile_library("9.1"), nvds.compile_ds3d("WITHOUT_CUDA"))
        self.assertEqual((result["payloads"], result["errors"]), (1, ""))  # of what is not in a GPU's memory
        self.assertIn("no cudaMemcpy", result["warnings"])


class Release(unittest.TestCase):
    """The layout is never guessed."""

    def run_with(self, release, claim, *plugins):
        return run("release.py", str(nvds.compile_library(release, claim)), *plugins)

    def refused(self, result, *words):
        self.assertEqual(result["messages"], 0)
        for word in words:
            self.assertIn(word, result["text"])

    def test_an_older_release(self):
        self.refused(self.run_with("6.4", 603), "DeepStream 6.3", "6.4")

    def test_a_release_that_is_not_known(self):
        self.refused(self.run_with("9.1", 1000), "DeepStream 10.0", "not known")

    def test_sizes_that_are_not_the_releases(self):
        self.refused(self.run_with("8.0", 901), "544", "552", "DeepStream 9.1")
        self.refused(self.run_with("9.1", 701), "232", "200")

    def test_a_library_that_says_nothing(self):
        self.refused(self.run_with("9.1", 0), "nothing in this process")

    def test_plugins_tell_it_as_well(self):
        with tempfile.TemporaryDirectory() as d:
            agreed = [str(nvds.compile_library("9.1", 0, plugin=f"nvdsgst_{n}", version=v, into=d)) for n, v in (("a", "9.1"), ("b", "9.1.0"))]
            other = str(nvds.compile_library("9.1", 0, plugin="nvdsgst_c", version="9.0", into=d))
            mute = str(nvds.compile_library("9.1", 0, plugin="nvdsgst_d", version="unknown", into=d))
            self.assertEqual(self.run_with("9.1", 0, *agreed), {"messages": 1, "text": ""})
            self.refused(self.run_with("9.1", 0, *agreed, other), "nvdsgst_c", "9.0", "one release")
            self.refused(self.run_with("9.1", 0, mute), "nvdsgst_d", "unknown")

    def test_a_library_and_a_plugin_that_contradict(self):
        with tempfile.TemporaryDirectory() as d:
            msgconv = str(nvds.compile_library("9.1", 0, plugin="nvdsgst_msgconv", version="9.0", into=d))
            self.refused(self.run_with("9.1", None, msgconv), "9.0", "9.1", "one release")


HOST = """
import sys
sys.path.insert(0, {here!r})
import ctypes, ewtest
from ewtest import Gst
msgconv = Gst.ElementFactory.make("msgconv")
print("loaded", flush=True)
ctypes.string_at(64)
"""


class Faults(unittest.TestCase):
    """Faults in Go's code are panics; those of the host stay the host's."""

    def crash(self, *options):
        return subprocess.run([sys.executable, *options, "-c", HOST.format(here=str(HERE))], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=60)

    def test_a_host_that_crashes_dies_of_it(self):
        out = self.crash()
        self.assertEqual((out.returncode, out.stdout), (-signal.SIGSEGV, "loaded\n"), out.stderr)

    def test_a_host_with_a_handler_keeps_it(self):
        out = self.crash("-X", "faulthandler")
        self.assertEqual(out.returncode, -signal.SIGSEGV)
        self.assertIn("Fatal Python error: Segmentation fault", out.stderr)


@contextlib.contextmanager
def broker():
    """A Kafka-compatible broker of the test's own; gives HOST:PORT."""
    with tempfile.TemporaryDirectory() as d:
        ready = pathlib.Path(d) / "ready"
        process = subprocess.Popen([ewtest.CLI, "broker", "--listen", "127.0.0.1:0", "--ready-file", str(ready)],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            ewtest.wait_for(ready.exists, what="broker")
            yield ready.read_text().strip()
        finally:
            process.terminate()
            process.wait(30)


@unittest.skipUnless(os.path.exists(ewtest.CLI), "the edgewire command is not built")
class CommandLines(unittest.TestCase):
    """DeepStream's command lines run as they are, with the fronts of its names."""

    def launch(self, line, release="9.1"):
        plugin = nvds.compile_library(release, plugin="nvdstest", into=self.enterContext(tempfile.TemporaryDirectory()))
        with tempfile.TemporaryDirectory() as d:
            env = ewtest.clean_env(GST_PLUGIN_PATH=os.pathsep.join((str(plugin.parent), FRONTS)), GST_REGISTRY=os.path.join(d, "r.bin"))
            return subprocess.run(["bash", "-c", "gst-launch-1.0 " + line], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  text=True, timeout=60)

    def test_the_faces_are_the_references(self):
        env = ewtest.clean_env(GST_PLUGIN_PATH=FRONTS, GST_REGISTRY=os.path.join(self.enterContext(tempfile.TemporaryDirectory()), "r.bin"))
        for element, rank, klass, gtype, properties in (
                ("nvmsgconv", "none (0)", "Filter/Metadata", "GstNvMsgConv", {}),
                ("nvmsgbroker", "primary (256)", "Sink/Metadata", "GstNvMsgBroker",
                 {"sync": "true", "async": "true", "qos": "false", "enable-last-sample": "true", "new-api": "false"})):
            out = subprocess.run(["gst-inspect-1.0", element], env=env, stdout=subprocess.PIPE, text=True, timeout=60).stdout
            self.assertRegex(out, rf"Rank +{re.escape(rank)}")
            self.assertRegex(out, rf"Klass +{klass}")
            self.assertRegex(out, rf"\+----{gtype}\n")
            self.assertRegex(out, rf"Name +nvdsgst_{element[2:]}\n")
            for name, default in properties.items():
                self.assertRegex(out, rf"(?s)\n  {name} +: .*?Default: {default}")
        self.assertIn("Enum \"GstNvMsgConvPayloadType\"", subprocess.run(
            ["gst-inspect-1.0", "nvmsgconv"], env=env, stdout=subprocess.PIPE, text=True, timeout=60).stdout)

    def test_events_of_two_sources_arrive(self):
        with broker() as address:
            host, port = address.rsplit(":", 1)
            for new_api in (0, 1):
                topic = f"events-{new_api}"
                out = self.launch("videotestsrc num-buffers=20 ! video/x-raw,width=64,height=48 ! nvdstestmeta sources=2 events=3 ! "
                                  f"nvmsgconv config={nvds.GOLDEN}/config/site.txt payload-type=1 msg2p-newapi=0 frame-interval=30 ! "
                                  "nvmsgbroker proto-lib=/opt/nvidia/deepstream/deepstream/lib/libnvds_kafka_proto.so "
                                  f"conn-str='{host};{port};{topic}' topic={topic} sync=0 async=0 new-api={new_api} sleep-time=10")
                self.assertEqual(out.returncode, 0, out.stdout)
                messages = ewtest.consume(topic, 40, kafka=address)
                self.assertEqual(len(messages), 40)
                first = json.loads(messages[0]["value"]) if isinstance(messages[0]["value"], str) else messages[0]["value"]
                self.assertEqual(len(first["objects"]), 3)

    def test_detections_behind_a_tee_of_every_release(self):
        for release in nvds.RELEASES:
            with self.subTest(release=release), tempfile.NamedTemporaryFile() as f:
                out = self.launch("videotestsrc num-buffers=31 ! nvdstestmeta sources=2 objects=4 ! tee name=t ! queue ! "
                                  "nvmsgconv payload-type=1 msg2p-newapi=1 frame-interval=30 ! application/json ! "
                                  f"filesink location={f.name} t. ! queue ! fakesink", release)
                self.assertEqual(out.returncode, 0, out.stdout)
                self.assertEqual(f.read().count(b'"version":"4.0"'), 4)


class Broker(unittest.TestCase):
    def test_payloads_of_whoever_attached_them(self):
        with broker() as address:
            result = run("broker.py", address)
        self.assertEqual(result, {"text": "", "all": ["frame-0", "frame-1", "batch"], "selected": ["frame-1"],
                                  "audio": ["sound"], "ours": ["7", "8"], "key": "cam-1"})


if __name__ == "__main__":
    unittest.main()
