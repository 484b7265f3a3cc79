"""The print head: moves, homing, feedrate factor."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Annotated, ClassVar, Literal, Self

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)

from bridge.commands.base import Command, Context, Finite, NotNull, Program
from bridge.commands.values import Distance, FactorOrPercent, SpeedOrFalse
from bridge.errors import RejectedError
from bridge.gcode import modal
from bridge.gcode.line import format_number, read
from bridge.gcode.modal import Modal

_AXES = ("x", "y", "z")
_Move = Annotated[Distance | None, NotNull]


class Jog(Command):
    """Move the print head, and restore the positioning mode afterwards."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": [axis]} for axis in _AXES]}
    )
    topic: ClassVar[str] = "head"
    name: ClassVar[str] = "jog"
    needs_idle: ClassVar[bool] = True
    examples: ClassVar[tuple[Mapping[str, object], ...]] = (
        {"x": 10, "y": -5, "z": 0.02},
        {"x": 100, "y": 100, "absolute": True, "speed": 3000},
        {"z": 5, "speed": False},
    )

    x: _Move = None
    """Distance in mm, or the coordinate if `absolute` is true."""
    y: _Move = None
    """Distance in mm, or the coordinate if `absolute` is true."""
    z: _Move = None
    """Distance in mm, or the coordinate if `absolute` is true."""
    absolute: bool = False
    """Whether `x`, `y` and `z` are coordinates instead of distances."""
    speed: SpeedOrFalse | None = None
    """Feedrate in mm/min. The default is the lowest of the profile's `speeds` for the
    axes that move; with `false`, the printer's last feedrate applies."""

    @model_validator(mode="after")
    def _moves(self) -> Self:
        if not self._distances():
            raise ValueError("a jog needs at least one of x, y, z")
        return self

    def _distances(self) -> dict[str, float]:
        given = {axis: getattr(self, axis) for axis in _AXES}
        return {axis: value for axis, value in given.items() if value is not None}

    def program(self, context: Context, /) -> Program:
        """Return ``G91`` (or ``G90``), the ``G0``, and what restores the mode."""
        distances = self._distances()
        speed = self.speed
        if speed is None:
            speeds = context.profile.speeds
            speed = min(getattr(speeds, axis) for axis in distances)
        words = [
            f"{axis.upper()}{format_number(value)}" for axis, value in distances.items()
        ]
        if speed:
            words.append(f"F{format_number(speed)}")
        mode = "G90" if self.absolute else "G91"
        return restoring_modes(context, (mode, " ".join(["G0", *words])), "G0")


def _letters(value: object) -> object:
    """Return a list of lower-case axes, for example from ``"X, Y"`` or ``"all"``."""
    if isinstance(value, str) and value:
        text = value.lower()
        value = [] if text == "all" else list(re.sub(r"[\s,]+", "", text) or value)
    if isinstance(value, list):
        return [item.lower() if isinstance(item, str) else item for item in value]
    return value


class Home(Command):
    """Home the given axes, or all of them."""

    topic: ClassVar[str] = "head"
    name: ClassVar[str] = "home"
    needs_idle: ClassVar[bool] = True
    examples: ClassVar[tuple[Mapping[str, object], ...]] = (
        {"axes": ["x", "y"]},
        {"axes": []},
    )

    axes: Annotated[
        tuple[Literal["x", "y", "z"], ...],
        Field(max_length=12, strict=False),
        BeforeValidator(_letters),
        WithJsonSchema(
            {
                "anyOf": [
                    {
                        "type": "array",
                        "items": {"enum": [*_AXES, *map(str.upper, _AXES)]},
                        "maxItems": 12,
                    },
                    {"type": "string", "pattern": "^([xyzXYZ, ]{1,40}|all)$"},
                ]
            }
        ),
    ]
    """The axes in this order, as a list or as a text such as `"xy"` or `"x, y"`. An
    empty list or `"all"` homes all axes."""

    def program(self, context: Context, /) -> Program:
        """Return ``G91``, the ``G28``, and what restores the mode."""
        words = [f"{axis.upper()}0" for axis in dict.fromkeys(self.axes)]
        return restoring_modes(context, ("G91", " ".join(["G28", *words])), "G0")


_Direction = Annotated[Literal[-1, 1] | None, NotNull]


class JogStep(Command):
    """Move the print head by the distance that `jog_distance` has set.

    For buttons: two of them move each axis, and one control sets how far.
    """

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": [axis]} for axis in _AXES]}
    )
    topic: ClassVar[str] = "head"
    name: ClassVar[str] = "jog_step"
    needs_idle: ClassVar[bool] = True
    examples: ClassVar[tuple[Mapping[str, object], ...]] = ({"x": 1}, {"z": -1})

    x: _Direction = None
    """1 or -1."""
    y: _Direction = None
    """1 or -1."""
    z: _Direction = None
    """1 or -1."""

    @model_validator(mode="after")
    def _moves(self) -> Self:
        if self.x is None and self.y is None and self.z is None:
            raise ValueError("a step needs at least one of x, y, z")
        return self

    def program(self, context: Context, /) -> Program:
        """Return what `jog` does."""
        far = context.accessories.jog_distance
        given = {axis: getattr(self, axis) for axis in _AXES}
        moves = {axis: sign * far for axis, sign in given.items() if sign is not None}
        return Jog.model_validate(moves).program(context)


class JogDistance(Command):
    """Set how far `jog_step` moves. Nothing is sent to the printer."""

    topic: ClassVar[str] = "head"
    name: ClassVar[str] = "jog_distance"
    examples: ClassVar[tuple[Mapping[str, object], ...]] = ({"distance": 10},)

    distance: Annotated[Finite, Field(gt=0, le=1000)]
    """In mm; 1 when the bridge starts."""

    def program(self, _context: Context, /) -> Program:
        """Return the choice, and no lines."""
        return Program(choices={"jog_distance": self.distance})


_LONGEST_STEP = 1.0
"""mm of one line: firmwares limit a babystep, Marlin's to 2 mm (``M290``)."""


class Babystep(Command):
    """Move the nozzle along z for all later moves as well, also during a print."""

    topic: ClassVar[str] = "head"
    name: ClassVar[str] = "babystep"
    examples: ClassVar[tuple[Mapping[str, object], ...]] = ({"z": -0.02},)

    z: Annotated[Finite, Field(ge=-20, le=20)]
    """In mm; negative towards the bed."""

    def program(self, context: Context, /) -> Program:
        """Return the babysteps.

        Raises:
            RejectedError: Their sum would be beyond `profile.max_z_offset` (400), or
                the firmware has none (409).

        """
        return _babysteps(context.accessories.z_offset + self.z, context, "babystep")


class ZOffset(Command):
    """Set the sum of the babysteps, also during a print."""

    topic: ClassVar[str] = "head"
    name: ClassVar[str] = "z_offset"
    examples: ClassVar[tuple[Mapping[str, object], ...]] = ({"offset": 0.05},)

    offset: Annotated[Finite, Field(ge=-20, le=20)]
    """In mm from where the nozzle was when the connection began; negative towards the
    bed. `state` has the present sum."""

    def program(self, context: Context, /) -> Program:
        """Return the babysteps that are missing; none if it is so already.

        Raises:
            RejectedError: As for `babystep`.

        """
        return _babysteps(self.offset, context, "z_offset")


def _babysteps(wanted: float, context: Context, name: str) -> Program:
    form, limit = context.dialect.babystep, context.profile.max_z_offset
    if not form:
        raise RejectedError.conflict(
            f"head {name}: {context.dialect.name} firmware has no babysteps, as far as "
            "is known",
            "not_supported",
        )
    if abs(wanted) > limit + _ROUNDING:
        raise RejectedError.invalid(
            f"head {name}: the sum would be {wanted:.4g} mm, beyond "
            f"profile.max_z_offset, {limit:g} mm",
            error="out_of_limits",
        )
    left, lines = round(wanted - context.accessories.z_offset, 4), []
    while left:
        step = max(-_LONGEST_STEP, min(left, _LONGEST_STEP))
        lines.append(form.format(mm=format_number(step)))
        left = round(left - step, 4)
    return Program(tuple(lines))


_ROUNDING = 1e-6  # mm


class Feedrate(FactorOrPercent):
    """Set the feedrate factor of all moves, including those of a running print."""

    topic: ClassVar[str] = "head"
    name: ClassVar[str] = "feedrate"
    examples: ClassVar[tuple[Mapping[str, object], ...]] = (
        {"factor": 105},
        {"factor": 1.05},
        {"percent": 105},
    )

    def program(self, _context: Context, /) -> Program:
        """Return the ``M220``."""
        return Program((f"M220 S{self.whole_percent}",))


class MotorsOff(Command):
    """Turn off all stepper motors. The printer loses its position."""

    topic: ClassVar[str] = "head"
    name: ClassVar[str] = "motors_off"
    needs_no_print: ClassVar[bool] = True

    def program(self, _context: Context, /) -> Program:
        """Return the ``M18``."""
        return Program(("M18",))


COMMANDS = (
    *(Jog, JogStep, JogDistance, Home),
    *(Babystep, ZOffset, Feedrate, MotorsOff),
)


_MODE_CODES = ("G90", "G91", "M82", "M83")


def restoring_modes(context: Context, lines: Sequence[str], move: str) -> Program:
    """Return a program that restores the modal state after its lines.

    Args:
        context: the modal state before the lines, and the firmware's rules for it.
        lines: the lines; the effects of G90, G91, M82, M83, G0, G1 and G28 are undone.
        move: ``G0`` or ``G1``, the code that restores the feedrate.

    The feedrate is restored if it is known. Before anybody has set one, the firmware's
    default is unknown and cannot be queried, so the feedrate of the move remains.

    """
    now = context.modal
    modes = Modal(now.relative, now.relative_e, now.own_relative_e)
    setting = tuple(line for line in lines if line in _MODE_CODES)
    orders = _orders(modes, setting, context.dialect.g90_sets_extruder)
    return Program(tuple(lines), (*orders, *_feed(context, lines, move)))


@lru_cache(maxsize=64)
def _orders(
    before: Modal,
    lines: tuple[str, ...],
    g90_sets_extruder: bool,  # noqa: FBT001 - a cache takes its keys by position
) -> tuple[str, ...]:
    """Return the lines that restore the modes after lines that set some.

    ``before`` has nothing but modes. There are few combinations, and each jog asks.
    """
    axes = "G91" if before.relative else "G90"
    extruder = "M83" if before.own_relative_e else "M82"
    orders = [(axes,), (extruder, axes), (axes, extruder)]
    if "G91" not in lines:
        orders.insert(0, ())
    # Whether G90 also sets the extruder's mode differs even between versions of one
    # firmware, so the modes must be right under both interpretations.
    for order in orders[:-1]:
        after = before
        for line in (*lines, *order):
            after = modal.track(after, line, g90_sets_extruder=g90_sets_extruder)
        if after == before:
            return order
    return orders[-1]


def _feed(context: Context, lines: Sequence[str], move: str) -> list[str]:
    before = context.modal.feedrate
    if before is None:
        return []
    after = before
    for line in lines:
        said = read(line, context.dialect.name)  # the family that it is parsed for
        if said.row.is_move:
            after = said.values.get("F") or after
    return [] if after == before else [f"{move} F{format_number(before)}"]
