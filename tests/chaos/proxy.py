# SPDX-License-Identifier: LGPL-2.1-or-later
"""A proxy that is a bad network: latency, what loss does to a TCP connection, torn and half-open connections."""
import queue
import random
import socket
import struct
import threading
import time


class Proxy:
    """Listens on a port of 127.0.0.1 and passes everything on to target, as the attributes say. They may be changed
    while it runs. The random numbers are seeded: runs differ by nothing else than the machine."""

    def __init__(self, chaos):
        self.target = None   # (host, port)
        self.latency = 0.0   # seconds each way
        self.loss = 0.0      # of the pieces passed on, how many wait for a retransmission: 0.2 s, then twice that …
        self.silent = False  # nothing is passed on, and nobody is told: connections are half open
        self.refuse = False  # new connections are torn at once
        self.over = False
        self.random = random.Random(7)
        self.lock = threading.Lock()
        self.connections = set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        chaos.stack.callback(self.close)

    def _accept(self):
        while not self.over:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                if self.refuse:
                    raise OSError
                server = socket.create_connection(self.target, 5)
                server.settimeout(None)
            except OSError:
                self._tear(client)
                continue
            with self.lock:
                self.connections |= {client, server}
            for a, b in ((client, server), (server, client)):
                a.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                pieces = queue.Queue(64)  # on their way: latency delays each, and none behind it
                threading.Thread(target=self._read, args=(a, pieces), daemon=True).start()
                threading.Thread(target=self._deliver, args=(b, a, pieces), daemon=True).start()

    def _read(self, source, pieces):
        data = b"x"
        while data:
            try:
                data = source.recv(65536)
            except OSError:
                data = b""
            pieces.put((time.monotonic() + self.latency, data))

    def _deliver(self, sink, source, pieces):
        data = b"x"
        while data:
            due, data = pieces.get()
            time.sleep(max(0, due - time.monotonic()))
            wait = 0.2
            while self.random.random() < self.loss and not self.over:
                time.sleep(wait)
                wait *= 2
            while self.silent and not self.over:
                time.sleep(0.02)
            try:
                if data:
                    sink.sendall(data)
                else:
                    sink.shutdown(socket.SHUT_WR)
            except OSError:
                break
        while data:  # the reader must not wait for room
            _, data = pieces.get()
        with self.lock:
            self.connections -= {source}

    @staticmethod
    def _tear(s):
        try:  # as a reset, not an orderly end
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.shutdown(socket.SHUT_RD)  # wakes the thread that reads
            s.close()
        except OSError:
            s.close()

    def reset(self):
        """Every connection is torn down, and what is on its way is lost."""
        with self.lock:
            torn, self.connections = self.connections, set()
        for s in torn:
            self._tear(s)

    def close(self):
        self.over = True
        self.listener.close()
        self.reset()
