"""Logs of serial connections as people post them, with names replaced."""

import re
from pathlib import Path

import pytest

from bridge.cli.replay import Summary, explained
from bridge.printer.link.replay import read_any, read_lines
from bridge.printer.link.wire_log import Direction, LogFormatError

REPORTS = Path(__file__).parent.parent / "transcripts" / "reports"
LOGS = sorted(REPORTS.glob("*.log"))

README = REPORTS.parent / "README.md"


def not_understood() -> dict[str, str]:
    """Return the texts that have no meaning, with the reason, as the README says."""
    part = README.read_text().split("## What is not understood")[1]
    part = part.split("Excerpts that were found")[0]
    rows = re.findall(r"^\| `(.+)` \| (.+) \|$", part, re.MULTILINE)
    return {text.replace("\\|", "|"): reason for text, reason in rows}


NOT_UNDERSTOOD = not_understood()


def test_there_are_forty_logs_of_all_forms() -> None:
    assert len(LOGS) >= 40


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.stem)
def test_each_log_is_read_and_understood(log: Path) -> None:
    summary = Summary()
    list(explained(read_any(read_lines([log.read_bytes()])), summary=summary))
    lines = list(summary.lines())
    begin = next(n for n, line in enumerate(lines) if "without a meaning" in line)
    others = {line.split(maxsplit=1)[1] for line in lines[begin + 1 :]}
    assert others <= NOT_UNDERSTOOD.keys()
    assert int(lines[2].split()[0]) > 0


@pytest.mark.parametrize(
    ("line", "sent", "data"),
    [
        ("2018-04-05 12:34:56,789 - Send: N1 M105*37", True, b"N1 M105*37\n"),
        ("2018-04-05 12:34:56,789 - Recv: ok", False, b"ok\n"),
        ("2018-04-05 12:34:56,789 - SERIAL - DEBUG - Recv: ok", False, b"ok\n"),
        ("Send: M105", True, b"M105\n"),
        ("Recv:  T:20 /0", False, b" T:20 /0\n"),
        ("SENT: M105", True, b"M105\n"),
        ("RECV: ok", False, b"ok\n"),
        ("SENDING:M105", True, b"M105\n"),
        (r"READ: b'ok T:20 /0\n'", False, b"ok T:20 /0\n"),
        ("12:34:56.789 : N1 M105*37", True, b"N1 M105*37\n"),
        ("12:34:56.789 : ok 1", False, b"ok 1\n"),
        ("[2023-11-02 08:15:01] ok", False, b"ok\n"),
        ("1.0 > M105\\n", True, b"M105\n"),
        ("<<< ok", False, b"ok\n"),
        (">>> M105", True, b"M105\n"),
        (">>>M105", True, b"M105\n"),
        ("12:34:56.789: N1 M105*37", True, b"N1 M105*37\n"),
        ("12:34:56.789: ok 1", False, b"ok 1\n"),
        ("Send:12:34:56.789: N1 M105*37", True, b"N1 M105*37\n"),
        ("Recv:12:34:56.789: ok", False, b"ok\n"),
        ("| Send: N1 M105*37", True, b"N1 M105*37\n"),
        ("| Recv: ok", False, b"ok\n"),
        ("->N1 M105*37 [12.345]", True, b"N1 M105*37\n"),
        ("<-ok T:20 /0  [12.399]", False, b"ok T:20 /0\n"),
        ("<-ok", False, b"ok\n"),
        ("2019-08-11 18:52:50,212 Received from printer: line: ok", False, b"ok\n"),
        ("M105", True, b"M105\n"),
        ("N10 M105*35", True, b"N10 M105*35\n"),
        ("ok T:20 /0", False, b"ok T:20 /0\n"),
    ],
)
def test_a_line_was_sent_or_received(line: str, data: bytes, *, sent: bool) -> None:
    # A second line shows that the file is a log; it is in a form of its own.
    first, *_ = read_any([line, "Recv: ok"])
    assert (first.direction is Direction.SENT) is sent
    assert first.data == data


def test_times_go_on_over_midnight_and_gaps() -> None:
    lines = [
        "23:59:59.000 : wait",
        "ok",
        "0:00:01.500 : wait",
        "2024-02-30 10:00:00,000 - Recv: ok",
    ]
    assert [entry.time for entry in read_any(lines)] == [0.0, 0.0, 2.5, 2.5]


def test_forms_may_be_mixed() -> None:
    lines = ["Recv: ok", "1.0 > M105\\n", "# a remark", "2.5 < ok T:20 /0"]
    assert [entry.time for entry in read_any(lines)] == [0.0, 1.0, 2.5]


def test_each_form_has_its_own_clock() -> None:
    lines = ["->G28 [3574.250]", "", "<-ok [3574.500]"]
    assert [entry.time for entry in read_any(lines)] == [0.0, 0.25]
    lines = ["Send:23:59:59.500: G28", "Recv:0:00:00.500: ok"]
    assert [entry.time for entry in read_any(lines)] == [0.0, 1.0]


@pytest.mark.parametrize("typed", ["G28", "g28", "m117 Hello"])
def test_a_command_that_the_console_repeats_was_sent_once(typed: str) -> None:
    lines = [f">>> {typed}", f"SENDING:{typed.upper()}", "ok", "SENDING:M105", "ok"]
    sides = [entry.direction.value for entry in read_any(lines)]
    assert sides == [">", "<", ">", "<"]
    other = [f">>> {typed}", "SENDING:M105", "SENDING:M105", "ok"]
    assert len(list(read_any(other))) == 4


@pytest.mark.parametrize(
    "remark",
    [
        "| Last lines in terminal:",
        "| Printer seems to support the busy protocol, will adjust timeouts",
        "Printer seems to support the busy protocol, will adjust timeouts",
        "2019-01-08 15:34:12,089 - octoprint.util.comm - INFO - Got a resend request",
        "2019-04-26 19:26:30,773 - Serial port list: ['/dev/ttyUSB0']",
        "2017-07-14 00:28:18,826 - Connecting...",
        "->Communication State: Printing",
        "[ERROR] Error:Printer halted. kill() called!",
        "Print started at: 17:17:39",
        "12:56:18.114 : Repetier-Server successfully connected.",
    ],
)
def test_remarks_of_programs_are_no_lines_of_the_printer(remark: str) -> None:
    assert [entry.data for entry in read_any(["Recv: ok", remark])] == [b"ok\n"]


def test_an_entry_that_cannot_be_read_is_reported_and_left_out() -> None:
    unread: list[tuple[int, str]] = []
    lines = ["1.0 < ok", "", "2.0 >> '", "3.0 < wait", "1.0 < ok", "<<< ok"]
    entries = list(read_any(lines, lambda *one: unread.append(one)))
    assert [entry.time for entry in entries] == [1.0, 3.0, 4.0, 4.0]
    assert unread == [(3, "2.0 >> '")]


def test_dates_are_counted() -> None:
    lines = ["2024-03-09 23:59:59,500 - Recv: ok", "2024-03-10 00:00:00,000 - Recv: ok"]
    assert [entry.time for entry in read_any(lines)] == [0.0, 0.5]


@pytest.mark.parametrize(
    "lines",
    [
        ["what is this"],
        ["{", '  "a": 1', "}"],
        ["M105", "G28"],
        ["12:00:00 : hello", "12:00:01 : [...]"],
        ["", "  ", "Dear all,"],
        ["[...]"],
    ],
)
def test_what_no_firmware_says_is_no_log(lines: list[str]) -> None:
    with pytest.raises(LogFormatError, match="line 1 of the log is not an entry"):
        list(read_any(lines))


@pytest.mark.parametrize("lines", [[], ["", " "], ["12.0 # a remark"]])
def test_a_log_without_entries_is_nothing(lines: list[str]) -> None:
    assert list(read_any(lines)) == []


def test_many_texts_without_a_meaning_are_counted() -> None:
    summary = Summary()
    lines = [
        "Recv: ok",
        *(f"Recv: {chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(40)),
    ]
    list(explained(read_any(lines), summary=summary))
    assert list(summary.lines())[-1].endswith("and 10 other texts")
