"""What a firmware can report: the typed replies of :mod:`bridge.gcode.reply_parser`."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Ok:
    """The firmware acknowledges one line.

    Attributes:
        number: the line's number, where the firmware says it (``ok N2 P15 B3`` of
            Marlin's ``ADVANCED_OK``, ``ok 2`` of Repetier); it can be negative.
        temperature: a report came in the same line (``ok T:…``), so this is the answer
            to a temperature query and to nothing else.
        room: how many places are free in the firmware's buffer of commands, where it
            says so besides the number (``B3``).

    """

    number: int | None = None
    temperature: bool = False
    room: int | None = None


@dataclass(frozen=True, slots=True)
class Resend:
    """The firmware asks for this line, and all after it, again."""

    number: int


@dataclass(frozen=True, slots=True)
class TransferError:
    """A line arrived damaged or out of turn; a :class:`Resend` should follow.

    Attributes:
        last: the last line the firmware has (Marlin's ``Last Line: n``), if it says.

    """

    text: str
    last: int | None = None


@dataclass(frozen=True, slots=True)
class Busy:
    """The firmware works on a line and accepts no other (``busy: processing``)."""

    reason: str


@dataclass(frozen=True, slots=True)
class Wait:
    """The firmware is idle and has nothing to do (Repetier's ``wait``)."""


@dataclass(frozen=True, slots=True)
class Started:
    """The firmware has just (re)booted (``start``)."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """A host firmware reports its own state (``// Klipper state: Shutdown``).

    Attributes:
        state: ``ready``, ``not_ready``, ``shutdown`` or ``disconnect``.

    """

    state: str


@dataclass(frozen=True, slots=True)
class Reading:
    """A heater's measured and requested temperature, in °C.

    Attributes:
        actual: ``None``: the firmware does not know it (``nan``).
        target: ``None``: not said.

    """

    actual: float | None
    target: float | None = None


@dataclass(frozen=True, slots=True)
class TemperatureReport:
    """A temperature report, asked for or not.

    Attributes:
        readings: ``T`` (the current tool), ``T0``, ``T1`` …, ``B``, ``C`` and custom
            sensors under their own name; pseudo sensors (``E``, ``W``, ``@``) left out.
        waiting: a command waits for a heater, and says so (``W:?``).
        asked: it came with an ``ok``, so it answers a query; others come by themselves,
            or before their ``ok``. It does not count in comparisons.

    """

    readings: Mapping[str, Reading] = field(default_factory=dict)
    waiting: bool = False
    asked: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Targets:
    """Requested temperatures without measured ones, in °C; names as in a report."""

    targets: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PositionReport:
    """A position report (``M114``), in mm.

    Attributes:
        x: along x.
        y: along y.
        z: along z.
        e: the extruder's; of the first one, where there are several.
        extruders: every extruder's, where the firmware reports each (``E0: E1:``).

    """

    x: float
    y: float
    z: float
    e: float | None = None
    extruders: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class FirmwareReport:
    """What ``M115`` says.

    Attributes:
        name: ``FIRMWARE_NAME`` (or ``NAME``) with what follows it.
        fields: every ``KEY:value`` of the line.

    """

    name: str
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Capability:
    """One ``Cap:NAME:0/1`` line."""

    name: str
    enabled: bool


@dataclass(frozen=True, slots=True)
class Refusal:
    """The firmware did not do what the line asked; the link and the printer are fine.

    Attributes:
        text: the firmware's own words, without their prefix.
        unsolicited: it is about no line whose sender reports it.

    """

    text: str
    unsolicited: bool = False


@dataclass(frozen=True, slots=True)
class HeaterFault:
    """A heater is off, or cannot be trusted; the firmware continues with the others.

    Attributes:
        text: the firmware's own words, without their prefix.
        reason: one of :data:`bridge.gcode.firmware_errors.HEATER_FAULTS`.

    """

    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class Fatal:
    """The firmware has stopped for good and needs a reset.

    Attributes:
        text: the firmware's own words.
        reason: one of :data:`bridge.gcode.firmware_errors.FATAL_REASONS`.

    """

    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class Locked:
    """The printer is locked with a password and carries nothing out until unlocked."""

    text: str


@dataclass(frozen=True, slots=True)
class ForeignFirmware:
    """The start message of a firmware that does not use this protocol.

    Attributes:
        name: such as ``grbl``.

    """

    name: str


@dataclass(frozen=True, slots=True)
class SpeedFactor:
    """The feedrate factor in percent (``FR:100%``)."""

    percent: float


@dataclass(frozen=True, slots=True)
class FlowFactor:
    """A tool's flow factor in percent (``E0 Flow: 100%``)."""

    tool: int
    percent: float


@dataclass(frozen=True, slots=True)
class ActiveTool:
    """The selected tool, counted from 0 (``Active Extruder: 1``)."""

    number: int


@dataclass(frozen=True, slots=True)
class Action:
    """A host action command (``//action:pause filament_runout``)."""

    name: str
    argument: str = ""


@dataclass(frozen=True, slots=True)
class OtherText:
    """Anything else; part of the output of the line that is being answered."""

    text: str


@dataclass(frozen=True, slots=True)
class FileListBegin:
    """The list of an SD card begins (``Begin file list``)."""


@dataclass(frozen=True, slots=True)
class FileListEnd:
    """The list of an SD card is complete (``End file list``)."""


@dataclass(frozen=True, slots=True)
class CardState:
    """The SD card was mounted (``SD card ok``), or it is not there (``No media``)."""

    ready: bool
    text: str


@dataclass(frozen=True, slots=True)
class FileOpened:
    """A file was selected (``File opened: small.gco Size: 51``)."""

    name: str
    size: int | None = None


@dataclass(frozen=True, slots=True)
class FileSelected:
    """The selection is complete (``File selected``)."""


@dataclass(frozen=True, slots=True)
class PrintProgress:
    """How far an SD print is, in bytes (``SD printing byte 17/107``)."""

    position: int
    size: int


@dataclass(frozen=True, slots=True)
class NotPrinting:
    """No SD print is under way (``Not SD printing``)."""


@dataclass(frozen=True, slots=True)
class PrintPaused:
    """An SD print is paused (Prusa answers ``M27`` with ``SD print paused``)."""


@dataclass(frozen=True, slots=True)
class PrintDone:
    """An SD print has ended (``Done printing file``).

    Attributes:
        certain: it was not cancelled. RepRapFirmware says the same of both, and which
            of them it was on the next line.

    """

    certain: bool = True


@dataclass(frozen=True, slots=True)
class PrintCancelled:
    """An SD print was cancelled (``Cancelled printing file 0:/gcodes/cube.gcode``)."""


@dataclass(frozen=True, slots=True)
class CurrentFile:
    """Which file is selected (``M27 C``); ``None``: none is."""

    name: str | None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a print is, as its slicer said with ``M73`` and the firmware repeats.

    Attributes:
        percent: 0 to 100.
        remaining: seconds to go; ``None``: not said.

    """

    percent: float
    remaining: float | None = None


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file on the SD card; an entry of its list, not a reply of its own.

    Attributes:
        path: how the firmware wants it named.
        size: in bytes; ``None``: not said.
        display: the long name, where the firmware has one; else the path's last part.
        date: ISO 8601 without a zone, in the printer's local time; ``None``: not said.

    """

    path: str
    size: int | None = None
    display: str = ""
    date: str | None = None


Reply = (
    Ok
    | Resend
    | TransferError
    | Busy
    | Wait
    | Started
    | Readiness
    | TemperatureReport
    | Targets
    | PositionReport
    | FirmwareReport
    | Capability
    | Refusal
    | HeaterFault
    | Fatal
    | Locked
    | ForeignFirmware
    | FileListBegin
    | FileListEnd
    | CardState
    | FileOpened
    | FileSelected
    | PrintProgress
    | NotPrinting
    | PrintPaused
    | PrintDone
    | PrintCancelled
    | CurrentFile
    | Progress
    | SpeedFactor
    | FlowFactor
    | ActiveTool
    | Action
    | OtherText
)
