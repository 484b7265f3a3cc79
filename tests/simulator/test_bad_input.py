"""Whatever arrives, it neither fails nor grows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.gcode.framing import encode
from bridge.simulator.firmware import Firmware
from bridge.simulator.personalities import PERSONALITIES

CODES = st.one_of(
    st.builds("{}{}".format, st.sampled_from("GMT"), st.integers(0, 130)),
    st.sampled_from(["M140", "M155", "M190", "M220", "M302", "M410", "M524", "M600"]),
    st.sampled_from(["M876", "M999", "FIRMWARE_RESTART", "STATUS", "PAUSE", "RESUME"]),
)
NUMBERS = st.sampled_from(["", "0", "-1", "1", "99999999999999999999", "1.5", ".", "x"])
WORDS = st.builds("{}{}".format, st.sampled_from("XYZEFSPTRNC"), NUMBERS)
LINES = st.builds(
    lambda code, words: " ".join([code, *words]).encode() + b"\n",
    CODES,
    st.lists(WORDS, max_size=4),
)
NUMBERED = st.builds(encode, CODES, st.integers(0, 20))
CHUNKS = st.one_of(st.binary(max_size=80), LINES, NUMBERED)
STEPS = st.lists(st.tuples(CHUNKS, st.floats(0, 30)), max_size=15)


@given(st.sampled_from(list(PERSONALITIES)), STEPS)
def test_nothing_that_arrives_makes_it_fail(
    name: str, steps: list[tuple[bytes, float]]
) -> None:
    firmware = Firmware(name)
    now = 0.0
    firmware.reset(now)
    for chunk, pause in steps:
        firmware.receive_data(chunk, now)
        now += pause
        firmware.handle_time(now)
        due = firmware.next_event(now)
        assert due is None or due >= now
    firmware.reset(now)
    assert not firmware.machine.stopped


@pytest.mark.parametrize("name", list(PERSONALITIES))
def test_a_flood_takes_bounded_memory(name: str) -> None:
    for piece in (b"x", b"\n", b";", b"\0", b"M105\n"):
        firmware = Firmware(name)
        firmware.receive_data(b"G4 S1000\n", 0.0)
        for _ in range(5):
            firmware.receive_data(piece * 10_000, 0.0)
        assert firmware.pending <= 16_384


def test_a_line_without_an_end_does_not_stop_the_next_one() -> None:
    firmware = Firmware()
    firmware.receive_data(b"x" * 100_000, 0.0)
    assert b"Unknown command" in firmware.receive_data(b"\n", 0.0)
    assert firmware.receive_data(b"M105\n", 0.0).startswith(b"ok T:")


@given(st.binary(max_size=200).filter(lambda data: b"M" not in data))
def test_sense_is_understood_after_noise(noise: bytes) -> None:
    firmware = Firmware()
    firmware.receive_data(noise + b"\n", 0.0)
    firmware.handle_time(1000.0)
    assert firmware.receive_data(b"\nM105\n", 1000.0).startswith(b"ok T:")
