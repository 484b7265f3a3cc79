"""Many cases in one test, and how many examples a law gets."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

EXAMPLES = 40
"""Examples of a law that does not say how many, in a usual run."""


@contextmanager
def case(*names: object) -> Iterator[None]:
    """Name the case in what its failure shows; for a loop over many cheap cases.

    As items of their own, thousands of cases cost more than what they test.
    """
    try:
        yield
    except Exception as error:
        error.add_note(f"in the case {', '.join(map(str, names))}")
        raise


def examples(usual: int = EXAMPLES) -> int:
    """Return a number of examples: ``usual``, unless ``scripts/law`` asks for more."""
    return int(os.environ.get("LAW_EXAMPLES", usual))
