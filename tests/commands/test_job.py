"""The print from the card: which line each firmware wants, and never a toggle."""

import json
from dataclasses import replace

import pytest

from bridge.commands import Context, parse
from bridge.errors import RejectedError
from bridge.gcode import dialects
from bridge.gcode.dialects import Dialect


def gcode(command: str, phase: str, dialect: Dialect = dialects.MARLIN) -> list[str]:
    request = parse("job", json.dumps({"command": command}).encode())
    context = replace(Context(), dialect=dialect, phase=phase)
    return list(request.command.program(context).gcode)


@pytest.mark.parametrize(
    ("command", "phase", "lines"),
    [
        ("start", "idle", ["M24"]),
        ("pause", "starting", ["M25"]),
        ("pause", "printing", ["M25"]),
        ("pause", "resuming", ["M25"]),
        ("pause", "pausing", []),
        ("pause", "paused", []),
        ("resume", "paused", ["M24"]),
        ("resume", "pausing", ["M24"]),
        ("resume", "resuming", []),
        ("resume", "printing", []),
        ("cancel", "printing", ["M524"]),
        ("cancel", "paused", ["M524"]),
        ("cancel", "cancelling", []),
    ],
)
def test_what_is_so_already_is_not_said_again(
    command: str, phase: str, lines: list[str]
) -> None:
    assert gcode(command, phase) == lines


@pytest.mark.parametrize(
    ("dialect", "pause", "resume", "cancel"),
    [
        (dialects.MARLIN, ["M25"], ["M24"], ["M524"]),
        (dialects.MARLIN1, ["M25"], ["M24"], ["M25", "M26 S0"]),
        (dialects.PRUSA, ["M25"], ["M24"], ["M25", "M26 S0"]),
        (dialects.KLIPPER, ["PAUSE"], ["RESUME"], ["CANCEL_PRINT"]),
        (dialects.REPETIER, ["M25"], ["M24"], ["M25", "M26 S0"]),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_each_firmware_has_its_own_words(
    dialect: Dialect, pause: list[str], resume: list[str], cancel: list[str]
) -> None:
    assert gcode("pause", "printing", dialect) == pause
    assert gcode("resume", "paused", dialect) == resume
    assert gcode("cancel", "printing", dialect) == cancel


def test_where_nothing_cancels_that_is_said() -> None:
    with pytest.raises(RejectedError, match="cancel it at the printer") as caught:
        gcode("cancel", "printing", dialects.REPRAPFIRMWARE)
    assert (caught.value.code, caught.value.error) == (409, "not_supported")
