"""The commands that heat, cool and report temperatures."""

import math

from bridge.simulator.heaters import SimulatedHeater
from bridge.simulator.lines import ParsedCommand
from bridge.simulator.machine import Machine, RefusedError, Steps
from bridge.simulator.personalities import Powers

RESIDENCY = 10.0  # how long a temperature must hold before a wait ends
FAN_FULL = 255

_Entries = list[tuple[str, SimulatedHeater, str]]
"""Label in the report, heater, and its mark in the list of powers."""


def temperatures(machine: Machine) -> str:
    """Return the temperature report as this firmware writes it."""
    personality = machine.personality
    first, named = _reported_tools(machine)
    rest = [
        (letter, machine.heaters[name], letter)
        for letter, name in (("B", "bed"), ("C", "chamber"))
        if name in machine.heaters
    ]
    digits = personality.digits
    parts = []
    for label, heater, _ in [*first, *rest, *named]:
        actual = heater.reading(machine.now)
        value = f"{actual:.{digits}f}{personality.slash}{heater.target:.{digits}f}"
        power = f" @{heater.power}" if personality.powers is Powers.INLINE else ""
        parts.append(f"{label}:{value}{power}")
    if personality.powers is Powers.BEHIND:
        parts += _powers(machine, [*rest, *(named if machine.tools > 1 else [])])
    return " ".join(parts) + personality.report_tail


def _reported_tools(machine: Machine) -> tuple[_Entries, _Entries]:
    """Return the hotend before the bed, and the numbered ones after it."""
    personality = machine.personality
    tools = [
        (f"T{n}", machine.heaters[f"tool{n}"], str(n)) for n in range(machine.tools)
    ]
    if personality.tool_one and len(tools) > 1:
        return [("T", tools[0][1], "")], tools[1:]
    first = [("T", tools[machine.tool][1], "")] if personality.bare_tool else []
    return first, tools if len(tools) > 1 or personality.first_tool else []


def _powers(machine: Machine, entries: _Entries) -> list[str]:
    current = machine.heaters[f"tool{machine.tool}"]
    powers = [f"@:{current.power}"]
    for label, heater, mark in entries:
        prefix = f"@{mark}" if label.startswith("T") else f"{mark}@"
        powers.append(f"{prefix}:{heater.power}")
    return powers


def report(machine: Machine) -> None:
    """Report the temperatures without being asked, as M155 has requested."""
    machine.say(f" {temperatures(machine)}")


def _known_tool(machine: Machine, command: ParsedCommand) -> bool:
    if machine.heater(command) is not None:
        return True
    wrong = int(command.words.get("T", 0))
    machine.say(f"echo:{command.code} Invalid extruder {wrong}")
    return False


def read(machine: Machine, command: ParsedCommand) -> None:
    """M105; with a tool that does not exist Marlin never answers ``ok``."""
    if not _known_tool(machine, command):
        machine.answered = True
        return
    if machine.personality.ok_first:
        machine.say(temperatures(machine))
    else:
        machine.ok(temperatures(machine))


def announce(machine: Machine, heater: SimulatedHeater, name: str) -> None:
    """Say the new target if the firmware does so."""
    if machine.personality.echoes_targets:
        label = name.replace("tool", "Extr").replace("bed", "Bed")
        machine.say(f"Target{label}:{heater.target:.0f}")


def set_hotend(machine: Machine, command: ParsedCommand) -> None:
    """M104."""
    if _known_tool(machine, command) and "S" in command.words:
        _aim(machine, _hotend(machine, command), command.words["S"])


def _hotend(machine: Machine, command: ParsedCommand) -> str:
    return f"tool{int(command.words.get('T', machine.tool))}"


def _aim(machine: Machine, name: str, target: float) -> None:
    heater = machine.heaters[name]
    if name == "bed":
        rising = target > heater.advance(machine.now)
        machine.action(f"notification Bed {'Heating' if rising else 'Cooling'}...")
    heater.set_target(target, machine.now)
    announce(machine, heater, name)


def wait_hotend(machine: Machine, command: ParsedCommand) -> Steps | None:
    """M109: S waits for heating only, R for cooling too."""
    if not _known_tool(machine, command):
        return None
    return _set_and_wait(machine, command, _hotend(machine, command))


def set_bed(machine: Machine, command: ParsedCommand) -> None:
    """M140."""
    _set_other(machine, command, "bed")


def set_chamber(machine: Machine, command: ParsedCommand) -> None:
    """M141."""
    _set_other(machine, command, "chamber")


def _set_other(machine: Machine, command: ParsedCommand, name: str) -> None:
    if name not in machine.heaters:
        raise unknown(machine, command)
    if "S" in command.words:
        _aim(machine, name, command.words["S"])


def wait_bed(machine: Machine, command: ParsedCommand) -> Steps | None:
    """M190."""
    return _wait_other(machine, command, "bed")


def wait_chamber(machine: Machine, command: ParsedCommand) -> Steps | None:
    """M191."""
    return _wait_other(machine, command, "chamber")


def _wait_other(machine: Machine, command: ParsedCommand, name: str) -> Steps | None:
    if name not in machine.heaters:
        raise unknown(machine, command)
    return _set_and_wait(machine, command, name)


def unknown(machine: Machine, command: ParsedCommand) -> RefusedError:
    """Return what the firmware says to a command that it does not have."""
    text = machine.personality.unknown.replace("{line}", command.line.lstrip(" "))
    return RefusedError(*filter(None, [text]))


def _set_and_wait(machine: Machine, command: ParsedCommand, name: str) -> Steps | None:
    words = command.words
    target = words.get("R", words.get("S"))
    if target is None:
        return None
    _aim(machine, name, target)
    heater = machine.heaters[name]
    cooling = heater.target < heater.advance(machine.now)
    if cooling and "R" not in words:
        return None
    return _wait(machine, name)


def _wait(machine: Machine, name: str) -> Steps:
    heater = machine.heaters[name]
    residency = RESIDENCY / machine.speed if heater.target else 0.0
    report_at, since = machine.now, math.inf
    machine.released = False
    while not machine.released:
        heater.advance(machine.now)
        since = min(since, machine.now) if heater.near else math.inf
        if machine.now >= since + residency or _hopeless(heater):
            return
        if machine.now >= report_at:
            _say_wait(machine, since, residency)
            report_at = machine.now + 1.0
        edge = heater.target + math.copysign(0.9, heater.actual - heater.target)
        arrival = machine.now + heater.seconds_to(edge) + 0.001
        done = since + residency
        yield min(report_at, done, arrival if since == math.inf else math.inf)


def _hopeless(heater: SimulatedHeater) -> bool:
    """Return whether it can never get so cold; real firmwares watch the slope."""
    return heater.target < heater.ambient and heater.actual < heater.ambient + 5


def _say_wait(machine: Machine, since: float, residency: float) -> None:
    left = math.ceil(since + residency - machine.now) if since < math.inf else "?"
    if machine.personality.wait_energy:
        actual = machine.heaters[f"tool{machine.tool}"].advance(machine.now)
        machine.say(f"T:{actual:.1f} E:{machine.tool} W:{left}")
    else:
        machine.say(f" {temperatures(machine)} W:{left}")


def autoreport(machine: Machine, command: ParsedCommand) -> None:
    """M155; in firmwares without it an unknown command."""
    if not offers(machine, "AUTOREPORT_TEMP"):
        raise unknown(machine, command)
    if "S" in command.words:
        machine.temperature_report.every(min(command.words["S"], 60), machine.now)


def offers(machine: Machine, capability: str) -> bool:
    """Return whether the firmware says that it can do this."""
    return f"{capability}:1" in machine.personality.capabilities


def fan_on(machine: Machine, command: ParsedCommand) -> None:
    """M106: S is 0 to 255, full without it."""
    if int(command.words.get("P", 0)):
        return
    machine.fan = min(max(command.words.get("S", FAN_FULL), 0.0), FAN_FULL)
    _say_fan(machine)


def fan_off(machine: Machine, command: ParsedCommand) -> None:
    """M107."""
    if int(command.words.get("P", 0)):
        return
    machine.fan = 0.0
    _say_fan(machine)


def _say_fan(machine: Machine) -> None:
    if machine.personality.actions:
        machine.say(f"M106 P0 S{machine.fan:.0f}")


COMMANDS = {
    "M104": set_hotend,
    "M105": read,
    "M106": fan_on,
    "M107": fan_off,
    "M109": wait_hotend,
    "M140": set_bed,
    "M141": set_chamber,
    "M155": autoreport,
    "M190": wait_bed,
    "M191": wait_chamber,
}
