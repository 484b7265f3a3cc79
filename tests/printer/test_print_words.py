"""What each word of a firmware and of a host leads to, in each state of a print.

The table of transitions is written down a second time, in the words of the line, and
for all families: no test that is generated from the table itself notices that a row of
it is missing or wrong.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import pytest

from bridge.gcode.dialects import DIALECTS, Dialect
from bridge.gcode.events import Restarted
from bridge.gcode.reply_types import Refusal
from bridge.printer.knowledge import print_job
from bridge.printer.knowledge.print_table import PHASES, Phase, PrintJob
from bridge.printer.link.events import Closed
from bridge.printer.published.safety_flags import attention
from tests.printer.test_print_matrix import ENDS, SIZE, STATES, World, bytes_
from tests.support.cases import case

RUNS = ("starting", "printing", "heating", "resuming")
UNDER_WAY = (*RUNS, "pausing", "paused", "finishing")
PRINTS = (*UNDER_WAY, "cancelling")
NOTHING: tuple[str, ...] = ()


@dataclass(frozen=True)
class Then:
    """What follows.

    Attributes:
        phase: the next phase.
        events: what is reported of the print.
        reason: why it failed.

    """

    phase: str
    events: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class Word:
    """What is said or sent, and what it leads to.

    Attributes:
        does: says or sends it.
        leads: what follows, by the state; in the others nothing does.
        speaks: the families that have this word.

    """

    does: Callable[[World], None]
    leads: Mapping[str, Then]
    speaks: Callable[[Dialect], bool] = field(default=lambda _: True)


def all_of(states: tuple[str, ...], then: Then) -> dict[str, Then]:
    return dict.fromkeys(states, then)


def says(*lines: str) -> Callable[[World], None]:
    return lambda world: world.says(*lines)


def asks(lines: Callable[[Dialect], tuple[str, ...]]) -> Callable[[World], None]:
    """Send the first line, which is not acknowledged yet."""
    return lambda world: world.observer.line_sent(lines(world.dialect)[0])


def is_told(lines: Callable[[Dialect], tuple[str, ...]]) -> Callable[[World], None]:
    """Send the lines, each of which is acknowledged."""
    return lambda world: world.sends(*lines(world.dialect))


def refuses(world: World) -> None:
    """Refuse the last line of a cancel."""
    line = world.dialect.cancel[-1]
    world.observer.line_sent(line)
    world.observer.line_failed(line)


def breaks_off(world: World) -> None:
    """Report an error that belongs to no line, and read on no more."""
    world.observer.handle(Refusal("Must home axis first", unsolicited=True))
    stands(world)


def stands(world: World) -> None:
    place = world.observer.state.job.position or 0
    world.says(*bytes_(*[place] * 4))


def reads_on(world: World) -> None:
    world.says(*bytes_(400, 500, 600, 700, 800, 900))


def restarts(world: World) -> None:
    world.observer.handle(Restarted())


def _denies(world: World) -> None:
    world.says(*["Not SD printing"] * 3)


def _in_turn(dialect: Dialect) -> bool:
    return dialect.answers_during_print


def _says_all(dialect: Dialect) -> bool:
    return dialect.done_is_certain


PAUSED = Then("paused", ("print_paused",))
RESUMED = Then("printing", ("print_resumed",))
DONE = Then("idle", ("print_done",))
CANCELLED = Then("idle", ("print_cancelled",))


def failed(reason: str) -> Then:
    return Then("idle", ("print_failed",), reason)


WORDS: dict[str, Word] = {
    "a pause is asked for": Word(
        asks(lambda dialect: dialect.pause),
        all_of((*RUNS, "finishing"), Then("pausing")),
    ),
    "a pause is accepted": Word(
        is_told(lambda dialect: dialect.pause),
        all_of((*RUNS, "pausing", "finishing"), PAUSED),
    ),
    "it says that it has paused": Word(
        says("//action:paused"), all_of((*RUNS, "pausing", "finishing"), PAUSED)
    ),
    "it waits for a person": Word(
        says("echo:busy: paused for user"),
        all_of((*RUNS, "pausing", "finishing"), PAUSED),
    ),
    "it answers that it has paused": Word(
        says("SD print paused"),
        {
            **all_of((*RUNS, "pausing", "finishing"), PAUSED),
            **all_of(("idle", "hot"), Then("paused")),
        },
    ),
    "its bytes stand still": Word(
        stands,
        {
            **all_of((*RUNS, "pausing"), PAUSED),
            "cancelling": CANCELLED,
        },
        _in_turn,
    ),
    "it breaks off": Word(
        breaks_off,
        {
            **all_of(RUNS, failed("file_error")),
            "pausing": PAUSED,
            "cancelling": CANCELLED,
        },
        lambda dialect: dialect.name == "klipper",
    ),
    "a resume is sent": Word(
        is_told(lambda dialect: dialect.resume),
        {
            **all_of(("pausing", "paused"), Then("resuming")),
            "cancelling": Then("starting", ("print_cancelled", "print_started")),
        },
    ),
    "it says that it has resumed": Word(
        says("//action:resumed"),
        {**all_of(("paused", "resuming"), RESUMED), "pausing": Then("printing")},
    ),
    "its bytes rise": Word(
        says(*bytes_(300, 400)),
        {
            **all_of(("paused", "resuming"), RESUMED),
            **all_of(("starting", "finishing"), Then("printing")),
            **all_of(("idle", "hot"), Then("printing", ("print_started",))),
        },
    ),
    "its bytes go on rising": Word(
        reads_on,
        {
            **all_of(("paused", "resuming"), RESUMED),
            **all_of(
                ("starting", "pausing", "cancelling", "finishing"), Then("printing")
            ),
            **all_of(("idle", "hot"), Then("printing", ("print_started",))),
        },
    ),
    "its bytes are all read": Word(
        says(*bytes_(SIZE - 2, SIZE - 1, SIZE)),
        {
            **all_of(("starting", "printing", "heating"), Then("finishing")),
            **all_of(("paused", "resuming"), Then("finishing", ("print_resumed",))),
            **all_of(("idle", "hot"), Then("finishing", ("print_started",))),
        },
    ),
    "a cancel is asked for": Word(
        asks(lambda dialect: dialect.cancel[-1:]),
        all_of(UNDER_WAY, Then("cancelling")),
        lambda dialect: dialect.cancel[-1:] in {("M524",), ("CANCEL_PRINT",)},
    ),
    "it asks for a cancel": Word(
        says("//action:cancel"), all_of(UNDER_WAY, Then("cancelling"))
    ),
    "it refuses a cancel": Word(
        refuses,
        {
            **all_of((*RUNS, "finishing", "cancelling"), Then("printing")),
            **all_of(("pausing", "paused"), Then("paused")),
        },
        lambda dialect: dialect.cancel[-1:] in {("M524",), ("CANCEL_PRINT",)},
    ),
    "it has printed the file": Word(
        says("Done printing file"),
        {
            **all_of(PRINTS, DONE),
            **all_of(("idle", "hot"), Then("idle", ("print_started", "print_done"))),
        },
        _says_all,
    ),
    "it has ended": Word(
        says("Done printing file"),
        all_of(UNDER_WAY, Then("finishing")),  # the next answer says how
        lambda dialect: not dialect.done_is_certain,
    ),
    "it says that it was cancelled": Word(
        says("SD print stopped by user."), all_of(PRINTS, CANCELLED)
    ),
    "it denies the print": Word(
        _denies,
        {
            **all_of(("printing", "heating", "resuming", "pausing"), CANCELLED),
            "starting": failed("not_started"),
            "finishing": DONE,
            "cancelling": CANCELLED,
        },
    ),
    "it reports another file": Word(
        says("SD printing byte 5/77"),
        {
            **all_of(PRINTS, CANCELLED),
            **all_of(("idle", "hot"), Then("printing", ("print_started",))),
        },
    ),
    "it restarts": Word(
        restarts,
        {**all_of(UNDER_WAY, failed("printer_reset")), "cancelling": CANCELLED},
    ),
    "it is stopped": Word(
        lambda world: world.observer.emergency_stopped("somebody wanted it"),
        all_of(PRINTS, failed("emergency_stop")),
    ),
    "its card is pulled": Word(
        says("echo:SD card released"), all_of(PRINTS, failed("card_removed"))
    ),
}


@pytest.mark.parametrize("family", DIALECTS)
def test_what_each_word_leads_to(family: str) -> None:
    for name, word in WORDS.items():
        if not word.speaks(DIALECTS[family]):
            continue
        for state in STATES:
            with case(name, state):
                check(family, state, word)


def check(family: str, state: str, word: Word) -> None:
    world = World(DIALECTS[family])
    STATES[state](world)
    before = world.phase
    world.events.clear()
    word.does(world)
    right = word.leads.get(state, Then(before))
    said = [e.name for e in world.events if e.name.startswith("print_")]
    assert (world.phase, tuple(said)) == (right.phase, right.events)
    ends = ENDS.intersection(right.events)
    job = world.observer.state.job
    if ends and right.phase == "idle":
        assert job.result is not None
        assert ends == {f"print_{job.result.outcome}"}
        assert job.result.reason == right.reason


@pytest.mark.parametrize("family", DIALECTS)
def test_an_end_without_a_print_that_was_looked_for_is_an_end_alone(
    family: str,
) -> None:
    """The bridge has just come, so it has not seen the print begin."""
    world = World(DIALECTS[family])
    world.events.clear()
    world.says("Done printing file")
    certain = world.dialect.done_is_certain
    names = [event.name for event in world.events]
    assert names == (["print_done"] if certain else [])


@pytest.mark.parametrize("phase", [phase for phase in PHASES if phase != "idle"])
def test_a_print_of_the_bridge_ends_with_the_link(phase: Phase) -> None:
    job = PrintJob(phase=phase, origin="local", file="a.gcode", began=1.0)
    ended = print_job.link_lost(job, 9.0, "no such port")
    assert ended.phase == "idle"
    assert ended.result is not None
    cancelled = phase == "cancelling"
    assert ended.result.outcome == ("cancelled" if cancelled else "failed")
    assert ended.result.reason == ("" if cancelled else "connection_lost")
    assert "no such port" in ended.result.detail


@pytest.mark.parametrize("phase", [phase for phase in PHASES if phase != "idle"])
def test_that_a_print_of_the_bridge_has_failed_is_said_until_somebody_knows(
    phase: Phase,
) -> None:
    """The error about the connection ends when the printer is back, and this stays."""
    world = World(DIALECTS["marlin"])
    job = PrintJob(phase=phase, origin="local", file="a.gcode", began=1.0)
    world.observer.set_state(replace(world.observer.state, job=job))
    world.events.clear()
    world.observer.handle(Closed("no such port", "connection"))
    assert attention(world.observer.state) == "error"
    world.connect()
    world.says("T:20 /0 B:20 /0", "Not SD printing")
    told = [e.data["reason"] for e in world.events if e.name == "error"]
    failed = phase != "cancelling"
    assert told == ["connection", "connection_lost"][: 1 + failed]
    assert attention(world.observer.state) == ("error" if failed else "none")
    world.restart()
    world.connect()
    assert attention(world.observer.state) == ("error" if failed else "none")
    world.observer.acknowledge_problem()
    assert attention(world.observer.state) == "none"
