"""A serial port that a server offers by RFC 2217: ``rfc2217://host:port``."""

import threading
import warnings
from functools import partial

import serial.rfc2217

from bridge.errors import LinkError
from bridge.printer.port.errors import host_and_port, late, network_error, rfc2217_error
from bridge.printer.port.reader_thread import ThreadTransport
from bridge.threads import hangs, in_thread
from bridge.timeout import timeout


async def open_rfc2217(
    url: str, baudrate: int, *, dtr: bool, within: float
) -> ThreadTransport:
    """Connect to a serial server and let it set its port up.

    Raises:
        LinkError: It cannot be reached, or it does not speak RFC 2217; the message says
            what to do about it.

    """
    host_and_port(url)
    name = f"open {url}"
    if hangs(name):
        raise late(url)
    try:
        async with timeout(within):
            opening = partial(_open, url, baudrate, dtr=dtr)
            device = await in_thread(opening, _close, name=name)
    except TimeoutError as error:
        raise late(url) from error
    except serial.SerialException as error:
        raise _explain(url, baudrate, error) from error
    except (OSError, ValueError) as error:
        raise rfc2217_error(url, baudrate) from error
    return ThreadTransport(device)


def _open(url: str, baudrate: int, *, dtr: bool) -> serial.rfc2217.Serial:
    # pyserial 3.5 starts its thread in a way that newer Pythons advise against
    warnings.filterwarnings("ignore", "set(Daemon|Name)", DeprecationWarning)
    return serial.rfc2217.Serial(url, baudrate, dsrdtr=not dtr)


def _explain(url: str, baudrate: int, error: serial.SerialException) -> LinkError:
    """Tell a server that is not there from one that is another kind of server."""
    cause = error.__context__
    if isinstance(cause, serial.SerialException):
        return rfc2217_error(url, baudrate)
    if isinstance(cause, OSError | UnicodeError):
        return network_error(url, cause)
    return rfc2217_error(url, baudrate)


def _close(device: serial.rfc2217.Serial) -> None:
    # pyserial waits for its own thread and 0.3 s more, wherever this runs
    threading.Thread(target=device.close, daemon=True).start()
