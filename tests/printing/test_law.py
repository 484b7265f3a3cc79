"""The law of a print: each line of the file that is not a comment arrives exactly once
and in order, on every firmware, through noise, pauses, cancels and commands.

A print that cannot continue has failed, and the beginning of the file has arrived.
``scripts/law`` runs as many examples as you like, and ``scripts/law --whole 1`` prints
all files of the corpus from their first line to their last on every firmware.
"""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from random import Random

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from bridge.gcode.dialects import DIALECTS, Dialect
from bridge.gcode.events import Connected, Event, LinkFailed, Restarted
from bridge.gcode.line import Line, code_of, of_file
from bridge.printer.printing.feed import HOST_PAUSES, Feed
from bridge.printer.printing.objects import Objects
from bridge.printer.printing.tracker import Tracker
from bridge.simulator.faults import FaultRates, draw
from bridge.simulator.firmware import Firmware
from bridge.simulator.personalities import PERSONALITIES
from tests.support.conversation import STEPS, Conversation
from tests.support.corpus import NAMES, printable

EXAMPLES = max(1, int(os.environ.get("LAW_EXAMPLES", "40")) // 20)  # of each firmware
WINDOW = 90
"""Lines of a file in one example, from anywhere in it."""

WHOLE_FILES = int(os.environ.get("LAW_WHOLE_FILES", "0"))
"""How often each firmware prints each file whole; 0: a few do it once."""

WHOLE_CASES = (
    [(family, name) for family in PERSONALITIES for name in NAMES]
    if WHOLE_FILES
    else [("marlin", "ps_two_tools"), ("prusa", "ps_mk3"), ("klipper", "ps_mk3")]
)

NOISE = FaultRates(corrupt=0.004, lose_byte=0.003, lose=0.003)
"""One line in a hundred is damaged or lost, in both directions."""

WHOLE = FaultRates(split=0.01, delay=0.01)
"""What a link does that loses nothing, for firmwares that do not check the sequence."""

WARM = ("M109 T0 S200", "M109 T1 S200", "G28")
"""Before a part of a file: Klipper moves nothing that is cold or not homed."""

PARK = ("G4 P77", "G0 Z7.77 F777", "G0 Z5.55 F555")
COMMANDS = ("M220 S77", "M106 P1 S77", "M117 hello", "M105")
"""What no file of the corpus has, apart from queries."""

law = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


@cache
def lines_of(name: str, family: str) -> tuple[str, ...]:
    """Return the lines of a file that a firmware's family can be sent."""
    texts = printable()[name].decode("latin-1").splitlines()
    return tuple(text for text in texts if is_sendable(text, family))


def is_sendable(text: str, family: str) -> bool:
    try:
        line = of_file(text, family)
    except ValueError:
        return False  # such a file is refused when it is stored
    return line is None or line.code not in HOST_PAUSES


def as_it_is(line: Line, _where: str) -> Line:
    return line


@dataclass(frozen=True, slots=True)
class Act:
    """Something that happens when so many lines of the file were acknowledged."""

    after: int
    what: str


class Print(Conversation):
    """A print over an unreliable cable, in virtual time."""

    def __init__(
        self,
        dialect: Dialect,
        text: str,
        acts: Iterable[Act],
        rates: FaultRates,
        seed: int,
    ) -> None:
        super().__init__(
            dialect,
            dialect.name,
            to_printer=draw(rates, seed),
            to_host=draw(rates, seed + 1),
            streamed=True,
            speed=1000.0,
            extruders=2,
        )
        self.feed = Feed(Tracker(dialect), Objects(), dialect, clean=as_it_is)
        data = text.encode("latin-1")
        self._blocks: Iterator[bytes] = iter(
            [*(data[i : i + 777] for i in range(0, len(data), 777)), b""]
        )
        self._lines = text.count("\n")
        self._acts = sorted(acts, key=lambda act: act.after)
        self.acknowledged = 0
        self.failed = self.cancelled = self._asked_pause = False
        self._queue: list[str] = []

    def print(self) -> None:
        """Print the file until its end."""
        self._say(self.firmware.reset(self.now))
        for _ in range(max(STEPS, 40 * self._lines)):
            self._act()
            self._pour()
            while self._queue and len(self._tickets) < 1:
                self._type(self._queue.pop(0))
            busy = self._step() or self._tickets or self._queue
            if not busy and (self.over or self.failed):
                self._say(self.firmware.handle_time(self.now + 120))
                return
            if self.failed and not self._tickets:
                return
        raise AssertionError(f"no end: {self.events[-10:]}")

    @property
    def over(self) -> bool:
        ended = self.feed.stop is not None and self.feed.stop.because == "end"
        return self._idle and (ended or self.cancelled)

    @property
    def _idle(self) -> bool:
        stream = self._stream
        return stream is None or (stream.over and not self._pulled)

    def _act(self) -> None:
        while self._acts and self._acts[0].after <= self.acknowledged:
            match self._acts.pop(0).what:
                case "pause":
                    self.feed.asked = self._asked_pause = True
                case "cancel":
                    self.feed.asked = self.cancelled = True
                case command:
                    self._queue.append(command)

    def _pour(self) -> None:
        if not self._idle or self.failed or self.over or not self.protocol.connected:
            return
        if self._asked_pause:
            self._asked_pause = False
            self._queue += PARK
        elif not self._queue and not self._tickets:
            self._stream = self.protocol.stream(
                self.feed.source(lambda: next(self._blocks)), behind=True
            )

    def _step(self) -> bool:
        stream, self._stream = self._stream, None
        moved = super()._step()  # without the lines that it would compare
        self._stream = stream if self._stream is None else self._stream
        if self._stream is not None:
            self._pulled.extend(line.text for line in self._stream.pulled)
            self._stream.pulled.clear()
        return moved

    def _hear(self, events: Iterable[Event]) -> None:
        for event in events:
            match event:
                case LinkFailed() | Restarted():
                    self.failed = True
                    self.feed.asked = True
                case Connected():
                    self.protocol.dialect = self.dialect
                case _:
                    before = len(self._pulled)
                    super()._hear([event])
                    if len(self._pulled) < before and not self.told.failed:
                        self.acknowledged += 1
                        self.feed.done()
            self.failed = self.failed or bool(self.told.failed)


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a file, and what happens while it is printed."""

    name: str
    start: float
    seed: int
    acts: list[Act] = field(default_factory=list)


windows = st.builds(
    Window,
    name=st.sampled_from(NAMES),
    start=st.floats(0, 1),
    seed=st.integers(0, 10**6),
    acts=st.lists(
        st.builds(
            Act,
            after=st.integers(0, WINDOW),
            what=st.sampled_from(["pause", "pause", *COMMANDS, "cancel"]),
        ),
        max_size=4,
    ),
)


@pytest.mark.parametrize("family", PERSONALITIES)
@law
@given(window=windows)
def test_each_line_arrives_once_and_in_order(family: str, window: Window) -> None:
    lines = lines_of(window.name, family)
    first = int(window.start * max(0, len(lines) - WINDOW))
    lines = lines[first : first + WINDOW]
    assume(arrives_once(family, lines, window.acts, window.seed) is not None)


@pytest.mark.parametrize(("family", "name"), WHOLE_CASES)
def test_each_line_of_a_whole_file_arrives_once(family: str, name: str) -> None:
    """With 1 % noise where it is noticed, and something at twenty random moments."""
    lines, whole = lines_of(name, family), 0
    for seed in range(0, 1000 * max(1, WHOLE_FILES), 1000):
        chance = Random(f"{family} {name} {seed}")  # noqa: S311 - no secret
        acts = [
            Act(chance.randrange(len(lines)), chance.choice(("pause", *COMMANDS)))
            for _ in range(20)
        ]
        if chance.random() < 0.25:
            acts.append(Act(chance.randrange(len(lines)), "cancel"))
        work = arrives_once(family, lines, acts, seed)
        if work is not None:
            ended = "failed" if work.failed else "over"
            ended = "cancelled" if work.cancelled else ended
            print(f"{family} {name} {seed}: {ended}, {work.acknowledged} lines")  # noqa: T201 - figures
            whole += 1
    assert whole, "each was forged or halted"


_OK = re.compile(rb"^ok", re.MULTILINE)


def cold(lines: Iterable[str]) -> list[str]:
    """Return the lines that do not push the extruder."""
    return [line for line in lines if " E" not in line]


def carried_out(family: str, lines: Sequence[str]) -> list[str]:
    """Return what a firmware carries out of lines that are typed in one by one.

    It leaves out what it does not know, or refuses.
    """
    firmware = Firmware(family, speed=1000.0, extruders=2)
    now = 0.0
    firmware.reset(now)
    for line in lines:
        said = firmware.receive_data(f"{line}\n".encode("latin-1"), now)
        while not _OK.search(said):
            due = firmware.next_event(now)
            assert due is not None, line
            now = max(now, due)
            said += firmware.handle_time(now)
    return firmware.executed


def arrives_once(
    family: str, lines: Iterable[str], acts: Iterable[Act], seed: int
) -> "Print | None":
    """Print lines, and check the law; ``None``: the noise has forged a line."""
    dialect = DIALECTS[family]
    texts = (*WARM, *lines)
    parsed = [of_file(text, family) for text in texts]
    expected = [line.text for line in parsed if line is not None]
    rates = NOISE if dialect.checks_sequence else WHOLE
    text = "".join(f"{line}\n" for line in texts)
    work = Print(dialect, text, acts, rates, seed)
    work.print()
    if work.forged or work.firmware.halted:
        return None
    own = {"M110", "M105"}  # numbering and queries
    arrived = [
        line
        for line in work.executed
        if line not in {*PARK, *COMMANDS} and code_of(line) not in own
    ]
    due = [line for line in carried_out(family, expected) if code_of(line) not in own]
    if family == "klipper":  # whether it is too cold to extrude depends on the time
        rest = iter(expected)
        assert all(line in rest for line in arrived), "once, in order"
        arrived, due = cold(arrived), cold(due)
    assert arrived == due[: len(arrived)], "once, in order"
    if not work.failed and not work.cancelled:
        assert len(arrived) == len(due), "all of them"
        assert work.acknowledged == len(expected)
        assert (work.feed.line, work.feed.byte) == (len(texts), len(text))
    return work
