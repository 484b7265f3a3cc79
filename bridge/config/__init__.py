"""The settings as frozen models; `bridge.config_file` reads and writes them.

Every setting can be given as text, because the file and the environment consist of
text: no field accepts only certain numbers.
"""

import os
from collections.abc import Iterator
from itertools import accumulate
from typing import Annotated, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from bridge.config.bridge import (
    FileSettings,
    HomeAssistant,
    Limits,
    Log,
    Metrics,
    Mqtt,
    Rights,
    ServerTls,
    Telemetry,
    Tls,
    Upload,
)
from bridge.config.printer import (
    BLOCKED,
    LightSettings,
    MaxTemperature,
    PauseHeaters,
    Preset,
    PrinterConfig,
    Profile,
    QueueSettings,
    Range,
    Serial,
    Speeds,
    UnknownCodes,
    Volume,
)
from bridge.config.values import File, Section
from bridge.validation_errors import SHARED

__all__ = [
    "BLOCKED",
    "Config",
    "File",
    "FileSettings",
    "HomeAssistant",
    "LightSettings",
    "Limits",
    "Log",
    "MaxTemperature",
    "Metrics",
    "Mqtt",
    "PauseHeaters",
    "Preset",
    "PrinterConfig",
    "Profile",
    "QueueSettings",
    "Range",
    "Rights",
    "Section",
    "Serial",
    "ServerTls",
    "Speeds",
    "Telemetry",
    "Tls",
    "UnknownCodes",
    "Upload",
    "Volume",
]


class Config(Section):
    """The whole configuration."""

    mqtt: Mqtt = Mqtt()
    """The MQTT broker and the connection to it."""
    telemetry: Telemetry = Telemetry()
    """How often the printer is queried and values are published."""
    rights: Rights = Rights()
    """Topics on which commands are accepted."""
    limits: Limits = Limits()
    """Queue size and rate limit for commands."""
    home_assistant: HomeAssistant = HomeAssistant()
    """Home Assistant's MQTT discovery."""
    files: FileSettings = FileSettings()
    """Files that the bridge stores and prints."""
    log: Log = Log()
    """The daemon's log."""
    metrics: Metrics = Metrics()
    """HTTP endpoint for metrics and health checks."""
    upload: Upload = Upload()
    """HTTP server for slicers."""
    printers: Annotated[tuple[PrinterConfig, ...], Field(min_length=1, max_length=1000)]
    """The printers."""

    def base(self, printer: PrinterConfig) -> str:
        """Return a printer's base topic."""
        if printer.topic is not None:
            return printer.topic
        return "printer" if len(self.printers) == 1 else f"printers/{printer.id}"

    @property
    def bases(self) -> list[str]:
        """The base topics of all printers."""
        return [self.base(printer) for printer in self.printers]

    @model_validator(mode="after")
    def _apart(self) -> Self:
        for what, values in (
            ("id", [p.id for p in self.printers]),
            ("topic", self.bases),
            ("serial.port", [p.serial.port for p in self.printers if _exclusive(p)]),
        ):
            for index, value in enumerate(values):
                if value in values[:index]:
                    raise PydanticCustomError(
                        SHARED,
                        "two printers have the same {what}: {value}; give each its own",
                        {"what": what, "value": value, "index": index},
                    )
        return self

    @model_validator(mode="after")
    def _on_lines_of_their_own(self) -> Self:
        """Reject one serial port under two names: both printers would open it."""
        known: dict[str, str] = {}
        for index, port in enumerate(p.serial.port for p in self.printers):
            if "://" in port or port == "auto":
                continue
            other = known.setdefault(os.path.realpath(port), port)
            if other != port:
                raise PydanticCustomError(
                    SHARED,
                    "two printers have the same {what}: {port} is the same as {other}",
                    {
                        "what": "serial.port",
                        "index": index,
                        "port": port,
                        "other": other,
                    },
                )
        return self

    @model_validator(mode="after")
    def _side_by_side(self) -> Self:
        """Reject a base topic below another one: `p/head` is also a topic of `p`."""
        bases = {self.base(p): index for index, p in enumerate(self.printers)}
        for inner, index in bases.items():
            above = next((o for o in _above(inner) if o in bases), None)
            if above is not None:
                raise PydanticCustomError(
                    SHARED,
                    "the topic of {inner_id}, {inner}, is below that of {outer_id}, "
                    "{outer}; no printer's topic may be below another one's",
                    {
                        "what": "topic",
                        "index": max(index, bases[above]),
                        "inner": inner,
                        "inner_id": self.printers[index].id,
                        "outer": above,
                        "outer_id": self.printers[bases[above]].id,
                    },
                )
        return self


def _above(topic: str) -> Iterator[str]:
    return accumulate(topic.split("/")[:-1], "{}/{}".format)


def _exclusive(printer: PrinterConfig) -> bool:
    return not printer.serial.port.startswith("simulator:")
