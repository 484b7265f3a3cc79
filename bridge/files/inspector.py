"""Lets the worker process read files, one at a time, for all printers."""

import asyncio
import base64
import logging
import sys
from contextlib import suppress
from pathlib import Path

from bridge.errors import FailedError
from bridge.files.check import CheckRules
from bridge.files.slicer_comments import Thumbnail
from bridge.files.stored import FileError, Picture
from bridge.files.worker import Task, WorkerResult
from bridge.timeout import timeout

log = logging.getLogger("bridge.printer")

IDLE = 10.0
"""Seconds without a task after which the worker ends, because it needs about 30 MB."""

KILLED = 5.0
"""Seconds to wait for a killed worker to end. If it is reading from a disk that does
not answer, it ends only when the disk does."""

_LONGEST_ANSWER = 16 * 1024 * 1024  # bytes of one line; a thumbnail is in it as base64
_ATTEMPTS = 2  # the worker may have ended since its last task


class Inspector:
    """The worker process, which is started when it is needed."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._ending: dict[asyncio.Task[int], asyncio.subprocess.Process] = {}
        self._closed = False

    @property
    def process_id(self) -> int | None:
        """The worker's process id; ``None``: there is none at the moment."""
        return None if self._process is None else self._process.pid

    async def inspect(self, path: Path, rules: CheckRules) -> WorkerResult:
        """Return the metadata, the report and the SHA-256 of a file.

        Raises:
            FileError: ``files_unavailable``: it cannot be read.
            FailedError: ``internal_error``: the worker ended.

        """
        return await self._ask(Task(path=str(path), rules=rules))

    async def picture(self, path: Path, thumbnail: Thumbnail) -> Picture | None:
        """Return a thumbnail of a file; ``None``: it is damaged or too large.

        Raises:
            FileError: ``files_unavailable``: the file cannot be read.
            FailedError: ``internal_error``: the worker ended.

        """
        span = (thumbnail.start, thumbnail.end)
        found = (await self._ask(Task(path=str(path), picture=span))).picture
        if found is None:
            return None
        data = base64.b64decode(found.data)
        return Picture(data, found.media_type, found.width, found.height)

    async def close(self) -> None:
        """End the worker, even in the middle of a file; callers get an error."""
        self._closed = True
        await self._end()
        for process in self._ending.values():  # one at the lowest priority takes long
            with suppress(ProcessLookupError):
                process.kill()
        if self._ending:
            await asyncio.wait([*self._ending], timeout=KILLED)

    async def _ask(self, task: Task) -> WorkerResult:
        async with self._turn:
            if self._idle is not None:
                self._idle.cancel()
            try:
                found = await self._exchange(f"{task.model_dump_json()}\n".encode())
            except BaseException:
                await asyncio.shield(asyncio.ensure_future(self._end()))
                raise
            loop = asyncio.get_running_loop()
            self._idle = loop.call_later(IDLE, self._stop)
        if found.error:
            raise FileError.unusable(found.error)
        return found

    async def _exchange(self, request: bytes) -> WorkerResult:
        for _ in range(_ATTEMPTS):
            if self._closed:
                raise FailedError.disconnected("the bridge is shutting down")
            with suppress(ConnectionError):
                if reply := await self._reply(request):
                    return WorkerResult.model_validate_json(reply)
            await self._end()
        log.error("the process that checks files ended twice")
        raise FailedError.internal()

    async def _reply(self, request: bytes) -> bytes:
        process = await self._running()
        if process.stdin is None or process.stdout is None:
            return b""  # never: both are pipes
        process.stdin.write(request)
        await process.stdin.drain()
        return await process.stdout.readline()

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",
                "-m",
                "bridge.files.worker",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=_LONGEST_ANSWER,
                # Linux shares the processor between sessions first; in that of the
                # bridge it would use up the bridge's own share.
                start_new_session=True,
            )
        return self._process

    def _stop(self) -> None:
        """Let the worker end by itself."""
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            process.stdin.close()
            ending = asyncio.ensure_future(process.wait())
            self._ending[ending] = process
            ending.add_done_callback(self._ending.pop)

    async def _end(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.kill()
        with suppress(TimeoutError):
            async with timeout(KILLED):
                await process.wait()
