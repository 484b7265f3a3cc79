"""What is known of a printer, as its link and its lines come and go."""

from dataclasses import dataclass, field

import pytest

from bridge.config import PrinterConfig, Profile
from bridge.gcode.dialects import MARLIN, UNKNOWN
from bridge.gcode.events import Connected, Restarted
from bridge.gcode.reply_parser import parse_reply
from bridge.printer.knowledge.events import StateEvent
from bridge.printer.knowledge.history import History
from bridge.printer.knowledge.observer import Observer
from bridge.printer.limits.coordinates import Coordinates
from bridge.printer.link.events import Closed, Opened, PortAddress, Ready
from bridge.printer.link.identity import Identity
from bridge.printer.link.wire_log import WireLog

PLACE = PortAddress("/dev/ttyUSB0", 115_200)


@dataclass
class Watch:
    """An observer, and what it has told."""

    now: float = 100.0
    changes: int = 0
    touches: int = 0
    events: list[StateEvent] = field(default_factory=list)
    wire: WireLog = field(default_factory=WireLog)

    def __post_init__(self) -> None:
        self.history = History(minutes=1.0)
        self.observer = Observer(
            PrinterConfig(profile=Profile(extruders=2)),
            history=self.history,
            wire=self.wire,
            clock=lambda: self.now,
            on_change=self._changed,
            on_event=self.events.append,
            on_touch=self._touched,
        )

    @property
    def link(self) -> str:
        return self.observer.state.link

    def says(self, line: str) -> None:
        for reply in parse_reply(line, self.observer.dialect):
            self.observer.handle(reply)

    def happened(self) -> list[str]:
        names = [event.name for event in self.events]
        self.events.clear()
        return names

    def _changed(self) -> None:
        self.changes += 1

    def _touched(self) -> None:
        self.touches += 1


@pytest.fixture
def watch() -> Watch:
    return Watch()


def connect(watch: Watch, *reports: str) -> Watch:
    watch.observer.handle(Opened(PLACE))
    watch.observer.handle(Connected())
    watch.observer.handle(Ready(Identity(MARLIN, reports=reports), PLACE))
    watch.happened()
    return watch


def test_a_printer_is_found(watch: Watch) -> None:
    assert (watch.link, watch.observer.dialect) == ("offline", UNKNOWN)
    watch.observer.handle(Opened(PLACE))
    assert watch.link == "connecting"
    changes = watch.changes
    watch.observer.handle(Connected())
    assert watch.changes == changes, "who answers is not known yet"
    watch.observer.handle(Ready(Identity(MARLIN), PLACE))
    assert (watch.link, watch.observer.dialect) == ("operational", MARLIN)
    assert watch.observer.place == PLACE
    assert watch.happened() == ["connected"]


def test_what_it_was_told_at_the_start_is_known_too(watch: Watch) -> None:
    connect(watch, "M155 S2", "M83")
    assert watch.observer.state.modal.relative_e


def test_temperatures_are_remembered(watch: Watch) -> None:
    connect(watch)
    watch.says("ok T0:20.5 /0.0 T1:21.0 /0.0")
    watch.says("echo:busy: processing")
    [point] = watch.history.newest(watch.now)
    assert point.time == watch.now
    assert point.heaters["tool0"].actual == 20.5


def test_where_the_head_is(watch: Watch) -> None:
    connect(watch)
    assert watch.observer.position == {}
    watch.says("X:1.0 Y:2.0 Z:3.0 E:4.0")
    assert watch.observer.position == {"x": 1.0, "y": 2.0, "z": 3.0, "e": 4.0}
    watch.says("X:1.5 Y:2.0 Z:3.0")
    assert watch.observer.position == {"x": 1.5, "y": 2.0, "z": 3.0}
    watch.observer.handle(Restarted())
    assert watch.observer.position == {}, "it may be anywhere after a restart"


def test_where_a_line_has_led(watch: Watch) -> None:
    connect(watch).says("X:1.0 Y:2.0 Z:3.0 E:4.0")
    there = watch.observer.position
    for still in ("M104 S200", "G91", "G0 F1500", "M400"):
        watch.observer.line_sent(still)
        watch.observer.line_finished(still, Coordinates())
        assert watch.observer.position == there, f"{still} moves nothing"
    watch.observer.line_sent("G0 X5")
    assert watch.observer.position == {}, "it may come anywhere until it is taken"
    watch.says("X:1.0 Y:2.0 Z:3.0 E:4.0")
    watch.observer.line_finished("G0 X5", Coordinates({**there, "x": 6.0}))
    assert watch.observer.position == {**there, "x": 6.0}
    assert watch.observer.state.moved, "the report may be older than the move"
    watch.observer.line_sent("G28")
    watch.observer.line_finished("G28", Coordinates({"e": 4.0}))
    assert watch.observer.position == {"e": 4.0}
    watch.says("X:0.0 Y:0.0 Z:0.0 E:4.0")
    assert watch.observer.position == {"x": 0.0, "y": 0.0, "z": 0.0, "e": 4.0}


@pytest.mark.parametrize("line", ["PARK_HEAD", "T1", "M410", "G29"])
def test_what_moves_by_itself_leaves_the_place_to_be_asked_for(
    watch: Watch, line: str
) -> None:
    connect(watch).says("X:1.0 Y:2.0 Z:3.0 E:4.0")
    watch.observer.line_sent(line)
    watch.observer.line_finished(line, Coordinates())
    assert watch.observer.position == {}
    assert watch.observer.state.moved


def test_a_print_moves_the_head_and_does_not_tell(watch: Watch) -> None:
    connect(watch).says("X:1.0 Y:2.0 Z:3.0 E:4.0")
    watch.says("SD printing byte 10/100")
    watch.says("SD printing byte 20/100")
    watch.says("X:5.0 Y:2.0 Z:3.0 E:4.0")
    watch.observer.line_sent("G0 X5")
    watch.observer.line_finished("G0 X5", Coordinates({"x": 5.0}))
    assert watch.observer.position == {}
    watch.says("//action:paused")
    assert watch.observer.position == {}, "it went on after the last report"
    watch.says("X:7.0 Y:2.0 Z:3.0 E:4.0")
    assert watch.observer.position["x"] == 7.0
    watch.says("Done printing file")
    assert watch.observer.state.moved, "where it ended has to be asked for"


def test_a_halted_printer_is_not_believed(watch: Watch) -> None:
    connect(watch).says("X:1.0 Y:2.0 Z:3.0")
    watch.says("Error:Printer halted. kill() called!")
    assert watch.link == "error"
    watch.says("X:9.0 Y:9.0 Z:9.0")
    assert watch.observer.position == {}


def test_what_changes_nothing_is_not_told(watch: Watch) -> None:
    connect(watch)
    watch.observer.set_offsets({"bed": 2.0})
    changes = watch.changes
    watch.observer.set_offsets({"bed": 2.0})
    assert watch.changes == changes
    assert watch.observer.state.offsets == {"bed": 2.0}


def test_what_later_commands_use_is_kept(watch: Watch) -> None:
    watch.observer.choose({"jog_distance": 10.0})
    assert watch.observer.state.accessories.jog_distance == 10.0


def test_a_cable_that_is_pulled_is_a_problem(watch: Watch) -> None:
    connect(watch).says("X:1.0 Y:2.0 Z:3.0")
    watch.wire.sent(b"M105\n", watch.now)
    watch.observer.handle(Closed("the port is gone"))
    assert watch.link == "offline"
    assert watch.observer.position == {}
    problem = watch.observer.state.problem
    assert problem is not None
    assert (problem.error, problem.reason) == ("the port is gone", "connection")
    assert (problem.consequence, problem.time) == ("disconnected", watch.now)
    assert problem.logs == (">>> M105",)


def test_a_port_that_was_never_there_is_none(watch: Watch) -> None:
    watch.observer.handle(Closed("no such port"))
    assert watch.link == "offline"
    assert watch.observer.state.problem is None


def test_why_it_stopped_matters_more_than_that_it_is_away(watch: Watch) -> None:
    connect(watch)
    watch.observer.emergency_stopped("somebody asked for it")
    assert watch.link == "error"
    watch.wire.sent(b"M112\n", watch.now)
    watch.observer.attach_logs()
    for event in (Closed("the port is gone"), Opened(PLACE), Closed("no answer")):
        watch.observer.handle(event)
        problem = watch.observer.state.problem
        assert problem is not None
        assert (watch.link, problem.reason) == ("error", "emergency_stop")
        assert ">>> M112" in problem.logs
    watch.observer.handle(Ready(Identity(MARLIN), PLACE))
    assert watch.link == "operational"


def test_a_problem_is_acknowledged(watch: Watch) -> None:
    connect(watch)
    watch.observer.handle(Closed("the port is gone"))
    watch.observer.acknowledge_problem()
    assert watch.observer.state.problem is None


def test_a_printer_is_let_go(watch: Watch) -> None:
    connect(watch)
    watch.observer.disconnected()
    assert watch.link == "offline"
    assert watch.observer.state.problem is None
    assert watch.happened() == ["disconnected"]


def test_a_line_is_known_once_it_is_taken(watch: Watch) -> None:
    connect(watch)
    watch.observer.line_sent("G91")
    watch.observer.line_acknowledged()
    assert watch.observer.state.modal.relative


def test_a_flood_of_prompts_is_a_bounded_number_of_events(watch: Watch) -> None:
    """The state always has the latest one."""
    connect(watch)
    for number in range(1000):
        watch.says(f"//action:prompt_begin question {number}")
        watch.says("//action:prompt_button yes")
        watch.says("//action:prompt_show")
    assert watch.happened().count("waiting_for_user") <= 20
    prompt = watch.observer.state.prompt
    assert prompt is not None
    assert prompt.text == "question 999"


def test_other_settings_change_its_heaters_and_keep_what_is_known(watch: Watch) -> None:
    watch.observer.handle(Opened(PLACE))
    watch.observer.handle(Connected())
    watch.says("T0:20 /0 T1:21 /0 B:60 /60")
    watch.observer.configure(PrinterConfig(profile=Profile(heated_bed=True)))
    heaters = watch.observer.state.heaters
    assert set(heaters) == {"tool0", "bed"}
    assert heaters["bed"].target == 60


def test_another_function_is_told_of_changes_from_then_on(watch: Watch) -> None:
    watch.observer.handle(Opened(PLACE))
    before = watch.changes
    heard: list[str] = []
    watch.observer.listen(lambda: heard.append(watch.link))
    watch.observer.handle(Connected())
    watch.says("T0:20 /0 T1:21 /0 B:60 /60")
    assert heard
    assert watch.changes == before


def test_the_end_of_a_line_is_known(watch: Watch) -> None:
    """Of a plain move, the ``ok`` changes nothing but that."""
    watch.observer.handle(Opened(PLACE))
    watch.observer.handle(Connected())
    for line in ("G1 X5", "M105"):
        watch.observer.line_sent(line)
        assert watch.observer.state.line == line
        watch.observer.line_acknowledged()
        assert watch.observer.state.line == ""


def test_a_measured_temperature_is_published_and_controls_nothing(watch: Watch) -> None:
    connect(watch)
    watch.says("T:20.0 /0.0 B:20.0 /0.0 P:30.0")
    changes, touches = watch.changes, watch.touches
    watch.says("T:21.0 /0.0 B:20.0 /0.0 P:31.0")
    assert (watch.changes, watch.touches) == (changes + 1, touches)
    for line in ("T:21.0 /200.0 B:20.0 /0.0 P:31.0", "Not SD printing", "X:1 Y:2 Z:3"):
        before = watch.touches
        watch.says(line)
        assert watch.touches > before or line.startswith("Not")
