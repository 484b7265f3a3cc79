"""The commands of the SD card."""

from bridge.simulator.card import CardFile
from bridge.simulator.heating_commands import unknown
from bridge.simulator.lines import ParsedCommand
from bridge.simulator.machine import Machine, Steps
from bridge.simulator.motion_commands import home, say_position

LONG_NAME = 26  # characters of a long name that M20 L shows
READ_ERRORS = 10
READ_ERROR_PAUSE = 0.01  # some thousand lines a second on a fast link
CANCEL_LIFT = 5.0  # mm; Marlin's script after an abort


def list_files(machine: Machine, command: ParsedCommand) -> None:
    """M20; with L long names, with T dates."""
    if not machine.card.mounted:
        machine.say("echo:No media")
        return
    asked = command.has("LT") if machine.personality.long_names else ""
    machine.say("Begin file list")
    for file in machine.card.files.values():
        entry = f"{file.name} {len(file.data)}"
        if "T" in asked and file.date:
            entry += f" {file.date}"
        if "L" in asked:
            entry += f" {_long_name(file)}"
        machine.say(entry)
    machine.say("End file list")


def _long_name(file: CardFile) -> str:
    return (file.display or file.name)[:LONG_NAME]


def mount(machine: Machine, _command: ParsedCommand) -> None:
    """M21."""
    card = machine.card
    card.mounted = card.inserted
    machine.say("echo:SD card ok" if card.mounted else "echo:No SD card")


def release(machine: Machine, _command: ParsedCommand) -> None:
    """M22."""
    machine.card.eject(inserted=machine.card.inserted)
    machine.say("echo:SD card released")


def select(machine: Machine, command: ParsedCommand) -> None:
    """M23."""
    _open(machine, command.text.strip())


def _open(machine: Machine, name: str) -> bool:
    card = machine.card
    if card.mounted:
        machine.say(f"echo:Now fresh file: {name}")
    file = card.find(name) if card.mounted else None
    if file is None:
        machine.say(f"open failed, File: {name}.")
        return False
    card.select(file)
    shown = name.lstrip("/")
    machine.say(f"File opened: {shown} Size: {len(file.data)}")
    machine.say("File selected")
    machine.action(f"notification {_long_name(file) if file.display else shown}\r")
    return True


def start(machine: Machine, _command: ParsedCommand) -> None:
    """M24: start or resume."""
    card = machine.card
    machine.action("resume")
    if card.selected is None:
        if card.mounted:
            machine.prompt("Resuming SD", "Dismiss")
        return
    if machine.options.get("resume_dialog"):
        machine.prompt("Resuming SD", "Dismiss")
    if not card.paused:
        machine.print_began = machine.now
    card.printing, card.paused = True, False


def pause(machine: Machine, command: ParsedCommand) -> Steps | None:
    """M25; with parking it waits for a person."""
    card = machine.card
    if machine.options.get("park") and card.printing:
        card.printing, card.paused = False, True
        return _park(machine, command)
    if card.printing:
        card.printing, card.paused = False, True
    machine.action("pause")
    return None


def _park(machine: Machine, command: ParsedCommand) -> Steps:
    machine.action("paused")
    yield from parked(machine, command, "Nozzle Parked")
    machine.action("resumed")
    machine.card.printing, machine.card.paused = True, False


def parked(machine: Machine, command: ParsedCommand, title: str) -> Steps:
    """Park the head and wait for a person."""
    yield from machine.wait_for_moves()
    back = dict(machine.motion.position)
    corner = {"X": 10.0, "Y": 190.0, "Z": back["Z"] + 20}
    machine.motion.plan(machine.motion.clamp(corner), 0, machine.now)
    yield from machine.wait_for_moves()
    say_position(machine, command)
    machine.say("echo:Send M108 to resume")
    machine.prompt(title, "Continue")
    yield from machine.wait_for_user()
    machine.motion.plan(back, 0, machine.now)
    yield from machine.wait_for_moves()


def unreadable(machine: Machine) -> Steps:
    """Report read errors of a card that was pulled during a print, until it is back."""
    while not machine.card.inserted:
        for _ in range(READ_ERRORS):
            machine.say("Error:SD read error")
        yield machine.now + READ_ERROR_PAUSE
    announce_card(machine, inserted=False)
    announce_card(machine, inserted=True)
    machine.card.close()
    yield from _clean_up(machine)


def announce_card(machine: Machine, *, inserted: bool) -> None:
    """Say that the card was inserted or removed."""
    machine.say("echo:SD card ok" if inserted else "echo:SD card released")
    machine.action(f"notification Media {'Inserted' if inserted else 'Removed'}")


def seek(machine: Machine, command: ParsedCommand) -> None:
    """M26."""
    selected = machine.card.selected
    if selected is not None:
        wanted = int(command.words.get("S", 0))
        machine.card.position = min(max(wanted, 0), len(selected.data))


def status(machine: Machine, command: ParsedCommand) -> None:
    """M27; with S it reports regularly, with C it names the file."""
    if "C" in command.flags:
        selected = machine.card.selected
        name = selected.name if selected else "(no file)"
        machine.say(f"Current file: {name}")
    elif "S" in command.words and machine.personality.actions:
        machine.card_report.every(min(command.words["S"], 60), machine.now)
    else:
        report(machine)


def report(machine: Machine) -> None:
    """Say how far the print from the card is."""
    card = machine.card
    if card.selected is None or machine.parked:
        machine.say(machine.personality.idle_card)
        return
    size = len(card.selected.data)
    end = "\r" if machine.personality.actions else ""
    machine.say(f"SD printing byte {card.position}/{size}{end}")


def write(machine: Machine, command: ParsedCommand) -> None:
    """M28 and M928: what follows goes to a file until M29."""
    name = command.text.strip()
    machine.say(f"echo:Now fresh file: {name}")
    if not name or not machine.card.mounted:
        machine.say(f"open failed, File: {name}.")
        return
    machine.card.writing = name.lstrip("/").upper()
    shown = name.rpartition("/")[2]
    machine.say(f"Writing to file: {shown}")
    machine.action(f"notification {shown}\r")


def save(machine: Machine, _command: ParsedCommand) -> None:
    """M29."""
    if machine.card.writing:
        machine.card.save()
        machine.say("Done saving file.")


def delete(machine: Machine, command: ParsedCommand) -> None:
    """M30."""
    name = command.text.strip()
    if machine.card.mounted and machine.card.delete(name):
        machine.say(f"File deleted:{name}")
    else:
        machine.say(f"Deletion failed, File: {name}.")


def print_time(machine: Machine, _command: ParsedCommand) -> None:
    """M31."""
    seconds = int(machine.now - machine.print_began) if machine.print_began else 0
    machine.action(f"notification {seconds}s\r")
    machine.say(f"echo:Print time: {seconds}s")


def select_and_start(machine: Machine, command: ParsedCommand) -> None:
    """M32."""
    if _open(machine, command.text.strip()):
        machine.print_began = machine.now
        machine.card.printing = True


def long_name(machine: Machine, command: ParsedCommand) -> None:
    """M33."""
    file = machine.card.find(command.text)
    if not machine.personality.long_names:
        raise unknown(machine, command)
    if file is not None:
        machine.say(f"/{file.display[:LONG_NAME] or file.name}")


def abort(machine: Machine, _command: ParsedCommand) -> Steps | None:
    """M524: acknowledged when the head is out of the way."""
    card = machine.card
    if card.selected is None:
        return None
    card.close()
    machine.motion.stop(machine.now)
    return _clean_up(machine)


def _clean_up(machine: Machine) -> Steps:
    machine.switch_off()
    if machine.personality.actions:
        machine.say("M106 P0 S0")
    lifted = dict(machine.motion.position)
    lifted["Z"] += CANCEL_LIFT
    machine.motion.plan(machine.motion.clamp(lifted), 0, machine.now)
    yield from home(machine, ParsedCommand.parse("G28 X Y"))


COMMANDS = {
    "M20": list_files,
    "M21": mount,
    "M22": release,
    "M23": select,
    "M24": start,
    "M25": pause,
    "M26": seek,
    "M27": status,
    "M28": write,
    "M29": save,
    "M30": delete,
    "M31": print_time,
    "M32": select_and_start,
    "M33": long_name,
    "M524": abort,
    "M928": write,
}
