"""Whatever a firmware says: no exception, bounded memory, and recovery afterwards."""

import sys
from dataclasses import fields, is_dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.gcode.dialects import DIALECTS, Dialect
from bridge.gcode.events import Done, Event, Failed, LinkFailed
from bridge.gcode.framing import MAX_REPLY
from bridge.gcode.line_output import MAX_OUTPUT
from bridge.gcode.protocol import Protocol
from bridge.gcode.window import HISTORY
from bridge.simulator.firmware import Firmware
from tests.support.cases import examples

_WORDS = (
    "ok", "ok T:20.0 /0.0", "ok N1002 P15 B3", "ok 1002", "start", "wait", "Resend: 1",
    "Resend: 1002", "Resend: 999999999", "rs N1003 expected checksum 1", "resend",
    "Error:checksum mismatch, Last Line: 1001", "Error:expected line 1 got 2", "error",
    "Error:Printer halted. kill() called!", "!! Shutdown", "// Klipper state: Ready",
    "echo:busy: processing", "echo:busy: paused for user", "T:20.0 /0.0 B:20.0 /0.0",
    "X:0.00 Y:0.00 Z:0.00 E:0.00", "FIRMWARE_NAME:Marlin 2", "Cap:EEPROM:1", "fatal:",
    "Begin file list", "A.GCO 51", "End file list", "//action:pause", "T:nan /inf", "",
)  # fmt: skip
_texts = st.one_of(
    st.sampled_from(_WORDS),
    st.text(max_size=40),
    st.tuples(st.sampled_from(_WORDS), st.sampled_from(_WORDS)).map("".join),
)
_chunks = st.one_of(
    _texts.map(lambda text: text.encode() + b"\n"),
    st.sampled_from([word.encode() + b"\n" for word in _WORDS]),
    st.binary(max_size=60),
)
_deeds = st.one_of(
    _chunks,
    st.sampled_from(
        ["G28", "M114", "M105", "M20", "M109 S200", "now", "halt", "again"]
    ),
    st.floats(0, 400),
)


class Listener:
    """A host that hears anything, and does anything meanwhile."""

    def __init__(self, dialect: Dialect) -> None:
        self.protocol = Protocol(dialect)
        self.now = 0.0
        self.open: set[int] = set()

    def meets(self) -> None:
        self.does(0.0)
        for deed in (b"ok\n", 1.0, b"ok T:20.0 /0.0\n"):
            self.does(deed)
        assert self.protocol.connected

    def does(self, deed: bytes | str | float) -> None:
        protocol = self.protocol
        match deed:
            case bytes():
                self.takes(protocol.receive_data(deed, self.now))
            case "halt":
                self.takes(protocol.halt("emergency_stopped", "stopped"))
            case "again":
                self.takes(protocol.restart())
            case "now":
                protocol.send_now("M108")
                protocol.urgent_data(self.now)
            case str():
                self.open.add(protocol.send(deed))
            case seconds:
                self.now += seconds
                self.takes(protocol.handle_timeout(self.now))
        protocol.data_to_send(self.now)

    def takes(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Done | Failed):
                self.open.remove(event.ticket)  # each ticket comes back once


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=lambda dialect: dialect.name)
@settings(max_examples=examples(60))
@given(deeds=st.lists(_deeds, max_size=60))
def test_the_link_recovers_after_any_noise(
    dialect: Dialect, deeds: list[bytes | str | float]
) -> None:
    listener = Listener(dialect)
    for deed in deeds:
        listener.does(deed)
    listener.does("again")
    assert not listener.open, "everything that waited has its end"
    assert is_understood(listener)


def is_understood(listener: Listener) -> bool:
    """Return whether a sound firmware at the other end now receives a line."""
    firmware, protocol = Firmware("marlin"), listener.protocol
    said = b"\n" + firmware.reset(listener.now)
    ticket = protocol.send("M84")
    for _ in range(100):
        events = protocol.receive_data(said, listener.now)
        said = b""
        if any(isinstance(event, Done) and event.ticket == ticket for event in events):
            return True
        if data := protocol.data_to_send(listener.now):
            said = firmware.receive_data(data, listener.now)
        elif (due := protocol.next_timeout()) is not None:
            listener.now = max(listener.now, due)
            events = protocol.handle_timeout(listener.now)
            assert not any(isinstance(event, LinkFailed) for event in events)
    return False


@pytest.mark.parametrize("name", ["marlin", "repetier", "klipper", "unknown"])
@settings(max_examples=examples(15))
@given(chunks=st.lists(_chunks, min_size=1, max_size=20))
def test_endless_talk_does_not_fill_the_memory(name: str, chunks: list[bytes]) -> None:
    listener = Listener(DIALECTS[name])
    listener.meets()
    listener.does("M20")
    for _ in range(50):
        for chunk in chunks:
            listener.does(chunk)
    assert weight(listener.protocol) < (MAX_OUTPUT + MAX_REPLY + 100 * HISTORY) * 64


def weight(value: object, seen: set[int] | None = None) -> int:
    """Return the size in bytes of an object and all that it holds."""
    seen = set() if seen is None else seen
    if id(value) in seen or isinstance(value, type | Dialect) or callable(value):
        return 0
    seen.add(id(value))
    total = sys.getsizeof(value)
    if is_dataclass(value):
        parts = [getattr(value, field.name) for field in fields(value)]
    elif isinstance(value, dict):
        parts = [*value, *value.values()]
    elif isinstance(value, str | bytes | int | float):
        parts = []
    elif hasattr(value, "__iter__") and hasattr(value, "__len__"):
        parts = list(value)
    else:
        parts = list(vars(value).values()) if hasattr(value, "__dict__") else []
    return total + sum(weight(part, seen) for part in parts)


def test_a_long_list_is_cut() -> None:
    listener = Listener(DIALECTS["marlin"])
    listener.meets()
    ticket = listener.protocol.send("M20")
    listener.protocol.data_to_send(listener.now)
    listener.protocol.receive_data(b"A.GCO 51\n" * (MAX_OUTPUT + 10), listener.now)
    (done,) = listener.protocol.receive_data(b"ok\n", listener.now)
    assert isinstance(done, Done)
    assert done.ticket == ticket
    assert len(done.output) == MAX_OUTPUT
