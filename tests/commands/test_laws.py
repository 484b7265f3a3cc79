"""What holds for every command, every printer and every modal state."""

import re
from collections.abc import Iterable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bridge.commands import Command, Context
from bridge.commands.gcode_lines import clean
from bridge.commands.head import Feedrate, Home, Jog
from bridge.commands.heaters import (
    BedTarget,
    ChamberTarget,
    Extrude,
    Flowrate,
    SelectTool,
    ToolTarget,
)
from bridge.config import Profile
from bridge.errors import RejectedError
from bridge.gcode import framing, modal
from bridge.gcode.dialects import DIALECTS, Dialect
from bridge.gcode.modal import Modal

WORD = re.compile(r"[A-Z]-?\d+(\.\d{1,6})?|G28")
DISTANCES = st.floats(-1_000_000, 1_000_000)
SPEEDS = st.one_of(st.none(), st.floats(0.001, 1_000_000))
TARGETS = st.floats(0, 1_000_000)
JOGS = st.builds(
    lambda axes, absolute, speed: Jog(**axes, absolute=absolute, speed=speed),
    st.dictionaries(st.sampled_from("xyz"), DISTANCES, min_size=1),
    st.booleans(),
    st.one_of(SPEEDS, st.just(value=False)),
)
HOMES = st.builds(Home, axes=st.lists(st.sampled_from("xyz"), max_size=12))
EXTRUSIONS = st.builds(Extrude, amount=DISTANCES, speed=SPEEDS)
MOTIONS: st.SearchStrategy[Command] = st.one_of(JOGS, HOMES, EXTRUSIONS)
OTHERS: st.SearchStrategy[Command] = st.one_of(
    st.builds(Feedrate, factor=st.integers(1, 1000)),
    st.builds(Flowrate, factor=st.floats(0.01, 10)),
    st.builds(BedTarget, target=TARGETS),
    st.builds(ChamberTarget, target=TARGETS),
    st.builds(SelectTool, tool=st.integers(0, 15).map("tool{}".format)),
    st.builds(
        ToolTarget,
        targets=st.dictionaries(
            st.integers(0, 15).map("tool{}".format), TARGETS, min_size=1
        ),
    ),
)
MODES = st.lists(st.sampled_from(["G90", "G91", "M82", "M83"]), max_size=4)


def after(lines: Iterable[str], dialect: Dialect, state: Modal) -> Modal:
    for line in lines:
        state = modal.track(state, line, g90_sets_extruder=dialect.g90_sets_extruder)
    return state


MODALS = st.builds(
    Modal,
    feedrate=st.one_of(st.none(), st.integers(1, 100_000).map(lambda f: f / 4)),
    tool=st.integers(0, 15),
)
CONTEXTS = st.builds(
    lambda dialect, modes, modal, offsets: Context(
        profile=Profile(extruders=16, heated_chamber=True),
        dialect=dialect,
        modal=after(modes, dialect, modal),
        offsets=offsets,
    ),
    dialect=st.sampled_from(sorted(DIALECTS.values(), key=lambda d: d.name)),
    modes=MODES,
    modal=MODALS,
    offsets=st.dictionaries(
        st.sampled_from(["tool0", "tool1", "bed", "chamber"]), st.floats(-50, 50)
    ),
)


@given(MOTIONS, CONTEXTS)
def test_motion_leaves_the_modal_state_as_it_was(
    command: Command, context: Context
) -> None:
    state = after(command.program(context).gcode, context.dialect, context.modal)
    if context.modal.feedrate is None:
        state = Modal(**{**fields(state), "feedrate": None})
    assert state == context.modal


@given(MOTIONS, CONTEXTS)
def test_while_it_moves_the_mode_is_the_one_it_means(
    command: Command, context: Context
) -> None:
    state = after(command.program(context).lines, context.dialect, context.modal)
    assert state.relative is not (isinstance(command, Jog) and command.absolute)
    if isinstance(command, Extrude):
        assert state.relative_e


@given(st.one_of(MOTIONS, OTHERS), CONTEXTS)
def test_every_line_fits_and_is_plain(command: Command, context: Context) -> None:
    try:
        lines = command.program(context).gcode
    except RejectedError:
        lines = ()
    for line in lines:
        assert line.isascii()
        assert line.isprintable()
        assert all(WORD.fullmatch(word) for word in line.split())
        assert clean(line, context, "").text == line
        framing.encode(line, 999_999_999)


def fields(state: Modal) -> dict[str, Any]:
    return {name: getattr(state, name) for name in Modal.__slots__}
