"""Moves in lines of G-code: where they lead, and whether the machine may go there."""

from dataclasses import dataclass, field, replace
from functools import lru_cache
from math import inf

from bridge.config import Profile
from bridge.errors import RejectedError
from bridge.gcode.codes import Moves, Sets
from bridge.gcode.dialects import MARLIN, Dialect
from bridge.gcode.line import MOVES, Line, format_number
from bridge.gcode.modal import Modal, track
from bridge.printer.limits import arcs, shifts
from bridge.printer.limits.coordinates import AXES, SET, UNKNOWN, Coordinates
from bridge.printer.limits.filament import FilamentLimit

_SLACK = 1e-6  # mm; rounding errors in sums of decimals
_PERCENT = 100.0
# Letters of a G1 that change what kind of move it is; R returns to a saved position.
_SPECIAL = {"reprapfirmware": "HRS", "unknown": "HR"}
_KINDS = {1, 2, 3, 4}
"""RepRapFirmware's ``G1 H1`` to ``H4`` (``S1`` to ``S3`` before version 3) are homing
moves and moves of single motors, which ignore the axis limits
(https://docs.duet3d.com/User_manual/Reference/Gcodes)."""
_RETRACTS = {"S"}
"""Letters of a ``G10`` that is a retraction: ``S1`` is a long one, for a tool change
(https://marlinfw.org/docs/gcode/G010.html)."""
_AXIS_OF = {"X": "x", "Y": "y", "Z": "z", "E": "e"}

_Range = tuple[float, float]
_Inside = dict[str, tuple[str, float, float]]
"""By the letter: the axis, and the range of the numbers after it."""
_ALL: _Range = (-inf, inf)
_NONE: _Range = (inf, -inf)
_NEVER: _Inside = {letter: (axis, *_NONE) for letter, axis in _AXIS_OF.items()}
"""If numbers are distances, each is checked closely."""

# The table says that the position is unknown after these, but the head does not move:
# they save a position or the modes.
_STILL = {"G60", "M120", "SAVE_GCODE_STATE"}
# These do not extrude; other codes after which the position is unknown may.
_DRY = {"M48", "M401", "M402"}
_PRINTS = "G26"  # prints a pattern, whose extrusion its letters state
# These bring back the modes that M120 or SAVE_GCODE_STATE saved, or a pause.
_RESTORES_MODES = {"M121", "RESTORE_GCODE_STATE", "RESUME"}
_IN_DOUBT = frozenset({"feedrate", "speed", "flow"})
_MOVED = frozenset("XYZE")
# These change the coordinates as well.
_RESTORING = {*_RESTORES_MODES, "G53", "G92.1", "G92.2", "G92.3"}
_OTHER_AXES = frozenset("ABCUVW")  # further axes of RepRapFirmware and Marlin
_FACTORS = {Sets.SPEED: "speed", Sets.FLOW: "flow"}
_PROBES = {"G30", "M48", "G38", "G38.2", "G38.3", "G38.4", "G38.5"}
_PARKS = {"M125", "M240", "M600", "M601"}
_SETS_TOOL = -2  # G30 S-2: RepRapFirmware sets the offset of the tool
_RETURNS = "M240"
"""Takes a photograph: moves to I and J, and returns to where it was, or to a point that
is A and B mm from there (https://marlinfw.org/docs/gcode/M240.html)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InitialState:
    """What the first line of a command finds.

    Attributes:
        profile: the machine and its limits.
        dialect: how the firmware reads modes, and what it does on homing.
        modal: the modal state.
        coordinates: where the head is.

    """

    profile: Profile = field(default_factory=Profile)
    dialect: Dialect = MARLIN
    modal: Modal = field(default_factory=Modal)
    coordinates: Coordinates = field(default_factory=Coordinates)


def follows(code: str) -> bool:
    """Return whether a code changes how later numbers are understood, or is checked."""
    if code in shifts.MESHES:
        return False
    return code in shifts.FOLLOWED or code in _PROBES or code in _PARKS


def moves(line: Line) -> bool:
    """Return whether a line may move the head, or change its coordinates."""
    row = line.row
    if row.is_move:
        return not _MOVED.isdisjoint(line.values)
    if line.code in shifts.MOVED_BY and row.moves is not Moves.SETS:
        return shifts.moves(line)
    return row.moves is not Moves.NO or row.sets is Sets.TOOL or not line.is_known


def lost(coordinates: Coordinates, line: Line) -> Coordinates:
    """Return the coordinates while a line is under way, or after it has failed."""
    if line.code in shifts.RETRACTIONS:
        frame = shifts.retracting(coordinates.frame, line, surely=False)
        return coordinates.in_frame(frame)
    if not moves(line):
        return coordinates
    if line.code in MOVES:  # as most lines of a print
        frame = coordinates.frame
        known = coordinates.position or coordinates.spans
        return Coordinates(frame=frame) if known else coordinates
    frame = shifts.unsure(coordinates.frame, line)
    if line.code in _RESTORING:
        frame = shifts.restored(frame)
    return Coordinates(frame=frame)


@lru_cache(maxsize=64)
def _ranges(
    x: _Range | None, y: _Range | None, z: _Range | None
) -> tuple[dict[str, _Range], _Inside, _Inside]:
    """Return the limits by axis, and which numbers of a move need no closer check.

    The latter if numbers are places on the machine, and if they are shifted.
    """
    given = {"x": x, "y": y, "z": z}
    limits = {axis: known for axis, known in given.items() if known is not None}
    free = {axis: _ALL for axis in AXES if axis not in limits}
    inside, shifted = (
        {letter: (axis, *known.get(axis, _NONE)) for letter, axis in _AXIS_OF.items()}
        for known in (free | limits, free)
    )
    return limits, inside, shifted


class Walk:
    """Follows the lines of one command, and refuses the first that leads too far.

    Args:
        start: what its first line finds.
        sums: the filament of all lines together is limited, as for a command, and not
            only that of each line, as for a file.

    """

    def __init__(self, start: InitialState, *, sums: bool = True) -> None:
        profile = start.profile
        self._profile = profile
        self._dialect = start.dialect
        self._modal = start.modal
        self._here = start.coordinates
        volume = profile.volume
        ranges = _ranges(volume.x, volume.y, volume.z)
        self._reach, self._inside, self._shifted = ranges
        self._own_g0 = start.dialect.own_g0_feedrate
        special = _SPECIAL.get(start.dialect.name, "")
        self._special = special if self._reach else ""
        self._feedrate = start.modal.feedrate or start.dialect.default_feedrate
        self._feedrate_before = start.modal.feedrate
        self._filament = FilamentLimit(profile.max_extrusion, sums=sums)
        self._note_modes()

    def step(self, line: Line) -> Coordinates:
        """Return where the head is after the next line.

        Raises:
            RejectedError: ``out_of_limits`` (400): it leaves the machine's axes, pushes
                too much filament or is too fast. ``position_unknown`` (409): that
                cannot be told until the position is known.

        """
        row = line.row
        if row.moves is Moves.STRAIGHT:
            self._straight(line)
        elif row.moves is Moves.ARC:
            self._arc(line)
        elif (shifting := shifts.FOLLOWED.get(line.code)) is not None:
            self._shift(line, shifting)
        elif line.code == "G11":
            self._filament.recover(line, self._here.frame)
        elif row.moves is not Moves.NO or row.sets is Sets.TOOL or not line.is_known:
            self._move(line)
        sets = row.sets
        if sets is not Sets.NOTHING and sets is not Sets.FAN:
            self._set_mode(line)
        return self._here

    @property
    def coordinates(self) -> Coordinates:
        """Where the head is, as far as that is known."""
        return self._here

    @property
    def modal(self) -> Modal:
        """The modal state."""
        return self._modal

    def skip(self, line: Line) -> None:
        """Continue after a line that was refused and is executed anyway.

        If the line has absolute coordinates, the head is there.
        """
        ends: dict[str, float | None] = {}
        absolute = dict.fromkeys(AXES, self._axes_relative == (False,))
        absolute["e"] = self._e_relative == (False,)
        if line.row.is_move:
            for letter, axis in _AXIS_OF.items():
                if letter in line.values:
                    ends[axis] = line.values[letter] if absolute[axis] else None
            there = {**self._here.without(ends).position}
            there.update({axis: at for axis, at in ends.items() if at is not None})
            self._here = self._here.at(there)
        else:
            self._here = lost(self._here, line)

    def _shift(self, line: Line, shifting: shifts.Shifting) -> None:
        here, tool = self._here, self._modal.tool
        there = shifting(here, line, tool)
        if line.code in shifts.SPACES and not self._dialect.workspaces:
            there = shifts.without_workspaces(there, tool)
        self._here = there
        if line.code == "G10" and line.values.keys() <= _RETRACTS:
            self._filament.retract(self._here.frame)
        if not line.values.get("MOVE"):
            return
        for axis in self._reach:
            before, after = here.machine(axis, tool), there.machine(axis, tool)
            if before is not None and after is not None:
                self._check_inside(line, axis, after, before)
            elif there.frame.shifts != here.frame.shifts:
                raise self._unknown(line, axis)

    def _move(self, line: Line) -> None:
        if line.row.moves is Moves.HOME:
            self._home(line)
        elif line.code in _PROBES or line.code in _PARKS:
            self._to_known_place(line)
        elif line.code == "G61":
            self._return(line)
        elif line.code not in _STILL and not self._keeps_tool(line):
            self._anywhere(line)

    def _return(self, line: Line) -> None:
        """Check a return to a saved place, which the head has been at before."""
        if any(line.values.get(axis) for axis in "XYZ"):
            raise _beyond(
                f"{line}: the numbers would be added to a saved place, which is not "
                "known here; write only the letters"
            )
        if "E" in line.values:
            raise _beyond(
                f"{line}: it is not known how much filament E would move; leave it out"
            )
        self._anywhere(line)

    def _set_mode(self, line: Line) -> None:
        self._modal = track(
            self._modal,
            line,
            g90_sets_extruder=self._dialect.g90_sets_extruder,
        )
        frame = self._here.frame
        sets = line.row.sets
        axes = sets is Sets.ABSOLUTE or sets is Sets.RELATIVE
        extruder = sets is Sets.ABSOLUTE_E or sets is Sets.RELATIVE_E
        if axes and not frame.relative_known:
            self._here = self._here.in_frame(replace(frame, relative_known=True))
        elif extruder and not frame.relative_e_known:
            self._here = self._here.in_frame(replace(frame, relative_e_known=True))
        elif sets in _FACTORS and "S" in line.values:
            self._note_factor(_FACTORS[sets], line.values["S"] or 0.0)
        self._note_modes()

    def _note_factor(self, which: str, percent: float) -> None:
        frame = self._here.frame
        speed, flow = frame.factors
        if which == "speed":
            speed = max(speed, percent)
        else:
            flow = max(flow, percent)
        frame = replace(
            frame, factors=(speed, flow), doubtful=frame.doubtful.difference({which})
        )
        self._here = self._here.in_frame(frame)

    # Modes

    def _note_modes(self) -> None:
        modal = self._modal
        self._axes_relative: tuple[bool, ...] = (modal.relative,)
        if not self._here.frame.relative_known:
            self._axes_relative = (False, True)
        self._e_relative = self._readings_of_e()
        # A factor below 100 % raises no limit: it may be that of another tool, or one
        # that the firmware does not know or has reset.
        frame = self._here.frame
        speed, flow = modal.speed_factor or 0.0, modal.flow_factor or 0.0
        if frame.doubtful:
            speed = max(speed, frame.factors[0] if "speed" in frame.doubtful else 0.0)
            flow = max(flow, frame.factors[1] if "flow" in frame.doubtful else 0.0)
            if "feedrate" in frame.doubtful:  # none was higher without a factor
                self._feedrate = self._profile.max_speed
        self._speed = max(1.0, speed / _PERCENT)
        self._flow = max(1.0, flow / _PERCENT)

    def _readings_of_e(self) -> tuple[bool, ...]:
        """Return whether the firmware reads E as relative; both if not known."""
        modal, only_m82 = self._modal, self._dialect.only_m82_sets_extruder
        if not self._here.frame.relative_e_known:
            return (False, True)
        if only_m82:
            return (modal.own_relative_e,)
        last, either = modal.relative_e, modal.relative or modal.own_relative_e
        alone = () if only_m82 is False else (modal.own_relative_e,)
        return tuple({last, either, *alone})

    # Moves

    def _straight(self, line: Line) -> None:
        # The most frequent code of a print: all moves that need no closer check are
        # done with one look at a table.
        self._check_speed(line)
        if self._axes_relative != (False,):
            inside = _NEVER
        else:
            inside = self._shifted if self._here.frame.shifts else self._inside
        position: dict[str, float] | None = None
        for letter, number in line.values.items():
            limits = inside.get(letter)
            if limits is None:
                if letter in self._special:
                    self._check_kind(line, letter)
                continue
            if position is None:
                position = dict(self._here.position)
            axis, lowest, highest = limits
            if number is not None and lowest <= number <= highest:
                position[axis] = number
            else:
                self._place(position, line, axis, number)
        if position is not None:
            self._here = self._here.at(position)

    def _place(
        self, position: dict[str, float], line: Line, axis: str, number: float | None
    ) -> None:
        """Check the move along one axis, and put where it ends into ``position``."""
        before = position.pop(axis, None)
        value = 0.0 if number is None else number
        if axis == "e":
            after = self._filament.move(
                line, before, value, self._e_relative, self._flow
            )
        else:
            after = self._check_reach(line, axis, before, value)
        if after is not None and number is not None:
            position[axis] = after

    @staticmethod
    def _check_kind(line: Line, letter: str) -> None:
        """Refuse RepRapFirmware's moves to other places than their numbers say."""
        number = line.values[letter]
        if letter == "R" and line.row.moves is Moves.STRAIGHT:
            raise _beyond(
                f"{line}: with R its numbers would be added to a saved place, which is "
                "not known here"
            )
        if letter != "R" and number in _KINDS:
            raise _beyond(
                f"{line}: with {letter}{format_number(number or 0.0)} it could go "
                "beyond the axes' limits"
            )

    def _check_speed(self, line: Line) -> None:
        feedrate = line.values.get("F")
        if feedrate:
            if feedrate < 0:
                raise _beyond(f"{line}: a feedrate must not be negative")
            self._feedrate = feedrate
            frame = self._here.frame
            if "feedrate" in frame.doubtful:
                known = replace(frame, doubtful=frame.doubtful - {"feedrate"})
                self._here = self._here.in_frame(known)
        elif len(line.values) == ("F" in line.values):
            return
        speed = self._feedrate * self._speed
        if self._speed > 1 and line.code == "G0" and not feedrate and self._own_g0:
            speed = self._profile.max_speed * self._speed  # that of an earlier G0
        if speed <= self._profile.max_speed:
            return
        if (
            feedrate
            and feedrate == self._feedrate_before
            and len(line.values) == 1
            and not (line.code == "G0" and self._own_g0)
        ):
            return  # it moves nothing, and was in force before, as after an extrusion
        limit = f"{format_number(self._profile.max_speed)} mm/min (profile.max_speed)"
        by = ""
        if self._speed != 1.0:
            by = f" with the speed factor of {format_number(self._speed * 100)} %"
        raise _beyond(
            f"{line}: {format_number(speed)} mm/min is faster than {limit}{by}"
        )

    def _check_reach(
        self, line: Line, axis: str, before: float | None, value: float
    ) -> float | None:
        """Return the coordinate after a move, ``None`` if that is not known."""
        limits = self._reach.get(axis)
        ends = set()
        for relative in self._axes_relative:
            after: float | None = value
            if relative:
                after = None if before is None else before + value
            if limits is not None:
                self._check_end(line, axis, before, after, value)
            ends.add(after)
        return ends.pop() if len(ends) == 1 else None

    def _check_end(
        self,
        line: Line,
        axis: str,
        before: float | None,
        after: float | None,
        value: float,
    ) -> None:
        if after is None:
            self._check_span(line, axis, value)
            return
        shift = self._here.frame.shift(axis, self._modal.tool)
        if shift is None:
            if before != after:
                raise self._unknown(line, axis)
            return
        self._check_inside(
            line, axis, after + shift, None if before is None else before + shift
        )

    def _check_inside(
        self, line: Line, axis: str, place: float, before: float | None
    ) -> None:
        limits = self._reach.get(axis)
        if limits is None:
            return
        lowest, highest = limits
        # A head that is outside, as after homing, may come back step by step.
        if before is not None:
            lowest, highest = min(lowest, before), max(highest, before)
        if not lowest - _SLACK <= place <= highest + _SLACK:
            raise _beyond(
                f"{line}: {axis} would be at {format_number(place)} mm, "
                f"outside {self._shown(axis)}"
            )

    def _check_span(self, line: Line, axis: str, value: float) -> None:
        """Check a relative move from a place that is not known.

        After homing it is a place within the range, so moves may differ by its length.
        """
        lowest, highest = self._reach[axis]
        if value == 0:
            return
        if abs(value) > highest - lowest + _SLACK:
            raise _beyond(
                f"{line}: {format_number(value)} mm along {axis} is longer than the "
                f"axis, {self._shown(axis)}"
            )
        span = self._here.spans.get(axis)
        if span is None:
            raise self._unknown(line, axis)
        at, least, most = span
        at += value
        least, most = min(least, at), max(most, at)
        if most - least > highest - lowest + _SLACK:
            raise _beyond(
                f"{line}: {axis} would be moved by {format_number(most - least)} mm in "
                f"all, more than the axis has, {self._shown(axis)}"
            )
        spans = {**self._here.spans, axis: (at, least, most)}
        self._here = Coordinates(self._here.position, spans, self._here.frame)

    def _shown(self, axis: str) -> str:
        lowest, highest = self._reach[axis]
        limits = f"{format_number(lowest)} to {format_number(highest)} mm"
        return f"{limits} (profile.volume.{axis})"

    def _unknown(self, line: Line, axis: str) -> RejectedError:
        if self._here.frame.shift(axis, self._modal.tool) is None:
            why = f"the coordinates of {axis} were shifted from a place not known"
        else:
            why = f"it is not known where {axis} is"
        return RejectedError.conflict(
            f"{line}: {why}, so its limits cannot be checked; home it first", UNKNOWN
        )

    # Arcs and curves

    def _arc(self, line: Line) -> None:
        plane = "xy" if line.code == "G5" else self._here.frame.plane
        # Many builds do not know G18 and G19, and then the plane is still that of X, Y.
        # After modes were restored it may be any that was selected.
        planes = dict.fromkeys((plane, "xy") if plane else self._here.frame.planes)
        for number, each in enumerate(planes):
            if any(axis in self._reach for axis in each):
                self._check_path(line, each, must_be=number == 0)
        self._straight(line)

    def _check_path(self, line: Line, plane: str, *, must_be: bool) -> None:
        """Check the path of an arc or curve in a plane, in which it must be or may."""
        if len(self._axes_relative) > 1:
            raise RejectedError.conflict(
                f"{line}: it is not known whether it is relative; send G90 or G91",
                UNKNOWN,
            )
        start, end = self._ends(line, plane)
        box = arcs.box_of(line, plane, start, end)
        if box is None:
            if must_be:
                raise arcs.no_arc(line, plane)
            return
        for index, axis in enumerate(plane):
            shift = self._here.frame.shift(axis, self._modal.tool)
            if shift is None:
                raise self._unknown(line, axis)
            for corner in box:
                at = start[index] + shift
                self._check_inside(line, axis, corner[index] + shift, at)

    def _ends(self, line: Line, plane: str) -> tuple[arcs.Point, arcs.Point]:
        """Return where an arc begins and ends, along the axes of a plane."""
        ends = []
        for axis in plane:
            before = self._here.position.get(axis)
            if before is None:
                raise self._unknown(line, axis)
            value = line.values.get(axis.upper())
            after = before
            if value is not None:
                after = before + value if self._axes_relative[0] else value
            ends.append((before, after))
        return (ends[0][0], ends[1][0]), (ends[0][1], ends[1][1])

    # Other codes

    def _home(self, line: Line) -> None:
        named = [axis for axis in AXES if axis.upper() in line.values]
        if not named and not _OTHER_AXES.isdisjoint(line.values):
            self._anywhere(line)  # W is an axis for some, an option for others
            return
        axes = named or AXES
        # G28 O does not home an axis that is homed.
        ends = self._dialect.homing_ends_shifts and "O" not in line.values
        frame = self._here.frame.homed(axes, clears=ends)
        there = self._here.without(axes).in_frame(frame)
        spans = {**there.spans, **dict.fromkeys(axes, (0.0, 0.0, 0.0))}
        self._here = Coordinates(there.position, spans, frame)

    def _keeps_tool(self, line: Line) -> bool:
        """Return whether a line selects the only tool, which moves nothing."""
        only = self._profile.extruders == 1 and not self._dialect.runs_macros
        return only and line.code == "T0" and self._modal.tool == 0

    def _anywhere(self, line: Line) -> None:
        code = line.code
        frame = self._here.frame
        if code in _RESTORING:
            frame = shifts.restored(frame)
        if code in _RESTORES_MODES:
            frame = replace(
                frame.plane_unsure(),
                relative_known=False,
                relative_e_known=False,
                doubtful=_IN_DOUBT,
            )
        axes = AXES
        dry = code in _DRY or (code[0] == "G" and code != _PRINTS)
        self._here = self._here.without(axes if dry else (*axes, "e")).in_frame(frame)
        self._note_modes()

    def _to_known_place(self, line: Line) -> None:
        """Check a code that goes to X, Y, Z, and may stop before."""
        # Z of a park says by how much the head is raised; the firmware stops it.
        # Z of G30 is a height to take down, such as Z-99999, and no place to go to.
        axes = "XY" if line.code in _PARKS or line.code == "G30" else "XYZ"
        absolute = line.code in _PARKS or line.code in {"G30", "M48"}  # also after G91
        for letter in axes:
            axis, number = letter.lower(), line.values.get(letter)
            if axis not in self._reach or number is None:
                continue
            before = self._here.position.get(axis)
            if absolute:
                self._check_end(line, axis, before, number, number)
            else:
                self._check_reach(line, axis, before, number)
        if line.code == _RETURNS:
            self._check_photo(line)
            return
        self._anywhere(line)
        if line.code == "G30" and (
            "Z" in line.values or line.values.get("S") == _SETS_TOOL
        ):
            # Smoothieware then calls the place where the bed is Z; RepRapFirmware's
            # S-2 sets the tool's offset by what was probed.
            self._here = self._here.in_frame(self._here.frame.unsure(SET, ("z",)))

    def _check_photo(self, line: Line) -> None:
        """Check the places of ``M240`` besides X and Y."""
        for letter, axis in (("I", "x"), ("J", "y"), ("A", "x"), ("B", "y")):
            number = line.values.get(letter)
            if number is None or axis not in self._reach:
                continue
            before = self._here.position.get(axis)
            after: float | None = number
            if letter in "AB":
                after = None if before is None else before + number
                self._here = self._here.without((axis,))
            self._check_end(line, axis, before, after, number)


def _beyond(message: str) -> RejectedError:
    return RejectedError.invalid(message, error="out_of_limits")
