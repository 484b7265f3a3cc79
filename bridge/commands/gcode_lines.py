"""Checks lines of G-code that a user or a script wrote, and makes programs of them."""

import re
from collections.abc import Iterable, Mapping, Sequence

from bridge.commands.base import Context, Program
from bridge.errors import RejectedError, quoted
from bridge.gcode import framing
from bridge.gcode import reply_types as replies
from bridge.gcode.codes import STOP, Argument
from bridge.gcode.dialects import Dialect
from bridge.gcode.line import Line, parse
from bridge.gcode.reply_parser import parse_reply

# M112 as firmwares may read it: behind a line number, with blanks and leading zeros.
_SPELLED_STOP = re.compile(
    r"\s*(?:N\s*\d+\s*)?M\s*0*112(?!\d)", re.ASCII | re.IGNORECASE
)

_OTHER_AXES = frozenset("ABCUVW")

_SHOWN_WARNINGS = 3
"""Warnings of one command that are shown; a thousand lines may have one each."""


def is_stop(text: str) -> bool:
    """Return whether a line is an emergency stop, whatever follows the code.

    A stop is never refused for how it is written: firmwares do not look at the rest.
    """
    return _SPELLED_STOP.match(text) is not None


def clean(text: str, context: Context, where: str) -> Line:
    """Return a line as it is sent: in the form that its firmware reads as its value.

    Raises:
        RejectedError: It is not one line of G-code with one command; its echo would
            look like a reply; or it is a code that the operator has not allowed
            (``blocked``, ``unknown_code``).

    """
    if "112" in text and is_stop(text):
        return parse(STOP, context.dialect.name)
    try:
        line = parse(text, context.dialect.name)
    except ValueError as error:
        raise RejectedError.invalid(f"{where}: {error}") from None
    check(line, context, where)
    return line


def check(
    line: Line, context: Context, where: str, *, longest: int = framing.MAX_COMMAND
) -> None:
    """Refuse a line that must not be sent, whatever the printer's limits are.

    Args:
        line: the line.
        context: the printer's.
        where: what the message begins with.
        longest: bytes that it must stay below. That of the dialect, which may be more,
            is for lines that are sent when the firmware is known for sure.

    Raises:
        RejectedError: It is too long; its echo would look like a reply; or it is a code
            that the operator has not allowed (``blocked``, ``unknown_code``).

    """
    try:
        framing.check(
            line.text,
            numbered=context.dialect.numbered,
            longest=longest,
        )
    except ValueError as error:
        raise RejectedError.invalid(f"{where}: {error}") from None
    _refuse_dangerous(line, context, where)
    if problem := _problem_of_echo(line, context.dialect):
        raise RejectedError.invalid(f"{where}: {problem}")


def is_empty(text: str) -> bool:
    """Return whether a line has only blanks or a comment."""
    return text.lstrip()[:1] in {"", ";"}


def program(lines: Sequence[Line], context: Context) -> Program:
    """Return the program of clean lines; an emergency stop is sent alone.

    It is urgent if an emergency parser acts on all its lines.
    """
    if any(line.row.emergency for line in lines):
        return Program((STOP,), emergency=True)
    return Program(
        tuple(line.text for line in lines),
        urgent=_is_urgent(lines, context),
        warnings=warnings(lines, context),
    )


def warnings(lines: Iterable[Line], context: Context) -> tuple[str, ...]:
    """Return what the sender of these lines should know: changed texts, unknown codes.

    Each unknown code is named once; of many warnings only the first are returned.
    """
    found: dict[str, None] = {}
    for line in lines:
        row = line.row
        if row.is_move:
            if not _OTHER_AXES.isdisjoint(line.values):
                axes = ", ".join(sorted(_OTHER_AXES.intersection(line.values)))
                found[f"no limit covers the axes that are not X, Y, Z, E: {axes}"] = (
                    None
                )
            continue
        if line.changed:
            found[f"the text was sent as {quoted(line.argument or line.text)}"] = None
        if not line.is_known and line.code not in context.allowed:
            found[
                f"{line.code} is not in the table of codes of "
                f"{context.dialect.name}, so no limit covers it"
            ] = None
        elif (
            row.uncovered
            and line.code not in context.allowed
            and not (row.harmless and row.harmless.issuperset(line.values))
        ):
            found[f"{line.code} moves or runs what no limit covers"] = None
    if len(found) > _SHOWN_WARNINGS:
        more = len(found) - _SHOWN_WARNINGS
        return (*list(found)[:_SHOWN_WARNINGS], f"and {more} more of this kind")
    return tuple(found)


def _is_urgent(lines: Sequence[Line], context: Context) -> bool:
    if "EMERGENCY_PARSER" not in context.capabilities or not lines:
        return False
    return all(line.row.urgent for line in lines)


def _refuse_dangerous(line: Line, context: Context, where: str) -> None:
    """Refuse a code that the operator has to allow.

    Raises:
        RejectedError: ``blocked`` (403) or ``unknown_code`` (400).

    """
    if line.code in context.allowed:
        return
    row = line.row
    if row.refused and not (
        row.harmless is not None
        and row.harmless.issuperset(line.values)
        and row.harmless.issuperset(letter for letter, _ in line.quoted)
    ):
        raise RejectedError.forbidden(
            f"{where}: {line.code} {row.refused} (printers.allowed permits it)"
        )
    if context.unknown_codes == "refuse" and not line.is_known:
        raise RejectedError.invalid(
            f"{where}: {line.code} is not in the table of codes of "
            f"{context.dialect.name} (printers.unknown_codes, printers.allowed)",
            error="unknown_code",
        )


# Replies by which a firmware acknowledges, requests or stops something: an echo must
# not look like one of them.
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
# M118: A1 sends the text behind "//", E1 behind "echo:", and P chooses the serial port
# (https://marlinfw.org/docs/gcode/M118.html). RepRapFirmware has S"text" instead
# (https://docs.duet3d.com/User_manual/Reference/Gcodes).
_OPTIONS = re.compile(r"\s*(?P<options>(?:[AEP]\s?\d+\s*)*)(?P<text>.*)", re.ASCII)
_QUOTED_TEXT = re.compile(r'S\s*"(?P<text>[^"]*)"')
_PREFIXES = {"A1": "//", "E1": "echo:"}
# RESPOND: what each TYPE puts before the text
# (https://www.klipper3d.org/G-Codes.html#respond).
_TYPES = {"echo": "echo: ", "echo_no_space": "echo:", "command": "// ", "error": "!! "}
_DEFAULTS = ("", "// ")
"""Prefixes without ``TYPE``: Klipper's ``[respond]`` section configures them
(https://www.klipper3d.org/Config_Reference.html#respond)."""


def _problem_of_echo(line: Line, dialect: Dialect) -> str | None:
    """Return why a line must not be sent: its echo would look like a reply.

    An echoed ``start``, for example, cannot be distinguished from the ``start`` after a
    reset, and a reset must not be missed.
    """
    if not (line.quoted or line.argument or line.code == dialect.respond):
        return None
    for echo in _echoes(line, dialect):
        said = parse_reply(echo, dialect)
        if any(isinstance(reply, _OF_THE_CONVERSATION) for reply in said):
            return (
                f"must not make the printer print {quoted(echo.strip())}: it could not "
                "be distinguished from a reply; put another word before it"
            )
    return None


def _echoes(line: Line, dialect: Dialect) -> list[str]:
    """Return what the printer may print for a line; the options differ by firmware."""
    if line.row.argument is Argument.ECHO:
        return _of_text(line.argument)
    if dialect.respond and line.code == dialect.respond:
        return _of_parameters(dict(line.parameters))
    return [text for _, text in line.quoted]


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
