# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command scripts/bench.

A benchmark is a file bench_NAME.py beside this one, with SUMMARY (one line), RUNS (how often each
side runs by default) and run(b), which gets a benchlib.Bench and tells its figures to it.
"""
import argparse
import importlib
import pathlib
import signal
import sys

import benchlib

HERE = pathlib.Path(__file__).resolve().parent


def load(name):
    return importlib.import_module("bench_" + name)


def main():
    names = sorted(p.stem.removeprefix("bench_") for p in HERE.glob("bench_*.py"))
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Runs a benchmark: ours beside a rival, in turn. "
                                     "Without a name it lists them.")
    parser.add_argument("name", nargs="?", help="which one")
    parser.add_argument("--json", action="store_true", help="one JSON object per figure and line: name, unit, ours, rival, ratio")
    parser.add_argument("--runs", type=int, help="how often each side runs; the figures are medians")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work: shows that it runs, not what it costs")
    args = parser.parse_args()
    if args.name is None:
        for name in names:
            print(f"{name:10} {load(name).SUMMARY}")
        return 0
    if args.name not in names:
        parser.error(f"there is no benchmark {args.name}; known are {', '.join(names)}")
    if args.runs is not None and args.runs < 1:
        parser.error("--runs takes a number from 1")
    bench = load(args.name)
    # A signal must stop the servers too: it becomes an exception, and the with blocks end them.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with benchlib.Bench(runs=args.runs or (1 if args.quick else bench.RUNS), quick=args.quick) as b:
        try:
            bench.run(b)
        except benchlib.Failure as e:
            print(f"scripts/bench {args.name}: {e}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 130
        b.show(args.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
