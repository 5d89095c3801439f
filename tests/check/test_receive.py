# SPDX-License-Identifier: LGPL-2.1-or-later
"""What msgbroker receives: the signal, the element message, and when a message counts as taken."""
import os
import tempfile
import threading
import time
import unittest

from ewtest import Gst, Pipeline, conn, needs_kafka, stats, took, topic, wait_for
from test_msgsrc import FAKESINK, Sink, produce, source, texts

AWAY = "127.0.0.1;1;t"


def receiver(name, more="", group=None):
    return (f'msgbroker name=x proto-lib=kafka conn-str="{conn()}" subscribe-topics={name} consumer-group={group or name} {more}')


@needs_kafka
class Receiving(unittest.TestCase):
    def test_signal_and_element_message(self):
        t = topic(self)
        produce(t, ["with all"], None, "-k", "the key", "-H", "a=b", "-H", "c=größe")
        got = []

        def received(_, name, payload, key, timestamp, headers):
            got.append((name, payload.get_data(), key and key.get_data(), timestamp, headers and headers.copy()))

        with Pipeline(receiver(t)) as p:
            p["x"].connect("message-received", received)
            p.play()
            p.pump(30, until=lambda: p.result.element("msgbroker-message") and p.result.element("msgbroker-subscribed"))
            name, payload, key, timestamp, headers = got[0]
            self.assertEqual((name, payload, key), (t, b"with all", b"the key"))
            self.assertLess(abs(timestamp / 1000 - time.time()), 60)
            self.assertEqual((headers.get_string("a"), headers.get_string("c")), ("b", "größe"))
            m = p.result.element("msgbroker-message")[0]
            self.assertEqual((m.get_value("topic"), m.get_value("payload").get_data(), m.get_value("key").get_data(), m.get_value("timestamp")),
                             (t, b"with all", b"the key", timestamp))
            self.assertTrue(p.result.element("msgbroker-subscribed"))
            wait_for(lambda: stats(p["x"])["unacknowledged"] == 0, what="acknowledgement")
            self.assertEqual(stats(p["x"])["received"], 1)
            # It publishes too, on the same connection.
            produce(t, ["without"])
            wait_for(lambda: len(got) == 2, what="second message")
            self.assertIsNone(got[1][2])
            self.assertEqual(p.result.text(), "")

    def test_an_unread_bus_holds_the_broker_back(self):
        t = topic(self)
        produce(t, texts(0, 300))
        with Pipeline(receiver(t)) as p:
            p.play()
            wait_for(lambda: stats(p["x"])["unacknowledged"] == 100, 30, "full window")
            time.sleep(0.3)
            self.assertEqual(stats(p["x"])["received"], 100)
            p.pump(30, until=lambda: len(p.result.element("msgbroker-message")) == 300)
            self.assertEqual([m.get_value("payload").get_data().decode() for m in p.result.element("msgbroker-message")], texts(0, 300))
            wait_for(lambda: stats(p["x"])["unacknowledged"] == 0, what="acknowledgement")
        # What was unread at stop comes again.
        produce(t, texts(300, 310))
        with Pipeline(receiver(t)) as p:
            p.play()
            wait_for(lambda: stats(p["x"])["unacknowledged"] == 10, 30, "messages")
        with Pipeline(receiver(t)) as p:
            p.play()
            p.pump(30, until=lambda: len(p.result.element("msgbroker-message")) == 10)
            self.assertEqual([m.get_value("payload").get_data().decode() for m in p.result.element("msgbroker-message")], texts(300, 310))

    def test_a_handler_that_stops_the_element(self):
        t = topic(self)
        produce(t, texts(0, 5))
        with Pipeline(receiver(t)) as p:
            stopped = threading.Event()

            def stop(*_):
                p.pipeline.set_state(Gst.State.NULL)
                stopped.set()

            p["x"].connect("message-received", stop)
            p.play()
            self.assertTrue(stopped.wait(30))

    def test_shared_with_msgsrc(self):
        """One connection, one subscription, each gets its topics."""
        t = topic(self)
        produce(t + "-a", texts(0, 5))
        produce(t + "-b", texts(5, 10))
        with tempfile.TemporaryDirectory() as d:
            config = os.path.join(d, "shared.cfg")
            with open(config, "w") as f:
                f.write("[message-broker]\nshare-connection = 1\n")
            with Pipeline(source(t + "-a", f"config={config}", group=t) + FAKESINK + " " +
                          receiver(t + "-b", f"config={config}", group=t).replace("name=x", "name=y")) as p:
                sink = Sink(p)
                p.play()
                def payloads():
                    return {m.get_value("payload").get_data().decode() for m in p.result.element("msgbroker-message")}

                # A subscription that is made anew for the second one's topics brings again what was not committed.
                p.pump(30, until=lambda: len(payloads()) >= 5 and len(set(sink.buffers)) >= 5)
                self.assertEqual(list(dict.fromkeys(sink.texts())), texts(0, 5))
                self.assertEqual(payloads(), set(texts(5, 10)))
                self.assertTrue(stats(p["x"])["shared"] and stats(p["y"])["shared"])
                self.assertEqual(p.result.errors, [])


class Mistakes(unittest.TestCase):
    def test_topics_that_cannot_be(self):
        with Pipeline(f'msgbroker proto-lib=kafka conn-str="{AWAY}" subscribe-topics="good;b%d"') as p:
            self.assertIn("b%d", p.run(5).text())

    def test_an_absent_broker(self):
        with Pipeline(f'msgbroker name=x proto-lib=kafka conn-str="{AWAY}" subscribe-topics=in drain-timeout=0') as p:
            for _ in range(20):
                p.play()
                self.assertLess(took(p.state, Gst.State.NULL), 2)


if __name__ == "__main__":
    unittest.main()
