# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the DTLS benchmarks share: dtlsbench under our plugin and under the system's."""
import json
import os
import pathlib

import benchlib
from benchlib import BUILD, Failure, say


class Sides:
    """Runs dtlsbench with our libgstdtls.so or with the system's, each in a process and with a registry of its own.

    EDGEWIRE_DTLS_PLUGINS names the folder of ours (default: replace/dtls of the build); "system" measures the
    system's plugin on both sides, which shows how much two equal sides differ."""

    def __init__(self, bench):
        self.bench = bench
        self.folder = os.environ.get("EDGEWIRE_DTLS_PLUGINS") or str(BUILD / "replace" / "dtls")
        if self.folder != "system":
            bench.build()
            if not (pathlib.Path(self.folder) / "libgstdtls.so").exists():
                raise Failure(f"{self.folder}/libgstdtls.so is missing")
        self.program = bench.compile("dtlsbench.c", *benchlib.pkg_config("gstreamer-1.0"))

    def cm80(self, side):
        """The argument PROFILE for AES-CM, the only cipher that the rival offers."""
        return "SRTP_AES128_CM_HMAC_SHA1_80" if side == "ours" and self.folder != "system" else "-"

    def run(self, side, *args, timeout=600):
        """side is "ours" or "rival"."""
        ours = side == "ours" and self.folder != "system"
        env = {**os.environ, "GST_PLUGIN_PATH": self.folder if ours else str(self.bench.dir / "no-plugins"),
               "GST_REGISTRY": str(self.bench.dir / f"registry-{side}.bin")}
        out = json.loads(benchlib.run([self.program, *args], env=env, timeout=timeout))
        plugin = out.pop("plugin")
        if (pathlib.Path(plugin).resolve().parent == pathlib.Path(self.folder).resolve()) != ours:
            raise Failure(f"the wrong plugin was measured: {plugin}")
        return out

    def both(self, what, *args, rival_args=None, rival_tries=1, timeout=600):
        """In turn; args may be a function of the run's number, which is the same for both sides.

        rival_tries is how often a run of the rival is begun anew when it crashes."""
        count = {"ours": 0, "rival": 0}

        def side(name):
            def once():
                count[name] += 1
                own = rival_args if name == "rival" and rival_args is not None else args
                for left in reversed(range(rival_tries if name == "rival" else 1)):
                    try:
                        return self.run(name, *(a(count[name]) if callable(a) else a for a in own), timeout=timeout)
                    except Failure as e:
                        if not left:
                            raise
                        say(f"{what}: the rival's run is begun anew: {e}")
            return once
        return self.bench.in_turn(what, ours=side("ours"), rival=side("rival"))
