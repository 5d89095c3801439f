# SPDX-License-Identifier: LGPL-2.1-or-later
"""The example of two endpoints, as its users start it."""
import subprocess
import sys
import unittest

import dtls
import ewtest
from dtls import ours_only

EXAMPLE = dtls.ROOT / "examples" / "python" / "dtls_srtp_loop.py"


class Example(unittest.TestCase):
    def play(self, *options, code=0):
        env = {**ewtest.clean_env(), "PYTHONDONTWRITEBYTECODE": "1"}
        out = subprocess.run([sys.executable, str(EXAMPLE), "--seconds", "1", *options], env=env, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True, timeout=90)
        self.assertEqual(out.returncode, code, out.stdout + out.stderr)
        if dtls.OURS and code == 0:
            self.assertEqual(out.stdout.count("connected, DTLS 1.2, "), 2, out.stdout)
        return out.stdout

    def test_as_it_is(self):
        self.play()

    def test_server_late(self):
        self.play("--late", "0.3")

    @ours_only
    def test_tx_first(self):
        self.play("--tx-first")

    @ours_only
    def test_tx_first_and_late(self):
        self.play("--tx-first", "--late", "0.3")

    @ours_only
    def test_restart_of_the_client(self):
        self.play("--restart", "client")

    @ours_only
    def test_restart_of_the_server(self):
        self.play("--restart", "server")

    @ours_only
    def test_profiles(self):
        for name in ("SRTP_AEAD_AES_256_GCM", "SRTP_AEAD_AES_128_GCM", "SRTP_AES128_CM_HMAC_SHA1_80", "SRTP_AES128_CM_HMAC_SHA1_32"):
            with self.subTest(profile=name):
                self.assertEqual(self.play("--profile", name).count(name.removeprefix("SRTP_")), 2)


if __name__ == "__main__":
    unittest.main()
