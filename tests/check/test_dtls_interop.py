# SPDX-License-Identifier: LGPL-2.1-or-later
"""Other implementations as the peer: the system's dtls plugin, OpenSSL, and the standard srtpenc and srtpdec."""
import unittest

import dtls
from dtls import Gst, certs, ours_only
from dtls.ends import RTP_CAPS, End, boxed_bytes, connect, content, pair, port_of, rtcp, rtp, udp_socket
from dtls.processes import OpenSSL, Peer
from ewtest import Pipeline

CM80, GCM128 = "SRTP_AES128_CM_SHA1_80", "SRTP_AEAD_AES_128_GCM"


class SystemPlugin(unittest.TestCase):
    """In a process of its own: one process holds one of the two."""

    def check(self, client):
        with End(client, data=True) as a, Peer("system", not client, data=True) as b:
            a.to = b.port

            def start_a():
                a.start()
            # The C plugin has to stand when the first ClientHello comes.
            steps = [start_a, lambda: b.do("start", to=a.port)]
            for step in reversed(steps) if client else steps:
                step()
            a.wait()
            b.wait()
            b.has(a.send_rtp(20))
            packets = [rtp(i, ssrc=7) for i in range(1, 21)]
            b.send("rtp", packets)
            a.has(packets)
            self.assertEqual(a.got["rtp"], packets)
            a.send("rtcp", rtcp(n=1))
            b.send("rtcp", [rtcp(n=2)])
            b.has([rtcp(n=1)], "rtcp")
            a.has([rtcp(n=2)], "rtcp")
            a.send("data", b"to the other")
            b.send("data", [b"from the other"])
            b.has([b"to the other"], "data")
            a.has([b"from the other"], "data")
            look = b.do("look")
            self.assertEqual(look["peer_pem"].strip(), a.dec.get_property("pem").strip())
            self.assertEqual(a.dec.get_property("peer-pem").strip(), look["pem"].strip())
            self.assertEqual(look["errors"] + a.errors(), [])
            if dtls.OURS:
                self.assertIn("AES128_CM_HMAC_SHA1_80", a.stats()["profile"])
            b.do("stop")

    def test_as_server(self):
        self.check(client=True)

    def test_as_client(self):
        self.check(client=False)

    def test_certificates_of_both_kinds(self):
        for kind in ("ec", "rsa"):
            for client in (True, False):
                with self.subTest(kind=kind, client=client):
                    i = certs.identity(kind)
                    # The C plugin gives a pem back as it was set; only the certificate is compared.
                    with End(client, plain=True, dec={"pem": i.pem}) as a, Peer("system", not client, plain=True) as b:
                        a.to = b.port
                        for step in (lambda: b.do("start", to=a.port), a.start)[::1 if client else -1]:
                            step()
                        a.wait()
                        b.wait()
                        self.assertEqual(b.do("look")["peer_pem"].strip(), i.cert.strip())
                        ours = [boxed_bytes(x.get_property(p)).hex() for x, p in ((a.enc, "encoder-key"), (a.dec, "decoder-key"))]
                        self.assertEqual(ours, b.do("keys")["keys"][::-1])
                        b.do("stop")


class Openssl(unittest.TestCase):
    """openssl's own client and server over UDP; the exported keys are compared."""

    def keys_agree(self, end, peer, profile):
        client, server = peer.keys(*{CM80: (16, 14), GCM128: (16, 12)}[profile])
        sends, receives = (client, server) if end.client else (server, client)
        self.assertEqual(boxed_bytes(end.enc.get_property("encoder-key")), sends)
        self.assertEqual(boxed_bytes(end.dec.get_property("decoder-key")), receives)

    def data_both_ways(self, end, peer):
        end.send("data", b"a line from the element\n")
        peer.wait_for("a line from the element")
        peer.write(b"a line from openssl")
        end.has([b"a line from openssl\n"], "data")

    def server(self, profile, kind, enc=None):
        port = port_of(s := udp_socket())
        s.close()
        i = certs.identity(kind, "openssl")
        with End(True, plain=True, to=port, enc=enc) as a, OpenSSL(
                "s_server", "-accept", f"127.0.0.1:{port}", "-cert", i.cert_file, "-key", i.key_file, "-Verify", "1",
                profiles=profile) as peer:
            # Not to be seen from outside: whether it listens. A ClientHello that comes too early is sent again.
            a.start()
            a.wait()
            self.assertEqual(a.dec.get_property("peer-pem").strip(), i.cert.strip())
            self.keys_agree(a, peer, profile)
            self.data_both_ways(a, peer)

    def client(self, profile, kind, enc=None):
        port = port_of(s := udp_socket())
        s.close()
        i = certs.identity(kind, "openssl")
        with End(False, plain=True, to=port, enc=enc) as a:
            a.start()
            with OpenSSL("s_client", "-connect", f"127.0.0.1:{a.port}", "-bind", f"127.0.0.1:{port}", "-cert", i.cert_file,
                         "-key", i.key_file, profiles=profile) as peer:
                a.wait()
                peer.wait_for("SRTP Extension negotiated, profile=" + profile)
                self.assertEqual(a.dec.get_property("peer-pem").strip(), i.cert.strip())
                self.keys_agree(a, peer, profile)
                self.data_both_ways(a, peer)

    def test_s_client(self):
        for kind in ("ec", "rsa"):
            with self.subTest(kind=kind):
                self.client(CM80, kind)

    def test_s_server(self):
        for kind in ("ec", "rsa"):
            with self.subTest(kind=kind):
                self.server(CM80, kind)

    @ours_only
    def test_gcm(self):
        with self.subTest(role="s_client"):
            self.client(GCM128, "ec")
        with self.subTest(role="s_server"):
            self.server(GCM128, "ec")


# name: srtp cipher, auth, size of key and salt
STANDARD = {"cm80": ("aes-128-icm", "hmac-sha1-80", 30), "cm32": ("aes-128-icm", "hmac-sha1-32", 30), "cm256-80": ("aes-256-icm", "hmac-sha1-80", 46),
            "gcm128": ("aes-128-gcm", "null", 28), "gcm256": ("aes-256-gcm", "null", 44)}


class StandardSrtp(unittest.TestCase):
    """The bins with `key` and without DTLS, against srtpenc and srtpdec."""

    def feed(self, p, source, packets):
        for packet in packets:
            p[source].emit("push-buffer", Gst.Buffer.new_wrapped(packet))

    def pull(self, p, sink, count):
        out = []
        for _ in range(count):
            sample = p[sink].emit("try-pull-sample", 5 * Gst.SECOND)
            if sample is None:
                p.pump(0)
                raise AssertionError(f"{len(out)} of {count} came: {p.result.text()}")
            out.append(content(sample))
        return out

    def names(self, cipher, auth):
        return f"srtp-cipher={cipher} srtp-auth={auth} srtcp-cipher={cipher} srtcp-auth={'hmac-sha1-80' if auth == 'hmac-sha1-32' else auth}"

    def check(self, cipher, auth, size):
        key = bytes(range(1, size + 1))
        rtcp_auth = "hmac-sha1-80" if auth == "hmac-sha1-32" else auth
        rtp_packets, rtcp_packets = [rtp(i) for i in range(1, 21)], [rtcp(n=i) for i in range(1, 4)]

        # The bin encrypts, srtpdec decrypts.
        with Pipeline(f"appsrc name=rtp format=time caps={RTP_CAPS} ! e.rtp_sink_0 appsrc name=rtcp format=time caps=application/x-rtcp ! "
                      f"e.rtcp_sink_0 dtlssrtpenc name=e {self.names(cipher, auth)} ! appsink name=out sync=false async=false") as p:
            p["e"].set_property("key", Gst.Buffer.new_wrapped(key))
            p.play()
            self.feed(p, "rtp", rtp_packets)
            wire = self.pull(p, "out", len(rtp_packets))
            self.feed(p, "rtcp", rtcp_packets)
            rtcp_wire = self.pull(p, "out", len(rtcp_packets))
        self.assertFalse(set(wire) & set(rtp_packets))
        # One srtpdec for each: with both in one, the second caps disturb the first. And it is fed before it plays: that of 1.22
        # spoils buffers that somebody else still holds.
        for kind, protected, plain in (("rtp", wire, rtp_packets), ("rtcp", rtcp_wire, rtcp_packets)):
            with Pipeline(f"appsrc name=in format=time ! d.{kind}_sink srtpdec name=d d.{kind}_src ! "
                          "appsink name=out sync=false async=false") as p:
                p["in"].set_property("caps", Gst.Caps.from_string(
                    f"application/x-s{kind}, srtp-key=(buffer){key.hex()}, srtp-cipher={cipher}, srtp-auth={auth}, srtcp-cipher={cipher}, "
                    f"srtcp-auth={rtcp_auth}, ssrc=(uint)287454020"))
                self.feed(p, "in", protected)
                p.play()
                self.assertEqual(self.pull(p, "out", len(protected)), plain)

        # srtpenc encrypts, the bin decrypts.
        with Pipeline(f"appsrc name=rtp format=time caps={RTP_CAPS} ! e.rtp_sink_0 srtpenc name=e key={key.hex()} rtp-cipher={cipher} "
                      f"rtp-auth={auth} rtcp-cipher={cipher} rtcp-auth={rtcp_auth} e.rtp_src_0 ! appsink name=out sync=false async=false "
                      "appsrc name=rtcp format=time caps=application/x-rtcp ! e.rtcp_sink_0 e.rtcp_src_0 ! "
                      "appsink name=rtcpout sync=false async=false") as p:
            p.play()
            self.feed(p, "rtp", rtp_packets)
            theirs = self.pull(p, "out", len(rtp_packets))
            self.feed(p, "rtcp", rtcp_packets)
            their_rtcp = self.pull(p, "rtcpout", len(rtcp_packets))
        self.assertEqual(theirs, wire)  # the same key and packets: the same bytes
        # One stream of both, as on a muxed port. The C plugin starts its dtlsdec once more before it takes it out: that wants an id.
        with Pipeline(f"appsrc name=in format=time ! d.sink dtlssrtpdec name=d connection-id=static {self.names(cipher, auth)} "
                      "d.rtp_src ! appsink name=out sync=false async=false d.rtcp_src ! appsink name=rtcpout sync=false async=false") as p:
            p["d"].set_property("key", Gst.Buffer.new_wrapped(key))
            self.feed(p, "in", theirs + their_rtcp)
            self.assertNotEqual(p.play(), Gst.StateChangeReturn.FAILURE)
            self.assertEqual(self.pull(p, "out", len(theirs)), rtp_packets)
            self.assertEqual(self.pull(p, "rtcpout", len(their_rtcp)), rtcp_packets)

    def test_cm80(self):
        self.check(*STANDARD["cm80"])

    def test_cm32(self):
        self.check(*STANDARD["cm32"])

    def test_cm256_80(self):
        self.check(*STANDARD["cm256-80"])

    def test_gcm128(self):
        self.check(*STANDARD["gcm128"])

    def test_gcm256(self):
        self.check(*STANDARD["gcm256"])

    @ours_only
    def test_standard_backend(self):
        """srtp-backend=standard: the same over DTLS, with srtpenc and srtpdec inside."""
        for backends in (("standard", "standard"), ("standard", None), (None, "standard")):
            with self.subTest(backends=backends):
                client, server = ({"enc": {"srtp-backend": x}, "dec": {"srtp-backend": x}} if x else {} for x in backends)
                a, b = pair(client=client, server=server)
                with a, b:
                    connect(a, b)
                    b.has(a.send_rtp(20))
                    a.has(b.send_rtp(20))
                    a.send("rtcp", rtcp())
                    b.has([rtcp()], "rtcp")


if __name__ == "__main__":
    unittest.main()
