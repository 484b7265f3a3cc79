"""Bytes to and from a printer, whatever lies between them."""

from collections.abc import Callable
from typing import Protocol

from bridge.errors import LinkError, quoted
from bridge.printer.port.serial_port import open_serial
from bridge.printer.port.tcp import open_tcp


class Transport(Protocol):
    """An open link, used from one event loop; one task reads."""

    @property
    def pending(self) -> int:
        """Bytes that were accepted and are not written yet."""

    async def read(self) -> bytes:
        """Wait for bytes; return none at all once the link is gone or closed."""

    async def deliver(self, callback: Callable[[bytes], None]) -> None:
        """Call back with bytes as they arrive, instead of :meth:`read`.

        Returns once the link is gone or closed. The callback must not block.
        """

    def write(self, data: bytes) -> None:
        """Send bytes in order, without blocking; the rest waits in a buffer."""

    def write_now(self, data: bytes) -> None:
        """Send whole lines first and drop everything that is not yet written.

        Where dropping cut a line in half they begin with a line break. Only earlier
        urgent lines are kept.
        """

    def close(self) -> None:
        """Free the port, also twice; a waiting :meth:`read` returns no bytes."""


async def open_transport(
    url: str, baudrate: int, *, dtr: bool = True, within: float = 10.0
) -> Transport:
    """Open the link to a printer.

    Args:
        url: the path of a serial port or pseudo-terminal, ``socket://host:port``,
            ``rfc2217://host:port`` or ``simulator://personality?option=value``.
        baudrate: bits a second; means nothing to ``socket://`` and ``simulator://``.
        dtr: raise DTR, which resets most boards; where false it is left as it is.
        within: seconds after which the attempt is given up.

    Raises:
        LinkError: It cannot be opened; the message says what to do about it.

    """
    scheme, is_url, _ = url.partition("://")
    match scheme if is_url else "":
        case "":
            return await open_serial(url, baudrate, dtr=dtr, within=within)
        case "socket":
            return await open_tcp(url, within=within)
        case "rfc2217":
            from bridge.printer.port.rfc2217 import open_rfc2217  # noqa: PLC0415 - likewise

            return await open_rfc2217(url, baudrate, dtr=dtr, within=within)
        case "simulator":
            # A daemon with a real printer needs no firmware of its own in memory.
            from bridge.printer.port.simulated import open_simulated  # noqa: PLC0415

            return open_simulated(url)
        case _:
            raise LinkError(
                f"serial.port {quoted(url)} begins with {quoted(scheme)}: use the path "
                "of a serial port, socket://, rfc2217:// or simulator://"
            )
