"""One printer: its link, its known state, and the commands for it."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bridge.commands import Command, Program
from bridge.commands.base import ScriptLibrary, completed
from bridge.commands.job import (
    PlanRecovery,
    Recover,
)
from bridge.commands.link import (
    Acknowledge,
    Connect,
    Disconnect,
    LinkCommand,
    Reconnect,
)
from bridge.config import Limits, Mqtt, PrinterConfig, Telemetry
from bridge.errors import CommandError, FailedError, RejectedError
from bridge.gcode.codes import STOP
from bridge.gcode.events import Restarted
from bridge.gcode.line import read
from bridge.printer.control import hooks
from bridge.printer.control.command_queue import (
    CommandQueue,
    Interrupted,
    QuestionQueue,
    Run,
    in_slices,
    refuse_expired,
)
from bridge.printer.control.emergency_stop import (
    STOP_MESSAGE,
    EmergencyStopper,
)
from bridge.printer.control.heater_control import HeaterControl, limits_of
from bridge.printer.control.hook_runner import HookRunner
from bridge.printer.control.idle_timeout import (
    HeaterLimits,
    heaters_on,
)
from bridge.printer.control.planning import Plan, Planner
from bridge.printer.control.status_poller import StatusPoller
from bridge.printer.control.stopped_firmware import StoppedFirmware
from bridge.printer.knowledge import state as knowledge
from bridge.printer.knowledge.events import StateEvent
from bridge.printer.knowledge.history import History
from bridge.printer.knowledge.model import PrinterState
from bridge.printer.knowledge.observer import Observer
from bridge.printer.knowledge.print_record import PrinterRecord
from bridge.printer.limits.coordinates import (
    UNKNOWN as POSITION_UNKNOWN,
)
from bridge.printer.limits.coordinates import Coordinates
from bridge.printer.link.events import Closed, LinkEvent, PortAddress
from bridge.printer.link.link import Link
from bridge.printer.link.session import Session
from bridge.printer.link.setup import ask
from bridge.printer.link.wire_log import WireLog, WireLogEntry
from bridge.printer.printing.print_commands import PrintCommands
from bridge.printer.printing.runner import HostPrinting

log = logging.getLogger("bridge.printer")

AT_ONCE = 32
"""Lines of a command that are planned without interruption when it arrives, so that a
wrong command is rejected at once. A longer command is planned in slices when its turn
comes, because nothing may overtake it while it is being planned."""

_ATTEMPTS = 3
"""How often a command is planned in slices if the printer's position or modes keep
changing; then it is planned without interruption."""

LAST_COMMANDS = 2.0
"""Seconds for commands to end after the link was closed. Each of their lines fails at
once, so only a bug can take longer, and it must not prevent the bridge from ending."""


@dataclass(frozen=True, slots=True)
class Listeners:
    """Callbacks about a printer; called in the event loop, must not block.

    Attributes:
        on_change: after every change of the state.
        on_event: when something happened.
        on_entry: with every line on the wire.

    """

    on_change: Callable[[], None]
    on_event: Callable[[StateEvent], None]
    on_entry: Callable[[WireLogEntry], None]


class Printer:
    """One printer, connected or not; everything happens in one event loop.

    Args:
        config: the printer's part of the configuration.
        listeners: are called about it.
        telemetry: how often it reports, and how long its temperatures are kept.
        limits: how many lines may wait.
        scripts: the operator's G-code scripts, if there are any.
        taken: returns the ports of other printers, which are not tried.
        found: where the printer was the last time, to be tried first.
        kept: what an earlier run has kept of it.
        heat: how long heaters stay on; by default as the profile says.
        heat_file: where it is kept when the printer was used last.
        print_file: where it is kept how far a print of the bridge has come.
        broker: returns whether the broker is connected.

    """

    def __init__(  # noqa: PLR0913 - its parts of the configuration
        self,
        config: PrinterConfig,
        listeners: Listeners,
        *,
        telemetry: Telemetry,
        limits: Limits,
        scripts: ScriptLibrary | None = None,
        taken: Callable[[], Collection[str]] = tuple,
        found: PortAddress | None = None,
        kept: PrinterRecord | None = None,
        heat: HeaterLimits | None = None,
        heat_file: Path | None = None,
        print_file: Path | None = None,
        broker: Callable[[], bool] = lambda: True,
    ) -> None:
        self.config = config
        self.scripts = scripts
        self._listeners = listeners
        touched = asyncio.Event()  # the state has changed
        self._wire = WireLog(listeners.on_entry)
        self.observer = self._build_observer(telemetry, touched, kept)
        self._interrupted_print = _was_interrupted(kept)
        self.link = self._build_link(telemetry, taken, found)
        self.queue = CommandQueue(self.link, self.observer, limits.queue, self._due)
        self._questions = QuestionQueue(self.link, limits.queue)
        self._planner = Planner(self.observer, config, scripts)
        self._emergency = EmergencyStopper(self.link, self.observer)
        self._stopped = StoppedFirmware(
            self.link, self.observer, self._emergency, self._fail_waiting
        )
        self.heat = self._build_heat(heat, heat_file, broker)
        self._hooks = HookRunner(scripts, lambda: self.state, self._execute_own)
        self.printing = self._build_printing(print_file)
        self.printing.on_link_lost = self._print_broke_off
        self.prints = PrintCommands(self.observer, self.printing)
        self._poller = StatusPoller(
            self.observer,
            self.heat,
            touched,
            interval=telemetry.interval,
            name=config.id,
        )

    def _build_observer(
        self, telemetry: Telemetry, touched: asyncio.Event, kept: PrinterRecord | None
    ) -> Observer:
        observer = Observer(
            self.config,
            history=History(telemetry.history),
            wire=self._wire,
            clock=asyncio.get_running_loop().time,
            on_change=self._listeners.on_change,
            on_event=self._on_state_event,
            on_touch=touched.set,
        )
        if kept is not None:
            observer.restore(kept, time.time() - observer.clock())
        return observer

    def _build_link(
        self,
        telemetry: Telemetry,
        taken: Callable[[], Collection[str]],
        found: PortAddress | None,
    ) -> Link:
        return Link(
            self.config.serial,
            interval=telemetry.interval,
            on_event=self._on_link_event,
            attend=self._attend,
            on_failure=self._leave_at_once,
            wire=self._wire,
            taken=taken,
            found=found,
            released=self.observer.state.released,
        )

    def _build_heat(
        self, limits: HeaterLimits | None, file: Path | None, broker: Callable[[], bool]
    ) -> HeaterControl:
        return HeaterControl(
            self.observer,
            self.queue,
            on_event=self._on_state_event,
            limits=limits or limits_of(self.config, Mqtt()),
            file=file,
            broker=broker,
        )

    def _build_printing(self, file: Path | None) -> HostPrinting:
        return HostPrinting(
            self.link,
            self.observer,
            self.queue,
            self._planner,
            self._hooks,
            on_event=self._on_state_event,
            file=file,
        )

    def configure(
        self,
        config: PrinterConfig,
        *,
        telemetry: Telemetry,
        limits: Limits,
        scripts: ScriptLibrary | None,
        heat: HeaterLimits,
    ) -> None:
        """Apply other settings without touching the link.

        Args:
            config: with the same ``serial`` as before.
            telemetry: as for a new printer.
            limits: likewise.
            scripts: likewise.
            heat: likewise.

        """
        self.config = config
        self.scripts = self._hooks.scripts = scripts
        self.link.interval = telemetry.interval
        self._planner.configure(config, scripts)
        self.observer.configure(config)
        self.observer.history.keep(telemetry.history)
        self.queue.allow(limits.queue)
        self._questions.allow(limits.queue)
        self.heat.policy.limits = heat
        self._poller.configure(telemetry.interval)

    def listen(
        self,
        listeners: Listeners,
        *,
        broker: Callable[[], bool],
        heat_file: Path | None,
    ) -> None:
        """Use other callbacks, and their file for the heaters, from now on."""
        self._listeners = listeners
        self.observer.listen(listeners.on_change)
        self._wire.listen(listeners.on_entry)
        self.heat.serve(heat_file, broker)

    @property
    def state(self) -> PrinterState:
        """Everything that is known of it."""
        return self.observer.state

    async def run(self) -> None:
        """Keep the printer connected until cancelled; then free its port."""
        self.printing.show_broken_off()
        if self._interrupted_print:
            self._print_broke_off()
            self.printing.report_interrupted()
        link = asyncio.create_task(self.link.run())
        try:
            await asyncio.shield(link)
        finally:
            await self.printing.leave(self.config.on_exit)
            await self._hooks.leave()
            self._interrupt("the bridge is shutting down")
            await self.heat.leave(self.link.session, self.config.heaters_on_exit)
            self._stopped.leave()
            self._poller.leave()
            self.link.leave()
            link.cancel()
            await asyncio.gather(link, return_exceptions=True)
            self.observer.disconnected()
            # The interrupted commands end by themselves, and each gets its response.
            await self.queue.finished(LAST_COMMANDS)

    def plan(self, command: Command) -> Plan:
        """Return what would be sent for a command now.

        Raises:
            RejectedError: It must not be sent.

        """
        return completed(self._planner.plan(command))

    def disturbing_scripts(self) -> Mapping[str, bool]:
        """Return the offered scripts, and whether each would disturb a print."""
        return self._planner.disturbing_scripts()

    async def plan_in_slices(
        self, command: Command, interrupted: Interrupted = lambda: None
    ) -> Plan:
        """Return what :meth:`plan` returns, without blocking the event loop meanwhile.

        Raises:
            RejectedError: It must not be sent.
            CommandError: The printer was stopped or reset meanwhile.

        """
        if isinstance(command, Recover | PlanRecovery):
            self._planner.gate(command)
            recovery = await self.prints.recovery(command)
            program = Program(recovery.lines)
            return Plan(program, (Coordinates(),) * len(program.lines))
        if self.prints.concerns(command):
            await self.prints.check(command)
            return Plan(Program(), ())  # the lines are those of the file
        for _ in range(_ATTEMPTS):
            basis = self._planner.basis()
            planned = await in_slices(self._planner.plan(command), interrupted)
            if basis == self._planner.basis():
                # A print may have begun, or the link been lost, between two slices.
                self._planner.gate(command, planned.program)
                return planned
        return self.plan(command)  # a printer that keeps changing cannot delay it

    async def execute(
        self,
        command: Command,
        run: Run,
        *,
        expires: float | None = None,
        within: float | None = None,
    ) -> None:
        """Execute a command; ``run`` says how far it came, whatever happens.

        Args:
            command: what to do.
            run: filled while the command is carried out.
            expires: time of :func:`bridge.timeout.boottime` after which it must not
                start.
            within: seconds after which the caller gets an error. A line that is in
                flight then continues, and is the last one.

        Raises:
            RejectedError: Nothing was sent, because of the printer's present state.
            ExpiredError: Nothing was sent, because it waited too long.
            FailedError: The printer refused, did not answer, or went away.

        """
        with self.heat.client(command, run):
            await self._execute(command, run, expires=expires, within=within)

    async def _execute_own(self, command: Command, run: Run) -> None:
        """Execute a hook, which does not count as use of the printer."""
        with self.heat.own():
            await self._execute(command, run)

    async def _execute(
        self,
        command: Command,
        run: Run,
        *,
        expires: float | None = None,
        within: float | None = None,
    ) -> None:
        if await self._stopped.send(command, self._planner.context, run):
            return
        if self.prints.concerns(command):
            refuse_expired(expires)
            await self.prints.execute(command, run, expires)
            return
        if command.line_count > AT_ONCE and not command.stops:
            self._planner.gate(command)
            await self.queue.execute(
                command, command.line_count, run, expires=expires, within=within
            )
            return
        program = completed(self._planner.draft(command)).program
        self._planner.gate(command, program)
        run.warnings[:] = program.warnings
        if program.emergency:
            self.stop_for(run, program.lines)
        elif program.urgent:
            self._send_urgent(program.lines, run)
        else:
            await self._enqueue(command, program, run, expires=expires, within=within)

    async def _enqueue(
        self,
        command: Command,
        program: Program,
        run: Run,
        *,
        expires: float | None,
        within: float | None,
    ) -> None:
        if program.gcode and command.tier == "read":
            await self._questions.ask(
                program.gcode, run, expires=expires, within=within
            )
        elif program.gcode or program.offsets or program.choices:
            if program.release:
                self._send_urgent(program.release, run)
            await self.queue.execute(
                command, len(program.gcode), run, expires=expires, within=within
            )

    def stop(self) -> None:
        """Stop the machine at once, before everything that waits.

        Raises:
            FailedError: There is no link to send it over; it is kept until there is.

        """
        try:
            self._emergency.stop()
        finally:
            self._fail_waiting(partial(FailedError.stopped, STOP_MESSAGE))

    @property
    def stop_owed(self) -> bool:
        """Whether a stop was requested that may not have reached the printer."""
        return self._emergency.owed

    def keep_stop(self) -> None:
        """Send a stop as soon as the printer is connected, before anything else."""
        self._emergency.keep()

    def acknowledge(self) -> None:
        """Forget the last problem, and a stop that is kept."""
        self._emergency.acknowledge()
        self.observer.acknowledge_problem()

    def reconnect(self) -> None:
        """Close the port and open it again at once.

        Raises:
            FailedError: The task that connects has ended.

        """
        self._emergency.reconnecting()
        self.link.reconnect()

    def stop_for(self, run: Run, lines: Collection[str] = (STOP,)) -> None:
        """Stop the machine at once for a command, and fill its run.

        Raises:
            FailedError: As :meth:`stop`.

        """
        try:
            self.stop()
        except FailedError as error:
            if error.sent:
                run.gcode.extend(lines)
            raise
        run.gcode.extend(lines)

    async def _due(self, command: Command, interrupted: Interrupted) -> Plan:
        """Return the lines at their turn; a script may contain a stop by then."""
        try:
            planned = await self.plan_in_slices(command, interrupted)
        except RejectedError as error:
            if error.error != POSITION_UNKNOWN or not await self._ask_position():
                raise
            planned = await self.plan_in_slices(command, interrupted)
        if planned.program.emergency:
            self.stop()
            raise FailedError.stopped(STOP_MESSAGE)
        return planned

    async def change_link(self, command: LinkCommand) -> None:
        """Execute a command that needs no line to the printer.

        Raises:
            RejectedError: The printer's state does not allow it.
            FailedError: The task that connects it has ended, or the port stays open.

        """
        self.check_link(command)
        match command:
            case Acknowledge():
                self.acknowledge()
            case Connect():
                self.link.connect()
                self.observer.set_state(knowledge.wanted(self.state))
            case Disconnect():
                self._emergency.reconnecting()
                await self.link.release()
            case Reconnect():
                self.reconnect()

    def check_link(self, command: LinkCommand) -> None:
        """Check whether :meth:`change_link` could carry out a command now.

        Raises:
            RejectedError: The printer's state does not allow it.

        """
        self.plan(command)
        if isinstance(command, Disconnect):
            self._check_released_heaters()
        if isinstance(command, Reconnect) and self.state.released:
            raise RejectedError.conflict(
                "link reconnect: the port is released; use link connect",
                "released",
            )

    def _check_released_heaters(self) -> None:
        if on := heaters_on(self.state):
            raise RejectedError.conflict(
                f"link disconnect: {', '.join(on)} would stay on, and nobody would "
                "watch it; turn it off first (tool cool_down)",
                "heaters_on",
            )

    async def _ask_position(self) -> bool:
        """Query the position of the head; return whether the printer answered."""
        session, state = self.link.session, self.state
        moving = state.moved_by_print or state.waiting
        if session is None or session.closed or moving:
            return False
        return "M114" not in state.refused and bool(await ask(session, "M114"))

    def _send_urgent(self, lines: Collection[str], run: Run) -> None:
        session = self.link.session
        if session is None or session.closed:
            raise FailedError.disconnected("the printer is not connected")
        session.urgent(*lines)
        run.gcode.extend(lines)
        for line in lines:
            self.observer.line_sent(line)
        if all(read(line).row.answers for line in lines):
            self.observer.answered()

    def _on_state_event(self, event: StateEvent) -> None:
        self._listeners.on_event(event)
        if event.name.startswith("print_"):
            self.heat.look()  # so that no document has the reason of another phase
        name = hooks.BY_EVENT.get(event.name)
        # A print of the bridge runs its scripts itself, each before what follows it.
        if name and not (self.printing.active and event.name.startswith("print_")):
            self.queue.start(self._hooks.run(name, event))

    async def _attend(self, session: Session) -> None:
        """Look after a connected printer; the poller is built after the link."""
        await self._poller.run(session)

    def _print_broke_off(self) -> None:
        """Have the heaters turned off after the next connection, if that is wanted."""
        if self.config.heaters_on_exit == "off":
            self.heat.print_broke_off()

    def _leave_at_once(self, session: Session) -> None:
        self.heat.leave_at_once(session, self.config.heaters_on_exit)

    def _on_link_event(self, event: LinkEvent) -> None:
        match event:
            case Restarted():
                self._interrupt("the printer was reset")
            case Closed(reason):
                self._interrupt(reason)
        before = self.state
        self.observer.handle(event)
        if self.state.phase != before.phase:
            self.heat.look()
        self._poller.watch_age()
        self._stopped.handle(event, before)
        self.printing.handle(event)

    def _interrupt(self, reason: str) -> None:
        self._fail_waiting(partial(FailedError.disconnected, reason))

    def _fail_waiting(self, error: Callable[[], CommandError]) -> None:
        self.queue.interrupt(error)
        self._questions.interrupt(error)


def _was_interrupted(kept: PrinterRecord | None) -> bool:
    """Return whether a print of the bridge was under way when it ended."""
    running = None if kept is None else kept.running
    return running is not None and running.origin == "local"
