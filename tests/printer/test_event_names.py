"""Every event that is told is documented, and none that is not."""

import ast
import inspect
from types import ModuleType
from typing import get_args

from bridge.app import file_service, print_service, publisher
from bridge.home_assistant import discovery as home_assistant
from bridge.printer.control import heater_control
from bridge.printer.knowledge import events, observer
from bridge.printer.knowledge.print_table import PrintEvent
from bridge.printer.printing import job_report
from bridge.printer.published import documents

PUBLISHING = {
    *("StateEvent", "events.StateEvent", "self.event"),
    *("self._publisher.event", "self._surroundings.on_event"),
}


def told(module: ModuleType) -> set[str]:
    """Return the names of the events that a module makes."""
    tree = ast.parse(inspect.getsource(module))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return {
        call.args[0].value
        for call in calls
        if call.args
        and isinstance(call.args[0], ast.Constant)
        and isinstance(call.args[0].value, str)
        and ast.unparse(call.func) in PUBLISHING
    }


def test_every_event_is_documented() -> None:
    made = told(events) | told(heater_control) | told(observer) | told(publisher)
    made |= told(job_report) | told(file_service) | told(print_service)
    assert made | set(get_args(PrintEvent)) == set(documents.EVENTS)


def test_home_assistant_is_told_of_events_that_exist() -> None:
    assert set(home_assistant.EVENTS) <= set(documents.EVENTS)
