# SPDX-License-Identifier: LGPL-2.1-or-later
"""The launch lines of the pages of mqtt and azure, with a Mosquitto that also stands in for IoT Hub."""
import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import ewtest
from ewtest import ROOT

SCRIPT = ROOT / "scripts" / "mosquitto"


@unittest.skipUnless(shutil.which("mosquitto_sub") and (shutil.which("mosquitto") or pathlib.Path("/usr/sbin/mosquitto").exists()),
                     "mosquitto or mosquitto-clients is missing: NOTHING of the pages of mqtt and azure is tested")
class Pages(unittest.TestCase):
    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="edgewire-mqtt-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)

    def server(self, *options):
        folder = self.dir / "server"
        out = subprocess.run([SCRIPT, "start", folder, *options], stdout=subprocess.PIPE, text=True, check=True, timeout=60).stdout
        self.addCleanup(subprocess.run, [SCRIPT, "stop", folder], timeout=60)
        fields = dict(f.split("=", 1) for f in out.split())
        return fields["address"].rsplit(":", 1)[1], fields["port2"]

    def launch_lines(self, page, n):
        lines = [x for block in re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.M | re.S) for x in block.splitlines() if "gst-launch-1.0" in x]
        self.assertEqual(len(lines), n)
        return lines

    def arrives(self, port, topic, line, count):
        """Runs a line and gives what a subscriber of another make got."""
        sub = subprocess.Popen(["stdbuf", "-oL", "mosquitto_sub", "-p", port, "-V", "5", "-q", "1", "-t", topic, "-C", str(count), "-W", "30", "-d", "-F", "MESSAGE %t %P %p"],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.addCleanup(sub.stdout.close)
        try:
            text = ""
            while "SUBACK" not in text:
                piece = sub.stdout.readline()
                self.assertTrue(piece, text)
                text += piece
            run = subprocess.run(["bash", "-c", line], cwd=ROOT, env=ewtest.clean_env(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
            self.assertEqual(run.returncode, 0, run.stdout[-2000:])
            self.assertNotIn("WARNING: from", run.stdout)
            return [x for x in sub.communicate(timeout=60)[0].splitlines() if x.startswith("MESSAGE")]
        finally:
            if sub.poll() is None:
                sub.kill()
                sub.wait()

    def test_mqtt(self):
        port, _ = self.server()
        for line in self.launch_lines(ROOT / "pkg/adapters/mqtt/README.md", 2):
            with self.subTest(line=line):
                got = self.arrives(port, "cameras/#", line.replace("localhost;1883", f"localhost;{port}").replace("localhost:1883", f"localhost:{port}"), 5)
                self.assertEqual(len(got), 5)
                self.assertTrue(all(x.startswith("MESSAGE cameras/1/frames ") and "ew-sequence:" in x for x in got), got)

    def test_deepstream_path(self):
        port, _ = self.server()
        got = self.arrives(port, "ds", "gst-launch-1.0 fakesrc num-buffers=3 sizetype=fixed sizemax=9 filltype=pattern ! application/json ! msgbroker "
                           f'proto-lib=/opt/nvidia/deepstream/deepstream/lib/libnvds_mqtt_proto.so conn-str="localhost;{port};ds"', 3)
        self.assertEqual(len(got), 3)

    def hub(self):
        """The port of a Mosquitto without TLS, and a configuration for it in the place of IoT Hub."""
        subprocess.run([ROOT / "scripts" / "test-pki", self.dir / "pki"], stdout=subprocess.DEVNULL, check=True, timeout=120)
        port, plain = self.server("--listener", "tls", "--pki", str(self.dir / "pki"))
        sample = ROOT / "pkg/adapters/azure/azure.cfg"
        config = self.dir / "azure.cfg"
        config.write_text(sample.read_text() + f"port = {port}\ntls-ca-file = {self.dir}/pki/ca.pem\n")
        return plain, config

    def test_azure(self):
        plain, config = self.hub()
        [line] = self.launch_lines(ROOT / "pkg/adapters/azure/README.md", 1)
        self.assertIn("config=pkg/adapters/azure/azure.cfg", line)
        got = self.arrives(plain, "devices/#", line.replace("pkg/adapters/azure/azure.cfg", str(config)), 5)
        self.assertEqual(len(got), 5)
        for x in got:
            self.assertRegex(x, r"^MESSAGE devices/camera1/messages/events/\S*site=east&line=4\S*&ew-session=[0-9a-f]{16}&ew-sequence=\d+ ")
            self.assertIn("%24.ct=application%2Fjson", x)

    def test_azure_from_the_cloud(self):
        """Cloud-to-device messages, direct methods and desired properties in msgbroker: as messages and as commands, which are answered."""
        plain, config = self.hub()

        def publish(topic, payload):
            subprocess.run(["mosquitto_pub", "-p", plain, "-q", "1", "-t", topic, "-m", payload], check=True, timeout=30)
        device = "HostName=hub.example;GatewayHostName=localhost;DeviceId=camera1;SharedAccessKey=c2VjcmV0"
        got, commands = [], []
        with ewtest.Pipeline("msgbroker name=x proto-lib=azure") as p:
            p.set("x", conn_str=device, config=str(config), subscribe_topics="twin;devicebound", command_topics="methods")
            p["x"].connect("message-received", lambda _, topic, payload, key, timestamp, headers: got.append((topic, payload.get_data(), headers and headers.copy())))
            p["x"].connect("cloud-command", lambda _, name, sensor, arguments, handle: commands.append(name) or name == "restart")
            p.play()
            p.pump(30, until=lambda: len(p.result.element("msgbroker-subscribed")) >= 2 and p.result.element("msgbroker-listening"))
            self.assertTrue(p.result.element("msgbroker-listening"), p.result.text())
            answers = subprocess.Popen(["stdbuf", "-oL", "mosquitto_sub", "-p", plain, "-q", "1", "-t", "$iothub/methods/res/#", "-C", "2", "-W", "30", "-d", "-F", "MESSAGE %t %p"],
                                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            self.addCleanup(answers.stdout.close)
            self.addCleanup(answers.kill)
            while "SUBACK" not in (line := answers.stdout.readline()):
                self.assertTrue(line)
            publish("devices/camera1/messages/devicebound/%24.mid=m1&colour=red", "start")
            publish("$iothub/twin/PATCH/properties/desired/?$version=4", '{"interval":10,"$version":4}')
            publish("$iothub/methods/POST/restart/?$rid=1", '{"command":"restart"}')
            publish("$iothub/methods/POST/nonsense/?$rid=2", "[]")
            p.pump(30, until=lambda: len(got) >= 2 and answers.poll() is not None)
            said = dict(line.split(" ", 2)[1:] for line in answers.communicate(timeout=60)[0].splitlines() if line.startswith("MESSAGE"))
            self.assertEqual(p.result.errors, [])
        self.assertEqual(sorted((topic, payload) for topic, payload, _ in got), [("devicebound", b"start"), ("twin", b'{"interval":10,"$version":4}')])
        headers = {topic: h for topic, _, h in got}
        self.assertEqual((headers["devicebound"].get_string("colour"), headers["twin"].get_string("version")), ("red", "4"))
        self.assertEqual(commands, ["restart"])
        self.assertEqual(sorted(said), ["$iothub/methods/res/200/?$rid=1", "$iothub/methods/res/400/?$rid=2"])
        self.assertEqual(json.loads(said["$iothub/methods/res/200/?$rid=1"])["status"], "ok")
        self.assertEqual(json.loads(said["$iothub/methods/res/400/?$rid=2"])["status"], "refused")


if __name__ == "__main__":
    unittest.main()
