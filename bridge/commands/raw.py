"""G-code as it is: one line, several, or a script."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from bridge.commands import lines
from bridge.commands.base import Command, Context, Program, Tier
from bridge.commands.offsets import with_offsets
from bridge.commands.scripts import printer_profile
from bridge.commands.substitution import substituted
from bridge.errors import RejectedError

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


COMMANDS = (RawCommand, RawCommands, RawScript)
