# SPDX-License-Identifier: LGPL-2.1-or-later
"""The servers of the chaos runs beside the plain Kafka: a Redis, and both of them where the network can be cut."""
import itertools
import json
import os
import pathlib
import re
import signal
import subprocess

from chaoslib import CLI, ROOT, Server, check


def sessions_of(entries):
    """What edgewire consume --summary tells of Kafka, of messages in the order of their stream: pairs of session and number."""
    sessions = {}
    for name, number in entries:
        s = sessions.setdefault(name, {"session": name, "messages": 0, "last": 0, "duplicates": 0, "resent": 0, "reordered": 0, "seen": set()})
        if number in s["seen"]:
            s["resent"] += 1
            continue
        s["seen"].add(number)
        s["messages"] += 1
        s["reordered"] += number < s["last"]
        s["last"] = max(s["last"], number)
    for s in sessions.values():
        s["missing"] = s["last"] - s["messages"]
        del s["seen"]
    return sessions


class RedisServer:
    """A Redis of the run's own, which writes to disk before it acknowledges."""

    def __init__(self, chaos, *options, prefix=(), host="127.0.0.1"):
        self.folder, self.prefix, self.stopped = str(chaos.dir / "redis"), list(prefix), False
        self.port = self._script("start", "--durable", *options).split("address=")[1].split()[0].rsplit(":", 1)[1]
        self.address = f"{host}:{self.port}"
        chaos.stack.callback(self.end)

    def _script(self, verb, *options):
        out = subprocess.run([*self.prefix, str(ROOT / "scripts" / "redis"), verb, self.folder, *options], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True, timeout=60)
        check(out.returncode == 0, f"scripts/redis {verb}: {out.stderr}")
        return out.stdout

    def conn(self, topic, address=None):
        return f"proto-lib=redis conn-str={(address or self.address).replace(':', ';')};{topic}"

    def _signal(self, number):
        os.kill(int(pathlib.Path(self.folder, "pid").read_text().split()[0]), number)

    def pause(self):
        self._signal(signal.SIGSTOP)
        self.stopped = True

    def resume(self):
        self._signal(signal.SIGCONT)
        self.stopped = False

    def kill(self):
        self._script("stop", "--kill")

    def start(self):
        self._script("start")

    def end(self):
        if self.stopped:
            self.resume()
        subprocess.run([*self.prefix, str(ROOT / "scripts" / "redis"), "stop", self.folder], stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, timeout=60)

    def proof(self, topic):
        """By session, what stands in the stream."""
        # One line for each word: no payload of ours has a line break, and these two fields have none either.
        out = subprocess.run([*self.prefix, "redis-cli", "-p", self.port, "XRANGE", topic, "-", "+"], stdout=subprocess.PIPE, text=True,
                             timeout=120, check=True).stdout
        return sessions_of((s, int(n)) for s, n in re.findall(r"^ew-session\n([0-9a-f]{16})\new-sequence\n([0-9]+)$", out, re.M))


class KafkaServer(Server):
    """A Kafka whose clients reach it by another address than its own."""

    def __init__(self, chaos, properties, prefix=()):
        self.prefix = list(prefix)
        self.extra = chaos.dir / "kafka.properties"
        self.extra.write_text(properties)
        self.chaos = chaos
        super().__init__(chaos)

    def _script(self, verb, *options):
        if verb == "start" and not pathlib.Path(self.folder).exists():
            options = ("--extra", str(self.extra), *options)
        out = subprocess.run([*self.prefix, str(ROOT / "scripts" / "kafka"), verb, self.folder, *options], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True, timeout=180)
        check(out.returncode == 0, f"scripts/kafka {verb}: {out.stderr}")
        return out.stdout

    def conn(self, topic, address=None):
        return f"proto-lib=kafka conn-str={(address or self.address).replace(':', ';')};{topic}"

    def proof(self, topic):
        summary = self.chaos.dir / f"{topic}.json"
        out = subprocess.run([*self.prefix, CLI, "consume", "--brokers", self.address, "--topic", topic, "--from-start", "--raw",
                              "--idle-timeout", "4s", "--summary", str(summary)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                             text=True, timeout=300)
        check(out.returncode == 0, f"edgewire consume: {out.stderr}")
        return {s["session"]: s for s in json.loads(summary.read_text()).get("sessions") or []}


class Wire:
    """Two network namespaces of the run's own, with a wire between them that can be cut: `server` and `client` are what
    to put in front of a command that is to run at its end."""
    numbers = itertools.count(1)
    HOST = "10.213.7.1"

    def __init__(self, chaos):
        name = f"ew{os.getpid()}n{next(self.numbers)}"
        self.names = (name + "s", name + "c")
        self.server, self.client = (["ip", "netns", "exec", n] for n in self.names)
        for n in self.names:
            chaos.must("ip", "netns", "add", n)
            chaos.stack.callback(subprocess.run, ["ip", "netns", "del", n], check=False)
        s, c = self.names
        chaos.must("ip", "link", "add", "ew0", "netns", s, "type", "veth", "peer", "name", "ew0", "netns", c)
        for n, address in ((s, self.HOST), (c, "10.213.7.2")):
            chaos.must("ip", "-n", n, "addr", "add", address + "/30", "dev", "ew0")
            chaos.must("ip", "-n", n, "link", "set", "lo", "up")
            chaos.must("ip", "-n", n, "link", "set", "ew0", "up")

    def cut(self):
        """Packets vanish from now on; no connection is told."""
        subprocess.run(["ip", "-n", self.names[0], "link", "set", "ew0", "down"], check=True)

    def mend(self):
        subprocess.run(["ip", "-n", self.names[0], "link", "set", "ew0", "up"], check=True)
