"""Thousands of lines over a bad cable, on a real pseudo-terminal.

``WIRE_LINES=10000`` and ``WIRE_REPLUGS=200`` take the numbers of a release.
"""

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.errors import FailedError, LinkError
from bridge.gcode.dialects import MARLIN, REPETIER, Dialect
from bridge.printer.port.transport import open_transport
from bridge.simulator.faults import FaultRates, Faults
from bridge.simulator.firmware import Firmware
from bridge.simulator.serve import PtyServer, pty_server
from tests.support.growth import BLOCKS, assert_no_growth
from tests.support.leaks import descriptors
from tests.support.lines import talk_to
from tests.support.waiting import until

LINES = int(os.environ.get("WIRE_LINES", "1500"))
REPLUGS = int(os.environ.get("WIRE_REPLUGS", "16"))
BAD = FaultRates(corrupt=0.01, lose=0.005)
SEED = 20


def hasty(dialect: Dialect) -> Dialect:
    """Return a dialect for a printer that answers within milliseconds."""
    return replace(
        dialect, ok_timeout=0.1, resend_wait=0.05, output_wait=0.02, max_probes=20
    )


@pytest.mark.parametrize(
    "dialect", [MARLIN, REPETIER], ids=lambda dialect: dialect.name
)
async def test_each_line_is_carried_out_once_and_in_order(
    dialect: Dialect, tmp_path: Path
) -> None:
    firmware = Firmware(dialect.name, speed=1000.0)
    faults = Faults.random(BAD, SEED)
    script = [f"M104 S{number % 250} P{number}" for number in range(LINES)]
    async with (
        pty_server(firmware, tmp_path / "printer", faults=faults),
        talk_to(tmp_path / "printer", hasty(dialect)) as talk,
    ):
        for line in script:
            await talk.session.line(line)
        await until(lambda: script[-1] in firmware.executed)
        counters = talk.session.protocol.counters
    assert [line for line in firmware.executed if line in set(script)] == script
    assert counters.resends, "the cable was bad"
    assert counters.timeouts


async def test_it_can_be_unplugged_at_any_moment(tmp_path: Path) -> None:
    firmware = Firmware("marlin", speed=1000.0)
    path = tmp_path / "printer"
    async with pty_server(firmware, path) as server:
        await replug(server, path, 0)
        before = len(descriptors()), len(asyncio.all_tasks())

        async def once(moment: int) -> None:
            await replug(server, path, moment)
            assert firmware.executed, "it worked in between"
            firmware.executed.clear()

        await assert_no_growth(once, -(-REPLUGS // (1 + BLOCKS)))
        assert (len(descriptors()), len(asyncio.all_tasks())) == before


async def replug(server: PtyServer, path: Path, moment: int) -> None:
    """Send lines, pull the cable after some of them, and put it back."""
    async with talk_to(path, hasty(MARLIN)) as talk:
        sent = [
            asyncio.create_task(talk.session.line(f"G4 P{number}"))
            for number in range(8)
        ]
        for task in sent[: moment % 4]:
            await task
        server.unplug()
        ends = await asyncio.gather(*sent, return_exceptions=True)
        failed = [end for end in ends if isinstance(end, FailedError)]
        assert len(failed) == len(sent) - moment % 4
        assert {error.error for error in failed} == {"disconnected"}
    with pytest.raises(LinkError):
        await open_transport(str(path), 115_200)
    server.plug()
