"""What we know about one printer; :mod:`bridge.printer.knowledge.state` changes it.

Times are seconds on a monotonic clock; the published documents turn them into the
time of day. ``None`` always means: not known yet.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict

from bridge.commands.accessories import Accessories
from bridge.gcode.file_list import Listing
from bridge.gcode.modal import Modal
from bridge.gcode.reply_types import FileEntry, FirmwareReport, PositionReport
from bridge.printer.knowledge.heaters import HeaterState
from bridge.printer.knowledge.print_table import Active, PrintJob, PrintResult


class Totals(BaseModel):
    """All prints that ended while the bridge was running; kept across restarts."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    done: int = 0
    """Prints that were completed."""
    cancelled: int = 0
    """Prints that were cancelled."""
    failed: int = 0
    """Prints that failed."""
    seconds: float = 0.0
    """Their time without pauses, if their start was seen."""
    filament: float = 0.0
    """mm of filament, if it is known."""


def counted(totals: Totals, result: PrintResult | None) -> Totals:
    """Return the totals with the print that has just ended; ``None``: none has."""
    if result is None:
        return totals
    return totals.model_copy(
        update={
            result.outcome: getattr(totals, result.outcome) + 1,
            "seconds": totals.seconds + (result.elapsed or 0.0),
            "filament": totals.filament + (result.filament or 0.0),
        }
    )


Consequence = Literal[
    "halted", "stopped", "disconnected", "heater_off", "unmeasured", "print_failed"
]
Severity = Literal["warning", "error", "critical"]

SEVERITIES: Mapping[Consequence, Severity] = {
    "halted": "critical",
    "disconnected": "error",
    "heater_off": "error",
    "unmeasured": "critical",  # it may be heating without a limit
    "print_failed": "error",
    "stopped": "warning",  # somebody requested it
}
"""How bad each consequence is. A printer that is switched off while it is cold and idle
has no problem at all."""

Link = Literal["offline", "connecting", "operational", "error"]
Word = Link | Active
HeatReason = Literal["print", "pause", "hold", "use", "none"]
"""Why heaters are on: a print runs, it is paused, a command holds them for a time, or
somebody has used the printer; ``none``: they should be off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What went wrong; kept until the next connection or an acknowledgement.

    Attributes:
        error: the firmware's own words, or ours.
        reason: a stable word such as ``thermal_runaway`` or ``timeout``.
        consequence: ``halted`` (the firmware needs a reset), ``stopped`` (an emergency
            stop was requested), ``disconnected``, ``heater_off`` (the rest continues),
            ``unmeasured`` (a heater without a temperature) or ``print_failed`` (the
            printer can be used).
        logs: the last lines of the wire.
        time: when it happened.

    """

    error: str
    reason: str
    consequence: Consequence
    logs: tuple[str, ...] = ()
    time: float = 0.0

    @property
    def severity(self) -> Severity:
        """How bad it is."""
        return SEVERITIES[self.consequence]


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed operation that did not stop the printer, such as probing the bed.

    Attributes:
        error: the firmware's own words.
        reason: a stable word.
        time: when it was reported.

    """

    error: str
    reason: str
    time: float


@dataclass(frozen=True, slots=True)
class UserPrompt:
    """A question of the printer to the person in front of it (``//action:prompt_…``).

    Attributes:
        text: the question.
        choices: what is written on the buttons, in order.
        shown: the question is complete (``prompt_show``).
        commands: what each button sends, where the buttons of the firmware are
            commands, as Klipper's are; elsewhere ``M876 S<n>`` presses the n-th,
            counted from 0.

    """

    text: str
    choices: tuple[str, ...] = ()
    shown: bool = False
    commands: tuple[str, ...] = ()

    @property
    def asks(self) -> bool:
        """Whether it is shown and offers more than to dismiss it."""
        names = {choice.strip().lower() for choice in self.choices}
        return self.shown and not (names and names <= _DISMISS)


_DISMISS = {"dismiss", "close", "ok", "okay", "got it"}
"""Buttons that only close a dialog, in lower case. A dialog without other buttons is
information: Marlin shows ``Resuming SD`` with ``Dismiss`` whenever a print starts
(tests/transcripts/marlin/m21-sd.txt)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRecovery:
    """The plan for continuing an interrupted print, made on request.

    Attributes:
        job: the id of the print that was interrupted.
        file: what was printed.
        layer: the layer to begin with, counted from 1; ``None``: none can be.
        height: where the nozzle has to stand, in mm above the bed; likewise.
        lines: what is sent before that layer; empty if none can be.
        refused: why the print cannot continue, else ``""``.
        asked: the layer and the height that a person has chosen, each or ``None``.
        time: when it was worked out.

    """

    job: str
    file: str
    layer: int | None = None
    height: float | None = None
    lines: tuple[str, ...] = ()
    refused: str = ""
    asked: tuple[int | None, float | None] = (None, None)
    time: float


@dataclass(frozen=True, kw_only=True)  # no slots: evolve() copies the dictionary
class PrinterState:
    """Everything known about one printer.

    Attributes:
        link: the state of the connection; the published state without a print.
        readiness: what a host firmware reports of itself (``ready``, ``not_ready``,
            ``shutdown``, ``disconnect``), or ``""``.
        firmware: the answer to ``M115``.
        capabilities: its ``Cap:`` lines.
        refused: codes that the firmware has called unknown, such as ``M27``.
        autoreports: codes that turned on reports at intervals (``M155``, ``M27``,
            ``M154``).
        reported_at: when each of these reports came last, or was turned on.
        heaters: by name: ``tool0`` …, ``bed``, ``chamber``.
        sensors: other temperatures in °C, under the firmware's names.
        offsets: °C by heater; added to the targets that the bridge sets.
        measured_at: when the temperatures were reported last; ``None``: never.
        sensed_at: the same for each sensor.
        placed_at: when the position was reported.
        counted_at: when the firmware last reported whether, and how far, it prints from
            the card; ``None``: it has not.
        expected_since: since when a reading is expected (``position``, ``counter``),
            see :mod:`bridge.printer.knowledge.age`.
        counter_stale: the bytes of a print from the card were not reported for so long
            that they are not known.
        position: as last reported.
        moved: the position may have changed since it was reported.
        displaced: the last line that moved the head was no line of a print that runs,
            so it does not stand where the print left it.
        modal: the modal state, as far as it follows from what was sent.
        accessories: fans, the light, babysteps and the display; likewise.
        card: an SD card is mounted.
        files: the card's list.
        listed: the list was read since the card was inserted.
        listing: the list that is being received.
        job: the print that is under way, and how the last one ended.
        broken_off: the last print was one of the bridge's files, and was interrupted.
        recovery: how that print could continue, if somebody has asked.
        totals: all prints so far.
        problem: why the printer stopped.
        fault: why one of its heaters is off while the firmware continues.
        print_failure: the last print failed, and nobody has acknowledged that yet.
        failure: the last operation that failed, such as ``G29``; the firmware may stop
            because of it.
        notes: lines that a host firmware has just said about its own state.
        locked: the firmware's message that it is locked with a password, or ``""``.
        away: why it cannot be reached, or ``""``; it may simply be switched off.
        away_reason: the same in one word: ``connection`` (lost), ``reconnect`` or
            ``released`` (requested), or ``""``.
        released: the port is left to others until somebody connects it again.
        unseen: a print or heat of an earlier run of the bridge, which has not seen the
            printer since.
        halted: it has stopped and was not connected again since; its reports do not
            count.
        prompt: the printer's question.
        waiting: the printer does nothing until somebody answers it.
        occupied: it was at work when the port was opened, and has not answered yet.
        message: the printer's last notification (``//action:notification``).
        line: the line in flight, or ``""``.
        heaters_off_at: when the first heater is turned off; ``None``: not due.
        heat_reason: why heaters are on (:mod:`bridge.printer.control.heater_policy`);
            ``None``: none is, as far as is known.
        reheat: °C of heaters that went off during the pause of the print.
        tool_before: the tool before the line in flight.
        homings: how many homing commands were sent; compared, not shown.
        homed: the axes of the last homing.
        resets: how often it was reset while connected; compared, not shown.

    """

    link: Link = "offline"
    readiness: str = ""
    firmware: FirmwareReport | None = None
    capabilities: Mapping[str, bool] = field(default_factory=dict)
    refused: frozenset[str] = frozenset()
    autoreports: frozenset[str] = frozenset()
    reported_at: Mapping[str, float] = field(default_factory=dict, compare=False)
    heaters: Mapping[str, HeaterState] = field(default_factory=dict)
    sensors: Mapping[str, float | None] = field(default_factory=dict)
    offsets: Mapping[str, float] = field(default_factory=dict)
    measured_at: float | None = field(default=None, compare=False)
    sensed_at: Mapping[str, float] = field(default_factory=dict, compare=False)
    placed_at: float = field(default=0.0, compare=False)
    counted_at: float | None = field(default=None, compare=False)
    expected_since: Mapping[str, float] = field(default_factory=dict, compare=False)
    counter_stale: bool = False
    position: PositionReport | None = None
    moved: bool = False
    displaced: bool = False
    modal: Modal = field(default_factory=Modal)
    accessories: Accessories = field(default_factory=Accessories)
    card: bool | None = None
    files: tuple[FileEntry, ...] = ()
    listed: bool = False
    listing: Listing | None = None
    job: PrintJob = field(default_factory=PrintJob)
    broken_off: bool = False
    recovery: PlannedRecovery | None = None
    totals: Totals = field(default_factory=Totals)
    problem: Problem | None = None
    fault: Problem | None = None
    print_failure: Problem | None = None
    failure: Failure | None = field(default=None, compare=False)
    notes: tuple[str, ...] = field(default=(), compare=False)
    locked: str = ""
    away: str = ""
    away_reason: str = ""
    released: bool = False
    unseen: bool = False
    halted: bool = False
    prompt: UserPrompt | None = None
    waiting: bool = False
    occupied: bool = False
    message: str = ""
    line: str = ""
    heaters_off_at: float | None = None
    heat_reason: HeatReason | None = None
    reheat: Mapping[str, float] = field(default_factory=dict)
    tool_before: int = 0
    homings: int = 0
    homed: tuple[str, ...] = ()
    resets: int = 0

    @property
    def phase(self) -> Word:
        """The published state: that of the link or, if there is one, of the print."""
        if self.link == "operational" and self.job.phase != "idle":
            return self.job.phase
        return self.link

    @property
    def trouble(self) -> Problem | None:
        """The problem, or else one despite which the printer can be used."""
        return self.problem or self.fault or self.print_failure

    @property
    def printing(self) -> bool:
        """Whether a print is under way and not paused, so that it must not be moved."""
        return self.link == "operational" and self.job.phase not in {"idle", "paused"}

    @property
    def moved_by_print(self) -> bool:
        """Whether a print may be moving the head, so that no position stays true."""
        return self.printing and not self.job.stands

    @property
    def asks(self) -> bool:
        """Whether the printer waits for a person."""
        return self.waiting or (self.prompt is not None and self.prompt.asks)


def evolve(state: PrinterState, **changes: object) -> PrinterState:
    """Return the state with some fields changed, as :func:`dataclasses.replace` does.

    That sets each of the forty fields by itself, and takes ten times as long: too long
    for what is done for every line of a print. No type checker sees these changes.
    """
    changed = object.__new__(PrinterState)
    changed.__dict__.update(state.__dict__, **changes)
    return changed


def changed_fields(before: PrinterState, after: PrinterState) -> set[str]:
    """Return the names of the fields that differ."""
    old = before.__dict__
    return {
        name
        for name, value in after.__dict__.items()
        if value is not old[name] and value != old[name]
    }
