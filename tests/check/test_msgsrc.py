# SPDX-License-Identifier: LGPL-2.1-or-later
"""msgsrc against a real Kafka: what is published becomes buffers, and nothing is lost on the way."""
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import ewtest
from ewtest import GLib, Gst, Pipeline, conn, needs_kafka, stats, took, topic, wait_for


def produce(name, messages, kafka=None, *options):
    """Publishes texts, in order."""
    subprocess.run(["kcat", "-P", "-b", kafka or ewtest.KAFKA, "-t", name, *options], input="\n".join(messages).encode(), check=True, timeout=30)


def committed(group):
    """The place that a group with one topic of one partition has committed last: from Kafka's own topic, where a record says
    (see OffsetCommitKey and OffsetCommitValue of its sources) version, group, topic, partition: version, offset, …"""
    out = subprocess.run(["kcat", "-C", "-b", ewtest.KAFKA, "-t", "__consumer_offsets", "-o", "beginning", "-e", "-q", "-f", "%K %S\n%k%s"],
                         stdout=subprocess.PIPE, check=True, timeout=30).stdout
    offset, name = None, group.encode()
    while out:
        head, _, out = out.partition(b"\n")
        key, value = map(int, head.split())
        key, value, out = out[:max(key, 0)], out[max(key, 0):max(key, 0) + max(value, 0)], out[max(key, 0) + max(value, 0):]
        if key[:2] in (b"\0\0", b"\0\1") and key[2:4 + len(name)] == len(name).to_bytes(2, "big") + name and value:
            offset = int.from_bytes(value[2:10], "big", signed=True)
    return offset


def texts(start, end):
    return [f"{i:06d}" for i in range(start, end)]


def source(name, more="", group=None, kafka=None):
    return f'msgsrc name=x proto-lib=kafka conn-str="{conn(kafka=kafka)}" subscribe-topics={name} consumer-group={group or name} {more}'


def meta(buffer):
    """The fields of a buffer's meta. What they hold is only lent: copy it while the buffer is there."""
    s = buffer.get_custom_meta("EdgewireMessage").get_structure()
    fields = {s.nth_field_name(i): s.get_value(s.nth_field_name(i)) for i in range(s.n_fields())}
    if "key" in fields:
        fields["key"] = fields["key"].get_data()
    if "headers" in fields:
        h = fields["headers"]
        fields["headers"] = {h.nth_field_name(i): h.get_value(h.nth_field_name(i)) for i in range(h.n_fields())}
    return fields


class Sink:
    """A fakesink that remembers what came: body, timestamp and meta. (The buffer is only lent.)"""

    def __init__(self, pipeline, name="sink", metas=False):
        self.buffers, self.metas = [], []
        self.keep_metas = metas
        pipeline[name].connect("handoff", self._take)

    def _take(self, _, buffer, __):
        if self.keep_metas:
            self.metas.append((buffer.pts, meta(buffer)))
        self.buffers.append(buffer.extract_dup(0, buffer.get_size()))

    def texts(self):
        return [b.decode() for b in self.buffers]

    def wait(self, count, seconds=30):
        wait_for(lambda: len(self.buffers) >= count, seconds, f"{count} buffers")
        return self.texts()


FAKESINK = " ! fakesink name=sink signal-handoffs=true sync=false"


@needs_kafka
class Receiving(unittest.TestCase):
    def test_a_message_becomes_a_buffer(self):
        t = topic(self)
        began = time.time() * 1000
        produce(t, ["{\"n\":1}"], None, "-k", "the key", "-H", "content-type=text", "-H", "second=größe")
        produce(t, ["plain"])
        with Pipeline(source(t) + FAKESINK) as p:
            sink = Sink(p, metas=True)
            p.play()
            self.assertEqual(sorted(sink.wait(2)), ['plain', '{"n":1}'])
            p.pump(20, lambda: p.result.element("msgsrc-subscribed"))
            self.assertEqual(p.result.text(), "")
            self.assertEqual([s.get_value("topic") for s in p.result.element("msgsrc-subscribed")], [t])
            p.pump(20, lambda: p.result.element("msgsrc-connected"))
            self.assertTrue(p.result.element("msgsrc-connected"))
            m = sink.metas[sink.texts().index('{"n":1}')][1]
            plain = sink.metas[sink.texts().index("plain")][1]
            self.assertEqual((m["topic"], m["key"], m["redelivered"]), (t, b"the key", False))
            self.assertRegex(m["position"], r"^\d+@0$")
            self.assertLess(abs(m["timestamp"] - began), 60000)
            self.assertEqual(m["headers"], {"content-type": "text", "second": "größe"})
            self.assertFalse({"key", "headers"} & plain.keys())
            # A live source: buffers have the running time at which they came.
            self.assertTrue(all(pts != Gst.CLOCK_TIME_NONE for pts, _ in sink.metas))
            caps = p["x"].get_static_pad("src").get_current_caps()
            self.assertEqual(caps.to_string(), "application/json")
            s = stats(p["x"])
            self.assertEqual((s["received"], s["pushed"], s["unacknowledged"], s["state"]), (2, 2, 0, "connected"))
        self.assertEqual(stats(p["x"])["state"], "closed")

    def test_order_and_completeness(self):
        t = topic(self)
        produce(t, texts(0, 20000))
        with Pipeline(source(t, "commit=after-push window=100") + FAKESINK) as p:
            sink = Sink(p)
            p.play()
            self.assertEqual(sink.wait(20000), texts(0, 20000))

    def test_after_push_acknowledges_what_downstream_took(self):
        for commit in ("auto", "after-push"):
            with self.subTest(commit=commit):
                t = topic(self) + commit
                produce(t, texts(0, 30))
                with Pipeline(source(t, f"commit={commit} num-buffers=10") + FAKESINK) as p:
                    sink = Sink(p)
                    self.assertTrue(p.run(30).eos)
                    self.assertEqual(sink.texts(), texts(0, 10))
                # downstream refuses the fifth
                with Pipeline(source(t, f"commit={commit}") + " ! identity error-after=5" + FAKESINK) as p:
                    sink = Sink(p)
                    self.assertTrue(p.run(30).errors)
                    self.assertEqual(sink.texts(), texts(10, 14))
                with Pipeline(source(t, f"commit={commit}") + FAKESINK) as p:
                    sink = Sink(p)
                    p.play()
                    first = 14 if commit == "after-push" else 15
                    self.assertEqual(sink.wait(30 - first), texts(first, 30))

    def test_killed_between_push_and_acknowledgement(self):
        t = topic(self)
        produce(t, texts(0, 10))
        with tempfile.NamedTemporaryFile("w", suffix=".cfg") as f:
            f.write('[message-broker]\nconsumer-proto-cfg = "session.timeout.ms=6000"\n')
            f.flush()
            child = subprocess.Popen([sys.executable, __file__, "hold", source(t, f"commit=after-push config={f.name}"), "7"],
                                     env=ewtest.clean_env(PYTHONPATH=str(ewtest.ROOT / "tests" / "check"), EDGEWIRE_PLUGINS=ewtest.PLUGINS),
                                     stdout=subprocess.PIPE, text=True)
            try:
                self.assertEqual(child.stdout.readline().strip(), "holding 000006")
                wait_for(lambda: committed(t) == 6, what="commit of what was acknowledged")
            finally:
                child.send_signal(signal.SIGKILL)
                child.wait()
                child.stdout.close()
        with Pipeline(source(t, "commit=after-push") + FAKESINK) as p:
            sink = Sink(p)
            p.play()
            self.assertEqual(sink.wait(4, 40), texts(6, 10))

    def test_flush_storm(self):
        """Every flush may repeat the message that was under way; none is missing, and their order stays."""
        t = topic(self)
        produce(t, texts(0, 2000))
        with Pipeline(source(t, "commit=after-push window=50") + FAKESINK) as p:
            sink = Sink(p)
            p.play()
            sink.wait(1)
            flushes = 0
            while len(sink.buffers) < 1500 and flushes < 300:
                p["x"].send_event(Gst.Event.new_flush_start())
                p["x"].send_event(Gst.Event.new_flush_stop(False))
                flushes += 1
                time.sleep(0.001)
            wait_for(lambda: sink.buffers and sink.texts()[-1] == "001999", 30, "last message")
            got = sink.texts()
            repeated = len(got) - len(set(got))
            self.assertLessEqual(repeated, flushes)
            self.assertEqual(list(dict.fromkeys(got)), sorted(set(got)))
            # What a flush threw away downstream of the pad was taken: chain had answered OK.
            self.assertEqual(set(got), set(texts(0, 2000)))
            wait_for(lambda: stats(p["x"])["unacknowledged"] <= 1, what="acknowledgement")

    def test_pause_and_play(self):
        t = topic(self)
        produce(t, texts(0, 3000))
        with Pipeline(source(t, "commit=after-push window=20") + FAKESINK) as p:
            sink = Sink(p)
            p.play()
            sink.wait(1)
            for _ in range(50):
                p.state(Gst.State.PAUSED)
                p.state(Gst.State.PLAYING)
            self.assertEqual(sink.wait(3000), texts(0, 3000))

    def test_null_and_playing_a_hundred_times(self):
        t = topic(self)
        produce(t, texts(0, 10))
        with Pipeline(source(t, "commit=after-push") + FAKESINK) as p:
            sink = Sink(p)
            longest = 0
            for _ in range(100):
                p.play()
                longest = max(longest, took(p.state, Gst.State.NULL))
            self.assertLess(longest, 3)
            threads = len(os.listdir("/proc/self/task"))
            p.play()
            sink.wait(1)
            p.state(Gst.State.NULL)
            self.assertLess(len(os.listdir("/proc/self/task")), threads + 20)

    def test_downstream_blocks(self):
        """Reading stops at the window, stopping is quick, and nothing is lost."""
        t = topic(self)
        produce(t, texts(0, 200))
        with Pipeline(source(t, "commit=after-push window=10") + FAKESINK) as p:
            sink = Sink(p)
            pad = p["x"].get_static_pad("src")
            probe = pad.add_probe(Gst.PadProbeType.BLOCK | Gst.PadProbeType.BUFFER, lambda *_: Gst.PadProbeReturn.OK)
            p.play()
            wait_for(lambda: stats(p["x"])["unacknowledged"] == 10, 30, "full window")
            time.sleep(0.3)
            self.assertEqual(stats(p["x"])["received"], 10)
            self.assertLess(took(p.state, Gst.State.READY), 3)
            pad.remove_probe(probe)
            p.play()
            self.assertEqual(sink.wait(200), texts(0, 200))

    def test_large_empty_and_binary_messages(self):
        t = topic(self)
        with ewtest.kafka_server("--max-message-bytes", "20000000") as (addr, _), tempfile.TemporaryDirectory() as d:
            config = os.path.join(d, "x.cfg")
            with open(config, "w") as f:
                f.write('[message-broker]\nproducer-proto-cfg = "message.max.bytes=20000000"\n')
            bodies = [os.urandom(10_000_000), b"\x00", b"\xff\xfe not json {{{", b"x" * 10_000_000]
            with Pipeline(f'msgbroker name=x proto-lib=kafka conn-str="{conn(t, addr)}" config={config}') as p:
                p.play()
                for body in bodies:
                    self.assertTrue(p["x"].emit("publish", None, GLib.Bytes(body)))
                    wait_for(lambda: stats(p["x"])["in-flight"] + stats(p["x"])["queued"] == 0, what="delivery")
            with Pipeline(source(t, "window=2", kafka=addr) + FAKESINK) as p:
                sink = Sink(p)
                p.play()
                wait_for(lambda: len(sink.buffers) == 4, 40, "messages")
                self.assertEqual(set(sink.buffers), set(bodies))

    def test_outage(self):
        """The broker is killed and comes back, under a stream that goes on."""
        t = topic(self)
        with ewtest.kafka_server() as (addr, folder):
            script = str(ewtest.ROOT / "scripts" / "kafka")
            produce(t, texts(0, 100), addr)
            with Pipeline(source(t, "commit=after-push", kafka=addr) + FAKESINK) as p:
                sink = Sink(p)
                p.play()
                sink.wait(100)
                subprocess.run([script, "stop", folder, "--kill"], check=True, stdout=subprocess.DEVNULL)
                p.pump(30, until=lambda: p.result.element("msgsrc-disconnected") and p.result.warnings)
                # Messages came, so this is a connection that was there and is lost.
                states = [s.get_name() for s in p.result.elements if s.has_field("attempt")]
                self.assertIn("msgsrc-disconnected", states, f"{states} {p.result.text()}")
                self.assertEqual(states[states.index("msgsrc-disconnected") - 1], "msgsrc-connected", f"{states} {p.result.text()}")
                self.assertIn("no connection to " + addr, p.result.text())
                self.assertEqual(stats(p["x"])["state"], "reconnecting")
                subprocess.run([script, "start", folder], check=True, stdout=subprocess.DEVNULL)
                produce(t, texts(100, 200), addr)
                # What was not committed when the broker was killed comes twice.
                p.pump(30, until=lambda: len(set(sink.buffers)) >= 200 and p.result.element("msgsrc-reconnected"))
                self.assertEqual(list(dict.fromkeys(sink.texts())), texts(0, 200))
                self.assertTrue(p.result.element("msgsrc-reconnected"))

    def test_caps(self):
        t = topic(self)
        produce(t, ["x"])
        with Pipeline(source(t, "caps=text/x-raw,format=utf8") + " ! text/x-raw" + FAKESINK) as p:
            sink = Sink(p)
            p.play()
            sink.wait(1)
            self.assertEqual(p["sink"].get_static_pad("sink").get_current_caps().to_string(), "text/x-raw, format=(string)utf8")
        with Pipeline(source(t, group=t + "2") + " ! capsfilter name=f" + FAKESINK) as p:
            p.set("f", caps=Gst.Caps.from_string("video/x-raw"))
            self.assertIn("not-negotiated", p.run(20).debug)


class Mistakes(unittest.TestCase):
    def test_what_is_missing_is_named(self):
        for more, want in (("", "proto-lib is not set"),
                           ("proto-lib=kafka", "neither conn-str nor config is set"),
                           ("proto-lib=kafka conn-str=localhost;1", "no topic is set"),
                           ("proto-lib=kafka conn-str=localhost", "write host;port"),
                           ("proto-lib=kavka conn-str=localhost;1", "kafka"),
                           ("proto-lib=kafka conn-str=localhost;1 subscribe-topics=a;b%c", "b%c"),
                           ("proto-lib=kafka conn-str=localhost;1 subscribe-topics=^a[", "no regular expression"),
                           ("proto-lib=kafka conn-str=localhost;1;t config=/nowhere.cfg", "/nowhere.cfg"),
                           ("proto-lib=kafka conn-str=localhost;1;t reconnect-config=/nowhere.cfg", "/nowhere.cfg")):
            with self.subTest(more=more), Pipeline(f"msgsrc {more} ! fakesink") as p:
                r = p.run(5)
                self.assertIn(want, r.text())

    def test_an_absent_broker_is_waited_for(self):
        with Pipeline('msgsrc name=x proto-lib=kafka conn-str="127.0.0.1;1;t" ! fakesink') as p:
            p.play()
            r = p.pump(10, until=lambda: p.result.warnings)
            self.assertIn("no connection to 127.0.0.1:1", r.text())
            self.assertEqual(r.errors, [])
            self.assertLess(took(p.state, Gst.State.NULL), 2)

    def test_end_of_stream_while_waiting(self):
        with Pipeline('msgsrc name=x proto-lib=kafka conn-str="127.0.0.1;1;t" ! fakesink') as p:
            p.play()
            p.state(Gst.State.PLAYING)
            time.sleep(0.2)
            p["x"].send_event(Gst.Event.new_eos())
            p.result.warnings.clear()
            self.assertTrue(p.pump(10).eos)


def hold(description, count):
    """Child of the kill test: keeps the count-th buffer inside downstream's chain."""
    with Pipeline(description + FAKESINK) as p:
        seen = []

        def handoff(_, buffer, __):
            seen.append(buffer)
            if len(seen) == count:
                print("holding", buffer.extract_dup(0, buffer.get_size()).decode(), flush=True)
                threading.Event().wait()

        p["sink"].connect("handoff", handoff)
        p.play()
        p.pump(60)


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[1] == "hold":
        hold(sys.argv[2], int(sys.argv[3]))
    else:
        unittest.main()
