# SPDX-License-Identifier: LGPL-2.1-or-later
"""msgconv and GstAnalytics metadata. Runs with a GStreamer of 1.26 or newer: see test_analytics.py."""
import ctypes
import json
import os
import pathlib
import random
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import ewtest  # noqa: E402
import gi  # noqa: E402
from ewtest import APPSRC, Gst, GstVideo, Pipeline, rgb_frame  # noqa: E402

gi.require_version("GstAnalytics", "1.0")
from gi.repository import GLib, GstAnalytics  # noqa: E402

REL = GstAnalytics.RelTypes
CAR = (10, 20, 30, 8)
PERSON = (2, 4, 12, 40)
# What GStreamer 1.30 adds, from a library of others, or in the global scope, as of a GStreamer that is linked into the program.
REAL = ctypes.CDLL("libgstanalytics-1.0.so.0", mode=ctypes.RTLD_GLOBAL)
NEWER = ctypes.CDLL(os.environ["EDGEWIRE_TEST_NEWER"], mode=getattr(ctypes, os.environ["EDGEWIRE_TEST_SCOPE"]))
ODD = os.environ["EDGEWIRE_TEST_ODD"]  # a converter library (tests/msg2p)
LIBRARY = ctypes.CDLL(ODD)
LIBRARY.odd_last.restype = ctypes.c_char_p
NEWER.add_point.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.c_float]
NEWER.add_group.argtypes = [ctypes.c_void_p, ctypes.POINTER(ctypes.c_uint), ctypes.c_uint]
NEWER.add_text.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_float]


def quark(s):
    return GLib.quark_from_string(s)


class VideoMeta(ctypes.Structure):
    """GstVideoMeta up to what the tests write to."""
    _fields_ = [("meta", ctypes.c_void_p * 2), ("buffer", ctypes.c_void_p), ("flags", ctypes.c_int), ("format", ctypes.c_int),
                ("id", ctypes.c_int), ("width", ctypes.c_uint), ("height", ctypes.c_uint), ("planes", ctypes.c_uint),
                ("offset", ctypes.c_size_t * 4), ("stride", ctypes.c_int * 4)]


def video_meta(buffer):
    get = ctypes.CDLL("libgstvideo-1.0.so.0").gst_buffer_get_video_meta
    get.restype, get.argtypes = ctypes.POINTER(VideoMeta), [ctypes.c_void_p]
    return get(hash(buffer)).contents


class Frame:
    """A buffer with analytics metadata."""

    def __init__(self, number=0, rois=()):
        self.buffer = rgb_frame(number, rois=rois)
        self.meta = GstAnalytics.buffer_add_analytics_relation_meta(self.buffer)
        self.ods = 0

    def od(self, label, box, confidence=0.5, rotation=None):
        if rotation is None:
            ok, mtd = self.meta.add_od_mtd(quark(label) if label else 0, *box, confidence)
        else:
            ok, mtd = self.meta.add_oriented_od_mtd(quark(label), *box, rotation, confidence)
        assert ok
        self.ods += 1
        return mtd.id

    def cls(self, levels):
        ok, mtd = self.meta.add_cls_mtd(list(levels.values()), [quark(k) for k in levels])
        assert ok
        return mtd.id

    def track(self, number):
        ok, mtd = self.meta.add_tracking_mtd(number, 0)
        assert ok
        return mtd.id

    def mask(self, rows, ids, where, fmt=GstVideo.VideoFormat.GRAY8, spoil=None):
        width, wide = len(rows[0]), fmt != GstVideo.VideoFormat.GRAY8
        order = "big" if fmt == GstVideo.VideoFormat.GRAY16_BE else "little"
        stride = (width * (2 if wide else 1) + 3) // 4 * 4
        data = b"".join((b"".join(int(c).to_bytes(2, order) if wide else bytes([int(c)]) for c in row)).ljust(stride, b"\x09") for row in rows)
        buffer = Gst.Buffer.new_wrapped(data)
        video = GstVideo.buffer_add_video_meta(buffer, 0, fmt, width, len(rows))
        assert video is not None and video_meta(buffer).stride[0] == stride
        ok, mtd = self.meta.add_segmentation_mtd(buffer, GstAnalytics.SegmentationType.INSTANCE, ids, *where)
        assert ok
        if spoil:
            spoil(buffer)
        return mtd.id

    def relate(self, kind, first, second):
        assert self.meta.set_relation(kind, first, second)
        return self

    @property
    def address(self):
        """Of the meta, for C."""
        get = REAL.gst_buffer_get_analytics_relation_meta
        get.restype, get.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
        return get(hash(self.buffer))


def convert(properties, *frames, size=None):
    """The messages that the frames become, of each frame a list, and what is on the bus."""
    src = APPSRC if size is None else APPSRC.replace("width=64,height=48", size)
    with Pipeline(f"{src} ! msgconv name=x {properties} ! application/json ! appsink name=out sync=false") as p:
        p.play()
        for f in frames:
            p["src"].emit("push-buffer", f.buffer)
        p["src"].emit("end-of-stream")
        out = []
        while True:
            sample = p["out"].emit("try-pull-sample", 5 * Gst.SECOND)
            if sample is None:
                break
            b = sample.get_buffer()
            out.append(json.loads(b.extract_dup(0, b.get_size())))
        p.pump(2, until=lambda: p.result.eos)
        return out, p.result


EVENTS, OBJECTS, FULL = "payload-type=1", "payload-type=1 msg2p-newapi=1 frame-interval=1", "payload-type=0"


def objects(frame, properties=OBJECTS):
    messages, result = convert(properties, frame)
    assert result.text() == "", result.text()
    return messages[0]["objects"]


class Objects(unittest.TestCase):
    def test_box_class_confidence_and_tracking_id(self):
        f = Frame()
        f.relate(REL.RELATE_TO, f.od("person", PERSON, 0.75), f.track(77))
        f.od("wombat", CAR, 0.25)
        self.assertEqual(objects(f, EVENTS), ["77|2|4|14|44|Person|#|||||||0.75", "0|10|20|40|28|wombat|#|||||||0.25"])
        messages, _ = convert(FULL, f)
        self.assertEqual(len(messages), 2)
        o = messages[0]["object"]
        self.assertEqual((o["id"], o["person"]["confidence"]), ("77", 0.75))
        self.assertEqual(o["bbox"], {"topleftx": 2, "toplefty": 4, "bottomrightx": 14, "bottomrighty": 44})
        self.assertEqual(messages[1]["object"]["wombat"], {"confidence": 0.25})

    def test_protobuf(self):
        f = Frame()
        f.od("car", CAR)
        with Pipeline(f"{APPSRC} ! msgconv payload-type=2 ! application/x-protobuf ! appsink name=out") as p:
            p.play()
            p["src"].emit("push-buffer", f.buffer)
            b = p["out"].emit("try-pull-sample", 5 * Gst.SECOND).get_buffer()
            self.assertIn(b"Vehicle", b.extract_dup(0, b.get_size()))

    def test_relations_in_any_direction(self):
        for kind, turned in ((REL.IS_PART_OF, True), (REL.CONTAIN, False), (REL.RELATE_TO, False), (REL.RELATE_TO, True)):
            f = Frame()
            ids = [f.od("person", PERSON), f.cls({"tall": 0.9})]
            f.od("person", CAR)
            f.relate(kind, *(reversed(ids) if turned else ids))
            self.assertEqual(objects(f), ["0|2|4|14|44|person|#|tall|0.5", "0|10|20|40|28|person"], kind)

    def test_the_most_probable_class_of_each_classification(self):
        f = Frame()
        od = f.od("car", CAR)
        for levels in ({"red": 0.1, "blue": 0.7, "green": 0.2}, {"van": -1.0}, {"": 1.0}):
            f.relate(REL.CONTAIN, od, f.cls(levels))
        self.assertEqual(objects(f), ["0|10|20|40|28|car|#|blue|van|0.5"])
        messages, _ = convert("payload-type=0 msg2p-newapi=1 frame-interval=1", f)
        self.assertEqual(messages[0]["object"]["car"], {"confidence": 0.5, "classification": "blue", "classification2": "van"})

    def test_many_classifications_of_one_object(self):
        f = Frame()
        od = f.od("car", CAR)
        for i in range(20):
            f.relate(REL.CONTAIN, od, f.cls({f"c{i}": 1.0}))
        self.assertEqual(objects(f)[0], "|".join(["0|10|20|40|28|car|#", *(f"c{i}" for i in range(20)), "0.5"]))
        messages, _ = convert("payload-type=0 msg2p-newapi=1 frame-interval=1", f)
        self.assertEqual(len(messages[0]["object"]["car"]), 17)  # confidence, and 16 types

    def test_an_edge_said_from_both_sides_counts_once(self):
        f = Frame()
        od, cls = f.od("car", CAR), f.cls({"red": 1.0})
        f.relate(REL.CONTAIN, od, cls).relate(REL.IS_PART_OF, cls, od)
        self.assertEqual(objects(f), ["0|10|20|40|28|car|#|red|0.5"])

    def test_a_list_of_all_classes_gives_the_number(self):
        f = Frame()
        every = f.cls({"person": 0.0, "bike": 0.0, "car": 0.0})
        for label, box in (("car", CAR), ("person", PERSON)):
            f.relate(REL.RELATE_TO, f.od(label, box), every)
        self.assertEqual(objects(f, OBJECTS + " label-map=2=vehicle;0=human"), ["0|10|20|40|28|vehicle", "0|2|4|14|44|human"])

    def test_a_part_of_an_object_keeps_what_is_its_own(self):
        f = Frame()
        person, face = f.od("person", PERSON), f.od("face", (4, 4, 5, 5))
        f.relate(REL.CONTAIN, person, face).relate(REL.RELATE_TO, face, f.track(5)).relate(REL.CONTAIN, face, f.cls({"smiling": 1.0}))
        self.assertEqual(objects(f), ["0|2|4|14|44|person", "5|4|4|9|9|face|#|smiling|0.5"])

    def test_a_classification_of_the_picture(self):
        f = Frame()
        names, scene = f.cls({"indoor": 0.0, "street": 0.0}), f.cls({"street": 0.75, "indoor": 0.25})
        f.relate(REL.RELATE_TO, scene, names)
        self.assertEqual(objects(f, EVENTS), ["0|0|0|64|48|street|#|||||||0.75"])

    def test_nothing_that_was_detected_is_no_message(self):
        f = Frame()
        f.track(3)
        self.assertEqual(convert(EVENTS, f, Frame())[0], [])
        self.assertEqual(objects(f), [])

    def test_numbers_beyond_all_measure(self):
        f = Frame()
        f.od("a", (-2**31, 2**31 - 1, -5, -7), float("nan"))
        f.od("b", (2**31 - 1,) * 4, float("inf"), float("nan"))
        f.od(None, (0, 0, 0, 0), -1.0)
        for kind in (EVENTS, OBJECTS, FULL):
            messages, result = convert(kind, f)
            self.assertEqual(result.text(), "")
            self.assertTrue(messages)
        self.assertEqual(objects(f)[0], "0|-2.14748e+09|2.14748e+09|-2.14748e+09|2.14748e+09|a")

    def test_hundreds_of_objects(self):
        f = Frame()
        for i in range(300):
            od = f.od("car", (i, i, 2, 2))
            f.relate(REL.RELATE_TO, od, f.track(1000 + i)).relate(REL.CONTAIN, od, f.cls({f"c{i}": 1.0}))
        self.assertEqual(objects(f), [f"{1000 + i}|{i}|{i}|{i + 2}|{i + 2}|car|#|c{i}|0.5" for i in range(300)])

    def test_frames_do_not_mix(self):
        frames = []
        for i in range(5):
            f = Frame(i)
            for k in range(i):
                od = f.od(f"o{i}", (k, 0, 1, 1))
                f.relate(REL.CONTAIN, od, f.cls({f"c{i}{k}": 1.0}))
            frames.append(f)
        messages, _ = convert(OBJECTS, *frames)
        self.assertEqual([m["objects"] for m in messages],
                         [[f"0|{k}|0|{k + 1}|1|o{i}|#|c{i}{k}|0.5" for k in range(i)] for i in range(5)])

    def test_behind_a_tee_and_a_scaler(self):
        with Pipeline(f"{APPSRC} ! tee name=t ! queue ! videoconvertscale ! video/x-raw,width=128,height=96 ! "
                      "msgconv payload-type=1 ! application/json ! appsink name=a t. ! queue ! appsink name=b") as p:
            p.play()
            f = Frame()
            f.od("car", CAR)
            p["src"].emit("push-buffer", f.buffer)
            a = p["a"].emit("try-pull-sample", 5 * Gst.SECOND).get_buffer()
            b = p["b"].emit("try-pull-sample", 5 * Gst.SECOND).get_buffer()
            self.assertEqual(json.loads(a.extract_dup(0, a.get_size()))["objects"], ["0|20|40|80|56|Vehicle|#|car||||||0.5"])
            self.assertEqual(GstAnalytics.relation_get_length(GstAnalytics.buffer_get_analytics_relation_meta(b)), 1)


class Both(unittest.TestCase):
    """Regions of interest beside analytics metadata."""

    def both(self, region_id, kind="car", **params):
        f = Frame(rois=[(kind, *CAR, {k.replace("_", "-"): v for k, v in params.items()}), ("dog", 1, 1, 3, 3, {})])
        f.od("bicycle", PERSON)
        f.od("car", CAR, 0.5)
        meta = GstVideo.buffer_get_video_region_of_interest_meta_id(f.buffer, -1) or GstVideo.buffer_get_video_region_of_interest_meta_id(f.buffer, 0)
        meta.id = region_id
        return f

    def test_an_object_is_written_once(self):
        for region_id, kind in ((1, "car"), (1, "vehicle"), (-1, "car")):
            f = self.both(region_id, kind)
            self.assertEqual(objects(f), ["0|2|4|14|44|bicycle", "0|10|20|40|28|car", "0|1|1|4|4|dog"], (region_id, kind))

    def test_its_region_adds_what_it_knows(self):
        f = self.both(1, detection={"confidence": 0.9, "label_id": 7}, object_id={"id": 42},
                      colour={"label": "red", "attribute_name": "color", "confidence": 0.8})
        messages, _ = convert(FULL + " label-map=7=truck", f)
        self.assertEqual(len(messages), 3)
        o = messages[1]["object"]
        self.assertEqual((o["id"], o["vehicle"]["type"], o["vehicle"]["color"], o["vehicle"]["confidence"]), ("42", "truck", "red", 0.5))

    def test_another_tracker_is_not_overruled(self):
        f = self.both(1, object_id={"id": 42})
        f.relate(REL.RELATE_TO, 1, f.track(9))
        self.assertEqual(objects(f)[1], "9|10|20|40|28|car")


class Outlines(unittest.TestCase):
    def masked(self, frame, properties=EVENTS):
        messages, result = convert(properties, frame)
        self.assertEqual(result.text(), "")
        return messages[0]

    def test_a_rotated_box(self):
        f = Frame()
        f.od("car", (20, 20, 20, 10), rotation=1.5707963)
        m = self.masked(f)
        self.assertEqual(m["objects"], ["0|25|15|35|35|Vehicle|#|car||||||0.5"])
        self.assertEqual(m["masks"], ["0|1|35|15|35|35|25|35|25|15"])
        self.assertEqual(self.masked(f, FULL)["object"]["maskoutline"], [[35, 15, 35, 35, 25, 35, 25, 15]])

    def test_the_mask_of_an_object(self):
        rows = ["0000", "0770", "0770"]
        for fmt in (GstVideo.VideoFormat.GRAY8, GstVideo.VideoFormat.GRAY16_LE, GstVideo.VideoFormat.GRAY16_BE):
            f = Frame()
            od = f.od("person", (10, 20, 8, 6))
            seg = f.mask(rows, [0], (10, 20, 8, 6), fmt)  # the list need not have it: yolosegv8tensordec of 1.28
            f.relate(REL.RELATE_TO, od, seg).relate(REL.RELATE_TO, seg, od)
            m = self.masked(f)
            self.assertEqual(m["objects"], ["0|10|20|18|26|Person|#|||||||0.5"])
            self.assertEqual(m["masks"], ["0|1|16|22|16|26|12|26|12|22"])

    def test_a_mask_that_several_share_is_nobodys(self):
        f = Frame()
        seg = f.mask(["11"], [1], (0, 0, 2, 1))
        for box in (CAR, PERSON):
            f.relate(REL.RELATE_TO, f.od("car", box), seg)
        m = self.masked(f)
        self.assertEqual(len(m["objects"]), 2)
        self.assertNotIn("masks", m)

    def test_regions_of_the_picture(self):
        f = Frame()
        seg = f.mask(["0000", "0120", "0120", "3330"], [0, 1, 2, 3, 8], (0, 0, 64, 48))
        names = f.cls({"background": -1.0, "person": 0.75, "sky": -1.0, "wombat": 0.5, "nobody": 1.0})
        f.relate(REL.N_TO_N, seg, names)
        m = self.masked(f)
        self.assertEqual(m["objects"], ["0|16|12|32|36|Person|#|||||||0.75", "0|32|12|48|36|sky|#|||||||1", "0|0|36|48|48|wombat|#|||||||0.5"])
        self.assertEqual(m["masks"], ["0|1|32|12|32|36|16|36|16|12"])
        self.assertEqual(objects(f, OBJECTS + " label-map=sky=air;3=bear"), ["0|16|12|32|36|person", "0|32|12|48|36|air", "0|0|36|48|48|bear"])

    def test_regions_without_names_and_place(self):
        f = Frame()
        f.mask(["0220", "0220"], [0, 2], (3, 4, 0, 0))
        self.assertEqual(objects(f), ["0|4|4|6|6|"])

    def test_noise(self):
        """Thousands of regions all over the picture are objects; their outlines would take minutes."""
        side, count = 768, 20000
        mask = Gst.Buffer.new_wrapped(random.Random(1).randbytes(2 * side * side))
        GstVideo.buffer_add_video_meta(mask, 0, GstVideo.VideoFormat.GRAY16_LE, side, side)
        f = Frame()
        ok, seg = f.meta.add_segmentation_mtd(mask, GstAnalytics.SegmentationType.SEMANTIC, list(range(1, count + 1)), 0, 0, 64, 48)
        _, names = f.meta.add_cls_mtd([0.5] * count, [quark("person")] * count)
        f.relate(REL.N_TO_N, seg.id, names.id)
        m = self.masked(f)
        self.assertGreater(len(m["objects"]), 0.99 * count)
        self.assertGreaterEqual(len(m["masks"]), 1)
        self.assertLess(len(m["masks"]), 1000)

    def test_a_library_gets_the_plain_kind_of_an_object(self):
        """Objects of the kinds with an outline would have a structure that is longer."""
        f = Frame()
        od = f.od("car", (10, 20, 8, 6))
        f.relate(REL.RELATE_TO, od, f.mask(["11"], [1], (10, 20, 8, 6)))
        f.relate(REL.RELATE_TO, od, f.cls({"red": 0.5}))
        messages, result = convert(f"msg2p-lib={ODD} payload-type=257 config=fine", f)
        self.assertEqual((messages, result.text()), ([{"odd": 1}], ""))
        self.assertEqual(LIBRARY.odd_last().decode(), "generate 1 type=2 objType=0 frame=0 component=0")

    def test_masks_that_lie(self):
        def spoil(name, value):
            return lambda buffer: setattr(video_meta(buffer), name, value)

        def first(name, value):
            return lambda buffer: getattr(video_meta(buffer), name).__setitem__(0, value)
        for how in (spoil("height", 2**31), spoil("height", 9), spoil("width", 0), spoil("width", 2**31), spoil("format", 23),
                    first("stride", -4), first("stride", 1), first("stride", 2**31 - 1), first("offset", 2**63), first("offset", 13)):
            f = Frame()
            f.relate(REL.RELATE_TO, f.od("car", CAR), f.mask(["1111"] * 3, [1], (0, 0, 4, 3), spoil=how))
            f.mask(["1111"] * 3, [1], (0, 0, 4, 3), spoil=how)
            m = self.masked(f)
            self.assertEqual(len(m["objects"]), 1)
            self.assertNotIn("masks", m)

    def test_masks_are_let_go(self):
        """As many hold a mask behind msgconv as behind identity, which is what GStreamer's copies of the metadata leave."""
        def holders(element):
            with Pipeline(f"{APPSRC} ! {element} ! appsink name=out enable-last-sample=false") as p:
                p.play()
                mask = Gst.Buffer.new_allocate(None, 256, None)
                mask.memset(0, 1, 256)
                GstVideo.buffer_add_video_meta(mask, 0, GstVideo.VideoFormat.GRAY8, 16, 16)
                for i in range(3):
                    f = Frame(i)
                    assert f.meta.add_segmentation_mtd(mask, GstAnalytics.SegmentationType.INSTANCE, [1], 0, 0, 64, 48)[0]
                    p["src"].emit("push-buffer", f.buffer)
                    sample = p["out"].emit("try-pull-sample", 5 * Gst.SECOND)
                    attached = sample.get_buffer().get_custom_meta("EdgewirePayload") is not None
                    del f, sample
                p["src"].emit("end-of-stream")
                p.pump(5)
                return attached, ctypes.c_int.from_address(hash(mask) + 8).value  # GstMiniObject.refcount
        self.assertEqual(holders("msgconv payload-type=1"), (True, holders("identity")[1]))

class Anything(unittest.TestCase):
    """Metadata that nobody would make on purpose gives valid messages, with every object."""

    def frame(self, number, draw):
        f = Frame(number, rois=[(draw.choice(("car", "dog")), *draw.choice((CAR, PERSON)), {}) for _ in range(draw.randrange(3))])
        labels = ("car", "person", "face", 'quo"te|bar', "\u00fc", "product", "background")
        made = []
        for _ in range(draw.randrange(25)):
            kind = draw.randrange(8)
            if kind < 2:
                made.append(f.od(draw.choice(labels), draw.choice((CAR, PERSON, (-9, 0, 0, 3))), draw.choice((0.5, -1.0, float("nan"))),
                                 draw.choice((None, 0.0, 1.0, -50.0, float("inf")))))
            elif kind == 2:
                made.append(f.track(draw.randrange(2**64)))
            elif kind == 3:
                made.append(f.cls({draw.choice(labels): draw.uniform(-1, 1) for _ in range(draw.randrange(1, 4))}))
            elif kind == 4:
                rows = ["".join(draw.choice("0012") for _ in range(w)) for w in [draw.randrange(1, 9)] for _ in range(draw.randrange(1, 9))]
                made.append(f.mask(rows, [draw.randrange(4) for _ in range(draw.randrange(1, 6))], (draw.randrange(-9, 9), 0, draw.randrange(99), 48)))
            elif kind == 5:
                made.extend(NEWER.add_point(f.address, draw.randrange(64), draw.randrange(48), 0.5) for _ in range(draw.choice((1, 17, 18))))
            elif kind == 6:
                members = [draw.randrange(40) for _ in range(draw.choice((1, 17)))]
                made.append(NEWER.add_group(f.address, (ctypes.c_uint * len(members))(*members), len(members)))
            else:
                made.append(NEWER.add_text(f.address, draw.choice(labels).encode(), draw.uniform(-1, 1)))
        for _ in range(draw.randrange(3 * len(made) + 1)):
            f.relate(draw.choice((REL.IS_PART_OF, REL.CONTAIN, REL.RELATE_TO, REL.N_TO_N)), draw.choice(made), draw.choice(made))
        return f

    def test_random_metadata(self):
        for properties in (EVENTS, OBJECTS, FULL):
            draw = random.Random(properties)
            frames = [self.frame(i, draw) for i in range(150)]
            messages, result = convert(properties, *frames)
            self.assertEqual(result.text(), "")
            self.assertGreater(len(messages), 75)
            if properties == OBJECTS:
                self.assertGreater(sum(f.ods for f in frames), 150)
                for m, f in zip(messages, frames, strict=True):
                    self.assertGreaterEqual(len(m["objects"]), f.ods)


class Newer(unittest.TestCase):
    """What GStreamer 1.30 adds, by a stand-in."""

    def points(self, f, n, confidence=0.5):
        return [NEWER.add_point(f.address, 10 + i, 20 + i, confidence) for i in range(n)]

    def group(self, f, ids):
        return NEWER.add_group(f.address, (ctypes.c_uint * len(ids))(*ids), len(ids))

    def pose(self, f):
        messages, result = convert(FULL, f)
        self.assertEqual(result.text(), "")
        return messages[0]["object"]["pose"]

    def test_a_group_of_cocos_points(self):
        f = Frame()
        od = f.od("person", PERSON)
        f.relate(REL.CONTAIN, od, self.group(f, self.points(f, 17)))
        pose = self.pose(f)
        self.assertEqual(len(pose), 17)
        self.assertNotIn("neck", pose)
        for joint, i in (("nose", 0), ("left-eye", 1), ("right-ear", 4), ("left-shoulder", 5), ("right-hand", 10), ("left-hip", 11), ("right-foot", 16)):
            self.assertEqual(pose[joint], {"x": 10 + i, "y": 20 + i, "confidence": 0.5}, joint)
        self.assertIn("|#|pose2D|nose,10.000000,20.000000,0.500000|neck,0.000000,", objects(f, EVENTS)[0])

    def test_openposes_points_without_a_group(self):
        f = Frame()
        od = f.od("person", PERSON)
        for i in self.points(f, 18):
            f.relate(REL.IS_PART_OF, i, od)
        pose = self.pose(f)
        self.assertEqual(len(pose), 18)
        self.assertEqual(pose["neck"]["x"], 11)
        self.assertEqual(pose["left-ear"]["x"], 27)

    def test_points_of_other_things(self):
        for n in (0, 5, 16, 19, 64):
            f = Frame()
            f.relate(REL.CONTAIN, f.od("person", PERSON), self.group(f, self.points(f, n)))
            self.assertEqual(self.pose(f), {}, n)

    def test_two_skeletons_of_one_object(self):
        f = Frame()
        od = f.od("person", PERSON)
        for _ in range(2):
            f.relate(REL.CONTAIN, od, self.group(f, self.points(f, 17)))
        self.assertEqual(len(self.pose(f)), 17)

    def test_a_group_of_what_is_not_there(self):
        f = Frame()
        f.relate(REL.CONTAIN, f.od("person", PERSON), self.group(f, [0, 0, 1, 999, 2**32 - 1]))
        self.assertEqual(self.pose(f), {})

    def test_points_that_nobody_is_sure_of(self):
        f = Frame()
        f.relate(REL.CONTAIN, f.od("person", PERSON), self.group(f, self.points(f, 17, float("nan"))))
        self.assertEqual(self.pose(f), {})

    def test_texts(self):
        f = Frame()
        od = f.od("plate", CAR)
        f.relate(REL.CONTAIN, od, NEWER.add_text(f.address, b"M-AB 123", 0.75)).relate(REL.CONTAIN, od, f.cls({"german": 1.0}))
        self.assertEqual(objects(f), ["0|10|20|40|28|plate|#|M-AB 123|german|0.5"])
        messages, _ = convert("payload-type=0 msg2p-newapi=1 frame-interval=1", f)
        self.assertEqual(messages[0]["object"]["plate"], {"confidence": 0.5, "text": "M-AB 123", "classification": "german"})
        f = Frame()
        NEWER.add_text(f.address, b"platform 9", 0.5)
        self.assertEqual(objects(f), ["0|0|0|64|48|platform 9"])


if __name__ == "__main__":
    unittest.main()
