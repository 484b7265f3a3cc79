"""Moves in lines of G-code: where they end, and whether the machine may go there."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from bridge.config import Profile
from bridge.errors import RejectedError
from bridge.gcode.codes import Moves, Sets
from bridge.gcode.line import Line, format_number
from bridge.gcode.modal import Modal, track

_AXES = ("x", "y", "z")
_HINT = "; whether E is relative here differs: send G90 with M82, or G91 with M83"
_SLACK = 1e-6  # mm; rounding errors in sums of decimals


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where the head is, and in which modes the next line is carried out.

    Attributes:
        modal: the modal state.
        position: mm by axis (``x``, ``y``, ``z``, ``e``), in the printer's coordinates;
            an axis that is not known is missing.
        only_m82_sets_extruder: as :class:`~bridge.gcode.dialects.Dialect` has it.

    """

    modal: Modal
    position: Mapping[str, float]
    only_m82_sets_extruder: bool | None = False

    def readings(self, axis: str) -> set[bool]:
        """Return whether the firmware moves an axis relatively; both if not known."""
        modal = self.modal
        if axis != "e":
            return {modal.relative}
        if self.only_m82_sets_extruder:
            return {modal.own_relative_e}
        last, either = modal.relative_e, modal.relative or modal.own_relative_e
        alone = () if self.only_m82_sets_extruder is False else (modal.own_relative_e,)
        return {last, either, *alone}


def follow(
    start: Whereabouts, line: Line, profile: Profile, *, g90_sets_extruder: bool
) -> Whereabouts:
    """Return where a line ends, with its effect on the modal state.

    After a macro, and after codes that move by themselves, no axis is known any more.
    Arcs are checked at their end. After a ``G92`` the limits hold for the
    printer's new coordinates.

    Raises:
        RejectedError: ``out_of_limits``: it leaves the volume, pushes too much filament
            or is too fast.

    """
    if line.row.is_move:
        position = _moved(start, line, profile)
    else:
        position = _after(line, start.position)
    modal = track(start.modal, line, g90_sets_extruder=g90_sets_extruder)
    return replace(start, modal=modal, position=position)


def moves(line: Line) -> bool:
    """Return whether a line may move the head, or change its coordinates."""
    if line.row.is_move:
        return any(axis in line.values for axis in "XYZE")
    return not _is_still(line)


def _after(line: Line, position: Mapping[str, float]) -> Mapping[str, float]:
    given = {letter.lower(): text for letter, text in line.parameters}
    if line.row.moves is Moves.SETS:
        return _set_position(given, position)
    if line.row.moves is Moves.HOME:
        homed = given.keys() & _AXES or _AXES
        return {axis: at for axis, at in position.items() if axis not in homed}
    return position if _is_still(line) else {}


def _set_position(
    given: Mapping[str, str], position: Mapping[str, float]
) -> Mapping[str, float]:
    said = {axis: float(given[axis]) for axis in given if _is_axis(given, axis)}
    return {**position, **said} if said else {}


def _is_still(line: Line) -> bool:
    """Return whether a line leaves the head where it is: an M code, if not known."""
    if line.is_known:
        return line.row.moves is Moves.NO and line.row.sets is not Sets.TOOL
    return line.code[:1] == "M" and line.code[1:2].isdigit()


def _is_axis(given: Mapping[str, str], letter: str) -> bool:
    return letter in {*_AXES, "e"} and given[letter] != ""


def _moved(start: Whereabouts, line: Line, profile: Profile) -> Mapping[str, float]:
    position = dict(start.position)
    for letter, text in line.parameters:
        axis = letter.lower()
        if axis == "f" and text and float(text) > profile.max_speed:
            raise _beyond(
                f"{line}: {format_number(float(text))} mm/min is faster than "
                f"{format_number(profile.max_speed)} mm/min (profile.max_speed)"
            )
        if axis not in {*_AXES, "e"}:
            continue
        before = position.pop(axis, None)
        if not text:
            continue
        ends = set()
        readings = start.readings(axis)
        for relative in readings:
            leg = _Leg(
                axis=axis,
                value=float(text),
                relative=relative,
                sure=len(readings) == 1,
                before=before,
            )
            leg.check(line, profile)
            ends.add(leg.after)
        end = ends.pop()
        if end is not None and not ends:
            position[axis] = end
    return position


@dataclass(frozen=True, slots=True, kw_only=True)
class _Leg:
    """One axis of one move; in mm, ``None`` where it is not known."""

    axis: str
    value: float
    relative: bool
    sure: bool
    before: float | None

    @property
    def after(self) -> float | None:
        if not self.relative:
            return self.value
        return None if self.before is None else self.before + self.value

    @property
    def length(self) -> float | None:
        if self.relative:
            return self.value
        return None if self.before is None else self.value - self.before

    def check(self, line: Line, profile: Profile) -> None:
        if self.axis == "e":
            self._check_extrusion(line, profile)
            return
        reach: tuple[float, float] | None = getattr(profile.volume, self.axis)
        if reach is not None:
            self._check_reach(line, reach)

    def _check_extrusion(self, line: Line, profile: Profile) -> None:
        longest = profile.max_extrusion
        if self.length is not None and abs(self.length) > longest + _SLACK:
            hint = "" if self.sure else _HINT
            raise _beyond(
                f"{line}: {format_number(self.length)} mm of filament is more than "
                f"{format_number(longest)} mm at once (profile.max_extrusion){hint}"
            )

    def _check_reach(self, line: Line, reach: tuple[float, float]) -> None:
        lowest, highest = reach
        limits = f"{format_number(lowest)} to {format_number(highest)} mm"
        limit = f"{limits} (profile.volume.{self.axis})"
        if self.after is None:
            if abs(self.value) > highest - lowest + _SLACK:
                raise _beyond(
                    f"{line}: {format_number(self.value)} mm along {self.axis} is "
                    f"longer than the axis, {limit}"
                )
            return
        # A head that is outside, as after homing, may come back step by step.
        if self.before is not None:
            lowest, highest = min(lowest, self.before), max(highest, self.before)
        if not lowest - _SLACK <= self.after <= highest + _SLACK:
            raise _beyond(
                f"{line}: {self.axis} would be at {format_number(self.after)} mm, "
                f"outside {limit}"
            )


def _beyond(message: str) -> RejectedError:
    return RejectedError.invalid(message, error="out_of_limits")
