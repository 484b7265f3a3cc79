"""The example for machines that many people use is closed to what it does not name."""

from pathlib import Path

import pytest

from bridge.commands.base import Context
from bridge.commands.gcode_lines import clean
from bridge.errors import RejectedError
from bridge.gcode.dialects import DIALECTS
from bridge.printer.limits.safety import SafetyRules, check
from bridge.printer.limits.travel import InitialState
from tests.support.configs import load_text
from tests.support.halves import ROOT

FILE = ROOT / "deploy" / "shared-machine.yaml"


def sends(tmp_path: Path, text: str) -> str:
    written = FILE.read_text().replace(
        "/etc/gcode2mqtt/password", str(tmp_path / "password")
    )
    (tmp_path / "password").write_text("secret\n")
    (printer,) = load_text(tmp_path, written).printers
    dialect = DIALECTS[printer.serial.firmware]
    context = Context(
        profile=printer.profile,
        dialect=dialect,
        allowed=frozenset(printer.allowed),
        unknown_codes=printer.unknown_codes,
    )
    line = clean(text, context, "command")
    start = InitialState(profile=printer.profile, dialect=dialect)
    check([line.text], SafetyRules(start=start, blocked=printer.blocked))
    return line.text


@pytest.mark.parametrize("text", ["PRINT_START BED=60", "STATUS", "M104 S200"])
def test_what_it_names_or_knows_is_sent(tmp_path: Path, text: str) -> None:
    assert sends(tmp_path, text) == text


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("MY_MACRO", "unknown_code"),
        ("M4242", "unknown_code"),
        ("SET_PIN PIN=heater VALUE=1", "blocked"),
        ("M30 other.gcode", "blocked"),
        ("FORCE_MOVE STEPPER=stepper_x DISTANCE=900", "blocked"),
        ("M104 S251", "out_of_limits"),
    ],
)
def test_everything_else_is_refused(tmp_path: Path, text: str, error: str) -> None:
    with pytest.raises(RejectedError) as caught:
        sends(tmp_path, text)
    assert caught.value.error == error
