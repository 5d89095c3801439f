# SPDX-License-Identifier: LGPL-2.1-or-later
"""State changes, leaks and rough treatment of the elements."""
import json
import os
import random
import signal
import subprocess
import tempfile
import threading
import time
import unittest

import ewtest
from ewtest import APPSRC, GLib, Gst, Pipeline, conn, needs_kafka, rgb_frame, stats, took, topic, wait_for

PERSON = ("face", 10, 20, 30, 40, {"detection": {"confidence": 0.75}})


def rss_kb():
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def threads():
    return len(os.listdir("/proc/self/task"))


class Leaks(unittest.TestCase):
    def check(self, *pipeline):
        with tempfile.TemporaryDirectory() as d:
            log = os.path.join(d, "log")
            out = subprocess.run(["gst-launch-1.0", *pipeline], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60,
                                 env=ewtest.clean_env(GST_TRACERS="leaks", GST_DEBUG="GST_TRACER:7", GST_DEBUG_FILE=log, GST_DEBUG_NO_COLOR="1"))
            self.assertEqual(out.returncode, 0, out.stdout)
            with open(log) as f:
                text = f.read()
        self.assertIn("new format string: object-alive", text, "the leaks tracer did not run")
        alive = [line for line in text.splitlines() if "object-alive" in line and "build_format" not in line]
        self.assertEqual(alive, [])

    def test_msgconv_metas(self):
        self.check(*"videotestsrc num-buffers=50 ! msgconv payload-type=1 msg2p-newapi=1 frame-interval=1 ! fakesink".split())

    def test_msgconv_buffers(self):
        self.check(*"videotestsrc num-buffers=50 ! msgconv payload-type=1 msg2p-newapi=1 frame-interval=1 ! application/json ! fakesink".split())

    @needs_kafka
    def test_msgbroker(self):
        self.check(*("videotestsrc num-buffers=50 ! tee name=t ! msgconv payload-type=1 msg2p-newapi=1 frame-interval=1 ! "
                     f"msgbroker proto-lib=kafka conn-str={conn(topic(self))} t. ! queue ! fakesink").split())

    def test_msgbroker_without_a_broker(self):
        self.check(*("videotestsrc num-buffers=50 ! msgconv payload-type=1 msg2p-newapi=1 frame-interval=1 ! "
                     "msgbroker proto-lib=kafka conn-str=127.0.0.1;1;t drain-timeout=100").split())

    def test_start_that_fails(self):
        for _ in range(50):
            with Pipeline("fakesrc ! msgbroker proto-lib=kafka conn-str=nonsense") as p:
                p.state(Gst.State.PAUSED)

    def test_connections_leave_no_threads_or_memory_behind(self):
        def cycle(n):
            for _ in range(n):
                with Pipeline("msgbroker name=x proto-lib=kafka conn-str=127.0.0.1;1;t drain-timeout=0") as p:
                    p.play()
                    p["x"].emit("publish", None, GLib.Bytes(b"x"))
        cycle(30)
        before, count = rss_kb(), threads()
        cycle(150)
        wait_for(lambda: threads() < count + 4, what=f"end of librdkafka's threads, in the background; before there were {count}")
        self.assertLess(rss_kb() - before, 20_000)


class RoughTreatment(unittest.TestCase):
    def test_state_changes_while_data_flows(self):
        with Pipeline("videotestsrc is-live=false ! msgconv payload-type=1 msg2p-newapi=1 frame-interval=1 ! "
                      "msgbroker name=x proto-lib=kafka conn-str=127.0.0.1;1;t drain-timeout=0 max-queue-messages=50") as p:
            rng = random.Random(7)
            for _ in range(60):
                p.state(rng.choice([Gst.State.NULL, Gst.State.READY, Gst.State.PAUSED, Gst.State.PLAYING]))
                time.sleep(rng.random() * 0.02)
            p.pump(0)
            self.assertEqual(p.result.errors, [])

    def test_properties_from_another_thread(self):
        """Readers and writers of every property while the stream plays and stops."""
        with Pipeline("videotestsrc ! msgconv name=c payload-type=1 msg2p-newapi=1 frame-interval=1 ! "
                      "msgbroker name=x proto-lib=kafka conn-str=127.0.0.1;1;t drain-timeout=0") as p:
            stop = threading.Event()
            seen = []

            def poke():
                n = 0
                while not stop.is_set():
                    n += 1
                    p.set("c", label_map=f"a=b{n}", comp_id=n)
                    p.set("x", topic=f"t{n}", comp_id=n % 2)
                    seen.append(stats(p["x"])["state"])
            t = threading.Thread(target=poke)
            t.start()
            try:
                rounds, deadline = 0, time.monotonic() + 30
                while rounds < 20 or len(seen) <= 100:
                    p.play()
                    time.sleep(0.03)
                    p.state(Gst.State.READY)
                    rounds += 1
                    self.assertLess(time.monotonic(), deadline, f"{len(seen)} times only")
            finally:
                stop.set()
                t.join()
            self.assertEqual(p.result.errors, [])

    def test_stop_during_the_drain_at_eos(self):
        with Pipeline("appsrc name=src format=time caps=application/json ! "
                      "msgbroker name=x proto-lib=kafka conn-str=127.0.0.1;1;t drain-timeout=60000") as p:
            p.play()
            p["src"].emit("push-buffer", Gst.Buffer.new_wrapped(b"{}"))
            p["src"].emit("end-of-stream")
            time.sleep(0.5)
            self.assertLess(took(p.pipeline.set_state, Gst.State.NULL), 1.5)

    def test_a_slow_bus_handler_holds_up_nothing(self):
        with Pipeline("appsrc name=src format=time caps=application/json ! "
                      "msgbroker name=x proto-lib=kafka conn-str=127.0.0.1;1;t drain-timeout=0") as p:
            calls = []

            def handler(_bus, message, *_):
                if message.type == Gst.MessageType.WARNING:
                    calls.append(1)
                    time.sleep(1.0)
                return Gst.BusSyncReply.PASS
            p.bus.set_sync_handler(handler)
            p.play()
            deadline = time.monotonic() + 10
            while not calls and time.monotonic() < deadline:
                time.sleep(0.02)
            self.assertTrue(calls)
            p.pipeline.set_state(Gst.State.NULL)
            del p.pipeline  # the handler still sleeps: what comes after it must not touch a dead element
            time.sleep(1.5)
            p.pipeline = Gst.Pipeline.new(None)

    @needs_kafka
    def test_interrupt_of_gst_launch(self):
        """Ctrl-C with -e: what was published is acknowledged, the exit is clean."""
        t = topic(self)
        child = subprocess.Popen(
            ["gst-launch-1.0", "-e", "-m", *("videotestsrc is-live=true ! video/x-raw,width=64,height=48,framerate=100/1 ! "
             f"msgconv payload-type=1 msg2p-newapi=1 frame-interval=1 ! msgbroker proto-lib=kafka conn-str={conn(t)}").split()],
            env=ewtest.clean_env(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        ewtest.consume(t, 51)
        child.send_signal(signal.SIGINT)
        out, _ = child.communicate(timeout=20)
        self.assertEqual(child.returncode, 0, out)
        end = [line for line in out.splitlines() if "msgbroker-stats" in line][-1]
        sent = int(end.split("sent=(guint64)")[1].split(",")[0])
        self.assertGreater(sent, 50)
        self.assertIn(f"acknowledged=(guint64){sent}", end)
        self.assertEqual(len(ewtest.consume(t, sent)), sent)

    @needs_kafka
    def test_many_elements_at_once(self):
        t = topic(self)
        n = 12
        chains = " ".join(f"videotestsrc num-buffers=50 ! video/x-raw,width=32,height=32 ! msgconv payload-type=1 msg2p-newapi=1 "
                          f"frame-interval=1 sensor-id=cam-{i} ! msgbroker name=b{i} proto-lib=kafka conn-str={conn(t)}" for i in range(n))
        with Pipeline(chains) as p:
            r = p.run(60)
            self.assertTrue(r.eos, r.text())
            for i in range(n):
                self.assertEqual(stats(p[f"b{i}"])["acknowledged"], 50)
        per_sensor = {}
        for m in ewtest.consume(t, 50 * n):
            per_sensor.setdefault(m["key"], []).append(int(json.loads(m["value"])["id"]))
        self.assertEqual(per_sensor, {f"cam-{i}": list(range(50)) for i in range(n)})

    def test_flood_of_objects(self):
        with Pipeline(f"{APPSRC} ! msgconv payload-type=1 ! application/json ! appsink name=out sync=false") as p:
            p.play()
            many = [("person", i % 64, i % 48, 2, 2, {"detection": {"confidence": 0.5}, "object_id": {"id": i + 1}}) for i in range(3000)]
            p["src"].emit("push-buffer", rgb_frame(0, rois=many))
            sample = p["out"].emit("try-pull-sample", 10 * Gst.SECOND)
            b = sample.get_buffer()
            objects = json.loads(b.extract_dup(0, b.get_size()))["objects"]
            self.assertEqual([o.split("|")[0] for o in objects], [str(i + 1) for i in range(3000)])


if __name__ == "__main__":
    unittest.main()
