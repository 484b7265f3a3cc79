"""G-code scripts: Jinja2 templates by name, rendered in a sandbox.

Names and variables are those of OctoPrint as far as it has them, so that its scripts
can be used. Templates print only texts and finite numbers: a missing or unknown value
ends the script with an error instead of producing an incomplete line.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from bridge.commands.gcode_lines import is_empty
from bridge.config import Profile
from bridge.errors import RejectedError
from bridge.validation_errors import nearest

if TYPE_CHECKING:
    from bridge.commands.sandbox import Sandbox

_MOST_LINES = 1000

SNIPPETS = "snippets/"
"""Templates whose names begin so are only parts of others, for the tag ``snippet``."""

BUNDLED: Mapping[str, str] = {
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


class Scripts:
    """The scripts of one printer.

    Args:
        configured: templates by name, from the configuration.
        folder: templates by path in the scripts folder; they take precedence.
        offered: names of scripts that everybody may run who may move the printer.

    """

    def __init__(
        self,
        configured: Mapping[str, str],
        folder: Mapping[str, str] | None = None,
        *,
        offered: Iterable[str] = (),
    ) -> None:
        own = {**configured, **(folder or {})}
        self._sources = {**BUNDLED, **own}
        self._sandbox = _sandbox(self._sources) if own else None
        self.offered = tuple(name for name in offered if self.has(name))

    @property
    def names(self) -> tuple[str, ...]:
        """The scripts that can be run; snippets are only parts of others."""
        return tuple(
            sorted(name for name in self._sources if not name.startswith(SNIPPETS))
        )

    def has(self, name: str) -> bool:
        """Return whether there is a script of this name."""
        return name in self._sources and not name.startswith(SNIPPETS)

    def render(self, name: str, variables: Mapping[str, object]) -> tuple[str, ...]:
        """Return a script's lines of G-code, without blank lines and mere comments.

        Every template ends, whatever it does: within a second on a small machine, or
        within a few seconds on the smallest.

        Raises:
            RejectedError: ``unknown_script`` (404), or ``script_error`` (400) with the
                name and the line of the template that failed.

        """
        if self._sandbox is None or not self.has(name):
            raise RejectedError(
                f'script: there is no script "{name}"{nearest(name, self.names)}',
                error="unknown_script",
                code=404,
            )
        given = {**variables, "script": {"type": "gcode", "name": name}}
        values = {key: _copy(value) for key, value in given.items()}
        text = self._sandbox.rendered(name, values)
        lines = [line.strip() for line in text.split("\n") if not is_empty(line)]
        if len(lines) > _MOST_LINES:
            raise RejectedError.invalid(
                f"script {name}: renders {len(lines)} lines, more than {_MOST_LINES}",
                error="script_error",
            )
        return tuple(lines)


def printer_profile(profile: Profile) -> dict[str, object]:
    """Return the variable ``printer_profile``, with OctoPrint's names and in mm/min."""
    speeds = profile.speeds
    return {
        "extruder": {"count": profile.extruders, "sharedNozzle": profile.shared_nozzle},
        "heatedBed": profile.heated_bed,
        "heatedChamber": profile.heated_chamber,
        "axes": {axis: {"speed": getattr(speeds, axis)} for axis in "xyze"},
        "volume": {axis: getattr(profile.volume, axis) for axis in "xyz"},
    }


def _copy(value: object) -> object:
    """Return a copy of dicts, lists, texts and numbers, the only allowed types."""
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_copy(item) for item in value]
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"a script cannot read a {type(value).__name__}")


def _sandbox(sources: Mapping[str, str]) -> "Sandbox":
    # Jinja2 takes 2.5 MB of memory and a twentieth of the start-up time, and most
    # printers have no script. Where there is one, its first run must not wait for this.
    from bridge.commands.sandbox import Sandbox  # noqa: PLC0415

    return Sandbox(sources)
