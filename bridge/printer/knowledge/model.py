"""What we know about one printer; :mod:`bridge.printer.knowledge.state` changes it.

Times are seconds on a clock that never jumps; what is published turns them into the
time of day. ``None`` always means that nobody has said so yet.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from bridge.gcode.modal import Modal
from bridge.gcode.reply_types import FileEntry, FirmwareReport, PositionReport
from bridge.printer.knowledge.heaters import HeaterState
from bridge.printer.knowledge.print_job import Active, PrintJob

Link = Literal["offline", "connecting", "operational", "error"]
Word = Link | Active


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What went wrong; kept until the next connect or an acknowledgement.

    Attributes:
        error: the firmware's own words, or ours.
        reason: a stable word such as ``thermal_runaway`` or ``timeout``.
        consequence: ``halted`` (the firmware needs a reset), ``stopped`` (the emergency
            stop was asked for), ``disconnected`` or ``heater_off`` (all else goes on).
        logs: the last lines of the wire.
        time: when it happened.

    """

    error: str
    reason: str
    consequence: str
    logs: tuple[str, ...] = ()
    time: float = 0.0


@dataclass(frozen=True, slots=True)
class UserPrompt:
    """What the printer asks the person in front of it (``//action:prompt_…``).

    Attributes:
        text: the question.
        choices: the buttons, in order; ``M876 S<n>`` presses the n-th, counted from 0.
        shown: the printer has said that the question is complete.

    """

    text: str
    choices: tuple[str, ...] = ()
    shown: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PrinterState:
    """Everything known about one printer.

    Attributes:
        link: how far the conversation is; the first word of the published state.
        readiness: what a host firmware says about itself (``ready``, ``not_ready``,
            ``shutdown``, ``disconnect``), or ``""``.
        firmware: the answer to ``M115``.
        capabilities: its ``Cap:`` lines.
        refused: codes that the firmware does not know, such as ``M27``.
        autoreports: codes whose reports come by themselves (``M155``, ``M27``,
            ``M154``).
        heaters: by name: ``tool0`` …, ``bed``, ``chamber``.
        sensors: other temperatures in °C, under the firmware's names.
        offsets: °C by heater; added to the targets that the bridge sets.
        position: as last reported.
        moved: the position has changed since it was reported.
        modal: the modal state, as far as it can be told from what was sent.
        card: an SD card is mounted.
        files: the card's list.
        listed: that list was read since the card came.
        listing: the list that is coming in.
        job: the print that is seen, and how the last one ended.
        problem: why the printer stopped.
        fault: why one of its heaters is off, although the firmware goes on.
        away: why it cannot be reached, or ``""``; it may just be switched off.
        halted: it has stopped and was not met anew since; nothing it measures counts.
        prompt: what the printer asks.
        waiting: the printer does nothing until somebody answers it.
        message: what the printer last notified (``//action:notification``).
        line: the line that the firmware works on, or ``""``.
        uses: how often a line went out that does more than ask, to notice one.
        heaters_off_at: when heaters that nobody uses go off; ``None``: not due.
        tool_before: the tool before that line.
        homings: how often it was told to home, to notice one.
        homed: the axes of the last homing.
        resets: how often it was reset while connected, to notice one.

    """

    link: Link = "offline"
    readiness: str = ""
    firmware: FirmwareReport | None = None
    capabilities: Mapping[str, bool] = field(default_factory=dict)
    refused: frozenset[str] = frozenset()
    autoreports: frozenset[str] = frozenset()
    heaters: Mapping[str, HeaterState] = field(default_factory=dict)
    sensors: Mapping[str, float | None] = field(default_factory=dict)
    offsets: Mapping[str, float] = field(default_factory=dict)
    position: PositionReport | None = None
    moved: bool = False
    modal: Modal = field(default_factory=Modal)
    card: bool | None = None
    files: tuple[FileEntry, ...] = ()
    listed: bool = False
    listing: tuple[FileEntry, ...] | None = None
    job: PrintJob = field(default_factory=PrintJob)
    problem: Problem | None = None
    fault: Problem | None = None
    away: str = ""
    halted: bool = False
    prompt: UserPrompt | None = None
    waiting: bool = False
    message: str = ""
    line: str = ""
    uses: int = 0
    heaters_off_at: float | None = None
    tool_before: int = 0
    homings: int = 0
    homed: tuple[str, ...] = ()
    resets: int = 0

    @property
    def phase(self) -> Word:
        """The published state: the link's, or the job's where there is one."""
        if self.link == "operational" and self.job.phase != "idle":
            return self.job.phase
        return self.link

    @property
    def trouble(self) -> Problem | None:
        """What is wrong, or the worse of two things."""
        return self.problem or self.fault

    @property
    def printing(self) -> bool:
        """A print is under way; while it is paused, the printer can be moved."""
        return self.link == "operational" and self.job.phase not in {"idle", "paused"}

    @property
    def asks(self) -> bool:
        """The printer waits for a person."""
        return self.waiting or (self.prompt is not None and self.prompt.shown)
