"""How Klipper heats: one report a second while it waits, and nothing else."""

import math

from bridge.simulator.heaters import SimulatedHeater
from bridge.simulator.klipper_commands import Handler, KlipperLine, accept, unknown
from bridge.simulator.machine import Machine, RefusedError, Steps

MAXIMUM = 300.0
SETTLED = 1.0  # °C around the target at which a wait ends


def temperatures(machine: Machine) -> str:
    """Return the report: the bed first, one decimal."""
    order = sorted(machine.heaters.items(), key=lambda item: item[0])
    return " ".join(
        f"{_label(name)}:{heater.reading(machine.now):.1f} /{heater.target:.1f}"
        for name, heater in order
    )


def _label(name: str) -> str:
    return {"bed": "B", "chamber": "C"}.get(name, name.replace("tool", "T"))


def _heater(machine: Machine, line: KlipperLine) -> SimulatedHeater:
    name = f"tool{int(line.number('T', machine.tool))}"
    if name not in machine.heaters:
        raise RefusedError("!! Extruder not configured")
    return machine.heaters[name]


def _bed(machine: Machine, line: KlipperLine) -> SimulatedHeater:
    if "bed" not in machine.heaters:
        raise unknown(line)
    return machine.heaters["bed"]


def _aim(machine: Machine, heater: SimulatedHeater, target: float) -> None:
    if not 0 <= target <= MAXIMUM:
        limits = f"(0.0:{MAXIMUM:.1f})"
        raise RefusedError(
            f"!! Requested temperature ({target:.1f}) out of range {limits}"
        )
    heater.set_target(target, machine.now)


def set_hotend(machine: Machine, line: KlipperLine) -> None:
    """M104; without S it is 0."""
    _aim(machine, _heater(machine, line), line.number("S", 0.0))


def set_bed(machine: Machine, line: KlipperLine) -> None:
    """M140."""
    _aim(machine, _bed(machine, line), line.number("S", 0.0))


def wait_hotend(machine: Machine, line: KlipperLine) -> Steps | None:
    """M109; nothing but M112 ends it early."""
    return _wait(machine, _heater(machine, line), line.number("S", 0.0))


def wait_bed(machine: Machine, line: KlipperLine) -> Steps | None:
    """M190."""
    return _wait(machine, _bed(machine, line), line.number("S", 0.0))


def _wait(machine: Machine, heater: SimulatedHeater, target: float) -> Steps | None:
    _aim(machine, heater, target)
    return _report_until(machine, heater) if target else None


def _report_until(machine: Machine, heater: SimulatedHeater) -> Steps:
    while abs(heater.advance(machine.now) - heater.target) > SETTLED:
        machine.say(temperatures(machine))
        edge = heater.target + math.copysign(
            SETTLED * 0.9, heater.actual - heater.target
        )
        yield machine.now + min(1.0, heater.seconds_to(edge) + 0.001)


def set_heater(machine: Machine, line: KlipperLine) -> None:
    """SET_HEATER_TEMPERATURE."""
    names = {"heater_bed": "bed", "extruder": "tool0"}
    names |= {f"extruder{n}": f"tool{n}" for n in range(1, machine.tools)}
    wanted = line.words.get("HEATER", "")
    if names.get(wanted) not in machine.heaters:
        options = ", ".join(f"'{name}'" for name in names)
        raise RefusedError(
            f"!! The value '{wanted}' is not valid for HEATER. Options: {options}"
        )
    _aim(machine, machine.heaters[names[wanted]], line.number("TARGET", 0.0))


def switch_off(machine: Machine, _line: KlipperLine) -> None:
    """TURN_OFF_HEATERS."""
    for heater in machine.heaters.values():
        heater.set_target(0.0, machine.now)


COMMANDS: dict[str, Handler] = {
    "M104": set_hotend,
    "M109": wait_hotend,
    "M140": set_bed,
    "M190": wait_bed,
    "SET_HEATER_TEMPERATURE": set_heater,
    "TEMPERATURE_WAIT": accept,
    "TURN_OFF_HEATERS": switch_off,
}
