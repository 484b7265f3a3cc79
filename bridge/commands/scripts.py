"""G-code scripts: Jinja2 templates by name, rendered in a sandbox.

Names and variables are OctoPrint's where it has the thing, so that its scripts carry
over. Templates print texts and finite numbers only: what is missing or not known ends
the script with an error instead of a line with a hole in it.
"""

import re
from collections.abc import Iterator, Mapping
from traceback import walk_tb

from jinja2.exceptions import TemplateError, TemplateNotFound, TemplateSyntaxError

from bridge.commands.budget import Budget
from bridge.commands.explaining import nearest
from bridge.commands.sandbox import SNIPPETS, Sandbox
from bridge.config import Profile
from bridge.errors import RejectedError
from bridge.gcode.words import strip_comment

_MOST_LINES = 1000
_LONGEST = 65_536

_BUNDLED: Mapping[str, str] = {
    "snippets/disable_hotends": (
        "{% if printer_profile.extruder.sharedNozzle %}\n"
        "M104 T0 S0\n"
        "{% else %}\n"
        "{% for tool in range(printer_profile.extruder.count) %}\n"
        "M104 T{{ tool }} S0\n"
        "{% endfor %}\n"
        "{% endif %}\n"
    ),
    "snippets/disable_bed": "{% if printer_profile.heatedBed %}M140 S0{% endif %}",
    "snippets/disable_chamber": (
        "{% if printer_profile.heatedChamber %}M141 S0{% endif %}"
    ),
}

_WRONG = (
    TemplateError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    SyntaxError,
    TypeError,
    ValueError,
)


class Scripts:
    """The scripts of one printer.

    Args:
        configured: templates by name, from the configuration.
        folder: templates by their path in the scripts folder; they come first.

    """

    def __init__(
        self, configured: Mapping[str, str], folder: Mapping[str, str] | None = None
    ) -> None:
        self._sources = {**_BUNDLED, **configured, **(folder or {})}

    @property
    def names(self) -> tuple[str, ...]:
        """The scripts that can be run; snippets are only parts of them."""
        return tuple(
            sorted(name for name in self._sources if not name.startswith(SNIPPETS))
        )

    def has(self, name: str) -> bool:
        """Return whether there is a script of this name."""
        return name in self.names

    def render(self, name: str, variables: Mapping[str, object]) -> tuple[str, ...]:
        """Return a script's lines of G-code, without comments and blank lines.

        Every template comes to an end, whatever it does, within a second on a small
        machine or a few on the smallest.

        Raises:
            RejectedError: ``unknown_script`` (404), or ``script_error`` (400) with the
                template and the line where it went wrong.

        """
        if not self.has(name):
            raise RejectedError(
                f'script: there is no script "{name}"{nearest(name, self.names)}',
                error="unknown_script",
                code=404,
            )
        given = {**variables, "script": {"type": "gcode", "name": name}}
        values = {key: _copy(value) for key, value in given.items()}
        lines = [strip_comment(line) for line in self._text(name, values).split("\n")]
        lines = [line for line in lines if line]
        if len(lines) > _MOST_LINES:
            raise _error(
                f"script {name}: renders {len(lines)} lines, more than {_MOST_LINES}"
            )
        return tuple(lines)

    def _text(self, name: str, values: Mapping[str, object]) -> str:
        sandbox = Sandbox(self._find, Budget())
        try:
            return sandbox.get_template(name).render(values)
        except _WRONG as error:
            raise _error(f"{self._place(name, error)}: {_reason(error)}") from None

    def _find(self, name: str) -> str | None:
        source = self._sources.get(name)
        if source is not None and len(source) > _LONGEST:
            raise ValueError(f"is longer than {_LONGEST} characters")
        return source

    def _place(self, name: str, error: Exception) -> str:
        template, line = name, 0
        if isinstance(error, TemplateSyntaxError):
            template, line = error.name or name, error.lineno
        else:
            for where, at in _frames(error):
                if where in self._sources:
                    template, line = where, at
        return f"script {template}, line {line}" if line else f"script {template}"


def printer_profile(profile: Profile) -> dict[str, object]:
    """Return the variable ``printer_profile``, in OctoPrint's words and mm/min."""
    speeds = profile.speeds
    return {
        "extruder": {"count": profile.extruders, "sharedNozzle": profile.shared_nozzle},
        "heatedBed": profile.heated_bed,
        "heatedChamber": profile.heated_chamber,
        "axes": {axis: {"speed": getattr(speeds, axis)} for axis in "xyze"},
        "volume": {axis: getattr(profile.volume, axis) for axis in "xyz"},
    }


def _copy(value: object) -> object:
    """Return data as dicts, lists, texts and numbers: nothing of ours is handed out."""
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_copy(item) for item in value]
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"a script cannot read a {type(value).__name__}")


def _frames(error: Exception) -> Iterator[tuple[str, int]]:
    for frame, line in walk_tb(error.__traceback__):
        yield frame.f_code.co_filename, line


def _reason(error: Exception) -> str:
    if isinstance(error, TemplateNotFound):
        return f'there is no template "{error.name}"'
    if isinstance(error, RecursionError):
        return "it is nested too deeply, or calls itself too often"
    text: str | None = str(error)
    if isinstance(error, TemplateError):
        text = error.message
    elif isinstance(error, SyntaxError):
        text = error.msg
    return re.sub("'dict object' has no attribute", "there is no", text or "is wrong")


def _error(message: str) -> RejectedError:
    return RejectedError.invalid(message, error="script_error")
