# SPDX-License-Identifier: LGPL-2.1-or-later
"""The short tier of the runs of protocols.py."""
import unittest

from protocols import RUNS
from test_chaos import case


class ShortTier(unittest.TestCase):
    pass


for _name, _run in RUNS.items():
    setattr(ShortTier, "test_" + _name.replace("-", "_"), case(_name, _run))

if __name__ == "__main__":
    unittest.main()
