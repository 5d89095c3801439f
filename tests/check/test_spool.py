# SPDX-License-Identifier: LGPL-2.1-or-later
"""msgbroker's spool, reconnecting, sharing and headers, as an application sees them."""
import json
import os
import subprocess
import tempfile
import unittest

import ewtest
from ewtest import GLib, Gst, Pipeline, conn, consume, needs_kafka, stats, took, topic, wait_for

AWAY = "127.0.0.1;1;t"


def publish(pipeline, *numbers):
    for n in numbers:
        pipeline["x"].emit("publish", None, GLib.Bytes(json.dumps({"n": n}).encode()))


def numbers(messages):
    return [json.loads(m["value"])["n"] for m in messages]


class Spool(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="edgewire-spool-")
        self.addCleanup(self.folder.cleanup)
        self.dir = os.path.join(self.folder.name, "made", "for me")

    def pipeline(self, where, more=""):
        p = Pipeline(f"msgbroker name=x proto-lib=kafka {more}")
        p.set("x", conn_str=where, spool_dir=self.dir)
        return p

    @needs_kafka
    def test_what_one_run_leaves_the_next_one_sends(self):
        for mode in ("overflow", "always"):
            with self.subTest(mode=mode):
                t = topic(self)
                with self.pipeline(AWAY, f"spool-mode={mode} topic={t}") as p:
                    p.play()
                    publish(p, *range(500))
                    wait_for(lambda: stats(p["x"])["spooled"] == 500, what="500 messages on disk")
                    self.assertLess(took(p.state, Gst.State.READY), 0.6)
                    s = stats(p["x"])
                    self.assertEqual((s["accepted"], s["spooled"], s["dropped"], s["queued"], s["state"]), (500, 500, 0, 0, "closed"))
                    self.assertNotIn("undelivered", p.pump(0.1).text())
                    self.assertEqual(p.result.element("msgbroker-stats")[-1].get_value("spooled"), 500)
                    session = s["session"]
                with self.pipeline(conn(t), f"spool-mode={mode}") as p:
                    p.play()
                    publish(p, 500)
                    wait_for(lambda: stats(p["x"])["acknowledged"] == 501, what="501 acknowledgements")
                    s = stats(p["x"])
                    self.assertEqual((s["recovered"], s["accepted"], s["dropped"]), (500, 1, 0))
                    wait_for(lambda: stats(p["x"])["spooled-bytes"] == 0, what="empty spool")
                got = consume(t, 501)
                self.assertEqual(numbers(got), list(range(501)))
                headers = [{h["key"]: h["value"] for h in m["headers"]} for m in got]
                self.assertEqual([(h["ew-session"], h["ew-sequence"]) for h in headers[:500]],
                                 [(session, str(i + 1)) for i in range(500)])
                self.assertEqual((headers[500]["ew-session"], headers[500]["ew-sequence"]), (s["session"], "1"))

    def test_a_torn_tail_is_cut_and_told(self):
        """What a crash leaves of the last message goes, with a warning that names the file; all the others are there."""
        with self.pipeline(AWAY) as p:
            p.play()
            publish(p, *range(100))
            wait_for(lambda: stats(p["x"])["spooled"] == 100, what="100 messages on disk")
        path = max((os.path.join(self.dir, name) for name in os.listdir(self.dir)), key=os.path.getsize)
        os.truncate(path, os.path.getsize(path) - 70)  # into the last message
        with self.pipeline(AWAY) as p:
            p.play()
            p.pump(5, until=lambda: any(path in w for w in p.result.warnings))
            self.assertIn(path, "".join(p.result.warnings))
            self.assertIn("cut", "".join(w for w in p.result.warnings if path in w))
            self.assertEqual((stats(p["x"])["recovered"], stats(p["x"])["spooled"]), (99, 99))
            self.assertEqual(p.result.errors, [])

    def test_one_folder_one_user(self):
        with self.pipeline(AWAY) as a:
            self.assertNotEqual(a.state(Gst.State.PAUSED), Gst.StateChangeReturn.FAILURE)
            with self.pipeline(AWAY) as b:
                self.assertEqual(b.state(Gst.State.PAUSED), Gst.StateChangeReturn.FAILURE)
                text = b.pump(0.2).text()
                self.assertIn(self.dir, text)
                self.assertIn(str(os.getpid()), text)
            out = subprocess.run(["gst-launch-1.0", "fakesrc", "!", "msgbroker", "proto-lib=kafka", f"conn-str={AWAY}",
                                  f"spool-dir={self.dir}"], env=ewtest.clean_env(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                 text=True, timeout=30)
            self.assertNotEqual(out.returncode, 0)
            self.assertIn(f"in use by process {os.getpid()}", out.stdout)
        with self.pipeline(AWAY) as a:
            self.assertNotEqual(a.state(Gst.State.PAUSED), Gst.StateChangeReturn.FAILURE)

    def test_folders_of_no_use(self):
        for bad in ("/proc/edgewire", "/dev/null/x"):
            with self.pipeline(AWAY) as p:
                p.set("x", spool_dir=bad)
                self.assertEqual(p.state(Gst.State.PAUSED), Gst.StateChangeReturn.FAILURE)
                self.assertIn(bad, p.pump(0.2).text())
        with self.pipeline(AWAY, "spool-max-bytes=1000") as p:
            self.assertEqual(p.state(Gst.State.PAUSED), Gst.StateChangeReturn.FAILURE)
            self.assertIn("1048576", p.pump(0.2).text())

    def test_drop_oldest(self):
        with Pipeline(f"msgbroker name=x proto-lib=kafka conn-str={AWAY} full-policy=drop-oldest max-queue-messages=10") as p:
            p.play()
            p.pump(20, until=lambda: p.result.warnings)
            publish(p, *range(100))
            s = stats(p["x"])
            self.assertEqual((s["dropped"], s["dropped-oldest"], s["queued"] + s["in-flight"]), (90, 90, 10))


class Reconnecting(unittest.TestCase):
    def write(self, text):
        f = tempfile.NamedTemporaryFile("w", suffix=".txt")
        self.addCleanup(f.close)
        f.write(text)
        f.flush()
        return f.name

    def test_limit_ends_in_an_error(self):
        path = self.write("[nvmsgbroker]\nauto-reconnect=1\nretry-interval=1\nmax-retry-limit=1\nwork-interval=10000\n")
        for how in ("property", "environment"):
            with self.subTest(how=how):
                more = f"reconnect-config={path}"
                if how == "environment":
                    GLib.setenv("EDGEWIRE_RECONNECT_CONFIG", path, True)
                    self.addCleanup(GLib.unsetenv, "EDGEWIRE_RECONNECT_CONFIG")
                    more = ""
                with Pipeline(f"msgbroker name=x proto-lib=kafka conn-str={AWAY} {more}") as p:
                    p.play()
                    r = p.pump(15)
                    self.assertIn("max-retry-limit", r.text())
                    self.assertIn("127.0.0.1:1", r.text())
                    self.assertEqual(p["x"].get_property("state"), "failed")
                    self.assertTrue(r.element("msgbroker-failed"))

    def test_bad_file(self):
        for text, word in (("[nvmsgbroker]\nretry-intervall=1\n", "retry-interval"), ("[other]\n", "nvmsgbroker")):
            with Pipeline(f"msgbroker name=x proto-lib=kafka conn-str={AWAY} reconnect-config={self.write(text)}") as p:
                self.assertEqual(p.state(Gst.State.PAUSED), Gst.StateChangeReturn.FAILURE)
                self.assertIn(word, p.pump(0.2).text())

    def test_states_are_notified_and_posted(self):
        with ewtest.kafka_server() as (address, folder):
            with Pipeline(f"msgbroker name=x proto-lib=kafka conn-str={conn('t', address)}") as p:
                seen = []
                p["x"].connect("notify::state", lambda e, _: seen.append(e.get_property("state")))
                self.assertEqual(p["x"].get_property("state"), "closed")
                p.play()
                wait_for(lambda: "connected" in seen, what="connection")
                subprocess.run([str(ewtest.ROOT / "scripts" / "kafka"), "stop", folder, "--kill"], check=True, stdout=subprocess.DEVNULL)
                wait_for(lambda: seen[-1] == "reconnecting", 30, "loss of the connection")
                p.pump(2, until=lambda: p.result.element("msgbroker-disconnected"))
                m = p.result.element("msgbroker-disconnected")[-1]
                self.assertEqual(m.get_value("host"), address)
                self.assertTrue(m.get_value("reason"))
                # Each attempt that fails is told, and until when the next is made. The warnings do not repeat themselves.
                p.pump(20, until=lambda: p.result.element("msgbroker-disconnected")[-1].get_value("attempt") >= 3)
                told = [(m.get_value("attempt"), m.get_value("next-try")) for m in p.result.element("msgbroker-disconnected")]
                self.assertGreaterEqual(told[-1][0], 3)
                self.assertEqual(told, sorted(told))
                self.assertTrue(all(0 < wait < 10_000 for attempt, wait in told if attempt), told)
                self.assertLess(len(p.result.warnings), len(told), p.result.warnings)

    def test_a_stop_ends_a_pause_of_an_hour(self):
        path = self.write("[nvmsgbroker]\nretry-interval=3600\n")
        for proto in ("kafka", "redis", "amqp", "mqtt", "nats"):
            with self.subTest(proto), Pipeline(f"msgbroker name=x proto-lib={proto} topic=t conn-str=127.0.0.1;1 reconnect-config={path}") as p:
                p.play()
                publish(p, 1, 2)
                p.pump(20, until=lambda: any(m.get_value("attempt") for m in p.result.element("msgbroker-connecting")))
                self.assertGreater(p.result.element("msgbroker-connecting")[-1].get_value("next-try"), 1_000_000)
                self.assertLess(took(p.state, Gst.State.READY), 0.5)
                self.assertEqual(stats(p["x"])["dropped-stopped"], 2)

    def test_attempts_of_every_protocol_are_told(self):
        for proto in ("kafka", "redis", "amqp", "mqtt", "nats"):
            with self.subTest(proto), Pipeline(f"msgbroker name=x proto-lib={proto} topic=t conn-str=127.0.0.1;1") as p:
                p.play()
                messages = lambda: p.result.element("msgbroker-connecting")  # noqa: E731
                p.pump(20, until=lambda: messages() and messages()[-1].get_value("attempt") >= 2)
                attempts = [m.get_value("attempt") for m in messages()]
                self.assertEqual(attempts, list(range(len(attempts))), "each of them once")
                self.assertGreater(attempts[-1], 1)
                for m in messages()[1:]:
                    self.assertEqual(m.get_value("host"), "127.0.0.1:1")
                    self.assertTrue(m.get_value("reason"))
                    self.assertGreater(m.get_value("next-try"), 0)
                self.assertEqual(len(p.result.warnings), 1, p.result.warnings)


class Sharing(unittest.TestCase):
    @needs_kafka
    def test_two_elements_one_connection(self):
        t = topic(self)
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as f:
            f.write("[message-broker]\nshare-connection = 1\n")
            f.flush()
            with Pipeline(f"msgbroker name=x proto-lib=kafka conn-str={conn(t + '-a')} config={f.name} "
                          f"msgbroker name=y proto-lib=kafka conn-str={conn(t + '-b')} config={f.name}") as p:
                p.play()
                wait_for(lambda: stats(p["y"])["state"] == "connected", what="connection")
                p["x"].emit("publish", None, GLib.Bytes(b'{"n":1}'))
                p["y"].emit("publish", None, GLib.Bytes(b'{"n":2}'))
                wait_for(lambda: stats(p["x"])["acknowledged"] == 2, what="both acknowledgements")
                self.assertTrue(stats(p["x"])["shared"])
                p["x"].set_locked_state(True)
                p["x"].set_state(Gst.State.NULL)
                p["y"].emit("publish", None, GLib.Bytes(b'{"n":3}'))
                wait_for(lambda: stats(p["y"])["acknowledged"] == 3, what="the third acknowledgement")
        self.assertEqual(numbers(consume(t + "-b", 2)), [2, 3])


if __name__ == "__main__":
    unittest.main()
