# SPDX-License-Identifier: LGPL-2.1-or-later
"""DeepStream's metadata, of each release, through the elements. One process per release: a process can hold only one."""
import json
import pathlib
import subprocess
import sys
import unittest

import nvds

HERE = pathlib.Path(__file__).resolve().parent


def run(script, *arguments, timeout=120):
    out = subprocess.run([sys.executable, str(HERE / "nvds" / script), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         text=True, timeout=timeout)
    if out.returncode != 0:
        raise AssertionError(f"{script} {arguments} ended with {out.returncode}: {out.stdout[-2000:]}{out.stderr[-4000:]}")
    return json.loads(out.stdout.splitlines()[-1])


class Golden(unittest.TestCase):
    def test_every_case_with_every_release(self):
        for release in nvds.RELEASES:
            with self.subTest(release=release):
                result = run("golden.py", release, "msgconv")
                self.assertGreaterEqual(result["ran"], 155)
                self.assertEqual(result["failures"], [])


if __name__ == "__main__":
    unittest.main()
