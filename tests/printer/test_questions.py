"""What goes past the queue of commands: questions, and cancelling a print."""

import asyncio
import time
from pathlib import Path

import pytest

from bridge.errors import ExpiredError, FailedError, RejectedError
from bridge.printer.control.executor import Run
from tests.support.live import command_of, live
from tests.support.printers import scripted
from tests.support.waiting import until


async def test_questions_are_not_behind_a_full_queue(tmp_path: Path) -> None:
    with scripted(tmp_path / "printer") as printer:
        async with live(str(printer.link), queue=2) as it:
            printer.held |= {"G4", "M400"}
            first = it.begins("command", commands=["G4 P1", "M400"])
            await it.has_sent("G4 P1")
            asked = it.begins("request/ping"), it.begins("request/position")
            await asyncio.sleep(0)
            with pytest.raises(RejectedError, match=r"limits\.queue"):
                await it.does("request/position")
            printer.release("G4")
            await asked[0]
            assert not first.done()
            printer.release()
            await asyncio.gather(first, asked[1])


async def test_a_question_that_is_too_late_or_too_impatient(tmp_path: Path) -> None:
    answers = {"M114": "X:1.00 Y:1.00 Z:1.00 E:0.00"}
    with scripted(tmp_path / "printer", answers) as printer:
        async with live(str(printer.link)) as it:
            printer.held.add("G4")
            first = it.begins("command", command="G4 P1")
            await it.has_sent("G4 P1")
            run = Run()
            position = command_of("request/position")
            with pytest.raises(ExpiredError):
                await it.printer.execute(position, run, expires=time.time() - 1)
            assert run.gcode == []
            with pytest.raises(FailedError, match=r"0\.05 s"):
                await it.printer.execute(position, run, within=0.05)
            assert run.gcode == [], "it was taken back"
            printer.release()
            await first
            assert (await it.does("request/position")).output


async def test_a_question_fails_with_the_link(tmp_path: Path) -> None:
    with scripted(tmp_path / "printer") as printer:
        async with live(str(printer.link)) as it:
            printer.held.add("G28")
            first = it.begins("command", command="G28")
            await it.has_sent("G28")
            asked = it.begins("request/ping"), it.begins("request/ping")
            await asyncio.sleep(0)
            it.printer.stop()
            for one in (first, *asked):
                with pytest.raises(FailedError) as caught:
                    await one
                assert caught.value.error == "emergency_stopped"


async def test_cancelling_goes_before_all_that_waits(tmp_path: Path) -> None:
    answers = {
        "M115": "FIRMWARE_NAME:Marlin 2.1 (Scripted)",
        "M23": "File opened: SMALL.GCO Size: 5\nFile selected",
        "M27": "SD printing byte 1/5",
    }
    with scripted(tmp_path / "printer", answers) as printer:
        async with live(str(printer.link), queue=2) as it:
            await it.does("command", command="M23 SMALL.GCO")
            await until(lambda: it.printer.state.printing)  # as M27 tells
            printer.held.add("G4")
            working = it.begins("command", command="G4 P1")
            await it.has_sent("G4 P1")
            waiting = it.begins("command", command="M117 later")
            await asyncio.sleep(0)
            cancelling = it.begins("job", command="cancel")
            await asyncio.sleep(0)
            printer.release()
            await asyncio.gather(working, waiting, cancelling)
            assert it.sent[-3:] == ["G4 P1", "M524", "M117 later"]


async def test_where_it_failed_the_head_may_be_anywhere(tmp_path: Path) -> None:
    """A report from before the last move must not pass for the place after it."""
    answers = {"M114": "X:1.00 Y:1.00 Z:1.00 E:0.00"}
    with scripted(tmp_path / "printer", answers) as printer:
        async with live(str(printer.link)) as it:
            printer.held |= {"M400", "G0"}
            run = it.begins("command", commands=["M400", "G0 X50"])
            await it.has_sent("M400")
            asked = it.begins("request/position")
            await asyncio.sleep(0)
            printer.release("M400")
            await asked
            await it.has_sent("G0 X50")
            # The bridge may ask by itself in the moment after the failure.
            printer.answers["M114"] = "X:9.00 Y:1.00 Z:1.00 E:0.00"
            printer.says("Error:stalled\n")
            printer.release()
            with pytest.raises(FailedError):
                await run
            assert it.printer.observer.at.get("x") in {None, 9.0}
