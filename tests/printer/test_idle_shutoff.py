"""Idle heaters of printers that do not do as they are told, or do more."""

import asyncio
from pathlib import Path

import pytest

from tests.support.live import Live, live
from tests.support.printers import scripted
from tests.support.waiting import until

MINUTES = 0.04
JOG = 4  # lines that wait, with the question before them
HOT = {
    "M115": "FIRMWARE_NAME:Marlin 2.1 (Scripted)",
    "M114": "X:1.00 Y:1.00 Z:1.00 E:0.00",
    "M105": "ok T:200.0 /200.0 B:20.0 /0.0",
}
SECOND_NOZZLE = "ok T0:20.0 /0.0 T1:200.0 /200.0 B:20.0 /0.0"


def questions(it: Live) -> int:
    """Return how often the head was asked for its place."""
    return sum(b"M114" in entry.data for entry in it.entries)


async def test_a_heater_that_stays_on_is_told_again_and_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with scripted(tmp_path / "printer", HOT) as printer:
        async with live(str(printer.link), idle_heaters=MINUTES) as it:
            await until(lambda: it.sent.count("M104 S0") == 3)
            assert it.event_names.count("heaters_idle") == 1
            assert "heaters_off" not in it.event_names
            assert set(it.sent) == {"M104 S0"}, "the bed is off"
            told = [e.data for e in it.events if e.name == "heaters_stay_on"]
            assert told == [{"heaters": ["tool0"], "reason": "it keeps heating"}]
    assert caplog.text.count("tool0 should have been turned off") == 1
    assert "it keeps heating" in caplog.text


async def test_a_printer_that_refuses_is_told_again_and_named_once(
    tmp_path: Path,
) -> None:
    """What it was told is believed until it reports, so it is asked at once."""
    with scripted(tmp_path / "printer", HOT | {"M104": "Error:not now"}) as printer:
        async with live(str(printer.link), idle_heaters=MINUTES) as it:
            await until(lambda: it.sent.count("M104 S0") == 3)
            assert it.event_names.count("heaters_idle") == 1
            told = [e.data for e in it.events if e.name == "heaters_stay_on"]
            assert [str(data["reason"]) for data in told] == ["not now"]
            assert "heaters_off" not in it.event_names


async def test_a_heater_that_the_profile_does_not_have_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    answers = HOT | {"M105": SECOND_NOZZLE}
    with scripted(tmp_path / "printer", answers) as printer:
        async with live(str(printer.link), idle_heaters=MINUTES) as it:
            await until(lambda: "tool1 should have been turned off" in caplog.text)
            assert it.sent == []
    assert "profile.extruders" in caplog.text


async def test_a_head_that_somebody_else_moves_is_in_use(tmp_path: Path) -> None:
    with scripted(tmp_path / "printer", HOT) as printer:
        async with live(str(printer.link), idle_heaters=MINUTES) as it:
            await until(lambda: it.printer.state.heaters_off_at is not None)
            first = it.printer.state.heaters_off_at
            assert first is not None
            asked = questions(it)
            printer.held.add("M114")
            await until(lambda: questions(it) > asked)
            assert "heaters_idle" not in it.event_names
            printer.says("X:1.00 Y:7.00 Z:1.00 E:0.00\n")
            await until(lambda: "position" in it.event_names)
            printer.release()
            await until(lambda: (it.printer.state.heaters_off_at or 0) > first)
            await until(lambda: "heaters_idle" in it.event_names)
            assert "heaters_off" not in it.event_names
            assert it.event_names.count("heaters_idle") == 1


async def test_while_the_place_is_not_told_any_more_heaters_stay_on(
    tmp_path: Path,
) -> None:
    with scripted(tmp_path / "printer", HOT) as printer:
        async with live(str(printer.link), idle_heaters=MINUTES) as it:
            await until(lambda: "heaters_idle" in it.event_names)
            printer.answers["M114"] = "echo:no idea"
            asked = questions(it)
            await until(lambda: questions(it) >= asked + 2)
            assert it.sent == []
            assert it.event_names.count("heaters_stay_on") == 1
            printer.answers["M114"] = HOT["M114"]
            await until(lambda: "M104 S0" in it.sent)


async def test_a_firmware_that_does_not_tell_the_place_is_asked_in_vain(
    tmp_path: Path,
) -> None:
    answers = HOT | {"M114": 'echo:Unknown command: "M114"'}
    with scripted(tmp_path / "printer", answers) as printer:
        async with live(str(printer.link), idle_heaters=MINUTES) as it:
            await it.has_sent("M104 S0")
            assert "heaters_idle" in it.event_names
            assert "M114" in it.printer.state.refused


async def test_what_goes_off_does_so_once_and_then_nothing_is_due() -> None:
    async with live("simulator://marlin?speed=30", idle_heaters=MINUTES) as it:
        await it.does("tool", command="target", targets={"tool0": 200})
        await until(lambda: "heaters_off" in it.event_names)
        await until(lambda: it.printer.state.heaters_off_at is None)
        assert it.sent == ["M104 S200", "M104 S0"]
        told = [e for e in it.events if e.name in {"heaters_idle", "heaters_off"}]
        assert [e.name for e in told] == ["heaters_idle", "heaters_off"]
        assert told[0].data["heaters"] == told[1].data["heaters"] == ["tool0"]
        off_at = told[0].data["off_at"]
        assert isinstance(off_at, str)
        assert off_at.endswith(".000Z")


async def test_one_nozzle_of_several_tools_is_told_once() -> None:
    async with live(
        "simulator://marlin?speed=30",
        idle_heaters=MINUTES,
        extruders=2,
        shared_nozzle=True,
    ) as it:
        await it.does("tool", command="target", targets={"tool0": 200})
        await until(lambda: "heaters_off" in it.event_names)
        assert it.sent == ["M104 S200", "M104 S0"]


async def test_a_link_that_breaks_does_not_begin_the_time_anew(
    tmp_path: Path,
) -> None:
    with scripted(tmp_path / "printer", HOT) as printer:
        async with live(str(printer.link), idle_heaters=10) as it:
            await until(lambda: it.printer.state.heaters_off_at is not None)
            first = it.printer.state.heaters_off_at
            it.printer.link.reconnect()
            await until(lambda: it.event_names.count("connected") > 1)
            await until(lambda: it.printer.state.heaters_off_at is not None)
            assert it.printer.state.heaters_off_at == first


async def test_who_comes_before_the_end_has_gone_out_is_heard(tmp_path: Path) -> None:
    with scripted(tmp_path / "printer", HOT) as printer:
        async with live(str(printer.link), idle_heaters=MINUTES) as it:
            await until(lambda: "heaters_idle" in it.event_names)
            asked = questions(it)
            printer.held |= {"M114", "M503"}
            await until(lambda: questions(it) > asked)
            question = it.begins("command", command="M503")
            person = it.begins("head", command="jog", x=1)
            await until(lambda: it.printer.queue.waiting == JOG)
            printer.says(f"{HOT['M114']}\n")
            printer.release("M114")
            await until(lambda: it.printer.queue.waiting > JOG)
            printer.release()
            await question
            await person
            assert "M104 S0" not in it.sent


async def test_questions_without_a_pause_keep_nothing_on() -> None:
    async with live("simulator://repetier?speed=30", idle_heaters=MINUTES) as it:
        await it.does("tool", command="target", targets={"tool0": 200})
        while "heaters_off" not in it.event_names:
            asked = [it.begins("command", command="M105") for _ in range(3)]
            await asyncio.gather(*asked)
        assert "M104 S0" in it.sent
