"""Does repeating something leak memory or objects each time?"""

import gc
import tracemalloc
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise

from coverage import Coverage

BLOCKS = 3
ROOM = 2_000
"""Bytes that each repetition may leave behind.

The interpreter keeps names that were looked up, in a table of 4,096 places. The
smallest thing of ours that one could forget to let go is found by its kind.
"""


async def assert_no_growth(what: Callable[[int], Awaitable[None]], times: int) -> None:
    """Repeat something in blocks; fail if memory grows in every block.

    Caches and imports grow once, nobody knows when; what leaks grows every time. So
    the block that grew least counts, after one to warm up.

    Args:
        what: what to do; it gets its number within the block.
        times: how often a block does it.

    """
    sizes: list[int] = []
    censuses: list[Counter[str]] = []
    ours = 0
    with _measured():
        for _ in range(1 + BLOCKS):
            for number in range(times):
                await what(number)
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
            sizes.append(before - ours)
            censuses.append(_census())
            ours += tracemalloc.get_traced_memory()[0] - before
    _judge(sizes, censuses, times)


@contextmanager
def _measured() -> Iterator[None]:
    """Trace memory but not lines: coverage keeps two kilobytes for each thread.

    A worker is measured twice, as the process that another one has started and as
    one that runs tests; when the one is stopped, the other continues.
    """
    stopped: list[Coverage] = []
    while (coverage := Coverage.current()) is not None:
        coverage.stop()
        stopped.append(coverage)
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()
        for coverage in reversed(stopped):
            coverage.start()


def _judge(sizes: list[int], censuses: list[Counter[str]], times: int) -> None:
    births = [after - before for before, after in pairwise(censuses)]
    more = {kind for kind in births[0] if min(born[kind] for born in births) >= times}
    assert not more, f"every block leaves more of {sorted(more)}"
    grown = min(after - before for before, after in pairwise(sizes))
    assert grown < times * ROOM, f"every block of {times} leaves {grown} bytes or more"


def _census() -> Counter[str]:
    """Count the live objects of each type that can reference others."""
    kinds = (type(thing) for thing in gc.get_objects())
    return Counter(f"{kind.__module__}.{kind.__qualname__}" for kind in kinds)
