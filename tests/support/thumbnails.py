"""Pictures as slicers put them into files, and an encoder of QOI."""

import base64
import struct
import zlib
from collections.abc import Sequence

Pixel = tuple[int, int, int, int]


def qoi(pixels: Sequence[Pixel], width: int, channels: int = 4) -> bytes:
    """Return pixels as QOI (https://qoiformat.org/qoi-specification.pdf)."""
    out = [b"qoif", struct.pack(">IIBB", width, len(pixels) // width, channels, 0)]
    seen: list[Pixel] = [(0, 0, 0, 0)] * 64
    before: Pixel = (0, 0, 0, 255)
    run = 0
    for pixel in pixels:
        if pixel == before and run < 62:
            run += 1
            continue
        if run:
            out.append(bytes([0xC0 | run - 1]))
            run = 0
        if pixel == before:
            run = 1
            continue
        out.append(_one(pixel, before, seen))
        seen[_place(pixel)] = before = pixel
    if run:
        out.append(bytes([0xC0 | run - 1]))
    return b"".join(out) + bytes(7) + b"\1"


def _place(pixel: Pixel) -> int:
    red, green, blue, alpha = pixel
    return (red * 3 + green * 5 + blue * 7 + alpha * 11) % 64


def _one(pixel: Pixel, before: Pixel, seen: Sequence[Pixel]) -> bytes:
    if seen[_place(pixel)] == pixel:
        return bytes([_place(pixel)])
    if pixel[3] != before[3]:
        return bytes([0xFF, *pixel])
    red, green, blue = (
        (new - old + 128) % 256 - 128
        for new, old in zip(pixel[:3], before[:3], strict=True)
    )
    if all(-2 <= by <= 1 for by in (red, green, blue)):
        return bytes([0x40 | red + 2 << 4 | green + 2 << 2 | blue + 2])
    if -32 <= green <= 31 and all(-8 <= by - green <= 7 for by in (red, blue)):
        return bytes([0x80 | green + 32, red - green + 8 << 4 | blue - green + 8])
    return bytes([0xFE, *pixel[:3]])


def png(pixels: Sequence[Pixel], width: int) -> bytes:
    """Return pixels as PNG, without filters."""
    rows = [
        b"\0" + b"".join(bytes(pixel) for pixel in pixels[at : at + width])
        for at in range(0, len(pixels), width)
    ]
    header = struct.pack(">IIBBBBB", width, len(rows), 8, 6, 0, 0, 0)
    chunks = (
        (b"IHDR", header),
        (b"IDAT", zlib.compress(b"".join(rows))),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data))
        + kind
        + data
        + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def pixels_of(data: bytes) -> tuple[int, list[Pixel]]:
    """Return the width and the pixels of a PNG of our own: RGBA, without filters."""
    width, height = struct.unpack(">II", data[16:24])
    start = data.index(b"IDAT") + 4
    length = int.from_bytes(data[start - 8 : start - 4], "big")
    raw = zlib.decompress(data[start : start + length])
    found: list[Pixel] = []
    for row in range(height):
        line = raw[row * (4 * width + 1) :][: 4 * width + 1]
        assert line[0] == 0
        found += [
            (line[at], line[at + 1], line[at + 2], line[at + 3])
            for at in range(1, len(line), 4)
        ]
    return width, found


def jpeg(width: int, height: int) -> bytes:
    """Return the segments of a JPEG up to its size, and some bytes."""
    size = struct.pack(">BHHB", 8, height, width, 3) + bytes(9)
    segments = ((0xE0, b"JFIF\0" + bytes(9)), (0xDB, bytes(65)), (0xC2, size))
    return b"\xff\xd8" + b"".join(
        bytes([0xFF, kind]) + struct.pack(">H", len(data) + 2) + data
        for kind, data in segments
    )


def block(kind: str, size: str, data: bytes) -> bytes:
    """Return a picture as PrusaSlicer writes it, such as ``thumbnail_QOI``."""
    text = base64.b64encode(data).decode()
    lines = [text[at : at + 78] for at in range(0, len(text), 78)]
    body = "".join(f"; {line}\n" for line in lines)
    return f";\n; {kind} begin {size} {len(text)}\n{body}; {kind} end\n;\n".encode()
