# SPDX-License-Identifier: LGPL-2.1-or-later
"""webrtcbin with Opus, VP8 and a data channel, driven synchronously. Descriptions carry their candidates."""
import ctypes
import re
import threading
import time

from dtls import Gst, ewtest

import gi  # noqa: E402

gi.require_version("GstWebRTC", "1.0")
gi.require_version("GstSdp", "1.0")
from gi.repository import GstSdp, GstWebRTC  # noqa: E402

_object_ref = ctypes.CDLL("libgobject-2.0.so.0").g_object_ref
_object_ref.argtypes, _object_ref.restype = [ctypes.c_void_p], ctypes.c_void_p

NEEDED = ("webrtcbin", "nicesrc", "vp8enc", "opusenc", "sctpenc", "dtlssrtpenc")


def missing():
    return [name for name in NEEDED if not Gst.ElementFactory.find(name)]


def with_setup(sdp, setup):
    return re.sub(r"a=setup:\w+", f"a=setup:{setup}", sdp) if setup else sdp


class Channel:
    """A data channel that answers "ping N" with "pong N"."""

    def __init__(self, channel):
        self.channel, self.texts, self.opened = channel, [], threading.Event()
        channel.connect("on-open", lambda *_: self.opened.set())
        channel.connect("on-message-string", self._message)

    def _message(self, channel, text):
        self.texts.append(text)
        if text and text.startswith("ping"):
            channel.emit("send-string", text.replace("ping", "pong"))


class WebRTC:
    """configure is called with each dtlssrtpenc and dtlssrtpdec as it is made."""

    def __init__(self, bundle=True, opus=111, vp8=96, configure=None):
        self.pipeline = Gst.Pipeline.new(None)
        self.elements = []  # dtlssrtpenc and dtlssrtpdec
        self.configure = configure
        self.pipeline.connect("deep-element-added", self._element_added)
        self.frames = {"audio": 0, "video": 0}
        self.channels, self.candidates = [], []
        self.gathered = threading.Event()
        self.bin = Gst.ElementFactory.make("webrtcbin", "w")
        self.bin.set_property("bundle-policy", GstWebRTC.WebRTCBundlePolicy.MAX_BUNDLE if bundle else GstWebRTC.WebRTCBundlePolicy.NONE)
        self.pipeline.add(self.bin)
        for launch in (
                f"audiotestsrc is-live=true wave=ticks ! opusenc ! rtpopuspay pt={opus} ! "
                f"application/x-rtp,media=audio,encoding-name=OPUS,clock-rate=48000,encoding-params=(string)2,payload={opus} ! queue",
                f"videotestsrc is-live=true ! video/x-raw,width=160,height=120,framerate=15/1 ! vp8enc deadline=1 keyframe-max-dist=15 ! "
                f"rtpvp8pay pt={vp8} picture-id-mode=1 ! application/x-rtp,media=video,encoding-name=VP8,payload={vp8} ! queue"):
            source = Gst.parse_bin_from_description(launch, True)
            self.pipeline.add(source)
            if not source.link(self.bin):
                raise AssertionError(f"webrtcbin does not link with {launch}")
        # Reading these properties gives a reference away that the bindings think is ours: it is given back at once.
        self.ice = self.bin.get_property("ice-agent")
        _object_ref(hash(self.ice))
        self.agent = self.ice.get_property("agent")
        _object_ref(hash(self.agent))
        self.agent.set_property("upnp", False)  # nothing leaves this machine
        self.ice.emit("add-local-ip-address", "127.0.0.1")
        self.bin.connect("on-ice-candidate", lambda _, line, candidate: self.candidates.append((line, candidate)))
        self.bin.connect("notify::ice-gathering-state", self._gathering)
        self.bin.connect("on-data-channel", lambda _, channel: self.channels.append(Channel(channel)))
        self.bin.connect("pad-added", self._pad_added)
        self.bus = self.pipeline.get_bus()
        self.problems = []
        self.pipeline.set_state(Gst.State.READY)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.pipeline.set_state(Gst.State.NULL)

    def _element_added(self, _pipeline, _bin, element):
        factory = element.get_factory()
        if factory and factory.get_name() in ("dtlssrtpenc", "dtlssrtpdec"):
            self.elements.append(element)
            if self.configure:
                self.configure(element)

    def _gathering(self, *_):
        if self.bin.get_property("ice-gathering-state") == GstWebRTC.WebRTCICEGatheringState.COMPLETE:
            self.gathered.set()

    def _pad_added(self, _bin, pad):
        if pad.direction != Gst.PadDirection.SRC:
            return
        media = pad.get_current_caps().get_structure(0).get_string("media")
        decode = {"audio": "rtpopusdepay ! opusdec", "video": "rtpvp8depay ! vp8dec"}[media]
        sink = Gst.parse_bin_from_description(f"queue ! {decode} ! fakesink name=out async=false sync=false signal-handoffs=true", True)
        sink.get_by_name("out").connect("handoff", self._decoded, media)
        self.pipeline.add(sink)
        sink.sync_state_with_parent()
        pad.link(sink.get_static_pad("sink"))

    def _decoded(self, _sink, _buffer, _pad, media):
        self.frames[media] += 1

    def create_channel(self):
        channel = self.bin.emit("create-data-channel", "checks", None)
        self.channels.append(Channel(channel))

    def _create(self, what):
        promise = Gst.Promise.new()
        self.bin.emit(f"create-{what}", None, promise)
        promise.wait()
        reply = promise.get_reply()
        if not reply.has_field(what):
            raise AssertionError(f"no {what}: {reply.to_string()}")
        return reply.get_value(what).sdp.as_text()

    def _set(self, side, kind, sdp):
        _, message = GstSdp.SDPMessage.new_from_text(sdp)
        promise = Gst.Promise.new()
        description = GstWebRTC.WebRTCSessionDescription.new(getattr(GstWebRTC.WebRTCSDPType, kind.upper()), message)
        self.bin.emit(f"set-{side}-description", description, promise)
        promise.wait()
        reply = promise.get_reply()
        if reply is not None and reply.has_field("error"):
            raise AssertionError(f"set-{side}-description: {reply.to_string()}")

    def _complete(self, kind, sdp):
        """Sets the local description and gives it with its candidates."""
        self.gathered.clear()
        self._set("local", kind, sdp)
        if not self.gathered.wait(20):
            raise AssertionError("the candidates are not gathered")
        # Their signals come from another thread: at least one for each transport.
        transports = 1 if "a=group:BUNDLE" in sdp else len(re.findall(r"^m=", sdp, re.M))
        ewtest.wait_for(lambda: len({line for line, _ in self.candidates}) >= transports, what=f"candidates of {transports} transports")
        time.sleep(0.05)  # further ones
        return sdp, list(self.candidates)

    def offer(self):
        self.pipeline.set_state(Gst.State.PLAYING)
        return self._complete("offer", self._create("offer"))

    def answer(self, sdp, candidates, setup=None):
        self.pipeline.set_state(Gst.State.PLAYING)
        self._set("remote", "offer", sdp)
        answer = self._complete("answer", with_setup(self._create("answer"), setup))
        self._data_credentials(sdp)
        self._add(candidates)
        return answer

    def _data_credentials(self, sdp):
        """An answerer of 1.22 forgets the peer's ICE credentials for a data channel with a transport of its own."""
        if "a=group:BUNDLE" in sdp:
            return
        medias = re.split(r"^m=", sdp, flags=re.M)[1:]
        for number, media in enumerate(medias, 1):
            if media.startswith("application"):
                ufrag, pwd = (re.search(rf"^a=ice-{what}:(\S+)", media, re.M).group(1) for what in ("ufrag", "pwd"))
                call = ctypes.CDLL("libnice.so.10").nice_agent_set_remote_credentials
                call.argtypes = [ctypes.c_void_p, ctypes.c_uint, ctypes.c_char_p, ctypes.c_char_p]
                call(hash(self.agent), number, ufrag.encode(), pwd.encode())

    def accept(self, sdp, candidates):
        self._set("remote", "answer", sdp)
        self._add(candidates)

    def _add(self, candidates):
        for line, candidate in candidates:
            self.bin.emit("add-ice-candidate", line, candidate)

    def look(self):
        """What errors there were, the first time each."""
        while message := self.bus.pop_filtered(Gst.MessageType.ERROR):
            self.problems.append(message.parse_error()[0].message)
        return self.problems

    def ping(self, text):
        self.channels[0].channel.emit("send-string", text)

    def wait_media(self, seconds=20):
        ewtest.wait_for(lambda: all(self.frames.values()), seconds, f"decoded media ({self.frames}, {self.look()})")

    def wait_channel(self, seconds=20):
        ewtest.wait_for(lambda: self.channels, seconds, f"data channel ({self.look()})")

    def dtls(self, kind):
        return [e for e in self.elements if e.get_factory().get_name() == kind and e.get_parent() is not None]

    def states(self):
        return [e.get_property("connection-state").value_nick for e in self.dtls("dtlssrtpenc")]

    def roles(self):
        return {"client" if e.get_property("is-client") else "server" for e in self.dtls("dtlssrtpenc")
                if e.get_property("connection-state").value_nick == "connected"}
