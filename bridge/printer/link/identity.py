"""What answers on the line: its firmware, dialect and capabilities."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bridge.config import Serial
from bridge.gcode import reply_types as replies
from bridge.gcode.dialects import DIALECTS, UNKNOWN, Dialect, detect
from bridge.gcode.reply_parser import parse_reply
from bridge.gcode.report_parser import is_field, parse_firmware


@dataclass(frozen=True, slots=True)
class Identity:
    """What a printer reports about itself.

    Attributes:
        dialect: of its firmware.
        firmware: its ``FIRMWARE_NAME``, ``""`` if it did not say.
        fields: of the answer to ``M115``.
        capabilities: that it reports, and those of its dialect.
        reports: the lines that turned on its reports at intervals.

    """

    dialect: Dialect
    firmware: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    capabilities: frozenset[str] = frozenset()
    reports: tuple[str, ...] = ()


def configured_dialect(config: Serial) -> Dialect | None:
    """Return the dialect that the operator chose, if any."""
    return None if config.firmware == "auto" else DIALECTS[config.firmware]


def identify(output: tuple[str, ...], configured: Dialect | None) -> Identity:
    """Return what answered ``M115`` with these lines.

    Some firmwares send the fields on several lines, so all of them are read as one.
    """
    capabilities: set[str] = set()
    fields: list[str] = []
    for text in output:
        for reply in parse_reply(text):
            match reply:
                case replies.FirmwareReport():
                    fields.append(text)
                case replies.OtherText() if is_field(text):
                    fields.append(text)
                case replies.Capability(name, enabled=True):
                    capabilities.add(name)
    firmware = parse_firmware(" ".join(fields)) or replies.FirmwareReport("")
    found = detect(firmware.name) if firmware.name else UNKNOWN
    dialect = configured or found
    return Identity(
        dialect,
        firmware.name,
        firmware.fields,
        frozenset(capabilities) | dialect.capabilities,
    )
