# SPDX-License-Identifier: LGPL-2.1-or-later
"""Peers in other processes: an End with either dtls plugin, and the openssl command."""
import base64
import json
import re
import subprocess
import sys
import threading

import dtls
from ewtest import wait_for


class Peer:
    """dtls/peer.py, with "ours" or the "system" plugin."""

    def __init__(self, which, client, env=None, **how):
        self.log = []
        self.child = subprocess.Popen([sys.executable, str(dtls.HERE / "peer.py"), json.dumps({"client": client, **how})],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                      env=dtls.other_env(which, **(env or {})))
        self.reader = threading.Thread(target=lambda: self.log.extend(self.child.stderr), daemon=True)
        self.reader.start()
        self.port = self._answer()["port"]

    def _answer(self):
        line = self.child.stdout.readline()
        if not line:
            self.reader.join(5)
            raise AssertionError("the other process died:\n" + "".join(self.log)[-2000:])
        return json.loads(line)

    def do(self, what, **more):
        self.child.stdin.write(json.dumps({"do": what, **more}) + "\n")
        self.child.stdin.flush()
        return self._answer()

    def send(self, kind, packets):
        self.do("send", kind=kind, packets=[base64.b64encode(p).decode() for p in packets])

    def got(self, kind="rtp"):
        return [base64.b64decode(p) for p in self.do("look")["got"][kind]]

    def has(self, packets, kind="rtp", seconds=10):
        wait_for(lambda: set(packets) <= set(self.got(kind)), seconds, f"{kind} at the other process")

    def wait(self, state="connected", seconds=15):
        wait_for(lambda: self.do("look")["state"] == state, seconds, f"state {state} of the other process: {self.do('look')['errors']}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.stdin.close()
        try:
            self.child.wait(15)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        self.reader.join(5)
        self.child.stdout.close()
        self.child.stderr.close()


class OpenSSL:
    """openssl s_client or s_server on a UDP port, with use_srtp; exports the keys of RFC 5764."""

    def __init__(self, *args, profiles):
        command = ["openssl", *map(str, args), "-dtls1_2", "-use_srtp", profiles, "-keymatexport", "EXTRACTOR-dtls_srtp",
                   "-keymatexportlen", "60"]
        # Line-buffered, or what it prints stays inside it.
        self.child = subprocess.Popen(["stdbuf", "-oL", *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.output = b""
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        while chunk := self.child.stdout.read1(4096):
            self.output += chunk

    def text(self):
        return self.output.decode(errors="replace")

    def wait_for(self, pattern, seconds=15):
        wait_for(lambda: re.search(pattern, self.text()), seconds, f"{pattern!r} in openssl's output:\n{self.text()}")
        return re.search(pattern, self.text())

    def keys(self, key=16, salt=14):
        """What the client sends with and what the server sends with: master key and salt."""
        material = bytes.fromhex(self.wait_for(r"Keying material: ([0-9A-F]{120})").group(1))
        client_key, server_key = material[:key], material[key:2 * key]
        rest = material[2 * key:]
        return client_key + rest[:salt], server_key + rest[salt:2 * salt]

    def write(self, line):
        self.child.stdin.write(line + b"\n")
        self.child.stdin.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()
        self.reader.join(5)
        self.child.stdin.close()
        self.child.stdout.close()
