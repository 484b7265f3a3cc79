"""Reports of measurements and of the firmware itself: temperatures, position, M115.

What they look like (tests/transcripts)::

    ok T:19.37 /0.00 B:19.37 /0.00 @:0 B@:0                  Marlin, to M105
     T:53.64 /100.00 B:19.37 /0.00 @:36 B@:0 W:?             Marlin, during M109
    B:22.8 /40.0 T0:33.9 /70.0                               Klipper
    X:0.00 Y:0.00 Z:0.00 E:0.00 Count X:0 Y:0 Z:0            Marlin, to M114
    FIRMWARE_NAME:Marlin 2.1.2 PROTOCOL_VERSION:1.0 …        Marlin, to M115

``@`` is the power of a heater.
"""

import re
from collections.abc import Iterable, Mapping

from bridge.gcode.dialects import Dialect
from bridge.gcode.reply_types import (
    FirmwareReport,
    PositionReport,
    Reading,
    Targets,
    TemperatureReport,
)

# Nine digits are more than any machine needs, and keep floats finite.
_NUMBER = r"[-+]?(?:\d{1,9}(?:\.\d{0,20})?|\.\d{1,20})"
_UNREADABLE = r"nan|[-+]?inf(?:inity)?|ovf|-{2,}|\?+"
"""What a firmware prints for a temperature that it cannot measure. Arduino's ``Print``
turns such a number into ``nan``, ``inf`` or ``ovf``
(https://docs.arduino.cc/language-reference/en/functions/communication/serial/print/),
for example if a thermistor is not connected."""
_UNREAD = re.compile(_UNREADABLE, re.ASCII | re.IGNORECASE)
_VALUE = rf"{_NUMBER}|{_UNREADABLE}"
# One reading, with its target behind a slash (Marlin, Klipper) or a blank. The blank is
# for old firmwares; a name with a colon after it begins the next reading.
_ENTRY = re.compile(
    rf"(?:^|(?<=\s))(?P<name>[A-Za-z_]\w*):\s*(?P<actual>{_VALUE})(?![\w.])"
    rf"(?:\s*/\s*(?P<slashed>{_VALUE})|\s+(?P<bare>{_NUMBER})(?=\s|$))?",
    re.ASCII | re.IGNORECASE,
)
_DECORATION = re.compile(r"(?:^|(?<=\s))=+(?=[A-Z])", re.ASCII)
"""Creality's firmware for the CR-10S Pro writes ``==T:195.00 /195.00 ==B:45.33``
(https://github.com/OctoPrint/OctoPrint/issues/2861;
tests/transcripts/reports/octoprint-cr10s-pro-target.log)."""

_NAME = re.compile(r"(?P<letter>[ABCHLMPRSX])\d{0,3}", re.ASCII)
"""Names of sensors other than hotends and the bed: ambient (A), zones of the bed (B0,
B1; the first is the bed), chamber (C), cooler (L), board (M), probe (P), redundant (R)
and those of forks, with a number if there are several
(https://marlinfw.org/docs/gcode/M105.html; B0 and B1 are a Snapmaker's,
tests/transcripts/reports/octoprint-snapmaker-zones.log).

Longer words that look like readings are noise (``OOOOT:199.8``). Other letters belong
to axes and numbers, because two lines may arrive as one (``T:20.1 /0.0 X:6.65 Y:0.00``,
``T:20.1 /0.0ok N:14``). Only Prusa's firmware for the MK4 and similar printers calls
its heatbreak ``X``, and reports it with a target (``X1:30.00/36.00`` of an XL,
tests/transcripts/reports/octoprint-prusa-xl.log)."""

_FIRST = re.compile(r"[A-Z]\d{0,3}", re.ASCII)
"""How the name of a report's first reading looks: most begin with ``T``, Klipper's with
``B``."""

_ANY_NAME = re.compile(r"(?![XYZEW]$)[A-Za-z]\w{0,31}", re.ASCII)
"""Names that the owner of a Klipper or a Smoothieware can give to a sensor, such as
``F`` (a safety thermistor, https://smoothieware.org/safety-thermistor). The letters
left out are those of axes, and Marlin's ``E:`` and ``W:`` (:data:`_WAITING`)."""

_OWNERS = re.compile(r"\S+: ?\S+ ?/\S+", re.ASCII)
"""Such a reading always has a target (tests/transcripts/klipper/05_temperature.txt)."""

_COLDEST, _HOTTEST = -273.0, 1000.0
"""°C; readings outside are not temperatures. RepRapFirmware reports -273.1 for a
missing sensor and 2000 for a broken one
(https://docs.duet3d.com/User_manual/Troubleshooting/Heater_temperature)."""

_TOOL = re.compile(r"T\d{1,3}", re.ASCII)
_HEATER = re.compile(r"T\d{0,3}|B", re.ASCII)
_WAITING = re.compile(r"\s(?P<name>[EW]):\s*[\d?]", re.ASCII)
"""During ``M109``: the number of the extruder (``T:60.4 E:0 W:?``, Marlin 1), and the
seconds for which the temperature must still hold, ``?`` until it is reached
(Marlin 2.1, tests/transcripts/marlin/m21-heating.txt)."""

_POSITION = re.compile(
    rf"(?:C:\s*)?X:\s*(?P<x>{_NUMBER})[\s,]*Y:\s*(?P<y>{_NUMBER})"
    rf"[\s,]*Z:\s*(?P<z>{_NUMBER})(?P<rest>.*)",
    re.ASCII,
)
"""``X:0.00 Y:0.00 Z:0.00 E:0.00 Count X:0 Y:0 Z:0`` (Marlin,
tests/transcripts/marlin/m21-basic.txt), ``X:0.000 Y:0.000 Z:0.000 E:0.000`` (Klipper,
tests/transcripts/klipper/02_basic_queries.txt). Old firmwares put ``C:`` in front of it
(Smoothieware: ``ok C: X:0.0000 …``)."""

_AXIS = re.compile(
    rf"[\s,]*(?P<axis>[A-Z])(?P<tool>\d{{0,3}}):\s*(?P<value>{_NUMBER})", re.ASCII
)
"""What follows: further axes (``U:``, ``A:``) and the extruders, in RepRapFirmware as
``E:0.000 E0:0.0 E1:0.0`` (Q-2)."""

_TARGET = re.compile(
    rf"Target(?P<heater>Extr\d{{1,3}}|Bed):\s*(?P<target>{_NUMBER})",
    re.ASCII | re.IGNORECASE,
)
"""``TargetExtr0:200``, ``TargetBed:60`` (Repetier, Q-1)."""

_KEY = re.compile(r"(?:^|(?<=\s))(?P<key>[A-Z][A-Z0-9_-]*)(?::|\.:?(?=\s))", re.ASCII)
"""A key in the answer to ``M115``. Malyan writes ``NAME.`` in some versions, and
``NAME:`` in others (Q-3)."""


def parse_temperatures(text: str, dialect: Dialect) -> TemperatureReport | None:
    """Return the readings of a report such as ``T:20.1 /0.0 B:19.4 /0.0 @:0``.

    ``None``: the text is not a report. If a heater is listed twice, the first reading
    counts; of a tool with a number, the last, because some firmwares list the active
    tool first, also under the name ``T0``.
    """
    text = _DECORATION.sub("", text)
    first = _ENTRY.match(text)
    if first is None or not _begins_report(first, dialect):
        return None
    readings: dict[str, Reading] = {}
    for match in _ENTRY.finditer(text):
        name = match["name"]
        if not _is_reading(match, dialect):
            continue
        name = dialect.extra_sensors.get(name, name)
        if name not in readings or _TOOL.fullmatch(name):
            reading = Reading(_measured(match["actual"]), _wanted(_target(match)))
            readings[name] = reading
    if "B" not in readings and "B0" in readings:
        readings["B"] = readings.pop("B0")
    if not _has_heater(readings):
        return None
    told = (match["name"] for match in _WAITING.finditer(text))
    waiting = any(name not in dialect.extra_sensors for name in told)
    return TemperatureReport(readings, waiting=waiting)


def _begins_report(entry: re.Match[str], dialect: Dialect) -> bool:
    return _FIRST.fullmatch(entry["name"]) is not None or _is_owners(entry, dialect)


def _is_reading(entry: re.Match[str], dialect: Dialect) -> bool:
    name = entry["name"]
    if name in dialect.extra_sensors or _HEATER.fullmatch(name):
        return True
    if dialect.names_sensors:
        return _is_owners(entry, dialect)
    found = _NAME.fullmatch(name)
    return found is not None and (
        found["letter"] != "X" or entry["slashed"] is not None
    )


def _is_owners(entry: re.Match[str], dialect: Dialect) -> bool:
    """Return whether an entry is one whose name its owner may have given it."""
    return (
        dialect.names_sensors
        and _ANY_NAME.fullmatch(entry["name"]) is not None
        and _OWNERS.fullmatch(entry[0]) is not None
    )


def _has_heater(names: Iterable[str]) -> bool:
    """Return whether readings are temperatures.

    The joints of a delta machine are called A, B and C, and no hotend is among them.
    """
    names = set(names)
    if "A" in names and not any(name[0] == "T" for name in names):
        return False
    return any(_HEATER.fullmatch(name) for name in names)


def parse_targets(text: str) -> Targets | None:
    """Return the target of a line such as ``TargetExtr0:200`` (Q-1)."""
    match = _TARGET.match(text)
    if match is None:
        return None
    heater = match["heater"].lower()
    name = "B" if heater == "bed" else f"T{int(heater.removeprefix('extr'))}"
    return Targets({name: float(match["target"])})


def parse_position(text: str) -> PositionReport | None:
    """Return the position of a report such as ``X:1.00 Y:2.00 Z:-0.00 E:0.00``.

    Several extruders (``E0:… E1:…``) are distinguished; ``e`` is then the first's.
    """
    match = _POSITION.match(text)
    if match is None:
        return None
    x, y, z = (float(match[axis]) + 0.0 for axis in "xyz")
    extruders: list[float] = []
    single: float | None = None
    rest = match["rest"]
    while found := _AXIS.match(rest):  # other axes than E may stand before it
        if found["axis"] == "E":
            value = float(found["value"]) + 0.0
            if found["tool"]:
                extruders.append(value)
            else:
                single = value
        rest = rest[found.end() :]
    if single is None and extruders:
        single = extruders[0]
    return PositionReport(x, y, z, single, tuple(extruders))


def is_field(text: str) -> bool:
    """Return whether a line is another part of the answer to ``M115``."""
    return _KEY.match(text) is not None


def parse_firmware(text: str) -> FirmwareReport | None:
    """Return what ``M115`` says: ``KEY:value KEY:value …``, blanks in the values."""
    fields: dict[str, str] = {}
    keys = list(_KEY.finditer(text))
    ends = [*(key.start() for key in keys[1:]), len(text)]
    for key, end in zip(keys, ends, strict=False):
        fields.setdefault(key["key"], text[key.end() : end].strip(" ,\t"))
    name = fields.get("FIRMWARE_NAME")
    if name is None and "NAME" in fields:
        name = f"{fields['NAME']} {fields.get('VER', '')}".strip()
    return None if name is None else FirmwareReport(name, fields)


def _target(match: re.Match[str]) -> str | None:
    return match["slashed"] or match["bare"]


def _finite(text: str | None) -> float | None:
    if text is None or _UNREAD.fullmatch(text):
        return None
    return float(text) + 0.0  # no -0.0


def _measured(text: str) -> float | None:
    value = _finite(text)
    return value if value is None or _COLDEST < value < _HOTTEST else None


def _wanted(text: str | None) -> float | None:
    """Return a target; ``None`` if no heater can have it.

    Creality's firmware for the CR-10S Pro says ``/-28416.00`` until a target is set
    (https://github.com/OctoPrint/OctoPrint/issues/2861), RepRapPro's ``/-273.0`` for a
    tool that does not exist (https://github.com/OctoPrint/OctoPrint/issues/104).
    """
    return None if text is None else _measured(text)


def is_placeholder(readings: Mapping[str, Reading]) -> bool:
    """Return whether this is the ``T:0`` of a firmware without a reading yet."""
    return readings == {"T": Reading(0.0)}
