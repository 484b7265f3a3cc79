"""Commands go one at a time; questions and cancelling a print pass them."""

import asyncio
from pathlib import Path

import pytest

from bridge.errors import ExpiredError, FailedError, RejectedError
from bridge.printer.control.command_queue import Run, Turns
from bridge.timeout import boottime
from tests.support.live import command_of, live
from tests.support.printers import scripted
from tests.support.waiting import until


def gone() -> FailedError:
    return FailedError.disconnected("gone")


async def test_the_order_of_arrival() -> None:
    turns, order = Turns(10), list[int]()

    async def take(number: int) -> None:
        async with turns.turn(1):
            order.append(number)
            await asyncio.sleep(0)
            order.append(number)

    await asyncio.gather(*(take(number) for number in range(4)))
    assert order == [0, 0, 1, 1, 2, 2, 3, 3]
    assert turns.waiting == 0


async def test_what_is_too_much_does_not_wait() -> None:
    turns = Turns(3)
    async with turns.turn(2):
        assert turns.waiting == 2
        with pytest.raises(RejectedError, match=r"limits\.queue allows 3") as caught:
            async with turns.turn(2):
                raise AssertionError
        assert (caught.value.error, caught.value.code) == ("queue_full", 429)
        assert turns.waiting == 2
    async with turns.turn(3):
        assert turns.waiting == 3


async def test_an_interruption_ends_what_waits() -> None:
    turns = Turns(10)

    async def wait() -> None:
        async with turns.turn(1):
            raise AssertionError

    async with turns.turn(1) as interrupted:
        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0)
        assert interrupted() is None
        turns.interrupt(gone)
        assert isinstance(interrupted(), FailedError)
    with pytest.raises(FailedError, match="gone"):
        await waiting
    assert turns.waiting == 0


async def test_an_interruption_is_none_of_later_ones_business() -> None:
    turns = Turns(10)
    turns.interrupt(gone)
    async with turns.turn(1) as interrupted:
        assert interrupted() is None


async def test_who_gives_up_waiting_frees_the_place() -> None:
    turns = Turns(10)

    async def wait() -> None:
        async with turns.turn(1):
            raise AssertionError

    async with turns.turn(1):
        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert turns.waiting == 1


async def test_some_go_first_however_many_wait() -> None:
    turns, order, go_on = Turns(4), list[str](), asyncio.Event()

    async def take(name: str, *, first: bool = False) -> None:
        async with turns.turn(1, first=first):
            order.append(name)
            await go_on.wait()

    async with asyncio.TaskGroup() as tasks:
        for number in range(4):
            tasks.create_task(take(f"patient {number}"))
        await asyncio.sleep(0)
        for number in range(2):
            tasks.create_task(take(f"urgent {number}", first=True))
        await asyncio.sleep(0)
        assert turns.waiting == 6
        with pytest.raises(RejectedError):
            await take("one too many")
        go_on.set()
    patient = [f"patient {number}" for number in range(4)]
    assert order == [patient[0], "urgent 0", "urgent 1", *patient[1:]]
    assert turns.waiting == 0


async def test_those_who_go_first_are_not_without_number() -> None:
    turns = Turns(1)
    async with turns.turn(1, first=True):
        with pytest.raises(RejectedError):
            async with turns.turn(1, first=True):
                raise AssertionError


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
                await it.printer.execute(position, run, expires=boottime() - 1)
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
            assert it.printer.observer.position.get("x") in {None, 9.0}
