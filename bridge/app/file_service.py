"""The files of all printers, which outlive the stations that serve the printers."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bridge.config import Config, PrinterConfig
from bridge.files.check import CheckRules
from bridge.files.inspector import Inspector
from bridge.files.library import Library
from bridge.files.store import FileStore
from bridge.gcode.dialects import MARLIN
from bridge.state_files import FIRMWARE, KnownFirmware, recall

log = logging.getLogger("bridge.app")

FOLDER = "files"
"""In the state folder, where the configuration names no other."""

_MEBI = 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Storage:
    """Where the files of a printer are, and how much room they have."""

    folder: Path
    max_upload: int
    keep_free: int


class FileService:
    """Opens and closes the libraries of the printers, as the configuration has them."""

    def __init__(self) -> None:
        self._inspector = Inspector()
        self._libraries: dict[str, Library] = {}
        self._places: dict[str, _Storage] = {}
        self._opening: dict[str, asyncio.Task[None]] = {}

    @property
    def libraries(self) -> Mapping[str, Library]:
        """The files of each printer, by its id; empty if ``files.enabled`` is off."""
        return self._libraries

    async def apply(self, config: Config, state_folder: Path) -> None:
        """Open libraries of new printers, and close those of printers that are gone.

        A library whose folder and limits stay the same goes on; its files are checked
        again if the printer has other limits now, although it may be switched off. The
        disk is read later, so that no printer waits for it.

        Args:
            config: the configuration.
            state_folder: where state files are.

        """
        wanted = _places(config, state_folder)
        for name, place in [*self._places.items()]:
            if wanted.get(name) != place:
                del self._places[name]
                await self._stop_opening(name)
                await self._libraries.pop(name).close()
        for printer in config.printers:
            if printer.id not in wanted:
                continue
            if printer.id not in self._places:
                self._open(printer, wanted[printer.id], state_folder)
                continue
            library, chosen = self._libraries[printer.id], printer.serial.firmware
            family = library.family if chosen == "auto" else chosen
            library.change_rules(CheckRules.of(printer, family))

    async def close(self) -> None:
        """Close all libraries, and end the process that checks files."""
        for name in [*self._opening]:
            await self._stop_opening(name)
        for library in self._libraries.values():
            await library.close()
        self._libraries.clear()
        self._places.clear()
        await self._inspector.close()

    def _open(
        self, printer: PrinterConfig, place: _Storage, state_folder: Path
    ) -> None:
        store = FileStore(
            place.folder, max_upload=place.max_upload, keep_free=place.keep_free
        )
        rules = CheckRules.of(printer, _family(printer, state_folder))
        library = Library(store, rules, self._inspector)
        self._libraries[printer.id], self._places[printer.id] = library, place
        task = asyncio.create_task(library.open(), name=f"files {printer.id}")
        self._opening[printer.id] = task

    async def _stop_opening(self, name: str) -> None:
        """Open a library no further: it would read files after it was closed."""
        if (task := self._opening.pop(name, None)) is not None:
            task.cancel()
            await asyncio.wait({task})


def _places(config: Config, state_folder: Path) -> dict[str, _Storage]:
    settings = config.files
    if not settings.enabled:
        return {}
    folder = settings.folder or state_folder / FOLDER
    return {
        printer.id: _Storage(
            folder / printer.id, settings.max_upload * _MEBI, settings.keep_free * _MEBI
        )
        for printer in config.printers
    }


def _family(printer: PrinterConfig, state_folder: Path) -> str:
    """Return the firmware family that files are checked for until it is identified."""
    if printer.serial.firmware != "auto":
        return printer.serial.firmware
    known = recall(state_folder / f"{printer.id}{FIRMWARE}", KnownFirmware)
    return known.family if known is not None else MARLIN.name
