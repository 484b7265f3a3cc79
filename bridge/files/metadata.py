"""What a slicer says about a file in its comments."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Filament:
    """How much filament one tool uses.

    Attributes:
        tool: its number, counted from 0.
        length: in mm; ``None``: the slicer does not say.
        weight: in g; ``None``: the slicer does not say.
        material: such as ``PLA``; ``""``: the slicer does not say.

    """

    tool: int
    length: float | None = None
    weight: float | None = None
    material: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thumbnail:
    """Where in a file a thumbnail is.

    Attributes:
        type: how it is encoded.
        width: in pixels, as the slicer says.
        height: in pixels, as the slicer says.
        start: the offset of its first byte of base64 text, after which there may be
            line ends and the signs of comments.
        end: the offset after its last one.

    """

    type: Literal["png", "jpeg", "qoi"]
    width: int
    height: int
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What is known of a file without printing it. ``None``: the file does not say.

    Attributes:
        slicer: its name and version, such as ``PrusaSlicer 2.5.0``.
        seconds: the slicer's estimate of the time.
        filament: what each tool uses.
        layers: how many there are.
        layer_height: in mm.
        first_layer_height: in mm.
        max_z: the height of the part, in mm.
        tool_temperature: the first target of a hotend, in °C.
        bed_temperature: the first target of the bed, in °C.
        chamber_temperature: the first target of the chamber, in °C.
        objects: the names of the objects, in their order.
        thumbnails: where they are, the largest first.

    """

    slicer: str | None = None
    seconds: float | None = None
    filament: tuple[Filament, ...] = ()
    layers: int | None = None
    layer_height: float | None = None
    first_layer_height: float | None = None
    max_z: float | None = None
    tool_temperature: float | None = None
    bed_temperature: float | None = None
    chamber_temperature: float | None = None
    objects: tuple[str, ...] = ()
    thumbnails: tuple[Thumbnail, ...] = ()

    @property
    def filament_length(self) -> float | None:
        """The filament of all tools, in mm."""
        return _total([one.length for one in self.filament])

    @property
    def filament_weight(self) -> float | None:
        """The filament of all tools, in g."""
        return _total([one.weight for one in self.filament])


def _total(amounts: list[float | None]) -> float | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known else None
