# SPDX-License-Identifier: LGPL-2.1-or-later
"""Commands of a cloud: what msgbroker hands to the application, carries out, refuses and answers."""
import datetime
import json
import os
import pathlib
import tempfile
import threading
import time
import unittest

import ewtest
from gi.repository import GObject
import test_smartrecord
from ewtest import GLib, Gst, Pipeline, conn, consume, needs_kafka, took, topic, wait_for
from test_smartrecord import fields



def moments(*seconds):
    """Times from one now on: the distance between them is exact."""
    now = datetime.datetime.now(datetime.timezone.utc)
    return [(now + datetime.timedelta(seconds=s)).isoformat(timespec="milliseconds").replace("+00:00", "Z") for s in seconds]


def moment(seconds=0.0):
    return moments(seconds)[0]


class SmartRecord(Gst.Element):
    """Has the action signal of nvurisrcbin, and notes what it is asked for."""
    asked = None

    @GObject.Signal(flags=GObject.SignalFlags.RUN_LAST | GObject.SignalFlags.ACTION,
                    arg_types=(GObject.TYPE_POINTER, GObject.TYPE_UINT, GObject.TYPE_UINT, GObject.TYPE_POINTER))
    def start_sr(self, _session, back, duration, _user):
        self.asked = back, duration


@needs_kafka
class Commands(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="edgewire-cloud-")
        self.addCleanup(folder.cleanup)
        self.dir = folder.name
        self.commands, self.replies = topic(self), topic(self) + "-replies"
        self.sent = 0
        self.group = {"consumer_group": self.commands + "-group"}

    def file(self, name, text):
        path = os.path.join(self.dir, name)
        pathlib.Path(path).write_text(text)
        return path

    def open(self, description="", **properties):
        p = Pipeline(f"{description} msgbroker name=x proto-lib=kafka topic=unused")
        self.addCleanup(p.stop)
        # The topic exists before it is listened to.
        with Pipeline("msgbroker name=x proto-lib=kafka topic=unused") as first:
            first.set("x", conn_str=conn())
            first.play()
            for t in (self.commands, self.replies):
                first["x"].emit("publish", t, GLib.Bytes(b"{}"))
            wait_for(lambda: ewtest.stats(first["x"])["acknowledged"] == 2, what="topics")
        self.answered = 1
        if "message_consumers" not in properties:
            properties.setdefault("command_topics", self.commands)
            properties.update(self.group)
        p.set("x", conn_str=conn(), **properties)
        self.p = p
        p.play()
        p.pump(20, until=lambda: p.result.element("msgbroker-listening"))
        self.assertTrue(p.result.element("msgbroker-listening"), p.result.text())
        return p

    def send(self, command, raw=None):
        if raw is None:
            self.sent += 1
            raw = json.dumps({"reply-to": self.replies, "id": self.sent, **command}).encode()
        self.p["x"].emit("publish", self.commands, GLib.Bytes(raw))

    def replied(self, count=1):
        """The next replies, in the order of their coming; the bus is read meanwhile."""
        got = []
        thread = threading.Thread(target=lambda: got.extend(consume(self.replies, self.answered + count, seconds=12)))
        thread.start()
        while thread.is_alive():
            self.p.pump(0.05)
        new = [json.loads(m["value"]) for m in got[self.answered:]]
        self.assertEqual(len(new), count, got)
        self.answered += count
        return new

    def heard(self, name, count=1):
        self.p.pump(15, until=lambda: len(self.p.result.element(name)) >= count)
        self.assertGreaterEqual(len(self.p.result.element(name)), count, self.p.result.text())
        return fields(self.p.result.element(name)[count - 1])

    def test_a_command_becomes_a_signal_and_a_message(self):
        self.open()
        seen = []

        def on_command(_, name, sensor, arguments, handle):
            values = fields(arguments)  # which live as long as the call
            if "deep" in values:
                values["deep"] = fields(values["deep"])
            seen.append((name, sensor, values, handle))
            return name == "now"

        self.p["x"].connect("cloud-command", on_command)
        self.send({"command": "now", "sensor": {"id": "cam-1"}, "arguments": {"n": 3, "x": 0.5, "on": True, "list": [1, 2], "deep": {"a": "b"}, "null": None,
                                                                               "mixed": [1, "a"]}})
        reply, = self.replied()
        self.assertEqual({k: reply.get(k) for k in ("command", "id", "sensor", "status", "reason")},
                         {"command": "now", "id": "1", "sensor": "cam-1", "status": "ok", "reason": None})
        name, sensor, arguments, _ = seen[0]
        self.assertEqual((name, sensor, arguments["n"], arguments["x"], arguments["on"]), ("now", "cam-1", 3, 0.5, True))
        self.assertEqual(arguments["deep"], {"a": "b"})
        self.assertNotIn("null", arguments)
        message = self.heard("cloud-command")
        self.assertEqual((message["command"], message["handled"], message["topic"]), ("now", True, self.commands))
        self.assertEqual(json.loads(message["arguments-json"])["mixed"], [1, "a"])
        # Answered later, by whoever reads the bus.
        self.send({"command": "later"})
        message = self.heard("cloud-command", 2)
        self.assertFalse(message["handled"])
        result = Gst.Structure.new_from_string("r, version=(string)1.2, count=(int)7")
        self.assertFalse(self.p["x"].emit("cloud-reply", message["handle"], "perhaps", "", None))
        self.assertTrue(self.p["x"].emit("cloud-reply", message["handle"], "failed", "no such model", result))
        self.assertFalse(self.p["x"].emit("cloud-reply", message["handle"], "ok", "", None), "only once")
        reply, = self.replied()
        self.assertEqual((reply["status"], reply["reason"], reply["result"]), ("failed", "no such model", {"version": "1.2", "count": 7}))

    def test_what_is_malformed_is_refused_and_the_rest_goes_on(self):
        self.open()
        began = time.monotonic()
        for raw in (b"", b"{", b"null", b"\xff\xfe", b"{" * 5000, b'{"command":' + b'"x"' * 3, b"[" * 100000, b'"' + b"x" * 300000 + b'"'):
            self.send({}, raw=raw or b" ")
        self.send({"command": 7})
        self.send({"command": "start-recording", "sensor": {"id": "c"}, "start": "yesterday"})
        self.send({"command": "start-recording", "sensor": {"id": "c"}, "start": moment(-5), "edn": moment()})
        first, second, third = self.replied(3)
        self.assertEqual({r["status"] for r in (first, second, third)}, {"refused"})
        self.assertIn('"command" is not a text', first["reason"])
        self.assertIn("RFC 3339", second["reason"])
        self.assertIn('did you mean "end"?', third["reason"])
        self.assertIn("reason", self.heard("cloud-command-refused"))
        self.assertLessEqual(len(self.p.result.element("cloud-command-refused")), 1 + (time.monotonic() - began), "one a second: a flood does not fill the bus")
        self.assertEqual(self.p.result.errors, [])

    def test_only_what_is_listed_can_be_set(self):
        self.open("fakesrc is-live=true ! identity name=id ! fakesink name=sink ", allow_set="id.sleep-time, sink.silent,sink.name,id.nothing,gone.x,sink.state-error")
        for element, prop, value, want in (
                ("id", "sleep-time", 250, None), ("sink", "silent", False, None), ("sink", "state-error", "null-to-ready", None),
                ("id", "silent", False, "allow-set does not list it"), ("x", "conn-str", "evil;9092", "allow-set does not list it"),
                ("id", "sleep-time", "250", "is not a number"), ("id", "sleep-time", -1, "is negative"), ("id", "sleep-time", 2.5, "the value is no guint"),
                ("id", "sleep-time", True, "is a boolean"), ("sink", "silent", 1, "is not a boolean"), ("id", "nothing", 1, "no such property"),
                ("gone", "x", 1, "no element called gone"), ("sink", "state-error", "sideways", "is no GstFakeSinkStateError")):
            with self.subTest(element=element, prop=prop, value=value):
                self.send({"command": "set-property", "arguments": {"element": element, "property": prop, "value": value}})
                reply, = self.replied()
                self.assertEqual(reply["status"], "refused" if want else "ok", reply)
                if want:
                    self.assertIn(want, reply["reason"])
        self.assertEqual(self.p["id"].get_property("sleep-time"), 250)
        self.assertFalse(self.p["sink"].get_property("silent"))

    def test_nothing_can_be_set_by_default(self):
        self.open("fakesrc is-live=true ! fakesink name=sink ")
        self.send({"command": "set-property", "arguments": {"element": "sink", "property": "silent", "value": False}})
        self.assertEqual(self.replied()[0]["status"], "refused")
        self.assertTrue(self.p["sink"].get_property("silent"))

    def test_lint(self):
        for properties, want in (({"allow_set": "everything"}, '"everything" is not ELEMENT.PROPERTY'), ({"allow_set": "sink.*"}, "there are no wildcards"),
                                 ({"message_consumers": "/nowhere/x.txt"}, "/nowhere/x.txt: cannot open"),
                                 ({"message_consumers": self.file("a.txt", "[message-consumer0]\nenable=1\nprotolib=kafka\n")}, "a.txt:3: [message-consumer0] protolib"),
                                 ({"message_consumers": self.file("b.txt", "[message-consumer0]\nenable=1\nproto-lib=cafka\nconn-str=a;1\nsubscribe-topic-list=t\n")},
                                  "[message-consumer0]")):
            with self.subTest(properties=properties), Pipeline("msgbroker name=x proto-lib=kafka conn-str=127.0.0.1;1;t") as p:
                p.set("x", **properties)
                self.assertEqual(p.state(Gst.State.PAUSED), Gst.StateChangeReturn.FAILURE)
                self.assertIn(want, p.pump(0).text())

    def recorder(self, **properties):
        """A live camera of 25 frames a second."""
        self.open("videotestsrc is-live=true ! video/x-raw,width=64,height=48,framerate=25/1 ! x264enc key-int-max=10 tune=zerolatency ! "
                  "smartrecordbin name=rec3 smart-rec-cache=5 ! fakesink ", **properties)
        self.p.set("rec3", smart_rec_dir_path=self.dir, sensor_id="door")
        wait_for(lambda: ewtest.stats(self.p["rec3"])["cached-time"] > 2000, what="2 s in the cache")

    def test_a_recording_from_the_cloud(self):
        self.recorder(record_element="rec3")
        start, end = moments(-1.5, 0.5)
        self.send({"command": "start-recording", "start": start, "end": end, "sensor": {"id": "door"}})
        started, done = self.replied(2)
        self.assertEqual((started["status"], started["session"]), ("started", 1))
        self.assertEqual((done["status"], done["session"], done["id"], done["result"]["reason"]), ("ok", 1, "1", "duration"))
        seconds = done["result"]["duration"] / 1000
        self.assertGreaterEqual(seconds, 1.9)
        self.assertLess(seconds, 3.5)
        self.assertEqual(len(self.frames(done["result"]["file"])), done["result"]["frames"])
        message = self.heard("recording-command")
        self.assertEqual((message["command"], message["sensor"], message["handled"]), ("start-recording", "door", True))
        self.assertAlmostEqual(message["duration"], 2000, delta=2)
        # As the reference's own messages are: no reply is asked for, none is sent.
        self.send({}, raw=json.dumps({"command": "start-recording", "start": moment(), "sensor": {"id": "door"}}).encode())
        wait_for(lambda: self.p["rec3"].get_property("recording") == 2, what="recording")
        self.send({"command": "start-recording", "start": moment(), "sensor": {"id": "door"}})
        refused, = self.replied()
        self.assertIn("session 2 is recording already", refused["reason"])
        self.send({"command": "stop-recording", "sensor": {"id": "door"}})
        stopped, = self.replied()
        self.assertEqual((stopped["status"], stopped["session"]), ("ok", 2))
        self.heard("sr-done", 2)

    def frames(self, path):
        return test_smartrecord.samples(path)

    def test_groups_and_sensor_lists_of_the_reference(self):
        self.file("sensors.txt", "[sensor3]\nenable=1\nid=door\n[sensor4]\nenable=1\nid=gone\n[sensor5]\nenable=1\nid=named\nelement=x\n")
        host, port = ewtest.KAFKA.rsplit(":", 1)
        app = self.file("app.txt", f"[application]\nenable-perf-measurement=1\n[message-consumer0]\nenable=1\nproto-lib=/opt/nvidia/lib/libnvds_kafka_proto.so\n"
                        f"conn-str={host};{port}\nsubscribe-topic-list={self.commands}\nsensor-list-file=sensors.txt\n"
                        f"[message-consumer1]\nenable=0\nproto-lib=none\n")
        self.recorder(message_consumers=app, record_element="rec%u")
        self.assertEqual(self.p.result.element("msgbroker-listening")[0].get_value("source"), "message-consumer0")
        for sensor, want in (("door", None), ("gone", "no element called rec4"), ("named", "no action signals start-sr"), ("stranger", 'sensor "stranger" is not in the list'),
                             ("3", "is not in the list")):
            self.send({"command": "start-recording", "start": moment(-1), "end": moment(-0.5), "sensor": {"id": sensor}})
            if want is None:
                started, done = self.replied(2)
                self.assertEqual((started["status"], done["status"]), ("started", "ok"))
            else:
                refused, = self.replied()
                self.assertEqual(refused["status"], "refused")
                self.assertIn(want, refused["reason"])
        self.assertEqual(fields(self.p.result.element("msgbroker-consumer")[-1])["state"], "connected")

        def consumers():
            whole = self.p["x"].get_property("stats")
            inner = whole.get_value("consumers")
            return {group: fields(s) for group, s in fields(inner).items()}
        wait_for(lambda: consumers()["message-consumer0"]["acknowledged"] == 6, what="acknowledgement of the six replies")
        wait_for(lambda: consumers()["message-consumer0"]["unacknowledged"] == 0, what="acknowledgement of the commands")
        own, = consumers().values()  # the second group is off
        self.assertGreaterEqual(own["received"], 5)
        self.assertEqual((own["state"], own["host"], own["proto-lib"], own["substituted"]),
                         ("connected", ewtest.KAFKA, "/opt/nvidia/lib/libnvds_kafka_proto.so", True))
        self.p.state(Gst.State.READY)
        self.assertEqual((consumers()["message-consumer0"]["state"], consumers()["message-consumer0"]["acknowledged"]), ("closed", 6))

    def test_without_a_list_only_a_number_is_one(self):
        self.recorder(record_element="rec%u")
        for sensor, want in (("3", "started"), ("-1", "refused"), ("99999999999999999999", "refused"), ("0x3", "refused"), ("7", "refused"), ("../3", "refused")):
            self.send({"command": "start-recording", "start": moment(), "sensor": {"id": sensor}})
            reply, = self.replied()
            self.assertEqual(reply["status"], want, reply)

    def test_whole_seconds_of_the_reference(self):
        self.open(record_element="old")
        old = SmartRecord(name="old")
        self.p.pipeline.add(old)
        for times, want in ((lambda: moments(-5.5, 4.2), (6, 11)), (lambda: ("0001-01-01T00:00:00Z", "0001-01-01T00:01:00Z"), (2**32 - 1, 60))):
            began = time.monotonic()
            start, end = times()
            self.send({"command": "start-recording", "sensor": {"id": "a"}, "start": start, "end": end})
            wait_for(lambda: old.asked, what="call of start-sr")
            late = int(time.monotonic() - began + 0.5)  # whole seconds more by which the command came later than half a second
            reply, = self.replied()
            self.assertEqual(reply["status"], "started", reply)
            (back, duration), old.asked = old.asked, None
            self.assertIn(back - want[0], range(max(1, late) + 1), (back, duration))
            self.assertIn(duration - want[1], (-1, 0, 1), (back, duration))

    def test_an_application_may_record_by_itself(self):
        self.open()
        seen = []
        self.p["x"].connect("recording-command", lambda _, name, sensor, back, duration, handle: seen.append((name, sensor, back, duration)) or True)
        start, end = moments(-10, -4)
        self.send({"command": "start-recording", "start": start, "end": end, "sensor": {"id": "cam"}})
        self.assertEqual(self.replied()[0]["status"], "ok")
        (name, sensor, back, duration), = seen
        self.assertEqual((name, sensor), ("start-recording", "cam"))
        self.assertAlmostEqual(duration, 6000, delta=2)
        self.assertGreaterEqual(back, 9990)

    def test_a_handler_that_stops_the_pipeline(self):
        self.open()
        done = threading.Event()

        def on_command(*_):
            self.p.pipeline.set_state(Gst.State.NULL)
            done.set()
            return True

        self.p["x"].connect("cloud-command", on_command)
        self.send({"command": "restart"})
        self.assertTrue(done.wait(20), "a handler may stop the element that called it")
        # It was carried out: a device must not stop again and again.
        with Pipeline("msgbroker name=x proto-lib=kafka topic=unused") as again:
            again.set("x", conn_str=conn(), command_topics=self.commands, **self.group)
            again.play()
            again.pump(20, until=lambda: again.result.element("msgbroker-listening"))
            again["x"].emit("publish", self.commands, GLib.Bytes(b'{"command": "last"}'))
            again.pump(20, until=lambda: any(s.get_value("command") == "last" for s in again.result.element("cloud-command")))
            self.assertEqual([s.get_value("command") for s in again.result.element("cloud-command")], ["last"])

    def test_stop_answers_what_waits(self):
        self.open()
        self.send({"command": "never-answered"})
        self.heard("cloud-command")
        self.assertLess(took(self.p.state, Gst.State.READY), 5)
        reply, = self.replied()
        self.assertEqual((reply["status"], reply["command"]), ("failed", "never-answered"))


if __name__ == "__main__":
    unittest.main()
