"""The documents ``info`` and ``health``: about the bridge and the machine.

Their times are those of :mod:`bridge.printer.published.views`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from bridge.config import PrinterConfig
from bridge.field_docs import PublishedDocument
from bridge.gcode.dialects import DIALECTS, UNKNOWN
from bridge.printer.knowledge.model import PrinterState
from bridge.timestamps import Time


class FirmwareInfo(PublishedDocument):
    """The firmware that answers."""

    name: str
    """Its name and version."""
    family: str
    """The dialect that the bridge uses for it."""
    stops_when_busy: bool | None
    """Whether the firmware acts on an emergency stop while it executes a command,
    because it has an emergency parser; null if it does not say. If not, the stop waits
    until the command is finished, such as heating or homing."""
    heater_timeout: str
    """The timeout after which firmwares of this family turn heaters off by themselves,
    or empty. The bridge does not change it, and it also works without the bridge."""


class MachineInfo(PublishedDocument):
    """The machine, according to its configuration and its firmware."""

    id: str
    """Its id in the configuration."""
    name: str
    """Its name for people."""
    type: str | None
    """The machine type that the firmware reports."""
    port: str | None
    """The port it was found on."""
    baudrate: int | None
    """The baud rate at which it was found."""
    extruders: int
    """Its number of tools."""
    shared_nozzle: bool
    """Whether its tools share one hotend."""
    heated_bed: bool
    """Whether it has a heated bed."""
    heated_chamber: bool
    """Whether it has a heated chamber."""


class LimitsInfo(PublishedDocument):
    """A command beyond these is rejected."""

    max_temperature: dict[str, float]
    """Highest targets, in °C."""
    max_speed: float
    """Fastest feedrate, in mm/min."""
    max_extrusion: float
    """Longest extrusion of a line, and of all lines of a command together, in mm."""
    max_dwell: float
    """Longest dwell of a line, in seconds."""
    volume: dict[str, tuple[float, float] | None]
    """Axis ranges, in mm."""


class Info(PublishedDocument):
    """What `info` holds."""

    version: str
    """The bridge's version."""
    instance: str
    """The id of this run of the bridge, which is new with each start."""
    firmware: FirmwareInfo | None
    """The printer's firmware; null until it answers."""
    machine: MachineInfo
    """The machine."""
    capabilities: dict[str, bool]
    """The capabilities that the firmware reports."""
    limits: LimitsInfo
    """A command beyond these is rejected."""
    heaters: tuple[str, ...]
    """The heaters by name."""
    sensors: tuple[str, ...]
    """Other temperatures by name."""
    topics: dict[str, str]
    """Every topic, by its purpose."""
    time: Time
    """When this document was true."""


class RoundTrip(PublishedDocument):
    """Seconds from a line to its `ok`, over the last 256; null before the first."""

    median: float | None
    """The median."""
    p99: float | None
    """The 99th percentile."""
    age: float | None
    """Seconds since the last of these lines."""


class Health(PublishedDocument):
    """What `health` holds."""

    uptime: int
    """Seconds since the bridge started."""
    started_at: Time
    """When the bridge started."""
    problem: str | None
    """What prevents the bridge from serving the printer; null while nothing does."""
    conflict: str | None = None
    """How another client interfered with the bridge within the last minute, for example
    by using its client id or publishing on its topics; null if none did."""
    missing_rights: tuple[str, ...] = ()
    """What the broker does not allow, such as `publish on printer/event`; the bridge
    works without it."""
    emergency_connection: bool = False
    """Whether the separate connection for emergency stops is up."""
    broker: str | None = None
    """The broker that is in use, as `host:port`."""
    pending: tuple[str, ...] = ()
    """Changed settings that wait for the end of a print, because they would end it."""
    mqtt: Mapping[str, int | float | None]
    """Counters of the connection to the broker."""
    serial: Mapping[str, int | float | None]
    """Counters of the link to the printer."""
    queue: int
    """Lines that wait to be sent."""
    round_trip: RoundTrip
    """How long the last lines took until their `ok`."""
    time: Time
    """When this document was true."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InfoContext:
    """What `info` says besides the printer's state.

    Attributes:
        version: the bridge's.
        instance: the bridge's own id.
        family: the name of the dialect in use.
        topics: every topic by what it is for.
        port: where the printer was found; ``None``: not found yet.
        baudrate: bits a second; ``None``: not found yet, or meaningless.

    """

    version: str
    instance: str
    family: str
    topics: Mapping[str, str]
    port: str | None = None
    baudrate: int | None = None


def info(
    known: PrinterState,
    printer: PrinterConfig,
    link: InfoContext,
    *,
    now: float,
    epoch: float,
) -> Info:
    """Return what ``info`` holds."""
    said = None if known.link == "offline" else known.firmware
    named = None
    if said is not None:
        timeout = DIALECTS[link.family].heater_timeout if link.family else ""
        named = FirmwareInfo(
            name=said.name,
            family=link.family,
            heater_timeout=timeout,
            stops_when_busy=_stops_when_busy(known, link.family),
        )
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


def _stops_when_busy(known: PrinterState, family: str) -> bool | None:
    dialect = DIALECTS.get(family, UNKNOWN)
    return known.capabilities.get("EMERGENCY_PARSER", dialect.sees_stops)


def _machine(
    known: PrinterState, printer: PrinterConfig, link: InfoContext
) -> MachineInfo:
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


def _limits(printer: PrinterConfig) -> LimitsInfo:
    profile = printer.profile
    return LimitsInfo(
        max_temperature=profile.max_temperature.model_dump(),
        max_speed=profile.max_speed,
        max_extrusion=profile.max_extrusion,
        max_dwell=profile.max_dwell,
        volume=profile.volume.model_dump(),
    )
