# SPDX-License-Identifier: LGPL-2.1-or-later
"""msgbroker against a real Kafka: what is published arrives, and what goes wrong is told."""
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
import unittest

import ewtest
from ewtest import APPSRC, GLib, Gst, Pipeline, conn, consume, needs_kafka, rgb_frame, stats, took, topic, wait_for

PERSON = ("face", 10, 20, 30, 40, {"detection": {"confidence": 0.75}, "object_id": {"id": 7}})
JSON = "appsrc name=src format=time caps=application/json"


def push(pipeline, frames):
    for f in frames:
        pipeline["src"].emit("push-buffer", f)
    pipeline["src"].emit("end-of-stream")


def json_buffer(value):
    return Gst.Buffer.new_wrapped(json.dumps(value).encode())


@needs_kafka
class Publishing(unittest.TestCase):
    def test_detections_arrive_in_order_with_key_and_count(self):
        t = topic(self)
        with Pipeline(f"{APPSRC} ! msgconv payload-type=1 sensor-id=cam-9 label-map=face=person ! "
                      f"msgbroker name=x proto-lib=kafka conn-str={conn(t)}") as p:
            p.play()
            push(p, [rgb_frame(i, rois=[PERSON] * (i % 3)) for i in range(300)])
            r = p.pump(30)
            self.assertTrue(r.eos, r.text())
            self.assertEqual(r.text(), "")
            s = stats(p["x"])
            self.assertEqual((s["sent"], s["acknowledged"], s["failed"], s["dropped"], s["queued"]), (200, 200, 0, 0, 0))
            self.assertEqual(s["state"], "connected")
            posted = r.element("msgbroker-stats")[0]
            self.assertEqual(posted.get_value("acknowledged"), 200)
        got = consume(t, 200)
        values = [json.loads(m["value"]) for m in got]
        self.assertEqual([int(v["id"]) for v in values], [i for i in range(300) if i % 3])
        self.assertEqual({m["key"] for m in got}, {"cam-9"})

    def test_plain_buffers_of_every_kind(self):
        for caps, body in (("application/json", b'{"a":1}'), ("text/x-raw,format=utf8", b"hello"),
                           ("application/x-protobuf", b"\x0a\x00\xff\x00binary")):
            with self.subTest(caps=caps):
                t = topic(self) + caps.split(",")[0].replace("/", "-")
                with Pipeline(f"appsrc name=src format=time caps={caps} ! msgbroker proto-lib=kafka conn-str={conn(t)}") as p:
                    p.play()
                    push(p, [Gst.Buffer.new_wrapped(body)])
                    r = p.pump(20)
                    self.assertTrue(r.eos)
                    self.assertEqual(r.text(), "")
                out = subprocess.run(["kcat", "-C", "-b", ewtest.KAFKA, "-t", t, "-c", "1", "-o", "beginning", "-e", "-q", "-D", ""],
                                     stdout=subprocess.PIPE, timeout=30)
                self.assertEqual(out.stdout, body)

    def test_buffer_lists(self):
        t = topic(self)
        with Pipeline(f"{JSON} ! msgbroker name=x proto-lib=kafka conn-str={conn(t)}") as p:
            p.play()
            batch = Gst.BufferList.new()
            for i in range(10):
                batch.insert(-1, json_buffer({"n": i}))
            p["src"].emit("push-buffer-list", batch)
            p["src"].emit("end-of-stream")
            self.assertTrue(p.pump(20).eos)
            self.assertEqual(stats(p["x"])["acknowledged"], 10)
        self.assertEqual([json.loads(m["value"])["n"] for m in consume(t, 10)], list(range(10)))

    def test_publish_action_from_the_application(self):
        t = topic(self)
        with Pipeline(f"msgbroker name=x proto-lib=kafka conn-str={conn(t)}") as p:
            self.assertFalse(p["x"].emit("publish", None, GLib.Bytes(b"too early")))
            p.play()
            self.assertTrue(p["x"].emit("publish", None, GLib.Bytes(b'{"to":"default"}')))
            self.assertTrue(p["x"].emit("publish", t + "-other", GLib.Bytes(b'{"to":"other"}')))
            wait_for(lambda: stats(p["x"])["acknowledged"] == 2, what="acknowledgement")
        self.assertEqual(json.loads(consume(t, 1)[0]["value"])["to"], "default")
        self.assertEqual(json.loads(consume(t + "-other", 1)[0]["value"])["to"], "other")

    def test_topic_changes_while_playing(self):
        t = topic(self)
        with Pipeline(f"{JSON} ! msgbroker name=x proto-lib=kafka conn-str={conn(t)}") as p:
            p.play()
            p["src"].emit("push-buffer", json_buffer({"n": 1}))
            wait_for(lambda: stats(p["x"])["acknowledged"] == 1)
            p.set("x", topic=" " + t + "-b ")
            push(p, [json_buffer({"n": 2})])
            self.assertTrue(p.pump(20).eos)
        self.assertEqual(json.loads(consume(t + "-b", 1)[0]["value"])["n"], 2)

    def test_comp_id_selects(self):
        t = topic(self)
        with Pipeline(f"{APPSRC} ! msgconv comp-id=3 ! msgconv comp-id=4 ! "
                      f"msgbroker name=x comp-id=4 proto-lib=kafka conn-str={conn(t)}") as p:
            p.play()
            push(p, [rgb_frame(i, rois=[PERSON]) for i in range(5)])
            self.assertTrue(p.pump(20).eos)
            self.assertEqual(stats(p["x"])["acknowledged"], 5)

    def test_deepstream_command_line(self):
        """The library of DeepStream stands for the built-in adapter, and the element says so."""
        t = topic(self)
        path = "/opt/nvidia/deepstream/deepstream/lib/libnvds_kafka_proto.so"
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as f:
            f.write('[message-broker]\nproto-cfg="linger.ms=1;compression.codec=lz4"\npartition-key = sensor.id\n')
            f.flush()
            with Pipeline(f"{JSON} ! msgbroker name=x proto-lib={path} conn-str={conn()} topic={t} config={f.name} "
                          "sync=0 new-api=1 sleep-time=10") as p:
                p.play()
                push(p, [json_buffer({"n": 1})])
                r = p.pump(20)
                self.assertTrue(r.eos, r.text())
                s = stats(p["x"])
        self.assertEqual((s["proto-lib"], s["adapter"], s["substituted"], s["acknowledged"]), (path, "kafka", True, 1))

    def test_live_tee_pipeline_does_not_hang(self):
        t = topic(self)
        with Pipeline("videotestsrc is-live=true num-buffers=20 ! video/x-raw,width=64,height=48,framerate=50/1 ! tee name=t ! "
                      "queue ! fakesink sync=true  t. ! queue ! msgconv payload-type=1 msg2p-newapi=1 frame-interval=5 ! "
                      f"msgbroker name=x proto-lib=kafka conn-str={conn(t)}") as p:
            r = p.run(20)
            self.assertTrue(r.eos, r.text())
            self.assertEqual(stats(p["x"])["acknowledged"], 4)

    def test_tee_without_queues_does_not_hang(self):
        """The other branch needs many buffers before it prerolls; nothing separates it from msgbroker's."""
        t = topic(self)
        with Pipeline("videotestsrc num-buffers=60 ! video/x-raw,width=64,height=48 ! tee name=t ! msgconv payload-type=1 "
                      f"msg2p-newapi=1 frame-interval=1 ! msgbroker name=x proto-lib=kafka conn-str={conn(t)} "
                      "t. ! queue min-threshold-buffers=20 max-size-buffers=60 max-size-bytes=0 max-size-time=0 ! fakesink") as p:
            r = p.run(20)
            self.assertTrue(r.eos, r.text())
            self.assertEqual(stats(p["x"])["acknowledged"], 60)

    def test_async_true_prerolls_as_usual(self):
        t = topic(self)
        with Pipeline("videotestsrc num-buffers=30 ! msgconv payload-type=1 msg2p-newapi=1 frame-interval=1 ! "
                      f"msgbroker name=x async=true sync=true proto-lib=kafka conn-str={conn(t)}") as p:
            self.assertNotEqual(p.state(Gst.State.PAUSED), Gst.StateChangeReturn.FAILURE)
            r = p.run(20)
            self.assertTrue(r.eos, r.text())
            self.assertEqual(stats(p["x"])["acknowledged"], 30)

    def test_pause_holds_the_stream(self):
        with Pipeline(f"videotestsrc ! video/x-raw,width=32,height=32 ! msgconv payload-type=1 msg2p-newapi=1 frame-interval=1 ! "
                      f"msgbroker name=x proto-lib=kafka conn-str={conn(topic(self))}") as p:
            p.play()
            wait_for(lambda: stats(p["x"])["sent"] > 10)
            self.assertEqual(p.state(Gst.State.PAUSED), Gst.StateChangeReturn.SUCCESS)
            time.sleep(0.2)
            before = stats(p["x"])
            time.sleep(0.3)
            after = stats(p["x"])
            total = [s["queued"] + s["in-flight"] + s["acknowledged"] for s in (before, after)]
            self.assertEqual(total[0], total[1])

    def test_pause_during_back_pressure_and_back(self):
        """GstBaseSink unlocks for PAUSED too: what a full queue held must go on afterwards."""
        with ewtest.kafka_server() as (address, folder):
            with open(os.path.join(folder, "pid")) as f:
                pid = int(f.read())
            with Pipeline("fakesrc sizetype=fixed sizemax=1000 ! application/json ! msgbroker name=x proto-lib=kafka "
                          f"max-queue-messages=100 block-timeout=20000 conn-str={conn('t', address)}") as p:
                p.play()
                wait_for(lambda: stats(p["x"])["acknowledged"] > 500, 30)
                os.kill(pid, signal.SIGSTOP)
                try:
                    time.sleep(0.5)
                    self.assertLess(took(p.state, Gst.State.PAUSED), 2)
                finally:
                    os.kill(pid, signal.SIGCONT)
                p.play()
                before = stats(p["x"])["acknowledged"]
                wait_for(lambda: stats(p["x"])["acknowledged"] > before + 1000, 20, "acknowledgements after the pause")

    def test_flush_and_stop_during_back_pressure(self):
        """A full queue holds the stream back for block-timeout; a flush and a stop end that at once."""
        with ewtest.kafka_server() as (address, folder):
            with open(os.path.join(folder, "pid")) as f:
                pid = int(f.read())
            with Pipeline(f"{JSON} max-bytes=0 ! msgbroker name=x proto-lib=kafka max-queue-messages=100 block-timeout=60000 drain-timeout=300 "
                          f"conn-str={conn('t', address)}") as p:
                p.play()
                p["src"].emit("push-buffer", json_buffer({"n": 0}))
                wait_for(lambda: stats(p["x"])["acknowledged"] == 1, 30)

                def held():
                    for i in range(300):
                        p["src"].emit("push-buffer", json_buffer({"n": i}))
                    wait_for(lambda: stats(p["x"])["queued"] + stats(p["x"])["in-flight"] == 100, 10, "a full queue")
                os.kill(pid, signal.SIGSTOP)
                try:
                    held()
                    began = time.monotonic()
                    p["src"].send_event(Gst.Event.new_flush_start())
                    p["src"].send_event(Gst.Event.new_flush_stop(True))
                    self.assertLess(time.monotonic() - began, 2)
                    held()
                    self.assertEqual(stats(p["x"])["dropped"], 0, "what a flush throws away was never taken")
                    began = time.monotonic()
                    p.state(Gst.State.READY)
                    self.assertLess(time.monotonic() - began, 3)
                finally:
                    os.kill(pid, signal.SIGCONT)
                s = stats(p["x"])
                self.assertEqual((s["accepted"], s["acknowledged"] + s["dropped-stopped"]), (101, 101))

    def test_ready_closes_and_opens_anew(self):
        a, b = topic(self) + "-a", topic(self) + "-b"
        with Pipeline(f"msgbroker name=x proto-lib=kafka conn-str={conn(a)}") as p:
            for name in (a, b):
                p.set("x", conn_str=conn(name))
                p.play()
                wait_for(lambda: stats(p["x"])["state"] == "connected", what="connection")
                p["x"].emit("publish", None, GLib.Bytes(name.encode()))
                p.state(Gst.State.READY)
                self.assertEqual((stats(p["x"])["state"], stats(p["x"])["acknowledged"]), ("closed", 1))
                self.assertEqual(consume(name, 1)[0]["value"], name)

    def test_empty_topic_means_that_of_conn_str(self):
        t = topic(self)
        with Pipeline(f"msgbroker name=x proto-lib=kafka topic={t}-a conn-str={conn(t)}") as p:
            p.play()
            p["x"].emit("publish", None, GLib.Bytes(b"to a"))
            p.set("x", topic="")
            p["x"].emit("publish", None, GLib.Bytes(b"to the default"))
            wait_for(lambda: stats(p["x"])["acknowledged"] == 2)
            self.assertFalse(p["x"].emit("publish", None, None))
        self.assertEqual(consume(t, 1)[0]["value"], "to the default")

    def test_burst_before_the_first_connection_is_held(self):
        with Pipeline("fakesrc num-buffers=3000 sizetype=fixed sizemax=1000 ! application/json ! msgbroker name=x "
                      f"proto-lib=kafka max-queue-messages=500 block-timeout=20000 conn-str={conn(topic(self))}") as p:
            r = p.run(40)
            self.assertTrue(r.eos)
            s = stats(p["x"])
            self.assertEqual((s["acknowledged"], s["dropped"]), (3000, 0))

    def test_restart_of_the_element(self):
        t = topic(self)
        with Pipeline(f"msgbroker name=x proto-lib=kafka conn-str={conn(t)}") as p:
            for i in range(5):
                p.play()
                wait_for(lambda: stats(p["x"])["state"] == "connected", what="connection")
                self.assertTrue(p["x"].emit("publish", None, GLib.Bytes(f'{{"n":{i}}}'.encode())))
                p.state(Gst.State.NULL)  # stopping waits for the acknowledgement
                self.assertEqual(stats(p["x"])["acknowledged"], 1)
        self.assertEqual([json.loads(m["value"])["n"] for m in consume(t, 5)], list(range(5)))

    def test_flush_does_not_lose_what_was_taken(self):
        t = topic(self)
        with Pipeline(f"{JSON} ! msgbroker name=x proto-lib=kafka conn-str={conn(t)}") as p:
            p.play()
            for i in range(100):
                p["src"].emit("push-buffer", json_buffer({"n": i}))
            wait_for(lambda: stats(p["x"])["sent"] == 100, what="100 sent")
            p["src"].send_event(Gst.Event.new_flush_start())
            p["src"].send_event(Gst.Event.new_flush_stop(True))
            push(p, [json_buffer({"n": 100})])
            r = p.pump(20)
            self.assertTrue(r.eos, r.text())
            self.assertEqual(stats(p["x"])["acknowledged"], 101)

    def test_debug_of_librdkafka_goes_to_its_category(self):
        t = topic(self)
        with tempfile.TemporaryDirectory() as d:
            config, log = os.path.join(d, "c.txt"), os.path.join(d, "log")
            with open(config, "w") as f:
                f.write('[message-broker]\nproto-cfg="debug=broker"\n')
            out = subprocess.run(
                ["gst-launch-1.0", "fakesrc", "num-buffers=1", "sizetype=fixed", "sizemax=9", "!", "application/json", "!", "msgbroker", "proto-lib=kafka", f"conn-str={conn(t)}", f"config={config}"],
                env=ewtest.clean_env(GST_DEBUG="msgbroker-adapter:6", GST_DEBUG_FILE=log), stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, timeout=60)
            self.assertEqual(out.returncode, 0, out.stdout)
            self.assertNotIn("BROKER", out.stdout)
            with open(log) as f:
                text = f.read()
            self.assertIn("msgbroker-adapter", text)
            self.assertIn("BROKER", text)


class BadInput(unittest.TestCase):
    def refused(self, properties, *words):
        with Pipeline(f"fakesrc ! msgbroker name=x {properties}") as p:
            self.assertEqual(p.state(Gst.State.PAUSED), Gst.StateChangeReturn.FAILURE)
            p.pump(0.2)
        self.assertTrue(p.result.errors, "no error on the bus")
        for w in words:
            self.assertIn(w, p.result.text())
        return p.result

    def test_no_proto_lib(self):
        r = self.refused("conn-str=localhost;9092;t", "proto-lib", "kafka")
        self.assertTrue(r.error.matches(Gst.ResourceError.quark(), Gst.ResourceError.NOT_FOUND))

    def test_unknown_proto_lib(self):
        r = self.refused("proto-lib=kafak conn-str=localhost;9092;t", "kafak", "kafka")
        self.assertTrue(r.error.matches(Gst.LibraryError.quark(), Gst.LibraryError.INIT))
        self.refused("proto-lib=/opt/x/libsomething.so conn-str=localhost;9092;t", "/opt/x/libsomething.so")
        self.refused("proto-lib=file:/opt/x/libnvds_kafka_proto.so conn-str=localhost;9092;t", "/opt/x/libnvds_kafka_proto.so")

    def test_neither_conn_str_nor_config(self):
        r = self.refused("proto-lib=kafka", "conn-str", "config")
        self.assertTrue(r.error.matches(Gst.ResourceError.quark(), Gst.ResourceError.NOT_FOUND))

    def test_malformed_conn_str(self):
        for c in ("localhost", "localhost:9092", ";9092", "localhost;", "localhost;port;t", "localhost;99999;t", "a;1;b;c"):
            with self.subTest(conn=c):
                r = self.refused(f"proto-lib=kafka topic=t conn-str={c}", "conn-str", c[:3])
                self.assertTrue(r.error.matches(Gst.LibraryError.quark(), Gst.LibraryError.SETTINGS))

    def test_no_topic(self):
        """The reference drops every message silently."""
        self.refused("proto-lib=kafka conn-str=localhost;9092", "topic")

    def test_missing_config(self):
        self.refused("proto-lib=kafka conn-str=localhost;9092;t config=/nowhere/cfg.txt", "/nowhere/cfg.txt")

    def test_broken_config_names_the_line(self):
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as f:
            f.write("[message-broker]\nproto-cfg\n")
            f.flush()
            self.refused(f"proto-lib=kafka conn-str=localhost;9092;t config={f.name}", f.name + ":2")

    def test_unknown_key_and_option_with_the_nearest(self):
        for body, wrong, near in (("partition-kye=a", "partition-kye", "partition-key"),
                                  ('proto-cfg="compresion.codec=lz4"', "compresion.codec", "compression.codec"),
                                  ('proto-cfg="linger.ms=soon"', "linger.ms", "invalid value"),
                                  ('proto-cfg="ssl.key. password=secret-word"', "ssl.key. password", "ssl.key.password")):
            with self.subTest(wrong=wrong), tempfile.NamedTemporaryFile("w", suffix=".txt") as f:
                f.write("[message-broker]\n" + body + "\n")
                f.flush()
                r = self.refused(f"proto-lib=kafka conn-str=localhost;9092;t config={f.name}", f.name, wrong, near)
                self.assertNotIn("secret-word", r.text() + r.debug)

    def test_wrong_host_is_told_and_the_pipeline_plays(self):
        for host, words in (("no-such-host.invalid;9092;t", "no-such-host.invalid"), ("127.0.0.1;1;t", "127.0.0.1:1")):
            with self.subTest(host=host), Pipeline(f"{JSON} ! msgbroker name=x proto-lib=kafka conn-str={host} drain-timeout=300") as p:
                p.play()
                p["src"].emit("push-buffer", json_buffer({"n": 1}))
                p.pump(20, until=lambda: p.result.warnings)
                self.assertIn(words, p.result.text())
                self.assertEqual(p.result.errors, [])
                self.assertEqual(p.pipeline.get_state(0)[1], Gst.State.PLAYING)
                self.assertIn(words, stats(p["x"])["last-error"])
                self.assertLess(took(p.pipeline.set_state, Gst.State.NULL), 1.0, "stopping waited for a broker that is not there")

    def test_render_never_waits_while_the_broker_is_away(self):
        with Pipeline(f"{JSON} max-bytes=0 ! msgbroker name=x proto-lib=kafka conn-str=127.0.0.1;1;t max-queue-messages=1000 drain-timeout=200") as p:
            p.play()
            def flood():
                for i in range(3000):
                    p["src"].emit("push-buffer", json_buffer({"n": i}))
                wait_for(lambda: stats(p["x"])["dropped"] == 2000, 15, "2000 messages dropped")
            self.assertLess(took(flood), 5)
            s = stats(p["x"])
            self.assertEqual(s["queued"] + s["in-flight"], 1000)
            p.pump(3, until=lambda: "queue is full" in p.result.text())
            # Place, cause and remedy.
            self.assertRegex(p.result.text(), r"\d+ messages? not delivered to 127\.0\.0\.1:1: the queue is full; .*max-queue-messages")

    def test_each_drop_is_counted_and_posted_once_a_second(self):
        """The warnings together say how many were dropped, and there is at most one a second, however many there are."""
        with Pipeline("msgbroker name=x proto-lib=kafka conn-str=127.0.0.1;1;t max-queue-messages=10 full-policy=drop-newest") as p:
            p.play()
            began, drops = time.monotonic(), 0
            while time.monotonic() < began + 3.3:
                for _ in range(50):
                    drops += not p["x"].emit("publish", None, GLib.Bytes(b"{}"))
                p.pump(0.02)
            self.assertGreater(drops, 1000)

            def told():
                return [int(w.split(" message")[0].split(" ")[-1]) for w in p.result.warnings if "queue is full" in w]
            p.pump(3, until=lambda: sum(told()) == drops)
            self.assertEqual(sum(told()), drops, p.result.text())
            self.assertEqual(stats(p["x"])["dropped"], drops)
            self.assertLessEqual(len(told()), 2 + int(time.monotonic() - began))

    def test_ready_gives_up_what_is_left_and_counts_it(self):
        with Pipeline("msgbroker name=x proto-lib=kafka conn-str=127.0.0.1;1;t") as p:
            p.play()
            for _ in range(7):
                p["x"].emit("publish", None, GLib.Bytes(b"{}"))
            p.pump(20, until=lambda: p.result.warnings)
            self.assertLess(took(p.state, Gst.State.READY), 0.6)
            s = stats(p["x"])
            self.assertEqual([s[k] for k in ("queued", "in-flight", "acknowledged", "failed", "dropped")], [0, 0, 0, 0, 7])
            p.pump(1, until=lambda: "stopped with 7 messages" in p.result.text())
            self.assertIn("stopped with 7 messages undelivered to 127.0.0.1:1", p.result.text())

    def test_a_server_that_never_speaks(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            s.listen()
            with Pipeline(f"{JSON} ! msgbroker name=x proto-lib=kafka conn-str=127.0.0.1;{s.getsockname()[1]};t drain-timeout=2000") as p:
                p.play()
                with ewtest.Stalls() as stalls:
                    push(p, [json_buffer({"n": 1})])
                    time.sleep(0.5)
                    p.state(Gst.State.PAUSED)  # in the middle of the drain
                    self.assertNotIn("EOS with", p.pump(0.3).text())
                    p.play()
                    r = p.pump(10)
                self.assertTrue(r.eos)
                self.assertRegex(r.text(), r"EOS with 1 message still undelivered to 127.0.0.1:\d+ after [0-9.]+s")
                drained = float(re.search(r" after ([0-9.]+)s", r.text())[1])
                self.assertTrue(1.9 <= drained <= 2.1 + stalls.seconds, f"{drained} s, of which the machine stood still {stalls.seconds:.1f}")
                self.assertLess(took(p.pipeline.set_state, Gst.State.NULL), 0.8)
            with Pipeline(f"msgbroker name=x proto-lib=kafka conn-str=127.0.0.1;{s.getsockname()[1]};t") as p:
                p.play()
                self.assertIn("no answer yet", p.pump(8, until=lambda: p.result.warnings).text())

    def test_stopping_does_not_wait_for_servers_that_never_speak(self):
        """Half a second, however many connections there are: it publishes, receives, and takes commands from four more."""
        with socket.socket() as s, tempfile.NamedTemporaryFile("w", suffix=".txt") as f:
            s.bind(("127.0.0.1", 0))
            s.listen(100)
            port = s.getsockname()[1]
            for i, proto in enumerate(("kafka", "redis", "amqp", "nats")):
                f.write(f"[message-consumer{i}]\nenable=1\nproto-lib={proto}\nconn-str=127.0.0.1;{port}\nsubscribe-topic-list=c\n")
            f.flush()
            for proto in ("kafka", "redis", "amqp", "nats", "mqtt"):
                with self.subTest(proto), Pipeline(f"msgbroker name=x proto-lib={proto} topic=t conn-str=127.0.0.1;{port} subscribe-topics=in "
                                                   f"command-topics=c message-consumers={f.name}") as p:
                    p.play()
                    for _ in range(7):
                        p["x"].emit("publish", None, GLib.Bytes(b"{}"))
                    p.pump(0.6)  # the moment is over that a first attempt gets
                    self.assertLess(took(p.state, Gst.State.READY), 0.5)
                    self.assertEqual([stats(p["x"])[k] for k in ("queued", "in-flight", "acknowledged", "dropped")], [0, 0, 0, 7])

    def test_a_fifo_for_a_certificate_does_not_hang(self):
        with tempfile.TemporaryDirectory() as d:
            os.mkfifo(os.path.join(d, "ca"))
            with open(os.path.join(d, "c.txt"), "w") as f:
                f.write(f'[message-broker]\nproto-cfg="security.protocol=ssl;ssl.ca.location={d}/ca"\n')
            out = subprocess.run(["gst-launch-1.0", "fakesrc", "!", "msgbroker", "proto-lib=kafka", "conn-str=127.0.0.1;1;t",
                                  f"config={d}/c.txt"], env=ewtest.clean_env(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                 text=True, timeout=20)
            self.assertNotEqual(out.returncode, 0)
            self.assertIn("ssl.ca.location", out.stdout)

    def test_eos_says_what_was_left(self):
        with Pipeline(f"{JSON} ! msgbroker proto-lib=kafka conn-str=127.0.0.1;1;t drain-timeout=500") as p:
            p.play()
            push(p, [json_buffer({"n": i}) for i in range(3)])
            before = time.monotonic()
            r = p.pump(10)
            self.assertTrue(r.eos)
            self.assertLess(time.monotonic() - before, 3)
            self.assertIn("3 messages still undelivered to 127.0.0.1:1", r.text())

    def test_a_message_larger_than_the_queue(self):
        with Pipeline(f"{JSON} ! msgbroker name=x proto-lib=kafka conn-str=127.0.0.1;1;t max-queue-bytes=1000") as p:
            p.play()
            p["src"].emit("push-buffer", json_buffer({"big": "x" * 2000}))
            r = p.pump(5, until=lambda: "not delivered" in p.result.text())
            self.assertRegex(r.text(), "1 message not delivered to 127.0.0.1:1: .*larger than the whole queue; raise max-queue-bytes")
            self.assertEqual(stats(p["x"])["dropped-refused"], 1)
            self.assertEqual(r.errors, [])

    @needs_kafka
    def test_buffers_without_a_message_are_told(self):
        with Pipeline(f"videotestsrc num-buffers=10 ! msgbroker proto-lib=kafka conn-str={conn(topic(self))}") as p:
            r = p.run(20)
            self.assertTrue(r.eos)
            self.assertIn("10 buffers came, none with a message", r.text())
            self.assertIn("msgconv", r.text())

    @needs_kafka
    def test_caps_that_no_one_understands(self):
        with Pipeline("fakesrc num-buffers=3 sizetype=fixed filltype=random ! capsfilter caps=application/x-who-knows ! "
                      f"msgbroker proto-lib=kafka conn-str={conn(topic(self))}") as p:
            r = p.run(20)
            self.assertTrue(r.eos)
            self.assertIn("3 buffers came, none with a message", r.text())


class ServersOfOnesOwn(unittest.TestCase):
    def test_broker_appears_after_the_start(self):
        """Started too early, nothing is lost."""
        port = ewtest.free_port()
        with Pipeline(f"{JSON} ! msgbroker name=x proto-lib=kafka conn-str=127.0.0.1;{port};early") as p:
            p.play()
            for i in range(50):
                p["src"].emit("push-buffer", json_buffer({"n": i}))
            p.pump(20, until=lambda: p.result.warnings)
            self.assertTrue(p.result.warnings)
            with ewtest.kafka_server("--port", str(port)) as (address, _):
                wait_for(lambda: stats(p["x"])["acknowledged"] == 50, 40, "50 acknowledgements")
                p.pump(10, until=lambda: p.result.element("msgbroker-connected"))
                self.assertTrue(p.result.element("msgbroker-connected"))
                self.assertEqual([json.loads(m["value"])["n"] for m in consume("early", 50, kafka=address)], list(range(50)))

    def test_unknown_topic_and_too_large_a_message(self):
        with ewtest.kafka_server("--auto-create=off") as (address, _):
            with self.subTest("unknown topic"), Pipeline(f"{JSON} ! msgbroker name=x proto-lib=kafka conn-str={conn('nobody', address)}") as p:
                p.play()
                p["src"].emit("push-buffer", json_buffer({"n": 1}))
                p.pump(60, until=lambda: stats(p["x"])["failed"] == 1)
                p.pump(2, until=lambda: "topic nobody" in p.result.text())
                self.assertIn("topic nobody", p.result.text())
                self.assertIn("topic nobody", stats(p["x"])["last-error"])
                self.assertEqual(p.result.errors, [])

    @needs_kafka
    def test_a_message_over_the_limit_is_refused_and_the_next_arrives(self):
        t = topic(self)
        with Pipeline(f"{JSON} ! msgbroker name=x proto-lib=kafka conn-str={conn(t)}") as p:
            p.play()
            push(p, [json_buffer({"n": 0}), json_buffer({"big": "x" * 2_000_000}), json_buffer({"n": 1})])
            r = p.pump(30)
            self.assertTrue(r.eos, r.text())
            s = stats(p["x"])
            self.assertEqual((s["acknowledged"], s["failed"]), (2, 1))
            self.assertIn(t, r.text())
            self.assertIn("message.max.bytes", r.text())
        self.assertEqual([json.loads(m["value"])["n"] for m in consume(t, 2)], [0, 1])


if __name__ == "__main__":
    unittest.main()
