"""The lines of logs in any encoding, of any size."""

import gzip
import zlib
from collections.abc import Iterator
from itertools import repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.printer.link.replay import LONGEST, read_lines
from bridge.printer.link.wire_log import LogFormatError

LOG = "Send: M105\nRecv: ok T:20.1 /0.0\nRecv: 20 °C\n"
LINES = ["Send: M105", "Recv: ok T:20.1 /0.0", "Recv: 20 °C"]


def in_pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


@pytest.mark.parametrize(
    "data",
    [
        LOG.encode(),
        LOG.rstrip().encode(),
        LOG.encode("utf-8-sig"),
        LOG.encode("latin-1"),
        LOG.encode("utf-16"),
        LOG.encode("utf-16-le"),
        LOG.encode("utf-16-be"),
        "\ufeff".encode("utf-16-be") + LOG.encode("utf-16-be"),
        LOG.replace("\n", "\r\n").encode(),
        LOG.replace("\n", "\r\n").encode("utf-16"),
        LOG.replace("\n", "\r").encode(),
        LOG.replace(" ", "\0 \0\0").encode(),
        b"\0\0\0" + LOG.encode(),
        gzip.compress(LOG.encode()),
        gzip.compress(LOG.encode("utf-16")),
        gzip.compress(LOG[:20].encode()) + gzip.compress(LOG[20:].encode()),
    ],
    ids=range(16),
)
def test_a_log_may_be_encoded_in_any_way(data: bytes) -> None:
    for size in (1, 2, 3, 7, 64, 100_000):
        assert list(read_lines(in_pieces(data, size))) == LINES, size


def test_each_line_is_decoded_by_itself() -> None:
    data = "Recv: 20 °C\n".encode() + b"Recv: 20 \xb0C\n" + b"Recv: \xff\xfe\x80\n"
    assert list(read_lines([data])) == ["Recv: 20 °C", "Recv: 20 °C", "Recv: ÿþ\x80"]


@given(st.lists(st.binary(max_size=20), max_size=20), st.sampled_from(["\n", "\r\n"]))
def test_any_bytes_are_lines(lines: list[bytes], end: str) -> None:
    clean = [b"ok " + line.translate(None, b"\r\n\0") for line in lines]
    data = b"".join(line + end.encode() for line in clean)
    whole = list(read_lines([data]))
    assert len(whole) == len(clean)
    assert list(read_lines(in_pieces(data, 3))) == whole


def test_an_endless_line_is_cut_and_the_next_one_is_whole() -> None:
    for end in (b"\n", b"\r\n", b"\r"):
        data = end.join((b"Recv: ok", b"x" * 5 * LONGEST, b"Recv: wait", b""))
        for size in (1000, LONGEST, LONGEST + 13, len(data)):
            first, cut, last = read_lines(in_pieces(data, size))
            assert (first, last) == ("Recv: ok", "Recv: wait")
            assert cut == "x" * LONGEST
    assert list(read_lines([b"ok\n" + b"x" * 2 * LONGEST]))[1] == "x" * LONGEST


def test_what_never_ends_is_no_log() -> None:
    for endless in (b"\0" * 65_536, b"x" * 65_536):
        with pytest.raises(LogFormatError, match="no line end in the first 1,048,576"):
            list(read_lines(repeat(endless)))


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"PK\x03\x04....", "a zip archive"),
        (b"\xfd7zXZ\x00....", "packed with xz"),
        (b"BZh91AY", "packed with bzip2"),
        (b"\x28\xb5\x2f\xfd", "packed with zstd"),
        (b"\x7fELF\x02", "a program"),
        (gzip.compress(b"PK\x03\x04...."), "a zip archive"),
    ],
    ids=range(6),  # what gzip writes has the time in it
)
def test_what_is_packed_otherwise_is_named(data: bytes, name: str) -> None:
    with pytest.raises(LogFormatError, match=f"this is {name}, not a log"):
        list(read_lines([data]))


def test_of_damaged_gzip_data_the_beginning_is_read() -> None:
    log = "\n".join(
        f"Recv: ok {zlib.crc32(bytes([n % 256, n // 256]))}" for n in range(9999)
    )
    packed = gzip.compress(log.encode())
    damaged = packed[:20_000] + b"\xff" * 100 + packed[20_100:]
    for data, why in (
        (packed[:20_000], "the gzip data end too early"),
        (damaged, "the gzip data are damaged; what follows was not read"),
        (packed + b"garbage", "the gzip data are damaged; what follows was not read"),
    ):
        notes: list[str] = []
        lines = list(read_lines([data], notes.append))
        assert notes == [why]
        assert len(lines) > 1000
        assert lines[0].startswith("Recv: ok ")


def test_unpacking_needs_little_memory() -> None:
    """40 MB in 40 kB are one piece of the file, and many lines."""
    bomb = gzip.compress((b"ok" * 1000 + b"\n") * 20_000)
    count = 0
    for line in read_lines([bomb]):
        count += 1
        assert len(line) == 2000
    assert count == 20_000


def test_an_empty_file_has_no_lines() -> None:
    assert list(read_lines([])) == []
    assert list(read_lines([b""])) == []
    assert list(read_lines([gzip.compress(b"")])) == []
