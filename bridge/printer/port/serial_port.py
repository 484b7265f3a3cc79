"""Opening a serial port or pseudo-terminal."""

import asyncio
import contextlib
import os
import termios
from functools import partial

import serial

from bridge.printer.port.descriptor import DescriptorTransport
from bridge.printer.port.errors import late, serial_error
from bridge.threads import in_thread, is_stuck
from bridge.timeout import timeout


async def open_serial(
    port: str, baudrate: int, *, dtr: bool, within: float
) -> DescriptorTransport:
    """Open a serial port exclusively; opening may reset the board behind it.

    Raises:
        LinkError: It cannot be opened; the message says what to do about it.

    """
    name = f"open {port}"
    if is_stuck(name):
        raise late(port)
    try:
        async with timeout(within):
            opening = partial(_open, port, baudrate, dtr=dtr)
            descriptor = await in_thread(opening, os.close, name=name)
    except TimeoutError as error:
        raise late(port) from error
    except (OSError, ValueError, termios.error) as error:
        # looking for the process that holds the port takes a while
        raise await asyncio.to_thread(serial_error, port, baudrate, error) from error
    return DescriptorTransport(descriptor)


def _open(port: str, baudrate: int, *, dtr: bool) -> int:
    """Return the open descriptor, raw and non-blocking.

    ``inter_byte_timeout=0`` makes pyserial set VMIN to 1. With its usual 0 a read
    without data returns no bytes, which could not be distinguished from an unplugged
    device. ``dsrdtr`` only makes pyserial leave DTR alone; without HUPCL the kernel
    does so when the port is closed, and the next opening finds nothing to raise.
    """
    device = serial.Serial(
        None, baudrate, exclusive=True, inter_byte_timeout=0, dsrdtr=not dtr
    )
    device.port = port
    with device:
        with contextlib.suppress(ValueError, OSError, NotImplementedError):
            device.set_low_latency_mode(True)
        if not dtr:
            _keep_lines(device.fileno())
        return os.dup(device.fileno())  # keeps the lock, sheds pyserial's four pipes


def _keep_lines(descriptor: int) -> None:
    attributes = termios.tcgetattr(descriptor)
    attributes[2] &= ~termios.HUPCL
    termios.tcsetattr(descriptor, termios.TCSANOW, attributes)
