"""Parameters in raw lines: ``%(name)s`` and ``{name}``, and no reach into Python."""

import re
from collections.abc import Mapping

from bridge.errors import RejectedError
from bridge.gcode.words import format_number

_TOKEN = re.compile(
    r"""
    (?P<literal> %% | \{\{ | \}\} )
    | %\( (?P<name> [^()]* ) \) (?P<format> [-+0\ #]* \d* (?:\.\d*)? [a-zA-Z] )
    | \{ (?P<brace> [^{}:]* ) (?: : (?P<spec> [^{}]* ) )? \}
    | (?P<stray> [{}] | %\( )
    """,
    re.VERBOSE | re.ASCII,
)
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_SPEC = re.compile(
    r"[-+0 ]*\d{0,2}(?P<precision>\.\d{1,2})?(?P<kind>[sdif]?)", re.ASCII
)


def substituted(text: str, parameters: Mapping[str, object], where: str) -> str:
    """Return a line with its placeholders filled in.

    Only where there are parameters at all is the text looked at; then ``%%``, ``{{``
    and ``}}`` stand for ``%``, ``{`` and ``}``. A placeholder may say how a number is
    written: ``%(x)d``, ``%(x).2f``, ``{x:.2f}``.

    Raises:
        RejectedError: A parameter is missing or is neither a text nor a number, or a
            placeholder is none of the above.

    """
    if not parameters:
        return text

    def filled(match: re.Match[str]) -> str:
        if match["literal"]:
            return match["literal"][0]
        if match["stray"]:
            raise RejectedError.invalid(
                f'{where}: a single "{match[0]}" is no placeholder such as {{name}} or '
                "%(name)s; double it where it is meant"
            )
        name, spec = match["name"], match["format"]
        if name is None:
            name, spec = match["brace"], match["spec"] or "s"
        return _formatted(
            _value(name.strip(), parameters, where), spec, match[0], where
        )

    return _TOKEN.sub(filled, text)


def _value(
    name: str, parameters: Mapping[str, object], where: str
) -> str | int | float:
    if not _NAME.fullmatch(name):
        raise RejectedError.invalid(
            f'{where}: "{name[:40]}" is not the name of a parameter'
        )
    if name not in parameters:
        known = ", ".join(sorted(parameters)[:20])
        raise RejectedError.invalid(
            f"{where}: the parameter {name} is missing; given are {known[:200]}"
        )
    value = parameters[name]
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise RejectedError.invalid(f"parameters.{name}: must be a text or a number")
    return value


def _formatted(value: str | float, spec: str, placeholder: str, where: str) -> str:
    match = _SPEC.fullmatch(spec)
    if match is None or (match["kind"] in {"d", "i", "f"} and isinstance(value, str)):
        raise RejectedError.invalid(
            f"{where}: {placeholder} must end in s, or for a number in d or f"
        )
    if match["kind"] in {"d", "i", "f"}:
        return f"%{spec}" % value
    if not isinstance(value, str):
        if match["precision"]:
            raise RejectedError.invalid(f"{where}: {placeholder} must end in f")
        value = str(value) if isinstance(value, int) else format_number(value)
    return f"%{spec.removesuffix('s')}s" % value
