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
        case ask.State():
            now, epoch = publisher.now(), publisher.epoch()
            return answers.full_state(
                printer.state,
                _points(command, printer, now),
                exclude=command.exclude,
                now=now,
                epoch=epoch,
            )
        case ask.Temperature() | ask.Tools() | ask.Bed() | ask.Chamber():
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
    ask.Card: _card,
    ask.Position: _position,
    ask.Error: _error,
    ask.Info: _info,
    ask.Health: _health,
    ask.Files: _files,
    ask.Scripts: _scripts,
}


def _heaters(
    command: ask.Temperature | ask.Tools | ask.Bed | ask.Chamber, printer: Printer
) -> tuple[str, ...]:
    match command:
        case ask.Tools():
            return answers.tools(printer.state)
        case ask.Bed():
            return ("bed",)
        case ask.Chamber():
            return ("chamber",)
    return tuple(printer.state.heaters)


def _points(
    command: ask.State | ask.Temperature | ask.Tools | ask.Bed | ask.Chamber,
    printer: Printer,
    now: float,
) -> list[Point] | None:
    if not command.history:
        return None
    return list(printer.observer.history.newest(now, command.limit))
