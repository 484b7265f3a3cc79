"""The settings that apply to all printers."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, SecretStr, model_validator

from bridge.config.values import (
    File,
    FurtherHost,
    Host,
    Listen,
    OnBrokerLoss,
    Port,
    Seconds,
    Section,
    Topic,
    UrlPath,
)
from bridge.validation_errors import likeliest

PARTS = (
    *("app", "commands", "metrics", "mqtt", "mqtt.broker", "mqtt.session"),
    *("printer", "prints", "state_files", "upload", "wire"),
)
"""The parts of the daemon that log; each line of the log names its part."""

_FORMER_PARTS = {"mqtt.desk": "mqtt.session", "mqtt.memory": "state_files"}
"""Former names of parts, which configurations may still contain."""


class Telemetry(Section):
    """How often the printer is queried and values are published."""

    interval: Seconds = 2.0
    """Seconds between temperature reports from the printer."""
    deadband: Annotated[float, Field(ge=0, le=50)] = 0.2
    """Smallest temperature change that is published, in °C."""
    min_interval: Annotated[float, Field(ge=0, le=3600)] = 1.0
    """Shortest time between published temperatures, in seconds."""
    heartbeat: Annotated[float, Field(ge=5, le=3600)] = 60.0
    """Longest time between published temperatures, and interval of `health`, in
    seconds."""
    progress_step: Annotated[float, Field(gt=0, le=100)] = 1.0
    """Smallest change of a print's progress that is published, in percent. After the
    first 15 steps, it is published at most every 75 seconds."""
    history: Annotated[float, Field(ge=0, le=1440)] = 30.0
    """Minutes of temperature history kept for `request/temperature`."""


class Rights(Section):
    """Topics on which commands are accepted.

    The broker's access control list decides which clients can publish on them.
    """

    read: bool = True
    """Accept `request/…`."""
    safe: bool = True
    """Accept `emergency`."""
    control: bool = True
    """Accept `head`, `tool`, `bed`, `chamber`, `fan`, `light`, `display`, `script`,
    `sd`, `job`, `queue`, `files` and `link`."""
    raw: bool = True
    """Accept `command`."""


class Limits(Section):
    """Queue size and rate limit for commands."""

    queue: Annotated[int, Field(ge=1, le=100_000)] = 256
    """Maximum number of queued G-code lines; further commands are rejected with
    `queue_full`. Requests, and cancelling a print, are not queued."""
    rate: Annotated[float, Field(gt=0, le=10_000)] = 50.0
    """Rate limit in lines of G-code per second on each topic; bursts of twice as many
    are accepted. A command that lists no lines counts as one. A command with more lines
    than a burst is accepted, but then further ones are rejected until the rate is back
    below the limit."""


class HomeAssistant(Section):
    """Home Assistant's MQTT discovery."""

    enabled: bool = True
    """Announce each printer as a device."""
    prefix: Topic = "homeassistant"
    """Home Assistant's discovery prefix."""
    birth_topic: Topic = "homeassistant/status"
    """Topic of Home Assistant's birth message, which it publishes when it has
    started."""
    birth_payload: str = "online"
    """Payload of the birth message."""
    scripts: tuple[str, ...] = ()
    """Scripts that are shown as buttons, for each printer that has them. Everybody who
    may move the printer may run them, on the topic `script`."""
    thumbnails: bool = False
    """Show the thumbnail of the file that is being printed, from `job/thumbnail`."""


def _part(name: str) -> str:
    name = _FORMER_PARTS.get(name, name)
    if name in PARTS:
        return name
    close = likeliest(name, PARTS)
    hint = f"did you mean {close}?" if close else f"known are {', '.join(PARTS)}"
    raise ValueError(f"is not the name of a part that logs; {hint}")


class Log(Section):
    """The daemon's log on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe level that is logged; `debug` includes every line sent to and
    received from the printers, and the response to every command."""
    levels: dict[
        Annotated[str, AfterValidator(_part)],
        Literal["debug", "info", "warning", "error"],
    ] = {}
    """Levels of individual parts, such as `mqtt`, `printer` or `wire`."""
    format: Literal["text", "json"] = "text"
    """`text` for people, or `json` with one object per line for programs."""


class Metrics(Section):
    """HTTP endpoint with metrics for Prometheus and a page for health checks."""

    port: Port | None = Field(default=None, examples=[9464])
    """TCP port of `/metrics` and `/healthz`; without it there is no endpoint."""
    host: str = "127.0.0.1"
    """Address to bind to; `0.0.0.0` makes it readable for everybody on the network."""


class ServerTls(Section):
    """TLS encryption of the connections from slicers."""

    enabled: bool = False
    """Encrypt the connections; the URL in the slicer then begins with `https`."""
    cert_file: File | None = Field(
        default=None, examples=["/etc/gcode2mqtt/upload.pem"]
    )
    """Certificate of this machine, followed by the intermediate certificates. If
    slicers do not know the certificate authority, enter the authority's certificate as
    `HTTPS CA File` in PrusaSlicer or OrcaSlicer."""
    key_file: File | None = Field(default=None, examples=["/etc/gcode2mqtt/upload.key"])
    """Private key of `cert_file`; by default it is in the same file."""


class Upload(Section):
    """HTTP server to which slicers upload files, as they do to OctoPrint.

    `upload: true` turns it on with the defaults; so does any other key below `upload`.
    """

    enabled: bool = False
    """Accept uploads from slicers."""
    listen: Listen = "127.0.0.1:5000"
    """Address and TCP port; `0.0.0.0:5000`, or `[::]:5000` with IPv6, makes it
    reachable for everybody on the network who knows a key."""
    keys_file: File | None = Field(
        default=None, examples=["/etc/gcode2mqtt/upload-keys"]
    )
    """File with the API keys, one per line; `ID: KEY` is a key for one printer only. By
    default it is `upload-keys` in `mqtt.state_folder`, and is created with a random key
    at the first start."""
    hosts: tuple[str, ...] = ()
    """Public names of this machine, such as that of a reverse proxy. Addresses, names
    without a dot, and names of local networks (`.local`, `.lan`, …) are always allowed;
    others are refused, as protection against DNS rebinding."""
    tls: ServerTls = ServerTls()
    """TLS encryption."""

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:  # noqa: ANN401 - whatever the file has
        """Accept `upload: true`; any other key below `upload` also turns it on."""
        if isinstance(value, bool | str):
            return {"enabled": value}
        if isinstance(value, dict) and value and "enabled" not in value:
            return {**value, "enabled": True}
        return value


class FileSettings(Section):
    """Files that the bridge stores and prints."""

    enabled: bool = True
    """Store files. Without it the bridge prints only what is on the SD card."""
    folder: File | None = Field(default=None, examples=["/srv/gcode"])
    """Folder of the files. It contains one folder for each printer, named after the
    printer's id. By default it is `files` in `mqtt.state_folder`."""
    max_upload: Annotated[int, Field(ge=1, le=65_536)] = 1024
    """Largest file, in MiB."""
    keep_free: Annotated[int, Field(ge=0, le=1_048_576)] = 200
    """Space that is kept free on the disk, in MiB. Files that would need it are not
    stored."""
    inbox: File | None = Field(default=None, examples=["/srv/gcode-inbox"])
    """Folder that is watched: files that are copied into it are stored for a printer
    and disappear from it. It contains one folder for each printer, named after the
    printer's id. If there is only one printer, files can also be copied into the folder
    itself."""
    fetch_hosts: tuple[FurtherHost, ...] = ()
    """Servers from which `files` `fetch` may download over HTTPS, as `HOST` or
    `HOST:PORT`. If there are none, nothing is downloaded."""
    fetch_ca_file: File | None = Field(
        default=None, examples=["/etc/gcode2mqtt/ca.pem"]
    )
    """Certificate authority that signed the certificates of these servers; by default
    those of the system are trusted."""
    thumbnails: bool = False
    """Publish the picture of the selected file on `job/thumbnail`."""
    max_thumbnail: Annotated[int, Field(ge=1, le=1024)] = 64
    """Maximum size of a published picture, in KiB. If a file has several, the largest
    one that fits is published."""


class Tls(Section):
    """TLS encryption of the connection to the broker."""

    enabled: bool = False
    """Encrypt the connection and verify the broker's certificate."""
    ca_file: File | None = Field(default=None, examples=["/etc/gcode2mqtt/ca.pem"])
    """Certificate authority that signed the broker's certificate; by default those of
    the system are trusted."""
    cert_file: File | None = Field(
        default=None, examples=["/etc/gcode2mqtt/bridge.pem"]
    )
    """Client certificate of the bridge, if the broker requires one."""
    key_file: File | None = Field(default=None, examples=["/etc/gcode2mqtt/bridge.key"])
    """Private key of `cert_file`."""
    server_name: str | None = Field(default=None, examples=["broker.lan"])
    """Name in the broker's certificate, if it differs from `mqtt.host`."""


class Mqtt(Section):
    """The MQTT broker and the connection to it."""

    host: Host = "localhost"
    """Host name or address; with `transport: unix`, the path of the socket."""
    port: Port = 1883
    """TCP port: usually 1883, or 8883 with TLS."""
    hosts: tuple[FurtherHost, ...] = ()
    """Further brokers with the same topics and accounts, such as the other nodes of a
    cluster, as `HOST` or `HOST:PORT`. They are tried in this order if `host` does not
    answer; the bridge returns to `host` when it answers again. See `docs/brokers.md`.
    """
    protocol: Literal["auto", "5", "3.1.1"] = "auto"
    """MQTT version; `auto` uses 5, or 3.1.1 if the broker does not support 5."""
    transport: Literal["tcp", "websockets", "unix"] = "tcp"
    """Transport of the connection."""
    path: UrlPath = "/mqtt"
    """Path of the WebSocket."""
    keepalive: Annotated[int, Field(ge=5, le=3600)] = 10
    """Keep-alive interval in seconds; the broker considers the bridge offline after 1.5
    times this. If the network is interrupted for less than twice this interval, a
    command may be delivered late."""
    connect_timeout: Seconds = 10.0
    """Timeout of a connection attempt, in seconds, for each address of a broker."""
    client_id: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, examples=["workshop"]
    )
    """MQTT client id; if there are several printers, `-<id>` is appended. By default it
    is `gcode2mqtt-<id>-` and 16 digits that do not change and that other clients cannot
    guess; anyone who knows it can disconnect the printer, unless the broker binds ids
    to accounts. Connections for checks and emergency stops append random digits."""
    username: str | None = Field(default=None, examples=["bridge"])
    """User name at the broker."""
    password: SecretStr | None = Field(default=None, examples=["secret"])
    """Password; use `password_file` or `BRIDGE_MQTT__PASSWORD` to keep it out of this
    file."""
    password_file: File | None = Field(
        default=None, examples=["/etc/gcode2mqtt/password"]
    )
    """File whose first line is the password. It may be empty if there is no
    `username`."""
    tls: Tls = Tls()
    """TLS encryption."""
    will_delay: Annotated[int, Field(ge=0, le=300)] = 5
    """MQTT 5: seconds between the loss of the connection and the last will (`offline`).
    Brokers that end the session together with the connection publish it at once
    (RabbitMQ, ejabberd)."""
    clear_retained_commands: bool = True
    """Delete a retained command from the broker after rejecting it."""
    response_prefixes: tuple[str, ...] = ("reply/",)
    """Permitted prefixes of MQTT 5 response topics, in addition to `<base>/`."""
    max_payload: Annotated[int, Field(ge=256, le=16_777_216)] = 65_536
    """Maximum size of a command's payload, in bytes."""
    max_packet: Annotated[int, Field(ge=65_536, le=134_217_728)] = 16_777_216
    """MQTT 5: maximum packet size in bytes. The broker drops larger messages, so they
    get no response."""
    state_folder: File | None = Field(default=None, examples=["/var/lib/gcode2mqtt"])
    """Folder for everything that is kept across restarts: the lists of retained topics,
    the queue, the history and the records of prints and heaters; by default
    `~/.local/state/gcode2mqtt`."""
    console: bool = False
    """Publish all lines sent to and received from the printer on `console`."""
    per_heater_topics: bool = True
    """Publish `temperature/<heater>` in addition to `temperature`."""
    on_broker_loss: OnBrokerLoss = "keep"
    """What happens to heaters while there is no connection to the broker: `keep` leaves
    them on; a number turns them off after that many minutes without use, unless a print
    is under way or a `hold` is in effect."""
