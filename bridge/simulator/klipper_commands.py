"""The commands that Klipper executes when it is ready: moves, heating, fans.

While it waits for a heater it reports once a second, and does nothing else.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from bridge.simulator import motion_commands
from bridge.simulator.heaters import SimulatedHeater
from bridge.simulator.lines import ParsedCommand
from bridge.simulator.machine import Machine, RefusedError, Steps
from bridge.simulator.motion import AXES, SIZE

LOOKAHEAD = 2.0  # seconds of moves that are planned ahead
MAXIMUM = 300.0  # °C that a target may be
SETTLED = 1.0  # °C around the target at which a wait ends

_PAIR = re.compile(r"([A-Z_]+|\*)([^A-Z_*]*)")
_EXTENDED = re.compile(r'([A-Za-z_]+)\s*=\s*("[^"]*"|[^\s"]+)\s*')


@dataclass(frozen=True, slots=True)
class KlipperLine:
    """A line of Klipper, taken apart.

    Attributes:
        text: as it came, without number, checksum and comment.
        name: the command in upper case.
        rest: what follows the command.
        words: the parameters by name, as text.

    """

    text: str
    name: str
    rest: str
    words: dict[str, str]

    def number(self, key: str, default: float | None = None) -> float:
        """Return a parameter's number.

        Raises:
            RefusedError: It is missing or not a number.

        """
        value = self.words.get(key)
        if value is None:
            if default is None:
                raise RefusedError(f"!! Error on '{self.text}': missing {key}")
            return default
        try:
            result = float(value)
        except ValueError:
            result = math.nan
        if not math.isfinite(result):
            raise RefusedError(
                f"!! Error on '{self.text}': unable to parse {value}".rstrip()
            )
        return result

    def classic(self) -> ParsedCommand:
        """Return the line in the form that the commands of the other firmwares take."""
        words = {key: self.number(key) for key in self.words if len(key) == 1}
        return ParsedCommand(self.text, self.name, self.rest, words, frozenset())


def classic_words(rest: str) -> dict[str, str]:
    """Return the parameters of a line such as ``G1 X10``."""
    text = rest.upper().split("*", 1)[0]
    return {key: value.strip() for key, value in _PAIR.findall(text)}


def extended_words(text: str, rest: str) -> dict[str, str]:
    """Return the parameters of a line such as ``RESPOND MSG="hello"``.

    Raises:
        RefusedError: It is malformed.

    """
    rest = rest.strip()
    pairs = _EXTENDED.findall(rest)
    if _EXTENDED.sub("", rest).strip():
        raise RefusedError(f"!! Malformed command '{text}'")
    return {key.upper(): value.strip('"') for key, value in pairs}


Handler = Callable[[Machine, KlipperLine], Steps | None]


def shared(handler: Callable[[Machine, ParsedCommand], Steps | None]) -> Handler:
    """Use a command of the other firmwares here."""

    def call(machine: Machine, line: KlipperLine) -> Steps | None:
        return handler(machine, line.classic())

    return call


def accept(_machine: Machine, _line: KlipperLine) -> None:
    """Do nothing: a setting that the simulated machine does not have."""


def unknown(line: KlipperLine) -> RefusedError:
    """Return what Klipper says to a command that it does not have."""
    return RefusedError(f'// Unknown command:"{line.name}"')


def move(machine: Machine, line: KlipperLine) -> Steps | None:
    """G0 and G1: refused if an axis is not homed or the target is out of range."""
    motion = machine.motion
    motion.settle(machine.now)
    words = _move_words(line)
    target = motion.wanted(words)
    filament = words.get("E", 0.0)
    if not motion.relative_e and "E" in words:
        filament -= motion.extruder
    _check_move(machine, target, filament)
    if "F" in words:
        motion.feedrate = words["F"]
    motion.extruder += filament
    motion.plan(target, filament, machine.now)
    return _wait_for_room(machine) if _free_at(machine) > machine.now else None


def _move_words(line: KlipperLine) -> dict[str, float]:
    words = {}
    for key in (*AXES, "E", "F"):
        if key in line.words:
            try:
                words[key] = line.number(key)
            except RefusedError:
                raise RefusedError(f"!! Unable to parse move '{line.text}'") from None
    if words.get("F", 1.0) <= 0:
        raise RefusedError(f"!! Invalid speed in '{line.text}'")
    return words


def _check_move(machine: Machine, target: dict[str, float], filament: float) -> None:
    where = "{X:.3f} {Y:.3f} {Z:.3f}".format(**target) + f" [{filament:.3f}]"
    for axis in AXES:
        moves = target[axis] != machine.motion.position[axis]
        if moves and axis not in machine.motion.homed:
            raise RefusedError(f"!! Must home axis first: {where}")
        if moves and not 0 <= target[axis] <= SIZE:
            raise RefusedError(f"!! Move out of range: {where}")
    if filament and motion_commands.is_cold(machine):
        raise RefusedError(
            "// Extrude below minimum temp",
            "// See the 'min_extrude_temp' config option for details",
            "!! Extrude below minimum temp",
        )


def _free_at(machine: Machine) -> float:
    """Return when the last move but one is near enough; -inf if it is already."""
    moves = machine.motion.moves
    return moves[-2].end - LOOKAHEAD / machine.speed if len(moves) > 1 else -math.inf


def _wait_for_room(machine: Machine) -> Steps:
    # Exactly the requested time: a sum that is rounded differently never comes.
    while (free_at := _free_at(machine)) > machine.now:
        yield free_at
        machine.motion.settle(machine.now)


def room_at(machine: Machine) -> float:
    """Return when another move can be planned; -inf if it can at once."""
    moves = machine.motion.moves
    return moves[-1].end - LOOKAHEAD / machine.speed if moves else -math.inf


def home(machine: Machine, line: KlipperLine) -> Steps:
    """G28: says nothing when it is done."""
    return motion_commands.home(
        machine,
        ParsedCommand(line.text, "G28", "", {}, frozenset(line.words)),
    )


def dwell(machine: Machine, line: KlipperLine) -> Steps | None:
    """G4: P in milliseconds."""
    seconds = line.number("P", 0.0) / 1000
    return _dwell(machine, seconds / machine.speed) if seconds > 0 else None


def _dwell(machine: Machine, seconds: float) -> Steps:
    yield from machine.wait_for_moves()
    end = machine.now + seconds
    while machine.now < end:
        yield end


def set_position(machine: Machine, line: KlipperLine) -> None:
    """G92: says nothing."""
    words = line.classic().words
    for axis in AXES:
        if axis in words:
            machine.motion.offset[axis] = machine.motion.position[axis] - words[axis]
    machine.motion.extruder = words.get("E", machine.motion.extruder)


def endstops(machine: Machine, _line: KlipperLine) -> None:
    """M119 and QUERY_ENDSTOPS."""
    at = machine.motion.position
    states = (
        "TRIGGERED" if a in machine.motion.homed and at[a] <= 0 else "open"
        for a in AXES
    )
    machine.say(
        " ".join(
            f"stepper_{axis.lower()}:{state}"
            for axis, state in zip(AXES, states, strict=True)
        )
    )


def select_tool(machine: Machine, line: KlipperLine) -> None:
    """T0 …: a macro that exists only with several extruders."""
    tool = int(line.name[1:])
    if machine.tools == 1 or tool >= machine.tools:
        raise unknown(line)
    machine.tool = tool


def fan(machine: Machine, line: KlipperLine) -> None:
    """M106 and M107: say nothing."""
    speed = line.number("S", 255.0) if line.name == "M106" else 0.0
    machine.fan = min(max(speed, 0.0), 255.0)


def factor(machine: Machine, line: KlipperLine) -> None:
    """M220 and M221: S is 100 if it is missing."""
    value = min(max(line.number("S", 100.0), 1.0), 999.0)
    if line.name == "M220":
        machine.motion.speed_factor = value
    else:
        machine.motion.flow_factor = value


def set_offset(_machine: Machine, line: KlipperLine) -> None:
    """SET_GCODE_OFFSET."""
    for axis in AXES:
        line.number(axis, 0.0)


def set_kinematic_position(machine: Machine, line: KlipperLine) -> None:
    """SET_KINEMATIC_POSITION: the axes count as homed."""
    for axis in AXES:
        now_at = machine.motion.position[axis]
        machine.motion.position[axis] = line.number(axis, now_at)
    machine.motion.homed.update(AXES)


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
    "G0": move,
    "G1": move,
    "G2": move,
    "G3": move,
    "G4": dwell,
    "G28": home,
    "G90": shared(motion_commands.absolute),
    "G91": shared(motion_commands.relative),
    "G92": set_position,
    "M18": shared(motion_commands.motors_off),
    "M82": shared(motion_commands.absolute_e),
    "M83": shared(motion_commands.relative_e),
    "M84": shared(motion_commands.motors_off),
    "M106": fan,
    "M107": fan,
    "M73": accept,
    "M119": endstops,
    "M204": accept,
    "M220": factor,
    "M221": factor,
    "M400": shared(motion_commands.finish_moves),
    "QUERY_ENDSTOPS": endstops,
    "FORCE_MOVE": accept,
    "SET_GCODE_OFFSET": set_offset,
    "SET_KINEMATIC_POSITION": set_kinematic_position,
    "SAVE_CONFIG": accept,
    "M104": set_hotend,
    "M109": wait_hotend,
    "M140": set_bed,
    "M190": wait_bed,
    "SET_HEATER_TEMPERATURE": set_heater,
    "TEMPERATURE_WAIT": accept,
    "TURN_OFF_HEATERS": switch_off,
}
