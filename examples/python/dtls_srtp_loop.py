#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Two endpoints talk Opus to each other over DTLS-SRTP, on loopback UDP.

    examples/python/dtls_srtp_loop.py [options]

Each endpoint has two pipelines, as applications usually have: one that receives
(udpsrc ! dtlssrtpdec) and one that sends (… ! dtlssrtpenc ! udpsink). What joins
them is the connection-id. The certificate is made by the decoder; the encoder
says which end begins the handshake (is-client).
"""
import argparse
import socket
import sys
import time

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402

ENDS = ("client", "server")


class Endpoint:
    """One end: its receiving and its sending pipeline, and what it has decrypted."""

    def __init__(self, name, listen, send_to, options):
        self.name, self.listen, self.send_to, self.options = name, listen, send_to, options
        self.packets = 0
        self.errors = []
        self.pipelines = {}

    def start(self):
        order = ("tx", "rx") if self.options.tx_first else ("rx", "tx")
        self.packets = 0
        for kind in order:
            self.start_pipeline(kind, self.receiver() if kind == "rx" else self.sender())

    def receiver(self):
        return (f"udpsrc address=127.0.0.1 port={self.listen} ! d.sink dtlssrtpdec name=d connection-id={self.name} "
                "d.rtp_src ! queue ! fakesink async=false")

    def sender(self):
        return ("audiotestsrc is-live=true ! audio/x-raw,rate=8000,format=S16LE,channels=1 ! opusenc frame-size=10 ! rtpopuspay pt=103 ! "
                f"e.rtp_sink_0 dtlssrtpenc name=e connection-id={self.name} is-client={self.name == 'client'} "
                f"e.src ! udpsink host=127.0.0.1 port={self.send_to} async=false sync=false")

    def start_pipeline(self, kind, description):
        pipeline = Gst.parse_launch(description)
        self.pipelines[kind] = pipeline
        bus = pipeline.get_bus()
        bus.add_signal_watch()
        bus.connect("message", self.on_message, kind)
        if kind == "rx":
            pipeline.get_by_name("d").get_static_pad("rtp_src").add_probe(Gst.PadProbeType.BUFFER, self.on_packet)
        else:
            encoder = pipeline.get_by_name("e")
            if self.options.profile:
                encoder.set_property("srtp-profiles", self.options.profile)
            if self.options.restart == "server" and self.name == "client" and encoder.find_property("peer-timeout"):
                # A server that was restarted waits for a ClientHello: notice its silence and greet it again.
                encoder.set_property("peer-timeout", 1000)
        if pipeline.set_state(Gst.State.PLAYING) == Gst.StateChangeReturn.FAILURE:
            # The bus is asked here: what the element said is the better message.
            message = bus.timed_pop_filtered(0, Gst.MessageType.ERROR)
            why = message.parse_error()[0].message if message else "the state change failed"
            self.errors.append(f"{kind}: {why}")
            print(f"{self.name:7} {kind} did not start: {why}", file=sys.stderr)

    def stop(self):
        for pipeline in self.pipelines.values():
            pipeline.get_bus().remove_signal_watch()
            pipeline.set_state(Gst.State.NULL)
        self.pipelines = {}

    def on_packet(self, _pad, _info):
        self.packets += 1  # on the streaming thread; this is its only writer
        return Gst.PadProbeReturn.OK

    def on_message(self, _bus, message, kind):
        if message.type == Gst.MessageType.ERROR:
            error, _ = message.parse_error()
            self.errors.append(f"{kind}: {error.message}")
            print(f"{self.name:7} {kind} error from {message.src.get_name()}: {error.message}", file=sys.stderr)
        elif message.type == Gst.MessageType.WARNING and self.options.verbose:
            print(f"{self.name:7} {kind} warning: {message.parse_warning()[0].message}", file=sys.stderr)

    def describe(self):
        """Profile and DTLS version, where the element tells."""
        tx = self.pipelines.get("tx")
        encoder = tx and tx.get_by_name("e")
        if not encoder:
            return "stopped"
        state = encoder.get_property("connection-state").value_nick
        if not encoder.find_property("stats"):
            return f"{state}, profile and version unknown (this dtls plugin has no stats)"
        stats = encoder.get_property("stats")
        version = {0xFEFF: "DTLS 1.0", 0xFEFD: "DTLS 1.2", 0xFEFC: "DTLS 1.3"}.get(stats.get_value("version"), "no DTLS version yet")
        return f"{state}, {version}, {stats.get_value('profile') or 'no profile yet'}"


def free_ports(count):
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
    try:
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]
    finally:
        for s in sockets:
            s.close()


def run_for(seconds, until=lambda: False):
    """Runs the main loop (buses, timers) for a time, or until something holds."""
    context, end = GLib.MainContext.default(), time.monotonic() + seconds
    while time.monotonic() < end and not until():
        while context.iteration(False):
            pass
        time.sleep(0.01)


def arguments():
    parser = argparse.ArgumentParser(description="Two DTLS-SRTP endpoints in one process, over loopback UDP.")
    parser.add_argument("--seconds", type=float, default=3, help="how long they talk (default: 3)")
    parser.add_argument("--tx-first", action="store_true", help="start each end's sending pipeline before its receiving one")
    parser.add_argument("--late", type=float, default=0, metavar="SECONDS", help="start the server that much after the client")
    parser.add_argument("--restart", choices=ENDS, help="stop that end halfway and start it anew")
    parser.add_argument("--profile", metavar="NAMES", help="SRTP profiles to offer or accept, by preference, as in SRTP_AEAD_AES_128_GCM")
    parser.add_argument("--ports", type=int, nargs=2, metavar=("CLIENT", "SERVER"), help="UDP ports to listen on (default: free ones)")
    parser.add_argument("--verbose", action="store_true", help="show the elements' warnings too")
    return parser.parse_args()


def main():
    options = arguments()
    Gst.init(None)
    for factory in ("dtlssrtpenc", "dtlssrtpdec", "opusenc", "udpsrc"):
        if not Gst.ElementFactory.find(factory):
            sys.exit(f"dtls_srtp_loop: the element {factory} is missing")
    if options.profile and not Gst.ElementFactory.make("dtlssrtpenc").find_property("srtp-profiles"):
        sys.exit("dtls_srtp_loop: --profile needs a dtlssrtpenc with the property srtp-profiles; this dtls plugin has none")
    ports = options.ports or free_ports(2)
    client, server = Endpoint("client", ports[0], ports[1], options), Endpoint("server", ports[1], ports[0], options)
    print(f"client on UDP port {ports[0]}, server on UDP port {ports[1]}")
    begun = time.monotonic()
    if options.late:
        client.start()
        print(f"the server comes {options.late:g} s later")
        run_for(options.late)
        server.start()
    else:
        server.start()
        client.start()
    run_for(20, lambda: client.packets and server.packets or client.errors or server.errors)
    if client.packets and server.packets:
        print(f"both ends decrypt after {time.monotonic() - begun:.2f} s")
    run_for(options.seconds / 2 if options.restart else options.seconds)
    if options.restart:
        end, other = (client, server) if options.restart == "client" else (server, client)
        print(f"restarting the {end.name} after {client.packets} and {server.packets} packets")
        end.stop()
        run_for(0.3)  # what was under way arrives before the counters are set back
        other.packets = 0
        begun = time.monotonic()
        end.start()
        run_for(20, lambda: client.packets and server.packets)
        if client.packets and server.packets:
            print(f"both ends decrypt again after {time.monotonic() - begun:.2f} s")
        run_for(options.seconds / 2)
    since = " since the restart" if options.restart else ""
    for end in (client, server):
        print(f"{end.name:7} {end.packets:5} packets decrypted{since}; {end.describe()}")
    ok = client.packets > 0 and server.packets > 0
    for end in (client, server):
        end.stop()
    if not ok:
        print(f"dtls_srtp_loop: an end decrypted nothing{since}", file=sys.stderr)
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
