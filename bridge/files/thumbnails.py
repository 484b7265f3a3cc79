"""Decodes the thumbnails in files: PNG and JPEG as they are, QOI as PNG."""

import base64
import binascii
import re
import struct
import zlib
from typing import Literal

from bridge.files.stored import Picture

MOST_TEXT = 4 * 1024 * 1024
"""Bytes of base64 that are read of one thumbnail."""

MOST_PIXELS = 1024 * 1024
"""Pixels of a QOI picture that is decoded; slicers write 640 by 480 at most."""

_NOT_BASE64 = re.compile(rb"[;\s]+")  # each line of a thumbnail is a comment
_PNG = b"\x89PNG\r\n\x1a\n"  # https://www.w3.org/TR/png/, 5.2
_JPEG = b"\xff\xd8\xff"  # start of image, and the first byte of the next marker
_QOI = b"qoif"  # https://qoiformat.org/qoi-specification.pdf
_QOI_HEADER = 14  # bytes: magic, width, height, channels, colour space
# Markers of a JPEG with the size of the picture (ITU-T T.81, table B.1). The three that
# are left out are DHT, JPG and DAC.
_START_OF_FRAME = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})


def decode(text: bytes) -> Picture | None:
    """Return the picture of a thumbnail; ``None``: it is damaged, or too large.

    Which format it is, its own first bytes say; what the slicer says may be wrong.

    Args:
        text: the base64 text, with line ends and the ``;`` of comments in it.

    """
    letters = _NOT_BASE64.sub(b"", text[:MOST_TEXT])
    try:
        data = base64.b64decode(letters + b"=" * (-len(letters) % 4), validate=True)
    except binascii.Error:
        return None
    if data.startswith(_QOI):
        converted = _png_of_qoi(data)
        return None if converted is None else _sized(converted, "image/png")
    if data.startswith(_PNG):
        return _sized(data, "image/png")
    if data.startswith(_JPEG):
        return _sized(data, "image/jpeg")
    return None


def _sized(data: bytes, kind: Literal["image/png", "image/jpeg"]) -> Picture | None:
    size = _size_of_png(data) if kind == "image/png" else _size_of_jpeg(data)
    return None if size is None else Picture(data, kind, *size)


def _size_of_png(data: bytes) -> tuple[int, int] | None:
    if data[12:16] != b"IHDR" or len(data) < 24:  # noqa: PLR2004 - the header's end
        return None
    width, height = struct.unpack(">II", data[16:24])
    return width, height


def _size_of_jpeg(data: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(data):
        if data[at] != 0xFF:  # noqa: PLR2004 - each segment begins with it
            return None
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at + 1] in _START_OF_FRAME:
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        at += 2 + length
    return None


def _png_of_qoi(data: bytes) -> bytes | None:
    """Return a QOI picture as PNG (https://qoiformat.org/qoi-specification.pdf)."""
    if len(data) < _QOI_HEADER:
        return None
    width, height, channels = struct.unpack(">IIB", data[4:13])
    if not 0 < width * height <= MOST_PIXELS or channels not in {3, 4}:
        return None
    pixels = _pixels(data, width * height)
    if pixels is None:
        return None
    stride = 4 * width
    rows = [b"\0" + pixels[row * stride : (row + 1) * stride] for row in range(height)]
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return b"".join(
        (
            _PNG,
            _chunk(b"IHDR", header),
            _chunk(b"IDAT", zlib.compress(b"".join(rows), 6)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return (
        struct.pack(">I", len(content)) + kind + content + checksum.to_bytes(4, "big")
    )


def _pixels(data: bytes, count: int) -> bytes | None:
    """Return the pixels as RGBA; ``None``: some are missing."""
    seen = [b"\0\0\0\0"] * 64
    pixel = b"\0\0\0\xff"
    found: list[bytes] = []
    at, left = _QOI_HEADER, count
    end = len(data)
    while left > 0:
        if at >= end:
            return None
        first = data[at]
        if 0xC0 <= first < 0xFE:  # noqa: PLR2004 - QOI_OP_RUN
            run = min((first & 0x3F) + 1, left)
            found.append(pixel * run)
            left -= run
            at += 1
            continue
        size, new = _pixel(data, at, first, pixel, seen)
        if len(new) != 4:  # noqa: PLR2004 - the data ended in its middle
            return None
        pixel = new
        at += size
        red, green, blue, alpha = pixel
        seen[(red * 3 + green * 5 + blue * 7 + alpha * 11) % 64] = pixel
        found.append(pixel)
        left -= 1
    return b"".join(found)


def _pixel(
    data: bytes, at: int, first: int, pixel: bytes, seen: list[bytes]
) -> tuple[int, bytes]:
    """Return how many bytes the next pixel takes, and the pixel."""
    if first == 0xFF:  # noqa: PLR2004 - QOI_OP_RGBA
        return 5, data[at + 1 : at + 5]
    if first == 0xFE:  # noqa: PLR2004 - QOI_OP_RGB
        return 4, data[at + 1 : at + 4] + pixel[3:]
    if first < 0x40:  # noqa: PLR2004 - QOI_OP_INDEX
        return 1, seen[first]
    red, green, blue, alpha = pixel
    if first < 0x80:  # noqa: PLR2004 - QOI_OP_DIFF
        red += (first >> 4 & 3) - 2
        green += (first >> 2 & 3) - 2
        blue += (first & 3) - 2
        return 1, bytes((red & 255, green & 255, blue & 255, alpha))
    if at + 1 == len(data):
        return 2, b""
    second = data[at + 1]  # QOI_OP_LUMA
    by = (first & 0x3F) - 32
    red += by + (second >> 4) - 8
    blue += by + (second & 15) - 8
    return 2, bytes((red & 255, green + by & 255, blue & 255, alpha))
