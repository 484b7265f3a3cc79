"""The commands between firmware and host: identity, settings, messages, people."""

from bridge.simulator import card_commands, heating_commands, motion_commands
from bridge.simulator.heating_commands import unknown
from bridge.simulator.lines import ParsedCommand, read_words
from bridge.simulator.machine import Machine, Steps

SETTINGS = """\
; Linear Units:
  G21 ; (mm)
; Temperature Units:
  M149 C ; Units in Celsius
; Filament settings (Disabled):
  M200 S0 D1.75
; Steps per unit:
  M92 X80.00 Y80.00 Z400.00 E500.00
; Max feedrates (units/s):
  M203 X300.00 Y300.00 Z5.00 E25.00
; Max Acceleration (units/s2):
  M201 X3000.00 Y3000.00 Z100.00 E10000.00
; Acceleration (units/s2) (P<print-accel> R<retract-accel> T<travel-accel>):
  M204 P3000.00 R3000.00 T3000.00
; Advanced (B<min_segment_time_us> S<min_feedrate> T<min_travel_feedrate> \
J<junc_dev>):
  M205 B20000.00 S0.00 T0.00 J0.01
; Home offset:
  M206 X0.00 Y0.00 Z0.00
; Hotend PID:
  M301 P22.20 I1.08 D114.00""".splitlines()
AREA = (
    "area:{full:{min:{x:0.00,y:0.00,z:0.00},max:{x:200.00,y:200.00,z:200.00}},"
    "work:{min:{x:0.00,y:0.00,z:0.00},max:{x:200.00,y:200.00,z:200.00}}}"
)


def identify(machine: Machine, _command: ParsedCommand) -> None:
    """M115."""
    personality, options = machine.personality, machine.options
    machine.say(personality.identity.format(extruders=machine.tools))
    for capability in personality.capabilities:
        name, _, value = capability.partition(":")
        if name == "EMERGENCY_PARSER" and personality.early:
            value = str(int(options.get("emergency_parser", True)))
        elif name == "CHAMBER_TEMPERATURE":
            value = str(int("chamber" in machine.heaters))
        elif name == "TOGGLE_LIGHTS" and options.get("outputs"):
            value = "1"
        machine.say(f"Cap:{name}:{value}")
    if personality.actions:
        machine.say(AREA)


def renumber(machine: Machine, command: ParsedCommand) -> None:
    """M110 on a line without a number: N becomes the number of the last line."""
    if "N" in command.words:
        machine.numbering.last = int(command.words["N"])


def keepalive(machine: Machine, command: ParsedCommand) -> None:
    """M113: how often it says ``busy:``."""
    if "S" in command.words:
        machine.busy_interval = min(max(command.words["S"], 0.0), 60.0)
    else:
        machine.say(f"echo:M113 S{machine.busy_interval:.0f}")


def show(machine: Machine, command: ParsedCommand) -> None:
    """M117."""
    machine.display = command.text
    if machine.personality.status:
        machine.say(machine.personality.status)


def output(machine: Machine, command: ParsedCommand) -> None:
    """M42, M150, M290 and M355, if the machine has what they switch."""
    if not machine.options.get("outputs", False):
        raise heating_commands.unknown(machine, command)
    if command.code == "M355":
        on = command.words.get("S", 1.0) > 0
        level = f"{command.words.get('P', 255.0):.0f}" if on else "OFF"
        machine.say(f"echo:Case light: {level}")


def echo(machine: Machine, command: ParsedCommand) -> None:
    """M118: A1 makes it an action, E1 an echo."""
    text, prefix = command.text, ""
    while text[:1] in {"A", "E", "P"} and text[1:2].isdigit():
        if text[1] == "1":
            prefix = {"A": "//", "E": "echo:"}.get(text[0], prefix)
        text = text[2:].lstrip(" ")
    machine.say(f"{prefix}{text}\r")


def settings(machine: Machine, _command: ParsedCommand) -> None:
    """M503."""
    for line in SETTINGS:
        machine.say(f"echo:{line}")


def setting(machine: Machine, command: ParsedCommand) -> None:
    """M92 and the like: without words they say what is set."""
    if not command.text:
        for line in SETTINGS:
            if line.startswith(f"  {command.code} "):
                machine.say(line)


def check(machine: Machine, _command: ParsedCommand) -> None:
    """M504."""
    machine.say("echo:EEPROM OK")


def load(machine: Machine, command: ParsedCommand) -> None:
    """M501."""
    machine.say("echo:V87 stored settings retrieved (614 bytes; crc 43744)")
    machine.action("notification Stored settings retrieved")
    settings(machine, command)


def store(machine: Machine, _command: ParsedCommand) -> None:
    """M500."""
    machine.say("echo:Settings Stored (614 bytes; crc 43744)")
    machine.action("notification Settings Stored")
    machine.action("notification Settings Stored")


def defaults(machine: Machine, _command: ParsedCommand) -> None:
    """M502."""
    machine.action("notification Hardcoded Default Settings Loaded")
    machine.say("echo:Hardcoded Default Settings Loaded")


def stop_and_ask(machine: Machine, command: ParsedCommand) -> Steps:
    """M0 and M1: wait for a person, with S or P for a time only."""
    words, _ = read_words(command.text)
    seconds = words["S"] if "S" in words else words.get("P", 0.0) / 1000
    text = "" if words else command.text.strip()
    yield from machine.wait_for_moves()
    if text:
        machine.say(f"echo:{text}\r")
    machine.prompt(text or f"{command.code} Stop", "Continue")
    if seconds <= 0:
        yield from machine.wait_for_user()
        return
    machine.user_wait, machine.released = True, False
    end = machine.now + seconds
    while machine.now < end and not machine.released:
        yield end
    machine.user_wait = machine.released = False


def change_filament(machine: Machine, command: ParsedCommand) -> Steps:
    """M600: park, wait for a person, continue."""
    if not machine.options.get("filament_change", True):
        raise unknown(machine, command)
    return _change_filament(machine, command)


def _change_filament(machine: Machine, command: ParsedCommand) -> Steps:
    machine.action("paused filament_change 0")
    printed, machine.card.printing = machine.card.printing, False
    machine.parked = True
    yield from card_commands.parked(machine, command, "Nozzle Parked")
    machine.parked, machine.card.printing = False, printed
    machine.action("resumed")


def answer(machine: Machine, _command: ParsedCommand) -> None:
    """M108 and M876: whoever waits was released when the line arrived."""


def motors_on(machine: Machine, _command: ParsedCommand) -> None:
    """M17."""
    machine.action("notification No Move.")


def pause_timer(machine: Machine, _command: ParsedCommand) -> None:
    """M76."""
    machine.action("pause")


def unlock(machine: Machine, command: ParsedCommand) -> None:
    """M511: any text is the right password."""
    if not machine.locked:  # as if built without the feature, until somebody locks it
        raise unknown(machine, command)
    machine.locked = False


def accept(_machine: Machine, _command: ParsedCommand) -> None:
    """Do nothing: a setting that the simulated machine does not have."""


def revive(machine: Machine, _command: ParsedCommand) -> None:
    """M999: restarts the numbering after an error has stopped it."""
    last = machine.numbering.last
    machine.say(f"Resend: {last + 1}")
    machine.ok()
    machine.answered = False


COMMANDS = {
    **motion_commands.COMMANDS,
    **heating_commands.COMMANDS,
    **card_commands.COMMANDS,
    "G21": accept,
    "M0": stop_and_ask,
    "M1": stop_and_ask,
    "M17": motors_on,
    "M42": output,
    "M73": accept,
    "M75": accept,
    "M76": pause_timer,
    "M77": accept,
    "M85": accept,
    "M92": setting,
    "M108": answer,
    "M110": renumber,
    "M111": accept,
    "M113": keepalive,
    "M115": identify,
    "M117": show,
    "M118": echo,
    "M120": accept,
    "M121": accept,
    "M150": output,
    "M200": setting,
    "M201": setting,
    "M203": setting,
    "M204": setting,
    "M205": setting,
    "M206": setting,
    "M290": output,
    "M301": setting,
    "M355": output,
    "M500": store,
    "M501": load,
    "M502": defaults,
    "M503": settings,
    "M504": check,
    "M511": unlock,
    "M600": change_filament,
    "M876": answer,
    "M999": revive,
}
