"""The documents that are published about a printer; field names follow OctoPrint's API.

``null`` means not known. :mod:`bridge.printer.published.views` builds the documents.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast

from pydantic import (
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    RootModel,
    SerializerFunctionWrapHandler,
    WithJsonSchema,
    model_serializer,
)
from pydantic_core import CoreSchema

from bridge.field_docs import PublishedDocument
from bridge.printer.knowledge.model import HeatReason, Severity, Word
from bridge.printer.knowledge.print_job import Basis
from bridge.printer.knowledge.print_table import Origin, Outcome, Phase
from bridge.timestamps import Time


class Heater(PublishedDocument):
    """A heater's temperatures in °C."""

    actual: float | None
    """Measured."""
    target: float | None
    """The target; 0 is off."""
    offset: float = 0.0
    """Added by the bridge to each target that it sets."""


class TimedHeater(Heater):
    """What `temperature/<heater>` holds."""

    time: Time | None
    """When this was measured; null if it has not been measured since the printer was
    connected."""


class Temperatures(PublishedDocument):
    """What `temperature` holds: one entry for each heater, and the time."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Heater] = Field(init=False)

    sensors: dict[str, float | None] = Field(default_factory=dict)
    """Temperatures of sensors without a heater, in °C; absent if there are none."""
    time: int
    """When the temperatures were last reported, in Unix time; before the first report,
    when this document was published."""
    measured_at: Time | None
    """When the temperatures were last reported; null before the first report. A
    temperature that has not been reported for three intervals is null."""

    @model_serializer(mode="wrap")
    def _heaters_first(
        self, wrapped: SerializerFunctionWrapHandler
    ) -> dict[str, object]:
        fields: dict[str, object] = wrapped(self)
        last = {name: fields.pop(name) for name in ("time", "measured_at")}
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
        whole["required"] = [
            "time",
            "measured_at",
        ]  # the serializer leaves out `sensors` if empty
        whole["additionalProperties"]["description"] = (
            "One entry for each heater, by its name: `tool0`, `tool1`, …, `bed` or "
            "`chamber`."
        )
        return schema


Attention = Literal["none", "error", "prompt", "filament_runout", "paused"]
"""Why the printer needs a person: it stopped, it asks a question, it is out of
filament, or it paused for another reason."""


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
    """It is about to resume."""
    cancelling: bool
    """It is being cancelled."""
    finishing: bool
    """The whole file was read; the last moves are being executed."""
    sdReady: bool  # noqa: N815 - OctoPrint's name
    """An SD card is mounted."""
    error: bool
    """The printer has stopped until it is reset."""
    ready: bool
    """Operational, and without a print."""
    closedOrError: bool  # noqa: N815 - OctoPrint's name
    """Offline or in error."""


class CardStatus(PublishedDocument):
    """The SD card."""

    ready: bool
    """It is mounted."""


class Position(PublishedDocument):
    """The position of the head in mm, as last reported.

    It is null if the head may have moved and the position has not been reported for
    three intervals, which are 6 seconds, or 15 during a print.
    """

    x: float
    """Along x."""
    y: float
    """Along y."""
    z: float
    """Along z."""
    e: float | None
    """Of the extruder."""
    time: Time
    """When it was reported."""


class Prompt(PublishedDocument):
    """The printer's question to the person in front of it."""

    reason: Literal["prompt", "paused"]
    """Whether it asks a question or only waits."""
    text: str
    """The question."""
    choices: tuple[str, ...]
    """The texts of the buttons. The command `answer` of `job` presses the n-th button,
    counted from 0."""
    commands: tuple[str, ...]
    """The command that each button sends, if buttons are commands, as in Klipper; for
    other firmwares, the same texts as in `choices`."""


class RecoveryPlan(PublishedDocument):
    """How an interrupted print could continue; `job` `plan_recovery` makes the plan.

    It becomes null when the head is moved, a print begins, or the connection to the
    printer is lost.
    """

    file: str
    """The file of the print."""
    layer: int | None
    """The layer to continue with, counted from 1; null if the print cannot continue."""
    height: float | None
    """The height at which the nozzle must be, in mm above the bed; null if the print
    cannot continue."""
    lines: tuple[str, ...]
    """The lines that would be sent before that layer."""
    refused: str
    """Why the print cannot continue, or empty."""
    time: Time
    """When the plan was made."""


class Light(PublishedDocument):
    """The light."""

    on: bool
    """It is on."""
    brightness: float | None
    """In percent."""
    color: tuple[int, int, int] | None
    """Red, green and blue, 0 to 255 each."""


class Can(PublishedDocument):
    """Which commands the current state of the printer allows."""

    select: bool
    """Select a file."""
    start: bool
    """Print the selected file."""
    reprint: bool
    """Print the file of the last print again."""
    pause: bool
    """Pause the print."""
    resume: bool
    """Resume the print, or tell a printer that waits for a person to continue."""
    cancel: bool
    """Cancel the print."""
    move: bool
    """Jog, home and extrude."""
    plan_recovery: bool
    """Plan how an interrupted print could continue."""
    recover: bool
    """Continue the print according to `recovery`."""


class State(PublishedDocument):
    """What `state` holds."""

    state: Word
    """The state in one word."""
    text: str
    """The state in OctoPrint's words."""
    status: str
    """The state in words for people, with its reason."""
    flags: Flags
    """The state as OctoPrint's flags."""
    error: str
    """The last error, or why the printer cannot be reached; otherwise empty."""
    sd: CardStatus
    """The SD card."""
    tool: int | None
    """The selected tool, counted from 0."""
    position: Position | None
    """The position of the head."""
    feedrate: int | float | None
    """The feedrate factor, in percent."""
    flowrate: int | float | None
    """The flow factor, in percent."""
    fan: int | float | None
    """The part cooling fan, in percent."""
    fans: dict[str, float]
    """The fans other than part cooling, in percent, by their ids in the profile; those
    that have not been set are left out."""
    light: Light | None
    """The light, as it was last set."""
    z_offset: float | None
    """Sum of the babysteps since the printer was connected, in mm."""
    shown: str | None
    """The last text that was sent to the display."""
    jog_distance: float
    """Distance of `head` `jog_step`, in mm."""
    extrude_length: float
    """Length of `tool` `extrude_step`, in mm."""
    relative: bool | None
    """The axes move relatively (`G91`), according to the lines that were sent; null
    during a print."""
    relative_extruder: bool | None
    """The extruder moves relatively (`M83`); null during a print."""
    prompt: Prompt | None
    """What the printer waits for."""
    recovery: RecoveryPlan | None
    """How an interrupted print could continue, if a plan was made."""
    message: str
    """The printer's last notification."""
    locked: bool
    """The printer is locked with a password, and executes nothing."""
    attention: Attention
    """Why the printer needs a person, or `none`."""
    can: Can
    """Which commands are possible now."""
    released: bool
    """The port is closed until `link` `connect`, so that other programs can use it."""
    hot: bool | None
    """A heater is at 45 °C or above, or is being heated to that: do not touch it. Null
    if this is not known, because the printer is disconnected or one of its heaters has
    failed."""
    safe_to_power_off: bool | None
    """Nothing is being printed, every heater is off, and no hotend is above 50 °C; null
    if this is not known."""
    heaters_off_at: Time | None
    """When the first heater will be turned off, unless somebody uses the printer; null
    if none will be, for example during a print. It may be up to a minute early, but is
    exact after `heaters_idle`."""
    heat_reason: HeatReason | None
    """Why heaters are on: a print runs (`print`) or is paused (`pause`), a command
    holds them for a time (`hold`), or somebody has used the printer (`use`). `none`:
    they should be off, but the printer does not obey. Null if all heaters are off, or
    if this is not known."""
    time: Time
    """When this document was true."""


class File(PublishedDocument):
    """One entry of `sd/files`."""

    name: str
    """The last part of its path."""
    path: str
    """The name by which the firmware opens it."""
    size: int | None
    """In bytes."""
    display: str
    """Its long name, if the firmware reports one."""
    date: str | None
    """ISO 8601 without a time zone, according to the printer's clock."""


class CardFiles(RootModel[tuple[File, ...]]):
    """What `sd/files` holds."""

    model_config = ConfigDict(frozen=True)


class Result(PublishedDocument):
    """How a print ended."""

    outcome: Outcome
    """How it ended."""
    file: str | None
    """The file that was printed."""
    elapsed: int | None
    """Its duration without pauses, in seconds; null if its start was not seen."""
    reason: str
    """Why it failed, or empty."""
    time: Time
    """When it ended."""


class JobResult(PublishedDocument):
    """What `job/result` holds; every field is null until a print has ended."""

    outcome: Outcome | None
    """How the last print ended."""
    file: str | None
    """The file that was printed."""
    origin: Origin | None
    """Where the file was: on the `card`, or `local` to the bridge."""
    job: str | None
    """Its id; null for a print from the card."""
    started_at: Time | None
    """When it started; null if that was not seen."""
    ended_at: Time | None
    """When it ended, or was last seen if the connection was lost during the print."""
    elapsed: int | None
    """Its duration without pauses, in seconds; null if its start was not seen."""
    reason: str | None
    """Why it failed: `connection_lost`, `printer_reset`, `card_removed`, `not_started`,
    `file_error` (the firmware refused a line of the file), or the reason of the
    firmware's error. Empty if it did not fail."""
    filament: float | None
    """Filament used, in mm; null for prints from the card, because firmwares do not
    report it."""
    layers: int | None
    """Number of printed layers; null for prints from the card."""


class Job(PublishedDocument):
    """What `job/state` holds."""

    state: Phase | None
    """The state of the print; null while the printer is not connected."""
    job: str | None
    """The id of a print from the bridge's files; null without one."""
    origin: Origin
    """Where the file is: on the `card`, or `local` to the bridge."""
    file: str | None
    """The selected file's path."""
    display: str | None
    """Its long name, if it is known."""
    size: int | None
    """In bytes."""
    position: int | None
    """Number of bytes that were read. For a print from the card, this, `progress`,
    `remaining` and `finish_at` are null if the printer has not reported the position
    for three intervals."""
    measured_at: Time | None
    """When the printer last reported a print from the card; otherwise null."""
    line: int | None
    """Number of lines of the file that the printer has acknowledged, including
    comments; null for a print from the card, like all the fields up to `excluded`."""
    layer: int | None
    """The current layer, counted from 1. If only `M73 L`, a text for the display or
    Klipper's `SET_PRINT_STATS_INFO` names it, it is counted as the slicer does. Null
    before the first layer, and if nothing names it."""
    layers: int | None
    """Number of layers in the file, if the slicer states it."""
    z: float | None
    """Height of the layer in mm."""
    filament: float | None
    """Filament used so far, in mm."""
    starved: float | None
    """Seconds in which the printer may have run out of moves because the bridge had no
    line to send."""
    objects: tuple[str, ...]
    """The objects that `exclude` can leave out."""
    excluded: tuple[str, ...]
    """The objects that are left out."""
    progress: float | None
    """In percent; `progress_from` says what it is based on."""
    progress_from: Basis | None
    """`slicer` (`M73` in the file), `time` (the slicer's estimate for the whole print)
    or `bytes`."""
    elapsed: int | None
    """Its duration without pauses, in seconds; null if the start was not seen."""
    remaining: int | None
    """Remaining seconds, rounded to 1 or 5 minutes: as reported by the slicer (`M73`),
    otherwise estimated from the progress since heating ended; null until several
    estimates agree. `request/job` has the exact value."""
    started_at: Time | None
    """When the print started; null if that was not seen."""
    finish_at: Time | None
    """When it is expected to finish, to the minute; null while it is paused or heating.
    """
    heating: bool
    """The print waits for a heater; this time does not count for the estimate."""
    reason: str
    """Why it is paused, if the printer reports a reason."""
    result: Result | None
    """How the last print ended; kept until the next one starts. `job/result` is kept
    longer."""
    time: Time
    """When this document was true."""


class TotalsDocument(PublishedDocument):
    """What `totals` holds: all prints that ended while the bridge was running."""

    done: int
    """Prints that were completed."""
    cancelled: int
    """Prints that were cancelled."""
    failed: int
    """Prints that failed."""
    print_time: int
    """Their duration without pauses, in seconds; prints whose start was not seen are
    left out."""
    filament: float
    """Filament that they used, in mm; prints for which it is not known are left out,
    such as those from the card."""


class Error(PublishedDocument):
    """What `error` holds; its fields are empty if nothing is wrong."""

    error: str = ""
    """The firmware's own words, or the bridge's."""
    reason: str = ""
    """The reason as a word for programs, such as `thermal_runaway`."""
    consequence: str = ""
    """`halted` (the firmware needs a reset), `stopped` (on request), `disconnected`,
    `heater_off` (a heater failed, and the firmware keeps running), `print_failed` (the
    printer can be used, and nobody has acknowledged the failure), or `unmeasured` (a
    heater that should be heating has no temperature)."""
    severity: Severity | Literal[""] = ""
    """`warning`, `error` or `critical`."""
    logs: tuple[str, ...] = ()
    """The last lines of the wire log, at most 20. Of several reports in a row, only the
    newest are kept; `### 57 reports and repetitions left out` replaces the others."""
    time: str = ""
    """When it happened."""


EVENTS: Mapping[str, str] = {
    "connected": "The printer can be used; `firmware`.",
    "disconnected": "The connection ended; `reason`.",
    "printer_reset": "The printer was reset while it was connected.",
    "home": "A homing command was sent; `axes`.",
    "tool_change": "Another tool was selected; `old`, `new`.",
    "position": "The printer reported a new position; `x`, `y`, `z`, `e` in mm.",
    "print_started": "A print has started; `file`, `size`.",
    "print_paused": "The print is paused; `file`, `reason`.",
    "print_resumed": "The print continues; `file`.",
    "print_done": "The print is complete; `file`, `elapsed` in seconds without pauses.",
    "print_cancelled": "The print was cancelled; `file`, `elapsed`.",
    "print_failed": "The print failed; `file`, `elapsed`, `reason`.",
    "layer": "A layer of a print from the bridge's files begins; `file`, `layer`, "
    "`layers`, `z` in mm.",
    "job_interrupted": "The bridge was restarted and found an interrupted print of one "
    "of its files; `file`, `job`, `layer`. `job` `recover` may continue it.",
    "file_added": "A file was stored; `path`, `size`, `slicer`, `time` (seconds), "
    "`warnings`: how many warnings its check found.",
    "file_removed": "A stored file was deleted or moved; `path`.",
    "filament_runout": "The filament ran out; `file`.",
    "waiting_for_user": "The printer waits for an answer; `prompt`, `choices`.",
    "heaters_idle": "Heaters will be turned off soon, because nobody uses them or a "
    "print is paused; `heaters`, `off_at` (ISO 8601), `cause` (`idle` or `pause`).",
    "heaters_off": "Heaters were turned off; `heaters`, `cause`: `idle`, `pause`, "
    "`hold` (its time is over), `broker` (not connected) or `exit` (the bridge ends, "
    "or they are still on after it ended or a print of its files broke off).",
    "heaters_on_again": "Heaters that went off during a pause are on again; `heaters`.",
    "heaters_stay_on": "Heaters should have been turned off but are still on; "
    "`heaters`, `reason`. The bridge keeps trying.",
    "queue_changed": "The queue of prints has changed; `action` (`added`, `removed`, "
    "`moved`, `cleared`, `held`, `released`, `started`, `cannot_start`, `file_gone`), "
    "`job` and `file` of the print, `length`, `held`.",
    "start_requested": "Somebody at the printer asked for the host's print (Marlin's "
    "`//action:start`, Prusa's `//action:ready`); `released`: the queue was released "
    "for its first print, `job` and `file`. Otherwise `reason`: `empty`, `held`, "
    "`stopped`, `print_failed`, `cannot_start`, `busy` or `off` (by "
    "`queue.release_at_printer` or `rights.control`).",
    "settings_pending": "Changed settings wait for the end of the print, because "
    "applying them reconnects the printer, which would end it; `settings`.",
    "error": "Something went wrong; `error`, `reason`, `consequence`.",
    "complaint": "The printer reported an error that belongs to no command, or to one "
    "whose caller no longer waits; `error`, and `left_out`: how many were left out "
    "since the last one.",
    "command_rejected": "A message was rejected; `id`, `topic`, `command`, `code`, "
    "`error`, `message`, as in its response. In a flood, some are left out.",
}
"""Every event, with its fields in addition to `event`, `seq` and `time`. Events that a
firmware can cause in any number are limited; `left_out` then says how many are missing.
"""


class Event(PublishedDocument):
    """What `event` carries; its other fields depend on the event."""

    model_config = ConfigDict(extra="allow")

    event: Annotated[str, WithJsonSchema({"type": "string", "enum": list(EVENTS)})]
    """What happened."""
    seq: int
    """Increases by one with each event since the bridge started."""
    time: Time
    """When."""
