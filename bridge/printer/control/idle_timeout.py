"""How long a heater may stay on: the idle timeout, and the other limits of that kind.

The idle timeout counts from the last use of the printer. Use is a command that does
more than query, another target, another position of the head, and an answer to a
printer that waited for a person. Nothing that the bridge does by itself is use. The
last use is kept over reconnections and restarts, so that no loose cable, reload or
crash keeps a heater on.

The other limits are those of a paused print, of a lease (``hold``), and of a time
without the broker. :mod:`bridge.printer.control.heater_policy` applies them.

Times are seconds on a clock that continues over restarts (:func:`restored`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from bridge.gcode.reply_types import PositionReport
from bridge.printer.knowledge.model import HeatReason, PrinterState
from bridge.printer.knowledge.state import is_use

WARNING = 300.0
"""Seconds from the warning to the shut-off; a quarter of a limit that is short."""

SAME_TARGET = 0.5
"""Two targets that differ by less than this, in °C, are the same. Firmwares convert
targets and report 60 as 60.01; nobody sets a target more precisely."""

SAME_PLACE = 0.05
"""Two positions that differ by less than this, in mm, are the same. Firmwares that
compute the position from steps or encoders report values that vary by 0.01 mm."""

SAVED_EVERY = 60.0
"""Maximum age, in seconds, of the last use that is saved on disk."""

Cause = Literal["idle", "pause", "hold", "broker", "exit"]
"""Why a heater is turned off: nobody used it, the pause was too long, the lease has
expired, the broker cannot be reached, the bridge ends."""

NEVER = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaterLimits:
    """How long heaters stay on, in seconds; 0: forever.

    Attributes:
        idle: without use.
        pause_nozzle: a hotend in a paused print.
        pause_other: the bed and the chamber in a paused print.
        broker: without use since the broker is away; ``None``: no limit.

    """

    idle: float = 3600.0
    pause_nozzle: float = 1800.0
    pause_other: float = 43_200.0
    broker: float | None = None

    def pause(self, heater: str) -> float:
        """Return the limit of a pause for a heater."""
        nozzle = heater.startswith("tool")
        return self.pause_nozzle if nozzle else self.pause_other

    @property
    def shortest(self) -> float:
        """Return the shortest of the limits that there are."""
        limits = (self.idle, self.pause_nozzle, self.pause_other)
        return min((limit for limit in limits if limit), default=NEVER)


@dataclass(frozen=True, slots=True)
class Hold:
    """A lease: a heater's target in °C, and when it ends."""

    target: float
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What the rule has to remember, also over restarts.

    Attributes:
        used: the last use, or the last moment of a running print; ``None``: no heater
            has been on since.
        targets: °C of the heaters that were on when they were last seen.
        place: where the head was then.
        warned: when people were warned that a heater goes off.
        holds: the leases.
        restore: °C that a print needs again when it resumes.
        rewarm: the heaters in ``restore`` that went off because the bridge ended; they
            are set again when it is back and the pause still is not too long.
        owed: heaters should have gone off and could not, because the bridge ended, or a
            print of its files broke off with the connection; they go off after the next
            connection, unless somebody has used the printer.
        alone: since when the broker has been away; ``None``: it is not.

    """

    used: float | None = None
    targets: Mapping[str, float] = field(default_factory=dict)
    place: tuple[float, ...] | None = None
    warned: Mapping[str, float] = field(default_factory=dict)
    holds: Mapping[str, Hold] = field(default_factory=dict)
    restore: Mapping[str, float] = field(default_factory=dict)
    rewarm: tuple[str, ...] = ()
    owed: bool = False
    alone: float | None = None


@dataclass(frozen=True, slots=True)
class ReasonEnd:
    """When a heater's reason ends, why, and how long before that a warning is due."""

    reason: HeatReason
    at: float = NEVER
    cause: Cause = "idle"
    lead: float = 0.0


def heaters_on(state: PrinterState) -> dict[str, float]:
    """Return the targets of the heaters that are on, in °C."""
    return {
        name: heater.target
        for name, heater in state.heaters.items()
        if heater.target and heater.target > SAME_TARGET
    }


def print_runs(state: PrinterState) -> bool:
    """Return whether a print runs; a paused one does not."""
    return state.job.active and not print_paused(state)


def print_paused(state: PrinterState) -> bool:
    """Return whether a print is paused, or about to pause."""
    return state.job.phase in {"pausing", "paused"}


def worth_saving(saved: Memory, memory: Memory) -> bool:
    """Return whether what is on disk is too old.

    Not every move is worth a write, and with all heaters off no use is: it would not
    let one stay on for longer, and state folders are on cards that wear out.
    """
    rough = replace(memory, used=saved.used, place=saved.place)
    if rough != saved:
        return True
    if not memory.targets and not memory.restore:
        return False
    if (memory.used is None) != (saved.used is None):
        return True
    return abs((memory.used or 0.0) - (saved.used or 0.0)) >= SAVED_EVERY


def restored(memory: Memory, saved_at: float, now: float) -> Memory:
    """Return what an earlier run remembered, by the present clock.

    A clock that was set back meanwhile, such as that of a computer without a battery,
    must not let heaters stay on for longer: then no time has passed.
    """
    back = max(0.0, saved_at - now)
    if not back:
        return memory
    return replace(
        memory,
        used=None if memory.used is None else memory.used - back,
        warned={name: at - back for name, at in memory.warned.items()},
        holds={
            name: Hold(hold.target, hold.until - back)
            for name, hold in memory.holds.items()
        },
        alone=None if memory.alone is None else memory.alone - back,
    )


def reason_end(
    heater: str, state: PrinterState, memory: Memory, limits: HeaterLimits, now: float
) -> ReasonEnd:
    """Return when the reason for which a heater is on ends.

    Args:
        heater: its name, such as ``tool0``.
        state: the printer's, now.
        memory: the last use, and the leases.
        limits: how long heaters stay on.
        now: in seconds.

    """
    if print_runs(state):
        return ReasonEnd("print")
    used = now if memory.used is None else memory.used
    hold = memory.holds.get(heater)
    if state.job.active:
        end = _limited("pause", used, limits.pause(heater), "pause")
        if hold is not None and hold.until > max(end.at, now):
            return ReasonEnd("hold", hold.until, "hold")
        return end
    if hold is not None:
        return ReasonEnd("hold", hold.until, "hold")
    end = _limited("use", used, limits.idle, "idle")
    if limits.broker is not None and memory.alone is not None:
        without = max(memory.alone, used) + limits.broker
        if without < end.at:
            return ReasonEnd("use", without, "broker")
    return end


def _limited(reason: HeatReason, used: float, limit: float, cause: Cause) -> ReasonEnd:
    if not limit:
        return ReasonEnd(reason)
    return ReasonEnd(reason, used + limit, cause, min(WARNING, limit / 4))


def was_used(
    memory: Memory, state: PrinterState, on: Mapping[str, float], *, busy: bool
) -> bool:
    """Return whether the state shows that somebody has used the printer.

    Args:
        memory: what was on, and where the head was, when it was last seen.
        state: the printer's, now.
        on: its :func:`heaters_on`.
        busy: commands of clients wait or are being carried out.

    """
    working = busy and state.line != "" and is_use(state.line)
    changed = any(_is_new(memory, name, target) for name, target in on.items())
    return working or changed or moved(memory.place, place_of(state.position))


def _is_new(memory: Memory, heater: str, target: float) -> bool:
    """Return whether somebody has set a target, other than by a lease.

    A report that is older than the command may come between it and its effect.
    """
    hold = memory.holds.get(heater)
    known = (memory.targets.get(heater, 0.0), hold.target if hold else 0.0)
    return all(abs(target - one) > SAME_TARGET for one in known)


def kept(before: float | None, target: float) -> float:
    """Return the target to remember: the one before, if it is practically the same."""
    same = before is not None and abs(before - target) <= SAME_TARGET
    return before if same and before is not None else target


def place_of(position: PositionReport | None) -> tuple[float, ...] | None:
    """Return the place of a report, in mm; ``None`` without one."""
    if position is None:
        return None
    return (position.x, position.y, position.z, position.e or 0.0)


def moved(before: tuple[float, ...] | None, after: tuple[float, ...] | None) -> bool:
    """Return whether the head moved; a first position, or none, shows no move."""
    if before is None or after is None:
        return False
    return any(
        abs(now - was) > SAME_PLACE for was, now in zip(before, after, strict=True)
    )
