r"""The lines of a text file that another program wrote, whatever it is encoded in.

Logs come from Windows (UTF-16, CRLF), from captures of a serial line (bytes that are no
text, NULs, a single CR as a line end) and from programs that pack old ones (gzip). They
can be larger than the memory, so everything here works on one piece after the other.
"""

import codecs
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from bridge.printer.link.wire_log import LogFormatError

LONGEST = 65_536
"""Bytes of a line that are read; the rest of a longer line is left out."""

_HEAD = 4096
"""Bytes from which the encoding is determined."""

_WITHOUT_END = 1_048_576
"""Bytes without a line end after which a file is not a log."""

# First bytes of files that people attach to a report instead of the log itself.
_GZIP = b"\x1f\x8b"
_PACKED = {
    b"PK\x03\x04": "a zip archive",
    b"\xfd7zXZ\x00": "packed with xz",
    b"BZh": "packed with bzip2",
    b"\x28\xb5\x2f\xfd": "packed with zstd",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"\x7fELF": "a program",
    b"%PDF": "a PDF document",
}
_UTF_16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_LINE_END = re.compile(rb"\r\n|\n|\r")
_MOSTLY = 0.3
"""Without a byte order mark, a file is UTF-16 if more than this share of every other
byte is NUL."""

Note = Callable[[str], None]


def read_lines(pieces: Iterable[bytes], note: Note = lambda _: None) -> Iterator[str]:
    """Yield the lines of a file, without their ends.

    A line that is not UTF-8 is read as Latin-1. NULs are dropped.

    Args:
        pieces: the bytes of the file.
        note: called with a sentence about what could not be read.

    Raises:
        LogFormatError: The file is packed in another way than with gzip, or has no
            lines.

    """
    head, pieces = _peek(pieces)
    if head.startswith(_GZIP):
        head, pieces = _peek(_unzipped(pieces, note))
    for mark, name in _PACKED.items():
        if head.startswith(mark):
            raise LogFormatError(f"this is {name}, and no log; unpack it first")
    if encoding := _utf_16(head):
        pieces = _in_utf_8(pieces, encoding)
    for line in _split(pieces):
        yield _decoded(line).replace("\0", "").removeprefix("\ufeff")


def _peek(pieces: Iterable[bytes]) -> tuple[bytes, Iterator[bytes]]:
    rest, head = iter(pieces), b""
    while len(head) < _HEAD and (piece := next(rest, b"")):
        head += piece
    return head, chain([head], rest)


def _unzipped(pieces: Iterable[bytes], note: Note) -> Iterator[bytes]:
    """Yield what gzip has packed, also in several parts one after the other."""
    packed, began = zlib.decompressobj(zlib.MAX_WBITS | 16), False
    try:
        for piece in pieces:
            rest, full = piece, False
            while rest or full:
                began = True
                unpacked = packed.decompress(rest, LONGEST)
                yield unpacked
                rest, full = packed.unconsumed_tail, len(unpacked) == LONGEST
                if packed.eof:
                    rest, began, full = packed.unused_data, False, False
                    packed = zlib.decompressobj(zlib.MAX_WBITS | 16)
    except zlib.error:
        note("the gzip data are damaged; what follows was not read")
        return
    if began:
        note("the gzip data end too early")


def _utf_16(head: bytes) -> str | None:
    for mark, encoding in _UTF_16.items():
        if head.startswith(mark):
            return encoding
    pairs = max(1, len(head) // 2)
    if head[1::2].count(0) > _MOSTLY * pairs and not head[::2].count(0):
        return "utf-16-le"
    if head[::2].count(0) > _MOSTLY * pairs and not head[1::2].count(0):
        return "utf-16-be"
    return None


def _in_utf_8(pieces: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    for piece in pieces:
        yield decoder.decode(piece).encode("utf-8", "replace")


def _split(pieces: Iterable[bytes]) -> Iterator[bytes]:
    rest, dropped, seen, ended = b"", 0, 0, False
    for piece in pieces:
        seen += len(piece)
        *lines, rest = _LINE_END.split(rest + piece)
        if piece.endswith(b"\r"):  # the line feed may be in the next piece
            rest = lines.pop() + b"\r"
        for line in lines:
            if not dropped:
                yield line[:LONGEST]
            dropped, ended = 0, True
        if len(rest) > LONGEST:
            if not dropped:
                yield rest[:LONGEST]
            dropped += len(rest)
            rest = rest[-1:] if rest.endswith(b"\r") else b""
        if seen > _WITHOUT_END and not ended:
            raise LogFormatError(
                f"there is no line end in the first {_WITHOUT_END:,} bytes; this is no "
                "log"
            )
    if rest and not dropped:
        yield rest.removesuffix(b"\r")


def _decoded(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("latin-1")
