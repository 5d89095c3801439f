# SPDX-License-Identifier: LGPL-2.1-or-later
"""The NATS adapter beside the asynchronous publishing of the Go library, on a server of its own."""
import gobench

SUMMARY = "the NATS adapter beside its library's PublishAsync: messages/s, CPU per message (1 kB, JetStream on disk, all acknowledged)"
RUNS = 3


def run(b):
    gobench.compare(b, "pkg/adapters/nats", 200_000, "1 kB messages to JetStream")
