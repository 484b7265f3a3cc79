"""What a person does at the printer, and what breaks there."""

from collections.abc import Callable

from bridge.errors import quoted
from bridge.simulator import card_commands, klipper, marlin
from bridge.simulator.heaters import SimulatedHeater
from bridge.simulator.heating_commands import announce
from bridge.simulator.machine import Machine
from bridge.simulator.personalities import Family

Arguments = tuple[str | float, ...]


def press(machine: Machine, action: str, arguments: Arguments) -> None:
    """Do something at the printer.

    Raises:
        ValueError: There is no such action, heater or file.

    """
    if action not in ACTIONS:
        known = ", ".join(ACTIONS)
        raise ValueError(f"there is no action {quoted(action)} (known: {known})")
    ACTIONS[action](machine, arguments)


def _text(arguments: Arguments) -> str:
    if not arguments:
        raise ValueError("the action needs an argument")
    return str(arguments[0])


def _is_klipper(machine: Machine) -> bool:
    return machine.personality.family is Family.KLIPPER


def _start(machine: Machine, arguments: Arguments) -> None:
    name = _text(arguments)
    if machine.card.find(name) is None:
        raise ValueError(f"no file {quoted(name)} on the card")
    machine.injected += [f"M23 {name}", "M24"]


def _pause(machine: Machine, _arguments: Arguments) -> None:
    machine.injected.append("PAUSE" if _is_klipper(machine) else "M25")


def _resume(machine: Machine, _arguments: Arguments) -> None:
    machine.injected.append("RESUME" if _is_klipper(machine) else "M24")


def _cancel(machine: Machine, _arguments: Arguments) -> None:
    machine.action("cancel")
    machine.injected.append("CANCEL_PRINT" if _is_klipper(machine) else "M524")


def _runout(machine: Machine, _arguments: Arguments) -> None:
    if _is_klipper(machine):
        machine.injected.append("PAUSE")
        return
    machine.action("pause filament_runout")
    machine.injected.append("M600")


def _button(machine: Machine, _arguments: Arguments) -> None:
    machine.released = True


def _pull(machine: Machine, _arguments: Arguments) -> None:
    if machine.card.printing:
        machine.card.inserted = machine.card.mounted = False
        return
    machine.card.eject(inserted=False)
    card_commands.announce_card(machine, inserted=False)


def _insert(machine: Machine, _arguments: Arguments) -> None:
    machine.card.inserted = machine.card.mounted = True
    if not machine.card.printing:
        card_commands.announce_card(machine, inserted=True)


def _heater(machine: Machine, arguments: Arguments) -> tuple[str, SimulatedHeater]:
    name = _text(arguments)
    if name not in machine.heaters:
        known = ", ".join(machine.heaters)
        raise ValueError(f"there is no heater {quoted(name)} (known: {known})")
    return name, machine.heaters[name]


def _target(machine: Machine, arguments: Arguments) -> None:
    name, heater = _heater(machine, arguments)
    heater.set_target(float(arguments[1]), machine.now)
    announce(machine, heater, name)


def _break(machine: Machine, arguments: Arguments) -> None:
    _heater(machine, arguments)[1].set_broken(machine.now, broken=True)


def _fix(machine: Machine, arguments: Arguments) -> None:
    _heater(machine, arguments)[1].set_broken(machine.now, broken=False)


def _too_cold(machine: Machine, arguments: Arguments) -> None:
    _sensor_fails(machine, arguments, "MINTEMP")


def _too_hot(machine: Machine, arguments: Arguments) -> None:
    _sensor_fails(machine, arguments, "MAXTEMP")


def _sensor_fails(machine: Machine, arguments: Arguments, name: str) -> None:
    _, heater = _heater(machine, arguments)
    if _is_klipper(machine):
        klipper.shut_down(machine, "ADC out of range")
    else:
        marlin.fail(machine, heater, f"{name} triggered", name)


def _kill(machine: Machine, _arguments: Arguments) -> None:
    if _is_klipper(machine):
        klipper.shut_down(machine, klipper.BY_COMMAND)
    else:
        marlin.emergency_stop(machine)


def _shut_down(machine: Machine, arguments: Arguments) -> None:
    klipper.shut_down(machine, _text(arguments))


def _ready(machine: Machine, _arguments: Arguments) -> None:
    klipper.become_ready(machine)


def _dialog(machine: Machine, _arguments: Arguments) -> None:
    if _is_klipper(machine):
        klipper.show_dialog(machine)
    else:
        machine.prompt("Load filament?", "Yes", "No")


def _lock(machine: Machine, _arguments: Arguments) -> None:
    machine.locked = True


def _unlock(machine: Machine, _arguments: Arguments) -> None:
    machine.locked = False


def _run(machine: Machine, arguments: Arguments) -> None:
    machine.injected.append(_text(arguments))


def _say(machine: Machine, arguments: Arguments) -> None:
    machine.say(_text(arguments))


ACTIONS: dict[str, Callable[[Machine, Arguments], None]] = {
    "start": _start,
    "pause": _pause,
    "resume": _resume,
    "cancel": _cancel,
    "runout": _runout,
    "press": _button,
    "pull": _pull,
    "insert": _insert,
    "target": _target,
    "break": _break,
    "fix": _fix,
    "mintemp": _too_cold,
    "maxtemp": _too_hot,
    "kill": _kill,
    "shutdown": _shut_down,
    "ready": _ready,
    "dialog": _dialog,
    "lock": _lock,
    "unlock": _unlock,
    "run": _run,
    "say": _say,
}
