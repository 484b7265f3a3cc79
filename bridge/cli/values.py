"""What the values of options mean."""

import argparse
from collections.abc import Callable


def address(text: str) -> tuple[str, int]:
    """Return host and port of ``host:port`` or ``[::1]:port``.

    Raises:
        argparse.ArgumentTypeError: It is not of this form.

    """
    host, colon, port = text.rpartition(":")
    number = int(port) if port.isascii() and port.isdecimal() else -1
    if not colon or not host or not 0 <= number <= 65535:  # noqa: PLR2004  # TCP's own
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host.strip("[]"), number


def broker(text: str) -> tuple[str, int]:
    """Return host and port of a broker, which has no port 0.

    Raises:
        argparse.ArgumentTypeError: It is not of the form ``host:port``.

    """
    host, port = address(text)
    if not port:
        raise argparse.ArgumentTypeError(f"{text!r}: no broker has the port 0")
    if ":" in host and not text.startswith("["):
        raise argparse.ArgumentTypeError(f"{text!r}: write [ADDRESS]:PORT")
    return host, port


def positive(most: float) -> Callable[[str], float]:
    """Return a reader of numbers above 0 and up to ``most``."""

    def number(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not 0 < value <= most:
            raise argparse.ArgumentTypeError(
                f"{text!r} is no number above 0 and up to {most:g}"
            )
        return value

    return number
