"""Checks and normalises a line of G-code that a user or a script wrote."""

import re
import shlex
from collections.abc import Mapping, Sequence

from bridge.commands.base import Context, Program
from bridge.errors import RejectedError
from bridge.gcode import framing, words
from bridge.gcode import reply_types as replies
from bridge.gcode.dialects import Dialect
from bridge.gcode.reply_parser import parse_reply

_EMERGENCY = "M112"
_URGENT = {"M108", "M410", "M876"}

HEATING = frozenset(
    {
        *("M104", "M109", "M140", "M141", "M145", "M190", "M191"),
        *("M303", "M568", "G10"),
    }
)
"""Codes that set target temperatures."""

_CODE = re.compile(r"([GMT])\s*(\d+(?:\.\d+)?)", re.ASCII | re.IGNORECASE)
_PAIR = re.compile(
    r"\s*([A-Z])\s*([-+]?(?:\d+\.?\d*|\.\d+))?", re.ASCII | re.IGNORECASE
)
_NUMBERED = re.compile(r"N\s*-?\d", re.ASCII | re.IGNORECASE)
_SECOND_CODE = re.compile(r"(?<![A-Z])[GM]\s*\d", re.ASCII | re.IGNORECASE)
_LETTER = re.compile(r"[A-Z_]", re.ASCII | re.IGNORECASE)
_CONTINUED = re.compile(r"[A-CE-FI-KP-RU-Z]\s*[-+]?\.?\d", re.ASCII | re.IGNORECASE)
_QUOTED = re.compile(r'"[^"]*"')
_EXPONENT = re.compile(r"[-+]?[\d.]+E[-+]?\d+", re.ASCII | re.IGNORECASE)


def pairs(line: str) -> list[tuple[str, str]] | None:
    """Return the parameters of a line that consists of letters with numbers only.

    ``G1 X10 Y`` gives ``[("X", "10"), ("Y", "")]``. A line with texts, expressions or
    names, and one that is not a G, M or T code, gives ``None``.
    """
    code = _CODE.match(line)
    if code is None or _takes_text(line):
        return None
    rest = line[code.end() :].rstrip()
    found: list[tuple[str, str]] = []
    at = 0
    while at < len(rest):
        match = _PAIR.match(rest, at)
        if match is None:
            return None
        found.append((match[1].upper(), match[2] or ""))
        at = match.end()
    return found


def clean(text: str, context: Context, where: str) -> str:
    """Return a line as it is sent, or ``""`` if it has only blanks or a comment.

    Comments are removed. Codes are written in upper case with one blank between their
    parameters, so that every firmware reads what was checked (``S0x1F4`` is 0 for one
    and 500 for another). Texts, quoted parameters and macros are not changed.

    Raises:
        RejectedError: It cannot be sent as one line, or has more than one code, a line
            number or a checksum.

    """
    bare = words.strip_comment(text)
    line = _tidied(bare)
    problem = _problem_of_target(bare) or _problem(line, context) if line else None
    if problem:
        raise RejectedError.invalid(f"{where}: {problem}")
    return line


def program(lines: Sequence[str]) -> Program:
    """Return the program of clean lines; an emergency stop is sent alone."""
    codes = {words.parse(line).code for line in lines}
    if _EMERGENCY in codes:
        return Program((_EMERGENCY,), emergency=True)
    return Program(tuple(lines))


def hastened(program_: Program, context: Context) -> Program:
    """Return the program, urgent if an emergency parser acts on its lines."""
    codes = {words.parse(line).code for line in program_.lines}
    if "EMERGENCY_PARSER" in context.capabilities and codes and codes <= _URGENT:
        return Program(program_.lines, urgent=True)
    return program_


def _takes_text(line: str) -> bool:
    code = _CODE.match(line)
    return code is not None and not words.parse(f"{code[0]} X1").values


def _tidied(line: str) -> str:
    code = _CODE.match(line)
    if code is None:
        return line
    name = f"{code[1].upper()}{code[2]}"
    parameters = pairs(line)
    if parameters is None:
        return name + line[code.end() :]
    return " ".join([name, *(letter + number for letter, number in parameters)])


def _problem(line: str, context: Context) -> str | None:
    if _NUMBERED.match(line) or words.parse(line).code == "M110":
        return "must not have line numbers (N, M110), because the bridge adds them"
    if context.dialect.numbered and "*" in line:
        return "must not contain '*', because it begins the checksum"
    problem = _problem_of_beginning(line) or _problem_of_echo(line, context.dialect)
    if problem:
        return problem
    if _has_second_code(line):
        return f"must have only one code per line: {_shown(line)}"
    try:
        framing.check(line, numbered=context.dialect.numbered)
    except ValueError as error:
        return str(error)
    return None


def _has_second_code(line: str) -> bool:
    rest = _QUOTED.sub("", line)[1:]
    if not _CODE.match(line) or _takes_text(line):
        return False
    return _SECOND_CODE.search(rest) is not None


def _problem_of_target(line: str) -> str | None:
    found = _EXPONENT.search(line) if words.parse(line).code in HEATING else None
    if found is None:
        return None
    return (
        f"{found[0]} is ambiguous: some firmwares read one number, others two "
        "parameters; write the temperature without an exponent, or put a blank before E"
    )


def _problem_of_beginning(line: str) -> str | None:
    if not _LETTER.match(line):
        return f"must begin with a letter: {_shown(line)}"
    if _CONTINUED.match(line):
        return (
            f"must begin with its code: some firmwares repeat the last move for "
            f"{_shown(line)}, and the bridge could not check its limits"
        )
    return None


def _shown(line: str) -> str:
    return repr(line[:60])


_OF_THE_CONVERSATION = (
    replies.Ok,
    replies.Resend,
    replies.TransferError,
    replies.Wait,
    replies.Started,
    replies.Fatal,
    replies.HeaterFault,
    replies.Readiness,
)
_ECHO = re.compile(r"M0*118(?:\.\d+)?(?P<rest>.*)", re.ASCII)
_OPTIONS = re.compile(r"\s*(?P<options>(?:[AEP]\s?\d+\s*)*)(?P<text>.*)", re.ASCII)
_QUOTED_TEXT = re.compile(r'S\s*"(?P<text>[^"]*)"')
_PREFIXES = {"A1": "//", "E1": "echo:"}
_TYPES = {"echo": "echo: ", "echo_no_space": "echo:", "command": "// ", "error": "!! "}
_DEFAULTS = ("", "// ")
"""Prefixes that Klipper's ``[respond]`` section may be configured to put before a
text."""


def _problem_of_echo(line: str, dialect: Dialect) -> str | None:
    """Return why a clean line must not be sent: its echo would look like a reply.

    An echoed ``start``, for example, cannot be distinguished from the ``start`` after a
    reset, and a reset must not be missed.
    """
    for echo in _echoes(line, dialect):
        said = parse_reply(echo, dialect)
        if any(isinstance(reply, _OF_THE_CONVERSATION) for reply in said):
            return (
                f"must not make the printer print {echo.strip()!r}: it could not be "
                "distinguished from a reply; put another word before it"
            )
    return None


def _echoes(line: str, dialect: Dialect) -> list[str]:
    """Return what the printer may print for a line; the options differ by firmware."""
    if found := _ECHO.fullmatch(line):
        return _of_text(found["rest"])
    if dialect.respond and words.parse(line).code == dialect.respond:
        return _of_parameters(_parameters(line[len(dialect.respond) :]))
    return []


def _of_text(rest: str) -> list[str]:
    echoes = [rest, *(quoted["text"] for quoted in _QUOTED_TEXT.finditer(rest))]
    for match in _OPTIONS.finditer(rest):
        options = match["options"].replace(" ", "")
        prefix = "".join(_PREFIXES[key] for key in _PREFIXES if key in options)
        echoes.append(prefix + match["text"])
    return echoes


def _of_parameters(given: Mapping[str, str]) -> list[str]:
    text = given.get("MSG", "")
    if "PREFIX" in given:
        return [f"{given['PREFIX']} {text}"]
    if "TYPE" in given:
        return [_TYPES.get(given["TYPE"].lower(), "") + text]
    return [prefix + text for prefix in _DEFAULTS]


def _parameters(rest: str) -> Mapping[str, str]:
    """Return a macro's parameters, quoted as in a shell; none if invalid."""
    lexer = shlex.shlex(rest, posix=True)
    lexer.whitespace_split = True
    lexer.commenters = "#;"
    try:
        pairs = [item.partition("=") for item in lexer]
    except ValueError:
        return {}
    return {name.upper(): value for name, _, value in pairs}
