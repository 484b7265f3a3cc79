"""Klipper's way: no banner, no numbers, refusals with ``!!``, a silent shutdown."""

import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from bridge.simulator import klipper_card, klipper_commands
from bridge.simulator.heaters import SimulatedHeater
from bridge.simulator.klipper_commands import Handler, KlipperLine, classic_words
from bridge.simulator.lines import RECEIVE_BUFFER, ParsedCommand
from bridge.simulator.machine import Machine, RefusedError, Steps
from bridge.simulator.motion_commands import say_position

BLIND_AFTER = 20  # waiting lines; with more, even a bare M112 is not seen
DISCONNECT = 0.03  # seconds from FIRMWARE_RESTART to the loss of the connection
LISTEN = 1.0  # seconds until it reads again
READY = 2.0  # seconds until it is ready again
HELP_WIDTH = 10

STARTING = (
    "Printer is not ready",
    "The klippy host software is attempting to connect.  Please",
    "retry in a few moments.",
)
_REMEDY = (
    "Once the underlying issue is corrected, use the",
    '"FIRMWARE_RESTART" command to reset the firmware, reload the',
    "config, and restart the host software.",
)
CONFIG_ERROR = (
    "Section 'nonsense' is not a valid config section",
    "",
    'Once the underlying issue is corrected, use the "RESTART"',
    "command to reload the config and restart the host software.",
    "Printer is halted",
)
BY_COMMAND = "Shutdown due to M112 command"
NO_RESTART = "Can not update MCU 'mcu' config as it is shutdown"

_NUMBER = re.compile(r"\s*[Nn]\d+[^A-Za-z_*]*")
_NAME = re.compile(
    r'[^A-Z_*\s]*(?:[A-Z_]+|\*)?(?: *\d[\d.]*|[^A-Z_*\s"/]*)', re.IGNORECASE
)
_STOP = re.compile(r"\s*(?:N\d+\s*)?M112(?:\s|$)", re.IGNORECASE)
_CLASSIC = re.compile(r"[A-Z]\d+(?:\.\d+)?")


@dataclass(slots=True)
class KlipperReceiver:
    """Splits bytes into lines as a program on a computer does: only LF ends a line."""

    room: int = RECEIVE_BUFFER
    _start: str = ""
    _lines: deque[str] = field(default_factory=deque)
    _waiting: int = 0

    def feed(self, data: bytes) -> list[tuple[str, int | None]]:
        """Take a chunk; one that is not UTF-8 is dropped as a whole."""
        try:
            text = data.decode()
        except UnicodeDecodeError:
            return []
        *lines, start = (self._start + text).split("\n")
        self._start = start[: self.room - self._waiting]
        seen: list[tuple[str, int | None]] = []
        for line in lines:
            if self._waiting + len(line) < self.room:
                self._lines.append(line)
                self._waiting += len(line) + 1
            if len(self._lines) <= BLIND_AFTER and _STOP.match(line):
                seen.append(("M112", None))
        return seen

    @property
    def pending(self) -> int:
        """How many characters wait, at most."""
        return self._waiting + len(self._start)

    def next_line(self) -> str | None:
        """Return the next line, empty ones too."""
        if not self._lines:
            return None
        line = self._lines.popleft()
        self._waiting -= len(line) + 1
        return line

    def flush(self) -> None:
        """Keep everything: Klipper never throws away what has arrived."""


def accept(_machine: Machine, line: str, _flush: Callable[[], None]) -> str:
    """Return a line without number and comment; the checksum is ignored."""
    text = line.split(";", 1)[0].strip()
    if match := _NUMBER.match(text):
        text = text[match.end() :]
        text = (text.rpartition("*")[0] or text).rstrip()
    return text


def parse(text: str) -> KlipperLine:
    """Take a line apart.

    Raises:
        RefusedError: It is malformed.

    """
    match = _NAME.match(text)
    head = match[0] if match else text
    name, rest = head.strip().upper(), text[len(head) :].lstrip()
    if _CLASSIC.fullmatch(name):
        return KlipperLine(text, name, rest, classic_words(rest))
    bare = text.split("*", 1)[0]
    if name not in COMMANDS:
        return KlipperLine(text, name, rest, {})
    return KlipperLine(
        bare, name, rest, klipper_commands.extended_words(bare, bare[len(head) :])
    )


def dispatch(machine: Machine, text: str) -> Steps | None:
    """Execute a line.

    Raises:
        RefusedError: It was not executed.

    """
    if not text:
        return None
    line = parse(text)
    if machine.shutdown and line.name not in ALWAYS:
        raise refusal(machine)
    if line.name[:1] == "T" and line.name[1:].isdigit():
        klipper_commands.select_tool(machine, line)
        return None
    handler = COMMANDS.get(line.name)
    if handler is None:
        raise klipper_commands.unknown(line)
    return handler(machine, line)


def refusal(machine: Machine, *between: str) -> RefusedError:
    """Return its reply to every command while it is not ready."""
    lines = [f"// {line}" for line in machine.shutdown]
    return RefusedError(*lines, *between, f"!! {machine.shutdown[0]}")


def shut_down(machine: Machine, reason: str, end: str = "Printer is shutdown") -> None:
    """Stop everything; the reason is given only in reply to the next real command."""
    if machine.shutdown:
        return
    machine.stale = klipper_commands.temperatures(machine)
    machine.shutdown = (reason, *_REMEDY, end)
    machine.switch_off()
    machine.motion.stop(machine.now)
    machine.card.printing = False
    machine.say("// Klipper state: Shutdown")
    if machine.running.upper().startswith("G28"):
        machine.say("!! Homing failed due to printer shutdown")


def act_at_once(
    machine: Machine, code: str, _answer: int | None, *, running: bool
) -> None:
    """Act on a bare M112 that came while a command runs."""
    if running and code == "M112":
        shut_down(machine, BY_COMMAND)


def trip(machine: Machine, heater: SimulatedHeater) -> None:
    """Shut down because of a heater that does not heat, as its verification does."""
    heater.trips_at = None
    name = "heater_bed" if heater.label == "bed" else "extruder"
    shut_down(machine, f"Heater {name} not heating at expected rate")


def boot(machine: Machine) -> None:
    """Switch on: ready at once, waiting for a microcontroller, or misconfigured."""
    if machine.options.get("config_error"):
        machine.shutdown, machine.stale = CONFIG_ERROR, "T:0"
    elif not machine.options.get("ready", True):
        machine.shutdown, machine.stale = STARTING, "T:0"


def emergency_stop(machine: Machine, _line: KlipperLine) -> None:
    """M112."""
    if machine.shutdown in (STARTING, CONFIG_ERROR):
        machine.shutdown = (BY_COMMAND, *_REMEDY, "Printer is shutdown")
    else:
        shut_down(machine, BY_COMMAND)


def read_temperatures(machine: Machine, _line: KlipperLine) -> None:
    """M105; after a shutdown what it was then."""
    if machine.shutdown:
        machine.ok(machine.stale)
    else:
        machine.ok(klipper_commands.temperatures(machine))


def identify(machine: Machine, _line: KlipperLine) -> None:
    """M115: one line."""
    name = "Kalico" if machine.options.get("kalico") else "Klipper"
    machine.ok(machine.personality.identity.replace("Klipper", name))


def position(machine: Machine, line: KlipperLine) -> None:
    """M114; what follows it is ignored."""
    say_position(machine, ParsedCommand.parse(line.name))


def status(machine: Machine, _line: KlipperLine) -> None:
    """STATUS."""
    if machine.shutdown:
        raise refusal(machine, "// Klipper state: Not ready")
    machine.say("// Klipper state: Ready")


def become_ready(machine: Machine) -> None:
    """Reach the microcontroller, or read a configuration without errors."""
    machine.options["config_error"] = False
    if machine.shutdown == STARTING:
        machine.shutdown = ()
        machine.say("// Klipper state: Ready")


def show_dialog(machine: Machine) -> None:
    """Show a dialog as a macro of its owner does."""
    for step in (
        "begin Load filament",
        "text Which one?",
        "button PLA|LOAD_FILAMENT TEMP=200|primary",
        "button ABS|LOAD_FILAMENT TEMP=250",
        "footer_button Cancel|CANCEL_LOAD|error",
        "show",
    ):
        machine.say(f"// action:prompt_{step}")


def close_dialog(machine: Machine, _line: KlipperLine) -> None:
    """LOAD_FILAMENT and CANCEL_LOAD: macros behind the dialog's buttons."""
    machine.say("// action:prompt_end")


def help_lines(machine: Machine, _line: KlipperLine) -> None:
    """HELP."""
    names = sorted(name for name in COMMANDS if not _CLASSIC.fullmatch(name))
    if machine.shutdown:
        machine.say("// Printer is not ready - not all commands available.")
        names = [name for name in names if name in ALWAYS]
    machine.say("// Available extended commands:")
    for name in names:
        machine.say(f"// {name:{HELP_WIDTH}}: {name.capitalize().replace('_', ' ')}")


def restart_firmware(machine: Machine, _line: KlipperLine) -> None:
    """FIRMWARE_RESTART: disconnects at once, and is back after a while."""
    _restart(machine, ())


def restart(machine: Machine, _line: KlipperLine) -> None:
    """RESTART: the microcontroller stays as it is, even if it is shut down."""
    stuck = machine.shutdown and machine.shutdown not in (STARTING, CONFIG_ERROR)
    end = "Error configuring printer"
    _restart(machine, (NO_RESTART, *_REMEDY, end) if stuck else ())


def _restart(machine: Machine, afterwards: tuple[str, ...]) -> None:
    machine.ok()
    away = machine.now + DISCONNECT

    def disconnect() -> None:
        machine.say("// Klipper state: Disconnect")
        machine.renew()
        machine.shutdown, machine.stale = STARTING, "T:0"
        machine.deaf_until = away + LISTEN / machine.speed
        machine.later.append((machine.deaf_until, lambda: None))
        machine.later.append((away + READY / machine.speed, come_back))

    def come_back() -> None:
        wrong = machine.options.get("config_error")
        machine.shutdown = CONFIG_ERROR if wrong else afterwards
        if not machine.shutdown:
            machine.say("// Klipper state: Ready")

    machine.deaf_until = away
    machine.later.append((away, disconnect))


ALWAYS = frozenset(
    {
        "M21", "M105", "M110", "M112", "M114", "M115", "M118",
        "FIRMWARE_RESTART", "GET_POSITION", "HELP", "RESPOND", "RESTART", "STATUS",
    }
)  # fmt: skip
"""What is answered even while it is not ready."""

COMMANDS: dict[str, Handler] = {
    **klipper_commands.COMMANDS,
    **klipper_card.COMMANDS,
    "M105": read_temperatures,
    "M110": klipper_commands.accept,
    "M112": emergency_stop,
    "M114": position,
    "M115": identify,
    "CANCEL_LOAD": close_dialog,
    "FIRMWARE_RESTART": restart_firmware,
    "LOAD_FILAMENT": close_dialog,
    "HELP": help_lines,
    "RESTART": restart,
    "STATUS": status,
}
