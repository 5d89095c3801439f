# SPDX-License-Identifier: LGPL-2.1-or-later
"""Two of our DTLS-SRTP endpoints on a newer GStreamer: see test_analytics.py."""
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
os.environ["EDGEWIRE_DTLS_PLUGINS"] = os.environ["EDGEWIRE_PLUGINS"]
from dtls import Gst, loaded  # noqa: E402
from dtls.ends import connect, pair, rtp  # noqa: E402

a, b = pair()
with a, b:
    connect(a, b)
    for sender, receiver in ((a, b), (b, a)):
        sender.send_rtp(20)
        receiver.has([rtp(i) for i in range(1, 21)])
        assert sender.errors() == [], sender.errors()
    print(f"{loaded.get_package()} on {Gst.version().major}.{Gst.version().minor}: {len(b.got['rtp'])} packets")
