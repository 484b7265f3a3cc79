"""The one error that an operator has to know, out of all that ended together."""

from collections.abc import Iterator
from contextlib import contextmanager

from bridge.errors import BridgeError


@contextmanager
def first_failure() -> Iterator[None]:
    """Raise the first of several expected errors alone; a bug stays as it is.

    Raises:
        BridgeError: The first of a group that holds nothing else.

    """
    try:
        yield
    except BaseExceptionGroup as group:
        expected, bugs = group.split(BridgeError)
        if expected is None or bugs is not None:
            raise
        raise _first(expected) from None


def _first(group: BaseExceptionGroup[BridgeError]) -> BridgeError:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, BridgeError)  # noqa: S101 - the group holds nothing else
    return error
