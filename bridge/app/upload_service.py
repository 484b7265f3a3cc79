"""The HTTP server for slicers as part of the process: settings, keys, printers."""

import asyncio
import logging
import os
import secrets
import socket
import ssl
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridge import __version__
from bridge.app.station import Station
from bridge.app.supervisor import Supervisor
from bridge.config import Config, ServerTls, Upload
from bridge.config.values import UPLOAD_PORT, host_and_port
from bridge.errors import ConfigError, FailedError, RejectedError
from bridge.files.stored import StoredFile
from bridge.findings import Finding
from bridge.printer.published import views
from bridge.state_files import default_folder
from bridge.threads import in_thread
from bridge.upload.access import MIN_KEY, Keys
from bridge.upload.targets import (
    CommandResult,
    Equipment,
    Source,
    Submitted,
    UploadStore,
)

if TYPE_CHECKING:
    from bridge.upload.handlers import Api
    from bridge.upload.server import Server

log = logging.getLogger("bridge.upload")

KEYS = "upload-keys"
"""The name of the file with the keys in the state folder."""

MEBIBYTE = 2**20

_MAX_KEYS = 64 * 1024  # bytes of the file with the keys
_HEAD = """\
# API keys for slicers: one in each line. A key for one printer only begins with its id
# and a colon. Reload gcode2mqtt after a change.
"""


@dataclass(frozen=True, slots=True)
class _ServerSettings:
    """What a server has to be started again for."""

    listen: str
    tls: ServerTls


class UploadService:
    """Serves slicers and watches the inbox, if the configuration wants that.

    Args:
        supervisor: the printers.

    """

    def __init__(self, supervisor: Supervisor) -> None:
        self._printers = _UploadTargets(supervisor)
        self._place: _ServerSettings | None = None
        self._server: Server | None = None
        self._api: Api | None = None
        self._inbox: asyncio.Task[None] | None = None
        self._inbox_folder: Path | None = None

    async def apply(self, config: Config) -> None:
        """Serve as the configuration says; warn if that is not possible.

        The printers are not affected by anything that goes wrong here.
        """
        self._printers.largest = config.files.max_upload * MEBIBYTE
        await self._watch(config.files.inbox if config.files.enabled else None)
        if config.upload.enabled:
            await self._serve(config)
        else:
            await self._stop_serving()

    def leave(self) -> None:
        """Accept nothing more, and give up what is under way; :meth:`close` waits."""
        if self._inbox is not None:
            self._inbox.cancel()
        if self._server is not None:
            self._server.leave()

    async def close(self) -> None:
        """Stop everything; uploads that are under way leave nothing behind."""
        await self._watch(None)
        await self._stop_serving()

    async def _watch(self, folder: Path | None) -> None:
        """Watch another inbox; ``None``: none."""
        if folder == self._inbox_folder:
            return
        if self._inbox is not None:
            self._inbox.cancel()
            await asyncio.wait({self._inbox})
            self._inbox = None
        self._inbox_folder = folder
        if folder is not None:
            from bridge.upload.inbox import Inbox  # noqa: PLC0415

            printers = self._printers
            inbox = Inbox(folder, printers.names, printers.adopt)
            self._inbox = asyncio.create_task(inbox.run(), name="inbox")

    async def _serve(self, config: Config) -> None:
        settings = config.upload
        # It takes two megabytes, which only those pay who upload.
        from bridge.upload.handlers import Access, Api  # noqa: PLC0415

        try:
            file = keys_file(config)
            keys = await in_thread(
                partial(prepared_keys, file), _forget, name="upload-keys"
            )
            scheme = "https" if settings.tls.enabled else "http"
            access = Access(keys, settings.hosts, scheme)
            place = _ServerSettings(settings.listen, settings.tls)
            if self._api is not None and place == self._place:
                self._api.allow(access)
                return
            await self._stop_serving()
            self._api = Api(self._printers, access, __version__)
            await self._listen(settings, self._api)
        except (OSError, ConfigError) as error:
            await self._stop_serving()
            log.warning(
                "slicers cannot upload: %s; the printers are not affected. Correct "
                "it, and reload",
                _reason(error),
            )
        else:
            self._place = place
            log.info(
                "slicers can upload to %s (type OctoPrint); the API key is in %s",
                ", ".join(urls(config)[:4]),
                file,
            )

    async def _listen(self, settings: Upload, api: "Api") -> None:
        from bridge.upload.server import Server  # noqa: PLC0415

        host, port = host_and_port(settings.listen, UPLOAD_PORT)
        tls = None
        if settings.tls.enabled:
            load = partial(tls_context, settings.tls)
            tls = await in_thread(load, _forget, name="upload-tls")
        self._server = Server(api.handle)
        await self._server.listen(host, port, tls)

    async def _stop_serving(self) -> None:
        server, api = self._server, self._api
        self._place = self._server = self._api = None
        if server is not None:
            await server.close()
        if api is not None:
            await api.close()


def keys_file(config: Config) -> Path:
    """Return where the keys are."""
    if config.upload.keys_file is not None:
        return config.upload.keys_file
    return (config.mqtt.state_folder or default_folder(os.environ)) / KEYS


def prepared_keys(file: Path) -> Keys:
    """Return the keys of a file, which is made with a random key if there is none.

    Raises:
        ConfigError: It cannot be read, made or understood.

    """
    try:
        if not file.exists():
            _make(file)
        return _keys(file)
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror or error}") from None


def _keys(file: Path) -> Keys:
    with file.open("rb") as stream:
        content = stream.read(_MAX_KEYS)
    try:
        return Keys.parse(content.decode())
    except UnicodeDecodeError:
        raise ConfigError(f"{file}: this is not UTF-8 text") from None
    except ValueError as error:
        raise ConfigError(
            f"{file}: {error}; a line has one key of at least {MIN_KEY} characters, "
            "or ID: KEY for one printer"
        ) from None


def _make(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    # Only we may read it, from its first moment on.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with open(os.open(file, flags, 0o600), "w", encoding="utf-8") as stream:  # noqa: PTH123 - with a mode
        stream.write(f"{_HEAD}{secrets.token_hex(16)}\n")


def tls_context(settings: ServerTls) -> ssl.SSLContext:
    """Return what encrypts the connections.

    Raises:
        ConfigError: The certificate cannot be used.

    """
    if settings.cert_file is None:
        raise ConfigError("upload.tls.cert_file is missing: upload.tls is on")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.cert_file, settings.key_file, password="")
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        files = ", ".join(
            map(str, filter(None, (settings.cert_file, settings.key_file)))
        )
        raise ConfigError(
            f"upload.tls: {files}: {_reason(error)}; both must be in PEM form, belong "
            "together, and the key must have no password"
        ) from None
    return context


def urls(config: Config) -> list[str]:
    """Return what to enter in a slicer, for each printer."""
    host, port = host_and_port(config.upload.listen, UPLOAD_PORT)
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not bound to
        host = socket.gethostname()
    shown = f"[{host}]" if ":" in host else host
    scheme = "https" if config.upload.tls.enabled else "http"
    return [f"{scheme}://{shown}:{port}/{printer.id}" for printer in config.printers]


def examine(config: Config) -> Iterator[Finding]:
    """Yield what is right and wrong with the settings; nothing if uploads are off."""
    settings = config.upload
    if not settings.enabled:
        return
    yield from _examine_keys(config)
    if settings.tls.enabled:
        try:
            tls_context(settings.tls)
        except ConfigError as error:
            yield Finding("upload", "wrong", str(error))
    host, _ = host_and_port(settings.listen, UPLOAD_PORT)
    shown = ", ".join(urls(config)[:4])
    if host in {"localhost", "::1"} or host.startswith("127."):
        yield Finding(
            "upload",
            "note",
            f"only slicers on this machine can upload, to {shown}; for the others set "
            f"upload.listen: 0.0.0.0:{UPLOAD_PORT}",
        )
    else:
        yield Finding("upload", "ok", f"slicers can upload to {shown}")


def _examine_keys(config: Config) -> Iterator[Finding]:
    file = keys_file(config)
    try:
        if not file.exists():
            yield Finding("upload", "note", f"{file} will be made with a random key")
            return
        keys = _keys(file)
        readable = file.stat().st_mode & 0o044
    except OSError as error:
        yield Finding("upload", "wrong", f"{file}: {error.strerror or error}")
        return
    except ConfigError as error:
        yield Finding("upload", "wrong", str(error))
        return
    if readable:
        text = f"other users can read the API keys: chmod 600 {file}"
        yield Finding("upload", "note", text)
    unknown = keys.printers - {printer.id for printer in config.printers}
    for printer in sorted(unknown):
        text = f"{file} has a key for {printer}, and there is no such printer"
        yield Finding("upload", "note", text)
    yield Finding("upload", "ok", f"the API key is in {file}")


class _UploadTargets:
    """The printers as the HTTP server knows them."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self.largest = 0
        """Bytes of the largest file that is accepted."""

    def names(self) -> Collection[str]:
        """Return their ids."""
        return [station.name for station in self._supervisor.stations]

    def target(self, name: str) -> "_PrinterTarget":
        """Return one of them."""
        return _PrinterTarget(self._supervisor, name, self.largest)

    def prints(self) -> bool:
        """Return whether one of them is printing."""
        return any(station.prints for station in self._supervisor.stations)

    async def adopt(self, name: str, path: str, file: Path) -> None:
        """Store a file from the inbox."""
        target = self.target(name)
        stored = await target.store.adopt(path, file)
        await target.submit(stored, start=False, source="inbox")


class _PrinterTarget:
    """One printer; its station may be replaced between two calls."""

    def __init__(self, supervisor: Supervisor, name: str, largest: int) -> None:
        self._supervisor = supervisor
        self._name = name
        self.largest = largest
        """Bytes of the largest file that is accepted."""

    @property
    def _station(self) -> Station:
        for station in self._supervisor.stations:
            if station.name == self._name:
                return station
        raise FailedError.disconnected(f"{self._name} is no longer served")

    @property
    def store(self) -> UploadStore:
        """Its files."""
        library = self._station.files.library
        if library is None:
            raise RejectedError.conflict(
                "the bridge stores no files (files.enabled)", "files_unavailable"
            )
        return library

    @property
    def name(self) -> str:
        """What people call it."""
        return self._station.printer.config.name or self._name

    @property
    def equipment(self) -> Equipment:
        """What it has."""
        profile = self._station.printer.config.profile
        return Equipment(
            extruders=profile.extruders,
            bed=profile.heated_bed,
            chamber=profile.heated_chamber,
        )

    def state(self) -> Mapping[str, Any]:
        """Return the content of the topic ``state``."""
        station = self._station
        now, epoch = station.publisher.now(), station.publisher.epoch()
        document = views.state(station.printer.state, now=now, epoch=epoch)
        return document.model_dump(mode="json")

    def job(self) -> Mapping[str, Any]:
        """Return the content of the topic ``job/state``."""
        station = self._station
        now, epoch = station.publisher.now(), station.publisher.epoch()
        document = views.job_state(station.printer.state, now=now, epoch=epoch)
        return document.model_dump(mode="json")

    def temperatures(self) -> Mapping[str, Any]:
        """Return the content of the topic ``temperature``."""
        station = self._station
        now, epoch = station.publisher.now(), station.publisher.epoch()
        document = views.temperatures(station.printer.state, now=now, epoch=epoch)
        return document.model_dump(mode="json")

    async def submit(
        self, file: StoredFile, *, start: bool, source: Source
    ) -> Submitted:
        """Do with a stored file what its sender wants."""
        prints = self._station.print_service
        return await prints.submit(file, start=start, source=source)

    async def command(self, topic: str, payload: bytes) -> CommandResult:
        """Carry out a command as if it had come on an MQTT topic of the printer."""
        response = await self._station.messages.request(topic, payload)
        return CommandResult(code=response.code, message=response.message or "")


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.strerror or error}"
    return str(error)


def _forget(_result: object) -> None:
    """Discard what arrives too late: it holds nothing to be closed."""
