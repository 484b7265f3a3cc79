"""Which reading belongs to which heater, and which target a line sets."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from bridge.config import Profile
from bridge.gcode.heating import targets
from bridge.gcode.line import Line, read
from bridge.gcode.reply_types import Reading

# The codes that set a target, and the firmware's name of the heater; M109, M190 and
# M191 also wait for it.
_NAMES = {"tool": "T", "bed": "B", "chamber": "C"}
# S: the target; R: the target, and wait also while it cools down; TARGET: Klipper's
# SET_HEATER_TEMPERATURE.
_TARGETS = ("S", "R", "TARGET")
# Noise on the line must not fill the memory.
_MAX_SENSORS = 32
_MAX_TOOLS = 16


@dataclass(frozen=True, slots=True)
class HeaterState:
    """A heater's measured and requested temperature, in °C.

    Attributes:
        actual: measured; ``None``: not known.
        target: requested.
        measured_at: when ``actual`` was reported; it does not count in comparisons.

    """

    actual: float | None = None
    target: float | None = None
    measured_at: float | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Heat:
    """All temperatures.

    Attributes:
        heaters: by name: ``tool0`` …, ``bed``, ``chamber``.
        sensors: other temperatures in °C, under the firmware's names.
        sensed_at: when each sensor was reported.

    """

    heaters: Mapping[str, HeaterState]
    sensors: Mapping[str, float | None]
    sensed_at: Mapping[str, float] = field(default_factory=dict)


def heaters_of(profile: Profile) -> dict[str, HeaterState]:
    """Return the heaters of a machine, with unknown temperatures."""
    tools = [f"tool{number}" for number in range(profile.extruders)]
    bed = ["bed"] if profile.heated_bed else []
    chamber = ["chamber"] if profile.heated_chamber else []
    return {name: HeaterState() for name in [*tools, *bed, *chamber]}


def merge(  # noqa: PLR0913 - a report, and what it is about
    heat: Heat,
    readings: Mapping[str, Reading],
    *,
    profile: Profile,
    tool: int,
    now: float = 0.0,
    partial: bool = False,
) -> Heat:
    """Return the temperatures after a report, which came at ``now``.

    A reading without a target keeps the last target. ``T`` without a number is the tool
    ``tool`` if it comes alone, tool 0 beside ``T1``, and the same again beside ``T0``.
    ``B`` and ``C`` are dropped if the profile has no such heater: they are reserved
    names, and must not become sensors. A sensor that was already stale and is missing
    again is gone, unless the report is ``partial``, such as those during ``M109``.
    """
    heaters = dict(heat.heaters)
    known = {
        name: value
        for name, value in heat.sensors.items()
        if partial or name in readings or name in heat.sensed_at
    }
    sensed_at = dict(heat.sensed_at)
    for name, reading in _tools(readings, profile, tool).items():
        heater = _heater(name, profile)
        if heater is not None:
            before = heaters.get(heater, HeaterState())
            target = before.target if reading.target is None else reading.target
            heaters[heater] = HeaterState(reading.actual, target, now)
        elif _is_sensor(name) and (name in known or len(known) < _MAX_SENSORS):
            known[name] = reading.actual
            sensed_at[name] = now
    return Heat(heaters, known, sensed_at)


def expire(heat: Heat, before: float) -> Heat:
    """Return the temperatures without those that were measured before a moment."""
    heaters = {
        name: replace(heater, actual=None)
        if heater.actual is not None and (heater.measured_at or 0.0) < before
        else heater
        for name, heater in heat.heaters.items()
    }
    sensed_at = {name: at for name, at in heat.sensed_at.items() if at >= before}
    sensors = {
        name: value if name in sensed_at else None
        for name, value in heat.sensors.items()
    }
    return Heat(heaters, sensors, sensed_at)


def retarget(
    heaters: Mapping[str, HeaterState], targets: Mapping[str, float], profile: Profile
) -> dict[str, HeaterState]:
    """Return the heaters with other targets, by the firmware's names."""
    changed = dict(heaters)
    for name, target in targets.items():
        heater = _heater(name, profile)
        if heater in changed:
            changed[heater] = replace(changed[heater], target=target)
    return changed


def targets_of(line: Line, *, profile: Profile, tool: int) -> dict[str, float]:
    """Return the target that a line sets, by the firmware's names.

    ``M109 R`` and ``M190 R`` (wait also while cooling) set one too.
    """
    if not line.row.target:
        return {}
    found = {target.letter: target for target in reversed(targets(line))}
    target = next((found[key] for key in _TARGETS if key in found), None)
    if target is None or target.heater not in _NAMES:
        return {}
    if target.heater != "tool":
        return {_NAMES[target.heater]: target.celsius}
    if profile.shared_nozzle:
        return {f"T{number}": target.celsius for number in range(profile.extruders)}
    number = tool if target.tool is None else min(target.tool, 999)
    return {f"T{number}": target.celsius}


def turns_heater_off(line: str) -> bool:
    """Return whether a line does nothing but turn heaters off."""
    said = read(line)
    if said.row.cools:
        return True
    found = targets(said)
    sets = said.row.target and not said.row.long and len(found) > 0
    return sets and all(target.celsius == 0 for target in found)


def named_targets(line: Line, *, profile: Profile, tool: int) -> dict[str, float]:
    """Return the targets that a line sets, by our names of the heaters."""
    told = targets_of(line, profile=profile, tool=tool)
    named = ((_heater(name, profile), target) for name, target in told.items())
    return {name: target for name, target in named if name is not None}


def _tools(
    readings: Mapping[str, Reading], profile: Profile, tool: int
) -> dict[str, Reading]:
    named = dict(readings)
    bare = named.pop("T", None)
    if bare is not None and "T0" not in named:
        several = any(_number(name) is not None for name in named)
        named["T0" if several else f"T{tool}"] = bare
    numbers = [number for name in named if (number := _number(name)) is not None]
    if profile.shared_nozzle and len(numbers) == 1:
        shared = named[f"T{numbers[0]}"]
        named |= {f"T{number}": shared for number in range(profile.extruders)}
    return named


def _number(name: str) -> int | None:
    digits = name[1:]
    if name[:1] == "T" and digits.isascii() and digits.isdigit():
        return int(digits)
    return None


def _heater(name: str, profile: Profile) -> str | None:
    number = _number(name)
    if number is not None and number < _MAX_TOOLS:
        return f"tool{number}"
    if name == "B" and profile.heated_bed:
        return "bed"
    if name == "C" and profile.heated_chamber:
        return "chamber"
    return None


def _is_sensor(name: str) -> bool:
    return name not in {"B", "C"} and _number(name) is None
