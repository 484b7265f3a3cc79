"""What the operator decides: frozen models; `bridge.config_file` reads and writes them.

Every setting can be written as a text, since the file and the environment give texts:
no field takes only numbers of a fixed set.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    model_validator,
)
from pydantic_core import PydanticCustomError

from bridge.described import Described

Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=86400, allow_inf_nan=False)]
Millimetres = Annotated[float, Field(allow_inf_nan=False)]
Speed = Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False)]
Celsius = Annotated[float, Field(ge=0, le=600, allow_inf_nan=False)]
Identifier = Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,64}$")]


def _topic(value: str) -> str:
    if not value or value.startswith(("/", "$")) or value.endswith("/"):
        raise ValueError("must not be empty nor begin or end with '/' or '$'")
    if any(mark in value for mark in "+#\0") or not value.isprintable():
        raise ValueError("must not contain '+', '#' or control characters")
    return value


Topic = Annotated[str, Field(max_length=200), AfterValidator(_topic)]


def _anchored(value: Path, info: ValidationInfo) -> Path:
    folder = (info.context or {}).get("folder", Path())
    try:
        return Path(folder, value.expanduser())
    except RuntimeError as error:
        raise ValueError("begins with the home folder of nobody") from error


File = Annotated[Path, AfterValidator(_anchored)]
"""A path; a relative one is taken from the folder of the configuration file."""


class Section(Described, BaseModel):
    """A part of the configuration; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Tls(Section):
    """Encryption between the bridge and the broker."""

    enabled: bool = False
    """Encrypt, and check the broker's certificate."""
    ca_file: File | None = Field(default=None, examples=["/etc/gcode2mqtt/ca.pem"])
    """The authority that signed the broker's certificate; else the system's."""
    cert_file: File | None = Field(
        default=None, examples=["/etc/gcode2mqtt/bridge.pem"]
    )
    """The bridge's own certificate, where the broker asks for one."""
    key_file: File | None = Field(default=None, examples=["/etc/gcode2mqtt/bridge.key"])
    """The key of `cert_file`."""
    server_name: str | None = Field(default=None, examples=["broker.lan"])
    """The name in the broker's certificate, where it is not `mqtt.host`."""


class Mqtt(Section):
    """The broker, and how to be on it."""

    host: str = "localhost"
    """Name or address; with `transport: unix` the path of the socket."""
    port: Port = 1883
    """TCP port; usual are 1883 and, with TLS, 8883."""
    protocol: Literal["auto", "5", "3.1.1"] = "auto"
    """MQTT version; `auto` is 5, and 3.1.1 where the broker refuses that."""
    transport: Literal["tcp", "websockets", "unix"] = "tcp"
    """How to reach the broker."""
    path: str = "/mqtt"
    """The path of the WebSocket."""
    keepalive: Annotated[int, Field(ge=5, le=3600)] = 30
    """Seconds between signs of life; the broker takes us for dead after 1.5 times."""
    connect_timeout: Seconds = 10.0
    """Seconds the broker has to answer a connection attempt."""
    client_id: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, examples=["workshop"]
    )
    """The bridge's name at the broker; by default one that is made of its ids."""
    username: str | None = Field(default=None, examples=["bridge"])
    """The bridge's account at the broker."""
    password: SecretStr | None = Field(default=None, examples=["secret"])
    """Its password; better in `password_file` or `BRIDGE_MQTT__PASSWORD`."""
    password_file: File | None = Field(
        default=None, examples=["/etc/gcode2mqtt/password"]
    )
    """A file whose first line is the password."""
    tls: Tls = Tls()
    """Encryption."""
    will_delay: Annotated[int, Field(ge=0, le=300)] = 5
    """MQTT 5: seconds the broker waits before it calls a lost bridge offline."""
    clear_retained_commands: bool = True
    """Remove a retained command from the broker after refusing it."""
    response_prefixes: tuple[str, ...] = ("reply/",)
    """Where, beside `<base>/`, an MQTT 5 response topic may begin."""
    max_payload: Annotated[int, Field(ge=256, le=16_777_216)] = 65_536
    """Largest message taken, in bytes."""
    max_packet: Annotated[int, Field(ge=65_536, le=134_217_728)] = 16_777_216
    """MQTT 5: bytes above which the broker drops a message, so it stays unanswered."""
    state_folder: File | None = Field(default=None, examples=["/var/lib/gcode2mqtt"])
    """Where to remember retained topics; by default `~/.local/state/gcode2mqtt`."""
    console: bool = False
    """Publish every line of the wire on `console`."""
    per_heater_topics: bool = True
    """Publish `temperature/<heater>` beside `temperature`."""


class Telemetry(Section):
    """How often to say what."""

    interval: Seconds = 2.0
    """Seconds between the printer's temperature reports."""
    deadband: Annotated[float, Field(ge=0, le=50)] = 0.2
    """Smallest change of a temperature that is published, in °C."""
    min_interval: Annotated[float, Field(ge=0, le=3600)] = 1.0
    """Shortest time between two published temperatures, in seconds."""
    heartbeat: Annotated[float, Field(ge=5, le=3600)] = 60.0
    """Longest time between two published temperatures, in seconds."""
    history: Annotated[float, Field(ge=0, le=1440)] = 30.0
    """Minutes of temperatures that are kept for `request/temperature`."""


class Rights(Section):
    """What may be asked over MQTT at all; the broker's ACL decides who may."""

    read: bool = True
    """`request/…`"""
    safe: bool = True
    """`emergency`"""
    control: bool = True
    """`head`, `tool`, `bed`, `chamber`, `sd`, `job`, `link`"""
    raw: bool = True
    """`command`"""


class Limits(Section):
    """How much may be asked over MQTT."""

    queue: Annotated[int, Field(ge=1, le=100_000)] = 256
    """G-code lines that may wait; beyond it a command is rejected with `queue_full`."""
    rate: Annotated[float, Field(gt=0, le=10_000)] = 50.0
    """Commands a second on one topic; a burst of twice as many is let through."""


class Serial(Section):
    """The line to the printer."""

    port: str = "auto"
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
    """The same for homing, heating and other long lines."""
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


class HomeAssistant(Section):
    """Discovery by Home Assistant."""

    enabled: bool = True
    """Announce each printer as a device."""
    prefix: Topic = "homeassistant"
    """Home Assistant's discovery prefix."""
    birth_topic: Topic = "homeassistant/status"
    """Where Home Assistant says that it has started."""
    birth_payload: str = "online"
    """What it says there."""
    scripts: tuple[str, ...] = ()
    """Names of scripts that it shows as buttons, for each printer that has them."""


class Log(Section):
    """What the daemon tells about itself on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """How much."""
    levels: dict[str, Literal["debug", "info", "warning", "error"]] = {}
    """How much of a part, such as `mqtt`, `printer` or `wire`."""
    format: Literal["text", "json"] = "text"
    """For people or for machines."""


class Metrics(Section):
    """Figures for Prometheus, and a page for probes, over HTTP."""

    port: Port | None = Field(default=None, examples=[9464])
    """TCP port of `/metrics` and `/healthz`; without one there are none."""
    host: str = "127.0.0.1"
    """Address it is bound to; `0.0.0.0` lets everybody in the network read."""


class Config(Section):
    """The whole configuration."""

    mqtt: Mqtt = Mqtt()
    """The broker."""
    telemetry: Telemetry = Telemetry()
    """How often to say what."""
    rights: Rights = Rights()
    """What may be asked."""
    limits: Limits = Limits()
    """How much may be asked."""
    home_assistant: HomeAssistant = HomeAssistant()
    """Discovery."""
    log: Log = Log()
    """The daemon's log."""
    metrics: Metrics = Metrics()
    """Figures over HTTP."""
    printers: Annotated[tuple[Printer, ...], Field(min_length=1, max_length=1000)]
    """The printers."""

    def base(self, printer: Printer) -> str:
        """Return a printer's base topic."""
        if printer.topic is not None:
            return printer.topic
        return "printer" if len(self.printers) == 1 else f"printers/{printer.id}"

    @model_validator(mode="after")
    def _apart(self) -> Self:
        for what, values in (
            ("id", [p.id for p in self.printers]),
            ("topic", [self.base(p) for p in self.printers]),
            ("serial.port", [p.serial.port for p in self.printers if _exclusive(p)]),
        ):
            for index, value in enumerate(values):
                if value in values[:index]:
                    raise PydanticCustomError(
                        "shared",
                        "two printers share one {what}: {value}",
                        {"what": what, "value": value, "index": index},
                    )
        return self


def _exclusive(printer: Printer) -> bool:
    return not printer.serial.port.startswith("simulator:")
