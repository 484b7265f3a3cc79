"""G-code as it is: one line, several, or a script."""

import re
from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from bridge.commands import gcode_lines as lines
from bridge.commands.base import Command, Context, Program, Tier
from bridge.commands.offsets import with_offsets
from bridge.commands.scripts import printer_profile
from bridge.errors import RejectedError
from bridge.gcode.words import format_number

_MOST_LINES = 1000

_Text = Annotated[str, Field(min_length=1, max_length=500)]
_Values = Annotated[dict[str, object], Field(max_length=100)]


class _Raw(Command):
    topic: ClassVar[str] = "command"
    tier: ClassVar[Tier] = "raw"


def _line(
    text: str, parameters: Mapping[str, object], context: Context, where: str
) -> str:
    line = lines.clean(substituted(text, parameters, where), context, where)
    if not line:
        raise RejectedError.invalid(
            f"{where}: has no G-code, and firmwares do not answer an empty line"
        )
    return line


class RawCommand(_Raw):
    """Send one line of G-code."""

    name: ClassVar[str] = "command"
    examples: ClassVar[tuple[Mapping[str, object], ...]] = (
        {"command": "M106"},
        {"command": "M117 %(text)s", "parameters": {"text": "Hello"}},
    )

    command: _Text
    """The line; a comment is cut off, `g28` becomes `G28`."""
    parameters: _Values = Field(default_factory=dict)
    """What `%(name)s` and `{name}` in the line stand for: texts and numbers."""

    def program(self, context: Context, /) -> Program:
        """Return the line."""
        line = _line(self.command, self.parameters, context, "command")
        return lines.hastened(lines.program([line]), context)


class RawCommands(_Raw):
    """Send several lines of G-code, one after the other."""

    name: ClassVar[str] = "commands"
    examples: ClassVar[tuple[Mapping[str, object], ...]] = (
        {"commands": ["M18", "M106 S0"]},
        {
            "commands": ["M104 S{hot}", "M140 S{bed}"],
            "parameters": {"hot": 215, "bed": 60},
        },
    )

    commands: Annotated[
        tuple[_Text, ...], Field(min_length=1, max_length=_MOST_LINES, strict=False)
    ]
    """The lines; an `M112` among them stops the machine at once, alone."""
    parameters: _Values = Field(default_factory=dict)
    """What `%(name)s` and `{name}` in the lines stand for: texts and numbers."""

    def program(self, context: Context, /) -> Program:
        """Return the lines."""
        clean = [
            _line(text, self.parameters, context, f"commands[{index}]")
            for index, text in enumerate(self.commands)
        ]
        return lines.hastened(lines.program(clean), context)


class RawScript(_Raw):
    """Run a script of the printer's configuration or scripts folder."""

    name: ClassVar[str] = "script"
    examples: ClassVar[tuple[Mapping[str, object], ...]] = (
        {"script": "preheat", "parameters": {"bed": 60}, "context": {}},
    )

    script: Annotated[str, Field(min_length=1, max_length=100)]
    """Its name."""
    parameters: _Values = Field(default_factory=dict)
    """The template's `parameters`."""
    context: _Values = Field(default_factory=dict)
    """The template's `context`."""

    def program(self, context: Context, /) -> Program:
        """Return the script's lines."""
        values = {"parameters": self.parameters, "context": self.context}
        return lines.program(script_lines(self.script, context, values))


def script_lines(
    name: str, context: Context, variables: Mapping[str, object]
) -> tuple[str, ...]:
    """Return a script's lines as they are sent.

    Args:
        name: the script's.
        context: of the printer; its ``variables`` and profile can be read too.
        variables: more that the script may read.

    Raises:
        RejectedError: There is no such script (404), it cannot be rendered, or one of
            its lines cannot be sent.

    """
    if context.scripts is None:
        raise RejectedError(
            f'script: there is no script "{name}", as none is configured',
            error="unknown_script",
            code=404,
        )
    known = {
        **context.variables(),
        "printer_profile": printer_profile(context.profile),
        **variables,
    }
    where = f"script {name}"
    rendered = context.scripts.render(name, known)
    return with_offsets(
        [lines.clean(line, context, where) for line in rendered], context, where
    )


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


COMMANDS = (RawCommand, RawCommands, RawScript)
