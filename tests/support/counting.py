"""Counts what Python does, where a limit of time would depend on the machine."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def counted_calls() -> Iterator[list[int]]:
    """Count the calls in the block, those of functions in C included.

    The only element of the list is their number.
    """
    count = [0]

    def profile(_frame: FrameType, event: str, _argument: object) -> None:
        count[0] += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        yield count
    finally:
        sys.setprofile(before)
