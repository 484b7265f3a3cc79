r"""A printer's firmware without the printer: bytes and time in, bytes out; no I/O.

    firmware = Firmware("marlin", extruders=2)
    reply = firmware.receive_data(b"M105\n", now)
    reply = firmware.handle_time(now)  # not before firmware.next_event(now)

One command runs at a time, as in a real firmware; what arrives meanwhile waits in the
receive buffer, and only the emergency parser looks at it. ``now`` is in seconds from
any starting point, and must not decrease.
"""

import math
from collections.abc import Callable, Iterator
from typing import Unpack

from bridge.errors import quoted
from bridge.simulator import (
    card_commands,
    heating_commands,
    marlin,
    motion_commands,
    options,
    runner,
)
from bridge.simulator.heaters import SimulatedHeater
from bridge.simulator.machine import AutoReport, Machine, build
from bridge.simulator.options import Options, check
from bridge.simulator.panel import press
from bridge.simulator.personalities import PERSONALITIES

MAX_OVERDUE = 60.0  # seconds; older periodic messages are left out
WAIT_INTERVAL = 1.0


class Firmware:
    """One simulated printer on its end of the line.

    Attributes:
        personality: what it says and does differently from other firmwares.
        machine: heaters, motion, card and everything else that can be looked at.
        executed: the lines of the host that were executed, in order, without number and
            checksum; unknown and refused ones are not in it.

    Raises:
        ValueError: There is no such personality, or an option has an invalid value.

    """

    def __init__(self, personality: str = "marlin", **built: Unpack[Options]) -> None:
        if personality not in PERSONALITIES:
            known = ", ".join(PERSONALITIES)
            raise ValueError(
                f"there is no firmware {quoted(personality)} (known: {known})"
            )
        check(built)
        self.personality = PERSONALITIES[personality]
        self.executed: list[str] = []
        self.machine: Machine = build(self.personality, built)
        self._idle = AutoReport()
        self._switch_on()

    @classmethod
    def from_url(cls, url: str) -> "Firmware":
        """Return the firmware that ``simulator://marlin?extruders=2&bed=0`` describes.

        Raises:
            ValueError: The personality, an option or a value is unknown.

        """
        name, values = options.parse(url)
        return cls(name, **values)

    def _switch_on(self) -> None:
        machine = self.machine
        self._runner = runner.start(machine, self.executed)
        self._reports: tuple[tuple[AutoReport, Callable[[Machine], None]], ...] = (
            (machine.temperature_report, heating_commands.report),
            (machine.position_report, motion_commands.report),
            (machine.card_report, card_commands.report),
        )
        if self.personality.idle_wait:
            self._idle.every(WAIT_INTERVAL, machine.now)

    @property
    def heaters(self) -> dict[str, SimulatedHeater]:
        """Heaters by name: ``tool0`` …, ``bed``, ``chamber``."""
        for heater in self.machine.heaters.values():
            heater.advance(self.machine.now)
        return self.machine.heaters

    @property
    def position(self) -> dict[str, float]:
        """The planned position as M114 gives it: ``x``, ``y``, ``z``, ``e`` in mm."""
        motion = self.machine.motion
        axes = {axis.lower(): motion.coordinate(axis) for axis in motion.position}
        return {**axes, "e": motion.extruder}

    @property
    def modal(self) -> dict[str, float | bool]:
        """The modes that a command leaves behind for the next one.

        ``relative``, ``relative_e``, ``feedrate`` in mm/min, ``tool``, ``fan`` 0 to
        255, ``speed_factor`` and ``flow_factor`` in percent.
        """
        motion = self.machine.motion
        return {
            "relative": motion.relative,
            "relative_e": motion.relative_e,
            "feedrate": motion.feedrate,
            "tool": self.machine.tool,
            "fan": self.machine.fan,
            "speed_factor": motion.speed_factor,
            "flow_factor": motion.flow_factor,
        }

    @property
    def halted(self) -> bool:
        """Whether it was stopped and executes nothing until it is reset."""
        return self.machine.stopped or bool(self.machine.shutdown)

    @property
    def printing(self) -> bool:
        """Whether it prints from its card."""
        return self.machine.card.printing

    @property
    def selected(self) -> str | None:
        """The name of the file that is selected on the card."""
        file = self.machine.card.selected
        return file.name if file else None

    @property
    def pending(self) -> int:
        """How many bytes have arrived but have not been read yet, at most."""
        return self._runner.receiver.pending

    def receive_data(self, data: bytes, now: float) -> bytes:
        """Take bytes from the host; return what the firmware says up to now."""
        self._catch_up(now)
        machine = self.machine
        if self._idle.interval:
            self._idle.every(WAIT_INTERVAL, now)
        if machine.stopped:
            if self.personality.halt_answer:
                marlin.answer_halted(machine, data)
        elif now >= machine.boots_until:
            self._runner.receive(data)
            self._reset_itself()
        return self._take()

    def handle_time(self, now: float) -> bytes:
        """Do everything that is due; return what the firmware says."""
        self._catch_up(now)
        return self._take()

    def next_event(self, now: float) -> float | None:
        """Return when ``handle_time`` has something to do; ``None``: never."""
        due = min(self._times(), default=math.inf)
        return max(due, now) if due < math.inf else None

    def reset(self, now: float) -> bytes:
        """Press the reset button; return the banner.

        Temperatures and the card stay as they are; the rest is as after power-up.
        """
        self._catch_up(now)
        self._restart()
        return self._take()

    def _restart(self) -> None:
        machine = self.machine
        machine.renew()
        self._switch_on()
        boot = machine.options.get("boot", 0.0)
        machine.boots_until = machine.now + boot
        if boot:
            machine.later.append((machine.boots_until, self._greet))
        else:
            self._greet()

    def _greet(self) -> None:
        if not self.machine.stopped:
            marlin.greet(self.machine)

    def _reset_itself(self) -> None:
        if self.machine.resets:
            self._restart()

    def panel(self, action: str, *arguments: str | float, now: float) -> bytes:
        """Let a person do something at the printer; return what the firmware says.

        Actions: ``start`` NAME, ``pause``, ``resume``, ``cancel``, ``runout``,
        ``press`` (the button), ``pull``, ``insert`` (the card), ``target`` HEATER °C,
        ``break`` HEATER, ``fix`` HEATER, ``mintemp`` HEATER, ``maxtemp`` HEATER,
        ``kill``, ``shutdown`` REASON (Klipper, silently), ``ready`` (Klipper), ``lock``
        and ``unlock`` (Marlin), ``dialog``, ``run`` LINE (an item of its menu), ``say``
        LINE.

        Raises:
            ValueError: There is no such action, heater or file.

        """
        self._catch_up(now)
        if not self.machine.stopped:
            press(self.machine, action, arguments)
            self._runner.wake()
            self._runner.work()
        return self._take()

    def _take(self) -> bytes:
        out = self.machine.out
        if not out:
            return b""
        data = "\n".join(out).encode("latin-1", "replace") + b"\n"
        out.clear()
        return data

    def _times(self) -> Iterator[float]:
        machine = self.machine
        for at, _ in machine.later:
            yield at
        if not machine.stopped:
            yield self._runner.due
            yield self._idle.due
            for report, _ in self._reports:
                yield report.due
            for heater in machine.heaters.values():
                if heater.trips_at is not None:
                    yield heater.trips_at

    def _catch_up(self, now: float) -> None:
        machine, before = self.machine, now - MAX_OVERDUE
        self._runner.forget(before)
        for report in (self._idle, *(report for report, _ in self._reports)):
            report.due = max(report.due, before)
        while (due := min(self._times(), default=math.inf)) <= now:
            machine.now = max(machine.now, due)
            self._happen()
        machine.now = max(machine.now, now)

    def _happen(self) -> None:
        machine, now = self.machine, self.machine.now
        self._do_what_is_due(now)
        if machine.stopped:
            return
        self._report(now)
        for heater in machine.heaters.values():
            if heater.trips_at is not None and heater.trips_at <= now:
                self._runner.ways.trip(machine, heater)
        if self.halted:
            self._runner.wake()
        self._runner.run()
        self._reset_itself()

    def _do_what_is_due(self, now: float) -> None:
        later = self.machine.later
        due = [what for at, what in later if at <= now]
        if due:
            later[:] = [entry for entry in later if entry[0] > now]
            for what in due:
                what()

    def _report(self, now: float) -> None:
        for report, say in self._reports:
            if report.due <= now:
                report.due += report.interval
                say(self.machine)
        if self._idle.due <= now:
            self._idle.due += self._idle.interval
            if self._runner.idle:
                self.machine.say("wait")
