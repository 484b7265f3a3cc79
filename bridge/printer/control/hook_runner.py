"""Runs the hooks; a script that fails is logged and changes nothing else."""

import logging
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress

from bridge.commands import Command
from bridge.commands.base import ScriptLibrary
from bridge.errors import CommandError
from bridge.printer.control import hooks
from bridge.printer.control.command_queue import Run
from bridge.printer.control.planning import variables_of
from bridge.printer.knowledge.events import StateEvent
from bridge.printer.knowledge.model import PrinterState
from bridge.timeout import timeout

log = logging.getLogger("bridge.printer")

LEAVE = 1.0
"""Seconds that the script before a disconnection may take."""


class HookRunner:
    """Runs a printer's hooks, with the variables that they can read."""

    def __init__(
        self,
        scripts: ScriptLibrary | None,
        state: Callable[[], PrinterState],
        execute: Callable[[Command, Run], Coroutine[None, None, None]],
    ) -> None:
        self.scripts = scripts
        self._state = state
        self._execute = execute
        self._at_pause: Mapping[str, object] = hooks.snapshot(
            hooks.PAUSED, variables_of(state()), there=False
        )

    def has(self, name: str) -> bool:
        """Return whether there is a script of this name."""
        return self.scripts is not None and self.scripts.has(name)

    async def leave(self) -> None:
        """Run the last script, unless a print is under way; at most :data:`LEAVE`."""
        state = self._state()
        if state.link == "operational" and not state.job.active:
            with suppress(TimeoutError):
                async with timeout(LEAVE):
                    await self.run(hooks.LEAVING)

    async def run(self, name: str, event: StateEvent | None = None) -> None:
        """Run the script of this name, if there is one."""
        await self.succeeds(name, event)

    async def succeeds(self, name: str, event: StateEvent | None = None) -> bool:
        """Run the script of this name; return whether there is one and it ran whole."""
        scripts = self.scripts
        if scripts is None:
            return False
        if name == hooks.PAUSED and (scripts.has(name) or scripts.has(hooks.RESUMED)):
            self._at_pause = await self._pause_snapshot()
        if not scripts.has(name):
            return False
        kept = self._at_pause
        if name == hooks.CANCELLED:
            kept = hooks.snapshot(name, variables_of(self._state()), there=False)
        try:
            await self._execute(hooks.hook(name, event, kept), Run())
        except CommandError as error:
            log.warning("the script %s failed: %s", name, error.message)
            return False
        return True

    async def _pause_snapshot(self) -> Mapping[str, object]:
        """Return the variables about a pause, with the position of the head."""
        there = False
        with suppress(CommandError):
            await self._execute(hooks.WHERE, Run())
            state = self._state()
            there = state.phase == "paused" and not state.moved
        return hooks.snapshot(hooks.PAUSED, variables_of(self._state()), there=there)
