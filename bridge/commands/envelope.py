"""The fields that every command may have, and the response to it."""

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
from bridge.errors import CommandError, quoted
from bridge.field_docs import DocumentedModel
from bridge.timestamps import timestamp

SKEW = 60.0
"""Seconds that a sender's clock may be ahead before the response has a warning."""

_LATEST = 100_000_000_000  # the year 5138; a larger number is in milliseconds
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
                "must be ISO 8601 with a time zone, such as 2026-11-22T17:05:31Z, or "
                f"Unix time in seconds, not {quoted(value[:40])}"
            )
        return when.timestamp()
    if isinstance(value, int | float) and not 0 <= value <= _LATEST:
        raise ValueError(
            "must be Unix time in seconds; this is negative or in milliseconds"
        )
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
    """The fields that every command and request may have in addition to its own."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: Annotated[_Id | None, NotNull] = None
    """Identifies the command, and is repeated in the response. A second command with
    the same `id` within 10 minutes is not executed; it gets the first one's
    response."""
    issued_at: Annotated[_Instant | None, NotNull] = None
    """When the sender issued the command: ISO 8601 with a time zone, or Unix time in
    seconds."""
    ttl: Annotated[_Seconds | None, NotNull] = None
    """Time to live in seconds, from `issued_at` or, without that, from the arrival.
    Later the command is `expired` and not executed, even an `M112` on `command`. A
    stop on `emergency` never expires."""
    dry_run: bool = False
    """Check the command and respond with its G-code, but send nothing to the
    printer."""
    timeout: Annotated[_Seconds | None, NotNull] = None
    """Seconds in which the printer has to finish the command. By default each line has
    the timeout of the firmware family."""


def lifetime(
    envelope: Envelope,
    arrived: float,
    message_expiry: float | None = None,
    waited: float = 0.0,
) -> float | None:
    """Return for how many seconds a command may still be executed, or ``None``: always.

    Args:
        envelope: the command's common fields.
        arrived: when it was received, in Unix time. The caller measures the result from
            then on, on a clock that is never set.
        message_expiry: the rest of its MQTT 5 Message Expiry Interval, in seconds: the
            broker has subtracted the time for which it held the message (3.3.2.3.3).
        waited: seconds for which it may have waited before it was received.

    A sender's clock that is ahead must not prolong a command's life, so an
    ``issued_at`` after the arrival counts as the arrival. If the sender's clock is
    behind, the command expires early, and the response's message gives the difference.

    """
    lives = []
    if envelope.ttl is not None:
        issued = arrived if envelope.issued_at is None else envelope.issued_at
        age = waited if issued >= arrived else arrived - issued
        lives.append(envelope.ttl - age)
    if message_expiry is not None:
        lives.append(message_expiry - waited)
    return min(lives, default=None)


def expiry_message(envelope: Envelope, now: float) -> str:
    """Return the message of an expired command's response, for the time ``now``."""
    if envelope.ttl is None:
        return "the MQTT message expired before the command could be sent"
    if envelope.issued_at is None:
        return f"the command was queued for longer than its ttl of {envelope.ttl:g} s"
    return (
        f"issued_at was {now - envelope.issued_at:.1f} s ago by the bridge's clock, "
        f"but ttl is {envelope.ttl:g} s; if that is wrong, set the sender's clock"
    )


def standstill_message(waited: float) -> str:
    """Return the message for what was received after the bridge had stood still."""
    return (
        f"the bridge stood still for {waited:.0f} s, as a suspended or overloaded "
        "computer does, and this was sent before that or meanwhile; send it again"
    )


def skew_warning(envelope: Envelope, arrived: float) -> str | None:
    """Return a warning if the sender's clock is more than a minute ahead."""
    if envelope.issued_at is None or envelope.issued_at - arrived <= SKEW:
        return None
    return (
        f"issued_at is {envelope.issued_at - arrived:.0f} s in the future by the "
        "bridge's clock; ttl was counted from the arrival"
    )


Status = Literal["finished", "rejected", "failed", "expired"]


@dataclass(frozen=True, slots=True)
class Origin:
    """The message that a response answers.

    Attributes:
        topic: what follows the printer's base topic.
        id: its ``id``, if it had one that could be read.
        command: its command, if that could be read.
        warning: something to fix that did no harm this time.

    """

    topic: str
    id: str | None = None
    command: str | None = None
    warning: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a message.

    Attributes:
        gcode: the lines that were sent, or that a dry run would send.
        output: the printer's replies to these lines, without ``ok``.
        duration: seconds since the message arrived.
        data: the answer to a request.
        warnings: what was changed, or could not be checked, in what was sent.

    """

    gcode: Sequence[str] = ()
    output: Sequence[str] = ()
    duration: float = 0.0
    data: object = None
    warnings: Sequence[str] = ()


class Response(DocumentedModel):
    """The response to a message; fields that do not apply are left out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str | None = None
    """The message's `id`, if it had one."""
    topic: str
    """The message's topic below the printer's base topic, such as `head` or
    `request/state`."""
    command: str | None = None
    """The command, if it could be read."""
    status: Status
    """`finished`: the printer acknowledged it. `rejected`: nothing was sent. `failed`:
    something was sent, but failed. `expired`: it was too old and was not sent."""
    code: int
    """A status code with HTTP's meaning: 200, 400, 403, 404, 408, 409, 410, 412, 429,
    500 or 503."""
    gcode: tuple[str, ...] = ()
    """The lines that were sent, or that a dry run would send."""
    output: tuple[str, ...] = ()
    """The printer's replies to these lines, without `ok`."""
    duration: float = 0.0
    """Seconds from the arrival of the message to this response."""
    time: str
    """When the response was made, as ISO 8601 in UTC."""
    error: str | None = None
    """A stable error code for programs, if `status` is not `finished`."""
    message: str | None = None
    """An explanation for people, if `status` is not `finished`."""
    data: object | None = None
    """The answer to a request."""
    warning: str | None = None
    """Something to know that did no harm this time, such as a wrong clock, a text that
    was changed, or a code that no limit covers."""

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
        """Return the response to a message: ``finished``, unless there is an error."""
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
            warning="; ".join([*filter(None, [origin.warning]), *outcome.warnings])
            or None,
        )

    def shortened(self, size: int) -> Self:
        """Return a response that is too large (``size`` bytes) without its lists."""
        warning = (
            f"the response has {size} bytes, more than the broker accepts; gcode, "
            "output and data were left out. Request less, or raise the broker's limit"
        )
        update = {"gcode": (), "output": (), "data": None, "warning": warning}
        return self.model_copy(update=update)
