"""Where a printer was found the last time, so that it is looked for there first."""

import json
import logging
from pathlib import Path

from bridge.printer.link.events import Place

log = logging.getLogger("bridge.app")

SUFFIX = ".place.json"


def recall(folder: Path, printer: str) -> Place | None:
    """Return where a printer was, or ``None`` when that is not known."""
    try:
        document = json.loads((folder / f"{printer}{SUFFIX}").read_text("utf-8"))
        port, baudrate = document["port"], document["baudrate"]
    except (OSError, ValueError, KeyError, TypeError):
        return None  # it is looked for everywhere, as the first time
    if not isinstance(port, str) or type(baudrate) is not int:
        return None
    return Place(port, baudrate)


def remember(folder: Path, printer: str, place: Place) -> None:
    """Write down where a printer is; without a folder to write to, it is not."""
    path = folder / f"{printer}{SUFFIX}"
    document = {"port": place.port, "baudrate": place.baudrate}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(document) + "\n", "utf-8")
        fresh.replace(path)
    except OSError as error:
        log.debug("cannot remember where %s is: %s", printer, error)
