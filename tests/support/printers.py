"""Printers behind a real pseudo-terminal, each in its own thread.

So they continue while a test waits, and between tests.
"""

import asyncio
import os
import re
import select
import threading
import tty
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from bridge.simulator.firmware import Firmware
from bridge.simulator.serve import PtyServer, pty_server
from tests.support.waiting import DEADLINE

Result = TypeVar("Result")

POLLS = frozenset({"M105", "M27", "M114", "M155", "M115"})
"""Codes that the bridge sends on its own initiative."""

_FRAME = re.compile(rb"(?:N\d+ ?)?(.*?)(?:\*\d+)?")


def unframed(line: bytes) -> str:
    """Return a line of the host without its number and checksum."""
    match = _FRAME.fullmatch(line.strip())
    assert match is not None
    return match[1].strip().decode("latin-1")


class Wire:
    """What went over the line, from the printer's point of view."""

    def __init__(self) -> None:
        self.chunks: list[tuple[str, bytes]] = []

    def add(self, direction: str, data: bytes) -> None:
        """Record what the host (``>``) or the printer (``<``) sent."""
        self.chunks.append((direction, data))

    def heard(self, since: int = 0) -> list[bytes]:
        """Return what the host sent, starting at a chunk."""
        return [data for side, data in self.chunks[since:] if side == ">"]

    def sent(self, since: int = 0) -> list[str]:
        """Return the host's lines, without its polls, starting at a chunk."""
        said = b"".join(self.heard(since))
        lines = [unframed(line) for line in said.splitlines() if line.strip()]
        return [line for line in lines if line.split()[0] not in POLLS]

    def most_in_flight(self, since: int = 0) -> int:
        """Return the number of unacknowledged lines over time, starting at a chunk."""
        most = flying = 0
        for direction, data in self.chunks[since:]:
            for line in data.splitlines():
                if direction == ">":
                    flying += bool(line.strip())
                elif line.startswith(b"ok"):
                    flying = max(flying - 1, 0)
                most = max(most, flying)
        return most


class SimulatedPrinter:
    """The simulated firmware, in real time.

    Args:
        url: its personality and options, ``simulator://…``.
        link: where its port appears.

    """

    def __init__(self, url: str, link: Path) -> None:
        self.link = link
        self.wire = Wire()
        self.firmware = Firmware.from_url(url)
        self._loop = asyncio.new_event_loop()
        self._server: PtyServer | None = None
        self._ready, self._over = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(
            target=self._live,
            name=f"printer {link.name}",
            daemon=True,  # one that hangs must not keep the test run alive
        )
        self._thread.start()
        assert self._ready.wait(DEADLINE)

    def press(self, action: str, *arguments: str | float) -> None:
        """Do something at the printer; see :meth:`Firmware.panel`."""
        self._do(lambda server: server.clock.press(action, *arguments))

    def says(self, text: str) -> None:
        """Have it say a line by itself."""
        self._do(lambda server: server.clock.send(f"{text}\n".encode()))

    def reset(self) -> None:
        """Press its reset button."""
        self._do(lambda server: server.clock.reset())

    def plug(self) -> None:
        """Plug its cable in."""
        self._do(lambda server: server.plug())

    def unplug(self) -> None:
        """Pull its cable."""
        self._do(lambda server: server.unplug())

    def close(self) -> None:
        """Switch it off."""
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(DEADLINE)
        self._loop.close()

    def _do(self, what: Callable[[PtyServer], Result]) -> Result:
        async def work() -> Result:
            assert self._server is not None
            return what(self._server)

        return asyncio.run_coroutine_threadsafe(work(), self._loop).result(DEADLINE)

    def _live(self) -> None:
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        async with pty_server(self.firmware, self.link, wire=self.wire.add) as server:
            self._server = server
            self._ready.set()
            await self._over.wait()


class ScriptedPrinter:
    """Records lines and replies ``ok``, unless configured otherwise.

    Args:
        link: where its port appears.
        answers: what it says before its ``ok``, by code; or all that it says, where
            that begins with the ``ok``.

    Attributes:
        answers: the same; may be changed.
        held: codes that stay unacknowledged until :meth:`release`.
        silent: it says nothing at all.
        flooded: bytes of nonsense that it has said, see :meth:`flood`.
        mute_at: the code at which it falls silent.

    """

    def __init__(
        self,
        link: Path,
        answers: Mapping[str, str] | None = None,
        *,
        silent: bool = False,
    ) -> None:
        self.link = link
        self.wire = Wire()
        self.held: set[str] = set()
        self.silent = silent
        self.mute_at = ""
        self.answers = dict(answers or {"M115": "FIRMWARE_NAME:Marlin 2.1 (Scripted)"})
        self._owed: list[str] = []
        self._nonsense = b""
        self.flooded = 0
        self._lock = threading.Lock()
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        link.symlink_to(os.ttyname(self._slave))
        self._wake_read, self._wake_write = os.pipe()
        self._thread = threading.Thread(target=self._live, name=f"printer {link.name}")
        self._thread.start()

    def release(self, *codes: str) -> None:
        """Acknowledge the held lines with these codes, or all; stop holding them."""
        with self._lock:
            freed = codes or {*self.held, *self._owed}
            self.held.difference_update(freed)
            self._say("ok\n" * sum(code in freed for code in self._owed))
            self._owed = [code for code in self._owed if code not in freed]

    def says(self, text: str) -> None:
        """Send an unsolicited line."""
        with self._lock:
            self._say(text)

    def flood(self, nonsense: bytes) -> None:
        """Send this repeatedly, as fast as it is read, until the end."""
        self._nonsense = nonsense
        os.write(self._wake_write, b"f")

    def close(self) -> None:
        """Switch it off."""
        os.write(self._wake_write, b"x")
        self._thread.join(DEADLINE)
        self.link.unlink()
        for end in (self._master, self._slave, self._wake_read, self._wake_write):
            os.close(end)

    def _live(self) -> None:
        buffer = b""
        while True:
            talking = [self._master] if self._nonsense else []
            awake = [self._master, self._wake_read]
            ready, room, _ = select.select(awake, talking, [])
            if self._wake_read in ready and os.read(self._wake_read, 1) == b"x":
                return
            if room:
                self.flooded += os.write(self._master, self._nonsense)
            if self._master not in ready:
                continue
            buffer += os.read(self._master, 4096)
            *lines, buffer = buffer.split(b"\n")
            for line in lines:
                with self._lock:
                    self._hear(line)

    def _hear(self, line: bytes) -> None:
        self.wire.add(">", line + b"\n")
        words = unframed(line).split()
        self.silent = self.silent or words[:1] == [self.mute_at]
        if not words or self.silent:
            return
        if words[0] in self.held:
            self._owed.append(words[0])
            return
        answer = self.answers.get(words[0], "ok")
        self._say(f"{answer}\n" if answer.startswith("ok") else f"{answer}\nok\n")

    def _say(self, text: str) -> None:
        if text:
            self.wire.add("<", text.encode())
            os.write(self._master, text.encode())


Printer = SimulatedPrinter | ScriptedPrinter


@contextmanager
def simulated(url: str, link: Path) -> Iterator[SimulatedPrinter]:
    """Run a simulated printer."""
    printer = SimulatedPrinter(url, link)
    try:
        yield printer
    finally:
        printer.close()


@contextmanager
def scripted(
    link: Path, answers: Mapping[str, str] | None = None, *, silent: bool = False
) -> Iterator[ScriptedPrinter]:
    """Run a printer that only replies ``ok``."""
    printer = ScriptedPrinter(link, answers, silent=silent)
    try:
        yield printer
    finally:
        printer.close()
