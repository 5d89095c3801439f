# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the benchmarks' pictures share: SVG text, made by hand so that the documents' pictures diff well."""
import math
import pathlib
import tempfile

from benchlib import ROOT, say


def ceiling(x):
    """The next of 1, 2, 5 × 10^n that has room for x."""
    power = 10 ** math.floor(math.log10(max(x, 1)))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= x)


def document(width, height, parts):
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
                      '<rect width="100%" height="100%" fill="white"/>', *parts, "</svg>"]) + "\n"


def draw(name, text, true=True):
    """Writes docs/NAME; what is not true to life (--quick) goes to the folder for temporary files."""
    path = (ROOT / "docs" if true else pathlib.Path(tempfile.gettempdir())) / name
    path.write_text(text)
    say(f"drew {path}")
