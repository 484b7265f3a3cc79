"""What stays of the last lines of the wire: what caused an error, not what fills it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.printer.link.wire_log import RUN, LogTail, RoutineLines, WireLog, read_log

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
