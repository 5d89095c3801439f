# SPDX-License-Identifier: LGPL-2.1-or-later
"""The documentation holds: its launch lines run, its property tables are the elements'."""
import functools
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest

import ewtest
from ewtest import ROOT, Gst, needs_kafka

# The pages of the dtls elements are about ours. Processes of their own load them: this one may have the system's.
PLUGINS = os.pathsep.join((ewtest.PLUGINS, os.environ.get("EDGEWIRE_DTLS_PLUGINS", str(ROOT / "build" / "replace" / "dtls")),
                           os.environ.get("EDGEWIRE_DEEPSTREAM_PLUGINS", str(ROOT / "build" / "replace" / "deepstream"))))
ELEMENTS = ("msgconv", "msgbroker", "msgsrc", "smartrecordbin", "dtlsenc", "dtlsdec", "dtlssrtpenc", "dtlssrtpdec", "dtlssrtpdemux")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "pkg/adapters").glob("*/README.md"))]
# What the pages call it, and the script that runs it.
SERVERS = {"localhost;6379": "redis"}
# Pages, and folders of adapters, whose launch lines test_security.py, test_analytics.py, test_adapters.py, test_mqtt.py and test_adaptor.py run.
ELSEWHERE = ("security.md", "analytics.md", "amqp", "nats", "file", "mqtt", "azure", "nvds")


def describe():
    """The child of elements(): what each element has, and the properties of the base classes."""
    from gi.repository import GObject
    inherited = {p.name for base in ("identity", "fakesink", "bin") for p in Gst.ElementFactory.make(base).list_properties()
                 if p.owner_type.name in ("GstObject", "GstBaseTransform", "GstBaseSink", "GstElement", "GObject", "GstBin")}
    own, stats, signals = {}, {}, {}
    for element in ELEMENTS:
        e = Gst.ElementFactory.make(element)
        signals[element] = GObject.signal_list_names(e.__gtype__)
        s = e.get_property("stats") if e.find_property("stats") else None
        stats[element] = [s.nth_field_name(i) for i in range(s.n_fields())] if s else []
        own[element] = {p.name: {"type": p.value_type.name, "default": default_of(p), "low": getattr(p, "minimum", None),
                                 "high": getattr(p, "maximum", None), "writable": bool(p.flags & GObject.ParamFlags.WRITABLE)}
                        for p in e.list_properties() if p.owner_type == e.__gtype__}
    print(json.dumps({"properties": own, "inherited": sorted(inherited), "stats": stats, "signals": signals}))


def default_of(spec):
    """As a page writes it; None for what it words by itself."""
    value = getattr(spec, "default_value", None)
    return None if value is None or isinstance(value, str) else str(getattr(value, "value_nick", value)).lower()


@functools.cache
def elements():
    out = subprocess.run([sys.executable, __file__, "describe"], env=ewtest.clean_env(EDGEWIRE_PLUGINS=PLUGINS), stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True, timeout=60)
    if out.returncode != 0:
        raise AssertionError(out.stderr)
    return json.loads(out.stdout)


def properties_section(element):
    return (ROOT / "docs" / f"{element}.md").read_text().split("## Properties")[1].split("\n## ")[0]


def shell_lines(page):
    for block in re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.M | re.S):
        for line in block.splitlines():
            yield line


class Pages(unittest.TestCase):
    def servers(self):
        """Starts what the pages name; gives what to write instead."""
        own = {}
        for name, script in SERVERS.items():
            folder = tempfile.mkdtemp(prefix=f"edgewire-{script}-")
            self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
            command = [str(ROOT / "scripts" / script)]
            out = subprocess.run([*command, "start", folder + "/server"], stdout=subprocess.PIPE, text=True, timeout=60, check=True).stdout
            self.addCleanup(subprocess.run, [*command, "stop", folder + "/server"], timeout=60)
            own[name] = out.split("address=")[1].split()[0].replace(":", ";")
        return own

    def servers_config(self, address):
        host, port = address.split(";")
        folder = tempfile.mkdtemp(prefix="edgewire-docs-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        text = (ROOT / "pkg/adapters/redis/redis.cfg").read_text().replace("hostname = localhost", f"hostname = {host}")
        path = pathlib.Path(folder, "redis.cfg")
        path.write_text(text.replace("port = 6379", f"port = {port}"))
        return str(path)

    @needs_kafka
    def test_launch_lines_run(self):
        count = 0
        own = {"localhost;9092": ewtest.KAFKA.replace(":", ";"), **self.servers()}
        # A configuration that a page names is a copy with the own server.
        sample = self.servers_config(own["localhost;6379"])
        registry = tempfile.mkdtemp(prefix="edgewire-docs-")
        self.addCleanup(shutil.rmtree, registry, ignore_errors=True)
        env = ewtest.clean_env(GST_PLUGIN_PATH=PLUGINS, GST_REGISTRY=os.path.join(registry, "registry.bin"))
        for page in PAGES:
            if page.name in ELSEWHERE or page.parent.name in ELSEWHERE:
                continue
            for line in shell_lines(page):
                if "gst-launch-1.0" not in line:
                    continue
                count += 1
                with self.subTest(page=page.name, line=line):
                    for name, address in own.items():
                        line = line.replace(name, address)
                    out = subprocess.run(["bash", "-c", line.replace("pkg/adapters/redis/redis.cfg", sample)], env=env, cwd=ROOT,
                                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
                    self.assertEqual(out.returncode, 0, out.stdout[-2000:])
                    self.assertNotIn("WARNING: from", out.stdout)
        self.assertGreaterEqual(count, 7)

    def test_every_element_has_a_launch_line(self):
        for element in ELEMENTS:
            page = ROOT / "docs" / f"{element}.md"
            self.assertTrue(any("gst-launch-1.0" in x and element in shlex.split(x) for x in shell_lines(page)), element)

    def test_property_tables_are_complete(self):
        found, inherited = elements()["properties"], elements()["inherited"]
        self.assertEqual(list(found), list(ELEMENTS))
        for element, own in found.items():
            self.assertGreater(len(own), 0, element)
            table = dict(re.findall(r"^\| `([a-z0-9-]+)` \| ([^|]*) \|", properties_section(element), re.M))
            for name, spec in own.items():
                with self.subTest(element=element, property=name):
                    self.assertIn(name, table)
                    kind = {"gchararray": "string", "guint": "uint", "gboolean": "boolean", "guint64": "uint64",
                            "GstStructure": "structure", "GstCaps": "caps", "GstBuffer": "buffer"}.get(spec["type"], "enum")
                    self.assertTrue(table[name].strip().startswith(kind), f"{table[name]} is not {kind}")
            self.assertLessEqual(own.keys() & set(inherited), {"stats"})  # basesink has one of its own

    def test_defaults_and_ranges_are_the_documented_ones(self):
        compared = 0
        for element, own in elements()["properties"].items():
            rows = {m[0]: m[1:] for m in re.findall(r"^\| `([a-z0-9-]+)` \| ([^|]*) \| ([^|]*) \| (.*) \|$", properties_section(element), re.M)}
            for name, spec in own.items():
                if name not in rows or spec["default"] is None or not spec["writable"]:
                    continue
                kind, default, text = rows[name]
                with self.subTest(element=element, property=name):
                    self.assertEqual(default.strip().strip("`").lower(), spec["default"])
                    compared += 1
                    if spec["low"]:
                        self.assertRegex(f"{kind} {text}", rf"\b{spec['low']}\b")
                    if spec["high"] is not None and spec["high"] not in (2**31 - 1, 2**32 - 1, 2**63 - 1, 2**64 - 1):
                        self.assertRegex(f"{kind} {text}", rf"\b{spec['high']}\b")
        self.assertGreater(compared, 45)

    def test_every_field_of_stats_is_documented(self):
        dtls = (ROOT / "docs" / "dtls.md").read_text().split("## stats")[1]
        fields = 0
        for element, names in elements()["stats"].items():
            if not names:
                continue
            text = (ROOT / "docs" / f"{element}.md").read_text() + (dtls if element.startswith("dtls") else "")
            if element == "msgsrc":  # "as in msgbroker"
                self.assertIn("`last-error-time` | | as in", text)
            for name in names:
                with self.subTest(element=element, field=name):
                    # In full, as the end of a list such as `a-b`, `-c`, or as a REASON.
                    ways = {name, "-" + name.rsplit("-", 1)[-1], name.removeprefix("dropped-")}
                    self.assertTrue(any(f"`{way}`" in text for way in ways), f"{name} of {element} is on no page")
                    fields += 1
        self.assertGreater(fields, 100)

    def test_every_signal_is_documented(self):
        signals = 0
        for element, names in elements()["signals"].items():
            page = (ROOT / "docs" / f"{element}.md").read_text()
            for name in names:
                with self.subTest(element=element, signal=name):
                    self.assertRegex(page, rf"`(gboolean )?{name}\b")
                    signals += 1
        self.assertGreater(signals, 12)

    def test_links_lead_somewhere(self):
        for page in PAGES:
            for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
                if not target.startswith("http"):
                    with self.subTest(page=page.name, target=target):
                        self.assertTrue((page.parent / target).exists())

    def test_interface_of_the_reference(self):
        """Names, types and defaults of nvmsgconv's and nvmsgbroker's properties."""
        expect = {
            "msgconv": {"config": None, "msg2p-lib": None, "payload-type": 0, "comp-id": 0, "debug-payload-dir": None,
                        "multiple-payloads": False, "msg2p-newapi": False, "frame-interval": 30, "dummy-payload": False,
                        "embedding-filter": None},
            "msgbroker": {"proto-lib": None, "conn-str": None, "config": None, "topic": None, "comp-id": 0, "new-api": False,
                          "sleep-time": 0, "sync": False, "async": False},
        }
        for element, properties in expect.items():
            e = Gst.ElementFactory.make(element)
            for name, default in properties.items():
                with self.subTest(element=element, property=name):
                    value = e.get_property(name)
                    self.assertEqual(int(value) if hasattr(value, "value_nick") else value, default)
        kinds = Gst.ElementFactory.make("msgconv").find_property("payload-type").enum_class.__enum_values__
        self.assertEqual({int(k): v.value_nick for k, v in kinds.items()},
                         {0: "PAYLOAD_DEEPSTREAM", 1: "PAYLOAD_DEEPSTREAM_MINIMAL", 2: "PAYLOAD_DEEPSTREAM_PROTOBUF",
                          256: "PAYLOAD_RESERVED", 257: "PAYLOAD_CUSTOM"})


if __name__ == "__main__":
    if sys.argv[1:] == ["describe"]:
        describe()
    else:
        unittest.main()
