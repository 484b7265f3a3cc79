"""What a question is answered with, after the printer was asked where it has to be."""

from collections.abc import Callable, Mapping

from bridge.app.publisher import Publisher
from bridge.commands import Command
from bridge.commands import requests as ask
from bridge.printer.knowledge.history import Point
from bridge.printer.printer import Printer
from bridge.printer.published import answers, views

Json = object


def answer(command: Command, printer: Printer, publisher: Publisher) -> Json:
    """Return the ``data`` of a response; ``None`` for what is no question."""
    match command:
        case ask.StateRequest():
            now, epoch = publisher.now(), publisher.epoch()
            return answers.full_state(
                printer.state,
                _points(command, printer, now),
                exclude=command.exclude,
                now=now,
                epoch=epoch,
            )
        case (
            ask.TemperatureRequest()
            | ask.ToolsRequest()
            | ask.BedRequest()
            | ask.ChamberRequest()
        ):
            return answers.temperature(
                printer.state,
                _points(command, printer, publisher.now()),
                _heaters(command, printer),
                epoch=publisher.epoch(),
            )
    known = _KNOWN.get(type(command))
    return known(printer, publisher) if known else None


def _card(printer: Printer, _publisher: Publisher) -> Json:
    return answers.card(printer.state)


def _position(printer: Printer, publisher: Publisher) -> Json:
    document = views.state(printer.state, now=publisher.now(), epoch=publisher.epoch())
    return document.model_dump(mode="json")["position"]


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


_KNOWN: Mapping[type[Command], Callable[[Printer, Publisher], Json]] = {
    ask.CardRequest: _card,
    ask.PositionRequest: _position,
    ask.ErrorRequest: _error,
    ask.InfoRequest: _info,
    ask.HealthRequest: _health,
    ask.FilesRequest: _files,
    ask.ScriptsRequest: _scripts,
}


def _heaters(
    command: ask.TemperatureRequest
    | ask.ToolsRequest
    | ask.BedRequest
    | ask.ChamberRequest,
    printer: Printer,
) -> tuple[str, ...]:
    match command:
        case ask.ToolsRequest():
            return answers.tools(printer.state)
        case ask.BedRequest():
            return ("bed",)
        case ask.ChamberRequest():
            return ("chamber",)
    return tuple(printer.state.heaters)


def _points(
    command: ask.StateRequest
    | ask.TemperatureRequest
    | ask.ToolsRequest
    | ask.BedRequest
    | ask.ChamberRequest,
    printer: Printer,
    now: float,
) -> list[Point] | None:
    if not command.history:
        return None
    return list(printer.observer.history.newest(now, command.limit))
