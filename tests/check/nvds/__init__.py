# SPDX-License-Identifier: LGPL-2.1-or-later
"""DeepStream's metadata without DeepStream: tests/nvds as a library for one release per process."""
import atexit
import ctypes
import functools
import json
import pathlib
import shutil
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[3]
GOLDEN = ROOT / "pkg" / "payload" / "testdata" / "golden"
RELEASES = {"6.4": 604, "7.0": 700, "7.1": 701, "8.0": 800, "9.0": 900, "9.1": 901}


@functools.cache
def folder():
    path = tempfile.mkdtemp(prefix="edgewire-nvds-")
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return pathlib.Path(path)


def compile_library(release, claim=None, plugin=None, version="1", into=None):
    """libnvds_meta of a release, which says that it is of the release claim (0: says nothing).

    It is a plugin file as well, with the element nvdstestmeta."""
    out = pathlib.Path(into or folder()) / (f"lib{plugin}.so" if plugin else f"libnvds_meta_{release}_{claim}.so")
    if not out.exists():
        flags = subprocess.check_output(["pkg-config", "--cflags", "--libs", "gstreamer-base-1.0"], text=True).split()
        sources = [str(ROOT / "tests" / "nvds" / name) for name in ("nvds.c", "build.c", "element.c")]
        subprocess.check_call(["gcc", "-std=gnu11", "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC",
                               f"-DNVDS_RELEASE={RELEASES.get(release, release)}",
                               *([] if claim is None else [f"-DNVDS_CLAIM={claim}"]),
                               *([] if plugin is None else [f"-DNVDS_PLUGIN={plugin}", f'-DNVDS_PLUGIN_VERSION="{version}"']), "-o", str(out), *sources, *flags])
    return out


def compile_ds3d(*defines):
    """libnvds_3d_gst and what makes data maps, from C++; without some functions by defines."""
    out = pathlib.Path(folder()) / f"libnvds_3d_{'_'.join(defines)}.so"
    if not out.exists():
        flags = subprocess.check_output(["pkg-config", "--cflags", "--libs", "gstreamer-1.0"], text=True).split()
        subprocess.check_call(["g++", "-std=c++17", "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC",
                               *(f"-D{d}" for d in defines), "-o", str(out), str(ROOT / "tests" / "nvds" / "ds3d.cpp"), *flags])
    return out


class Hole:
    """Memory of two pages, of which the second cannot be read."""
    PAGE = 4096

    def __init__(self, first=b""):
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.libc.mmap.restype, self.libc.mmap.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
        self.libc.mprotect.argtypes = self.libc.munmap.argtypes = None
        self.address = self.libc.mmap(None, 2 * self.PAGE, 3, 0x22, -1, 0)  # PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS
        assert self.libc.mprotect(ctypes.c_void_p(self.address + self.PAGE), ctypes.c_size_t(self.PAGE), 0) == 0
        ctypes.memmove(self.address, first.ljust(self.PAGE, b"x"), self.PAGE)

    def close(self):
        self.libc.munmap(ctypes.c_void_p(self.address), ctypes.c_size_t(2 * self.PAGE))


class Ds3d:
    """The functions of tests/nvds/ds3d.cpp."""

    def __init__(self, path):
        lib = ctypes.CDLL(str(path))
        p, u, q, s = ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint64, ctypes.c_char_p
        for name, result, *args in (
                ("map", p), ("stamp", None, p, s, q), ("array", None, p, s, s, ctypes.c_size_t, ctypes.POINTER(ctypes.c_int), u, ctypes.c_int, ctypes.c_int),
                ("array_at", None, p, s, q, ctypes.c_size_t, ctypes.POINTER(ctypes.c_int), u), ("entry_at", None, p, s, q, q), ("shape_at", None, p, s, q),
                ("buffer", p, p), ("wild", p, q), ("strange", p), ("copy", p, p), ("destroy", None, p), ("live", ctypes.c_int)):
            function = getattr(lib, "td_" + name)
            function.restype, function.argtypes = result, args
            setattr(self, name, function)

    def put(self, data_map, key, data, dims, kind=0, memory=2):
        """An array of bytes."""
        self.array(data_map, key.encode(), data, len(data), (ctypes.c_int * max(1, len(dims)))(*dims), len(dims), kind, memory)


class Payload(ctypes.Structure):
    _fields_ = [("payload", ctypes.c_void_p), ("size", ctypes.c_uint), ("comp_id", ctypes.c_uint)]


class Library:
    """The functions of tests/nvds/build.c."""

    def __init__(self, path):
        lib = ctypes.CDLL(str(path))
        p, i, u, q, d, s = (ctypes.c_void_p, ctypes.c_int, ctypes.c_uint, ctypes.c_uint64, ctypes.c_double, ctypes.c_char_p)
        numbers = ctypes.POINTER(d)
        for name, result, *args in (
                ("batch", p, p, i), ("user_metas", None, i), ("leak", None, p), ("buffer_batch", p, p), ("frame", p, p, u, i, q, q, u, u, i, i), ("sensor", None, p, s),
                ("audio_frame", p, p, u, i, q, i, d, s), ("object", p, p, q, i, d, d, d, d, d, s), ("classifier", p, p, s),
                ("label", p, p, s, d), ("event", p, p), ("set", i, p, s, d, q, s), ("attributes", i, p, s),
                ("set_attribute", i, p, s, s, d, s), ("polygon", None, p, s, numbers, u), ("numbers", i, p, s, numbers, u),
                ("scene", p, p, i, u, q, s), ("solid", None, p, u, s, numbers, d, d, numbers, u), ("scene_count", None, p, u), ("view", None, p, s, q),
                ("blob", p, p, i, s, u, u), ("user", p, p, i, p), ("add_payload", p, p, s, u, u),
                ("payload", ctypes.POINTER(Payload), p, i, u)):
            if not hasattr(lib, "tn_" + name):
                continue  # of a later release
            function = getattr(lib, "tn_" + name)
            function.restype, function.argtypes = result, args
            setattr(self, name, function)
        self.lib = lib
        self.keep = []  # C strings that the metadata points to

    def kept(self, text):
        """A C string that stays."""
        self.keep.append(ctypes.create_string_buffer(text))
        return ctypes.cast(self.keep[-1], ctypes.c_char_p)

    def buffer(self):
        """The address of a new buffer. Python never holds it: a buffer that is shared would be copied on its way."""
        gst = ctypes.CDLL("libgstreamer-1.0.so.0")
        gst.gst_buffer_new_allocate.restype = ctypes.c_void_p
        gst.gst_buffer_new_allocate.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p]
        return gst.gst_buffer_new_allocate(None, 64, None)

    def push(self, appsrc, buffer):
        """Hands a buffer's address over."""
        push = ctypes.CDLL("libgstapp-1.0.so.0").gst_app_src_push_buffer
        push.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
        push(hash(appsrc), buffer)

    def payloads(self, buffer, frame):
        """(bytes, component) of each payload of a frame of a buffer's batch (-1: of the batch itself), as nvmsgbroker reads them."""
        batch, out = self.buffer_batch(hash(buffer)), []
        while p := self.payload(batch, frame, len(out)):
            out.append((ctypes.string_at(p.contents.payload, p.contents.size), p.contents.comp_id))
        return out


def text(value):
    """A string of the golden files as bytes."""
    if value is None:
        return None
    return bytes.fromhex(value["hex"]) if isinstance(value, dict) else value.encode()


def doubles(values):
    return (ctypes.c_double * len(values))(*(float(v) for v in values)), len(values)


class Builder:
    """Puts the input of a golden case on a buffer, which is an address."""

    def __init__(self, library, release):
        self.lib, self.release = library, RELEASES[release]

    def frames(self, buffer, frames):
        batch = self.lib.batch(buffer, 0)
        for f in frames:
            frame = self.lib.frame(batch, f["source_id"], f["frame_num"], int(f["buf_pts"]), int(f["ntp_timestamp"]),
                                   f["source_frame_width"], f["source_frame_height"], f["pipeline_width"], f["pipeline_height"])
            # The lists of a frame grow at their head.
            for m in reversed(f["user_metas"]):
                message = text(m["message"])
                size = m["size"] if m.get("size") is not None else len(message)
                self.lib.blob(frame, 0 if m["meta_type"] == 29 else m["meta_type"], message, len(message), size)
            for o in reversed(f["objects"]):
                self.object(frame, o)
            for e in reversed(f["events"]):
                self.event(frame, e)
        return batch

    def object(self, frame, o):
        r = o["rect_params"]
        obj = self.lib.object(frame, int(o["object_id"]), o["class_id"], float(o["confidence"]), float(r["left"]), float(r["top"]),
                              float(r["width"]), float(r["height"]), text(o["obj_label"]))
        for c in reversed(o["classifiers"]):
            kind = text(c["classifier_type"])
            classifier = self.lib.classifier(obj, None if kind is None else self.lib.kept(kind))
            for label in reversed(c["labels"]):
                self.lib.label(classifier, text(label["result_label"]), float(label["result_prob"]))

    def object_type(self, number):
        if self.release >= 800:
            return number
        return {11: 9, 12: 10}.get(number, number)

    def event(self, frame, e):
        lib, event = self.lib, self.lib.event(frame)

        def put(member, value):
            assert lib.set(event, member.encode(), float(value), 0, None), member
        put("objType", self.object_type(e["objType"]))
        for member in ("type", "objClassId", "sensorId", "moduleId", "placeId", "componentId", "frameId", "confidence", "extMsgSize"):
            put(member, e[member])
        put("has3DTracking", 1 if e["has3DTracking"] else 0)
        put("visibility", e["visibility"])
        for group in ("bbox", "location", "coordinate"):
            for key, value in e[group].items():
                put(f"{group}.{key}", value)
        assert lib.set(event, b"trackingId", 0, int(e["trackingId"]), None)
        for member in ("ts", "objectId", "sensorStr", "otherAttrs", "videoPath"):
            assert lib.set(event, member.encode(), 0, 0, text(e[member])), member
        lib.numbers(event, b"signature", *doubles(e["objSignature"]))
        if e["embedding"] is not None:
            lib.numbers(event, b"embedding", *doubles(e["embedding"]))
        if e["pose"] is not None:
            put("pose.num_joints", e["pose"]["num_joints"])
            put("pose.pose_type", e["pose"]["pose_type"])
            lib.numbers(event, b"joints", *doubles([j[k] for j in e["pose"]["joints"] for k in ("x", "y", "z", "confidence")]))
        if e["singleView3DTracking"] is not None:
            tracking = e["singleView3DTracking"]
            for member in ("ptWorldFeet", "ptImgFeet"):
                for i in range(2):
                    put(f"singleView3DTracking.{member}[{i}]", tracking[member][i])
            lib.numbers(event, b"hull", *doubles(tracking["convexHull"]["points"]))
        if e["extMsg"] is not None:
            self.attributes(event, e["extMsg"])

    def attributes(self, event, ext):
        kind = ext["kind"].removesuffix("Ext").encode()
        assert self.lib.attributes(event, kind), kind
        for member, value in ext.items():
            if member == "mask":
                for polygon in value:
                    self.lib.polygon(event, kind, *doubles(polygon))
            elif member == "age":
                assert self.lib.set_attribute(event, kind, b"age", float(value if value < 2**31 else value - 2**32), None)
            elif member != "kind":
                assert self.lib.set_attribute(event, kind, member.encode(), 0, text(value)), member


def golden():
    for path in sorted(GOLDEN.glob("*.json")):
        yield json.loads(path.read_text())
