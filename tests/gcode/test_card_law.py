"""The law about what a printer does by itself: it never costs the link.

Opening the port again resets most boards, which ends their print. So while a print from
the card homes in silence, or somebody heats at the panel, queries may have to wait, but
the link is not given up.
"""

from dataclasses import replace

from hypothesis import example, given
from hypothesis import strategies as st

from bridge.gcode.dialects import DIALECTS
from bridge.simulator.card import CardFile
from bridge.simulator.faults import Fault, FaultKind
from bridge.simulator.personalities import PERSONALITIES
from tests.gcode.test_law import assert_law, law
from tests.support.attended import Attended, Press

SPEED = 0.3  # of the simulated machines: homing takes 20 s, the bed minutes
NAMES = [name for name, person in PERSONALITIES.items() if not person.mute]
SILENT_HEATING = "M113 S0"  # turns busy: off; reports while heating remain

CARD = ("G28", "G28 X", "M109 S60", "M190 S60", "G1 X5 F600", "G4 P500", "M106 S9")
SLOW_START = ["G1 X5 F600", "G4 P5000", "G28"]  # leaves time to ask for its progress
prints = st.lists(st.sampled_from(CARD), min_size=1, max_size=5)
PANEL = ("M190 S60", "M109 S60", "M104 S0", "M140 S0")
presses = st.lists(
    st.tuples(
        st.sampled_from([0.0, 1.5, 30.0]), st.just("run"), st.sampled_from(PANEL)
    ),
    max_size=3,
)
HEATING = ("M104 S{}", "M106 S{}", "G4 P{}0", "M190 S{}")
HOMING = "G28 X{0} Y{0} Z{0}"


def scripts(*shapes: str) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(shapes), max_size=3).map(
        lambda chosen: [shape.format(at) for at, shape in enumerate(chosen, 40)]
    )


gentle = st.lists(
    st.none()
    | st.builds(
        Fault,
        st.sampled_from([FaultKind.SPLIT, FaultKind.DELAY]),
        where=st.integers(0, 40),
        seconds=st.sampled_from([0.1, 1.0]),
    ),
    max_size=20,
)


def between(
    name: str,
    down: list[Fault | None],
    card: list[str],
) -> Attended:
    dialect = DIALECTS[name]
    return Attended(
        replace(dialect, ok_timeout=3.0, long_timeout=25.0, max_probes=3),
        name,
        to_host=down,
        speed=SPEED,
        files=(CardFile("PART.GCO", "\n".join([*card, ""]).encode()),),
    )


@law
@given(
    name=st.sampled_from(NAMES),
    card=prints,
    script=scripts(*HEATING, HOMING),
    by_hand=st.booleans(),
    down=gentle,
)
@example(name="marlin1", card=["G28"], script=[], by_hand=True, down=[])
@example(name="marlin1", card=["G28"], script=[], by_hand=False, down=[])
@example(name="repetier", card=SLOW_START, script=[], by_hand=True, down=[])
@example(
    name="repetier",
    card=["G28"],
    script=[HOMING.format(40)],
    by_hand=True,
    down=[*[None] * 10, Fault(FaultKind.DELAY, seconds=1.0)],  # the ok of the homing
)
def test_a_print_from_the_card_costs_no_link(
    name: str,
    card: list[str],
    script: list[str],
    *,
    by_hand: bool,
    down: list[Fault | None],
) -> None:
    talk = between(name, down, card)
    if by_hand:
        told = talk.attend(script, [(1.5, "start", "PART.GCO")])
    else:
        script = ["M23 PART.GCO", "M24", *script]
        told = talk.attend(script, [])
    assert told.conversations == 1, "the link was given up"
    assert_law(script, talk, told)


@law
@given(
    name=st.sampled_from(NAMES),
    at_panel=presses,
    script=scripts(*HEATING),
    down=gentle,
)
@example(name="marlin", at_panel=[(1.5, "run", "M190 S60")], script=[], down=[])
@example(name="marlin", at_panel=[], script=["M190 S60"], down=[])
@example(name="repetier", at_panel=[], script=[HOMING.format(40)], down=[])
def test_heating_costs_no_link(
    name: str, at_panel: list[Press], script: list[str], down: list[Fault | None]
) -> None:
    talk = between(name, down, [])
    told = talk.attend([SILENT_HEATING, *script], at_panel)
    assert told.conversations == 1, "the link was given up"
    assert_law(script, talk, told)
