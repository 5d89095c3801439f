# SPDX-License-Identifier: LGPL-2.1-or-later
"""Certificates and keys by the openssl command, made when first asked for."""
import atexit
import functools
import hashlib
import pathlib
import shutil
import ssl
import subprocess
import tempfile

_folder = pathlib.Path(tempfile.mkdtemp(prefix="edgewire-certs-"))
atexit.register(shutil.rmtree, _folder, ignore_errors=True)
KINDS = {"ec": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "rsa": ["-newkey", "rsa:2048"]}


def openssl(*args, text=None):
    done = subprocess.run(["openssl", *map(str, args)], input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
    if done.returncode != 0:
        raise AssertionError(f"openssl {args[0]}: {done.stderr}")
    return done.stdout


class Identity:
    """A certificate and its key: as files and as text."""

    def __init__(self, cert, key):
        self.cert_file, self.key_file = cert, key
        self.cert, self.key = cert.read_text(), key.read_text()

    @property
    def pem(self):
        return self.cert + self.key

    def fingerprint(self, name="sha-256"):
        return fingerprint(self.cert, name)


def fingerprint(pem, name="sha-256"):
    """As in SDP (RFC 8122 section 5)."""
    digest = hashlib.new(name.replace("-", ""), ssl.PEM_cert_to_DER_cert(pem.strip())).hexdigest().upper()
    return f"{name} " + ":".join(digest[i:i + 2] for i in range(0, len(digest), 2))


@functools.cache
def identity(kind="ec", name="a"):
    cert, key = _folder / f"{kind}-{name}.crt", _folder / f"{kind}-{name}.key"
    openssl("req", "-x509", *KINDS[kind], "-nodes", "-keyout", key, "-out", cert, "-subj", f"/CN={kind}-{name}", "-days", "30")
    return Identity(cert, key)


@functools.cache
def key_in(form, kind):
    """The key of identity(kind) as pkcs1, pkcs8 or sec1."""
    i = identity(kind)
    if form == "pkcs8":
        return openssl("pkcs8", "-topk8", "-nocrypt", "-in", i.key_file)
    return openssl("rsa" if form == "pkcs1" else "ec", "-in", i.key_file, *(["-traditional"] if form == "pkcs1" else []))


@functools.cache
def signed(name="leaf", ca="ca"):
    """A certificate that identity("ec", ca) has signed."""
    authority = identity("ec", ca)
    cert, key, request = (_folder / f"{name}.{x}" for x in ("crt", "key", "csr"))
    openssl("req", "-new", *KINDS["ec"], "-nodes", "-keyout", key, "-out", request, "-subj", f"/CN={name}")
    openssl("x509", "-req", "-in", request, "-CA", authority.cert_file, "-CAkey", authority.key_file, "-CAcreateserial", "-days", "30",
            "-out", cert)
    return Identity(cert, key)
