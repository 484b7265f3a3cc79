"""A host and a simulated firmware in virtual time, with an unreliable cable between."""

import heapq
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count
from typing import Unpack

from bridge.gcode.dialects import UNKNOWN, Dialect
from bridge.gcode.events import Connected, Done, Event, Failed, LinkFailed
from bridge.gcode.framing import checksum
from bridge.gcode.protocol import Protocol
from bridge.gcode.reply_types import Busy
from bridge.gcode.window import NUMBER_GAP, Stream
from bridge.simulator.faults import Channel, Delivery, Fault
from bridge.simulator.firmware import Firmware
from bridge.simulator.options import Options

STEPS = 40_000
"""What takes more continues forever. Each ``M108`` that arrives as an ``M1`` takes some
2,000, until the host gives up and a person presses the button."""
AFTERWARDS = 120.0  # seconds for the firmware to finish what it has buffered
WAITING = 3  # lines queued on the host at a time
PACE = 7  # steps between two lines that cut in on a stream
POLL = "M105"
URGENT = "M108"


@dataclass(slots=True)
class Told:
    """What the host says became of a script.

    Attributes:
        done: the lines that were taken, in this order.
        failed: the lines that failed.
        sent: those of these that may have been carried out.
        unsure: the last that was done before the link was given up: nobody could make
            sure of it any more.
        resets: how often somebody pressed the printer's reset button.
        conversations: how many it took.

    """

    done: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    sent: set[str] = field(default_factory=set)
    unsure: set[str] = field(default_factory=set)
    resets: int = 0
    conversations: int = 1


class Conversation:
    """Runs until the outcome of every line is known and both sides are idle.

    When the host gives the link up it opens a new conversation with the same firmware,
    as the bridge does, and continues with the lines that were not tried yet.

    Args:
        dialect: what the host knows the firmware for.
        personality: what the firmware is.
        to_printer: what happens to the host's lines.
        to_host: what happens to the firmware's lines.
        late: the host finds out the dialect only when the firmware has answered.
        fused: what arrives at one time arrives in one piece.
        lines_in_flight: how many moves may be in flight together.
        streamed: the lines are pulled from a source, as those of a print.
        options: the firmware's.

    """

    def __init__(  # noqa: PLR0913 - a cable has two directions and two ends
        self,
        dialect: Dialect,
        personality: str,
        *,
        to_printer: Iterable[Fault | None] = (),
        to_host: Iterable[Fault | None] = (),
        late: bool = False,
        fused: bool = False,
        lines_in_flight: int = 1,
        streamed: bool = False,
        **options: Unpack[Options],
    ) -> None:
        self.dialect = dialect
        self.firmware = Firmware(personality, **options)
        self.told = Told()
        self.now = 0.0
        self.transmitted: list[bytes] = []
        self.events: list[Event] = []
        self.forged = False
        """The firmware got a damaged line whose checksum happens to be valid."""
        self._late = late
        self._fused = fused
        self._lines_in_flight = lines_in_flight
        self._streamed = streamed
        self._stream: Stream | None = None
        self._rest: deque[str] = deque()  # to be streamed
        self._pulled: deque[str] = deque()  # of these, and not finished
        self._up = Channel.of(to_printer)
        self._down = Channel.of(to_host)
        self._under_way: list[tuple[float, int, bool, Delivery]] = []
        self._order = count()
        self._number = NUMBER_GAP
        self._tickets: dict[int, str] = {}
        self._arriving = b""
        self._open()

    @property
    def executed(self) -> list[str]:
        """What the firmware executed, including our probes."""
        return self.firmware.executed

    def run(self, script: Iterable[str]) -> Told:
        """Send each of these lines once; ``M105`` with priority, ``M108`` at once."""
        lines = list(script)
        if self._streamed:
            self._rest.extend(line for line in lines if line not in {POLL, URGENT})
            lines = [line for line in lines if line in {POLL, URGENT}]
        self._say(self.firmware.reset(self.now))
        for step in range(STEPS):
            while lines and len(self._tickets) < WAITING:
                if self._rest and step % PACE:
                    break  # it cuts in on the stream a little later
                self._type(lines.pop(0))
            self._pour()
            if not self._step() and not self._tickets and not self._streaming:
                self._say(self.firmware.handle_time(self.now + AFTERWARDS))
                return self.told
        raise AssertionError(f"no end: {self.events[-20:]}")

    @property
    def _streaming(self) -> bool:
        return bool(self._rest or self._pulled)

    def _type(self, line: str) -> None:
        if line == URGENT:
            self.protocol.send_now(line)
            self._send(self._up, self.protocol.urgent_data(self.now), to_host=False)
        else:
            ticket = self.protocol.send(line, ahead=line == POLL)
            self._tickets[ticket] = line

    def _pour(self) -> None:
        """Stream the lines that were not tried yet."""
        stream = self._stream
        if self._rest and (stream is None or stream.over):
            self._stream = self.protocol.stream(iter(list(self._rest)))

    def _open(self) -> None:
        self._stream = None
        self.protocol = Protocol(
            self._first_dialect(),
            first_number=self._number,
            connect_timeout=1000.0,
            lines_in_flight=self._lines_in_flight,
        )

    def _first_dialect(self) -> Dialect:
        return UNKNOWN if self._late else self.dialect

    def _step(self) -> bool:
        """Process the next event; return whether there was one."""
        data = self.protocol.data_to_send(self.now)
        if self._stream is not None:
            for line in self._stream.pulled:
                assert line.text == self._rest.popleft()
                self._pulled.append(line.text)
            self._stream.pulled.clear()
        if data:
            self.transmitted += data.splitlines(keepends=True)
            self._send(self._up, data, to_host=False)
            return True
        arrives = self._under_way[0][0] if self._under_way else None
        alarm = self.protocol.next_timeout()
        wakes = self._wakes()
        quiet = not self._tickets and not self._streaming
        if arrives is None and alarm is None and wakes is None and quiet:
            return False
        speaks = self.firmware.next_event(self.now)
        times = [time for time in (arrives, alarm, speaks, wakes) if time is not None]
        self.now = max(self.now, min(times))
        if arrives is not None and arrives <= self.now:
            self._arrive()
        elif speaks is not None and speaks <= self.now:
            self._say(self.firmware.handle_time(self.now))
        else:
            self._hear(self.protocol.handle_timeout(self.now))
        return True

    def _wakes(self) -> float | None:
        """Return the time of the next event that neither side is waiting for."""

    def _say(self, data: bytes) -> None:
        self._send(self._down, data, to_host=True)

    def _send(self, channel: Channel, data: bytes, *, to_host: bool) -> None:
        for delivery in channel.carry(data, self.now):
            entry = (delivery.at, next(self._order), to_host, delivery)
            heapq.heappush(self._under_way, entry)

    def _arrive(self) -> None:
        at, _, to_host, delivery = heapq.heappop(self._under_way)
        data = delivery.data
        while self._fused and self._goes_with(at, to_host=to_host):
            data += heapq.heappop(self._under_way)[3].data
        if to_host:
            self._hear(self.protocol.receive_data(data, self.now))
            return
        if delivery.reset:
            self._reset()
        self._notice_forgery(data)
        self._say(self.firmware.receive_data(data, self.now))

    def _reset(self) -> None:
        self.told.resets += 1
        self._arriving = b""
        self._say(self.firmware.reset(self.now))

    def _goes_with(self, at: float, *, to_host: bool) -> bool:
        if not self._under_way:
            return False
        time, _, direction, delivery = self._under_way[0]
        return time == at and direction == to_host and not delivery.reset

    def _notice_forgery(self, data: bytes) -> None:
        *lines, self._arriving = (self._arriving + data).split(b"\n")
        for line in lines:
            body, star, given = line.rpartition(b"*")
            whole = star and given.isdigit() and int(given) == checksum(body)
            if whole and line + b"\n" not in self.transmitted:
                self.forged = True

    def _hear(self, events: Iterable[Event]) -> None:
        for event in events:
            self.events.append(event)
            match event:
                case Connected():
                    self.protocol.dialect = self.dialect
                case Done(ticket):
                    self.told.done.append(self._line(ticket))
                case Failed(ticket, sent=sent):
                    line = self._line(ticket)
                    self.told.failed.append(line)
                    self.told.sent |= {line} if sent else set()
                case LinkFailed():
                    self._reopen()
                case Busy("paused for user"):
                    self._press()

    def _line(self, ticket: int) -> str:
        """Return the line whose outcome is known now."""
        if ticket in self._tickets:
            return self._tickets.pop(ticket)
        return self._pulled.popleft()

    def _press(self) -> None:
        """Have a user press the button: a damaged ``M108`` may be an ``M0``."""
        self._say(self.firmware.panel("press", now=self.now))

    def _reopen(self) -> None:
        self._press()
        if self.firmware.halted:  # ``M110``, when damaged, can be ``M112``
            self._reset()
        self._number = self.protocol.next_number + NUMBER_GAP
        self.told.conversations += 1
        self.told.unsure.update(self.told.done[-1:])
        self._hear(self.protocol.halt("disconnected", "the link was given up"))
        self._open()
