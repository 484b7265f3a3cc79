"""The whole path of arcs and curves, as the box that it stays in.

Places and distances are in mm, as pairs of the two axes of the plane.
"""

from collections.abc import Sequence
from math import atan2, cos, hypot, pi, sin, sqrt, tau

from bridge.errors import RejectedError
from bridge.gcode.line import Line

Point = tuple[float, float]
Box = tuple[Point, Point]
"""The lowest and the highest coordinates."""

_CENTRES = {"x": "I", "y": "J", "z": "K"}

_SLACK = 1e-6  # mm; rounding errors

_SAME = 0.05
"""mm. If the end of an arc is closer than this to its start, some firmwares do not move
at all, and others draw a full circle."""


_FULL = 1e-6
"""Radians. An arc with a smaller angle is a full circle for firmwares that descend from
Grbl, even if it ends elsewhere. Grbl compares with 5e-7
(``ARC_ANGULAR_TRAVEL_EPSILON``)."""


def around(points: Sequence[Point]) -> Box:
    """Return the box around points; a Bézier curve stays in that of its controls."""
    first, second = [one for one, _ in points], [other for _, other in points]
    return (min(first), min(second)), (max(first), max(second))


def circle(start: Point, end: Point, centre: Point) -> Box:
    """Return the box around everything that an arc around a centre may touch."""
    a, b = centre
    radius = max(_distance(start, centre), _distance(end, centre))
    return around([start, end, (a - radius, b - radius), (a + radius, b + radius)])


def arc(start: Point, end: Point, centre: Point, *, clockwise: bool) -> Box:
    """Return the box around an arc; that of the circle if it ends where it starts.

    Firmwares walk along the circle through the start, and then go to the end, which may
    be on another circle if the numbers are not exact.
    """
    if _distance(start, end) <= _SAME:
        return circle(start, end, centre)
    a, b = centre
    radii = (_distance(start, centre), _distance(end, centre))
    first = atan2(start[1] - b, start[0] - a)
    last = atan2(end[1] - b, end[0] - a)
    if clockwise:
        first, last = last, first
    sweep = (last - first) % tau
    if sweep < _FULL:
        return around([*circle(start, start, centre), end])
    quarters = (quarter * pi / 2 for quarter in range(4))
    angles = [angle for angle in quarters if (angle - first) % tau <= sweep]
    points = [
        (a + radius * cos(angle), b + radius * sin(angle))
        for angle in (*angles, first, last)
        for radius in radii
    ]
    return around([start, end, *points])


def centre_of(
    start: Point, end: Point, radius: float, *, clockwise: bool
) -> Point | None:
    """Return the centre of an arc of this radius; a negative one is the longer arc.

    ``None``: there is no such arc.
    """
    across = _distance(start, end)
    if across <= _SLACK or across > 2 * abs(radius) + _SLACK:
        return None
    height = sqrt(max(0.0, radius * radius - across * across / 4))
    side = -1 if clockwise == (radius > 0) else 1
    middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
    along = ((end[0] - start[0]) / across, (end[1] - start[1]) / across)
    return (middle[0] - side * height * along[1], middle[1] + side * height * along[0])


def _distance(one: Point, other: Point) -> float:
    return hypot(one[0] - other[0], one[1] - other[1])


def box_of(line: Line, plane: str, start: Point, end: Point) -> Box | None:
    """Return the box around the path of an arc or curve; ``None``: there is none.

    Args:
        line: ``G2``, ``G3`` or ``G5``.
        plane: its two axes, such as ``xy``.
        start: where it begins.
        end: where it ends.

    """
    if line.code == "G5":
        return _of_curve(line, start, end)
    values, clockwise = line.values, line.code == "G2"
    radius = values.get("R")
    letters = [_CENTRES[axis] for axis in plane]
    centre: Point | None
    if radius is not None:
        centre = centre_of(start, end, radius, clockwise=clockwise)
    elif any(letter in values for letter in letters):
        first, second = (values.get(letter) or 0.0 for letter in letters)
        centre = (start[0] + first, start[1] + second)
    else:
        centre = None
    if centre is None:
        return None
    # With P, Marlin adds full circles. Firmwares differ in the side from which an arc
    # in another plane is clockwise.
    if plane != "xy" or values.get("P"):
        return circle(start, end, centre)
    return arc(start, end, centre, clockwise=clockwise)


def no_arc(line: Line, plane: str) -> RejectedError:
    """Return the error about an arc that does not exist."""
    first, second = (_CENTRES[axis] for axis in plane)
    return RejectedError.invalid(
        f"{line}: there is no such arc; it needs its centre, {first} and {second}, "
        "or a radius R that reaches from its start to its end"
    )


def _of_curve(line: Line, start: Point, end: Point) -> Box:
    first = (line.values.get("I") or 0.0, line.values.get("J") or 0.0)
    last = (line.values.get("P") or 0.0, line.values.get("Q") or 0.0)
    return around(
        [
            start,
            (start[0] + first[0], start[1] + first[1]),
            (end[0] + last[0], end[1] + last[1]),
            end,
        ]
    )
