"""Heaters that have no reason to be on, of printers that obey and that do not."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any, NoReturn, cast

import pytest

from bridge.commands.heaters import OwnTargets
from bridge.printer.control.command_queue import Run
from bridge.printer.control.heater_control import AWAY, UNCONFIRMED
from bridge.printer.link.wire_log import Direction
from bridge.simulator.personalities import PERSONALITIES
from tests.support.cases import case
from tests.support.live import Live, live
from tests.support.printers import scripted, simulated
from tests.support.waiting import until

MINUTES = 0.04
BOTH = ["bed", "tool0"]
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
            await until(lambda: it.sent.count("M104 S0") >= 2, 30)
            assert it.event_names.count("heaters_idle") == 1
            assert "heaters_off" not in it.event_names
            assert set(it.sent) == {"M104 S0"}, "the bed is off"
            told = [e.data for e in it.events if e.name == "heaters_stay_on"]
            assert told == [{"heaters": ["tool0"], "reason": "it keeps heating"}]
    assert caplog.text.count("the bridge keeps trying") == 1
    assert "it keeps heating" in caplog.text


async def test_a_printer_that_refuses_is_told_again_and_named_once(
    tmp_path: Path,
) -> None:
    """What it was told is believed until it reports, so it is asked at once."""
    with scripted(tmp_path / "printer", HOT | {"M104": "Error:not now"}) as printer:
        async with live(str(printer.link), idle_heaters=MINUTES) as it:
            await until(lambda: it.sent.count("M104 S0") >= 2, 30)
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


@pytest.mark.parametrize("answer", ["ok", "echo:no idea", "ok X:? Y:? Z:?"])
@pytest.mark.parametrize("first", ["M114", "later"])
async def test_a_position_that_is_not_reported_keeps_nothing_on(
    tmp_path: Path, answer: str, first: str
) -> None:
    answers = HOT | ({"M114": answer} if first == "M114" else {})
    with scripted(tmp_path / "printer", answers) as printer:
        async with live(str(printer.link), idle_heaters=MINUTES) as it:
            await until(lambda: "heaters_idle" in it.event_names, 20)
            printer.answers["M114"] = answer
            await until(lambda: "M104 S0" in it.sent, 20)


async def test_a_position_that_trembles_keeps_nothing_on(tmp_path: Path) -> None:
    with scripted(tmp_path / "printer", HOT) as printer:
        async with live(str(printer.link), idle_heaters=MINUTES) as it:
            for number in cycle(range(3)):
                printer.answers["M114"] = f"X:1.0{number} Y:1.00 Z:1.00 E:0.00"
                printer.answers["M105"] = f"ok T:200 /200.0{number} B:20 /0"
                if "M104 S0" in it.sent:
                    break
                await asyncio.sleep(0)


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


SENT = Direction.SENT
FILE = "ARATHE~1.GCO"
SHORT = {"nozzle": 0.05, "bed": 1}
PRINTER = "simulator://marlin?speed=30"


def told(it: Live, name: str) -> list[dict[str, object]]:
    """Return what the events of a name said."""
    return [dict(event.data) for event in it.events if event.name == name]


async def heat(it: Live) -> None:
    await it.does("tool", command="target", targets={"tool0": 200})


async def begin_print(it: Live) -> None:
    await it.does("command", commands=[f"M23 {FILE}", "M24"])
    await until(lambda: it.printer.state.phase == "printing", 20)
    await it.does("command", commands=["M104 S200", "M140 S60"])


def since(it: Live, line: str) -> list[str]:
    """Return what was sent after a line."""
    return it.sent[it.sent.index(line) + 1 :]


async def test_a_pause_cools_the_nozzle_and_a_resume_waits_for_it() -> None:
    async with live(PRINTER, pause_heaters=SHORT) as it:
        await begin_print(it)
        await it.does("job", command="pause")
        await until(lambda: bool(told(it, "heaters_off")), 30)
        assert told(it, "heaters_idle")[0]["cause"] == "pause"
        assert told(it, "heaters_off") == [{"heaters": ["tool0"], "cause": "pause"}]
        assert it.printer.state.reheat == {"tool0": 200}
        assert it.printer.state.heaters["bed"].target == 60
        await it.does("job", command="resume")
        assert since(it, "M104 S0") == ["M104 S200", "M109 S200", "M24"]
        await until(lambda: "print_resumed" in it.event_names, 20)
        await until(lambda: it.printer.state.reheat == {})


async def test_a_resume_at_the_panel_is_paused_until_the_nozzle_is_hot() -> None:
    async with live(PRINTER, pause_heaters=SHORT) as it:
        await begin_print(it)
        await it.does("job", command="pause")
        await until(lambda: bool(told(it, "heaters_off")), 30)
        await it.does("command", command="M24")  # as the panel does
        await until(lambda: bool(told(it, "heaters_on_again")), 30)
        assert since(it, "M104 S0") == [
            *("M24", "M25"),
            *("M104 S200", "M109 S200", "M24"),
        ]


async def test_what_the_bridge_turns_on_by_itself_is_no_use() -> None:
    """As a script of an event does, and what is set again after a restart."""
    async with live(PRINTER) as it:
        await heat(it)
        await until(lambda: it.printer.state.heat_reason == "use")
        control, bed = it.printer.heat, OwnTargets(targets={"bed": 50.0})
        used = control.policy.memory.used
        assert used is not None
        with control.own():
            await it.printer.queue.execute(bed, 1, Run(), expires=None, within=None)
        asked = temperatures(it)
        await until(lambda: temperatures(it) > asked + 1)
        assert it.printer.state.heaters["bed"].target == 50
        assert control.policy.memory.used == used


@pytest.mark.parametrize("lease", [True, False])
async def test_a_command_with_a_lease_is_no_use(tmp_path: Path, *, lease: bool) -> None:
    """Not even while the printer takes its time to acknowledge it."""
    with scripted(tmp_path / "printer", HOT) as printer:
        async with live(str(printer.link)) as it:
            await until(lambda: it.printer.state.heat_reason == "use")
            used = it.printer.heat.policy.memory.used or 0
            printer.held.add("M140")
            hold: dict[str, Any] = {"hold": 600} if lease else {}
            waits = it.begins("bed", command="target", target=60, **hold)
            await it.has_sent("M140 S60")
            for actual in (201, 202):  # each report has the rule look again
                printer.says(f"T:{actual} /200.0 B:20.0 /0.0\n")
                await until(partial(is_measured, it, actual))
            printer.answers["M105"] = "ok T:200 /200 B:20 /60"
            printer.release()
            await waits
            await until(lambda: it.printer.state.heaters["bed"].target == 60)
            assert (it.printer.heat.policy.memory.used == used) == lease


def is_measured(it: Live, actual: float) -> bool:
    return it.printer.state.heaters["tool0"].actual == actual


def temperatures(it: Live) -> int:
    """Return how many temperature reports have come."""
    return sum(b"T:" in x.data and x.direction is not SENT for x in it.entries)


async def test_a_lease_ends() -> None:
    async with live(PRINTER) as it:
        await it.does("bed", command="target", target=60, hold=2)
        await until(lambda: it.printer.state.heat_reason == "hold")
        await until(lambda: bool(told(it, "heaters_off")), 20)
        assert [x for x in it.sent if x[0] == "M"] == ["M140 S60", "M140 S0"]
        assert told(it, "heaters_off") == [{"heaters": ["bed"], "cause": "hold"}]
        assert "heaters_idle" not in it.event_names
        await until(lambda: it.printer.state.heat_reason is None)


async def test_a_lease_and_the_last_use_are_kept_over_restarts(tmp_path: Path) -> None:
    file = tmp_path / "heaters.json"
    keep = {"heaters_on_exit": "keep"}
    hot = HOT | {"M105": "ok T:200 /200 B:60 /60"}
    with scripted(tmp_path / "printer", hot) as printer:
        async with live(str(printer.link), settings=keep, heat_file=file) as it:
            await it.does("bed", command="target", target=60, hold=1)
            await until(lambda: it.printer.state.heat_reason is not None)
            used = it.printer.heat.policy.memory.used
        async with live(str(printer.link), settings=keep, heat_file=file) as it:
            await it.has_sent("M140 S0")
            assert it.sent == ["M140 S0"]
            assert it.printer.heat.policy.memory.used == pytest.approx(used, abs=0.01)


async def test_a_memory_that_is_damaged_costs_nothing_but_itself(
    tmp_path: Path,
) -> None:
    file = tmp_path / "heaters.json"
    file.write_text('{"saved_at": 1, "used": 2, "place": [1], "targets": {"bed": 6}}')
    with scripted(tmp_path / "printer", HOT) as printer:
        async with live(str(printer.link), heat_file=file) as it:
            await until(lambda: it.printer.state.heat_reason == "use")
        file.write_text("[]")
        async with live(str(printer.link), heat_file=file) as it:
            await until(lambda: it.printer.state.heat_reason == "use")


async def test_without_the_broker_idle_heaters_go_off() -> None:
    settings = {"on_broker_loss": 0.02}
    async with live(PRINTER, settings=settings, broker=lambda: False) as it:
        await heat(it)
        await until(lambda: bool(told(it, "heaters_off")), 20)
        assert told(it, "heaters_off") == [{"heaters": ["tool0"], "cause": "broker"}]


# When the bridge ends


async def test_heaters_go_off_with_the_bridge() -> None:
    async with live(PRINTER) as it:
        await heat(it)
        await it.end()
        assert it.sent == ["M104 S200", "M104 S0"]
        assert told(it, "heaters_off") == [{"heaters": ["tool0"], "cause": "exit"}]


async def test_they_stay_on_if_that_is_wanted(caplog: pytest.LogCaptureFixture) -> None:
    async with live(PRINTER, settings={"heaters_on_exit": "keep"}) as it:
        await heat(it)
        await it.end()
        assert it.sent == ["M104 S200"]
    assert "tool0: heaters stay on (heaters_on_exit: keep)" in caplog.text


async def test_they_stay_on_for_a_print(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    async with live(PRINTER) as it:
        await begin_print(it)
        before = list(it.sent)
        await it.end()
        assert it.sent == before
    assert "tool0, bed: heaters stay on, because a print runs" in caplog.text


async def test_in_a_pause_they_go_off_and_are_on_again_afterwards(
    tmp_path: Path,
) -> None:
    file = tmp_path / "heaters.json"
    hot = HOT | {"M27": "SD print paused", "M105": "ok T:200 /200 B:60 /60"}
    with scripted(tmp_path / "printer", hot) as printer:
        async with live(str(printer.link), heat_file=file) as it:
            await until(lambda: it.printer.state.phase == "paused")
            await until(lambda: it.printer.state.heat_reason == "pause")
            printer.answers["M105"] = "ok T:200 /0 B:60 /0"
            await it.end()
            assert it.sent == ["M140 S0", "M104 S0"]
            assert told(it, "heaters_off")[0]["heaters"] == ["tool0", "bed"]
        async with live(str(printer.link), heat_file=file) as it:
            await it.has_sent("M104 S200")
            assert it.sent == ["M140 S60", "M104 S200"]
            printer.answers["M105"] = "ok T:200 /200 B:60 /60"
            await until(lambda: bool(told(it, "heaters_on_again")))


async def test_who_cannot_reach_the_printer_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with scripted(tmp_path / "printer", HOT) as printer:
        async with live(str(printer.link)) as it:
            await until(lambda: it.printer.state.heat_reason == "use")
            printer.link.unlink()
            it.printer.link.reconnect()
            await until(lambda: it.printer.state.link == "offline")
            await it.end()
            printer.link.touch()
            assert told(it, "heaters_stay_on") == [
                {"heaters": ["tool0"], "reason": AWAY}
            ]
    assert "the printer cannot be reached; the bridge ends" in caplog.text


@pytest.mark.parametrize("parser", [True, False])
async def test_a_printer_that_is_busy_is_told_without_waiting(
    tmp_path: Path, *, parser: bool
) -> None:
    capable = {"M115": f"{HOT['M115']}\nCap:EMERGENCY_PARSER:{int(parser)}"}
    with scripted(tmp_path / "printer", HOT | capable) as printer:
        async with live(str(printer.link)) as it:
            await until(lambda: it.printer.state.heat_reason == "use")
            printer.held.add("M109")
            wait = it.begins("command", command="M109 S200")
            await it.has_sent("M109 S200")
            await it.end()
            await asyncio.gather(wait, return_exceptions=True)
            assert it.sent[-1] == "M104 S0"
            assert ("M108" in it.sent) == parser
            (event,) = told(it, "heaters_stay_on")
            # M108 ends the wait, so that the line is acknowledged.
            assert event["reason"] == ("it keeps heating" if parser else UNCONFIRMED)


async def test_each_nozzle_is_named_if_nobody_acknowledges(tmp_path: Path) -> None:
    """`M104 S0` alone turns off the one that is selected."""
    both = {"M105": "ok T0:200 /200 T1:200 /200 B:20 /20"}
    tools = {"tool0": "M104 T0 S0", "tool1": "M104 T1 S0"}

    async def ends(extruders: int, shared: bool, sent: dict[str, str]) -> None:  # noqa: FBT001 - a row of the table
        link = tmp_path / f"printer-{extruders}-{shared}"
        profile: dict[str, Any] = {"extruders": extruders, "shared_nozzle": shared}
        with scripted(link, HOT | both) as printer, case(profile):
            async with live(str(link), **profile) as it:
                await until(lambda: it.printer.state.heat_reason == "use")
                printer.silent = True
                await it.end()
                assert {"M140 S0", *sent.values()} <= set(it.sent)
                (event,) = told(it, "heaters_stay_on")
                assert set(cast("list[str]", event["heaters"])) == {"bed", *tools}

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(ends(2, False, tools))  # noqa: FBT003 - likewise
        tasks.create_task(ends(2, True, dict.fromkeys(tools, "M104 S0")))  # noqa: FBT003
        tasks.create_task(ends(1, False, tools | {"tool0": "M104 S0"}))  # noqa: FBT003


async def test_what_cannot_be_reached_goes_off_after_the_next_connection(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "heaters.json"
    with simulated("simulator://marlin?speed=30", tmp_path / "printer") as printer:
        async with live(str(printer.link), heat_file=file) as it:
            await heat(it)
            printer.unplug()
            await until(lambda: it.printer.state.link == "offline")
            await it.end()
            assert told(it, "heaters_stay_on")
        printer.plug()
        async with live(str(printer.link), heat_file=file, idle_heaters=0.2) as it:
            await until(lambda: bool(told(it, "heaters_off")))
            assert it.sent == ["M104 S0"]
            assert told(it, "heaters_off") == [{"heaters": ["tool0"], "cause": "exit"}]
            assert "heaters_idle" not in it.event_names
    assert "the bridge stops or has stopped serving it" in caplog.text


# A bug in what looks after the printer ends the link


def bug(*_: object) -> NoReturn:
    raise ZeroDivisionError


async def breaks(it: Live) -> None:
    """Have a bug end the task of the link, and wait until all has ended."""
    it.printer.heat.next_due = bug  # type: ignore[method-assign]  # injects a bug
    with pytest.raises(ExceptionGroup) as caught:
        await it.task
    assert caught.group_contains(ZeroDivisionError)
    it.task = asyncio.create_task(asyncio.sleep(0))  # that is all that has to end


async def test_a_bug_leaves_each_family_cold() -> None:
    async def story(it: Live) -> None:
        await it.does("command", commands=["M104 S200", "M140 S60"])
        await until(lambda: it.printer.state.heat_reason == "use", 30)
        await breaks(it)
        assert sorted(it.sent[-2:]) == ["M104 S0", "M140 S0"]
        stay = {str(x["reason"]): x["heaters"] for x in told(it, "heaters_stay_on")}
        # Repetier may report the new targets at once.
        off = {str(x["cause"]): x["heaters"] for x in told(it, "heaters_off")}
        assert stay.keys() <= {UNCONFIRMED}
        assert off.keys() <= {"exit"}
        named = [*stay.values(), *off.values()]
        assert sorted(x for names in named for x in cast("list[str]", names)) == BOTH

    await on_each_family(story)


async def test_a_bug_turns_nothing_off_that_shall_stay_on() -> None:
    async with live(PRINTER, settings={"heaters_on_exit": "keep"}) as it:
        await heat(it)
        await breaks(it)
        assert it.sent == ["M104 S200"]
    async with live(PRINTER) as it:
        await begin_print(it)
        before = list(it.sent)
        await breaks(it)
        assert it.sent == before
        assert not told(it, "heaters_stay_on")


async def test_a_bug_in_a_pause_turns_them_off_until_the_bridge_is_back(
    tmp_path: Path,
) -> None:
    file = tmp_path / "heaters.json"
    hot = HOT | {"M27": "SD print paused", "M105": "ok T:200 /200 B:60 /60"}
    with scripted(tmp_path / "printer", hot) as printer:
        async with live(str(printer.link), heat_file=file) as it:
            await until(lambda: it.printer.state.heat_reason == "pause")
            await breaks(it)
            assert it.sent == ["M104 S0", "M140 S0"]
        printer.answers["M105"] = "ok T:200 /0 B:60 /0"
        async with live(str(printer.link), heat_file=file) as it:
            await it.has_sent("M104 S200")
            assert it.sent == ["M140 S60", "M104 S200"]


async def test_a_bug_while_it_waits_for_a_temperature_ends_the_wait(
    tmp_path: Path,
) -> None:
    capable = {"M115": f"{HOT['M115']}\nCap:EMERGENCY_PARSER:1"}
    with scripted(tmp_path / "printer", HOT | capable) as printer:
        async with live(str(printer.link)) as it:
            await until(lambda: it.printer.state.heat_reason == "use")
            printer.held.add("M109")
            wait = it.begins("command", command="M109 S200")
            await it.has_sent("M109 S200")
            await breaks(it)
            await asyncio.gather(wait, return_exceptions=True)
            assert it.sent == ["M109 S200", "M108", "M104 S0"]


# On each simulated family, side by side


async def on_each_family(story: Callable[[Live], Awaitable[None]], **how: Any) -> None:  # noqa: ANN401 - those of `live`
    async def one(family: str) -> None:
        with case(family):
            async with live(f"simulator://{family}?speed=30", **how) as it:
                await story(it)

    async with asyncio.TaskGroup() as tasks:
        for family in PERSONALITIES:
            tasks.create_task(one(family))


async def test_each_family_is_left_cold() -> None:
    async def story(it: Live) -> None:
        await it.does("command", commands=["M104 S200", "M140 S60"])
        await until(lambda: it.printer.state.heat_reason == "use", 30)
        await it.end()
        (off,) = told(it, "heaters_off")
        assert off["cause"] == "exit"
        assert sorted(cast("list[str]", off["heaters"])) == ["bed", "tool0"]
        assert {"M104 S0", "M140 S0"} <= set(it.sent)

    await on_each_family(story)


async def test_heaters_of_each_family_go_off_in_time() -> None:
    """The bed after its lease, and the nozzle because nobody uses the printer."""

    async def story(it: Live) -> None:
        await it.does("command", command="M104 S200")
        await it.does("bed", command="target", target=60, hold=1)
        await until(lambda: len(told(it, "heaters_off")) >= 2, 60)
        causes = {str(off["cause"]): off["heaters"] for off in told(it, "heaters_off")}
        assert causes == {"hold": ["bed"], "idle": ["tool0"]}
        sent = sorted(line for line in it.sent if line.startswith("M1"))
        assert sent == ["M104 S0", "M104 S200", "M140 S0", "M140 S60"]

    await on_each_family(story, idle_heaters=MINUTES)


async def test_a_printer_without_heat_is_left_in_peace() -> None:
    async with live(PRINTER) as it:
        await it.end()
        assert it.sent == []
        assert not {"heaters_off", "heaters_stay_on"} & set(it.event_names)
