"""What the operator decides: frozen models; `bridge.config_file` reads and writes them.

Every setting can be written as a text, since the file and the environment give texts:
no field takes only numbers of a fixed set.
"""

import os
from collections.abc import Iterator
from itertools import accumulate
from typing import Annotated, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from bridge.config.bridge import (
    HomeAssistant,
    Limits,
    Log,
    Metrics,
    Mqtt,
    Rights,
    Telemetry,
    Tls,
)
from bridge.config.printer import (
    BLOCKED,
    MaxTemperature,
    Printer,
    Profile,
    Range,
    Serial,
    Speeds,
    Volume,
)
from bridge.config.values import File, Section

__all__ = [
    "BLOCKED",
    "Config",
    "File",
    "HomeAssistant",
    "Limits",
    "Log",
    "MaxTemperature",
    "Metrics",
    "Mqtt",
    "Printer",
    "Profile",
    "Range",
    "Rights",
    "Section",
    "Serial",
    "Speeds",
    "Telemetry",
    "Tls",
    "Volume",
]


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

    @model_validator(mode="after")
    def _on_lines_of_their_own(self) -> Self:
        """Refuse one serial port under two names: both would open and command it."""
        known: dict[str, str] = {}
        for index, port in enumerate(p.serial.port for p in self.printers):
            if "://" in port or port == "auto":
                continue
            other = known.setdefault(os.path.realpath(port), port)
            if other != port:
                raise PydanticCustomError(
                    "shared",
                    "two printers share one {what}: {port} is the same as {other}",
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
        """Refuse a topic below another one: `p/head` is also how to command `p`."""
        bases = {self.base(p): index for index, p in enumerate(self.printers)}
        for inner, index in bases.items():
            above = next((o for o in _above(inner) if o in bases), None)
            if above is not None:
                raise PydanticCustomError(
                    "shared",
                    "the topic of {inner_id}, {inner}, lies below that of {outer_id}, "
                    "{outer}; printers need topics side by side",
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


def _exclusive(printer: Printer) -> bool:
    return not printer.serial.port.startswith("simulator:")
