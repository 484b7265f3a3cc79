"""Scripts that run by themselves, under the names that OctoPrint gives them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, ClassVar

from pydantic import Field

from bridge.commands.base import Context, Program
from bridge.commands.raw import RawScript
from bridge.printer.events import Event

BY_EVENT: Mapping[str, str] = {
    "connected": "afterPrinterConnected",
    "print_started": "beforePrintStarted",
    "print_done": "afterPrintDone",
    "print_cancelled": "afterPrintCancelled",
    "print_paused": "afterPrintPaused",
    "print_resumed": "beforePrintResumed",
}
"""A print that was started at the printer is seen only when it has begun, so the
scripts that are named ``before…`` run as early as that can be told."""

LEAVING = "beforePrinterDisconnected"

_SNAPSHOTS = {
    "afterPrintPaused": "pause",
    "beforePrintResumed": "pause",
    "afterPrintCancelled": "cancel",
}
_LAST = "last_"


class Hook(RawScript):
    """A script that nobody asked for."""

    name: ClassVar[str] = "hook"

    event: Annotated[dict[str, object], Field(default_factory=dict)]
    """What happened; the script's variable ``event``."""

    def program(self, context: Context, /) -> Program:
        """Return the script's lines."""
        variables = {**context.variables, "event": self.event}
        if prefix := _SNAPSHOTS.get(self.script):
            for name, value in context.variables.items():
                if name.startswith(_LAST):
                    variables[f"{prefix}_{name.removeprefix(_LAST)}"] = value
        return super().program(replace(context, variables=variables))


def hook(name: str, event: Event | None = None) -> Hook:
    """Return the script of this name as a command."""
    data = dict(event.data) if event else {}
    return Hook(script=name, parameters={}, context={}, event=data)
