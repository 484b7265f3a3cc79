"""A first configuration is one that can be read, whatever was typed."""

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as some

from bridge.config import Config
from bridge.config.values import checked_serial_port
from bridge.config_file.writer import Answers, starter
from tests.support.configs import load_text

printable = some.text(
    some.characters(categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=100
)


def is_port(text: str) -> bool:
    """Return whether a text may be a port; `init` asks again for others."""
    try:
        return checked_serial_port(text) == text
    except ValueError:
        return False


def read(folder: Path, answers: Answers) -> Config:
    return load_text(folder, starter(answers))


@given(name=printable, port=printable.filter(is_port), username=printable)
def test_whatever_was_typed_is_read_as_it_was(
    name: str, port: str, username: str
) -> None:
    answers = Answers(
        host="broker.lan",
        port=8883,
        username=username,
        id="ender",
        name=name,
        serial_port=port,
        firmware=name,
        extruders=2,
        heated_bed=False,
        heated_chamber=True,
        baudrate=250_000,
    )
    with tempfile.TemporaryDirectory() as folder:
        config = read(Path(folder), answers)
    (printer,) = config.printers
    assert config.mqtt.username == username
    assert (printer.name, printer.serial.port) == (name, port)
    assert printer.profile.extruders == 2
    assert (printer.profile.heated_bed, printer.profile.heated_chamber) == (False, True)


def test_what_was_not_found_out_is_said(tmp_path: Path) -> None:
    answers = Answers(
        host="broker.lan", port=1883, id="a", name="A", serial_port="auto"
    )
    assert "# Not detected; correct it." in starter(answers)
    assert read(tmp_path, answers).printers[0].serial.baudrate == "auto"
