"""Questions that the printer must answer: never behind the queue of commands."""

import time
from collections.abc import Iterable

from bridge.errors import CommandError, ExpiredError, FailedError
from bridge.printer.control.executor import Run, impatient, transmit
from bridge.printer.control.turns import Turns
from bridge.printer.link.link import Link
from bridge.timeout import timeout


class Questions:
    """Asks between the lines of a command, one at a time, so that both go on.

    Args:
        link: to the printer.
        limit: how many lines may wait.

    """

    def __init__(self, link: Link, limit: int) -> None:
        self._link = link
        self._turns = Turns(limit)
        self.interrupt = self._turns.interrupt

    async def ask(
        self,
        lines: Iterable[str],
        run: Run,
        *,
        expires: float | None,
        within: float | None,
    ) -> None:
        """Send lines that change nothing; ``run`` has what the printer says to them.

        Raises:
            CommandError: As :meth:`Printer.execute` says.

        """
        try:
            async with timeout(within):
                await self._ask(tuple(lines), run, expires)
        except TimeoutError:
            error = impatient(run, within)
            run.gcode.clear()  # taken back, or sent and of no use without its answer
            raise error from None

    async def _ask(
        self, lines: tuple[str, ...], run: Run, expires: float | None
    ) -> None:
        async with self._turns.turn(len(lines)) as interrupted:
            if expires is not None and time.time() >= expires:
                raise ExpiredError("the question waited too long for its turn")
            for line in lines:
                if error := interrupted() or await self._line(line, run):
                    raise error

    async def _line(self, line: str, run: Run) -> CommandError | None:
        session = self._link.session
        if session is None or session.closed:
            return FailedError.disconnected("the printer went away")
        done = await transmit(session, line, run, ahead=True)
        if isinstance(done, FailedError):
            return done
        return FailedError.firmware("; ".join(done.errors)) if done.errors else None
