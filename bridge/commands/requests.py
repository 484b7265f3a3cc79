"""Questions; each is answered in the response's `data`."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from bridge.commands.base import Command, Context, NotNull, Program, Tier


class InformationRequest(Command):
    """A question on a topic of its own; most need nothing from the printer."""

    tier: ClassVar[Tier] = "read"
    needs_operational: ClassVar[bool] = False

    def program(self, _context: Context, /) -> Program:
        """Return no line: the bridge knows the answer."""
        return Program()


_Count = Annotated[int, Field(ge=1, le=1_000_000)]


class _History(InformationRequest):
    history: bool = False
    """Give the temperatures of the last half hour too, the newest first."""
    limit: Annotated[_Count | None, NotNull] = None
    """Only so many of the newest points; all by default."""


def _words(value: object) -> object:
    if isinstance(value, str):
        return [word.strip() for word in value.split(",") if word.strip()]
    return value


class StateRequest(_History):
    """The full state: `temperature`, `sd` and `state`."""

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
    """What to leave out, as a list or as a text with commas."""


class TemperatureRequest(_History):
    """The temperatures of all heaters; also while the printer is away."""

    topic: ClassVar[str] = "request/temperature"
    name: ClassVar[str] = "temperature"
    examples: ClassVar[tuple[Mapping[str, object], ...]] = (
        {},
        {"history": True, "limit": 60},
    )


class ToolsRequest(_History):
    """The temperatures of the tools."""

    topic: ClassVar[str] = "request/tool"
    name: ClassVar[str] = "tool"
    needs_operational: ClassVar[bool] = True
    examples: ClassVar[tuple[Mapping[str, object], ...]] = ({},)


class BedRequest(_History):
    """The bed's temperature."""

    topic: ClassVar[str] = "request/bed"
    name: ClassVar[str] = "bed"
    needs_operational: ClassVar[bool] = True
    needs_bed: ClassVar[bool] = True
    examples: ClassVar[tuple[Mapping[str, object], ...]] = ({},)


class ChamberRequest(_History):
    """The chamber's temperature."""

    topic: ClassVar[str] = "request/chamber"
    name: ClassVar[str] = "chamber"
    needs_operational: ClassVar[bool] = True
    needs_chamber: ClassVar[bool] = True
    examples: ClassVar[tuple[Mapping[str, object], ...]] = ({},)


class CardRequest(InformationRequest):
    """Whether an SD card is mounted."""

    topic: ClassVar[str] = "request/sd"
    name: ClassVar[str] = "sd"


class PositionRequest(InformationRequest):
    """Where the head is; the printer is asked."""

    topic: ClassVar[str] = "request/position"
    name: ClassVar[str] = "position"
    needs_operational: ClassVar[bool] = True

    def program(self, _context: Context, /) -> Program:
        """Return the ``M114``."""
        return Program(("M114",))


class ErrorRequest(InformationRequest):
    """The last error, which stays until the next connect."""

    topic: ClassVar[str] = "request/error"
    name: ClassVar[str] = "error"


class InfoRequest(InformationRequest):
    """The bridge, the firmware, the machine and its limits."""

    topic: ClassVar[str] = "request/info"
    name: ClassVar[str] = "info"


class HealthRequest(InformationRequest):
    """Uptime, counters and round trips as they are now."""

    topic: ClassVar[str] = "request/health"
    name: ClassVar[str] = "health"


class FilesRequest(InformationRequest):
    """The files on the SD card, as they were last listed."""

    topic: ClassVar[str] = "request/files"
    name: ClassVar[str] = "files"


class ScriptsRequest(InformationRequest):
    """The names of the scripts that `command` can run."""

    topic: ClassVar[str] = "request/scripts"
    name: ClassVar[str] = "scripts"


class PingRequest(InformationRequest):
    """A round trip through the printer, and its time in `duration`."""

    topic: ClassVar[str] = "request/ping"
    name: ClassVar[str] = "ping"
    needs_operational: ClassVar[bool] = True

    def program(self, _context: Context, /) -> Program:
        """Return an ``M105``, which every firmware answers."""
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
    ErrorRequest,
    InfoRequest,
    HealthRequest,
    FilesRequest,
    ScriptsRequest,
    PingRequest,
    RefreshRequest,
)
