"""Faults that other hosts had with prints, each with the test that it is not ours.

Those that concern the conversation with the firmware stand here as dialogues; the
others stand where the rest of their part is tested, and :data:`FAULTS` names them.
"""

import ast
import asyncio
import itertools
import os
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
from tests.support.peers import PtyPeer
from tests.support.printers import scripted, simulated
from tests.support.printing import Printing, layers, printing
from tests.support.uploads import serving, upload
from tests.support.waiting import until

Told = tuple[tuple[Observation, float], ...]
PATIENT = replace(MARLIN, ok_timeout=10.0)
FIRST = 1002
"""The number of the first line in these dialogues."""

HERE = Path(__file__).parent.parent

FAULTS: dict[int, tuple[str, ...]] = {
    1: (
        "the firmware asks for a line without an ok, and the host sends another one",
        "printing/test_known_faults.py::test_exactly_the_line_is_sent_that_is_asked_for",
        "printing/test_known_faults.py::test_requests_in_other_words",
        "gcode/test_protocol.py::test_a_resend_without_ok_is_not_waited_for_long",
    ),
    2: (
        "a line without a valid number is refused without a request to send it again",
        "printing/test_known_faults.py::test_a_complaint_without_a_request_is_probed",
        "gcode/test_exchange.py::test_only_the_complaint_arrives",
        "gcode/test_exchange.py::test_a_complaint_without_a_number_leads_to_a_probe",
    ),
    3: (
        "a request for another line that is damaged itself",
        "printing/test_known_faults.py::test_a_request_with_an_impossible_number",
        "gcode/test_exchange.py::test_a_damaged_request_is_corrected_by_its_complaint",
    ),
    4: (
        "the second print fails because M110 was ignored",
        "printing/test_known_faults.py::test_the_second_print_continues_the_numbers_of_the_first",
        "printing/test_known_faults.py::test_a_firmware_that_ignores_m110_prints_after_a_reconnect",
        "gcode/test_odd_firmwares.py::test_a_firmware_that_ignores_m110_is_sent_the_line_that_it_wants",
    ),
    5: (
        "after a reset in a print, lines of the old run are carried out",
        "printing/test_broken_off.py::test_it_has_failed_and_nothing_is_sent_again",
        "gcode/test_stream.py::test_a_reset_ends_a_stream",
        "gcode/test_exchange.py::test_a_reset_while_a_line_is_to_be_repeated",
        "gcode/test_protocol.py::test_a_reset_is_found_out_without_its_start",
    ),
    6: (
        "a text that the firmware refuses is sent again for ever",
        "printing/test_known_faults.py::test_a_refused_line_is_not_sent_for_ever",
        "printing/test_broken_off.py::test_a_line_that_is_asked_for_again_and_again_ends_the_print",
        "files/test_inspection.py::test_what_is_a_warning",
    ),
    7: (
        "two commands on one line",
        "printing/test_known_faults.py::test_two_commands_on_one_line_are_refused_by_their_line",
        "files/test_inspection.py::test_what_refuses_a_file",
    ),
    8: (
        "a placeholder that was not expanded, or a stray line of text",
        "printing/test_known_faults.py::test_placeholders_and_stray_texts_are_refused_by_their_line",
        "files/test_inspection.py::test_what_refuses_a_file",
        "files/test_inspection.py::test_what_refuses_a_file_of_klipper",
    ),
    9: (
        "filament that was extruded in a pause is pulled back",
        "printing/test_print_run.py::test_a_pause_restores_place_and_modes",
        "printing/test_sequences.py::test_the_head_goes_back_at_the_greater_height",
        "printing/test_runner_law.py::test_each_move_arrives_once_and_in_order",
    ),
    10: (
        "the relative mode is lost over a pause",
        "printing/test_print_run.py::test_a_pause_restores_place_and_modes",
        "printing/test_sequences.py::test_modes_fan_and_tool_are_those_of_the_print",
        "printing/test_tracker.py::test_moves_add_up_in_both_modes",
    ),
    11: (
        "after homing in a pause, it resumes at the wrong height",
        "printing/test_print_run.py::test_a_pause_in_which_somebody_homes_leads_back",
        "printing/test_sequences.py::test_after_homing_the_shifts_of_the_file_are_set_again",
    ),
    12: (
        "a cancel waits for a heater for minutes",
        "printing/test_print_run.py::test_a_cancel_ends_the_wait_for_a_heater",
        "printing/test_print_run.py::test_where_that_cannot_be_done_the_sender_is_told",
        "printing/test_print_run.py::test_a_print_that_waits_for_a_person_can_be_cancelled",
    ),
    13: (
        "a cancel turns off the heaters of the next print",
        "printing/test_print_run.py::test_the_script_of_a_cancel_ends_before_the_next_print",
        "printing/test_print_run.py::test_a_restart_waits_for_a_cancel_that_takes_long",
    ),
    14: (
        "it stays in pausing, and the script is missed",
        "printing/test_broken_off.py::test_a_pause_is_bounded",
        "printing/test_print_run.py::test_pauses_at_odd_moments",
    ),
    15: (
        "the host times out while M600 waits for a person",
        "printing/test_known_faults.py::test_a_person_may_take_hours",
        "printing/test_print_run.py::test_a_filament_change_waits_as_long_as_it_takes",
        "gcode/test_exchange.py::test_a_line_that_waits_for_the_user_never_times_out",
    ),
    16: (
        "M0 in a file blocks the printer",
        "printing/test_print_run.py::test_the_file_can_pause_for_a_person",
        "printing/test_feed.py::test_a_pause_in_the_file_is_never_sent",
    ),
    17: (
        "a request for a line that is eight or more lines back",
        "printing/test_known_faults.py::test_a_hundred_lines_are_kept",
    ),
    18: (
        "a tool that does not exist is dropped silently",
        "printing/test_known_faults.py::test_a_tool_that_is_not_there_is_refused_by_its_line",
        "files/test_inspection.py::test_what_refuses_a_file",
    ),
    19: (
        "temperature queries pile up between the moves",
        "printing/test_known_faults.py::test_temperature_queries_do_not_pile_up",
        "printing/test_known_faults.py::test_one_query_at_most_is_between_the_moves",
    ),
    20: (
        "an STL with print=true blocks the host",
        "printing/test_known_faults.py::test_a_model_with_print_is_refused_and_blocks_nothing",
        "files/test_names.py::test_the_content_counts_whatever_the_name_says",
    ),
    21: (
        "a full disk leaves half a file",
        "files/test_library.py::test_a_disk_may_be_full_at_each_write",
        "files/test_library.py::test_an_index_that_cannot_be_written_costs_nothing",
        "end_to_end/test_print_queue.py::test_a_full_disk_loses_nothing",
        "printing/test_broken_off.py::test_a_full_disk_ends_no_print",
    ),
    22: (
        "an upload with print=true while the printer powers up prints nothing",
        "end_to_end/test_uploads.py::test_a_print_for_a_printer_that_is_off_begins_when_it_is_released",
        "upload/test_slicers.py::test_a_print_that_cannot_begin_is_queued_and_the_upload_succeeds",
    ),
    23: (
        "the print stutters while the home automation is away",
        "end_to_end/test_print_queue.py::test_a_print_goes_on_while_the_broker_hangs",
        "end_to_end/test_power.py::test_the_broker_is_away_in_a_print",
    ),
    24: (
        "a pause is counted as time of the print",
        "printing/test_known_faults.py::test_a_pause_is_no_time_of_the_print",
    ),
    25: (
        "an upload is moved across devices when it is complete",
        "files/test_library.py::test_an_upload_is_written_beside_its_name",
        "files/test_library.py::test_an_upload_may_be_cut_anywhere",
    ),
}
"""What went wrong elsewhere, and the tests below ``tests`` that would fail if it did
here: the first one for what was reported, the others for what is like it."""


@cache
def functions_in(file: str) -> frozenset[str]:
    tree = ast.parse((HERE / file).read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in tree.body if isinstance(node, kinds))


def test_each_fault_has_its_test() -> None:
    assert list(FAULTS) == list(range(1, 26))
    for number, (what, *tests) in FAULTS.items():
        assert tests, (number, what)
        for where in tests:
            file, _, name = where.partition("::")
            assert name in functions_in(file), (number, what, where)


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


def test_requests_in_other_words() -> None:
    """With and without an ok, twice, and with what firmwares say before it."""
    last = f"Error:Line Number is not Last Line Number+1, Last Line: {FIRST + 2}"
    request = f"Resend: {FIRST + 3}"
    for said in (
        (request, "ok"),
        (f"Resend:{FIRST + 3}",),
        (f"rs {FIRST + 3}",),
        (f"rs N{FIRST + 3}", "ok"),
        (f"resend {FIRST + 3}",),
        (last, request, "ok"),
        (last, request),
        (last,),
        (request, request, "ok", "ok"),
        (request, "echo:busy: processing", "ok"),
    ):
        talk = streaming(*(lines := [f"G1 X{n}" for n in range(6)]))
        for line in lines[1:4]:
            talk.hears("ok")
            assert talk.sends() == line
        assert not any(isinstance(one, Done) for one in talk.hears(*said)), said
        if not (sent := talk.sends()):
            talk.waits(PATIENT.ok_timeout)
            sent = talk.sends()
        if sent == "M105":  # nothing was asked for, so it asks
            talk.hears(request, "ok")
            talk.waits(PATIENT.ok_timeout)
            sent = talk.sends()
        assert sent == lines[3], said
        rest = []
        for _ in range(9):
            talk.hears("ok T:20.0 /0.0" if sent == "M105" else "ok")
            rest.append(sent := talk.sends())
        moves = [line for line in rest if line.startswith("G1")]
        assert moves == lines[4:], said


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
    whole = str(FIRST)
    for damaged in (
        ("0" + whole[1:], str(FIRST * 100)),
        (whole[:-1], whole[1:]),
        (whole + whole[-1], "9" + whole[1:]),
        (str(FIRST + 2), str(FIRST + 200)),  # neither sent nor next
        ("", "-5"),
        ("x", f"{whole}x"),
        ("4294967295", "9" * 30),
    ):
        talk = streaming("G1 X1", "G1 X2")
        for number in damaged:
            events = talk.hears(f"Resend: {number}")
            assert not any(isinstance(one, Done | LinkFailed) for one in events)
        assert talk.sends() == "", "it was damaged, and asks for nothing of ours"
        talk.hears(f"Resend: {FIRST}", "ok")
        talk.waits(PATIENT.ok_timeout)
        assert talk.sends() == "G1 X1", damaged


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


class Stubborn:
    """A firmware that checks the sequence of lines, and takes no number from M110."""

    def __init__(self, peer: PtyPeer) -> None:
        self._peer = peer
        self._data = b""
        self._last = 0
        self.moves: list[str] = []

    def answer(self) -> None:
        self._data += os.read(self._peer.master, 4096)
        *lines, self._data = self._data.split(b"\n")
        for line in lines:
            os.write(self._peer.master, self._answer(line).encode())

    def _answer(self, raw: bytes) -> str:
        numbered = re.match(rb"N(\d+) ([^*]*)\*", raw)
        if numbered is None:
            return "ok\n"
        number, line = int(numbered[1]), numbered[2].decode()
        if number != self._last + 1:
            expected = "Line Number is not Last Line Number+1, Last Line:"
            return f"Error:{expected} {self._last}\nResend: {self._last + 1}\nok\n"
        self._last = number
        if line[:2] == "G1":
            self.moves.append(line)
        said = {"M115": "FIRMWARE_NAME:Marlin 2.1\nok\n", "M105": "ok T:20.0 /0.0\n"}
        return said.get(line, "ok\n")


async def test_a_firmware_that_ignores_m110_prints_after_a_reconnect(
    tmp_path: Path,
) -> None:
    """Printrun#1421, Prusa-Firmware#3888: nor is a line taken for another one."""
    peer = PtyPeer()
    firmware, loop = Stubborn(peer), asyncio.get_running_loop()
    loop.add_reader(peer.master, firmware.answer)
    try:
        lines = ["G28", *(f"G1 X{n}" for n in range(40))]
        async with printing(tmp_path, lines, peer.url) as it:
            for _ in range(3):
                firmware.moves.clear()
                it.start()
                assert (await it.over()).outcome == "done"
                assert firmware.moves == lines[1:]
                await it.live.printer.link.release()
                await until(lambda: it.live.printer.state.link != "operational")
                it.live.printer.link.connect()
                await it.live.operational()
    finally:
        loop.remove_reader(peer.master)
        await peer.hang_up()


def test_a_person_may_take_hours() -> None:
    """OctoPrint#4027, #4737: the host gave up while somebody looked for the spool."""
    for said in (
        "echo:busy: paused for user",
        "busy: paused for user",
        "echo:busy: paused for input",
        "//action:prompt_show\necho:busy: paused for user",
    ):
        talk = streaming("M600", "G1 X2")
        for _ in range(1800):  # two hours, with a sign of life every four seconds
            assert talk.waits(4) == []
            assert talk.sends() == "", said
            talk.hears(*said.split("\n"))
        assert any(isinstance(event, Done) for event in talk.hears("ok"))
        assert talk.sends() == "G1 X2", said


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
    for back in (1, 2, 8, 9, 50, 100, 110):
        talk = streaming(*lines)
        for line in lines[1:]:
            talk.hears("ok")
            assert talk.sends() == line
        talk.hears(f"Resend: {FIRST + 120 - back}", "ok")
        for line in lines[-back:]:
            assert talk.sends() == line, back
            talk.hears("ok")
        assert talk.sends() == "", back


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
            # One may be owed, and one is due while these few moves are sent.
            first, _, _ = b"".join(said).partition(b" X9*")
            assert len(queries([first])) <= (2 if polls else 0), "none has piled up"


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


PAUSE: Told = (("asked_pause", 150), ("announced_paused", 160))
RESUME: Told = (("asked_resume", 990), ("announced_resumed", 1000))
END: Told = (("all_read", 1090), ("announced_done", 1100))
LATER: Told = (
    *(("asked_pause", 1010), ("announced_paused", 1020)),
    *(("asked_resume", 1040), ("announced_resumed", 1050)),
)


def test_a_pause_is_no_time_of_the_print() -> None:
    """Once, twice, from its first line, or up to its end."""
    cancelled: Told = (("asked_cancel", 990), ("announced_cancelled", 1000))
    told: tuple[tuple[Told, float], ...] = (
        ((("rose", 101), *PAUSE, *RESUME, *END), 160),
        ((("rose", 101), *END), 1000),
        ((("rose", 101), *PAUSE, *RESUME, *LATER, *END), 130),
        ((*PAUSE, *RESUME, ("rose", 1001), *END), 160),
        ((("rose", 101), *PAUSE, *cancelled), 50),
        ((("rose", 101), *PAUSE, ("announced_failed", 1000)), 50),
        ((("rose", 101), *PAUSE, ("reset", 1000)), 50),
    )
    for heard, elapsed in told:
        job = print_job.begin(PrintJob(), PrintJob(file="a", size=9, job="j"), 100)
        for word, time in heard:
            job = step(job, word, time)
        assert job.result is not None, heard
        assert (job.result.elapsed, job.result.time) == (elapsed, heard[-1][1]), heard
