"""Times as they are published."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import PlainSerializer

_LATEST = 253_402_300_799.0  # the end of the year 9999, the last that ISO 8601 has


def timestamp(seconds: float) -> str:
    """Return Unix time as ISO 8601 in UTC, with milliseconds and ``Z``.

    A time before 1970 or after the year 9999 becomes the nearest one of these.
    """
    moment = datetime.fromtimestamp(min(max(seconds, 0.0), _LATEST), UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


Time = Annotated[float, PlainSerializer(timestamp, return_type=str)]
"""A moment in Unix time, published in ISO 8601."""
