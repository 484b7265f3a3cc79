"""Which printer hangs."""

import asyncio
from pathlib import Path

from bridge.app.vitals import GRACE, hung
from bridge.config import Config, Mqtt, Printer, Serial
from tests.support.apps import running
from tests.support.printers import scripted
from tests.support.waiting import until


async def test_a_session_counts_as_hung_when_what_is_due_is_very_late(
    tmp_path: Path,
) -> None:
    mqtt = Mqtt(host="127.0.0.1", port=1, state_folder=tmp_path / "state")
    places = {"mute": tmp_path / "printer", "absent": tmp_path / "none"}
    printers = tuple(
        Printer(id=name, serial=Serial(port=str(place), baudrate=115200))
        for name, place in places.items()
    )
    with scripted(tmp_path / "printer", silent=True) as printer:
        async with running(Config(mqtt=mqtt, printers=printers)) as bridge:
            await until(lambda: bool(printer.wire.chunks))
            now = asyncio.get_running_loop().time()
            assert hung(bridge.stations, now) is None
            text = hung(bridge.stations, now + GRACE + 20) or ""
            assert text.startswith("the session of mute hangs since ")
