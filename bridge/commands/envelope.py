"""What rides beside every command, and the one response that comes back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    WithJsonSchema,
    model_serializer,
)

from bridge.commands.base import Finite, NotNull
from bridge.errors import CommandError
from bridge.field_docs import DocumentedModel
from bridge.timestamps import timestamp

SKEW = 60.0
"""How far a sender's clock may be ahead before its messages are told so, in seconds."""

_LATEST = 100_000_000_000  # the year 5138: beyond it somebody counts milliseconds
_LONGEST = 31_536_000
_OK = 200


def _instant(value: object) -> object:
    if isinstance(value, str):
        try:
            when = datetime.fromisoformat(value)
        except ValueError:
            when = None
        if when is None or when.tzinfo is None:
            raise ValueError(
                "must be ISO 8601 with a zone such as 2026-11-22T17:05:31Z, or epoch "
                "seconds"
            )
        return when.timestamp()
    if isinstance(value, int | float) and not 0 <= value <= _LATEST:
        raise ValueError("must be epoch seconds, not milliseconds or a negative number")
    return value


_Instant = Annotated[
    Finite,
    BeforeValidator(_instant),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "format": "date-time"},
                {"type": "number", "minimum": 0, "maximum": _LATEST},
            ]
        }
    ),
]
_Id = Annotated[str, Field(min_length=1, max_length=64)]
_Seconds = Annotated[Finite, Field(gt=0, le=_LONGEST)]


class Envelope(DocumentedModel):
    """The fields that any command or request may carry beside its own."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: Annotated[_Id | None, NotNull] = None
    """Comes back in the response; a second command with the same one within 10 minutes
    is not executed again and gets the first one's response."""
    issued_at: Annotated[_Instant | None, NotNull] = None
    """When the sender meant it: ISO 8601 with a zone, or epoch seconds."""
    ttl: Annotated[_Seconds | None, NotNull] = None
    """Seconds after `issued_at`, or else after its arrival, from which on the command
    is `expired` and not executed."""
    dry_run: bool = False
    """Check it and answer with the G-code, but send nothing."""
    timeout: Annotated[_Seconds | None, NotNull] = None
    """Seconds the printer has to finish it; by default each line has the patience that
    the firmware family needs."""


def expires_at(
    envelope: Envelope, arrived: float, message_expiry: float | None = None
) -> float | None:
    """Return when a command is too old to be executed, or ``None`` for never.

    Args:
        envelope: what came with it.
        arrived: when it came, in epoch seconds.
        message_expiry: what is left of its MQTT 5 Message Expiry, in seconds.

    A sender's clock that is ahead must not prolong a command's life: an ``issued_at``
    after the arrival counts as the arrival. One whose clock is behind loses time, and
    the response's message says so.

    """
    ends = []
    if envelope.ttl is not None:
        issued = arrived if envelope.issued_at is None else envelope.issued_at
        ends.append(min(issued, arrived) + envelope.ttl)
    if message_expiry is not None:
        ends.append(arrived + message_expiry)
    return min(ends, default=None)


def expiry_message(envelope: Envelope, now: float) -> str:
    """Return the sentence of an expired command's response, for the time ``now``."""
    if envelope.ttl is None:
        return "the MQTT message expired before the printer could take the command"
    if envelope.issued_at is None:
        return f"the command waited longer than its ttl of {envelope.ttl:g} s"
    return (
        f"issued_at was {now - envelope.issued_at:.1f} s ago by the bridge's clock, "
        f"ttl is {envelope.ttl:g} s; if that is wrong, set the sender's clock"
    )


def skew_warning(envelope: Envelope, arrived: float) -> str | None:
    """Return a sentence for a sender whose clock is more than a minute ahead."""
    if envelope.issued_at is None or envelope.issued_at - arrived <= SKEW:
        return None
    return (
        f"issued_at is {envelope.issued_at - arrived:.0f} s in the future by the "
        "bridge's clock; its ttl counts from the arrival"
    )


Status = Literal["finished", "rejected", "failed", "expired"]


@dataclass(frozen=True, slots=True)
class Origin:
    """The message that a response answers.

    Attributes:
        topic: what follows the printer's base topic.
        id: its ``id``, if it had one that could be read.
        command: what it asks, where that could be read.
        warning: something about it to mend that does no harm this time.

    """

    topic: str
    id: str | None = None
    command: str | None = None
    warning: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a message.

    Attributes:
        gcode: the lines that were sent, or that a dry run would send.
        output: the printer's lines between them and their ``ok``.
        duration: seconds since the message arrived.
        data: the answer to a request.

    """

    gcode: Sequence[str] = ()
    output: Sequence[str] = ()
    duration: float = 0.0
    data: object = None


class Response(DocumentedModel):
    """The one answer to one message; what does not apply is left out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str | None = None
    """The request's `id`, if it had one."""
    topic: str
    """What follows the printer's base topic, such as `head` or `request/state`."""
    command: str | None = None
    """The command, where it could be read."""
    status: Status
    """Acknowledged by the printer; not sent at all; sent and gone wrong; too old."""
    code: int
    """HTTP's meaning: 200, 400, 403, 404, 408, 409, 410, 412, 429, 500, 503."""
    gcode: tuple[str, ...] = ()
    """The lines that were sent, or that a dry run would send."""
    output: tuple[str, ...] = ()
    """The printer's own lines between the command and its `ok`."""
    duration: float = 0.0
    """Seconds from the arrival to this response."""
    time: str
    """When, as ISO 8601 in UTC."""
    error: str | None = None
    """A stable word for programs, where `status` is not `finished`."""
    message: str | None = None
    """A sentence for people, where `status` is not `finished`."""
    data: object | None = None
    """The answer to a request."""
    warning: str | None = None
    """Something to mend that did no harm this time, such as a wrong clock."""

    @model_serializer(mode="wrap")
    def _present(self, handler: SerializerFunctionWrapHandler) -> dict[str, object]:
        fields: dict[str, object] = handler(self)
        return {key: value for key, value in fields.items() if value is not None}

    @classmethod
    def to(
        cls,
        origin: Origin,
        outcome: Outcome,
        now: float,
        error: CommandError | None = None,
    ) -> Self:
        """Return the response to a message, ``finished`` unless there is an error."""
        return cls(
            id=origin.id,
            topic=origin.topic,
            command=origin.command,
            status="finished" if error is None else error.status,
            code=_OK if error is None else error.code,
            gcode=tuple(outcome.gcode),
            output=tuple(outcome.output),
            duration=round(outcome.duration, 3),
            time=timestamp(now),
            error=None if error is None else error.error,
            message=None if error is None else error.message,
            data=outcome.data,
            warning=origin.warning,
        )

    def shortened(self, size: int) -> Self:
        """Return what is left of a response of so many bytes without its lists."""
        warning = (
            f"the response has {size} bytes, more than the broker takes: its gcode, "
            "output and data are left out; ask for less, or raise the broker's limit"
        )
        update = {"gcode": (), "output": (), "data": None, "warning": warning}
        return self.model_copy(update=update)
