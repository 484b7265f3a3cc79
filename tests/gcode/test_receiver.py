"""Bytes to lines."""

from hypothesis import given
from hypothesis import strategies as st

from bridge.gcode.receiver import MAX_LINE, Receiver


def test_lines_end_in_any_way() -> None:
    assert Receiver().feed(b"ok\r\n\n wait \nhal") == ["ok", "wait"]


def test_nul_bytes_and_odd_encodings_are_read_all_the_same() -> None:
    receiver = Receiver()
    assert receiver.feed("\0ok\0\nDüse\n".encode()) == ["ok", "Düse"]
    assert receiver.noise == 0
    assert receiver.feed(b"D\xfcse\n") == ["Düse"]
    assert receiver.noise == 1


def test_noise_without_line_ends_is_thrown_away_and_counted() -> None:
    receiver = Receiver()
    assert receiver.feed(b"\xfe" * (MAX_LINE + 1)) == []
    assert receiver.noise == MAX_LINE + 1
    assert receiver.feed(b"ok\n") == ["ok"]


@given(st.lists(st.binary(max_size=20)))
def test_it_does_not_matter_how_bytes_are_cut(pieces: list[bytes]) -> None:
    receiver = Receiver()
    lines = [line for piece in pieces for line in receiver.feed(piece)]
    assert lines == Receiver().feed(b"".join(pieces))
