# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the chaos runs share: the load process, servers, the proof, the table."""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "check"))
import ewtest  # noqa: E402
from ewtest import CLI, PLUGINS, ROOT  # noqa: E402

COLUMNS = ("name", "produced", "accepted", "delivered", "dropped", "spooled", "lost", "duplicated", "resent", "reordered",
           "p99 µs", "p99.9 µs", "max µs", "> 1 ms", "waited")


class Failure(Exception):
    """A bar that was not met, or a run that did not work."""


class Skip(Exception):
    """What the machine does not allow."""


def check(condition, text):
    if not condition:
        raise Failure(text)


class Load:
    """The process with the pipeline. The lines that it tells are read as they come."""

    def __init__(self, chaos, rate, seconds, properties, size=1000, prefix=()):
        proto = "" if "proto-lib=" in properties else "proto-lib=kafka "
        description = f"msgbroker name=x {proto}{properties}"
        self.lines = []
        self.errors = chaos.stack.enter_context(tempfile.TemporaryFile("w+"))
        self.process = subprocess.Popen([*prefix, str(chaos.load_program()), str(rate), str(seconds), str(size), description],
                                        env=ewtest.clean_env(), stdout=subprocess.PIPE, stderr=self.errors, text=True)
        chaos.stack.callback(self.kill)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            if line.endswith("}\n"):
                self.lines.append(json.loads(line))

    @property
    def now(self):
        return self.lines[-1] if self.lines else {}

    def wait_for(self, condition, seconds, what):
        deadline = time.monotonic() + seconds
        while not (self.lines and condition(self.now)):
            check(time.monotonic() < deadline, f"no {what} within {seconds} s: {self.now}\n{self.text()}")
            check(self.process.poll() is None or (self.lines and condition(self.now)), f"the load ended before {what}:\n{self.text()}")
            time.sleep(0.02)

    def finish(self, seconds):
        """Waits for the end and gives the last line."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"the load has not ended after {seconds} s: {self.now}\n{self.text()}") from None
        self.reader.join()
        check(self.process.returncode == 0 and self.now.get("final"), f"the load ended with {self.process.returncode}:\n{self.text()}")
        return self.now

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stdout.close()

    def text(self):
        self.errors.seek(0)
        return self.errors.read()[-3000:]


class Server:
    """A Kafka of the run's own."""

    def __init__(self, chaos):
        self.folder = str(chaos.dir / "kafka")
        self.address = self._script("start").split("bootstrap=")[1].split()[0]
        self.stopped = False
        chaos.stack.callback(self.end)

    def _script(self, verb, *options):
        # It stands for another machine: it must not take the processor from what is measured.
        out = subprocess.run(["nice", "-n", "19", str(ROOT / "scripts" / "kafka"), verb, self.folder, *options], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True, timeout=180)
        check(out.returncode == 0, f"scripts/kafka {verb}: {out.stderr}")
        return out.stdout

    def conn(self, topic):
        return f"conn-str={self.address.replace(':', ';')};{topic}"

    def _signal(self, number):
        os.kill(int(pathlib.Path(self.folder, "pid").read_text()), number)

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
        subprocess.run([str(ROOT / "scripts" / "kafka"), "stop", self.folder], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       timeout=60)


class Chaos:
    """One run."""
    program = None

    def __init__(self, name, full):
        self.name, self.full = name, full

    def __enter__(self):
        self.stack = contextlib.ExitStack()
        # On disk: /tmp may be memory, and the spool is to meet a disk.
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="edgewire-chaos-", dir=os.environ.get("EDGEWIRE_CHAOS_DIR", "/var/tmp")))
        self.stack.callback(shutil.rmtree, self.dir, ignore_errors=True)
        return self

    def __exit__(self, *_):
        self.stack.close()

    def load_program(self):
        if Chaos.program is None:
            flags = subprocess.run(["pkg-config", "--cflags", "--libs", "gstreamer-1.0"], stdout=subprocess.PIPE, text=True, check=True)
            folder = tempfile.TemporaryDirectory(prefix="edgewire-load-")
            program = pathlib.Path(folder.name, "load")
            subprocess.run(["gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-o", str(program), str(ROOT / "tests/chaos/load.c"),
                            *flags.stdout.split()], check=True)
            Chaos.program, Chaos.keep = program, folder
        return Chaos.program

    def must(self, *command):
        """Runs what needs privileges; where they are missing the run is skipped."""
        try:
            done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        except FileNotFoundError:
            raise Skip(f"{command[0]} is missing") from None
        if done.returncode != 0:
            raise Skip(f"{' '.join(str(c) for c in command)}: {done.stdout.strip()}")

    def tmpfs(self, megabytes):
        """A small disk of the run's own."""
        folder = self.dir / "disk"
        folder.mkdir()
        self.must("mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", folder)
        self.stack.callback(subprocess.run, ["umount", "-l", str(folder)], check=False)
        return folder

    def mount_read_only(self, folder):
        self.must("mount", "--bind", folder, folder)
        self.stack.callback(subprocess.run, ["umount", "-l", str(folder)], check=False)
        self.must("mount", "-o", "remount,bind,ro", folder)

    @contextlib.contextmanager
    def immutable(self, folder):
        """In the folder no file can be made, renamed or deleted."""
        self.must("chattr", "+i", folder)
        try:
            yield
        finally:
            subprocess.run(["chattr", "-i", str(folder)], check=False)

    def proof(self, server, topic):
        """What a consumer of the whole topic has seen, by session."""
        if hasattr(server, "proof"):
            return server.proof(topic)
        summary = self.dir / f"{topic}.json"
        out = subprocess.run([CLI, "consume", "--brokers", server.address, "--topic", topic, "--from-start", "--raw",
                              "--idle-timeout", "4s", "--summary", str(summary)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                             text=True, timeout=300)
        check(out.returncode == 0, f"edgewire consume: {out.stderr}")
        return {s["session"]: s for s in json.loads(summary.read_text()).get("sessions") or []}

    def row(self, sessions, produced, accepted, dropped, lost, spooled=0, final=None):
        total = {k: sum(s[k] for s in sessions.values()) for k in ("messages", "duplicates", "resent", "reordered")}
        final = final or {}
        return dict(zip(COLUMNS, (self.name, produced, accepted, total["messages"], dropped, spooled, lost, total["duplicates"],
                                  total["resent"], total["reordered"], final.get("p99_us", ""), final.get("p999_us", ""),
                                  final.get("max_us", ""), final.get("slow", ""), final.get("waited", ""))))

    def one_session(self, server, topic, final):
        """The row of a run with one load process that came to its end: whatever was accepted is somewhere."""
        sessions = self.proof(server, topic)
        check(set(sessions) <= {final["session"]}, f"strange sessions: {sessions}")
        delivered = sum(s["messages"] for s in sessions.values())
        later = sum(final.get("dropped-" + why, 0) for why in ("oldest", "expired", "damaged", "stopped"))
        lost = final["accepted"] + final["unwritten"] - later - final["failed"] - final["spooled"] - delivered
        return self.row(sessions, final["produced"], final["accepted"], final["dropped"], lost, final["spooled"], final)

    def sessions_row(self, server, topic, last):
        """The row of a run with several load processes, from the last line of each: all but the last one were killed."""
        sessions, lost = self.proof(server, topic), 0
        # Messages are written in their order: what was accepted are the first numbers of each session.
        for line in last:
            got = sessions.get(line["session"], {"last": 0, "missing": 0})
            check(got["missing"] == 0, f"holes in what was delivered: {got}")
            lost += max(0, line["accepted"] - got["last"])
        total = {k: sum(line[k] for line in last) for k in ("produced", "accepted", "dropped")}
        row = self.row(sessions, **total, lost=lost, spooled=last[-1]["spooled"], final=last[-1])
        no_harm(row)
        return row


def no_harm(row):
    """The bar of every run."""
    check(row["lost"] == 0, f"{row['lost']} messages are lost: {row}")
    check(row["duplicated"] == 0, f"{row['duplicated']} messages came twice from one producer: {row}")
    check(row["reordered"] == 0, f"{row['reordered']} messages came out of order: {row}")


def all_there(row):
    """The bar of the runs whose spool fits."""
    no_harm(row)
    check(row["produced"] == row["accepted"] == row["delivered"] and row["dropped"] == 0, f"produced, accepted, delivered differ: {row}")


def table(rows):
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    lines += ["| " + " | ".join(str(r[c]) for c in COLUMNS) + " |" for r in rows]
    return "\n".join(lines)


__all__ = ["CLI", "PLUGINS", "ROOT", "Chaos", "Failure", "Load", "Server", "Skip", "all_there", "check", "no_harm", "table"]
