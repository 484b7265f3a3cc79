"""A bad cable, on purpose."""

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.gcode.framing import checksum
from bridge.simulator.faults import (
    Channel,
    Delivery,
    Fault,
    FaultKind,
    FaultRates,
    Faults,
    corrupt,
    draw,
    units,
)


def arrives(*faults: Fault | None, data: bytes = b"abc\ndef\n") -> list[Delivery]:
    return Channel.of(faults).carry(data, 10.0)


@given(st.binary())
def test_units_are_all_there_is(data: bytes) -> None:
    pieces = units(data)
    assert b"".join(pieces) == data
    assert all(b"\n" not in piece[:-1] for piece in pieces)


@given(st.lists(st.binary(max_size=50)))
def test_without_a_plan_all_arrives(chunks: list[bytes]) -> None:
    channel = Channel()
    arrived = [d.data for chunk in chunks for d in channel.carry(chunk, 0.0)]
    assert b"".join(arrived) == b"".join(chunks)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(FaultKind.LOSE), [(10.0, b"def\n")]),
        (Fault(FaultKind.LOSE_BYTE, where=1), [(10.0, b"ac\n"), (10.0, b"def\n")]),
        (
            Fault(FaultKind.CORRUPT, where=1, change=1),
            [(10.0, b"acc\n"), (10.0, b"def\n")],
        ),
        (Fault(FaultKind.MERGE), [(10.0, b"abc"), (10.0, b"def\n")]),
        (
            Fault(FaultKind.SPLIT, where=2, seconds=1.0),
            [(10.0, b"ab"), (11.0, b"c\n"), (11.0, b"def\n")],
        ),
        (
            Fault(FaultKind.DUPLICATE),
            [(10.0, b"abc\n"), (10.0, b"abc\n"), (10.0, b"def\n")],
        ),
        (Fault(FaultKind.DELAY, seconds=2.0), [(12.0, b"abc\n"), (12.0, b"def\n")]),
        (Fault(FaultKind.SILENCE, seconds=2.0), []),
    ],
)
def test_a_fault_hits_its_unit(
    fault: Fault, expected: list[tuple[float, bytes]]
) -> None:
    assert [(d.at, d.data) for d in arrives(fault)] == expected


def test_a_reset_comes_before_its_unit() -> None:
    first, second = arrives(Fault(FaultKind.RESET))
    assert first == Delivery(10.0, b"abc\n", reset=True)
    assert not second.reset


def test_silence_ends() -> None:
    channel = Channel.of([Fault(FaultKind.SILENCE, seconds=2.0)])
    assert channel.carry(b"a\n", 0.0) == []
    assert channel.carry(b"b\n", 1.9) == []
    assert channel.carry(b"c\n", 2.0) == [Delivery(2.0, b"c\n")]


def test_a_split_before_the_first_byte_is_a_delay() -> None:
    split = Fault(FaultKind.SPLIT, where=0, seconds=1.0)
    assert arrives(split, data=b"abc\n") == [Delivery(11.0, b"abc\n")]


def test_a_lost_line_break_alone_is_nothing() -> None:
    assert arrives(Fault(FaultKind.MERGE), data=b"\n") == []


@given(st.binary(min_size=1), st.integers(0, 200), st.integers(0, 1000))
def test_corruption_changes_one_byte_and_no_line_break(
    text: bytes, place: int, change: int
) -> None:
    unit = text.replace(b"\n", b" ").replace(b"\r", b" ") + b"\r\n"
    changed = corrupt(unit, place, change)
    assert len(changed) == len(unit)
    assert sum(a != b for a, b in zip(unit, changed, strict=True)) == 1
    assert changed.endswith(b"\r\n")
    assert b"\n" not in changed[:-2]
    assert b"\r" not in changed[:-2]
    assert checksum(changed) != checksum(unit)


def test_corruption_does_not_make_a_line_break() -> None:
    assert corrupt(b"\x0b\n", 0, 1) == b"\x0c\n"
    assert corrupt(b"\x0c\n", 0, 1) == b"\x0e\n"


@pytest.mark.parametrize("unit", [b"", b"\n", b"\r\n"])
def test_there_must_be_something_to_corrupt(unit: bytes) -> None:
    assert corrupt(unit, 3, 5) == unit


def test_the_same_seed_is_the_same_plan() -> None:
    rates = FaultRates(lose=0.1, corrupt=0.2, reset=0.05)
    first, again, other = (list(islice(draw(rates, s), 200)) for s in (1, 1, 2))
    assert first == again != other


def test_rates_are_kept() -> None:
    rates = FaultRates(corrupt=0.01, lose=0.005)
    plan = list(islice(draw(rates, 7), 50_000))
    kinds = [fault.kind for fault in plan if fault is not None]
    assert kinds.count(FaultKind.CORRUPT) == pytest.approx(500, rel=0.2)
    assert kinds.count(FaultKind.LOSE) == pytest.approx(250, rel=0.2)
    assert set(kinds) == {FaultKind.CORRUPT, FaultKind.LOSE}


def test_the_host_is_never_reset() -> None:
    faults = Faults.random(FaultRates(reset=1.0), seed=1)
    assert faults.to_printer.carry(b"x\n", 0.0)[0].reset
    assert faults.to_host.carry(b"x\n", 0.0) == [Delivery(0.0, b"x\n")]


@given(
    st.lists(st.builds(Fault, st.sampled_from(FaultKind), st.integers(0, 99))),
    st.lists(st.binary(max_size=30), max_size=20),
)
def test_whatever_happens_comes_in_order_of_time(
    faults: list[Fault], chunks: list[bytes]
) -> None:
    channel = Channel.of(faults)
    times = [
        delivery.at
        for second, chunk in enumerate(chunks)
        for delivery in channel.carry(chunk, second / 10)
    ]
    assert times == sorted(times)
