"""Fans, the light, the display, and the operator's scripts as buttons."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from bridge.commands import gcode_lines
from bridge.commands.base import Command, Context, Finite, NotNull, Program
from bridge.config import LightSettings
from bridge.errors import RejectedError
from bridge.gcode.line import format_number

_FULL = 255
_WHITE = (_FULL, _FULL, _FULL)
_Percent = Annotated[Finite, Field(ge=0, le=100)]
_Byte = Annotated[int, Field(strict=True, ge=0, le=_FULL)]

PART_FAN = "0"
"""The fan for part cooling."""

CASE_LIGHT = "TOGGLE_LIGHTS"
"""The capability of a firmware that can switch the case light (``M355``)."""


def has_light(light: LightSettings, capabilities: frozenset[str]) -> bool:
    """Return whether a printer has the light of its profile.

    Args:
        light: the profile's.
        capabilities: what the firmware reports.

    """
    return light.kind not in {"none", "auto"} or (
        light.kind == "auto" and CASE_LIGHT in capabilities
    )


class _Fan(Command):
    topic: ClassVar[str] = "fan"

    fan: (
        Annotated[int, Field(strict=True, ge=0, le=99)]
        | Annotated[str, Field(min_length=1, max_length=40)]
    ) = 0
    """0 is the fan for part cooling; the numbers or names of the others are those of
    the profile's `fans`."""

    def _set(self, percent: float, context: Context) -> Program:
        fan = str(self.fan)
        if fan == PART_FAN:
            return Program((f"M106 S{_of_byte(percent)}",))
        if fan not in context.profile.fans:
            raise RejectedError.invalid(
                f'fan: there is no fan "{fan}"; profile.fans lists the fans besides '
                "part cooling, which is fan 0",
                error="no_such_fan",
            )
        if context.dialect.named_outputs:
            share = format_number(round(percent / 100, 4))
            return Program((f"SET_FAN_SPEED FAN={fan} SPEED={share}",))
        if not fan.isdecimal():
            raise _unsupported(context, f"profile.fans: {fan}")
        return Program((f"M106 P{int(fan)} S{_of_byte(percent)}",))


class FanSpeed(_Fan):
    """Set the speed of a fan, also during a print."""

    name: ClassVar[str] = "speed"
    examples: ClassVar[tuple[Mapping[str, object], ...]] = (
        {"percent": 50},
        {"percent": 0},
    )

    percent: _Percent
    """0 turns the fan off."""

    def program(self, context: Context, /) -> Program:
        """Return the ``M106``; where fans have names, what sets the fan's.

        Raises:
            RejectedError: There is no such fan (400), or the firmware knows fans only
                by their numbers (409).

        """
        return self._set(self.percent, context)


class FanOn(_Fan):
    """Turn a fan on at full speed. If it is already running, nothing is sent."""

    name: ClassVar[str] = "on"
    examples: ClassVar[tuple[Mapping[str, object], ...]] = ({},)

    def program(self, context: Context, /) -> Program:
        """Return what :class:`FanSpeed` does, or no lines.

        Raises:
            RejectedError: As for :class:`FanSpeed`.

        """
        fans = {**context.accessories.fans, PART_FAN: context.modal.fan}
        full = self._set(100, context)
        return Program() if fans.get(str(self.fan)) else full


class SetLight(Command):
    """Switch the light, and set its brightness and color."""

    topic: ClassVar[str] = "light"
    name: ClassVar[str] = "set"
    examples: ClassVar[tuple[Mapping[str, object], ...]] = (
        {"on": True, "brightness": 50},
        {"on": False},
    )

    on: bool
    """Whether it is on."""
    brightness: Annotated[_Percent | None, NotNull] = None
    """In percent, for a light that can be dimmed. The default is the last one."""
    color: Annotated[
        tuple[_Byte, _Byte, _Byte] | None, Field(strict=False), NotNull
    ] = None
    """Red, green and blue, 0 to 255 each, for a light that has colors. The default is
    the last one, or white."""

    def program(self, context: Context, /) -> Program:
        """Return the line that switches the light of the profile.

        Raises:
            RejectedError: There is no light (409), or it has no name that the firmware
                knows (409).

        """
        light = context.profile.light
        if not has_light(light, context.capabilities):
            raise RejectedError.conflict(
                "light set: the printer has no light (profile.light)", "no_light"
            )
        match light.kind:
            case "rgb":
                return Program((self._rgb(context),))
            case "led":
                return Program((self._led(light, context),))
            case "pin":
                return Program((self._pin(light, context),))
        return Program((self._case(light),))

    def _case(self, light: LightSettings) -> str:
        dimmed = self.on and self.brightness is not None and light.dimmable
        level = f" P{_of_byte(self.brightness or 0)}" if dimmed else ""
        return f"M355 S{int(self.on)}{level}"

    def _rgb(self, context: Context) -> str:
        red, green, blue = self._color(context)
        level = _of_byte(self._brightness(context))
        if not self.on:
            red = green = blue = 0
        return f"M150 R{red} U{green} B{blue} P{level}"

    def _led(self, light: LightSettings, context: Context) -> str:
        if not context.dialect.named_outputs:
            raise _unsupported(context, "profile.light.kind: led")
        level = self._brightness(context) / 100 if self.on else 0.0
        parts = zip(("RED", "GREEN", "BLUE"), self._color(context), strict=True)
        shares = (
            f"{name}={format_number(round(value / _FULL * level, 4))}"
            for name, value in parts
        )
        return f"SET_LED LED={light.name} {' '.join(shares)}"

    def _pin(self, light: LightSettings, context: Context) -> str:
        level = self._brightness(context) if light.dimmable else 100.0
        level = level if self.on else 0.0
        if context.dialect.named_outputs:
            share = format_number(round(level / 100, 4))
            return f"SET_PIN PIN={light.name} VALUE={share}"
        if not (light.name or "").isdigit():
            raise _unsupported(context, f"profile.light.name: {light.name}")
        return f"M42 P{light.name} S{_of_byte(level)}"

    def _brightness(self, context: Context) -> float:
        if self.brightness is not None:
            return self.brightness
        light = context.accessories.light
        return (light and light.brightness) or 100.0

    def _color(self, context: Context) -> tuple[int, int, int]:
        light = context.accessories.light
        last = light.color if light is not None else None
        # Black is that of a light with a white channel of its own.
        return self.color or (last if last is not None and any(last) else _WHITE)


class ShowText(Command):
    """Show a text on the printer's display."""

    topic: ClassVar[str] = "display"
    name: ClassVar[str] = "show"
    examples: ClassVar[tuple[Mapping[str, object], ...]] = ({"text": "Coffee first"},)

    text: Annotated[str, Field(max_length=200)]
    """The text; most displays show about 20 characters. Line breaks become spaces, and
    characters that a firmware cannot read are replaced, with a `warning`."""

    def program(self, context: Context, /) -> Program:
        """Return the ``M117``.

        Raises:
            RejectedError: The line would be too long (400).

        """
        text = " ".join(self.text.split())
        line = gcode_lines.clean(f"M117 {text}".rstrip(), context, "text")
        return gcode_lines.program([line], context)


def _of_byte(percent: float) -> int:
    return round(percent * _FULL / 100)


def _unsupported(context: Context, what: str) -> RejectedError:
    return RejectedError.conflict(
        f"{what}: {context.dialect.name} firmware knows outputs only by their numbers",
        "not_supported",
    )


COMMANDS = (FanSpeed, FanOn, SetLight, ShowText)
