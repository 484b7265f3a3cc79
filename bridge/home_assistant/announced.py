"""What Home Assistant was told of a printer in earlier runs.

So a bridge that starts before its printer announces what it knew, and components that
are no longer there are taken away.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

log = logging.getLogger("bridge.app")

SUFFIX = ".announced.json"


@dataclass(frozen=True, slots=True)
class Announced:
    """What is kept.

    Attributes:
        components: platforms by key.
        family: how the bridge spoke to the firmware.
        firmware: its name and version.
        model: what the firmware called the machine.
        sensors: temperatures beside the heaters.

    """

    components: Mapping[str, str] = field(default_factory=dict)
    family: str | None = None
    firmware: str | None = None
    model: str | None = None
    sensors: tuple[str, ...] = ()


def recall(folder: Path | None, printer: str) -> Announced:
    """Return what was kept; nothing where that cannot be read."""
    if folder is None:
        return Announced()
    try:
        document = json.loads((folder / f"{printer}{SUFFIX}").read_text("utf-8"))
        return Announced(
            components={str(k): str(v) for k, v in document["components"].items()},
            family=_text(document["family"]),
            firmware=_text(document["firmware"]),
            model=_text(document["model"]),
            sensors=tuple(str(name) for name in document["sensors"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Announced()


def remember(folder: Path | None, printer: str, announced: Announced) -> None:
    """Keep it; without a folder to write to it is not kept."""
    if folder is None:
        return
    path = folder / f"{printer}{SUFFIX}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(announced), indent=1) + "\n", "utf-8")
        fresh.replace(path)
    except OSError as error:
        log.debug("cannot remember what was announced of %s: %s", printer, error)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
