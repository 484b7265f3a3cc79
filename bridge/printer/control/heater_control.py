"""Applies the rule for heaters to a printer: warns, turns off, and restores targets."""

import logging
import time
from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from bridge.commands import Command
from bridge.commands.heaters import OwnTargets
from bridge.commands.job import Pause, Resume
from bridge.config import Mqtt, PrinterConfig
from bridge.errors import CommandError
from bridge.gcode.line import read
from bridge.printer.control.command_queue import CommandQueue, Run
from bridge.printer.control.heater_policy import (
    Decision,
    HeaterPolicy,
)
from bridge.printer.control.idle_timeout import (
    Cause,
    HeaterLimits,
    Hold,
    Memory,
    heaters_on,
    print_runs,
    restored,
    worth_saving,
)
from bridge.printer.control.planning import capabilities_of
from bridge.printer.knowledge import heaters
from bridge.printer.knowledge.events import StateEvent
from bridge.printer.knowledge.observer import Observer
from bridge.printer.knowledge.state import is_use
from bridge.printer.link.session import Session
from bridge.printer.link.setup import ask
from bridge.printer.published.views import whole_second
from bridge.state_files import recall, remember
from bridge.timeout import timeout
from bridge.timestamps import timestamp

log = logging.getLogger("bridge.printer")

LOOKS = 3
"""How often the position is queried before heaters are turned off without it. A
firmware that answers ``M114`` with a bare ``ok`` would otherwise keep them on forever.
"""

PAUSE = 1.0
"""Seconds between two of these queries; some firmwares answer after the ``ok``."""

EXIT = 2.0
"""Seconds to wait for the acknowledgement when heaters are turned off because the
bridge ends. Service managers kill a process that takes too long."""

WAITS = "it waits for a person, and carries out nothing until somebody answers it"
AWAY = "the printer cannot be reached"
UNCONFIRMED = "it did not acknowledge that in time"

_CAUSES: Mapping[Cause, str] = {
    "idle": "nobody used it for {idle:g} minutes",
    "pause": "the print has been paused for too long",
    "hold": "the time that it was held for is over",
    "broker": "the broker is away, and nobody used it for {broker:g} minutes",
    "exit": "the bridge stops or has stopped serving it, or a print of it broke off",
}


class _HoldRecord(BaseModel):
    model_config = ConfigDict(frozen=True)

    target: float
    until: float


class HeaterRecord(BaseModel):
    """The state file with a printer's :class:`Memory`; times are Unix times."""

    model_config = ConfigDict(frozen=True)

    saved_at: float
    used: float | None = None
    targets: dict[str, float] = {}
    place: list[float] | None = None
    warned: dict[str, float] = {}
    holds: dict[str, _HoldRecord] = {}
    restore: dict[str, float] = {}
    rewarm: bool = False
    """Whether any is; earlier versions read only this, and mean all in ``restore``."""
    rewarmed: list[str] | None = None
    """The heaters; ``None`` in files of earlier versions."""
    owed: bool = False
    alone: float | None = None

    @classmethod
    def of(cls, memory: Memory, now: float) -> "HeaterRecord":
        """Return the record of a memory."""
        return cls(
            saved_at=now,
            used=memory.used,
            targets=dict(memory.targets),
            place=None if memory.place is None else list(memory.place),
            warned=dict(memory.warned),
            holds={
                name: _HoldRecord(target=hold.target, until=hold.until)
                for name, hold in memory.holds.items()
            },
            restore=dict(memory.restore),
            rewarm=bool(memory.rewarm),
            rewarmed=list(memory.rewarm),
            owed=memory.owed,
            alone=memory.alone,
        )

    def memory(self, now: float) -> Memory:
        """Return what was remembered, by the present clock."""
        place = None if self.place is None else (*self.place,)
        all_of_them = self.restore if self.rewarm else ()
        rewarm = all_of_them if self.rewarmed is None else self.rewarmed
        memory = Memory(
            used=self.used,
            targets=self.targets,
            # Four numbers: x, y, z and e. Anything else was not written by the bridge.
            place=place if place is not None and len(place) == 4 else None,  # noqa: PLR2004
            warned=self.warned,
            holds={
                name: Hold(hold.target, hold.until) for name, hold in self.holds.items()
            },
            restore=self.restore,
            rewarm=tuple(rewarm),
            owed=self.owed,
            alone=self.alone,
        )
        return restored(memory, self.saved_at, now)


def limits_of(printer: PrinterConfig, mqtt: Mqtt) -> HeaterLimits:
    """Return how long a printer's heaters stay on."""
    profile = printer.profile
    loss = printer.on_broker_loss or mqtt.on_broker_loss
    return HeaterLimits(
        idle=profile.idle_heaters * 60,
        pause_nozzle=profile.pause_heaters.nozzle * 60,
        pause_other=profile.pause_heaters.bed * 60,
        broker=None if loss == "keep" else loss * 60,
    )


class HeaterControl:
    """Applies the rule to one printer, across all its connections.

    Args:
        observer: what is known of it.
        queue: carries out the commands that set targets.
        on_event: called with what is to be published.
        limits: how long heaters stay on; may be replaced at any time.
        file: where the rule's memory is kept; ``None``: nowhere.
        broker: returns whether the broker is connected.

    """

    def __init__(  # noqa: PLR0913 - the parts of the printer that it connects
        self,
        observer: Observer,
        queue: CommandQueue,
        *,
        on_event: Callable[[StateEvent], None],
        limits: HeaterLimits,
        file: Path | None = None,
        broker: Callable[[], bool] = lambda: True,
    ) -> None:
        self._observer = observer
        self._queue = queue
        self._on_event = on_event
        self._file = file
        self._broker = broker
        # The policy's clock continues across restarts, and never jumps within a run.
        self._epoch = time.time() - observer.clock()
        record = recall(file, HeaterRecord) if file is not None else None
        memory = record.memory(self._now()) if record is not None else Memory()
        self._saved = memory
        self.policy = HeaterPolicy(limits, memory)
        self._own = 0
        self._acting = False
        self._failure_reported = False
        self._left_at_once: tuple[str, ...] = ()
        self._asked = 0
        self._ask_at = 0.0

    def serve(self, file: Path | None, broker: Callable[[], bool]) -> None:
        """Keep the memory in another file, and ask for another broker."""
        self._file, self._broker = file, broker
        self._saved = Memory()
        self.save(now=True)

    def connected(self) -> None:
        """Note that the printer was connected and set up."""
        self.policy.connected(self._now())

    @contextmanager
    def own(self) -> Iterator[None]:
        """Let nothing in the block count as use, because the bridge does it."""
        self._own += 1
        try:
            yield
        finally:
            # What it has changed is noted before it could count as somebody's.
            self._look()
            self._own -= 1

    @contextmanager
    def client(self, command: Command, run: Run) -> Iterator[None]:
        """Count what a client's command does in the block as use, or as a lease."""
        hold = getattr(command, "hold", None)
        try:
            if hold is None:
                yield
            else:
                with self.own():
                    yield
        finally:
            self._commanded(run.gcode, hold)

    def _commanded(self, lines: Collection[str], hold: float | None) -> None:
        state, now = self._observer.state, self._now()
        targets: dict[str, float] = {}
        for line in lines:
            targets |= heaters.named_targets(
                read(line, self._observer.dialect.name),
                profile=self._observer.profile,
                tool=state.modal.tool,
            )
        if targets:
            self.policy.commanded(targets, now, hold)
        # A command that ended with the connection is no use of what comes after it.
        here = state.link == "operational"
        if hold is None and here and any(map(is_use, lines)):
            self.policy.touch(now)
        self.save()

    async def check(self, session: Session) -> None:
        """Do what is due; call it after each change, and at :meth:`next_due`.

        Raises:
            FailedError: The link or the printer went away.

        """
        if self._acting:
            return
        self._look()
        if not self.policy.due():
            self._asked = 0
        elif await self._position_is_known(session):
            self._look()
            self._act(self.policy.decide())
        self._publish()
        self.save()

    def next_due(self) -> float:
        """Return when :meth:`check` is due again if the printer's state stays.

        On the observer's clock, in seconds; infinite while nothing is on.
        """
        if self._acting or self._queue.busy:
            return self._observer.clock()
        return self.policy.next_look() - self._epoch

    def print_broke_off(self) -> None:
        """Note that a print of the bridge broke off without a connection."""
        self.policy.print_broke_off()
        self.save(now=True)

    def look(self) -> None:
        """Note the current state, without acting on it."""
        self._look()
        self._publish()

    def save(self, *, now: bool = False) -> None:
        """Write the memory if what is on disk is too old, or ``now``."""
        memory = self.policy.memory
        if self._file is None or memory == self._saved:
            return
        if now or worth_saving(self._saved, memory):
            self._saved = memory
            remember(self._file, HeaterRecord.of(memory, self._now()))

    async def leave(self, session: Session | None, mode: str) -> None:
        """Turn heaters off before the port is closed, if that is wanted.

        Args:
            session: the conversation with the printer, if there is one.
            mode: ``off`` or ``keep``.

        """
        state = self._observer.state
        self._look()
        on = heaters_on(state) or self._last_known()
        if gone := [name for name in self._left_at_once if name not in on]:
            self._report_off(gone, "exit")  # as some firmwares say by themselves
        if on and print_runs(state) and state.link == "operational":
            log.info("%s: heaters stay on, because a print runs", ", ".join(on))
        elif on and mode == "keep":
            log.warning("%s: heaters stay on (heaters_on_exit: keep)", ", ".join(on))
        elif on:
            await self._leave_cold(session, on)
        self.save(now=True)

    def leave_at_once(self, session: Session, mode: str) -> None:
        """Do what :meth:`leave` does without a reply: a bug is about to close the port.

        :meth:`leave` is called later and reports the result.

        Args:
            session: the conversation with the printer, which is still open.
            mode: ``off`` or ``keep``.

        """
        state = self._observer.state
        on = heaters_on(state)
        goes_on = print_runs(state) and not state.job.streamed
        if on and mode == "off" and not goes_on:
            self._left_at_once = tuple(on)
            session.urgent(*self._ends_wait(), *self._off_lines(on))

    def _last_known(self) -> dict[str, float]:
        """Return what was on when the printer was last seen, unless it is seen now."""
        here = self._observer.state.link == "operational"
        return {} if here else dict(self.policy.memory.targets)

    async def _leave_cold(
        self, session: Session | None, on: Mapping[str, float]
    ) -> None:
        names = tuple(on)
        state = self._observer.state
        if session is None or session.closed or state.link != "operational":
            self._give_up(names, UNCONFIRMED if self._left_at_once else AWAY)
            if self._left_at_once:
                self.policy.leaving(names)
            return
        session.urgent(*self._ends_wait())
        off = OwnTargets(targets=dict.fromkeys(names, 0.0))
        try:
            with self.own():
                async with timeout(EXIT):
                    run = Run()
                    await self._queue.execute(
                        off, len(names), run, expires=None, within=None
                    )
                    await ask(session, "M105")
        except (CommandError, TimeoutError) as error:
            # Once they are in the port's buffer, they are executed as soon as the
            # firmware reads them, whatever it is doing now.
            session.urgent(*self._off_lines(names))
            reason = getattr(error, "message", "") or UNCONFIRMED
            self._give_up(names, reason)
            return
        finally:
            self.policy.leaving(names)
        left = heaters_on(self._observer.state)
        cold = [name for name in names if name not in left]
        if cold:
            self._report_off(cold, "exit")
        if left:
            self._give_up(tuple(left), "it keeps heating")

    def _give_up(self, names: Collection[str], reason: str) -> None:
        """Leave heaters on, and turn them off after the next connection if possible."""
        self.policy.owe()
        self._report_failure(names, reason, giving_up=True)

    def _ends_wait(self) -> tuple[str, ...]:
        """Return what ends a wait for a temperature, for which all lines wait."""
        state = self._observer.state
        capabilities = capabilities_of(state, self._observer.dialect)
        waits = read(state.line).row.waits_for_target
        return ("M108",) if waits and "EMERGENCY_PARSER" in capabilities else ()

    def _off_lines(self, names: Collection[str]) -> list[str]:
        """Return lines that turn heaters off, whatever is known of the printer."""
        profile = self._observer.profile
        codes = {"bed": "M140 S0", "chamber": "M141 S0"}
        if profile.extruders == 1 or profile.shared_nozzle:
            codes["tool0"] = "M104 S0"
        if profile.shared_nozzle:
            codes |= dict.fromkeys(
                (x for x in names if x.startswith("tool")), "M104 S0"
            )
        lines = [codes.get(x, f"M104 T{x.removeprefix('tool')} S0") for x in names]
        return list(dict.fromkeys(lines))

    def _now(self) -> float:
        return self._observer.clock() + self._epoch

    def _look(self) -> None:
        self.policy.look(
            self._observer.state,
            self._now(),
            busy=self._queue.busy,
            own=self._own > 0,
            broker=self._broker(),
        )

    def _publish(self) -> None:
        state, policy = self._observer.state, self.policy
        off_at = None if policy.off_at is None else policy.off_at - self._epoch
        reheat = policy.memory.restore
        published = (state.heaters_off_at, state.heat_reason, state.reheat)
        if published != (off_at, policy.reason, reheat):
            self._observer.set_state(
                replace(
                    state,
                    heaters_off_at=off_at,
                    heat_reason=policy.reason,
                    reheat=reheat,
                )
            )

    async def _position_is_known(self, session: Session) -> bool:
        """Query the position; return whether nothing more is awaited."""
        state, now = self._observer.state, self._observer.clock()
        if "M114" in state.refused or state.waiting or state.job.active:
            return True
        if now < self._ask_at:
            return False
        await ask(session, "M114")
        self._asked += 1
        reported = self._observer.state.placed_at != state.placed_at
        if reported or self._asked >= LOOKS:
            self._asked = 0
            return True
        self._ask_at = now + PAUSE
        return False

    def _act(self, decision: Decision) -> None:
        if decision.warn:
            self._failure_reported = False
            self._warn(decision.warn)
        state = self._observer.state
        if state.waiting and (decision.off or decision.set):
            # Lines that are sent now would take effect when it continues, which is too
            # late.
            self._report_failure(tuple(decision.off), WAITS)
        elif decision.reheat and not state.job.streamed:  # that heats by itself
            self._start(self._reheat(decision.reheat))
        elif decision.off:
            self._start(self._turn_off(decision.off))
        elif decision.set:
            self._start(self._set(decision.set))

    def _start(self, work: Coroutine[None, None, None]) -> None:
        self._acting = True
        self._queue.start(self._acted(work))

    async def _acted(self, work: Coroutine[None, None, None]) -> None:
        try:
            with self.own():
                await work
        finally:
            self._acting = False
            self._publish()
            self.save()

    def _warn(self, names: Collection[str]) -> None:
        off_at = self.policy.off_at
        moment = whole_second(off_at, time.time() - self._now())
        paused = self._observer.state.job.active
        data: dict[str, object] = {
            "heaters": list(names),
            "off_at": None if moment is None else timestamp(moment),
            "cause": "pause" if paused else "idle",
        }
        self._on_event(StateEvent("heaters_idle", data))

    async def _turn_off(self, causes: Mapping[str, Cause]) -> None:
        sent, reason = await self._send_off(causes)
        # Only this report shows which heaters are off: targets that were sent are
        # assumed to be set until the printer reports them.
        session = self._queue.session
        if session is not None:
            await ask(session, "M105")
        left = self.policy.turned_off(self._observer.state, self._now())
        on = heaters_on(self._observer.state)
        self._look()
        self._publish()
        for cause in dict.fromkeys(causes.values()):
            cold = [name for name in sent if causes[name] == cause and name not in on]
            if cold:
                self._report_off(cold, cause)
        if left:
            self._report_failure(left, reason)

    async def _send_off(self, names: Collection[str]) -> tuple[list[str], str]:
        """Turn heaters off; return what was sent, and why the last one failed."""
        sent, reason = [], "it keeps heating"
        for name in names:
            run = Run(wanted=partial(self._still_due, name))
            off = OwnTargets(targets={name: 0.0})
            try:
                await self._queue.execute(off, 1, run, expires=None, within=None)
                sent += [name] if run.gcode else []
            except CommandError as error:
                reason = error.message
        return sent, reason

    def _still_due(self, heater: str) -> bool:
        self._look()
        # Tools that share a nozzle go off together.
        return self.policy.still_due(heater)

    async def _set(self, targets: Mapping[str, float]) -> None:
        """Set targets again that went off when the bridge ended in a pause."""
        await self._execute(OwnTargets(targets=dict(targets)), tuple(targets))

    async def _reheat(self, targets: Mapping[str, float]) -> None:
        """Heat up for a print that was resumed at the printer with cold heaters.

        The targets are set first, because that needs no pause: if the print cannot be
        paused, at least the targets are set.
        """
        names = tuple(targets)
        log.warning(
            "the print was resumed while %s was off: it is paused until the targets "
            "are reached",
            ", ".join(names),
        )
        await self._execute(Pause(), ())
        self._publish()
        await self._execute(Resume(), names)

    async def _execute(self, command: Command, names: Collection[str]) -> None:
        """Carry out a command of ours; report the heaters that it has set."""
        run = Run()
        try:
            await self._queue.execute(command, 1, run, expires=None, within=None)
        except CommandError as error:
            log.warning("heating again failed: %s", error.message)
            return
        if names and run.gcode:
            log.info("%s: on again", ", ".join(names))
            data = {"heaters": list(names)}
            self._on_event(StateEvent("heaters_on_again", data))

    def _report_off(self, names: Collection[str], cause: Cause) -> None:
        limits = self.policy.limits
        why = _CAUSES[cause].format(
            idle=limits.idle / 60, broker=(limits.broker or 0.0) / 60
        )
        log.warning("turned off %s: %s", ", ".join(names), why)
        data: dict[str, object] = {"heaters": list(names), "cause": cause}
        self._on_event(StateEvent("heaters_off", data))

    def _report_failure(
        self, names: Collection[str], reason: str, *, giving_up: bool = False
    ) -> None:
        """Report heaters that stay on: once per warning, and at the end."""
        if self._failure_reported and not giving_up:
            return
        self._failure_reported = True
        log.warning(
            "%s should have been turned off and was not: %s; %s",
            ", ".join(names),
            reason,
            "the bridge ends" if giving_up else "the bridge keeps trying",
        )
        data = {"heaters": list(names), "reason": reason}
        self._on_event(StateEvent("heaters_stay_on", data))
