"""Lines to bytes and back, and numbers as firmwares read them."""

from functools import reduce
from operator import xor

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.gcode import framing
from bridge.gcode.framing import MAX_REPLY, LineReceiver
from bridge.gcode.line import format_number


def test_a_line_has_its_number_and_checksum() -> None:
    assert framing.encode("M110 N0", 0) == b"N0 M110 N0*125\n"
    assert framing.encode("M115", 1) == b"N1 M115*39\n"
    assert framing.encode("M112") == b"M112\n"


@given(st.integers(0, 10**8), st.integers(0, 60), st.integers(1, 255))
def test_a_checksum_notices_every_damaged_byte(
    number: int, place: int, change: int
) -> None:
    payload, _, given_sum = framing.encode("G1 X1.5 F6000", number).rpartition(b"*")
    damaged = bytearray(payload)
    damaged[place % len(damaged)] ^= change
    assert framing.checksum(bytes(damaged)) != int(given_sum)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.02, "0.02"), (-0.0, "0"), (1e-9, "0"), (1500, "1500"), (-5.10, "-5.1")],
)
def test_a_number_is_written_in_fixed_point(value: float, text: str) -> None:
    assert format_number(value) == text


@given(st.floats(-1e9, 1e9))
def test_no_number_has_an_exponent(value: float) -> None:
    assert float(format_number(value)) == pytest.approx(value, abs=1e-6)
    assert not set(format_number(value)) & set("eE")


def test_lines_end_in_any_way() -> None:
    assert LineReceiver().feed(b"ok\r\n\n wait \nhal") == ["ok", "wait"]


def test_nul_bytes_and_odd_encodings_are_read_all_the_same() -> None:
    receiver = LineReceiver()
    assert receiver.feed("\0ok\0\nDüse\n".encode()) == ["ok", "Düse"]
    assert receiver.noise == 0
    assert receiver.feed(b"D\xfcse\n") == ["Düse"]
    assert receiver.noise == 1


def test_noise_without_line_ends_is_thrown_away_and_counted() -> None:
    receiver = LineReceiver()
    assert receiver.feed(b"\xfe" * (MAX_REPLY + 1)) == []
    assert receiver.noise == MAX_REPLY + 1
    assert receiver.feed(b"ok\n") == ["ok"]


@given(st.lists(st.binary(max_size=20)))
def test_it_does_not_matter_how_bytes_are_cut(pieces: list[bytes]) -> None:
    receiver = LineReceiver()
    lines = [line for piece in pieces for line in receiver.feed(piece)]
    assert lines == LineReceiver().feed(b"".join(pieces))


@given(st.binary(max_size=300))
@example(bytes(range(100)))
@example(bytes(range(200)))
def test_the_checksum_is_the_xor_of_all_bytes(payload: bytes) -> None:
    assert framing.checksum(payload) == reduce(xor, payload, 0)


def test_a_name_may_begin_with_the_letter_of_a_line_number() -> None:
    framing.check("NOZZLE_CLEAN")
