"""The machine behind the firmware's commands, and what commands may do with it."""

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, fields, replace

from bridge.simulator.card import KLIPPER_FILES, MARLIN_FILES, Card
from bridge.simulator.heaters import BED, CHAMBER, HOTEND, SimulatedHeater
from bridge.simulator.lines import Numbering, ParsedCommand
from bridge.simulator.motion import Motion
from bridge.simulator.options import Options
from bridge.simulator.personalities import Family, Personality

BUSY_INTERVAL = 2.0


Steps = Generator[float, None, None]
"""A command that takes time: it yields when to continue, and may yield ``math.inf`` to
wait until somebody releases it."""


class RefusedError(Exception):
    """The firmware does not execute a command; the arguments are what it says."""


@dataclass(slots=True)
class AutoReport:
    """Something that is said again and again.

    Attributes:
        interval: in seconds; 0: never.
        due: when next.

    """

    interval: float = 0.0
    due: float = math.inf

    def every(self, interval: float, now: float) -> None:
        """Begin at one interval from now; 0 ends it."""
        self.interval = max(0.0, interval)
        self.due = now + self.interval if self.interval else math.inf


@dataclass(slots=True)
class Machine:
    """All that the commands of a firmware read and change.

    Attributes:
        now: the time of what happens at the moment, in seconds.
        out: what was said and not yet fetched.
        answered: the running command has said its ``ok`` itself, or never will.
        quiet: the running command came from the card or the panel: no ``ok``.
        released: somebody ended a wait: M108, M876 or the button.
        user_wait: the machine waits for a person.
        stopped: the firmware was killed: deaf until a reset.
        locked: it is locked with a password (Marlin).
        parked: a filament change has interrupted the print from the card.
        resets: it is about to restart by itself.
        shutdown: why Klipper refuses everything, line by line; empty: it does not.
        stale: the temperatures that Klipper keeps reporting then.
        running: the command that is being executed.
        deaf_until: it reads nothing before that time; what arrives waits.
        boots_until: what arrives before that time is lost.
        later: what happens by itself, and when.

    """

    personality: Personality
    options: Options
    heaters: dict[str, SimulatedHeater]
    motion: Motion
    card: Card
    numbering: Numbering = field(default_factory=Numbering)
    now: float = 0.0
    out: list[str] = field(default_factory=list)
    number: int | None = None
    answered: bool = False
    quiet: bool = False
    released: bool = False
    user_wait: bool = False
    stopped: bool = False
    locked: bool = False
    parked: bool = False
    resets: bool = False
    shutdown: tuple[str, ...] = ()
    stale: str = ""
    running: str = ""
    deaf_until: float = -math.inf
    boots_until: float = -math.inf
    tool: int = 0
    fan: float = 0.0
    busy_interval: float = BUSY_INTERVAL
    cold_below: float = 170.0
    display: str = ""
    injected: list[str] = field(default_factory=list)
    print_began: float = 0.0
    temperature_report: AutoReport = field(default_factory=AutoReport)
    position_report: AutoReport = field(default_factory=AutoReport)
    card_report: AutoReport = field(default_factory=AutoReport)
    later: list[tuple[float, Callable[[], None]]] = field(default_factory=list)

    @property
    def speed(self) -> float:
        """How much faster than in reality it moves, heats and waits."""
        return self.options.get("speed", 1.0)

    @property
    def tools(self) -> int:
        """How many extruders it has."""
        return self.options.get("extruders", 1)

    def say(self, line: str) -> None:
        """Say a line."""
        if not self.personality.mute:
            self.out.append(line)

    def action(self, text: str) -> None:
        """Say a host action, if the firmware has them."""
        if self.personality.actions:
            self.say(f"//action:{text}")

    def prompt(self, title: str, *buttons: str) -> None:
        """Show a dialog on the host."""
        for step in (
            "prompt_end",
            f"prompt_begin {title}",
            *(f"prompt_button {button}" for button in buttons),
            "prompt_show",
        ):
            self.action(step)

    def ok(self, output: str = "") -> None:
        """Acknowledge the running command, with the rest of the line."""
        self.answered = True
        if self.quiet:
            if output:
                self.say(output)
            return
        parts = ["ok"]
        if self.personality.ok_number and self.number is not None:
            parts.append(str(self.number))
        elif self.options.get("advanced_ok") and not output:
            if self.number is not None:
                parts.append(f"N{self.number}")
            parts += [f"P{max(0, 15 - len(self.motion.moves))}", "B3"]
        if output and not self.personality.mute:
            parts.append(output)
        self.out.append(" ".join(parts))

    def heater(self, command: ParsedCommand) -> SimulatedHeater | None:
        """Return the tool that a command's T names, or the current one."""
        index = int(command.words.get("T", self.tool))
        return self.heaters.get(f"tool{index}")

    def wait_for_moves(self) -> Steps:
        """Wait until nothing moves any more."""
        while (end := self.motion.ends_at(self.now)) > self.now:
            yield end

    def wait_for_user(self) -> Steps:
        """Wait until somebody presses the button, here or on the host."""
        self.user_wait, self.released = True, False
        while not self.released:
            yield math.inf
        self.user_wait = self.released = False

    def switch_off(self) -> None:
        """Turn all heaters and the fan off."""
        for heater in self.heaters.values():
            heater.set_target(0.0, self.now)
        self.fan = 0.0

    def renew(self) -> None:
        """Restart, as after power-up; the card and the temperatures stay."""
        fresh = build(self.personality, self.options, self.now)
        for name, heater in fresh.heaters.items():
            heater.actual = self.heaters[name].advance(self.now)
            heater.broken = self.heaters[name].broken
        fresh.card.files = self.card.files
        fresh.card.inserted = fresh.card.mounted = self.card.inserted
        fresh.out = self.out
        for attribute in fields(self):
            setattr(self, attribute.name, getattr(fresh, attribute.name))

    def kill(self, *words: str) -> None:
        """Stop for good: heaters off, deaf until a reset."""
        for line in words:
            self.say(line)
        self.switch_off()
        self.motion.stop(self.now)
        self.card.printing = False
        self.stopped = True


def build(personality: Personality, options: Options, now: float = 0.0) -> Machine:
    """Return a machine that was just switched on."""
    speed = options.get("speed", 1.0)
    heaters = {
        f"tool{n}": SimulatedHeater(f"E{n}", HOTEND, speed, time=now)
        for n in range(options.get("extruders", 1))
    }
    if options.get("bed", True):
        heaters["bed"] = SimulatedHeater("bed", BED, speed, time=now)
    if options.get("chamber"):
        heaters["chamber"] = SimulatedHeater("chamber", CHAMBER, speed, time=now)
    for heater in heaters.values():
        heater.swing = options.get("swing", 0.0)
    klipper = personality.family is Family.KLIPPER
    files = options.get("files", KLIPPER_FILES if klipper else MARLIN_FILES)
    if personality.lower_names:
        files = tuple(replace(file, name=file.name.lower()) for file in files)
    card = Card.of(files, inserted=options.get("card", True))
    return Machine(personality, options, heaters, Motion(speed), card, now=now)
