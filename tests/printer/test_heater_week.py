"""A simulated week: random use, random incidents, and no heater on without a reason.

The simulated printer keeps its own account of why its heaters may be on. It is compared
with what the rule does, in steps of a minute.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import pytest

from bridge.printer.control.heater_control import HeaterRecord
from bridge.printer.control.heater_policy import (
    AGAIN,
    SETTLING,
    HeaterPolicy,
)
from bridge.printer.control.idle_timeout import (
    SAVED_EVERY,
    WARNING,
    HeaterLimits,
    Memory,
    worth_saving,
)
from bridge.printer.knowledge import state as known
from tests.support.cases import examples
from tests.support.knowing import Knowing

STEP = 60.0
WEEK = 7 * 24 * 3600.0
MINUTE = 60.0
NEVER = float("inf")
LATE = SETTLING + WARNING / 2 + AGAIN + STEP
"""Seconds in which a bridge that runs and is connected gets a heater off that has no
reason: the time after a connection, half of a warning, one attempt that failed, and a
step, because it is looked at once in each."""
EARLY = SAVED_EVERY + STEP
"""Seconds by which it may go off too early: the last use on the disk may be that old,
and a print or a person is noticed with the next report."""
LINES = {"tool0": "M104", "bed": "M140"}


@dataclass
class Week:
    """A printer, its users, and the bridge that watches it."""

    random: Random
    limits: HeaterLimits = field(default_factory=HeaterLimits)
    now: float = 0.0
    targets: dict[str, float] = field(
        default_factory=lambda: {"tool0": 0.0, "bed": 0.0}
    )
    x: float = 10.0
    byte: int = 0
    phase: str = "idle"
    used: float = 0.0
    holds: dict[str, float] = field(default_factory=dict)
    away_until: float = -1.0
    changed_away: bool = False
    broker_away_since: float | None = None
    deaf_until: float = -1.0
    overdue: dict[str, float] = field(default_factory=dict)
    went_off: int = 0

    def __post_init__(self) -> None:
        self.printer = Knowing()
        self.rule = HeaterPolicy(self.limits)
        self.saved, self.saved_at = Memory(), 0.0

    @property
    def up(self) -> bool:
        """The bridge runs, and is connected to the printer."""
        return self.now >= self.away_until

    # Users

    def command(self) -> None:
        """Send a command that does something."""
        if self.up:
            self.used = self.now
            self.rule.touch(self.now)
            self.save(self.now)

    def heat(self, hold: float | None = None) -> None:
        """Send a command that heats, with or without a lease."""
        if not self.up:
            return
        name = self.random.choice(list(LINES))
        target = self.random.choice([50.0, 60.0, 200.0])
        cold = self.phase == "idle" and not any(self.targets.values())
        self.targets[name] = target
        self.printer.sends(f"{LINES[name]} S{target:g}")
        self.rule.commanded({name: target}, self.now, hold)
        self.holds.pop(name, None)
        self.save(self.now)
        if hold is None:
            self.command()
        else:
            self.holds[name] = self.now + hold
            # The first lease of a cold printer is where the time without use begins.
            self.used = self.now if cold else self.used

    def lease(self) -> None:
        """Send a command that heats for a while."""
        self.heat(self.random.choice([5 * MINUTE, 40 * MINUTE, 5 * 60 * MINUTE]))

    def panel(self) -> None:
        """Set another target at the panel."""
        name = self.random.choice(list(LINES))
        self.targets[name] = self.targets[name] + 5.0 if self.targets[name] else 55.0
        self.holds.pop(name, None)
        self.touched()

    def move(self) -> None:
        """Move the head at the panel."""
        self.x = 10.0 if self.x > 100 else self.x + 5.0
        self.touched()

    def touched(self) -> None:
        """Note that somebody used the panel."""
        self.used = self.now
        self.changed_away |= not self.up

    def print(self) -> None:
        """Start, pause, resume or end a print, which heats as prints do."""
        if not self.up:
            return
        match self.phase:
            case "idle":
                self.phase, self.byte = "printing", 0
                targets = {"tool0": 210.0, "bed": 60.0}
                for name, target in targets.items():
                    if self.targets[name] != target:
                        self.holds.pop(name, None)
                self.targets = targets
            case "printing" if self.random.random() < 0.5:
                self.phase = "paused"
                self.says("//action:paused")
            case "printing":
                self.phase = "idle"
                self.says("Done printing file")
            case "paused":
                self.phase = "printing"
                for name, target in self.rule.memory.restore.items():
                    self.targets[name] = target
                    self.printer.sends(f"{LINES[name]} S{target:g}")
                self.says("//action:resumed")
        self.used = self.now

    # Incidents

    def gone(self) -> None:
        """Pull the cable, or freeze the process, for a while."""
        pause = self.random.choice([MINUTE, 20 * MINUTE, 8 * 60 * MINUTE])
        self.away_until = max(self.away_until, self.now + pause)

    def crash(self) -> None:
        """Kill the bridge; it is back at once with what is on the disk."""
        record = HeaterRecord.of(self.saved, self.saved_at).model_dump_json()
        read = HeaterRecord.model_validate_json(record)
        self.rule = HeaterPolicy(self.limits, read.memory(self.now))
        self.connect()

    def crash_loop(self) -> None:
        """Kill it again and again."""
        for _ in range(self.random.randrange(2, 6)):
            self.crash()

    def power_cut(self) -> None:
        """Switch the printer off and on."""
        self.targets = dict.fromkeys(self.targets, 0.0)
        self.holds.clear()
        self.phase = "idle"
        self.printer.become(known.reset(self.printer.state, now=self.now))
        self.connect()

    def broker(self) -> None:
        """Lose the broker, or get it back."""
        away = self.broker_away_since is None
        self.broker_away_since = self.now if away else None

    def reload(self) -> None:
        """Reload with other limits."""
        self.limits = HeaterLimits(
            idle=self.random.choice([20, 60, 120]) * MINUTE,
            pause_nozzle=self.random.choice([10, 30]) * MINUTE,
            pause_other=self.random.choice([60, 720]) * MINUTE,
            broker=self.random.choice([None, 15 * MINUTE]),
        )
        self.rule.limits = self.limits

    def refuse(self) -> None:
        """Have the firmware ignore what turns heaters off for a while."""
        self.deaf_until = self.now + 20 * MINUTE

    @property
    def deaf(self) -> bool:
        """The firmware ignores what turns heaters off."""
        return self.now < self.deaf_until

    # Time

    def says(self, *lines: str) -> None:
        """Have the firmware say something that the bridge hears."""
        self.printer.at(self.now).says(*lines)

    def connect(self) -> None:
        """Have the bridge connect to the printer."""
        state = self.printer.state
        self.printer.become(known.connecting(state))
        self.report()
        dialect = self.printer.dialect
        self.printer.become(known.connected(self.printer.state, dialect=dialect))
        self.rule.connected(self.now)

    def report(self) -> None:
        """Have the firmware report what it does; values tremble as they do."""
        shake = self.random.choice([-0.01, 0.0, 0.01])
        tool, bed = (
            x + shake if x else 0.0
            for x in (self.targets["tool0"], self.targets["bed"])
        )
        self.says(
            f"X:{self.x + shake:.2f} Y:5.00 Z:5.00 E:0.00",
            f"T:20.0 /{tool:.2f} B:20.0 /{bed:.2f}",
        )
        if self.phase == "printing":
            self.says(f"SD printing byte {self.byte + 1}/100000000")
            self.says(f"SD printing byte {self.byte + 2}/100000000")
            self.byte += 2
            self.used = self.now

    def step(self) -> None:
        """Let half a minute pass."""
        was_up = self.up
        self.now += STEP
        if not self.up:
            if self.phase == "printing":
                self.used, self.byte = self.now, self.byte + 2
                self.changed_away = True
                self.x = 10.0 if self.x > 100 else self.x + 1.0
            return
        if not was_up:
            self.connect()
            if self.changed_away:
                self.used, self.changed_away = self.now, False
        self.report()
        for moment in (0.0, 11.0):  # the bridge looks more often than that
            self.look(self.now + moment)
        self.check()

    def look(self, now: float) -> None:
        """Have the bridge look at the printer, and do what it decides."""
        broker = self.broker_away_since is None
        self.rule.look(self.printer.at(now).state, now, broker=broker)
        if self.rule.due():
            self.act(now)
        self.save(now)

    def save(self, now: float) -> None:
        """Write what is worth writing, as the control does after each command."""
        if worth_saving(self.saved, self.rule.memory):
            self.saved, self.saved_at = self.rule.memory, now

    def act(self, now: float) -> None:
        """Do what the rule decides."""
        decision = self.rule.decide()
        for name in decision.off:
            assert now >= self.end(name) - EARLY, (name, decision.off[name])
            if not self.deaf:
                self.targets[name] = 0.0
                self.printer.at(now).sends(f"{LINES[name]} S0")
                self.went_off += 1
        if decision.off:
            self.rule.turned_off(self.printer.state, now)
        for name, target in {**decision.set, **decision.reheat}.items():
            self.targets[name] = target
            self.printer.at(now).sends(f"{LINES[name]} S{target:g}")

    def end(self, name: str) -> float:
        """Return when the reason of a heater ends, by the printer's own account."""
        if self.phase == "printing":
            return NEVER
        hold = self.holds.get(name)
        if self.phase == "paused":
            end = self.used + self.limits.pause(name)
            return end if hold is None else max(end, hold)
        if hold is not None:
            return hold
        end = self.used + self.limits.idle
        if self.limits.broker is not None and self.broker_away_since is not None:
            end = min(end, max(self.used, self.broker_away_since) + self.limits.broker)
        return end

    def check(self) -> None:
        """Compare what is on with the account of why it may be."""
        for name, target in self.targets.items():
            hold = self.holds.get(name)
            if hold is not None and (not target or self.overtaken(hold)):
                del self.holds[name]
            if not target or self.deaf or self.now <= self.end(name):
                self.overdue[name] = 0.0
                continue
            self.overdue[name] = self.overdue.get(name, 0.0) + STEP
            assert self.overdue[name] <= LATE, (name, self.now, self.phase)

    def overtaken(self, hold: float) -> bool:
        """Return whether a print has taken over what a lease holds."""
        return self.phase != "idle" and self.now >= hold


def plan(week: Week) -> list[tuple[float, Callable[[], None]]]:
    """Return what happens, and how often in an hour."""
    return [
        (0.4, week.command),
        (0.5, week.heat),
        (0.4, week.lease),
        (0.2, week.panel),
        (0.2, week.move),
        (0.6, week.print),
        (0.2, week.gone),
        (0.3, week.crash),
        (0.1, week.crash_loop),
        (0.05, week.power_cut),
        (0.2, week.broker),
        (0.1, week.reload),
        (0.1, week.refuse),
    ]


@pytest.mark.parametrize("seed", range(min(examples(1), 50)))
def test_no_heater_is_on_without_a_reason(seed: int) -> None:
    random = Random(seed)  # noqa: S311 - no secret
    week = Week(random)
    chances = [(rate * STEP / 3600, happens) for rate, happens in plan(week)]
    while week.now < WEEK:
        for chance, happens in chances:
            if random.random() < chance:
                happens()
        week.step()
    assert week.went_off > 10
