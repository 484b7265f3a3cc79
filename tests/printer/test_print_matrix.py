"""What becomes of a print, in each state, with each incident, on each family.

The cells are generated: :func:`expected` is the rule, and no cell has its own value.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from bridge.config import PrinterConfig
from bridge.gcode.dialects import DIALECTS, Dialect
from bridge.gcode.events import Connected, Restarted
from bridge.gcode.reply_parser import parse_reply
from bridge.printer.knowledge.events import StateEvent
from bridge.printer.knowledge.history import History
from bridge.printer.knowledge.observer import Observer
from bridge.printer.knowledge.print_record import record
from bridge.printer.link.events import Closed, Opened, PortAddress, Ready
from bridge.printer.link.identity import Identity
from bridge.printer.link.wire_log import WireLog
from bridge.printer.published.safety_flags import attention
from bridge.simulator.personalities import PERSONALITIES
from tests.support.cases import case

PLACE = PortAddress("/dev/ttyUSB0", 115_200)
EPOCH = 1_763_831_000.0
SIZE = 1000
ENDS = {"print_done", "print_cancelled", "print_failed"}


@dataclass
class World:
    """A bridge's knowledge of one printer, over restarts of the bridge."""

    dialect: Dialect
    now: float = 1000.0
    events: list[StateEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.observer = self._observer()
        self.connect()
        self.says("T:20 /0 B:20 /0")

    def _observer(self) -> Observer:
        return Observer(
            PrinterConfig(),
            history=History(1),
            wire=WireLog(lambda _: None),
            clock=lambda: self.now,
            on_change=lambda: None,
            on_event=self.events.append,
        )

    def connect(self) -> None:
        """Open the port, and identify the firmware."""
        self.observer.handle(Opened(PLACE))
        self.observer.handle(Connected())
        self.observer.handle(Ready(Identity(self.dialect), PLACE))

    def says(self, *lines: str) -> None:
        """Have the firmware say lines, a second apart."""
        for line in lines:
            self.now += 1
            for reply in parse_reply(line, self.dialect):
                self.observer.handle(reply)

    def sends(self, *lines: str) -> None:
        """Have the bridge send lines that are acknowledged at once."""
        for line in lines:
            self.observer.line_sent(line)
            self.observer.line_acknowledged()

    def restart(self) -> None:
        """Kill the bridge, and start it again after a minute."""
        kept = record(self.observer.state, now=self.now, epoch=EPOCH)
        self.now += 60
        self.observer = self._observer()
        self.observer.restore(kept, EPOCH)

    @property
    def phase(self) -> str:
        """What the print does."""
        return self.observer.state.job.phase


def bytes_(*places: int) -> list[str]:
    return [f"SD printing byte {place}/{SIZE}" for place in places]


# The states, each reached by the family's own words


def _starting(world: World) -> None:
    world.says(f"File opened: a.gco Size: {SIZE}", "File selected")
    world.sends("M24")


def _printing(world: World) -> None:
    _starting(world)
    world.says(*bytes_(0, 100, 200))


def _heating(world: World) -> None:
    _starting(world)
    world.says(*bytes_(0, 100))
    world.now += 10
    world.says("T:20 /200 B:20 /60")


def _pausing(world: World) -> None:
    _printing(world)
    world.observer.line_sent(world.dialect.pause[0])


def _paused(world: World) -> None:
    _printing(world)
    world.sends(*world.dialect.pause)


def _resuming(world: World) -> None:
    _paused(world)
    world.sends(*world.dialect.resume)


def _cancelling(world: World) -> None:
    _printing(world)
    world.sends(*(world.dialect.cancel or ("M0",)))


def _finishing(world: World) -> None:
    _printing(world)
    world.says(*bytes_(SIZE))


def _idle(world: World) -> None:
    world.says("Not SD printing")


def _hot(world: World) -> None:
    world.says("Not SD printing", "T:20 /0 B:55 /60")


def _error(world: World) -> None:
    world.observer.emergency_stopped("somebody wanted it")


STATES: dict[str, Callable[[World], None]] = {
    name.removeprefix("_"): setup
    for name, setup in list(globals().items())
    if name.startswith("_") and callable(setup) and not name.startswith("__")
}
PRINTS = set(STATES) - {"idle", "hot", "error"}


# The incidents


def _idle_words(world: World) -> None:
    world.says(*["Not SD printing"] * 3)


def _goes_on(world: World) -> None:
    """Have the firmware say what it says of a print that was not interrupted."""
    match world.phase:
        case "idle":
            world.says("Not SD printing")
        case "paused":
            prusa = world.dialect.name == "prusa"
            world.says(*["SD print paused"] if prusa else bytes_(200, 200))
        case "cancelling":
            _idle_words(world)
        case "finishing":
            world.says(*bytes_(SIZE, SIZE))
        case _:
            world.says(*bytes_(300, 400))


def power_cut(world: World) -> None:
    world.observer.handle(Closed("the port is gone"))
    world.now += 3600
    world.connect()
    world.says("T:20 /0 B:20 /0")
    _idle_words(world)


def firmware_reset(world: World) -> None:
    world.observer.handle(Restarted())
    world.observer.handle(Ready(Identity(world.dialect), PLACE))
    world.says("T:20 /0 B:20 /0")
    _idle_words(world)


def cable_pulled(world: World) -> None:
    world.observer.handle(Closed("the port is gone"))
    world.now += 60
    world.connect()
    _goes_on(world)


def reconnect(world: World) -> None:
    world.observer.handle(Closed("closed", "reconnect"))
    world.now += 3
    world.connect()
    _goes_on(world)


def bridge_killed(world: World) -> None:
    world.restart()
    world.connect()
    _goes_on(world)


def bridge_killed_and_power_cut(world: World) -> None:
    world.restart()
    world.now += 3600
    world.connect()
    world.says("T:20 /0 B:20 /0")
    _idle_words(world)


def killed_while_away(world: World) -> None:
    world.observer.handle(Closed("the port is gone"))
    world.now += 60
    world.restart()
    world.connect()
    _goes_on(world)


def frozen(world: World) -> None:
    world.now += 600
    _goes_on(world)


def switched_off_as_announced(world: World) -> None:
    world.observer.handle(Closed("released", "released"))
    world.now += 3600
    world.connect()
    world.says("T:20 /0 B:20 /0")
    _idle_words(world)


def broker_away(world: World) -> None:
    """Lose the broker, which the printer knows nothing of."""
    world.now += 600
    _goes_on(world)


def broker_away_and_back(world: World) -> None:
    broker_away(world)
    world.says("T:20 /0 B:20 /0")
    _goes_on(world)


def reload(world: World) -> None:
    """Replace the settings of a printer that continues."""
    profile = {"max_temperature": {"bed": 90}, "idle_heaters": 60}
    settings = {"name": "Other", "profile": profile, "blocked": {"M500": "no"}}
    world.observer.configure(PrinterConfig.model_validate(settings))
    _goes_on(world)


def reload_of_the_link(world: World) -> None:
    """Change what needs another link, which waits for the end of a print."""
    if not world.observer.state.job.active:
        world.restart()
        world.connect()
    _goes_on(world)


INCIDENTS: dict[str, Callable[[World], None]] = {
    incident.__name__: incident
    for incident in (
        power_cut,
        firmware_reset,
        cable_pulled,
        reconnect,
        bridge_killed,
        bridge_killed_and_power_cut,
        killed_while_away,
        frozen,
        switched_off_as_announced,
        broker_away,
        broker_away_and_back,
        reload,
        reload_of_the_link,
    )
}
ENDS_PRINT = {
    "power_cut": "connection_lost",
    "firmware_reset": "printer_reset",
    "bridge_killed_and_power_cut": "connection_lost",
    "switched_off_as_announced": "connection_lost",
}
"""Incidents that end a print, and the reason of its failure."""

ALARMING = {"power_cut", "cable_pulled", "killed_while_away"}
"""Incidents that are an error as soon as they happen, if anything is at stake."""

UNNOTICED = {"frozen", "broker_away", "broker_away_and_back", "reload"}
"""Incidents in which the bridge and the printer stay connected."""


@dataclass(frozen=True)
class Cell:
    """What is right.

    Attributes:
        outcome: how the print ended, and why; ``None``: it continues, or there is none.
        errors: the reasons of the errors that are reported.
        attention: what is left of it in the end.

    """

    outcome: tuple[str, str] | None
    errors: tuple[str, ...]
    attention: str


def expected(state: str, incident: str) -> Cell:
    """Return what is right; the rule of ``docs/prints.md``."""
    reason = ENDS_PRINT.get(incident)
    outcome: tuple[str, str] | None = None
    if state == "cancelling":
        outcome = ("cancelled", "")
    elif state == "finishing" and reason == "connection_lost":
        outcome = ("done", "")
    elif state in PRINTS and reason is not None:
        outcome = ("failed", reason)
    errors: tuple[str, ...] = ()
    if incident in ALARMING and (state in PRINTS or state == "hot"):
        errors += ("connection",)
    if outcome is not None and outcome[0] == "failed":
        errors += (outcome[1],)
    failed = outcome is not None and outcome[0] == "failed"
    stopped = state == "error" and incident in UNNOTICED
    return Cell(outcome, errors, "error" if failed or stopped else "none")


def cells() -> Iterator[tuple[str, str]]:
    for state in STATES:
        for incident in INCIDENTS:
            yield state, incident


def test_the_matrix_is_complete() -> None:
    assert len(STATES) == 11
    assert {"idle", "heating", "printing", "pausing", "paused", "finishing"} < set(
        STATES
    )
    assert {
        *("power_cut", "cable_pulled", "firmware_reset", "bridge_killed", "frozen"),
        *("broker_away", "broker_away_and_back", "reload", "reload_of_the_link"),
    } < set(INCIDENTS)
    assert set(DIALECTS) == set(PERSONALITIES), "each family is simulated"
    assert len(list(cells())) == len(STATES) * len(INCIDENTS)


@pytest.mark.parametrize("family", DIALECTS)
def test_what_becomes_of_a_print(family: str) -> None:
    for state, incident in cells():
        with case(state, incident):
            check(family, state, incident)


def check(family: str, state: str, incident: str) -> None:
    world = World(DIALECTS[family])
    STATES[state](world)
    known = world.observer.state.job
    assert known.active == (state in PRINTS)
    if state in PRINTS:
        assert known.heating == (state == "heating")
        assert world.phase == ("printing" if state == "heating" else state)
    world.events.clear()
    INCIDENTS[incident](world)
    world.says("T:20 /0 B:20 /0")

    right, names = expected(state, incident), [event.name for event in world.events]
    assert "print_started" not in names
    ends = [name for name in names if name in ENDS]
    job = world.observer.state.job
    if right.outcome is None:
        assert ends == []
        assert job.active == (state in PRINTS)
    else:
        assert ends == [f"print_{right.outcome[0]}"]
        assert job.result is not None
        assert (job.result.outcome, job.result.reason) == right.outcome
        assert not job.active
        if incident in ENDS_PRINT:
            assert (job.result.elapsed or 0) < 60, "the time off is no printing time"
    told = [event.data["reason"] for event in world.events if event.name == "error"]
    assert tuple(told) == right.errors
    assert attention(world.observer.state) == right.attention
