"""Reads what slicers say about a file in its comments.

Only what is named here is read. Settings follow in comments too, and can hold the key
of a print host (``printhost_apikey``), so no comment is passed on as it is.

The facts come from the heads and tails of files that PrusaSlicer, SuperSlicer, Slic3r,
OrcaSlicer, Bambu Studio, Cura, ideaMaker, Simplify3D, KISSlicer, Fusion 360 and
Snapmaker Luban write; tests/files/slicers has one of each.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal


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


_PAIR = re.compile(r"(?P<key>[^=:,]{1,48}?)\s*[=:,]\s*(?P<value>.*)")
"""A key and its value: ``key = value`` (PrusaSlicer, KISSlicer), ``KEY:value`` (Cura,
ideaMaker), ``key,value`` (Simplify3D). No key that is read has more characters."""

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?", re.ASCII | re.IGNORECASE)
_CLOCK = re.compile(r"(?:(\d{1,6}):)?(\d{1,6}):(\d{1,6})", re.ASCII)
_UNITS = re.compile(r"(\d+(?:\.\d+)?)\s*([dhms])[a-z]*", re.ASCII | re.IGNORECASE)
_SECONDS = {"d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_SLOT = re.compile(r"[1-9]\d?", re.ASCII)
_LONGEST_PRINT = 366 * 86_400.0
"""Seconds; a longer estimate is a damaged or meaningless number."""

_LARGEST = 1e6
"""Beyond any length, weight and temperature; CuraEngine writes ``;MAXZ:2.14748e+06``
before it has sliced."""

# A file can contain any number of comments; what is kept of them is published and stays
# in memory.
_MOST_OBJECTS = 200
_MOST_THUMBNAILS = 16
_MOST_TOOLS = 16  # printers with more are rare
_LONGEST_NAME = 120  # characters

_TIMES = (
    "total estimated time",
    "estimated printing time (normal mode)",
    "estimated printing time",
    "print.time",
    "estimated_time(s)",
    "print time",
    "build time",
    "estimated build time",
    "calculated-during-export build time",
    "time",
    "time_elapsed",
)
"""Keys with the time of the whole print, the best first: Bambu Studio; PrusaSlicer and
its forks; Cura for Ultimakers (``PRINT.TIME``); Snapmaker Luban; ideaMaker and Fusion
(``Print Time``); Simplify3D; KISSlicer; Cura (``TIME``, and ``TIME_ELAPSED`` behind
each layer)."""

_LENGTHS = {
    "filament used [mm]",
    "total filament length [mm]",
    "filament length",
    "material length",
}
"""PrusaSlicer and its forks, Bambu Studio, Simplify3D 4 and 5. Those of Cura and Slic3r
have units and a handler (``filament used``)."""

_WEIGHTS = {
    "filament used [g]",
    "total filament weight [g]",
    "plastic weight",
    "material weight",
}
"""From the same slicers."""

_LENGTH_OF = re.compile(
    r"(?:material#(\d+) used|ext #?(\d+)|extruder (\d+) material used)", re.ASCII
)
"""One extruder's filament in mm: ideaMaker, KISSlicer, Fusion."""

_TYPE_OF = re.compile(r"filament type #(\d+)", re.ASCII)
"""ideaMaker."""

# The keys below hold one number each. Those with "_" are settings of PrusaSlicer and
# its forks, Bambu Studio (initial_layer) or KISSlicer (layer_thickness_mm,
# temperature_c, bed_c); "layerheight" is Simplify3D's.
_LAYER_COUNTS = (
    "layer_count",
    "total layer number",
    "total layers count",
    "layer count",
)
_LAYER_HEIGHTS = ("layer_height", "layer height", "layerheight", "layer_thickness_mm")
_FIRST_HEIGHTS = ("first_layer_height", "initial_layer_print_height")
_MAX_Z = ("max_z_height", "maxz")
_TOOL = ("first_layer_temperature", "nozzle_temperature_initial_layer", "temperature_c")
_BED = ("first_layer_bed_temperature", "bed_c")
_CHAMBER = ("chamber_temperature",)
# Bambu Studio and OrcaSlicer have a bed temperature for each kind of plate, and name
# the plate in curr_bed_type.
_PLATES: Mapping[str, str] = {
    "cool plate": "cool_plate_temp_initial_layer",
    "engineering plate": "eng_plate_temp_initial_layer",
    "high temp plate": "hot_plate_temp_initial_layer",
    "textured pei plate": "textured_plate_temp_initial_layer",
}
_NUMBERS = {
    *_LAYER_COUNTS,
    *_LAYER_HEIGHTS,
    *_FIRST_HEIGHTS,
    *_MAX_Z,
    *_TOOL,
    *_BED,
    *_CHAMBER,
    *_PLATES.values(),
}

# Comments that name the slicer and its version, and what is put in front of the match.
# The first is that of Slic3r, PrusaSlicer and its forks.
_SLICERS = (
    (re.compile(r"generated by (\S+(?: \S+)*?) on \d"), ""),
    (re.compile(r"generated by (\S+ \d[\w.+-]*)"), ""),
    (re.compile(r"(BambuStudio \d[\d.]*)"), ""),
    (re.compile(r"Generated with Cura_SteamEngine (\S+)"), "Cura "),
    (re.compile(r"Sliced by (ideaMaker [^\s,]+)"), ""),
    (re.compile(r"G-Code generated by Simplify3D\(R\) Version (\S+)"), "Simplify3D "),
    (re.compile(r"(Fusion) version: "), ""),
)
# KISSlicer's version is two comments below its name.
_KISSLICER = "KISSlicer"
_KISSLICER_VERSION = re.compile(r"version (\d[\d.]*)")

# "thumbnail begin 220x124 16156", "thumbnail_QOI begin …" (PrusaSlicer, its forks);
# "png begin 200*200 …" (for Creality's screens).
_THUMBNAIL = re.compile(
    r"(?:thumbnail(?:_(?P<type>\w+))?|(?P<creality>png|jpg)) begin "
    r"(?P<width>\d{1,5})[x* ](?P<height>\d{1,5})(?: |$)",
    re.ASCII,
)
_Type = Literal["png", "jpeg", "qoi"]
_TYPES: Mapping[str, _Type] = {
    "": "png",
    "png": "png",
    "jpg": "jpeg",
    "jpeg": "jpeg",
    "qoi": "qoi",
}
# Snapmaker Luban: the whole picture in one comment.
_DATA = re.compile(
    r"thumbnail:\s*data:image/(?P<type>png|jpe?g);base64,", re.ASCII | re.IGNORECASE
)

# A layer begins: PrusaSlicer and its forks; Bambu Studio; Cura and ideaMaker;
# Simplify3D; KISSlicer.
_LAYER = re.compile(
    r"(?:LAYER_CHANGE$|CHANGE_LAYER$|LAYER:(?=\d)|layer (?=\d+, Z = )|BEGIN_LAYER_OBJ)",
    re.ASCII,
)
# How high it is: Simplify3D, KISSlicer.
_HEIGHT = re.compile(
    r"(?:layer \d+, Z = |(?:BEGIN|END)_LAYER_OBJECT z=)(?P<z>\d[\d.]*)", re.ASCII
)
# PrusaSlicer and its forks, with "Label objects" on.
_OBJECT = "printing object "

_PLACEHOLDER_TIME = 6666.0
"""Seconds that CuraEngine writes before it has sliced. Cura replaces them, together
with ``;Filament used: 0m``."""


def duration(text: str) -> float | None:
    """Return a slicer's duration in seconds; ``None``: it is none.

    Slicers write ``1d 2h 3m 4s``, ``0 hours 34 minutes``, ``332.83 minutes``,
    ``1h:20m:36s``, ``2:11:47``, or seconds alone.
    """
    text = text.strip()
    if _NUMBER.fullmatch(text):
        seconds = float(text)
    elif match := _CLOCK.fullmatch(text):
        hours, minutes, rest = match.groups(default="0")
        seconds = int(hours) * 3600.0 + int(minutes) * 60.0 + int(rest)
    else:
        parts = _UNITS.findall(text)
        seconds = sum(float(number) * _SECONDS[unit.lower()] for number, unit in parts)
    return seconds if 0 < seconds <= _LONGEST_PRINT else None


def _number(text: str) -> float | None:
    match = _NUMBER.match(text.strip())
    number = float(match[0]) if match else 0.0
    return number if 0 < number < _LARGEST else None


class CommentReader:
    """Collects the metadata of one file, comment by comment."""

    def __init__(self) -> None:
        self._slicer = ""
        self._seconds: dict[str, float] = {}
        self._lengths: dict[int, float] = {}
        self._weights: dict[int, float] = {}
        self._materials: list[str] = []
        self._slots: list[int] = []
        self._by_slot = False
        self._numbers: dict[str, float] = {}
        self._first_percent: float | None = None
        self._first_height: float | None = None
        self._plate = ""
        self._layers: Counter[str] = Counter()
        self._highest = 0.0
        self._defined: dict[str, None] = {}
        self._objects: dict[str, None] = {}
        self._meshes: dict[str, None] = {}
        self._thumbnails: list[Thumbnail] = []
        self._open: tuple[_Type | None, int, int, int] | None = None

    def comment(self, text: str, start: int, end: int) -> None:
        """Read the next comment.

        Args:
            text: the line, from its ``;`` on, without blanks around it.
            start: its offset in the file.
            end: the offset of the next line.

        """
        body = text.lstrip("; \t")
        if self._open is not None:
            if body.endswith(" end"):
                self._close_thumbnail(*self._open, start)
            return
        if begin := _THUMBNAIL.match(body):
            kind = _TYPES.get((begin["type"] or begin["creality"] or "").lower())
            self._open = (kind, int(begin["width"]), int(begin["height"]), end)
        elif data := _DATA.match(body):
            first = start + text.index("base64,") + len("base64,")
            self._add_thumbnail(_TYPES[data["type"].lower()], 0, 0, first, end)
        else:
            self._read(body)

    def defined(self, name: str) -> None:
        """Note the name of an object that a command defines."""
        self._add(self._defined, name)

    def metadata(self) -> Metadata:
        """Return what was found; temperatures are those of the settings."""
        bed = self._first((_PLATES.get(self._plate, ""), *_BED))
        layers = self._first(_LAYER_COUNTS) or max(self._layers.values(), default=0)
        pictures = sorted(self._thumbnails, key=lambda one: -one.width * one.height)
        return Metadata(
            slicer=self._slicer or None,
            seconds=self._time(),
            filament=self._filament(),
            layers=int(layers) or None,
            layer_height=self._first(_LAYER_HEIGHTS),
            first_layer_height=self._first_layer_height(),
            max_z=self._first(_MAX_Z) or self._highest or None,
            tool_temperature=self._first(_TOOL),
            bed_temperature=bed,
            chamber_temperature=self._first(_CHAMBER),
            objects=tuple(self._defined or self._objects or self._meshes),
            thumbnails=tuple(pictures),
        )

    # Comments

    def _read(self, body: str) -> None:
        if layer := _LAYER.match(body):
            self._layers[layer[0]] += 1
        if height := _HEIGHT.match(body):
            self._note_highest(height["z"])
        elif body.startswith(_OBJECT):
            self._add(self._objects, body.removeprefix(_OBJECT))
        elif pair := _PAIR.match(body):
            self._pair(pair["key"].lower(), pair["value"].strip())
        if not self._slicer or self._slicer == _KISSLICER:
            self._note_slicer(body)

    def _pair(self, key: str, value: str) -> None:
        if key in _TIMES:
            self._note_time(key, value)
        elif key in _LENGTHS:
            self._fill(self._lengths, value, by_slot=key.startswith("total"))
        elif key in _WEIGHTS:
            self._fill(self._weights, value, by_slot=key.startswith("total"))
        elif (handler := self._HANDLERS.get(key)) is not None:
            handler(self, value)
        elif key in _NUMBERS:
            self._note_number(key, value)
        elif match := _LENGTH_OF.fullmatch(key):
            tool = int(match[1] or match[2] or match[3]) - 1
            if 0 <= tool < _MOST_TOOLS and (length := _number(value)):
                self._lengths.setdefault(tool, length)
        elif _TYPE_OF.fullmatch(key) and len(self._materials) < _MOST_TOOLS:
            self._materials.append(value[:_LONGEST_NAME])

    def _note_slicer(self, body: str) -> None:
        if body.startswith(_KISSLICER):
            self._slicer = _KISSLICER
        elif self._slicer:
            if match := _KISSLICER_VERSION.match(body):
                self._slicer = f"{_KISSLICER} {match[1]}"
        else:
            for pattern, name in _SLICERS:
                if match := pattern.match(body):
                    self._slicer = f"{name}{match[1]}"[:_LONGEST_NAME]
                    return

    def _note_time(self, key: str, text: str) -> None:
        seconds = duration(text)
        # In Cura's files, each layer ends with the time up to there.
        if seconds is not None and (key == "time_elapsed" or key not in self._seconds):
            self._seconds[key] = seconds

    def _note_model_time(self, text: str) -> None:
        # Bambu Studio: "1h 2m; total estimated time: 1h 8m", which includes heating.
        model, _, total = text.partition("; total estimated time:")
        self._note_time("total estimated time", total or model)

    def _note_number(self, key: str, text: str) -> None:
        number = _number(text)
        if number is not None:
            self._numbers.setdefault(key, number)

    def _note_layer_height(self, text: str) -> None:
        self._note_height(text)  # Bambu Studio writes it at each layer
        self._note_number("layer_height", text)

    def _note_first_layer_height(self, text: str) -> None:
        if text.endswith("%"):
            self._first_percent = _number(text)
        else:
            self._note_number("first_layer_height", text)

    def _note_height(self, text: str) -> None:
        if self._layers and self._first_height is None:
            self._first_height = _number(text)

    def _note_highest(self, text: str) -> None:
        self._highest = max(self._highest, _number(text) or 0.0)

    def _note_plate(self, text: str) -> None:
        self._plate = text.lower()

    def _note_materials(self, text: str) -> None:
        names = [name.strip(' "')[:_LONGEST_NAME] for name in text.split(";")]
        self._materials = names[:_MOST_TOOLS]

    def _note_slots(self, text: str) -> None:
        slots = [slot.strip() for slot in text.split(",")]
        if all(_SLOT.fullmatch(slot) for slot in slots):
            self._slots = [int(slot) - 1 for slot in slots][:_MOST_TOOLS]

    def _note_mesh(self, text: str) -> None:
        if text != "NONMESH":
            self._add(self._meshes, text)

    def _note_filament_used(self, text: str) -> None:
        # Cura: 0.59m, 0.53m. Slic3r: 1504.9mm (3.6cm3).
        for tool, part in enumerate(text.split(",")[:_MOST_TOOLS]):
            if amount := _number(part):
                factor = 1.0 if "mm" in part else 1000.0
                self._lengths.setdefault(tool, amount * factor)

    def _fill(self, amounts: dict[int, float], text: str, *, by_slot: bool) -> None:
        if amounts:
            return
        self._by_slot = self._by_slot or by_slot
        for tool, part in enumerate(text.split(",")[:_MOST_TOOLS]):
            if amount := _number(part):
                amounts[tool] = amount

    @staticmethod
    def _add(names: dict[str, None], name: str) -> None:
        name = name.replace('"', "").strip()[:_LONGEST_NAME]
        if name and len(names) < _MOST_OBJECTS:
            names[name] = None

    def _close_thumbnail(
        self, kind: _Type | None, width: int, height: int, start: int, end: int
    ) -> None:
        self._open = None
        if kind is not None:
            self._add_thumbnail(kind, width, height, start, end)

    def _add_thumbnail(
        self, kind: _Type, width: int, height: int, start: int, end: int
    ) -> None:
        if len(self._thumbnails) < _MOST_THUMBNAILS:
            self._thumbnails.append(
                Thumbnail(type=kind, width=width, height=height, start=start, end=end)
            )

    # Results

    def _first(self, keys: Sequence[str]) -> float | None:
        return next((self._numbers[key] for key in keys if key in self._numbers), None)

    def _time(self) -> float | None:
        if self._seconds.get("time") == _PLACEHOLDER_TIME and not self._lengths:
            del self._seconds["time"]
        return next(
            (self._seconds[key] for key in _TIMES if key in self._seconds), None
        )

    def _first_layer_height(self) -> float | None:
        usual = self._first(_LAYER_HEIGHTS)
        if self._first_percent is not None and usual is not None:
            return usual * self._first_percent / 100.0
        return self._first(_FIRST_HEIGHTS) or self._first_height

    def _filament(self) -> tuple[Filament, ...]:
        used = sorted({*self._lengths, *self._weights})
        slots = self._slots if self._by_slot else []
        found = []
        for index in used:
            tool = slots[index] if index < len(slots) else index
            material = ""
            if self._materials:
                material = self._materials[min(tool, len(self._materials) - 1)]
            length, weight = self._lengths.get(index), self._weights.get(index)
            found.append(Filament(tool, length, weight, material))
        return tuple(found)

    _HANDLERS: ClassVar[Mapping[str, Callable[["CommentReader", str], None]]] = {
        "filament used": _note_filament_used,
        "filament_type": _note_materials,
        "filament": _note_slots,
        "model printing time": _note_model_time,
        "curr_bed_type": _note_plate,
        "first_layer_height": _note_first_layer_height,
        "height": _note_height,
        "layer_height": _note_layer_height,
        "mesh": _note_mesh,
        "printing": _note_mesh,  # ideaMaker
        "z": _note_highest,
        "z_height": _note_highest,
    }
