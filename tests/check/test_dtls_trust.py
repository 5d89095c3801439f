# SPDX-License-Identifier: LGPL-2.1-or-later
"""Certificates: which ones an endpoint takes, whom it trusts, and that no secret of it comes out."""
import base64
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import dtls
from dtls import Gst, certs, ours_only
from dtls.ends import End, boxed_bytes, connect, pair
from dtls.processes import Peer
from ewtest import Pipeline, wait_for

HERE = pathlib.Path(__file__).resolve().parent


class Pem(unittest.TestCase):
    def test_own_certificates(self):
        for kind in ("ec", "rsa"):
            with self.subTest(kind=kind):
                i = certs.identity(kind)
                a, b = pair(client={"dec": {"pem": i.pem}})
                with a, b:
                    connect(a, b)
                    self.assertEqual(b.dec.get_property("peer-pem").strip(), i.cert.strip())
                    b.has(a.send_rtp(2))

    def test_forms_of_keys(self):
        for kind, form in (("rsa", "pkcs1"), ("rsa", "pkcs8"), ("ec", "sec1"), ("ec", "pkcs8")):
            with self.subTest(kind=kind, form=form):
                i = certs.identity(kind)
                a, b = pair(server={"dec": {"pem": i.cert + certs.key_in(form, kind)}})
                with a, b:
                    connect(a, b)
                    self.assertEqual(a.dec.get_property("peer-pem").strip(), i.cert.strip())

    @ours_only
    def test_key_before_certificate(self):
        i = certs.identity("ec")
        a, b = pair(client={"dec": {"pem": i.key + i.cert}})
        with a, b:
            connect(a, b)

    @ours_only
    def test_reading_never_gives_the_key(self):
        for kind in ("ec", "rsa"):
            i = certs.identity(kind)
            for factory in ("dtlsdec", "dtlssrtpdec"):
                with self.subTest(kind=kind, element=factory):
                    e = Gst.ElementFactory.make(factory)
                    for state in (Gst.State.NULL, Gst.State.READY):
                        e.set_property("pem", i.pem)
                        e.set_property("connection-id", f"reading-{factory}")
                        e.set_state(state)
                        text = e.get_property("pem")
                        self.assertEqual(text.strip(), i.cert.strip())
                    e.set_state(Gst.State.NULL)

    def test_generated_one(self):
        """It is there when it is asked for, is the same when asked again, and is a certificate only."""
        e = Gst.ElementFactory.make("dtlssrtpdec")
        e.set_property("connection-id", "generated")
        text = e.get_property("pem")
        self.assertEqual(text, e.get_property("pem"))
        self.assertNotIn("PRIVATE", text)
        shown = certs.openssl("x509", "-noout", "-text", text=text)
        self.assertIn("Version: 3", shown)
        if dtls.OURS:
            self.assertIn("prime256v1", shown)

    def test_generated_once_in_a_process(self):
        """webrtcbin refuses descriptions whose media have different fingerprints, and takes one decoder for each."""
        seen = set()
        for factory in ("dtlssrtpdec", "dtlsdec", "dtlssrtpdec"):
            e = Gst.ElementFactory.make(factory)
            e.set_property("connection-id", "one-certificate")
            seen.add(e.get_property("pem"))
            e.set_state(Gst.State.NULL)
            del e
        self.assertEqual(len(seen), 1)

    @ours_only
    def test_broken_ones(self):
        """Each is an error that says what is wrong, and does not quote it."""
        ec, rsa = certs.identity("ec"), certs.identity("rsa")
        broken = {
            "no pem at all": "nonsense",
            "a certificate without a key": ec.cert,
            "a key without a certificate": ec.key,
            "keys of another": ec.cert + rsa.key,
            "keys of another of its kind": ec.cert + certs.identity("ec", "b").key,
            "a cut block": ec.cert[:200] + ec.key,
            "a block of junk": ec.cert + "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        }
        for what, pem in broken.items():
            for factory in ("dtlsdec", "dtlssrtpdec"):
                with self.subTest(pem=what, element=factory), Pipeline(f"{factory} name=x") as p:
                    p.set("x", pem=pem, connection_id="broken-pem")
                    self.assertEqual(p.state(Gst.State.READY), Gst.StateChangeReturn.FAILURE)
                    p.pump(0)
                    text = p.result.text() + p.result.debug
                    self.assertRegex(text, "pem|PEM")
                    for line in re.findall(r"^[A-Za-z0-9+/=]{20,}$", pem, re.M):
                        self.assertNotIn(line, text)


@ours_only
class Trust(unittest.TestCase):
    """The client has an identity of its own; what the server thinks of it is the test."""

    def refused(self, a, b, who=None):
        """Nothing flows, no keys come, and both ends say so."""
        with a, b:
            b.start()
            a.start()
            for _ in range(5):
                a.send("data", b"secret")
            text = (who or b).error()
            (who or b).wait("failed")
            self.assertEqual((who or b).noted("on-key-set"), [])
            # The other hears of it by an alert that nobody has authenticated: it believes it when its time is over.
            other = a if (who or b) is b else b
            self.assertIn("alert", other.error())
            other.wait("failed")
            self.assertEqual(other.noted("on-key-set"), [])
            self.assertEqual(b.got["data"] + b.got["rtp"] + a.got["rtp"], [])
            return text

    def accepted(self, a, b):
        with a, b:
            connect(a, b)
            b.has(a.send_rtp(3))
            a.has(b.send_rtp(3))
            self.assertEqual(a.errors() + b.errors(), [])

    def ends(self, server=None, client=None, identity=None):
        i = identity or certs.identity("ec")
        return pair(data=True, enc={"handshake-timeout": 1500}, client={"dec": {"pem": i.pem, **(client or {})}}, server={"dec": server or {}})

    def test_fingerprint(self):
        i = certs.identity("ec")
        for name in ("sha-256", "sha-384", "sha-512"):
            with self.subTest(hash=name):
                self.accepted(*self.ends({"peer-fingerprint": i.fingerprint(name)}))
        for text in (i.fingerprint().lower(), "a=fingerprint:" + i.fingerprint(),
                     certs.identity("ec", "b").fingerprint() + ", " + i.fingerprint()):
            with self.subTest(text=text):
                self.accepted(*self.ends({"peer-fingerprint": text}))

    def test_fingerprint_of_the_server(self):
        i = certs.identity("rsa")
        a, b = pair(client={"dec": {"peer-fingerprint": i.fingerprint()}}, server={"dec": {"pem": i.pem}})
        self.accepted(a, b)

    def test_wrong_fingerprint(self):
        a, b = self.ends({"peer-fingerprint": certs.identity("ec", "b").fingerprint()})
        self.assertIn("fingerprint", self.refused(a, b))
        a, b = self.ends(None, {"peer-fingerprint": certs.identity("ec", "b").fingerprint()})
        self.refused(a, b, who=a)

    def test_bad_fingerprints(self):
        for text in ("sha-256 AA:BB", "sha-1 " + ":".join(["AA"] * 20), "md5 00", "nonsense", "sha-256 " + ":".join(["GG"] * 32)):
            with self.subTest(text=text), Pipeline("dtlssrtpdec name=x connection-id=bad-pin") as p:
                p.set("x", peer_fingerprint=text)
                self.assertEqual(p.state(Gst.State.READY), Gst.StateChangeReturn.FAILURE)
                p.pump(0)
                self.assertIn("peer-fingerprint", p.result.text())

    def test_ca(self):
        ca = certs.identity("ec", "ca")
        self.accepted(*self.ends({"ca-file": str(ca.cert_file), "verify": "ca"}, identity=certs.signed()))

    def test_wrong_ca(self):
        ca = certs.identity("ec", "ca")
        self.refused(*self.ends({"ca-file": str(ca.cert_file), "verify": "ca"}))  # self-signed
        self.refused(*self.ends({"ca-file": str(ca.cert_file), "verify": "ca"}, identity=certs.signed("stranger", "other-ca")))

    def test_missing_ca_file(self):
        with Pipeline("dtlssrtpdec name=x connection-id=no-ca ca-file=/nonexistent/ca.pem") as p:
            self.assertEqual(p.state(Gst.State.READY), Gst.StateChangeReturn.FAILURE)
            p.pump(0)
            self.assertIn("/nonexistent/ca.pem", p.result.text())

    def test_accept_signal(self):
        for verdict in (True, False):
            asked = []
            a, b = self.ends()
            with self.subTest(verdict=verdict):
                real = b.make_rx

                def make_rx():
                    p = real()

                    def handler(_e, pem):
                        asked.append((pem, list(b.noted("on-key-set"))))
                        return verdict
                    p["d"].connect("accept-peer-certificate", handler)
                    return p
                b.make_rx = make_rx
                if verdict:
                    self.accepted(a, b)
                else:
                    self.refused(a, b)
                # Asked once, with the peer's certificate, before any key.
                self.assertEqual([(pem.strip(), keys) for pem, keys in asked], [(certs.identity("ec").cert.strip(), [])])

    def test_warning_when_nothing_verifies(self):
        for props, count in ({}, 1), ({"peer-fingerprint": certs.identity("ec").fingerprint()}, 0):
            a, b = self.ends(props)
            with self.subTest(props=list(props)), a, b:
                connect(a, b)
                b.has(a.send_rtp(3))
                if count:
                    b.rx.pump(10, until=lambda: b.rx.result.warnings)
                b.rx.pump(0.2)
                b.tx.pump(0)
                warnings = [w for w in b.rx.result.warnings + b.tx.result.warnings]
                self.assertEqual(len(warnings), count, warnings)
                self.assertEqual("peer-fingerprint" in "".join(warnings), bool(count))

    def test_one_warning_for_a_connection(self):
        """A peer that comes again, as somebody else even, is no reason for another one; the element's next run is."""
        a, b = pair(client={"dec": {"pem": certs.identity("ec").pem}})
        with a, b:
            connect(a, b)
            for name in ("again", "and again"):
                handshakes = b.stats()["handshakes"]
                a.stop()
                a.dec_props["pem"] = certs.identity("ec", name).pem
                a.start()
                a.wait()
                wait_for(lambda: b.stats()["handshakes"] > handshakes, 10, "another handshake")
                b.has(a.send_rtp(3))
            b.rx.pump(0.3)
            self.assertEqual(len([w for w in b.rx.result.warnings if "peer-fingerprint" in w]), 1, b.rx.result.warnings)
            b.stop()
            b.start()
            a.stop()
            a.start()
            a.wait()
            b.wait()
            b.rx.pump(1, until=lambda: b.rx.result.warnings)
            self.assertEqual(len(b.rx.result.warnings), 1)


@ours_only
class Secrets(unittest.TestCase):
    def test_no_key_in_the_log(self):
        """The whole debug log of a process at the highest level, against all the secrets that it had."""
        i = certs.identity("ec")
        with tempfile.TemporaryDirectory() as d:
            log = pathlib.Path(d) / "log"
            env = {"GST_DEBUG": "9", "GST_DEBUG_FILE": str(log), "GST_DEBUG_NO_COLOR": "1", "GODEBUG": "http2debug=0"}
            with End(True, plain=True) as a, Peer("ours", False, env=env, plain=True, dec={"pem": i.pem}) as b:
                a.to = b.port
                b.do("start", to=a.port)
                a.start()
                a.wait()
                b.wait()
                a.send("data", b"hello")
                b.has([b"hello"], "data")
                # Before the keys are read: reading is the application's own doing, and its values show in the log.
                text = log.read_text(errors="replace")
                keys = [bytes.fromhex(k) for k in b.do("keys")["keys"]]
                b.do("stop")
        self.assertGreater(len(text), 100_000)
        self.assertIn("dtls", text)
        secrets = {}
        for n, key in enumerate(keys):
            self.assertGreaterEqual(len(key), 28)
            secrets[f"key {n}"], secrets[f"key {n} without salt"] = key, key[:16]
        der = base64.b64decode("".join(i.key.splitlines()[1:-1]))
        secrets["private key"] = re.search(rb"\x04\x20(.{32})", der, re.S).group(1)
        low = text.lower()
        for name, secret in secrets.items():
            with self.subTest(secret=name):
                # Not assertNotIn, which would print the log.
                self.assertFalse(secret.hex() in low, "in hex")
                for between in (":", " "):
                    self.assertFalse(between.join(f"{x:02x}" for x in secret) in low, f"in hex with {between!r}")
                self.assertFalse(" ".join(str(x) for x in secret) in text, "as numbers")
                for shift in range(3):  # base64 of it within other bytes
                    encoded = base64.b64encode(bytes(shift) + secret).decode()
                    self.assertFalse(encoded[4 if shift else 0:len(encoded) - 4] in text, "in base64")
        self.assertFalse("PRIVATE KEY" in text)
        for line in i.key.splitlines()[1:-1]:
            self.assertFalse(line in text, "a line of the PEM")

    def test_errors_and_stats_have_no_key(self):
        a, b = pair(plain=True)
        with a, b:
            connect(a, b)
            wait_for(lambda: a.noted("on-key-received"), 5, "keys")
            key = boxed_bytes(a.enc.get_property("encoder-key"))
            for end in (a, b):
                for side in ("enc", "dec"):
                    text = repr(end.stats(side)).lower()
                    self.assertNotIn(key.hex()[:32], text)
                    self.assertNotIn(base64.b64encode(key).decode()[:20].lower(), text)


    def test_no_key_in_dot_files(self):
        """Keys set by hand, keys of the handshake and the private key of pem, in pictures of the pipelines with everything on them."""
        folder = os.environ.get("GST_DEBUG_DUMP_DOT_DIR")
        if not folder:  # GStreamer reads the environment once
            with tempfile.TemporaryDirectory(prefix="edgewire-dots-") as d:
                out = subprocess.run([sys.executable, "-m", "unittest", "test_dtls_trust.Secrets.test_no_key_in_dot_files"], cwd=HERE, stdout=subprocess.PIPE,
                                     stderr=subprocess.STDOUT, env=dtls.other_env("ours", GST_DEBUG_DUMP_DOT_DIR=d), text=True, timeout=60)
                self.assertEqual(out.returncode, 0, out.stdout)
                self.assertIn("Ran 1 test", out.stdout)
                self.assertGreaterEqual(len(list(pathlib.Path(d).iterdir())), 6)
            return
        i = certs.identity("ec")
        secrets = [line.encode() for line in i.key.splitlines()[1:-1]]
        pipelines = []
        a, b = pair(plain=True, client={"dec": {"pem": i.pem}})
        with a, b, Pipeline("dtlssrtpenc name=e ! fakesink dtlssrtpdec name=d") as p:
            connect(a, b)
            wait_for(lambda: a.noted("on-key-received"), 5, "keys")
            secrets.append(boxed_bytes(a.enc.get_property("encoder-key")))
            secrets.append(bytes(range(0x41, 0x41 + 30)))
            for name in "ed":
                p[name].set_property("key", Gst.Buffer.new_wrapped(secrets[-1]))
            pipelines = [x.pipeline for end in (a, b) for x in (end.tx, end.rx)] + [p.pipeline]
            for n, pipeline in enumerate(pipelines):
                Gst.debug_bin_to_dot_file(pipeline, Gst.DebugGraphDetails.ALL, f"p{n}")
            (pathlib.Path(folder) / "last").write_text(Gst.debug_bin_to_dot_data(p.pipeline, Gst.DebugGraphDetails.ALL))
        for f in pathlib.Path(folder).iterdir():
            text = f.read_text(errors="replace")
            self.assertTrue("dtls" in text.lower())
            for secret in secrets:
                for form in (secret.decode("latin-1"), secret.hex(), base64.b64encode(secret).decode()):
                    self.assertFalse(form[:16].lower() in text.lower(), f"a secret in {f.name}")


@ours_only
class SetWhileReady(unittest.TestCase):
    def test_fingerprint(self):
        """What is set in READY or PLAYING, before the handshake, counts."""
        for state in (Gst.State.READY, Gst.State.PLAYING):
            with self.subTest(state=state.value_nick):
                a, b = pair()
                with a, b:
                    a.make_rx().pipeline.set_state(state)
                    a.dec.set_property("peer-fingerprint", certs.identity("ec", "other").fingerprint())
                    a.rx.play()
                    a.start_tx()
                    b.start()
                    self.assertIn("peer-fingerprint", a.error())

    def test_pem(self):
        """What pem says is what the peer gets."""
        a, b = pair(client={"dec": {"pem": certs.identity("ec", "first").pem}})
        with a, b:
            a.make_rx().pipeline.set_state(Gst.State.READY)
            a.dec.set_property("pem", certs.identity("ec", "second").pem)
            a.rx.play()
            a.start_tx()
            b.start()
            b.wait()
            self.assertEqual(b.dec.get_property("peer-pem").strip(), a.dec.get_property("pem").strip())

    def test_pin_of_nothing(self):
        for pins in (",", " ", "\n"):
            a, b = pair(client={"dec": {"peer-fingerprint": pins}})
            with a, b:
                self.assertRaisesRegex(AssertionError, "peer-fingerprint", a.start)


@ours_only
class FullDownstream(unittest.TestCase):
    """A sink that takes no more does not keep an element from stopping or a pad from going."""

    def test_appsink(self):
        for how in ("release", "stop"):
            with self.subTest(how=how):
                a, b = pair(data=True)
                with a, b:
                    sink = b.make_rx()["data"]
                    sink.set_property("max-buffers", 1)
                    sink.set_property("emit-signals", False)
                    b.rx.play()
                    b.start_tx()
                    a.start()
                    a.wait()
                    b.wait()
                    for _ in range(20):
                        a.send("data", b"y" * 1000)
                    wait_for(lambda: b.stats("dec")["packets-received"] >= 20, 5, "the data")
                    if how == "release":
                        b.dec.release_request_pad(b.dec.get_static_pad("data_src"))
                    else:
                        b.dec.set_locked_state(True)
                        b.dec.set_state(Gst.State.NULL)


if __name__ == "__main__":
    unittest.main()
