"""What has to be connected again for other settings."""

from typing import Any

import pytest

from bridge.app.station_settings import (
    StationSettings,
    link_changes,
    need_of,
    station_settings,
)
from bridge.config import Config


def settings(printer: dict[str, Any] | None = None, **sections: Any) -> StationSettings:  # noqa: ANN401 - any section
    """Return the settings of a printer that is configured so."""
    config = Config.model_validate({"printers": [printer or {}], **sections})
    return station_settings(config, "digest")["printer"]


@pytest.mark.parametrize(
    ("printer", "sections", "need"),
    [
        ({}, {}, "nothing"),
        ({}, {"log": {"level": "debug"}}, "nothing"),
        ({}, {"metrics": {"port": 9464}}, "nothing"),
        ({"name": "Other"}, {}, "settings"),
        ({"profile": {"max_speed": 100}}, {}, "settings"),
        ({"profile": {"idle_heaters": 1}}, {}, "settings"),
        ({"scripts": {"a": "M117"}}, {}, "settings"),
        ({"blocked": {}}, {}, "settings"),
        ({"heaters_on_exit": "keep"}, {}, "settings"),
        ({"serial": {"log_file": "a"}}, {}, "settings"),
        ({}, {"rights": {"raw": False}}, "settings"),
        ({}, {"limits": {"queue": 1}}, "settings"),
        ({}, {"telemetry": {"interval": 9}}, "settings"),
        ({}, {"home_assistant": {"scripts": ["a"]}}, "settings"),
        ({}, {"home_assistant": {"enabled": False}}, "broker"),
        ({}, {"home_assistant": {"prefix": "a"}}, "broker"),
        ({}, {"mqtt": {"host": "a"}}, "broker"),
        ({"topic": "a"}, {}, "broker"),
        ({"profile": {"extruders": 2}}, {}, "broker"),
        ({"profile": {"heated_bed": False}}, {}, "broker"),
        ({"serial": {"port": "/dev/a"}}, {}, "link"),
        ({"serial": {"baudrate": 9600}, "name": "a"}, {}, "link"),
        ({"serial": {"firmware": "klipper"}, "topic": "a"}, {}, "link"),
        ({"serial": {"dtr": False}}, {}, "link"),
        ({"serial": {"ok_timeout": 9}}, {}, "link"),
    ],
)
def test_what_a_change_needs(
    printer: dict[str, Any], sections: dict[str, Any], need: str
) -> None:
    assert need_of(settings(), settings(printer, **sections)) == need
    assert need_of(settings(printer, **sections), settings()) == need


def test_the_changed_settings_of_the_link_have_names() -> None:
    wanted = settings({"serial": {"baudrate": 9600, "dtr": False, "log_file": "a"}})
    assert link_changes(settings(), wanted) == ("serial.baudrate", "serial.dtr")


def test_what_waits_is_left_out_of_the_rest() -> None:
    serial = {"baudrate": 9600, "log_file": "a"}
    rest = settings({"serial": serial, "name": "Other"}).with_link_of(settings())
    assert need_of(settings(), rest) == "settings"
    assert rest.printer.name == "Other"
    assert rest.printer.serial.baudrate == "auto"
    assert rest.printer.serial.log_file is not None
