"""A file of the bridge is printed: begun, paused, resumed, cancelled, ended."""

import asyncio
from pathlib import Path

import pytest

from bridge.errors import CommandError, ExpiredError, RejectedError
from bridge.printer.control.command_queue import Run
from bridge.timeout import boottime
from tests.support.live import command_of
from tests.support.printers import simulated
from tests.support.printing import layers, printing, sent_of
from tests.support.waiting import until

SLOW = "simulator://marlin?speed=20&emergency_parser=1"


async def test_every_line_arrives_once_and_in_order(tmp_path: Path) -> None:
    lines = [
        "; a comment",
        "",
        "M104 S0 ; and another",
        *layers(3),
        "  G1   X.5  Y010 ;blanks, and numbers as slicers write them",
        "M117 done; or not",
    ]
    async with printing(tmp_path, lines) as it:
        it.start()
        result = await it.over()
        assert it.sent == [
            "M104 S0",
            *sent_of(layers(3)),
            "G1 X0.5 Y10",
            "M117 done",
            "M400",
        ]
        assert (result.outcome, result.file, result.origin) == (
            "done",
            "part.gcode",
            "local",
        )
        assert (result.job, result.layers, result.filament) == ("job-1", 3, 1.5)
        names = [name for name in it.live.event_names if name[:5] in {"print", "layer"}]
        assert names == ["print_started", *["layer"] * 3, "print_done"]
        assert it.live.printer.state.job.phase == "idle"


async def test_a_file_without_a_line_end_or_any_line_is_done(tmp_path: Path) -> None:
    for lines in ([], ["; nothing to do"], ["G28"]):
        async with printing(tmp_path, lines) as it:
            if lines:
                path = tmp_path / "part.gcode"
                path.write_text(lines[0])
            it.start()
            assert (await it.over()).outcome == "done"
            assert it.sent == [*sent_of(lines), "M400"]


async def test_a_print_is_started_by_its_name(tmp_path: Path) -> None:
    async with printing(tmp_path, layers(1)) as it:
        await it.live.does("job", command="start", file="part.gcode")
        assert (await it.over()).outcome == "done"
        await it.live.does("job", command="start")
        await it.over()
        await it.live.does("job", command="reprint")
        await it.over()
        assert it.live.event_names.count("print_done") == 3
        with pytest.raises(RejectedError, match="has stored no file"):
            await it.live.does("job", command="start", file="gone", origin="local")


async def test_a_file_that_is_gone_starts_nothing_else(tmp_path: Path) -> None:
    """`M24` alone would print whatever is selected on the card."""
    async with printing(tmp_path, layers(1)) as it:
        await it.live.does("command", command="M23 SMALL.GCO")
        await it.live.does("job", command="start", file="part.gcode")
        await it.over()
        with pytest.raises(RejectedError) as refused:
            await it.live.does("job", command="start", origin="card")
        assert refused.value.error == "no_file"
        it.live.printer.prints.stored_file = lambda _: None
        for command in ("start", "reprint"):
            with pytest.raises(
                RejectedError, match=r"part\.gcode.* is gone"
            ) as refused:
                await it.live.does("job", command=command)
            assert (refused.value.code, refused.value.error) == (404, "no_such_file")
        it.live.printer.prints.file_removed("other.gcode")
        assert it.live.printer.state.job.file == "part.gcode"
        it.live.printer.prints.file_removed("part.gcode")
        job = it.live.printer.state.job
        assert (job.file, job.result is not None) == (None, True)
        with pytest.raises(RejectedError) as refused:
            await it.live.does("job", command="start")
        assert refused.value.error == "no_file"
        assert "M24" not in it.sent


async def test_a_dry_run_is_refused_as_the_command_would_be(tmp_path: Path) -> None:
    async with printing(tmp_path, ["G4 S9", *layers(1)], SLOW) as it:
        printer = it.live.printer

        async def error_of(**payload: object) -> str:
            try:
                await printer.plan_in_slices(command_of("job", **payload))
            except RejectedError as error:
                return error.error
            return ""

        start = {"command": "start", "file": "part.gcode"}
        assert await error_of(**start) == ""
        assert await error_of(command="reprint") == "no_file"
        assert await error_of(command="select", file="part.gcode") == ""
        it.start()
        await it.phase("printing")
        assert await error_of(**start) == "printing"
        assert await error_of(command="select", file="part.gcode") == "printing"
        assert await error_of(command="restart") == "printing"
        assert await error_of(command="exclude", object="x") == "no_such_object"
        assert await error_of(command="pause") == ""
        cancelling = it.live.begins("job", command="cancel")
        await it.phase("cancelling")
        assert await error_of(command="pause") == "not_printing"
        with pytest.raises(RejectedError, match="is being cancelled"):
            await it.live.does("job", command="resume")
        await cancelling


async def test_nothing_is_started_twice_or_in_the_way(tmp_path: Path) -> None:
    async with printing(tmp_path, ["G4 S9", *layers(1)], SLOW) as it:
        it.start()
        with pytest.raises(RejectedError, match="a print is under way"):
            it.start()
        with pytest.raises(RejectedError, match="a print is under way"):
            await it.live.does("head", command="jog", x=1)
        await it.live.does("tool", command="target", targets={"tool0": 50})
        await it.live.does("head", command="feedrate", factor=90)
        await it.live.does("job", command="cancel")
        result = await it.over()
        assert result.outcome == "cancelled"
        heaters = it.live.printer.state.heaters
        assert heaters["tool0"].target == 0
    async with printing(tmp_path, layers(1), connected=False) as it:
        with pytest.raises(RejectedError, match="not operational"):
            it.start()


async def test_a_cancel_turns_off_what_is_on(tmp_path: Path) -> None:
    lines = ["M140 S60", "M106 S255", *layers(500)]
    async with printing(tmp_path, lines, SLOW) as it:
        it.start()
        await it.phase("printing")
        await until(lambda: len(it.sent) > 50)
        await it.live.does("job", command="cancel")
        result = await it.over()
        assert (result.outcome, result.reason) == ("cancelled", "")
        assert it.sent[-5:] == ["M400", "M140 S0", "M104 S0", "M107", "M84"]
        before = it.sent[: it.sent.index("M400")]
        assert before == sent_of(lines)[: len(before)]


async def test_a_script_of_a_cancel_that_fails_leaves_nothing_on(
    tmp_path: Path,
) -> None:
    lines = ["M140 S60", *layers(500)]
    scripts = {"afterPrintCancelled": "G91\nM104 S900"}
    async with printing(tmp_path, lines, SLOW, scripts=scripts) as it:
        it.start()
        await until(lambda: len(it.sent) > 20)
        await it.live.does("job", command="cancel")
        assert (await it.over()).outcome == "cancelled"
        assert {"M140 S0", "M104 S0"} <= set(it.sent)
        assert "M104 S900" not in it.sent


async def test_a_cancel_ends_the_wait_for_a_heater(tmp_path: Path) -> None:
    """OctoPrint#1587: it took minutes."""
    lines = ["M109 S240", *layers(1)]
    async with printing(tmp_path, lines, "simulator://marlin?emergency_parser=1") as it:
        it.start()
        await it.live.has_sent("M109 S240")
        run = await it.live.does("job", command="cancel")
        assert run.warnings == []
        assert (await it.over()).outcome == "cancelled"
        assert "M108" in it.sent
        assert not set(sent_of(layers(1))) & set(it.sent)


async def test_where_that_cannot_be_done_the_sender_is_told(tmp_path: Path) -> None:
    url = "simulator://marlin?emergency_parser=0&speed=60"
    async with printing(tmp_path, ["M109 S120", *layers(1)], url) as it:
        it.start()
        await it.live.has_sent("M109 S120")
        run = await it.live.does("job", command="cancel")
        assert "reads nothing meanwhile" in run.warnings[0]
        assert (await it.over()).outcome == "cancelled"


async def test_the_script_of_a_cancel_ends_before_the_next_print(
    tmp_path: Path,
) -> None:
    """OctoPrint#2321: the heaters of the next print were turned off."""
    scripts = {"afterPrintCancelled": "G4 S2\nM104 S0\nM140 S0"}
    lines = ["M104 S200", *layers(300)]
    async with printing(tmp_path, lines, SLOW, scripts=scripts) as it:
        it.start()
        await until(lambda: len(it.sent) > 20)
        await it.live.does("job", command="cancel")
        it.start()
        await until(lambda: it.sent.count("M104 S200") == 2)
        assert it.sent.index("M140 S0") < len(it.sent) - it.sent[::-1].index(
            "M104 S200"
        )
        assert "M84" not in it.sent, "the script replaces what is done by default"
        await it.live.does("job", command="cancel")


async def test_a_pause_restores_place_and_modes(tmp_path: Path) -> None:
    """OctoPrint#779 and #4817: E was pulled back, and relative modes were lost."""
    scripts = {
        "afterPrintPaused": "G91\nG1 Z10 F600\nG90\nM83\nG1 E-5 F300",
        "beforePrintResumed": "M82\nG92 E100",
    }
    body = layers(400)
    lines = ["M104 S0", *body[:4], "M83", "G91", "G1 X50 Y50 Z5 E1 F3000"]
    lines += [f"G1 X0.{n % 9 + 1} E0.01" for n in range(3000)]
    async with printing(tmp_path, lines, SLOW, scripts=scripts) as it:
        it.start()
        await until(lambda: len(it.sent) > 30)
        await it.live.does("job", command="pause")
        assert it.live.printer.state.job.phase == "paused"
        position = it.live.printer.state.position
        assert position is not None
        await until(lambda: "G1 E-5 F300" in it.sent)
        await it.live.does("head", command="jog", x=7)
        await it.live.does("job", command="resume")
        await it.phase("printing")
        await until(lambda: len(it.sent) > it.sent.index("G92 E100") + 12)
        after = it.sent[it.sent.index("G92 E100") + 1 :]
        assert after[0] == "G90"
        assert after[1].startswith("G1 X")
        assert after[2].startswith("G1 Z5 ")
        assert after[3].startswith("G92 E")
        assert after[4:7] == ["G91", "M83", "G1 F3000"]
        count = it.sent.index("M400")
        sent = [line for line in it.sent[:count] if line in set(sent_of(lines))]
        assert sent == sent_of(lines)[: len(sent)]
        assert after[7] == sent_of(lines)[len(sent)]
        await it.live.does("job", command="cancel")
    assert it.live.event_names.count("print_paused") == 1
    assert it.live.event_names.count("print_resumed") == 1


async def test_a_pause_in_which_somebody_homes_leads_back(tmp_path: Path) -> None:
    """Marlin#10875: homing ended the shift of the file, and it went on too low."""
    moves = [f"G1 X{50 + n % 2 * 20} Y60 F600" for n in range(900)]
    lines = ["G28", "G1 X50 Y50 Z10 F6000", "G92 X40 Z9.5", *moves]
    link = tmp_path / "tty"
    with simulated(SLOW, link) as printer:
        async with printing(tmp_path, lines, str(link)) as it:
            motion = printer.firmware.machine.motion
            it.start()
            await until(lambda: len(it.sent) > 9)
            await it.live.does("job", command="pause")
            before = dict(motion.position)
            assert before["Z"] == 10
            await it.live.does("command", commands=["G28", "G1 Z50 F6000"])
            assert motion.position["Z"] == 50
            count = len(it.sent)
            await it.live.does("job", command="resume")
            await it.phase("printing")
            await until(lambda: moves[1] in it.sent[count:])
            assert motion.position["Z"] == before["Z"], "of the machine"
            assert motion.coordinate("Z") == 9.5, "of the file"
            assert motion.position["Y"] == before["Y"]
            await it.live.does("job", command="cancel")


async def test_pauses_at_odd_moments(tmp_path: Path) -> None:
    """While it heats, twice, taken back at once, and after the last line."""
    scripts = {"afterPrintPaused": "M118 parked", "afterPrintDone": "G4 S1"}
    lines = ["M109 S90", *layers(20)]
    url = "simulator://marlin?speed=20"
    async with printing(tmp_path, lines, url, scripts=scripts) as it:
        job = it.live.printer.printing
        with pytest.raises(RejectedError, match="nothing is printed"):
            await job.resume()
        it.start()
        await it.live.has_sent("M109 S90")
        asked = [it.live.begins("job", command="pause") for _ in range(2)]
        await it.phase("pausing")
        await asyncio.gather(*asked)
        assert it.live.printer.state.job.phase == "paused"
        await until(lambda: it.sent[-1] == "M118 parked")
        await it.live.does("job", command="pause")
        assert "G28" not in it.sent, "it has paused behind the heating"
        for _ in range(2):
            await it.live.does("job", command="resume")
        await until(lambda: "G28" in it.sent)
        assert it.sent.count("M118 parked") == 1
        # Whoever changes their mind while it still moves gets either, and no mixture.
        for _ in range(3):
            await it.live.does("job", command="pause")
            await it.live.does("job", command="resume")
            await it.phase("printing")
        await it.live.does("job", command="pause", at="layer")
        await it.live.does("job", command="resume")
        await until(lambda: it.live.printer.state.job.phase == "finishing")
        with pytest.raises(RejectedError, match="all lines of the print were sent"):
            await job.pause()
        assert (await it.over()).outcome == "done"
        moves = [line for line in lines if line.startswith("G1 X")]
        assert [line for line in it.sent if line in {*moves}] == moves
        names = it.live.event_names
        assert names.count("print_paused") == names.count("print_resumed")


async def test_it_can_be_paused_at_the_next_layer(tmp_path: Path) -> None:
    async with printing(tmp_path, layers(40, 30), SLOW) as it:
        it.start()
        await until(lambda: (it.live.printer.state.job.layer or 0) >= 2)
        await it.live.does("job", command="pause", at="layer")
        await it.phase("paused")
        sent = it.sent[: it.sent.index("M400")]
        at = sent_of(layers(40, 30))[len(sent)]
        assert at.startswith("G1 Z"), "the first line of a layer"
        await it.live.does("job", command="resume")
        await it.live.does("job", command="cancel")


async def test_what_takes_longer_than_its_command_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A response that only says `finished` reads as if the print stood, or went on."""
    monkeypatch.setattr("bridge.printer.printing.runner.SETTLED", 0.1)
    lines = ["M109 S200", *layers(400)]
    async with printing(
        tmp_path, lines, "simulator://marlin?speed=2&emergency_parser=1"
    ) as it:
        it.start()
        await until(lambda: "M109 S200" in it.sent)
        run = await it.live.does("job", command="pause")
        assert run.warnings[0].startswith("the print is being paused")
        await it.phase("pausing")
        again = await it.live.does("job", command="pause")
        assert again.warnings == run.warnings
        await it.live.does("command", command="M108")
        await it.phase("paused")
        assert (await it.live.does("job", command="pause")).warnings == []
        run = await it.live.does("job", command="resume")
        assert run.warnings[0].startswith("the print is being resumed"), "it heats"
        await it.phase("resuming")
        await it.live.does("command", command="M108")
        await it.phase("printing")
        assert (await it.live.does("job", command="resume")).warnings == []
        await it.live.does("job", command="cancel")


async def test_a_restart_begins_a_paused_print_again(tmp_path: Path) -> None:
    async with printing(tmp_path, layers(400), SLOW) as it:
        it.start()
        await until(lambda: len(it.sent) > 30)
        with pytest.raises(RejectedError, match="only a paused print"):
            await it.live.does("job", command="restart")
        await it.live.does("job", command="pause")
        await it.live.does("job", command="restart")
        await until(lambda: it.sent.count("G28") == 2)
        await it.live.does("job", command="cancel")
        ends = [name for name in it.live.event_names if name == "print_cancelled"]
        assert len(ends) == 2


async def test_commands_in_between_must_not_disturb_the_moves(tmp_path: Path) -> None:
    async with printing(tmp_path, layers(400), SLOW) as it:
        it.start()
        await it.phase("printing")
        for line in ("G1 X5", "G91", "M83", "T0", "G92 E0", "G28", "M24"):
            with pytest.raises(RejectedError, match="would disturb the print"):
                await it.live.does("command", command=line)
        for line in ("M106 S9", "M220 S90", "M117 hello", "M114"):
            await it.live.does("command", command=line)
        step = command_of("command", command="M290 Z0.02")
        assert it.live.printer.plan(step).program.lines == ("M290 Z0.02",)
        await it.live.does("job", command="pause")
        await it.live.does("command", commands=["G91", "G1 Z1", "G90"])
        await it.live.does("job", command="cancel")
        sent = [line for line in it.sent if line in set(sent_of(layers(400)))]
        first = sent_of(layers(400))[: len(sent)]
        assert sent[: it.sent.index("M400") - 4] == first[: it.sent.index("M400") - 4]


async def test_the_printers_own_button_pauses_and_resumes(tmp_path: Path) -> None:
    """`paused` and `resumed` change the state without a line from the bridge."""
    scripts = {"afterPrintPaused": "M118 parked"}
    with simulated("simulator://marlin?speed=20", tmp_path / "tty") as printer:
        async with printing(
            tmp_path, layers(400), str(tmp_path / "tty"), scripts=scripts
        ) as it:
            it.start()
            await it.phase("printing")
            printer.says("//action:paused")
            await it.phase("paused")
            count = len(it.sent)
            printer.says("//action:resumed")
            await until(lambda: len(it.sent) > count + 5)
            assert "M400" not in it.sent
            assert it.live.printer.state.job.phase == "printing"
            printer.says("//action:pause")
            await until(lambda: "M118 parked" in it.sent)
            printer.says("//action:resume")
            await it.phase("printing")
            printer.says("//action:filament_runout")
            await it.phase("paused")
            assert it.live.printer.state.job.reason == "filament_runout"
            printer.says("//action:cancel")
            assert (await it.over()).outcome == "cancelled"


async def test_the_file_can_pause_for_a_person(tmp_path: Path) -> None:
    """OctoPrint#1448: an M0 in the file blocked the printer."""
    lines = ["G28", "M0 Insert the nut", "G1 X5 F3000", "@pause", "M0", "M104 S0"]
    async with printing(tmp_path, lines) as it:
        it.start()
        await it.phase("paused")
        assert it.live.printer.state.job.reason == "Insert the nut"
        await it.live.does("job", command="resume")
        await it.phase("paused")
        assert it.live.printer.state.job.reason == "@pause"
        # Another one follows at once: the print has been resumed all the same.
        run = await it.live.does("job", command="resume")
        assert run.warnings == []
        await until(lambda: it.live.printer.state.job.reason == "M0")
        await it.phase("paused")
        await it.live.does("job", command="resume")
        assert (await it.over()).outcome == "done"
        assert not any(line.startswith("M0") for line in it.sent)


async def test_a_filament_change_waits_as_long_as_it_takes(tmp_path: Path) -> None:
    """OctoPrint#4027: the host timed out while the printer waited for a person."""
    url = "simulator://marlin?speed=200&filament_change=1&emergency_parser=1"
    lines = ["M109 S200", "G28", "M600", *layers(2)]
    async with printing(tmp_path, lines, url) as it:
        it.start()
        await until(lambda: it.live.printer.state.waiting)
        await it.phase("paused")
        await it.live.does("job", command="resume")
        await until(lambda: it.live.printer.state.job.phase == "printing")
        assert (await it.over()).outcome == "done"
    # Where the firmware does not know it, the bridge pauses.
    unable = "simulator://marlin?speed=1000&filament_change=0"
    async with printing(tmp_path, lines, unable) as it:
        it.start()
        await it.phase("paused")
        assert it.live.printer.state.job.reason == "filament_change"
        await it.live.does("job", command="resume")
        assert (await it.over()).outcome == "done"


async def test_a_print_that_waits_for_a_person_can_be_cancelled(tmp_path: Path) -> None:
    url = "simulator://marlin?speed=200&filament_change=1&emergency_parser=1"
    async with printing(tmp_path, ["M109 S200", "G28", "M600", *layers(9)], url) as it:
        it.start()
        await until(lambda: it.live.printer.state.waiting)
        await it.live.does("job", command="cancel")
        assert (await it.over()).outcome == "cancelled"
        assert "M104 S0" in it.sent
        assert not {"M524", *sent_of(layers(9))[1:]} & set(it.sent)


async def test_a_command_that_has_waited_too_long_starts_nothing(
    tmp_path: Path,
) -> None:
    async with printing(tmp_path, layers(1)) as it:
        command = command_of("job", command="start", file="part.gcode")
        with pytest.raises(ExpiredError):
            await it.live.printer.execute(command, Run(), expires=boottime() - 1)
        assert not it.live.printer.printing.active


async def test_scripts_run_around_a_change_of_the_tool(tmp_path: Path) -> None:
    scripts = {
        "beforePrintStarted": "M118 begins",
        "beforeToolChange": "M118 from {{ event.old }} to {{ event.new }}",
        "afterToolChange": "M118 has {{ event.new }}",
        "afterPrintDone": "M118 done",
    }
    url = "simulator://marlin?speed=1000&extruders=2"
    lines = ["G28", "T1", "G1 X5 F3000"]
    async with printing(tmp_path, lines, url, scripts=scripts, extruders=2) as it:
        it.start()
        assert (await it.over()).outcome == "done"
        assert it.sent == [
            *("M118 begins", "G28", "M118 from 0 to 1", "T1", "M118 has 1"),
            *("G1 X5 F3000", "M400", "M118 done"),
        ]
        assert it.live.event_names[-1] == "print_done"


async def test_a_paused_print_heats_before_it_goes_on(tmp_path: Path) -> None:
    scripts = {"beforePrintResumed": "M118 hot"}
    lines = ["M109 S100", *layers(400)]
    port = str(tmp_path / "tty")
    with simulated("simulator://marlin?speed=100", tmp_path / "tty") as printer:
        async with printing(tmp_path, lines, port, scripts=scripts) as it:
            it.start()
            await until(lambda: len(it.sent) > 30)
            await it.live.does("job", command="pause")
            printer.press("target", "tool0", 0)
            await until(lambda: "tool0" in it.live.printer.state.reheat)
            await it.live.does("job", command="resume")
            await until(lambda: "M118 hot" in it.sent)
            at = it.sent.index("M118 hot")
            assert it.sent[at - 2 : at] == ["M104 S100", "M109 S100"]
            await it.live.does("job", command="cancel")


async def test_an_object_is_left_out(tmp_path: Path) -> None:
    lines = ["G28", "G90", "M83", "G1 X0 Y0 Z1 F3000", "@pause"]
    for number in range(3):
        lines += [f"; printing object part {number}", f"G1 X{number + 1} E1"]
        lines += [f"; stop printing object part {number}"]
    async with printing(tmp_path, lines, known={"objects": ("part 1",)}) as it:
        it.start()
        await it.phase("paused")
        with pytest.raises(RejectedError, match='no object "part 9"'):
            await it.live.does("job", command="exclude", object="part 9")
        await it.live.does("job", command="exclude", object="Part 1")
        assert it.live.printer.state.job.excluded == ("part 1",)
        await it.live.does("job", command="resume")
        assert (await it.over()).filament == 2
        assert "G1 X2 E1" not in it.sent
        assert {"G1 X1 E1", "G1 X3 E1"} < set(it.sent)


async def test_a_dry_run_sends_nothing(tmp_path: Path) -> None:
    async with printing(tmp_path, layers(400), SLOW) as it:
        start = command_of("job", command="start", file="part.gcode")
        assert (await it.live.printer.plan_in_slices(start)).program.gcode == ()
        it.start()
        await it.phase("printing")
        pause = command_of("job", command="pause", at="layer")
        assert (await it.live.printer.plan_in_slices(pause)).program.gcode == ()
        await it.live.does("job", command="cancel")


async def test_a_restart_waits_for_a_cancel_that_takes_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answered that a print is under way, and the print was gone."""
    monkeypatch.setattr("bridge.printer.printing.runner.SETTLED", 0.1)
    scripts = {"afterPrintCancelled": "G4 S20\nM118 cancelled"}
    async with printing(tmp_path, layers(400), SLOW, scripts=scripts) as it:
        it.start()
        await until(lambda: len(it.sent) > 30)
        it.live.printer.printing._run.ask_pause()  # type: ignore[union-attr]  # noqa: SLF001 - no wait
        await it.phase("paused")
        run = await it.live.does("job", command="restart")
        assert "starts again when that is done" in run.warnings[0]
        assert it.live.printer.state.job.phase == "cancelling"
        with pytest.raises(RejectedError, match="a print is under way"):
            it.start()
        await until(lambda: it.sent.count("G28") == 2)
        assert it.sent.index("M118 cancelled") < len(it.sent) - 1
        assert it.live.event_names.count("print_cancelled") == 1
        # Whoever cancels wants its end, not another beginning.
        it.live.printer.printing._run.ask_pause()  # type: ignore[union-attr]  # noqa: SLF001 - no wait
        await it.phase("paused")
        await it.live.does("job", command="restart")
        await it.live.does("job", command="cancel")
        await it.over()
        assert it.sent.count("G28") == 2
        assert it.live.event_names.count("print_cancelled") == 2


async def test_a_restart_that_becomes_impossible_says_so(tmp_path: Path) -> None:
    scripts = {"afterPrintCancelled": "G4 S20"}
    async with printing(tmp_path, layers(400), SLOW, scripts=scripts) as it:
        it.start()
        await until(lambda: len(it.sent) > 30)
        await it.live.does("job", command="pause")
        waits = it.live.begins("job", command="restart")
        await it.phase("cancelling")
        await it.live.printer.link.release()
        with pytest.raises(RejectedError, match="job start: the printer is not"):
            await waits
        assert it.sent.count("G28") == 1


async def test_a_file_is_checked_again_before_it_is_printed(tmp_path: Path) -> None:
    """The limits may be others than when it was stored."""
    async with printing(tmp_path, layers(400), SLOW) as it:
        printer, refused = it.live.printer, RejectedError.invalid("line 7: too hot")
        asked: list[str] = []

        async def check(path: str) -> None:
            asked.append(path)
            if len(asked) != 3:
                raise refused

        printer.prints.check_file = check
        with pytest.raises(RejectedError, match="line 7: too hot"):
            await it.live.does("job", command="start", file="part.gcode")
        with pytest.raises(RejectedError, match="line 7: too hot"):
            await printer.plan_in_slices(
                command_of("job", command="start", file="part.gcode")
            )
        assert not it.sent
        await it.live.does("job", command="start", file="part.gcode")
        await until(lambda: len(it.sent) > 30)
        await it.live.does("job", command="pause")
        with pytest.raises(RejectedError, match="line 7: too hot"):
            await it.live.does("job", command="restart")
        assert printer.state.job.phase == "paused", "nothing was cancelled"
        assert asked == ["part.gcode"] * 4
        await it.live.does("job", command="cancel")


async def test_a_stop_while_a_file_is_checked_keeps_it_from_starting(
    tmp_path: Path,
) -> None:
    async with printing(tmp_path, layers(4), SLOW) as it:
        checking, go_on = asyncio.Event(), asyncio.Event()

        async def check(_path: str) -> None:
            checking.set()
            await go_on.wait()

        it.live.printer.prints.check_file = check
        waits = it.live.begins("job", command="start", file="part.gcode")
        await checking.wait()
        it.live.printer.stop()
        go_on.set()
        with pytest.raises(CommandError) as caught:
            await waits
        assert caught.value.error == "emergency_stopped"
        assert "G28" not in it.sent
