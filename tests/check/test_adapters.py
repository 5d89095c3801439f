# SPDX-License-Identifier: LGPL-2.1-or-later
"""The pages of the protocols hold: their launch lines run, against real servers where they need one."""
import json
import os
import pathlib
import re
import socket
import subprocess
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
os.environ.setdefault("EDGEWIRE_PLUGINS", str(HERE.parents[1] / "build" / "plugins"))

import ewtest  # noqa: E402
from ewtest import ROOT  # noqa: E402

ADAPTERS = ROOT / "pkg" / "adapters"


def launch_lines(protocol):
    page = (ADAPTERS / protocol / "README.md").read_text()
    for block in re.findall(r"^```sh\n(.*?)^```", page, re.M | re.S):
        yield from (line for line in block.splitlines() if "gst-launch-1.0" in line)


def sh(line):
    return subprocess.run(["bash", "-c", line], env=ewtest.clean_env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)


class Server:
    """A server of one of the scripts; the test is skipped, saying so, where it is not installed."""

    def __init__(self, test, name):
        folder = tempfile.mkdtemp(prefix=f"edgewire-{name}-")
        self.dir, self.script = os.path.join(folder, "server"), ROOT / "scripts" / name
        done = subprocess.run([self.script, "start", self.dir, "--while-pid", str(os.getpid())], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=120)
        test.addCleanup(subprocess.run, ["rm", "-rf", folder])
        if done.returncode == 77:
            test.skipTest(f"{done.stderr.strip()}: THE PAGE OF {name} IS NOT TESTED")
        test.assertEqual(done.returncode, 0, done.stderr)
        test.addCleanup(subprocess.run, [self.script, "stop", self.dir], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.host, self.port = re.search(r"address=([^:]+):(\d+)", done.stdout).groups()

    def address(self):
        return f"{self.host};{self.port}"


class Pages(unittest.TestCase):
    def played(self, line):
        out = sh(line)
        self.assertEqual(out.returncode, 0, out.stdout[-1000:] + out.stderr[-2000:])
        self.assertNotIn("WARNING: from", out.stdout + out.stderr)
        return out

    def test_file(self):
        lines = list(launch_lines("file"))
        self.assertEqual(len(lines), 2)
        text = self.played(lines[0]).stdout
        self.assertEqual(len([json.loads(x) for x in text.splitlines()]), 3, text)  # nothing but messages
        with tempfile.TemporaryDirectory() as d:
            self.played(lines[1].replace("/var/tmp", d))
            with open(os.path.join(d, "edgewire-frames.ndjson")) as f:
                self.assertEqual(len([json.loads(x) for x in f]), 3)

    def test_file_of_a_spooled_run(self):
        """A folder that is missing at first: nothing is lost."""
        with tempfile.TemporaryDirectory() as d:
            line = ("gst-launch-1.0 fakesrc num-buffers=20 sizetype=fixed sizemax=10 ! application/json ! msgbroker proto-lib=file "
                    f"conn-str={d}/later/x.ndjson topic=t spool-dir={d}/spool")
            self.assertEqual(sh(line).returncode, 0)
            os.mkdir(f"{d}/later")
            self.played(line)
            with open(f"{d}/later/x.ndjson") as f:
                self.assertEqual(len(f.readlines()), 40)

    def test_amqp(self):
        s = Server(self, "rabbitmq")
        definitions = pathlib.Path(s.dir) / "queue.json"
        definitions.write_text(json.dumps({
            "queues": [{"name": "docs", "vhost": "/", "durable": True, "auto_delete": False, "arguments": {}}],
            "bindings": [{"source": "amq.topic", "vhost": "/", "destination": "docs", "destination_type": "queue", "routing_key": "frames",
                          "arguments": {}}]}))
        subprocess.run([s.script, "ctl", s.dir, "import_definitions", definitions], check=True, stdout=subprocess.DEVNULL, timeout=60)
        lines = list(launch_lines("amqp"))
        self.assertEqual(len(lines), 1)
        self.played(lines[0].replace("localhost;5672", s.address()))
        count = subprocess.run([s.script, "ctl", s.dir, "list_queues", "name", "messages"], check=True, stdout=subprocess.PIPE, text=True, timeout=60)
        self.assertIn("docs\t3", count.stdout)
        # Without a queue the user is told.
        out = sh(lines[0].replace("localhost;5672", s.address()).replace("topic=frames", "topic=nobody"))
        self.assertIn("no queue is bound to the exchange", out.stdout + out.stderr)

    def test_nats(self):
        s = Server(self, "nats")
        stream = json.dumps({"name": "docs", "subjects": ["frames"], "storage": "file", "retention": "limits", "num_replicas": 1, "discard": "old"})
        with socket.create_connection((s.host, int(s.port)), timeout=10) as k:
            f = k.makefile("rwb")
            f.readline()  # INFO
            f.write(b'CONNECT {"verbose":false}\r\nSUB r 1\r\nPUB $JS.API.STREAM.CREATE.docs r %d\r\n%s\r\nPING\r\n' % (len(stream), stream.encode()))
            f.flush()
            while b'"config"' not in (line := f.readline()):
                self.assertTrue(line)
            lines = list(launch_lines("nats"))
            self.assertEqual(len(lines), 1)
            self.played(lines[0].replace("localhost;4222", s.address()))
            f.write(b"PUB $JS.API.STREAM.INFO.docs r 0\r\n\r\n")
            f.flush()
            while b'"messages":' not in (line := f.readline()):
                self.assertTrue(line)
            self.assertIn(b'"messages":3', line)

    def test_links_and_keys(self):
        """Links lead somewhere; every key of the code is in its page, and in the samples none that is not."""
        for protocol in ("file", "amqp", "nats"):
            page = (ADAPTERS / protocol / "README.md").read_text()
            for target in re.findall(r"\]\(([^)#]+)", page):
                self.assertTrue((ADAPTERS / protocol / target).exists(), f"{protocol}: {target}")
            keys = re.findall(r'\{Name: "([a-z-]+)"', (ADAPTERS / protocol / "config.go").read_text())
            self.assertGreater(len(keys), 5)
            for key in keys:
                self.assertIn(f"`{key}`", page, protocol)
            sample = (ADAPTERS / protocol / "sample.cfg").read_text()
            for key in re.findall(r"^([a-z-]+)=", sample, re.M):
                self.assertTrue(key in keys or key.removesuffix("-file") in keys or key.startswith("tls"), f"{protocol}: {key}")


if __name__ == "__main__":
    unittest.main()
