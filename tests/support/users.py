"""Being a user without rights for a moment, also where the tests run as root."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NOBODY = 65_534


@contextmanager
def without_rights(folder: Path) -> Iterator[None]:
    """Make a folder one that this process may not enter until the block ends."""
    root = os.geteuid() == 0
    mode = folder.stat().st_mode
    folder.chmod(0)
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(mode)
