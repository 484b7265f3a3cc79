"""A printer carries out one command at a time, and tells what became of it."""

import asyncio
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from bridge.errors import ExpiredError, FailedError, RejectedError
from bridge.printer.control.command_queue import Run
from bridge.printer.control.emergency_stop import (
    KEPT,
    PAUSE,
    SENT_LATE,
    STILL_RESPONDS,
    STOP_MESSAGE,
)
from bridge.printer.link.link import Link
from bridge.simulator.firmware import Firmware
from bridge.simulator.serve import pty_server
from bridge.timeout import boottime
from tests.support.live import command_of, live
from tests.support.printers import ScriptedPrinter, scripted, unframed
from tests.support.waiting import DEADLINE, until

FAST = "simulator://marlin?speed=1000"
REAL = "simulator://marlin"
JOG = ("G91", "G0 X5 F6000", "G90")


async def test_it_gets_to_know_the_printer() -> None:
    async with live(FAST) as it:
        state = it.printer.state
        assert state.firmware is not None
        assert state.firmware.name.startswith("Marlin")
        assert state.heaters["tool0"].actual is not None
        assert [file.path for file in state.files][:1] == ["SMALL.GCO"]
        assert "connected" in it.event_names
        assert it.printer.link.connects == 1


async def test_a_command_tells_what_was_sent_and_said() -> None:
    async with live(FAST) as it:
        run = await it.does("head", command="jog", x=5)
        assert tuple(run.gcode) == JOG == tuple(it.sent)
        asked = await it.does("command", command="M114")
        assert len(asked.output) == 1
        assert asked.output[0].startswith("X:5.00")
        assert it.printer.observer.position["x"] == 5.0


@pytest.mark.parametrize("family", ["marlin", "klipper"])
async def test_after_homing_the_limits_of_relative_moves_hold(family: str) -> None:
    async with live(f"simulator://{family}?speed=1000", volume={"x": [0, 200]}) as it:
        await it.does("head", command="home", axes=["x"])
        await until(lambda: "x" in it.printer.observer.position)
        with pytest.raises(RejectedError, match="x would be at -5 mm"):
            await it.does("head", command="jog", x=-5)
        await it.does("head", command="jog", x=195)
        with pytest.raises(RejectedError, match="x would be at 201 mm"):
            await it.does("head", command="jog", x=6)


async def test_where_a_refused_program_stands_is_asked_for() -> None:
    async with live("simulator://klipper?speed=1000") as it:
        await it.does("head", command="home", axes=["x"])
        with pytest.raises(FailedError, match="Must home axis first"):
            await it.does("command", commands=["G0 X20", "G0 X30 Y5", "G0 X40"])
        await until(lambda: it.printer.observer.position.get("x") == 20.0)


async def test_commands_do_not_mix() -> None:
    async with live(FAST) as it:
        await asyncio.gather(
            *(it.begins("head", command="jog", x=step) for step in (1, 2, 3)),
            it.begins("command", commands=["M106 S1", "M107"]),
        )
        begun = [index for index, line in enumerate(it.sent) if line == "G91"]
        moves = [it.sent[index + 1].split()[1] for index in begun]
        assert moves == ["X1", "X2", "X3"]
        assert it.sent[-2:] == ["M106 S1", "M107"]


async def test_offsets_need_no_line_and_are_added() -> None:
    async with live(FAST) as it:
        assert (await it.does("bed", command="offset", offset=5)).gcode == []
        assert (await it.does("bed", command="target", target=50)).gcode == ["M140 S55"]
        assert it.printer.state.offsets["bed"] == 5
        assert it.printer.state.heaters["bed"].target == 55


async def test_it_is_planned_again_when_its_turn_comes() -> None:
    """What waits is held against the state of then, not of its arrival."""
    async with live(REAL) as it:
        first = it.begins("command", commands=["G4 P200", "G91"])
        run = Run()
        second = it.begins("head", run, command="jog", x=5)
        await asyncio.gather(first, second)
        assert run.gcode == ["G91", "G0 X5 F6000", "G91"]


async def test_a_full_queue() -> None:
    async with live(REAL, queue=3) as it:
        first = it.begins("command", command="G4 S600")
        await it.has_sent("G4 S600")
        with pytest.raises(RejectedError, match=r"limits\.queue") as caught:
            await it.does("command", commands=["M106", "M107", "M105"])
        assert (caught.value.error, caught.value.code) == ("queue_full", 429)
        first.cancel()


@pytest.mark.parametrize("within", [None, DEADLINE])
async def test_a_stop_right_after_a_command_finds_it(
    tmp_path: Path, within: float | None
) -> None:
    """Its line may have left already, unless it waits for a task of its own."""
    with scripted(tmp_path / "printer") as printer:
        printer.held.add("M106")
        async with live(str(printer.link)) as it:
            command = command_of("command", command="M106")
            work = it.printer.execute(command, Run(), within=within)
            run = asyncio.create_task(work)
            asyncio.get_running_loop().call_soon(it.printer.stop)
            with pytest.raises(FailedError) as caught:
                await run
            assert caught.value.error == "emergency_stopped"
            await it.has_sent("M112")
            assert it.sent in [["M112"], ["M106", "M112"]]
            assert within is None or "M106" not in it.sent


async def test_whoever_is_cancelled_takes_back_what_has_not_left() -> None:
    async with live(REAL) as it:
        first = it.begins("command", command="G4 P300")
        await it.has_sent("G4 P300")
        other = it.begins("command", commands=["M106", "M107"])
        await asyncio.sleep(0)
        other.cancel()
        await first
        await it.does("command", command="M82")
        assert it.sent == ["G4 P300", "M82"]


async def test_a_script_that_has_become_a_stop_in_its_turn_stops() -> None:
    text = "{% if last_temperature.b.target %}M112{% else %}M117 cold{% endif %}"
    async with live("simulator://marlin", scripts={"guard": text}) as it:
        first = it.begins("command", commands=["G4 P200", "M140 S50"])
        await it.has_sent("G4 P200")
        second = it.begins("command", script="guard")
        await first
        with pytest.raises(FailedError) as caught:
            await second
        assert caught.value.error == "emergency_stopped"
        assert it.sent[-1] == "M112"
        assert it.printer.state.halted


async def test_too_late() -> None:
    async with live(FAST) as it:
        with pytest.raises(ExpiredError):
            await it.printer.execute(
                command_of("command", command="M106"), Run(), expires=boottime() - 1
            )
        assert it.sent == []


async def test_a_timeout_in_the_middle_of_a_command() -> None:
    async with live(REAL) as it:
        run = Run()
        with pytest.raises(FailedError, match=r"0\.05 s") as caught:
            await it.printer.execute(
                command_of("command", commands=["G4 P300", "M106"]), run, within=0.05
            )
        assert (caught.value.error, run.abandoned) == ("timeout", True)
        assert run.gcode == ["G4 P300"]
        await it.does("command", command="M107")  # its turn comes after the G4
        assert it.sent == ["G4 P300", "M107"]


async def test_a_timeout_in_the_queue() -> None:
    async with live(REAL) as it:
        first = it.begins("command", command="G4 P300")
        await it.has_sent("G4 P300")
        run = Run()
        with pytest.raises(RejectedError, match="nothing was sent") as caught:
            await it.printer.execute(
                command_of("command", command="M106"), run, within=0.05
            )
        assert (caught.value.error, caught.value.code) == ("timeout", 408)
        await first
        await it.does("command", command="M107")
        assert (run.gcode, it.sent) == ([], ["G4 P300", "M107"])


async def test_a_refused_line_leaves_the_modes_as_they_were() -> None:
    async with live(FAST) as it:
        await it.does("command", command="G1 F1500")
        run = Run()
        with pytest.raises(FailedError, match="cold extrusion") as caught:
            await it.printer.execute(
                command_of("tool", command="extrude", amount=5), run
            )
        assert caught.value.error == "firmware_error"
        assert run.gcode == ["G91", "M83", "G1 E5 F300", "M82", "G90", "G1 F1500"]


async def test_a_refused_jog_on_klipper() -> None:
    async with live("simulator://klipper?speed=1000") as it:
        run = Run()
        with pytest.raises(FailedError, match="Must home axis first"):
            await it.printer.execute(command_of("head", command="jog", x=5), run)
        assert tuple(run.gcode) == JOG


async def test_a_line_that_is_refused_ends_the_command() -> None:
    async with live(FAST) as it:
        run = Run()
        with pytest.raises(FailedError, match="M9999"):
            await it.printer.execute(
                command_of("command", commands=["M9999", "M106"]), run
            )
        assert run.gcode == ["M9999"]


async def test_an_emergency_stop_passes_everything() -> None:
    async with live(REAL) as it:
        running, waiting = Run(), Run()
        tasks = [
            it.begins("command", running, commands=["G4 S600", "M106"]),
            it.begins("head", waiting, command="jog", x=5),
        ]
        await it.has_sent("G4 S600")
        assert (await it.does("emergency")).gcode == ["M112"]
        errors = await asyncio.gather(*tasks, return_exceptions=True)
        assert [getattr(error, "error", error) for error in errors] == [
            "emergency_stopped"
        ] * 2
        assert (running.gcode, waiting.gcode) == (["G4 S600"], [])
        assert it.sent == ["G4 S600", "M112"]
        state = it.printer.state
        assert (state.link, state.halted) == ("error", True)
        assert state.problem is not None
        assert state.problem.reason == "emergency_stop"
        with pytest.raises(RejectedError) as refused:
            await it.does("head", command="jog", x=5)
        assert refused.value.error == "not_operational"


async def test_after_an_emergency_stop_it_is_met_anew() -> None:
    async with live(FAST) as it:
        await it.does("emergency")
        it.printer.reconnect()
        await it.operational()
        assert it.printer.state.problem is None
        assert tuple((await it.does("head", command="jog", x=5)).gcode) == JOG


async def test_a_stopped_printer_that_says_nothing_of_its_restart(
    tmp_path: Path,
) -> None:
    """Its banner may have come before the port could be opened."""
    with scripted(tmp_path / "port") as printer:
        async with live(str(printer.link)) as it:
            await it.does("emergency")
            it.printer.reconnect()
            await it.operational()
            assert it.printer.state.problem is None


async def test_a_stop_that_got_lost_is_repeated(tmp_path: Path) -> None:
    """A printer that reports temperatures has not stopped."""

    def stops() -> int:
        return sum(data.strip() == b"M112" for _, data in printer.wire.chunks)

    def stopped_again() -> bool:
        printer.says("T:200.0 /200.0\n")
        return stops() > 1

    with scripted(tmp_path / "port") as printer:
        async with live(str(printer.link)) as it:
            await it.does("emergency")
            await until(lambda: stops() == 1)
            await until(stopped_again)
            assert it.printer.state.link == "error"
            assert it.printer.state.heaters["tool0"].actual is None


async def test_a_printer_that_no_stop_can_reach_is_a_problem_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("bridge.printer.control.emergency_stop.PAUSE", 0.01)
    with scripted(tmp_path / "port") as printer:
        async with live(str(printer.link)) as it:
            await it.does("emergency")

            def known() -> bool:
                printer.says("T:200.0 /200.0\n")
                problem = it.printer.state.problem
                return problem is not None and problem.error == STILL_RESPONDS

            await until(known)
            problem = it.printer.state.problem
            assert problem is not None
            assert (problem.reason, problem.consequence) == (
                "emergency_stop",
                "stopped",
            )
            told = [e.data["error"] for e in it.events if e.name == "error"]
            assert told == [STOP_MESSAGE, STILL_RESPONDS]
    assert caplog.text.count(STILL_RESPONDS) == 1


async def test_a_stop_of_before_is_not_repeated_when_the_firmware_stops_by_itself(
    tmp_path: Path,
) -> None:
    with scripted(tmp_path / "port") as printer:
        async with live(str(printer.link)) as it:
            await it.does("emergency")
            begun = it.printer.observer.clock()
            it.printer.reconnect()
            await it.operational()
            await until(lambda: it.printer.observer.clock() > begun + PAUSE)
            printer.says("Error:Printer halted. kill() called!\n")
            await until(lambda: it.printer.state.halted)
            printer.says("T:20.0 /0.0\n")
            await until(lambda: any(b"T:20.0" in x.data for x in it.entries))
            await it.end()
            assert it.sent.count("M112") == 1


HANDSHAKE = {"M112", "M110", "M105"}
"""What may be sent before a stop that is kept has been sent to a printer that answers:
the stop itself, and the handshake."""


def stops(printer: ScriptedPrinter) -> list[str]:
    """Return what the printer was sent from the first stop on."""
    sent = [unframed(x) for x in b"".join(printer.wire.heard()).splitlines()]
    return sent[sent.index("M112") :] if "M112" in sent else []


async def test_a_stop_on_a_port_that_is_being_closed_is_sent_over_the_next_one(
    tmp_path: Path,
) -> None:
    """Nobody must believe that it was sent already."""
    with scripted(tmp_path / "port") as printer:
        async with live(str(printer.link)) as it:
            it.printer.reconnect()
            with pytest.raises(FailedError, match="disconnect its power") as caught:
                it.printer.stop()
            assert (caught.value.error, caught.value.sent) == ("disconnected", False)
            await until(lambda: it.printer.state.halted)
            problem = it.printer.state.problem
            assert problem is not None
            assert problem.error == SENT_LATE
            names = [e.data["error"] for e in it.events if e.name == "error"]
            assert names == [KEPT, SENT_LATE]
    codes = [line.split()[0] for line in stops(printer)]
    assert codes[0] == "M112", "before the handshake"
    # A poll of the temperatures may follow the second one.
    assert "M112" in codes[1:], "and after it"
    assert set(codes) <= HANDSHAKE


async def test_a_stop_without_a_printer_is_sent_when_it_is_plugged_in(
    tmp_path: Path,
) -> None:
    port = tmp_path / "port"
    async with live(str(port), connected=False) as it:
        with pytest.raises(FailedError, match="kept"):
            await it.does("emergency")
        assert it.printer.stop_owed
        with pytest.raises(RejectedError, match="not operational"):
            await it.does("bed", command="target", target=50)
        with scripted(port) as printer:
            await until(lambda: it.printer.state.halted)
            assert {line.split()[0] for line in stops(printer)} <= HANDSHAKE
            assert "connected" not in it.event_names


async def test_a_stop_by_raw_gcode_is_kept_as_well(tmp_path: Path) -> None:
    async with live(str(tmp_path / "port"), connected=False) as it:
        with pytest.raises(FailedError, match="kept"):
            await it.does("command", command="m112 ; now")
        assert it.printer.stop_owed


async def test_a_stop_to_a_printer_that_has_not_answered_is_sent_again(
    tmp_path: Path,
) -> None:
    """A boot loader swallows what comes before the firmware runs."""
    with scripted(tmp_path / "port", silent=True) as printer:
        async with live(str(printer.link), connected=False) as it:
            await until(lambda: bool(printer.wire.chunks))
            run = Run()
            with pytest.raises(FailedError, match="sent again when it answers"):
                await it.printer.execute(command_of("emergency"), run)
            assert run.gcode == ["M112"]
            await until(lambda: bool(stops(printer)))
            printer.silent = False
            printer.says("start\n")
            await until(lambda: it.printer.state.halted)
            await until(lambda: stops(printer).count("M112") == 2)
            assert "connected" not in it.event_names


async def test_a_stop_just_before_the_link_dies_is_sent_again(tmp_path: Path) -> None:
    """What was written may have been in the adapter that was unplugged."""
    port = tmp_path / "port"
    with ExitStack() as first:
        first.enter_context(scripted(port))
        async with live(str(port)) as it:
            await it.does("emergency")
            first.close()
            await until(lambda: KEPT in [e.data.get("error") for e in it.events])
            with scripted(port) as again:
                await until(lambda: stops(again).count("M112") == 2)
                assert {line.split()[0] for line in stops(again)} <= HANDSHAKE
            await until(lambda: it.event_names[-1] == "error")
            assert it.event_names.count("connected") == 1


@pytest.mark.parametrize("word", ["Error:Printer halted. kill() called!", "start"])
async def test_a_stop_that_has_arrived_is_not_sent_again(
    tmp_path: Path, word: str
) -> None:
    """The firmware says that it has stopped, or somebody has reset it."""
    with scripted(tmp_path / "port") as printer:
        async with live(str(printer.link)) as it:
            await it.does("emergency")
            printer.says(f"{word}\n")
            await until(lambda: not it.printer.stop_owed)
            session = it.printer.link.session
            assert session is not None
            connects = it.printer.link.connects
            session.close()  # the link dies
            await until(lambda: it.printer.link.connects > connects)
            assert it.sent.count("M112") == 1


async def test_a_kept_stop_can_be_taken_back(tmp_path: Path) -> None:
    """Somebody has switched the printer off and on, and nothing is to be stopped."""
    port = tmp_path / "port"
    async with live(str(port), connected=False) as it:
        with pytest.raises(FailedError, match="kept"):
            it.printer.stop()
        it.printer.acknowledge()
        assert not it.printer.stop_owed
        with scripted(port) as printer:
            await it.operational()
            assert not stops(printer)


async def test_a_kept_stop_outlives_the_printer_object(tmp_path: Path) -> None:
    """As after a change of the configuration."""
    with scripted(tmp_path / "port") as printer:
        async with live(str(printer.link), connected=False) as it:
            it.printer.keep_stop()
            await until(lambda: it.printer.state.halted)
            assert stops(printer)[0] == "M112"


async def test_klipper_is_brought_back() -> None:
    async with live("simulator://klipper?speed=1000") as it:
        await it.does("emergency")
        await until(lambda: it.printer.state.readiness == "shutdown")
        with pytest.raises(RejectedError):
            await it.does("command", command="M106")
        for _ in range(2):  # what it said before counts for nothing
            run = await it.does("command", command="FIRMWARE_RESTART")
            assert run.gcode == ["FIRMWARE_RESTART"]
            await it.operational()
        assert "printer_reset" in it.event_names


async def test_klipper_says_that_it_is_ready_all_the_time() -> None:
    async with live("simulator://klipper?speed=1000") as it:
        await it.does("command", command="STATUS")
        await it.does("command", command="STATUS")
        assert "printer_reset" not in it.event_names


async def test_what_cannot_wait_passes_what_waits() -> None:
    async with live(REAL) as it:
        heating = it.begins("command", command="M109 S200")
        await it.has_sent("M109 S200")
        assert (await it.does("command", command="M108")).gcode == ["M108"]
        await asyncio.wait_for(heating, 10)


async def test_a_script_is_one_command() -> None:
    scripts = {"warm": "M106 S1\nM107"}
    async with live(FAST, scripts=scripts) as it:
        await asyncio.gather(
            it.begins("command", script="warm"), it.begins("head", command="jog", x=5)
        )
        assert it.sent == ["M106 S1", "M107", *JOG]


async def test_leaving_answers_what_waits() -> None:
    async with live(REAL) as it:
        running, waiting = Run(), Run()
        tasks = [
            it.begins("command", running, command="G4 S600"),
            it.begins("head", waiting, command="jog", x=5),
        ]
        await it.has_sent("G4 S600")
        await it.end()
        errors = await asyncio.gather(*tasks, return_exceptions=True)
        assert [getattr(error, "error", error) for error in errors] == [
            "disconnected"
        ] * 2
        assert (running.gcode, waiting.gcode) == (["G4 S600"], [])
        assert it.printer.state.link == "offline"
        with pytest.raises(RejectedError):
            await it.does("command", command="M106")


async def test_leaving_in_the_moment_in_which_the_link_breaks() -> None:
    async with live(FAST) as it:
        it.printer.link.reconnect()
        async with asyncio.timeout(DEADLINE):
            await it.end()
        assert it.printer.state.link == "offline"


async def test_a_reset_between_two_lines_of_a_command(tmp_path: Path) -> None:
    """The firmware that has just started must not get the rest: it is in no G91."""
    port = tmp_path / "port"
    answers = {"M115": "FIRMWARE_NAME:Marlin 2.1", "G91": "ok\nstart"}
    with scripted(port, answers) as printer:
        async with live(str(port)) as it:
            run = Run()
            with pytest.raises(FailedError) as caught:
                await it.printer.execute(command_of("head", command="jog", x=5), run)
            assert caught.value.error == "disconnected"
            assert run.gcode == ["G91"]
            await it.operational()
            await it.does("command", command="M84")
            assert "G0 X5 F6000" not in printer.wire.sent()


async def test_a_reset_right_behind_a_stop_is_not_stopped_as_well(
    tmp_path: Path,
) -> None:
    path = tmp_path / "printer"
    async with pty_server(Firmware("marlin"), path) as server, live(str(path)) as it:
        server.clock.send(b"Error:Printer halted. kill() called!\nstart\n")
        await until(lambda: it.printer.state.resets == 1)
        await it.operational()
        assert "error" in it.event_names
        assert await it.does("command", command="M114")


@pytest.mark.parametrize("stubborn", [False, True])
async def test_a_command_that_does_not_end_does_not_keep_the_bridge_from_ending(
    monkeypatch: pytest.MonkeyPatch, *, stubborn: bool
) -> None:
    """As it may because of a bug; also one that takes a cancellation for an error."""
    monkeypatch.setattr("bridge.printer.printer.LAST_COMMANDS", 0.05)
    release = asyncio.Event()

    async def endless() -> None:
        if stubborn:
            with suppress(asyncio.CancelledError):
                await release.wait()
        await release.wait()

    async with live(FAST) as it:
        task = it.printer.queue.start(endless())
        await it.end()
        assert it.task.done()
        assert task.cancelled() is not stubborn
        release.set()
        await asyncio.wait({task})


async def test_a_kept_stop_is_not_sent_to_what_is_not_known_to_be_the_printer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the port is looked for, another device may be there."""
    with scripted(tmp_path / "port", silent=True) as other:
        places = [str(other.link)]
        defaults = Link.__init__.__kwdefaults__ or {}
        monkeypatch.setitem(defaults, "candidates", lambda _taken: places)
        async with live("auto", connected=False) as it:
            with pytest.raises(FailedError, match="kept"):
                it.printer.stop()
            await until(lambda: len(other.wire.heard()) >= 2)
            assert not stops(other)
            other.silent = False
            await until(lambda: it.printer.state.halted)
            # It answers as a printer does, so it is stopped.
            await until(lambda: bool(stops(other)))


async def test_a_firmware_that_obeys_a_kept_stop_at_once_is_not_stopped_again(
    tmp_path: Path,
) -> None:
    """It was not reset when the port was opened, and says that it was killed."""
    port = tmp_path / "port"
    async with live(str(port), connected=False) as it:
        with pytest.raises(FailedError, match="kept"):
            it.printer.stop()
        with scripted(port, silent=True) as printer:
            await until(lambda: bool(stops(printer)))
            printer.says("Error:Printer halted. kill() called!\n")
            await until(lambda: not it.printer.stop_owed)
            problem = it.printer.state.problem
            assert problem is not None
            assert problem.error == SENT_LATE
            printer.silent = False
            printer.says("start\n")
            await it.operational()
            assert stops(printer).count("M112") == 1
