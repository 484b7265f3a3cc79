"""The commands that move, and the modes of movement."""

import math

from bridge.simulator.heating_commands import unknown
from bridge.simulator.lines import ParsedCommand
from bridge.simulator.machine import Machine, RefusedError, Steps
from bridge.simulator.motion import AXES, SIZE, STEPS

PLANNER = 15  # moves that are planned at a time
ARC = 1.6  # an arc is about so much longer than its chord


def move(machine: Machine, command: ParsedCommand, stretch: float = 1) -> Steps | None:
    """G0 and G1: acknowledged when planned, not when done."""
    motion, words = machine.motion, command.words
    motion.settle(machine.now)
    feedrate = words.get("F", 0.0)
    if feedrate > 0:
        motion.feedrate = feedrate
    filament = 0.0
    if "E" in words:
        filament = motion.extrude(words["E"])
        if filament and is_cold(machine):
            machine.say("echo: cold extrusion prevented")
            filament = 0.0
    target = motion.clamp(motion.wanted(words))
    motion.plan(target, filament, machine.now, stretch)
    return _wait_for_room(machine) if len(motion.moves) > PLANNER else None


def is_cold(machine: Machine) -> bool:
    """Return whether the current tool is too cold to extrude."""
    heater = machine.heaters[f"tool{machine.tool}"]
    return heater.advance(machine.now) < machine.cold_below


def _wait_for_room(machine: Machine) -> Steps:
    while len(machine.motion.moves) > PLANNER:
        yield machine.motion.moves[0].end
        machine.motion.settle(machine.now)


def room_at(machine: Machine) -> float:
    """Return when another move can be planned; -inf if it can at once."""
    moves = machine.motion.moves
    return moves[0].end if len(moves) >= PLANNER else -math.inf


def arc(machine: Machine, command: ParsedCommand) -> Steps | None:
    """G2 and G3."""
    if not command.has("IJR"):
        machine.say("Error:G2/G3 bad parameters")
        return None
    return move(machine, command, ARC)


def dwell(machine: Machine, command: ParsedCommand) -> Steps | None:
    """G4: P in milliseconds, S in seconds; M108 does not cut it."""
    words = command.words
    seconds = words["S"] if "S" in words else words.get("P", 0.0) / 1000
    if seconds <= 0:
        return None
    return _dwell(machine, seconds / machine.speed)


def _dwell(machine: Machine, seconds: float) -> Steps:
    yield from machine.wait_for_moves()
    machine.action("notification Sleep...")
    end = machine.now + seconds
    while machine.now < end:
        yield end


def home(machine: Machine, command: ParsedCommand) -> Steps:
    """G28."""
    axes = command.has(AXES) or AXES
    yield from machine.wait_for_moves()
    end = machine.now + machine.motion.homing_time(axes)
    while machine.now < end:
        yield end
    machine.motion.home(axes)
    if machine.personality.home_position:
        say_position(machine, command)


def set_position(machine: Machine, command: ParsedCommand) -> None:
    """G92: what the current position is called from now on."""
    motion = machine.motion
    named = {axis: command.words[axis] for axis in AXES if axis in command.words}
    for axis, value in named.items():
        motion.offset[axis] = motion.position[axis] - value
    if "E" in command.words:
        motion.extruder = command.words["E"]
    if machine.personality.home_position:
        say_position(machine, command)


def reset_offsets(machine: Machine, command: ParsedCommand) -> None:
    """G92.1: the machine's own coordinates again."""
    for axis in AXES:
        machine.motion.offset[axis] = 0.0
    say_position(machine, command)


def say_position(machine: Machine, _command: ParsedCommand) -> None:
    """M114: the position where the planned moves will end."""
    motion = machine.motion
    x, y, z = (motion.coordinate(axis) for axis in AXES)
    counts = [round(motion.position[axis] * STEPS[axis]) for axis in AXES]
    extruders = " ".join(f"E{n}:{motion.extruder:.1f}" for n in range(machine.tools))
    text = machine.personality.position.format(
        x=x, y=y, z=z, e=motion.extruder, es=extruders, f=motion.feedrate,
        cx=counts[0], cy=counts[1], cz=counts[2],
    )  # fmt: skip
    if text.startswith("ok "):
        machine.ok(text.removeprefix("ok "))
    else:
        machine.say(text)


def report(machine: Machine) -> None:
    """Report the position without being asked, as M154 has requested."""
    say_position(machine, ParsedCommand.parse("M114"))


def report_position(machine: Machine, command: ParsedCommand) -> None:
    """M154."""
    if not machine.personality.actions:
        raise unknown(machine, command)
    if "S" in command.words:
        machine.position_report.every(min(command.words["S"], 60), machine.now)


def absolute(machine: Machine, _command: ParsedCommand) -> None:
    """G90."""
    _set_relative(machine, relative=False)


def relative(machine: Machine, _command: ParsedCommand) -> None:
    """G91."""
    _set_relative(machine, relative=True)


def _set_relative(machine: Machine, *, relative: bool) -> None:
    machine.motion.relative = relative
    if not machine.personality.e_apart:
        machine.motion.relative_e = relative


def absolute_e(machine: Machine, _command: ParsedCommand) -> None:
    """M82."""
    machine.motion.relative_e = False


def relative_e(machine: Machine, _command: ParsedCommand) -> None:
    """M83."""
    machine.motion.relative_e = True


def motors_off(machine: Machine, command: ParsedCommand) -> Steps:
    """M18 and M84: the positions of the axes are no longer known."""
    yield from machine.wait_for_moves()
    machine.motion.homed -= set(command.has(AXES) or AXES)


def finish_moves(machine: Machine, _command: ParsedCommand) -> Steps:
    """M400: acknowledged when everything is done."""
    return machine.wait_for_moves()


def quick_stop(machine: Machine, _command: ParsedCommand) -> None:
    """M410: stop where the head is."""
    machine.motion.stop(machine.now)


def speed_factor(machine: Machine, command: ParsedCommand) -> None:
    """M220."""
    if "S" in command.words:
        machine.motion.speed_factor = min(max(command.words["S"], 1.0), 999.0)
    elif machine.personality.actions:
        machine.say(f"FR:{machine.motion.speed_factor:.0f}%")


def flow_factor(machine: Machine, command: ParsedCommand) -> None:
    """M221."""
    if "S" in command.words:
        machine.motion.flow_factor = min(max(command.words["S"], 1.0), 999.0)
    elif machine.personality.actions:
        machine.say(f"echo:E{machine.tool} Flow: {machine.motion.flow_factor:.0f}%")


def select_tool(machine: Machine, command: ParsedCommand) -> Steps | None:
    """T0 … T7; the letters after Prusa's T are a question to its own menu."""
    if not command.code[1:].isdigit():
        if not machine.personality.lower_names:
            raise unknown(machine, command)
        return None
    tool = int(command.code[1:])
    if tool >= machine.tools:
        raise RefusedError(f"echo:{command.code} Invalid extruder")
    if tool != machine.tool:
        return _change_tool(machine, tool)
    return None


def _change_tool(machine: Machine, tool: int) -> Steps:
    yield from machine.wait_for_moves()
    machine.tool = tool
    if machine.personality.actions:
        machine.say(f"Active Extruder: {tool}")


def endstops(machine: Machine, _command: ParsedCommand) -> None:
    """M119."""
    machine.say("Reporting endstop status")
    for axis in AXES:
        machine.say(f"{axis.lower()}_min: open")


def soft_endstops(machine: Machine, _command: ParsedCommand) -> None:
    """M211."""
    size = " ".join(f"{axis}{SIZE:.2f}" for axis in AXES)
    machine.say("  M211 S1 ; ON")
    machine.say(f"  Min:  X0.00 Y0.00 Z0.00   Max:  {size}")


def cold_extrusion(machine: Machine, command: ParsedCommand) -> None:
    """M302: the temperature from which the extruder may move."""
    if "S" in command.words or "P" in command.words:
        machine.cold_below = command.words.get("S", machine.cold_below)
        if command.words.get("P"):
            machine.cold_below = -math.inf
        return
    state = "enabled" if machine.cold_below <= 0 else "disabled"
    least = max(0.0, machine.cold_below)
    machine.say(f"echo:Cold extrudes are {state} (min temp {least:.0f}C)")


COMMANDS = {
    "G0": move,
    "G1": move,
    "G2": arc,
    "G3": arc,
    "G4": dwell,
    "G28": home,
    "G90": absolute,
    "G91": relative,
    "G92": set_position,
    "G92.1": reset_offsets,
    "T": select_tool,
    "M18": motors_off,
    "M82": absolute_e,
    "M83": relative_e,
    "M84": motors_off,
    "M114": say_position,
    "M119": endstops,
    "M154": report_position,
    "M211": soft_endstops,
    "M220": speed_factor,
    "M221": flow_factor,
    "M302": cold_extrusion,
    "M400": finish_moves,
    "M410": quick_stop,
}
