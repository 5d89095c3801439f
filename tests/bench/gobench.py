# SPDX-License-Identifier: LGPL-2.1-or-later
"""Benchmarks of a Go package that report messages/s and cpu-us/message: ours beside the protocol's library."""
import re

from benchlib import HIGHER, LOWER, ROOT, Failure, run as command


def compare(b, package, count, what):
    """BenchmarkPublish of a package beside its BenchmarkLibrary, each with a server of its own."""
    folder = ROOT / package
    program = b.dir / "bench.test"
    command(["go", "test", "-c", "-o", program, "."], cwd=folder)
    n = b.scaled(count)

    def side(name):
        def once():
            out = command([program, "-test.run=^$", f"-test.bench=^{name}$", f"-test.benchtime={n}x"], cwd=folder)
            got = {unit: float(value) for value, unit in re.findall(r"([0-9.]+) (messages/s|cpu-us/message)", out)}
            if len(got) != 2:
                raise Failure(f"{name} of {package} gave no figures:\n{out[-2000:]}")
            return {"rate": got["messages/s"], "cpu": got["cpu-us/message"]}
        return once

    r = b.in_turn(what, ours=side("BenchmarkPublish"), library=side("BenchmarkLibrary"))
    b.figure("messages-per-s", "1/s", r["ours"]["rate"], r["library"]["rate"], HIGHER)
    b.figure("cpu-us-per-message", "µs", r["ours"]["cpu"], r["library"]["cpu"], LOWER)
