# SPDX-License-Identifier: LGPL-2.1-or-later
"""Two DTLS-SRTP endpoints: start orders, ids, signals, data, closing, and what wrong use ends in."""
import time
import unittest

import dtls
from dtls import Gst, ours_only
from dtls.ends import End, boxed_bytes, connect, pair, rtcp, rtp
from ewtest import Pipeline, wait_for

class Media(unittest.TestCase):
    def both_ways(self, a, b, count=20):
        a_packets, b_packets = a.send_rtp(count), b.send_rtp(count)
        b.has(a_packets)
        a.has(b_packets)
        for end in (a, b):
            end.send("rtcp", rtcp(n=count))
        for end in (a, b):
            end.has([rtcp(n=count)], "rtcp")
            self.assertEqual(end.errors(), [])

    def test_what_is_sent_arrives_unchanged(self):
        a, b = pair()
        with a, b:
            connect(a, b)
            self.both_ways(a, b)
            self.assertEqual(b.got["rtp"], [rtp(i) for i in range(1, 21)])
            self.assertEqual(a.got["rtp"], [rtp(i) for i in range(1, 21)])

    def test_sizes(self):
        a, b = pair()
        with a, b:
            connect(a, b)
            packets = [rtp(i, size=size) for i, size in enumerate((0, 1, 15, 16, 17, 100, 1188, 1400, 8000), 1)]
            for p in packets:
                a.send("rtp", p)
            b.has(packets)

    @ours_only
    def test_muxed_rtcp_comes_out_as_rtcp(self):
        """RFC 5761: RTCP that comes in on a pad for RTP, told apart by its second byte."""
        a, b = pair()
        with a, b:
            connect(a, b)
            a.send("rtp", rtcp(n=3))
            packets = a.send_rtp(3)
            b.has(packets)
            b.has([rtcp(n=3)], "rtcp")
            self.assertEqual(b.got["rtp"], packets)

    @ours_only
    def test_tx_before_rx(self):
        for first in ("client", "server"):
            with self.subTest(first=first):
                a, b = pair()
                with a, b:
                    for end in (a, b) if first == "client" else (b, a):
                        end.start(tx_first=True)
                    a.wait()
                    b.wait()
                    self.both_ways(a, b)

    @ours_only
    def test_all_tx_before_all_rx(self):
        a, b = pair()
        with a, b:
            for step in (a.start_tx, b.start_tx, b.start_rx, a.start_rx):
                self.assertNotEqual(step(), Gst.StateChangeReturn.FAILURE)
                time.sleep(0.1)
            a.wait()
            self.both_ways(a, b)

    @ours_only
    def test_all_rx_before_all_tx(self):
        """The peer's first datagrams come before our own encoder is there: they are kept."""
        a, b = pair()
        with a, b:
            for step in (a.start_rx, b.start_rx, a.start_tx):
                step()
                time.sleep(0.15)
            b.start_tx()
            a.wait()
            b.wait()
            self.both_ways(a, b)

    @ours_only
    def test_buffer_lists(self):
        a, b = pair()
        with a, b:
            connect(a, b)
            packets = [rtp(i) for i in range(1, 101)]
            for i in range(0, 100, 25):
                a.send("rtp", packets[i:i + 25])
            b.has(packets)
            self.assertEqual(b.got["rtp"], packets)

    @ours_only
    def test_nothing_leaves_before_the_keys(self):
        """What is sent during the handshake arrives later, or not at all, but never under another key."""
        a, b = pair()
        with a, b:
            a.start()
            early = a.send_rtp(50)
            time.sleep(0.2)
            b.start()
            b.wait()
            late = a.send_rtp(5)
            b.has(late)
            b.has(early)
            self.assertEqual(b.got["rtp"], early + late)
            self.assertEqual(b.stats("dec")["dropped-auth"], 0)


class Data(unittest.TestCase):
    def check(self, **how):
        a, b = pair(data=True, **how)
        with a, b:
            connect(a, b)
            for end, peer in ((a, b), (b, a)):
                messages = [f"{end.name} {i}".encode() * (1 + i % 40) for i in range(30)]
                for m in messages:
                    end.send("data", m)
                peer.has(messages, "data")
                self.assertEqual(peer.got["data"], messages)

    def test_beside_media(self):
        self.check()

    def test_plain(self):
        self.check(plain=True)

    @ours_only
    def test_data_before_the_handshake_is_kept(self):
        a, b = pair(plain=True)
        with a, b:
            a.start()
            a.send("data", b"early")
            time.sleep(0.2)
            b.start()
            b.has([b"early"], "data")
            self.assertEqual(a.errors(), [])

    @ours_only
    def test_data_before_the_handshake_is_bounded_and_counted(self):
        a, _ = pair(plain=True, enc={"handshake-timeout": 0})
        with a:
            a.start()
            for i in range(200):
                a.send("data", b"x" * 100)
            wait_for(lambda: a.stats()["dropped-before-key"] == 200 - 64, 10, "what is over the bound of 64")
            a.tx.state(Gst.State.READY)
            self.assertEqual(a.stats()["dropped-before-key"], 200, "what was held is given up")
            self.assertEqual(a.errors(), [])

    @ours_only
    def test_data_that_nobody_takes_is_counted(self):
        a, b = pair(data=True)
        b.data = False
        with a, b:
            connect(a, b)
            for i in range(5):
                a.send("data", b"x" * (i + 1))
            wait_for(lambda: b.stats("dec")["dropped-unlinked"] == 5, 10, "five records that were dropped")
            self.assertEqual(a.stats("dec")["dropped-unlinked"], 0)
            b.has(a.send_rtp(3))
            self.assertEqual(a.errors() + b.errors(), [])

    def test_close_notify(self):
        """EOS on the data sink says so to the peer, whose data ends and whose state is closed."""
        a, b = pair(plain=True)
        with a, b:
            connect(a, b)
            a.send("data", b"last words")
            b.has([b"last words"], "data")
            ended = []

            def watch(_pad, info):
                if info.get_event().type == Gst.EventType.EOS:
                    ended.append(1)
                return Gst.PadProbeReturn.OK
            b.dec.get_static_pad("src").add_probe(Gst.PadProbeType.EVENT_DOWNSTREAM, watch)
            a.tx["data"].emit("end-of-stream")
            wait_for(lambda: ended, 10, "EOS of the data")
            b.wait("closed")

    @ours_only
    def test_a_source_survives_close_notify(self):
        """The sink listens on, and the same peer connects again."""
        a, b = pair(plain=True)
        with a, b:
            connect(a, b)
            a.enc.set_state(Gst.State.NULL)  # alone: in its pipeline the sink would stop first, and nothing could be sent
            b.wait("closed")
            a.stop()
            self.assertEqual(b.errors(), [])
            again = End(True, socket=a.socket, to=b.port, plain=True)
            with again:
                again.start()
                again.wait()
                b.wait("connected")
                self.assertEqual(b.errors(), [])

    @ours_only
    def test_eos_on_close(self):
        a, b = pair(plain=True, server={"dec": {"eos-on-close": True}})
        with a, b:
            connect(a, b)
            a.tx["data"].emit("end-of-stream")
            b.rx.pump(10)
            self.assertTrue(b.rx.result.eos)


class Signals(unittest.TestCase):
    def test_states_and_keys(self):
        a, b = pair()
        with a, b:
            connect(a, b)
            for end in (a, b):
                wait_for(lambda: end.noted("on-key-set") and end.noted("peer-pem") and "connected" in end.noted("state"), 5, "signals")
                states = end.noted("state")
                self.assertEqual(states[-2:], ["connecting", "connected"])
                self.assertEqual(states.count("connected"), 1)
                self.assertEqual(len(end.noted("on-key-set")), 1)
                self.assertEqual(end.dec.get_property("connection-state").value_nick, "connected")

    def test_keys_of_the_plain_elements(self):
        a, b = pair(plain=True)
        with a, b:
            connect(a, b)
            for end, peer in ((a, b), (b, a)):
                wait_for(lambda: end.noted("on-key-received") and peer.noted("dec-key"), 5, "signals")
                key = boxed_bytes(end.enc.get_property("encoder-key"))
                self.assertEqual(key, boxed_bytes(peer.dec.get_property("decoder-key")))
                for element in (end.enc, end.dec):
                    cipher, auth = element.get_property("srtp-cipher"), element.get_property("srtp-auth")
                    if not dtls.OURS:
                        self.assertEqual((cipher, auth, len(key)), (1, 2, 30))
                self.assertGreater(cipher, 0)
            self.assertNotEqual(key, boxed_bytes(b.dec.get_property("decoder-key")))

    @ours_only
    def test_numbers_of_the_profiles(self):
        """srtp-cipher and srtp-auth of the plain elements: for AES-CM those of the C plugin, above them those of AEAD."""
        for profile, cipher, auth, size in (("SRTP_AES128_CM_HMAC_SHA1_80", 1, 2, 30), ("SRTP_AES128_CM_HMAC_SHA1_32", 1, 1, 30),
                                            ("SRTP_AEAD_AES_128_GCM", 3, 0, 28), ("SRTP_AEAD_AES_256_GCM", 4, 0, 44)):
            a, b = pair(plain=True, enc={"srtp-profiles": profile})
            with self.subTest(profile=profile), a, b:
                for element in (a.make_tx()["e"], a.make_rx()["d"]):
                    self.assertEqual([element.get_property(p) for p in ("srtp-cipher", "srtp-auth")], [0, 0])
                    self.assertIsNone(boxed_bytes(element.get_property("encoder-key" if element is a.enc else "decoder-key")))
                a.stop()
                connect(a, b)
                for end in (a, b):
                    wait_for(lambda: end.noted("on-key-received") and end.noted("dec-key"), 5, "signals")
                    for element, key in ((end.enc, "encoder-key"), (end.dec, "decoder-key")):
                        self.assertEqual([element.get_property(p) for p in ("srtp-cipher", "srtp-auth")], [cipher, auth])
                        self.assertEqual(len(boxed_bytes(element.get_property(key))), size)

    def test_peer_pem(self):
        a, b = pair()
        with a, b:
            connect(a, b)
            for end, peer in ((a, b), (b, a)):
                wait_for(lambda: end.noted("peer-pem"), 5, "notify::peer-pem")
                own = peer.dec.get_property("pem")
                self.assertIn("BEGIN CERTIFICATE", own)
                self.assertEqual(end.dec.get_property("peer-pem").strip(), own.strip())

    def test_stop_is_closed(self):
        a, b = pair()
        with a, b:
            connect(a, b)
            a.tx.pipeline.set_state(Gst.State.READY)
            self.assertEqual(a.state(), "closed")

    @ours_only
    def test_stats(self):
        a, b = pair(server={"enc": {"srtp-profiles": "SRTP_AEAD_AES_128_GCM"}})
        with a, b:
            connect(a, b)
            b.has(a.send_rtp(10))
            for end, side in ((a, "enc"), (b, "enc"), (a, "dec"), (b, "dec")):
                s = end.stats(side)
                self.assertEqual(s["state"], "connected")
                self.assertEqual(s["version"], 0xFEFD)
                self.assertIn("AEAD_AES_128_GCM", s["profile"])
                self.assertRegex(s["peer-fingerprint"], "^sha-256 ([0-9A-F]{2}:){31}[0-9A-F]{2}$")
                self.assertEqual(s["handshakes"], 1)
                self.assertGreater(s["handshake-duration"], 0)
                self.assertGreaterEqual(s["retransmissions"], 0)
                for reason in ("before-key", "auth", "replay", "malformed", "spoofed"):
                    self.assertEqual(s[f"dropped-{reason}"], 0, reason)
            self.assertGreaterEqual(a.stats("enc")["packets-sent"], 10)
            self.assertGreaterEqual(b.stats("dec")["packets-received"], 10)
            self.assertGreaterEqual(b.stats("dec")["bytes-received"], 1000)
            self.assertEqual(a.enc.get_property("dtls-version"), 0xFEFD)


class WrongUse(unittest.TestCase):
    def test_missing_connection_id(self):
        for launch in ("dtlssrtpdec name=x", "dtlsdec name=x", "dtlssrtpenc name=x", "dtlsenc name=x"):
            with self.subTest(element=launch), Pipeline(launch) as p:
                self.assertEqual(p.state(Gst.State.READY), Gst.StateChangeReturn.FAILURE)
                if dtls.OURS:
                    p.pump(0)
                    self.assertIn("connection-id", p.result.text())

    @ours_only
    def test_two_decoders_with_one_id(self):
        with Pipeline("dtlsdec name=x connection-id=twice") as first, Pipeline("dtlsdec name=y") as second:
            self.assertEqual(first.state(Gst.State.READY), Gst.StateChangeReturn.SUCCESS)
            second.set("y", connection_id="twice")
            self.assertEqual(second.state(Gst.State.READY), Gst.StateChangeReturn.FAILURE)
            second.pump(0)
            self.assertIn("twice", second.result.text())
            second.state(Gst.State.NULL)
            first.stop()
            self.assertEqual(second.state(Gst.State.READY), Gst.StateChangeReturn.SUCCESS)

    @ours_only
    def test_two_encoders_with_one_id(self):
        with Pipeline("dtlsdec connection-id=twice dtlsenc connection-id=twice") as first, Pipeline("dtlsenc connection-id=twice") as second:
            self.assertEqual(first.state(Gst.State.READY), Gst.StateChangeReturn.SUCCESS)
            self.assertEqual(second.state(Gst.State.READY), Gst.StateChangeReturn.FAILURE)
            second.pump(0)
            self.assertIn("twice", second.result.text())

    def test_ids_are_free_after_use(self):
        for _ in range(5):
            a, b = pair(client={"name": "again-a"}, server={"name": "again-b"})
            with a, b:
                connect(a, b)
                b.has(a.send_rtp(2))

    @ours_only
    def test_ids_that_do_not_match(self):
        """An encoder that no decoder joins says so, and says which id."""
        a, b = pair(client={"dec_name": "other-a"}, enc={"handshake-timeout": 1000})
        with a, b:
            b.start()
            a.start()
            self.assertIn(a.name, a.error())
            self.assertEqual(a.state(), "failed")

    @ours_only
    def test_both_clients(self):
        a, b = pair(enc={"handshake-timeout": 1500})
        b.client = True
        with a, b:
            a.start()
            b.start()
            for end in (a, b):
                self.assertIn("client", end.error())
                self.assertEqual(end.state(), "failed")

    @ours_only
    def test_both_servers(self):
        a, b = pair(enc={"handshake-timeout": 1500})
        a.client = False
        with a, b:
            a.start()
            b.start()
            for end in (a, b):
                self.assertRegex(end.error(), "ClientHello|client")

    @ours_only
    def test_nobody_answers(self):
        a, _ = pair(enc={"handshake-timeout": 700})
        with a:
            a.start()
            a.error()
            self.assertEqual(a.state(), "failed")

    def test_second_data_source(self):
        for factory, template in (("dtlssrtpdec", "data_src"), ("dtlsdec", "src")):
            with self.subTest(element=factory):
                e = Gst.ElementFactory.make(factory)
                e.set_property("connection-id", f"second-{factory}")
                self.assertIsNotNone(e.request_pad_simple(template))
                self.assertIsNone(e.request_pad_simple(template))
                e.set_state(Gst.State.NULL)

    @ours_only
    def test_data_pads_can_be_released_and_asked_for_again(self):
        for factory, template in (("dtlssrtpdec", "data_src"), ("dtlsdec", "src"), ("dtlssrtpenc", "data_sink"), ("dtlsenc", "sink"),
                                  ("dtlssrtpenc", "rtp_sink_%d"), ("dtlssrtpenc", "rtcp_sink_%d")):
            with self.subTest(element=factory, pad=template):
                e = Gst.ElementFactory.make(factory)
                e.set_property("connection-id", f"release-{factory}")
                for _ in range(3):
                    pad = e.request_pad_simple(template)
                    self.assertIsNotNone(pad)
                    e.release_request_pad(pad)
                    self.assertIsNone(pad.get_parent_element())

    def test_caps_nobody_expects(self):
        for launch in ("appsrc name=s format=time caps=video/x-raw ! e.rtp_sink_0 dtlssrtpenc name=e connection-id=caps ! fakesink async=false "
                       "dtlssrtpdec connection-id=caps",
                       "appsrc name=s format=time caps=video/x-raw ! dtlsdec connection-id=caps"):
            with self.subTest(launch=launch), Pipeline(launch) as p:
                p.play()
                p["s"].emit("push-buffer", Gst.Buffer.new_wrapped(rtp(1)))
                p.pump(10)
                self.assertEqual(len(p.result.errors), 1, p.result.text())

    @ours_only
    def test_unknown_profile(self):
        with Pipeline("dtlssrtpdec connection-id=prof dtlssrtpenc name=x connection-id=prof srtp-profiles=SRTP_AEAD_AES_182_GCM") as p:
            self.assertEqual(p.state(Gst.State.PAUSED), Gst.StateChangeReturn.FAILURE)
            p.pump(0)
            self.assertIn("SRTP_AEAD_AES_128_GCM", p.result.text())

    @ours_only
    def test_settings_that_cannot_be(self):
        for props, texts in (("retransmit-initial=500 retransmit-max=100", ("retransmit-max (100 ms)", "retransmit-initial (500 ms)", "raise")),
                             ("srtp-profiles=SRTP_AEAD_AES_128_GCM,SRTP_AEAD_AES_128_GCM", ("srtp-profiles", "twice", "remove"))):
            with self.subTest(props=props), Pipeline(f"dtlssrtpdec connection-id=set dtlssrtpenc name=x connection-id=set {props}") as p:
                self.assertEqual(p.state(Gst.State.PAUSED), Gst.StateChangeReturn.FAILURE)
                p.pump(0)
                for text in texts:
                    self.assertIn(text, p.result.text())

    @ours_only
    def test_eos_and_flush_in_the_handshake(self):
        a, b = pair(data=True)
        with a, b:
            a.start()
            for event in (Gst.Event.new_flush_start(), Gst.Event.new_flush_stop(True)):
                a.enc.get_static_pad("rtp_sink_0").send_event(event)
            a.dec.get_static_pad("sink").send_event(Gst.Event.new_flush_start())
            a.dec.get_static_pad("sink").send_event(Gst.Event.new_flush_stop(False))
            b.start()
            a.wait()
            b.wait()
            b.tx["rtp"].emit("end-of-stream")  # one of three sinks of b: the others go on
            b.send("data", b"still there")
            a.has([b"still there"], "data")
            self.assertEqual(a.errors() + b.errors(), [])

    @ours_only
    def test_eos_in_the_handshake(self):
        """The peer is not there yet. What was sent before the EOS arrives when it comes, and the stream ends."""
        for plain in (False, True):
            a, b = pair(plain=plain)
            with self.subTest(plain=plain), a, b:
                a.start()
                if plain:
                    a.send("data", b"before the end")
                else:
                    packets = a.send_rtp(20)
                time.sleep(0.2)
                self.assertEqual(a.state(), "connecting")
                for source in ("data",) if plain else ("rtp", "rtcp"):
                    a.tx[source].emit("end-of-stream")
                b.start()
                if plain:
                    b.has([b"before the end"], "data")
                else:
                    b.has(packets)
                a.tx.pump(10)
                self.assertTrue(a.tx.result.eos)
                b.wait("closed")
                self.assertEqual(a.errors() + b.errors(), [])

    @ours_only
    def test_eos_in_a_handshake_that_does_not_end(self):
        """Nobody answers: the pipeline ends all the same, with the error of the handshake or without."""
        for plain in (False, True):
            a, _ = pair(plain=plain, enc={"handshake-timeout": 1500})
            with self.subTest(plain=plain), a:
                a.start()
                if plain:
                    a.send("data", b"for nobody")
                else:
                    a.send_rtp(5)
                for source in ("data",) if plain else ("rtp", "rtcp"):
                    a.tx[source].emit("end-of-stream")
                a.tx.pump(10, until=lambda: a.tx.result.eos or a.tx.result.errors)
                self.assertTrue(a.tx.result.eos or "did not complete within 1.5s" in a.tx.result.text(), a.tx.result.text())
                self.assertIn(a.state(), ("closed", "failed"))


if __name__ == "__main__":
    unittest.main()
