"""Hooks: the scripts that run on events, under OctoPrint's names."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, ClassVar

from pydantic import Field

from bridge.commands.base import Context, Program
from bridge.commands.raw import RawCommands, RawScript
from bridge.printer.knowledge.events import StateEvent

BY_EVENT: Mapping[str, str] = {
    "connected": "afterPrinterConnected",
    "print_started": "beforePrintStarted",
    "print_done": "afterPrintDone",
    "print_cancelled": "afterPrintCancelled",
    "print_paused": "afterPrintPaused",
    "print_resumed": "beforePrintResumed",
}
"""An event to its script. A print that was started at the printer is noticed only after
it has started, so the scripts named ``before…`` run as early as possible."""

# The names are those of OctoPrint's scripts
# (https://docs.octoprint.org/en/master/features/gcode_scripts.html).
LEAVING = "beforePrinterDisconnected"

PAUSED, RESUMED, CANCELLED = (
    "afterPrintPaused",
    "beforePrintResumed",
    "afterPrintCancelled",
)

WHERE = RawCommands(commands=("M400", "M114"))
"""Waits until the moves are finished, then queries the position."""

_LAST = "last_"
_NOWHERE = dict.fromkeys("xyzeft")


class Hook(RawScript):
    """A script that runs on an event."""

    name: ClassVar[str] = "hook"
    guarded: ClassVar[bool] = False  # the operator wants it at this very moment

    event: Annotated[dict[str, object], Field(default_factory=dict)]
    """What happened; the script's variable ``event``."""

    kept: Annotated[dict[str, object], Field(default_factory=dict)]
    """The state at the pause or the cancellation; variables of their own."""

    def program(self, context: Context, /) -> Program:
        """Return the script's lines."""
        variables = {**context.variables(), "event": self.event, **self.kept}
        return super().program(replace(context, variables=lambda: variables))


def snapshot(
    name: str, variables: Mapping[str, object], *, there: bool = True
) -> dict[str, object]:
    """Return ``pause_position`` or ``cancel_position``, and the others like it.

    Args:
        name: the script's.
        variables: what scripts may read now.
        there: the position is known; otherwise its parts are ``None``.

    """
    prefix = "cancel" if name == CANCELLED else "pause"
    kept = {
        f"{prefix}_{variable.removeprefix(_LAST)}": value
        for variable, value in variables.items()
        if variable.startswith(_LAST)
    }
    return kept if there else {**kept, f"{prefix}_position": _NOWHERE}


def hook(
    name: str, event: StateEvent | None = None, kept: Mapping[str, object] | None = None
) -> Hook:
    """Return the script of this name as a command."""
    return Hook(
        script=name,
        parameters={},
        context={},
        event=dict(event.data) if event else {},
        kept=dict(kept or {}),
    )
