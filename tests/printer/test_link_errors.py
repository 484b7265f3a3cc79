"""Each way to fail to open a link, in one sentence that says what to do."""

import errno
import grp
import os
import socket
import termios
from pathlib import Path

import pytest
import serial

from bridge.printer.port.errors import (
    holders,
    late,
    network_error,
    permission_problem,
    permission_remedy,
    rfc2217_error,
    serial_error,
)
from tests.support.users import without_rights

PORT = "/dev/ttyUSB7"
URL = "socket://printer:23"


def says(error: Exception) -> str:
    return str(serial_error(PORT, 250_000, error))


@pytest.mark.parametrize("code", [errno.ENOENT, errno.ENODEV, errno.ENXIO])
def test_a_port_that_is_not_there(code: int) -> None:
    assert says(serial.SerialException(code, "could not open port")) == (
        "there is no serial port /dev/ttyUSB7: is the printer plugged in and switched "
        "on? `gcode2mqtt ports` lists the ports there are"
    )


@pytest.mark.parametrize("code", [errno.ENOENT, errno.EACCES])
def test_a_port_that_a_service_cannot_see(
    code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``ProtectHome=`` makes folders inaccessible, ``PrivateTmp=`` replaces one."""
    for port, service, named in (
        ("/tmp/printer", True, True),  # noqa: S108 - no file is made
        ("/tmp/klipper/tty", True, True),  # noqa: S108 - likewise
        ("/home/pi/printer_data/comms/klippy.serial", True, True),
        ("/root/printer", True, True),
        ("/dev/ttyUSB0", True, False),
        ("/run/klipper/printer", True, False),
        ("/tmp/printer", False, False),  # noqa: S108 - likewise
    ):
        if service:
            monkeypatch.setenv("INVOCATION_ID", "0")  # systemd.exec(5)
        else:
            monkeypatch.delenv("INVOCATION_ID", raising=False)
        text = str(serial_error(port, 250_000, serial.SerialException(code, "")))
        hint = (
            "a service does not see folders below /tmp and /home, unless a drop-in "
            "such as deploy/systemd/klipper.conf allows it"
        )
        assert (hint in text) is named, port


@pytest.mark.parametrize("code", [errno.EAGAIN, errno.EBUSY])
def test_a_port_in_use_by_somebody_we_may_not_see(code: int) -> None:
    assert says(serial.SerialException(code, "lock")) == (
        "/dev/ttyUSB7 is in use by another program: stop that program"
    )


def test_a_baud_rate_that_the_adapter_does_not_have() -> None:
    assert says(ValueError("Failed to set custom baud rate (250000): no")) == (
        "/dev/ttyUSB7 refuses 250000 baud: set serial.baudrate to a rate that the "
        "adapter has, usually 115200 or 250000"
    )


def test_a_baud_rate_that_the_driver_refuses_when_it_is_set() -> None:
    assert "refuses 250000 baud" in says(termios.error(errno.EINVAL, "Invalid"))


def test_what_pyserial_wraps_without_its_number() -> None:
    wrapped = serial.SerialException("Could not configure port: (25, 'Inappropriate')")
    wrapped.__context__ = termios.error(errno.ENOTTY, "Inappropriate ioctl for device")
    assert "is not a serial port" in says(wrapped)


def test_anything_else_keeps_its_reason() -> None:
    assert says(serial.SerialException(errno.EIO, "io")) == (
        "/dev/ttyUSB7 cannot be opened (Input/output error): unplug the printer and "
        "plug it in again"
    )
    assert "(something new)" in says(serial.SerialException("something new"))


def test_the_group_that_may_use_a_port_is_named(tmp_path: Path) -> None:
    port = tmp_path / "ttyUSB0"
    port.touch()
    if os.geteuid() == 0:
        os.chown(port, -1, grp.getgrnam("dialout").gr_gid)
    port.chmod(0o660)
    group = grp.getgrgid(port.stat().st_gid).gr_name
    assert permission_remedy(str(port)) == (
        f"it belongs to the group {group}; `usermod -aG {group} <user>` adds the "
        "bridge's user to it, from the next login on"
    )


def test_a_group_without_a_name(tmp_path: Path) -> None:
    port = tmp_path / "ttyUSB0"
    port.touch()
    port.chmod(0o660)
    if os.geteuid() == 0:
        os.chown(port, -1, 54_321)
        assert "the group 54321;" in permission_remedy(str(port))


def test_a_port_that_only_its_owner_may_use(tmp_path: Path) -> None:
    port = tmp_path / "ttyUSB0"
    port.touch()
    port.chmod(0o600)
    assert permission_remedy(str(port)).startswith("only its owner may use it; add a")


def test_a_port_in_a_folder_that_may_not_be_read(tmp_path: Path) -> None:
    assert "the folder it is in" in permission_remedy(str(tmp_path / "none" / "x"))


def test_who_holds_a_file(tmp_path: Path) -> None:
    path = tmp_path / "port"
    path.touch()
    link = tmp_path / "link"
    link.symlink_to(path)
    with path.open():
        assert holders(str(link)) == (
            f"this bridge itself, for another printer (process {os.getpid()})"
        )
    assert holders(str(link)) == "another program"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (socket.gaierror(socket.EAI_NONAME, "?"), 'the name "printer" in serial.port'),
        (ConnectionRefusedError(errno.ECONNREFUSED, "?"), "refuses the connection"),
        (OSError(errno.EHOSTUNREACH, "?"), "be reached (No route to host): is printer"),
        (OSError(errno.ETIMEDOUT, "?"), "does not answer: is printer switched on"),
        (TimeoutError(), "does not answer: is printer switched on"),
    ],
)
def test_a_printer_on_the_network(error: OSError, words: str) -> None:
    assert words in str(network_error(URL, error))


def test_a_server_of_another_kind() -> None:
    assert "or use socket://" in str(rfc2217_error("rfc2217://printer:23", 9600))


def test_a_port_that_hangs() -> None:
    assert str(late(PORT)) == (
        "/dev/ttyUSB7 is stuck while being opened: unplug the printer and plug it in "
        "again"
    )


def test_a_port_that_may_not_be_opened_is_found_without_opening_it(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "closed"
    folder.mkdir()
    port = folder / "port"
    port.touch()
    assert permission_problem(str(port)) is None
    with without_rights(folder):
        assert permission_problem(str(port)) == (
            f"no permission to open {port}: the folder it is in may not be read by the "
            "bridge's user"
        )


@pytest.mark.parametrize(
    "port", ["auto", "socket://printer:23", "/none/port", "x" * 300, "a\0b"]
)
def test_what_is_no_matter_of_permissions(port: str) -> None:
    assert permission_problem(port) is None
