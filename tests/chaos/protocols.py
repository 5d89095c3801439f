# SPDX-License-Identifier: LGPL-2.1-or-later
"""The runs over AMQP, MQTT and NATS: the server dies, and the pipeline's process dies while the server is away."""
import pathlib
import subprocess
import tempfile
import threading
import time

from chaoslib import ROOT, Load, Skip, check
from servers import sessions_of

TOPIC = "outage"
IDLE = "2s"  # the reader has seen everything when nothing has come for so long, and the server has nothing left


class ProtocolServer:
    """A server of the run's own, by scripts/NAME, and the reader that proves what it was given."""
    program = None

    def __init__(self, chaos, protocol, script, options=(), config=""):
        self.chaos, self.protocol, self.script, self.folder = chaos, protocol, script, chaos.dir / script
        self.quick = script != "rabbitmq"  # to start
        self.config = chaos.dir / f"{protocol}.cfg"
        self.config.write_text(f"[message-broker]\n{config}")
        self.address = self._script("start", *options).split("address=")[1].split()[0]
        chaos.stack.callback(self._script, "stop")
        self.lines = []
        self.reader = None
        if protocol == "mqtt":  # a server of MQTT keeps messages for a session only
            self._read()
            deadline = time.monotonic() + 40
            while "ready\n" not in self.lines:
                check(self.reader.poll() is None and time.monotonic() < deadline, f"the reader cannot subscribe: {self._said()}")
                time.sleep(0.02)
        else:
            done = subprocess.run([self._program(), "prepare", protocol, self.address, TOPIC], stdin=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE, text=True, timeout=60)
            check(done.returncode == 0, f"reader prepare {protocol}: {done.stderr}")

    def _script(self, verb, *options):
        done = subprocess.run([str(ROOT / "scripts" / self.script), verb, str(self.folder), *options], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=120)
        if done.returncode == 77:
            raise Skip(done.stderr.strip())
        check(done.returncode == 0, f"scripts/{self.script} {verb}: {done.stderr}")
        return done.stdout

    @classmethod
    def _program(cls):
        if cls.program is None:
            cls.keep = tempfile.TemporaryDirectory(prefix="edgewire-reader-")
            program = pathlib.Path(cls.keep.name, "reader")
            done = subprocess.run(["go", "build", "-o", str(program), "./tests/chaos/reader"], cwd=ROOT, stderr=subprocess.PIPE, text=True)
            check(done.returncode == 0, f"building the reader: {done.stderr}")
            cls.program = str(program)
        return cls.program

    def _read(self):
        self.errors = self.chaos.stack.enter_context(tempfile.TemporaryFile("w+"))
        self.reader = subprocess.Popen([self._program(), "read", self.protocol, self.address, TOPIC, IDLE], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, stderr=self.errors, text=True)
        self.taker = threading.Thread(target=lambda: self.lines.extend(self.reader.stdout), daemon=True)
        self.taker.start()
        self.chaos.stack.callback(self._stop_reader)

    def _stop_reader(self):
        self.reader.kill()
        self.reader.wait()
        self.taker.join()
        self.reader.stdout.close()
        self.reader.stdin.close()

    def _said(self):
        self.errors.seek(0)
        return self.errors.read()[-2000:]

    def conn(self):
        return f"proto-lib={self.protocol} conn-str={self.address.replace(':', ';')} topic={TOPIC} config={self.config}"

    def kill(self):
        self._script("stop", "--kill")

    def start(self):
        self._script("start")

    def proof(self, _topic):
        """By session, what the reader has seen."""
        if self.reader is None:
            self._read()
        self.reader.stdin.close()
        try:
            self.reader.wait(300)
        except subprocess.TimeoutExpired:
            check(False, f"the reader has not ended: {self._said()}")
        self.taker.join()
        check(self.reader.returncode == 0, f"the reader: {self._said()}")
        words = [line.split() for line in self.lines if line != "ready\n"]
        check(all(len(w) == 2 for w in words), "a message came without session and number")
        return sessions_of((name, int(number)) for name, number in words)


def outage(c, server, rate=1000):
    """The server is killed and comes back while the pipeline plays; it is killed again, and while it is away the pipeline's
    process is; the next process finds no server, which then comes back."""
    properties = f"{server.conn()} spool-dir={c.dir}/spool spool-mode=always drain-timeout=60000"
    last = []
    load = Load(c, rate, 3600, properties)
    for _ in range(5 if c.full else 1):
        progress(load, rate)
        if c.full or server.quick:
            server.kill()
            time.sleep(1)
            server.start()
            progress(load, rate)
        server.kill()
        time.sleep(1)  # what is made now is on disk alone
        load.kill()
        last.append(load.now)
        load = Load(c, rate, 3600, properties)
        load.wait_for(lambda s: s["accepted"] > rate / 10, 60, "acceptance without a server")
        server.start()
    progress(load, rate)
    load.process.terminate()
    last.append(load.finish(120))
    row = c.sessions_row(server, TOPIC, last)
    check(row["dropped"] == 0 and row["spooled"] == 0, f"not everything was sent: {row}")
    return row


def progress(load, n):
    before = load.now.get("acknowledged", 0)
    load.wait_for(lambda s: s["acknowledged"] > before + n, 60, "acknowledgements")


def outage_amqp(c):
    """RabbitMQ is killed (SIGKILL) and comes back; killed again, and the pipeline's process as well (spool-mode=always); 5 times (once)."""
    # A queue by its name, without an exchange of topics.
    return outage(c, ProtocolServer(c, "amqp", "rabbitmq", config="exchange=\n"))


def outage_mqtt(c):
    """Mosquitto is killed, and the pipeline as in outage-amqp, with 100 messages a second: it writes its whole file at every change."""
    return outage(c, ProtocolServer(c, "mqtt", "mosquitto", ["--durable"]), rate=100)


def outage_nats(c):
    """NATS JetStream is killed, and the pipeline as in outage-amqp."""
    return outage(c, ProtocolServer(c, "nats", "nats"))


RUNS = {"outage-amqp": outage_amqp, "outage-mqtt": outage_mqtt, "outage-nats": outage_nats}
