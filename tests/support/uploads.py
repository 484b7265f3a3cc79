"""An HTTP server for slicers with printers to try it on, and clients of raw bytes."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bridge.config import PrinterConfig
from bridge.errors import RejectedError
from bridge.files import worker
from bridge.files.check import CheckRules
from bridge.files.index import NAME
from bridge.files.inspector import Inspector
from bridge.files.library import Library
from bridge.files.store import FileStore
from bridge.files.stored import StoredFile
from bridge.upload.access import Keys
from bridge.upload.handlers import Access, Api
from bridge.upload.server import Server
from bridge.upload.targets import CommandResult, Equipment, Submitted

KEY = "0123456789abcdef0123456789abcdef"
LEFT_KEY = "fedcba9876543210"
LARGEST = 2**20
BOUNDARY = "------------------------d74496d66958873e"


RULES = CheckRules.of(PrinterConfig(), "marlin")


class InspectorHere(Inspector):
    """Checks files in this process: to start another one takes a second each time."""

    async def inspect(self, path: Path, rules: CheckRules) -> worker.WorkerResult:
        return worker.answer(worker.Task(path=str(path), rules=rules))


@dataclass
class TriedPrinter:
    """A printer that notes what it was told."""

    store: Library
    folder: Path
    name: str = "Left printer"
    largest: int = LARGEST
    equipment: Equipment = field(
        default_factory=lambda: Equipment(extruders=2, bed=True, chamber=False)
    )
    phase: str = "operational"
    outcome: Submitted | RejectedError = field(
        default_factory=lambda: Submitted(state="printing")
    )
    bug: Exception | None = None
    answers: bool = True
    submitted: list[tuple[str, bool, str]] = field(default_factory=list)
    commands: list[tuple[str, object]] = field(default_factory=list)
    result: CommandResult = field(default_factory=lambda: CommandResult(code=200))

    def state(self) -> Mapping[str, Any]:
        on = self.phase not in {"offline", "error"}
        flags = {"operational": on, "error": False, "printing": False}
        return {
            "state": self.phase, "flags": flags, "error": "", "sd": {"ready": False},
        }  # fmt: skip

    def job(self) -> Mapping[str, Any]:
        return {
            "file": "parts/cube.gcode", "display": None, "origin": "local", "size": 100,
            "progress": 12.5, "position": 12, "elapsed": 60, "remaining": 420,
        }  # fmt: skip

    def temperatures(self) -> Mapping[str, Any]:
        if self.bug is not None:
            raise self.bug
        heater = {"actual": 20.5, "target": 0.0, "offset": 0.0}
        return {"tool0": heater, "bed": heater, "sensors": {"board": 30}, "time": 1}

    async def submit(self, file: StoredFile, *, start: bool, source: str) -> Submitted:
        self.submitted.append((file.path, start, source))
        if isinstance(self.outcome, RejectedError):
            raise self.outcome
        return self.outcome if start else Submitted()

    async def command(self, topic: str, payload: bytes) -> CommandResult:
        self.commands.append((topic, json.loads(payload)))
        if not self.answers:
            await asyncio.get_running_loop().create_future()
        return self.result


@dataclass
class Served:
    """A server that is running."""

    port: int
    printers: dict[str, TriedPrinter]
    server: Server
    api: Api
    clients: list["Client"] = field(default_factory=list)

    def names(self) -> Collection[str]:
        return self.printers

    def target(self, name: str) -> TriedPrinter:
        return self.printers[name]

    def prints(self) -> bool:
        return any(tried.phase == "printing" for tried in self.printers.values())

    @property
    def left(self) -> TriedPrinter:
        return self.printers["left"]

    async def client(self, tls: ssl.SSLContext | None = None) -> "Client":
        reader, writer = await asyncio.open_connection(
            "127.0.0.1",
            self.port,
            ssl=tls,
            server_hostname="localhost" if tls else None,
        )
        self.clients.append(Client(reader, writer))
        return self.clients[-1]

    async def ask(self, request: bytes) -> "Reply":
        """Send one request, and return the answer to it."""
        client = await self.client()
        try:
            await client.send(request)
            return await client.reply()
        finally:
            await client.close()

    def stored(self) -> list[str]:
        """Return everything that is on the disk."""
        return sorted(
            str(path.relative_to(tried.folder))
            for tried in self.printers.values()
            for path in tried.folder.rglob("*")
            if path.is_file() and path.name != NAME
        )


@dataclass
class Reply:
    """The answer to a request."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:  # noqa: ANN401 - whatever the test expects
        return json.loads(self.body)


class Client:
    """A connection over which raw bytes are sent."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def reply(self, *, head: bool = False) -> Reply:
        async with asyncio.timeout(30):
            lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {
                name.lower(): value.strip()
                for name, _, value in (
                    line.partition(":") for line in lines[1:] if line
                )
            }
            length = 0 if head else int(headers.get("content-length", "0"))
            body = await self.reader.readexactly(length)
        return Reply(int(lines[0].split(" ")[1]), headers, body)

    async def ended(self) -> bool:
        """Wait for the end of the connection; return whether nothing came before."""
        async with asyncio.timeout(30):
            try:
                return await self.reader.read() == b""
            except ConnectionError:
                return True

    async def close(self) -> None:
        self.writer.close()
        with suppress(OSError):
            await self.writer.wait_closed()


@asynccontextmanager
async def serving(
    folder: Path,
    *names: str,
    tls: ssl.SSLContext | None = None,
    keep_free: int = 0,
    largest: int = LARGEST,
    rules: CheckRules = RULES,
) -> AsyncIterator[Served]:
    """Serve printers of these ids, by default one called ``left``."""
    inspector = InspectorHere()
    printers = {}
    for name in names or ["left"]:
        store = FileStore(folder / name, max_upload=largest, keep_free=keep_free)
        library = Library(store, rules, inspector)
        await library.open()
        printers[name] = TriedPrinter(library, folder / name, largest=largest)
    keys = Keys.parse(f"{KEY}\nleft: {LEFT_KEY}\n")
    served = Served(0, printers, None, None)  # type: ignore[arg-type]  # set below
    served.api = Api(
        served, Access(keys, scheme="https" if tls else "http"), version="1.2.3"
    )
    served.server = Server(served.api.handle)
    served.port = await served.server.listen("127.0.0.1", 0, tls)
    try:
        yield served
    finally:
        await served.server.close()
        await served.api.close()
        for client in served.clients:
            await client.close()
        for tried in printers.values():
            await tried.store.close()


def get(path: str, *headers: str, key: str = KEY, method: str = "GET") -> bytes:
    """Return a request without a body, as PrusaSlicer sends it."""
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: 127.0.0.1:5000",
        "User-Agent: PrusaSlicer/2.9.4",
        "Accept: */*",
        *([f"X-Api-Key: {key}"] if key else []),
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def post(path: str, document: object, key: str = KEY) -> bytes:
    """Return a request with JSON, as Cura's plugin sends it."""
    body = json.dumps(document).encode()
    head = get(
        path,
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        key=key,
        method="POST",
    )
    return head + body


def form(content: bytes, filename: str = "cube.gcode", **fields: str) -> bytes:
    """Return the body of an upload as libcurl writes it."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
        f"{value}\r\n"
        for name, value in fields.items()
    ]
    file = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; '
        f'filename="{filename}"\r\nContent-Type: application/octet-stream\r\n\r\n'
    )
    return (
        "".join([*parts, file]).encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()
    )


def upload_head(
    length: int, *headers: str, path: str = "/left/api/files/local", key: str = KEY
) -> bytes:
    """Return the head of an upload as PrusaSlicer sends it."""
    return get(
        path,
        f"Content-Length: {length}",
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}",
        *headers,
        key=key,
        method="POST",
    )


def upload(content: bytes, name: str = "cube.gcode", **fields: str) -> bytes:
    """Return a whole upload."""
    body = form(content, name, **fields)
    return upload_head(len(body)) + body
