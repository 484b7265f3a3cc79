"""The law of the line protocol, against every simulated firmware behind a bad cable.

Each line is carried out exactly once and in order, or it is reported as failed and was
carried out at most once. docs/adr/0014 says what a line number proves, and what remains
of the law where a firmware does not check the sequence of its lines.

``scripts/law`` runs as many examples as you like.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from bridge.gcode.dialects import DIALECTS
from bridge.simulator.faults import Fault, FaultKind
from bridge.simulator.options import Options
from bridge.simulator.personalities import PERSONALITIES
from tests.support.cases import examples
from tests.support.conversation import POLL, URGENT, Conversation, Told

EXAMPLES = examples()  # of each firmware
SPEED = 20.0  # of the simulated machines: homing takes a second

COUNTING = [name for name in PERSONALITIES if DIALECTS[name].checks_sequence]
TRUSTING = [name for name in PERSONALITIES if not DIALECTS[name].checks_sequence]
"""These carry out whatever line they get, or may do so."""

WHOLE = (FaultKind.SPLIT, FaultKind.DELAY)  # nothing is lost, damaged or repeated
NO_ECHO = (*WHOLE, FaultKind.LOSE, FaultKind.SILENCE, FaultKind.RESET)

law = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@dataclass(frozen=True, slots=True)
class Cable:
    """What happens to the lines of both directions, and what else may differ."""

    up: list[Fault | None]
    down: list[Fault | None]
    late: bool
    fused: bool
    advanced_ok: bool
    resend_ok: bool | None
    lines_in_flight: int = 1
    streamed: bool = False

    def between(self, name: str) -> Conversation:
        options = Options(speed=SPEED, advanced_ok=self.advanced_ok)
        if self.resend_ok is not None:
            options["resend_ok"] = self.resend_ok
        dialect = DIALECTS[name]
        return Conversation(
            replace(dialect, ok_timeout=10.0, long_timeout=30.0, max_probes=6),
            name,
            to_printer=self.up,
            to_host=self.down,
            late=self.late,
            fused=self.fused,
            lines_in_flight=self.lines_in_flight,
            streamed=self.streamed,
            **options,
        )


def cables(
    up: Iterable[FaultKind], down: Iterable[FaultKind]
) -> st.SearchStrategy[Cable]:
    return st.builds(
        Cable,
        up=_plans(up),
        down=_plans(kind for kind in down if kind is not FaultKind.RESET),
        late=st.booleans(),
        fused=st.booleans(),
        advanced_ok=st.booleans(),
        resend_ok=st.sampled_from([None, True, False]),
        lines_in_flight=st.sampled_from([1, 1, 2, 4, 8]),
        streamed=st.booleans(),
    )


def _plans(kinds: Iterable[FaultKind]) -> st.SearchStrategy[list[Fault | None]]:
    fault = st.builds(
        Fault,
        st.sampled_from(list(kinds)),
        where=st.integers(0, 40),
        seconds=st.sampled_from([0.1, 1.0, 7.0, 13.0]),
        change=st.integers(1, 255),
    )
    return st.lists(st.one_of(st.none(), st.none(), fault), max_size=30)


_MOVES = ("G1 X{}", "G0 Y{} F6000")
_SHAPES = ("M104 S{}", "G4 P{}00", "M106 S{}", "G28 X{}", "M114 X{}", POLL, URGENT)
scripts = st.lists(st.sampled_from(_SHAPES + _MOVES * 4), max_size=15).map(
    lambda shapes: [shape.format(number) for number, shape in enumerate(shapes, 10)]
)

homed_scripts = scripts.map(lambda lines: ["G28", *lines])
"""Klipper refuses to move before that."""


def ours(lines: list[str], script: list[str]) -> list[str]:
    return [line for line in lines if line in script and line not in {POLL, URGENT}]


def assert_fates(script: list[str], talk: Conversation, told: Told) -> None:
    script, executed = ours(script, script), ours(talk.executed, script)
    fates = ours(told.done + told.failed, script)
    assert sorted(fates) == sorted(script), "each line has one fate"
    assert executed == [line for line in script if line in executed], "once, in order"
    assert not set(executed) & (set(told.failed) - told.sent), "what stayed here"


def assert_law(script: list[str], talk: Conversation, told: Told) -> None:
    assert_fates(script, talk, told)
    lost = set(ours(told.done, script)) - {*talk.executed, *told.unsure}
    assert not lost or told.resets, "what is done was carried out"


STOPS = Cable(
    up=[Fault(FaultKind.CORRUPT, where=9, change=2)],
    down=[],
    late=False,
    fused=False,
    advanced_ok=False,
    resend_ok=None,
)
"""One damaged bit makes ``M112`` of ``M110``; emergency parsers check no sum."""


ASKS = replace(STOPS, up=[Fault(FaultKind.CORRUPT, where=22, change=10)] * 2)
"""``M108`` becomes ``M1:8``: a firmware that waits for a person and does not say so."""


SILENT = replace(
    ASKS,
    up=[
        None,
        Fault(FaultKind.LOSE),
        None,
        None,
        Fault(FaultKind.LOSE_BYTE),
        Fault(FaultKind.CORRUPT, where=32, change=10),
    ],
    down=[None, None, None, None, Fault(FaultKind.LOSE)],
)
"""A line that lost its ``N`` becomes another command, and the firmware falls silent."""


@pytest.mark.parametrize("name", COUNTING)
@law
@given(script=scripts, cable=cables(FaultKind, FaultKind))
@example(script=["M106 S10"], cable=STOPS)
@example(script=[URGENT, URGENT], cable=ASKS)
@example(script=["M104 S10", "M104 S11", "M104 S12", URGENT], cable=SILENT)
def test_each_line_is_carried_out_once_or_reported(
    name: str, script: list[str], cable: Cable
) -> None:
    talk = cable.between(name)
    told = talk.run(script)
    assume(not talk.forged)
    assert_law(script, talk, told)


@pytest.mark.parametrize("name", TRUSTING)
@law
@given(script=homed_scripts, cable=cables([*WHOLE, FaultKind.RESET], WHOLE))
def test_without_counting_that_holds_while_nothing_is_lost(
    name: str, script: list[str], cable: Cable
) -> None:
    talk = cable.between(name)
    assert_law(script, talk, talk.run(script))


@pytest.mark.parametrize("name", TRUSTING)
@law
@given(script=homed_scripts, cable=cables(NO_ECHO, FaultKind))
def test_without_counting_a_line_is_carried_out_at_most_once(
    name: str, script: list[str], cable: Cable
) -> None:
    talk = cable.between(name)
    told = talk.run(script)
    assume(not talk.forged)
    assert_fates(script, talk, told)
