"""What was set besides heaters and motors: fans, the light, babysteps, the display.

Firmwares report none of this, so it is known from the lines that were sent. What a file
on the SD card or somebody at the printer sets is not seen.

``None`` means that nothing has set it since the connection began.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from bridge.config import LightSettings, Profile
from bridge.gcode.line import Line

Color = tuple[int, int, int]
"""Red, green and blue, 0 to 255 each."""

_FULL = 255  # M106 S, M150 and M42 S: full power (https://marlinfw.org/meta/gcode/)
_PERCENT = 100.0
# The only codes after which something here may have changed.
_CODES = {
    *("M106", "M107", "M117", "M150", "M290", "M355", "M42"),
    *("SET_FAN_SPEED", "SET_PIN", "SET_LED", "SET_GCODE_OFFSET"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LightState:
    """A light as it was set last.

    Attributes:
        on: it is on.
        brightness: in percent, of one that is off as it was before; ``None``: not
            known.
        color: its color, likewise; ``None``: not known, or it has none.

    """

    on: bool
    brightness: float | None = None
    color: Color | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Accessories:
    """What was set last.

    Attributes:
        fans: percent of the fans besides part cooling, by their ids in the profile.
        light: the light; ``None``: not known.
        z_offset: sum of the babysteps along z in mm.
        display: the last text for the display.
        jog_distance: mm of ``head`` ``jog_step``.
        extrude_length: mm of ``tool`` ``extrude_step``.

    """

    fans: Mapping[str, float] = field(default_factory=dict)
    light: LightState | None = None
    z_offset: float = 0.0
    display: str = ""
    jog_distance: float = 1.0
    extrude_length: float = 5.0


def reconnected(known: Accessories) -> Accessories:
    """Return what is known after a new connection: what the bridge itself keeps."""
    return Accessories(
        jog_distance=known.jog_distance, extrude_length=known.extrude_length
    )


def chosen(known: Accessories, choices: Mapping[str, float]) -> Accessories:
    """Return what is known after a choice of ``jog_distance`` or ``extrude_length``."""
    return replace(
        known,
        jog_distance=choices.get("jog_distance", known.jog_distance),
        extrude_length=choices.get("extrude_length", known.extrude_length),
    )


def after(known: Accessories, line: Line, profile: Profile) -> Accessories:
    """Return what is known after a line was sent.

    Args:
        known: before.
        line: the line.
        profile: says which fans and which light there are.

    """
    if line.code not in _CODES:
        return known
    match line.code:
        case "M117":
            return replace(known, display=line.argument)
        case "M106" | "M107" | "SET_FAN_SPEED":
            return _with_fan(known, line, profile)
        case "M290" | "SET_GCODE_OFFSET":
            return replace(known, z_offset=_offset(known.z_offset, line))
    light = _light(known.light, line, profile.light)
    return known if light is known.light else replace(known, light=light)


def percent_of(value: float) -> float:
    """Return percent of a firmware's 0 to 255."""
    return round(max(0.0, min(value, _FULL)) * _PERCENT / _FULL, 1)


def _with_fan(known: Accessories, line: Line, profile: Profile) -> Accessories:
    if line.code == "SET_FAN_SPEED":
        named = _names(line).get("FAN", "")
        fan = named if named in profile.fans else None
        percent = _share(_names(line).get("SPEED"))
    else:
        given = line.values.get("P")
        fan = f"{given:g}" if given else None  # the one for part cooling is modal
        speed = line.values.get("S")
        percent = percent_of(_FULL if speed is None else speed)
        if line.code == "M107":
            percent = 0.0
    if fan is None or percent is None:
        return known
    return replace(known, fans={**known.fans, fan: percent})


def _offset(before: float, line: Line) -> float:
    """Return the sum of the babysteps after a line.

    ``M290`` takes ``Z``, or ``S`` for it, as a step; in RepRapFirmware ``R0`` makes it
    the sum. Klipper has ``Z`` for the sum and ``Z_ADJUST`` for a step.
    """
    if line.code == "SET_GCODE_OFFSET":
        names = _names(line)
        total, step = _number(names.get("Z")), _number(names.get("Z_ADJUST"))
    else:
        step = line.values.get("Z")
        step = line.values.get("S") if step is None else step
        total = step if line.values.get("R") == 0 else None
    if total is not None:
        return round(total, 4)
    return round(before + (step or 0.0), 4)


def _light(
    known: LightState | None, line: Line, light: LightSettings
) -> LightState | None:
    match line.code, light.kind:
        case "M355", "case" | "auto":
            return _case_light(known, line)
        case "M150", "rgb":
            return _rgb(line, known)
        case "SET_LED", "led" if _names(line).get("LED") == light.name:
            return _led(line, known)
        case "SET_PIN", "pin" if _names(line).get("PIN") == light.name:
            return _dimmed(_share(_names(line).get("VALUE")), known)
        case "M42", "pin" if _is_number(line.values.get("P"), light.name or ""):
            value = line.values.get("S")
            return _dimmed(None if value is None else percent_of(value), known)
    return known


def _case_light(known: LightState | None, line: Line) -> LightState | None:
    on, level = line.values.get("S"), line.values.get("P")
    if on is None and level is None:
        return known  # it only asks
    before = known or LightState(on=True)
    brightness = before.brightness if level is None else percent_of(level)
    lit = before.on if on is None else on > 0
    return LightState(on=lit, brightness=brightness)


def _rgb(line: Line, known: LightState | None) -> LightState:
    red, green, blue, white = (line.values.get(letter) or 0.0 for letter in "RUBW")
    given = line.values.get("P")
    level = percent_of(_FULL if given is None else given)
    color: Color | None = (_byte(red), _byte(green), _byte(blue))
    lit = bool(any((red, green, blue)) or white)
    if known is not None and not lit:
        color = known.color  # black is no color to go on with
    return LightState(on=level > 0 and lit, brightness=level, color=color)


def _led(line: Line, known: LightState | None) -> LightState:
    """Return the light after ``SET_LED``, whose numbers are brightness and color."""
    names = _names(line)
    parts = [_share(names.get(key)) or 0.0 for key in ("RED", "GREEN", "BLUE")]
    level = max(*parts, _share(names.get("WHITE")) or 0.0)
    if not level:
        return _off(known)
    red, green, blue = (_byte(part * _FULL / level) for part in parts)
    return LightState(on=True, brightness=level, color=(red, green, blue))


def _dimmed(level: float | None, known: LightState | None) -> LightState | None:
    if level is None:
        return known
    return LightState(on=True, brightness=level) if level > 0 else _off(known)


def _off(known: LightState | None) -> LightState:
    return LightState(on=False) if known is None else replace(known, on=False)


def _names(line: Line) -> Mapping[str, str]:
    return dict(line.parameters)


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _share(text: str | None) -> float | None:
    """Return percent of Klipper's 0 to 1."""
    value = _number(text)
    return None if value is None else round(max(0.0, min(value, 1.0)) * _PERCENT, 1)


def _byte(value: float) -> int:
    return round(max(0.0, min(value, _FULL)))


def _is_number(value: float | None, name: str) -> bool:
    return value is not None and name.isdigit() and int(name) == value
