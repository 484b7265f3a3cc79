"""Answers the requests of slicers: checks the sender, and passes on the content."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol

from bridge import logs
from bridge.errors import CommandError
from bridge.upload import octoprint
from bridge.upload.access import Keys, host_allowed, sent_key
from bridge.upload.form import FileStart, FormEvent, FormField, FormParser
from bridge.upload.messages import (
    Head,
    HttpError,
    HttpResponse,
    error_answer,
    json_answer,
)
from bridge.upload.octoprint import LOCAL, ONE_FILE, Route
from bridge.upload.server import Body, Cut
from bridge.upload.targets import CommandResult, Submitted, UploadTarget

log = logging.getLogger("bridge.upload")

MAX_UPLOADS = 8
"""Uploads at a time; each needs half a megabyte of memory. Further ones get a 503,
whose text slicers show."""

MAX_JSON = 64 * 1024
"""Bytes of a body that is not a form."""

FORM_ROOM = 64 * 1024
"""Bytes that a form may have in addition to the file."""

COMMAND_WAIT = 5.0
"""Seconds to wait for the printer before a command is reported as accepted. OctoPrint
never waits; a slicer that had to wait for a heating printer would give up."""

REFUSAL_INTERVAL = 10.0
"""Seconds between two log lines about wrong keys."""


RATE, RATE_IN_PRINT = 16 * 1024 * 1024, 2 * 1024 * 1024
"""Bytes per second of all uploads together: usually, and while something is printed.
Faster uploads would take processor time from the printers' lines. A large file has
20 MB, which arrive in one second, or in ten: an upload may take longer, a print may
not (docs/adr/0058)."""

PIECES_IN_PRINT = 20.0
"""Reads per second for all uploads together while something is printed. What a slow
client sends meanwhile is read all at once, because most of the cost of a read does not
depend on its size."""

REST = 10.0
"""The minimum pause after each read, as a multiple of the time that parsing it took;
this adapts to slower machines. A read costs three to four times that in total, so
uploads take at most a third of the event loop, and a line that is due waits for at most
one read, however many clients send."""


class Pace:
    """Spreads the pieces of all uploads over time.

    Args:
        prints: returns whether something is printed.

    """

    def __init__(self, prints: Callable[[], bool]) -> None:
        self._prints = prints
        self._due = 0.0

    async def rest(self, size: int, spent: float) -> None:
        """Wait until the next piece may be read.

        Args:
            size: bytes of this one.
            spent: how long it took, in seconds.

        """
        now = asyncio.get_running_loop().time()
        if self._prints():
            least = max(size / RATE_IN_PRINT, 1 / PIECES_IN_PRINT)
        else:
            least = size / RATE
        self._due = max(self._due, now) + max(least, REST * spent)
        await asyncio.sleep(self._due - now)


QUESTIONS, BURST = 5.0, 10
"""While something is printed: requests per second that are answered for all clients
together, and the burst that is answered at once. Each takes the event loop a few
milliseconds, for which a printer's line may have to wait. Programs that follow a print
send one or two requests per second."""


class Questions:
    """Spreads questions over time while something is printed; none is refused.

    Args:
        prints: returns whether something is printed.

    """

    def __init__(self, prints: Callable[[], bool]) -> None:
        self._prints = prints
        self._due = 0.0

    async def turn(self) -> None:
        """Wait until the next request may be answered."""
        if not self._prints():
            return
        now = asyncio.get_running_loop().time()
        self._due = max(self._due, now - BURST / QUESTIONS) + 1 / QUESTIONS
        if self._due > now:
            await asyncio.sleep(self._due - now)


class Printers(Protocol):
    """All printers that are served."""

    def names(self) -> Collection[str]:
        """Return their ids."""
        ...

    def target(self, name: str) -> UploadTarget:
        """Return one of them."""
        ...

    def prints(self) -> bool:
        """Return whether one of them is printing."""
        ...


@dataclass(frozen=True, slots=True)
class Access:
    """Which clients may send requests, and to which names.

    Attributes:
        keys: the keys that are accepted.
        hosts: names of this machine besides those that only its network knows.
        scheme: ``http`` or ``https``.

    """

    keys: Keys
    hosts: tuple[str, ...] = ()
    scheme: str = "http"


@dataclass(frozen=True, slots=True)
class _Request:
    """One request that may be answered.

    Attributes:
        head: its head.
        body: its body, not read yet.
        route: what it is about.
        target: the printer.
        base: the beginning of the printer's URLs.

    """

    head: Head
    body: Body
    route: Route
    target: UploadTarget
    base: str

    async def json(self) -> dict[str, Any]:
        """Return the body, which must be a JSON object or empty.

        Raises:
            HttpError: It is something else (400).

        """
        try:
            document = json.loads(await self.body.read(MAX_JSON) or b"{}")
        except (ValueError, RecursionError):
            raise HttpError(400, "the body must be JSON") from None
        if not isinstance(document, dict):
            raise HttpError(400, "the body must be a JSON object")
        return document


class Api:
    """Answers requests.

    Args:
        printers: what they are about.
        access: who may send them.
        version: ours.

    """

    def __init__(self, printers: Printers, access: Access, version: str) -> None:
        self._printers = printers
        self._access = access
        self._version = version
        self.uploads = 0
        """The number of uploads that are under way."""
        self._pace = Pace(printers.prints)
        self._questions = Questions(printers.prints)
        self._refusals = Questions(printers.prints)  # they delay nobody with a key
        self._commands: set[asyncio.Task[CommandResult]] = set()
        self._refusal_logged = float("-inf")
        self._resources = self._table()

    def allow(self, access: Access) -> None:
        """Use other keys and names for the following requests."""
        self._access = access

    async def close(self) -> None:
        """Give up waiting for commands; the printer continues with them."""
        for command in self._commands:
            command.cancel()
        await asyncio.gather(*self._commands, return_exceptions=True)

    async def handle(self, head: Head, body: Body) -> HttpResponse:
        """Answer one request.

        Raises:
            HttpError: It cannot be answered as it wants.
            Cut: The client is gone.

        """
        try:
            return await self._handle(head, body)
        except (HttpError, Cut):
            raise
        except CommandError as error:
            return error_answer(error.code, error.message, head)
        except Exception:
            # It must end neither the others' connections nor the printers.
            log.exception("an unexpected error in answering a request")
            text = "an unexpected error in gcode2mqtt; its log has the details"
            return error_answer(HTTPStatus.INTERNAL_SERVER_ERROR, text, head)

    async def _handle(self, head: Head, body: Body) -> HttpResponse:
        try:
            self._check_host(head)
            self._check_key(head)
        except HttpError:
            await self._refusals.turn()
            raise
        body.admitted = True
        if head.method in {"GET", "HEAD"}:
            await self._questions.turn()
        route = octoprint.route(head.target, self._printers.names())
        methods = self._resources.get(route.resource)
        if methods is None:
            raise HttpError(404, octoprint.unknown(route.resource))
        answer = methods.get("GET" if head.method == "HEAD" else head.method)
        if answer is None:
            allowed = ", ".join(sorted(methods))
            text = f"only {allowed} can be used here"
            refused = error_answer(HTTPStatus.METHOD_NOT_ALLOWED, text, head)
            return HttpResponse(
                status=refused.status,
                kind=refused.kind,
                body=refused.body,
                headers={"Allow": allowed},
            )
        host = head.header("host") or "localhost"
        base = f"{self._access.scheme}://{host}{route.prefix}"
        target = self._printers.target(route.printer)
        logs.about(route.printer)
        return await answer(_Request(head, body, route, target, base))

    def _check_host(self, head: Head) -> None:
        if not host_allowed(head.header("host"), self._access.hosts):
            raise HttpError(
                HTTPStatus.MISDIRECTED_REQUEST,
                "add the host name of this URL to upload.hosts in gcode2mqtt's "
                "configuration",
            )

    def _check_key(self, head: Head) -> None:
        """Check that the sender has a key for the printer that is asked for.

        Before anything is said about the printers, and before the body is read.
        """
        if head.repeated & {"x-api-key", "authorization", "content-type"}:
            raise HttpError(400, "a header came twice")
        try:
            printer = octoprint.route(head.target, self._printers.names()).printer
        except HttpError:
            printer = None
        key = sent_key(head.header("x-api-key"), head.header("authorization"))
        if self._access.keys.allows(key, printer):
            return
        now = time.monotonic()
        if now >= self._refusal_logged + REFUSAL_INTERVAL:
            self._refusal_logged = now
            what = "a wrong API key" if key else "no API key"
            log.warning("a request with %s was refused", what)
        raise HttpError(
            403,
            "the API key is wrong" if key else "the API key is missing (X-Api-Key)",
        )

    def _table(
        self,
    ) -> Mapping[str, Mapping[str, Callable[[_Request], Awaitable[HttpResponse]]]]:
        """Return the handler for each method of each resource."""
        commands = {
            resource: {"POST": self._printer_command} for resource in octoprint.COMMANDS
        }
        return {
            **commands,
            "api/version": {"GET": self._show_version},
            "api/files": {"GET": self._list},
            LOCAL: {"GET": self._list, "POST": self._upload},
            ONE_FILE: {
                "GET": self._show_file,
                "POST": self._file_command,
                "DELETE": self._delete,
            },
            "api/job": {"GET": self._show_job, "POST": self._job_command},
            "api/printer": {"GET": self._show_printer},
            "api/connection": {
                "GET": self._show_connection,
                "POST": self._printer_command,
            },
            "api/settings": {"GET": self._show_settings},
            "api/login": {"POST": self._log_in},
            "api/printerprofiles": {"GET": self._show_profiles},
        }

    async def _show_version(self, _request: _Request) -> HttpResponse:
        return json_answer(octoprint.version(self._version))

    async def _show_job(self, request: _Request) -> HttpResponse:
        target = request.target
        return json_answer(octoprint.job(target.state(), target.job()))

    async def _show_printer(self, request: _Request) -> HttpResponse:
        target = request.target
        return json_answer(octoprint.printer(target.state(), target.temperatures()))

    async def _show_connection(self, request: _Request) -> HttpResponse:
        return json_answer(octoprint.connection(request.target.state()))

    async def _show_settings(self, request: _Request) -> HttpResponse:
        return json_answer(octoprint.settings(request.target.name))

    async def _log_in(self, request: _Request) -> HttpResponse:
        await request.body.read(MAX_JSON)
        return json_answer(octoprint.login())

    async def _show_profiles(self, request: _Request) -> HttpResponse:
        has = request.target.equipment
        return json_answer(
            octoprint.profiles(
                request.target.name, has.extruders, bed=has.bed, chamber=has.chamber
            )
        )

    async def _list(self, request: _Request) -> HttpResponse:
        target = request.target
        return json_answer(
            octoprint.files_document(
                target.store.list(), target.store.free, request.base
            )
        )

    async def _show_file(self, request: _Request) -> HttpResponse:
        file = request.target.store.get(request.route.path)
        return json_answer(octoprint.file_document(file, request.base))

    async def _delete(self, request: _Request) -> HttpResponse:
        await request.target.store.delete(request.route.path)
        return HttpResponse(status=204)

    async def _file_command(self, request: _Request) -> HttpResponse:
        starts = octoprint.file_command(await request.json())
        file = request.target.store.get(request.route.path)
        if starts:
            # Cura's plugin sends this after some uploads, so it waits in the queue too.
            await request.target.submit(file, start=True, source="upload")
            return HttpResponse(status=204)
        return await self._command(request, "job", octoprint.selection(file.path))

    async def _job_command(self, request: _Request) -> HttpResponse:
        phase = str(request.target.state()["state"])
        command = octoprint.job_command(await request.json(), phase)
        return await self._command(request, "job", {"command": command})

    async def _printer_command(self, request: _Request) -> HttpResponse:
        topic = octoprint.COMMANDS[request.route.resource]
        document = await request.json()
        document.pop("id", None)  # every request gets its own answer here
        return await self._command(request, topic, document)

    async def _command(
        self, request: _Request, topic: str, document: Mapping[str, object]
    ) -> HttpResponse:
        """Execute a command; a long one continues after the response."""
        result = await self._result(request, topic, document)
        if result.code < HTTPStatus.BAD_REQUEST:
            return HttpResponse(status=204)
        return error_answer(result.code, result.message, request.head)

    async def _result(
        self, request: _Request, topic: str, document: Mapping[str, object]
    ) -> CommandResult:
        payload = json.dumps(document).encode()
        task = asyncio.ensure_future(request.target.command(topic, payload))
        self._commands.add(task)
        task.add_done_callback(self._commands.discard)
        await asyncio.wait({task}, timeout=COMMAND_WAIT)
        return task.result() if task.done() else CommandResult(code=200)

    async def _upload(self, request: _Request) -> HttpResponse:
        """Store a file, and print it if its sender wants that."""
        self._check_size(request)
        form = _UploadForm(request, self._pace)
        if self.uploads >= MAX_UPLOADS:
            raise HttpError(503, "too many uploads at a time; try again")
        self.uploads += 1
        try:
            path = await form.path()
            file = await request.target.store.receive(path, form.content())
        finally:
            self.uploads -= 1
        log.info("%s was uploaded: %d bytes", file.path, file.size)
        submitted, selected = Submitted(), False
        try:
            submitted = await request.target.submit(
                file, start=form.prints, source="upload"
            )
        except CommandError as error:
            # The file is stored; an error would look like a failed upload.
            submitted = Submitted(reason=error.message)
            log.warning("%s was stored, and is not printed: %s", file.path, error)
        if form.selects and not form.prints:
            result = await self._result(request, "job", octoprint.selection(file.path))
            selected = result.code < HTTPStatus.BAD_REQUEST
            if not selected:
                submitted = Submitted(reason=result.message)
        return json_answer(
            octoprint.uploaded(file, submitted, request.base, selected=selected),
            201,
            {"Location": octoprint.file_url(request.base, file.path)},
        )

    @staticmethod
    def _check_size(request: _Request) -> None:
        """Refuse what is too large, before any of it is sent.

        Raises:
            HttpError: It is larger than allowed (413), or than the disk (507).

        """
        length, target = request.head.length, request.target
        if length is None:
            return
        if length > target.largest + FORM_ROOM:
            most = target.largest // 2**20
            raise HttpError(
                413, f"the file is larger than {most} MiB (files.max_upload)"
            )
        if length > target.store.free + FORM_ROOM:
            raise HttpError(507, "there is no room for the file on gcode2mqtt's disk")


class _UploadForm:
    """Reads the form of one upload.

    Args:
        request: the request; its body was not read yet.
        pace: of all uploads.

    """

    def __init__(self, request: _Request, pace: Pace) -> None:
        self._pace = pace
        self._parser = FormParser(request.head.header("content-type"))
        limit = request.target.largest + FORM_ROOM
        self._pieces = request.body.pieces(limit)
        self._fields: dict[str, str] = {}
        self._folder = ""
        self._waiting: list[bytes] = []

    async def path(self) -> str:
        """Read until the file begins, and return where it is to be stored.

        Raises:
            HttpError: The form is damaged, or has no file (400).

        """
        path = ""
        async for piece in self._pieces:
            for event in self._parser.feed(piece):
                if isinstance(event, FileStart):
                    self._folder = self._fields.get("path", "")
                    path = octoprint.joined(self._folder, event.filename)
                else:
                    self._take(event)
            if path:
                return path
        self._parser.close()
        raise HttpError(400, "the form has no file")

    async def content(self) -> AsyncIterator[bytes]:
        """Yield the file; then read the rest of the form.

        Raises:
            HttpError: The form is damaged, or ends too early: the file is not complete.

        """
        while True:
            for block in self._waiting:
                yield block
            self._waiting.clear()
            piece = await anext(self._pieces, None)
            if piece is None:
                break
            begun = time.perf_counter()
            for event in self._parser.feed(piece):
                self._take(event)
            await self._pace.rest(len(piece), time.perf_counter() - begun)
        self._parser.close()
        if self._fields.get("path", "") != self._folder:
            # The file is on its way to another folder already.
            raise HttpError(400, "the part path must come before the part file")

    def _take(self, event: FormEvent) -> None:
        match event:
            case FormField(name, value):
                self._fields[name] = value
            case bytes():
                self._waiting.append(event)
            case _:
                pass  # the file begins or ends

    @property
    def prints(self) -> bool:
        """Whether the file is to be printed; known once the form was read."""
        return octoprint.is_true(self._fields.get("print"))

    @property
    def selects(self) -> bool:
        """Whether the file is to be selected, likewise; printing it does so as well."""
        return octoprint.is_true(self._fields.get("select"))
