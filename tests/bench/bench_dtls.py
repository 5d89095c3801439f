# SPDX-License-Identifier: LGPL-2.1-or-later
"""CPU per packet through dtlssrtpenc and dtlssrtpdec, beside the system's dtls plugin.

Both ends are in one process (dtlsbench.c), connected by a real handshake; RTP is pushed into the encoder's
rtp_sink_0 and counted at the other end's rtp_src. CPU is that of the whole process per packet, encrypted and
decrypted. What it costs to make the buffers is measured alone and taken off; the figures -gross still have it. A
run ends with an error if a packet is lost or changed.
The rival's GCM is its AES-CM: it offers nothing else. Its lists are taken apart between encoder and decoder, because
the srtpdec of GStreamer 1.22 lets what comes in lists through undecrypted: that costs it some 100 ns a packet.
"""
from benchlib import LOWER
from dtlslib import Sides

SUMMARY = "dtlssrtpenc and dtlssrtpdec beside the system's plugin: CPU ns per packet, AES-CM and GCM, plain and in lists"
RUNS = 5

PROFILES = {"cm80": "SRTP_AES128_CM_HMAC_SHA1_80", "gcm128": "SRTP_AEAD_AES_128_GCM"}
COUNTS = {1200: 200_000, 100: 400_000}
CASES = [("cm80", 1200, 1), ("cm80", 1200, 32), ("cm80", 100, 1), ("cm80", 100, 32),
         ("gcm128", 1200, 1), ("gcm128", 1200, 32), ("gcm128", 100, 1), ("gcm128", 100, 32)]


def run(b):
    sides = Sides(b)
    for name, size, many in CASES:
        count = b.scaled(COUNTS[size])
        profile = "-" if sides.folder == "system" else PROFILES[name]
        label = f"{name}-{size}-cpu-ns" + (f"-list{many}" if many > 1 else "")
        r = sides.both(label, "packets", size, many, count, profile, 0 if profile != "-" else int(many > 1),
                       rival_args=("packets", size, many, count, "-", int(many > 1)))
        b.figure(label, "ns", r["ours"]["net_ns"], r["rival"]["net_ns"], LOWER)
        b.figure(label + "-gross", "ns", r["ours"]["gross_ns"], r["rival"]["gross_ns"], LOWER)
