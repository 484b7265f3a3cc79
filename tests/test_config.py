import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from bridge.config import Config, Mqtt, PrinterConfig, Serial


def test_one_printer_has_the_short_topic() -> None:
    config = Config(printers=(PrinterConfig(),))
    assert config.base(config.printers[0]) == "printer"


def test_several_printers_are_told_apart_by_their_ids() -> None:
    config = Config(
        printers=(
            PrinterConfig(id="a", serial=Serial(port="/dev/a")),
            PrinterConfig(id="b", serial=Serial(port="/dev/b"), topic="lab/b"),
        )
    )
    assert [config.base(p) for p in config.printers] == ["printers/a", "lab/b"]


def test_simulated_printers_need_no_port_of_their_own() -> None:
    simulated = Serial(port="simulator://marlin")
    config = Config(
        printers=(
            PrinterConfig(id="a", serial=simulated),
            PrinterConfig(id="b", serial=simulated),
        )
    )
    assert len(config.printers) == 2


def test_nothing_can_be_changed_later() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        setattr(Mqtt(), "host", "other")  # noqa: B010  # mypy knows that it is frozen


def test_a_path_made_by_a_program_is_taken_as_it_is() -> None:
    assert Mqtt(password_file=Path("secret")).password_file == Path("secret")


def test_a_password_does_not_show() -> None:
    assert "hunter2" not in repr(Mqtt.model_validate({"password": "hunter2"}))


@pytest.mark.parametrize(
    ("printer", "words"),
    [
        ({"presets": {"PLA": {"tool": 300}}}, "presets.PLA.tool: 300 °C is beyond"),
        ({"presets": {"Off": {"tool": 200}}}, "presets.Off: this name means"),
        (
            {"presets": {"PLA": {"bed": 60}}, "profile": {"heated_bed": False}},
            "presets.PLA.bed: the printer has no heated bed",
        ),
        ({"profile": {"fans": {0: "Part"}}}, "the number of a fan besides 0"),
        ({"profile": {"light": {"kind": "led"}}}, "needs the name of the output"),
    ],
)
def test_what_a_printer_cannot_have(printer: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        PrinterConfig.model_validate(printer)


def test_fans_are_known_by_numbers_or_names() -> None:
    fans = {1: "Chamber fan", "exhaust": "Exhaust"}
    printer = PrinterConfig.model_validate({"profile": {"fans": fans}})
    assert printer.profile.fans == {"1": "Chamber fan", "exhaust": "Exhaust"}
