# SPDX-License-Identifier: LGPL-2.1-or-later
"""msgbroker's templates: topics, keys and headers made of the fields of messages, against a real Kafka."""
import json
import tempfile
import unittest

from ewtest import APPSRC, GLib, Gst, Pipeline, conn, consume, needs_kafka, rgb_frame, stats, topic, wait_for

JSON = "appsrc name=src format=time caps=application/json"


def roi(label, number):
    return (label, 10, 20, 30, 40, {"detection": {"confidence": 0.75}, "object_id": {"id": number}})


def push(pipeline, buffers):
    for b in buffers:
        pipeline["src"].emit("push-buffer", b)


def end(pipeline):
    pipeline["src"].emit("end-of-stream")
    r = pipeline.pump(30)
    if not r.eos:
        raise AssertionError(f"no EOS: {r.text()}")
    return r


def json_buffer(value):
    return Gst.Buffer.new_wrapped(json.dumps(value).encode())


def headers(message):
    """The headers of the user."""
    return {h["key"]: h["value"] for h in message["headers"] if not h["key"].startswith("ew-")}


def config(text):
    f = tempfile.NamedTemporaryFile("w", suffix=".cfg")
    f.write("[message-broker]\n" + text + "\n")
    f.flush()
    return f


@needs_kafka
class Routing(unittest.TestCase):
    def test_topic_key_and_headers_of_messages_that_msgconv_made(self):
        t = topic(self)
        with Pipeline(f"{APPSRC} ! msgconv sensor-id=cam/9 source-id=3 ! queue ! msgbroker name=x proto-lib=kafka conn-str={conn(t)} "
                      f'topic-template="{t}.{{stream}}.{{object.class}}" key-template="{{sensor.id}}-{{object.id}}" '
                      'message-headers="site=dock 7\\\\;8;camera={sensor.id};type={object.vehicle.type};kind={event.type|none}"') as p:
            p.play()
            push(p, [rgb_frame(i, rois=[roi("car", i), roi("person", 100 + i)]) for i in range(5)])
            self.assertEqual(end(p).text(), "")
            s = stats(p["x"])
            self.assertEqual((s["acknowledged"], s["failed"], s["dropped"]), (10, 0, 0))
        cars, people = consume(f"{t}.3.vehicle", 5), consume(f"{t}.3.person", 5)
        self.assertEqual([m["key"] for m in cars], [f"cam/9-{i}" for i in range(5)])
        self.assertEqual([m["key"] for m in people], [f"cam/9-{100 + i}" for i in range(5)])
        self.assertEqual(headers(cars[0]), {"site": "dock 7;8", "camera": "cam/9", "type": "car", "kind": "moving"})
        self.assertEqual(headers(people[0]), {"site": "dock 7;8", "camera": "cam/9", "kind": "moving"})
        self.assertEqual(json.loads(cars[2]["value"])["object"]["id"], "2")

    def test_values_cannot_break_a_topic(self):
        t = topic(self)
        with Pipeline(f"{JSON} ! msgbroker name=x proto-lib=kafka conn-str={conn(t)} topic-template={t}-{{$.where}}") as p:
            p.play()
            push(p, [json_buffer({"where": "a b/ü\n"}), json_buffer({"where": "y" * 400}), json_buffer({"no": 1}), json_buffer([1])])
            end(p)
            self.assertEqual(stats(p["x"])["acknowledged"], 4)
        self.assertEqual(len(consume(f"{t}-a_b____", 1)), 1)
        self.assertEqual(len(consume((f"{t}-" + "y" * 400)[:249], 1)), 1)
        self.assertEqual([json.loads(m["value"]) for m in consume(t, 2)], [{"no": 1}, [1]])

    def test_partition_key_is_a_path(self):
        """Of messages that msgconv made, and of buffers that are messages themselves."""
        with config("partition-key = object.vehicle.type") as f:
            t = topic(self)
            with Pipeline(f"{APPSRC} ! msgconv sensor-id=s ! msgbroker proto-lib=kafka conn-str={conn(t)} config={f.name}") as p:
                p.play()
                push(p, [rgb_frame(0, rois=[roi("car", 1), roi("person", 2), roi("truck", 3)])])
                end(p)
            self.assertEqual([m.get("key") or None for m in consume(t, 3)], ["car", None, "truck"])
            with Pipeline(f"{JSON} ! msgbroker proto-lib=kafka conn-str={conn(t + 'p')} config={f.name}") as p:
                p.play()
                push(p, [json_buffer({"object": {"vehicle": {"type": "bus \"2\""}}}), json_buffer({"object": 1})])
                end(p)
            self.assertEqual([m.get("key") or None for m in consume(t + "p", 2)], ['bus "2"', None])
        with config("partition-key = sensor.id") as f:  # DeepStream's protobuf from elsewhere
            t = topic(self) + "proto"
            with Pipeline(f"appsrc name=src format=time caps=application/x-protobuf ! msgbroker proto-lib=kafka conn-str={conn(t)} "
                          f"config={f.name}") as p:
                p.play()
                push(p, [Gst.Buffer.new_wrapped(b) for b in (b"\x0a\x034.0\x22\x05cam-5", b"\x0a\x034.0", b"\x22\x7fcut")])
                end(p)
            self.assertEqual([m.get("key") or None for m in consume(t, 3)], ["cam-5", None, None])
        for key in ("sensor.id", "sensorId"):  # the default of DeepStream's file serves every schema
            for kind in (0, 1, 2):
                with self.subTest(key=key, kind=kind), config("partition-key = " + key) as f:
                    t = topic(self) + key.replace(".", "") + str(kind)
                    with Pipeline(f"{APPSRC} ! msgconv sensor-id=s7 payload-type={kind} ! "
                                  f"msgbroker proto-lib=kafka conn-str={conn(t)} config={f.name}") as p:
                        p.play()
                        push(p, [rgb_frame(0, rois=[roi("car", 1)])])
                        end(p)
                    self.assertEqual(consume(t, 1)[0]["key"], "s7")

    def test_changes_while_playing(self):
        t = topic(self)
        with Pipeline(f"{APPSRC} ! msgconv sensor-id=s ! queue ! msgbroker name=x proto-lib=kafka conn-str={conn(t)}") as p:
            p.play()
            push(p, [rgb_frame(0, rois=[roi("car", 1)])])
            wait_for(lambda: stats(p["x"])["acknowledged"] == 1)
            p.set("x", topic_template=t + "-{object.class}", message_headers="id={object.id}")
            push(p, [rgb_frame(1, rois=[roi("car", 2)])])
            wait_for(lambda: stats(p["x"])["acknowledged"] == 2)
            p.set("x", topic_template=t + "-{object.klass}")
            r = p.pump(5, until=lambda: "{object.klass}" in p.result.text())
            self.assertIn("there is no field {object.klass}; did you mean {object.class}?", r.text())
            self.assertIn("former routing stays in force", r.text())
            push(p, [rgb_frame(2, rois=[roi("car", 3)])])
            wait_for(lambda: stats(p["x"])["acknowledged"] == 3)
            p.set("x", topic_template="", message_headers="")
            push(p, [rgb_frame(3, rois=[roi("car", 4)])])
            end(p)
        self.assertEqual([headers(m) for m in consume(t, 2)], [{}, {}])
        self.assertEqual([headers(m) for m in consume(t + "-vehicle", 2)], [{"id": "2"}, {"id": "3"}])

    def test_a_template_alone_is_enough(self):
        """No topic beside it: what lacks the field is refused and counted, and the stream goes on."""
        t = topic(self)
        with Pipeline(f"{JSON} ! msgbroker name=x proto-lib=kafka conn-str={conn()} topic-template={t}{{$.t}}") as p:
            p.play()
            push(p, [json_buffer({"t": "-1"}), json_buffer({}), json_buffer({"t": "-1"})])
            r = end(p)
            s = stats(p["x"])
            self.assertEqual((s["acknowledged"], s["dropped"]), (2, 1))
            self.assertIn("no topic", r.text())
            self.assertIn("topic-template defaults", r.text())

    def test_publish_action(self):
        t = topic(self)
        with Pipeline(f"msgbroker name=x proto-lib=kafka conn-str={conn(t)} topic-template={t}-{{$.to|else}} key-template={{$.k}} "
                      "message-headers=by=hand") as p:
            p.play()
            for where, body in ((None, b'{"to":"a","k":"key"}'), (None, b"no json"), (t + "-named", b'{"to":"a","k":"key"}')):
                self.assertTrue(p["x"].emit("publish", where, GLib.Bytes(body)))
            wait_for(lambda: stats(p["x"])["acknowledged"] == 3)
        for name, key in (("-a", "key"), ("-else", None), ("-named", "key")):
            m = consume(t + name, 1)[0]
            self.assertEqual((m.get("key") or None, headers(m)), (key, {"by": "hand"}))

    def test_two_sinks_want_different_fields(self):
        t = topic(self)
        with Pipeline(f"{APPSRC} ! msgconv sensor-id=s ! queue ! tee name=t ! queue ! msgbroker name=x proto-lib=kafka conn-str={conn(t)} "
                      f"key-template={{object.id}}  t. ! queue ! msgbroker name=y proto-lib=kafka conn-str={conn(t)} topic={t}-y "
                      "key-template={event.type}") as p:
            p.play()
            push(p, [rgb_frame(i, rois=[roi("car", 40 + i)]) for i in range(3)])
            end(p)
        self.assertEqual([m["key"] for m in consume(t, 3)], ["40", "41", "42"])
        self.assertEqual([m["key"] for m in consume(t + "-y", 3)], ["moving"] * 3)

    def test_timestamps_of_the_buffer(self):
        t = topic(self)
        with Pipeline(f"{JSON} ! msgbroker proto-lib=kafka conn-str={conn(t)}") as p:
            p.play()
            unix, ntp = json_buffer({"n": 1}), json_buffer({"n": 2})
            unix.add_reference_timestamp_meta(Gst.Caps("timestamp/x-unix"), 1_600_000_000_123 * 1_000_000, Gst.CLOCK_TIME_NONE)
            ntp.add_reference_timestamp_meta(Gst.Caps("timestamp/x-ntp"), (1_600_000_000_456 + 2_208_988_800_000) * 1_000_000, Gst.CLOCK_TIME_NONE)
            push(p, [unix, ntp, json_buffer({"n": 3})])
            end(p)
        times = [m["timestamp"] for m in consume(t, 3)]
        self.assertEqual(times[:2], ["2020-09-13T12:26:40.123Z", "2020-09-13T12:26:40.456Z"])
        self.assertGreater(times[2], "2026")


class Linting(unittest.TestCase):
    def refused(self, properties, *texts):
        with Pipeline(f"{JSON} ! msgbroker name=x proto-lib=kafka conn-str=127.0.0.1;1;t {properties}") as p:
            p.pipeline.set_state(Gst.State.PAUSED)
            r = p.pump(10, until=lambda: p.result.errors)
            for text in texts:
                self.assertIn(text, r.text())

    def test_what_cannot_work_is_refused_at_the_start(self):
        self.refused('topic-template="a.{sensor_id}"', "topic-template", "there is no field {sensor_id}", "did you mean {sensor.id}?")
        self.refused('key-template="{object.id"', "key-template", "has a { without its }")
        self.refused('topic-template="a/{sensor.id}"', "topic-template", '"a/x"', "is not a topic name")
        self.refused('topic-template="a{sensor.id|b c}"', "topic-template", '"ab c"', "is not a topic name")
        self.refused('message-headers="site"', "message-headers", '"site" is no header')
        self.refused('message-headers="ew-session=x"', "message-headers", "sequence-headers")
        self.refused('message-headers="a={nothing}"', "message-headers", "there is no field {nothing}")
        with config("partition-key = a..b") as f:
            self.refused(f"config={f.name}", "partition-key", '"a..b" has an empty name')


if __name__ == "__main__":
    unittest.main()
