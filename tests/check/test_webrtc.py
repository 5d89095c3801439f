# SPDX-License-Identifier: LGPL-2.1-or-later
"""Two webrtcbins in one process over the dtls elements: audio, video, a data channel, both roles, bundled and not."""
import unittest

from dtls import ewtest, ours_only

try:
    from webrtc.peer import WebRTC, missing
    LACK = missing()
except ValueError as e:  # a missing typelib
    LACK = [str(e)]


@unittest.skipIf(LACK, f"webrtcbin cannot be used here, missing: {LACK} (gstreamer1.0-nice, gir1.2-gst-plugins-bad-1.0)")
class TwoBins(unittest.TestCase):
    def check(self, setup, bundle=True, profile=None):
        """setup is what the answer says: active (the answerer is the client) or passive."""
        def configure(e):
            if profile and e.find_property("srtp-profiles"):
                e.set_property("srtp-profiles", profile)
        with WebRTC(bundle=bundle, configure=configure) as a, WebRTC(bundle=bundle, configure=configure) as b:
            a.create_channel()
            sdp, candidates = a.offer()
            self.assertIn("a=setup:actpass", sdp)
            a.accept(*b.answer(sdp, candidates, setup))
            for end in (a, b):
                end.wait_media()
                end.wait_channel()
            ewtest.wait_for(lambda: a.channels[0].opened.is_set(), 20, "open data channel")
            a.ping("ping there")
            ewtest.wait_for(lambda: "pong there" in a.channels[0].texts, 20, f"answer ({a.channels[0].texts})")
            b.ping("ping back")
            ewtest.wait_for(lambda: "pong back" in b.channels[0].texts, 20, f"answer ({b.channels[0].texts})")
            self.assertEqual(a.look() + b.look(), [])
            answerer = "client" if setup == "active" else "server"
            self.assertEqual(b.roles(), {answerer})
            self.assertEqual(a.roles(), {"client", "server"} - {answerer})
            connected = [s for s in a.states() if s == "connected"]
            self.assertEqual(len(connected), 1 if bundle else 3)
            for e in a.dtls("dtlssrtpdec") + b.dtls("dtlssrtpdec"):
                if e.get_property("connection-state").value_nick == "connected":
                    self.assertIn("BEGIN CERTIFICATE", e.get_property("peer-pem"))
            if profile:
                used = {ewtest.stats(e)["profile"] for e in a.dtls("dtlssrtpenc") + b.dtls("dtlssrtpenc")}
                self.assertEqual(len(used), 1)
                self.assertIn(profile.removeprefix("SRTP_"), used.pop())

    def test_answerer_is_the_client(self):
        self.check("active")

    def test_answerer_is_the_server(self):
        self.check("passive")

    def test_not_bundled(self):
        self.check("active", bundle=False)

    def test_not_bundled_server(self):
        self.check("passive", bundle=False)

    @ours_only
    def test_gcm(self):
        for profile in ("SRTP_AEAD_AES_128_GCM", "SRTP_AEAD_AES_256_GCM"):
            with self.subTest(profile=profile):
                self.check("active", profile=profile)


if __name__ == "__main__":
    unittest.main()
