"""What holds for all printers."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr

from bridge.config.values import File, Host, Port, Seconds, Section, Topic
from bridge.validation_errors import likeliest

PARTS = (
    *("app", "commands", "metrics", "mqtt", "mqtt.broker", "mqtt.desk"),
    *("mqtt.memory", "printer", "wire"),
)
"""Who logs; the name stands in each line of the log."""


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
    """G-code lines that may wait; beyond it a command is rejected with `queue_full`.
    Questions, and cancelling a print, do not wait with the others."""
    rate: Annotated[float, Field(gt=0, le=10_000)] = 50.0
    """Commands a second on one topic; a burst of twice as many is let through."""


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


def _part(name: str) -> str:
    if name in PARTS:
        return name
    close = likeliest(name, PARTS)
    hint = f"did you mean {close}?" if close else f"known are {', '.join(PARTS)}"
    raise ValueError(f"is not a part that logs; {hint}")


class Log(Section):
    """What the daemon tells about itself on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """How much."""
    levels: dict[
        Annotated[str, AfterValidator(_part)],
        Literal["debug", "info", "warning", "error"],
    ] = {}
    """How much of a part, such as `mqtt`, `printer` or `wire`."""
    format: Literal["text", "json"] = "text"
    """For people or for machines."""


class Metrics(Section):
    """Figures for Prometheus, and a page for probes, over HTTP."""

    port: Port | None = Field(default=None, examples=[9464])
    """TCP port of `/metrics` and `/healthz`; without one there are none."""
    host: str = "127.0.0.1"
    """Address it is bound to; `0.0.0.0` lets everybody in the network read."""


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

    host: Host = "localhost"
    """Name or address; with `transport: unix` the path of the socket."""
    port: Port = 1883
    """TCP port; usual are 1883 and, with TLS, 8883."""
    protocol: Literal["auto", "5", "3.1.1"] = "auto"
    """MQTT version; `auto` is 5, and 3.1.1 where the broker refuses that."""
    transport: Literal["tcp", "websockets", "unix"] = "tcp"
    """How to reach the broker."""
    path: str = "/mqtt"
    """The path of the WebSocket."""
    keepalive: Annotated[int, Field(ge=5, le=3600)] = 10
    """Seconds between signs of life; the broker takes us for dead after 1.5 times. A
    network that stands still for less than twice as long may deliver a command late."""
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
    """A file whose first line is the password; without a `username` it may be empty."""
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
