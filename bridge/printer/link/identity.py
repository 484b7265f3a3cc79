"""Who is on the line."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bridge.gcode import reply_types as replies
from bridge.gcode.dialects import UNKNOWN, Dialect, detect
from bridge.gcode.reply_parser import parse_reply


@dataclass(frozen=True, slots=True)
class Identity:
    """What a printer says it is.

    Attributes:
        dialect: how it speaks.
        firmware: its ``FIRMWARE_NAME``, ``""`` if it did not say.
        fields: all that it says about itself.
        capabilities: what it says it can do.
        reports: the lines by which it was told to report by itself.

    """

    dialect: Dialect
    firmware: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    capabilities: frozenset[str] = frozenset()
    reports: tuple[str, ...] = ()


def identify(output: tuple[str, ...], configured: Dialect | None) -> Identity:
    """Return who answered ``M115`` with these lines."""
    firmware = replies.FirmwareReport("")
    capabilities: set[str] = set()
    for text in output:
        for reply in parse_reply(text):
            match reply:
                case replies.FirmwareReport():
                    firmware = reply
                case replies.Capability(name, enabled=True):
                    capabilities.add(name)
    found = detect(firmware.name) if firmware.name else UNKNOWN
    dialect = configured or found
    return Identity(
        dialect,
        firmware.name,
        firmware.fields,
        frozenset(capabilities) | dialect.capabilities,
    )
