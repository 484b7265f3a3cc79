"""What has to be connected again for other settings, and what a print postpones."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bridge.app.station_settings import (
    Postponed,
    StationSettings,
    former_ids,
    link_changes,
    need_of,
    postpone,
    station_settings,
)
from bridge.config import Config, PrinterConfig
from bridge.errors import ConfigError
from tests.support.cases import case
from tests.support.settings import PRINTER, config_with, settings

BROKER = "broker"
LINK = "link"
NEEDS: Mapping[str, str] = {
    "log.": "nothing",
    "metrics.": "nothing",
    "telemetry.": "settings",
    "rights.": "settings",
    "limits.": "settings",
    "files.": "settings",
    "upload.": "settings",
    "mqtt.": BROKER,
    "home_assistant.": BROKER,
    "home_assistant.scripts": "settings",
    "printers.": "settings",
    "printers.id": LINK,
    "printers.topic": BROKER,
    "printers.serial.": LINK,
    "printers.serial.log_file": "settings",
    "printers.profile.extruders": BROKER,
    "printers.profile.heated_bed": BROKER,
    "printers.profile.heated_chamber": BROKER,
}
"""What a change of a setting, or of those that begin so, needs; the longest counts."""

KNOWN = {
    *("allowed", "area", "blocked", "heaters_on_exit", "id", "manufacturer", "model"),
    *("name", "on_broker_loss", "on_exit", "presets", "profile.apply_offsets"),
    *("profile.extruders", "profile.fans", "profile.heated_bed"),
    *("profile.heated_chamber", "profile.idle_heaters", "profile.light.dimmable"),
    *("profile.light.kind", "profile.light.name", "profile.max_dwell"),
    *("profile.max_extrusion", "profile.max_speed", "profile.max_temperature.bed"),
    *("profile.max_temperature.chamber", "profile.max_temperature.tool"),
    *("profile.max_z_offset", "profile.pause_heaters.bed"),
    *("profile.pause_heaters.nozzle", "profile.relative_extrusion"),
    *("profile.shared_nozzle", "profile.speeds.e", "profile.speeds.x"),
    *("profile.speeds.y", "profile.speeds.z", "profile.volume.x", "profile.volume.y"),
    *("profile.volume.z", "queue.hold", "queue.release_at_printer"),
    *("queue.start_uploads", "scripts"),
    *("scripts_folder", "serial.baudrate", "serial.connect_timeout", "serial.dtr"),
    *("serial.firmware", "serial.lines_in_flight", "serial.log_file"),
    *("serial.long_codes", "serial.long_timeout", "serial.ok_timeout", "serial.port"),
    *("serial_number", "topic", "unknown_codes"),
}
"""The settings of a printer of which somebody has decided what they need."""


def config(*printers: dict[str, Any], **sections: Any) -> Config:  # noqa: ANN401 - any section
    return Config.model_validate({"printers": [*printers], **sections})


def of(config: Config) -> StationSettings:
    """Return the settings of the only printer."""
    (only,) = station_settings(config, "digest").values()
    return only


def need(name: str) -> str:
    """Return what a change of a setting needs."""
    return NEEDS[max((x for x in NEEDS if name.startswith(x)), key=len)]


def in_a_print(before: Config, after: Config, *printing: str) -> Postponed:
    """Return what of a configuration is applied while these printers print."""
    served = {printer.id: printer for printer in before.printers}
    return postpone(after, served, dict.fromkeys(printing))


def test_what_a_change_of_each_setting_needs(tmp_path: Path) -> None:
    others = settings() | {"printers.scripts_folder": str(tmp_path)}
    (tmp_path / "hello.gcode").write_text("M117 hello")
    plain, names = config({}), set[str]()
    for name, value in others.items():
        with case(name, value):
            changed = Config.model_validate(config_with(name, value))
            assert changed != plain
            if name == "printers.id":
                continue  # another printer; what a print makes of that is below
            assert need_of(of(plain), of(changed)) == need(name)
            assert need_of(of(changed), of(plain)) == need(name)
        names.add(name)
    assert len(names) > 100


def test_what_each_setting_of_a_printer_needs_was_decided() -> None:
    """One that is new is added to ``KNOWN``, and to ``NEEDS`` if it needs more."""
    names = {x.removeprefix(PRINTER) for x in settings() if x.startswith(PRINTER)}
    assert names == KNOWN


def test_in_a_print_each_setting_is_applied_at_once_unless_it_needs_the_link(
    tmp_path: Path,
) -> None:
    others = settings() | {"printers.scripts_folder": str(tmp_path)}
    plain = config({})
    for name, value in others.items():
        with case(name, value):
            changed = Config.model_validate(config_with(name, value))
            left = in_a_print(plain, changed, "printer")
            assert left.added == ()
            assert need_of(of(plain), of(left.config)) != LINK
            assert list(station_settings(left.config, "")) == ["printer"]
            if need(name) == LINK:
                assert left.settings == {"printer": (name.removeprefix(PRINTER),)}
                assert left.printing == {"printer"}
                assert left.config == plain
            else:
                assert left.settings == {}
                assert left.config == changed
            # Without a print nothing waits.
            idle = in_a_print(plain, changed)
            assert (idle.config, idle.settings) == (changed, {})


ONE = {"id": "one", "serial": {"port": "/dev/1"}}
TWO = {"id": "two", "serial": {"port": "/dev/2"}}


def test_all_but_the_id_and_the_link_of_a_renamed_printer_changes_at_once() -> None:
    serial = {"port": "/dev/1", "baudrate": 9600, "log_file": "a"}
    new = {"id": "new", "serial": serial, "name": "New", "blocked": {}}
    left = in_a_print(config(ONE), config(new), "one")
    assert left.settings == {"one": ("id", "serial.baudrate")}
    (kept,) = left.config.printers
    assert (kept.id, kept.name, kept.blocked) == ("one", "New", {})
    assert (kept.serial.port, kept.serial.baudrate) == ("/dev/1", "auto")
    assert kept.serial.log_file is not None


@pytest.mark.parametrize(
    "port", ["/dev/1", "/dev/../dev/1", "auto"], ids=["same", "link", "auto"]
)
def test_a_renamed_printer_is_known_by_its_port(port: str) -> None:
    new = {"id": "new", "serial": {"port": port}}
    left = in_a_print(config(ONE, TWO), config(TWO, new), "one")
    assert left.settings["one"][0] == "id"
    assert [one.id for one in left.config.printers] == ["two", "one"]


def test_a_renamed_printer_is_known_by_the_port_that_was_found() -> None:
    before, after = config({"id": "one"}), config({**ONE, "id": "new"})
    served = {"one": before.printers[0]}
    left = postpone(after, served, {"one": "/dev/1"})
    assert left.settings == {"one": ("id", "serial.port")}
    assert postpone(after, served, {"one": "/dev/9"}).settings == {}


def test_who_has_another_id_is_known_without_a_print() -> None:
    """By its port alone: one that is to be looked for may be any printer."""
    served = {"one": config(ONE).printers[0]}
    cases: list[tuple[dict[str, Any], dict[str, str]]] = [
        ({**ONE, "id": "new"}, {"new": "one"}),
        ({"id": "new"}, {}),
        (ONE, {}),
        ({**TWO, "id": "new"}, {}),
    ]
    for new, right in cases:
        with case(new):
            assert former_ids(config(new), served, {"one": None}) == right
    found = config({"id": "new", "serial": {"port": "/dev/9"}})
    assert former_ids(found, served, {"one": "/dev/9"}) == {"new": "one"}


def test_simulated_printers_have_ports_of_their_own() -> None:
    serial = {"port": "simulator://marlin"}
    one, two = ({"id": name, "serial": serial} for name in ("one", "two"))
    new = {"id": "new", "serial": serial}
    left = in_a_print(config(one, two), config(two, new), "one")
    assert left.settings == {"one": ("id",)}
    left = in_a_print(config(one), config(one, new), "one")
    assert (left.settings, left.added) == ({}, ())


def test_two_printing_printers_are_renamed() -> None:
    after = config({**TWO, "id": "b"}, {**ONE, "id": "a"})
    left = in_a_print(config(ONE, TWO), after, "one", "two")
    assert left.settings == {"two": ("id",), "one": ("id",)}
    assert [one.id for one in left.config.printers] == ["two", "one"]


def test_ids_that_are_swapped_wait_as_ports_that_are_swapped() -> None:
    after = config({**ONE, "id": "two"}, {**TWO, "id": "one"})
    left = in_a_print(config(ONE, TWO), after, "one")
    assert left.settings == {"two": ("serial.port",), "one": ("serial.port",)}
    assert left.printing == {"one"}
    ports = {one.id: one.serial.port for one in left.config.printers}
    assert ports == {"one": "/dev/1", "two": "/dev/2"}


def test_a_port_that_another_printer_gets_waits_with_the_print_on_it() -> None:
    three = {"id": "three", "serial": {"port": "/dev/3"}}
    moved = [
        {**ONE, "serial": {"port": "/dev/9"}},
        {**TWO, "serial": {"port": "/dev/1"}},
        {**three, "serial": {"port": "/dev/2"}},
    ]
    left = in_a_print(config(ONE, TWO, three), config(*moved), "one")
    names = {"one", "two", "three"}
    assert left.settings == dict.fromkeys(names, ("serial.port",))
    assert {one.serial.port for one in left.config.printers} == {
        "/dev/1",
        "/dev/2",
        "/dev/3",
    }


def test_a_new_printer_waits_for_the_port_of_a_print() -> None:
    moved = {**ONE, "serial": {"port": "/dev/9"}}
    left = in_a_print(config(ONE), config(moved, {**ONE, "id": "new"}), "one")
    assert left.added == ("new",)
    assert left.settings == {"one": ("serial.port",)}
    assert [one.id for one in left.config.printers] == ["one"]


def test_a_printer_whose_port_an_old_one_gets_is_removed_after_its_print() -> None:
    heir = {**TWO, "serial": {"port": "/dev/1"}}
    left = in_a_print(config(ONE, TWO), config(heir), "one")
    assert left.settings == {"one": ("id",), "two": ("serial.port",)}
    assert {one.id for one in left.config.printers} == {"one", "two"}


def test_a_printer_that_is_removed_waits_for_nothing() -> None:
    left = in_a_print(config(ONE, TWO), config(TWO), "one")
    assert (left.settings, left.config) == ({}, config(TWO))


def test_what_contradicts_the_id_that_stays_is_refused() -> None:
    after = config({**ONE, "id": "new"}, {**TWO, "topic": "printers/one"})
    with pytest.raises(ConfigError, match="one id cannot be changed before the print"):
        in_a_print(config(ONE, TWO), after, "one")
    with pytest.raises(ConfigError, match="same topic"):
        in_a_print(config(ONE, TWO), after, "one")
    assert in_a_print(config(ONE, TWO), after).config == after


def test_the_changed_settings_of_the_link_have_names() -> None:
    serial = {"baudrate": 9600, "dtr": False, "log_file": "a"}
    wanted = PrinterConfig.model_validate({"serial": serial})
    assert link_changes(PrinterConfig(), wanted) == ("serial.baudrate", "serial.dtr")
