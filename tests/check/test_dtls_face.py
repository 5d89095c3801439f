# SPDX-License-Identifier: LGPL-2.1-or-later
"""Our dtls elements have the face of GStreamer's: every difference is written down here, and is true."""
import functools
import json
import subprocess
import sys
import unittest

import dtls
from dtls import ours_only

# What ours have beyond the C plugin of GStreamer 1.22. Two of them are newer GStreamer's: version, dtls-version.
DTLS_ENC = {"srtp-profiles", "mtu", "retransmit-initial", "retransmit-max", "handshake-timeout", "peer-timeout", "stats"}
DTLS_DEC = {"peer-fingerprint", "peer-name", "ca-file", "verify", "eos-on-close", "stats"}
MORE_PROPERTIES = {
    "dtlsenc": DTLS_ENC | {"version"},
    "dtlsdec": DTLS_DEC | {"version"},
    "dtlssrtpenc": DTLS_ENC | {"dtls-version", "srtp-backend"},
    "dtlssrtpdec": DTLS_DEC | {"dtls-version", "srtp-backend"},
    "dtlssrtpdemux": {"stats"},
}
MORE_SIGNALS = {"dtlsdec": {"accept-peer-certificate"}, "dtlssrtpdec": {"accept-peer-certificate"}}

# (element, property, field): (theirs, ours), and why.
DIFFERENT = {
    # The profiles of RFC 7714 need values of their own.
    ("dtlsenc", "srtp-cipher", "maximum"): (1, 4),
    ("dtlsdec", "srtp-cipher", "maximum"): (1, 4),
    # The C plugin says GstCaps by mistake, and gives a GstBuffer.
    ("dtlsdec", "decoder-key", "type"): ("GstCaps", "GstBuffer"),
}

# Compared for each property; the blurb is our own text.
FIELDS = ("type", "default", "values", "minimum", "maximum", "flags", "value")


@functools.cache
def face(which):
    out = subprocess.run([sys.executable, str(dtls.HERE / "face.py")], env=dtls.other_env(which), stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True, timeout=60)
    if out.returncode != 0:
        raise AssertionError(out.stderr)
    return json.loads(out.stdout)


class Face(unittest.TestCase):
    maxDiff = None

    def each(self):
        for name, theirs in face("system")["elements"].items():
            yield name, theirs, face("ours")["elements"][name]

    def test_factories_and_plugin(self):
        self.assertEqual(len(face("system")["elements"]), 5)
        for key in ("factories", "plugin"):
            self.assertEqual(face("ours")[key], face("system")[key])

    def test_metadata_and_pads(self):
        for name, theirs, ours in self.each():
            for key in ("rank", "klass", "long-name", "is-bin", "templates", "pads"):
                with self.subTest(element=name, key=key):
                    self.assertEqual(ours[key], theirs[key])

    def test_properties(self):
        compared = 0
        for name, theirs, ours in self.each():
            for p, spec in theirs["properties"].items():
                for field in FIELDS:
                    with self.subTest(element=name, property=p, field=field):
                        self.assertIn(p, ours["properties"])
                        expect = spec.get(field)
                        if dtls.OURS and (name, p, field) in DIFFERENT:
                            before, expect = DIFFERENT[name, p, field]
                            self.assertEqual(spec.get(field), before)
                        self.assertEqual(ours["properties"][p].get(field), expect)
                        compared += 1
        self.assertGreater(compared, 100)

    def test_added_properties_are_the_written_ones(self):
        for name, theirs, ours in self.each():
            with self.subTest(element=name):
                more = set(ours["properties"]) - set(theirs["properties"])
                # A newer system has some of them itself.
                self.assertEqual(more, MORE_PROPERTIES[name] - set(theirs["properties"]) if dtls.OURS else set())

    @ours_only
    def test_properties_of_the_newest(self):
        for name, p in (("dtlsenc", "version"), ("dtlsdec", "version"), ("dtlssrtpenc", "dtls-version"), ("dtlssrtpdec", "dtls-version")):
            with self.subTest(element=name):
                spec = face("ours")["elements"][name]["properties"][p]
                self.assertEqual((spec["type"], spec["minimum"], spec["maximum"], spec["default"], spec["flags"]),
                                 ("guint", 0, 65535, 0, ["readable"]))

    @ours_only
    def test_added_properties_say_what_they_do(self):
        for name, more in MORE_PROPERTIES.items():
            for p in more:
                with self.subTest(element=name, property=p):
                    self.assertGreater(len(face("ours")["elements"][name]["properties"][p]["blurb"]), 15)

    def test_signals(self):
        for name, theirs, ours in self.each():
            with self.subTest(element=name):
                for s, spec in theirs["signals"].items():
                    self.assertEqual(ours["signals"].get(s), spec)
                more = set(ours["signals"]) - set(theirs["signals"])
                self.assertEqual(more, MORE_SIGNALS.get(name, set()) if dtls.OURS else set())
                for s in more:
                    self.assertEqual((ours["signals"][s]["returns"], ours["signals"][s]["parameters"]), ("gboolean", ["gchararray"]))

    def test_debug_categories(self):
        # Those of the inner objects exist once such an object does, in the C plugin.
        expect = {"dtlsenc", "dtlsdec", "dtlssrtpenc", "dtlssrtpdec", "dtlssrtpdemux"}
        self.assertLessEqual(expect, set(face("system")["categories"]))
        self.assertLessEqual(set(face("system")["categories"]), set(face("ours")["categories"]))

    @ours_only
    def test_type_names_are_our_own(self):
        taken = {theirs["type"] for _, theirs, _ in self.each()}
        self.assertFalse(taken & {ours["type"] for _, _, ours in self.each()})


if __name__ == "__main__":
    unittest.main()
