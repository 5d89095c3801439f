# SPDX-License-Identifier: LGPL-2.1-or-later
"""The security guide holds: its commands run, in their order, against a Kafka set up as it says. And secrets stay secret."""
import base64
import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import time
import unittest

import ewtest
import test_adapters
import test_capi
from ewtest import ROOT, needs_kafka

PAGE = ROOT / "docs" / "security.md"
KAFKA = ROOT / "scripts" / "kafka"
PASSWORD = "a long password"


class Guide(unittest.TestCase):
    """One run through the page; what each step must show is looked at on the way."""

    @needs_kafka
    def test_commands(self):
        for tool in ("openssl", "keytool"):
            if not shutil.which(tool):
                self.skipTest(f"{tool} is missing: the security guide is NOT tested")
        base = pathlib.Path(tempfile.mkdtemp(prefix="edgewire-security-"))
        self.addCleanup(shutil.rmtree, base, True)
        self.places = {f"/etc/{name}": base / name for name in ("edgewire", "kafka", "ca")}
        for folder in self.places.values():
            folder.mkdir()
        self.replace = {old: str(new) for old, new in self.places.items()}
        blocks = re.findall(r"^(?:`(/etc/\S+\.txt)`:\n\n|)```(sh|ini|properties)\n(.*?)^```", PAGE.read_text(), re.M | re.S)
        self.assertGreater(len(blocks), 15)
        ran = 0
        for path, kind, text in blocks:
            if kind == "ini" and path:
                pathlib.Path(self.mine(path)).write_text(self.mine(text))
            elif kind == "properties":
                self.start_kafka(base, text)
            elif kind == "sh":
                with self.subTest(text.splitlines()[-1][:100]):
                    self.run_block(self.mine(text))
                    ran += len(text.splitlines())
        self.assertGreater(ran, 30)
        self.rotation()

    def mine(self, text):
        """The commands of the page in this test's folders and on its ports."""
        for old, new in self.replace.items():
            text = text.replace(old, new)
        return text

    def run_block(self, text):
        env = ewtest.clean_env()
        out = subprocess.run(["bash", "-e", "-o", "pipefail", "-c", text], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             text=True, timeout=120)
        self.assertEqual(out.returncode, 0, f"{text}\n{out.stdout[-3000:]}")
        self.assertNotIn("WARNING: from", out.stdout)
        self.assertNotIn(PASSWORD, out.stdout)
        if "s_client" in text:
            self.assertEqual(out.stdout.count("Verification: OK"), text.count("s_client"), out.stdout)
            if "-tls1_2" in text:
                self.assertIn("TLSv1.2", out.stdout)
            if "-cipher " in text:
                self.assertIn("Ciphersuite: " + re.search(r"-cipher (\S+)", text).group(1), out.stdout)

    def start_kafka(self, base, properties):
        # A port after a colon becomes a free one; @PORT@ is the script's own.
        names = {"9092": "@PORT@", "9093": "@CONTROLLER_PORT@", "9094": "@PORT2@", "9095": "@PORT3@"}
        text = re.sub(r":(909[2345])\b", lambda m: ":" + names[m.group(1)], self.mine(properties))
        self.assertIn("@PORT3@", text)
        extra = base / "extra.properties"
        extra.write_text(text)
        folder = base / "server"
        self.addCleanup(subprocess.run, [KAFKA, "stop", folder], timeout=60)
        out = subprocess.run([KAFKA, "start", folder, "--extra", extra], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
        self.assertEqual(out.returncode, 0, out.stdout)
        ports = dict(line.split("=") for line in (folder / "ports").read_text().split())
        for old, new in (("9094", "PORT2"), ("9095", "PORT3")):
            self.replace[f"localhost:{old}"] = f"localhost:{ports[new]}"
            self.replace[f"localhost;{old}"] = f"localhost;{ports[new]}"

    def rotation(self):
        """The page's renewal, under a playing pipeline: a new connection with the new certificate, nothing lost."""
        conn_str = self.mine("localhost;9094;renewed")
        with ewtest.Pipeline(f'appsrc name=a caps=application/json ! msgbroker name=b proto-lib=kafka conn-str="{conn_str}" '
                             f'config={self.mine("/etc/edgewire/kafka-2way.txt")}') as p:
            p.play()

            def publish(n):
                for i in range(n):
                    p["b"].emit("publish", "renewed", ewtest.GLib.Bytes.new(b"{}"))

            def acknowledged(n):
                p.pump(40, lambda: p["b"].get_property("stats").get_value("acknowledged") >= n)
                self.assertEqual(p["b"].get_property("stats").get_value("acknowledged"), n, p.result.text())
            publish(100)
            acknowledged(100)
            block = re.search(r"## New certificates.*?```sh\n(.*?)^```", PAGE.read_text(), re.M | re.S).group(1)
            self.run_block(self.mine(block))
            p.pump(40, lambda: p["b"].get_property("stats").get_value("sessions") > 0)
            self.assertGreater(p["b"].get_property("stats").get_value("sessions"), 0, p.result.text())
            publish(100)
            acknowledged(200)
            self.assertEqual(p.result.errors, [])


# Both elements, set up from a description that no command line shows, run for a moment and looked at from all sides.
PROGRAM = """
import glob, json, sys
sys.path.insert(0, sys.argv[1])
import ewtest
from ewtest import Gst
common = json.loads(sys.stdin.read())
pipeline = Gst.parse_launch("fakesrc num-buffers=2 sizetype=fixed sizemax=4 ! application/json ! msgbroker name=msgbroker topic=t drain-timeout=300 "
                            "msgsrc name=msgsrc subscribe-topics=t ! fakesink async=false")
elements = [pipeline.get_by_name(name) for name in ("msgbroker", "msgsrc")]
Gst.debug_set_threshold_from_string("*:9", True)
for e in elements:
    for key, value in common.items():
        e.set_property(key, value)
bus = pipeline.get_bus()
pipeline.set_state(Gst.State.PLAYING)
until = Gst.util_get_timestamp() + Gst.SECOND
while Gst.util_get_timestamp() < until:
    m = bus.timed_pop(100 * Gst.MSECOND)
    if m is None:
        continue
    if m.type in (Gst.MessageType.ERROR, Gst.MessageType.WARNING):
        print(m.parse_error() if m.type == Gst.MessageType.ERROR else m.parse_warning())
    elif m.get_structure():
        print(m.get_structure().to_string())
Gst.debug_bin_to_dot_file(pipeline, Gst.DebugGraphDetails.ALL, "end")
for e in elements:
    for p in e.list_properties():
        if p.flags & 1:  # readable
            print(p.name, e.get_property(p.name))
            if p.name == "stats" and e.get_property("stats"):
                print(e.get_property("stats").to_string())
for name in ["/proc/self/cmdline", *glob.glob("/proc/self/task/*/comm")]:
    print(open(name).read().replace(chr(0), " "))
pipeline.set_state(Gst.State.NULL)
print("looked at")
"""


class Secrets(unittest.TestCase):
    """A password, right or wrong, in none of: the log at its fullest, messages, stats and other properties, dot files,
    the command line and the names of threads."""

    def setUp(self):
        self.secret = "s3cr3t-" + str(time.monotonic_ns())
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="edgewire-secrets-")))
        self.file = self.folder / "pw"
        self.file.write_text(self.secret + "\n")
        self.file.chmod(0o600)

    def config(self, lines):
        path = self.folder / f"cfg-{time.monotonic_ns()}.txt"
        path.write_text("[message-broker]\n" + lines + "\n")
        path.chmod(0o600)
        return path

    def look(self, name, proto, conn_str, lines=""):
        """Publishes and receives with this configuration; conn_str and lines may hold the secret."""
        about = {"proto-lib": proto, "conn-str": conn_str, "config": str(self.config(lines))}
        with self.subTest(name):
            dots = self.folder / f"dots-{time.monotonic_ns()}"
            dots.mkdir()
            out = subprocess.run(["/usr/bin/python3", "-c", PROGRAM, str(ROOT / "tests/check")], input=json.dumps(about),
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, errors="replace",
                                 env={**ewtest.clean_env(EDGEWIRE_PLUGINS=ewtest.PLUGINS), "GST_DEBUG_NO_COLOR": "1", "GST_DEBUG_DUMP_DOT_DIR": str(dots)})
            self.assertIn("looked at", out.stdout)
            self.assertRegex(out.stdout, "TRACE +GST")  # the log is there
            for said in ("conn-str", "msgbroker-", f"proto-lib {proto}"):
                self.assertIn(said, out.stdout)
            pictures = [p.read_text(errors="replace") for p in dots.iterdir()]
            self.assertTrue(pictures)
            self.assertIn("GstMsgSrc", pictures[0])
            self.absent(out.stdout, *pictures)

    def absent(self, *texts):
        for text in texts:
            at = text.find(self.secret)
            self.assertLess(at, 0, f"a password in: …{text[max(0, at - 300):max(0, at)]}")

    @needs_kafka
    def test_kafka(self):
        sasl = "security.protocol=sasl_plaintext;sasl.mechanism=PLAIN;sasl.username=u"
        for name, lines in (("inline", f'proto-cfg = "{sasl};sasl.password={self.secret}"'),
                            ("file", f'proto-cfg = "{sasl};debug=all"\nsasl-password-file={self.file}'),
                            ("typo", f'proto-cfg = "sasl.pasword={self.secret}"'),
                            ("semicolon", f'proto-cfg = "sasl.password=a;{self.secret}=x"')):
            self.look(name, "kafka", ewtest.KAFKA.replace(":", ";"), lines)
        self.look("too many parts", "kafka", f"127.0.0.1;1;t;{self.secret}")

    def test_amqp(self):
        server = test_adapters.Server(self, "rabbitmq")
        self.look("connection string", "amqp", f"{server.address()};guest;{self.secret}")
        self.look("URL", "amqp", f"amqp://guest:{self.secret}@{server.host}:{server.port}")
        self.look("malformed URL", "amqp", f"amqp://guest:%{self.secret}@{server.host}:x")
        self.look("inline", "amqp", server.address(), f"username=guest\npassword={self.secret}")
        self.look("file", "amqp", server.address(), f"username=guest\npassword-file={self.file}")

    def test_redis(self):
        server = test_adapters.Server(self, "redis")
        self.look("inline", "redis", server.address(), f"username=u\npassword={self.secret}")
        self.look("file", "redis", server.address(), f"password-file={self.file}")
        self.look("in the place of a topic's end", "redis", f"{server.address()};t;{self.secret}")

    def test_mqtt(self):
        server = test_adapters.Server(self, "mosquitto")
        self.look("inline", "mqtt", server.address(), f"username=u\npassword={self.secret}")
        self.look("file", "mqtt", server.address(), f"username=u\npassword-file={self.file}")
        self.look("URL", "mqtt", f"mqtt://u:{self.secret}@{server.host}:{server.port}")

    def test_nats(self):
        server = test_adapters.Server(self, "nats")
        for name, lines in (("password", f"username=u\npassword={self.secret}"), ("file", f"username=u\npassword-file={self.file}"),
                            ("token", f"token={self.secret}"), ("nkey", f"nkey={self.secret}"), ("credentials", f"credentials-file={self.file}")):
            self.look(name, "nats", server.address(), lines)
        self.look("URL", "nats", f"nats://{self.secret}@{server.host}:{server.port}")

    def test_azure(self):
        # The key of a device is base64; in place of a server there is nobody.
        self.secret = base64.b64encode(self.secret.encode()).decode()
        self.file.write_text(f"HostName=localhost;DeviceId=d;SharedAccessKey={self.secret}\n")
        self.look("connection string", "azure", self.file.read_text().strip(), "port=1")
        self.look("file", "azure", "", f"port=1\nconnection_str-file={self.file}")
        self.look("inline", "azure", "", f"port=1\nconnection_str=HostName=localhost;DeviceId=d;SharedAccessKey={self.secret}")
        self.look("malformed", "azure", f"HostName=localhost;SharedAccessKey={self.secret}", "port=1")

    def test_key_of_a_certificate(self):
        """The password of an encrypted key, right and wrong."""
        pki = self.folder / "pki"
        subprocess.run([ROOT / "scripts" / "test-pki", pki], check=True, stdout=subprocess.DEVNULL, timeout=60)
        right = (pki / "client-enc.password").read_text().strip()
        for self.secret in (self.secret, right):
            key = f"tls-ca-file={pki}/ca.pem\ntls-cert-file={pki}/client.pem\ntls-key-file={pki}/client-enc-key.pem\ntls-key-password={self.secret}"
            self.look("redis", "redis", "127.0.0.1;1", key)

    def test_c_interfaces(self):
        """What the C libraries log where there is no GStreamer: on standard error."""
        for protocol, conn_str in (("amqp", f"127.0.0.1;1;user;{self.secret}"), ("amqp", f"amqp://u:{self.secret}@127.0.0.1:1"),
                                   ("redis", f"127.0.0.1;1;t;{self.secret}"), ("mqtt", f"mqtt://u:{self.secret}@127.0.0.1:1"),
                                   ("kafka", f"127.0.0.1;1;t;{self.secret}"), ("azure", f"HostName=localhost;SharedAccessKey={self.secret}")):
            with self.subTest(conn_str.replace(self.secret, "***")):
                out = subprocess.run(["/usr/bin/python3", "-c", "import ctypes, sys; l = ctypes.CDLL(sys.argv[1]); l.nvds_msgapi_connect.restype = ctypes.c_void_p\n"
                                      "c = sys.stdin.read().encode()\n"
                                      "s = ctypes.create_string_buffer(65); l.nvds_msgapi_connection_signature(c, None, s, 65)\n"
                                      "assert l.nvds_msgapi_connect(c, None, None) is None", test_capi.library(protocol)],
                                     input=conn_str, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
                self.assertEqual(out.returncode, 0, out.stdout)
                self.assertIn("gst-edgewire: ", out.stdout)
                self.absent(out.stdout)

    def test_connection_strings(self):
        """Where a protocol takes a password in conn-str, reading the property does not give it: so dot files do not show it."""
        secret = f"czNjcjN0{time.monotonic_ns() % 10**12:012d}"  # base64, as a key of Azure has to be
        with tempfile.TemporaryDirectory(prefix="edgewire-secrets-") as folder:
            program = (
                "import sys; sys.path.insert(0, sys.argv[1]); import ewtest\n"
                "from ewtest import Gst\n"
                "for n, (proto, text) in enumerate(zip(sys.argv[3::2], sys.argv[4::2])):\n"
                "    for launch in 'fakesrc ! msgbroker name=x topic=t drain-timeout=0', 'msgsrc name=x subscribe-topics=t ! fakesink':\n"
                "        p = ewtest.Pipeline(launch)\n"
                "        p.set('x', proto_lib=proto, conn_str=text.replace('SECRET', sys.argv[2]))\n"
                "        p.play()\n"
                "        Gst.debug_bin_to_dot_file(p.pipeline, Gst.DebugGraphDetails.ALL, f'{n}-{launch[:4]}')\n"
                "        s = p['x'].get_property('stats')\n"
                "        print(p.run(0.3).text(), s.to_string() if s else '', 'READ', p['x'].get_property('conn-str'))\n"
                "        p.stop()\n")
            strings = {"amqp": "127.0.0.1;1;joe;SECRET", "azure": "HostName=127.0.0.1;DeviceId=d;SharedAccessKey=SECRET",
                       "kafka": "127.0.0.1;1;t;SECRET", "mqtt": "mqtt://joe:SECRET@127.0.0.1:1", "nats": "nats://joe:SECRET@127.0.0.1:1"}
            for proto, text in [*strings.items(), ("amqp", "amqp://joe:SECRET@127.0.0.1:1/v")]:
                with self.subTest(proto):
                    dots = tempfile.mkdtemp(dir=folder)
                    out = subprocess.run(["/usr/bin/python3", "-c", program, str(ROOT / "tests/check"), secret, proto, text], stdout=subprocess.PIPE,
                                         stderr=subprocess.STDOUT, text=True, timeout=60, errors="replace",
                                         env={**ewtest.clean_env(EDGEWIRE_PLUGINS=ewtest.PLUGINS), "GST_DEBUG": "msgbroker:9,msgbroker-adapter:9,msgsrc:9,msgsrc-adapter:9",
                                              "GST_DEBUG_DUMP_DOT_DIR": dots})
                    self.assertEqual(out.returncode, 0, out.stdout.replace(secret, "SECRET"))
                    self.assertEqual(out.stdout.count(" READ "), 2)
                    graphs = [f.read_text(errors="replace") for f in pathlib.Path(dots).iterdir()]
                    self.assertEqual(len(graphs), 2)
                    for graph in graphs:
                        self.assertIn("conn-str", graph)
                        self.assertIn("127.0.0.1", graph)
                    for text in [out.stdout, *graphs]:
                        at = text.find(secret)
                        self.assertEqual(at, -1, f"{text[max(0, at - 200):at]}…")


if __name__ == "__main__":
    unittest.main()
