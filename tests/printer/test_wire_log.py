"""The wire log: its entries, its text format, and the last lines it keeps."""

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.printer.link.wire_log import (
    LONGEST,
    RUN,
    Direction,
    LogFormatError,
    LogTail,
    RoutineLines,
    WireLog,
    WireLogEntry,
    escape,
    read_log,
    write_log,
)

TRANSCRIPTS = Path(__file__).parent.parent / "transcripts"


def test_a_conversation_as_it_is_written() -> None:
    written: list[str] = []
    log = WireLog(lambda entry: written.append(write_log(entry, 1000.0)))
    log.note("port opened", 1000.0)
    log.sent(b"N12 G28*17\n", 1012.3456)
    log.received(b"echo:busy: processing\no", 1014.0)
    log.received(b"k\r\n", 1014.5)
    log.sent(b"M105\nM114\n", 1015.0)
    assert "".join(written) == (
        "    0.0000 # port opened\n"
        "   12.3456 > N12 G28*17\\n\n"
        "   14.0000 < echo:busy: processing\n"
        "   14.5000 < ok\\r\n"
        "   15.0000 > M105\\n\n"
        "   15.0000 > M114\\n\n"
    )


def test_the_last_lines_for_a_person() -> None:
    log = WireLog(keep=3)
    log.sent(b"M105\n", 0.0)
    log.sent(b"N12 G28*17\n", 1.0)
    log.received(b"ok \xc3\x84\r\nError:\\x\n", 2.0)
    assert log.tail == [">>> N12 G28*17", "<<< ok \\xc3\\x84", "<<< Error:\\\\x"]
    log.note("port closed", 3.0)
    assert log.tail[-1] == "### port closed"


def test_half_a_line_is_not_lost_when_something_comes_between() -> None:
    entries: list[WireLogEntry] = []
    log = WireLog(entries.append)
    log.received(b"T:19", 1.0)
    log.sent(b"M112\n", 2.0)
    log.received(b".5\n", 3.0)
    assert [write_log(entry) for entry in entries] == [
        "    1.0000 < T:19\\\n",
        "    2.0000 > M112\\n\n",
        "    3.0000 < .5\n",
    ]


def test_noise_without_line_feeds_does_not_pile_up() -> None:
    entries: list[WireLogEntry] = []
    log = WireLog(entries.append)
    for _ in range(10):
        log.received(bytes(LONGEST // 2), 0.0)
    assert sum(len(entry.data) for entry in entries) == 5 * LONGEST


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"G1 X1", "G1 X1"),
        (b"\n\r\t\\", "\\n\\r\\t\\\\"),
        (b"\x00\x7f\xff", "\\x00\\x7f\\xff"),
    ],
)
def test_bytes_are_shown_as_printable_text(data: bytes, text: str) -> None:
    assert escape(data) == text


lines = st.binary(max_size=20).map(lambda data: data.replace(b"\n", b"\\"))
entries = st.builds(
    WireLogEntry,
    time=st.integers(0, 10_000_000).map(lambda ticks: ticks / 10_000),
    direction=st.sampled_from([Direction.SENT, Direction.RECEIVED]),
    data=st.builds(lambda line, end: line + end, lines, st.sampled_from([b"\n", b""])),
)


@given(st.lists(entries))
def test_what_is_written_can_be_read(conversation: list[WireLogEntry]) -> None:
    conversation.sort(key=lambda entry: entry.time)
    assert list(read_log(map(write_log, conversation))) == conversation


@given(st.lists(st.tuples(st.sampled_from(["sent", "received"]), st.binary())))
def test_every_byte_is_logged_in_its_order(
    conversation: list[tuple[str, bytes]],
) -> None:
    entries: list[WireLogEntry] = []
    log = WireLog(entries.append)
    for way, data in conversation:
        if way == "sent":
            log.sent(data, 0.0)
        else:
            log.received(data, 0.0)
    log.note("end", 0.0)
    for way, direction in (("sent", Direction.SENT), ("received", Direction.RECEIVED)):
        assert b"".join(
            data for which, data in conversation if which == way
        ) == b"".join(entry.data for entry in entries if entry.direction is direction)


def test_both_styles_of_transcripts_are_read_and_the_console_too() -> None:
    log = """
    0.0000 # start banner
    0.0134 < start
    0.0200 # --- 'M115'
    3.0032 > M115\\n
    3.7197 < //action:notification 0s\\r
    9.6745 < Ã¤ÿ\\x80\\r
   10.1006 >> 'M105\\n'
   10.2584 << "!! Error on 'M26': missing S\\n"
   10.3000 ## a note
>>> N12 G28*17
<<< ok
   10.4000 <
"""
    assert [
        (e.time, e.direction.value, e.data) for e in read_log(log.splitlines())
    ] == [
        (0.0134, "<", b"start\n"),
        (3.0032, ">", b"M115\n"),
        (3.7197, "<", b"//action:notification 0s\r\n"),
        (9.6745, "<", b"\xc3\xa4\xff\x80\r\n"),
        (10.1006, ">", b"M105\n"),
        (10.2584, "<", b"!! Error on 'M26': missing S\n"),
        (10.2584, ">", b"N12 G28*17\n"),
        (10.2584, "<", b"ok\n"),
        (10.4, "<", b"\n"),
    ]


def test_characters_that_are_no_bytes_are_read_as_utf_8() -> None:
    (entry,) = read_log(["0.5 < 20 € µ"])
    assert entry.data == "20 € µ\n".encode()


def test_times_go_on_where_a_log_begins_anew() -> None:
    log = ["5.0 > a\\n", "9.0 < ok", "0.5 > b\\n", "1.0 < ok"]
    assert [entry.time for entry in read_log(log)] == [5.0, 9.0, 9.5, 10.0]


@pytest.mark.parametrize(
    "path", sorted(TRANSCRIPTS.rglob("*.txt")), ids=lambda p: p.name
)
def test_every_transcript_is_read(path: Path) -> None:
    entries = list(read_log(path.read_text().splitlines()))
    assert {entry.direction for entry in entries} == {
        Direction.SENT,
        Direction.RECEIVED,
    }
    assert all(a.time <= b.time for a, b in itertools.pairwise(entries))


@pytest.mark.parametrize(
    "line", ["G28", "12.3 G28", "12.3 = G28", ">> G28", "<< 5", ">>>> x", "1.0 >x"]
)
def test_a_line_that_is_no_entry_is_named(line: str) -> None:
    with pytest.raises(LogFormatError, match="line 2 of the log"):
        list(read_log(["1.0 < ok", line]))


HEAT = b" T:210.14 /210.00 B:60.01 /60.00 @:45 B@:12\n"


def test_the_cause_outlives_the_reports() -> None:
    log = WireLog()
    log.sent(b"N12 M109 S220*17\n", 0.0)
    for second in range(300):
        log.received(b" T:50.00 /220.00 B:60.01 /60.00 @:127 B@:12 W:?\n", second)
        log.received(b"echo:busy: processing\n", second)
    log.received(b"Error:Heating failed, system stopped! Heater_ID: E0\n", 300.0)
    assert log.tail == [
        ">>> N12 M109 S220*17",
        "### 597 reports and repetitions left out",
        "<<< echo:busy: processing",
        "<<<  T:50.00 /220.00 B:60.01 /60.00 @:127 B@:12 W:?",
        "<<< echo:busy: processing",
        "<<< Error:Heating failed, system stopped! Heater_ID: E0",
    ]


def test_polls_go_with_their_answers() -> None:
    log = WireLog()
    log.sent(b"N12 G28*17\n", 0.0)
    log.received(b"ok\n", 0.0)
    for number in range(13, 99):
        log.sent(b"N%d M105*17\n" % number, 0.0)
        log.received(b"ok T:210.1 /210.0 B:60.0 /60.0 @:0 B@:0\n", 0.0)
        log.sent(b"M27\n", 0.0)
        log.received(b"SD printing byte 17/107\r\nok N7 P15 B3\n", 0.0)
    assert log.tail[:3] == [
        ">>> N12 G28*17",
        "<<< ok",
        "### 427 reports and repetitions left out",
    ]
    assert len(log.tail) == 3 + RUN - 1


def test_few_reports_stay() -> None:
    log = WireLog()
    for _ in range(RUN):
        log.received(HEAT, 0.0)
    log.sent(b"G28\n", 0.0)
    assert len(log.tail) == RUN + 1
    assert not any(line.startswith("###") for line in log.tail)


def test_what_is_said_again_and_again_leaves_room() -> None:
    log = WireLog()
    log.sent(b"M24\n", 0.0)
    for _ in range(1000):
        log.received(b"Error:SD read error\n", 0.0)
    said = "<<< Error:SD read error"
    assert log.tail == [
        ">>> M24",
        said,
        "### 996 reports and repetitions left out",
        said,
        said,
        said,
    ]


def test_no_more_than_twenty_lines_and_the_newest_of_them() -> None:
    log = WireLog()
    for number in range(10):
        log.sent(b"G1 X%d\n" % number, 0.0)
        log.received(HEAT * 50 + b"ok\n", 0.0)
    assert len(log.tail) == 20
    assert log.tail[-1] == "<<< ok"
    assert list(read_log(log.tail)), "it can be replayed"


@pytest.mark.parametrize(
    "line",
    [
        b"ok T:20.1 /0.0 B:19.4 /0.0 @:0 B@:0",
        b"ok B:21.5 /0.0 T0:21.5 /0.0",
        b"T:25.0 E:0 W:3",
        b"T:32.0 /40.0 T0:26.3 /35.0 T1:32.0 /40.0 @:0 B@:0 @0:0 @1:0 W:?",
        b"T:22.1 /0.0 @0 B:21.0 /0.0 @0",
        b"X:0.00 Y:-5.00 Z:0.02 E:0.00 Count X:0 Y:-400 Z:8",
        b"SD printing byte 17/107",
        b"Not SD printing.",
        b"echo:busy: paused for user",
        b"wait",
        b"// Klipper state: Ready",
        b"ok",
        b"",
    ],
)
def test_routine(line: bytes) -> None:
    assert RoutineLines().received(line)


@pytest.mark.parametrize(
    "line",
    [
        b"Error:MINTEMP triggered, system stopped! Heater_ID: bed",
        b"T:20.0 Error:MINTEMP",
        b"T:nan /210.0 B:60.0 /60.0",
        b"// Klipper state: Shutdown",
        b"start",
        b"Resend: 5",
        b"!! Printer is not ready",
        b"@1234567 " * 100 + b"!",
        b"AB123:1234.567 /1234.567 " * 40 + b"!",
    ],
)
def test_evidence(line: bytes) -> None:
    assert not RoutineLines().received(line)


def test_the_ok_of_a_command_is_evidence() -> None:
    routine = RoutineLines()
    assert not routine.sent(b"N12 G28*17\n")
    assert routine.sent(b"N13 M105*17\n")
    assert not routine.received(b"ok\n")
    assert routine.received(b"ok\n")


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 25))
def test_nothing_is_lost_without_a_word(routine: list[bool], keep: int) -> None:
    tail: LogTail[float] = LogTail(keep)
    for number, is_routine in enumerate(routine):
        tail.add(float(number), routine=is_routine)
    shown = list(tail)
    count = sum(entry if isinstance(entry, int) else 1 for entry in shown)
    numbers = [entry for entry in shown if isinstance(entry, float)]
    assert numbers == sorted(numbers)
    assert len(numbers) <= keep
    assert numbers[-1:] == [float(len(routine) - 1)][: len(routine)]
    assert not numbers or count == len(routine) - _begins(shown)
    others = [float(n) for n, is_routine in enumerate(routine) if not is_routine]
    assert [n for n in others if n >= _begins(shown)] == [
        n for n in numbers if n in others
    ]


def _begins(shown: list[float | int]) -> int:
    """Return the number of the first thing that is shown or told to be missing."""
    missing = 0
    for entry in shown:
        if isinstance(entry, float):
            return int(entry) - missing
        missing += entry
    return 0


def test_another_listener_gets_what_is_logged_from_then_on() -> None:
    before: list[WireLogEntry] = []
    after: list[WireLogEntry] = []
    log = WireLog(before.append)
    log.note("first", 1.0)
    log.listen(after.append)
    log.note("second", 2.0)
    assert [entry.data for entry in before] == [b"first"]
    assert [entry.data for entry in after] == [b"second"]
