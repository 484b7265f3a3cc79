"""OctoPrint's virtual printer behind a pseudo-terminal.

Run by the Python of an environment of its own, in which OctoPrint is installed, with
the link to create and the quirks to switch on, as JSON::

    python virtual_printer_peer.py /tmp/printer '{"numExtruders": 2}'
"""

import json
import os
import sys
import tempfile
import threading
import tty
from pathlib import Path
from typing import Any

from octoprint.plugin import (  # type: ignore[import-not-found] # env
    plugin_manager,
)
from octoprint.plugins.virtual_printer import (  # type: ignore[import-not-found] # env
    VirtualPrinterPlugin,
)
from octoprint.plugins.virtual_printer.virtual import (  # type: ignore[import-not-found] # env
    VirtualPrinter,
)


class Settings:
    """The plug-in's settings, without a server behind them."""

    def __init__(self, quirks: dict[str, Any]) -> None:
        self._values = {**VirtualPrinterPlugin().get_settings_defaults(), **quirks}
        self._folder = tempfile.mkdtemp()

    def get(self, path: list[str], **_options: object) -> Any:  # noqa: ANN401 - JSON
        """Return a setting; ``None`` if there is none."""
        value: Any = self._values
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        return value

    def get_int(self, path: list[str], **_options: object) -> int:
        """Return a setting as an integer."""
        return int(self.get(path) or 0)

    def get_float(self, path: list[str], **_options: object) -> float:
        """Return a setting as a number."""
        return float(self.get(path) or 0)

    def get_boolean(self, path: list[str], **_options: object) -> bool:
        """Return whether a setting is on."""
        return bool(self.get(path))

    def global_get_basefolder(self, _name: str) -> str:
        """Return a folder for the files of its card."""
        return self._folder


class Profiles:
    """The profile of a printer of 200 mm."""

    def get_current_or_default(self) -> dict[str, Any]:
        """Return the profile."""
        size = {"width": 200, "depth": 200, "height": 200}
        return {"volume": {**size, "origin": "lowerleft", "custom_box": False}}


def main() -> None:
    """Serve one virtual printer until the end of the input."""
    link, quirks = sys.argv[1], json.loads(sys.argv[2])
    folder = tempfile.mkdtemp()
    plugin_manager(
        init=True, plugin_folders=[], plugin_bases=[], plugin_entry_points=[]
    )
    printer = VirtualPrinter(Settings(quirks), Profiles(), folder, read_timeout=0.5)
    master, slave = os.openpty()
    tty.setraw(slave)
    Path(link).symlink_to(os.ttyname(slave))

    def speak() -> None:
        while True:
            if said := printer.readline().rstrip(b"\r\n"):
                os.write(master, said + b"\n")

    threading.Thread(target=speak, daemon=True).start()
    buffer = b""
    while True:
        buffer += os.read(master, 4096)
        *lines, buffer = buffer.split(b"\n")
        for line in lines:
            printer.write(line + b"\n")


if __name__ == "__main__":
    main()
