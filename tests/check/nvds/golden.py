# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every golden case through the element, with metadata of one release: golden.py RELEASE ELEMENT. Prints what differs."""
import json
import re
import sys
import pathlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import ewtest  # noqa: E402
import nvds  # noqa: E402
from ewtest import Gst, Pipeline  # noqa: E402

CAPS = "video/x-raw,format=RGB,width=64,height=48,framerate=25/1"
UUID = re.compile("^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")


def masked(text, frame_api):
    """The members of a message in their order, without what is another each time."""
    def pairs(members):
        out = []
        for key, value in members:
            if isinstance(value, str) and (UUID.match(value) or frame_api and key == "@timestamp"):
                value = "*"
            out.append((key, value))
        return out
    return json.loads(text, object_pairs_hook=pairs)


def without_time(data):
    """The top fields of an nv.Frame but for its timestamp."""
    out, i = [], 0

    def varint():
        nonlocal i
        n = shift = 0
        while True:
            b = data[i]
            i += 1
            n |= (b & 127) << shift
            shift += 7
            if b < 128:
                return n
    while i < len(data):
        tag, size = varint(), varint()
        assert tag & 7 == 2
        if tag >> 3 != 3:
            out.append((tag >> 3, data[i:i + size]))
        i += size
    return out


def differences():
    """The cases that are answered differently on purpose."""
    source = (nvds.ROOT / "pkg" / "payload" / "differences_test.go").read_text()
    return set(re.findall(r'^\t"([a-z0-9-]+)":\s*\{reason', source, re.M))


def run(library, builder, element, case):
    """(status, [(frame, payload, component)]) of a case."""
    api = "msg2p-newapi=1" if case["api"] == "frame" else ""
    properties = f"payload-type={case['payload_type']} {api}"
    if case["dummy_payload"]:
        properties += " dummy-payload=1"
    if case["level"] == "library" and case["api"] == "frame":
        properties += " frame-interval=1"
    for name, value in case["properties"].items():
        properties += f" {name}={value}"
    if case["multiple_payloads"]:
        properties += " multiple-payloads=1"
    if case["config"] is not None:
        properties += f" config={nvds.GOLDEN / 'config' / case['config']}"
    with Pipeline(f"appsrc name=src format=time caps={CAPS} ! {element} {properties} ! appsink name=out sync=false") as p:
        if p.play() == Gst.StateChangeReturn.FAILURE:
            p.pump(0.1)
            assert p.result.errors, "no error on the bus"
            return "refused", []
        buffer = library.buffer()
        builder.frames(buffer, case["input"]["frames"])
        library.push(p["src"], buffer)
        sample = p["out"].emit("try-pull-sample", 10 * Gst.SECOND)
        if sample is None:
            p.pump(0.2)
            return "error " + p.result.text(), []
        out = []
        for frame in range(len(case["input"]["frames"])):
            out += [(frame, *payload) for payload in library.payloads(sample.get_buffer(), frame)]
        return "ok", out


def compare(case, got):
    frame_api = case["api"] == "frame"
    expect = [o for o in case["output"] if o is not None]
    info = case.get("output_info") if case["level"] == "element" else None
    if len(got) != len(expect):
        return f"{len(got)} payloads instead of {len(expect)}"
    for n, (mine, theirs) in enumerate(zip(got, expect)):
        frame, data, component = mine
        if case["payload_type"] > 2:
            want = bytes.fromhex(theirs["hex"])
            same = data == want
        elif case["payload_type"] == 2:
            want = bytes.fromhex(theirs["hex"])
            same = without_time(data) == without_time(want) if frame_api else data == want
        else:
            want = theirs if isinstance(theirs, str) else bytes.fromhex(theirs["hex"]).decode()
            same = masked(data.decode(), frame_api) == masked(want, frame_api)
        if not same:
            return f"payload {n}: {data!r} instead of {want!r}"
        if info and (info[n]["frame"], info[n]["componentId"]) != (frame, component):
            return f"payload {n} is of frame {frame}, component {component}, instead of {info[n]}"
    return None


def main():
    release, element = sys.argv[1:]
    library = nvds.Library(nvds.compile_library(release))
    builder, skip = nvds.Builder(library, release), differences()
    old = nvds.RELEASES[release] < 800
    ran, failures = 0, []
    for case in nvds.golden():
        kinds = {e["objType"] for f in case["input"]["frames"] for e in f["events"]}
        if old and kinds & {9, 10}:
            continue  # 3D and DUMMY came with 8.0
        ran += 1
        try:
            status, got = run(library, builder, element, case)
            if case["name"] in skip:
                problem = status if status.startswith("error") else None
            elif case["status"] == "ok":
                problem = compare(case, got) if status == "ok" else status
            else:
                problem = None if status == "refused" else f"{status}, the reference: {case['status']}"
        except Exception as e:  # a case must not hide the others
            problem = repr(e)
        if problem:
            failures.append(f"{case['name']}: {problem}")
    print(json.dumps({"ran": ran, "failures": failures}))


if __name__ == "__main__":
    main()
