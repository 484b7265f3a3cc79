"""How lines travel as bytes: encoding and checksums out, splitting into lines in."""

from functools import reduce
from operator import xor

MAX_COMMAND = 96
"""A line must be shorter than this, in bytes without its line end. It is Marlin's
default ``MAX_CMD_SIZE`` (https://marlinfw.org/docs/configuration/configuration.html).
Marlin cuts longer lines after 95 bytes without an error, which turns them into other
commands (``M118 ccc…`` in tests/transcripts/marlin/m21-misc.txt)."""

MAX_REPLY = 4096
"""Bytes that are kept of one line from the firmware. Hardly any firmware writes longer
lines, and cut ones are marked. Noise at a wrong baud rate has no line ends at all, and
must not fill the memory."""

LONGEST_NUMBER = 999_999_999
"""The longest line number that must fit into a line together with its text."""

_FOLDED = 128
"""Up to this many bytes, the checksum is computed by folding; every line that can be
numbered is shorter."""

_SHORT = 64
"""Up to this many bytes, folding takes one step less. Most lines of a print are
shorter."""

_NUMBERING = len(f"N{LONGEST_NUMBER} *255")
"""Bytes that a line number and a checksum add to a line, at most."""

_SUSPICIOUS = {"", " ", "N"}
"""First characters of lines that need a closer look."""


def checksum(payload: bytes) -> int:
    """Return the XOR of all bytes (0 to 255).

    It covers everything before the ``*``, including ``N`` and the line number
    (https://reprap.org/wiki/G-code, "Checksum").
    """
    if len(payload) > _FOLDED:
        return reduce(xor, payload, 0)
    # As one number that is folded in halves: five times as fast as byte by byte, and
    # computed for each line of a print.
    value = int.from_bytes(payload, "little")
    if len(payload) > _SHORT:
        value ^= value >> 512
    value ^= value >> 256
    value ^= value >> 128
    value ^= value >> 64
    value ^= value >> 32
    value ^= value >> 16
    value ^= value >> 8
    return value & 0xFF


def check(text: str, *, numbered: bool = True, longest: int = MAX_COMMAND) -> None:
    """Check that a line can be sent.

    Args:
        text: the line.
        numbered: whether it will have a line number.
        longest: bytes that it must stay below; see ``Dialect.longest_line``.

    Raises:
        ValueError: The text is empty (Marlin does not answer an empty line at all), not
            ASCII, has control characters, looks like a numbered line itself, or does
            not fit the firmware's buffer, together with a line number if ``numbered``.

    """
    fits = len(text) + numbered * _NUMBERING < longest
    if fits and text[:1] not in _SUSPICIOUS and text.isascii() and text.isprintable():
        return
    if not text.strip():
        raise ValueError("a line must not be empty: firmwares do not answer one")
    if not text.isascii() or not text.isprintable():
        raise ValueError(
            f"a line must be printable ASCII without line breaks: {text!r}"
        )
    if text.startswith("N") and text[1:2].isdigit():
        raise ValueError(f"a line must not carry a line number of its own: {text!r}")
    if not fits:
        raise ValueError(f"a line must be shorter than {longest} bytes: {text!r}")


def encode(text: str, number: int | None = None) -> bytes:
    """Return the bytes of a line, numbered and checksummed if it has a number.

    Raises:
        ValueError: The line cannot be sent; see :func:`check`.

    """
    check(text, numbered=number is not None)
    return frame(text, number)


def frame(text: str, number: int | None = None) -> bytes:
    """Return the bytes of a line that has passed :func:`check`, as :func:`encode`."""
    if number is None:
        return f"{text}\n".encode("ascii")
    payload = f"N{number} {text}".encode("ascii")
    return b"%b*%d\n" % (payload, checksum(payload))


class LineReceiver:
    """Collects bytes until a line ends; its memory is bounded."""

    def __init__(self) -> None:
        self._partial = b""
        self._missing = 0  # bytes of the unfinished line that were not kept
        self.noise = 0
        """Discarded bytes, plus lines that were not valid UTF-8."""

    def feed(self, data: bytes) -> list[str]:
        """Return the lines that these bytes complete, without line ends and blanks."""
        if data == b"ok\n" and not self._partial:  # most answers during a print
            return ["ok"]
        *lines, self._partial = (self._partial + data).split(b"\n")
        if len(self._partial) > MAX_REPLY:
            self._cut()
        found = [self._complete(line) for line in lines]
        return [text for text in found if text]

    def _cut(self) -> None:
        """Keep the head of a line that is too long, if it is one and no noise."""
        head, cut = self._partial[:MAX_REPLY], len(self._partial) - MAX_REPLY
        if not (head.isascii() and head.decode().isprintable()):
            self.noise += len(self._partial)
            self._partial, self._missing = b"", 0
            return
        self.noise += cut
        self._missing += cut
        self._partial = head

    def _complete(self, line: bytes) -> str:
        missing = self._missing + max(0, len(line) - MAX_REPLY)
        self._missing = 0
        if not missing:
            return self._decode(line)
        return f"{self._decode(line[:MAX_REPLY])} [{missing} more bytes]"

    def _decode(self, line: bytes) -> str:
        try:
            text = line.decode()
        except UnicodeDecodeError:
            self.noise += 1
            text = line.decode("latin-1")
        return text.replace("\0", "").strip()
