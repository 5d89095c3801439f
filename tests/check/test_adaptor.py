# SPDX-License-Identifier: LGPL-2.1-or-later
"""A protocol library of someone else in msgbroker: the example, as its page says to try it."""
import pathlib
import re
import subprocess
import tempfile
import unittest

import ewtest
from ewtest import ROOT

PAGE = ROOT / "pkg" / "adapters" / "nvds" / "README.md"


class Adaptor(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="edgewire-adaptor-")
        blocks = re.findall(r"^```\n(.*?)\n```", PAGE.read_text(), re.M | re.S)
        cls.compile, cls.launch = (b.replace("/tmp/", cls.folder.name + "/") for b in blocks)
        out = subprocess.run(["bash", "-c", cls.compile + " -Wextra -Werror"], cwd=ROOT, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, timeout=60)
        assert out.returncode == 0, out.stdout
        cls.library = cls.folder.name + "/libjournal_proto.so"
        cls.journal = pathlib.Path(cls.folder.name) / "journal.txt"

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def setUp(self):
        self.journal.unlink(missing_ok=True)

    def test_page(self):
        out = subprocess.run(["bash", "-c", self.launch], env=ewtest.clean_env(), stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, timeout=60)
        self.assertEqual(out.returncode, 0, out.stdout)
        self.assertNotIn("WARNING: from", out.stdout)
        data = self.journal.read_bytes()
        self.assertEqual(data.count(b"events "), 3)

    def run_line(self, proto_lib, conn_str):
        return ewtest.launch('fakesrc num-buffers=5 filltype=zero sizetype=fixed sizemax=4 ! application/json ! '
                             f'msgbroker proto-lib="{proto_lib}" conn-str="{conn_str}" topic=events drain-timeout=2000')

    def test_delivered(self):
        result = self.run_line("file:" + self.library, self.journal)
        self.assertTrue(result.eos, result.text())
        self.assertEqual(result.text(), "")
        self.assertEqual(self.journal.read_bytes(), b"events \0\0\0\0\n" * 5)

    def test_errors(self):
        for proto_lib, text in ((self.folder.name + "/none.so", "there is no library"),
                                ("/lib/x86_64-linux-gnu/libc.so.6", "it does not export nvds_msgapi_connect, nvds_msgapi_send_async"),
                                (str(PAGE), "cannot use the library")):
            with self.subTest(proto_lib):
                if proto_lib.startswith("/lib/") and not pathlib.Path(proto_lib).exists():
                    proto_lib = "/lib64/libc.so.6"
                self.assertIn(text, self.run_line(proto_lib, self.journal).text())

    def test_cannot_connect(self):
        result = self.run_line(self.library, "/nowhere/journal.txt")
        self.assertIn("could not connect", result.text())
        self.assertIn("5 messages", result.text())


if __name__ == "__main__":
    unittest.main()
