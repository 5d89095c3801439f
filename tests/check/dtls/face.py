# SPDX-License-Identifier: LGPL-2.1-or-later
"""Prints, as JSON, what gst-inspect-1.0 shows of the plugin "dtls" that this process loads.

Run it with EDGEWIRE_DTLS_PLUGINS set to a folder or to "system"."""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import dtls  # noqa: E402
from dtls import Gst  # noqa: E402

from gi.repository import GObject  # noqa: E402

FACTORIES = ("dtlsenc", "dtlsdec", "dtlssrtpenc", "dtlssrtpdec", "dtlssrtpdemux")
# What GStreamer itself brings; a bin's come with every bin.
BASE = {p.name for p in Gst.ElementFactory.make("bin").list_properties()}
# gst/gstparamspecs.h; not all of them are in the bindings.
GST_FLAGS = {"controllable": 1 << 9, "mutable-ready": 1 << 10, "mutable-paused": 1 << 11, "mutable-playing": 1 << 12,
             "doc-show-default": 1 << 13, "conditionally-available": 1 << 14}


def flags(spec):
    f = spec.flags
    names = [n for n, bit in (("readable", GObject.ParamFlags.READABLE), ("writable", GObject.ParamFlags.WRITABLE),
                              ("construct", GObject.ParamFlags.CONSTRUCT), ("construct-only", GObject.ParamFlags.CONSTRUCT_ONLY),
                              ("explicit-notify", GObject.ParamFlags.EXPLICIT_NOTIFY), ("deprecated", GObject.ParamFlags.DEPRECATED))
             if int(f) & int(bit)]
    return sorted(names + [n for n, bit in GST_FLAGS.items() if int(f) & bit])


def kind(value_type):
    """A type's name; of the types of the plugin, what they are."""
    if value_type.is_a(GObject.TYPE_ENUM):
        return "enum"
    return value_type.name


def property_of(element, spec):
    out = {"type": kind(spec.value_type), "flags": flags(spec), "blurb": spec.blurb}
    if spec.value_type.is_a(GObject.TYPE_ENUM):
        values = spec.enum_class.__enum_values__
        out["values"] = {str(int(n)): v.value_nick for n, v in values.items()}
        out["default"] = spec.default_value.value_nick
    else:
        default = getattr(spec, "default_value", None)
        out["default"] = default if isinstance(default, (int, float, bool, str, type(None))) else str(default)
        for limit in ("minimum", "maximum"):
            if hasattr(spec, limit):
                out[limit] = getattr(spec, limit)
    if "readable" in out["flags"]:
        value = element.get_property(spec.name)
        # A fresh element's value, where it can be compared.
        out["value"] = (value.value_nick if hasattr(value, "value_nick") else value if isinstance(value, (int, bool, type(None))) else
                        f"{type(value).__name__} {'PEM' if 'BEGIN' in str(value) else value}")
    return out


def signals_of(element):
    out, gtype = {}, element.__gtype__
    while gtype.name not in ("GstElement", "GstBin"):
        for name in GObject.signal_list_names(gtype):
            q = GObject.signal_query(name, gtype)
            out[name] = {"returns": q.return_type.name, "parameters": [t.name for t in q.param_types], "flags": int(q.signal_flags)}
        gtype = gtype.parent
    return out


def face(name):
    factory = Gst.ElementFactory.find(name)
    element = factory.create(None)
    own = {p.name: p for p in element.list_properties() if p.name not in BASE}
    return {
        "rank": factory.get_rank(),
        "klass": factory.get_metadata("klass"),
        "long-name": factory.get_metadata("long-name"),
        "description": factory.get_metadata("description"),
        "is-bin": isinstance(element, Gst.Bin),
        "templates": {t.name_template: {"direction": t.direction.value_nick, "presence": t.presence.value_nick,
                                        "caps": t.static_caps.get().to_string()} for t in factory.get_static_pad_templates()},
        "pads": sorted(p.get_name() for p in element.pads),
        "properties": {n: property_of(element, p) for n, p in own.items()},
        "signals": signals_of(element),
        "type": element.__gtype__.name,
    }


def main():
    factories = Gst.Registry.get().get_feature_list_by_plugin("dtls")
    out = {"factories": sorted(f.get_name() for f in factories), "plugin": dtls.loaded.get_name(),
           "elements": {name: face(name) for name in FACTORIES}}
    out["categories"] = sorted(c.get_name() for c in Gst.debug_get_all_categories() if c.get_name().startswith("dtls"))
    print(json.dumps(out))


if __name__ == "__main__":
    main()
