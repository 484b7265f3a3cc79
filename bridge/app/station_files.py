"""The stored files of one printer on MQTT: commands, answers, events and the list."""

from collections.abc import Callable

from bridge.app.print_service import PrintService
from bridge.app.printer_state_files import PrinterStateFiles
from bridge.app.publisher import Publisher
from bridge.commands.files import Delete, Fetch, FilesCommand, Move, Rescan
from bridge.commands.requests import FileRequest, FilesRequest
from bridge.config import FileSettings
from bridge.files.check import CheckRules
from bridge.files.documents import file_list, full_file
from bridge.files.library import Library
from bridge.files.stored import FileError, StoredFile
from bridge.printer.printer import Printer


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
