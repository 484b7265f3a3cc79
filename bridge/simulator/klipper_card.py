"""Klipper's virtual SD card, pausing and messages."""

from bridge.simulator.klipper_commands import Handler, KlipperLine
from bridge.simulator.machine import Machine, RefusedError

PREFIXES = {
    "echo": "echo: ",
    "command": "// ",
    "error": "!! ",
    "echo_no_space": "echo:",
}


def list_files(machine: Machine, _line: KlipperLine) -> None:
    """M20; it has neither long names nor dates."""
    machine.say("Begin file list")
    for file in machine.card.files.values():
        machine.say(f"{file.name} {len(file.data)}")
    machine.say("End file list")


def mount(machine: Machine, _line: KlipperLine) -> None:
    """M21: while it is not ready only ``ok``."""
    if not machine.shutdown:
        machine.say("SD card ok")


def select(machine: Machine, line: KlipperLine) -> None:
    """M23."""
    _open(machine, line.rest.split("*", 1)[0].strip())


def _open(machine: Machine, name: str) -> None:
    if machine.card.printing:
        raise RefusedError("!! SD busy")
    file = machine.card.find(name)
    if file is None:
        raise RefusedError("!! Unable to open file")
    machine.card.select(file)
    machine.say(f"File opened:{name.lstrip('/')} Size:{len(file.data)}")
    machine.say("File selected")


def start(machine: Machine, _line: KlipperLine) -> None:
    """M24."""
    card = machine.card
    if card.printing:
        raise RefusedError("!! SD busy")
    if card.selected is not None:
        card.printing, card.paused = True, False


def pause(machine: Machine, _line: KlipperLine) -> None:
    """M25."""
    card = machine.card
    if card.printing:
        card.printing, card.paused = False, True


def seek(machine: Machine, line: KlipperLine) -> None:
    """M26."""
    wanted = int(line.number("S"))
    if machine.card.printing:
        raise RefusedError("!! SD busy")
    if machine.card.selected is not None:
        size = len(machine.card.selected.data)
        machine.card.position = min(max(wanted, 0), size)


def status(machine: Machine, _line: KlipperLine) -> None:
    """M27: S and C are ignored."""
    card = machine.card
    if card.selected is None:
        machine.say(machine.personality.idle_card)
    else:
        size = len(card.selected.data)
        machine.say(f"SD printing byte {card.position}/{size}")


def no_write(_machine: Machine, _line: KlipperLine) -> None:
    """M28, M29 and M30."""
    raise RefusedError("!! SD write not supported")


def print_file(machine: Machine, line: KlipperLine) -> None:
    """SDCARD_PRINT_FILE."""
    if "FILENAME" not in line.words:
        raise RefusedError(f"!! Error on '{line.text}': missing FILENAME")
    _open(machine, line.words["FILENAME"])
    machine.card.printing = True


def reset_file(machine: Machine, _line: KlipperLine) -> None:
    """SDCARD_RESET_FILE."""
    machine.card.close()


def pause_print(machine: Machine, line: KlipperLine) -> None:
    """PAUSE."""
    if machine.card.paused:
        machine.say("// Print already paused")
    elif machine.card.printing:
        pause(machine, line)
    else:
        machine.card.paused = True
        machine.say("// action:paused")


def resume_print(machine: Machine, line: KlipperLine) -> None:
    """RESUME."""
    if not machine.card.paused:
        machine.say("// Print is not paused, resume aborted")
    elif machine.card.selected is not None:
        start(machine, line)
    else:
        machine.card.paused = False
        machine.say("// action:resumed")


def clear_pause(machine: Machine, _line: KlipperLine) -> None:
    """CLEAR_PAUSE."""
    machine.card.paused = False


def cancel_print(machine: Machine, _line: KlipperLine) -> None:
    """CANCEL_PRINT."""
    if machine.card.selected is None:
        machine.say("// action:cancel")
    machine.card.close()


def say(machine: Machine, line: KlipperLine) -> None:
    """M118."""
    machine.say(f"echo: {line.rest.split('*', 1)[0].strip()}")


def respond(machine: Machine, line: KlipperLine) -> None:
    """RESPOND."""
    kind = line.words.get("TYPE", "echo").lower()
    if kind not in PREFIXES:
        raise RefusedError(
            f"!! RESPOND TYPE '{kind}' is invalid. "
            "Must be one of 'echo', 'command', or 'error'"
        )
    prefix = PREFIXES[kind]
    if "PREFIX" in line.words:
        prefix = f"{line.words['PREFIX']} "
    machine.say(f"{prefix}{line.words.get('MSG', '')}")


def show(machine: Machine, line: KlipperLine) -> None:
    """M117."""
    machine.display = line.rest


def get_position(machine: Machine, _line: KlipperLine) -> None:
    """GET_POSITION."""
    axes = {a.lower(): v for a, v in machine.motion.position.items()}
    x, y, z, e = axes["x"], axes["y"], axes["z"], machine.motion.extruder
    steps = " ".join(f"stepper_{a}:{v * 80:.0f}" for a, v in axes.items())
    places = " ".join(f"stepper_{a}:{v:.6f}" for a, v in axes.items())
    where = f"X:{x:.6f} Y:{y:.6f} Z:{z:.6f}"
    machine.say(f"// mcu: {steps}")
    machine.say(f"// stepper: {places}")
    machine.say(f"// kinematic: {where}")
    for name in ("toolhead", "gcode"):
        machine.say(f"// {name}: {where} E:{e:.6f}")
    machine.say("// gcode base: X:0.000000 Y:0.000000 Z:0.000000 E:0.000000")
    machine.say("// gcode homing: X:0.000000 Y:0.000000 Z:0.000000")


COMMANDS: dict[str, Handler] = {
    "M20": list_files,
    "M21": mount,
    "M23": select,
    "M24": start,
    "M25": pause,
    "M26": seek,
    "M27": status,
    "M28": no_write,
    "M29": no_write,
    "M30": no_write,
    "M117": show,
    "M118": say,
    "CANCEL_PRINT": cancel_print,
    "CLEAR_PAUSE": clear_pause,
    "GET_POSITION": get_position,
    "PAUSE": pause_print,
    "RESPOND": respond,
    "RESUME": resume_print,
    "SDCARD_PRINT_FILE": print_file,
    "SDCARD_RESET_FILE": reset_file,
}
