"""The ``data`` of the responses to ``request/…`` topics.

Shapes and names follow OctoPrint's REST API where it has the same
(https://docs.octoprint.org/en/master/api/printer.html). Where the printer has to be
asked first, that has been done: everything here is read from what is known.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime

from bridge.app.publisher import Publisher
from bridge.commands import Command, requests
from bridge.printer.knowledge.history import Point
from bridge.printer.knowledge.model import PrinterState
from bridge.printer.printer import Printer
from bridge.printer.published import documents, views

Json = object

_HeaterRequest = (
    requests.TemperatureRequest
    | requests.ToolsRequest
    | requests.BedRequest
    | requests.ChamberRequest
)


def response_data(command: Command, printer: Printer, publisher: Publisher) -> Json:
    """Return the ``data`` of a response; ``None`` if the command is not a request."""
    match command:
        case requests.StateRequest():
            now, epoch = publisher.now(), publisher.epoch()
            return full_state(
                printer.state,
                _history(command, printer, now),
                exclude=command.exclude,
                now=now,
                epoch=epoch,
            )
        case (
            requests.TemperatureRequest()
            | requests.ToolsRequest()
            | requests.BedRequest()
            | requests.ChamberRequest()
        ):
            return temperature(
                printer.state,
                _history(command, printer, publisher.now()),
                _heaters(command, printer),
                epoch=publisher.epoch(),
            )
    simple = _SIMPLE.get(type(command))
    return simple(printer, publisher) if simple else None


def full_state(
    known: PrinterState,
    points: Iterable[Point] | None,
    *,
    exclude: Collection[str] = (),
    now: float,
    epoch: float,
) -> dict[str, Json]:
    """Return the response to ``request/state``.

    Args:
        known: the printer's state.
        points: the temperature history, the newest first; ``None``: it was not asked
            for.
        exclude: parts to leave out: ``temperature``, ``sd``, ``state``.
        now: seconds on the printer's clock.
        epoch: what to add to that clock to get Unix time, in seconds.

    """
    parts: dict[str, Json] = {}
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
) -> dict[str, Json]:
    """Return the entries of these heaters, and their history if it was asked for.

    Each point of the history has its ``time`` in Unix seconds and the same heaters.
    """
    entries: dict[str, Json] = {
        name: views.heater(known, name).model_dump(mode="json") for name in heaters
    }
    if points is not None:
        entries["history"] = [_point(point, heaters, epoch) for point in points]
    return entries


def tools(known: PrinterState) -> tuple[str, ...]:
    """Return the names of the heaters that ``request/tool`` is about."""
    return tuple(name for name in known.heaters if name.startswith("tool"))


def card(known: PrinterState) -> dict[str, Json]:
    """Return the response to ``request/sd``."""
    return {"ready": known.card is True}


def job(known: PrinterState, *, now: float, epoch: float) -> dict[str, Json]:
    """Return the response to ``request/job``.

    Shape and words are those of OctoPrint's job information
    (https://docs.octoprint.org/en/master/api/job.html), with its units: seconds,
    percent and bytes, and ``null`` for what is not known. ``lastPrintTime`` is that of
    the last print of the selected file.
    """
    document = views.job_state(known, now=now, epoch=epoch)
    last = known.job.result
    same = last is not None and last.file == document.file and last.outcome == "done"
    text = views.state(known, now=now, epoch=epoch).text
    answer: dict[str, Json] = {
        "job": {
            "file": _job_file(known, document),
            "estimatedPrintTime": None,
            "lastPrintTime": last.elapsed if same and last is not None else None,
            "filament": {"length": known.job.filament, "volume": None},
        },
        "progress": {
            "completion": document.progress,
            "filepos": document.position,
            "printTime": document.elapsed,
            "printTimeLeft": document.remaining,
            "printTimeLeftOrigin": _left_origin(known, document.remaining),
        },
        "state": text,
    }
    return answer | ({"error": known.trouble.error} if known.trouble else {})


def _job_file(known: PrinterState, document: documents.Job) -> dict[str, Json]:
    path = document.file
    listed = views.listed_file(known.files, path)
    date = None if listed is None or listed.date is None else _unix(listed.date)
    origin = "sdcard" if known.job.origin == "card" else "local"
    return {
        "name": None if path is None else path.rstrip("/").rpartition("/")[2],
        "path": path,
        "display": document.display or path,
        "origin": None if path is None else origin,
        "size": document.size,
        "date": date,
    }


def _unix(date: str) -> int:
    """Return a date without a zone, by the printer's clock, as Unix time."""
    return int(datetime.fromisoformat(date).astimezone().timestamp())


def _left_origin(known: PrinterState, remaining: int | None) -> str | None:
    """Return OctoPrint's word: ``analysis`` of the slicer, or ``estimate``."""
    if remaining is None:
        return None
    return "estimate" if known.job.remaining is None else "analysis"


def _point(point: Point, heaters: Collection[str], epoch: float) -> dict[str, Json]:
    entries: dict[str, Json] = {"time": int(point.time + epoch)}
    for name in heaters:
        if heater := point.heaters.get(name):
            entries[name] = {
                "actual": views.tenths(heater.actual),
                "target": views.tenths(heater.target),
            }
    return entries


def _heaters(command: _HeaterRequest, printer: Printer) -> tuple[str, ...]:
    match command:
        case requests.ToolsRequest():
            return tools(printer.state)
        case requests.BedRequest():
            return ("bed",)
        case requests.ChamberRequest():
            return ("chamber",)
    return tuple(printer.state.heaters)


def _history(
    command: requests.StateRequest | _HeaterRequest, printer: Printer, now: float
) -> list[Point] | None:
    if not command.history:
        return None
    return list(printer.observer.history.newest(now, command.limit))


def _card(printer: Printer, _publisher: Publisher) -> Json:
    return card(printer.state)


def _position(printer: Printer, publisher: Publisher) -> Json:
    document = views.state(printer.state, now=publisher.now(), epoch=publisher.epoch())
    return document.model_dump(mode="json")["position"]


def _job(printer: Printer, publisher: Publisher) -> Json:
    return job(printer.state, now=publisher.now(), epoch=publisher.epoch())


def _error(printer: Printer, publisher: Publisher) -> Json:
    return views.error(printer.state, epoch=publisher.epoch()).model_dump(mode="json")


def _info(_printer: Printer, publisher: Publisher) -> Json:
    return publisher.info().model_dump(mode="json")


def _health(_printer: Printer, publisher: Publisher) -> Json:
    return publisher.health().model_dump(mode="json")


def _files(printer: Printer, _publisher: Publisher) -> Json:
    return views.files(printer.state).model_dump(mode="json")


def _scripts(printer: Printer, _publisher: Publisher) -> Json:
    return list(printer.scripts.names) if printer.scripts else []


_SIMPLE: Mapping[type[Command], Callable[[Printer, Publisher], Json]] = {
    requests.CardRequest: _card,
    requests.PositionRequest: _position,
    requests.JobRequest: _job,
    requests.ErrorRequest: _error,
    requests.InfoRequest: _info,
    requests.HealthRequest: _health,
    requests.FilesRequest: _files,
    requests.ScriptsRequest: _scripts,
}
