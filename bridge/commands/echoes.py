"""Texts that a firmware says back, and that must not pass for words of its own."""

import re

from bridge.gcode import replies
from bridge.gcode.dialects import Dialect

_OF_THE_CONVERSATION = (
    replies.Ok,
    replies.Resend,
    replies.TransferError,
    replies.Wait,
    replies.Started,
    replies.Fatal,
    replies.Readiness,
)
_ECHO = re.compile(r"M0*118(?:\.\d+)?(?P<rest>.*)", re.ASCII)
_OPTIONS = re.compile(r"\s*(?P<options>(?:[AEP]\s?\d+\s*)*)(?P<text>.*)", re.ASCII)
_QUOTED = re.compile(r'S\s*"(?P<text>[^"]*)"')
_PREFIXES = {"A1": "//", "E1": "echo:"}


def problem(line: str, dialect: Dialect) -> str | None:
    """Return why a clean line must not be sent: its echo could not be told apart.

    A lone ``start`` is a reset, whoever had it said; nothing tells the one from the
    other, and a reset must not be missed.
    """
    found = _ECHO.fullmatch(line)
    for echo in _echoes(found["rest"]) if found else ():
        said = replies.parse(echo, dialect)
        if any(isinstance(reply, _OF_THE_CONVERSATION) for reply in said):
            return (
                f"must not have the printer say {echo.strip()!r}: it could not be told "
                "from the printer's own word; put another word before it"
            )
    return None


def _echoes(rest: str) -> list[str]:
    """Return what the printer may say: each firmware has options of its own."""
    echoes = [rest, *(quoted["text"] for quoted in _QUOTED.finditer(rest))]
    for match in _OPTIONS.finditer(rest):
        options = match["options"].replace(" ", "")
        prefix = "".join(_PREFIXES[key] for key in _PREFIXES if key in options)
        echoes.append(prefix + match["text"])
    return echoes
