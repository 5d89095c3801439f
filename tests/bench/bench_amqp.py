# SPDX-License-Identifier: LGPL-2.1-or-later
"""The AMQP adapter beside the confirm loop of the Go library, on a RabbitMQ of its own."""
import gobench

SUMMARY = "the AMQP adapter beside its library's own confirm loop: messages/s, CPU per message (1 kB, in memory, all confirmed)"
RUNS = 3


def run(b):
    gobench.compare(b, "pkg/adapters/amqp", 200_000, "1 kB messages to RabbitMQ")
