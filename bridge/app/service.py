"""The bridge as a service: reload, HTTP endpoint and watchdog."""

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from bridge import logs
from bridge.app.endpoint import Endpoint
from bridge.app.supervisor import Supervisor, first_failure
from bridge.app.upload_service import UploadService
from bridge.backoff import next_turn
from bridge.config import Config
from bridge.errors import ConfigError
from bridge.notify import Notifier
from bridge.threads import in_thread

log = logging.getLogger("bridge.app")

Apply = Callable[[Config], Awaitable[None]]
"""Applies a configuration to the HTTP servers."""

CHECK_INTERVAL = 2.0
"""Seconds between two checks of the printers; fewer if the watchdog needs it."""


class Service:
    """Runs the bridge until it is cancelled.

    Args:
        read: reads the configuration; if it raises ConfigError, the old one stays.
        origin: the file it is read from; ``None``: there is none.
        notifier: reports to the service manager.
        report_to: addresses of the clients that get the doctor's report as a page.

    """

    def __init__(
        self,
        read: Callable[[], Config],
        origin: Path | None,
        notifier: Notifier,
        *,
        report_to: frozenset[str] = frozenset(),
    ) -> None:
        self._read = read
        self._origin = origin
        self._notifier = notifier
        self._report_to = report_to
        self._asked = asyncio.Event()
        self._refused: str | None = None

    def reload(self) -> None:
        """Read the configuration again as soon as possible."""
        self._asked.set()

    async def run(self, config: Config) -> None:
        """Serve a configuration, and each one that a reload replaces it with.

        Raises:
            BridgeError: No printer can be served.

        """
        supervisor = Supervisor(config, origin=self._origin)
        endpoint = Endpoint(supervisor, self._report_to)
        uploads = UploadService(supervisor)

        async def apply(config: Config) -> None:
            await endpoint.apply(config)
            await uploads.apply(config)

        try:
            with first_failure():
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(supervisor.run())
                    try:
                        await self._supervise(tasks, supervisor, apply, config)
                    finally:
                        uploads.leave()  # they may wait for the files that end now
        finally:
            await uploads.close()
            await endpoint.close()

    async def _supervise(
        self,
        tasks: asyncio.TaskGroup,
        supervisor: Supervisor,
        apply: Apply,
        config: Config,
    ) -> None:
        """Run everything except the supervisor; never returns."""
        try:
            await supervisor.begun.wait()
            await apply(config)
            # What is loaded by now stays. A full collection that looks through it each
            # time would stop the event loop for a tenth of a second, and delay a stop.
            gc.collect()
            gc.freeze()
            self._notifier.ready()
            tasks.create_task(self._watch(supervisor))
            await self._reloads(supervisor, apply)
        finally:
            # Before the printers are disconnected, which takes a while.
            self._notifier.stopping()

    async def _watch(self, supervisor: Supervisor) -> None:
        """Notify the watchdog as long as every printer is served."""
        within = self._notifier.watchdog
        pause = min(CHECK_INTERVAL, within / 3) if within else CHECK_INTERVAL
        reported = False
        while True:
            problem = supervisor.problem(asyncio.get_running_loop().time())
            if problem is None:
                self._notifier.alive()
            elif not reported:
                log.error(
                    "%s: the service manager's watchdog is no longer notified", problem
                )
            reported = problem is not None
            logs.write_counts()
            self._notifier.status(problem or self._refused or _status(supervisor))
            now = asyncio.get_running_loop().time()
            first = next(iter(supervisor.stations), None)
            turn = next_turn(now, pause, first.name if first else "")
            await asyncio.sleep(turn - now)

    async def _reloads(self, supervisor: Supervisor, apply: Apply) -> None:
        while True:
            await self._asked.wait()
            self._asked.clear()
            self._notifier.reloading()
            try:
                # In a thread, because a slow disk must not stop the printers.
                config = await in_thread(self._read, _forget, name="reload")
                done = await supervisor.change(config)
            except ConfigError as error:
                for line in error.problems:
                    log.error("the old configuration remains in effect: %s", line)  # noqa: TRY400 - the message says it all
                self._refused = f"the old configuration remains in effect: {error}"
                self._notifier.status(self._refused)
            else:
                self._refused = None
                logs.configure(config.log, logs.secrets(config))
                await apply(config)
                log.info("configuration read again; %s", done)
            self._notifier.ready()


def _forget(_config: Config) -> None:
    """Discard a configuration that arrives too late; it holds nothing to close."""


def _status(supervisor: Supervisor) -> str:
    stations = supervisor.stations
    broker = sum(station.broker.connected for station in stations)
    here = sum(station.printer.state.link == "operational" for station in stations)
    waiting = [station.name for station in stations if station.pending]
    pending = f"; waiting for the end of a print: {', '.join(waiting)}"
    return (
        f"printers connected: {here} of {len(stations)}, "
        f"at the broker: {broker} of {len(stations)}" + (pending if waiting else "")
    )
