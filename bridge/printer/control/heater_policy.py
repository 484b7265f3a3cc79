"""The rule by which heaters are on, and when they have to go off.

A heater is on only while it has one of these reasons:

* ``print``: a print runs.
* ``pause``: a print is paused, for less than the limit for this heater. Its target is
  remembered, and set and waited for when the print resumes.
* ``hold``: a command has set the target for a limited time (a lease) that lasts.
* ``use``: no print is under way, and somebody has used the printer recently.

What counts as use, and when each reason ends, is in
:mod:`bridge.printer.control.idle_timeout`.

Times are seconds on a clock that continues over restarts.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from bridge.printer.control.idle_timeout import (
    NEVER,
    SAME_TARGET,
    Cause,
    HeaterLimits,
    Hold,
    Memory,
    ReasonEnd,
    heaters_on,
    kept,
    moved,
    place_of,
    print_paused,
    print_runs,
    reason_end,
    was_used,
)
from bridge.printer.knowledge.model import HeatReason, PrinterState

AGAIN = 60.0
"""Seconds until another attempt to turn off heaters that stayed on."""

SETTLING = 10.0
"""Seconds after connecting in which nothing is turned off, because it takes several
polls to detect a print that continued without the bridge. If the limit is short, an
eighth of it."""

RESUMING = 3.0
"""Seconds that a firmware has to restore the target itself when its print resumes, as
Marlin does if its own timeout has turned the nozzle off."""

CONTRADICTED = 10.0
"""Seconds for which the reported target may differ from that of a lease. After that, it
was changed at the printer, and the lease ends; before, the report may be older than the
command."""

_STEADY = 60.0
"""Seconds by which the published time may be early, so that it rarely changes."""

_ORDER: tuple[HeatReason, ...] = ("print", "pause", "hold", "use", "none")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do now.

    Attributes:
        warn: heaters that go off soon.
        off: heaters to be turned off, and why.
        set: targets to be set again, in °C, of a print that is still paused.
        reheat: targets of a print that resumes with heaters that are off: it has to be
            paused until they are hot.

    """

    warn: tuple[str, ...] = ()
    off: Mapping[str, Cause] = field(default_factory=dict)
    set: Mapping[str, float] = field(default_factory=dict)
    reheat: Mapping[str, float] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.warn or self.off or self.set or self.reheat)


class HeaterPolicy:
    """Applies the rule to one printer, over all its connections.

    Call :meth:`look` several times a second, and :meth:`decide` when :meth:`due`.

    Args:
        limits: how long heaters stay on.
        memory: from an earlier run.

    Attributes:
        limits: may be replaced at any time.
        memory: to be kept on disk.
        off_at: when the first heater goes off; ``None``: that is not due.
        reason: why heaters are on; ``None``: none is, as far as is known.

    """

    def __init__(self, limits: HeaterLimits, memory: Memory | None = None) -> None:
        self.limits = limits
        self.memory = memory or Memory()
        self.off_at: float | None = None
        self.reason: HeatReason | None = None
        self._now = 0.0
        self._state = PrinterState()
        self._settled_at = 0.0
        self._waiting = False
        self._cold_since: float | None = None
        self._again_at: dict[str, float] = {}
        self._contradicted: dict[str, float] = {}
        # What was on when the print was paused: a print needs nothing else.
        self._needed = frozenset((*self.memory.targets, *self.memory.restore))

    def connected(self, now: float) -> None:
        """Note that a connection has just begun."""
        self._settled_at = now + min(SETTLING, self.limits.shortest / 8)
        self._waiting = False
        self._again_at.clear()

    def touch(self, now: float) -> None:
        """Note that somebody used the printer."""
        self.memory = replace(self.memory, used=now, warned={}, owed=False)
        self._again_at.clear()

    def commanded(
        self, targets: Mapping[str, float], now: float, hold: float | None
    ) -> None:
        """Note that a command has set targets; ``hold``: for so many seconds.

        A lease belongs to the command that asked for it. Another target, or the same
        one without a lease, ends it. What is turned off in a pause is off until the
        print resumes, which cannot go on without it.
        """
        known, holds = dict(self.memory.targets), dict(self.memory.holds)
        restore = dict(self.memory.restore)
        for name, target in targets.items():
            before = restore.pop(name, 0.0) or known.get(name, 0.0)
            off = target <= SAME_TARGET < before
            if off and name in self._needed and print_paused(self._state):
                restore[name] = before
            holds.pop(name, None)
            known[name] = target
            if hold is not None and target > SAME_TARGET:
                holds[name] = Hold(target, now + hold)
        self.memory = replace(
            self.memory,
            targets=known,
            holds=holds,
            restore=restore,
            rewarm=tuple(k for k in self.memory.rewarm if k not in targets),
        )

    def look(
        self,
        state: PrinterState,
        now: float,
        *,
        busy: bool = False,
        own: bool = False,
        broker: bool = True,
    ) -> None:
        """Note the present state.

        Args:
            state: the printer's.
            now: in seconds.
            busy: commands of clients wait or are being carried out.
            own: what happens now is done by the bridge itself, and is no use.
            broker: the broker is connected.

        """
        before, self._state, self._now = self._state, state, now
        alone = self.memory.alone
        if broker != (alone is None):
            self.memory = replace(self.memory, alone=None if broker else now)
        if state.link != "operational":
            self.off_at = self.reason = None
            return
        on = heaters_on(state)
        if not print_paused(state):
            self._needed = frozenset(on)
        elif not print_paused(before):
            self._needed |= frozenset(on)
        self._note_pause(state, on)
        if print_runs(state) or self._was_used(state, on, busy=busy, own=own):
            self.touch(now)
        self._note(state, on, now)
        self._publish(on)

    def due(self) -> bool:
        """Return whether it is time for :meth:`decide`."""
        return bool(self._decision())

    def decide(self) -> Decision:
        """Return what to do; a warning counts as given."""
        decision = self._decision()
        if decision.warn:
            warned = dict.fromkeys(decision.warn, self._now)
            self.memory = replace(self.memory, warned={**self.memory.warned, **warned})
            self._publish(heaters_on(self._state))
        return decision

    def next_look(self) -> float:
        """Return when :meth:`look` is due again if the printer's state stays the same.

        That is at once, which means several times a second, where something is followed
        that no state shows: a lease, a print, and targets to be set again.
        """
        state, memory = self._state, self.memory
        if memory.restore or memory.holds or state.job.active or state.waiting:
            return self._now
        return min(map(self._next_moment, heaters_on(state)), default=NEVER)

    def _next_moment(self, heater: str) -> float:
        """Return when a heater is due for a warning, or goes off."""
        end = self._end(heater)
        if end.lead and heater not in self.memory.warned:
            return max(end.at - end.lead, self._settled_at)
        return min(self._end_time(heater, end), self._off_time(heater, end))

    def still_due(self, heater: str) -> bool:
        """Return whether a heater still has to go off, in the state last seen."""
        return heater in self._decision().off

    def leaving(self, heaters: Collection[str]) -> None:
        """Note that heaters were turned off because the bridge ends.

        Those of a paused print are set again when it is back. Do not call :meth:`look`
        after this: an old report would look like somebody's command.
        """
        if print_paused(self._state):
            targets = self.memory.targets
            left = {name: targets[name] for name in heaters if name in targets}
            restore = {**self.memory.restore, **left}
            off = (name for name in heaters if name in restore)
            rewarm = tuple(dict.fromkeys((*self.memory.rewarm, *off)))
            self.memory = replace(self.memory, restore=restore, rewarm=rewarm)

    def owe(self) -> None:
        """Note that the bridge ends and heaters stay on that should not.

        In a pause the rule continues where it was, because targets that went off would
        be set again at once.
        """
        if not self._state.job.active:
            self.memory = replace(self.memory, owed=True)

    def print_broke_off(self) -> None:
        """Note that a print of the bridge broke off, and its heaters could not go off.

        Nobody has used the printer since: where the head stands is where the print left
        it, wherever it was seen last.
        """
        self.memory = replace(self.memory, owed=True, place=None)

    def turned_off(self, state: PrinterState, now: float) -> tuple[str, ...]:
        """Return the heaters that should be off and are not; they are tried again."""
        self._state, self._now = state, now
        left = tuple(self._decision().off)
        self._again_at |= dict.fromkeys(left, now + min(AGAIN, self.limits.shortest))
        on = heaters_on(state)
        self._note_pause(state, on)
        self._note(state, on, now)
        return left

    def _note_pause(self, state: PrinterState, on: Mapping[str, float]) -> None:
        """Remember the targets of heaters that have gone off in a pause.

        Not only the bridge turns them off: Klipper's ``idle_timeout`` and Marlin's
        nozzle timeout do, too. No resumed print can do without them.
        """
        restore = {k: v for k, v in self.memory.restore.items() if k not in on}
        if print_paused(state):
            lost = {
                name: target
                for name, target in self.memory.targets.items()
                if target > SAME_TARGET and name in self._needed and name not in on
            }
            restore = {**lost, **restore}
        elif not state.job.active and self._now >= self._settled_at:
            restore = {}
        if restore != self.memory.restore:
            self.memory = replace(self.memory, restore=restore)

    def _was_used(
        self, state: PrinterState, on: Mapping[str, float], *, busy: bool, own: bool
    ) -> bool:
        answered, self._waiting = self._waiting and not state.waiting, state.waiting
        if own:
            return self.memory.used is None and bool(on)
        return answered or was_used(self.memory, state, on, busy=busy)

    def _note(self, state: PrinterState, on: Mapping[str, float], now: float) -> None:
        """Remember what is on, and where the head is.

        Values that are the same within the tolerances replace nothing: otherwise those
        that creep would never be use.
        """
        memory = self.memory
        targets = {
            name: kept(memory.targets.get(name), target) for name, target in on.items()
        }
        place = place_of(state.position)
        if memory.place is not None and not moved(memory.place, place):
            place = memory.place
        noted = (
            memory.used if on or state.job.active else None,
            targets,
            place,
            {k: v for k, v in memory.warned.items() if k in on},
            self._valid_holds(state, on, now),
            tuple(name for name in memory.rewarm if name in memory.restore),
            memory.owed and bool(on),
        )
        if noted == (
            *(memory.used, memory.targets, memory.place),
            *(memory.warned, memory.holds, memory.rewarm, memory.owed),
        ):
            return  # as nearly always, and a copy takes longer than all the rest
        used, targets, place, warned, holds, rewarm, owed = noted
        self.memory = replace(
            memory,
            used=used,
            targets=targets,
            place=place,
            warned=warned,
            holds=holds,
            rewarm=rewarm,
            owed=owed,
        )

    def _valid_holds(
        self, state: PrinterState, on: Mapping[str, float], now: float
    ) -> dict[str, Hold]:
        """Return the leases without those that have no meaning any more.

        A print takes over what is on: the end of a lease must not cool it down.
        """
        valid = {}
        for name, hold in self.memory.holds.items():
            same = abs(on.get(name, 0.0) - hold.target) <= SAME_TARGET
            since = now if same else self._contradicted.get(name, now)
            self._contradicted[name] = since
            taken_over = state.job.active and now >= hold.until
            if now - since < CONTRADICTED and not taken_over:
                valid[name] = hold
        return valid

    def _publish(self, on: Collection[str]) -> None:
        """Derive when heaters go off, and why they are on."""
        ends = {name: self._end(name) for name in on}
        reasons: list[HeatReason] = [
            end.reason if self._now < self._end_time(name, end) else "none"
            for name, end in ends.items()
        ]
        self.reason = min(reasons, key=_ORDER.index) if reasons else None
        times = [(self._off_time(name, end), end.lead) for name, end in ends.items()]
        first, lead = min(times, default=(NEVER, 0.0))
        if first == NEVER:
            self.off_at = None
        elif not self._is_near_enough(first, lead):
            self.off_at = first

    def _is_near_enough(self, first: float, lead: float) -> bool:
        """Return whether the published time may stay although it is a little early."""
        left, before = first - self._now, self.off_at
        if before is None or self.memory.warned or left <= lead:
            return False
        return 0 <= first - before <= min(_STEADY, left / 60)

    def _end(self, heater: str) -> ReasonEnd:
        state, memory = self._state, self.memory
        end = reason_end(heater, state, memory, self.limits, self._now)
        if memory.owed and end.reason == "use":
            return ReasonEnd("use", self._settled_at, "exit")
        return end

    def _end_time(self, heater: str, end: ReasonEnd) -> float:
        """Return when a reason ends; a late warning leaves half of its time."""
        if not end.lead:
            return end.at
        warned = self.memory.warned.get(heater, self._now)
        return max(end.at, warned + end.lead / 2)

    def _off_time(self, heater: str, end: ReasonEnd) -> float:
        """Return when a heater is turned off, for the first time or again."""
        again = self._again_at.get(heater, 0.0)
        return max(self._end_time(heater, end), self._settled_at, again)

    def _decision(self) -> Decision:
        state, now = self._state, self._now
        if state.link != "operational":
            return Decision()
        warn: list[str] = []
        off: dict[str, Cause] = {}
        for name in heaters_on(state):
            end = self._end(name)
            if end.lead and name not in self.memory.warned:
                if now >= max(end.at - end.lead, self._settled_at):
                    warn.append(name)
            elif now >= self._off_time(name, end):
                off[name] = end.cause
        return Decision(
            warn=tuple(warn), off=off, set=self._to_set(), reheat=self._to_reheat()
        )

    def _to_set(self) -> Mapping[str, float]:
        """Return what went off with the bridge and may be on again."""
        memory = self.memory
        if not (memory.rewarm and print_paused(self._state) and self._is_confirmed()):
            return {}
        return {
            name: target
            for name, target in memory.restore.items()
            if name in memory.rewarm
            and self._now < self._end(name).at - self._end(name).lead
        }

    def _is_confirmed(self) -> bool:
        """Return whether the printer still has the print, as far as it has said.

        One that was switched off and on meanwhile, maybe by a person who is still
        there, must not heat up.
        """
        return self._state.job.lost_at is None

    def _to_reheat(self) -> Mapping[str, float]:
        """Return what a print that has resumed lacks, if the firmware does not care."""
        state = self._state
        running = state.job.phase in {"printing", "resuming"}
        if not (running and self.memory.restore and self._is_confirmed()):
            self._cold_since = None
            return {}
        if self._cold_since is None:
            self._cold_since = self._now
        # A command of ours that is on its way has the heating lines before the resume.
        late = self._now >= self._cold_since + RESUMING
        return dict(self.memory.restore) if late else {}
