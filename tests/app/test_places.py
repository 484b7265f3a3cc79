"""Where a printer was found is remembered, and nonsense is not believed."""

from pathlib import Path

import pytest

from bridge.app.places import recall, remember
from bridge.printer.link.events import Place


def test_a_place_is_found_again(tmp_path: Path) -> None:
    remember(tmp_path / "state", "ender", Place("/dev/serial/by-id/usb-1", 250_000))
    place = recall(tmp_path / "state", "ender")
    assert place == Place("/dev/serial/by-id/usb-1", 250_000)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "no json",
        "{}",
        '{"port": 5, "baudrate": 115200}',
        '{"port": "/dev/ttyUSB0", "baudrate": true}',
        '{"port": "/dev/ttyUSB0", "baudrate": "fast"}',
    ],
)
def test_a_damaged_memory_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "ender.place.json").write_text(text)
    assert recall(tmp_path, "ender") is None


def test_a_folder_that_cannot_be_written_harms_nobody(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    remember(blocked, "ender", Place("/dev/ttyUSB0", 115_200))
    assert recall(blocked, "ender") is None
