"""No accepted command takes a machine beyond its limits: a model machine is asked.

The model reads lines and moves in its own way; it shares no code with the limits. It
has shifts of its coordinates, modes, factors, places that nobody knows, and starts
anywhere on its axes.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.config import MaxTemperature, Profile, Volume
from bridge.errors import RejectedError
from bridge.gcode import line as lines
from bridge.gcode.dialects import DIALECTS
from bridge.gcode.modal import Modal, track
from bridge.printer.limits.coordinates import Coordinates
from bridge.printer.limits.safety import SafetyRules, check
from bridge.printer.limits.travel import InitialState
from tests.support.cases import examples

AXES = {"X": (0.0, 220.0), "Y": (-10.0, 220.0), "Z": (0.0, 250.0)}
MAX_SPEED, MAX_E, SLACK = 12_000.0, 100.0, 1e-3
TOOL, BED = 250.0, 100.0
PROFILE = Profile(
    extruders=2,
    max_temperature=MaxTemperature(tool=TOOL, bed=BED),
    volume=Volume(x=AXES["X"], y=AXES["Y"], z=AXES["Z"]),
    max_speed=MAX_SPEED,
    max_extrusion=MAX_E,
)
WORD = re.compile(r"([A-Z])(-?[\d.]+)?")
E_MODES = ("last", "either", "own")
STEPS = 90
"""Points at which an arc or a curve is looked at."""


class BrokenError(AssertionError):
    """The machine was taken beyond a limit."""


@dataclass
class Machine:
    """A machine; what it is at is in machine coordinates.

    Attributes:
        at: where its axes are.
        home: where homing ends.
        anywhere: where codes that move by themselves end, one after another.
        e_mode: how it reads ``G90`` and ``M83`` for the extruder.
        homing_ends_shift: whether ``G28`` ends the shift of ``G92``.

    """

    at: dict[str, float]
    home: Mapping[str, float]
    anywhere: list[Mapping[str, float]]
    e_mode: str
    homing_ends_shift: bool
    shift: dict[str, float] = field(default_factory=lambda: dict.fromkeys("XYZ", 0.0))
    spaces: dict[int, dict[str, float]] = field(default_factory=dict)
    space: int = 1
    e: float = 0.0
    relative: bool = False
    relative_e: bool = False
    own_relative_e: bool = False
    feedrate: float = 1500.0
    speed: float = 1.0
    flow: float = 1.0
    area: float = 1.0
    plane: str = "XY"
    fresh: set[str] = field(default_factory=set)
    """Axes that were homed and have not gone to a coordinate since: the firmware's own
    limits, which follow homing, stop them at their ends."""
    pushed: float = 0.0
    pushed_range: tuple[float, float] = (0.0, 0.0)

    def origin(self, axis: str) -> float:
        """Return machine minus logical coordinate."""
        space = self.spaces.get(self.space, {}).get(axis, 0.0)
        return self.shift[axis] + space

    def logical(self) -> dict[str, float]:
        """Return what the machine reports."""
        there = {axis.lower(): self.at[axis] - self.origin(axis) for axis in AXES}
        return {**there, "e": self.e}

    def run(self, command: list[str]) -> None:
        """Carry out a command."""
        self.pushed, self.pushed_range = 0.0, (0.0, 0.0)
        for text in command:
            code, *words = text.split()
            given = {}
            for word in words:
                match = WORD.fullmatch(word)
                assert match is not None
                given[match[1]] = None if match[2] is None else float(match[2])
            self.carry_out(code, given)

    def carry_out(  # noqa: C901, PLR0912 - one case for each code
        self, code: str, given: Mapping[str, float | None]
    ) -> None:
        """Carry out a line."""
        numbers = {key: value for key, value in given.items() if value is not None}
        match code:
            case "G0" | "G1":
                self.straight(numbers)
            case "G2" | "G3":
                self.arc(numbers, clockwise=code == "G2")
            case "G5":
                self.curve(numbers)
            case "G17" | "G18" | "G19":
                self.plane = {"G17": "XY", "G18": "XZ", "G19": "YZ"}[code]
            case "G28":
                for axis in [axis for axis in AXES if axis in given] or AXES:
                    self.at[axis] = self.home[axis]
                    self.fresh.add(axis)
                    if self.homing_ends_shift:
                        self.shift[axis] = 0.0
            case "G90" | "G91":
                self.relative = code == "G91"
                self.relative_e = self.relative
            case "M82" | "M83":
                self.relative_e = self.own_relative_e = code == "M83"
            case "G92":
                self.set_position(given)
            case "G54" | "G55" | "G56":
                self.space = int(code[1:]) - 53
            case "G10":
                self.set_space(numbers)
            case "G29" | "T0" | "T1" | "M600":
                self.at = dict(self.anywhere[0])
                self.anywhere = [*self.anywhere[1:], self.anywhere[0]]
                self.fresh.clear()
                self.e = self.e if code == "G29" else 77.0
            case "M220":
                self.speed = numbers["S"] / 100
            case "M221":
                self.flow = numbers["S"] / 100
            case "M200":
                diameter = numbers["D"]
                self.area = math.pi * diameter**2 / 4 if diameter else 1.0
            case "M104" | "M109":
                limit(numbers["S"], TOOL, "the hotend's temperature")
            case "M140":
                limit(numbers["S"], BED, "the bed's temperature")
            case _:
                raise AssertionError(code)

    def ends(self, numbers: Mapping[str, float]) -> dict[str, float]:
        """Return where a move ends, in machine coordinates."""
        end = dict(self.at)
        for axis in AXES:
            if axis in numbers:
                start = self.at[axis] if self.relative else self.origin(axis)
                end[axis] = start + numbers[axis]
        return end

    def straight(self, numbers: Mapping[str, float]) -> None:
        self.feedrate = numbers.get("F") or self.feedrate
        if any(axis in numbers for axis in "XYZE"):
            limit(self.feedrate * self.speed, MAX_SPEED, "the speed")
        end = self.ends(numbers)
        for axis, (low, high) in AXES.items():
            if axis in self.fresh and axis in numbers:
                end[axis] = min(max(end[axis], low), high)
                if not self.relative:
                    self.fresh.discard(axis)
        self.go(end)
        if "E" in numbers:
            self.push(numbers["E"])

    def go(self, end: Mapping[str, float]) -> None:
        for axis, (low, high) in AXES.items():
            if not low - SLACK <= end[axis] <= high + SLACK:
                raise BrokenError(f"{axis} is at {end[axis]}")
        self.at = dict(end)

    def push(self, e: float) -> None:
        relative = {
            "last": self.relative_e,
            "either": self.relative or self.own_relative_e,
            "own": self.own_relative_e,
        }[self.e_mode]
        length = e if relative else e - self.e
        self.e += length
        length *= self.flow / self.area
        limit(abs(length), MAX_E, "the filament of a line")
        self.pushed += length
        low, high = self.pushed_range
        self.pushed_range = min(low, self.pushed), max(high, self.pushed)
        limit(max(self.pushed_range) - min(self.pushed_range), MAX_E, "the filament")

    def arc(self, numbers: Mapping[str, float], *, clockwise: bool) -> None:
        one, other = self.plane[0], self.plane[1]
        end = self.ends(numbers)
        start = (self.at[one], self.at[other])
        stop = (end[one], end[other])
        offsets = {"X": "I", "Y": "J", "Z": "K"}
        if "R" in numbers:
            centre = self.by_radius(start, stop, numbers["R"], clockwise=clockwise)
        else:
            centre = (
                start[0] + numbers.get(offsets[one], 0.0),
                start[1] + numbers.get(offsets[other], 0.0),
            )
        radius = math.dist(start, centre)
        first = math.atan2(start[1] - centre[1], start[0] - centre[0])
        last = math.atan2(stop[1] - centre[1], stop[0] - centre[0])
        angle = (first - last if clockwise else last - first) % math.tau
        if math.dist(start, stop) < 1e-9:
            angle = math.tau
        for step in range(STEPS):
            turn = angle * step / STEPS
            turned = first - turn if clockwise else first + turn
            place = {
                one: centre[0] + radius * math.cos(turned),
                other: centre[1] + radius * math.sin(turned),
            }
            self.go({**self.at, **place})
        self.straight({k: v for k, v in numbers.items() if k in "EF"})
        self.go(end)
        self.fresh.clear()

    def by_radius(
        self,
        start: tuple[float, float],
        stop: tuple[float, float],
        radius: float,
        *,
        clockwise: bool,
    ) -> tuple[float, float]:
        """Return the centre of the arc, found by trying both sides of its chord."""
        across = math.dist(start, stop)
        height = math.sqrt(max(0.0, radius**2 - (across / 2) ** 2))
        middle = ((start[0] + stop[0]) / 2, (start[1] + stop[1]) / 2)
        normal = ((stop[1] - start[1]) / across, (start[0] - stop[0]) / across)
        for side in (height, -height):
            centre = (middle[0] + side * normal[0], middle[1] + side * normal[1])
            first = math.atan2(start[1] - centre[1], start[0] - centre[0])
            last = math.atan2(stop[1] - centre[1], stop[0] - centre[0])
            angle = (first - last if clockwise else last - first) % math.tau
            if (angle <= math.pi + 1e-6) == (radius > 0):
                return centre
        return middle

    def curve(self, numbers: Mapping[str, float]) -> None:
        end = self.ends(numbers)
        controls = {
            "X": (numbers.get("I", 0.0), numbers.get("P", 0.0)),
            "Y": (numbers.get("J", 0.0), numbers.get("Q", 0.0)),
        }
        begun = dict(self.at)
        for step in range(STEPS + 1):
            t = step / STEPS
            place = dict(begun)
            for axis, (first, second) in controls.items():
                points = (
                    begun[axis],
                    begun[axis] + first,
                    end[axis] + second,
                    end[axis],
                )
                weights = (
                    (1 - t) ** 3,
                    3 * t * (1 - t) ** 2,
                    3 * t * t * (1 - t),
                    t**3,
                )
                place[axis] = sum(p * w for p, w in zip(points, weights, strict=True))
            self.go(place)
        self.straight({k: v for k, v in numbers.items() if k in "EF"})
        self.go(end)
        self.fresh.clear()

    def set_position(self, given: Mapping[str, float | None]) -> None:
        for letter in [*given] or "XYZE":
            value = given.get(letter) or 0.0
            if letter == "E":
                self.e = value
            else:
                self.shift[letter] += self.at[letter] - self.origin(letter) - value

    def set_space(self, numbers: Mapping[str, float]) -> None:
        number = int(numbers.get("P") or self.space)
        space = self.spaces.setdefault(number, {"X": 0.0, "Y": 0.0, "Z": 0.0})
        for axis in AXES:
            if axis in numbers:
                kept = numbers[axis]
                if numbers["L"] == 20:
                    kept = self.at[axis] - self.shift[axis] - numbers[axis]
                space[axis] = kept


def limit(value: float, most: float, what: str) -> None:
    """Fail if a value is too large."""
    if value > most + SLACK:
        raise BrokenError(f"{what} is {value}")


def number(low: float, high: float) -> st.SearchStrategy[str]:
    near = st.sampled_from([0.0, low, high, 1.0, -1.0, 50.0, 100.0, -100.0, 220.0])
    anything = st.floats(low, high).map(lambda value: round(value, 2))
    return st.one_of(near, anything).map(lambda value: f"{value:.2f}")


def letters(**values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    chosen = st.fixed_dictionaries({}, optional=values)
    return chosen.map(lambda d: "".join(f" {key}{text}" for key, text in d.items()))


LENGTH, FILAMENT = number(-250, 260), number(-130, 130)
AXIS = dict.fromkeys(AXES, LENGTH)
MOVE = letters(**AXIS, E=FILAMENT, F=st.sampled_from(["600", "6000", "12000", "0"]))
ARCS = st.sampled_from(["G2", "G3"])
FLAT = {"X": LENGTH, "Y": LENGTH, "Z": LENGTH}
LINE = st.one_of(
    MOVE.map("G1{}".format),
    MOVE.map("G1{}".format),
    st.sampled_from(["G90", "G91", "M82", "M83", "G28", "G28 X", "G28 Y Z", "G92"]),
    st.sampled_from(
        ["G54", "G55", "G56", "T0", "T1", "G29", "M600", "G17", "G18", "G19"]
    ),
    st.builds(
        "{}{}{}".format,
        ARCS,
        letters(**FLAT),
        letters(I=LENGTH, J=LENGTH, K=LENGTH),
    ),
    st.builds("{}{} R{}".format, ARCS, letters(**FLAT), LENGTH),
    letters(X=LENGTH, Y=LENGTH, I=LENGTH, J=LENGTH, P=LENGTH, Q=LENGTH).map(
        "G5{}".format
    ),
    letters(X=LENGTH, Y=LENGTH, Z=LENGTH, E=FILAMENT).map("G92{}".format),
    st.builds(
        "G10 L{} P{}{}".format,
        st.sampled_from([2, 20]),
        st.integers(0, 3),
        letters(X=LENGTH, Y=LENGTH, Z=LENGTH),
    ),
    st.integers(0, 1100).map("M220 S{}".format),
    st.integers(0, 1100).map("M221 S{}".format),
    st.sampled_from(["M200 D0", "M200 D1.75", "M200 D1", "M200 D0.5"]),
    st.integers(0, 300).map("M104 S{}".format),
    st.integers(0, 300).map("M109 S{}".format),
    st.integers(0, 130).map("M140 S{}".format),
)
COMMANDS = st.lists(
    st.tuples(st.lists(LINE, min_size=1, max_size=6), st.booleans()), max_size=8
)
PLACE = st.fixed_dictionaries(
    {
        axis: st.floats(*limits).map(lambda value: round(value, 2))
        for axis, limits in AXES.items()
    }
)


@given(
    start=PLACE,
    home=PLACE,
    anywhere=st.lists(PLACE, min_size=1, max_size=4),
    commands=COMMANDS,
    e_mode=st.sampled_from(E_MODES[:2]),
    family=st.sampled_from(["marlin", "repetier"]),
    known=st.booleans(),
)
@settings(max_examples=examples(100))
def test_no_accepted_command_breaks_a_limit(  # noqa: PLR0913, PLR0917 - drawn
    start: dict[str, float],
    home: dict[str, float],
    anywhere: list[Mapping[str, float]],
    commands: list[tuple[list[str], bool]],
    e_mode: str,
    family: str,
    known: bool,  # noqa: FBT001 - drawn
) -> None:
    dialect = DIALECTS[family]
    machine = Machine(
        start, home, anywhere, e_mode, homing_ends_shift=dialect.homing_ends_shifts
    )
    there = Coordinates(machine.logical() if known else {})
    modal = Modal()
    for command, reported in commands:
        known_lines = [lines.read(text, dialect.name) for text in command]
        if not all(line.is_known for line in known_lines):
            continue  # this family has no such code
        rules = SafetyRules(
            start=InitialState(
                profile=PROFILE, dialect=dialect, modal=modal, coordinates=there
            )
        )
        try:
            there = check(command, rules)[-1]
        except RejectedError:
            continue
        machine.run(command)
        for line in known_lines:
            modal = track(modal, line, g90_sets_extruder=dialect.g90_sets_extruder)
        for axis, place in there.position.items():
            told = machine.logical()[axis]
            assert abs(told - place) < SLACK, f"{axis} is at {told}, not at {place}"
        if reported:
            there = there.reported(machine.logical())
            machine.fresh.clear()
