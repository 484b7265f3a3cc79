"""One line of G-code: parsed once into a value, and rendered from it.

Everything that decides about a line (limits, blocked codes, the state, timeouts) reads
the value, and what goes on the wire is the value's ``text``. Each family's parser reads
that text as exactly the value, however lenient it is, because the text has a canonical
form: one code at its beginning, one blank before each letter, each letter once, finite
decimal numbers, and no text in which the family would find a code.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple, NoReturn

from bridge.errors import quoted
from bridge.gcode import codes, texts
from bridge.gcode.codes import UNKNOWN, Argument, Code, Moves, Syntax

# No "+", no "-0", no leading zeros, and a digit on both sides of a point. Nine digits
# are more than any machine needs.
_NUMBER = r"(?:-(?!0(?:\.0+)?(?: |$)))?(?:0|[1-9]\d{0,8}+)(?:\.\d++)?+"
_CANONICAL = re.compile(
    r"(?:[GM](?!110(?: |$))(?:0|[1-9]\d{0,3}+)|T\d\d?(?!.* T))"
    rf"(?: [A-FH-LO-Z](?:{_NUMBER})?+)*+",
    re.ASCII,
)
"""A line that needs no rewriting; most lines that slicers write look like this. The
quantifiers are possessive, because no part of a match can be matched in another way.
``M110`` and two tool numbers are left to the parser, which refuses them."""

_BARE_POINT = re.compile(r"\.(?<!\d\.)", re.ASCII)
"""A point without a digit before it: slicers write ``E.02`` and ``E-.8`` to save a
byte."""

# What people and slicers write. Firmwares read letters in either case, and with or
# without blanks before numbers (https://reprap.org/wiki/G-code#Fields).
_CODE = re.compile(
    r"(?P<letter>[GMT])\s*(?P<number>\d+)(?:\.(?P<sub>\d+))?", re.ASCII | re.IGNORECASE
)
_PAIR = re.compile(
    r"\s*(?P<letter>[A-Z])\s*(?P<number>[-+]?(?:\d+\.?\d*|\.\d+))?",
    re.ASCII | re.IGNORECASE,
)
# RepRapFirmware's lists, such as ``G10 P0 S200:210`` and ``M204 P500:800``, and its
# texts in quotes, in which two quotes stand for one
# (https://docs.duet3d.com/User_manual/Reference/Gcodes).
_MORE = re.compile(r":([-+]?(?:\d+\.?\d*|\.\d+))", re.ASCII)
_QUOTE = re.compile(r'"((?:[^"]|"")*)"', re.ASCII)
# Klipper's extended commands, and their parameters ``NAME=value``. A name has digits
# only at its end (https://www.klipper3d.org/Command_Templates.html#naming).
_NAME = re.compile(r"[A-Z_]+\d*(?=\s|$)", re.ASCII | re.IGNORECASE)
_NAMED = re.compile(
    r'\s+(?P<key>[A-Z_]\w*)=(?:"(?P<quoted>[^"]*)"|(?P<bare>[^\s"=]*))(?=\s|$)',
    re.ASCII | re.IGNORECASE,
)
_DECIMAL = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)", re.ASCII)
# What may stand before the text of ``M0``: how long it waits
# (https://marlinfw.org/docs/gcode/M000-M001.html).
_OPTIONS = re.compile(
    r"\s*([PS])\s*(\d+\.?\d*|\.\d+)(?=\s|$)", re.ASCII | re.IGNORECASE
)
# Mistakes with a message of their own: a line number, coordinates without a code, and a
# number with an exponent, whose ``E`` firmwares read as the extruder.
_NUMBERED = re.compile(r"N\s*-?\d", re.ASCII | re.IGNORECASE)
_CONTINUED = re.compile(
    r"[A-CE-FI-KP-RU-Z]\s*[-+]?\.?\d[\d.]*(?![\w.])", re.ASCII | re.IGNORECASE
)
_EXPONENT = re.compile(r"[-+]?[\d.]+E[-+]?\d+", re.ASCII | re.IGNORECASE)
_SHELL = frozenset("\"'\\#;*`$")
"""Characters that end a value in one of Klipper's extended commands, begin a comment,
or mean something else to the shell-like parser that it reads values with."""

_LONGEST_NUMBER = 24  # characters; more cannot be meant, and slow down the parser
_LONGEST_CODE = 4
"""Digits of a code. Firmwares store it in 16 bits, or in 8, and would read ``M65640``
as ``M104`` (65640 - 65536)."""

_LINE_NUMBERS = "must not have line numbers (N, M110), because the bridge adds them"
_SHOWN = 60  # characters of a line in a message
MOVES = frozenset({"G0", "G1", "G2", "G3"})
"""Codes of plain moves, which most lines of a print are. They have no output, are
accepted at once, and change nothing but the feedrate and the position."""

_STOPS = ("M108", "M112", "M410", "M876")
"""Marlin's ``EMERGENCY_PARSER`` looks for these while another command runs, and
disregards what follows
(https://marlinfw.org/docs/configuration/configuration.html)."""

_LETTERS = Argument.LETTERS
_TEXTS = {Argument.DISPLAY, Argument.ECHO, Argument.FILE, Argument.TEXT}
_NOWHERE = Code("", "is not in the table")

# Only Klipper has commands with names.
_OF_NAMES = next(family for family in codes.SYNTAXES if codes.SYNTAXES[family].names)

_KEPT = 4096
"""Parsed lines that are kept: each line is read several times on its way, and the lines
of a running command repeat."""


class LineError(ValueError):
    """A line has no canonical form.

    Attributes:
        column: where the problem begins, counted from 1.

    """

    def __init__(self, problem: str, text: str, at: int) -> None:
        shown = text if len(text) <= _SHOWN else text[max(0, at - 20) : at + 40]
        super().__init__(f"{problem} (column {at + 1} of {quoted(shown)})")
        self.column = at + 1


class Line(NamedTuple):
    """A line of G-code; a tuple, because a frozen dataclass takes 1 µs to make.

    Attributes:
        code: ``G1``, ``M104``, ``G92.1``, ``T0``, or the name of an extended command in
            upper case.
        text: what is sent, without a line number. Equal texts of one family have equal
            values.
        row: its row in the table; an empty one if the table lacks the code.
        values: a letter to its number; ``None`` for a letter alone. Of several numbers
            (``S200:210``) the first.
        given: the ``parameters``; ``None`` if they are all that is in ``text``.
        quoted: letters that have a text in double quotes, with the text.
        argument: the text after a code that takes one, as it is sent.
        changed: the text as it was given, if it is sent otherwise.

    """

    code: str
    text: str
    row: Code = _NOWHERE
    values: Mapping[str, float | None] = MappingProxyType({})
    given: tuple[tuple[str, str], ...] | None = ()
    quoted: tuple[tuple[str, str], ...] = ()
    argument: str = ""
    changed: str = ""

    @property
    def parameters(self) -> tuple[tuple[str, str], ...]:
        """Letters with their numbers in canonical decimal notation, in order.

        ``""`` for a letter alone. With names, the names and their values.
        """
        if self.given is not None:
            return self.given
        return tuple((word[0], word[1:]) for word in self.text.split(" ")[1:])

    @property
    def is_known(self) -> bool:
        """Whether the family's table has the code."""
        return self.row is not _NOWHERE

    def number(self, letter: str) -> float | None:
        """Return a letter's number; ``None`` without the letter or its number."""
        return self.values.get(letter)

    def __str__(self) -> str:
        return self.text

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Line):
            return NotImplemented
        return (self.text, self.changed) == (other.text, other.changed)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self.text)


_lines: dict[tuple[str, str], Line] = {}


def parse(text: str, family: str) -> Line:
    """Return the value of a line for a firmware family.

    Args:
        text: the line as somebody wrote it: a comment and blanks are left out.
        family: the name of a dialect, such as ``marlin``.

    Raises:
        LineError: It has no canonical form: more or less than one command, something
            before it, a letter twice, or something else than letters with decimal
            numbers where the code takes no text. The message shows the place.

    """
    found = _lines.get((text, family))
    if found is None:
        found = _parsed(text, family)
        if len(_lines) >= _KEPT:
            _lines.clear()
        _lines[text, family] = _lines[found.text, family] = found
    return found


def read(text: str, family: str = UNKNOWN) -> Line:
    """Return the value of a line that was sent; of an invalid one, only the code.

    It never raises, because it is used when a line can no longer be refused. Only
    Klipper has commands with names, so a name is read as Klipper does, whatever the
    family.
    """
    if text[1:2].isupper() or text[1:2] == "_":
        family = _OF_NAMES
    try:
        return parse(text, family)
    except LineError:
        word = text.split(maxsplit=1)[:1]
        return Line(word[0].upper() if word else "", text)


def of_file(text: str, family: str) -> Line | None:
    """Return the value of a line of a file, or ``None`` for blanks and comments.

    A comment outside quotes is removed, even after a text for the display. Unlike those
    of :func:`parse`, the values are not kept, because the lines of a file rarely repeat
    and would displace those of running commands. The ``text`` of the value is sent.

    Args:
        text: the line, with or without its line end.
        family: the name of a dialect, such as ``marlin``.

    Raises:
        LineError: See :func:`parse`.

    """
    if ";" in text:
        if '"' in text:
            text = _QUOTE_OR_COMMENT.sub(_without_comment, text)
        else:
            text = text[: text.index(";")]
    text = text.strip()
    return _parsed(text, family) if text else None


def render(line: Line) -> bytes:
    """Return the bytes of a line, without number, checksum and line end."""
    return line.text.encode("ascii")


def code_of(text: str) -> str:
    """Return the code of a line in canonical form."""
    return text.partition(" ")[0]


_QUOTE_OR_COMMENT = re.compile(r'"[^";]*"|;.*', re.ASCII)


def _without_comment(match: re.Match[str]) -> str:
    return "" if match[0][0] == ";" else match[0]


def format_number(value: float) -> str:
    """Return a number as firmwares read it: fixed point, no exponent, no ``-0``.

    Marlin reads the ``E`` of ``1e-3`` as the next parameter, the extruder's. The six
    decimals are finer than any machine can move.
    """
    text = f"{value:.6f}".rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def _parsed(text: str, family: str) -> Line:
    short = text
    if _CANONICAL.fullmatch(text) or (
        _CANONICAL.fullmatch(short := _BARE_POINT.sub("0.", text))
    ):
        code, *words = short.split(" ")
        row = codes.tables()[family].get(code) or codes.lookup(code, family)
        if row is not None and row.argument is _LETTERS:
            values = {word[0]: float(word[1:]) if word[1:] else None for word in words}
            if len(values) == len(words):
                fields = (code, short, row, values, None, (), "", "")
                return tuple.__new__(Line, fields)
    return _Parser(text, family, codes.SYNTAXES[family]).line()


class _Parser:
    """Parses one line that is not in canonical form yet, or that is a special one."""

    def __init__(self, text: str, family: str, syntax: Syntax) -> None:
        self._given = text
        self._text = text.rstrip()
        self._family = family
        self._syntax = syntax
        self._at = len(self._text) - len(self._text.lstrip())

    def line(self) -> Line:
        """Return the line's value."""
        match = _CODE.match(self._text, self._at)
        if match is not None:
            return self._coded(self._name(match), match.end())
        for tool in self._syntax.tools:
            if self._text[self._at :].lower() == tool.lower():
                row = codes.lookup(tool, self._family) or _NOWHERE
                return Line(tool, tool, row=row)
        return self._extended()

    def _refuse(self, problem: str, at: int | None = None) -> NoReturn:
        raise LineError(problem, self._given, self._at if at is None else at)

    def _name(self, match: re.Match[str]) -> str:
        letter, number, sub = match["letter"].upper(), match["number"], match["sub"]
        value = number.lstrip("0") or "0"
        if len(value) > _LONGEST_CODE:
            self._refuse(f"{letter}{value[:20]} is not a code of any firmware")
        name = letter + value
        if letter == "T" and sub is not None:
            self._refuse("a tool number is a whole number")
        if sub is not None and sub.strip("0"):
            name = f"{name}.{sub.lstrip('0')}"
        if name not in _STOPS and name.startswith(_STOPS):
            self._refuse(f"some firmwares would read {name[:4]}", match.start())
        return name

    def _coded(self, code: str, end: int) -> Line:
        if code.partition(".")[0] == "M110":
            self._refuse(_LINE_NUMBERS)
        found = codes.lookup(code, self._family)
        row = found or _NOWHERE
        number = int(code[1:].partition(".")[0])
        if found is None and number > self._syntax.highest:
            self._refuse(f"{code} would be read as another code by this firmware")
        if "." in code and row.argument is not Argument.LETTERS:
            self._refuse(f"{code} takes no text in some firmwares")
        if row.argument in _TEXTS:
            return self._with_text(code, row, end)
        if row.argument is Argument.WAIT:
            return self._pause(code, row, end)
        self._at = end
        return self._with_letters(code, row)

    # Letters with numbers

    def _with_letters(self, code: str, row: Code) -> Line:
        text = self._cut_comment(self._text)
        pairs: list[tuple[str, str]] = []
        quoted: list[tuple[str, str]] = []
        words = [code]
        changed = ""
        values: dict[str, float | None] = {}
        while self._at < len(text):
            letter, number, content = self._word(text, code, row)
            if letter in values or any(letter == other for other, _ in quoted):
                self._refuse(f"{code} must have each letter once")
            if content is None:
                pairs.append((letter, number))
                first = number.partition(":")[0]
                values[letter] = float(first) if first else None
                words.append(letter + number)
            else:
                sent = texts.in_quotes(content, row, self._syntax)
                changed = changed or (content if content != sent else "")
                quoted.append((letter, sent))
                words.append(letter + texts.quoted(sent))
        return Line(
            code,
            " ".join(words),
            row,
            values,
            tuple(pairs),
            tuple(quoted),
            changed=changed,
        )

    def _word(self, text: str, code: str, row: Code) -> tuple[str, str, str | None]:
        match = _PAIR.match(text, self._at)
        if match is None:
            self._at += len(text[self._at :]) - len(text[self._at :].lstrip())
            self._refuse(self._problem_of_word(text))
        letter = match["letter"].upper()
        self._check_letter(match, code, row)
        self._at = match.end()
        number = match["number"] or ""
        if not number and text[self._at :].lstrip()[:1] == '"':
            self._at = text.index('"', self._at)
            return letter, "", self._quoted(text, letter, row)
        if not number:
            return letter, "", None
        number = self._decimal(number, match.start("number"))
        return letter, number + self._more_numbers(text, row), None

    def _check_letter(self, match: re.Match[str], code: str, row: Code) -> None:
        letter, end = match["letter"].upper(), match.end("letter")
        if letter in "GMN" or letter == code[0]:
            self._refuse(
                "must have only one code per line, and no line number",
                match.start("letter"),
            )
        if row.heats and (spelled := _EXPONENT.match(match.string, end)):
            self._refuse(
                f"{spelled[0]} is ambiguous: some firmwares read one number, others "
                "two parameters; write the temperature without an exponent, or put a "
                "blank before E",
                end,
            )

    def _more_numbers(self, text: str, row: Code) -> str:
        """Return the further numbers of a list, ``:420:420``, as they are sent."""
        numbers = ""
        moves = row.moves is not Moves.NO and row.name[0] == "G"
        if not self._syntax.lists or moves or (row.heats and not row.lists):
            return numbers
        while more := _MORE.match(text, self._at):
            numbers += ":" + self._decimal(more[1], more.start(1))
            self._at = more.end()
        return numbers

    def _problem_of_word(self, text: str) -> str:
        if text[self._at] == "*":
            return 'must not contain "*", because it begins the checksum'
        return "expected a letter with a decimal number"

    def _quoted(self, text: str, letter: str, row: Code) -> str:
        match = _QUOTE.match(text, self._at)
        takes = self._syntax.quotes or letter in row.quoted
        heats = any(letter == key for key, _ in row.heats)
        if match is None or not takes or row.is_move or heats:
            self._refuse(f"{letter} takes no text here")
        content = match[1].replace('""', '"').replace("''", "'")
        self._check_signs(content, match.start(1))
        self._at = match.end()
        return content

    def _decimal(self, number: str, at: int) -> str:
        if len(number) > _LONGEST_NUMBER:
            self._refuse("a number has too many digits", at)
        sign = "-" if number[0] == "-" else ""
        whole, point, rest = number.lstrip("+-").partition(".")
        digits = whole.lstrip("0") or "0"
        if rest:
            digits += point + rest
        return sign + digits if digits.strip("0.") else digits

    # Texts

    def _with_text(self, code: str, row: Code, end: int) -> Line:
        text = self._text[end:]
        given = text.strip()
        at = end + len(text) - len(text.lstrip())
        if row.argument in {Argument.DISPLAY, Argument.ECHO}:
            return self._display(code, row, given, at)
        given = self._cut_comment(given)
        if self._syntax.quotes and len(given) > 1 and given[0] == given[-1] == '"':
            given = given[1:-1].replace('""', '"').replace("''", "'")
        self._check_signs(given, at)
        if not given.isascii():
            wrong = next(i for i, sign in enumerate(given) if not sign.isascii())
            self._refuse(
                "a line must be printable ASCII without line breaks", at + wrong
            )
        sent = texts.quiet(given, self._syntax)
        return self._line_of_text(code, row, given, sent, "")

    def _display(self, code: str, row: Code, given: str, at: int) -> Line:
        if self._syntax.quotes and len(given) > 1 and given[0] == given[-1] == '"':
            given = given[1:-1].replace('""', '"')
        sent = texts.harmless(given, self._syntax)
        if not sent.isprintable():
            self._refuse("a line must be printable ASCII without line breaks", at)
        return self._line_of_text(code, row, given, sent, "")

    def _line_of_text(
        self, code: str, row: Code, given: str, sent: str, options: str
    ) -> Line:
        written = texts.quoted(sent) if self._syntax.quotes and sent else sent
        return Line(
            code,
            f"{code}{options} {written}" if written else code + options,
            argument=sent,
            changed=given if given != sent else "",
            row=row,
        )

    def _pause(self, code: str, row: Code, end: int) -> Line:
        pairs: list[tuple[str, str]] = []
        while match := _OPTIONS.match(self._text, end):
            letter = match[1].upper()
            if letter in dict(pairs):
                self._refuse(f"{code} must have each letter once", match.start(1))
            pairs.append((letter, self._decimal(match[2], match.start(2))))
            end = match.end()
        options = "".join(f" {letter}{number}" for letter, number in pairs)
        given = self._text[end:].strip()
        sent = texts.harmless(given, self._syntax)
        if not sent.isprintable():
            self._refuse("a line must be printable ASCII without line breaks", end)
        line = self._line_of_text(code, row, given, sent, options)
        values = {letter: float(number) for letter, number in pairs}
        return line._replace(given=tuple(pairs), values=values)

    def _check_signs(self, text: str, at: int) -> None:
        for sign in ";*":
            if sign in text:
                self._refuse(f'must not contain "{sign}"', at + text.index(sign))
        if not text.isprintable():
            self._refuse("a line must be printable ASCII without line breaks", at)

    # Extended commands

    def _extended(self) -> Line:
        match = _NAME.match(self._text, self._at)
        if match is None or not self._is_name(match[0]):
            self._refuse(self._problem_of_beginning())
        code = match[0].upper()
        row = codes.lookup(code, self._family) or _NOWHERE
        pairs: dict[str, str] = {}
        written = [code]
        changed = ""
        self._at = match.end()
        while pair := self._next_pair(code):
            key, given, value = self._named(pair, row)
            if key in pairs:
                self._refuse(f"{code} must have each name once", pair.start("key"))
            pairs[key] = value
            written.append(f'{key}="{value}"' if " " in value else f"{key}={value}")
            changed = changed if value == given else given
            self._at = pair.end()
        return Line(
            code,
            " ".join(written),
            row,
            {
                key: float(value)
                for key, value in pairs.items()
                if _DECIMAL.fullmatch(value)
            },
            tuple(pairs.items()),
            changed=changed,
        )

    def _is_name(self, name: str) -> bool:
        return self._syntax.names and len(name) > 1 and not name[1:].isdigit()

    def _next_pair(self, code: str) -> re.Match[str] | None:
        """Return the next name and value; ``None``: the line ends, or a comment begins.

        Raises:
            LineError: There is something else.

        """
        pair = _NAMED.match(self._text, self._at)
        rest = self._text[self._at :]
        if pair is None and rest.lstrip()[:1] not in {"", ";"}:
            self._at += len(rest) - len(rest.lstrip())
            self._refuse(f"expected NAME=VALUE after {code}")
        return pair

    def _named(self, pair: re.Match[str], row: Code) -> tuple[str, str, str]:
        """Return a name, its value as it was given, and as it is sent."""
        key = pair["key"].upper()
        group = "bare" if pair["quoted"] is None else "quoted"
        given, at = pair[group], pair.start(group)
        value = given
        if key in dict(row.heats):
            if not _DECIMAL.fullmatch(value):
                self._refuse(f"{key} must be a number", at)
            value = self._decimal(value, at)
        if key == "MSG":
            value = texts.harmless(value, self._syntax)
        for index, sign in enumerate(value):
            if sign in _SHELL or not " " <= sign <= "~":
                self._refuse(f"{key} must not contain {quoted(sign)}", at + index)
        return key, given, value

    @staticmethod
    def _cut_comment(text: str) -> str:
        if ";" not in text:
            return text
        return _QUOTE_OR_COMMENT.sub(_without_comment, text).rstrip()

    def _problem_of_beginning(self) -> str:
        rest = self._text[self._at :]
        if not rest or rest[0] == ";":
            return "has no G-code"
        if _NUMBERED.match(rest):
            return _LINE_NUMBERS
        if _CONTINUED.match(rest):
            return (
                "must begin with its code: some firmwares repeat the last move for it, "
                "and the bridge could not check its limits"
            )
        if not rest[0].isascii() or not (rest[0].isalpha() or rest[0] == "_"):
            return "must begin with a letter"
        if self._syntax.names:
            return "expected a code such as G28, or a name with digits only at its end"
        return (
            "expected a code such as G28: only Klipper has commands with names "
            "(serial.firmware)"
        )
