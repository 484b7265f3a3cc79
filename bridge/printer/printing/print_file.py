"""What a printer has to know of a file to print it."""

from dataclasses import dataclass
from pathlib import PurePath


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintFile:
    """A file to be printed.

    Attributes:
        job: the id of the print, short and unique.
        path: where it is on the disk.
        name: its path as people know it, such as ``parts/cube.gcode``.
        size: in bytes.
        lines: how many lines are sent; ``None``: not known.
        seconds: how long the print takes, as the slicer says; ``None``: not known.
        layers: how many layers it has; likewise.
        filament: mm of filament that it needs; likewise.
        objects: the names of the objects that can be excluded, as far as known.

    """

    job: str
    path: PurePath
    name: str
    size: int
    lines: int | None = None
    seconds: float | None = None
    layers: int | None = None
    filament: float | None = None
    objects: tuple[str, ...] = ()
