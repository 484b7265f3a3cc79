"""The way of a message to what carries it out, and of its response back."""

import asyncio
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass

from bridge.app.file_service import StationFiles
from bridge.app.print_service import PrintService
from bridge.app.publisher import Publisher
from bridge.app.query_responses import response_data
from bridge.app.request_handler import PRINTER, RequestHandler, Sender
from bridge.commands import Request, Response
from bridge.commands.deduplication import Receipts
from bridge.commands.files import FilesCommand
from bridge.commands.link import LinkCommand
from bridge.commands.queue import QueueCommand
from bridge.commands.requests import (
    FileRequest,
    FilesRequest,
    HistoryRequest,
    RefreshRequest,
)
from bridge.config import Config
from bridge.mqtt.broker import Broker
from bridge.mqtt.messages import Lane, Message
from bridge.mqtt.outbox import LARGE
from bridge.printer.control.command_queue import Run
from bridge.printer.printer import Printer
from bridge.state_files import flush
from bridge.threads import in_thread
from bridge.topics import RESPONSE, Topics


@dataclass(frozen=True, slots=True)
class Recipients:
    """What carries requests out, besides the printer itself.

    Attributes:
        files: the stored files.
        prints: the queue of prints, and the history.
        publisher: knows what was published of the printer.
        remember: keeps on the disk what the next run has to know of the printer.
        poll: looks for an emergency stop on the connection for those.
        receipts: of earlier commands; ``None``: there are none.

    """

    files: StationFiles
    prints: PrintService
    publisher: Publisher
    remember: Callable[[], None]
    poll: Callable[[], None]
    receipts: Receipts[Sender] | None = None


class MessageRouter:
    """Passes each message to one printer on, and publishes the response.

    Args:
        config: the rights and limits.
        topics: the printer's.
        printer: carries out what concerns the printer.
        broker: publishes the responses.
        recipients: carry out everything else.

    """

    def __init__(
        self,
        config: Config,
        topics: Topics,
        printer: Printer,
        broker: Broker,
        recipients: Recipients,
    ) -> None:
        self._topics = topics
        self._printer = printer
        self._broker = broker
        self._recipients = recipients
        self._tasks: asyncio.TaskGroup | None = None  # None: it is not served
        self._handled: set[asyncio.Task[None]] = set()
        self._context = copy_context()
        """Where what other connections receive is handled: logs name the printer."""
        self._handler = RequestHandler(
            config,
            topics,
            execute=self._execute,
            check_room=printer.queue.check_room,
            stop=printer.stop_for,
            poll=recipients.poll,
            respond=self._respond,
            clear=broker.clear_command,
            refused=recipients.publisher.refused,
            receipts=recipients.receipts,
        )

    def configure(self, config: Config) -> None:
        """Use other rights and limits for what arrives from now on."""
        self._handler.configure(config)

    def open(self, tasks: asyncio.TaskGroup) -> None:
        """Handle messages from now on, in tasks of this group."""
        self._tasks = tasks
        self._context = copy_context()

    async def close(self, within: float) -> None:
        """Decline what comes from now on; wait for what is handled, for so long.

        Args:
            within: in seconds.

        """
        self._tasks = None
        self._handler.close()
        if self._handled:
            await asyncio.wait(self._handled, timeout=within)

    def handle(
        self, message: Message, rest: str, sender: Sender | None = None
    ) -> asyncio.Task[None] | None:
        """Handle a message, in a task of its own; ``None``: it was declined.

        Args:
            message: the message.
            rest: its topic without the base; not ``emergency``.
            sender: where its response goes, if the message does not say that.

        """
        if self._tasks is None:
            self._handler.decline(message, rest, sender)
            return None
        overtaken = self._handler.overtaken(asyncio.get_running_loop().time())
        interrupted = overtaken or self._printer.queue.arrival()
        task = self._tasks.create_task(
            self._handler.handle(message, rest, interrupted, sender)
        )
        self._handled.add(task)
        task.add_done_callback(self._handled.discard)
        return task

    async def request(self, rest: str, payload: bytes) -> Response:
        """Handle what came by another way than MQTT, as if it had come on a topic.

        Args:
            rest: the topic without the base, such as ``job``; not ``emergency``.
            payload: the payload; without an id, by which a repetition is known.

        """
        responses: list[Response] = []
        sender = Sender(self._topics.response, reply=responses.append)
        message = Message(topic=f"{self._topics.base}/{rest}", payload=payload)
        task = self.handle(message, rest, sender)
        if task is not None:
            await asyncio.wait({task})
        if not responses:  # the station ended meanwhile
            self._handler.decline(message, rest, sender)
        return responses[0]

    def stop(self, message: Message) -> None:
        """Stop the printer; for a message that came on the printer's connection."""
        self._handler.handle_stop(message, PRINTER)

    def on_stop(self, message: Message) -> None:
        """Stop the printer; called by the connection for emergency stops."""
        self._context.run(self._handler.handle_stop, message, "emergency")

    def on_retained_stop(self, message: Message) -> None:
        """Clear a retained stop; called by the connection for emergency stops."""
        self._context.run(self._handler.clear_retained_stop, message)

    async def _execute(
        self, request: Request, run: Run, expires: float | None
    ) -> object:
        """Carry a request out; see :data:`~bridge.app.request_handler.Execute`."""
        command, envelope = request.command, request.envelope
        if envelope.dry_run:
            if isinstance(command, QueueCommand):
                self._recipients.prints.check(command)
            elif isinstance(command, LinkCommand):
                self._printer.check_link(command)
            planned = await self._printer.plan_in_slices(command)
            run.gcode.extend(planned.program.gcode)
            run.warnings.extend(planned.program.warnings)
            return None
        if isinstance(command, FilesCommand | FileRequest) or (
            isinstance(command, FilesRequest) and command.origin == "local"
        ):
            return await self._recipients.files.execute(command)
        if isinstance(command, QueueCommand | HistoryRequest):
            return await self._recipients.prints.execute(command)
        if isinstance(command, RefreshRequest):
            self._broker.republish()
            return None
        if isinstance(command, LinkCommand):
            await self._printer.change_link(command)
            self._recipients.remember()
            # A released port stays so, whatever happens after the response.
            await in_thread(flush, lambda _: None, name="bridge-state-files")
            return None
        await self._printer.execute(
            command, run, expires=expires, within=envelope.timeout
        )
        return response_data(command, self._printer, self._recipients.publisher)

    def _respond(self, response: Response, sender: Sender) -> None:
        if sender.reply is not None:
            sender.reply(response)
            return
        payload = response.model_dump_json().encode()
        short = response.shortened(len(payload)) if len(payload) > LARGE else None
        self._broker.publish(
            sender.topic,
            payload,
            qos=RESPONSE.qos,
            retain=RESPONSE.retained,
            correlation=sender.correlation,
            lane=Lane.RESPONSE,
            short=short.model_dump_json().encode() if short else b"",
        )
