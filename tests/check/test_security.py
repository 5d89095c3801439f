# SPDX-License-Identifier: LGPL-2.1-or-later
"""The security guide holds: its commands run, in their order, against a Kafka set up as it says. And secrets stay secret."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time
import unittest

import ewtest
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


class Secrets(unittest.TestCase):
    @needs_kafka
    def test_nowhere(self):
        """A password, right or wrong, in none of: the log at its fullest, messages, stats, dot files, the command line."""
        secret = "s3cr3t-" + str(time.monotonic_ns())
        with tempfile.TemporaryDirectory(prefix="edgewire-secrets-") as folder:
            folder = pathlib.Path(folder)
            (folder / "pw").write_text(secret + "\n")
            (folder / "pw").chmod(0o600)
            address = ewtest.KAFKA.replace(":", ";")
            texts = []
            for name, config in (("inline", f'proto-cfg = "security.protocol=sasl_plaintext;sasl.mechanism=PLAIN;sasl.username=u;sasl.password={secret}"'),
                                 ("file", 'proto-cfg = "security.protocol=sasl_plaintext;sasl.mechanism=PLAIN;sasl.username=u;debug=all"\n'
                                          f"sasl-password-file={folder / 'pw'}"),
                                 ("typo", f'proto-cfg = "sasl.pasword={secret}"'),
                                 ("semicolon", f'proto-cfg = "sasl.password=a;{secret}=x"')):
                path = folder / f"{name}.txt"
                path.write_text("[message-broker]\n" + config + "\n")
                path.chmod(0o600)
                dots = folder / f"dots-{name}"
                dots.mkdir()
                program = (
                    "import sys, time; sys.path.insert(0, sys.argv[1]); import ewtest\n"
                    "from ewtest import Gst\n"
                    f"p = ewtest.Pipeline('fakesrc num-buffers=2 sizetype=fixed sizemax=4 ! application/json ! msgbroker name=b proto-lib=kafka conn-str=\"{address};t\" config={path} drain-timeout=500')\n"
                    "r = p.run(3)\n"
                    "Gst.debug_bin_to_dot_file(p.pipeline, Gst.DebugGraphDetails.ALL, 'end')\n"
                    "s = p['b'].get_property('stats'); print(r.text(), s.to_string() if s else '')\n"
                    "print(open('/proc/self/cmdline').read().replace(chr(0), ' '), open('/proc/self/comm').read())\n"
                    "p.stop()\n")
                out = subprocess.run(["/usr/bin/python3", "-c", program, str(ROOT / "tests/check")], stdout=subprocess.PIPE,
                                     stderr=subprocess.STDOUT, text=True, timeout=60, errors="replace",
                                     env={**ewtest.clean_env(EDGEWIRE_PLUGINS=ewtest.PLUGINS), "GST_DEBUG": "msgbroker:9,msgbroker-adapter:9,GST_ELEMENT*:6,basesink:5",
                                          "GST_DEBUG_DUMP_DOT_DIR": str(dots)})
                self.assertIn("msgbroker", out.stdout)
                self.assertTrue(list(dots.iterdir()), name)
                texts += [(name, out.stdout)] + [(f.name, f.read_text(errors="replace")) for f in dots.iterdir()]
            for name, text in texts:
                with self.subTest(name):
                    self.assertNotIn(secret, text, f"a password in {name}: …{text[max(0, text.find(secret) - 200):text.find(secret)]}")
            self.assertGreater(sum(len(t) for _, t in texts), 2000)

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
