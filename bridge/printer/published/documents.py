"""The documents that are published about a printer; field names follow OctoPrint's API.

``null`` means not known. :mod:`bridge.printer.published.views` builds the documents.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    PlainSerializer,
    RootModel,
    SerializerFunctionWrapHandler,
    WithJsonSchema,
    model_serializer,
)
from pydantic_core import CoreSchema

from bridge.field_docs import DocumentedModel
from bridge.printer.knowledge.model import Word
from bridge.printer.knowledge.print_job import Outcome, Phase
from bridge.timestamps import timestamp

Time = Annotated[float, PlainSerializer(timestamp, return_type=str)]
"""A moment in Unix time, published in ISO 8601."""


class PublishedDocument(DocumentedModel, BaseModel):
    """A published document."""

    model_config = ConfigDict(frozen=True)


class Heater(PublishedDocument):
    """A heater's temperatures in °C."""

    actual: float | None
    """Measured."""
    target: float | None
    """Requested of the printer; 0 is off."""
    offset: float = 0.0
    """What the bridge adds to a target that it sets."""


class TimedHeater(Heater):
    """What `temperature/<heater>` holds."""

    time: Time
    """When this was measured."""


class Temperatures(PublishedDocument):
    """What `temperature` holds: one entry for each heater, and the time."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Heater] = Field(init=False)

    sensors: dict[str, float | None] = Field(default_factory=dict)
    """Temperatures that nothing heats, in °C; absent where there are none."""
    time: int
    """When this was measured, in Unix time."""

    @model_serializer(mode="wrap")
    def _heaters_first(
        self, wrapped: SerializerFunctionWrapHandler
    ) -> dict[str, object]:
        fields: dict[str, object] = wrapped(self)
        last = {"time": fields.pop("time")}
        sensors = fields.pop("sensors")
        return fields | ({"sensors": sensors} if sensors else {}) | last

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler, /
    ) -> dict[str, Any]:
        """Return the schema of the fields.

        pydantic would return that of the serializer's return type: any object.
        """
        fields = cast("CoreSchema", {**core_schema, "serialization": None})
        schema = super().__get_pydantic_json_schema__(fields, handler)
        whole = handler.resolve_ref_schema(schema)
        whole["required"] = ["time"]  # the serializer leaves out `sensors` if empty
        whole["additionalProperties"]["description"] = (
            "One entry for each heater, by its name: `tool0`, `tool1`, …, `bed` or "
            "`chamber`."
        )
        return schema


Attention = Literal["none", "error", "prompt", "filament_runout", "paused"]
"""Why a person has to come: it stopped, it asks something, it has no filament, or it
paused for another reason of its own."""


class Flags(PublishedDocument):
    """The state as OctoPrint's flags; a paused print does not count as printing."""

    operational: bool
    """Commands can be sent."""
    printing: bool
    """A print is under way, and not paused."""
    paused: bool
    """A print is paused; the printer can be moved."""
    pausing: bool
    """It is about to pause."""
    resuming: bool
    """It is about to go on."""
    cancelling: bool
    """It is being cancelled."""
    finishing: bool
    """Everything is read; the last moves are carried out."""
    sdReady: bool  # noqa: N815 - OctoPrint's name
    """An SD card is mounted."""
    error: bool
    """The printer stopped for good."""
    ready: bool
    """Operational, and without a print."""
    closedOrError: bool  # noqa: N815 - OctoPrint's name
    """Offline or in error."""


class CardStatus(PublishedDocument):
    """The SD card."""

    ready: bool
    """It is mounted."""


class Position(PublishedDocument):
    """Where the head is, in mm, as last reported."""

    x: float
    """Along x."""
    y: float
    """Along y."""
    z: float
    """Along z."""
    e: float | None
    """Of the extruder."""


class Prompt(PublishedDocument):
    """What the printer asks the person in front of it."""

    reason: Literal["prompt", "paused"]
    """It asks something, or it only waits."""
    text: str
    """The question."""
    choices: tuple[str, ...]
    """The buttons; `M876 S<n>` presses the n-th, counted from 0."""


class Can(PublishedDocument):
    """What could be asked of the printer now, as far as its state decides that."""

    start: bool
    """Print the selected file."""
    pause: bool
    """Pause the print."""
    resume: bool
    """Go on with it."""
    cancel: bool
    """End it."""
    move: bool
    """Jog, home and extrude."""


class State(PublishedDocument):
    """What `state` holds."""

    state: Word
    """One word for the state."""
    text: str
    """The state as OctoPrint words it."""
    flags: Flags
    """The state as OctoPrint's flags."""
    error: str
    """The last error, or why the printer cannot be reached; else empty."""
    sd: CardStatus
    """The SD card."""
    tool: int | None
    """The selected tool, counted from 0."""
    position: Position | None
    """Where the head is."""
    feedrate: int | float | None
    """The feedrate factor, in percent."""
    flowrate: int | float | None
    """The flow factor, in percent."""
    fan: int | float | None
    """Part cooling, in percent."""
    relative: bool | None
    """The axes move relatively (`G91`), by what was sent; null in a print."""
    relative_extruder: bool | None
    """The extruder moves relatively (`M83`), likewise."""
    prompt: Prompt | None
    """What the printer waits for."""
    message: str
    """What the printer last notified."""
    attention: Attention
    """Why a person has to come, or `none`."""
    can: Can
    """What could be asked now."""
    hot: bool | None
    """A heater is above 45 °C, or on its way there: do not touch. Where that cannot be
    told, as of a printer that is away or has a heater that failed, it is null."""
    safe_to_power_off: bool | None
    """Nothing is printed, every heater is off, and no hotend is above 50 °C; null
    likewise."""
    heaters_off_at: Time | None
    """When the heaters go off unless somebody uses them; null while that is not due. It
    may be told a minute early, but is exact from `heaters_idle` on."""
    time: Time
    """When this was so."""


class File(PublishedDocument):
    """One entry of `sd/files`."""

    name: str
    """The last part of its path."""
    path: str
    """How the firmware wants it named."""
    size: int | None
    """In bytes."""
    display: str
    """Its long name, where the firmware tells one."""
    date: str | None
    """ISO 8601 without a zone, by the printer's clock."""


class Files(RootModel[tuple[File, ...]]):
    """What `sd/files` holds."""

    model_config = ConfigDict(frozen=True)


class Result(PublishedDocument):
    """How a print ended."""

    outcome: Outcome
    """How."""
    file: str | None
    """Which print."""
    elapsed: int | None
    """Its duration without pauses, in seconds; null where its start was not seen."""
    reason: str
    """Why it failed, or empty."""
    time: Time
    """When it ended."""


class Job(PublishedDocument):
    """What `job/state` holds."""

    state: Phase | None
    """What the print does; null while the printer is away."""
    file: str | None
    """The selected file's path."""
    display: str | None
    """Its long name, where it is known."""
    size: int | None
    """In bytes."""
    position: int | None
    """How many bytes are read."""
    progress: float | None
    """In percent: as the slicer says it, else by bytes."""
    elapsed: int | None
    """Seconds without pauses; null where the start was not seen."""
    remaining: int | None
    """Seconds to go: as the slicer says it, else estimated."""
    started_at: Time | None
    """When the print began; null where that was not seen."""
    finish_at: Time | None
    """When it will be done; null while it is paused. Moves by minutes, not seconds."""
    reason: str
    """Why it is paused, where the printer says so."""
    result: Result | None
    """How the last print ended; until the next one begins."""
    time: Time
    """When this was so."""


class Error(PublishedDocument):
    """What `error` holds; empty when nothing is wrong."""

    error: str = ""
    """The firmware's own words, or the bridge's."""
    reason: str = ""
    """A stable word, such as `thermal_runaway`."""
    consequence: str = ""
    """`halted` (the firmware needs a reset), `stopped` (on request), `disconnected`, or
    `heater_off`: a heater failed, and the firmware goes on with the others."""
    logs: tuple[str, ...] = ()
    """The last lines of the wire, at most 20. Of many reports in a row the newest are
    there; `### 57 reports and repetitions left out` is where the others were."""
    time: str = ""
    """When it happened."""


EVENTS: Mapping[str, str] = {
    "connected": "The printer can be used; `firmware`.",
    "disconnected": "It went away; `reason`.",
    "printer_reset": "It was reset while it was connected.",
    "home": "It was told to home; `axes`.",
    "tool_change": "Another tool was selected; `old`, `new`.",
    "position": "It reported another place; `x`, `y`, `z`, `e` in mm.",
    "print_started": "A print was seen to begin; `file`, `size`.",
    "print_paused": "It stands still; `file`, `reason`.",
    "print_resumed": "It goes on; `file`.",
    "print_done": "It is complete; `file`, `elapsed` in seconds without pauses.",
    "print_cancelled": "It was ended; `file`, `elapsed`.",
    "print_failed": "It broke off; `file`, `elapsed`, `reason`.",
    "filament_runout": "The filament ran out; `file`.",
    "waiting_for_user": "It waits for an answer; `prompt`, `choices`.",
    "heaters_idle": "Nobody uses what is hot, so it goes off soon; `heaters`, `off_at` "
    "(ISO 8601).",
    "heaters_off": "Heaters that nobody used were turned off; `heaters`.",
    "heaters_stay_on": "Heaters that nobody uses should have gone off and did not; "
    "`heaters`, `reason`. It is tried again.",
    "error": "Something went wrong; `error`, `reason`, `consequence`.",
    "complaint": "The printer told an error that belongs to no command, or to one that "
    "nobody waits for any more; `error`, and `left_out`: how many came since the last "
    "one that were not told.",
    "command_rejected": "A message was refused; `id`, `topic`, `command`, `code`, "
    "`error`, `message`, as in its response; in a flood not each.",
}
"""Every event, with what it says beside `event`, `seq` and `time`."""


class Event(PublishedDocument):
    """What `event` carries; what else it says depends on the event."""

    model_config = ConfigDict(extra="allow")

    event: Annotated[str, WithJsonSchema({"type": "string", "enum": list(EVENTS)})]
    """What happened."""
    seq: int
    """Counts up by one with each event since the bridge started."""
    time: Time
    """When."""
