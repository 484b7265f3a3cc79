"""One open link, on real parts: a simulated printer behind a pseudo-terminal."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
import pytest_asyncio

from bridge.errors import FailedError, LinkError
from bridge.gcode.dialects import MARLIN
from bridge.gcode.events import Connected, Done, Restarted
from bridge.gcode.protocol import Protocol
from bridge.gcode.reply_types import Fatal
from bridge.printer.link.session import Session
from bridge.printer.link.wire_log import WireLog
from bridge.printer.port.read_buffer import CHUNK
from bridge.printer.port.transport import open_transport
from bridge.simulator.firmware import Firmware
from bridge.simulator.serve import PtyServer, pty_server
from tests.support.lines import Talk, talk_to
from tests.support.peers import PtyPeer
from tests.support.waiting import until

QUICK = replace(MARLIN, ok_timeout=0.3, resend_wait=0.05)


@pytest_asyncio.fixture
async def printer(tmp_path: Path) -> AsyncIterator[PtyServer]:
    async with pty_server(Firmware("marlin"), tmp_path / "printer") as server:
        yield server


async def test_a_line_is_answered_with_its_output(printer: PtyServer) -> None:
    async with talk_to(printer.path, MARLIN) as talk:
        done = await talk.session.line("M114")
        assert done.output[0].startswith("X:0.00 Y:0.00")
        refused = await talk.session.line("M999999")
        assert refused.errors == ('Unknown command: "M999999"',)


async def test_a_line_has_left_before_anybody_waits_for_it(printer: PtyServer) -> None:
    async with talk_to(printer.path, MARLIN) as talk:
        before = talk.session.protocol.next_number
        sent = talk.session.send("M84")
        assert talk.session.protocol.next_number == before + 1
        assert not (await talk.session.acknowledged(sent)).errors


async def test_a_caller_who_gave_up_does_no_harm(printer: PtyServer) -> None:
    async with talk_to(printer.path, MARLIN) as talk:
        waiting = asyncio.create_task(talk.session.line("G4 P100"))
        await asyncio.sleep(0)
        waiting.cancel()
        assert not (await talk.session.line("M84")).errors
        lost = asyncio.create_task(talk.session.line("G4 S9"))
        await asyncio.sleep(0)
        lost.cancel()
        talk.session.close()
    assert lost.cancelled()


async def test_what_nobody_waits_for_any_more_is_not_sent_later(
    printer: PtyServer,
) -> None:
    async with talk_to(printer.path, MARLIN) as talk:
        working = asyncio.create_task(talk.session.line("G4 P200"))
        await asyncio.sleep(0)
        given_up = [
            asyncio.create_task(talk.session.line(line, ahead=ahead))
            for line, ahead in (("M117 a", True), ("M117 b", False), ("M117 c", True))
        ]
        await asyncio.sleep(0)
        for task in given_up[:2]:
            task.cancel()
        await asyncio.gather(working, *given_up, return_exceptions=True)
        await talk.session.line("M84")
    said = [line for line in printer.clock.firmware.executed if line[:4] == "M117"]
    assert said == ["M117 c"]


async def test_a_reset_fails_what_waits_and_the_next_line_works(
    printer: PtyServer,
) -> None:
    async with talk_to(printer.path, MARLIN) as talk:
        waiting = [
            asyncio.create_task(talk.session.line(line)) for line in ("G4 S9", "M84")
        ]
        await asyncio.sleep(0)
        printer.clock.reset()
        errors = await asyncio.gather(*waiting, return_exceptions=True)
        assert [error.sent for error in errors if isinstance(error, FailedError)] == [
            True,
            False,
        ]
        assert Restarted() in talk.events
        await until(lambda: talk.events.count(Connected()) == 2)
        assert not (await talk.session.line("M84")).errors
        assert "G4 S9" not in printer.clock.firmware.executed[-2:]


async def test_a_reset_without_a_start_is_found_out(printer: PtyServer) -> None:
    async with talk_to(printer.path, QUICK) as talk:
        await talk.session.line("M84")
        printer.clock.firmware.reset(asyncio.get_running_loop().time())
        with pytest.raises(FailedError, match="the printer was reset"):
            await talk.session.line("M104 S50")
        assert not (await talk.session.line("M84")).errors
        assert "M104 S50" not in printer.clock.firmware.executed


@pytest.mark.parametrize("line", ["G28", "M109 S250", "G4 S600"])
async def test_an_emergency_goes_past_a_long_line_and_all_that_waits(
    printer: PtyServer, line: str
) -> None:
    async with talk_to(printer.path, MARLIN) as talk:
        running = asyncio.create_task(talk.session.line(line))
        waiting = [
            asyncio.create_task(talk.session.line(f"M104 S{number % 99}"))
            for number in range(500)
        ]
        await until(lambda: line in printer.clock.firmware.executed)
        talk.session.urgent("M112")
        talk.session.halt("emergency_stopped", "stopped")
        ends = await asyncio.gather(running, *waiting, return_exceptions=True)
        assert {getattr(end, "error", end) for end in ends} == {"emergency_stopped"}
        await until(lambda: printer.clock.firmware.halted)
        await until(lambda: any(isinstance(x, Fatal) for x in talk.events))
        assert printer.clock.firmware.executed[-1] == line
        assert printer.clock.firmware.heaters["tool0"].target == 0
        printer.clock.reset()
        await until(lambda: talk.events.count(Connected()) == 2)
        assert not (await talk.session.line("M84")).errors


async def test_a_flood_leaves_others_their_turn() -> None:
    """An emergency stop must not wait until all of it is understood."""
    peer = PtyPeer()
    transport = await open_transport(peer.url, 115_200)
    turns: list[int] = []
    passes = 0

    async def count_passes() -> None:
        """Count those of the event loop: sending to a full port takes several."""
        nonlocal passes
        while True:
            passes += 1
            await asyncio.sleep(0)

    session = Session(
        transport,
        Protocol(MARLIN),
        on_event=lambda _: turns.append(passes),
        wire=WireLog(),
    )
    line = b"echo:busy: processing\n"
    await peer.send(line * 150)
    counting = asyncio.create_task(count_passes())
    running = asyncio.create_task(session.run())
    for _ in range(135):  # it continues while the first part is processed
        await peer.send(line * 10)
    await until(lambda: len(turns) == 1500)
    assert max(map(turns.count, turns)) <= 1 + CHUNK // len(line)
    counting.cancel()
    session.close()
    with pytest.raises(LinkError):
        await running
    peer.unplug()


async def test_an_emergency_goes_past_a_full_port() -> None:
    """The printer reads nothing, and the port's buffer is full."""
    peer = PtyPeer()
    transport = await open_transport(peer.url, 115_200)
    session = Session(
        transport, Protocol(MARLIN), on_event=lambda _: None, wire=WireLog()
    )
    running = asyncio.create_task(session.run())
    await until(lambda: b"M110" in peer.drain())
    while not transport.pending:
        transport.write(b"G1 X1 ; nobody reads this\n" * 100)
    session.urgent("M112")
    await until(lambda: (data := peer.drain()) != b"" and b"\nM112\n" in b"\n" + data)
    session.close()
    with pytest.raises(LinkError):
        await running
    peer.unplug()


async def test_a_printer_that_falls_silent_ends_the_link(tmp_path: Path) -> None:
    silent = replace(QUICK, ok_timeout=0.05, max_probes=2)
    async with pty_server(Firmware("marlin"), tmp_path / "printer") as printer:
        transport = await open_transport(str(tmp_path / "printer"), 115_200)
        met = asyncio.Event()
        session = Session(
            transport,
            Protocol(silent),
            on_event=lambda event: met.set() if event == Connected() else None,
            wire=WireLog(),
        )
        running = asyncio.create_task(session.run())
        await met.wait()
        printer.clock.send = lambda _: None
        with pytest.raises(FailedError, match="stopped answering") as caught:
            await session.line("M84")
        assert caught.value.sent
        with pytest.raises(LinkError, match="stopped answering"):
            await running
        with pytest.raises(FailedError):
            await session.line("M84")
        session.urgent("M112")
        session.restart()


async def test_a_line_that_cannot_be_sent_is_refused(printer: PtyServer) -> None:
    async with talk_to(printer.path, MARLIN) as talk:
        with pytest.raises(ValueError, match="a line must"):
            await talk.session.line("M117 a\nM112")
        assert not (await talk.session.line("M84")).errors


async def streamed(talk: Talk, lines: Iterable[str | None]) -> tuple[list[str], int]:
    """Stream lines; return those that were sent, and how many were acknowledged."""
    sent: list[str] = []
    done: list[Done] = []
    streaming = talk.session.start_stream(
        iter(lines), on_sent=lambda line, _: sent.append(line), on_done=done.append
    )
    await streaming.finished()
    return sent, len(done)


async def test_a_stream_of_lines_goes_past_no_other_line(printer: PtyServer) -> None:
    async with talk_to(printer.path, MARLIN) as talk:
        moves = [f"G1 X{number}" for number in range(200)]
        streaming = asyncio.create_task(streamed(talk, moves))
        for number in range(10):
            assert not (await talk.session.line(f"M117 {number}", ahead=True)).errors
        assert await streaming == (moves, 200)
        executed = printer.clock.firmware.executed
        assert [line for line in executed if line.startswith("G1")] == moves
        assert "M117 9" in executed[: executed.index("G1 X199")]


async def test_an_empty_stream_ends_at_once(printer: PtyServer) -> None:
    async with talk_to(printer.path, MARLIN) as talk:
        assert await streamed(talk, []) == ([], 0)


async def test_a_source_is_asked_again_when_it_has_more(printer: PtyServer) -> None:
    async with talk_to(printer.path, MARLIN) as talk:
        streaming = asyncio.create_task(streamed(talk, ["M84", None, "M107"]))
        await talk.session.line("M106 S1")
        talk.session.resume()
        assert await streaming == (["M84", "M107"], 2)


async def test_a_line_that_cannot_be_sent_ends_the_stream(printer: PtyServer) -> None:
    async with talk_to(printer.path, MARLIN) as talk:
        with pytest.raises(ValueError, match="a line must"):
            await streamed(talk, ["M84", "M117 a\nM112", "M107"])
        assert not (await talk.session.line("M106 S1")).errors
        assert printer.clock.firmware.executed[-2:] == ["M84", "M106 S1"]


async def test_a_cancelled_stream_sends_no_more(printer: PtyServer) -> None:
    async with talk_to(printer.path, MARLIN) as talk:
        sent: list[str] = []
        endless = (f"G4 P{number % 3}" for number in count())
        streaming = asyncio.create_task(
            talk.session.start_stream(
                endless,
                on_sent=lambda line, _: sent.append(line),
                on_done=lambda _: None,
            ).finished()
        )
        await until(lambda: len(sent) > 5)
        streaming.cancel()
        await asyncio.wait([streaming])
        before = len(sent)
        assert not (await talk.session.line("M84")).errors
        assert len(sent) == before


async def test_a_reset_ends_a_stream(printer: PtyServer) -> None:
    async with talk_to(printer.path, MARLIN) as talk:
        streaming = asyncio.create_task(streamed(talk, ["M84", "G4 S9", "M107"]))
        await until(lambda: "G4 S9" in printer.clock.firmware.executed)
        waiting = asyncio.create_task(streamed(talk, ["M106 S2"]))
        await asyncio.sleep(0)
        printer.clock.reset()
        with pytest.raises(FailedError, match="the printer was reset") as caught:
            await streaming
        assert caught.value.sent
        with pytest.raises(FailedError, match="the printer was reset") as caught:
            await waiting
        assert not caught.value.sent
        await until(lambda: talk.events.count(Connected()) == 2)
        assert not (await talk.session.line("M84")).errors


async def test_a_print_is_paused_continued_and_cut_off(printer: PtyServer) -> None:
    async with talk_to(printer.path, MARLIN) as talk:
        sent: list[int] = []
        done: list[int] = []
        lines: Iterator[tuple[str, int] | None] = iter(
            [("G1 X1", 0), ("G1 X2", 6), None, ("G4 S9", 12), ("G1 X3", 18)]
        )
        streaming = talk.session.start_stream(
            lines,
            on_sent=lambda _, offset: sent.append(offset),
            on_done=lambda event: done.append(event.offset),
            behind=True,
        )
        await until(lambda: done == [0, 6])
        await until(lambda: streaming.starved > 0)
        streaming.pause()
        assert not (await talk.session.line("M84")).errors
        starved = streaming.starved
        assert sent == [0, 6]
        streaming.resume()
        await until(lambda: "G4 S9" in printer.clock.firmware.executed)
        assert list(streaming.unacknowledged) == [12]
        printer.clock.reset()
        with pytest.raises(FailedError, match="the printer was reset"):
            await streaming.finished()
        assert streaming.acknowledged == 2
        assert list(streaming.unacknowledged) == [12], "it may have been carried out"
        assert streaming.starved == starved


async def test_a_stream_that_is_ended_finishes_what_was_sent(
    printer: PtyServer,
) -> None:
    async with talk_to(printer.path, MARLIN) as talk:
        done: list[Done] = []
        streaming = talk.session.start_stream(
            (("M84", number) for number in count()),
            on_sent=lambda *_: None,
            on_done=done.append,
        )
        await until(lambda: len(done) > 5)
        streaming.end()
        await streaming.finished()
        assert not streaming.unacknowledged
        assert [event.offset for event in done] == list(range(streaming.acknowledged))


async def test_a_source_that_fails_is_reported(printer: PtyServer) -> None:
    def source() -> Iterator[str]:
        yield "M84"
        raise OSError("the disk is gone")

    async with talk_to(printer.path, MARLIN) as talk:
        with pytest.raises(OSError, match="the disk is gone"):
            await talk.session.start_stream(
                source(), on_sent=lambda *_: None, on_done=lambda _: None
            ).finished()
        assert not (await talk.session.line("M84")).errors


async def test_nothing_is_streamed_over_a_closed_link(printer: PtyServer) -> None:
    async with talk_to(printer.path, MARLIN) as talk:
        streaming = asyncio.create_task(streamed(talk, ["G4 S9", "M107"]))
        await until(lambda: "G4 S9" in printer.clock.firmware.executed)
        talk.session.close()
        with pytest.raises(FailedError):
            await streaming
        with pytest.raises(FailedError) as caught:
            await streamed(talk, ["M84"])
        assert not caught.value.sent
