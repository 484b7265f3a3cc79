"""What waits to be written: order, and the way of an emergency past it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.printer.port.write_buffer import WriteBuffer


def transmit(buffer: WriteBuffer, size: int) -> bytes:
    """Do what a port does that takes ``size`` bytes."""
    data = buffer.head(size)
    buffer.written(len(data))
    return data


def everything(buffer: WriteBuffer) -> bytes:
    data = b""
    while buffer:
        data += transmit(buffer, 7)
    return data


def test_bytes_leave_in_their_order() -> None:
    buffer = WriteBuffer()
    buffer.append(b"N1 G28*18\n")
    buffer.append(b"N2 G90*17\n")
    assert len(buffer) == 20
    assert transmit(buffer, 12) == b"N1 G28*18\nN2"
    assert everything(buffer) == b" G90*17\n"
    assert len(buffer) == 0


def test_a_port_that_takes_nothing() -> None:
    buffer = WriteBuffer()
    buffer.append(b"G28\n")
    buffer.written(0)
    assert everything(buffer) == b"G28\n"


def test_an_emergency_drops_what_waits() -> None:
    buffer = WriteBuffer()
    buffer.append(b"G28\nG90\n")
    assert transmit(buffer, 4) == b"G28\n"
    buffer.put_first(b"M112\n")
    buffer.append(b"M105\n")
    assert everything(buffer) == b"M112\nM105\n"


def test_an_emergency_ends_a_line_that_was_cut() -> None:
    buffer = WriteBuffer()
    buffer.append(b"G1 X100\n")
    assert transmit(buffer, 5) == b"G1 X1"
    buffer.put_first(b"M112\n")
    assert everything(buffer) == b"\nM112\n"


def test_an_emergency_after_a_flush_cannot_know_where_the_line_is() -> None:
    buffer = WriteBuffer()
    buffer.append(b"G28\n")
    assert transmit(buffer, 4) == b"G28\n"
    buffer.put_first(b"M112\n", flushed=True)
    assert everything(buffer) == b"\nM112\n"


@pytest.mark.parametrize("flushed", [True, False])
def test_a_second_emergency_waits_behind_the_first(flushed: bool) -> None:  # noqa: FBT001 - an example
    buffer = WriteBuffer()
    buffer.append(b"G1 X1")
    assert transmit(buffer, 5) == b"G1 X1"
    buffer.put_first(b"M112\n", flushed=flushed)
    buffer.put_first(b"M108\n", flushed=flushed)
    assert everything(buffer) == b"\nM112\nM108\n"


def test_a_second_emergency_does_not_cut_the_first() -> None:
    buffer = WriteBuffer()
    buffer.put_first(b"M112\n")
    assert transmit(buffer, 2) == b"M1"
    assert buffer.last_was_urgent
    buffer.put_first(b"M108\n")
    assert everything(buffer) == b"12\nM108\n"


def test_after_an_emergency_ordinary_bytes_are_ordinary_again() -> None:
    buffer = WriteBuffer()
    buffer.put_first(b"M108\n")
    buffer.append(b"M105\n")
    everything(buffer)
    assert not buffer.last_was_urgent


def test_clearing_drops_emergencies_too() -> None:
    buffer = WriteBuffer()
    buffer.append(b"G28\n")
    buffer.put_first(b"M112\n")
    buffer.clear()
    assert len(buffer) == 0
    assert buffer.head(10) == b""


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
    buffer = WriteBuffer()
    urgent, wire = [], b""
    for what, argument in script:
        if isinstance(argument, int):
            wire += transmit(buffer, argument)
        elif what == "append":
            buffer.append(argument)
        else:
            buffer.put_first(argument)
            urgent.append(argument.decode().strip())
    wire += everything(buffer)
    lines = wire.decode().split("\n")
    assert [line for line in lines if line in {"M112", "M108", "!"}] == urgent


@pytest.mark.parametrize(
    ("count", "mid_line", "left"), [(0, False, 10), (4, True, 6), (10, False, 0)]
)
def test_what_a_port_takes_at_once_does_not_wait(
    count: int, left: int, *, mid_line: bool
) -> None:
    buffer = WriteBuffer()
    buffer.written_at_once(b"N1 G28*18\n", count)
    assert len(buffer) == left
    buffer.put_first(b"M112\n")
    assert everything(buffer) == (b"\nM112\n" if mid_line else b"M112\n")
