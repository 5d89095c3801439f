# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the DTLS checks share. Import it before ewtest: it says which dtls plugin this process loads.

EDGEWIRE_DTLS_PLUGINS is the folder that holds our libgstdtls.so (default: build/replace/dtls of this
checkout), or the word "system": then the process loads the plugin of the system, and the checks that
only ours can pass are skipped. A process holds one of the two, never both.
"""
import os
import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
PLUGINS = os.environ.get("EDGEWIRE_DTLS_PLUGINS") or str(ROOT / "build" / "replace" / "dtls")
OURS = PLUGINS != "system"
NOWHERE = str(HERE / "no-plugins")

if OURS and not (pathlib.Path(PLUGINS) / "libgstdtls.so").exists():
    sys.exit(f"{PLUGINS}/libgstdtls.so is missing: build it, or set EDGEWIRE_DTLS_PLUGINS to its folder or to \"system\"")
os.environ["EDGEWIRE_DTLS_PLUGINS"] = PLUGINS
os.environ["EDGEWIRE_PLUGINS"] = PLUGINS if OURS else NOWHERE  # what ewtest puts on GST_PLUGIN_PATH
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
sys.path.insert(0, str(HERE.parent))

import ewtest  # noqa: E402,F401
from ewtest import Gst  # noqa: E402

loaded = Gst.Registry.get().find_plugin("dtls")
if loaded is None:
    sys.exit("no plugin named dtls is to be found" + ("" if OURS else ": install gstreamer1.0-plugins-bad"))
if OURS != (pathlib.Path(loaded.get_filename()).parent.resolve() == pathlib.Path(PLUGINS).resolve()):
    sys.exit(f"the wrong dtls plugin is loaded: {loaded.get_filename()}")

ours_only = unittest.skipUnless(OURS, "the system's plugin cannot do this")


def other_env(which, **more):
    """The environment of a process that loads our plugin ("ours") or the system's ("system")."""
    keep = {k: os.environ[k] for k in ("PATH", "HOME", "LANG") if k in os.environ}
    folder = "system" if which == "system" or not OURS else PLUGINS
    return {**keep, "EDGEWIRE_DTLS_PLUGINS": folder, "PYTHONDONTWRITEBYTECODE": "1", **more}
