"""What a test has leaked: threads, processes and open descriptors."""

import gc
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.support.waiting import DEADLINE

_DESCRIPTORS = "/proc/self/fd"
_TASKS = "/proc/self/task"
# The interpreter and its libraries keep these open for the life of the process.
_KEPT = ("/dev/urandom", "/dev/null")
_TERMINALS = "/dev/pts/"


def descriptors() -> frozenset[str]:
    """Return the open descriptors with their targets; Linux only.

    Pseudo-terminals have no number: a printer that outlives a test, and is plugged in
    again in it, gets another one if a process beside it has taken its own meanwhile.
    """
    found = []
    # With os and not pathlib: each test looks, and that costs twice as much.
    for number in os.listdir(_DESCRIPTORS):  # noqa: PTH208
        try:
            target = os.readlink(f"{_DESCRIPTORS}/{number}")  # noqa: PTH115
        except FileNotFoundError:
            continue
        if target.startswith(_TERMINALS):
            target = _TERMINALS
        if target not in _KEPT and not target.startswith("/proc/"):
            found.append(f"{number} -> {target}")
    return frozenset(found)


def threads() -> frozenset[str]:
    """Return the running threads, but for the one that waits for more state files."""
    return frozenset(
        f"{thread.name} {thread.ident}"
        for thread in threading.enumerate()
        if thread.name != "state files"
    )


def processes() -> frozenset[str]:
    """Return the ids of child processes, zombies included."""
    children: set[str] = set()
    for task in os.listdir(_TASKS):  # noqa: PTH208
        try:
            with open(f"{_TASKS}/{task}/children") as file:  # noqa: PTH123
                children.update(file.read().split())
        except FileNotFoundError:
            continue
    return frozenset(children)


@contextmanager
def nothing_left_behind(grace: float = DEADLINE) -> Iterator[None]:
    """Fail if the block leaks anything that was not there before.

    Threads and children that are about to end have ``grace`` seconds for it.
    """
    looks: dict[str, Callable[[], frozenset[str]]] = {
        "descriptors": descriptors,
        "threads": threads,
        "processes": processes,
    }
    before = {name: look() for name, look in looks.items()}
    yield
    for name, look in looks.items():
        left = _settled(look, before[name], grace)
        assert not left, f"left behind: {name} {sorted(left)}"


def _settled(
    look: Callable[[], frozenset[str]], before: frozenset[str], grace: float
) -> frozenset[str]:
    left = look() - before
    if left:
        gc.collect()
    deadline = time.monotonic() + grace
    while (left := look() - before) and time.monotonic() < deadline:
        time.sleep(0.01)
    return left
