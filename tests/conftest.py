"""Every test cleans up after itself and ends, or fails."""

import asyncio
import faulthandler
import inspect
import os
import signal
import threading
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Generator, Iterator, Sequence
from types import FrameType
from typing import Protocol

import pytest
import pytest_asyncio
from hypothesis import settings

from tests.support.cases import examples
from tests.support.leaks import nothing_left_behind

# A slow example on a busy machine is not a failure. Without scripts/law, each run has
# the same examples, so that a change is not refused for what it has not touched.
settings.register_profile(
    "bridge",
    deadline=None,
    print_blob=True,
    max_examples=examples(),
    derandomize="LAW_EXAMPLES" not in os.environ,
)
settings.load_profile("bridge")


_APART = {
    "home_assistant": "the real Home Assistant, docs/home-assistant.md",
    "node_red": "the real Node-RED, docs/node-red.md",
    "prusa_slicer": "the real PrusaSlicer, CONTRIBUTING.md",
}
"""Tests that run only on request: their marker, and what they need."""

_LONG_TESTS = (
    "tests/printer/test_panel_use.py",
    "tests/mqtt/test_attacks.py",
    "tests/end_to_end/",
    "tests/printer/test_heater_control.py",
    "tests/discovery/test_announcer.py",
    "tests/demo/",
)
"""Where tests take many seconds, the longest first, as ``--durations=70`` shows."""

HUNG = (
    240.0
    + 0.5 * int(os.environ.get("LAW_EXAMPLES", "0"))
    + 5.0 * int(os.environ.get("GCODE2MQTT_KILLS", "0"))
)
"""Seconds after which a test counts as hung. A law with more examples takes longer, and
so does a test that kills more processes."""

_LONG = 1800.0
"""The same where another program sets the pace, such as one that is restarted."""

_LEFT_OUT = pytest.StashKey[Counter[str]]()

_OF_THE_SERVICE_MANAGER = ("NOTIFY_SOCKET", "STATE_DIRECTORY", "WATCHDOG_USEC")


@pytest.fixture(autouse=True, scope="session")
def _no_settings_from_outside(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[None]:
    """The developer's environment must not configure the code under test.

    Nor may a test leave anything in the developer's home.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("BRIDGE_") or name in _OF_THE_SERVICE_MANAGER:
                patch.delenv(name)
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(autouse=True)
def _a_memory_of_its_own(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[None]:
    """State that one test's bridge saves must not be visible to another's."""
    states = tmp_path_factory.getbasetemp() / "states"
    with pytest.MonkeyPatch.context() as patch:
        # Only named here; whoever saves something creates it.
        patch.setenv("XDG_STATE_HOME", str(states / uuid.uuid4().hex))
        yield


@pytest.fixture(autouse=True)
def _no_leaks() -> Iterator[None]:
    with nothing_left_behind():
        yield


@pytest_asyncio.fixture
async def _no_leaked_tasks() -> AsyncIterator[None]:
    yield
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left, f"left behind: tasks {left}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Interrupt a test that hangs, so that it fails by its name and others continue.

    Again and again, because an event loop only logs what is raised in a callback.
    """
    if threading.current_thread() is not threading.main_thread():
        return (yield)
    apart = any(item.get_closest_marker(marker) for marker in _APART)
    limit = _LONG if apart else HUNG

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        faulthandler.dump_traceback()  # pytest shows what is written to stderr
        pytest.fail(f"{item.nodeid} hung: it took more than {limit:.0f} s")

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, limit, 10)
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Watch the tasks of every asynchronous test, and begin with the long tests.

    Around the tests' own fixtures, but not before `_no_leaks`: the event loop's own
    threads must be gone when that looks.
    """
    for item in items:
        if isinstance(item, pytest.Function) and _is_async(item):
            names = item.fixturenames
            names.insert(names.index("_no_leaks") + 1, "_no_leaked_tasks")
    if workers := getattr(config, "workerinput", {}).get("workercount", 0):
        items[:] = _long_first(items, workers)


def _long_first(items: list[pytest.Item], workers: int) -> list[pytest.Item]:
    """Return tests in the order in which the last of several workers ends soonest.

    Each worker begins with an equal part of the list (pytest-xdist's worksteal). Half
    of the parts begin with long tests, which mostly wait, while the others keep the
    processors busy; so none of them is left for the end.
    """
    names = dict.fromkeys(item.nodeid.partition("::")[0] for item in items)
    long = [name for first in _LONG_TESTS for name in names if name.startswith(first)]
    by_file: dict[str, list[pytest.Item]] = {name: [] for name in long}
    rest: list[pytest.Item] = []
    for item in items:
        by_file.get(item.nodeid.partition("::")[0], rest).append(item)
    parts = max(1, workers // 2)
    order: list[pytest.Item] = []
    for part in range(workers):
        for name in long[part::parts] if part < parts else []:
            order += by_file[name]
        more = len(items) * (part + 1) // workers - len(order)
        order += rest[: max(0, more)]
        del rest[: max(0, more)]
    return order + rest


def _is_async(item: pytest.Function) -> bool:
    function = getattr(item.obj, "hypothesis", item.obj)
    return inspect.iscoroutinefunction(getattr(function, "inner_test", function))


def pytest_configure(config: pytest.Config) -> None:
    # A shell that starts us in the background has SIGINT ignored, and so would every
    # program that a test starts and then interrupts.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.stash[_LEFT_OUT] = Counter()


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    for item in items:
        left_out = item.config.stash[_LEFT_OUT]
        left_out.update(_APART.keys() & set(item.keywords))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Let a worker report to the process that started it."""
    told: dict[str, object] | None = getattr(session.config, "workeroutput", None)
    if told is not None:
        left_out = session.config.stash[_LEFT_OUT]
        told["left_out"] = dict(left_out)


class _Worker(Protocol):
    """What pytest-xdist passes; it has no type hints."""

    config: pytest.Config


def pytest_testnodedown(node: _Worker) -> None:
    """Record what a worker deselected; all of them have collected the same tests."""
    told = getattr(node, "workeroutput", {})  # one that crashed reports nothing
    left_out = node.config.stash[_LEFT_OUT]
    left_out |= Counter(told.get("left_out", {}))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Report what did not run, rather than hide it."""
    for marker, needs in _APART.items():
        if count := config.stash[_LEFT_OUT][marker]:
            terminalreporter.write_line(f"not run: {count} with {needs}")
