"""What Marlin does, and all firmwares that descend from the same one."""

from collections.abc import Callable

from bridge.gcode.framing import checksum
from bridge.simulator.heaters import SimulatedHeater
from bridge.simulator.heating_commands import unknown
from bridge.simulator.host_commands import COMMANDS
from bridge.simulator.lines import RECEIVE_BUFFER, ParsedCommand
from bridge.simulator.machine import Machine, RefusedError, Steps

ROOM = RECEIVE_BUFFER
QUEUE = 4  # lines that it takes from the receive buffer before it executes one


def greet(machine: Machine) -> None:
    """Send the greeting after a reset."""
    for line in machine.personality.banner:
        if line != "echo:SD card ok" or machine.card.inserted:
            machine.say(line)


def accept(machine: Machine, line: str, flush: Callable[[], None]) -> str | None:
    """Check a line's number; return its command, or ``None`` if there is none.

    What is dropped here is answered here. Without an emergency parser this is where
    M112 and M108 are noticed.
    """
    numbering = machine.numbering
    machine.number = None
    if not machine.personality.numbered:
        return _notice(machine, _without_number(line))
    before = numbering.last
    command, why = numbering.check(
        line, repeats_silent=machine.personality.repeats_silent
    )
    numbered = numbering.last != before or line.lstrip().startswith("N")
    if command and not numbered and _needs_number(machine, command):
        why = "No Checksum with line number"
    if why:
        flush()
        _ask_again(machine, line, why)
        return None
    if numbered:
        if not command:
            return None
        machine.number = numbering.own
    return _notice(machine, command)


def _needs_number(machine: Machine, command: str) -> bool:
    """Return whether this goes to the card: all lines written there are numbered."""
    return bool(machine.card.writing) and not command.startswith("M29")


def _without_number(line: str) -> str:
    text = line.split("*", 1)[0].strip()
    if text.startswith("N") and text[1:2].isdigit():
        text = text[1:].lstrip("0123456789").strip()
    return text


def _notice(machine: Machine, command: str) -> str | None:
    if command.startswith("M108"):
        machine.released = True
    elif command.startswith("M112") and not command[4:5].isdigit():
        emergency_stop(machine)
        return None
    return command


def emergency_stop(machine: Machine) -> None:
    """M112."""
    machine.resets = machine.personality.halt_resets
    machine.kill(*(() if machine.resets else machine.personality.halt))


def _ask_again(machine: Machine, line: str, why: str) -> None:
    personality, last = machine.personality, machine.numbering.last
    if personality.complaint:
        machine.say(personality.complaint.format(why=why, last=last))
    expected = checksum(line.rpartition("*")[0].encode("latin-1"))
    machine.say(personality.request.format(n=last + 1, sum=expected))
    if machine.options.get("resend_ok", personality.request_ok):
        machine.say("ok")


def dispatch(machine: Machine, line: str) -> Steps | None:
    """Execute a line.

    Raises:
        RefusedError: It was not executed.

    """
    if machine.card.writing and not line.startswith("M29"):
        machine.card.write(line)
        return None
    command = ParsedCommand.parse(line)
    code = command.code
    if machine.locked and code != "M511":
        raise RefusedError("echo:Printer locked! (Unlock with M511 or LCD)")
    handler = COMMANDS.get("T" if code[:1] == "T" else code)
    if handler is None:
        machine.answered = machine.personality.words_unanswered and not code
        raise unknown(machine, command)
    return handler(machine, command)


def act_at_once(
    machine: Machine, code: str, answer: int | None, *, running: bool
) -> None:
    """Act on what the emergency parser saw in a line."""
    if code not in machine.personality.early or not has_emergency_parser(machine):
        return
    if code == "M112":
        emergency_stop(machine)
    elif running and code == "M410":
        machine.motion.stop(machine.now)
    elif running and (code == "M108" or answer is not None):
        machine.released = True


def has_emergency_parser(machine: Machine) -> bool:
    """Return whether M112 is seen while a command runs."""
    wanted = machine.options.get("emergency_parser", True)
    return wanted and bool(machine.personality.early)


def answer_halted(machine: Machine, data: bytes) -> None:
    """Answer each line of a host that has not noticed yet, as Smoothieware does."""
    for line in data.split(b"\n"):
        if line.strip():
            machine.say(machine.personality.halt_answer)
            if b"M999" in line:
                machine.stopped = False


def trip(machine: Machine, heater: SimulatedHeater) -> None:
    """Let the thermal protection act on a heater that does not heat."""
    heater.trips_at = None
    if heater.advance(machine.now) < heater.target / 2 + heater.ambient / 2:
        what, name = "Heating failed", "Heating Failed"
    else:
        what, name = "Thermal Runaway", "Thermal Runaway"
    fail(machine, heater, what, name)


def fail(machine: Machine, heater: SimulatedHeater, what: str, name: str) -> None:
    """Kill the machine because of a heater."""
    if machine.personality.two_line_heat:
        number = heater.label.removeprefix("E")
        machine.kill(
            f"Error:{number if number.isdigit() else '-1'}",
            f": {what}, system stopped! Heater_ID: {heater.label}",
            "Error:Printer halted. kill() called!",
        )
        return
    machine.say(f"Error:{what}, system stopped! Heater_ID: {heater.label}")
    machine.say("")
    if machine.personality.actions:
        machine.say(f"echo:{name}")
        machine.action(f"notification {name}")
    end = [line for line in machine.personality.halt if not line.startswith("echo:")]
    machine.kill(*end)
