# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command scripts/chaos."""
import argparse
import signal
import sys

from chaoslib import Chaos, Failure, Skip, table
from runs import RUNS


def main():
    parser = argparse.ArgumentParser(prog="scripts/chaos", description="Real servers, real misfortunes: proves that nothing is lost, "
                                     "and prints the table. Without NAME: every run.")
    parser.add_argument("name", nargs="*", help=", ".join(RUNS))
    parser.add_argument("--full", action="store_true", help="the long tier; without it each run takes some 20 s")
    args = parser.parse_args()
    for name in args.name:
        if name not in RUNS:
            parser.error(f"there is no run {name}; known are {', '.join(RUNS)}")
    # A signal must stop the servers too: it becomes an exception, and the with blocks end them.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    rows, failed = [], False
    for name in args.name or RUNS:
        print(f"{name}: {RUNS[name].__doc__}", file=sys.stderr, flush=True)
        try:
            with Chaos(name, args.full) as c:
                rows.append(RUNS[name](c))
        except Skip as e:
            print(f"  skipped: {e}", file=sys.stderr)
        except Failure as e:
            print(f"  FAILED: {e}", file=sys.stderr)
            failed = True
    if rows:
        print(table(rows))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
