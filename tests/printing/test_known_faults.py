"""Faults that other hosts had with prints, each with the test that it is not ours.

Those that concern the conversation with the firmware stand here as dialogues; the
others stand where the rest of their part is tested, and :data:`FAULTS` names them.
"""

import ast
import asyncio
import itertools
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

from bridge.config import Telemetry
from bridge.gcode.dialects import MARLIN
from bridge.gcode.events import Done, LinkFailed
from bridge.gcode.window import HISTORY, NUMBER_GAP, next_first_number
from bridge.printer.knowledge import print_job
from bridge.printer.knowledge.print_table import Observation, PrintJob, step
from tests.support.dialogue import Dialogue, connected
from tests.support.printers import scripted, simulated
from tests.support.printing import Printing, layers, printing
from tests.support.uploads import serving, upload

PATIENT = replace(MARLIN, ok_timeout=10.0)
FIRST = 1002
"""The number of the first line in these dialogues."""

HERE = Path(__file__).parent.parent

FAULTS = {
    1: (
        "the firmware asks for a line without an ok, and the host sends another one",
        "printing/test_known_faults.py::test_exactly_the_line_is_sent_that_is_asked_for",
    ),
    2: (
        "a line without a valid number is refused without a request to send it again",
        "printing/test_known_faults.py::test_a_complaint_without_a_request_is_probed",
    ),
    3: (
        "a request for another line that is damaged itself",
        "printing/test_known_faults.py::test_a_request_with_an_impossible_number",
    ),
    4: (
        "the second print fails because M110 was ignored",
        "printing/test_known_faults.py::test_the_second_print_continues_the_numbers_of_the_first",
    ),
    5: (
        "after a reset in a print, lines of the old run are carried out",
        "printing/test_broken_off.py::test_it_has_failed_and_nothing_is_sent_again",
    ),
    6: (
        "a text that the firmware refuses is sent again for ever",
        "printing/test_known_faults.py::test_a_refused_line_is_not_sent_for_ever",
    ),
    7: (
        "two commands on one line",
        "printing/test_known_faults.py::test_two_commands_on_one_line_are_refused_by_their_line",
    ),
    8: (
        "a placeholder that was not expanded, or a stray line of text",
        "printing/test_known_faults.py::test_placeholders_and_stray_texts_are_refused_by_their_line",
    ),
    9: (
        "filament that was extruded in a pause is pulled back",
        "printing/test_print_run.py::test_a_pause_restores_place_and_modes",
    ),
    10: (
        "the relative mode is lost over a pause",
        "printing/test_print_run.py::test_a_pause_restores_place_and_modes",
    ),
    11: (
        "after homing in a pause, it resumes at the wrong height",
        (
            "printing/test_sequences.py"
            "::test_after_homing_the_shifts_of_the_file_are_set_again"
        ),
    ),
    12: (
        "a cancel waits for a heater for minutes",
        "printing/test_print_run.py::test_a_cancel_ends_the_wait_for_a_heater",
    ),
    13: (
        "a cancel turns off the heaters of the next print",
        (
            "printing/test_print_run.py"
            "::test_the_script_of_a_cancel_ends_before_the_next_print"
        ),
    ),
    14: (
        "it stays in pausing, and the script is missed",
        "printing/test_broken_off.py::test_a_pause_is_bounded",
    ),
    15: (
        "the host times out while M600 waits for a person",
        "printing/test_print_run.py::test_a_filament_change_waits_as_long_as_it_takes",
    ),
    16: (
        "M0 in a file blocks the printer",
        "printing/test_print_run.py::test_the_file_can_pause_for_a_person",
    ),
    17: (
        "a request for a line that is eight or more lines back",
        "printing/test_known_faults.py::test_a_hundred_lines_are_kept",
    ),
    18: (
        "a tool that does not exist is dropped silently",
        "printing/test_known_faults.py::test_a_tool_that_is_not_there_is_refused_by_its_line",
    ),
    19: (
        "temperature queries pile up between the moves",
        "printing/test_known_faults.py::test_temperature_queries_do_not_pile_up",
    ),
    20: (
        "an STL with print=true blocks the host",
        "printing/test_known_faults.py::test_a_model_with_print_is_refused_and_blocks_nothing",
    ),
    21: (
        "a full disk leaves half a file",
        "files/test_library.py::test_a_disk_may_be_full_at_each_write",
    ),
    22: (
        "an upload with print=true while the printer powers up prints nothing",
        (
            "upload/test_slicers.py"
            "::test_a_print_that_cannot_begin_is_queued_and_the_upload_succeeds"
        ),
    ),
    23: (
        "the print stutters while the home automation is away",
        "end_to_end/test_print_queue.py::test_a_print_goes_on_while_the_broker_hangs",
    ),
    24: (
        "a pause is counted as time of the print",
        "printing/test_known_faults.py::test_a_pause_is_no_time_of_the_print",
    ),
    25: (
        "an upload is moved across devices when it is complete",
        "files/test_library.py::test_an_upload_may_be_cut_anywhere",
    ),
}
"""What went wrong elsewhere, and the test below ``tests`` that would fail if it did
here."""


@cache
def functions_in(file: str) -> frozenset[str]:
    tree = ast.parse((HERE / file).read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in tree.body if isinstance(node, kinds))


def test_each_fault_has_its_test() -> None:
    assert list(FAULTS) == list(range(1, 26))
    for number, (what, where) in FAULTS.items():
        file, _, name = where.partition("::")
        assert name in functions_in(file), (number, what)


def streaming(*lines: str) -> Dialogue:
    """Return a conversation that streams these lines, of which one was sent."""
    talk = connected(PATIENT)
    talk.protocol.stream(iter([(line, 0) for line in lines]))
    assert talk.sends() == lines[0]
    return talk


def test_exactly_the_line_is_sent_that_is_asked_for() -> None:
    lines = [f"G1 X{n}" for n in range(6)]
    talk = streaming(*lines)
    for line in lines[1:4]:
        talk.hears("ok")
        assert talk.sends() == line
    # The fourth line is in flight. It is asked for, and no ok follows.
    assert talk.hears(f"Resend: {FIRST + 3}") == []
    talk.waits(PATIENT.ok_timeout)
    assert talk.sends() == lines[3]
    assert talk.hears("ok") != []
    assert talk.sends() == lines[4], "no line before or behind it"


def test_a_complaint_without_a_request_is_probed() -> None:
    talk = streaming("G1 X1", "G1 X2")
    talk.hears(f"Error:No Line Number with checksum, Last Line: {FIRST - 1}")
    talk.waits(PATIENT.ok_timeout)
    # Which line it expects is known from the complaint; nothing is left out.
    assert talk.sends() in {"G1 X1", "M105"}
    talk.hears(f"Resend: {FIRST}", "ok")
    assert talk.sends() == "G1 X1"
    assert any(isinstance(event, Done) for event in talk.hears("ok"))
    following = [talk.sends()]
    while following[-1] == "M105":  # the probe
        talk.hears("ok")
        following.append(talk.sends())
    assert following[-1] == "G1 X2"


def test_a_request_with_an_impossible_number() -> None:
    talk = streaming("G1 X1", "G1 X2")
    for damaged in ("0" + str(FIRST)[1:], str(FIRST * 100)):
        assert talk.hears(f"Resend: {damaged}") == []
    assert talk.sends() == "", "it was damaged, and asks for nothing of ours"
    talk.hears(f"Resend: {FIRST}", "ok")
    talk.waits(PATIENT.ok_timeout)
    assert talk.sends() == "G1 X1"


def test_no_number_is_used_twice() -> None:
    last = 100_000
    assert next_first_number(last) > last + HISTORY, "in the next conversation"
    assert NUMBER_GAP > HISTORY, "no request can mean both"


async def test_the_second_print_continues_the_numbers_of_the_first(
    tmp_path: Path,
) -> None:
    """Firmwares that ignore M110 then would refuse each line of the second print."""
    lines, link = layers(3, 5), tmp_path / "tty"
    with simulated("simulator://marlin?speed=1000", link) as printer:
        async with printing(tmp_path, lines, str(link)) as it:
            for _ in range(3):
                it.start()
                assert (await it.over()).outcome == "done"
        said = b"".join(printer.wire.heard()).splitlines()
        answers = b"".join(data for side, data in printer.wire.chunks if side == "<")
    numbers = [int(found[1]) for x in said if (found := re.match(rb"N(\d+) ", x))]
    resets = [n for n, line in enumerate(said) if b"M110" in line]
    prints = [n for n, line in enumerate(said) if line.partition(b" ")[2][:3] == b"G28"]
    assert len(prints) == 3
    assert max(resets) < min(prints), "in the handshake, and never again"
    after = numbers[numbers.index(int(said[prints[0]].split()[0][1:])) :]
    assert after == [*range(after[0], after[0] + len(after))], "each once, without gap"
    assert b"Resend" not in answers
    assert b"Error" not in answers


def test_a_refused_line_is_not_sent_for_ever() -> None:
    talk = streaming("M117 bad", "G1 X2")
    events: list[object] = []
    for _ in range(10):
        assert talk.hears(f"Resend: {FIRST}", "ok") == []
        assert talk.sends() == "M117 bad"
    events += talk.hears(f"Resend: {FIRST}", "ok")
    (failed,) = (event for event in events if isinstance(event, LinkFailed))
    assert '"M117 bad"' in failed.reason


def test_a_hundred_lines_are_kept() -> None:
    lines = [f"G1 X{n}" for n in range(120)]
    talk = streaming(*lines)
    for line in lines[1:]:
        talk.hears("ok")
        assert talk.sends() == line
    talk.hears(f"Resend: {FIRST + 10}", "ok")
    for line in lines[10:]:
        assert talk.sends() == line
        talk.hears("ok")
    assert talk.sends() == ""


def test_one_query_at_most_is_between_the_moves() -> None:
    lines = [f"G1 X{n}" for n in range(6)]
    talk = streaming(*lines)
    for _ in range(3):
        talk.protocol.send("M105", ahead=True)
    sent = ["G1 X0"]
    for _ in range(20):
        talk.hears("ok")
        sent.append(talk.sends())
    moves = [line for line in sent if line.startswith("G1")]
    assert moves == lines, "each of them, once"
    numbers = [n for n, line in enumerate(sent) if line.startswith("G1")]
    gaps = [b - a for a, b in itertools.pairwise(numbers)]
    assert max(gaps) <= 1 + 3, "the three that were asked for, and none of its own"


async def test_temperature_queries_do_not_pile_up(tmp_path: Path) -> None:
    """Neither during a wait that lasts many of their intervals, nor behind it."""
    often = Telemetry(interval=0.25)
    for firmware, polls in (
        ("FIRMWARE_NAME:Marlin 2.1 (Scripted)", True),  # without automatic reports
        ("FIRMWARE_NAME:Marlin 2.1\nCap:AUTOREPORT_TEMP:1", False),
    ):
        link = tmp_path / f"tty{polls}"
        answers = {"M115": firmware, "M105": "ok T:20.0 /0.0 B:20.0 /0.0"}
        with scripted(link, answers) as printer:
            lines = ["M109 S200", *(f"G1 X{n}" for n in range(200))]
            async with printing(tmp_path, lines, str(link), telemetry=often) as it:
                printer.held.add("M109")
                it.start()
                await it.live.has_sent("M109 S200")
                heard = len(printer.wire.chunks)
                later = asyncio.get_running_loop().time() + 5 * often.interval
                while asyncio.get_running_loop().time() < later:
                    printer.says(" T:20.0 /200.0 B:20.0 /0.0\n")
                    await asyncio.sleep(often.interval / 4)
                assert queries(printer.wire.heard(heard)) == [], "nothing reads them"
                printer.release("M109")
                assert (await it.over()).outcome == "done"
                said = printer.wire.heard(heard)
            inside = queries(said)
            assert len(inside) <= (3 if polls else 0), "at most one is owed"


def queries(heard: list[bytes]) -> list[bytes]:
    """Return the questions for temperatures."""
    return [x for x in b"".join(heard).splitlines() if b"M105" in x]


LINES_OF_FAULTS = {
    7: ("G0 Z0.15 G92 E0", "G28 G29", "G1 X5 M104 S200", "M140 S60 M104 S200"),
    8: (
        *("G1 F{travel_speed}", "M104 S[first_layer_temperature]", "{if layer_z > 5}"),
        *("Generated by hand", "hello", "G1 X{"),
    ),
    18: ("T1", "M104 T1 S200", "M109 S200 T7", "T12"),
}
"""Lines that peers sent half, or dropped, in the middle of a print."""


async def refused_by_their_line(number: int, folder: Path) -> None:
    """Upload files with such lines, to be printed: none is, and the answer says why.

    A file that got into the folder by another way is listed, and is not begun; if its
    lines were sent nevertheless, they would end the print before them.
    """
    async with serving(folder / "served") as served:
        for line in LINES_OF_FAULTS[number]:
            content = f"; by hand\nG28\n\n{line} ; faulty\nG1 X5\n".encode()
            reply = await served.ask(upload(content, print="true"))
            assert reply.status in {400, 422}, (line, reply)
            assert b"line 4" in reply.body, (line, reply)
            assert served.left.submitted == []
            assert served.stored() == []
        assert (await served.ask(upload(b"G28\n", print="true"))).status == 201
        assert [one[:2] for one in served.left.submitted] == [("cube.gcode", True)]


async def test_two_commands_on_one_line_are_refused_by_their_line(
    tmp_path: Path,
) -> None:
    await refused_by_their_line(7, tmp_path)
    async with printing(tmp_path, ["G28", "G0 Z0.15 G92 E0", "G1 X5"]) as it:
        await ends_before_line_2(it)


async def test_placeholders_and_stray_texts_are_refused_by_their_line(
    tmp_path: Path,
) -> None:
    await refused_by_their_line(8, tmp_path)
    async with printing(tmp_path, ["G28", "G1 F{travel_speed}", "G1 X5"]) as it:
        await ends_before_line_2(it)


async def test_a_tool_that_is_not_there_is_refused_by_its_line(tmp_path: Path) -> None:
    await refused_by_their_line(18, tmp_path)
    async with printing(tmp_path, ["G28", "T1", "G1 X5"]) as it:
        await ends_before_line_2(it)


async def ends_before_line_2(it: Printing) -> None:
    it.start()
    result = await it.over()
    assert (result.outcome, result.reason) == ("failed", "file_error")
    assert "line 2" in result.detail
    assert "G28" in it.sent
    assert not {"G0 Z0.15", "T1", "G1 X5"} & {*it.sent}


async def test_a_model_with_print_is_refused_and_blocks_nothing(tmp_path: Path) -> None:
    """Prusa-Link#973: it could not be printed, and nothing after it was."""
    async with serving(tmp_path) as served:
        client = await served.client()
        for name, content in (
            ("cube.stl", b"solid cube\nfacet normal 0 0 1\n"),
            ("cube.3mf", b"PK\x03\x04"),
            ("cube.STL", b"\0" * 84),
            ("cube.bgcode", b"GCDE\x01\0\0\0"),
            ("cube.gcode", b"PK\x03\x04" + b"\0" * 99),  # a 3MF under another name
        ):
            await client.send(upload(content, name, print="true"))
            reply = await client.reply()
            assert (reply.status, reply.body != b"") == (415, True), name
            if reply.headers.get("connection") == "close":
                client = await served.client()
        assert served.left.submitted == []
        assert served.stored() == []
        await client.send(upload(b"G28\n", print="true"))
        assert (await client.reply()).status == 201
        assert [one[:2] for one in served.left.submitted] == [("cube.gcode", True)]


def test_a_pause_is_no_time_of_the_print() -> None:
    job = print_job.begin(PrintJob(), PrintJob(file="a", size=9, job="j"), 100)
    told: tuple[tuple[Observation, float], ...] = (
        ("rose", 101),
        ("asked_pause", 150),
        ("announced_paused", 160),
        ("asked_resume", 990),
        ("announced_resumed", 1000),
        ("all_read", 1090),
        ("announced_done", 1100),
    )
    for heard, time in told:
        job = step(job, heard, time)
    assert job.result is not None
    assert (job.result.elapsed, job.result.time) == (160, 1100)
