"""Requests for information; each is answered in the response's `data`."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from bridge.commands.base import Command, Context, NotNull, Program, Tier


class InformationRequest(Command):
    """A request, which has a topic of its own. Most send nothing to the printer."""

    tier: ClassVar[Tier] = "read"
    needs_operational: ClassVar[bool] = False

    def program(self, _context: Context, /) -> Program:
        """Return no lines, because the bridge knows the answer."""
        return Program()


_Count = Annotated[int, Field(ge=1, le=1_000_000)]


class _History(InformationRequest):
    history: bool = False
    """Include the temperature history, the newest values first."""
    limit: Annotated[_Count | None, NotNull] = None
    """The maximum number of points in the history; by default all of them."""


def _words(value: object) -> object:
    if isinstance(value, str):
        return [word.strip() for word in value.split(",") if word.strip()]
    return value


class StateRequest(_History):
    """Return the full state: `temperature`, `sd` and `state`."""

    topic: ClassVar[str] = "request/state"
    name: ClassVar[str] = "state"
    needs_operational: ClassVar[bool] = True
    examples: ClassVar[tuple[Mapping[str, object], ...]] = (
        {},
        {"exclude": ["temperature", "sd"]},
        {"exclude": "sd", "history": True, "limit": 2},
    )

    exclude: Annotated[
        tuple[Literal["temperature", "sd", "state"], ...],
        Field(max_length=10, strict=False),
        BeforeValidator(_words),
        WithJsonSchema(
            {
                "anyOf": [
                    {
                        "type": "array",
                        "items": {"enum": ["temperature", "sd", "state"]},
                    },
                    {"type": "string"},
                ]
            }
        ),
    ] = ()
    """The parts to leave out, as a list or as a comma-separated text."""


class TemperatureRequest(_History):
    """Return all temperatures, even while the printer is not connected."""

    topic: ClassVar[str] = "request/temperature"
    name: ClassVar[str] = "temperature"
    examples: ClassVar[tuple[Mapping[str, object], ...]] = (
        {},
        {"history": True, "limit": 60},
    )


class ToolsRequest(_History):
    """Return the temperatures of the tools."""

    topic: ClassVar[str] = "request/tool"
    name: ClassVar[str] = "tool"
    needs_operational: ClassVar[bool] = True
    examples: ClassVar[tuple[Mapping[str, object], ...]] = ({},)


class BedRequest(_History):
    """Return the bed's temperature."""

    topic: ClassVar[str] = "request/bed"
    name: ClassVar[str] = "bed"
    needs_operational: ClassVar[bool] = True
    needs_bed: ClassVar[bool] = True
    examples: ClassVar[tuple[Mapping[str, object], ...]] = ({},)


class ChamberRequest(_History):
    """Return the chamber's temperature."""

    topic: ClassVar[str] = "request/chamber"
    name: ClassVar[str] = "chamber"
    needs_operational: ClassVar[bool] = True
    needs_chamber: ClassVar[bool] = True
    examples: ClassVar[tuple[Mapping[str, object], ...]] = ({},)


class CardRequest(InformationRequest):
    """Return whether an SD card is mounted."""

    topic: ClassVar[str] = "request/sd"
    name: ClassVar[str] = "sd"


class PositionRequest(InformationRequest):
    """Ask the printer for the position of the print head, and return it."""

    topic: ClassVar[str] = "request/position"
    name: ClassVar[str] = "position"
    needs_operational: ClassVar[bool] = True

    def program(self, _context: Context, /) -> Program:
        """Return the ``M114``."""
        return Program(("M114",))


class JobRequest(InformationRequest):
    """Return the print job, as OctoPrint's `GET /api/job` does."""

    topic: ClassVar[str] = "request/job"
    name: ClassVar[str] = "job"


class HistoryRequest(InformationRequest):
    """Return the prints that have ended, the latest first, and their totals.

    The last 500 prints are kept.
    """

    topic: ClassVar[str] = "request/history"
    name: ClassVar[str] = "history"
    examples: ClassVar[tuple[Mapping[str, object], ...]] = (
        {},
        {"outcome": "failed", "limit": 5},
    )

    limit: Annotated[int, Field(ge=1, le=500)] = 50
    """The maximum number of prints."""
    outcome: Annotated[Literal["done", "cancelled", "failed"] | None, NotNull] = None
    """Only prints that ended like this."""
    file: Annotated[str | None, NotNull] = None
    """Only prints of this file."""


class ErrorRequest(InformationRequest):
    """Return the last error. It is kept until the next connection to the printer."""

    topic: ClassVar[str] = "request/error"
    name: ClassVar[str] = "error"


class InfoRequest(InformationRequest):
    """Return facts about the bridge, the firmware, the machine and its limits."""

    topic: ClassVar[str] = "request/info"
    name: ClassVar[str] = "info"


class HealthRequest(InformationRequest):
    """Return the current uptime, counters and round-trip times."""

    topic: ClassVar[str] = "request/health"
    name: ClassVar[str] = "health"


class FilesRequest(InformationRequest):
    """Return the files on the SD card, as last listed, or those that the bridge stores.

    Of `local` files, each has its metadata and the counts of its check; they come in
    the order of their paths, `limit` at a time. `next` of the response is the `after`
    of the next request; it is `null` after the last file.
    """

    topic: ClassVar[str] = "request/files"
    name: ClassVar[str] = "files"
    examples: ClassVar[tuple[Mapping[str, object], ...]] = (
        {},
        {"origin": "local"},
        {"origin": "local", "limit": 20, "after": "parts/cube.gcode"},
    )

    origin: Literal["card", "local"] = "card"
    """Where the files are: on the SD `card`, or in the bridge's folder (`local`)."""
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    """The maximum number of `local` files."""
    after: Annotated[str, Field(max_length=1000)] = ""
    """Return `local` files after this path."""


class FileRequest(InformationRequest):
    """Return one stored file with its metadata and the report of its check."""

    topic: ClassVar[str] = "request/file"
    name: ClassVar[str] = "file"
    examples: ClassVar[tuple[Mapping[str, object], ...]] = ({"path": "cube.gcode"},)

    path: Annotated[str, Field(min_length=1, max_length=1000)]
    """The file's `path` in `files/state`."""


class ScriptsRequest(InformationRequest):
    """Return the names of the scripts that can be run on `command`."""

    topic: ClassVar[str] = "request/scripts"
    name: ClassVar[str] = "scripts"


class PingRequest(InformationRequest):
    """Send a line and wait for its `ok`; `duration` is the round-trip time."""

    topic: ClassVar[str] = "request/ping"
    name: ClassVar[str] = "ping"
    needs_operational: ClassVar[bool] = True

    def program(self, _context: Context, /) -> Program:
        """Return an ``M105``, which every firmware acknowledges."""
        return Program(("M105",))


class RefreshRequest(InformationRequest):
    """Publish every retained topic again."""

    topic: ClassVar[str] = "request/refresh"
    name: ClassVar[str] = "refresh"


COMMANDS = (
    StateRequest,
    TemperatureRequest,
    ToolsRequest,
    BedRequest,
    ChamberRequest,
    CardRequest,
    PositionRequest,
    JobRequest,
    HistoryRequest,
    ErrorRequest,
    InfoRequest,
    HealthRequest,
    FilesRequest,
    FileRequest,
    ScriptsRequest,
    PingRequest,
    RefreshRequest,
)
