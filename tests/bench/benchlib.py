# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the benchmarks share: building, servers, turns, figures."""
import contextlib
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("EDGEWIRE_BUILD", ROOT / "build"))
CORE = BUILD / "core"
LOWER, HIGHER = "lower is better", "higher is better"


class Failure(Exception):
    """The benchmark cannot give a true figure, and why."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def run(command, timeout=600, **more):
    """Runs a command and gives its output; a failure shows the command's own words."""
    command = [str(c) for c in command]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=timeout, **more)
    except FileNotFoundError:
        raise Failure(f"{command[0]} is missing; ./scripts/setup test installs what the benchmarks need") from None
    except subprocess.TimeoutExpired:
        raise Failure(f"{' '.join(command)} has not ended after {timeout} s") from None
    if done.returncode != 0:
        raise Failure(f"{' '.join(command)} ended with {done.returncode}:\n{(done.stderr or done.stdout).strip()[-2000:]}")
    if done.stderr.strip():
        say("    " + done.stderr.strip().replace("\n", "\n    "))
    return done.stdout


def pkg_config(*names):
    return run(["pkg-config", "--cflags", "--libs", *names]).split()


class Bench:
    """One run of one benchmark."""

    def __init__(self, runs, quick):
        self.runs, self.quick = runs, quick
        self.figures = []
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        # On disk: a Kafka's log is gigabytes, and /tmp may be memory.
        base = os.environ.get("EDGEWIRE_BENCH_DIR", "/var/tmp")
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="edgewire-bench-", dir=base))
        self.stack.callback(shutil.rmtree, self.dir, ignore_errors=True)
        return self

    def __exit__(self, *_):
        self.stack.close()

    def scaled(self, count):
        return max(1, count // 10) if self.quick else count

    # Building

    def build(self):
        """Makes the plugins as they are shipped."""
        say("building")
        if not (BUILD / "build.ninja").exists():
            run(["meson", "setup", BUILD, ROOT])
        run(["meson", "compile", "-C", BUILD], timeout=1800)

    def compile(self, source, *flags):
        """Compiles tests/bench/SOURCE and gives the program's path."""
        program = self.dir / pathlib.Path(source).stem
        run(["gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-o", program, ROOT / "tests" / "bench" / source, *flags])
        return program

    def compile_gst(self, source):
        return self.compile(source, *pkg_config("gstreamer-base-1.0", "gstreamer-video-1.0"))

    def go_build(self, package):
        """Builds a Go program of tests/bench and gives its path."""
        program = self.dir / package
        run(["go", "build", "-buildvcs=false", "-o", program, f"./tests/bench/{package}"], cwd=ROOT)
        return program

    def compile_rdkafka(self, source):
        """Links with librdkafka as its makers ship it: the archive that the core's own is made of, as it is."""
        module = "github.com/confluentinc/confluent-kafka-go/v2"
        vendor = pathlib.Path(run(["go", "list", "-m", "-f", "{{.Dir}}", module], cwd=ROOT).strip()) / "kafka" / "librdkafka_vendor"
        arch = run(["go", "env", "GOARCH"], cwd=ROOT).strip()
        return self.compile(source, f"-isystem{CORE / 'include'}", vendor / f"librdkafka_glibc_linux_{arch}.a",
                            "-lm", "-ldl", "-lpthread", "-lrt")

    # Running

    def gst_env(self):
        return {**os.environ, "GST_PLUGIN_PATH": str(BUILD / "plugins"), "GST_REGISTRY": str(self.dir / "registry.bin")}

    def play(self, gstbench, description, warm=None, rate=None):
        """Plays a pipeline under gstbench, at so many buffers a second, and gives what it measured."""
        command = [gstbench, *(["--warm", warm] if warm else []), *(["--rate", str(rate)] if rate else []), description]
        return json.loads(run(command, env=self.gst_env()))

    @contextlib.contextmanager
    def kafka(self, properties="", *options):
        """A Kafka of the benchmark's own, in the folder "kafka"; gives HOST:PORT."""
        extra, folder = self.dir / "kafka.properties", self.dir / "kafka"
        extra.write_text(properties)
        script = ROOT / "scripts" / "kafka"
        say("starting Kafka")
        try:
            yield run([script, "start", folder, "--extra", extra, *options]).split("bootstrap=")[1].split()[0]
        finally:
            subprocess.run([script, "stop", folder], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120)

    @contextlib.contextmanager
    def server(self, name, *options):
        """A server of the benchmark's own, by scripts/NAME (redis …); gives HOST:PORT."""
        folder, script = self.dir / name, ROOT / "scripts" / name
        say(f"starting {name}")
        try:
            yield run([script, "start", folder, *options]).split("address=")[1].split()[0]
        finally:
            subprocess.run([script, "stop", folder], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120)

    def in_turn(self, what, **sides):
        """Runs each side once to warm up and then all of them in turn, self.runs times.

        A side is a function that gives a dict of numbers. The answer has a dict of lists for each."""
        say(f"{what}: warming up")
        if not self.quick:
            for side in sides.values():
                side()
        out = {name: {} for name in sides}
        for i in range(self.runs):
            for name, side in sides.items():
                got = side()
                for key, value in got.items():
                    out[name].setdefault(key, []).append(value)
                say(f"{what}: run {i + 1} of {self.runs}, {name}: " + ", ".join(f"{k} {v:.6g}" for k, v in got.items()))
        return out

    # Figures

    def figure(self, name, unit, ours, rival, better, zero=False):
        """ours and rival are what the runs gave, in the order of the runs. With zero, the rival's may be 0: then
        there is no ratio."""
        a, b = statistics.median(ours), statistics.median(rival)
        if b <= 0 and not zero:
            raise Failure(f"{name}: the rival's figure is {b}: too little work to measure; run it without --quick")
        self.figures.append({"name": name, "unit": unit, "ours": a, "rival": b, "ratio": a / b if b > 0 else None,
                             "better": better, "spread": (min(ours), max(ours), min(rival), max(rival))})

    def show(self, as_json):
        if not self.figures:  # a picture only
            return
        if as_json:
            for f in self.figures:
                print(json.dumps({"name": f["name"], "unit": f["unit"], "ours": round(f["ours"], 4),
                                  "rival": round(f["rival"], 4),
                                  "ratio": None if f["ratio"] is None else round(f["ratio"], 4)}))
            return
        rows = [("figure", "unit", "ours", "rival", "ratio", "min–max ours", "min–max rival", "")]
        for f in self.figures:
            s = [number(x) for x in f["spread"]]
            rows.append((f["name"], f["unit"], number(f["ours"]), number(f["rival"]), "–" if f["ratio"] is None else f"{f['ratio']:.2f}",
                         f"{s[0]}–{s[1]}", f"{s[2]}–{s[3]}", f["better"]))
        widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
        for r in rows:
            print("  ".join(c.ljust(w) if i in (0, 1, 7) else c.rjust(w) for i, (c, w) in enumerate(zip(r, widths))).rstrip())
        print(f"ratio = ours / rival, of the medians of {self.runs} runs in turn"
              + ("; --quick: too short to be true" if self.quick else ""))


def number(x):
    return f"{x:.0f}" if x >= 100 else f"{x:.2f}"
