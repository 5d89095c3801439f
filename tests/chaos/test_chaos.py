# SPDX-License-Identifier: LGPL-2.1-or-later
"""The short tier of the chaos runs; scripts/chaos --full has the long one."""
import unittest

import network
import protocols
from chaoslib import Chaos, Failure, Skip
from runs import RUNS


class ShortTier(unittest.TestCase):
    pass


def case(name, run):
    def test(self):
        try:
            with Chaos(name, full=False) as c:
                print(run(c), flush=True)
        except Skip as e:
            self.skipTest(str(e))
        except Failure as e:
            self.fail(str(e))
    test.__doc__ = run.__doc__
    return test


for _name, _run in RUNS.items():
    if _name in network.RUNS | protocols.RUNS:  # in test_network.py and test_protocols.py
        continue
    setattr(ShortTier, "test_" + _name.replace("-", "_"), case(_name, _run))

if __name__ == "__main__":
    unittest.main()
