"""What the requests are answered with; shapes and names follow OctoPrint's API."""

from collections.abc import Collection, Iterable

from bridge.printer.knowledge.history import Point
from bridge.printer.knowledge.model import PrinterState
from bridge.printer.published import views

Json = dict[str, object]


def full_state(
    known: PrinterState,
    points: Iterable[Point] | None,
    *,
    exclude: Collection[str] = (),
    now: float,
    epoch: float,
) -> Json:
    """Return the answer to ``request/state``.

    ``points`` are the history to add, the newest first; ``None``: it was not asked for.
    ``exclude`` names parts to leave out: ``temperature``, ``sd``, ``state``.
    """
    parts: Json = {}
    if "temperature" not in exclude:
        heaters = tuple(known.heaters)
        parts["temperature"] = temperature(known, points, heaters, epoch=epoch)
    if "sd" not in exclude:
        parts["sd"] = card(known)
    if "state" not in exclude:
        document = views.state(known, now=now, epoch=epoch)
        parts["state"] = document.model_dump(mode="json", exclude={"sd"})
    return parts


def temperature(
    known: PrinterState,
    points: Iterable[Point] | None,
    heaters: Collection[str],
    *,
    epoch: float,
) -> Json:
    """Return these heaters' entries, and their history where it was asked for.

    Each point of the history has its ``time`` and the same heaters.
    """
    entries: Json = {
        name: views.heater(known, name).model_dump(mode="json") for name in heaters
    }
    if points is not None:
        entries["history"] = [_point(point, heaters, epoch) for point in points]
    return entries


def tools(known: PrinterState) -> tuple[str, ...]:
    """Return the names of the heaters that ``request/tool`` is about."""
    return tuple(name for name in known.heaters if name.startswith("tool"))


def card(known: PrinterState) -> Json:
    """Return the answer to ``request/sd``."""
    return {"ready": known.card is True}


def _point(point: Point, heaters: Collection[str], epoch: float) -> Json:
    entries: Json = {"time": int(point.time + epoch)}
    for name in heaters:
        if heater := point.heaters.get(name):
            entries[name] = {
                "actual": views.tenths(heater.actual),
                "target": views.tenths(heater.target),
            }
    return entries
