"""What is said to a printer before it is ours to use."""

from pathlib import Path

import pytest

from bridge.gcode.dialects import DIALECTS, MALYAN, PRUSA, UNKNOWN
from bridge.printer.link.identity import identify
from bridge.printer.link.setup import ask, set_up
from bridge.simulator.card import LONG_FILE
from bridge.simulator.firmware import Firmware
from bridge.simulator.serve import pty_server
from tests.support.lines import talk_to


def test_a_printer_is_who_it_says() -> None:
    identity = identify(
        (
            "FIRMWARE_NAME:Prusa-Firmware 3.13.3 based on Marlin MACHINE_TYPE:MK3S",
            "Cap:AUTOREPORT_TEMP:1",
            "Cap:EEPROM:0",
        ),
        None,
    )
    assert identity.dialect is PRUSA
    assert identity.fields["MACHINE_TYPE"] == "MK3S"
    assert identity.capabilities == {"AUTOREPORT_TEMP"}


def test_who_says_nothing_is_unknown_or_what_the_operator_says() -> None:
    assert identify((), None).dialect is UNKNOWN
    assert identify(("FIRMWARE_NAME:Marlin",), MALYAN).dialect is MALYAN


@pytest.mark.parametrize("name", DIALECTS)
async def test_each_firmware_is_set_up(name: str, tmp_path: Path) -> None:
    firmware = Firmware(name)
    path = tmp_path / "printer"
    async with pty_server(firmware, path), talk_to(path, UNKNOWN) as talk:
        identity = await set_up(talk.session, None, 2.4)
        await ask(talk.session, "M105")
    assert identity.dialect.name == name
    said = [line.split()[0] for line in firmware.executed]
    wanted = {"marlin": "M155", "prusa": "M155"}.get(name)
    assert ("M155" in said) == (wanted is not None)
    if wanted:
        assert "M155 S2" in firmware.executed
    assert said.count("M115") == (2 if name == "unknown" else 1)


async def test_a_card_that_prints_is_not_mounted_anew(tmp_path: Path) -> None:
    firmware, path = Firmware("marlin"), tmp_path / "printer"
    async with pty_server(firmware, path) as server, talk_to(path, UNKNOWN) as talk:
        server.clock.press("start", LONG_FILE.name)
        await set_up(talk.session, None, 2.0)
        assert firmware.printing
    assert "M21" not in firmware.executed


async def test_a_question_that_is_refused_has_no_answer(tmp_path: Path) -> None:
    path = tmp_path / "printer"
    async with pty_server(Firmware("marlin"), path), talk_to(path, UNKNOWN) as talk:
        assert await ask(talk.session, "M999999") == ()
        assert await ask(talk.session, "M114")
