"""The serial ports of this machine, and which of them could be a printer."""

import os
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from serial.tools import list_ports as pyserial_ports
from serial.tools.list_ports_common import ListPortInfo

DEV = Path("/dev")

BAUDRATES = (115_200, 250_000, 230_400, 57_600, 38_400, 19_200, 9_600)
"""The usual baud rates of printers, the most frequent first, in OctoPrint's order."""

_USB = ("ttyUSB*", "ttyACM*", "ttyXRUSB*")
"""Linux's names: ``ttyUSB`` for adapter chips such as CH340 and FTDI, ``ttyACM`` for
boards with their own USB (CDC ACM), ``ttyXRUSB`` for adapters of Exar."""

_BUILT_IN = ("ttyAMA*", "rfcomm*")
"""The UART of a Raspberry Pi, and Bluetooth."""

_STABLE = ("serial/by-id", "serial/by-path")
"""udev's folders of links that are named after the device's id and the USB socket."""


@dataclass(frozen=True, slots=True)
class Port:
    """A serial port.

    Attributes:
        device: the kernel's name, such as ``/dev/ttyUSB0``; another one after a replug.
        stable: the name that stays, such as ``/dev/serial/by-id/usb-…``, if it has one.
        description: what the USB device says it is, or nothing.
        manufacturer: who the USB device says made it, or nothing.

    """

    device: str
    stable: str | None
    description: str
    manufacturer: str

    @property
    def best_name(self) -> str:
        """The name to put into the configuration."""
        return self.stable or self.device


def list_ports(
    dev: Path = DEV, details: Iterable[ListPortInfo] | None = None
) -> list[Port]:
    """Return all serial ports: those on USB first, each kind in its natural order.

    Args:
        dev: the directory of the devices.
        details: what is known about them; by default what pyserial finds out.

    """
    found = pyserial_ports.comports() if details is None else list(details)
    known = {os.path.realpath(info.device): info for info in found}
    names = [*_devices(dev, _USB), *_devices(dev, _BUILT_IN)]
    inside = f"{os.path.realpath(dev)}/"
    names += sorted(
        (name for name in known if name.startswith(inside) and name not in names),
        key=_natural,
    )
    return [_port(name, dev, known.get(name)) for name in names]


def candidates(
    taken: Collection[str] = (),
    dev: Path = DEV,
    details: Iterable[ListPortInfo] | None = None,
) -> list[str]:
    """Return the ports to try for ``port: auto``, those with a stable name first.

    Only USB adapters and boards: whatever is behind a built-in port was wired by
    somebody who can name it, and must not be sent G-code on a guess.

    Args:
        taken: ports of other printers, by any name.
        dev: the directory of the devices.
        details: what is known about them; by default what pyserial finds out.

    """
    used = {os.path.realpath(port) for port in taken if "://" not in port}
    usb = set(_devices(dev, _USB))
    free = [
        port
        for port in list_ports(dev, details)
        if port.device in usb and port.device not in used
    ]
    free.sort(key=lambda port: port.stable is None)
    return [port.best_name for port in free]


def stable_name(
    port: str, dev: Path = DEV, details: Iterable[ListPortInfo] | None = None
) -> str:
    """Return the name under which a port is found again after a replug.

    An adapter without a serial number shares its name in ``by-id`` with every other of
    its kind, so that the wrong printer could answer to it. For those it is the name of
    the USB socket. Without any stable name it is ``port`` itself, and so it is when
    ``port`` is a URL or a link: somebody chose that name.
    """
    if "://" in port or os.path.islink(port):  # noqa: PTH114 - never raises
        return port
    device = os.path.realpath(port)
    found = pyserial_ports.comports() if details is None else list(details)
    known = {os.path.realpath(info.device): info for info in found}
    return _stable(device, dev, known.get(device)) or port


class FixedPort:
    """A port of the configuration, found again after a replug.

    The stable name is looked up while the device is there and kept from then on: the
    kernel may give ``/dev/ttyUSB0`` to another printer in the meantime.
    """

    def __init__(self, port: str, dev: Path = DEV) -> None:
        """Follow ``port``, which need not be there yet."""
        self._port = port
        self._dev = dev
        self._name: str | None = None

    @property
    def name(self) -> str:
        """The name to open now."""
        if self._name is None and os.path.exists(self._port):  # noqa: PTH110 - likewise
            self._name = stable_name(self._port, self._dev)
        return self._name or self._port


def baudrates(last: int | None = None) -> tuple[int, ...]:
    """Return the rates to try, the likeliest first.

    Args:
        last: the rate at which this printer answered the last time.

    """
    if last is None:
        return BAUDRATES
    return (last, *(rate for rate in BAUDRATES if rate != last))


def _devices(dev: Path, patterns: Iterable[str]) -> list[str]:
    return [
        os.path.realpath(path)
        for pattern in patterns
        for path in sorted(dev.glob(pattern), key=lambda path: _natural(path.name))
    ]


def _port(device: str, dev: Path, info: ListPortInfo | None) -> Port:
    described = info is not None and info.description != "n/a"
    return Port(
        device=device,
        stable=_stable(device, dev, info),
        description=info.description if info is not None and described else "",
        manufacturer=(info.manufacturer or "") if info is not None else "",
    )


def _stable(device: str, dev: Path, info: ListPortInfo | None) -> str | None:
    nameless = info is not None and info.vid is not None and not info.serial_number
    for folder in reversed(_STABLE) if nameless else _STABLE:
        for link in _links(dev / folder):
            if os.path.realpath(link) == device:
                return str(link)
    return None


def _links(folder: Path) -> Iterator[Path]:
    try:
        yield from sorted(folder.iterdir())
    except OSError:
        return


def _natural(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts ``ttyUSB10`` behind ``ttyUSB9``."""
    return [
        (int(part), "") if part.isdigit() else (-1, part)
        for part in re.split(r"(\d+)", name)
    ]
