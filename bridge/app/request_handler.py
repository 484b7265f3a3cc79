"""Handles each message to one printer, and sends exactly one response to it.

The steps, in this order: admit (flags, rate limit, queue), parse, authorise,
deduplicate, execute, respond. A message is classified once, before the first of them:
an emergency stop is admitted at once, however it is spelled.
"""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from bridge.app.rate_limit import (
    Admission,
    MessageClass,
    RateLimiter,
    classify,
    shutting_down,
)
from bridge.commands import (
    Origin,
    Outcome,
    Request,
    RequestError,
    Response,
    origin_of,
    parse,
)
from bridge.commands.deduplication import Deliveries, Receipts, Verdict
from bridge.commands.emergency import EmergencyStop
from bridge.commands.envelope import (
    expiry_message,
    lifetime,
    skew_warning,
    standstill_message,
)
from bridge.config import Config
from bridge.errors import CommandError, ExpiredError, FailedError, RejectedError
from bridge.mqtt.messages import Message
from bridge.printer.control.command_queue import Interrupted, Run
from bridge.printer.control.emergency_stop import STOP_MESSAGE
from bridge.timeout import boottime
from bridge.topics import Topics, response_topic_allowed

log = logging.getLogger("bridge.commands")

PRINTER = "printer"
"""The printer's own connection to the broker."""

CLEARED = (b"", None, None)
"""The key under which :class:`~bridge.commands.deduplication.Deliveries` knows the
message that clears a retained one."""

COPY_TIMEOUT = 2.0
"""Seconds to wait for the copy of a stop on the printer's connection. A broker keeps
the order of messages on a connection, so what arrives before the copy was sent before
the stop."""

WARNING_RATE = 0.1
"""Warnings per second about response topics; a sender can invent any number of them."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Where a response goes.

    Attributes:
        topic: the response topic.
        correlation: the sender's correlation data (MQTT 5.0, 4.10), if it sent any.
        reply: gets the response instead, if the message did not come by MQTT.

    """

    topic: str
    correlation: bytes | None = None
    reply: Callable[[Response], None] | None = None


@dataclass(slots=True)
class _Handling:
    """What is known of a message while it is handled.

    Attributes:
        sender: where its response goes.
        begun: the event loop's time at which it arrived, in seconds.
        origin: what its response says of it; ``None`` until it is parsed.
        run: what was sent for it, and what the printer said.
        data: the answer to a question.
        key: its id, if a repetition of it must get the same response.

    """

    sender: Sender
    begun: float
    origin: Origin | None = None
    run: Run = field(default_factory=Run)
    data: object = None
    key: str | None = None

    def outcome(self, duration: float) -> Outcome:
        """Return what became of it, after so many seconds."""
        run = self.run
        return Outcome(run.gcode, run.output, duration, self.data, run.warnings)


Execute = Callable[[Request, Run, float | None], Awaitable[object]]
"""Executes a request and returns the ``data`` of its response.

Its arguments are the request, the run to fill meanwhile, and the time of
:func:`bridge.timeout.boottime` after which it must not start."""


class RequestHandler:
    """Handles the messages to one printer.

    Args:
        config: the rights and limits.
        topics: the printer's.
        execute: carries out what was admitted.
        stop: stops the machine at once, and fills the run.
        poll: looks for an emergency stop; is called before what takes long.
        check_room: refuses a command of so many lines if the queue has no room for it.
        respond: publishes a response.
        clear: clears a retained message from a command topic.
        refused: gets the response to every message that was rejected, except in a
            flood.
        receipts: of the commands that earlier handlers of this printer have executed.

    """

    def __init__(  # noqa: PLR0913 - what it does with a message is its owner's
        self,
        config: Config,
        topics: Topics,
        *,
        execute: Execute,
        stop: Callable[[Run], None],
        poll: Callable[[], None],
        check_room: Callable[[int], None],
        respond: Callable[[Response, Sender], None],
        clear: Callable[[str], None],
        refused: Callable[[Response], None],
        receipts: Receipts[Sender] | None = None,
    ) -> None:
        self._config = config
        self._bases = config.bases
        self._topics = topics
        self._execute = execute
        self._stop = stop
        self._poll = poll
        self._deliveries = Deliveries()
        self._copy_due = -math.inf
        self._check_room = check_room
        self._respond = respond
        self._clear = clear
        self._refused = refused
        self._refusals = RateLimiter(config.limits.rate)
        self._warnings = RateLimiter(WARNING_RATE)
        names = (topics.split(topic) for topic in topics.commands)
        known = frozenset(name for name in names if name)
        self._admission = Admission(config.limits.rate, known)
        self._receipts = Receipts[Sender]() if receipts is None else receipts
        self._receipts.interrupted()
        self._response_topic = topics.response

    def configure(self, config: Config) -> None:
        """Apply other rights and limits to the following messages."""
        self._config = config
        self._bases = config.bases
        self._refusals = RateLimiter(config.limits.rate)
        self._admission.allow(config.limits.rate)

    async def handle(
        self,
        message: Message,
        rest: str,
        interrupted: Interrupted,
        sender: Sender | None = None,
    ) -> None:
        """Handle one message.

        It gets a response even if a bug occurs; the exception is raised afterwards.

        Args:
            message: the message.
            rest: its topic without the base.
            interrupted: returns why the printer was stopped or reset since the message
                arrived, if it was. The message may have waited meanwhile, and a command
                must not outlive an emergency stop.
            sender: where its response goes, if the message does not say that.

        """
        sender = sender or self._sender(message)
        so_far = _Handling(sender, asyncio.get_running_loop().time())
        error: CommandError | None = None
        bug: Exception | None = None
        try:
            if not await self._carry_out(message, rest, interrupted, so_far):
                return
        except RequestError as refusal:
            so_far.origin = Origin(rest, refusal.id, refusal.command)
            error = refusal
        except CommandError as refusal:
            error = refusal
        except Exception as fault:  # noqa: BLE001 - raised once it was answered
            bug, error = fault, FailedError.internal()
        origin = so_far.origin or origin_of(rest, message.payload)
        now = asyncio.get_running_loop().time()
        outcome = so_far.outcome(now - so_far.begun)
        response = Response.to(origin, outcome, time.time(), error)
        self._finish(response, so_far.sender, so_far.key, now)
        if bug is not None:
            raise bug

    async def _carry_out(
        self, message: Message, rest: str, interrupted: Interrupted, so_far: _Handling
    ) -> bool:
        """Execute what a message asks for; return whether it gets a response now.

        Raises:
            CommandError: It is not carried out, or was in part.

        """
        arrived, awake, begun = time.time(), boottime(), so_far.begun
        kind = classify(rest, message.payload, self._config.mqtt.max_payload)
        await self._admit(message, rest, kind, begun)
        self._poll()
        request = self._parse(message, rest, arrived, so_far)
        stops = request.command.stops  # searches all lines of a long command
        if not stops and self._is_repeat(request, so_far, begun):
            return False
        expires = _expiry(request, message, arrived, awake, stops=stops)
        if not stops:
            self._poll()
            # It must not outlive a stop or a reset that came while it waited.
            if _acts(request) and (reason := interrupted()):
                raise reason
            self._count_lines(request, rest, kind)
        try:
            so_far.data = await self._execute(request, so_far.run, expires)
        except ExpiredError:
            text = expiry_message(request.envelope, time.time())
            raise ExpiredError(text) from None
        return True

    def handle_stop(self, message: Message, connection: str) -> None:
        """Stop the machine for an emergency message; the response comes later.

        The stop comes before everything else, so it must not depend on the payload. The
        message arrives on two connections: it stops the machine twice, which does no
        harm, and is answered once.

        Args:
            message: the message; the RETAIN flag makes no difference.
            connection: which connection it came from: :data:`PRINTER`, the one for all
                its topics, or another one.

        """
        loop = asyncio.get_running_loop()
        begun, run = loop.time(), Run()
        error: CommandError | None = None
        try:
            self._check_rights(EmergencyStop.tier)
            self._stop(run)
        except CommandError as refusal:
            error = refusal
        key = (message.payload, message.response_topic, message.correlation)
        first = self._deliveries.is_first(key, connection, begun)
        if connection == PRINTER:
            self._copy_due = -math.inf
        elif first:
            self._copy_due = begun + COPY_TIMEOUT
        if not first:
            return
        loop.call_soon(self._respond_to_stop, message, run, begun, error)

    def overtaken(self, now: float) -> Interrupted | None:
        """Return what ends a message that was sent before the latest stop.

        The stop overtook it on the other connection.
        """
        return _overtaken if now < self._copy_due else None

    def clear_retained_stop(self, message: Message) -> None:
        """Clear a retained message from the emergency topic after it was executed.

        The broker delivers the empty message to us as well: it stops the machine once
        more, and gets no response.
        """
        log.warning(
            "a message with the RETAIN flag on %s stopped the machine; send emergency "
            "stops without it, or every subscriber gets them again",
            message.topic,
        )
        if message.payload and self._config.mqtt.clear_retained_commands:
            self._deliveries.expect(CLEARED, asyncio.get_running_loop().time())
            self._clear(message.topic)

    def _respond_to_stop(
        self, message: Message, run: Run, begun: float, error: CommandError | None
    ) -> None:
        if message.retain:
            self.clear_retained_stop(message)
        now = asyncio.get_running_loop().time()
        largest = self._config.mqtt.max_payload
        origin = parse(EmergencyStop.topic, message.payload, max_bytes=largest).origin
        outcome = Outcome(run.gcode, run.output, now - begun, None)
        response = Response.to(origin, outcome, time.time(), error)
        self._finish(response, self._sender(message), None, now)

    def decline(
        self, message: Message, rest: str, sender: Sender | None = None
    ) -> None:
        """Reject a message that arrives after the printer was released."""
        origin = origin_of(rest, message.payload)
        response = Response.to(origin, Outcome(), time.time(), shutting_down())
        self._respond(response, sender or self._sender(message))

    def close(self) -> None:
        """Reject the messages that are still waiting to be read."""
        self._admission.close()

    async def _admit(
        self, message: Message, rest: str, kind: MessageClass, now: float
    ) -> None:
        """Wait until a message may be parsed.

        Raises:
            RejectedError: It is retained, or too many came.

        """
        if message.retain:
            self._refuse_retained(message)
        self._admission.check_rate(kind, rest, now)
        # A message that is too large is rejected unread, and need not wait.
        if len(message.payload) <= self._config.mqtt.max_payload:
            await self._admission.wait(kind)

    def _refuse_retained(self, message: Message) -> None:
        log.warning("a retained command on %s was not executed", message.topic)
        if message.payload and self._config.mqtt.clear_retained_commands:
            self._clear(message.topic)
        raise RejectedError.invalid(
            "the message has the RETAIN flag, and would be executed again after every "
            "restart; send commands without it",
            error="retained",
        )

    def _parse(
        self, message: Message, rest: str, arrived: float, so_far: _Handling
    ) -> Request:
        """Return what a message asks for, if its sender has the right to it.

        Raises:
            RequestError: It is not a request.
            RejectedError: Requests of this kind are switched off.

        """
        request = parse(rest, message.payload, max_bytes=self._config.mqtt.max_payload)
        so_far.origin = request.origin
        if warning := skew_warning(request.envelope, arrived):
            so_far.origin = replace(so_far.origin, warning=warning)
        self._check_rights(request.command.tier)
        return request

    def _check_rights(self, tier: str) -> None:
        """Check that commands of this tier are allowed.

        Raises:
            RejectedError: They are switched off.

        """
        if not getattr(self._config.rights, tier):
            raise RejectedError.forbidden(
                f"rights.{tier} is off in the bridge's configuration",
                error="forbidden",
            )

    def _count_lines(self, request: Request, rest: str, kind: MessageClass) -> None:
        """Reject a command with too many lines for the queue, before it is planned.

        Raises:
            RejectedError: The queue has no room for it.

        """
        lines = request.command.line_count
        if lines > 1:
            if not request.envelope.dry_run:
                self._check_room(lines)
            self._admission.count_lines(kind, rest, lines)

    def _is_repeat(self, request: Request, so_far: _Handling, now: float) -> bool:
        """Return whether a command with this id came before.

        Its sender then gets the same response, now or as soon as there is one.

        Raises:
            RejectedError: Too many wait for that response.

        """
        key = request.envelope.id
        if key is None or not _happens_once(request):
            return False
        first = self._receipts.admit(key, so_far.sender, now)
        if first is Verdict.EXECUTE:
            so_far.key = key
            return False
        if isinstance(first, Response):
            self._respond(first, so_far.sender)
        return True

    def _finish(
        self, response: Response, sender: Sender, key: str | None, now: float
    ) -> None:
        self._respond(response, sender)
        log.debug(
            "%s %s: %s%s (id %s, %.3f s)",
            response.topic,
            response.command or "",
            response.status,
            f", {response.error}: {response.message}" if response.error else "",
            response.id,
            response.duration,
        )
        # A flood of rejections must not displace more important events.
        if response.status == "rejected" and self._refusals.allows("", now):
            self._refused(response)
        if key is not None:
            for other in self._receipts.finish(key, response, now):
                self._respond(response, other)

    def _sender(self, message: Message) -> Sender:
        wanted = message.response_topic
        if wanted is not None:
            prefixes = self._config.mqtt.response_prefixes
            if response_topic_allowed(wanted, self._topics, prefixes, self._bases):
                return Sender(wanted, message.correlation)
            if self._warnings.allows("", time.monotonic()):
                log.warning("the response topic %s is not allowed", wanted)
        return Sender(self._response_topic, message.correlation)


def _expiry(
    request: Request, message: Message, arrived: float, awake: float, *, stops: bool
) -> float | None:
    """Return the time of the boot clock after which a request must not start.

    A standstill of the process does not make an emergency stop too old; only a limit
    that its sender has set does.

    Args:
        request: what was asked for.
        message: it came with this.
        arrived: when, in Unix time.
        awake: the same on the boot clock, which is never set.
        stops: whether it is an emergency stop.

    Raises:
        ExpiredError: That is over.

    """
    if message.stale and not stops:
        raise ExpiredError(standstill_message(message.waited))
    envelope = request.envelope
    left = lifetime(envelope, arrived, message.expiry, message.waited)
    if left is None:
        return None
    if boottime() >= awake + left:
        raise ExpiredError(expiry_message(envelope, time.time()))
    return awake + left


def _overtaken() -> CommandError:
    return FailedError.stopped(STOP_MESSAGE)


def _acts(request: Request) -> bool:
    """Return whether a request does more than read."""
    return request.command.tier != "read" and not request.envelope.dry_run


def _happens_once(request: Request) -> bool:
    """Return whether a repeated id means the same command, which is not executed twice.

    Requests may be repeated, and so may commands that make the machine safe: an
    emergency stop that arrives twice must stop twice.
    """
    return _acts(request) and request.command.tier != "safe"
