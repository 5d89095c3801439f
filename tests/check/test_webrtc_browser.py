# SPDX-License-Identifier: LGPL-2.1-or-later
"""A real browser as the peer of webrtcbin: media and a data channel both ways, both offerers, both DTLS roles."""
import re
import sys
import unittest

import dtls
from dtls import certs, ewtest, ours_only
from webrtc.browser import CHROMIUM, DRIVER, Browser

LACK = [name for name, found in (("chromium", CHROMIUM), ("chromium-driver", DRIVER)) if not found]
if not LACK:
    try:
        from webrtc.peer import WebRTC, missing
        LACK = missing()
    except ValueError as e:  # a missing typelib
        LACK = [str(e)]
if LACK:
    print(f"\n*** NO BROWSER TEST: {', '.join(LACK)} is missing; ./scripts/setup test installs it ***\n", file=sys.stderr)


def candidates_of(sdp):
    """The candidates of a description, each with its media line."""
    out = []
    for number, media in enumerate(re.split(r"^m=", sdp, flags=re.M)[1:]):
        # Without those of TCP: libnice would try each of them.
        out += [(number, c) for c in re.findall(r"^a=(candidate:\S+ \d+ udp .*?)\r?$", media, re.M | re.I)]
    return out


def payload(sdp, codec):
    return int(re.search(rf"^a=rtpmap:(\d+) {codec}/", sdp, re.M | re.I).group(1))


@unittest.skipIf(LACK, f"no browser: {LACK}")
class Chromium(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.close)

    def check(self, browser_offers, browser_is_client, bundle=True, certificate="ecdsa", configure=None, srtp=None):
        # The DTLS server chooses: ours prefers GCM, the browser AES-CM.
        srtp = srtp or ("SRTP_AEAD_AES_256_GCM" if dtls.OURS and browser_is_client else "SRTP_AES128_CM_HMAC_SHA1_80")
        browser = self.browser
        options = {"bundle": bundle, "certificate": certificate}
        if browser_offers:
            offer = browser.do("offer", options)
            peer = WebRTC(bundle=bundle, opus=payload(offer, "opus"), vp8=payload(offer, "VP8"), configure=configure)
        else:
            peer = WebRTC(bundle=bundle, configure=configure)
        with peer:
            if browser_offers:
                sdp, candidates = peer.answer(offer, candidates_of(offer), "passive" if browser_is_client else "active")
                browser.do("accept", sdp, candidates)
            else:
                peer.create_channel()
                sdp, candidates = peer.offer()
                answer = browser.do("answer", options, sdp, candidates, "active" if browser_is_client else "passive")
                peer.accept(answer, candidates_of(answer))

            def all_there():
                self.seen = seen = browser.do("look")
                return (seen["opened"] and seen["state"] == "connected" and seen["inbound"].get("video", {}).get("framesDecoded", 0) > 5
                        and seen["inbound"].get("audio", {}).get("packetsReceived", 0) > 20
                        and seen["inbound"]["audio"].get("totalSamplesReceived", 0) > 0 and all(n > 5 for n in peer.frames.values()))
            try:
                ewtest.wait_for(all_there, 25, "media both ways")
            except AssertionError:
                self.fail(f"browser: {self.seen}; webrtcbin decoded {peer.frames}, states {peer.states()}, {peer.look()}")
            peer.wait_channel()
            peer.ping("ping from webrtcbin")
            browser.do("ping", "ping from the browser")
            ewtest.wait_for(lambda: "pong from webrtcbin" in peer.channels[0].texts and
                            "pong from the browser" in browser.do("look")["texts"], 15, "data both ways")
            seen = browser.do("look")
            self.assertGreaterEqual(len(seen["transports"]), 1)
            for t in seen["transports"]:
                self.assertEqual(t["dtlsState"], "connected")
                self.assertEqual(t["tlsVersion"], "FEFD")
                self.assertIn("TLS_ECDHE", t["dtlsCipher"])
                self.assertEqual(t["dtlsRole"], "client" if browser_is_client else "server")
                if not (t["srtpCipher"] is None and not bundle):  # the data channel's own transport has none
                    self.assertEqual(t["srtpCipher"], srtp)
            self.assertEqual(peer.roles(), {"server" if browser_is_client else "client"})
            self.assertEqual(peer.look(), [])
            # The certificate that the browser has announced is the one that we got.
            theirs = certs.fingerprint(peer.dtls("dtlssrtpdec")[0].get_property("peer-pem"))
            self.assertIn("a=fingerprint:" + theirs, offer if browser_offers else answer)
            if dtls.OURS:
                for e in peer.dtls("dtlssrtpenc"):
                    if e.get_property("connection-state").value_nick == "connected":
                        self.assertEqual(ewtest.stats(e)["state"], "connected")
            browser.do("close")

    def test_browser_offers_and_is_the_client(self):
        self.check(True, True)

    def test_browser_offers_and_is_the_server(self):
        self.check(True, False)

    def test_browser_answers_as_the_client(self):
        self.check(False, True)

    def test_browser_answers_as_the_server(self):
        self.check(False, False)

    def test_not_bundled(self):
        self.check(False, True, bundle=False)

    def test_rsa_certificate_of_the_browser(self):
        for client in (True, False):
            with self.subTest(browser_is_client=client):
                self.check(True, client, certificate="rsa")

    @ours_only
    def test_gcm(self):
        """The browser takes it where we choose, or where we offer nothing else."""
        for name in ("SRTP_AEAD_AES_128_GCM", "SRTP_AEAD_AES_256_GCM"):
            for client in (True, False):
                with self.subTest(profile=name, browser_is_client=client):
                    self.check(True, client, srtp=name,
                               configure=lambda e: e.find_property("srtp-profiles") and e.set_property("srtp-profiles", name))


if __name__ == "__main__":
    unittest.main()
