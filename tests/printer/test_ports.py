"""Serial ports in a directory that looks like /dev."""

from pathlib import Path

import pytest
from serial.tools.list_ports_common import ListPortInfo

from bridge.printer.port.ports import (
    BAUDRATES,
    FixedPort,
    Port,
    baudrates,
    candidates,
    list_ports,
    stable_name,
)
from tests.support.users import without_rights

PRUSA = "usb-Prusa_Research_Original_Prusa_i3_MK3_CZPX1234-if00"
CLONE = "usb-1a86_USB_Serial-if00-port0"
SOCKET = "platform-3f980000.usb-usb-0:1.3:1.0-port0"


@pytest.fixture
def dev(tmp_path: Path) -> Path:
    """Return a directory with a Prusa, a nameless adapter and two built-in ports."""
    for name in ("ttyUSB10", "ttyUSB9", "ttyACM0", "ttyAMA0", "ttyS0", "tty0", "null"):
        (tmp_path / name).touch()
    by_id, by_path = tmp_path / "serial/by-id", tmp_path / "serial/by-path"
    for folder in (by_id, by_path):
        folder.mkdir(parents=True)
    (by_id / PRUSA).symlink_to("../../ttyACM0")
    (by_id / CLONE).symlink_to("../../ttyUSB9")
    (by_path / SOCKET).symlink_to("../../ttyUSB9")
    return tmp_path


def details(dev: Path) -> list[ListPortInfo]:
    """Return what pyserial would find out about these devices."""
    prusa = ListPortInfo(str(dev / "ttyACM0"))
    prusa.vid, prusa.serial_number = 0x2C99, "CZPX1234"
    prusa.description, prusa.manufacturer = "Original Prusa i3 MK3", "Prusa Research"
    clone = ListPortInfo(str(dev / "ttyUSB9"))
    clone.vid, clone.description = 0x1A86, "USB Serial"
    return [ListPortInfo(str(dev / "ttyS0")), prusa, clone]


def test_all_ports_are_listed_with_what_is_known_about_them(dev: Path) -> None:
    by_id, by_path = dev / "serial/by-id", dev / "serial/by-path"
    assert list_ports(dev, details(dev)) == [
        Port(str(dev / "ttyUSB9"), str(by_path / SOCKET), "USB Serial", ""),
        Port(str(dev / "ttyUSB10"), None, "", ""),
        Port(
            str(dev / "ttyACM0"),
            str(by_id / PRUSA),
            "Original Prusa i3 MK3",
            "Prusa Research",
        ),
        Port(str(dev / "ttyAMA0"), None, "", ""),
        Port(str(dev / "ttyS0"), None, "", ""),
    ]


def test_the_name_for_the_configuration(dev: Path) -> None:
    names = [Path(port.best_name).name for port in list_ports(dev, details(dev))]
    assert names == [SOCKET, "ttyUSB10", PRUSA, "ttyAMA0", "ttyS0"]


def test_candidates_are_on_usb_and_the_named_ones_come_first(dev: Path) -> None:
    names = [Path(name).name for name in candidates((), dev, details(dev))]
    assert names == [SOCKET, PRUSA, "ttyUSB10"]


@pytest.mark.parametrize("name", ["ttyACM0", f"serial/by-id/{PRUSA}"])
def test_another_printers_port_is_left_alone(dev: Path, name: str) -> None:
    taken = [str(dev / name), "socket://printer:23", "simulator://"]
    names = [Path(port).name for port in candidates(taken, dev, details(dev))]
    assert names == [SOCKET, "ttyUSB10"]


def test_a_machine_without_ports(tmp_path: Path) -> None:
    assert list_ports(tmp_path / "none", []) == []
    assert candidates((), tmp_path / "none", []) == []


def test_this_machine_can_be_asked() -> None:
    assert all(port.device.startswith("/dev/") for port in list_ports())
    assert set(candidates()) <= {port.best_name for port in list_ports()}


def test_a_device_is_followed_by_its_serial_number(dev: Path) -> None:
    found = stable_name(str(dev / "ttyACM0"), dev, details(dev))
    assert found == str(dev / "serial/by-id" / PRUSA)


def test_adapters_without_a_serial_number_are_told_apart_by_their_socket(
    dev: Path,
) -> None:
    found = stable_name(str(dev / "ttyUSB9"), dev, details(dev))
    assert found == str(dev / "serial/by-path" / SOCKET)


def test_an_adapter_that_has_only_a_shared_name_gets_that(dev: Path) -> None:
    (dev / "serial/by-path" / SOCKET).unlink()
    found = stable_name(str(dev / "ttyUSB9"), dev, details(dev))
    assert found == str(dev / "serial/by-id" / CLONE)


@pytest.mark.parametrize(
    "name", ["ttyUSB10", "ttyUSB77", f"serial/by-id/{PRUSA}", "my-printer"]
)
def test_other_names_stay_what_they_are(dev: Path, name: str) -> None:
    (dev / "my-printer").symlink_to("ttyACM0")
    assert stable_name(str(dev / name), dev, details(dev)) == str(dev / name)


def test_urls_are_names_already(dev: Path) -> None:
    assert stable_name("socket://printer:23", dev, []) == "socket://printer:23"
    assert FixedPort("socket://printer:23", dev).name == "socket://printer:23"


def test_a_fixed_port_follows_its_device_and_no_other(dev: Path) -> None:
    device = dev / "ttyACM0"
    device.unlink()
    port = FixedPort(str(device), dev)
    assert port.name == str(device)
    device.touch()
    assert port.name == str(dev / "serial/by-id" / PRUSA)
    (dev / "serial/by-id" / PRUSA).unlink()
    assert port.name == str(dev / "serial/by-id" / PRUSA)


def test_a_fixed_port_that_cannot_be_looked_at_keeps_its_name(tmp_path: Path) -> None:
    """Opening it gives the reason."""
    folder = tmp_path / "closed"
    folder.mkdir()
    (folder / "port").touch()
    with without_rights(folder):
        assert FixedPort(str(folder / "port"), tmp_path).name == str(folder / "port")
    for name in ("x" * 300, f"{tmp_path}/file/port", "a\0b"):
        (tmp_path / "file").touch()
        assert FixedPort(name, tmp_path).name == name


def test_the_likeliest_baud_rate_comes_first() -> None:
    assert baudrates() == BAUDRATES
    assert baudrates(57_600)[:3] == (57_600, 115_200, 250_000)
    assert baudrates(76_800)[:2] == (76_800, 115_200)
    assert sorted(baudrates(57_600)) == sorted(BAUDRATES)
