"""Every line of the real logs is parsed; those that are only text are listed here."""

import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from bridge.gcode.reply_parser import parse_reply
from bridge.gcode.reply_types import (
    Capability,
    Fatal,
    FileOpened,
    FirmwareReport,
    OtherText,
    PositionReport,
    PrintProgress,
    Reading,
    Refusal,
    Reply,
    TemperatureReport,
    TransferError,
)
from tests.support.wire_logs import FOLDER, dialect_of, heard, logs, read

ONLY_TEXT = [
    r"PowerUp|x86_64 Initialized|Marlin [\w.-]+",  # the banner
    r"echo: ?(Last Updated|Compiled|Free Memory).*",
    r"(echo:)?(Settings Stored|V\d\d stored settings|EEPROM|Hardcoded Default).*",
    r"(echo: *)*(;.*|[GM]\d+ .*)|Min: .*",  # settings and their headings
    r"area:\{.*\}",
    r"echo:(Now fresh file|Print time|Cold extrudes are enabled).*",
    r"echo:(Send M108 to .*|M112 Shutdown|Heating Failed)",  # reported otherwise too
    r"(Writing to file|File deleted):.*|Done saving file\.",
    r"[\w~/ ]+\.(GCO|gcode|txt) \d+( .+)?",  # entries of a file list
    r"/(A rather long file name\.gc|Sub/part one\.gcode)",  # the answers to M33
    r"Reporting endstop status|[xyz]_min: open|stepper_x:\w+ stepper_y:.*",
    r"PID Autotune start",
    r"echo: ?(hello.*|hi|x|echoed|E1 hello|TYPE=x)|foo: hi|hi host",  # our own texts
    r"//|//action|\"a|a;b|c+|[0-9]+|Ã¤ÿ\x80",
    r"// Printer is not ready( - not all commands available\.)?",
    r"// [A-Z_]+ *: .*|// (Available|Excluded) .*",  # the help
    r"// (Once|\"FIRM|command to|config, and|retry in|The klippy|See the).*",  # advice
    r"// (Shutdown due|Lost comm|Option '|Can not update|Error conf|Extrude bel).*",
    r"// (mcu|stepper|kinematic|toolhead|gcode( base| homing)?): .*",
    r"// (Print (already|is not) paused|idle_timeout|max_|min|square_).*",
]
_TEXT = re.compile("|".join(ONLY_TEXT))


def said(name: str) -> list[Reply]:
    log = FOLDER / name
    return [
        reply for line in heard(log) for reply in parse_reply(line, dialect_of(log))
    ]


def answers(name: str, command: str) -> list[Reply]:
    """Return what each line directly after this command of the host said."""
    log = FOLDER / name
    return [
        reply
        for asked, answer in pairwise(read(log))
        if asked.by_host and asked.text in {command, command + "\\n"}
        if not answer.by_host
        for reply in parse_reply(answer.text, dialect_of(log))
    ]


def test_the_logs_are_there() -> None:
    assert len(logs()) == 33
    assert sum(len(heard(log)) for log in logs()) == 3869


@pytest.mark.parametrize("log", logs(), ids=lambda log: log.stem)
def test_every_line_is_understood_or_knowingly_text(log: Path) -> None:
    dialect = dialect_of(log)
    for line in heard(log):
        for reply in parse_reply(line, dialect):
            if isinstance(reply, OtherText):
                assert _TEXT.fullmatch(reply.text), line


@pytest.mark.parametrize("log", logs(), ids=lambda log: log.stem)
def test_only_blank_lines_say_nothing(log: Path) -> None:
    for line in heard(log):
        assert bool(parse_reply(line, dialect_of(log))) == bool(line.strip())


def test_marlin_introduces_itself() -> None:
    replies = said("marlin/m21-basic.txt")
    firmware = next(reply for reply in replies if isinstance(reply, FirmwareReport))
    assert firmware.name == "Marlin bugfix-2.1.x (Nov 22 2026 18:19:05)"
    assert firmware.fields["MACHINE_TYPE"] == "SimRap 1.4"
    assert firmware.fields["EXTRUDER_COUNT"] == "1"
    able = {
        reply.name: reply.enabled for reply in replies if isinstance(reply, Capability)
    }
    assert len(able) == 36
    assert able["EMERGENCY_PARSER"]
    assert able["AUTOREPORT_TEMP"]
    assert not able["AUTOLEVEL"]


def test_marlin_heats() -> None:
    reports = [
        reply
        for reply in said("marlin/m21-heating.txt")
        if isinstance(reply, TemperatureReport)
    ]
    assert {name for report in reports for name in report.readings} == {"T", "B"}
    hottest = max(report.readings["T"].actual or 0 for report in reports)
    assert hottest == 256.67
    targets = {report.readings["T"].target for report in reports}
    assert targets == {0, 50, 60, 100, 150, 240, 260}


def test_two_extruders_are_reported_separately() -> None:
    report = next(
        reply
        for reply in said("marlin/m21-2e.txt")
        if isinstance(reply, TemperatureReport)
    )
    assert set(report.readings) == {"T", "B", "T0", "T1"}


def test_klipper_heats() -> None:
    reports = [
        reply
        for reply in said("klipper/05_temperature.txt")
        if isinstance(reply, TemperatureReport)
    ]
    assert reports[1] == TemperatureReport(
        {"B": Reading(21.5, 40), "T0": Reading(25.5, 62)}
    )
    assert max(report.readings["T0"].actual or 0 for report in reports) == 98.5
    assert {name for report in reports for name in report.readings} == {"B", "T0"}


def test_positions_are_read() -> None:
    assert answers("marlin/m21-basic.txt", "M114") == [PositionReport(0, 0, 0, 0)]
    places = [r for r in said("marlin/m21-sd.txt") if isinstance(r, PositionReport)]
    assert PositionReport(147.41, 84.12, 3, 0) in places
    parked = said("marlin/m21-sd-M25-park-blocks.txt")
    assert PositionReport(10, 190, 20, -2) in parked


def test_an_sd_print_is_followed_by_its_bytes() -> None:
    replies = said("marlin/m21-sd.txt")
    counted = [reply.position for reply in replies if isinstance(reply, PrintProgress)]
    assert counted[:3] == [0, 10, 36]
    assert 33142 in counted
    opened = {
        reply.name: reply.size for reply in replies if isinstance(reply, FileOpened)
    }
    assert opened == {"SMALL.GCO": 51, "small.gco": 51, "ARATHE~1.GCO": 668934}


def test_a_heater_that_does_not_heat_is_fatal() -> None:
    errors = [r for r in said("marlin/m21-heating-failed.txt") if isinstance(r, Fatal)]
    assert errors == [
        Fatal("Heating failed, system stopped! Heater_ID: E0", "heating_failed"),
        Fatal("Printer halted. kill() called!", "killed"),
    ]


def test_damaged_lines_are_no_refusals() -> None:
    replies = said("marlin/m21-lines.txt")
    damaged = [reply for reply in replies if isinstance(reply, TransferError)]
    assert len(damaged) == 10
    assert all(reply.last is not None for reply in damaged)
    refused = [reply.text for reply in replies if isinstance(reply, Refusal)]
    assert refused == ['Unknown command: "Q105"']


def test_klippers_refusals_are_none_of_them_fatal() -> None:
    kinds: Counter[type[Reply]] = Counter()
    for log in logs():
        if log.parent.name == "klipper":
            kinds.update(type(reply) for reply in said(f"klipper/{log.name}"))
    assert kinds[Fatal] == 0
    assert kinds[Refusal] > 100
