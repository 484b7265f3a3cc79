"""The firmware's main loop: takes lines and executes them, one at a time."""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from bridge.simulator import (
    card_commands,
    klipper,
    klipper_commands,
    marlin,
    motion_commands,
)
from bridge.simulator.heaters import SimulatedHeater
from bridge.simulator.lines import Receiver
from bridge.simulator.machine import Machine, RefusedError, Steps
from bridge.simulator.personalities import Family

CARD_PACE = 0.002  # seconds; the least that a line from the card takes
MAX_EXECUTED = 100_000  # lines that are remembered, so that a long demo does not grow


@dataclass(frozen=True, slots=True)
class Ways:
    """What a family does in its own way.

    Attributes:
        receiver: its receive buffer.
        accept: removes a line's number, or answers a bad line.
        dispatch: executes a line.
        act_at_once: acts on a line while a command runs.
        room_at: when the card may be read again; until then, the planner is full.
        trip: acts on a heater that does not heat.

    """

    receiver: Callable[[int], Receiver | klipper.KlipperReceiver]
    accept: Callable[[Machine, str, Callable[[], None]], str | None]
    dispatch: Callable[[Machine, str], Steps | None]
    act_at_once: Callable[..., None]
    room_at: Callable[[Machine], float]
    trip: Callable[[Machine, SimulatedHeater], None]


WAYS = {
    Family.MARLIN: Ways(
        receiver=Receiver,
        accept=marlin.accept,
        dispatch=marlin.dispatch,
        act_at_once=marlin.act_at_once,
        room_at=motion_commands.room_at,
        trip=marlin.trip,
    ),
    Family.KLIPPER: Ways(
        receiver=klipper.KlipperReceiver,
        accept=klipper.accept,
        dispatch=klipper.dispatch,
        act_at_once=klipper.act_at_once,
        room_at=klipper_commands.room_at,
        trip=klipper.trip,
    ),
}


@dataclass(slots=True)
class Runner:
    """Executes one command after the other.

    Attributes:
        machine: whose commands they are.
        executed: the host's lines that were executed.
        receiver: what has arrived.

    """

    machine: Machine
    ways: Ways
    executed: list[str]
    receiver: Receiver | klipper.KlipperReceiver
    _queue: deque[tuple[str, int | None]] = field(default_factory=deque)
    _steps: Steps | None = None
    _wake: float = math.inf
    _busy_at: float = math.inf
    _card_at: float = -math.inf

    @property
    def due(self) -> float:
        """When there is something to do."""
        machine = self.machine
        if self._steps is not None:
            return min(self._wake, self._busy_at)
        if machine.card.printing:
            if machine.card.at_end:
                return max(self._card_at, machine.motion.ends_at(self._card_at))
            return max(self._card_at, self.ways.room_at(machine))
        return math.inf

    @property
    def idle(self) -> bool:
        """Whether nothing is being executed."""
        return self._steps is None

    def receive(self, data: bytes) -> None:
        """Take bytes and do what can be done at once."""
        early = self.receiver.feed(data)
        running = self._steps is not None
        if early and running:
            self._heed(early)
        self.work()
        if early and not running:
            self._heed([event for event in early if event[0] == "M112"])

    def _heed(self, early: list[tuple[str, int | None]]) -> None:
        for code, answer in early:
            if not self.machine.stopped:
                running = self._steps is not None
                self.ways.act_at_once(self.machine, code, answer, running=running)
        self.wake()

    def wake(self) -> None:
        """Let the running command check whether it was released or stopped."""
        if self.machine.stopped or (self.machine.shutdown and self._steps):
            self._drop()
        if self._steps is not None:
            self._wake = self.machine.now
            self._go_on()

    def _drop(self) -> None:
        if self._steps is not None:
            self._steps.close()
            self._end()

    def run(self) -> None:
        """Do what is due."""
        machine = self.machine
        if self._steps is not None and self._wake <= machine.now:
            self._go_on()
        if self._steps is not None and self._busy_at <= machine.now:
            self._busy_at += machine.busy_interval
            waits = "paused for user" if machine.user_wait else "processing"
            machine.say(f"echo:busy: {waits}")
        self.work()

    def forget(self, before: float) -> None:
        """Leave out the ``busy`` messages that were due before."""
        self._busy_at = max(self._busy_at, before)

    def work(self) -> None:
        """Execute whatever can be executed now."""
        machine = self.machine
        while self._steps is None and not machine.stopped:
            if machine.injected:
                machine.number = None
                self._execute(machine.injected.pop(0), host=False)
                continue
            self._fill()
            if self._queue and not machine.stopped:
                line, machine.number = self._queue.popleft()
                self._execute(line, host=True)
            elif machine.stopped or not self._print():
                return

    def _fill(self) -> None:
        machine = self.machine
        if machine.now < machine.deaf_until:
            return
        while len(self._queue) < marlin.QUEUE and not machine.stopped:
            line = self.receiver.next_line()
            if line is None:
                return
            command = self.ways.accept(machine, line, self.receiver.flush)
            if command is not None:
                self._queue.append((command, machine.number))

    def _execute(self, line: str, *, host: bool) -> bool:
        machine = self.machine
        machine.quiet, machine.answered, machine.running = not host, False, line
        if host and machine.personality.ok_first:
            machine.ok()
        try:
            steps = self.ways.dispatch(machine, line)
        except RefusedError as refusal:
            self._refuse(refusal)
            self._acknowledge()
            return False
        if host and line:
            self._remember(line)
        if steps is None:
            self._acknowledge()
        else:
            self._begin(steps)
        return True

    def _remember(self, line: str) -> None:
        if len(self.executed) >= MAX_EXECUTED:
            del self.executed[: MAX_EXECUTED // 2]
        self.executed.append(line)

    def _refuse(self, refusal: RefusedError) -> None:
        for line in refusal.args:
            self.machine.say(line)

    def _acknowledge(self) -> None:
        if not self.machine.answered and not self.machine.stopped:
            self.machine.ok()

    def _begin(self, steps: Steps) -> None:
        machine = self.machine
        self._steps = steps
        if machine.personality.busy and machine.busy_interval:
            self._busy_at = machine.now + machine.busy_interval
        self._go_on()

    def _go_on(self) -> None:
        steps = self._steps
        try:
            self._wake = next(steps) if steps else math.inf
        except StopIteration:
            self._end()

    def _end(self) -> None:
        self._steps, self._wake, self._busy_at = None, math.inf, math.inf
        self.machine.user_wait = False
        self._acknowledge()
        self.machine.running = ""

    def _print(self) -> bool:
        machine, card = self.machine, self.machine.card
        if not card.printing or self._card_at > machine.now:
            return False
        if not card.inserted:
            machine.quiet, machine.answered = True, False
            self._begin(card_commands.unreadable(machine))
            return True
        machine.motion.settle(machine.now)
        if self.ways.room_at(machine) > machine.now:
            return False
        position, line = card.position, card.next_line()
        if line is None:
            if not machine.motion.moves:
                card.close()
                machine.say("Done printing file")
            return False
        self._card_at = machine.now + CARD_PACE / machine.speed
        machine.number = None
        done = not line or self._execute(line, host=False)
        if not done and machine.personality.family is Family.KLIPPER:
            card.position, card.printing, card.paused = position, False, True
        return True


def start(machine: Machine, executed: list[str]) -> Runner:
    """Return the main loop of a machine that was just switched on."""
    ways = WAYS[machine.personality.family]
    if machine.personality.family is Family.KLIPPER:
        klipper.boot(machine)
    room = machine.options.get("room", marlin.ROOM)
    return Runner(machine, ways, executed, ways.receiver(room))
