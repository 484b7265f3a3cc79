"""How much filament a command extrudes, and that it is not too much.

The amounts are mm of filament, so the flow factor is applied. How a firmware reads the
number after E depends on modes that may not be known; then each reading is checked.
"""

from collections.abc import Sequence
from math import inf

from bridge.errors import RejectedError
from bridge.gcode.line import Line, format_number
from bridge.printer.limits.coordinates import UNKNOWN, Frame

_HINT = "; whether E is relative here differs: send G90 with M82, or G91 with M83"
_SLACK = 1e-6  # mm; rounding errors in sums of decimals


class FilamentLimit:
    """Counts what the lines of one command push, and refuses too much of it.

    Args:
        longest: mm that may be pushed at once (``profile.max_extrusion``).
        sums: the same holds for all lines together, as for a command, and not only for
            each line, as in a file.

    """

    def __init__(self, longest: float, *, sums: bool) -> None:
        self._longest = longest
        self._longest_sum = longest if sums else inf
        # How much the command has extruded so far, at least and at most, and the least
        # and the most that it had extruded before.
        self._pushed = (0.0, 0.0)
        self._range = (0.0, 0.0)
        # Whether G10 has retracted filament, and how much; None: not known.
        self._is_retracted: bool | None = None
        self._taken_back: float | None = None

    def move(
        self,
        line: Line,
        before: float | None,
        value: float,
        readings: tuple[bool, ...],
        flow: float,
    ) -> float | None:
        """Check a move along E; return where E is then, ``None`` if that is not known.

        Args:
            line: the move.
            before: where E is, in mm.
            value: the number after E, in mm.
            readings: whether the firmware reads it as relative; both if not known.
            flow: the flow factor; 1.0 is 100 %.

        Raises:
            RejectedError: ``out_of_limits``, ``position_unknown``.

        """
        if readings == (True,):
            self._push(line, (value * flow,))
            return None if before is None else before + value
        if readings == (False,) and before is not None:
            self._push(line, ((value - before) * flow,))
            return value
        ends, lengths = set(), []
        for relative in readings:
            if relative:
                length, after = value, None if before is None else before + value
            elif before is None:
                raise _unknown(line)
            else:
                length, after = value - before, value
            ends.add(after)
            lengths.append(length * flow)
        self._push(line, lengths)
        return ends.pop() if len(ends) == 1 else None

    def retract(self, frame: Frame) -> None:
        """Note that ``G10`` retracts filament, unless it has already done so."""
        if not self._is_retracted:
            self._is_retracted = True
            self._taken_back = frame.retraction

    def recover(self, line: Line, frame: Frame) -> None:
        """Count what ``G11`` extrudes beyond what ``G10`` has retracted.

        Firmwares differ in whether it extrudes what was retracted, or the current
        length of a retraction.
        """
        if self._is_retracted is False:
            return
        least, most = frame.recovery
        before = self._taken_back if self._is_retracted else 0.0
        if frame.retraction is not None and frame.retraction != before:
            more = frame.retraction - (before or 0.0)
            least, most = min(least, least + more), max(most, most + more)
        self._is_retracted = False
        if least or most:
            self._push(line, [least, most])

    def _push(self, line: Line, lengths: Sequence[float]) -> None:
        longest = self._longest
        for length in lengths:
            if not -longest - _SLACK <= length <= longest + _SLACK:
                raise self._too_much(line, length, "at once", sure=len(lengths) == 1)
        least, most = self._pushed
        if len(lengths) == 1:
            least += lengths[0]
            most += lengths[0]
        else:
            least += min(lengths)
            most += max(lengths)
        lowest, highest = self._range
        lowest = least if least < lowest else lowest  # noqa: FURB136 - much faster
        highest = most if most > highest else highest  # noqa: FURB136
        if highest - lowest > self._longest_sum + _SLACK:
            length = highest - lowest
            raise self._too_much(line, length, "in one command", sure=len(lengths) == 1)
        self._pushed, self._range = (least, most), (lowest, highest)

    def _too_much(
        self, line: Line, length: float, how: str, *, sure: bool
    ) -> RejectedError:
        longest = format_number(self._longest)
        return RejectedError.invalid(
            f"{line}: {format_number(length)} mm of filament is more than {longest} mm "
            f"{how} (profile.max_extrusion){'' if sure else _HINT}",
            error="out_of_limits",
        )


def _unknown(line: Line) -> RejectedError:
    # The first move of a command may be a long one; a short one is none.
    return RejectedError.conflict(
        f"{line}: it is not known where e is, so its limits cannot be checked; send "
        "G92 E0 first, or M83 to move it by a distance",
        UNKNOWN,
    )
