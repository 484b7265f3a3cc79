"""Lines pulled from a source, and several moves in flight, as dialogues."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.gcode.dialects import (
    KLIPPER,
    MARLIN,
    PRUSA,
    REPETIER,
    REPRAPFIRMWARE,
    SMOOTHIEWARE,
    Dialect,
)
from bridge.gcode.events import Connected, Done, Event, Failed
from bridge.gcode.protocol import Protocol
from bridge.gcode.window import HISTORY, Stream
from tests.support.dialogue import Dialogue

MOVES = [f"G1 X{number}" for number in range(1, 200)]
NO_CHECKSUM = "Error:No Checksum with line number, Last Line: {}"


def talk_to(dialect: Dialect = MARLIN, lines_in_flight: int = 1) -> Dialogue:
    talk = Dialogue(dialect)
    talk.protocol = Protocol(dialect, lines_in_flight=lines_in_flight)
    assert talk.sends().startswith("M110")
    talk.hears("ok")
    talk.waits(1)
    assert talk.sends() == "M105"
    assert Connected() in talk.hears("ok T:20.0 /0.0")
    return talk


def sends(talk: Dialogue) -> list[str]:
    """Return the lines that the host sends now, without numbers and checksums."""
    lines = talk.protocol.data_to_send(talk.now).decode().splitlines()
    return [line.partition(" ")[2].rpartition("*")[0] or line for line in lines]


def roomy(lines_in_flight: int = 4, dialect: Dialect = MARLIN) -> Dialogue:
    """Return a dialogue with a firmware that has said twice that it has room."""
    talk = talk_to(dialect, lines_in_flight)
    for line in ("M17", "M18"):
        ticket = talk.protocol.send(line)
        assert sends(talk) == [line]
        assert talk.hears(ok(talk)) == [Done(ticket)]
    return talk


def ok(talk: Dialogue, back: int = 1, room: int = 3) -> str:
    """Return the acknowledgement of the line that was sent so many lines ago."""
    return f"ok N{talk.protocol.next_number - back} P15 B{room}"


# Streams


def test_each_line_is_pulled_when_it_can_be_sent() -> None:
    talk = talk_to()
    pulled: list[str] = []

    def source() -> Iterator[str]:
        for line in ("G28", "G1 X1"):
            pulled.append(line)
            yield line

    stream = talk.protocol.stream(source())
    assert pulled == []
    assert sends(talk) == ["G28"]
    assert sends(talk) == []
    assert pulled == ["G28"]
    assert talk.hears("ok") == [Done(stream.ticket)]
    assert sends(talk) == ["G1 X1"]
    assert not stream.over
    assert talk.hears("ok") == [Done(stream.ticket)]
    assert sends(talk) == []
    assert stream.over


def test_other_lines_go_between_those_of_a_stream() -> None:
    talk = talk_to()
    stream = talk.protocol.stream(iter(MOVES[:3]))
    assert sends(talk) == ["G1 X1"]
    command = talk.protocol.send("M104 S200")
    query = talk.protocol.send("M114", ahead=True)
    assert talk.hears("ok") == [Done(stream.ticket)]
    assert sends(talk) == ["M114"]
    assert talk.hears("ok") == [Done(query)]
    assert sends(talk) == ["M104 S200"]
    assert talk.hears("ok") == [Done(command)]
    assert sends(talk) == ["G1 X2"]


def test_the_stream_that_was_added_last_goes_first() -> None:
    talk = talk_to()
    talk.protocol.stream(iter(["G1 X1", "G1 X2"]))
    assert sends(talk) == ["G1 X1"]
    talk.protocol.stream(iter(["G1 Y1"]))
    talk.hears("ok")
    assert sends(talk) == ["G1 Y1"]
    talk.hears("ok")
    assert sends(talk) == ["G1 X2"]


def test_a_source_may_have_nothing_for_a_while() -> None:
    talk = talk_to()
    talk.protocol.stream(iter([None, "G1 X1", None, "G1 X2"]))
    assert sends(talk) == []
    assert sends(talk) == ["G1 X1"]
    talk.hears("ok")
    assert sends(talk) == []
    assert sends(talk) == ["G1 X2"]


def test_an_acknowledgement_has_the_offset_of_its_line() -> None:
    talk = talk_to()
    stream = talk.protocol.stream(iter([("G1 X1", 40), "G1 X2", ("G1 X3", 47)]))
    for line, offset in (("G1 X1", 40), ("G1 X2", -1), ("G1 X3", 47)):
        assert sends(talk) == [line]
        assert talk.hears("ok") == [Done(stream.ticket, offset=offset)]


def test_a_stream_behind_the_others_is_sent_while_they_have_nothing_to_send() -> None:
    talk = talk_to()
    talk.protocol.stream(iter(["G1 X1", "G1 X2"]))
    talk.protocol.stream(iter(["G1 Y1", "G1 Y2"]), behind=True)
    talk.protocol.stream(iter(["G1 Z1"]))
    sent = []
    while lines := sends(talk):
        sent += lines
        talk.hears("ok")
    assert sent == ["G1 Z1", "G1 X1", "G1 X2", "G1 Y1", "G1 Y2"]


def test_a_paused_stream_lets_other_lines_pass() -> None:
    talk = talk_to()
    stream = talk.protocol.stream(iter(MOVES))
    assert sends(talk) == ["G1 X1"]
    stream.pause(talk.now)
    assert talk.hears("ok") == [Done(stream.ticket)]
    assert sends(talk) == []
    command = talk.protocol.send("M400")
    assert sends(talk) == ["M400"]
    assert talk.hears("ok") == [Done(command)]
    assert sends(talk) == []
    stream.resume(talk.now)
    assert sends(talk) == ["G1 X2"]


def test_a_line_that_was_pulled_before_a_pause_is_sent_after_it() -> None:
    talk = roomy()
    stream = talk.protocol.stream(iter(["G1 X1", "M106 S1", "G1 X2"]))
    assert sends(talk) == ["G1 X1"], "the next one waits until it is alone"
    stream.pause(talk.now)
    talk.hears(ok(talk))
    assert sends(talk) == []
    stream.resume(talk.now)
    assert sends(talk) == ["M106 S1"]


def test_a_stream_with_room_but_nothing_to_send_does_not_starve_meanwhile() -> None:
    talk = roomy()
    stream = talk.protocol.stream(iter(["G1 X1", *[None] * 4, "G1 X2"]))
    assert sends(talk) == ["G1 X1"]
    assert sends(talk) == []
    talk.now += 0.5
    assert stream.starved(talk.now) == 0, "a line is in flight"


def test_a_stream_counts_how_long_its_source_has_let_the_firmware_wait() -> None:
    talk = talk_to()
    stream = talk.protocol.stream(iter(["G1 X1", None, None, "G1 X2", None]))
    assert sends(talk) == ["G1 X1"]
    assert sends(talk) == []
    talk.waits(2)
    assert stream.starved(talk.now) == 0, "a line is in flight"
    talk.hears("ok")
    assert sends(talk) == []
    talk.now += 0.5
    assert stream.starved(talk.now) == pytest.approx(0.5)
    assert sends(talk) == []
    talk.now += 0.5
    stream.resume(talk.now)
    assert sends(talk) == ["G1 X2"]
    talk.now += 3
    assert stream.starved(talk.now) == pytest.approx(1.0)
    talk.hears("ok")
    assert sends(talk) == []
    stream.pause(talk.now)
    assert sends(talk) == []
    talk.now += 3
    assert stream.starved(talk.now) == pytest.approx(1.0), "a pause does not count"


def test_a_source_that_fails_ends_only_its_stream() -> None:
    def source() -> Iterator[str]:
        yield "G1 X1"
        raise OSError("the disk is gone")

    talk = talk_to()
    stream = talk.protocol.stream(source())
    assert sends(talk) == ["G1 X1"]
    assert talk.hears("ok") == [Done(stream.ticket)]
    assert sends(talk) == []
    assert stream.over
    assert isinstance(stream.refused, OSError)


def test_a_stream_that_is_ended_sends_no_more() -> None:
    talk = talk_to()
    stream = talk.protocol.stream(iter(MOVES))
    assert sends(talk) == ["G1 X1"]
    stream.end()
    assert talk.hears("ok") == [Done(stream.ticket)]
    assert sends(talk) == []


@pytest.mark.parametrize("line", ["", "M117 ü", "N5 G1", "G1 " + "X1" * 60])
def test_a_line_that_cannot_be_sent_ends_its_stream(line: str) -> None:
    talk = talk_to()
    stream = talk.protocol.stream(iter(["G1 X1", line, "G1 X2"]))
    assert sends(talk) == ["G1 X1"]
    talk.hears("ok")
    assert sends(talk) == []
    assert stream.over
    assert stream.refused is not None
    ticket = talk.protocol.send("M84")
    assert sends(talk) == ["M84"]
    assert talk.hears("ok") == [Done(ticket)]


def test_a_stream_has_lines_as_long_as_the_firmware_reads() -> None:
    outline = "EXCLUDE_OBJECT_DEFINE NAME=cube POLYGON=" + "[10,10]," * 100
    talk = talk_to(KLIPPER)
    ticket = talk.protocol.stream(iter([outline])).ticket
    assert sends(talk) == [outline]
    assert talk.hears("ok") == [Done(ticket)]
    stream = talk.protocol.stream(iter([outline * 6]))
    assert sends(talk) == []
    assert "shorter than 4096" in str(stream.refused)


def test_a_reset_ends_a_stream() -> None:
    talk = talk_to()
    stream = talk.protocol.stream(iter(MOVES))
    sends(talk)
    failed = talk.hears("start")[0]
    assert isinstance(failed, Failed)
    assert (failed.ticket, failed.sent) == (stream.ticket, True)
    assert stream.over
    assert stream.failure == ("disconnected", "the printer was reset")


def test_a_halt_ends_a_stream_that_waits_for_its_turn() -> None:
    talk = talk_to()
    stream = talk.protocol.stream(iter(MOVES))
    assert talk.protocol.halt("emergency_stopped", "stopped") == []
    assert stream.failure == ("emergency_stopped", "stopped")


def test_a_stream_remembers_only_what_nobody_has_seen() -> None:
    stream = Stream(1, iter(["G28"]))
    line = stream.peek()
    assert line is stream.peek()
    assert line is not None
    stream.pop(line)
    assert (stream.pulled, stream.open) == ([line], 1)
    assert stream.peek() is None


def test_the_history_stays_short() -> None:
    talk = talk_to()
    talk.protocol.stream(iter(MOVES))
    first = talk.protocol.next_number
    for _ in range(HISTORY + 5):
        sends(talk)
        talk.hears("ok")
    talk.hears(f"Resend: {first}", "ok")
    assert sends(talk) == [f"G1 X{HISTORY + 6}"], "too old to be sent again"


# Several moves in flight


def test_moves_fill_the_buffer_once_its_size_was_reported_twice() -> None:
    talk = talk_to(lines_in_flight=8)
    stream = talk.protocol.stream(iter(MOVES))
    assert sends(talk) == ["G1 X1"]
    assert talk.hears(ok(talk)) == [Done(stream.ticket)]
    assert sends(talk) == ["G1 X2"]
    assert talk.hears(ok(talk)) == [Done(stream.ticket)]
    assert sends(talk) == ["G1 X3", "G1 X4", "G1 X5", "G1 X6"]
    assert talk.hears(ok(talk, 4, room=0)) == [Done(stream.ticket)]
    assert sends(talk) == ["G1 X7"]
    assert talk.hears(ok(talk, 2, room=0)) == [Done(stream.ticket)] * 3
    assert sends(talk) == ["G1 X8", "G1 X9", "G1 X10"]


def test_no_more_are_in_flight_than_is_configured() -> None:
    talk = roomy(lines_in_flight=2)
    talk.protocol.stream(iter(MOVES))
    assert sends(talk) == ["G1 X1", "G1 X2"]


def test_room_that_is_told_once_may_be_damaged() -> None:
    talk = talk_to(lines_in_flight=8)
    talk.protocol.stream(iter(MOVES))
    sends(talk)
    talk.hears(ok(talk, room=7))
    sends(talk)
    talk.hears(ok(talk, room=3))
    assert len(sends(talk)) == 1


def test_long_moves_do_not_overrun_the_receive_buffer() -> None:
    talk = roomy(lines_in_flight=4)
    long = [f"G1 X{n}.123456 Y123.123456 Z12.123456 E123.12345 F12345" for n in "123"]
    talk.protocol.stream(iter(long))
    assert sends(talk) == long[:2]


@pytest.mark.parametrize("line", ["M105", "M104 S0", "G28", "M400", "G4 P1", "T1"])
def test_every_other_line_is_in_flight_alone(line: str) -> None:
    talk = roomy()
    talk.protocol.stream(iter(["G1 X1", "G1 X2", line, "G1 X3", "G1 X4"]))
    assert sends(talk) == ["G1 X1", "G1 X2"]
    talk.hears(ok(talk, 2))
    assert sends(talk) == []
    talk.hears(ok(talk))
    assert sends(talk) == [line]
    assert sends(talk) == []
    talk.hears("ok T:20 /0" if line == "M105" else ok(talk))
    assert sends(talk) == ["G1 X3", "G1 X4"]


def test_a_question_cuts_in_as_soon_as_the_moves_are_acknowledged() -> None:
    talk = roomy()
    talk.protocol.stream(iter(MOVES))
    assert len(sends(talk)) == 4
    query = talk.protocol.send("M114", ahead=True)
    talk.hears(ok(talk, 2))
    assert sends(talk) == []
    talk.hears(ok(talk))
    assert sends(talk) == ["M114"]
    assert talk.hears("X:1.00 Y:0 Z:0 E:0", ok(talk))[-1] == Done(
        query, ("X:1.00 Y:0 Z:0 E:0",)
    )


def test_single_moves_share_the_buffer_as_well() -> None:
    talk = roomy()
    tickets = [talk.protocol.send(line) for line in MOVES[:3]]
    assert sends(talk) == MOVES[:3]
    assert talk.hears(ok(talk)) == [Done(ticket) for ticket in tickets]


def test_what_the_firmware_flushed_is_sent_again_one_by_one() -> None:
    talk = roomy()
    stream = talk.protocol.stream(iter(MOVES))
    assert sends(talk) == ["G1 X1", "G1 X2", "G1 X3", "G1 X4"]
    first = talk.protocol.next_number - 4
    done = talk.hears(
        NO_CHECKSUM.format(first), f"Resend: {first + 1}", "ok", f"ok N{first} P15 B3"
    )
    assert done == [Done(stream.ticket)]
    assert sends(talk) == ["G1 X2"]
    talk.hears(ok(talk, 3))
    assert sends(talk) == ["G1 X3"], "one at a time, until all are through"
    talk.hears(ok(talk, 2))
    assert sends(talk) == ["G1 X4", "G1 X5", "G1 X6", "G1 X7"]


def test_the_oks_of_earlier_lines_may_follow_the_request() -> None:
    """tests/transcripts/marlin/m21-burst.txt: the ok of the request comes first."""
    talk = roomy()
    talk.protocol.stream(iter(MOVES))
    sends(talk)
    first = talk.protocol.next_number - 4
    talk.hears(NO_CHECKSUM.format(first + 1), f"Resend: {first + 2}")
    talk.hears(f"ok N{first} P15 B2")
    assert sends(talk) == [], "that of the request is still to come"
    talk.hears("ok")
    talk.hears(f"ok N{first + 1} P15 B2")
    assert sends(talk) == ["G1 X3"]
    assert talk.hears("ok") == [], "of another request for the same line"
    assert talk.hears(f"ok N{first + 2} P15 B3") != []


def test_nothing_joins_a_burst_that_was_complained_about() -> None:
    talk = roomy()
    talk.protocol.stream(iter(MOVES))
    sends(talk)
    first = talk.protocol.next_number - 4
    talk.hears(NO_CHECKSUM.format(first + 1))
    assert sends(talk) == []
    talk.hears(f"Resend: {first + 2}", "ok")
    assert sends(talk) == ["G1 X3"]


def test_a_lost_ok_in_a_burst_is_made_up_by_the_next_one() -> None:
    talk = roomy()
    stream = talk.protocol.stream(iter(MOVES))
    sends(talk)
    assert talk.hears(ok(talk, 3)) == [Done(stream.ticket)] * 2


def test_a_silence_in_a_burst_is_probed() -> None:
    talk = roomy()
    stream = talk.protocol.stream(iter(MOVES[:4]))
    assert len(sends(talk)) == 4
    talk.waits(30)
    assert talk.sends() == "M105"
    done = [x for x in talk.hears("ok T:20.0 /0.0") if isinstance(x, Done)]
    assert done == [Done(stream.ticket)] * 4


def test_klippers_terminal_loses_nothing() -> None:
    talk = talk_to(KLIPPER, lines_in_flight=3)
    stream = talk.protocol.stream(iter(MOVES))
    assert sends(talk) == ["G1 X1", "G1 X2", "G1 X3"]
    assert talk.hears("ok", "ok") == [Done(stream.ticket)] * 2
    assert sends(talk) == ["G1 X4", "G1 X5"]


@pytest.mark.parametrize(
    "dialect",
    [REPRAPFIRMWARE, replace(MARLIN, checks_sequence=False)],
    ids=lambda dialect: dialect.name,
)
def test_where_a_lost_line_would_not_be_noticed_one_is_in_flight(
    dialect: Dialect,
) -> None:
    talk = talk_to(dialect, lines_in_flight=4)
    talk.protocol.stream(iter(MOVES))
    for _ in range(3):
        assert len(sends(talk)) == 1
        talk.hears(ok(talk))


# The usual acknowledgements are processed on a shorter path

SHORT_TO_LONG = {"ok": "OK", "ok N": "ok  N"}
"""Spellings that mean the same and are not recognised by the shorter path."""

happenings = st.one_of(
    st.sampled_from(["G1 X1", "G1 X2 E.5", "G28", "M105", "M115", "M400"]).map(
        lambda text: ("send", text)
    ),
    st.integers(-5, 1).flatmap(
        lambda back: st.integers(0, 5).map(lambda room: ("ok", (back, room)))
    ),
    st.just(("plain", None)),
    st.integers(-3, 1).map(lambda back: ("resend", back)),
    st.sampled_from(
        ["wait", "busy: processing", "Error:checksum mismatch", "T:20"]
    ).map(lambda text: ("says", text)),
    st.sampled_from([0.01, 1.0, 15.0]).map(lambda seconds: ("waits", seconds)),
    st.just(("urgent", None)),
)


@given(
    st.lists(happenings, max_size=40),
    st.sampled_from([MARLIN, PRUSA, REPETIER, SMOOTHIEWARE]),
    st.sampled_from([1, 4]),
    st.integers(0, 20),
)
def test_the_short_path_of_an_ok_does_what_the_long_one_does(
    story: list[tuple[str, Any]], dialect: Dialect, lines_in_flight: int, lines: int
) -> None:
    begin = talk_to if lines_in_flight == 1 else _roomy
    talks = [begin(dialect, lines_in_flight) for _ in range(2)]
    for talk in talks:
        talk.protocol.stream(iter(MOVES[:lines]))
    short, long = (
        [line for what in story for line in _plays(talk, what, spelling)]
        for talk, spelling in zip(talks, (None, SHORT_TO_LONG), strict=True)
    )
    assert short == long


def _roomy(dialect: Dialect, lines_in_flight: int) -> Dialogue:
    return roomy(lines_in_flight, dialect)


def _plays(
    talk: Dialogue, what: tuple[str, Any], spelling: dict[str, str] | None
) -> list[object]:
    """Have one thing happen; return the events, bytes and deadline that follow."""
    kind, value = what
    events: list[Event] = []
    if kind == "send":
        talk.protocol.send(value)
    elif kind == "waits":
        talk.now += value
        if (due := talk.protocol.next_timeout()) is not None and due <= talk.now:
            events = talk.protocol.handle_timeout(talk.now)
    elif kind == "urgent":
        talk.protocol.send_now("M108")
        talk.protocol.urgent_data(talk.now)
    else:
        text = _said(talk, kind, value)
        for short, long in (spelling or {}).items():
            if text == short or (short != "ok" and text.startswith(short)):
                text = text.replace(short, long, 1)
                break
        events = talk.protocol.receive_data(f"{text}\n".encode(), talk.now)
    talk.now += 0.001
    counters = talk.protocol.counters
    return [
        *events,
        talk.protocol.data_to_send(talk.now),
        talk.protocol.next_timeout(),
        (counters.timeouts, tuple(counters.round_trips), talk.protocol.connected),
    ]


def _said(talk: Dialogue, kind: str, value: Any) -> str:  # noqa: ANN401 - of any kind
    number = talk.protocol.next_number
    match kind:
        case "ok":
            return f"ok N{number + value[0]} P15 B{value[1]}"
        case "plain":
            return "ok"
        case "resend":
            return f"Resend: {number + value}"
    return str(value)
