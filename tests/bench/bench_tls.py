# SPDX-License-Identifier: LGPL-2.1-or-later
"""What security costs: msgbroker into one Kafka through listeners of every kind, beside plaintext.

Plaintext, TLS 1.2 with four cipher suites, TLS 1.3, SASL/SCRAM with and without TLS; messages of 100 B, 1 kB,
10 kB and 100 kB, all acknowledged. The rate is that of a flood. CPU is measured at a fixed load of 10 MB/s (2 MB/s of
100 B messages): in a flood librdkafka polls without a pause while the server owes answers, and a server that
decrypts makes it wait longer, so that the CPU of a flood says nothing about the client's cipher. At 1 kB a plain C
producer (rdkafka_producer.c) does the same with the same options. It draws docs/tls-cost.svg; with --quick a file of
that name in the folder for temporary files instead.
"""
import itertools
import json
import statistics

from benchlib import HIGHER, LOWER, ROOT, Failure, number, run as command, say
from bench_kafka import OPTIONS
from picture import document, draw

SUMMARY = "what TLS and SASL cost on Kafka: CPU and rate by cipher suite and message size; draws docs/tls-cost.svg"
RUNS = 3

# Bytes, messages of a flood, messages a second of the fixed load.
SIZES = {"100 B": (100, 400_000, 20_000), "1 kB": (1000, 100_000, 10_000), "10 kB": (10_000, 10_000, 1000), "100 kB": (100_000, 1000, 100)}
SECONDS = 2  # of the fixed load
BESIDE_C = "1 kB"

# The names of ports that scripts/kafka gives to listeners of --extra.
PLAIN, TLS12, TLS13, SASL, SASL_TLS = "PORT", "PORT2", "PORT3", "PORT4", "PORT5"
TRUST = ("ssl.ca.location=@PKI@/ca.pem",)
LOGIN = ("sasl.mechanism=SCRAM-SHA-512", "sasl.username=bench", "sasl.password=bench-secret")
WAYS = {
    "plaintext": (PLAIN, ()),
    "TLS 1.2 AES-128-GCM": (TLS12, ("security.protocol=ssl", *TRUST, "ssl.cipher.suites=ECDHE-ECDSA-AES128-GCM-SHA256")),
    "TLS 1.2 AES-256-GCM": (TLS12, ("security.protocol=ssl", *TRUST, "ssl.cipher.suites=ECDHE-ECDSA-AES256-GCM-SHA384")),
    "TLS 1.2 AES-128-CBC": (TLS12, ("security.protocol=ssl", *TRUST, "ssl.cipher.suites=ECDHE-ECDSA-AES128-SHA256")),
    "TLS 1.2 AES-256-CBC": (TLS12, ("security.protocol=ssl", *TRUST, "ssl.cipher.suites=ECDHE-ECDSA-AES256-SHA384")),
    "TLS 1.3 AES-256-GCM": (TLS13, ("security.protocol=ssl", *TRUST)),
    "SASL/SCRAM, no TLS": (SASL, ("security.protocol=sasl_plaintext", *LOGIN)),
    "SASL/SCRAM, TLS 1.3": (SASL_TLS, ("security.protocol=sasl_ssl", *TRUST, *LOGIN)),
}
COLOURS = ("#8a8a8a", "#1b6ca8", "#5fa3d3", "#b0562f", "#d99a6c", "#5b9a3c", "#6d5a9c", "#a693cf")

PROPERTIES = """
log.segment.delete.delay.ms=1000
log.segment.bytes=268435456
listeners=PLAIN://127.0.0.1:@PORT@,CONTROLLER://127.0.0.1:@CONTROLLER_PORT@,TLS12://127.0.0.1:@PORT2@,TLS13://127.0.0.1:@PORT3@,SASL://127.0.0.1:@PORT4@,SASLTLS://127.0.0.1:@PORT5@
advertised.listeners=PLAIN://127.0.0.1:@PORT@,TLS12://127.0.0.1:@PORT2@,TLS13://127.0.0.1:@PORT3@,SASL://127.0.0.1:@PORT4@,SASLTLS://127.0.0.1:@PORT5@
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAIN:PLAINTEXT,TLS12:SSL,TLS13:SSL,SASL:SASL_PLAINTEXT,SASLTLS:SASL_SSL
ssl.keystore.type=PEM
ssl.keystore.location=@PKI@/server-bundle.pem
listener.name.tls12.ssl.enabled.protocols=TLSv1.2
listener.name.tls13.ssl.enabled.protocols=TLSv1.3
listener.name.tls13.ssl.cipher.suites=TLS_AES_256_GCM_SHA384
listener.name.sasltls.ssl.enabled.protocols=TLSv1.3
listener.name.sasltls.ssl.cipher.suites=TLS_AES_256_GCM_SHA384
listener.name.sasl.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.sasltls.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.sasl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasltls.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
"""


def run(b):
    b.build()
    programs = b.compile_gst("gstbench.c"), b.compile_rdkafka("rdkafka_producer.c"), b.compile_rdkafka("rdkafka_topic.c")
    pki = b.dir / "pki"
    command([ROOT / "scripts" / "test-pki", pki])
    with b.kafka(PROPERTIES.replace("@PKI@", str(pki)), "--optimise", "--add-scram", "SCRAM-SHA-512=[name=bench,password=bench-secret]") as plain:
        ports = dict(line.split("=") for line in (b.dir / "kafka" / "ports").read_text().split())
        seen = {size: measure(b, programs, plain, ports, pki, size) for size in SIZES}
    table(seen)
    draw("tls-cost.svg", picture(seen), true=not b.quick)


def measure(b, programs, plain, ports, pki, size):
    """The medians of one message size: {way: {"cpu": µs a message, "rate": 1/s}}."""
    gstbench, producer, topic_tool = programs
    length, flood, rate = SIZES[size]
    flood, paced = b.scaled(flood), rate if b.quick else rate * SECONDS
    numbers = itertools.count(1)
    label = size.replace(" ", "")

    def arrived(topic, count):
        n = json.loads(command([topic_tool, plain, topic, "delete"]))["messages"]
        if n != count + 1:
            raise Failure(f"{topic} holds {n} messages, not {count + 1}")

    def play(port, options, count, rate=None):
        topic = f"ours-{label}-{next(numbers)}"
        config = b.dir / "broker.cfg"
        config.write_text('[message-broker]\nproto-cfg="' + ";".join(options) + '"\n' if options else "[message-broker]\n")
        r = b.play(gstbench, f"fakesrc num-buffers={count} sizetype=fixed sizemax={length} filltype=zero ! application/json ! "
                             f"msgbroker name=broker proto-lib=kafka conn-str=127.0.0.1;{port};{topic} config={config} "
                             "block-timeout=60000 drain-timeout=60000", warm="broker", rate=rate)
        c = r["counters"]
        if c["acknowledged"] != count + 1 or c["failed"] or c["dropped"] or c["queued"]:
            raise Failure(f"not everything was acknowledged: {c}")
        arrived(topic, count)
        return r

    def ours(port, options):
        return {"rate": flood / play(port, options, flood)["seconds"],
                "cpu": play(port, options, paced, rate)["cpu_seconds"] * 1e6 / paced}

    def produce(port, options, count, *pace):
        topic = f"rival-{label}-{next(numbers)}"
        r = json.loads(command([producer, f"127.0.0.1:{port}", topic, str(count), str(length), *pace, *OPTIONS, *options]))
        arrived(topic, count)
        return r

    def rival(port, options):
        r = produce(port, options, flood)
        return {"rate": flood / r["seconds"], "cpu": produce(port, options, paced, f"rate={rate}")["cpu_us_per_message"]}

    sides = {}
    for way, (port, options) in WAYS.items():
        options = tuple(o.replace("@PKI@", str(pki)) for o in options)
        sides[way] = lambda p=ports[port], o=options: ours(p, o)
        if size == BESIDE_C:
            sides[way + ", C"] = lambda p=ports[port], o=options: rival(p, o)
    r = b.in_turn(size, **sides)
    for way in WAYS:
        name = way.lower().replace(", ", "-").replace(" ", "-").replace("/", "-") + f"-{label}"
        for other, what in (("plaintext", "beside-plaintext"), (way + ", C", "beside-c")):
            if other in r and other != way:
                b.figure(f"{name}-{what}-messages-per-s", "1/s", r[way]["rate"], r[other]["rate"], HIGHER)
                b.figure(f"{name}-{what}-cpu-us-per-message", "µs", r[way]["cpu"], r[other]["cpu"], LOWER)
    return {way: {key: statistics.median(r[way][key]) for key in ("cpu", "rate")} for way in WAYS}


def table(seen):
    """As Markdown, for docs/benchmarks.md."""
    say("")
    say("| | " + " | ".join(seen) + " |")
    say("|---|" + "---|" * len(seen))
    for way in WAYS:
        cells = []
        for size, ways in seen.items():
            cpu, rate, base = ways[way]["cpu"], ways[way]["rate"], ways["plaintext"]
            cells.append(f"{number(cpu)} µs ({cpu / base['cpu']:.2f}), {number(rate)}/s ({rate / base['rate']:.2f})")
        say(f"| {way} | " + " | ".join(cells) + " |")
    say("")


def picture(seen):
    bar, space, left, top, height = 13, 26, 50, 84, 190
    group = bar * len(WAYS)
    width = len(seen) * (group + space)
    out = []
    for i, (way, colour) in enumerate(zip(WAYS, COLOURS)):
        x, y = left + i % 4 * 200, 14 + i // 4 * 20
        out += [f'<rect x="{x}" y="{y}" width="12" height="12" fill="{colour}"/>', f'<text x="{x + 18}" y="{y + 11}">{way}</text>']
    for p, (key, title, unit) in enumerate((("cpu", "CPU time per message, plaintext = 1", "µs"), ("rate", "messages per second, plaintext = 1", "1/s"))):
        x0, y0 = left, top + p * (height + 84) + height
        ratio = {(size, way): ways[way][key] / ways["plaintext"][key] for size, ways in seen.items() for way in WAYS}
        step = 0.5 if max(ratio.values()) <= 4 else 1
        high = step * (int(max(ratio.values()) / step) + 1)
        out.append(f'<text x="{x0}" y="{y0 - height - 10}" font-weight="bold">{title}</text>')
        line = 0.0
        while line <= high:
            y = y0 - line / high * height
            out += [f'<line x1="{x0}" y1="{y:.1f}" x2="{x0 + width}" y2="{y:.1f}" stroke="#ddd"/>',
                    f'<text x="{x0 - 6}" y="{y + 4:.1f}" text-anchor="end">{line:g}</text>']
            line += step
        for g, (size, ways) in enumerate(seen.items()):
            x = x0 + space / 2 + g * (group + space)
            for i, (way, colour) in enumerate(zip(WAYS, COLOURS)):
                tall = ratio[size, way] / high * height
                out.append(f'<rect x="{x + i * bar:.1f}" y="{y0 - tall:.1f}" width="{bar - 2}" height="{tall:.1f}" fill="{colour}">'
                           f'<title>{way}, {size}: {number(ways[way][key])} {unit}</title></rect>')
            middle = x + group / 2
            out += [f'<text x="{middle}" y="{y0 + 17}" text-anchor="middle">{size}</text>',
                    f'<text x="{middle}" y="{y0 + 33}" text-anchor="middle" font-size="10" fill="#555">'
                    f'plaintext {number(ways["plaintext"][key])} {unit}</text>']
    return document(max(left + width + 20, left + 800), top + 2 * (height + 84) - 30, out)
