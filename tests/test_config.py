from pathlib import Path

import pytest
from pydantic import ValidationError

from bridge.config import Config, Mqtt, Printer, Serial


def test_one_printer_has_the_short_topic() -> None:
    config = Config(printers=(Printer(),))
    assert config.base(config.printers[0]) == "printer"


def test_several_printers_are_told_apart_by_their_ids() -> None:
    config = Config(
        printers=(
            Printer(id="a", serial=Serial(port="/dev/a")),
            Printer(id="b", serial=Serial(port="/dev/b"), topic="lab/b"),
        )
    )
    assert [config.base(p) for p in config.printers] == ["printers/a", "lab/b"]


def test_simulated_printers_need_no_port_of_their_own() -> None:
    simulated = Serial(port="simulator://marlin")
    config = Config(
        printers=(
            Printer(id="a", serial=simulated),
            Printer(id="b", serial=simulated),
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
