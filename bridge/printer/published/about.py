"""What is told about the bridge and its machine: the documents ``info`` and ``health``.

Their times are those of :mod:`bridge.printer.published.views`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from bridge.config import Printer
from bridge.printer.knowledge.model import PrinterState
from bridge.printer.published.documents import PublishedDocument, Time


class FirmwareInfo(PublishedDocument):
    """Who answers on the line."""

    name: str
    """Its name and version."""
    family: str
    """How the bridge speaks to it."""


class MachineInfo(PublishedDocument):
    """What the operator and the firmware say the machine is."""

    id: str
    """Its id in the configuration."""
    name: str
    """What people call it."""
    type: str | None
    """What the firmware calls it."""
    port: str | None
    """The port it was found on."""
    baudrate: int | None
    """The speed it was found at, in bits a second."""
    extruders: int
    """Its number of tools."""
    shared_nozzle: bool
    """Its tools share one hotend."""
    heated_bed: bool
    """It has a heated bed."""
    heated_chamber: bool
    """It has a heated chamber."""


class LimitsInfo(PublishedDocument):
    """Beyond these a command is rejected."""

    max_temperature: dict[str, float]
    """Highest targets, in °C."""
    max_speed: float
    """Fastest feedrate, in mm/min."""
    max_extrusion: float
    """Longest extrusion, in mm."""
    volume: dict[str, tuple[float, float] | None]
    """Axis ranges, in mm."""


class Info(PublishedDocument):
    """What `info` holds."""

    version: str
    """The bridge's version."""
    instance: str
    """The bridge's own id: new with every start."""
    firmware: FirmwareInfo | None
    """Who answers on the line; null while nobody does."""
    machine: MachineInfo
    """What the machine is."""
    capabilities: dict[str, bool]
    """What the firmware says it can do."""
    limits: LimitsInfo
    """Beyond these a command is rejected."""
    heaters: tuple[str, ...]
    """The heaters by name."""
    sensors: tuple[str, ...]
    """Other temperatures by name."""
    topics: dict[str, str]
    """Every topic by what it is for."""
    time: Time
    """When this was so."""


class RoundTrip(PublishedDocument):
    """Seconds from a line to its `ok`, over the last 256; null before the first."""

    median: float | None
    """Half of them were faster."""
    p99: float | None
    """One in a hundred was slower."""
    age: float | None
    """Seconds since the last of them."""


class Health(PublishedDocument):
    """What `health` holds."""

    uptime: int
    """Seconds since the bridge started."""
    started_at: Time
    """When the bridge started."""
    problem: str | None
    """What keeps the bridge from serving the printer; null while nothing does."""
    mqtt: Mapping[str, int | float | None]
    """Counters of the broker's side."""
    serial: Mapping[str, int | float | None]
    """Counters of the printer's side."""
    queue: int
    """Lines that wait to be sent."""
    round_trip: RoundTrip
    """How long the last lines took."""
    time: Time
    """When this was so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """What the printer's owner knows beside its state.

    Attributes:
        version: the bridge's.
        instance: the bridge's own id.
        family: the name of the dialect in use.
        topics: every topic by what it is for.
        port: where the printer was found; ``None``: not yet.
        baudrate: at which speed; ``None``: not yet, or without meaning.

    """

    version: str
    instance: str
    family: str
    topics: Mapping[str, str]
    port: str | None = None
    baudrate: int | None = None


def info(
    known: PrinterState, printer: Printer, link: Connection, *, now: float, epoch: float
) -> Info:
    """Return what ``info`` holds."""
    said = None if known.link == "offline" else known.firmware
    named = FirmwareInfo(name=said.name, family=link.family) if said else None
    return Info(
        version=link.version,
        instance=link.instance,
        firmware=named,
        machine=_machine(known, printer, link),
        capabilities=dict(known.capabilities),
        limits=_limits(printer),
        heaters=tuple(known.heaters),
        sensors=tuple(known.sensors),
        topics=dict(link.topics),
        time=now + epoch,
    )


def _machine(known: PrinterState, printer: Printer, link: Connection) -> MachineInfo:
    profile = printer.profile
    return MachineInfo(
        id=printer.id,
        name=printer.name,
        type=known.firmware.fields.get("MACHINE_TYPE") if known.firmware else None,
        port=link.port,
        baudrate=link.baudrate,
        extruders=profile.extruders,
        shared_nozzle=profile.shared_nozzle,
        heated_bed=profile.heated_bed,
        heated_chamber=profile.heated_chamber,
    )


def _limits(printer: Printer) -> LimitsInfo:
    profile = printer.profile
    return LimitsInfo(
        max_temperature=profile.max_temperature.model_dump(),
        max_speed=profile.max_speed,
        max_extrusion=profile.max_extrusion,
        volume=profile.volume.model_dump(),
    )
