"""What is kept of a print on disk, in case it is interrupted."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from bridge.printer.printing.print_file import PrintFile

EVERY = 5.0
"""Seconds between two writes of the checkpoint during a print."""


class Checkpoint(BaseModel):
    """How far a print has come, and which settings people have changed.

    The position and the modes follow from the lines of the file up to here, so they are
    not kept.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    job: str
    """The id of the print."""
    name: str
    path: str
    size: int
    """Of the file, in bytes."""
    seconds: float | None = None
    layers: int | None = None
    filament: float | None = None
    family: str
    """The firmware's dialect."""
    line: int
    """How many lines of the file precede the next one that was not acknowledged."""
    byte: int
    layer: int | None
    z: float | None
    """Its height in mm."""
    targets: dict[str, float]
    """°C by heater, with the offsets."""
    excluded: tuple[str, ...] = ()
    speed_factor: float | None = None
    """``M220`` in %, if people have changed what the file set."""
    flow_factor: float | None = None
    """``M221`` in %, likewise."""


class Kept(BaseModel):
    """The file on the disk."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    checkpoint: Checkpoint | None = None
    """Of the print under way, or of the last one if it was interrupted."""


def checkpoint(  # noqa: PLR0913 - all that is kept
    file: PrintFile,
    *,
    family: str,
    line: int,
    byte: int,
    layer: int | None,
    z: float | None,
    targets: Mapping[str, float],
    excluded: tuple[str, ...],
    speed_factor: float | None = None,
    flow_factor: float | None = None,
) -> Checkpoint:
    """Return what is kept of a print at this moment."""
    return Checkpoint(
        job=file.job,
        name=file.name,
        path=str(file.path),
        size=file.size,
        seconds=file.seconds,
        layers=file.layers,
        filament=file.filament,
        family=family,
        line=line,
        byte=byte,
        layer=layer,
        z=z,
        targets=dict(targets),
        excluded=excluded,
        speed_factor=speed_factor,
        flow_factor=flow_factor,
    )
