"""Every message gets exactly one answer: what is admitted, refused or repeated."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from bridge.app.rates import Rates
from bridge.app.turnstile import shutting_down
from bridge.app.waiting_room import Kind, WaitingRoom, kind_of
from bridge.commands import (
    Origin,
    Outcome,
    Request,
    RequestError,
    Response,
    origin_of,
    parse,
)
from bridge.commands.base import Command
from bridge.commands.deduplication import Receipts, Verdict
from bridge.commands.emergency import EmergencyStop
from bridge.commands.envelope import expires_at, expiry_message, skew_warning
from bridge.commands.raw import RawCommand, RawCommands
from bridge.config import Config
from bridge.errors import CommandError, ExpiredError, RejectedError
from bridge.gcode import words
from bridge.mqtt.messages import Message
from bridge.printer.control.command_queue import Run
from bridge.topics import Topics, response_topic_allowed

log = logging.getLogger("bridge.commands")


@dataclass(frozen=True, slots=True)
class Sender:
    """Where an answer goes: a topic, and the sender's correlation data."""

    topic: str
    correlation: bytes | None = None


COMPLAINTS = 0.1
"""Warnings a second about response topics: a sender can think of many."""

_STOP = b"M112"

Perform = Callable[[Request, Run, float | None], Awaitable[object]]
"""Carries a request out; takes the run to fill, and the epoch seconds after which it
must not begin."""


class Reception:
    """Stands between the broker and one printer.

    Args:
        config: the rights and limits.
        topics: the printer's.
        respond: publishes a response.
        clear: clears a retained message from a command topic.
        refused: gets the response to every message that was refused, except in a flood.

    """

    def __init__(
        self,
        config: Config,
        topics: Topics,
        *,
        respond: Callable[[Response, Sender], None],
        clear: Callable[[str], None],
        refused: Callable[[Response], None],
    ) -> None:
        self._config = config
        self._topics = topics
        self._respond = respond
        self._clear = clear
        self._refused = refused
        self._refusals = Rates(config.limits.rate)
        self._complaints = Rates(COMPLAINTS)
        self._rates = Rates(config.limits.rate)
        names = (topics.split(topic) for topic in topics.commands)
        self._known = frozenset(name for name in names if name)
        self._receipts: Receipts[Sender] = Receipts()
        self._waiting_room = WaitingRoom()

    async def answer(self, message: Message, rest: str, perform: Perform) -> None:
        """Answer one message.

        Args:
            message: the message.
            rest: its topic without the base.
            perform: carries it out if it is admitted, and returns the answer to a
                question.

        """
        arrived, begun = time.time(), asyncio.get_running_loop().time()
        sender = self._sender(message)
        origin: Origin | None = None
        run = Run()
        data: object = None
        error: CommandError | None = None
        kept: str | None = None
        try:
            self._guard(message, rest, begun)
            await self._stand_in_line(rest, message.payload)
            request = parse(
                rest, message.payload, max_bytes=self._config.mqtt.max_payload
            )
            origin = request.origin
            if warning := skew_warning(request.envelope, arrived):
                origin = replace(origin, warning=warning)
            self._permit(request.command)
            if _is_kept(request):
                first = self._receipts.admit(origin.id or "", sender, begun)
                if isinstance(first, Response):
                    self._respond(first, sender)
                    return
                if first is Verdict.WAIT:
                    return
                kept = origin.id
            expires = _expiry(request, arrived, message.expiry)
            data = await _timely(perform, request, run, expires)
        except RequestError as refusal:
            origin, error = Origin(rest, refusal.id, refusal.command), refusal
        except CommandError as refusal:
            error = refusal
        origin = origin or origin_of(rest, message.payload)
        now = asyncio.get_running_loop().time()
        outcome = Outcome(run.gcode, run.output, now - begun, data)
        response = Response.to(origin, outcome, time.time(), error)
        self._respond(response, sender)
        self._tell(response, now)
        if kept is not None:
            for other in self._receipts.finish(kept, response, now):
                self._respond(response, other)

    def decline(self, message: Message, rest: str) -> None:
        """Answer a message that comes when the printer was let go already."""
        origin = origin_of(rest, message.payload)
        response = Response.to(origin, Outcome(), time.time(), shutting_down())
        self._respond(response, self._sender(message))

    def close(self) -> None:
        """Decline what waits to be looked at as well."""
        self._waiting_room.close()

    def _tell(self, response: Response, now: float) -> None:
        # A flood of refusals must not push more important events out of their lane.
        if response.status == "rejected" and self._refusals.take("", now):
            self._refused(response)

    def _sender(self, message: Message) -> Sender:
        wanted = message.response_topic
        if wanted is not None:
            prefixes = self._config.mqtt.response_prefixes
            if response_topic_allowed(wanted, self._topics, prefixes):
                return Sender(wanted, message.correlation)
            if self._complaints.take("", time.monotonic()):
                log.warning("the response topic %s is not allowed", wanted)
        return Sender(self._topics.response, message.correlation)

    def _guard(self, message: Message, rest: str, now: float) -> None:
        if message.retain:
            self._refuse_retained(message)
        # A flood of commands must hold up no stop, no cancelling and no question.
        if kind_of(rest) is not Kind.COMMAND or _may_stop(rest, message.payload):
            return
        if not self._rates.take(rest if rest in self._known else "", now):
            rate = self._config.limits.rate
            raise RejectedError(
                f"more than {rate:g} messages a second on {rest}; see limits.rate",
                error="rate_limited",
                code=429,
            )

    async def _stand_in_line(self, rest: str, payload: bytes) -> None:
        """Let others go first; not a stop, nor what is refused by its size."""
        if _may_stop(rest, payload) or len(payload) > self._config.mqtt.max_payload:
            return
        await self._waiting_room.through(rest)

    def _refuse_retained(self, message: Message) -> None:
        log.warning("a retained command on %s was not executed", message.topic)
        if message.payload and self._config.mqtt.clear_retained_commands:
            self._clear(message.topic)
        raise RejectedError.invalid(
            "the message has the RETAIN flag, and would be executed again after every "
            "restart; send commands without it",
            error="retained",
        )

    def _permit(self, command: Command) -> None:
        if not getattr(self._config.rights, command.tier):
            raise RejectedError.forbidden(
                f"rights.{command.tier} is off in the bridge's configuration",
                error="forbidden",
            )


def _may_stop(rest: str, payload: bytes) -> bool:
    """Tell whether a message may be an emergency stop; nothing is parsed yet."""
    return rest == EmergencyStop.topic or (
        rest == RawCommand.topic and _STOP in payload.upper()
    )


def _expiry(
    request: Request, arrived: float, message_expiry: int | None
) -> float | None:
    """Return the epoch seconds after which a request must not begin."""
    envelope = request.envelope
    expires = expires_at(envelope, arrived, message_expiry)
    if expires is not None and time.time() >= expires:
        raise ExpiredError(expiry_message(envelope, time.time()))
    return expires


async def _timely(
    perform: Perform, request: Request, run: Run, expires: float | None
) -> object:
    try:
        return await perform(request, run, expires)
    except ExpiredError:
        raise ExpiredError(expiry_message(request.envelope, time.time())) from None


def _is_kept(request: Request) -> bool:
    """Tell whether a repeated id means the same command, not to be done twice.

    A question may be asked again, a dry run does nothing, and an emergency stop that
    comes twice must stop twice.
    """
    return (
        request.envelope.id is not None
        and not request.envelope.dry_run
        and request.command.tier not in {"read", "safe"}
        and not stops(request.command)
    )


def stops(command: Command) -> bool:
    """Tell whether a command is an emergency stop, however it was sent."""
    match command:
        case EmergencyStop():
            return True
        case RawCommand():
            lines: Sequence[str] = (command.command,)
        case RawCommands():
            lines = command.commands
        case _:
            return False
    return any(words.parse(line).code == _STOP.decode() for line in lines)
