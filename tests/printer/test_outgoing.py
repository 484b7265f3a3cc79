"""What waits to be written: order, and the way of an emergency past it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.printer.port.outgoing import Outgoing


def transmit(outgoing: Outgoing, size: int) -> bytes:
    """Do what a port does that takes ``size`` bytes."""
    data = outgoing.head(size)
    outgoing.taken(len(data))
    return data


def everything(outgoing: Outgoing) -> bytes:
    data = b""
    while outgoing:
        data += transmit(outgoing, 7)
    return data


def test_bytes_leave_in_their_order() -> None:
    outgoing = Outgoing()
    outgoing.append(b"N1 G28*18\n")
    outgoing.append(b"N2 G90*17\n")
    assert len(outgoing) == 20
    assert transmit(outgoing, 12) == b"N1 G28*18\nN2"
    assert everything(outgoing) == b" G90*17\n"
    assert len(outgoing) == 0


def test_a_port_that_takes_nothing() -> None:
    outgoing = Outgoing()
    outgoing.append(b"G28\n")
    outgoing.taken(0)
    assert everything(outgoing) == b"G28\n"


def test_an_emergency_drops_what_waits() -> None:
    outgoing = Outgoing()
    outgoing.append(b"G28\nG90\n")
    assert transmit(outgoing, 4) == b"G28\n"
    outgoing.urge(b"M112\n")
    outgoing.append(b"M105\n")
    assert everything(outgoing) == b"M112\nM105\n"


def test_an_emergency_ends_a_line_that_was_cut() -> None:
    outgoing = Outgoing()
    outgoing.append(b"G1 X100\n")
    assert transmit(outgoing, 5) == b"G1 X1"
    outgoing.urge(b"M112\n")
    assert everything(outgoing) == b"\nM112\n"


def test_an_emergency_after_a_flush_cannot_know_where_the_line_is() -> None:
    outgoing = Outgoing()
    outgoing.append(b"G28\n")
    assert transmit(outgoing, 4) == b"G28\n"
    outgoing.urge(b"M112\n", flushed=True)
    assert everything(outgoing) == b"\nM112\n"


@pytest.mark.parametrize("flushed", [True, False])
def test_a_second_emergency_waits_behind_the_first(flushed: bool) -> None:  # noqa: FBT001 - an example
    outgoing = Outgoing()
    outgoing.append(b"G1 X1")
    assert transmit(outgoing, 5) == b"G1 X1"
    outgoing.urge(b"M112\n", flushed=flushed)
    outgoing.urge(b"M108\n", flushed=flushed)
    assert everything(outgoing) == b"\nM112\nM108\n"


def test_a_second_emergency_does_not_cut_the_first() -> None:
    outgoing = Outgoing()
    outgoing.urge(b"M112\n")
    assert transmit(outgoing, 2) == b"M1"
    assert outgoing.last_was_urgent
    outgoing.urge(b"M108\n")
    assert everything(outgoing) == b"12\nM108\n"


def test_after_an_emergency_ordinary_bytes_are_ordinary_again() -> None:
    outgoing = Outgoing()
    outgoing.urge(b"M108\n")
    outgoing.append(b"M105\n")
    everything(outgoing)
    assert not outgoing.last_was_urgent


def test_clearing_drops_emergencies_too() -> None:
    outgoing = Outgoing()
    outgoing.append(b"G28\n")
    outgoing.urge(b"M112\n")
    outgoing.clear()
    assert len(outgoing) == 0
    assert outgoing.head(10) == b""


steps = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.sampled_from([b"G28\n", b"G1 X1", b"00\n"])),
        st.tuples(st.just("urge"), st.sampled_from([b"M112\n", b"M108\n", b"!\n"])),
        st.tuples(st.just("take"), st.integers(0, 9)),
    )
)


@given(steps)
def test_every_emergency_arrives_whole_in_order_and_on_its_own_line(
    script: list[tuple[str, bytes | int]],
) -> None:
    outgoing = Outgoing()
    urgent, wire = [], b""
    for what, argument in script:
        if isinstance(argument, int):
            wire += transmit(outgoing, argument)
        elif what == "append":
            outgoing.append(argument)
        else:
            outgoing.urge(argument)
            urgent.append(argument.decode().strip())
    wire += everything(outgoing)
    lines = wire.decode().split("\n")
    assert [line for line in lines if line in {"M112", "M108", "!"}] == urgent
