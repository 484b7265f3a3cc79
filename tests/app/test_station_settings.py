"""Client ids: the same in each run, and known to nobody else."""

from collections.abc import Mapping

import pytest

from bridge.app.station_settings import client_id, emergency_id, station_settings
from bridge.config import Config

Document = Mapping[str, object]

ENDER = {"id": "ender", "serial": {"port": "/dev/ttyUSB0"}}
PRUSA = {"id": "prusa", "serial": {"port": "/dev/ttyUSB1"}}
ONE: Document = {"printers": [ENDER]}
TWO: Document = {"printers": [ENDER, PRUSA]}
NAMED: Document = {"mqtt": {"client_id": "workshop"}}


def ids(document: Document, digest: str = "0123456789abcdef") -> list[str]:
    config = Config.model_validate(document)
    return [one.client_id for one in station_settings(config, digest).values()]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (ONE, ["gcode2mqtt-ender-0123456789abcdef"]),
        (
            TWO,
            ["gcode2mqtt-ender-0123456789abcdef", "gcode2mqtt-prusa-0123456789abcdef"],
        ),
        ({**ONE, **NAMED}, ["workshop"]),
        (
            {**TWO, **NAMED},
            ["workshop-ender", "workshop-prusa"],
        ),
    ],
)
def test_a_client_id(document: Document, expected: list[str]) -> None:
    assert ids(document) == expected


def test_it_depends_on_the_digest() -> None:
    assert ids(ONE, "0" * 16) != ids(ONE, "1" * 16)


def test_the_connection_for_stops_has_a_common_prefix_with_the_others() -> None:
    """So that an access list of the broker needs one prefix."""
    for document, prefix in ((ONE, "gcode2mqtt-"), ({**ONE, **NAMED}, "workshop-")):
        assert emergency_id(Config.model_validate(document)).startswith(prefix)


def test_a_printer_has_the_id_that_its_settings_say() -> None:
    config = Config.model_validate(ONE)
    [settings] = station_settings(config, "d").values()
    assert settings.client_id == client_id(config, config.printers[0], "d")
