"""The stored files of the printers, and what is said of them on MQTT.

The libraries outlive the stations that serve the printers.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bridge.app.print_service import PrintService
from bridge.app.printer_state_files import PrinterStateFiles
from bridge.app.publisher import Publisher
from bridge.commands.files import Delete, Fetch, FilesCommand, Move, Rescan
from bridge.commands.requests import FileRequest, FilesRequest
from bridge.config import Config, FileSettings, PrinterConfig
from bridge.files.check import CheckRules
from bridge.files.documents import file_list, full_file
from bridge.files.inspector import Inspector
from bridge.files.library import Library
from bridge.files.store import FileStore
from bridge.files.stored import FileError, StoredFile
from bridge.gcode.dialects import MARLIN
from bridge.printer.printer import Printer
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

        A library whose folder and limits stay the same continues; its files are checked
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


class StationFiles:
    """Connects a printer's library to its topics.

    Args:
        printer: the printer.
        publisher: publishes for it.
        kept: remembers its firmware.
        prints: prints what was fetched, and is told of files that are gone.
        changed: is called when something has to be published.

    """

    def __init__(
        self,
        printer: Printer,
        publisher: Publisher,
        kept: PrinterStateFiles,
        prints: PrintService,
        changed: Callable[[], None],
    ) -> None:
        self._printer = printer
        self._publisher = publisher
        self._kept = kept
        self._changed = changed
        self._prints = prints
        self._is_new = True
        self._family = ""
        self._paths: tuple[str, ...] = ()
        self.library: Library | None = None
        self.settings = FileSettings()
        """The settings of the bridge for files."""

    def use(self, library: Library | None) -> None:
        """Serve these files from now on; ``None``: files are not stored."""
        if library is not None:
            library.on_change = self._on_change
            library.on_added = self._on_added
            library.on_removed = self._on_removed
        self.library = library
        self._family = ""
        self._on_change()

    def configured(self) -> None:
        """Check files against the printer's new settings."""
        self._family = ""

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths of all files, the newest first; another tuple after a change."""
        return self._paths

    async def execute(
        self, command: FilesCommand | FileRequest | FilesRequest
    ) -> object:
        """Carry out what is about stored files; return the response's ``data``.

        Raises:
            CommandError: It is not possible; see
                :class:`bridge.files.stored.FileError`.

        """
        library = self.library
        if library is None:
            raise FileError.disabled()
        match command:
            case Delete():
                await library.delete(command.path)
            case Fetch():
                return await self._fetch(command, library)
            case Move():
                return {"path": (await library.move(command.path, command.to)).path}
            case Rescan():
                await library.rescan()
            case FileRequest():
                found = full_file(library.get(command.path))
                return found.model_dump(mode="json")
            case FilesRequest():
                page = file_list(
                    library.list(), after=command.after, limit=command.limit
                )
                return page.model_dump(mode="json")
        return None

    async def _fetch(self, command: Fetch, library: Library) -> object:
        # It takes a megabyte, which only those pay who fetch files.
        from bridge.upload import fetch  # noqa: PLC0415

        place = fetch.source(command.url, self.settings.fetch_hosts)
        download = fetch.Download(
            place,
            sha256=command.sha256.lower(),
            limit=self.settings.max_upload * 2**20,
            ca_file=self.settings.fetch_ca_file,
        )
        path = command.path or place.filename
        file = await library.receive(path, download.pieces())
        done = await self._prints.submit(file, start=command.print, source="fetch")
        return {
            "path": file.path,
            "size": file.size,
            "state": done.state,
            "position": done.position,
            "reason": done.reason,
        }

    def publish(self) -> None:
        """Publish the list if it has changed, and note which firmware there is."""
        if self._is_new:
            self._is_new = False
            self._publisher.files(self.library)
            stored = self.library.list() if self.library else ()
            newest = sorted(stored, key=lambda file: file.added, reverse=True)
            self._paths = tuple(file.path for file in newest)
        family = self._printer.observer.dialect.name
        here = self._printer.state.link == "operational"
        if here and family != self._family:
            self._family = family
            self._kept.remember_firmware(family)
            if self.library is not None:
                self.library.change_rules(CheckRules.of(self._printer.config, family))

    def _on_change(self) -> None:
        self._is_new = True
        self._changed()

    def _on_added(self, file: StoredFile) -> None:
        seconds = file.metadata.seconds
        self._publisher.event(
            "file_added",
            path=file.path,
            size=file.size,
            slicer=file.metadata.slicer,
            time=None if seconds is None else round(seconds),
            warnings=file.report.warning_count,
        )

    def _on_removed(self, path: str) -> None:
        self._publisher.event("file_removed", path=path)
        self._prints.file_removed(path)
