"""One printer: its line and what it is."""

from typing import Annotated, Literal

from pydantic import Field

from bridge.config.values import (
    Celsius,
    File,
    Identifier,
    Line,
    Millimetres,
    Minutes,
    Seconds,
    Section,
    Speed,
    Topic,
)


class Serial(Section):
    """The line to the printer."""

    port: Line = "auto"
    """`/dev/…`, `auto`, `socket://host:port`, `rfc2217://host:port`, `simulator://`."""
    baudrate: Literal["auto"] | Annotated[int, Field(ge=1200, le=4_000_000)] = "auto"
    """Bits a second, or `auto`."""
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
    """The firmware's family, or `auto` to ask it."""
    dtr: bool = True
    """Raise DTR on opening, which resets most boards; `false` leaves it as it is."""
    connect_timeout: Seconds = 30.0
    """Seconds the printer has to answer after the port was opened."""
    ok_timeout: Seconds | None = Field(default=None, examples=[10])
    """Seconds a line may stay unanswered; by default the firmware family's."""
    long_timeout: Seconds | None = Field(default=None, examples=[300])
    """The same for homing, heating and other long lines; `M303` has 20 minutes for each
    of its cycles, where that is more."""
    long_codes: tuple[str, ...] = ()
    """More codes that take long, such as `G29` or a macro's name."""
    log_file: File | None = Field(default=None, examples=["wire.log"])
    """Where to write everything that goes over the line; rotated at 5 MB."""


class Speeds(Section):
    """Feedrates, in mm/min."""

    x: Speed = 6000.0
    """Along x."""
    y: Speed = 6000.0
    """Along y."""
    z: Speed = 200.0
    """Along z."""
    e: Speed = 300.0
    """Of the extruder."""


class MaxTemperature(Section):
    """Highest targets, in °C; beyond them a command is rejected."""

    tool: Celsius = 275.0
    """Every hotend."""
    bed: Celsius = 120.0
    """The bed."""
    chamber: Celsius = 70.0
    """The chamber."""


Range = tuple[Millimetres, Millimetres]


class Volume(Section):
    """How far each axis may go, in mm as [lowest, highest]; not checked when absent."""

    x: Range | None = Field(default=None, examples=[[0, 220]])
    """Along x."""
    y: Range | None = Field(default=None, examples=[[0, 220]])
    """Along y."""
    z: Range | None = Field(default=None, examples=[[0, 250]])
    """Along z."""


class Profile(Section):
    """What the machine is."""

    extruders: Annotated[int, Field(ge=1, le=16)] = 1
    """Number of tools."""
    shared_nozzle: bool = False
    """All tools share one hotend."""
    heated_bed: bool = True
    """It has a heated bed."""
    heated_chamber: bool = False
    """It has a heated chamber."""
    speeds: Speeds = Speeds()
    """Feedrates of jogs and extrusions that name none."""
    max_speed: Speed = 30_000.0
    """Fastest feedrate that may be asked for, in mm/min."""
    max_extrusion: Annotated[float, Field(gt=0, le=10_000)] = 500.0
    """Longest single extrusion or retraction, in mm."""
    max_temperature: MaxTemperature = MaxTemperature()
    """Highest targets."""
    volume: Volume = Volume()
    """Axis ranges."""
    idle_heaters: Minutes = 60.0
    """Minutes after which heaters that nobody uses are turned off; 0: never."""
    relative_extrusion: bool = False
    """The files on the card are sliced for relative extrusion (`M83`), so a jog or an
    extrusion in a pause leaves the extruder so."""
    apply_offsets: Literal["always", "jobs"] = "always"
    """Which targets get the offset: all that the bridge sets, or only a job's."""


BLOCKED = {
    "M0": "stops until somebody presses the button at the printer",
    "M1": "stops until somebody presses the button at the printer",
    "M28": "turns everything that follows into the content of a file",
    "M500": "overwrites the printer's stored settings",
    "M502": "throws the printer's settings away",
    "M997": "starts the firmware's update",
    "M999": "restarts a printer that stopped for a reason",
}


class Printer(Section):
    """One printer."""

    id: Identifier = "printer"
    """Short and stable: it names topics and entities."""
    name: Annotated[str, Field(min_length=1, max_length=100)] = "3D printer"
    """What people call it."""
    topic: Topic | None = Field(default=None, examples=["workshop/ender"])
    """Its base topic; by default `printer`, with several printers `printers/<id>`."""
    serial: Serial = Serial()
    """The line to it."""
    profile: Profile = Profile()
    """What the machine is."""
    scripts: dict[str, str] = {}
    """G-code scripts by name, as Jinja2 templates."""
    scripts_folder: File | None = Field(default=None, examples=["scripts"])
    """A folder of more scripts, one file each."""
    blocked: dict[str, str] = BLOCKED
    """Codes that are refused, each with the reason."""
