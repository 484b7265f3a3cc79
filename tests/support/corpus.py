"""G-code files that real slicers wrote.

* ``cura_cube``: CuraEngine 4.13, which is without the program Cura around it, and so
  leaves ``{machine_depth}`` in the end code, and placeholders in the first lines;
* ``ps_cube``, ``ps_cyl_relE``: PrusaSlicer 2.5.0 with absolute and relative E;
* ``ps_mk3``: PrusaSlicer 2.5.0 with the start code of Prusa's profile for the MK3S;
* ``ps_two_tools``: PrusaSlicer 2.5.0 for Marlin 2 and two tools.
"""

import lzma
from collections.abc import Mapping
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent.parent / "corpus"

NAMES = ("cura_cube", "ps_cube", "ps_cyl_relE", "ps_mk3", "ps_two_tools")
UNEXPANDED = b"{machine_depth}"
"""What CuraEngine has left in ``cura_cube``."""


@cache
def content(name: str) -> bytes:
    """Return a file of the corpus as the slicer wrote it."""
    return lzma.decompress((_FOLDER / f"{name}.gcode.xz").read_bytes())


@cache
def printable() -> Mapping[str, bytes]:
    """Return all files by name, without what must not be printed."""
    return {name: content(name).replace(UNEXPANDED, b"220") for name in NAMES}
