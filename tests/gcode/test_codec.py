"""Lines to bytes, and numbers as firmwares read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.gcode import codec


def test_a_line_has_its_number_and_checksum() -> None:
    assert codec.encode("M110 N0", 0) == b"N0 M110 N0*125\n"
    assert codec.encode("M115", 1) == b"N1 M115*39\n"
    assert codec.encode("M112") == b"M112\n"


@given(st.integers(0, 10**8), st.integers(0, 60), st.integers(1, 255))
def test_a_checksum_notices_every_damaged_byte(
    number: int, place: int, change: int
) -> None:
    payload, _, given_sum = codec.encode("G1 X1.5 F6000", number).rpartition(b"*")
    damaged = bytearray(payload)
    damaged[place % len(damaged)] ^= change
    assert codec.checksum(bytes(damaged)) != int(given_sum)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.02, "0.02"), (-0.0, "0"), (1e-9, "0"), (1500, "1500"), (-5.10, "-5.1")],
)
def test_a_number_is_written_in_fixed_point(value: float, text: str) -> None:
    assert codec.number(value) == text


@given(st.floats(-1e9, 1e9))
def test_no_number_has_an_exponent(value: float) -> None:
    assert float(codec.number(value)) == pytest.approx(value, abs=1e-6)
    assert not set(codec.number(value)) & set("eE")
