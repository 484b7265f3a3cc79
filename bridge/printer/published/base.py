"""What all published documents have in common."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, PlainSerializer

from bridge.described import Described


def iso(seconds: float) -> str:
    """Return Unix time in ISO 8601, in UTC with milliseconds and a ``Z``.

    What no calendar has becomes its nearest day.
    """
    bounded = min(max(seconds, 0.0), 253_402_300_799.0)  # the end of the year 9999
    moment = datetime.fromtimestamp(bounded, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


Time = Annotated[float, PlainSerializer(iso, return_type=str)]
"""A moment in Unix time, published in ISO 8601."""


class Document(Described, BaseModel):
    """A published document."""

    model_config = ConfigDict(frozen=True)
