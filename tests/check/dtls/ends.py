# SPDX-License-Identifier: LGPL-2.1-or-later
"""An endpoint for the checks: an RX and a TX pipeline on one UDP socket that the test owns."""
import ctypes
import itertools
import re
import struct
import threading

from . import Gst, ewtest

import gi  # noqa: E402

gi.require_version("Gio", "2.0")
from gi.repository import Gio  # noqa: E402

_numbers = itertools.count(1)
RTP_CAPS = "application/x-rtp,media=audio,clock-rate=48000,encoding-name=OPUS,payload=96"


def udp_socket(port=0):
    s = Gio.Socket.new(Gio.SocketFamily.IPV4, Gio.SocketType.DATAGRAM, Gio.SocketProtocol.UDP)
    s.bind(Gio.InetSocketAddress.new_from_string("127.0.0.1", port), False)
    return s


def port_of(socket):
    return socket.get_local_address().get_port()


def rtp(seq, ssrc=0x11223344, size=100, pt=96, timestamp=None):
    """A packet whose payload says which one it is."""
    head = struct.pack("!BBHII", 0x80, pt, seq & 0xFFFF, (timestamp if timestamp is not None else seq * 480) & 0xFFFFFFFF, ssrc)
    return head + (struct.pack("!I", seq) * (size // 4 + 1))[:size]


def rtcp(ssrc=0x11223344, n=0):
    """A sender report."""
    return struct.pack("!BBHIIIIII", 0x80, 200, 6, ssrc, n, 0, 0, n, n)


def content(sample):
    b = sample.get_buffer()
    return b.extract_dup(0, b.get_size())


def boxed_bytes(value):
    """The bytes of a GstBuffer, also where the property's type wrongly says GstCaps."""
    if value is None:
        return None
    if isinstance(value, Gst.Buffer):
        return value.extract_dup(0, value.get_size())
    address = int(re.search(r"at (0x[0-9a-f]+)\)>$", repr(value)).group(1), 16)
    lib = ctypes.CDLL("libgstreamer-1.0.so.0")
    lib.gst_buffer_get_size.restype = lib.gst_buffer_extract.restype = ctypes.c_size_t
    lib.gst_buffer_get_size.argtypes = [ctypes.c_void_p]
    lib.gst_buffer_extract.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_size_t]
    size = lib.gst_buffer_get_size(address)
    out = ctypes.create_string_buffer(size)
    lib.gst_buffer_extract(address, 0, out, size)
    return out.raw


class End:
    """One endpoint. enc and dec are properties of the two elements, by name or as text for the launch line.

    plain=True takes dtlsenc and dtlsdec (no SRTP); data=True links data_sink and data_src."""

    def __init__(self, client, socket=None, to=0, name=None, dec_name=None, enc=None, dec=None, data=False, plain=False):
        self.client, self.to, self.data, self.plain = client, to, data or plain, plain
        self.name = name or f"end-{next(_numbers)}"
        self.dec_name = dec_name or self.name
        self.socket = socket or udp_socket()
        self.port = port_of(self.socket)
        self.enc_props, self.dec_props = dict(enc or {}), dict(dec or {})
        self.rx = self.tx = None
        self.sent = 0
        self.got = {"rtp": [], "rtcp": [], "data": []}
        self.signals = []  # (what, value), from any thread, in order
        self.lock = threading.Lock()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def enc(self):
        return self.tx["e"]

    @property
    def dec(self):
        return self.rx["d"]

    # Starting and stopping

    def make_rx(self):
        kind = "dtlsdec" if self.plain else "dtlssrtpdec"
        sinks = {"data": "src"} if self.plain else {"rtp": "rtp_src", "rtcp": "rtcp_src", **({"data": "data_src"} if self.data else {})}
        caps = "caps=application/x-dtls" if self.plain else ""
        self.rx = ewtest.Pipeline(
            f"udpsrc name=u {caps} ! d.sink {kind} name=d " +
            " ".join(f"d.{pad} ! appsink name={sink} emit-signals=true sync=false async=false" for sink, pad in sinks.items()))
        self.rx["u"].set_property("close-socket", False)
        self.rx["u"].set_property("socket", self.socket)
        # The connection-id comes last: the system's element makes its connection from what is known then.
        for key, value in {**self.dec_props, "connection-id": self.dec_name}.items():
            self.dec.set_property(key, value)
        for sink in sinks:
            self.rx[sink].connect("new-sample", self._take, sink)
        self.dec.connect("notify::peer-pem", lambda *_: self._note("peer-pem", None))
        if self.plain:
            self.dec.connect("on-key-received", lambda *_: self._note("dec-key", None))
        return self.rx

    def make_tx(self):
        kind = "dtlsenc" if self.plain else "dtlssrtpenc"
        sources = {"data": "sink"} if self.plain else {
            "rtp": "rtp_sink_0", "rtcp": "rtcp_sink_0", **({"data": "data_sink"} if self.data else {})}
        caps = {"rtp": RTP_CAPS, "rtcp": "application/x-rtcp"}
        self.tx = ewtest.Pipeline(
            f"{kind} name=e connection-id={self.name} is-client={str(self.client).lower()} ! udpsink name=u sync=false async=false "
            f"host=127.0.0.1 port={self.to} close-socket=false " +
            " ".join(f"appsrc name={src} format=time is-live=true do-timestamp=true " + (f"caps={caps[src]}" if src in caps else "") +
                     f" ! e.{pad}" for src, pad in sources.items()))
        self.tx["u"].set_property("socket", self.socket)
        for key, value in self.enc_props.items():
            self.enc.set_property(key, value)
        self.enc.connect("notify::connection-state", lambda e, _: self._note("state", e.get_property("connection-state").value_nick))
        key_signal = "on-key-received" if self.plain else "on-key-set"
        self.enc.connect(key_signal, lambda *_: self._note(key_signal, None))
        return self.tx

    def start_rx(self):
        return self.make_rx().play()

    def start_tx(self):
        return self.make_tx().play()

    def start(self, tx_first=False):
        for step in (self.start_tx, self.start_rx) if tx_first else (self.start_rx, self.start_tx):
            if step() == Gst.StateChangeReturn.FAILURE:
                raise AssertionError(f"{self.name}: {step.__name__} failed: {self.errors()}")
        return self

    def stop_rx(self):
        if self.rx is not None:
            self.rx.stop()
            self.rx = None

    def stop_tx(self):
        if self.tx is not None:
            self.tx.stop()
            self.tx = None

    def stop(self):
        self.stop_tx()
        self.stop_rx()

    # What happens

    def _note(self, what, value):
        with self.lock:
            self.signals.append((what, value))

    def _take(self, sink, name):
        sample = sink.emit("pull-sample")
        if sample is not None:
            with self.lock:
                self.got[name].append(content(sample))
        return Gst.FlowReturn.OK

    def noted(self, what):
        with self.lock:
            return [v for w, v in self.signals if w == what]

    def errors(self):
        """The errors on both buses so far."""
        out = []
        for p in (self.rx, self.tx):
            if p is not None:
                p.pump(0)
                out += p.result.errors
        return out

    def error(self, seconds=15):
        """Waits for an element error and gives its whole text."""
        ewtest.wait_for(lambda: self.errors(), seconds, f"error of {self.name} (state {self.state()})")
        return "\n".join(self.errors())

    def state(self):
        return self.enc.get_property("connection-state").value_nick if self.tx else None

    def wait(self, state="connected", seconds=15):
        ewtest.wait_for(lambda: self.state() == state, seconds, f"state {state} of {self.name} (it is {self.state()}; {self.errors()})")
        return self

    def send(self, kind, packet):
        """Pushes one buffer (bytes) or a list of them as a buffer list."""
        if isinstance(packet, list):
            buffers = Gst.BufferList.new()
            for one in packet:
                buffers.insert(-1, Gst.Buffer.new_wrapped(one))
            return self.tx[kind].emit("push-buffer-list", buffers)
        return self.tx[kind].emit("push-buffer", Gst.Buffer.new_wrapped(packet))

    def send_rtp(self, count, size=100):
        """Sends that many packets and gives them."""
        out = []
        for _ in range(count):
            self.sent += 1
            out.append(rtp(self.sent, size=size))
            self.send("rtp", out[-1])
        return out

    def has(self, packets, kind="rtp", seconds=10):
        """Waits until all of these arrived."""
        want = set(packets)
        ewtest.wait_for(lambda: want <= set(self.got[kind]), seconds,
                        f"{len(want)} {kind} packets at {self.name} ({len(want & set(self.got[kind]))} are there; {self.errors()})")

    def stats(self, side="enc"):
        return ewtest.stats(self.enc if side == "enc" else self.dec)


def pair(client=None, server=None, **both):
    """Two ends that send to each other, not started."""
    a, b = End(True, **both, **(client or {})), End(False, **both, **(server or {}))
    a.to, b.to = b.port, a.port
    return a, b


def connect(a, b):
    """Starts both, the server first, and waits for both."""
    server, client = (b, a) if a.client else (a, b)
    server.start()
    client.start()
    a.wait()
    b.wait()


class Spoofer:
    """Sends datagrams to an end as anybody on its network could."""

    def __init__(self, end):
        self.socket, self.to = udp_socket(), Gio.InetSocketAddress.new_from_string("127.0.0.1", end.port)

    def send(self, *datagrams):
        for d in datagrams:
            if d:  # GStreamer's udpsrc has no empty ones
                self.socket.send_to(self.to, d, None)


__all__ = ["End", "RTP_CAPS", "Spoofer", "boxed_bytes", "connect", "content", "pair", "port_of", "rtcp", "rtp", "udp_socket"]
