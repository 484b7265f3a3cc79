"""Thumbnails: PNG and JPEG as they are, QOI as PNG, and nothing else."""

import base64
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.files import thumbnails
from bridge.files.stored import Picture
from tests.support.thumbnails import Pixel, jpeg, pixels_of, png, qoi

RED: Pixel = (255, 0, 0, 255)


def text_of(data: bytes) -> bytes:
    """Return a picture as it is between the lines of a slicer's comment."""
    text = base64.b64encode(data)
    return b"; " + b"\r\n; ".join(text[at : at + 78] for at in range(0, len(text), 78))


SHADES = st.integers(0, 255)
PIXELS = st.one_of(
    st.tuples(SHADES, SHADES, SHADES, SHADES),
    st.tuples(st.sampled_from([0, 1, 9, 30]), st.just(5), st.just(5), st.just(255)),
    st.sampled_from([RED, (0, 0, 0, 255), (0, 0, 0, 0)]),
)


@given(
    st.integers(1, 9),
    st.lists(st.tuples(PIXELS, st.integers(1, 80)), min_size=1, max_size=20),
)
def test_qoi_becomes_png_pixel_by_pixel(
    width: int, runs: list[tuple[Pixel, int]]
) -> None:
    pixels = [pixel for pixel, count in runs for _ in range(count)]
    pixels += [RED] * (-len(pixels) % width)
    data = qoi(pixels, width)
    found = thumbnails.decode(text_of(data))
    assert found is not None
    assert pixels_of(found.data) == (width, pixels)
    assert (found.width, found.height) == (width, len(pixels) // width)
    assert thumbnails.decode(text_of(data[: 14 + (len(data) - 22) // 2])) is None


def test_neighbouring_shades() -> None:
    """Each difference that has an operation of its own."""
    shades: list[Pixel] = [
        (200 + (3 * n) % 17, 100 + (5 * n) % 60, (7 * n) % 256, 255) for n in range(96)
    ]
    shades += [(n % 3, (n + 1) % 3, 255 - n % 2, 255) for n in range(32)]
    data = qoi(shades, 16)
    assert {byte >> 6 for byte in data[14:-8]} == {0, 1, 2, 3}
    found = thumbnails.decode(text_of(data))
    assert found is not None
    assert pixels_of(found.data)[1] == shades


def test_png_and_jpeg_are_passed_on_as_they_are() -> None:
    small = png([RED] * 32, 8)
    found = thumbnails.decode(text_of(small))
    assert found == Picture(small, "image/png", 8, 4)
    photo = jpeg(300, 200)
    assert thumbnails.decode(base64.b64encode(photo).rstrip(b"=")) == Picture(
        photo, "image/jpeg", 300, 200
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GIF89a",
        b"\x89PNG\r\n\x1a\n",
        b"\x89PNG\r\n\x1a\n" + bytes(4) + b"IDAT" + bytes(20),
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xe0\0\4\0\0" + b"no segment",
        jpeg(9, 9)[:-14],
        b"qoif",
        b"qoif" + struct.pack(">IIBB", 1025, 1024, 4, 0) + bytes(99),
        b"qoif" + struct.pack(">IIBB", 0, 5, 4, 0) + bytes(99),
        b"qoif" + struct.pack(">IIBB", 1, 1, 5, 0) + bytes(99),
        b"qoif" + struct.pack(">IIBB", 1, 1, 4, 0),
        b"qoif" + struct.pack(">IIBB", 1, 1, 4, 0) + b"\xff\1",
        b"qoif" + struct.pack(">IIBB", 1, 1, 4, 0) + b"\xfe\1",
        b"qoif" + struct.pack(">IIBB", 1, 1, 4, 0) + b"\x80",
    ],
)
def test_what_is_damaged_or_too_large_is_no_picture(data: bytes) -> None:
    assert thumbnails.decode(text_of(data)) is None


def test_what_is_no_base64_is_no_picture() -> None:
    assert thumbnails.decode(b"; not base64 at all!") is None
    assert thumbnails.decode(b"; A") is None
