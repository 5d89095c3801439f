# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a hostile or broken network, a peer that restarts and a restless application do to an endpoint."""
import gc
import os
import random
import subprocess
import sys
import threading
import time
import unittest

import dtls
from dtls import Gst, junk, ours_only
from dtls.ends import End, Spoofer, connect, pair, rtp
from ewtest import wait_for


def rss_kb():
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def dropped(end, side="dec"):
    return sum(v for k, v in end.stats(side).items() if k.startswith("dropped-"))


def media_both_ways(test, a, b, count=10):
    b.has(a.send_rtp(count))
    a.has(b.send_rtp(count))
    test.assertEqual(a.errors() + b.errors(), [])


def flows(*ends):
    """Media between two ends, both ways; what is sent under keys that the other end has no more is lost."""
    for sender, receiver in (ends, ends[::-1]):
        del receiver.got["rtp"][:]

        def arrives():
            sender.send_rtp(1)
            return receiver.got["rtp"]
        wait_for(arrives, 10, f"media from {sender.name} to {receiver.name}")


@ours_only
class Spoofed(unittest.TestCase):
    JUNK = junk.all_of_them()

    def attack(self, end):
        spoofer = Spoofer(end)
        for i in range(0, len(self.JUNK), 40):
            spoofer.send(*self.JUNK[i:i + 40])
            time.sleep(0.01)  # loopback drops what the receiver's buffer cannot hold

    def waiting(self, victim_is_client, tx=True):
        a, b = pair(enc={"handshake-timeout": 60000})
        victim, peer = (a, b) if victim_is_client else (b, a)
        with a, b:
            victim.start_rx()
            if tx:
                victim.start_tx()
            self.attack(victim)
            wait_for(lambda: dropped(victim) > 100, 10, "dropped datagrams")
            self.assertEqual(victim.errors(), [])
            if not tx:
                victim.start_tx()
            peer.start()
            victim.wait()
            peer.wait()
            media_both_ways(self, a, b)

    def test_waiting_server(self):
        self.waiting(False)

    def test_waiting_client(self):
        self.waiting(True)

    def test_decoder_without_its_encoder(self):
        for client in (False, True):
            with self.subTest(client=client):
                self.waiting(client, tx=False)

    def test_each_alone_before_the_peer(self):
        """Every datagram of the list is the first one that an endpoint gets, some at a time."""
        rng = random.Random(3)
        for chosen in ([d for d in self.JUNK if d[:1] and 20 <= d[0] <= 23 and len(d) in range(13, 27)][:6], rng.sample(self.JUNK, 6)):
            for client in (False, True):
                for d in chosen:
                    a, b = pair()
                    victim, peer = (a, b) if client else (b, a)
                    with self.subTest(client=client, datagram=d[:30].hex()), a, b:
                        victim.start()
                        Spoofer(victim).send(d)
                        time.sleep(0.03)
                        peer.start()
                        a.wait()
                        b.wait()
                        self.assertEqual(a.errors() + b.errors(), [])

    def test_during_the_handshake(self):
        for seed in range(3):
            a, b = pair()
            stop = threading.Event()

            def spoof(end, n):
                spoofer, rng = Spoofer(end), random.Random(n)
                while not stop.is_set():
                    spoofer.send(*rng.sample(self.JUNK, 5))
                    time.sleep(0.001)
            threads = [threading.Thread(target=spoof, args=(end, seed * 2 + i)) for i, end in enumerate((a, b))]
            with self.subTest(seed=seed), a, b:
                try:
                    for t in threads:
                        t.start()
                    b.start()
                    a.start()
                    a.wait(seconds=30)
                    b.wait(seconds=30)
                finally:
                    stop.set()
                    for t in threads:
                        t.join()
                media_both_ways(self, a, b)

    def test_when_connected(self):
        a, b = pair()
        with a, b:
            connect(a, b)
            media_both_ways(self, a, b)
            self.attack(a)
            self.attack(b)
            media_both_ways(self, a, b)
            for end in (a, b):
                self.assertEqual(end.state(), "connected")
                self.assertGreater(dropped(end), 100)
                self.assertEqual(end.stats("dec")["handshakes"], 1)

    def test_replayed_media(self):
        """Taken from the wire and sent again: counted, and not passed on."""
        a, b = pair()
        wire = []
        with a, b:
            connect(a, b)

            def watch(_pad, info):
                buffer = info.get_buffer()
                wire.append(buffer.extract_dup(0, buffer.get_size()))
                return Gst.PadProbeReturn.OK
            a.enc.get_static_pad("src").add_probe(Gst.PadProbeType.BUFFER, watch)
            packets = a.send_rtp(10)
            b.has(packets)
            spoofer = Spoofer(b)
            spoofer.send(*wire)
            # Under other sequence numbers, and what nobody has encrypted.
            forged = [w[:3] + bytes([w[3] ^ 0x40]) + w[4:] for w in wire] + [rtp(200 + i) for i in range(10)]
            spoofer.send(*forged)
            wait_for(lambda: b.stats("dec")["dropped-replay"] == len(wire) and b.stats("dec")["dropped-auth"] == len(forged), 10, "counters")
            b.has(a.send_rtp(1))
            self.assertEqual(b.got["rtp"][:10], packets)
            self.assertEqual(len(b.got["rtp"]), 11)

    def test_flood_of_client_hellos(self):
        """Before a cookie comes back they cost no memory, no thread and no handshake."""
        a, b = pair(enc={"handshake-timeout": 60000})
        rng = random.Random(5)
        with a, b:
            b.start()
            spoofer = Spoofer(b)

            def flood(count):
                for i in range(count):
                    spoofer.send(junk.client_hello(rng, seq=0))
                    if i % 50 == 0:
                        time.sleep(0.002)
            flood(2000)
            gc.collect()
            memory, threads = rss_kb(), len(os.listdir("/proc/self/task"))
            flood(8000)
            self.assertLess(rss_kb() - memory, 8000)
            self.assertLess(len(os.listdir("/proc/self/task")), threads + 4)
            self.assertEqual(b.stats("dec")["handshakes"], 0)
            a.start()
            a.wait()
            b.wait()
            media_both_ways(self, a, b)


@ours_only
class Restart(unittest.TestCase):
    def again(self, end, peer, **enc):
        """The same end as after a crash: nothing was said, and it knows nothing any more."""
        return End(end.client, socket=end.socket, to=peer.port, enc=enc)

    def silence(self, end):
        """Stops an end without a word: what it would say does not reach its peer."""
        end.tx["u"].set_property("port", 9)
        end.stop()

    def test_client(self):
        for quiet in (True, False):
            a, b = pair()
            with self.subTest(quiet=quiet), a, b:
                connect(a, b)
                media_both_ways(self, a, b)
                if quiet:
                    self.silence(a)
                    self.assertEqual(b.state(), "connected")
                else:
                    a.stop()
                with self.again(a, b) as c:
                    c.start()
                    c.wait()
                    b.wait()
                    flows(c, b)
                    self.assertEqual(b.stats()["handshakes"], 2)

    def test_server(self):
        a, b = pair(client={"enc": {"peer-timeout": 500}})
        with a, b:
            connect(a, b)
            media_both_ways(self, a, b)
            self.silence(b)
            with self.again(b, a) as c:
                c.start()
                c.wait(seconds=20)
                flows(a, c)
                self.assertEqual(a.errors() + c.errors(), [])

    def test_encoder_alone(self):
        a, b = pair()
        with a, b:
            connect(a, b)
            a.enc.set_state(Gst.State.NULL)
            b.wait("closed")
            a.enc.sync_state_with_parent()
            a.wait()
            b.wait()
            media_both_ways(self, a, b)

    def test_decoder_alone(self):
        """Its encoder keeps the connection: the decoder joins again, and a new handshake follows from the client."""
        a, b = pair()
        with a, b:
            connect(a, b)
            a.stop_rx()
            a.start_rx()
            a.tx.state(Gst.State.READY)
            a.tx.play()
            a.wait()
            b.wait()
            media_both_ways(self, a, b)

    def test_old_session_lives_until_the_new_one_stands(self):
        """Whole but unfinished handshakes of a stranger do not disturb the media."""
        a, b = pair()
        with a, b:
            connect(a, b)
            rng = random.Random(9)
            spoofer = Spoofer(b)
            for _ in range(20):
                spoofer.send(junk.client_hello(rng))
                b.has(a.send_rtp(1))
                a.has(b.send_rtp(1))
            self.assertEqual(b.state(), "connected")
            self.assertEqual(b.noted("state").count("connected"), 1)


@ours_only
class Stopping(unittest.TestCase):
    def ends(self, end, seconds=20):
        """Stops it in a thread; a stop that hangs fails the test instead of hanging it."""
        t = threading.Thread(target=end.stop, daemon=True)
        t.start()
        t.join(seconds)
        if t.is_alive():
            self.keep = getattr(self, "keep", []) + [(end.rx, end.tx)]
            end.rx = end.tx = None  # nobody tries again
            self.fail("the stop hangs")

    def test_while_downstream_blocks(self):
        for element, pad in (("enc", "src"), ("dec", "rtp_src")):
            for connected in (True, False):
                a, b = pair()
                with self.subTest(pad=pad, connected=connected), a, b:
                    if connected:
                        connect(a, b)
                    else:
                        b.start()
                        a.make_tx(), a.make_rx()
                    getattr(a, element).get_static_pad(pad).add_probe(
                        Gst.PadProbeType.BLOCK_DOWNSTREAM | Gst.PadProbeType.BUFFER, lambda *_: Gst.PadProbeReturn.OK)
                    if not connected:
                        a.rx.play(), a.tx.play()
                    for _ in range(20):
                        a.send("rtp", b"\x80\x60" + bytes(40))
                        b.send("rtp", b"\x80\x60" + bytes(40))
                    time.sleep(0.1)
                    self.ends(a)
                    self.ends(b)

    def test_from_our_own_signals(self):
        for what in ("on-key-set", "notify::connection-state"):
            for target in ("tx", "rx"):
                a, b = pair()
                with self.subTest(signal=what, stops=target), a, b:
                    done = threading.Event()

                    def handler(*_):
                        if a.state() == "connected" or what == "on-key-set":
                            getattr(a, target).pipeline.set_state(Gst.State.NULL)
                            done.set()
                    b.start()
                    a.make_rx(), a.make_tx()
                    a.enc.connect(what, handler)
                    a.rx.play(), a.tx.play()
                    self.assertTrue(done.wait(20), "the handler hangs, or was never called")
                    self.ends(a)
                    self.ends(b)

    def test_from_signals_of_the_decoder(self):
        """Stopping either pipeline, and releasing a pad, inside of the decoder's own signals."""
        for what in ("accept-peer-certificate", "notify::peer-pem", "notify::connection-state"):
            for target in ("tx", "rx", "release"):
                a, b = pair(data=True, enc={"handshake-timeout": 60000})
                with self.subTest(signal=what, target=target), a, b:
                    done = threading.Event()

                    def handler(*_):
                        if not done.is_set():
                            if target == "release":
                                a.dec.release_request_pad(a.dec.get_static_pad("data_src"))
                                a.enc.release_request_pad(a.enc.get_static_pad("rtp_sink_0"))
                            else:
                                getattr(a, target).pipeline.set_state(Gst.State.NULL)
                            done.set()
                        return True
                    b.start()
                    a.make_rx(), a.make_tx()
                    a.dec.connect(what, handler)
                    a.rx.play(), a.tx.play()
                    self.assertTrue(done.wait(20), "the handler hangs, or was never called")
                    if target == "release":
                        a.wait()
                        a.send("rtcp", b"\x80\xc8" + bytes(26))
                        b.has([b"\x80\xc8" + bytes(26)], "rtcp")
                    self.ends(a)
                    self.ends(b)

    def test_release_while_downstream_blocks(self):
        a, b = pair(data=True)
        with a, b:
            connect(a, b)
            b.has(a.send_rtp(5))
            a.enc.get_static_pad("src").add_probe(
                Gst.PadProbeType.BLOCK_DOWNSTREAM | Gst.PadProbeType.BUFFER, lambda *_: Gst.PadProbeReturn.OK)
            for _ in range(20):
                a.send_rtp(1)
                a.send("data", b"x" * 100)
            time.sleep(0.1)
            done = threading.Event()

            def release():
                for name in ("rtp_sink_0", "data_sink", "rtcp_sink_0"):
                    a.enc.release_request_pad(a.enc.get_static_pad(name))
                done.set()
            threading.Thread(target=release, daemon=True).start()
            self.assertTrue(done.wait(20), "a release hangs")
            self.ends(a)

    def test_state_changes_from_several_threads(self):
        a, b = pair(enc={"handshake-timeout": 0})
        with a, b:
            connect(a, b)
            end = time.monotonic() + 2

            def shake(pipeline, seed):
                rng = random.Random(seed)
                while time.monotonic() < end:
                    pipeline.set_state(rng.choice([Gst.State.NULL, Gst.State.READY, Gst.State.PAUSED, Gst.State.PLAYING]))
                    time.sleep(rng.random() * 0.01)
            threads = [threading.Thread(target=shake, args=(p.pipeline, n), daemon=True)
                       for n, p in enumerate((a.tx, a.tx, a.rx, a.rx))]
            for t in threads:
                t.start()
            for t in threads:
                t.join(30)
                self.assertFalse(t.is_alive(), "a state change hangs")
            for p in (a.tx, a.rx):
                p.pipeline.set_state(Gst.State.NULL)
            b.stop()
            c, d = pair()
            with c, d:
                connect(c, d)
                media_both_ways(self, c, d)


class Leaks(unittest.TestCase):
    def test_many_connections(self):
        """GST_TRACERS=leaks finds nothing alive after them, and no thread stays."""
        count = 1000 if dtls.OURS else 5
        out = subprocess.run([sys.executable, str(dtls.HERE / "cycles.py"), str(count)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             env=dtls.other_env("ours"), text=True, timeout=300)
        self.assertEqual(out.returncode, 0, out.stdout)
        self.assertIn("nothing alive", out.stdout)


if __name__ == "__main__":
    unittest.main()
