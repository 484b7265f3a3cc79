"""The bridge as a service: reloads, metrics and what the service manager hears."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from bridge import logs
from bridge.app.endpoint import Endpoint
from bridge.app.supervisor import Supervisor, first_failure
from bridge.config import Config
from bridge.errors import ConfigError
from bridge.notify import Notifier
from bridge.threads import in_thread

log = logging.getLogger("bridge.app")

LONGEST_BEAT = 2.0
"""Seconds between two looks at the printers."""


class Service:
    """Runs the bridge until it is cancelled.

    Args:
        read: reads the configuration; what it raises refuses a reload.
        origin: the file it is read from.
        notifier: speaks to the service manager.

    """

    def __init__(
        self, read: Callable[[], Config], origin: Path, notifier: Notifier
    ) -> None:
        self._read = read
        self._origin = origin
        self._notifier = notifier
        self._asked = asyncio.Event()

    def reload(self) -> None:
        """Read the configuration again, as soon as that is possible."""
        self._asked.set()

    async def run(self, config: Config) -> None:
        """Serve a configuration, and each that takes its place.

        Raises:
            BridgeError: It cannot go on.

        """
        supervisor = Supervisor(config, origin=self._origin)
        endpoint = Endpoint(supervisor)
        try:
            with first_failure():
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(supervisor.run())
                    await self._attend(tasks, supervisor, endpoint, config)
        finally:
            await endpoint.close()

    async def _attend(
        self,
        tasks: asyncio.TaskGroup,
        supervisor: Supervisor,
        endpoint: Endpoint,
        config: Config,
    ) -> None:
        """Do what has to be done beside serving; never returns."""
        try:
            await supervisor.begun.wait()
            await endpoint.apply(config.metrics)
            self._notifier.ready()
            tasks.create_task(self._beat(supervisor))
            await self._reloads(supervisor, endpoint)
        finally:
            # Before the printers are let go, which takes a while.
            self._notifier.stopping()

    async def _beat(self, supervisor: Supervisor) -> None:
        """Give signs of life, as long as every session makes progress."""
        patience = self._notifier.watchdog
        pause = min(LONGEST_BEAT, patience / 3) if patience else LONGEST_BEAT
        complained = False
        while True:
            problem = supervisor.problem(asyncio.get_running_loop().time())
            if problem is None:
                self._notifier.alive()
            elif not complained:
                log.error("%s: no more signs of life to the service manager", problem)
            complained = problem is not None
            self._notifier.status(problem or _status(supervisor))
            await asyncio.sleep(pause)

    async def _reloads(self, supervisor: Supervisor, endpoint: Endpoint) -> None:
        while True:
            await self._asked.wait()
            self._asked.clear()
            self._notifier.reloading()
            try:
                # Not in the event loop: the printers must not wait for a slow disk.
                config = await in_thread(self._read, _forget, name="reload")
                done = await supervisor.change(config)
            except ConfigError as error:
                log.error("the old configuration stays in force: %s", error)  # noqa: TRY400 - the message says it all
            else:
                logs.configure(config.log, logs.secrets(config))
                await endpoint.apply(config.metrics)
                log.info("configuration read again; %s", done)
            self._notifier.ready()


def _forget(_config: Config) -> None:
    """Nobody waits for it any more, and it holds nothing that must be closed."""


def _status(supervisor: Supervisor) -> str:
    stations = supervisor.stations
    broker = sum(station.broker.connected for station in stations)
    here = sum(station.printer.state.link == "operational" for station in stations)
    return (
        f"printers connected: {here} of {len(stations)}, "
        f"at the broker: {broker} of {len(stations)}"
    )
