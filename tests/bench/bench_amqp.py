# SPDX-License-Identifier: LGPL-2.1-or-later
"""The AMQP adapter beside the confirm loop of the Go library and beside frames that were made before, on one RabbitMQ."""
import os
import pathlib
import re

from benchlib import HIGHER, LOWER, ROOT, Failure, run as command

SUMMARY = "the AMQP adapter beside its library's confirm loop and the fastest client there can be: messages/s, CPU (1 kB, all confirmed)"
RUNS = 3

COUNT = 200_000
PACKAGE = ROOT / "pkg" / "adapters" / "amqp"
# The situations of bench_test.go there, and what they are for amqp_raw.
SITUATIONS = {"queue": ["--max-length", 1000], "topic": ["--max-length", 1000, "--exchange", "edgewire-tests"],
              "backlog": ["--exchange", "edgewire-tests"]}
BACKLOG = 100_000  # what lies in the queue decides there: all sides send as many


def beam(group):
    """The process of the server's virtual machine, by its process group."""
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            name, rest = stat.read_text().split("(", 1)[1].rsplit(")", 1)
        except OSError:
            continue
        if name == "beam.smp" and rest.split()[2] == group:
            return stat
    raise Failure(f"the server has no process beam.smp in the group {group}")


def run(b):
    program = b.dir / "bench.test"
    command(["go", "test", "-c", "-o", program, "."], cwd=PACKAGE)
    raw = b.compile("amqp_raw.c")
    with b.server("rabbitmq") as address:
        stat = beam((b.dir / "rabbitmq" / "pid").read_text().split()[0])

        def server_cpu():
            return sum(map(int, stat.read_text().rsplit(")", 1)[1].split()[11:13])) / os.sysconf("SC_CLK_TCK")

        def side(argv, n):
            def once():
                before = server_cpu()
                out = command(argv, cwd=PACKAGE, env={**os.environ, "EDGEWIRE_RABBITMQ": address})
                spent = server_cpu() - before
                got = {unit: float(value) for value, unit in re.findall(r"([0-9.]+) (messages/s|cpu-us/message)", out)}
                if len(got) != 2:
                    raise Failure(f"{argv[0]} gave no figures:\n{out[-2000:]}")
                return {"rate": got["messages/s"], "cpu": got["cpu-us/message"], "server": spent * 1e6 / n}
            return once

        for name, options in SITUATIONS.items():
            n = b.scaled(BACKLOG if name == "backlog" else COUNT)

            def go(benchmark):
                return side([program, "-test.run=^$", f"-test.bench=^{benchmark}$/^{name}$", f"-test.benchtime={n}x"], n)

            r = b.in_turn(f"1 kB messages to RabbitMQ, {name}", ours=go("BenchmarkPublish"), library=go("BenchmarkLibrary"),
                          raw=side([raw, *options, *address.split(":"), f"bench.{name}", n], n))
            b.figure(f"{name}-messages-per-s", "1/s", r["ours"]["rate"], r["library"]["rate"], HIGHER)
            b.figure(f"{name}-cpu-us-per-message", "µs", r["ours"]["cpu"], r["library"]["cpu"], LOWER)
            b.figure(f"{name}-beside-raw-messages-per-s", "1/s", r["ours"]["rate"], r["raw"]["rate"], HIGHER)
            b.figure(f"{name}-beside-raw-server-cpu-us", "µs", r["ours"]["server"], r["raw"]["server"], LOWER)
