"""The law of a print, with the printer, its link and the task that prints as they run.

``test_law.py`` has it for the lines and the serial protocol alone. Here a real printer
prints parts of the corpus over a real pseudo-terminal with noise, in virtual time, and
is paused, cancelled, stopped and sent commands at random moments. Each move of the file
arrives exactly once and in order; all of them if nobody has ended the print. To tell
them from those of a pause, each move of a file has a feedrate of its own, and behind
each other line there is a text of its own for the display.
"""

import asyncio
import selectors
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.errors import CommandError
from bridge.gcode.dialects import DIALECTS
from bridge.gcode.line import MOVES, of_file
from bridge.simulator.faults import FaultRates, Faults
from bridge.simulator.firmware import Firmware
from bridge.simulator.personalities import PERSONALITIES
from bridge.simulator.serve import pty_server
from tests.printing.test_law import (
    NOISE,
    WARM,
    WHOLE,
    carried_out,
    is_sendable,
    lines_of,
)
from tests.support.cases import examples
from tests.support.corpus import NAMES
from tests.support.live import Live, live
from tests.support.printing import file_of

WINDOW = 150
"""Lines of a file in one example, from anywhere in it."""

SCRIPTS = {"afterPrintPaused": "G91\nG1 Z2 F600\nG90\nG1 X9 Y9 F6000\nM117 parked\n"}
"""A pause that leaves the head, the modes and the feedrate otherwise."""

MARK = "M117 line "

LONG = 4 * 3600.0
"""Virtual seconds for a print; it takes some minutes."""


class _JumpingSelector(selectors.DefaultSelector):
    """Skips the time in which nothing happens.

    Threads, and what is on its way through a pseudo-terminal, get a moment first.
    """

    def __init__(self) -> None:
        super().__init__()
        self.skipped = 0.0

    def select(
        self, timeout: float | None = None
    ) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready; jump ahead if that is nothing."""
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        ready = super().select(min(timeout, 0.002))
        if not ready:
            self.skipped += timeout
        return ready


class _JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock is ahead of the real one by what was skipped."""

    def __init__(self) -> None:
        self._jumps = _JumpingSelector()
        super().__init__(self._jumps)

    def time(self) -> float:
        """Return the virtual time."""
        return super().time() + self._jumps.skipped


@dataclass(frozen=True, slots=True)
class Act:
    """What somebody does when so many lines have arrived."""

    after: int
    what: str


@dataclass
class Seen:
    """How a print went.

    Attributes:
        executed: what the firmware has carried out.
        outcome: the print's.
        detail: why it has failed.
        done: what was done to it.

    """

    executed: list[str] = field(default_factory=list)
    outcome: str = ""
    detail: str = ""
    done: Counter[str] = field(default_factory=Counter)


class Person:
    """Does things to a print."""

    def __init__(self, it: Live, acts: Sequence[Act]) -> None:
        self._it = it
        self._acts = sorted(acts, key=lambda act: act.after)
        self._tasks: set[asyncio.Task[None]] = set()
        self.arrived = 0
        self.done: Counter[str] = Counter()

    def wire(self, direction: str, data: bytes) -> None:
        """Count lines of the host."""
        if direction == ">":
            self.arrived += data.count(b"\n")
            while self._acts and self._acts[0].after <= self.arrived:
                self._begin(self._acts.pop(0).what)

    def _begin(self, what: str) -> None:
        task = asyncio.get_running_loop().create_task(self._do(what))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _do(self, what: str) -> None:
        if what == "stop":
            self._it.printer.stop()
        with suppress(CommandError):
            match what.split():
                case ["pause", at]:
                    with suppress(CommandError):  # it takes longer
                        await self._it.does("job", command="pause", at=at)
                    await self._resume()
                case ["cancel" | "pause" as command]:
                    await self._it.does("job", command=command)
                case ["target", celsius]:
                    target = {"tool0": int(celsius)}
                    await self._it.does("tool", command="target", targets=target)
                case ["command", *words]:
                    await self._it.does("command", command=" ".join(words))
        self.done[what] += 1

    async def _resume(self) -> None:
        """Resume when it is paused, which is at the end of a layer at the latest."""
        printing = self._it.printer.printing
        while printing.active and printing.progress.phase != "paused":  # noqa: ASYNC110 - in virtual time
            await asyncio.sleep(0.5)
        with suppress(CommandError):  # what heats was turned off meanwhile
            await self._it.does("command", command="G1 E3 F200")
        await self._it.does("job", command="resume")

    async def over(self) -> None:
        """Wait for the end of what was begun."""
        await asyncio.gather(*self._tasks)


def tagged(lines: Sequence[str], family: str) -> list[str]:
    """Return the lines of a file, each with something that no other one has."""
    found = []
    # Some families do not know texts for a display, or read letters in them.
    marks = is_sendable(f"{MARK}0", family) and carried_out(family, [f"{MARK}0"])
    for number, text in enumerate(lines):
        line = of_file(text, family)
        words = [] if line is None else [x for x in line.text.split() if x[0] != "F"]
        if line is None or line.code not in MOVES or len(words) == 1:
            found.append(text)  # a feedrate alone is set again after a pause
            if line is not None and marks:
                found.append(f"{MARK}{number}")
            continue
        found.append(" ".join([*words, f"F{3000 + number / 1000:.3f}"]))
    return found


def is_its_own(text: str) -> bool:
    """Return whether a line is there once, and comes from nobody but the file."""
    return text.startswith(MARK) or ("F3" in text and text.count(" ") > 1)


def sent_of(lines: Sequence[str], family: str) -> list[str]:
    parsed = (of_file(text, family) for text in lines)
    return [line.text for line in parsed if line is not None]


async def printed(
    family: str, lines: Sequence[str], acts: Sequence[Act], seed: int
) -> Seen:
    """Print lines on a simulated printer."""
    rates: FaultRates = NOISE if DIALECTS[family].checks_sequence else WHOLE
    firmware = Firmware(family, extruders=2, speed=20.0)
    with TemporaryDirectory() as name:
        folder, heard = Path(name), []
        # The handshake is not what this is about.
        faults, person = Faults(), None

        def wire(direction: str, data: bytes) -> None:
            heard.append(direction)
            if person is not None:
                person.wire(direction, data)

        file = file_of(folder / "part.gcode", lines)
        serial = {"firmware": family}
        async with (
            pty_server(firmware, folder / "tty", faults=faults, wire=wire),
            live(
                str(folder / "tty"), scripts=SCRIPTS, serial=serial, extruders=2
            ) as it,
        ):
            drawn = Faults.random(rates, seed)
            faults.to_printer, faults.to_host = drawn.to_printer, drawn.to_host
            person = Person(it, acts)
            printing = it.printer.printing
            printing.start(file)
            async with asyncio.timeout(LONG):
                while printing.active:  # noqa: ASYNC110 - in virtual time
                    await asyncio.sleep(1)
                await person.over()
            result = it.printer.state.job.result
            assert result is not None
            return Seen(
                [*firmware.executed], result.outcome, result.detail, person.done
            )


def check(family: str, lines: Sequence[str], acts: Sequence[Act], seed: int) -> Seen:
    """Print lines, and check the law."""
    texts = [*WARM, *tagged(lines, family)]
    with asyncio.Runner(loop_factory=_JumpingLoop) as runner:
        seen = runner.run(printed(family, texts, acts, seed))
    expected = sent_of(texts, family)
    due = [text for text in expected if is_its_own(text)]
    own = {*due}
    arrived = [text for text in seen.executed if text in own]
    assert arrived == due[: len(arrived)], "once, in order"
    ends = {"stop", "cancel"} & {*seen.done}
    assert seen.outcome != "cancelled" or "cancel" in ends
    if seen.outcome == "done":
        assert len(arrived) == len(due), "all of them"
    return seen


ACTS: Mapping[str, Sequence[str]] = {
    "goes on": (
        *("pause now", "pause now", "pause layer", "command M220 S77", "command M105"),
        *("command M117 hello", "target 205", "command G4 P10"),
    ),
    "ends": ("cancel", "stop"),
}
windows = st.tuples(
    st.sampled_from(NAMES),
    st.floats(0, 1),
    st.lists(
        st.builds(
            Act,
            after=st.integers(0, WINDOW),
            what=st.sampled_from([*ACTS["goes on"], *ACTS["ends"]]),
        ),
        max_size=4,
    ),
    st.integers(0, 10**6),
)


@pytest.mark.parametrize("family", PERSONALITIES)
@settings(
    max_examples=max(1, examples() // 40),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(window=windows)
def test_each_move_arrives_once_and_in_order(
    family: str, window: tuple[str, float, list[Act], int]
) -> None:
    name, start, acts, seed = window
    lines = lines_of(name, family)
    first = int(start * max(0, len(lines) - WINDOW))
    check(family, lines[first : first + WINDOW], acts, seed)


@pytest.mark.parametrize("family", ["marlin", "prusa", "klipper"])
def test_a_print_that_is_paused_again_and_again_is_whole(family: str) -> None:
    """The noise does not end it, so it has to be whole."""
    lines = lines_of("ps_cube", family)[600 : 600 + WINDOW]
    acts = [Act(20 * n, ACTS["goes on"][n % 8]) for n in range(1, 8)]
    seen = check(family, lines, acts, 1)
    assert (seen.outcome, seen.detail) == ("done", "")
    assert seen.done["pause now"] >= 1
