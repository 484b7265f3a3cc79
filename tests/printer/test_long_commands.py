"""A long command is planned in slices; what happens meanwhile is not overlooked."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.commands.base import Steps
from bridge.errors import FailedError, RejectedError
from bridge.gcode.reply_types import PositionReport
from bridge.printer.control.command_queue import in_slices
from bridge.printer.printer import AT_ONCE
from tests.support.live import Live, live
from tests.support.printers import ScriptedPrinter, scripted
from tests.support.waiting import until

LONG = 1000
FORWARDS = ["G91", *["G1 X0.1 F6000"] * (LONG - 1)]
ANSWERS = {
    "M115": "FIRMWARE_NAME:Marlin 2.1 (Scripted)",
    "M114": "X:10.00 Y:1.00 Z:1.00 E:0.00",
}


@pytest.fixture
def printer(tmp_path: Path) -> Iterator[ScriptedPrinter]:
    with scripted(tmp_path / "printer", ANSWERS) as own:
        yield own


def at(x: float) -> PositionReport:
    return PositionReport(x=x, y=1.0, z=1.0, e=0.0)


async def planning(it: Live, *lines: str) -> "asyncio.Task[None]":
    """Begin a command, and return between two slices of its planning."""
    await until(lambda: "x" in it.printer.observer.position)
    task = it.begins("command", commands=list(lines))
    await asyncio.sleep(0)
    assert not it.sent, "the event loop had its turn before the first line was sent"
    assert it.printer.queue.waiting == len(lines)
    return task


async def test_other_work_goes_on_between_slices() -> None:
    happened: list[str] = []

    def steps() -> Steps[str]:
        while not happened:
            yield
        return "planned"

    asyncio.get_running_loop().call_soon(happened.append, "other work")
    assert await in_slices(steps(), lambda: None) == "planned"


async def test_what_is_interrupted_is_not_finished() -> None:
    errors: list[FailedError] = []

    def steps() -> Steps[str]:
        while True:
            yield

    gone = FailedError.disconnected("gone")
    asyncio.get_running_loop().call_soon(errors.append, gone)
    with pytest.raises(FailedError, match="gone"):
        await in_slices(steps(), lambda: errors[0] if errors else None)


async def test_what_is_short_does_not_wait_for_the_event_loop() -> None:
    def steps() -> Steps[str]:
        yield
        return "planned"

    working = in_slices(steps(), lambda: None)
    with pytest.raises(StopIteration) as end:
        working.send(None)
    assert end.value.value == "planned"


async def test_a_stop_between_two_slices_is_obeyed(printer: ScriptedPrinter) -> None:
    async with live(str(printer.link), queue=LONG) as it:
        task = await planning(it, *FORWARDS)
        it.printer.stop()
        with pytest.raises(FailedError) as caught:
            await task
        assert caught.value.error == "emergency_stopped"
        assert it.sent == ["M112"]


async def test_a_link_lost_between_two_slices_ends_the_command(
    printer: ScriptedPrinter,
) -> None:
    async with live(str(printer.link), queue=LONG) as it:
        task = await planning(it, *FORWARDS)
        it.printer.link.reconnect()
        with pytest.raises((FailedError, RejectedError)) as caught:
            await task
        assert caught.value.error in {"disconnected", "not_operational"}
        assert it.sent == []


async def test_the_limits_hold_for_the_position_at_the_first_line(
    printer: ScriptedPrinter,
) -> None:
    async with live(str(printer.link), queue=LONG, volume={"x": [0, 220]}) as it:
        task = await planning(it, *FORWARDS)  # to 110 mm, as far as is known
        it.printer.observer.handle(at(150.0))
        with pytest.raises(RejectedError, match=r"x would be at 220\.1 mm"):
            await task
        assert it.sent == []


async def test_a_position_that_never_rests_delays_no_command(
    printer: ScriptedPrinter,
) -> None:
    async with live(str(printer.link), queue=LONG, volume={"x": [0, 220]}) as it:
        task = await planning(it, *FORWARDS)
        x = 10.0
        while not it.sent:
            x += 0.001
            it.printer.observer.handle(at(x))
            await asyncio.sleep(0)
        await task
        assert it.sent == FORWARDS


async def test_what_comes_later_does_not_overtake_it(printer: ScriptedPrinter) -> None:
    async with live(str(printer.link), queue=LONG + 1) as it:
        task = await planning(it, *["M106 S1"] * LONG)
        later = it.begins("command", command="M107")
        await asyncio.gather(task, later)
        assert it.sent == [*["M106 S1"] * LONG, "M107"]


async def test_a_wrong_line_refuses_the_whole_of_a_long_command(
    printer: ScriptedPrinter,
) -> None:
    async with live(str(printer.link), queue=LONG) as it:
        with pytest.raises(RejectedError, match="M104 S999") as caught:
            await it.does("command", commands=["G28"] * AT_ONCE + ["M104 S999"])
        assert (caught.value.code, caught.value.error) == (400, "out_of_limits")
        assert it.sent == []


async def test_a_stop_in_a_long_command_is_sent_at_once(
    printer: ScriptedPrinter,
) -> None:
    async with live(str(printer.link), queue=LONG) as it:
        printer.held.add("G4")
        first = it.begins("command", command="G4 P1")
        await it.has_sent("G4 P1")
        parameters = {"code": 112}
        lines = [*["G28"] * AT_ONCE, "M{code}"]
        await it.does("command", commands=lines, parameters=parameters)
        with pytest.raises(FailedError):
            await first
        assert it.sent == ["G4 P1", "M112"]


async def test_a_long_command_with_a_wrong_parameter_is_no_stop(
    printer: ScriptedPrinter,
) -> None:
    async with live(str(printer.link), queue=LONG) as it:
        lines = [*["G28"] * AT_ONCE, "M{code}"]
        with pytest.raises(RejectedError, match="the parameter code is missing"):
            await it.does("command", commands=lines, parameters={"other": 112})
