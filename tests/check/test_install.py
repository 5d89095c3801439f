# SPDX-License-Identifier: LGPL-2.1-or-later
"""The plugins load as users load them: installed files, foreign hosts, no help from the build tree."""
import ctypes
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import ewtest
from ewtest import ROOT, conn, consume, needs_kafka, topic


def run(*command, timeout=120, **env):
    return subprocess.run(command, env=ewtest.clean_env(**env), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=timeout)


class Files(unittest.TestCase):
    def test_gst_inspect_knows_the_installed_elements(self):
        for element in ("msgconv", "msgbroker", "msgsrc"):
            with self.subTest(element), tempfile.TemporaryDirectory() as d:
                out = run("gst-inspect-1.0", element, GST_REGISTRY=os.path.join(d, "r.bin"))
                self.assertEqual(out.returncode, 0, out.stdout)
                self.assertIn(f"Name                     {element}", out.stdout)
                self.assertIn(os.path.realpath(ewtest.PLUGINS), os.path.realpath(re.search(r"Filename +(.+)", out.stdout)[1]))
                with open(ROOT / "internal" / "version" / "VERSION") as f:
                    self.assertIn(f"Version                  {f.read().strip()}", out.stdout)

    def test_nothing_is_blacklisted(self):
        with tempfile.TemporaryDirectory() as d:
            out = run("gst-inspect-1.0", "-b", GST_REGISTRY=os.path.join(d, "r.bin"))
            self.assertIn("Total count: 0 blacklisted files", out.stdout)

    def test_property_blurbs_read_well(self):
        out = run("gst-inspect-1.0", "msgbroker").stdout + run("gst-inspect-1.0", "msgconv").stdout + \
            run("gst-inspect-1.0", "msgsrc").stdout
        own = re.findall(r"^  ([a-z0-9-]+) +: (.+)$", out, re.M)
        self.assertGreater(len(own), 30)
        for name, blurb in own:
            self.assertRegex(blurb, r"^[A-Z]", name)
            if name == "proto-lib":
                self.assertIn("(amqp, azure, azure_edge, file, kafka, mqtt, nats, redis)", blurb)

    def test_runpaths_are_relative(self):
        for folder, _, files in os.walk(os.path.dirname(ewtest.PLUGINS)):
            for f in files:
                if re.search(r"\.so(\.\d+)*$", f):
                    path = os.path.join(folder, f)
                    out = run("readelf", "-d", path).stdout
                    for p in re.findall(r"(?:RUNPATH|RPATH).*\[(.*)\]", out):
                        self.assertTrue(all(x.startswith("$ORIGIN") for x in p.split(":")), f"{path}: {p}")

    def test_librdkafka_exports_only_renamed_symbols(self):
        lib = os.path.join(os.path.dirname(ewtest.PLUGINS), "gst-edgewire", "libedgewire-rdkafka.so.1")
        if not os.path.exists(lib):
            lib = os.path.join(os.path.dirname(ewtest.PLUGINS), "core", "libedgewire-rdkafka.so.1")
        names = [line.split()[-1] for line in run("nm", "-D", "--defined-only", lib).stdout.splitlines()]
        self.assertGreater(len(names), 400)
        self.assertEqual([n for n in names if not n.split("@")[0].startswith("ew_rd_kafka_")], [])


@needs_kafka
class Hosts(unittest.TestCase):
    def test_c_host_with_copy_relocations(self):
        t = topic(self)
        with tempfile.TemporaryDirectory() as d:
            flags = subprocess.check_output(["pkg-config", "--cflags", "--libs", "gstreamer-1.0"], text=True).split()
            exe = os.path.join(d, "host")
            # -no-pie makes the program hold copies of GStreamer's data.
            subprocess.check_call(["gcc", "-Wall", "-Wextra", "-Werror", "-no-pie", "-o", exe,
                                   str(ROOT / "examples" / "c" / "host.c"), *flags])
            relocations = run("readelf", "-rW", exe).stdout
            self.assertIn("R_X86_64_COPY" if "x86" in os.uname().machine else "R_AARCH64_COPY", relocations)
            out = run(exe, conn(t), "10", GST_REGISTRY=os.path.join(d, "r.bin"))
        self.assertEqual(out.returncode, 0, out.stdout)
        self.assertIn("GST_TYPE_CAPS GstCaps, G_TYPE_PARAM_BOXED GParamBoxed", out.stdout)
        self.assertIn("rendered=(guint64)5", out.stdout)
        self.assertIn("10 of 10 acknowledged", out.stdout)

    def test_python_beside_debians_librdkafka(self):
        """Two librdkafkas in one process, the other one global: both publish, each sees its own version."""
        t = topic(self)
        for order in ("theirs-first", "ours-first"):
            with self.subTest(order):
                out = subprocess.run([sys.executable, __file__, order, conn(f"{t}-{order}"), ewtest.KAFKA],
                                     env=ewtest.clean_env(PYTHONPATH=str(ROOT / "tests" / "check"),
                                                          EDGEWIRE_PLUGINS=ewtest.PLUGINS),
                                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
                self.assertEqual(out.returncode, 0, out.stdout)
                got = {m["value"] for m in consume(f"{t}-{order}", 2)}
                self.assertEqual(got, {'{"from":"ours"}', '{"from":"theirs"}'})

    def test_python_example(self):
        t = topic(self)
        out = run(sys.executable, str(ROOT / "examples" / "python" / "publish.py"), conn(t), "50")
        self.assertEqual(out.returncode, 0, out.stdout)
        self.assertIn("50 sent, 50 acknowledged", out.stdout)
        self.assertEqual(len(json.loads(consume(t, 50)[1]["value"])["objects"]), 2)

    def test_go_program_with_the_elements_linked_in(self):
        t = topic(self)
        with tempfile.TemporaryDirectory() as d:
            exe = os.path.join(d, "example")
            subprocess.check_call(["go", "build", "-buildvcs=false", "-o", exe, "."], cwd=ROOT / "examples" / "go")
            env = dict(ewtest.clean_env(GST_REGISTRY=os.path.join(d, "r.bin")))
            del env["GST_PLUGIN_PATH"]  # nothing to load: the elements are in the program
            out = subprocess.run([exe, conn(t), "40"], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                 text=True, timeout=90)
            self.assertEqual(out.returncode, 0, out.stdout)
            self.assertIn("acknowledged=(guint64)40", out.stdout)
            self.assertEqual(len(consume(t, 40)), 40)
            # The plugin files refuse a Go host, and say what to do instead.
            inspect = os.path.join(d, "load")
            source = os.path.join(d, "src")
            shutil.copytree(ROOT / "tests" / "check" / "gohost", source)
            subprocess.check_call(["go", "build", "-buildvcs=false", "-o", inspect, "."], cwd=source)
            out = run(inspect, os.path.join(ewtest.PLUGINS, "libgstmsgbroker.so"), GST_REGISTRY=os.path.join(d, "r2.bin"),
                      GST_DEBUG="GST_PLUGIN_LOADING:1,default:1,*:1")
            self.assertNotEqual(out.returncode, 0, out.stdout)
            self.assertIn("this process is a Go program", out.stdout)


class GoDTLS(unittest.TestCase):
    def test_go_program_whose_dtls_elements_are_ours(self):
        with tempfile.TemporaryDirectory() as d:
            exe = os.path.join(d, "dtls")
            subprocess.check_call(["go", "build", "-buildvcs=false", "-o", exe, "./dtls"], cwd=ROOT / "examples" / "go")
            env = dict(ewtest.clean_env(GST_REGISTRY=os.path.join(d, "r.bin")))
            del env["GST_PLUGIN_PATH"]  # the system's dtls plugin is there, and must not be taken
            gcm256, cm80 = "SRTP_AEAD_AES_256_GCM", "SRTP_AES128_CM_HMAC_SHA1_80"
            for options, profile in ((), gcm256), (("-tx-first", "-late", "300ms"), gcm256), (("-restart", "blue"), gcm256), \
                    (("-restart", "red", "-tx-first"), gcm256), (("-profile", cm80), cm80):
                with self.subTest(options=options):
                    out = subprocess.run([exe, *options, "2"], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
                    self.assertEqual(out.returncode, 0, out.stdout)
                    self.assertEqual("restarting" in out.stdout, "-restart" in options)
                    for name in ("red", "blue"):
                        self.assertRegex(out.stdout, rf"{name} +DTLS 1.2, {profile}: [1-9]\d+ packets decrypted")
            for options in ("-restart", "green"), ("0",), ("-profile", "nonsense"):
                with self.subTest(options=options):
                    out = subprocess.run([exe, *options], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
                    self.assertNotEqual(out.returncode, 0, out.stdout)


def beside_librdkafka(order, conn_str, address):
    """The child process of test_python_beside_debians_librdkafka."""
    from ewtest import GLib, Gst, Pipeline, stats, wait_for

    def theirs():
        lib = ctypes.CDLL("librdkafka.so.1", mode=ctypes.RTLD_GLOBAL)
        lib.rd_kafka_version_str.restype = ctypes.c_char_p
        for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_topic_new"):
            getattr(lib, name).restype = ctypes.c_void_p
        return lib

    lib = theirs() if order == "theirs-first" else None
    with Pipeline(f"msgbroker name=x proto-lib=kafka conn-str={conn_str}") as p:
        p.play()
        lib = lib or theirs()
        assert p["x"].emit("publish", None, GLib.Bytes(b'{"from":"ours"}'))
        wait_for(lambda: stats(p["x"])["acknowledged"] == 1, what="acknowledgement of ours")
        err = ctypes.create_string_buffer(512)
        conf = ctypes.c_void_p(lib.rd_kafka_conf_new())
        lib.rd_kafka_conf_set(conf, b"bootstrap.servers", address.encode(), err, 512)
        rk = ctypes.c_void_p(lib.rd_kafka_new(0, conf, err, 512))
        t = ctypes.c_void_p(lib.rd_kafka_topic_new(rk, conn_str.split(";")[2].encode(), None))
        body = b'{"from":"theirs"}'
        assert lib.rd_kafka_produce(t, -1, 2, body, len(body), None, 0, None) == 0
        assert lib.rd_kafka_flush(rk, 10000) == 0
        version = lib.rd_kafka_version_str().decode()
        assert version.startswith("2.0."), f"Debian's librdkafka says it is {version}: ours has captured it"
    with open("/proc/self/maps") as maps:
        text = maps.read()
    assert "libedgewire-rdkafka.so.1" in text and "librdkafka.so.1" in text


if __name__ == "__main__":
    if len(sys.argv) == 4:
        beside_librdkafka(*sys.argv[1:])
    else:
        unittest.main()
