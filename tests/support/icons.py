"""Draws the icon and the logo of the app for Home Assistant OS; ``scripts/icons``.

The pictures are PNG (https://www.w3.org/TR/png) of one colour with 16 degrees of
transparency. Their data is stored without compression, because the output of zlib
differs from version to version, and a test compares the files.
"""

import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.support.halves import ROOT

FOLDER = ROOT / "deploy" / "home-assistant-os"
COLOUR = bytes((2, 119, 189))
DEGREES = 16
_STORED_AT_MOST = 65_535

Shape = Callable[[float, float], bool]
"""Whether a point belongs to the picture, x to the right and y downwards."""

LETTERS = {
    "g": "..... ..... .#### #...# .#### ....# .###.",
    "c": "..... ..... .#### #.... #.... #.... .####",
    "o": "..... ..... .###. #...# #...# #...# .###.",
    "d": "....# ....# .#### #...# #...# #...# .####",
    "e": "..... ..... .###. #...# ##### #.... .####",
    "2": ".###. #...# ....# ..##. .#... #.... #####",
    "m": "..... ..... ##.#. #.#.# #.#.# #.#.# #.#.#",
    "q": "..... ..... .#### #...# .#### ....# ....#",
    "t": ".#... .#... ####. .#... .#... .#..# ..##.",
}


def printer(x: float, y: float) -> bool:
    """Draw a frame, a nozzle below its beam, a part and the bed, in a unit square."""
    in_frame = 0.08 <= x <= 0.92 and 0.06 <= y <= 0.94
    frame = in_frame and not (0.18 <= x <= 0.82 and 0.16 <= y <= 0.84)
    beam = 0.18 <= x <= 0.82 and 0.27 <= y <= 0.33
    head = 0.38 <= x <= 0.62 and 0.22 <= y <= 0.44
    tip = 0.44 <= y <= 0.54 and abs(x - 0.5) <= 0.08 - 0.6 * (y - 0.44)
    part = 0.36 <= x <= 0.64 and 0.60 <= y <= 0.74
    bed = 0.26 <= x <= 0.74 and 0.76 <= y <= 0.80
    return frame or beam or head or tip or part or bed


def icon(x: float, y: float) -> bool:
    """Draw the icon, 128 by 128."""
    return printer(x / 128, y / 128)


def logo(x: float, y: float) -> bool:
    """Draw the icon and the name, 250 by 100."""
    if x < 100:
        return printer(x / 100, y / 100)
    column, row = int((x - 108) // 2.25), int((y - 38) // 3)
    letter, column = divmod(column, 6)
    if not (0 <= letter < len(NAME) and 0 <= row < 7 and column < 5):
        return False
    return LETTERS[NAME[letter]].split()[row][column] == "#"


NAME = "gcode2mqtt"
PICTURES: Mapping[str, tuple[int, int, Shape]] = {
    "icon.png": (128, 128, icon),
    "logo.png": (250, 100, logo),
}


def png(width: int, height: int, shape: Shape) -> bytes:
    """Return a picture as a file."""
    rows = b"".join(b"\0" + _row(width, y, shape) for y in range(height))
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 4, 3, 0, 0, 0)),
        (b"PLTE", COLOUR * DEGREES),
        (b"tRNS", bytes(255 * degree // (DEGREES - 1) for degree in range(DEGREES))),
        (b"IDAT", _stored(rows)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data))
        + kind
        + data
        + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def _row(width: int, y: int, shape: Shape) -> bytes:
    degrees = [_degree(x, y, shape) for x in range(width)]
    degrees += [0] * (width % 2)
    return bytes(a << 4 | b for a, b in zip(degrees[::2], degrees[1::2], strict=True))


def _degree(x: int, y: int, shape: Shape) -> int:
    steps = (0.125, 0.375, 0.625, 0.875)
    inside = sum(shape(x + dx, y + dy) for dx in steps for dy in steps)
    return inside * (DEGREES - 1) // len(steps) ** 2


def _stored(data: bytes) -> bytes:
    """Return the data as a zlib stream (RFC 1950) of stored blocks (RFC 1951)."""
    out = b"\x78\x01"
    for start in range(0, len(data), _STORED_AT_MOST):
        block = data[start : start + _STORED_AT_MOST]
        last = start + _STORED_AT_MOST >= len(data)
        length = len(block)
        out += struct.pack("<BHH", last, length, length ^ 0xFFFF) + block
    return out + struct.pack(">I", zlib.adler32(data))


def write(folder: Path) -> None:
    """Write all pictures."""
    for name, (width, height, shape) in PICTURES.items():
        (folder / name).write_bytes(png(width, height, shape))


if __name__ == "__main__":
    write(FOLDER)
