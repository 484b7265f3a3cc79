"""The settings of one printer."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from bridge.config.values import (
    Celsius,
    File,
    Identifier,
    Millimetres,
    Minutes,
    OnBrokerLoss,
    Seconds,
    Section,
    SerialPort,
    Speed,
    Topic,
)


class Serial(Section):
    """The connection to the printer."""

    port: SerialPort = "auto"
    """`auto`, `/dev/…`, `socket://host:port`, `rfc2217://host:port` or `simulator://…`.
    `auto` searches the serial ports for a printer."""
    baudrate: Literal["auto"] | Annotated[int, Field(ge=1200, le=4_000_000)] = "auto"
    """Baud rate, or `auto` to try the usual ones."""
    firmware: Literal[
        "auto",
        "marlin",
        "marlin1",
        "prusa",
        "klipper",
        "reprapfirmware",
        "repetier",
        "smoothieware",
        "malyan",
        "teacup",
        "unknown",
    ] = "auto"
    """Firmware family, or `auto` to detect it."""
    dtr: bool = True
    """Assert DTR when opening the port, which resets most boards; with `false`, DTR is
    not changed."""
    connect_timeout: Seconds = 30.0
    """Timeout in seconds for the printer's first reply after the port was opened."""
    ok_timeout: Seconds | None = Field(default=None, examples=[10])
    """Timeout in seconds for the acknowledgement of a line. The default depends on the
    firmware family."""
    long_timeout: Seconds | None = Field(default=None, examples=[300])
    """Timeout in seconds for homing, heating and other lines that take a long time. The
    timeout of `M303` (PID tuning) is at least 20 minutes for each of its cycles."""
    long_codes: tuple[str, ...] = ()
    """Additional codes that take a long time, such as the name of a macro."""
    lines_in_flight: int = Field(default=1, ge=1, le=8)
    """Number of moves (`G0` to `G3`) that may be sent before the first one is
    acknowledged. More than one takes effect only with Klipper, and with firmwares built
    with `ADVANCED_OK`; see [gcode.md](gcode.md#several-moves-in-flight)."""
    log_file: File | None = Field(default=None, examples=["wire.log"])
    """File to which all lines sent and received are written; rotated at 5 MB."""


class Speeds(Section):
    """Default feedrates in mm/min when a command omits `speed`."""

    x: Speed = 6000.0
    """Feedrate of the x axis."""
    y: Speed = 6000.0
    """Feedrate of the y axis."""
    z: Speed = 200.0
    """Feedrate of the z axis."""
    e: Speed = 300.0
    """Feedrate of the extruder; also the maximum of `extrude`."""


class MaxTemperature(Section):
    """Highest target temperatures in °C; commands that exceed them are rejected."""

    tool: Celsius = 275.0
    """Maximum of each hotend."""
    bed: Celsius = 120.0
    """Maximum of the bed."""
    chamber: Celsius = 70.0
    """Maximum of the chamber."""


class PauseHeaters(Section):
    """Minutes after which the heaters of a paused print are turned off.

    0 means never. When the print resumes, the targets are set again, and the print
    continues when they are reached.
    """

    nozzle: Minutes = 30.0
    """Each hotend; filament that stays in a hot nozzle burns."""
    bed: Minutes = 720.0
    """The bed and the chamber; a part may come off a bed that cools down."""


class QueueSettings(Section):
    """The queue of prints."""

    hold: bool = True
    """Whether each print from the queue must be released with `queue` `release`,
    because only a person or a sensor knows whether the bed is clear. `false` is for a
    machine that clears its own bed: it continues until a print fails or is cancelled.
    """
    start_uploads: bool = True
    """Whether a slicer's "Upload and Print" starts the print at once if the printer is
    ready and no other print waits. Otherwise, and with `false`, it is added to the
    queue."""
    release_at_printer: bool = True
    """Whether somebody at the printer can release the queue for its next print, with
    "Start Host Print" in Marlin's menu (`//action:start`) or "Set Ready" in Prusa's
    (`//action:ready`). A queue that somebody holds, or that is held because a print
    failed or could not be started, stays held."""


def _ascending(value: tuple[float, float]) -> tuple[float, float]:
    lowest, highest = value
    if lowest == highest:
        raise ValueError(f"must be a range, such as [0, {highest or 220:g}]")
    if lowest > highest:
        raise ValueError(f"must have the lowest first; write [{highest:g}, {lowest:g}]")
    return value


Range = Annotated[tuple[Millimetres, Millimetres], AfterValidator(_ascending)]


class Volume(Section):
    """Range of each axis in mm, as [lowest, highest]; without one it is not checked."""

    x: Range | None = Field(default=None, examples=[[0, 220]])
    """Range of the x axis."""
    y: Range | None = Field(default=None, examples=[[0, 220]])
    """Range of the y axis."""
    z: Range | None = Field(default=None, examples=[[0, 250]])
    """Range of the z axis."""


Output = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,40}$")]


class LightSettings(Section):
    """A light, for the topic `light`."""

    kind: Literal["auto", "none", "case", "rgb", "pin", "led"] = "auto"
    """`case`: the case light (`M355`); `auto`: the same, if the firmware reports
    `TOGGLE_LIGHTS`; `rgb`: a light with colors (`M150`); `pin`: an output, with
    Klipper's `SET_PIN`, or with `M42` in other firmwares; `led`: Klipper's `SET_LED`.
    """
    name: Output | None = Field(default=None, examples=["caselight"])
    """The name of the `pin` or `led` in Klipper's configuration; for other firmwares,
    the number of the pin."""
    dimmable: bool = True
    """Whether the brightness can be set; not for a `pin` that is only on or off."""

    @model_validator(mode="after")
    def _has_a_name(self) -> Self:
        if self.kind in {"pin", "led"} and self.name is None:
            raise ValueError(
                f"kind: {self.kind} needs the name of the output; add name: NAME"
            )
        return self


def _fan(value: object) -> object:
    return str(value) if isinstance(value, int) else value


def _fan_id(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z1-9_][A-Za-z0-9_]{0,39}", value, re.ASCII):
        raise ValueError(
            "must be the number of a fan besides 0, as in M106 P1, or the name of a "
            "fan_generic of Klipper"
        )
    return value


FanId = Annotated[str, BeforeValidator(_fan), AfterValidator(_fan_id)]
FanName = Annotated[str, Field(min_length=1, max_length=40)]


class Preset(Section):
    """Target temperatures in °C that are set together; omitted ones do not change."""

    tool: Celsius | None = None
    """Target of the selected hotend."""
    bed: Celsius | None = None
    """Target of the bed."""
    chamber: Celsius | None = None
    """Target of the chamber."""


PresetName = Annotated[str, Field(min_length=1, max_length=40)]


class Profile(Section):
    """The machine and its limits."""

    extruders: Annotated[int, Field(ge=1, le=16)] = 1
    """Number of tools."""
    shared_nozzle: bool = False
    """Whether all tools share one hotend."""
    heated_bed: bool = True
    """Whether the printer has a heated bed."""
    heated_chamber: bool = False
    """Whether the printer has a heated chamber."""
    speeds: Speeds = Speeds()
    """Default feedrates when a command omits `speed`."""
    max_speed: Speed = 30_000.0
    """Highest permitted feedrate, in mm/min."""
    max_extrusion: Annotated[float, Field(gt=0, le=10_000)] = 500.0
    """Longest permitted extrusion or retraction, in mm of filament, of one line and of
    all lines of one command together."""
    max_dwell: Annotated[float, Field(gt=0, le=86_400)] = 900.0
    """Longest permitted dwell (`G4`) of one line, in seconds. Some firmwares do not
    react to an emergency stop during a dwell."""
    max_temperature: MaxTemperature = MaxTemperature()
    """Highest target temperatures."""
    max_z_offset: Annotated[float, Field(gt=0, le=10)] = 1.0
    """Largest sum of the babysteps on the topic `head`, in mm up or down."""
    volume: Volume = Volume()
    """Axis ranges."""
    light: LightSettings = LightSettings()
    """The light."""
    fans: dict[FanId, FanName] = Field(default={}, examples=[{1: "Chamber fan"}])
    """Fans other than part cooling: the number (`M106 P`), or the name of a
    `fan_generic` in Klipper's configuration, and the name to display."""
    idle_heaters: Minutes = 60.0
    """Minutes after which unused heaters are turned off; 0 means never."""
    pause_heaters: PauseHeaters = PauseHeaters()
    """Minutes after which the heaters of a paused print are turned off."""
    relative_extrusion: bool = False
    """Whether the files on the SD card are sliced for relative extrusion (`M83`). A jog
    or an extrusion while the print is paused restores this mode."""
    apply_offsets: Literal["always", "jobs"] = "always"
    """Which targets the temperature offsets are added to: all that the bridge sets
    (`always`), or only those of print jobs (`jobs`)."""


BLOCKED = {
    "M0": "waits until somebody presses the button at the printer",
    "M1": "waits until somebody presses the button at the printer",
    "M28": "writes all lines that follow into a file",
    "M500": "overwrites the printer's stored settings",
    "M502": "resets the printer's settings to the defaults",
    "M997": "starts a firmware update",
    "M999": "restarts a printer that was stopped by an error",
}


_NO_PRESETS = {"none", "off", "unknown", "unavailable"}
"""Words with which Home Assistant says that no preset is selected."""

About = Annotated[str, Field(min_length=1, max_length=100)]

UnknownCodes = Literal["send", "refuse"]


class PrinterConfig(Section):
    """One printer."""

    id: Identifier = "printer"
    """Short, permanent identifier, used in topics and in Home Assistant."""
    name: Annotated[str, Field(min_length=1, max_length=100)] = "3D printer"
    """Display name."""
    topic: Topic | None = Field(default=None, examples=["workshop/ender"])
    """Base topic; by default `printer`, or `printers/<id>` if there are several."""
    manufacturer: About | None = Field(default=None, examples=["Creality"])
    """Manufacturer, for Home Assistant."""
    model: About | None = Field(default=None, examples=["Ender-3 V2"])
    """Model, for Home Assistant; by default the one that the firmware reports."""
    serial_number: About | None = Field(default=None, examples=["E3-12345"])
    """Serial number, for Home Assistant; by default the UUID that the firmware reports,
    unless it is one that all printers with this firmware have."""
    area: About | None = Field(default=None, examples=["Workshop"])
    """Area that Home Assistant suggests for the printer."""
    serial: Serial = Serial()
    """The connection to the printer."""
    profile: Profile = Profile()
    """The machine and its limits."""
    presets: dict[PresetName, Preset] = Field(
        default={}, examples=[{"PLA": {"tool": 215, "bed": 60}}]
    )
    """Temperatures by name, for `tool` `preset` and for Home Assistant."""
    queue: QueueSettings = QueueSettings()
    """The queue of prints."""
    scripts: dict[str, str] = {}
    """G-code scripts by name, as Jinja2 templates."""
    scripts_folder: File | None = Field(default=None, examples=["scripts"])
    """Folder with further scripts, one per file."""
    blocked: dict[str, str] = BLOCKED
    """G-codes that are rejected, each with the reason."""
    allowed: tuple[str, ...] = Field(default=(), examples=[["PRINT_START"]])
    """G-codes and names of macros that are sent although the bridge does not know what
    they do, or would refuse them because they change what later numbers mean."""
    unknown_codes: UnknownCodes = "send"
    """What to do with codes and macros that are not in the bridge's table of codes:
    `send` them, with a warning that no limit covers them, or `refuse` those that
    `allowed` does not name."""
    heaters_on_exit: Literal["keep", "off"] = "off"
    """What happens to heaters when the bridge ends, this printer is removed, or a print
    of the bridge's files breaks off with the connection: `off` turns them off, unless a
    print runs, and `keep` leaves them on."""
    on_exit: Literal["pause", "cancel", "finish_layer"] = "pause"
    """What happens to a print of the bridge's files when the bridge ends: it is paused
    at once (`pause`) or at the end of the layer, within 45 seconds (`finish_layer`), or
    it is cancelled (`cancel`). A print that was paused this way counts as failed, and
    can be recovered."""
    on_broker_loss: OnBrokerLoss | None = Field(default=None, examples=[10])
    """The same as `mqtt.on_broker_loss`, for this printer only."""

    @model_validator(mode="after")
    def _presets_can_be_set(self) -> Self:
        has = {
            "tool": True,
            "bed": self.profile.heated_bed,
            "chamber": self.profile.heated_chamber,
        }
        limits = self.profile.max_temperature
        for name, preset in self.presets.items():
            if name.strip().lower() in _NO_PRESETS:
                raise ValueError(
                    f"presets.{name}: this name means that none is chosen; choose "
                    "another one"
                )
            for heater, there in has.items():
                target, limit = getattr(preset, heater), getattr(limits, heater)
                if target is not None and not there:
                    raise ValueError(
                        f"presets.{name}.{heater}: the printer has no heated {heater} "
                        f"(profile.heated_{heater})"
                    )
                if target is not None and target > limit:
                    raise ValueError(
                        f"presets.{name}.{heater}: {target:g} °C is beyond "
                        f"profile.max_temperature.{heater}, {limit:g} °C"
                    )
        return self
