# SPDX-License-Identifier: LGPL-2.1-or-later
"""DeepStream's C interfaces: a C application that drives every function of ours."""
import ctypes
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import xml.etree.ElementTree

import ewtest
import test_adapters
from ewtest import ROOT, needs_kafka

LIBRARIES = pathlib.Path(os.environ.get("EDGEWIRE_CAPI", ROOT / "build" / "capi"))
MSGBROKER = LIBRARIES / "libnvds_msgbroker.so"
PROTOCOLS = {"kafka": "KAFKA 2.0", "redis": "REDIS 1.0", "amqp": "AMQP 4.0", "mqtt": "MQTT 4.0",
             "azure": "AZURE_DEVICE_CLIENT 2.0", "azure_edge": "AZURE_MODULE_CLIENT 1.0"}
OURS = re.compile(r"^(ew_|ewn_|nvds_msgapi|nv_msgbroker|core_|have_core)")


def library(protocol):
    return LIBRARIES / f"libnvds_{protocol}_proto.so"


class CApi(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="edgewire-capi-")
        cls.host = pathlib.Path(cls.folder.name) / "host"
        cls.compile(cls.host)

    @classmethod
    def compile(cls, host, *flags):
        out = subprocess.run(["gcc", "-g", "-std=gnu11", "-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'capi'}", "-o", host,
                              ROOT / "tests/check/capi/host.c", "-lpthread", "-ldl", *flags],
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
        assert out.returncode == 0, out.stdout

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def file(self, text):
        path = pathlib.Path(self.folder.name) / f"cfg-{time.monotonic_ns()}.txt"
        path.write_text(text)
        return path

    def conn_str(self, address=None):
        return (address or ewtest.KAFKA).replace(":", ";")

    def topic(self):
        return f"capi-{self.id().rsplit('.')[-1]}-{time.monotonic_ns()}"

    def drive(self, *args, prefix=(), timeout=90):
        out = subprocess.run([*prefix, self.host, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                             timeout=timeout, env=ewtest.clean_env())
        self.assertEqual(out.returncode, 0, out.stdout[-3000:])
        self.assertIn("all right", out.stdout)
        return out.stdout

    @needs_kafka
    def test_every_function(self):
        shared = self.file("[message-broker]\nshare-connection=1\n")
        out = self.drive("msgapi", library("kafka"), self.conn_str(), shared, self.topic(), 2000)
        self.assertIn("KAFKA 2.0", out)
        self.assertRegex(out, r"signature [0-9a-f]{64}\n")
        again = self.drive("msgapi", library("kafka"), self.conn_str(), shared, self.topic(), 1)
        self.assertEqual(re.findall("signature .*", out), re.findall("signature .*", again), "another process, another signature")
        alone = self.drive("msgapi", library("kafka"), self.conn_str(), self.file("[message-broker]\n"), self.topic(), 1)
        self.assertIn("signature \n", alone)

    def test_every_function_with_other_protocols(self):
        for protocol, script, more in (("redis", "redis", ""), ("mqtt", "mosquitto", ""), ("amqp", "rabbitmq", "mandatory=0\n")):
            with self.subTest(protocol):
                server = test_adapters.Server(self, script)
                config = self.file(f"[message-broker]\nshare-connection=1\n{more}")
                out = self.drive("msgapi", library(protocol), server.address(), config, self.topic(), 500)
                self.assertIn(PROTOCOLS[protocol], out)
                self.assertRegex(out, r"signature [0-9a-f]{64}\n")

    @needs_kafka
    def test_shared_with_an_element(self):
        """share-connection=1: an element and C callers in its process, whoever comes first, are one connection until the last has gone."""
        shared = str(self.file("[message-broker]\nshare-connection=1\n"))
        for first in ("element", "C"):
            with self.subTest(first=first):
                out = subprocess.run([sys.executable, __file__, "shared", first, shared, self.conn_str(), self.topic()], stdout=subprocess.PIPE,
                                     stderr=subprocess.STDOUT, text=True, timeout=60, env=ewtest.clean_env(EDGEWIRE_PLUGINS=ewtest.PLUGINS))
                self.assertEqual(out.returncode, 0, out.stdout[-3000:])
                self.assertIn("all right", out.stdout)

    @needs_kafka
    def test_null_and_empty_arguments(self):
        out = self.drive("nulls", library("kafka"), self.conn_str(), self.topic())
        self.assertIn("/nowhere/cfg.txt: cannot open the configuration file", out)

    def test_absent_server(self):
        self.assertIn("Connection refused", self.drive("absent", library("kafka"), "127.0.0.1;1"))

    @needs_kafka
    def test_library_of_the_broker(self):
        for proto_lib in ("kafka", library("kafka"), "/opt/nvidia/deepstream/deepstream/lib/libnvds_kafka_proto.so"):
            with self.subTest(proto_lib):
                self.drive("msgbroker", MSGBROKER, proto_lib, self.conn_str(), self.topic(), 500, 4)

    @needs_kafka
    def test_our_adaptor_as_anyone_elses(self):
        """Our adaptor's library, asked for by its file: C, Go, C and Go again."""
        self.drive("msgbroker", MSGBROKER, f"file:{library('kafka')}", self.conn_str(), self.topic(), 200, 2)

    @needs_kafka
    def test_calls_from_call_backs(self):
        self.drive("inside", MSGBROKER, "kafka", self.conn_str(), self.topic())

    @needs_kafka
    def test_disconnect_from_call_backs(self):
        self.drive("stopping", library("kafka"), self.conn_str(), self.topic())

    @needs_kafka
    def test_disconnect_by_many_threads(self):
        self.drive("ends", library("kafka"), self.conn_str(), self.topic())

    @needs_kafka
    def test_two_libraries(self):
        self.drive("both", library("kafka"), MSGBROKER, self.conn_str(), self.topic())

    @needs_kafka
    def test_outage(self):
        """Kafka killed and started again under a C application: it is told, and nothing is lost."""
        folder = pathlib.Path(self.folder.name) / "kafka"
        kafka = ROOT / "scripts" / "kafka"

        def run(*args):
            return subprocess.run([kafka, *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
        started = run("start", folder)
        self.assertEqual(started.returncode, 0, started.stdout)
        self.addCleanup(run, "stop", folder)
        address = re.search(r"bootstrap=(\S+)", started.stdout).group(1)
        host = subprocess.Popen([self.host, "outage", str(MSGBROKER), "kafka", self.conn_str(address), "events", "8000"],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=ewtest.clean_env())
        self.addCleanup(host.kill)
        for line in host.stdout:
            if line == "connected\n":
                break
        time.sleep(1)
        run("stop", folder, "--kill")
        time.sleep(1.5)
        self.assertEqual(run("start", folder).returncode, 0)
        out, _ = host.communicate(timeout=90)
        self.assertEqual(host.returncode, 0, out[-3000:])
        self.assertIn("state 2", out)

    @needs_kafka
    def test_receive(self):
        self.drive("receive", library("kafka"), MSGBROKER, "kafka", self.conn_str(), self.topic())

    def test_an_adaptor_that_cannot_subscribe(self):
        journal = pathlib.Path(self.folder.name) / "libjournal_proto.so"
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", journal, ROOT / "examples/c/adaptor/journal.c", "-lpthread"], check=True, timeout=60)
        text = pathlib.Path(self.folder.name) / "journal.txt"
        self.drive("unsupported", MSGBROKER, journal, text)
        self.assertEqual(text.read_bytes(), b"events goes on\n")

    @needs_kafka
    def test_refused(self):
        """The synchronous send returns what the server said, where it makes no topics."""
        address, _ = self.enterContext(ewtest.kafka_server("--auto-create=off"))
        config = self.file('[message-broker]\nproto-cfg = "topic.metadata.propagation.max.ms=500"\n')
        out = self.drive("refused", library("kafka"), self.conn_str(address), config)
        for word in ("topic nowhere on ", "the topic does not exist", "create the topic", "the topic name is not valid", "is larger than message.max.bytes"):
            self.assertIn(word, out)

    def test_symbols(self):
        """Each library exports the functions of its header, and nothing else: no symbol of ours can be taken for one of the host's."""
        want = {}
        for header in ("nvds_msgapi.h", "nvmsgbroker.h"):
            text = re.sub(r"/\*.*?\*/", "", (ROOT / "capi" / header).read_text(), flags=re.S)
            want[header] = {name for name in re.findall(r"^\w[\w ]*[ *](nv\w+)\(", text, re.M) if not name.endswith("_t")}
        self.assertEqual(want["nvds_msgapi.h"], {"nvds_msgapi_" + name for name in (
            "connect", "send", "send_async", "subscribe", "do_work", "disconnect", "getversion", "get_protocol_name", "connection_signature")})
        self.assertEqual(want["nvmsgbroker.h"], {"nv_msgbroker_" + name for name in ("connect", "send_async", "subscribe", "disconnect", "version")})
        for path, header in [(library(p), "nvds_msgapi.h") for p in PROTOCOLS] + [(MSGBROKER, "nvmsgbroker.h")]:
            with self.subTest(path.name):
                out = subprocess.run(["nm", "-D", "--defined-only", path], stdout=subprocess.PIPE, check=True, text=True, timeout=60)
                self.assertEqual({line.split()[-1] for line in out.stdout.splitlines()}, want[header])

    def test_signatures(self):
        """64 digits where a connection may be shared, else none; the same in each process, and another for another configuration."""
        program = ("import ctypes, sys\nl = ctypes.CDLL(sys.argv[1])\nout = ctypes.create_string_buffer(b'x' * 65, 66)\n"
                   "print(l.nvds_msgapi_connection_signature(*(a.encode() or None for a in sys.argv[2:4]), out, 65), out.value.decode())")

        def signature(protocol, conn_str, config):
            out = subprocess.run(["/usr/bin/python3", "-c", program, library(protocol), conn_str, str(config)], stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, text=True, timeout=60)
            return out.stdout
        azure = "HostName=h;DeviceId={};SharedAccessKey=c2VjcmV0"
        for protocol, one, two in (("kafka", "h;1", "h;2"), ("redis", "h;1", "i;1"), ("amqp", "h;1;u;p", "h;1;u;q"), ("mqtt", "h;1", "h;2"),
                                   ("azure", azure.format("d"), azure.format("e")),
                                   ("azure_edge", azure.format("d") + ";ModuleId=m", azure.format("d") + ";ModuleId=n")):
            with self.subTest(protocol):
                shared = self.file("[message-broker]\nshare-connection=1\n")
                first = signature(protocol, one, shared)
                self.assertRegex(first, r"^0 [0-9a-f]{64}\n$")
                self.assertEqual(signature(protocol, one, shared), first)
                self.assertNotEqual(signature(protocol, two, shared), first)
                self.assertEqual(signature(protocol, one, self.file("[message-broker]\nshare-connection=0\n")), "0 \n")
                self.assertEqual(signature(protocol, one, ""), "0 \n")

    def test_deepstreams_logger(self):
        """Where the process has DeepStream's logger, what is wrong is told there and nowhere else."""
        host = pathlib.Path(self.folder.name) / "host-with-logger"
        self.compile(host, "-DWITH_LOGGER", "-rdynamic")
        out = subprocess.run([host, "absent", library("kafka"), "127.0.0.1;1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             timeout=60, env=ewtest.clean_env())
        self.assertEqual((out.returncode, out.stderr), (0, ""))
        self.assertRegex(out.stdout, r"logger GST_EDGEWIRE 3 connect: no connection within .*Connection refused")

    def test_gstreamers_log(self):
        """After gst_init it is GStreamer's debug log."""
        out = subprocess.run(["/usr/bin/python3", "-c", "import ctypes, gi, sys\ngi.require_version('Gst', '1.0')\nfrom gi.repository import Gst\n"
                              "Gst.init(None)\nl = ctypes.CDLL(sys.argv[1])\nl.nvds_msgapi_connect.restype = ctypes.c_void_p\n"
                              "assert l.nvds_msgapi_connect(b'nonsense', None, None) is None", library("kafka")], stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, timeout=60, env=ewtest.clean_env(GST_DEBUG="msgapi:1", GST_DEBUG_NO_COLOR="1"))
        self.assertEqual(out.returncode, 0, out.stdout)
        self.assertRegex(out.stdout, r"ERROR +msgapi .*conn-str \"nonsense\": the port is missing")
        self.assertNotIn("gst-edgewire: ", out.stdout)

    def test_names(self):
        """Every library tells what DeepStream's of that name tells."""
        for protocol, want in PROTOCOLS.items():
            with self.subTest(protocol):
                out = subprocess.run(
                    ["/usr/bin/python3", "-c", "import ctypes, sys; l = ctypes.CDLL(sys.argv[1])\n"
                     "for f in (l.nvds_msgapi_get_protocol_name, l.nvds_msgapi_getversion):\n"
                     "    f.restype = ctypes.c_char_p; print(f().decode(), end=' ')", library(protocol)],
                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
                self.assertEqual(out.stdout.strip(), want)

    @needs_kafka
    def test_valgrind(self):
        if not shutil.which("valgrind"):
            self.skipTest("valgrind is missing: NOTHING of the C fronts is checked for memory errors")
        report = pathlib.Path(self.folder.name) / "valgrind.xml"
        for args in (("both", library("kafka"), MSGBROKER, self.conn_str(), self.topic()),
                     ("receive", library("kafka"), MSGBROKER, "kafka", self.conn_str(), self.topic()),
                     ("nulls", library("kafka"), self.conn_str(), self.topic())):
            with self.subTest(args[0]):
                self.drive(*args, timeout=240, prefix=(
                    "valgrind", "--xml=yes", f"--xml-file={report}", "--leak-check=full", "--show-leak-kinds=definite", "-q",
                    f"--suppressions={ROOT / 'tests/check/capi/valgrind.supp'}"))
                ours = []
                for error in xml.etree.ElementTree.parse(report).getroot().iter("error"):
                    frames = [(f.findtext("fn") or "", f.findtext("obj") or "") for f in error.find("stack").iter("frame")]
                    if any(OURS.match(fn) or "libnvds_" in obj for fn, obj in frames) or any(obj == str(self.host) for _, obj in frames[:1]):
                        ours.append((error.findtext("kind"), frames))
                self.assertEqual(ours, [])


def beside_an_element(first, config, conn_str, topic):
    """The child process of test_shared_with_an_element."""
    class Message(ctypes.Structure):
        _fields_ = [("topic", ctypes.c_char_p), ("payload", ctypes.c_char_p), ("payload_len", ctypes.c_size_t)]

    lib = ctypes.CDLL(str(MSGBROKER))
    callback = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int)
    lib.nv_msgbroker_connect.restype = ctypes.c_void_p
    lib.nv_msgbroker_connect.argtypes = [ctypes.c_char_p, ctypes.c_char_p, callback, ctypes.c_char_p]
    lib.nv_msgbroker_send_async.argtypes = [ctypes.c_void_p, Message, callback, ctypes.c_void_p]
    lib.nv_msgbroker_disconnect.argtypes = [ctypes.c_void_p]
    answers = []
    told, sent = callback(lambda handle, status: None), callback(lambda user, status: answers.append(status))

    def connect():
        handle = lib.nv_msgbroker_connect(conn_str.encode(), b"kafka", told, config.encode())
        assert handle
        return handle

    with ewtest.Pipeline(f"msgbroker name=x proto-lib=kafka topic={topic} conn-str={conn_str} config={config}") as p:
        handle = connect() if first == "C" else None
        p.play()
        ewtest.wait_for(lambda: ewtest.stats(p["x"])["state"] == "connected", what="connection")
        handle = handle or connect()
        for _ in range(10):
            assert lib.nv_msgbroker_send_async(handle, Message(topic.encode(), b"from C", 6), sent, None) == 0
        assert p["x"].emit("publish", None, ewtest.GLib.Bytes(b"from the element"))
        ewtest.wait_for(lambda: ewtest.stats(p["x"])["acknowledged"] == 11, what="the element's stats tell of all")
        ewtest.wait_for(lambda: answers == [0] * 10, what="call backs")
        assert ewtest.stats(p["x"])["shared"]
        assert lib.nv_msgbroker_disconnect(handle) == 0
        assert p["x"].emit("publish", None, ewtest.GLib.Bytes(b"still there"))
        ewtest.wait_for(lambda: ewtest.stats(p["x"])["acknowledged"] == 12, what="the element goes on alone")
        assert ewtest.stats(p["x"])["state"] == "connected"
    print("all right")


if __name__ == "__main__":
    if sys.argv[1:2] == ["shared"]:
        beside_an_element(*sys.argv[2:])
    else:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        unittest.main()
