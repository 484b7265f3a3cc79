"""What becomes of a print when the printer, its cable, or the bridge fails."""

import asyncio
import json
import os
import re
import resource
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.app.printer_state_files import PrinterStateFiles
from bridge.errors import RejectedError
from bridge.printer.control.command_queue import Run
from bridge.printer.printing import runner
from bridge.printer.published import documents, views
from bridge.state_files import flush
from tests.support.live import command_of, live
from tests.support.peers import PtyPeer
from tests.support.print_process import config_of
from tests.support.printers import simulated
from tests.support.printing import Printing, layers, printing, sent_of
from tests.support.waiting import until

SLOW = "marlin?speed=20"
LINES = ["M140 S50", "M104 S190", "M109 S190", *layers(30, 40)]


@pytest.mark.parametrize(
    ("incident", "reason"), [("reset", "printer_reset"), ("unplug", "connection_lost")]
)
async def test_it_has_failed_and_nothing_is_sent_again(
    tmp_path: Path, incident: str, reason: str
) -> None:
    """OctoPrint#1676: lines of the old run were carried out after a reset."""
    link = tmp_path / "tty"
    with simulated(f"simulator://{SLOW}", link) as printer:
        async with printing(tmp_path, LINES, str(link)) as it:
            it.start()
            await until(lambda: (it.live.printer.state.job.layer or 0) >= 3)
            getattr(printer, incident)()
            result = await it.over()
            assert (result.outcome, result.reason) == ("failed", reason)
            count = len(it.sent)
            if incident == "unplug":
                printer.plug()
            await it.live.operational()
            assert it.sent[count:] == []
            trouble = it.live.printer.state.print_failure
            assert trouble is not None
            assert trouble.reason == reason


async def test_it_can_be_recovered_from_the_last_layer(tmp_path: Path) -> None:
    link, kept = tmp_path / "tty", tmp_path / "print.json"
    file = ["M221 S95", *LINES]
    volume = {"x": [0, 200], "y": [0, 200], "z": [0, 100]}
    with simulated(f"simulator://{SLOW}", link) as printer:
        async with printing(
            tmp_path, file, str(link), print_file=kept, volume=volume
        ) as it:
            it.start()
            await until(lambda: (it.live.printer.state.job.layer or 0) >= 4)
            await it.live.does("head", command="feedrate", factor=70)
            await until(lambda: (it.live.printer.state.job.layer or 0) >= 6)
            motion = printer.firmware.machine.motion
            assert (motion.speed_factor, motion.flow_factor) == (70, 95)
            printer.reset()
            assert (await it.over()).outcome == "failed"
            await it.live.operational()
        assert flush()
        point = json.loads(kept.read_text())["checkpoint"]
        assert point["layer"] >= 6
        assert (point["speed_factor"], point["flow_factor"]) == (70, None)
        assert point["targets"] == {"tool0": 190, "bed": 50}
        recover = command_of("job", command="recover", z=point["z"])
        cool = {"tool": 150}
        async with live(
            str(link), print_file=kept, volume=volume, max_temperature=cool
        ) as limited:
            with pytest.raises(RejectedError, match="150") as refusal:
                await limited.printer.plan_in_slices(recover)
            assert refusal.value.error == "out_of_limits"
        # The bridge is started again, and a person asks for the plan first.
        async with live(str(link), print_file=kept, volume=volume) as again:
            planned = await again.printer.plan_in_slices(recover)
            lines = planned.program.gcode
            assert lines[:4] == ("M140 S50", "M104 S190", "M190 S50", "M109 S190")
            assert f"G92 Z{point['z']:g}" in lines
            assert [x for x in lines if x[:3] == "M22"] == ["M221 S95", "M220 S70"]
            assert again.sent == []
            motion = printer.firmware.machine.motion
            assert (motion.speed_factor, motion.flow_factor) == (100, 100)
            await again.printer.execute(recover, Run())
            await until(lambda: again.printer.state.job.phase == "printing")
            work = Printing(again, None)  # type: ignore[arg-type] # not needed
            result = await work.over()
            assert (result.outcome, result.job) == ("done", "job-1r")
            assert (motion.speed_factor, motion.flow_factor) == (70, 95)
            at = again.sent.index("M400")
            rest = again.sent[len(lines) : at]
            assert rest == sent_of(LINES)[-len(rest) :]
            assert rest[0].startswith("G1 Z")
            assert not any(
                line.startswith("G28") and "Z" in line for line in again.sent
            )
            assert "G28" not in again.sent
            with pytest.raises(RejectedError, match="no print was interrupted"):
                await again.does("job", command="recover")


PLANNED = {"command": "recover", "planned": True}


class Broken(Printing):
    """A print that was interrupted."""

    @property
    def shown(self) -> documents.State:
        """What `state` holds."""
        return views.state(self.live.printer.state, now=0.0, epoch=0.0)

    async def refused(self, text: str, **payload: object) -> None:
        """Check that a command of `job` is refused with this text."""
        with pytest.raises(RejectedError, match=text) as refusal:
            await self.live.does("job", **payload)
        assert refusal.value.error == "not_recoverable"


@asynccontextmanager
async def broken_off(folder: Path) -> AsyncIterator[Broken]:
    volume = {"x": [0, 200], "y": [0, 200], "z": [0, 100]}
    async with printing(folder, LINES, f"simulator://{SLOW}", volume=volume) as work:
        it = Broken(work.live, work.file)
        await it.refused("no print was interrupted", command="plan_recovery")
        assert not it.shown.can.plan_recovery
        it.start()
        await until(lambda: (it.live.printer.state.job.layer or 0) >= 6)
        await it.live.printer.printing.leave("pause")
        assert (await it.over()).outcome == "failed"
        assert it.shown.can.plan_recovery
        assert it.shown.recovery is None
        await it.refused("there is no plan", **PLANNED)
        yield it


async def test_a_print_goes_on_as_it_was_planned(tmp_path: Path) -> None:
    """Somebody looks at the plan and at the printer first."""
    async with broken_off(tmp_path) as it:
        count = len(it.sent)
        await it.live.does("job", command="plan_recovery", z=2.0)
        plan = it.shown.recovery
        assert plan is not None
        assert (plan.file, plan.height, plan.refused) == ("part.gcode", 2.0, "")
        assert plan.layer is not None
        assert plan.layer >= 4
        assert "G92 Z2" in plan.lines
        assert it.shown.can.recover
        assert len(it.sent) == count, "nothing is sent"
        await it.live.does("bed", command="target", target=40)  # it may be preheated
        count = len(it.sent)
        dry = await it.live.printer.plan_in_slices(command_of("job", **PLANNED))
        assert dry.program.gcode == plan.lines
        await it.live.does("job", **PLANNED)
        assert it.shown.recovery is None
        assert not it.shown.can.plan_recovery
        assert (await it.over()).outcome == "done"
        assert it.sent[count : count + len(plan.lines)] == list(plan.lines)
        await it.refused("there is no plan", **PLANNED)


async def test_a_print_goes_on_by_no_plan_that_is_not_true_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with broken_off(tmp_path) as it:
        await it.live.does("job", command="plan_recovery", z=2.0)
        # Whoever moves the head has to plan again, and to measure.
        await it.live.does("head", command="jog", z=1)
        assert it.shown.recovery is None
        await it.refused("there is no plan", **PLANNED)
        await it.refused("the head was moved since", command="plan_recovery")
        told = it.shown.recovery
        assert told is not None
        assert "measure it" in told.refused
        assert not told.lines
        assert not it.shown.can.recover
        await it.refused("there is no plan", **PLANNED)
        # It is old, or would be different.
        await it.live.does("job", command="plan_recovery", z=3.0, layer=4)
        with monkeypatch.context() as patch:
            patch.setattr(runner, "PLAN_LASTS", -1.0)
            await it.refused("15 minutes", **PLANNED)
        state = it.live.printer.state
        assert state.recovery is not None
        other = replace(state.recovery, lines=("G28",))
        it.live.printer.observer.set_state(replace(state, recovery=other))
        await it.refused("would be different", **PLANNED)
        # Somebody stops the printer while the file is read.
        await it.live.does("job", command="plan_recovery", z=3.0, layer=4)
        begun = it.live.begins("job", **PLANNED)
        await asyncio.sleep(0)
        stop = RejectedError.conflict("stop", "stopped")
        it.live.printer.queue.interrupt(lambda: stop)
        with pytest.raises(RejectedError, match="stop"):
            await begun
        assert not it.live.printer.printing.active


async def test_a_file_that_has_changed_is_not_recovered(tmp_path: Path) -> None:
    kept = tmp_path / "print.json"
    async with printing(
        tmp_path, layers(40, 40), f"simulator://{SLOW}", print_file=kept
    ) as it:
        it.start()
        await until(lambda: (it.live.printer.state.job.layer or 0) >= 4)
        await it.live.printer.printing.leave("pause")
        result = await it.over()
        assert (result.outcome, result.reason) == ("failed", "bridge_stopped")
        path = tmp_path / "part.gcode"
        text = path.read_text()
        path.write_text(text + "G28\n")
        with pytest.raises(RejectedError, match="another size"):
            await it.live.does("job", command="recover")
        path.unlink()
        with pytest.raises(RejectedError, match="No such file"):
            await it.live.does("job", command="recover")


@pytest.mark.parametrize("mode", ["pause", "cancel", "finish_layer"])
async def test_the_end_of_the_bridge_is_no_surprise(tmp_path: Path, mode: str) -> None:
    lines = layers(60, 40)
    scripts = {"afterPrintPaused": "G91\nG1 Z5\nG90"}
    async with printing(
        tmp_path,
        lines,
        f"simulator://{SLOW}",
        settings={"on_exit": mode},
        scripts=scripts,
    ) as it:
        it.start()
        await until(lambda: len(it.sent) > 60)
        await it.live.end()
        result = it.live.printer.state.job.result
        assert result is not None
        assert result.outcome == ("cancelled" if mode == "cancel" else "failed")
        sent = it.sent[: it.sent.index("M400")]
        assert sent == sent_of(lines)[: len(sent)]
        if mode == "finish_layer":
            assert sent_of(lines)[len(sent)].startswith("G1 Z")
        if mode != "cancel":
            assert result.reason == "bridge_stopped"
            assert it.sent[-3:] == ["G91", "G1 Z5", "G90"]
        else:
            assert it.sent[-1] == "M84"


async def test_a_file_that_cannot_be_read_fails_by_its_name(tmp_path: Path) -> None:
    async with printing(tmp_path, layers(2)) as it:
        (tmp_path / "part.gcode").unlink()
        it.start()
        result = await it.over()
        assert (result.outcome, result.reason) == ("failed", "file_error")
        assert "cannot be read" in result.detail
    async with printing(tmp_path, layers(2)) as it:
        (tmp_path / "part.gcode").write_text("G28\n")
        it.start()
        assert "shorter" in (await it.over()).detail


async def test_a_line_that_the_printer_refuses_ends_it_where_it_matters(
    tmp_path: Path,
) -> None:
    lines = ["G28", "M999999", "G1 X10 F3000", "M104 S0"]
    async with printing(tmp_path, ["G28", "M9999", *lines[2:]]) as it:
        it.start()
        assert (await it.over()).outcome == "done", "a code that nobody knows"
        assert "complaint" in it.live.event_names
    async with printing(tmp_path, lines) as it:
        it.start()
        result = await it.over()
        assert (result.outcome, result.reason) == ("failed", "file_error")
        assert result.detail.startswith("line 2: ")
        assert it.sent[-1] == "M84", "everything is off"
    klipper = "simulator://klipper?speed=1000"
    async with printing(tmp_path, ["G1 X10 F3000", *layers(1)], klipper) as it:
        it.start()
        result = await it.over()
        assert (result.outcome, result.reason) == ("failed", "file_error")
        assert "Must home axis first" in result.detail
        assert "G28" not in it.sent


async def test_a_pause_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OctoPrint#2581: it was stuck in "Pausing", and the script was missed."""
    monkeypatch.setattr("bridge.printer.printing.print_run.STANDSTILL", 0.3)
    scripts = {"afterPrintPaused": "M118 parked"}
    lines = ["G28", "G90", *(f"G1 X{n % 2 * 20} F600" for n in range(100))]
    async with printing(
        tmp_path, lines, "simulator://marlin?speed=20", scripts=scripts
    ) as it:
        it.start()
        await until(lambda: len(it.sent) > 5)
        await it.live.does("job", command="pause")
        assert it.live.printer.state.job.phase == "paused"
        await until(lambda: "M118 parked" in it.sent)
        await it.live.does("job", command="cancel")


async def test_the_bridge_may_be_killed_at_any_moment(tmp_path: Path) -> None:
    """No line is sent twice, and what is known afterwards is true."""
    lines = layers(500, 40)
    path = tmp_path / "part.gcode"
    path.write_text("".join(f"{line}\n" for line in lines))
    program = [sys.executable, "-m", "tests.support.print_process"]
    for number, count in enumerate((60, 333)):
        link, folder = tmp_path / f"tty{number}", tmp_path / f"state{number}"
        with simulated("simulator://marlin?speed=100", link) as printer:
            arguments = [*program, str(link), str(path), str(folder)]
            with subprocess.Popen(arguments, stdout=subprocess.PIPE) as bridge:  # noqa: ASYNC220 - the printer has its own thread
                executed = printer.firmware.executed
                await until(lambda seen=executed, n=count: len(seen) > n)  # type: ignore[misc] # of a loop
                bridge.kill()
            sent = printer.wire.sent()
            begins = sent.index("G28")
            expected = sent_of(lines)
            # The last line may be cut off.
            assert sent[begins:-1] == expected[: len(sent) - begins - 1]
            files = PrinterStateFiles(folder, config_of(str(link)))
            kept = files.last_record()
            assert kept is not None
            chunks = len(printer.wire.chunks)
            async with live(str(link), print_file=files.print, kept=kept) as again:
                result = again.printer.state.job.result
                assert result is not None
                assert (result.outcome, result.reason) == ("failed", "interrupted")
                assert result.job == "killed"
                assert again.event_names[0] == "job_interrupted"
                assert again.printer.state.print_failure is not None
                assert not set(printer.wire.sent(chunks)) & set(expected)
                point = again.printer.printing.interrupted
                assert point is not None
                assert point.line <= len(lines)


async def test_a_move_that_cannot_be_sent_ends_the_print(tmp_path: Path) -> None:
    long = "G1 " + " ".join(f"{axis}123.4567" for axis in "XYZEFABCUVW")
    async with printing(tmp_path, ["M104 S200", "G28", long, "G1 X5"]) as it:
        it.start()
        result = await it.over()
        assert (result.outcome, result.reason) == ("failed", "file_error")
        assert "shorter than 96 bytes" in result.detail
        assert it.live.printer.state.link == "operational"
        assert it.live.printer.state.job.phase == "idle"
        assert "M104 S0" in it.sent, "its heaters are off"
        it.start()  # nothing is left of it
        await it.over()


async def test_an_offset_does_not_lift_a_line_of_the_file_beyond_the_limit(
    tmp_path: Path,
) -> None:
    async with printing(tmp_path, ["M104 S255", "G28"]) as it:
        await it.live.does("tool", command="offset", offsets={"tool0": 40})
        it.start()
        result = await it.over()
        assert (result.outcome, result.reason) == ("failed", "file_error")
        assert "295" in result.detail
        assert "M104 S295" not in it.sent
        await it.live.does("tool", command="offset", offsets={"tool0": 10})
        it.start()
        assert (await it.over()).outcome == "done"
        assert "M104 S265" in it.sent


async def test_a_line_that_is_asked_for_again_and_again_ends_the_print(
    tmp_path: Path,
) -> None:
    """Prusa-Firmware-Buddy#4123: it continued forever, and nobody knew which line."""
    peer = PtyPeer()
    loop, answered = asyncio.get_running_loop(), bytearray()

    def reply() -> None:
        answered.extend(os.read(peer.master, 4096))
        while b"\n" in answered:
            raw, _, rest = bytes(answered).partition(b"\n")
            answered[:] = rest
            numbered = re.match(rb"N(\d+) (.*)\*", raw)
            text = b"ok\n"
            if numbered is not None and numbered[2].startswith(b"M117 bad"):
                before = int(numbered[1]) - 1
                text = b"Error:checksum mismatch, Last Line: %d\nResend: %d\nok\n" % (
                    before,
                    before + 1,
                )
            elif b"M115" in raw:
                text = b"FIRMWARE_NAME:Marlin 2.1\nok\n"
            elif b"M105" in raw:
                text = b"ok T:20.0 /0.0 B:20.0 /0.0\n"
            os.write(peer.master, text)

    loop.add_reader(peer.master, reply)
    try:
        lines = ["G28", "G1 X10 F3000", "M117 bad", "G1 X20"]
        async with printing(tmp_path, lines, peer.url) as it:
            it.start()
            result = await it.over()
            assert (result.outcome, result.reason) == ("failed", "connection_lost")
            assert "asking for line" in result.detail
            assert '"M117 bad"' in result.detail
            assert it.sent.count("M117 bad") == 11, "once, and ten times again"
            assert "G1 X20" not in it.sent
            await it.live.operational()
            assert not it.live.printer.state.job.active
    finally:
        loop.remove_reader(peer.master)
        await peer.hang_up()


async def test_a_full_disk_ends_no_print(tmp_path: Path) -> None:
    """Neither its checkpoint can be written, nor what is kept of its end."""
    kept = tmp_path / "p.print.json"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with printing(tmp_path, layers(12), print_file=kept) as it:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
        try:
            it.start()
            result = await it.over()
            assert flush()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert (result.outcome, result.layers) == ("done", 12)
        assert it.sent == [*sent_of(layers(12)), "M400"]
        assert not kept.exists()
        flush()
        assert json.loads(kept.read_text()) == {"checkpoint": None}, "the last word"


async def test_a_paused_print_outlives_the_end_of_the_bridge(tmp_path: Path) -> None:
    """SIGTERM comes while it is paused: nothing is sent for it, and it can continue."""
    kept = tmp_path / "p.print.json"
    volume = {"x": [0, 200], "y": [0, 200], "z": [0, 100]}
    link = tmp_path / "printer"
    with simulated(f"simulator://{SLOW}", link):
        async with printing(
            tmp_path, LINES, str(link), print_file=kept, volume=volume
        ) as it:
            it.start()
            await until(lambda: (it.live.printer.state.job.layer or 0) >= 5)
            await it.live.does("job", command="pause")
            await it.phase("paused")
            sent = len(it.sent)
            await it.live.end()
            result = it.live.printer.state.job.result
            assert result is not None
            assert (result.outcome, result.reason) == ("failed", "bridge_stopped")
            moves = [line for line in it.sent[sent:] if line.startswith("G")]
            assert moves == [], "neither back to the part, nor away from it"
        flush()
        point = json.loads(kept.read_text())["checkpoint"]
        assert (point["job"], point["layer"]) == ("job-1", result.layers)
        async with live(
            str(link), print_file=kept, volume=volume, connected=True
        ) as again:
            assert again.printer.printing.interrupted is not None
            planned = await again.printer.plan_in_slices(
                command_of("job", command="recover", z=point["z"])
            )
            assert "G28 X Y" in planned.program.gcode
            assert again.sent == []


async def test_a_print_whose_link_is_lost_leaves_nothing_hot(tmp_path: Path) -> None:
    """Not every board is reset when its port is opened again."""
    lines = ["M104 S150", *layers(400)]
    port = "simulator://marlin?speed=20"
    with simulated(port, tmp_path / "tty") as printer:
        async with printing(
            tmp_path, lines, str(tmp_path / "tty"), pause_heaters={"nozzle": 0.1}
        ) as it:
            it.start()
            await it.phase("printing")
            await until(lambda: it.live.printer.state.heat_reason == "print")
            await it.live.does("job", command="pause")
            reasons = [it.live.printer.state.heat_reason]
            await it.live.does("job", command="resume")
            reasons.append(it.live.printer.state.heat_reason)
            assert reasons == ["pause", "print"], "at once"
            printer.unplug()
            assert (await it.over()).reason == "connection_lost"
            printer.plug()
            await it.live.operational()
            assert printer.firmware.machine.heaters["tool0"].target == 150
            await it.live.has_sent("M104 S0")


@pytest.mark.parametrize("mode", ["off", "keep"])
async def test_heaters_may_be_left_to_the_idle_timeout(
    tmp_path: Path, mode: str
) -> None:
    with simulated("simulator://marlin?speed=20", tmp_path / "tty") as printer:
        async with printing(
            tmp_path,
            ["M104 S150", *layers(400)],
            str(tmp_path / "tty"),
            settings={"heaters_on_exit": mode},
        ) as it:
            it.start()
            await it.phase("printing")
            await until(lambda: it.live.printer.state.heat_reason == "print")
            printer.unplug()
            await it.over()
            assert it.live.printer.heat.policy.memory.owed is (mode == "off")
