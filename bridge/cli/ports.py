"""``gcode2mqtt ports``."""

import argparse

from bridge.logs import escaped
from bridge.printer.port.ports import list_ports


def ports(_chosen: argparse.Namespace) -> int:
    """Print the serial ports, the name to configure first; return 0."""
    found = list_ports()
    for port in found:
        device = f" ({port.device})" if port.stable else ""
        what = " ".join(filter(None, [port.manufacturer, port.description]))
        # A device says itself what it is.
        print(escaped(f"{port.best_name}{device}  {what}".rstrip()))
    if not found:
        print("no serial port: is the printer switched on, and its cable plugged in?")
    return 0
