"""What is noticed of a printer that people use at its own panel."""

from pathlib import Path

from tests.support.live import live
from tests.support.printers import scripted, simulated
from tests.support.waiting import until

WAITS = "echo:busy: paused for user\n"
HOT = {
    "M115": "FIRMWARE_NAME:Marlin 2.1 (Scripted)",
    "M114": "X:1.00 Y:1.00 Z:1.00 E:0.00",
    "M105": "ok T:200.0 /200.0 B:20.0 /0.0",
}


async def test_who_answers_at_the_printer_is_noticed(tmp_path: Path) -> None:
    """With its reports on it is asked nothing else, so nothing else would show it."""
    with simulated("simulator://marlin?speed=30", tmp_path / "printer") as printer:
        async with live(str(printer.link)) as it:
            assert it.printer.state.autoreports == {"M155", "M27"}
            printer.press("start", "ARATHE~1.GCO")
            await until(lambda: it.printer.state.printing)
            printer.press("runout")
            await until(lambda: it.printer.state.waiting)
            printer.press("press")
            await until(lambda: it.printer.state.printing)
            await until(lambda: not it.printer.state.asks)


async def test_heaters_have_their_time_anew_when_a_person_came(tmp_path: Path) -> None:
    with scripted(tmp_path / "printer", HOT) as printer:
        async with live(str(printer.link), idle_heaters=0.1) as it:
            await until(lambda: it.printer.state.heaters_off_at is not None)
            first = it.printer.state.heaters_off_at or 0.0
            printer.held.add("M105")
            printer.says(WAITS)
            await until(lambda: it.printer.state.waiting)
            await until(lambda: it.printer.state.heaters_off_at is None)
            assert it.sent == []
            printer.release()
            await until(lambda: not it.printer.state.waiting)
            await until(lambda: (it.printer.state.heaters_off_at or 0.0) > first)
            await it.has_sent("M104 S0")
