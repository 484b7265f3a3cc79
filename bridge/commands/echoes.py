"""Texts that a firmware says back, and that must not pass for words of its own."""

import re
import shlex
from collections.abc import Mapping

from bridge.gcode import reply_types as replies
from bridge.gcode import words
from bridge.gcode.dialects import Dialect
from bridge.gcode.reply_parser import parse_reply

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
_QUOTED = re.compile(r'S\s*"(?P<text>[^"]*)"')
_PREFIXES = {"A1": "//", "E1": "echo:"}
_TYPES = {"echo": "echo: ", "echo_no_space": "echo:", "command": "// ", "error": "!! "}
_DEFAULTS = ("", "// ")
"""What the printer's owner may have chosen to have before a text, if it matters."""


def problem(line: str, dialect: Dialect) -> str | None:
    """Return why a clean line must not be sent: its echo could not be told apart.

    A lone ``start`` is a reset, whoever had it said; nothing tells the one from the
    other, and a reset must not be missed.
    """
    for echo in _echoes(line, dialect):
        said = parse_reply(echo, dialect)
        if any(isinstance(reply, _OF_THE_CONVERSATION) for reply in said):
            return (
                f"must not have the printer say {echo.strip()!r}: it could not be told "
                "from the printer's own word; put another word before it"
            )
    return None


def _echoes(line: str, dialect: Dialect) -> list[str]:
    """Return what the printer may say: each firmware has options of its own."""
    if found := _ECHO.fullmatch(line):
        return _of_text(found["rest"])
    if dialect.respond and words.parse(line).code == dialect.respond:
        return _of_parameters(_parameters(line[len(dialect.respond) :]))
    return []


def _of_text(rest: str) -> list[str]:
    echoes = [rest, *(quoted["text"] for quoted in _QUOTED.finditer(rest))]
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
    """Return the parameters of a macro, quoted as in a shell; if broken, none."""
    lexer = shlex.shlex(rest, posix=True)
    lexer.whitespace_split = True
    lexer.commenters = "#;"
    try:
        pairs = [item.partition("=") for item in lexer]
    except ValueError:
        return {}
    return {name.upper(): value for name, _, value in pairs}
