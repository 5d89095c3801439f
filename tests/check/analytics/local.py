# SPDX-License-Identifier: LGPL-2.1-or-later
"""Metadata of a library that nobody else in the process sees, as GStreamer loads those of plugins: see test_analytics.py."""
import ctypes
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from ewtest import APPSRC, Gst, Pipeline, rgb_frame  # noqa: E402


class Mtd(ctypes.Structure):
    _fields_ = [("id", ctypes.c_uint), ("meta", ctypes.c_void_p)]


lib = ctypes.CDLL("libgstanalytics-1.0.so.0", mode=ctypes.RTLD_LOCAL)
assert not hasattr(ctypes.CDLL(None), "gst_analytics_od_mtd_get_location")
lib.gst_buffer_add_analytics_relation_meta.restype = ctypes.c_void_p
lib.gst_buffer_add_analytics_relation_meta.argtypes = [ctypes.c_void_p]
lib.gst_analytics_relation_meta_add_od_mtd.argtypes = [ctypes.c_void_p, ctypes.c_uint, *4 * [ctypes.c_int], ctypes.c_float, ctypes.POINTER(Mtd)]
lib.gst_analytics_relation_meta_add_tracking_mtd.argtypes = [ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint64, ctypes.POINTER(Mtd)]
lib.gst_analytics_relation_meta_set_relation.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_uint, ctypes.c_uint]
glib = ctypes.CDLL("libglib-2.0.so.0")
with Pipeline(f"{APPSRC} ! msgconv payload-type=1 ! application/json ! appsink name=out") as p:
    p.play()
    frame = rgb_frame(0)
    meta = lib.gst_buffer_add_analytics_relation_meta(hash(frame))
    assert lib.gst_analytics_relation_meta_add_od_mtd(meta, glib.g_quark_from_string(b"wombat"), 1, 2, 3, 4, 0.5, Mtd())
    assert lib.gst_analytics_relation_meta_add_tracking_mtd(meta, 7, 0, Mtd())
    assert lib.gst_analytics_relation_meta_set_relation(meta, 8, 0, 1)  # RELATE_TO
    p["src"].emit("push-buffer", frame)
    b = p["out"].emit("try-pull-sample", 5 * Gst.SECOND).get_buffer()
    print(b.extract_dup(0, b.get_size()).decode())
