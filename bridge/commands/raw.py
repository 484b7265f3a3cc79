"""Raw G-code: one line, several lines, or a script."""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from bridge.commands import gcode_lines as lines
from bridge.commands.base import (
    BETWEEN,
    Command,
    Context,
    Program,
    Steps,
    Tier,
    completed,
)
from bridge.commands.heaters import with_offsets
from bridge.commands.scripts import printer_profile
from bridge.errors import RejectedError
from bridge.gcode.codes import STOP, Moves, PrintAction, Sets
from bridge.gcode.line import Line, format_number

_MOST_LINES = 1000

_Text = Annotated[str, Field(min_length=1, max_length=500)]
_Values = Annotated[dict[str, object], Field(max_length=100)]


class _Raw(Command):
    topic: ClassVar[str] = "command"
    tier: ClassVar[Tier] = "raw"


def _line(
    text: str, parameters: Mapping[str, object], context: Context, where: str
) -> Line:
    return lines.clean(_filled(text, parameters, where), context, where)


def _filled(text: str, parameters: Mapping[str, object], where: str) -> str:
    """Return a line with its parameters; of a stop, the code is enough.

    Raises:
        RejectedError: The parameters do not fit it.

    """
    try:
        return substituted(text, parameters, where)
    except RejectedError:
        if "112" in text and lines.is_stop(text):
            return STOP
        raise


def _is_stop(text: str, parameters: Mapping[str, object]) -> bool:
    """Return whether a line is the emergency stop, as firmwares spell it."""
    if parameters and ("{" in text or "%" in text):
        try:
            text = _filled(text, parameters, "")
        except RejectedError:
            return False
    # A thousand lines are searched for the digits before any of them is parsed.
    return "112" in text and lines.is_stop(text)


class RawCommand(_Raw):
    """Send a line of G-code."""

    name: ClassVar[str] = "command"
    examples: ClassVar[tuple[Mapping[str, object], ...]] = (
        {"command": "M106"},
        {"command": "M117 %(text)s", "parameters": {"text": "Hello"}},
    )

    command: _Text
    """The line. Comments are removed, and `g28x` becomes `G28 X`."""
    parameters: _Values = Field(default_factory=dict)
    """Texts and numbers that replace `%(name)s` and `{name}` in the line."""

    @property
    def stops(self) -> bool:
        """The line is ``M112``."""
        return _is_stop(self.command, self.parameters)

    def program(self, context: Context, /) -> Program:
        """Return the line."""
        line = _line(self.command, self.parameters, context, "command")
        return lines.program([line], context)


class RawCommands(_Raw):
    """Send several lines of G-code, one after another."""

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
    """The lines. If one of them is `M112`, only that is sent, immediately."""
    parameters: _Values = Field(default_factory=dict)
    """Texts and numbers that replace `%(name)s` and `{name}` in the lines."""

    @property
    def line_count(self) -> int:
        """How many lines there are."""
        return len(self.commands)

    @property
    def stops(self) -> bool:
        """One of the lines is ``M112``."""
        return any(_is_stop(text, self.parameters) for text in self.commands)

    def program(self, context: Context, /) -> Program:
        """Return the lines."""
        return completed(self.steps(context))

    def steps(self, context: Context, /) -> Steps[Program]:
        """Return the lines."""
        clean = []
        for index, text in enumerate(self.commands):
            clean.append(_line(text, self.parameters, context, f"commands[{index}]"))
            if index % BETWEEN == BETWEEN - 1:
                yield
        return lines.program(clean, context)


class RawScript(_Raw):
    """Run a script from the printer's configuration or scripts folder."""

    name: ClassVar[str] = "script"
    examples: ClassVar[tuple[Mapping[str, object], ...]] = (
        {"script": "preheat", "parameters": {"bed": 60}, "context": {}},
    )

    script: Annotated[str, Field(min_length=1, max_length=100)]
    """The script's name."""
    parameters: _Values = Field(default_factory=dict)
    """The values of `parameters` in the template."""
    context: _Values = Field(default_factory=dict)
    """The values of `context` in the template."""

    guarded: ClassVar[bool] = True
    """It is refused during a print if it would disturb that."""

    def program(self, context: Context, /) -> Program:
        """Return the script's lines.

        Raises:
            RejectedError: See :func:`script_lines`; or a print is under way, and the
                script moves the head, changes the modes or selects a tool (409).

        """
        values = {"parameters": self.parameters, "context": self.context}
        found = script_lines(self.script, context, values)
        if self.guarded and context.phase not in _STILL:
            _refuse_in_print(self.script, found)
        return lines.program(found, context)


class RunScript(Command):
    """Run one of the scripts that `home_assistant.scripts` lists.

    It needs no right to send raw G-code, and takes no parameters.
    """

    topic: ClassVar[str] = "script"
    name: ClassVar[str] = "run"
    examples: ClassVar[tuple[Mapping[str, object], ...]] = ({"script": "preheat"},)

    script: Annotated[str, Field(min_length=1, max_length=100)]
    """The script's name."""

    def program(self, context: Context, /) -> Program:
        """Return the script's lines.

        Raises:
            RejectedError: It is not listed (403); or as for `script` of `command`.

        """
        offered = context.scripts.offered if context.scripts else ()
        if self.script not in offered:
            names = ", ".join(offered) or "none"
            raise RejectedError.forbidden(
                f'script run: "{self.script}" is not listed in home_assistant.scripts '
                f"(listed: {names})",
                "forbidden",
            )
        return RawScript(script=self.script).program(context)


_STILL = {"idle", "paused"}
"""The phases in which the head may be moved."""

_MODES = {
    *(Sets.RELATIVE, Sets.ABSOLUTE, Sets.RELATIVE_E, Sets.ABSOLUTE_E, Sets.TOOL),
}
_FOR_PRINTS = {"M125", "M290", "M600", "SET_GCODE_OFFSET"}
"""Codes that move the head and are meant for a print: parking, a filament change, and
babysteps."""


def disturbs(line: Line) -> bool:
    """Return whether a line between those of a print would spoil it.

    It moves the head, changes the modes or selects a tool, and is not meant for prints.
    Nothing is known of a macro's moves.
    """
    row = line.row
    if row.job is not PrintAction.NOTHING or line.code in _FOR_PRINTS:
        return False
    return row.moves is not Moves.NO or row.sets in _MODES


def _refuse_in_print(script: str, found: Iterable[Line]) -> None:
    line = next((line for line in found if disturbs(line)), None)
    if line is not None:
        raise RejectedError.conflict(
            f"script {script}: a print is under way, and {line} would disturb it",
            "printing",
        )


def script_lines(
    name: str, context: Context, variables: Mapping[str, object]
) -> tuple[Line, ...]:
    """Return a script's lines as they are sent.

    In a script ``;`` after a blank begins a comment, in a text as well.

    Args:
        name: the script's name.
        context: the printer's; the script can read its variables and profile.
        variables: further variables for the script.

    Raises:
        RejectedError: The script does not exist (404) or cannot be rendered, or one of
            its lines cannot be sent.

    """
    if context.scripts is None:
        raise RejectedError(
            f'script: there is no script "{name}", because none is configured',
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
        [lines.clean(_COMMENT.sub("", line), context, where) for line in rendered],
        context,
        where,
    )


# In a script, a comment begins with a blank and a semicolon.
_COMMENT = re.compile(r"\s;.*")
# Placeholders as OctoPrint has them, %(name)s and {name}, doubled signs that stand for
# themselves, and those that are neither.
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
    """Return a line with its placeholders replaced.

    Without parameters the text is returned unchanged. With parameters, ``%%``, ``{{``
    and ``}}`` stand for ``%``, ``{`` and ``}``. A placeholder may have a number format:
    ``%(x)d``, ``%(x).2f``, ``{x:.2f}``. Python's own formatting is not used, because it
    gives access to attributes (``{x.__class__}``) and takes unlimited widths.

    Raises:
        RejectedError: A parameter is missing or is neither a text nor a number, or a
            placeholder has another form.

    """
    if not parameters:
        return text

    def filled(match: re.Match[str]) -> str:
        if match["literal"]:
            return match["literal"][0]
        if match["stray"]:
            raise RejectedError.invalid(
                f'{where}: a single "{match[0]}" is not a placeholder such as {{name}} '
                "or %(name)s; to send the character itself, double it"
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
            f'{where}: "{name[:40]}" is not a valid parameter name'
        )
    if name not in parameters:
        known = ", ".join(sorted(parameters)[:20])
        raise RejectedError.invalid(
            f"{where}: the parameter {name} is missing (given: {known[:200]})"
        )
    value = parameters[name]
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise RejectedError.invalid(f"parameters.{name}: must be a text or a number")
    return value


def _formatted(value: str | float, spec: str, placeholder: str, where: str) -> str:
    match = _SPEC.fullmatch(spec)
    if match is None or (match["kind"] in {"d", "i", "f"} and isinstance(value, str)):
        raise RejectedError.invalid(
            f"{where}: {placeholder} must end in s or, for a number, in d or f"
        )
    if match["kind"] in {"d", "i", "f"}:
        return f"%{spec}" % value
    if not isinstance(value, str):
        if match["precision"]:
            raise RejectedError.invalid(f"{where}: {placeholder} must end in f")
        value = str(value) if isinstance(value, int) else format_number(value)
    return f"%{spec.removesuffix('s')}s" % value


COMMANDS = (RawCommand, RawCommands, RawScript, RunScript)
