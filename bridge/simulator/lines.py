"""From bytes to command lines, as firmwares do it: buffers, numbers, checksums.

This is the firmware's half of the conversation and shares no parser with the host's.
"""

import re
from dataclasses import dataclass, field

from bridge.gcode.framing import checksum

MAX_LINE = 95  # bytes; the rest of a longer line is lost
RECEIVE_BUFFER = 16_384  # bytes; about what a pty holds. A real UART has 64 to 256

_ENDS = re.compile(rb"[\r\n]")
_ODD = re.compile(rb"[;\\\x00\x08]")
_EARLY = re.compile(rb"\s*(?:N-?\d+\s*)?(M\d+)(?:\s+S(\d+))?")
_NUMBER = re.compile(r" *N(-?\d+|)")
_NUMBER_OF_M110 = re.compile(r"M110\s*N(-?\d+)")
_CODE = re.compile(r" *([GM]\d+(?:\.\d+)?|T\d+|T[?xc])")
_WORD = re.compile(r"([A-Z]) *([-+]?(?:\d+\.?\d*|\.\d+))?")


@dataclass(frozen=True, slots=True)
class ParsedCommand:
    """A line of G-code, taken apart.

    Attributes:
        line: the whole line without number and checksum.
        code: ``G28``, ``M104``, ``T1``; empty if there is none.
        text: what follows the code.
        words: the numbers by their letter; ``words["S"]``.
        flags: the letters that have no number.

    """

    line: str
    code: str
    text: str
    words: dict[str, float]
    flags: frozenset[str]

    @classmethod
    def parse(cls, line: str) -> "ParsedCommand":
        """Take a line apart as Marlin does: upper case only, blanks are optional."""
        match = _CODE.match(line)
        if match is None:
            return cls(line, "", line, {}, frozenset())
        code, text = match[1], line[match.end() :]
        text = text.removeprefix(" ")
        return cls(line, code, text, *read_words(text))

    def has(self, letters: str) -> str:
        """Return those of the letters that occur, with a number or without."""
        return "".join(x for x in letters if x in self.words or x in self.flags)


def read_words(text: str) -> tuple[dict[str, float], frozenset[str]]:
    """Return the letters with a number, and those without one."""
    if not text:
        return {}, frozenset()
    words: dict[str, float] = {}
    flags: set[str] = set()
    for letter, value in _WORD.findall(text):
        if value:
            words[letter] = float(value)
        else:
            flags.add(letter)
    return words, frozenset(flags)


def clean(line: bytes) -> bytes:
    r"""Remove comments, resolve ``\;`` and cut at ``MAX_LINE`` and at the first NUL."""
    if _ODD.search(line):
        kept = bytearray()
        escaped = False
        for byte in line:
            if escaped or byte not in b";\\\x08":
                kept.append(byte)
                escaped = False
            elif byte == ord(";"):
                break
            elif byte == ord("\\"):
                escaped = True
        line = bytes(kept)
    return line[:MAX_LINE]


@dataclass(slots=True)
class Receiver:
    """The receive buffer: bytes in, lines out.

    Attributes:
        room: how many bytes may wait; more are lost, as when a UART overruns.

    """

    room: int = RECEIVE_BUFFER
    _buffer: bytearray = field(default_factory=bytearray)
    _start: bytes = b""  # of the line that arrives, for the emergency parser

    def feed(self, data: bytes) -> list[tuple[str, int | None]]:
        """Take bytes; return the codes in them that an emergency parser may act on."""
        self._buffer += data[: max(0, self.room - len(self._buffer))]
        *lines, start = _ENDS.split(self._start + data)
        self._start = start[:MAX_LINE]
        found = []
        for line in lines:
            if b"M" in line and (match := _EARLY.match(line)):
                answer = (
                    int(match[2]) if match[2] and len(match[2]) < MAX_LINE else None
                )
                found.append((match[1].decode(), answer))
        return found

    @property
    def pending(self) -> int:
        """How many bytes wait."""
        return len(self._buffer)

    def next_line(self) -> str | None:
        """Return the next line that is not empty, without comments."""
        while match := _ENDS.search(self._buffer):
            line = clean(bytes(self._buffer[: match.start()]))
            del self._buffer[: match.end()]
            if line:
                return line.split(b"\0", 1)[0].decode("latin-1")
        if len(self._buffer) >= self.room:
            del self._buffer[MAX_LINE:]
        return None

    def flush(self) -> None:
        """Throw away what has arrived, as Marlin does after a bad line."""
        self._buffer.clear()


@dataclass(slots=True)
class Numbering:
    """Which line comes next, and whether a line is what it claims to be.

    Attributes:
        last: the number of the last line that was right, or what M110 made of it.
        own: the number in front of the last line, as an ``ok`` repeats it.

    """

    last: int = 0
    own: int = 0

    def check(self, line: str, *, repeats_silent: bool) -> tuple[str, str]:
        """Return the command of a line, or why it is refused.

        Returns:
            ``(command, "")``; ``("", reason)`` for a bad line; ``("", "")`` for one
            that the firmware already has and drops in silence.

        """
        match = _NUMBER.match(line)
        if match is None:
            return line.split("*", 1)[0], ""
        number = own = int(match[1] or 0)
        text = line.rsplit("*", 1)[0][match.end() :].strip()
        if text.startswith("M110"):
            if other := _NUMBER_OF_M110.match(text):
                number = int(other[1])
        elif number != self.last + 1:
            if repeats_silent and number in {self.last, self.last - 1}:
                return "", ""
            return "", "Line Number is not Last Line Number+1"
        if fault := _checksum_fault(line):
            return "", fault
        self.last, self.own = number, own
        return text, ""


def _checksum_fault(line: str) -> str:
    """Return what is wrong with the checksum of a numbered line, or ``""``."""
    body, star, given = line.rpartition("*")
    if not star:
        return "No Checksum with line number"
    right = given.isdecimal() and checksum(body.encode("latin-1")) == int(given[:9])
    return "" if right else "checksum mismatch"
