# SPDX-License-Identifier: LGPL-2.1-or-later
"""Datagrams that anybody on the network can send: malformed ones, and well-formed ones that nobody authenticated."""
import random
import struct

ALERT, HANDSHAKE, CCS, DATA = 21, 22, 20, 23


def record(kind, body, epoch=0, seq=0, version=0xFEFD, length=None):
    return struct.pack("!BHHHIH", kind, version, epoch, seq >> 32, seq & 0xFFFFFFFF, len(body) if length is None else length) + body


def handshake(kind, body, seq=0, offset=0, length=None, total=None):
    """A handshake message, or a fragment of one."""
    n = len(body) if length is None else length
    t = len(body) if total is None else total
    return struct.pack("!BBHHBHBH", kind, t >> 16, t & 0xFFFF, seq, offset >> 16, offset & 0xFFFF, n >> 16, n & 0xFFFF) + body


def client_hello(rng, cookie=b"", seq=0, profiles=(1,)):
    """One that a server without a cookie exchange would begin a handshake with."""
    srtp = struct.pack("!HHH", 14, 2 * len(profiles) + 3, 2 * len(profiles)) + b"".join(struct.pack("!H", p) for p in profiles) + b"\0"
    groups = struct.pack("!HHHHH", 10, 6, 4, 29, 23)
    points = struct.pack("!HHBB", 11, 2, 1, 0)
    schemes = struct.pack("!HHHHH", 13, 6, 4, 0x0403, 0x0804)
    ems = struct.pack("!HH", 23, 0)
    extensions = srtp + groups + points + schemes + ems
    body = (b"\xfe\xfd" + rng.randbytes(32) + b"\0" + bytes([len(cookie)]) + cookie + struct.pack("!HHH", 4, 0xC02B, 0xC02F) + b"\1\0" +
            struct.pack("!H", len(extensions)) + extensions)
    return record(HANDSHAKE, handshake(1, body, seq), seq=seq, version=0xFEFF)


def server_hello(rng):
    body = b"\xfe\xfd" + rng.randbytes(32) + b"\0" + b"\xc0\x2b" + b"\0" + b"\0\0"
    return record(HANDSHAKE, handshake(2, body, 1))


def all_of_them(seed=7):
    """A few hundred, the same each time."""
    rng = random.Random(seed)
    out = []
    # Alerts: fatal and warning, close_notify, in both epochs, and broken ones.
    for level, code in ((2, 40), (2, 10), (1, 0), (2, 0), (2, 255), (0, 0)):
        out += [record(ALERT, bytes([level, code]), epoch=e, seq=s) for e in (0, 1) for s in (0, 1, 1000)]
    out += [record(ALERT, b""), record(ALERT, b"\2"), record(ALERT, b"\2\50\0\0")]
    # Plaintext application data and change_cipher_spec, early and in both epochs.
    out += [record(DATA, rng.randbytes(n), epoch=e) for n in (0, 1, 2, 8, 12, 100, 1200) for e in (0, 1)]
    out += [record(CCS, b"\1", epoch=e, seq=s) for e in (0, 1, 2) for s in (0, 5)] + [record(CCS, b"\1\1"), record(CCS, b"")]
    # Handshake messages: out of turn, with lengths that lie, far ahead.
    out += [client_hello(rng), client_hello(rng, b"\0" * 20, 1), client_hello(rng, b"\0" * 255, 1), server_hello(rng)]
    out.append(record(HANDSHAKE, handshake(3, b"\xfe\xff\x14" + rng.randbytes(20))))  # HelloVerifyRequest
    for kind in range(0, 26):
        out.append(record(HANDSHAKE, handshake(kind, rng.randbytes(rng.randrange(40)), rng.randrange(4))))
    out += [record(HANDSHAKE, handshake(11, rng.randbytes(50), 2, offset=100, total=1000)),
            record(HANDSHAKE, handshake(11, rng.randbytes(50), 2, offset=16_000_000, total=16_777_215)),
            record(HANDSHAKE, handshake(1, rng.randbytes(50), 0, total=16_777_215)),
            record(HANDSHAKE, handshake(1, rng.randbytes(50), 65535)),
            record(HANDSHAKE, handshake(1, rng.randbytes(10), 0, length=200)),
            record(HANDSHAKE, handshake(20, rng.randbytes(12), 5), epoch=1)]
    # Records: wrong lengths, versions, epochs; two in one datagram, the second cut.
    whole = client_hello(rng)
    out += [whole[:n] for n in (1, 2, 5, 12, 13, 14, 24, 25, 26, 40, 60, len(whole) - 1)]
    out += [record(HANDSHAKE, b"x" * 20, length=n) for n in (0, 19, 21, 65535)]
    out += [record(HANDSHAKE, b"x" * 20, version=v) for v in (0x0000, 0x0301, 0x0303, 0xFEFC, 0xFFFF)]
    out += [record(HANDSHAKE, rng.randbytes(60), epoch=e, seq=2**48 - 1) for e in (0, 1, 2, 65535)]
    out += [whole + whole[:20], record(ALERT, b"\2\50") + whole, whole + b"\0" * 30]
    # Every first byte, some lengths; RTP and RTCP that no key protects.
    out += [bytes([first]) + rng.randbytes(n) for first in range(256) for n in (0, 40)]
    out += [b"\x80\x60" + rng.randbytes(n) for n in (0, 5, 9, 10, 11, 18, 22, 40, 1200)]
    out += [b"\x80\xc8" + rng.randbytes(n) for n in (0, 2, 5, 6, 12, 26, 40)]
    out += [b"\x9f\x60" + rng.randbytes(30), b"\xbf\xe0" + b"\xff" * 60]
    rng.shuffle(out)
    return out
