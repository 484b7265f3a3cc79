"""Events of the link to a printer, besides what the firmware says."""

from dataclasses import dataclass
from typing import Literal

from bridge.gcode.events import PrinterEvent
from bridge.printer.link.identity import Identity


@dataclass(frozen=True, slots=True)
class PortAddress:
    """Where a printer may be: a port or URL, and a baud rate in bits a second."""

    port: str
    baudrate: int


@dataclass(frozen=True, slots=True)
class Opened:
    """A port was opened; the firmware has not answered yet."""

    place: PortAddress


@dataclass(frozen=True, slots=True)
class Ready:
    """The firmware has identified itself, and the printer can be used."""

    identity: Identity
    place: PortAddress


@dataclass(frozen=True, slots=True)
class Closed:
    """The link could not be opened, was lost, or was closed on request.

    Attributes:
        reason: why, as a sentence.
        word: ``connection``, or what was requested: ``reconnect`` or ``released``.

    """

    reason: str
    word: Literal["connection", "reconnect", "released"] = "connection"


LinkEvent = Opened | Ready | Closed | PrinterEvent
