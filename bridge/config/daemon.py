"""What holds for all printers."""

from difflib import get_close_matches
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from bridge.config.values import Port, Seconds, Section, Topic

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
    close = get_close_matches(name, PARTS, n=1)
    hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(PARTS)}"
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
